"""The command itself, as a process: files, a pipe, a terminal, and what it says when it fails."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support_decode import Run, in_process, save_model_folder, tiny_tokenizer

from dialogpt.command_line import parse_config
from dialogpt.config.decoding import DecodeConfig
from dialogpt.decode.__main__ import main

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    "PYTHONUTF8": "1",
}
CONTEXTS = [["Hi!", "How are you?"], ["the inn"], ["one <|endoftext|>", "two", "three"]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    forward = save_model_folder(folder / "forward" / "best", seed=1)
    backward = save_model_folder(folder / "backward" / "best", seed=2, direction="backward")
    return ["--model", str(forward.parent), "--backward_model", str(backward.parent)]


@pytest.fixture
def decode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command, without the five seconds that a process takes to import everything."""
    monkeypatch.chdir(ROOT)
    return in_process(main, "decode", "--device", "cpu", monkeypatch=monkeypatch, capsys=capsys)


def write_contexts(path: Path) -> str:
    lines = [json.dumps({"turns": turns}) + "\n" for turns in CONTEXTS]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def records_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_mmi_from_file_to_file(tmp_path: Path, models: list[str], decode: Run) -> None:
    source, output = write_contexts(tmp_path / "contexts.jsonl"), tmp_path / "out.jsonl"
    preset = ["--config", "configs/decode/mmi.yaml", "--mmi", *models, "--contexts", source]
    short = ["--generation.max_new_tokens", "10", "--batch_contexts", "2"]
    shown, _ = decode(*preset, *short, "--output", str(output))

    records = records_of(output)
    assert [record["context"] for record in records] == CONTEXTS
    for record in records:
        assert len(record["hypotheses"]) == 16
        scores = [h["scores"]["score"] for h in record["hypotheses"] if h["text"]]
        assert scores == sorted(scores, reverse=True)
        assert record["response"] == record["hypotheses"][0]["text"]
        for h in record["hypotheses"]:
            assert set(h["scores"]) == {"forward_log_prob", "backward_log_prob", "score"}
            assert h["scores"]["score"] == h["scores"]["backward_log_prob"]
        assert record["num_turns_dropped"] == 0
        assert record["settings"]["generation"]["seed"] == 0
        assert record["settings"]["mmi_options"]["weight"] == 1.0

    table, rest = shown.split("\n\nthe inn")
    assert table.startswith("Context 1 of 3\n  turn 1: Hi!\n  turn 2: How are you?\n")
    ranks = [line[:6].split() for line in table.split("nats)\n")[1].splitlines()]
    assert ranks[0] == [">", "1"]
    assert all(len(line) <= 100 for line in table.splitlines())
    assert rest.count(" -> ") == 2
    assert not list(tmp_path.glob("*.unfinished"))

    _, refused = decode(*preset, *short, "--output", str(output), expected_exit=1)
    assert f"{output}: exists already" in refused
    # Another batch size: the same replies.
    other = tmp_path / "other.jsonl"
    decode(*preset, *short, "--batch_contexts", "3", "--output", str(other))
    for one, two in zip(records, records_of(other), strict=True):
        assert [h["text"] for h in one["hypotheses"]] == [h["text"] for h in two["hypotheses"]]
    # The output is itself a file of contexts.
    decode("--config", "configs/decode/greedy.yaml", *models[:2], "--contexts", str(output), *short)


