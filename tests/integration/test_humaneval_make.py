"""The command from the user's side: words in, a folder out, or a message."""

import json
from pathlib import Path

import pytest
from support_humaneval import NAMES, write_systems

from dialogpt.humaneval.__main__ import main
from dialogpt.humaneval.answers import read_plan


def test_the_command_writes_a_folder_that_the_next_steps_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = write_systems(tmp_path, num_contexts=30)
    people = systems[2].partition("=")[2]
    words = ["make", "--systems", *systems[:2], f"human={people}", "--num-items", "10"]
    main([*words, "--items-per-judge", "20", "--study", "pilot", "--output", str(tmp_path / "s")])
    plan = read_plan(tmp_path / "s" / "plan.json")
    assert plan.study.startswith("pilot-")
    assert len(plan.judges) == 5
    assert {len(items) for items in plan.judges.values()} == {28}
    assert len(plan.items) == 40
    pages = sorted(file.name for file in (tmp_path / "s").glob("*.html"))
    assert pages == [f"{judge}.html" for judge in plan.judges]
    said = capsys.readouterr().out
    assert "30 items x 3 judges = 90 judgments" in said
    assert "5 pages of 18 judged items" in said


def test_what_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    words = ["make", "--systems", *systems, "--num-items", "4", "--output", str(tmp_path / "s")]
    words += ["--human", systems[2].partition("=")[2]]
    main(words)
    before = (tmp_path / "s" / "plan.json").read_bytes()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--seed", "1"])
    assert ended.value.code == 1
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert (tmp_path / "s" / "plan.json").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ([], 2, "no step given"),
        (["draw"], 2, "unknown step 'draw'"),
        (["make", "--systems", "a=x", "--output", "o"], 2, "systems must be at least 2"),
        (["make", "--systems", "a=x", "b=y", "--output", "o"], 1, "a=x: expected a JSON Lines"),
        (["analyze", "--output", "o"], 2, "give either answers or counts"),
    ],
)
def test_a_mistake_ends_with_a_message(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == code
    assert message in capsys.readouterr().err


def test_the_key_stands_in_the_plan_alone(tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=20)
    words = ["make", "--systems", *systems, "--num-items", "4", "--output", str(tmp_path / "s")]
    main([*words, "--human", systems[2].partition("=")[2]])
    plan = json.loads((tmp_path / "s" / "plan.json").read_text(encoding="utf-8"))
    named = {one["system"] for item in plan["items"] for one in item["shown"]}
    assert {*NAMES} < named
    for file in (tmp_path / "s").iterdir():
        if file.name != "plan.json":
            text = file.read_text(encoding="utf-8")
            assert [name for name in NAMES if name in text] == []
