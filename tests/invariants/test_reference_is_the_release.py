"""Preset `reference` gives the lines of DialoGPT's public code, byte for byte.

What the release says of the made-up month was recorded by golden/record_reference.py; what it
says of the real months of 2005 and 2006 stands in the project's notes on extraction, section 4.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from golden.reference_cases import dumps
from support_dumps import REAL_DUMPS, needs_real_dumps
from support_reference import ReferenceMonth, reference_month

from data_prep import native
from data_prep.dump import read_lines
from data_prep.ids import base36
from data_prep.posts import COMMENTS, parse_block
from data_prep.reference.conversations import COMMENT_DROPS, PATH_DROPS
from data_prep.reference.multiref import multi_reference_lines
from data_prep.reference.text import turn_tokens

TESTS = Path(__file__).parent.parent
FIXTURES = TESTS / "fixtures" / "reference"
GOLDEN = TESTS / "golden" / "reference"
COMMENTS_FILE, SUBMISSIONS_FILE = FIXTURES / "RC_2018-01.jsonl", FIXTURES / "RS_2018-01.jsonl"
KEYS = str(FIXTURES / "keys.tsv")
RELEASE_NAMES = {
    "unusable_submission": "missing",
    "low_score": "low_score",
    "too_few_turns": "min_depth",
    "empty_response": "emptytarget",
    "long_token": "longword",
    "too_long": "toolong",
    "url": "url",
    "bracket": "tags",
    "all_caps": "allcaps",
    "repeated_token": "repetitions",
}
OPTIONS: dict[str, dict[str, Any]] = {
    "train": {},
    "test": {"leaves_only": False, "keys": KEYS},
    "train_keys": {"keys": KEYS},
    "title": {"use_title": True},
    "title_test": {"use_title": True, "leaves_only": False, "keys": KEYS},
    "limits": {"min_score": 0, "min_depth": 3, "max_depth": 4, "max_words": 8},
    "files": {"per_file": 15},
}
"""Run of golden/reference_cases.py -> what the preset is told to do the same."""


@pytest.fixture(autouse=True, params=["compiled", "python"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds by either route."""
    if request.param == "python":
        monkeypatch.setattr(native, "compiled", None)
    elif native.compiled is None:
        pytest.skip("nothing was compiled: there was no C compiler at installation")


def made_up(name: str, **options: Any) -> ReferenceMonth:
    return reference_month(
        COMMENTS_FILE, SUBMISSIONS_FILE, **{"tsv_ids": True, **OPTIONS[name], **options}
    )


def drops_of_release(counts: Counter[str]) -> dict[str, int]:
    """The dropped paths under the release's names, without those that are 0."""
    drops = {
        RELEASE_NAMES[name.removeprefix("paths_dropped.")]: number
        for name, number in counts.items()
        if name.startswith("paths_dropped.")
    }
    return {name: number for name, number in drops.items() if number}


def recorded_counts(name: str) -> dict[str, int]:
    counts: dict[str, int] = json.loads((GOLDEN / "origin.json").read_bytes())["counts"][name]
    return counts


@pytest.mark.parametrize("name", OPTIONS)
def test_made_up_month_gives_the_lines_of_the_release(name: str) -> None:
    assert made_up(name).lines == (GOLDEN / f"{name}.tsv").read_bytes()


@pytest.mark.parametrize("name", OPTIONS)
def test_made_up_month_drops_as_many_as_the_release_for_each_reason(name: str) -> None:
    recorded = recorded_counts(name)
    counts = made_up(name).counts
    # The release drops these between its two tasks.
    late = ("duplicate_id", "broken_row")
    kept = counts["comments_kept"] + sum(counts[f"comments_dropped.{name}"] for name in late)
    assert kept == recorded.pop("comments_kept")
    del recorded["submissions_kept"]
    if "exception" in recorded:  # a title that is blank, so that the release has no submission
        recorded["missing"] = recorded.pop("exception")
    if "keys" not in OPTIONS[name]:
        # A tab in the author's name moves the columns: to the release its submission is unknown.
        recorded["missing"] -= 1
    assert drops_of_release(counts) == recorded


@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_is_lost_uncounted(name: str) -> None:
    month = made_up(name)
    drops = sum(n for key, n in month.counts.items() if key.startswith("comments_dropped."))
    assert month.counts["comments_read"] == month.counts["comments_kept"] + drops
    drops = sum(month.counts[f"paths_dropped.{reason}"] for reason in PATH_DROPS)
    assert month.counts["paths"] == month.instances.num_rows + drops
    named = {f"comments_dropped.{reason}" for reason in COMMENT_DROPS}
    named |= {f"paths_dropped.{reason}" for reason in PATH_DROPS}
    unusable = ("malformed_json", "not_an_object")
    assert all(
        key in named or key.split(".")[1].startswith(("missing_", *unusable))
        for key in month.counts
        if "_dropped." in key
    )


@pytest.mark.parametrize("name", ["train", "title", "files"])
@pytest.mark.parametrize("num_partitions", [2, 7])
def test_partitions_put_together_are_the_whole_month(name: str, num_partitions: int) -> None:
    whole, parts = made_up(name), made_up(name, num_partitions=num_partitions)
    assert parts.instances.equals(whole.instances)
    assert parts.counts == whole.counts