def test_filtered_candidates_are_logged_recorded_and_counted(
    tmp_path: Path, models: list[str], decode: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    source, plain = write_contexts(tmp_path / "contexts.jsonl"), tmp_path / "plain.jsonl"
    words = [*models[:2], "--contexts", source, "--generation.max_new_tokens", "10"]
    decode(*words, "--output", str(plain))
    before = records_of(plain)
    # All that could be said to the first context, and the reply to the second.
    phrases = [h["text"] for h in before[0]["hypotheses"]] + [before[1]["response"]]
    (tmp_path / "phrases.txt").write_text("\n".join(phrases), encoding="utf-8")
    words += ["--filter.phrases", str(tmp_path / "phrases.txt"), "--filter.fallback", "What else?"]
    output = tmp_path / "filtered.jsonl"
    table, said = decode(*words, "--output", str(output))
    after = records_of(output)
    assert (after[0]["response"], after[0]["is_fallback"]) == ("What else?", True)
    assert "> " + " " * 6 + "What else? [fallback" in table
    assert after[1]["response"] == after[1]["hypotheses"][0]["text"] != before[1]["response"]
    num_dropped = num_fallbacks = 0
    for old, new in zip(before, after, strict=True):
        rows = [*new["hypotheses"], *new["filtered"]]
        assert sorted(h["text"] for h in old["hypotheses"]) == sorted(h["text"] for h in rows)
        assert {f["reason"] for f in new["filtered"]} <= {"phrase"}
        num_dropped += len(new["filtered"])
        num_fallbacks += new["is_fallback"]
    assert sum(" dropped (phrase: " in message for message in caplog.messages) == num_dropped
    assert f"Filter: {num_dropped} of 48 candidates dropped" in said
    assert f"fallback was the reply to {num_fallbacks} contexts" in said
    assert f"  - phrase{num_dropped:>26}\n" in said


def test_turns_from_a_pipe_and_contexts_from_standard_input(models: list[str], decode: Run) -> None:
    greedy = ["--config", "configs/decode/greedy.yaml", *models[:2], "--show", "0"]
    short = ["--generation.max_new_tokens", "10"]
    lines = '["Hi!", "How are you?"]\n["the inn"]\n'
    from_lines, _ = decode(*greedy, *short, "--contexts", "-", typed=lines)
    process = subprocess.run(
        [sys.executable, "-m", "dialogpt.decode", *greedy, *short, "--device", "cpu"],
        cwd=ROOT,
        input="Hi!\nHow are you?\n\nthe inn\n",
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=ENVIRONMENT,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout == from_lines
    contexts = [line.split(" -> ")[0] for line in from_lines.splitlines()]
    assert contexts == ["How are you?", "the inn"]


def test_turns_typed_at_a_terminal(models: list[str]) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "dialogpt.decode", "--device", "cpu"]
    command += ["--config", "configs/decode/greedy.yaml", *models[:2], "--show", "0"]
    process = subprocess.Popen(
        [*command, "--generation.max_new_tokens", "10"],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=ENVIRONMENT,
    )
    os.close(theirs)
    seen = read_until(ours, b"turn 1> ")
    os.write(ours, b"Hi!\n")
    seen += read_until(ours, b"turn 2> ")
    os.write(ours, b"\n")
    seen += read_until(ours, b"turn 1> ")
    os.write(ours, b"\x04")  # Ctrl-D
    assert process.wait(timeout=60) == 0
    os.close(ours)
    assert b"Hi! -> " in seen
    assert b"Traceback" not in seen


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows up to and including the wanted bytes."""
    seen = b""
    while wanted not in seen:
        try:
            chunk = os.read(terminal, 1024)
        except OSError:  # Linux: the other side has closed
            chunk = b""
        assert chunk, f"the command ended before {wanted!r}: {seen.decode(errors='replace')}"
        seen += chunk
    return seen


def test_what_the_user_can_mend_is_one_message(
    tmp_path: Path, models: list[str], decode: Run
) -> None:
    forward, backward = models[1], models[3]
    bad = tmp_path / "bad.jsonl"
    bad.write_text('["fine"]\n["unfinished"\n', encoding="utf-8")
    other = save_model_folder(
        tmp_path / "other",
        direction="backward",
        tokenizer=tiny_tokenizer(extra_merge=("e", "r")),
    )
    for words, message, exit_code in [
        (["--model", f"{forward}/best", "--mmi"], "--mmi needs --backward_model", 2),
        (["--model", forward, "--generation.top_kk", "3"], "top_kk", 2),
        (["--model", forward, "--contexts", str(bad)], f"{bad}:2: expected", 1),
        (["--model", backward], "expected a forward model, found one trained backward", 1),
        (["--model", str(tmp_path)], "expected a model folder", 1),
        (["--model", "no/such"], "no/such: expected a run folder", 1),
        (["--model", forward, "--device", "cuda:77"], "found 'cuda:77'", 1),
        (["--model", forward, "--mmi", "--backward_model", str(other)], "same tokenizer", 1),
    ]:
        _, said = decode(*words, expected_exit=exit_code)
        assert message in said


def test_mmi_alone_answers_typed_turns_with_the_models_trained_last(
    decode: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, said = decode("--mmi", expected_exit=1)
    assert "nothing is trained here yet; `make train`" in said
    for direction in ("forward", "backward"):
        save_model_folder(tmp_path / "runs/mine" / direction / "best", direction=direction)
    (tmp_path / "runs/latest").symlink_to("mine")
    few = ["--generation.num_samples", "2", "--generation.max_new_tokens", "8"]
    out, said = decode("--mmi", *few, typed="hello\n\n")
    assert "Backward model runs/latest/backward" in said
    assert "backward  reply" in out


def test_presets_hold_the_values_of_the_paper() -> None:
    presets = {}
    for name in ("greedy", "top_k", "mmi"):
        path = ROOT / "configs" / "decode" / f"{name}.yaml"
        presets[name], _ = parse_config(DecodeConfig, ["--config", str(path)], prog="decode")
    assert presets["greedy"].generation.method == "greedy"
    assert presets["top_k"].generation.num_samples == 1
    assert presets["mmi"].generation.num_samples == 16
    assert {presets[name].generation.top_k for name in ("top_k", "mmi")} == {10}
    assert presets["mmi"].mmi_options.weight == 1.0
    assert [name for name in presets if presets[name].mmi] == ["mmi"]
