"""`python -m data_prep testset --kind split`: a test split as items."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support_dialogues import made_up_dialogues, write_dialogues

from data_prep.published.command import main
from dialogpt.decode.contexts import read_given_contexts
from dialogpt.evaluation.inputs import read_segments
from dialogpt.records import Dialogue, TestItem, read_test_items

_ALONE = Dialogue(turns=("anyone?",), speakers=(0,), turn_ids=("alone",), thread_id="t3_x")
DIALOGUES = [
    replace(dialogue, knowledge=("i like tea.",) * (number % 3))
    for number, dialogue in enumerate([*made_up_dialogues(29), _ALONE])
]
ANSWERED = [dialogue for dialogue in DIALOGUES if len(dialogue.turns) > 1]


@pytest.fixture
def extracted(tmp_path: Path) -> Path:
    folder = tmp_path / "extracted"
    write_dialogues(folder, {"train": [DIALOGUES[:3]], "test": [DIALOGUES[:7], DIALOGUES[7:]]})
    return folder


def items(extracted: Path, output: str = "out", *options: str) -> list[TestItem]:
    folder = extracted.parent / output
    main(["--kind", "split", "--dialogues", str(extracted), "--output", str(folder), *options])
    return list(read_test_items(folder / "testset.jsonl"))


def as_item(dialogue: Dialogue) -> tuple[object, ...]:
    *context, answer = dialogue.turns
    *ids, last = dialogue.turn_ids
    speakers = dialogue.speakers[:-1]
    return (tuple(context), (answer,), speakers, tuple(ids), (last,), last, dialogue.knowledge)


def test_the_last_turn_of_each_dialogue_is_the_reference(
    extracted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        (i.turns, i.references, i.speakers, i.turn_ids, i.reference_ids, i.id, i.knowledge)
        for i in items(extracted)
    ]
    assert found == [as_item(dialogue) for dialogue in ANSWERED]
    report = json.loads((extracted.parent / "out" / "report.json").read_bytes())
    with_knowledge = sum(bool(dialogue.knowledge) for dialogue in ANSWERED)
    assert report == {
        "split": "test",
        "dialogues": len(DIALOGUES),
        "items": len(DIALOGUES) - 1,
        "with_knowledge": with_knowledge,
    }
    assert f"items written: {len(ANSWERED)}" in capsys.readouterr().out
    assert len(items(extracted, "train", "--split", "train")) == sum(
        len(dialogue.turns) > 1 for dialogue in DIALOGUES[:3]
    )


def test_a_sample_is_of_distinct_items_in_order_and_each_is_as_likely(extracted: Path) -> None:
    all_ids = [item.id for item in items(extracted)]
    drawn: Counter[str] = Counter()
    for seed in range(60):
        options = ("--max_items", "5", "--seed", str(seed))
        ids = [item.id for item in items(extracted, f"seed{seed}", *options)]
        assert len(ids) == 5
        assert ids == [one for one in all_ids if one in ids]
        drawn.update(ids)
    # 300 draws of 29 items: each is left out of a sample with 24/29, of all 60 with 1e-5.
    assert set(drawn) == set(all_ids)
    assert max(drawn.values()) < 30
    before = list(read_test_items(extracted.parent / "seed3" / "testset.jsonl"))
    assert items(extracted, "again", "--max_items", "5", "--seed", "3") == before
    assert len(items(extracted, "many", "--max_items", "500")) == len(all_ids)


def test_decode_and_evaluate_read_it(extracted: Path) -> None:
    wanted = items(extracted)
    path = extracted.parent / "out" / "testset.jsonl"
    contexts = read_given_contexts(str(path), contexts_format="auto")
    assert [context.knowledge for context in contexts] == [item.knowledge for item in wanted]
    assert [segment.item for segment in read_segments([str(path)], [])] == wanted


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--split", "valid"), "valid"),
        (("--max_items", "-1"), "max_items must be >= 0"),
        (("--hashes", "x"), "--hashes is for kind 'dstc7' and would have no effect"),
    ],
)
def test_mistakes(
    extracted: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        items(extracted, "out", *options)
    assert message in capsys.readouterr().err


def test_other_kinds_refuse_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["--lines", "a", "--ids", "b", "--output", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main(["--kind", "reddit6k", *names, "--split", "valid"])
    assert "--split is for kind 'split' and would have no effect" in capsys.readouterr().err
