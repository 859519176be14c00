"""Odd dumps through the whole command: what section 3 of the paper does not speak of."""

from pathlib import Path
from typing import Any

import pytest
from support_dumps import (
    NO_FILTERS,
    all_dialogues,
    as_lines,
    comment,
    counts_of,
    run_extract,
    turn_ids_of,
    write_dump,
)

# name: (comments, the dialogues of at least two turns, some of the counts)
Case = tuple[list[dict[str, Any]], list[str], dict[str, int]]
TREES: dict[str, Case] = {
    "a tree": (
        [comment("a"), comment("b", "t1_a"), comment("c", "t1_b"), comment("d", "t1_a")],
        ["a b c", "a d"],
        {"paths": 2},
    ),
    "no answers": (
        [comment("a"), comment("b")],
        [],
        {"paths": 2, "paths_dropped.too_few_turns": 2},
    ),
    "answers before what they answer": (
        [comment("c", "t1_b"), comment("b", "t1_a"), comment("a")],
        ["a b c"],
        {},
    ),
    "parent absent": (
        [comment("b", "t1_gone"), comment("c", "t1_b")],
        ["b c"],
        {"comments_kept.unknown_parent": 1},
    ),
    "parent in another thread": (
        [comment("a", link_id="t3_u"), comment("b", "t1_a"), comment("c", "t1_b")],
        ["b c"],
        {"comments_kept.unknown_parent": 1},
    ),
    "parent is itself": (
        [comment("a", "t1_a"), comment("b", "t1_a")],
        ["a b"],
        {"comments_kept.circle_cut": 1},
    ),
    "ring of two with an answer": (
        [comment("a", "t1_b"), comment("b", "t1_a"), comment("c", "t1_b")],
        ["a b c"],
        {"comments_kept.circle_cut": 1},
    ),
    "deleted parent": (
        [
            comment("a"),
            comment("b", "t1_a", body="[deleted]"),
            comment("c", "t1_b"),
            comment("d", "t1_c"),
        ],
        ["c d"],
        {"comments_dropped.removed": 1, "comments_kept.unknown_parent": 1},
    ),
    "deleted leaf": (
        [comment("a"), comment("b", "t1_a"), comment("c", "t1_b", body="[removed]")],
        ["a b"],
        {"comments_dropped.removed": 1},
    ),
    "removed by Reddit": (
        [comment("a"), comment("b", "t1_a"), comment("c", "t1_b", body="[ Removed by Reddit ]")],
        ["a b"],
        {"comments_dropped.removed": 1},
    ),
    "nothing readable": (
        [comment("a"), comment("b", "t1_a"), comment("c", "t1_b", body=" \u200b\n")],
        ["a b"],
        {"comments_dropped.empty": 1},
    ),
    "duplicate id: the later line stays": (
        [comment("a"), comment("b", "t1_a", parent_id="t1_gone"), comment("b", "t1_a")],
        ["a b"],
        {"comments_dropped.duplicate_id": 1},
    ),
    "duplicate id: not if it was deleted": (
        [comment("a"), comment("b", "t1_a"), comment("b", "t1_gone", body="[deleted]")],
        ["a b"],
        {"comments_dropped.duplicate_id": 1, "comments_kept": 2},
    ),
    "duplicate id: deleted in all": (
        [comment("a"), comment("b", "t1_a"), *[comment("c", "t1_b", body="[deleted]")] * 3],
        ["a b"],
        {"comments_dropped.duplicate_id": 2, "comments_dropped.removed": 1},
    ),
    "numbers for ids": (
        [comment("a"), comment("b", 10), comment("c", "t1_b", id=12)],  # type: ignore[arg-type]
        ["a b c"],
        {},
    ),
    "too many words": (
        [
            comment("a", body="word " * 150),
            comment("b", "t1_a", body="more " * 50),
            comment("c", "t1_a", body="more " * 51),
        ],
        ["a b"],
        {"paths_dropped.too_long": 1},
    ),
    "a link in the source": (
        [comment("a", body="See http://x.com/y"), comment("b", "t1_a"), comment("c", "t1_b")],
        [],
        {"paths_dropped.url": 1},
    ),
}


