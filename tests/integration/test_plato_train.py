"""Training PLATO by the command: what a run writes, going on with one, models to begin with."""

import json
import shutil
import signal

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from support_train import (
    byte_tokenizer,
    encoded,
    made_up_dialogues,
    merged,
    tiny_settings,
    write_split,
)
from support_wordpiece import PIECES, wordpiece_tokenizer

from dialogpt.command_line import UserError, parse_config
from dialogpt.config.plato import MeasureConfig
from dialogpt.config.training import TrainConfig
from dialogpt.plato.__main__ import measure_split
from dialogpt.plato.load import load_plato
from dialogpt.plato.run import take_mask_of, train
from dialogpt.plato.trainer import PlatoTrainer
from dialogpt.report.curves import PLATO_CURVES, loss_curve
from dialogpt.report.runs import read_run
from dialogpt.run_log import read_metrics
from dialogpt.train.__main__ import main
from dialogpt.wordpiece import MASK
from tests.support_plato import model

CHANGES = {
    "model": {"max_positions": 64, "dropout": 0.1},
    "batch": {"micro_batch_tokens": 160},
    "schedule": {"name": "constant", "learning_rate": 0.01, "warmup_steps": 4},
    "plato": {
        "num_latents": 3,
        "examples": "all",
        "validate_all_latents": True,
        "bow_weight": 0.5,
    },
    "max_epochs": 1,
    "max_steps": 12,
}
CLOCK = {"tokens_per_second", "waiting_share"}


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plato") / "shards"
    tokenizer = byte_tokenizer()
    for split, count, seed in (("train", 120, 1), ("valid", 16, 2)):
        write_split(folder / split, made_up_dialogues(count, seed=seed), tokenizer=tokenizer)
    tokenizer.save(folder / "tokenizer")
    return folder


def run(shards, output, **changes):
    """Train in this process; the exit code."""
    settings = merged(merged(tiny_settings(shards, output), CHANGES), changes)
    path = output.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return train(*parse_config(TrainConfig, ["--config", str(path)], prog="train"))


