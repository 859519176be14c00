import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep import native
from data_prep.dump import LineBlock
from data_prep.post_fields import ROOT, UNUSABLE, Field, FieldKind, PostFormat
from data_prep.posts import COMMENTS, SUBMISSIONS, ParsedBlock, parse_block

HEALTHY: dict[str, Any] = {
    "id": "c10",
    "link_id": "t3_abc",
    "parent_id": "t1_c0z",
    "author": "ann",
    "created_utc": 1138752114,
    "score": -3,
    "subreddit": "AskScience",
    "body": "why?\nsay <3 \U0001f600",
    "gilded": 0,
}
HEALTHY_LINE = json.dumps(HEALTHY).encode()
HEALTHY_ROW = {
    "id": int("c10", 36),
    "link_id": int("abc", 36),
    "parent_id": int("c0z", 36),
    "author": "ann",
    "created_utc": 1138752114,
    "score": -3,
    "subreddit": "AskScience",
    "body": "why?\nsay <3 \U0001f600",
}


@pytest.fixture(autouse=True, params=["compiled", "python"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds by either route."""
    if request.param == "python":
        monkeypatch.setattr(native, "compiled", None)
    elif native.compiled is None:
        pytest.skip("no compiled reader: there was no C compiler when the project was installed")


def parse(*lines: bytes) -> ParsedBlock:
    return parse_block(LineBlock(1, b"\n".join(lines)), COMMENTS)


def changed(**values: Any) -> bytes:
    return json.dumps({**HEALTHY, **values}).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in HEALTHY.items() if key != name}).encode()


def raw(name: str, value: bytes) -> bytes:
    """The healthy line with a value as these very bytes."""
    return changed(**{name: "PUT"}).replace(b'"PUT"', value)


def test_a_healthy_line_is_a_row() -> None:
    parsed = parse(HEALTHY_LINE)
    assert parsed.posts.to_pylist() == [HEALTHY_ROW]
    assert parsed.unusable == []


# name: (line, what differs from the healthy row)
TOLERATED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "carriage return": (HEALTHY_LINE + b"\r", {}),
    "parent is the submission": (changed(parent_id="t3_abc"), {"parent_id": ROOT}),
    "parent as number": (changed(parent_id=777), {"parent_id": 777}),
    "parent None": (changed(parent_id=None), {"parent_id": ROOT}),
    "parent missing": (without("parent_id"), {"parent_id": ROOT}),
    "parent without prefix": (changed(parent_id="c0z"), {"parent_id": ROOT}),
    "parent nonsense": (changed(parent_id="t1_$"), {"parent_id": ROOT}),
    "parent a list": (changed(parent_id=["t1_c0z"]), {"parent_id": ROOT}),
    "id as number": (changed(id=36), {"id": 36}),
    "id with prefix": (changed(id="t1_c10"), {}),
    "id in capitals": (changed(id="C10"), {}),
    "link without prefix": (changed(link_id="abc"), {}),
    "link as number": (changed(link_id=5), {"link_id": 5}),
    "score as string": (changed(score="7"), {"score": 7}),
    "score as float": (changed(score=7.0), {"score": 7}),
    "score None": (changed(score=None), {"score": 0}),
    "score missing": (without("score"), {"score": 0}),
    "score nonsense": (changed(score="many"), {"score": 0}),
    "score true": (changed(score=True), {"score": 0}),
    "score beyond 32 bits": (changed(score=2**40), {"score": 2**31 - 1}),
    "score beyond 64 bits": (changed(score=-(10**30)), {"score": -(2**31)}),
    "score NaN": (raw("score", b"NaN"), {"score": 0}),
    "time as string": (changed(created_utc="1138752114"), {}),
    "time as float": (changed(created_utc=1138752114.0), {}),
    "time as string of a float": (changed(created_utc="1138752114.0"), {}),
    "time None": (changed(created_utc=None), {"created_utc": 0}),
    "time missing": (without("created_utc"), {"created_utc": 0}),
    "author deleted": (changed(author="[deleted]"), {"author": "[deleted]"}),
    "author None": (changed(author=None), {"author": None}),
    "author missing": (without("author"), {"author": None}),
    "author with a tab": (changed(author="a\tb"), {"author": "a\tb"}),
    "author a number": (changed(author=5), {"author": None}),
    "subreddit None": (changed(subreddit=None), {"subreddit": None}),
    "subreddit missing": (without("subreddit"), {"subreddit": None}),
    "lone surrogate": (raw("body", rb'"a \ud83d b"'), {"body": "a \ufffd b"}),
    "surrogate pair": (raw("body", rb'"\ud83d\ude00"'), {"body": "\U0001f600"}),
    "invalid UTF-8": (raw("body", b'"a \xff b"'), {"body": "a \ufffd b"}),
    "raw control character": (raw("body", b'"a \x0b b"'), {"body": "a \x0b b"}),
    "NUL in the body": (raw("body", rb'"a\u0000b"'), {"body": "a\0b"}),
    "empty body": (changed(body=""), {"body": ""}),
    "duplicate key": (HEALTHY_LINE[:-1] + b', "score": 9}', {"score": 9}),
}


@pytest.mark.parametrize("case", TOLERATED)
def test_odd_values_are_mended(case: str) -> None:
    line, difference = TOLERATED[case]
    parsed = parse(HEALTHY_LINE, line, HEALTHY_LINE)
    assert parsed.unusable == []
    assert parsed.posts.to_pylist() == [HEALTHY_ROW, {**HEALTHY_ROW, **difference}, HEALTHY_ROW]


REFUSED: dict[str, tuple[bytes, str]] = {
    "truncated": (HEALTHY_LINE[:50], "malformed_json"),
    "not JSON": (b"<html>", "malformed_json"),
    "two records on a line": (HEALTHY_LINE + b" " + HEALTHY_LINE, "malformed_json"),
    "a byte order mark in the middle": (b"\xef\xbb\xbf" + HEALTHY_LINE, "malformed_json"),
    "nested without end": (b'{"x":' + b"[" * 100_000, "malformed_json"),
    "nested deeply and closed": (b"[" * 100_000 + b"]" * 100_000, "malformed_json"),
    "a number of many digits": (b'{"score":' + b"9" * 10_000 + b"}", "malformed_json"),
    "null": (b"null", "not_an_object"),
    "list": (b"[1,2]", "not_an_object"),
    "number": (b"7", "not_an_object"),
    "string": (b'"c10"', "not_an_object"),
    "empty object": (b"{}", "missing_id"),
    "id missing": (without("id"), "missing_id"),
    "id None": (changed(id=None), "missing_id"),
    "id negative": (changed(id=-1), "missing_id"),
    "id of a submission": (changed(id="t3_c10"), "missing_id"),
    "id too long": (changed(id="1" * 13), "missing_id"),
    "id a huge number": (changed(id=10**30), "missing_id"),
    "link missing": (without("link_id"), "missing_link"),
    "link empty": (changed(link_id="t3_"), "missing_link"),
    "link to a comment": (changed(link_id="t1_abc"), "missing_link"),
    "body missing": (without("body"), "missing_body"),
    "body None": (changed(body=None), "missing_body"),
    "body a number": (changed(body=5), "missing_body"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_unusable_lines_are_counted_with_their_place(case: str) -> None:
    line, reason = REFUSED[case]
    parsed = parse(HEALTHY_LINE, b"", line, b"  ", HEALTHY_LINE)
    assert parsed.posts.to_pylist() == [HEALTHY_ROW, HEALTHY_ROW]
    (unusable,) = parsed.unusable
    assert (unusable.line_number, unusable.reason) == (3, reason)
    assert unusable.excerpt == line.decode("utf-8")[:80]


def test_every_reason_has_a_case() -> None:
    assert {reason for _, reason in REFUSED.values()} == set(UNUSABLE) - {"missing_field"}


def test_a_record_on_two_lines_is_two_unusable_lines() -> None:
    parsed = parse(HEALTHY_LINE, *HEALTHY_LINE.split(b" ", 1), HEALTHY_LINE)
    assert parsed.posts.num_rows == 2
    assert [line.line_number for line in parsed.unusable] == [2, 3]


def test_line_numbers_count_from_the_first_of_the_block() -> None:
    parsed = parse_block(LineBlock(1001, HEALTHY_LINE + b"\r\n\r\nnull\r\n"), COMMENTS)
    assert [line.line_number for line in parsed.unusable] == [1003]


def test_submissions_keep_their_id() -> None:
    lines = [b'{"id": "abc", "title": null}', b'{"id": 7}', b'{"title": "no id"}', b"oops"]
    parsed = parse_block(LineBlock(1, b"\n".join(lines)), SUBMISSIONS)
    assert parsed.posts.to_pydict() == {"id": [int("abc", 36), 7]}
    assert [line.reason for line in parsed.unusable] == ["missing_id", "malformed_json"]


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)
ODD_RECORDS = st.dictionaries(
    st.sampled_from([*HEALTHY]), JSON_VALUES | st.sampled_from(["t1_a", "t3_b", "c"]), max_size=9
).map(lambda odd: json.dumps({**HEALTHY, **odd}).encode())
LINES = st.one_of(
    st.just(HEALTHY_LINE),
    ODD_RECORDS,
    JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary().filter(lambda line: b"\n" not in line),
    st.tuples(ODD_RECORDS, st.integers(0, 300), st.binary(min_size=1, max_size=2)).map(
        lambda cut: (cut[0][: cut[1]] + cut[2] + cut[0][cut[1] :]).replace(b"\n", b" ")
    ),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=6))
def test_no_record_raises_and_none_is_lost_uncounted(lines: list[bytes]) -> None:
    parsed = parse(*lines)
    num_records = sum(bool(line.strip()) for line in lines)
    assert parsed.posts.num_rows + len(parsed.unusable) == num_records
    assert {line.reason for line in parsed.unusable} <= set(UNUSABLE)
    parsed.posts.validate(full=True)
    for name in parsed.posts.schema.names:
        assert name in ("author", "subreddit") or parsed.posts.column(name).null_count == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=5))
def test_a_line_means_the_same_alone_and_among_others(lines: list[bytes]) -> None:
    together = parse(*lines)
    alone = [parse(line) for line in lines]
    assert together.posts.to_pylist() == [row for one in alone for row in one.posts.to_pylist()]
    assert [line.reason for line in together.unusable] == [
        line.reason for one in alone for line in one.unusable
    ]


NEEDS_ALL = PostFormat(
    (
        Field(name="id", kind=FieldKind.ID, reason="missing_id"),
        Field(name="parent_id", kind=FieldKind.PARENT, reason="missing_field"),
        Field(name="score", kind=FieldKind.INTEGER, reason="missing_field"),
        Field(name="author", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="body", kind=FieldKind.BODY, reason="missing_body"),
    )
)


@pytest.mark.parametrize("name", ["parent_id", "score", "author"])
def test_a_field_with_a_reason_may_be_null_but_not_absent(name: str) -> None:
    lines = LineBlock(1, b"\n".join([HEALTHY_LINE, changed(**{name: None}), without(name)]))
    parsed = parse_block(lines, NEEDS_ALL)
    absent = {"parent_id": ROOT, "score": 0, "author": None}
    assert parsed.posts.column(name).to_pylist() == [HEALTHY_ROW[name], absent[name]]
    assert [(line.line_number, line.reason) for line in parsed.unusable] == [(3, "missing_field")]
