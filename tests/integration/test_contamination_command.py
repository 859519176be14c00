"""How `python -m data_prep contamination` meets its user."""

import json
from pathlib import Path
from typing import Any

import pytest
from support_dialogues import write_dialogues

from data_prep.contamination.command import CONTAMINATED, main
from dialogpt.records import Dialogue

LONG = "the quick brown fox jumps over the lazy dog and then sleeps for a while"


def dialogue(name: str, *turns: str) -> Dialogue:
    return Dialogue(
        turns=turns,
        speakers=tuple(number % 2 for number in range(len(turns))),
        turn_ids=tuple(f"t1_{name}{number}" for number in range(len(turns))),
        thread_id=f"t3_{name}",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of three responses of the test split stands in training."""
    train = [
        dialogue("a", "What is it?", LONG),
        dialogue("b", "Where are you now, friend?", "I"),
    ]
    test = [
        dialogue("c", "Who did what?", LONG + "!"),
        dialogue("d", "Where are you now, friend?", "I am standing right behind you"),
        dialogue("e", "How come?", "Nobody knows why it is so"),
    ]
    write_dialogues(tmp_path / "extracted", {"train": [train[:1], train[1:]], "test": [test]})
    return tmp_path / "extracted"


def run(*argv: str) -> int:
    """The exit code of the command, run in this process."""
    try:
        main([*argv, "--num_workers", "1"])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def write_items(path: Path, *items: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(one) + "\n" for one in items), encoding="utf-8")
    return str(path)


def test_without_a_file_the_test_split_is_looked_for_in_training(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "reports" / "report.json"
    assert run("--dialogues", str(folder), "--output", str(output)) == 0
    report = json.loads(output.read_bytes())
    assert report["num_items"] == 3
    assert report["num_dialogues"] == 2
    shown = {(m["kind"], m["test_id"], m["train_turn_id"]) for m in report["matches"]}
    assert shown == {
        ("response", "t1_c1", "t1_a1"),
        ("last turn of the context", "t1_d1", "t1_b0"),
        ("whole context", "t1_d1", "t1_b0"),
    }
    table = capsys.readouterr().out
    assert "3 test items, 2 training dialogues" in table
    (line,) = [line for line in table.splitlines() if line.startswith("response, >= 5")]
    assert line.split()[4:] == ["3", "1", "0", "33.33%", "1.00"]
    assert "threads in common: 0" in table


def test_a_report_is_the_same_with_two_processes(folder: Path, tmp_path: Path) -> None:
    outputs = [tmp_path / "1.json", tmp_path / "2.json"]
    for number, output in enumerate(outputs, start=1):
        options = ["--dialogues", str(folder), "--output", str(output)]
        main([*options, "--num_workers", str(number)])
    one, two = (json.loads(output.read_bytes()) for output in outputs)
    del one["settings"], two["settings"]
    assert one == two


def test_a_file_of_test_items_needs_only_turns_and_references(folder: Path, tmp_path: Path) -> None:
    test = write_items(tmp_path / "test.jsonl", {"id": "1", "turns": ["So?"], "references": [LONG]})
    output = tmp_path / "report.json"
    options = ("--dialogues", str(folder), "--test", test, "--output", str(output))
    assert run(*options) == 0
    (match,) = json.loads(output.read_bytes())["matches"]
    assert match["test_turns"] == match["train_turns"] == [LONG]


@pytest.mark.parametrize(("max_share", "code"), [("0.5", 0), ("0.34", 0), ("0.33", CONTAMINATED)])
def test_a_share_above_the_limit_ends_with_code_3(
    max_share: str, code: int, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--dialogues", str(folder), "--max_share", max_share) == code
    assert ("more than 33.00%" in capsys.readouterr().out) == bool(code)


def test_a_thread_in_common_ends_with_code_3_whatever_the_limit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_training = {"id": "1", "turns": ["So?"], "references": ["x"], "thread_id": "t3_a"}
    test = write_items(tmp_path / "test.jsonl", of_training)
    assert run("--dialogues", str(folder), "--test", test) == CONTAMINATED
    assert "threads in common: 1" in capsys.readouterr().out


def test_what_is_wrong_is_said_with_code_1(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_items(tmp_path / "broken.jsonl", {"id": "1", "turns": ["So?"]})
    assert run("--dialogues", str(folder), "--test", broken) == 1
    assert "broken.jsonl:1" in capsys.readouterr().err
    ids = {"id": "1", "turns": ["So?"], "references": ["x", "y"], "reference_ids": ["t1_x"]}
    uneven = write_items(tmp_path / "uneven.jsonl", ids)
    assert run("--dialogues", str(folder), "--test", uneven) == 1
    assert "2 references and 1 reference_ids" in capsys.readouterr().err
    assert run("--dialogues", str(folder), "--test", write_items(tmp_path / "no.jsonl")) == 1
    assert "found none" in capsys.readouterr().err
    assert run("--dialogues", str(tmp_path)) == 1
    assert "found none" in capsys.readouterr().err


def test_an_unknown_option_ends_with_code_2(folder: Path) -> None:
    assert run("--dialogues", str(folder), "--min_similarty", "0.5") == 2