@pytest.mark.parametrize("case", TREES)
def test_trees_become_these_dialogues(case: str, tmp_path: Path) -> None:
    comments, dialogues, counts = TREES[case]
    write_dump(tmp_path / "dumps", comments)
    options = [*NO_FILTERS, "--filters.max_word_run", "0"]
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *options) == 0
    assert turn_ids_of(tmp_path / "out") == dialogues
    total = counts_of(tmp_path / "out")["total"]
    assert {name: total[name] for name in counts} == counts


def test_a_dialogue_has_text_speakers_and_origin(tmp_path: Path) -> None:
    comments = [
        comment("a", author="ann", body="Is 1 &lt; 2?\n\nI wonder."),
        comment("b", "t1_a", author="[deleted]"),
        comment("c", "t1_b", author="bob"),
        comment("d", "t1_c", author=None),
        comment("e", "t1_d", author="ann", score=-7, created_utc="1420000009"),
        comment("f", "t1_e", author="bob", subreddit="Other", score=5),
    ]
    write_dump(tmp_path / "dumps", comments)
    run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS)
    (dialogue,) = all_dialogues(tmp_path / "out")
    assert dialogue.turns[0] == "Is 1 < 2? I wonder."
    assert dialogue.turns[1:] == tuple(f"This is {name}" for name in "bcdef")
    assert dialogue.speakers == (0, -1, 1, -1, 0, 1)
    assert dialogue.turn_ids == tuple(f"t1_{name}" for name in "abcdef")
    assert dialogue.thread_id == "t3_t"
    assert dialogue.knowledge == ()


def test_a_thread_that_crosses_the_end_of_a_month_stays_whole(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    write_dump(dumps, [comment("a"), comment("b", "t1_a"), comment("x")], "RC_2014-12")
    write_dump(dumps, [comment("c", "t1_b"), comment("y", "t1_x")], "RC_2015-01")
    write_dump(dumps, [{"id": "t", "num_comments": "4", "title": None}], "RS_2014-12")
    run_extract(dumps, tmp_path / "out", *NO_FILTERS)
    assert turn_ids_of(tmp_path / "out") == ["a b c", "x y"]
    counts = counts_of(tmp_path / "out")
    assert counts["2014-12"] == {"comments_read": 3, "comments_kept": 3, "submissions_read": 1}
    assert counts["2015-01"] == {
        "comments_read": 2, "comments_kept": 2, "paths": 2, "dialogues.train": 2,
    }  # fmt: skip


def test_comments_without_their_submission_are_counted_and_kept(tmp_path: Path) -> None:
    dumps = tmp_path / "dumps"
    write_dump(dumps, [comment("a"), comment("b", "t1_a", link_id="t3_u", parent_id="t3_u")])
    write_dump(dumps, [{"id": "u"}, {"no": "id"}], "RS_2015-01")
    run_extract(dumps, tmp_path / "out", *NO_FILTERS)
    total = counts_of(tmp_path / "out")["total"]
    assert total["comments_kept.unknown_submission"] == 1
    assert total["comments_kept"] == total["submissions_read"] == 2
    assert total["submissions_unusable"] == 1


def test_excluded_subreddits_leave_before_trees_are_built(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("Bad\n")
    comments = [comment("a", subreddit="bad"), comment("b", "t1_a", subreddit="BAD")]
    write_dump(tmp_path / "dumps", [*comments, comment("c"), comment("d", "t1_c")])
    options = [*NO_FILTERS, "--filters.excluded_subreddits", str(tmp_path / "list.txt")]
    run_extract(tmp_path / "dumps", tmp_path / "out", *options)
    assert turn_ids_of(tmp_path / "out") == ["c d"]
    assert counts_of(tmp_path / "out")["total"]["comments_dropped.excluded_subreddit"] == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ["a b c d", "e f"]),
        (("--max_turns", "2"), ["c d", "e f"]),
        (("--max_turns", "3"), ["b c d", "e f"]),
        (("--min_turns", "3"), ["a b c d"]),
        (("--min_turns", "1"), ["a b c d", "e f", "g"]),
        (("--min_turns", "1", "--max_turns", "1"), ["d", "f", "g"]),
    ],
)
def test_turn_limits(options: tuple[str, ...], expected: list[str], tmp_path: Path) -> None:
    comments = [comment("a"), *(comment(b, f"t1_{a}") for a, b in ("ab", "bc", "cd"))]
    write_dump(tmp_path / "dumps", [*comments, comment("e"), comment("f", "t1_e"), comment("g")])
    run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS, *options)
    assert turn_ids_of(tmp_path / "out") == expected


