"""The training command from the user's side: what it writes, and what it says when it cannot."""

import fcntl
import itertools
import json
import logging
import math
import shutil

import pytest
import torch
import yaml
from support_train import (
    byte_tokenizer,
    merged,
    run_training,
    short_dialogues,
    tiny_settings,
    train_forked,
    train_here,
    write_shards,
    write_split,
)
from transformers import AutoTokenizer, GPT2LMHeadModel

from dialogpt.checkpoint import read_model_card, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.run_log import read_metrics
from dialogpt.tokenization import load_tokenizer
from dialogpt.train.step import Updater

SHORT = {"max_steps": 8, "tensorboard": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("train")
    write_shards(folder / "shards")
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    settings = merged(tiny_settings(folder / "shards", folder / "run"), SHORT)
    finished = run_training(settings, folder)
    assert finished.returncode == 0, finished.stderr
    return folder / "run", settings, finished.stderr


def fails(folder, changes, *, name, shards="shards"):
    """The message of training that must not begin."""
    settings = merged(tiny_settings(folder / shards, folder / name), merged(SHORT, changes))
    with pytest.raises(UserError) as error:
        train_here(settings, folder)
    return str(error.value)


def test_a_run_leaves_models_checkpoint_metrics_curves_and_its_config(trained):
    run, settings, _ = trained
    assert {path.name for path in run.iterdir()} == {
        *("best", "last", "checkpoints", "models"),
        *("config.yaml", "metrics.jsonl", "run.json", "tensorboard", ".lock"),
    }
    kept = yaml.safe_load((run / "config.yaml").read_text())
    assert kept["schedule"] == settings["schedule"]
    assert any((run / "tensorboard").iterdir())


def test_what_follows_from_the_settings_is_said_first(trained):
    _, _, errors = trained
    assert "Dialogues    120 to train on, 24 to validate on" in errors
    assert "fp32 on cpu x 1" in errors
    assert errors.index("Steps        8 in") < errors.index("step 0  validation loss")


def test_the_best_model_loads_in_plain_transformers_with_its_tokenizer(trained):
    run, _, _ = trained
    model = GPT2LMHeadModel.from_pretrained(run / "best")
    tokenizer = AutoTokenizer.from_pretrained(run / "best")
    ids = torch.tensor([tokenizer.encode("hi there")])
    assert ids.tolist() == load_tokenizer(str(run / "best")).encode_batch(["hi there"])
    assert model(ids).logits.shape == (1, 8, 257)
    assert model.config.eos_token_id == 256


def test_the_card_says_what_the_model_is(trained):
    run, _, _ = trained
    card = read_model_card(run / "best")
    assert resolve_model_folder(str(run)) == str(run / "best")
    assert (card.direction, card.max_seq_len, card.step, card.eos_id) == ("forward", 32, 8, 256)
    assert card.tokenizer_fingerprint == byte_tokenizer().fingerprint
    assert card.valid_loss == read_metrics(run)[-1]["loss"]


def test_validation_comes_before_the_first_step_and_after_the_last_and_falls(trained):
    run, _, _ = trained
    valid = [record for record in read_metrics(run) if record["kind"] == "valid"]
    assert [record["step"] for record in valid] == [0, 6, 8]
    assert valid[0]["loss"] == pytest.approx(math.log(257), rel=0.02)
    assert valid[-1]["loss"] < valid[0]["loss"] - 0.2


def test_validation_numbers_are_sums_over_the_split_divided_once(trained):
    """Counted from the dialogues themselves, and scored by transformers one by one."""
    run, _, _ = trained
    model = GPT2LMHeadModel.from_pretrained(run / "last")
    nll = num_tokens = num_words = 0
    for dialogue in short_dialogues(24):
        ids = [token for turn in dialogue.turns for token in (*turn.tolist(), 256)]
        given = len(dialogue.turns[0]) + 1
        labels = [-100] * given + ids[given:]
        with torch.inference_mode():
            output = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels]))
        nll += output.loss.item() * (len(ids) - given)
        num_tokens += len(ids) - given
        num_words += sum(map(len, dialogue.turns[1:]))
    last = read_metrics(run)[-1]
    assert last["tokens"] == num_tokens
    assert last["loss"] == pytest.approx(nll / num_tokens, rel=1e-4)
    assert last["nll_per_word"] == pytest.approx(nll / num_words, rel=1e-4)
    assert last["nll_per_char"] == pytest.approx(nll / (2 * num_words), rel=1e-4)
    assert last["perplexity"] == pytest.approx(math.exp(nll / num_tokens), rel=1e-3)


