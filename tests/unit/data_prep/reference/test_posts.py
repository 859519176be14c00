from typing import Any

import pyarrow as pa
import pytest
from support_dumps import as_lines, comment

from data_prep import native
from data_prep.dump import LineBlock
from data_prep.post_fields import ROOT
from data_prep.posts import parse_block
from data_prep.reference.keys import KeepKeys
from data_prep.reference.posts import (
    KEPT_COMMENTS_SCHEMA,
    KEPT_SUBMISSIONS_SCHEMA,
    REFERENCE_COMMENTS,
    REFERENCE_SUBMISSIONS,
    UNKNOWN_PARENT,
    SubmissionFiles,
    kept_comments,
)


@pytest.fixture(autouse=True, params=["compiled", "python"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds by either route."""
    if request.param == "python":
        monkeypatch.setattr(native, "compiled", None)
    elif native.compiled is None:
        pytest.skip("nothing was compiled: there was no C compiler at installation")


def kept(*records: dict[str, Any], **options: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    block = LineBlock(1, as_lines(records))
    batch, drops = kept_comments(parse_block(block, REFERENCE_COMMENTS).posts, **options)
    assert batch.schema == KEPT_COMMENTS_SCHEMA
    return batch.to_pylist(), drops


def test_a_comment_is_kept_with_its_body_as_it_stands() -> None:
    record = comment("c1", "t1_c0", body="a \\_ b\n\nc", author="ann", score=-2, subreddit="S")
    rows, drops = kept(record)
    assert rows == [
        {
            "id": int("c1", 36),
            "link_id": int("t", 36),
            "parent_id": int("c0", 36),
            "author": "ann",
            "created_utc": 1_420_000_000,
            "score": -2,
            "subreddit": "S",
            "body": "a \\_ b\n\nc",
        }
    ]
    assert drops == {}


DROPPED: dict[str, tuple[dict[str, Any], str]] = {
    "deleted": ({"body": "[deleted]"}, "removed"),
    "a quote, escaped": ({"body": "a &gt; b c"}, "quote"),
    "an arrow": ({"body": "a -> b"}, "quote"),
    "one word": ({"body": "one"}, "too_few_words"),
    "a blank behind what says deleted": ({"body": "[deleted] "}, "too_few_words"),
    "a word and a backslash": ({"body": "one \\"}, "too_few_words"),
    "a link without prefix": ({"link_id": "t"}, "unknown_submission"),
    "a link that is a number": ({"link_id": 12}, "unknown_submission"),
    "a link that is null": ({"link_id": None}, "unknown_submission"),
    "a tab in the author's name": ({"author": "a\tb"}, "broken_row"),
    "a line break in the author's name": ({"author": "a\rb"}, "broken_row"),
    "quote before unknown submission": ({"body": ">", "link_id": "t"}, "quote"),
    "unknown submission before few words": ({"body": "x", "link_id": "t"}, "unknown_submission"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_these_are_dropped(case: str) -> None:
    values, reason = DROPPED[case]
    rows, drops = kept(comment("a"), comment("b", **values), comment("c"))
    assert [row["id"] for row in rows] == [10, 12]
    assert drops == {reason: 1}


@pytest.mark.parametrize("field", ["id", "link_id", "parent_id", "author", "score", "body"])
def test_a_record_without_a_field_that_is_written_down_is_unusable(field: str) -> None:
    record = {key: value for key, value in comment("a").items() if key != field}
    parsed = parse_block(LineBlock(1, as_lines([record])), REFERENCE_COMMENTS)
    assert parsed.posts.num_rows == 0
    assert len(parsed.unusable) == 1


@pytest.mark.parametrize("field", ["created_utc", "subreddit"])
def test_fields_that_the_release_never_reads_may_be_missing(field: str) -> None:
    rows, _ = kept({key: value for key, value in comment("a").items() if key != field})
    assert len(rows) == 1


@pytest.mark.parametrize("field", ["author", "score", "parent_id", "subreddit"])
def test_null_is_enough(field: str) -> None:
    rows, _ = kept({**comment("a"), field: None})
    assert len(rows) == 1


def test_parents_are_comments_submissions_or_unknown() -> None:
    parents = ["t1_z", "t3_t", "t3_", "t1_", "z", 35, None, "t1_?", True]
    rows, _ = kept(*(comment(str(n), parent_id=p) for n, p in enumerate(parents)))
    unknown = [UNKNOWN_PARENT] * 6
    assert [row["parent_id"] for row in rows] == [35, ROOT, ROOT, *unknown]


def test_what_is_too_long_stays_without_its_body() -> None:
    bodies = ["w " * 30, "w " * 31, "w " * 30 + "\\ ", "w " * 40 + ">"]
    rows, drops = kept(*(comment(str(n), body=body) for n, body in enumerate(bodies)))
    assert [row["body"] for row in rows] == [bodies[0], None, bodies[2]]
    assert drops == {"quote": 1}
    rows, _ = kept(comment("a", body="a b c"), comment("b", body="a b"), max_words=2)
    assert [row["body"] for row in rows] == [None, "a b"]
    rows, _ = kept(comment("a", body="a b"), comment("b", body="a"), max_words=1)
    assert [row["body"] for row in rows] == [None]


def test_keys_say_which_comments_are_needed() -> None:
    keys = KeepKeys(needed=(_ids("t", "t"), _ids("a", "c")), wanted=(_ids(), _ids()))
    rows, drops = kept(comment("a"), comment("b"), comment("c", link_id="t3_u"), keys=keys)
    assert [row["id"] for row in rows] == [10]
    assert drops == {"not_in_keys": 2}


def _ids(*names: str) -> Any:
    return pa.array([int(name, 36) for name in names], pa.int64()).to_numpy()


def submission(name: str, **values: Any) -> dict[str, Any]:
    return {
        "id": name,
        "score": 1,
        "num_comments": 2,
        "domain": "d",
        "permalink": "/r/Test/comments/x/",
        "title": "a title",
        **values,
    }


def parsed_submissions(*records: dict[str, Any]) -> pa.RecordBatch:
    return parse_block(LineBlock(1, as_lines(records)), REFERENCE_SUBMISSIONS).posts


def usable(**values: Any) -> list[bool]:
    batch, _ = SubmissionFiles().kept(parsed_submissions(submission("a", **values)))
    found: list[bool] = batch.column("is_usable").to_pylist()
    return found


def test_submissions_are_dealt_to_files_in_order_over_all_batches() -> None:
    files = SubmissionFiles(submissions_per_file=2)
    batches = [
        [submission("a"), submission("b", num_comments=1), submission("c")],
        [submission("d", num_comments=None), submission("e", num_comments="9")],
        [submission("f"), submission("g")],
    ]
    found, dropped = [], 0
    for records in batches:
        batch, drops = files.kept(parsed_submissions(*records))
        assert batch.schema == KEPT_SUBMISSIONS_SCHEMA
        found += [(row["id"], row["sub"]) for row in batch.to_pylist()]
        dropped += drops.get("few_comments", 0)
    assert found == [(10, 0), (12, 0), (14, 1), (15, 1), (16, 2)]
    assert dropped == 2


@pytest.mark.parametrize("field", ["score", "num_comments", "domain", "permalink", "title"])
def test_a_submission_without_a_field_is_unusable(field: str) -> None:
    record = submission("a")
    del record[field]
    assert parsed_submissions(record).num_rows == 0


@pytest.mark.parametrize("title", ["x", " \\x", "\u00e9", "\u00a0\u65e5"])
def test_a_title_leaves_a_cell(title: str) -> None:
    assert usable(title=title) == [True]


@pytest.mark.parametrize("title", ["", " ", "\n\t", "\\", "\u00a0\u3000", "\x1c\x85"])
def test_a_blank_title_leaves_none(title: str) -> None:
    assert usable(title=title) == [False]


@pytest.mark.parametrize("title", [None, 5, ["x"]])
def test_a_title_that_is_no_string_makes_the_submission_unreadable(title: Any) -> None:
    assert parsed_submissions(submission("a", title=title)).num_rows == 0


@pytest.mark.parametrize(
    ("permalink", "expected"),
    [
        ("/r/Test/x", True),
        ("/r/Test", True),
        ("https://www.reddit.com/r/Test", True),
        ("/user/bob/", True),
        ("/r/", False),
        ("/r//x", False),
        ("//", False),
        ("a/b/", False),
        # The release crashes on these.
        ("/r", True),
        ("", True),
        (None, True),
    ],
)
def test_the_permalink_must_name_something_between_its_second_and_third_slash(
    permalink: str | None, expected: bool
) -> None:
    assert usable(permalink=permalink) == [expected]


def test_titles_are_kept_where_they_are_wanted() -> None:
    files = SubmissionFiles(with_titles=True)
    batch, _ = files.kept(parsed_submissions(submission("a", title=" A\ttitle ")))
    assert batch.column("title").to_pylist() == [" A\ttitle "]
