"""Policy gradient through the training command: what it leaves, how it goes on, what it refuses."""

import os
import runpy
import signal
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file
from support_train import (
    byte_tokenizer,
    free_port,
    launch_command,
    merged,
    run_to_end,
    tiny_settings,
    write_shards,
)
from transformers import GPT2LMHeadModel

from dialogpt.checkpoint import read_model_card, untrained_card, write_model_folder
from dialogpt.command_line import UserError, parse_config
from dialogpt.config.training import ModelConfig, TrainConfig
from dialogpt.mmi_rl import trainer
from dialogpt.mmi_rl.run import train
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.report.curves import MMI_RL_CURVES
from dialogpt.report.runs import read_run
from dialogpt.run_log import RunLog, read_facts, read_metrics
from dialogpt.text import TEXT_RULES

SPEED = {"tokens_per_second"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mmi_rl")
    write_shards(folder / "shards", num_train=60, num_valid=8)
    tokenizer = byte_tokenizer()
    for seed, direction in enumerate(("forward", "backward")):
        torch.manual_seed(seed)
        sizes = ModelConfig(num_layers=1, hidden_size=16, num_heads=2, max_positions=32)
        model = build_gpt2(sizes, vocab_size=tokenizer.vocab_size, eos_id=tokenizer.eos_id)
        with torch.no_grad():  # wild, so that no two rewards are alike
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    parameter.mul_(10.0)
        card = untrained_card(
            tokenizer, direction=direction, max_seq_len=32, text_rules=TEXT_RULES
        ).at(step=1, valid_loss=None)
        write_model_folder(
            folder / direction, model, tokenizer_folder=folder / "shards" / "tokenizer", card=card
        )
    return folder


def settings(folder, name, **mmi_rl):
    section = {"backward_model": str(folder / "backward"), "max_new_tokens": 6}
    section |= {"contexts_per_step": 4, "num_samples": 4, **mmi_rl}
    changes = {
        "model": {"init": str(folder / "forward"), "dropout": 0.0},
        "batch": {"micro_batch_tokens": 256, "accumulation_steps": 1},
        "schedule": {"name": "constant", "learning_rate": 0.003, "warmup_steps": 0},
        "validation": {"every_steps": 4},
        "log_every_steps": 1,
        "max_steps": 8,
        "mmi_rl": section,
    }
    return merged(tiny_settings(folder / "shards", folder / name), changes)


def go(values, folder):
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return train(*parse_config(TrainConfig, ["--config", str(path)], prog="train"))


@pytest.fixture(scope="module")
def trained(folder):
    """A run through the command itself, and the numbers of its draws a rollout."""
    values = settings(folder, "whole", kl_weight=0.1, copy_weight=1.0)
    path = folder / "whole.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    draw, draws = trainer.draw_rollout, []

    def noted(parts, contexts, draw_indices, **options):
        draws.append(list(draw_indices))
        return draw(parts, contexts, draw_indices, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "draw_rollout", noted)
        patch.setattr(sys, "argv", ["train", "--config", str(path)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("dialogpt.train", run_name="__main__")
    assert ended.value.code == 0
    return folder / "whole", values, draws


def test_a_run_leaves_a_forward_model_metrics_and_curves(trained):
    run, *_ = trained
    GPT2LMHeadModel.from_pretrained(run / "last")
    assert read_model_card(run / "best").direction == "forward"
    records = read_metrics(run)
    train_lines = [r for r in records if r["kind"] == "train"]
    valid_lines = [r for r in records if r["kind"] == "valid"]
    assert [r["step"] for r in train_lines] == list(range(1, 9))
    assert [r["step"] for r in valid_lines] == [0, 4, 8]
    for line in records:
        objective = line["reward"] - 0.1 * line["kl"] - 1.0 * line["copy_rate"]
        assert line["objective"] == pytest.approx(objective)
        assert line["loss"] == -line["objective"]
        assert 0 < line["dist_2"] <= 1
        assert 1 <= line["reply_tokens"] <= 6
        assert line["advantage_spread"] > 0
    # Before the first step the policy is the start model.
    assert train_lines[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert valid_lines[0]["kl"] == pytest.approx(0.0, abs=1e-4)
    assert abs(valid_lines[-1]["kl"]) > 1e-3
    assert 0 <= read_facts(run)["human_copy_rate"] <= 1
    for curve in MMI_RL_CURVES:
        assert curve.points(read_run(run))[0] == list(range(1, 9))


def test_training_never_draws_twice_by_the_same_numbers_and_validation_always_does(trained):
    *_, draws = trained
    # 8 held-out contexts, 4 at once: two rollouts before step 1, after step 4 and after step 8.
    assert draws[:2] == draws[6:8] == draws[12:]
    training = [number for numbers in draws[2:6] + draws[8:12] for number in numbers]
    assert len(training) == len(set(training)) == 32
    assert not set(training) & {number for numbers in draws[:2] for number in numbers}


def test_a_stopped_run_goes_on_to_the_same_weights_and_numbers(trained, folder, monkeypatch):
    whole, values, _ = trained
    values = {**values, "output": str(folder / "stopped")}
    write = RunLog.write

    def write_and_stop(log, kind, step, numbers):
        write(log, kind, step, numbers)
        if (kind, step) == ("train", 2):
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "write", write_and_stop)
        assert go(values, folder) == 128 + signal.SIGTERM
    assert read_metrics(folder / "stopped")[-1]["step"] == 3
    assert go(values, folder) == 0
    ours = load_file(folder / "stopped" / "last" / "model.safetensors")
    theirs = load_file(whole / "last" / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    lines = [
        [{k: v for k, v in r.items() if k not in SPEED} for r in read_metrics(run)]
        for run in (folder / "stopped", whole)
    ]
    assert lines[0] == lines[1]
    assert go(values, folder) == 0  # finished: nothing more is done
    assert len(read_metrics(folder / "stopped")) == len(lines[1])


def test_what_does_not_go_together_is_refused(folder, capsys):
    values = settings(folder, "refused")
    with pytest.raises(UserError, match="expected a backward model"):
        go(merged(values, {"mmi_rl": {"backward_model": str(folder / "forward")}}), folder)
    section = values["mmi_rl"]
    for changes, message in (
        ({"direction": "backward"}, "direction forward"),
        ({"model": {"dropout": 0.1}}, "model.dropout 0"),
        ({"model": {"init": "scratch"}}, "a trained forward model"),
        ({"batch": {"layout": "packed"}}, "batch.layout padded"),
        ({"batch": {"accumulation_steps": 2}}, "accumulation_steps 1"),
        ({"mmi_rl": {**section, "num_samples": 1}}, "num_samples must be >= 2"),
        ({"mmi_rl": {**section, "max_new_tokens": 31}}, "leaves no room"),
    ):
        path = folder / "refused.yaml"
        path.write_text(yaml.safe_dump(merged(values, changes)), encoding="utf-8")
        with pytest.raises(SystemExit) as ended:
            parse_config(TrainConfig, ["--config", str(path)], prog="train")
        assert ended.value.code == 2
        assert message in capsys.readouterr().err


@pytest.mark.slow
def test_weights_that_ranks_share_are_refused(folder):
    options = ["--num_processes", "2", "--main_process_port", free_port()]
    command = launch_command(settings(folder, "shared"), folder, "fsdp.yaml", *options)
    ended = run_to_end(command, folder)
    assert ended.returncode != 0
    assert "error: FSDP: replies are drawn from a model that a device holds whole" in ended.stderr
    assert "Traceback" not in ended.stderr.partition("error: FSDP")[0]