@pytest.fixture(scope="module")
def trained(shards, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "whole"
    assert run(shards, output) == 0
    return output


def lines(folder, kind):
    return [record for record in read_metrics(folder) if record["kind"] == kind]


def test_a_run_learns_and_logs_what_the_latent_does(trained):
    train_lines, valid_lines = lines(trained, "train"), lines(trained, "valid")
    assert train_lines[-1]["nll_per_token"] < train_lines[0]["nll_per_token"]
    assert valid_lines[-1]["loss"] < valid_lines[0]["loss"]
    for line in train_lines:
        assert 1.0 <= line["latent_perplexity"] <= 3.0
        assert line["loss"] == pytest.approx(line["nll"] + line["bow"] + line["selection"])
    assert train_lines[-1]["step"] == CHANGES["max_steps"]
    last = valid_lines[-1]
    assert 1.0 <= last["latent_perplexity"] <= 3.0
    assert last["best_perplexity"] < last["marginal_perplexity"] < last["bound_perplexity"]
    assert last["best_perplexity"] <= last["perplexity"]
    assert 0.0 <= last["selection_accuracy"] <= 1.0
    by_token = last["nll_per_token"] + 0.5 * last["bow_per_token"]
    by_response = by_token * last["tokens"] / last["responses"] + last["selection_loss"]
    assert last["loss"] == pytest.approx(by_response)


def test_a_page_about_the_run_has_curves_of_the_latent(trained):
    found = read_run(trained)
    assert "nats a response" in loss_curve([found]).label
    for curve in PLATO_CURVES:
        steps, values = curve.points(found)
        assert steps, curve.key
        assert all(isinstance(curve.written(value), str) for value in values)


def test_the_command_measures_what_validation_measured(shards, trained, tmp_path, capsys):
    words = ["--model", str(trained), "--shards", str(shards), "--split", "valid"]
    words += ["--examples", "all", "--micro_batch_tokens", "100"]
    config, _ = parse_config(MeasureConfig, [*words, "--output", str(tmp_path / "m.json")], prog="")
    measure_split(config)
    found = json.loads((tmp_path / "m.json").read_text())
    best = min(lines(trained, "valid"), key=lambda line: line["loss"])
    for kind in ("", "marginal_", "best_", "bound_"):
        for unit in ("perplexity", "word_perplexity"):
            assert found[kind + unit] == pytest.approx(best[kind + unit], rel=1e-4)
    # In nats, whatever they weigh; the total is the run's, whose weights the folder does not know.
    assert found["bow_per_token"] == pytest.approx(best["bow_per_token"], rel=1e-4)
    assert "loss" not in found
    said = capsys.readouterr().out
    assert f"{found['marginal_perplexity']:.2f}" in said
    assert "over all latents" in said


def test_its_model_folder_says_what_it_is(trained):
    plato = load_plato(trained / "best")
    assert plato.network.sizes.num_latents == 3
    assert not plato.training
    card = json.loads((trained / "best" / "dialogpt.json").read_text())
    assert card["max_seq_len"] == plato.config.sequence.longest_row
    weights = load_file(trained / "best" / "model.safetensors")
    assert "latents.weight" in weights
    assert not any(name.startswith("network.") for name in weights)


def test_a_folder_that_lacks_part_of_its_latent_is_refused(trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained / "best", folder)
    weights = load_file(folder / "model.safetensors")
    del weights["posterior.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"missed posterior\.weight"):
        load_plato(folder)


def test_the_command_trains_a_plato_where_the_config_has_one(shards, tmp_path, monkeypatch):
    changes = {"plato": {"reduction": "token_mean"}, "max_steps": 2, "log_every_steps": 1}
    settings = merged(merged(tiny_settings(shards, tmp_path / "run"), CHANGES), changes)
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["train", "--config", str(path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    for line in lines(tmp_path / "run", "train"):
        # Divided by its tokens, or by those that the log counts: the same ones.
        assert line["nll"] == pytest.approx(line["nll_per_token"])
        assert line["bow"] == pytest.approx(0.5 * line["bow_per_token"])


def test_a_stopped_run_goes_on_to_the_same_weights_and_metrics(
    shards, trained, tmp_path, monkeypatch
):
    take = PlatoTrainer._take

    def stop_soon(self, step):
        result = take(self, step)
        if self._progress.step == 5:
            signal.raise_signal(signal.SIGTERM)
        return result

    monkeypatch.setattr(PlatoTrainer, "_take", stop_soon)
    output = tmp_path / "whole"
    assert run(shards, output) == 128 + signal.SIGTERM
    # Between two lines, so that the next one has something to remember.
    assert max(line["step"] for line in lines(output, "train")) == 6
    newest = max(path.name for path in (output / "checkpoints").iterdir())
    assert newest == "step-00000007"
    monkeypatch.undo()
    assert run(shards, output) == 0
    # The next checkpoint remembers step 7, which this process has not made, and step 8.
    state = json.loads((output / "checkpoints" / "step-00000008" / "state.json").read_text())
    since_log = state["progress"]["since_log"]
    assert since_log["latent_sums"][-1] == since_log["loss_counts"]["nll"] > 0
    both = [
        [{k: v for k, v in record.items() if k not in CLOCK} for record in read_metrics(folder)]
        for folder in (output, trained)
    ]
    for ours, wanted in zip(*both, strict=True):
        # The sums of posteriors are added in two parts, so they may differ in the last digit.
        told = {k: v for k, v in wanted.items() if k.startswith("latent_")}
        assert {k: v for k, v in ours.items() if k in told} == pytest.approx(told, rel=1e-9)
        assert {k: v for k, v in ours.items() if k not in told} == {
            k: v for k, v in wanted.items() if k not in told
        }
    one, other = (load_file(f / "last" / "model.safetensors") for f in (output, trained))
    for name, weight in one.items():
        assert torch.equal(other[name], weight), name


def test_weights_go_on_with_a_latent_without_and_with_a_new_one(shards, trained, tmp_path):
    whole = load_file(trained / "best" / "model.safetensors")
    begun = {"model": {"init": str(trained)}, "max_steps": 1, "schedule": {"learning_rate": 1e-9}}
    run(shards, tmp_path / "without", **begun, plato={"num_latents": 0})
    without = load_file(tmp_path / "without" / "last" / "model.safetensors")
    assert "latents.weight" not in without
    torch.testing.assert_close(without["tokens.weight"], whole["tokens.weight"])
    begun["model"] = {"init": str(tmp_path / "without")}
    run(shards, tmp_path / "again", **begun)
    again = load_file(tmp_path / "again" / "last" / "model.safetensors")
    torch.testing.assert_close(again["tokens.weight"], whole["tokens.weight"])
    assert again["latents.weight"].shape == whole["latents.weight"].shape
    assert not torch.allclose(again["latents.weight"], whole["latents.weight"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"plato": {"num_latents": 5}}, "expected plato.num_latents 3 or 0, found 5"),
        (
            {"plato": {"latent_visible_to_context": False}},
            "expected plato.latent_visible_to_context True, as it was trained, found False",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(shards, trained, tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        run(shards, tmp_path / "other", model={"init": str(trained)}, **changes)


def test_a_run_that_fails_at_its_start_leaves_no_folder(shards, tmp_path):
    for output in ("other", "made"):
        if output == "made":
            (tmp_path / output).mkdir()
        with pytest.raises(UserError):
            run(shards, tmp_path / output, model={"init": str(tmp_path / "nowhere")})
    assert not (tmp_path / "other").exists()
    assert (tmp_path / "made").is_dir()


def test_weights_of_other_tokens_are_refused(shards, trained, tmp_path):
    tokenizer = byte_tokenizer(num_extra=1)
    other = tmp_path / "shards"
    write_split(other / "train", made_up_dialogues(20, seed=1), tokenizer=tokenizer)
    tokenizer.save(other / "tokenizer")
    with pytest.raises(UserError, match="expected a model of the shards' tokenizer"):
        run(other, tmp_path / "other", model={"init": str(trained)})


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_response_tokens": 63}, "max_response_tokens 63, with control tokens 65"),
        ({"max_turn_tokens": 64}, "max_turn_tokens 64, with control tokens 65"),
        ({"max_knowledge_tokens": 64}, "max_knowledge_tokens 64, with control tokens 65"),
    ],
)
def test_rows_longer_than_the_table_of_positions_are_refused(shards, tmp_path, limits, said):
    with pytest.raises(UserError, match=f"at most its 64 positions, found plato.sequence.{said}"):
        run(shards, tmp_path / "other", plato={"sequence": limits})


def test_batches_of_one_learn_no_selection_from_their_neighbours(shards, tmp_path):
    neighbours = {"plato": {"negatives": "in_batch"}}
    # Some batches hold one example, some more.
    small = {"micro_batch_tokens": 40, "accumulation_steps": 1}
    assert run(shards, tmp_path / "run", **neighbours, batch=small) == 0
    batches = [line["selection"] for line in lines(tmp_path / "run", "train")]
    assert all(loss > 0 for loss in batches)
    with pytest.raises(SystemExit):
        run(shards, tmp_path / "alone", **neighbours, batch={"max_micro_batch_size": 1})


def test_what_is_wrong_with_the_data_is_said_without_a_traceback(tmp_path):
    tokenizer = byte_tokenizer()
    shards = tmp_path / "shards"
    write_split(
        shards / "train", [encoded([[60 + i], [70]], key=i) for i in range(9)], tokenizer=tokenizer
    )
    tokenizer.save(shards / "tokenizer")
    with pytest.raises(UserError, match="train: response selection: expected") as raised:
        run(shards, tmp_path / "run", data={"num_workers": 1})
    assert "Traceback" not in str(raised.value)


def test_a_model_that_never_selected_says_so(shards, tmp_path):
    changes = {"selection_weight": 0.0, "validate_all_latents": False}
    run(shards, tmp_path / "run", plato=changes, max_steps=1)
    assert not load_plato(tmp_path / "run" / "last").selects_responses
    run(shards, tmp_path / "more", model={"init": str(tmp_path / "run")}, max_steps=1)
    assert load_plato(tmp_path / "more" / "last").selects_responses


def test_biases_of_heads_may_be_left_out_where_they_are_zeros(shards, trained, tmp_path):
    without = {"plato": {"head_biases": False}, "max_steps": 1}
    with pytest.raises(UserError, match=r"expected no posterior\.bias, as plato\.head_biases is"):
        run(shards, tmp_path / "refused", model={"init": str(trained)}, **without)
    folder = tmp_path / "zeros"
    shutil.copytree(trained / "best", folder)
    weights = load_file(folder / "model.safetensors")
    for name in ("posterior.bias", "bag_of_words.bias"):
        weights[name].zero_()
    save_file(weights, folder / "model.safetensors")
    run(shards, tmp_path / "run", model={"init": str(folder)}, **without)
    assert "posterior.bias" not in load_file(tmp_path / "run" / "last" / "model.safetensors")
    run(shards, tmp_path / "again", model={"init": str(tmp_path / "run")}, max_steps=1)
    assert "posterior.bias" in load_file(tmp_path / "again" / "last" / "model.safetensors")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plato.num_latents", "2", "--direction", "backward"], "plato needs direction forward"),
        (["--plato.num_latents", "2", "--batch.layout", "tree"], "plato needs batch.layout packed"),
        (
            ["--plato.num_latents", "2", "--plato.bidirectional_context", "false"],
            "needs plato.num_latents 0",
        ),
    ],
)
def test_settings_that_contradict_one_another_are_refused(words, said, capsys):
    given = ["--output", "x", "--data.shards", "y", "--schedule.learning_rate", "1e-3", *words]
    with pytest.raises(SystemExit):
        parse_config(TrainConfig, given, prog="train")
    assert said in capsys.readouterr().err


def test_a_mask_of_the_vocabulary_needs_one(shards, tmp_path):
    with pytest.raises(UserError, match="found 3 latents and a tokenizer of the kind gpt2"):
        run(shards, tmp_path / "other", plato={"mask_from_vocabulary": True})


def test_a_mask_of_the_vocabulary_is_its_row(tmp_path):
    tokenizer = wordpiece_tokenizer()
    plato = model(dtype=torch.float32, vocab_size=len(PIECES))
    take_mask_of(plato, tokenizer)
    assert torch.equal(plato.network.mask, plato.network.tokens.weight[PIECES.index(MASK)])


def test_a_trained_mask_is_not_overwritten(tmp_path):
    tokenizer = wordpiece_tokenizer()
    shards = tmp_path / "shards"
    talks = [encoded([[60 + i], [70 + i]], key=i) for i in range(9)]
    write_split(shards / "train", talks, tokenizer=tokenizer)
    tokenizer.save(shards / "tokenizer")
    still = {"max_steps": 1, "schedule": {"learning_rate": 1e-9}}
    run(shards, tmp_path / "first", **still)
    begun = {"model": {"init": str(tmp_path / "first")}, "plato": {"mask_from_vocabulary": True}}
    run(shards, tmp_path / "second", **still, **begun)
    run(shards, tmp_path / "third", **still, plato={"mask_from_vocabulary": True})
    first, second, third = (
        load_file(tmp_path / name / "last" / "model.safetensors")
        for name in ("first", "second", "third")
    )
    torch.testing.assert_close(second["mask"], first["mask"])
    torch.testing.assert_close(third["mask"], third["tokens.weight"][PIECES.index(MASK)])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("bidirectional_context", None, "KeyError: 'bidirectional_context'"),
        ("bidirectional_context", "no", "bidirectional_context must be true or false, got 'no'"),
        ("selects_responses", 1, "selects_responses must be true or false, got 1"),
        ("num_heads", 0, "num_heads must be a whole number >= 1, got 0"),
        ("num_heads", 3, "3 heads cannot share the width"),
        ("num_layers", "2", "num_layers must be a whole number >= 1, got '2'"),
        ("num_latents", -1, "num_latents must be a whole number >= 0, got -1"),
        ("blocks", "foo", "blocks must be one of"),
        ("norm_eps", 0.0, "norm_eps must be a number > 0, got 0.0"),
        ("head_biases", None, "KeyError: 'head_biases'"),
    ],
)
def test_a_wrong_description_of_a_model_is_named(trained, tmp_path, name, value, said):
    folder = tmp_path / "model"
    shutil.copytree(trained / "best", folder)
    described = json.loads((folder / "config.json").read_text())
    assert name in described
    described[name] = value
    kept = {key: value for key, value in described.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    with pytest.raises(UserError, match=f"expected a PLATO of this project .*{said}"):
        load_plato(folder)


def test_a_model_folder_of_longer_utterances_than_positions_is_refused(trained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(trained / "best", folder)
    described = json.loads((folder / "config.json").read_text())
    described["sequence"]["max_turn_tokens"] = 64
    (folder / "config.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match="at most its 64 positions"):
        load_plato(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nowhere"}, "--model nowhere: expected a run or model folder of a PLATO, found"),
        ({"output": "m.json/x/y.json"}, "expected a place for a file, found the file"),
        ({"output": "."}, "expected a place for a file, found the folder"),
    ],
)
def test_what_cannot_be_measured_or_written_is_said_at_once(
    shards, trained, tmp_path, change, said, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.json").write_text("{}")
    values = {"model": str(trained), "shards": str(shards), "split": "valid", **change}
    with pytest.raises(UserError, match=said):
        measure_split(MeasureConfig(**values))