def test_a_finished_run_says_so_and_does_nothing(trained, folder):
    run, settings, _ = trained
    before = (run / "metrics.jsonl").read_bytes()
    again = train_forked(settings, folder)
    assert again.returncode == 0
    assert "training is finished: step 8 was the last" in again.stderr
    assert (run / "metrics.jsonl").read_bytes() == before


def test_two_processes_do_not_train_in_one_folder(trained, folder):
    run, settings, _ = trained
    with (run / ".lock").open("w") as holder:
        fcntl.lockf(holder, fcntl.LOCK_EX)  # held by this process, so another one must start
        second = train_forked(settings, folder)
    assert second.returncode == 1
    assert "another run is at work in this folder" in second.stderr


def test_other_settings_in_a_runs_folder_are_refused(trained, folder):
    message = fails(folder, {"schedule": {"learning_rate": 0.5}}, name="run")
    assert "schedule.learning_rate: 0.01 there, 0.5 here" in message


def test_a_backward_model_trains_on_the_same_shards(folder):
    settings = merged(tiny_settings(folder / "shards", folder / "backward"), SHORT)
    assert train_here({**settings, "direction": "backward"}, folder) == 0
    assert read_model_card(folder / "backward" / "best").direction == "backward"


def test_training_goes_on_from_a_run_as_from_a_checkpoint(trained, folder):
    run, _, _ = trained
    settings = merged(tiny_settings(folder / "shards", folder / "tuned"), {"max_steps": 1})
    assert train_here(merged(settings, {"model": {"init": str(run)}}), folder) == 0
    former = read_metrics(run)[-1]["loss"]
    assert read_metrics(folder / "tuned")[0]["loss"] == pytest.approx(former, rel=1e-6)


def test_a_run_goes_on_without_the_checkpoint_it_began_from(trained, folder):
    run, _, _ = trained
    first = folder / "first"
    shutil.copytree(run / "best", first)
    changes = {"model": {"init": str(first)}, "checkpoint": {"every_steps": 1}, "max_steps": 2}
    settings = merged(tiny_settings(folder / "shards", folder / "later"), changes)
    assert train_here(settings, folder) == 0
    expected = read_metrics(folder / "later")
    shutil.rmtree(first)
    shutil.rmtree(folder / "later" / "checkpoints" / "step-00000002")
    assert train_here(settings, folder) == 0
    assert read_metrics(folder / "later")[-1]["loss"] == expected[-1]["loss"]


def test_speed_counts_the_steps_of_this_process_only(folder, monkeypatch):
    """A line after going on sums over steps of the former process too, whose time is not known."""
    ticks = itertools.count()
    monkeypatch.setattr("dialogpt.train.trainer.perf_counter", lambda: float(next(ticks)))
    settings = {
        name: merged(
            tiny_settings(folder / "shards", folder / name),
            {"max_steps": 8, "log_every_steps": log_every_steps},
        )
        for name, log_every_steps in (("timed", 4), ("broken", 8))
    }
    train_here(settings["timed"], folder)
    whole_step = Updater.begin

    def broken_step(updater, batches, number, **options):
        if number == 6:
            raise KeyboardInterrupt
        return whole_step(updater, batches, number, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Updater, "begin", broken_step)
        with pytest.raises(KeyboardInterrupt):
            train_here(settings["broken"], folder)
    train_here(settings["broken"], folder)
    (first, second), (both,) = (
        [line for line in read_metrics(folder / name) if line["kind"] == "train"]
        for name in ("timed", "broken")
    )
    assert both["tokens"] == first["tokens"] + second["tokens"]
    assert both["tokens_per_second"] == second["tokens_per_second"]