def test_with_a_limit_of_turns_only_the_turns_that_stay_count_as_words(tmp_path: Path) -> None:
    comments = [comment("a", body="word " * 190), *(comment(b, f"t1_{a}") for a, b in ("ab", "bc"))]
    write_dump(tmp_path / "dumps", [*comments, comment("d", "t1_c", body="some words " * 97)])
    options = [*NO_FILTERS, "--filters.max_word_run", "0", "--max_turns"]
    run_extract(tmp_path / "dumps", tmp_path / "two", *options, "2")
    assert turn_ids_of(tmp_path / "two") == ["c d"]
    run_extract(tmp_path / "dumps", tmp_path / "three", *options, "3")
    assert turn_ids_of(tmp_path / "three") == ["b c d"]
    run_extract(tmp_path / "dumps", tmp_path / "four", *options, "4")
    assert turn_ids_of(tmp_path / "four") == []


def test_a_chain_of_100_000_with_a_leaf_at_each_comment(tmp_path: Path) -> None:
    """Gathered as they are, these paths would have five billion turns."""
    length = 100_000
    chain = [comment(str(n), f"t1_{n - 1}" if n else "t3_t", id=n + 1) for n in range(length)]
    for number, record in enumerate(chain):
        record["parent_id"] = number  # the id of the comment before; 0 is nobody's
    leaves = [comment("z", id=length + n, parent_id=n) for n in range(1, length)]
    write_dump(tmp_path / "dumps", [*chain, *leaves])
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    total = counts_of(tmp_path / "out")["total"]
    # "This is n" has three words: 66 turns fit 200.
    assert total["paths"] == length
    assert total["dialogues.train"] == 65
    assert total["paths_dropped.too_long"] == length - 65


def test_a_dump_without_one_dialogue_is_no_error(tmp_path: Path) -> None:
    write_dump(tmp_path / "dumps", [])
    write_dump(tmp_path / "dumps", [], "RS_2015-01")
    assert run_extract(tmp_path / "dumps", tmp_path / "out") == 0
    assert list(all_dialogues(tmp_path / "out")) == []
    assert counts_of(tmp_path / "out") == {"2015-01": {}, "total": {}}


def test_a_malformed_line_is_counted_and_shown(tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "dumps", [comment("a"), comment("b", "t1_a")])
    dump.write_bytes(b'{"id": \n' + dump.read_bytes() + as_lines([{"id": "c"}]) + b"null")
    assert run_extract(tmp_path / "dumps", tmp_path / "out", *NO_FILTERS) == 0
    assert turn_ids_of(tmp_path / "out") == ["a b"]
    total = counts_of(tmp_path / "out")["total"]
    assert total["comments_read"] == 5
    assert total["comments_dropped.malformed_json"] == 1
    assert total["comments_dropped.missing_link"] == total["comments_dropped.not_an_object"] == 1
    report = (tmp_path / "out" / "counts.json").read_text()
    assert "RC_2015-01:1: {" in report
    assert "RC_2015-01:5: null" in report
