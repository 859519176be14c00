from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support_dumps import as_lines, comment

from data_prep.config import ReferenceConfig
from data_prep.counts import Tally
from data_prep.dialogues import DIALOGUE_SCHEMA
from data_prep.dump import LineBlock
from data_prep.posts import parse_block
from data_prep.reference.assembly import INSTANCE_SCHEMA
from data_prep.reference.conversations import PATH_DROPS, conversations
from data_prep.reference.posts import KEPT_SUBMISSIONS_SCHEMA, REFERENCE_COMMENTS, kept_comments
from data_prep.reference.trees import Submissions

MONTH = "2015-01"


def extract(
    *records: dict[str, Any], submissions: tuple[str, ...] = ("t",), **options: Any
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The instances of some comments as rows, and the counts."""
    posts = parse_block(LineBlock(1, as_lines(records)), REFERENCE_COMMENTS).posts
    kept = pa.Table.from_batches([kept_comments(posts)[0]])
    known = pa.Table.from_pylist(
        [{"id": int(name, 36), "sub": 0, "is_usable": True} for name in submissions],
        schema=KEPT_SUBMISSIONS_SCHEMA,
    )
    tally = Tally()
    config = ReferenceConfig(**options)
    table = conversations(kept, known, tally, month=MONTH, config=config)
    table.validate(full=True)
    assert table.schema == INSTANCE_SCHEMA
    return table.to_pylist(), tally.by_month().get(MONTH, {})


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [" ".join(name.removeprefix("t1_") for name in row["turn_ids"]) for row in rows]


def test_an_instance_says_who_spoke_and_where_it_stands() -> None:
    rows, counts = extract(
        comment("a", author="ann"),
        comment("b", "t1_a", author="[deleted]"),
        comment("c", "t1_b", author="ann", score=7, created_utc=1_420_000_009, subreddit="Other"),
    )
    (row,) = rows
    assert {name: row[name] for name in DIALOGUE_SCHEMA.names} == {
        "turns": ["This is a", "This is b", "This is c"],
        "speakers": [0, -1, 0],
        "turn_ids": ["t1_a", "t1_b", "t1_c"],
        "thread_id": "t3_t",
        "subreddit": "Other",
        "month": MONTH,
        "created_utc": 1_420_000_009,
        "score": 7,
        "knowledge": [],
    }
    assert row["line"] == "1.0 This is a EOS 1.0 This is b\t1.0 This is c\n"
    assert counts == {"comments_kept": 3, "paths": 1}


def test_nothing_in_gives_nothing_out() -> None:
    assert extract() == ([], {})
    assert extract(comment("a"), submissions=()) == ([], {"comments_dropped.unknown_submission": 1})


def test_a_parent_in_another_thread_counts_as_absent() -> None:
    """The release would follow it; threads would then hang together over partitions."""
    rows, _ = extract(
        comment("a", link_id="t3_u"),
        comment("b", "t1_a"),
        comment("c", "t1_b"),
        submissions=("t", "u"),
    )
    assert names(rows) == ["b c"]


def test_one_id_in_two_threads_names_two_comments() -> None:
    rows, counts = extract(
        comment("a", body="in t here"),
        comment("b", "t1_a"),
        comment("a", "t3_u", body="in u there", link_id="t3_u"),
        comment("c", "t1_a", link_id="t3_u"),
        submissions=("t", "u"),
    )
    assert [row["turns"][0] for row in rows] == ["in t here", "in u there"]
    assert counts["comments_kept"] == 4


def test_a_comment_that_answers_itself_is_walked_over_again() -> None:
    rows, _ = extract(comment("a", "t1_a"), comment("b", "t1_a"), max_depth=4)
    assert names(rows) == ["a a a b"]


def test_a_ring_is_unrolled() -> None:
    rows, _ = extract(comment("a", "t1_b"), comment("b", "t1_a"), comment("c", "t1_b"))
    assert names(rows) == ["a b a b c"]


def test_a_long_chain_takes_no_recursion() -> None:
    chain = [comment(f"c{n}", f"t1_c{n - 1}") for n in range(3000)]
    rows, _ = extract(*chain)
    assert [len(row["turns"]) for row in rows] == [5]
    _, counts = extract(*chain, max_depth=2500)
    assert counts["paths_dropped.too_long"] == 1


def test_paths_to_all_comments_are_taken_if_not_to_leaves_only() -> None:
    tree = [comment("a"), comment("b", "t1_a"), comment("c", "t1_b")]
    rows, counts = extract(*tree, leaves_only=False, tsv_ids=True)
    assert names(rows) == ["a b", "a b c"]
    assert rows[0]["line"] == "t3_t,t1_a,t1_b\tThis is a\tThis is b\n"
    assert counts["paths"] == 3


def test_an_instance_is_dropped_for_the_first_reason() -> None:
    caps, brackets = "SHOUT it", "a [b]"
    cases = {
        "low_score": comment("b", "t1_a", body="http x", score=0),
        "too_few_turns": comment("b", "t1_gone", body="http x"),
        "empty_response": comment("b", "t1_a", body="\u65e5 \u672c"),
        "long_token": comment("b", "t1_a", body="http " + "x" * 31),
        "url": comment("b", "t1_a", body="http " + brackets),
        "bracket": comment("b", "t1_a", body=brackets + caps),
        "all_caps": comment("b", "t1_a", body=caps + "!!!"),
        "repeated_token": comment("b", "t1_a", body="so !!!"),
    }
    for reason, record in cases.items():
        rows, counts = extract(comment("a"), record)
        assert rows == []
        drops = {name for name in counts if name.startswith("paths_dropped.")}
        expected = {f"paths_dropped.{reason}"}
        if reason == "too_few_turns":
            assert counts[f"paths_dropped.{reason}"] == 2  # "a" is a leaf, too
        assert drops == expected
    assert set(cases) | {"unusable_submission", "too_long"} == set(PATH_DROPS)


@pytest.mark.parametrize("name", ["min_depth", "max_depth", "max_words"])
def test_limits_that_leave_nothing_are_errors(name: str) -> None:
    with pytest.raises(ValueError, match=f"reference.{name} must be >="):
        ReferenceConfig(**{name: 0})


def test_of_rows_of_one_submission_the_last_usable_of_the_first_file_counts() -> None:
    rows = [
        *((7, 0, True, "first"), (7, 0, True, "second"), (7, 0, False, " "), (7, 1, True, "late")),
        *((8, 1, False, ""), (8, 2, True, "too late"), (9, 3, True, "only")),
    ]
    columns = zip(*rows, strict=True)
    table = pa.table(
        dict(zip(["id", "sub", "is_usable", "title"], map(list, columns), strict=True))
    )
    found = Submissions.of(table)
    by_id = {
        int(name): (int(sub), bool(usable), title)
        for name, sub, usable, title in zip(
            found.ids, found.subs, found.is_usable, found.titles.to_pylist(), strict=True
        )
    }
    assert by_id == {7: (0, True, "second"), 8: (1, False, ""), 9: (3, True, "only")}
    assert len(found.ids) == len(np.unique(found.ids))
