"""The candidate that its references like best."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dialogpt.command_line import UserError
from dialogpt.config.oracle import OracleConfig
from dialogpt.evaluation import meteor, oracle
from dialogpt.evaluation.coco import CocoBleuMeasure, RougeLMeasure
from dialogpt.evaluation.java import UnavailableError
from dialogpt.evaluation.measure import Chunk
from dialogpt.evaluation.oracle import choosing
from dialogpt.oracle import write_oracle
from dialogpt.records import TestItem, read_test_items

REFERENCES = ("yes , a cat is there", "i see a cat")
CANDIDATES = ("no dog at all", "a cat is there", "yes , a cat is there", "yes , a cat is there")


def write(folder: Path, rows: Sequence[tuple[Sequence[str], Sequence[str]]]) -> OracleConfig:
    """A test set of (references, candidates), and the file of candidates."""
    items, replies = [], []
    for number, (references, candidates) in enumerate(rows):
        turns = (f"what about {number}?",)
        items.append(TestItem(id=str(number), turns=turns, references=tuple(references)).to_json())
        hypotheses = [{"text": text, "scores": {"score": -1.0}} for text in candidates]
        record = {"context": turns, "response": candidates[0], "hypotheses": hypotheses}
        replies.append(json.dumps(record))
    (folder / "test.jsonl").write_text("\n".join(items) + "\n", encoding="utf-8")
    (folder / "all.jsonl").write_text("\n".join(replies) + "\n", encoding="utf-8")
    return OracleConfig(
        references=str(folder / "test.jsonl"),
        candidates=str(folder / "all.jsonl"),
        output=str(folder / "best.jsonl"),
        meteor=False,
    )


def corpus_sum(text: str, references: Sequence[str]) -> float:
    """BLEU-1 to 4 and ROUGE-L of a corpus of one segment, added up."""
    chunk = Chunk(systems=[[text]], references=[references], contexts=[()], knowledge=[()])
    total = 0.0
    for measure in (CocoBleuMeasure(), RougeLMeasure()):
        measure.add(chunk)
        total += float(measure.results()[0].values().sum())
    return total


def test_the_best_candidate_is_chosen_and_the_first_of_equals(tmp_path: Path) -> None:
    config = write(tmp_path, [(REFERENCES, CANDIDATES)])
    with choosing(config) as (choices, measured):
        (choice,) = choices
    assert measured == "BLEU-1 to 4, ROUGE-L"
    assert (choice.place, choice.text) == (2, CANDIDATES[2])
    assert choice.scores == pytest.approx((5.0, corpus_sum(CANDIDATES[0], REFERENCES)))


@pytest.mark.parametrize(("at_once", "most"), [(1, 8192), (2, 8192), (64, 3)])
def test_batches_make_no_difference(
    tmp_path: Path, at_once: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oracle, "_SEGMENTS", at_once)
    monkeypatch.setattr(oracle, "MOST_GROUPS", most)
    rows = [
        (REFERENCES, CANDIDATES[number : number + 1 + number % 3] or CANDIDATES[:1])
        for number in range(4)
    ] + [(["no"], ["yes", "no dog", "no", "maybe"])]
    with choosing(write(tmp_path, rows)) as (choices, _):
        found = [(choice.place, choice.scores) for choice in choices]
    for (references, candidates), (place, scores) in zip(rows, found, strict=True):
        expected = [corpus_sum(text, references) for text in candidates]
        assert place == expected.index(max(expected))
        assert scores == pytest.approx((max(expected), expected[0]))


class Meteor:
    """In place of METEOR's program: likes one text, and says so whatever the references."""

    closed = False

    def __init__(self, jar: Path) -> None:
        assert jar.name == "meteor.jar"

    def scores(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
        assert len(hypotheses) == len(references)
        return np.array([10.0 * (text == CANDIDATES[0]) for text in hypotheses])

    def close(self) -> None:
        Meteor.closed = True


def test_meteor_counts_where_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor, "MeteorProgram", Meteor)
    jar = tmp_path / "meteor.jar"
    config = replace(write(tmp_path, [(REFERENCES, CANDIDATES)]), meteor=True, meteor_jar=str(jar))
    with pytest.raises(UserError, match=r"expected the file meteor-1\.5\.jar, found nothing"):
        write_oracle(config)
    jar.touch()
    with choosing(config) as (choices, measured):
        (choice,) = choices
    assert Meteor.closed
    assert measured == "BLEU-1 to 4, ROUGE-L and METEOR"
    assert choice.place == 0
    expected = 10 + corpus_sum(CANDIDATES[0], REFERENCES)
    assert choice.scores == pytest.approx((expected, expected))


def test_a_meteor_that_stops_ends_the_command_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopping(Meteor):
        def scores(self, *_: object) -> np.ndarray:
            raise UnavailableError("it ended")

    monkeypatch.setattr(meteor, "MeteorProgram", Stopping)
    (tmp_path / "meteor.jar").touch()
    config = write(tmp_path, [(REFERENCES, CANDIDATES)])
    config = replace(config, meteor=True, meteor_jar=str(tmp_path / "meteor.jar"))
    with pytest.raises(UserError, match="METEOR has stopped: it ended; --no_meteor"):
        write_oracle(config)
    assert not Path(config.output).exists()


def test_without_java_a_warning_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", "")
    config = replace(write(tmp_path, [(REFERENCES, CANDIDATES)]), meteor=True)
    with choosing(config) as (choices, measured):
        assert [choice.place for choice in choices] == [2]
    assert measured == "BLEU-1 to 4, ROUGE-L"
    assert "without METEOR: no Java" in caplog.text or "meteor-1.5.jar is not" in caplog.text


def test_the_file_is_a_system_of_evaluate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(tmp_path, [(REFERENCES, CANDIDATES), (["ok then"], ["ok then", "no"])])
    write_oracle(config)
    lines = [json.loads(line) for line in Path(config.output).read_text().splitlines()]
    items = list(read_test_items(Path(config.references)))
    assert [tuple(line["context"]) for line in lines] == [item.turns for item in items]
    assert [line["response"] for line in lines] == [CANDIDATES[2], "ok then"]
    printed = capsys.readouterr().out
    assert printed.startswith("2 contexts: BLEU-1 to 4, ROUGE-L add up to 4.0")
    assert printed.rstrip().endswith("both are the same in 1")
    with pytest.raises(UserError, match="exists already"):
        write_oracle(config)


def test_candidates_are_asked_for(tmp_path: Path) -> None:
    config = write(tmp_path, [(REFERENCES, CANDIDATES)])
    record = {"context": ["what about 0?"], "response": "yes"}
    Path(config.candidates).write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"all\.jsonl:1: expected candidates under 'hypotheses'"):
        write_oracle(config)
    assert not Path(config.output).exists()


def test_replies_to_another_context_are_refused(tmp_path: Path) -> None:
    config = write(tmp_path, [(REFERENCES, CANDIDATES)])
    record = {"context": ["and?"], "response": "a", "hypotheses": [{"text": "a"}]}
    Path(config.candidates).write_text(json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(UserError, match="expected the reply of the candidates to item 1"):
        write_oracle(config)
