"""The commands that reply, with a PLATO in the place of a GPT-2; and what its latents say."""

import json
from pathlib import Path

import pytest
import torch
from support_decode import Run, in_process
from support_plato_decode import save_plato_folder

from dialogpt import chat, latents
from dialogpt.command_line import UserError
from dialogpt.decode import __main__ as decode
from dialogpt.export import export
from dialogpt.models.gpt2 import load_gpt2

LINES = [
    {"turns": ["the inn", "who?"], "speakers": [0, 1], "knowledge": ["i am in."]},
    {"turns": ["hello"]},
    ["what", "is", "it"],
]
LENGTH = ("--generation.max_new_tokens", "6")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plato_folder(tmp_path_factory.mktemp("plato"), seed=1)


@pytest.fixture
def contexts(tmp_path: Path) -> Path:
    path = tmp_path / "contexts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES), encoding="utf-8")
    return path


@pytest.fixture
def run_decode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(
        *(decode.main, "decode", "--device", "cpu"), monkeypatch=monkeypatch, capsys=capsys
    )


@pytest.fixture
def run_chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(
        *(chat.main, "chat", "--device", "cpu"), monkeypatch=monkeypatch, capsys=capsys
    )


@pytest.fixture
def run_latents(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return in_process(
        *(latents.main, "latents", "--device", "cpu"), monkeypatch=monkeypatch, capsys=capsys
    )


def test_decode_chooses_by_the_folder_and_writes_which_latent_spoke(
    run_decode: Run, model: Path, contexts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "replies.jsonl"
    words = ("--model", str(model), "--contexts", str(contexts), "--output", str(output), *LENGTH)
    preset = Path(__file__).parents[2] / "configs" / "decode" / "plato_beam.yaml"
    out, _ = run_decode("--config", str(preset), *words, "--batch_contexts", "2")
    assert "rank   z     score coherence" in out
    records = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    assert [record["context"] for record in records] == [
        ["the inn", "who?"],
        ["hello"],
        ["what", "is", "it"],
    ]
    for record in records:
        assert sorted(h["latent"] for h in record["hypotheses"]) == [0, 1, 2]
        assert record["settings"]["num_latents"] == 3
        assert record["settings"]["weights"] == {"coherence": 1.0}
    without = json.dumps({"turns": LINES[0]["turns"]})  # type: ignore[call-overload]
    contexts.write_text(without + "\n", encoding="utf-8")
    other = tmp_path / "other.jsonl"
    run_decode("--config", str(preset), *words[:4], "--output", str(other), *LENGTH)
    record = json.loads(other.read_text(encoding="utf-8"))
    assert record["hypotheses"] != records[0]["hypotheses"]  # the knowledge was read


def test_chat_tells_why_with_the_latents(run_chat: Run, model: Path) -> None:
    preset = Path(__file__).parents[2] / "configs" / "decode" / "plato.yaml"
    words = ("--config", str(preset), "--model", str(model), *LENGTH)
    out, _ = run_chat(*words, typed="hello\n/why\nand you?\n")
    lines = out.splitlines()
    (head,) = [line for line in lines if "rank" in line]
    assert "   z" in head
    (chosen,) = [line for line in lines if line.startswith(">    1")]
    assert lines[0] in chosen
    assert chosen.split()[2] in "012"


def test_every_latent_says_its_own_and_the_words_follow(
    run_latents: Run, model: Path, contexts: Path
) -> None:
    words = ("--model", str(model), "--contexts", str(contexts), *LENGTH)
    shown = ("--show", "2", "--batch_contexts", "1")
    out, _ = run_latents(*words, *shown, "--words", "4", "--prior", "5")
    replies = out.partition("Words that")[0].split("\n\n")
    assert [part.splitlines()[0] for part in replies[::2] if part] == [
        "Context 1 of 3",
        "Context 2 of 3",
    ]
    best = set()
    for part in replies[1::2]:
        head, *lines = part.splitlines()
        assert head.split()[:4] == ["z", "coherence", "forward", "reply"]
        assert [line[2:6].strip() for line in lines] == ["0", "1", "2"]
        coherences = {line[:6]: float(line[6:16]) for line in lines}
        (chosen,) = [mark for mark in coherences if mark.startswith(">")]
        assert coherences[chosen] == max(coherences.values())
        best.add(chosen)
    assert best - {">    0"}  # the order is that of latents, not of scores
    table = out.partition("Words that each latent prefers")[2]
    assert "3 contexts" in table
    rows = [line for line in table.splitlines() if line[:6].strip().isdigit()]
    assert [int(line[:6]) for line in rows] == [0, 1, 2]
    assert all("+" in line for line in rows)
    assert "Words" not in run_latents(*words)[0]


def test_latents_of_a_model_without_any_are_refused(
    run_latents: Run, contexts: Path, tmp_path: Path
) -> None:
    plain = save_plato_folder(tmp_path / "plain", num_latents=0)
    words = ("--model", str(plain), "--contexts", str(contexts), *LENGTH)
    _, err = run_latents(*words, expected_exit=1)
    assert "expected a PLATO with a latent" in err


def test_what_takes_a_gpt2_alone_says_what_this_is(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a GPT-2, found a PLATO"):
        load_gpt2(str(model), dtype=torch.float32)
    with pytest.raises(UserError, match="found a PLATO, which transformers has no code for"):
        export(model, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