def test_without_ids_lines_are_those_of_train_tsv() -> None:
    """The Makefile cuts the ids off: `cut -f 2-3`."""
    lines = (GOLDEN / "train.tsv").read_bytes().splitlines(keepends=True)
    expected = b"".join(line.split(b"\t", 1)[1] for line in lines)
    assert made_up("train", tsv_ids=False).lines == expected


def test_rows_of_the_table_say_what_the_lines_say() -> None:
    for name, weight in (("train", "1.0 "), ("title", "1.0 "), ("test", "")):
        rows = made_up(name).instances.to_pylist()
        assert rows
        for row in rows:
            head, source, target = row["line"].removesuffix("\n").split("\t")
            turns = [weight + turn for turn in row["turns"]]
            assert source == " EOS ".join(turns[:-1])
            assert target == turns[-1]
            thread_id, parent_id, comment_id = head.split(",")
            assert row["thread_id"] == thread_id
            assert row["turn_ids"][-1] == comment_id
            assert row["turn_ids"][-2] == parent_id
            assert len(row["turn_ids"]) == len(row["speakers"]) == len(turns)


def test_fixtures_are_what_the_cases_say() -> None:
    assert (COMMENTS_FILE.read_bytes(), SUBMISSIONS_FILE.read_bytes()) == dumps()


def recorded_texts() -> list[tuple[str, str]]:
    lines = (GOLDEN / "texts.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line)) for line in lines]


def test_texts_become_the_turns_of_the_release() -> None:
    """Tokens by NLTK 3.10.4."""
    texts, turns = zip(*recorded_texts(), strict=True)
    assert turn_tokens(pa.array(texts, pa.large_string())).texts.to_pylist() == list(turns)


def test_references_are_those_of_create_multiref() -> None:
    instances = (GOLDEN / "test.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    ids = (FIXTURES / "reference-ids.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    found = multi_reference_lines(instances, ids)
    assert "".join(found.lines) == (GOLDEN / "scored_refs.txt").read_text(encoding="utf-8")
    assert found.missing_contexts == ["t3_a,t1_b,t1_absent"]
    assert found.missing_references == ["t3_a,t1_b,t1_absent"] * 5
    assert len(found.other_contexts) == 1


REAL: dict[str, tuple[int, int, int, dict[str, int], list[int]]] = {
    # month: comments read, kept by extract, instances, dropped paths, instances of 2, 3, 4, 5 turns
    "2005-12": (1075, 905, 20, {"min_depth": 509, "low_score": 161, "url": 11, "tags": 6}, [20]),
    "2006-01": (
        *(3666, 2982, 87),
        {"min_depth": 1593, "low_score": 542, "url": 28, "tags": 27, "allcaps": 2},
        [81, 5, 1],
    ),
    "2006-02": (
        *(9095, 7006, 228),
        {"min_depth": 3599, "low_score": 1072, "url": 68, "tags": 49, "allcaps": 11},
        [188, 28, 10, 2],
    ),
}


@pytest.fixture
def stand_ins(tmp_path: Path) -> Callable[[Path], Path]:
    """Makes a file of submissions that names every thread of a file of comments."""

    def write(comments: Path) -> Path:
        links: set[int] = set()
        for block in read_lines(comments, lambda _: None):
            links.update(parse_block(block, COMMENTS).posts.column("link_id").to_pylist())
        record = {"score": 1, "num_comments": 2, "domain": "d", "permalink": "/r/x/", "title": "t"}
        lines = [json.dumps({"id": base36(link), **record}) for link in sorted(links)]
        path = tmp_path / "RS"
        path.write_text("\n".join(lines))
        return path

    return write


@needs_real_dumps
@pytest.mark.real_data
@pytest.mark.parametrize("month", REAL)
def test_real_month_gives_the_numbers_of_the_release(
    month: str, stand_ins: Callable[[Path], Path]
) -> None:
    num_read, num_kept, num_instances, drops, num_turns = REAL[month]
    (comments,) = REAL_DUMPS.glob(f"RC_{month}.*")
    found = reference_month(comments, stand_ins(comments))
    assert found.counts["comments_read"] == num_read
    assert found.counts["comments_kept"] == num_kept
    assert found.instances.num_rows == num_instances
    assert drops_of_release(found.counts) == drops
    lengths = Counter(map(len, found.instances.column("turns").to_pylist()))
    assert [lengths[turns] for turns in range(2, 2 + len(num_turns))] == num_turns


@needs_real_dumps
@pytest.mark.real_data
def test_real_month_with_few_submissions_gives_the_eight_instances_of_the_release() -> None:
    (comments,) = REAL_DUMPS.glob("RC_2006-02.*")
    (submissions,) = REAL_DUMPS.glob("RS_2006-02.*")
    found = reference_month(comments, submissions)
    assert found.counts["comments_kept"] == 176
    assert found.instances.num_rows == 8
    drops = {"min_depth": 79, "low_score": 20, "url": 5, "tags": 1, "allcaps": 2}
    assert drops_of_release(found.counts) == drops