def test_without_validation_dialogues_training_says_so_and_best_is_last(folder, caplog):
    write_shards(folder / "train_only", num_valid=0)
    settings = merged(tiny_settings(folder / "train_only", folder / "no_valid"), SHORT)
    with caplog.at_level(logging.INFO):
        assert train_here(settings, folder) == 0
    assert "no validation dialogues" in caplog.text
    run = folder / "no_valid"
    assert (run / "best").resolve() == (run / "last").resolve()
    for name in ("best", "last"):  # killed between the checkpoint and the links
        (run / name).unlink()
    assert train_here(settings, folder) == 0
    assert (run / "best").resolve() == (run / "last").resolve()
    assert read_model_card(run / "best").valid_loss is None


def test_early_stopping_ends_the_run(folder, caplog):
    changes = {"validation": {"every_steps": 2, "patience": 2, "min_delta": 100.0}}
    settings = merged(tiny_settings(folder / "shards", folder / "early"), changes)
    with caplog.at_level(logging.INFO):
        assert train_here(settings, folder) == 0
    assert "made no progress in 2 validations" in caplog.text
    # The validation before step 1 is the best; those after steps 2 and 4 are not enough better.
    assert read_metrics(folder / "early")[-1]["step"] == 4


def test_missing_shards_end_the_command_with_a_message_and_exit_code_1(folder):
    finished = train_forked(tiny_settings(folder / "absent", folder / "a"), folder)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "run `python -m data_prep shards` first" in finished.stderr


def test_unfinished_shards(folder):
    shards = write_shards(folder / "unfinished")
    (shards / "train" / "manifest.json").unlink()
    assert "expected the manifest" in fails(folder, {}, name="b", shards="unfinished")


def test_the_wrong_tokenizer_for_the_shards(folder):
    shards = write_shards(folder / "mixed")
    byte_tokenizer(num_extra=3).save(shards / "tokenizer")
    message = fails(folder, {}, name="c", shards="mixed")
    assert "use the tokenizer saved beside the shards" in message


def test_no_dialogues_are_no_steps(folder):
    shards = write_shards(folder / "empty")
    write_split(shards / "train", [], tokenizer=byte_tokenizer())
    assert "0 dialogues, so 0 steps" in fails(folder, {}, name="d", shards="empty")


def test_rows_longer_than_the_position_table(folder):
    message = fails(folder, {"data": {"max_seq_len": 64}}, name="e")
    assert "data.max_seq_len 64: expected at most the model's 32 positions" in message


def test_a_run_that_diverges_names_the_step_and_keeps_the_batch(folder):
    changes = {"schedule": {"learning_rate": 1e30, "warmup_steps": 1}, "max_steps": 30}
    message = fails(folder, changes, name="diverged")
    assert "expected finite numbers, found a non-finite" in message
    assert list((folder / "diverged").glob("failed-step-*/rank-00000-*.safetensors"))


def test_an_unknown_key_ends_with_exit_code_2(folder):
    settings = tiny_settings(folder / "shards", folder / "f")
    settings["schedule"]["warmup_step"] = 3
    finished = run_training(settings, folder)
    assert finished.returncode == 2
    assert "warmup_step" in finished.stderr
    assert not (folder / "f").exists()


def test_metrics_lines_are_json_with_the_promised_names(trained):
    run, _, _ = trained
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    train = next(line for line in lines if line["kind"] == "train")
    assert {
        *("step", "epoch", "loss", "learning_rate", "grad_norm", "tokens"),
        *("tokens_per_second", "padding_share", "waiting_share"),
    } <= train.keys()
    valid = next(line for line in lines if line["kind"] == "valid")
    assert {"loss", "nll_per_word", "nll_per_char", "perplexity", "word_perplexity"} <= valid.keys()
