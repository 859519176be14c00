"""Preset `reference` by the compiled loops and by Python: the same results on anything."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_dumps import REAL_DUMPS, needs_real_dumps

from data_prep import native
from data_prep.dump import read_lines
from data_prep.posts import parse_block
from data_prep.reference.pairs import rows_of_pairs
from data_prep.reference.posts import REFERENCE_COMMENTS, kept_comments
from data_prep.reference.text import TurnTokens, turn_tokens

pytestmark = pytest.mark.skipif(
    native.compiled is None,
    reason="nothing was compiled: there was no C compiler when the project was installed",
)


def by_both_routes(function: Callable[[], Any]) -> tuple[Any, Any]:
    compiled = function()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return compiled, function()


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which no column holds."""
    return text.encode("utf-8", "ignore").decode()


PIECES = st.one_of(
    st.sampled_from(
        [
            *"abdDpPoO018 :()[],.!?'“”_/\\#&>-\"é’\t\n\r\v\f\x00\x01\x02\x1c\x1f\x7f\x85",
            *("\u00a0", "\u1680", "\u2000", "\u200a", "\u200b", "\u2028", "\u202f", "\u3000"),
            *("URL", "MENTION", "http", "HTTP", "w/", "w/o", "b/c", "j/k", "ttp://", "\ufeff", "É"),
            *("__url__", "__mention__", "c__", "____", "555", "1234", "(555) ", "1.0 ", "3.14"),
            *("com", "a.b", "www.", "don't", "it's", "12:30", "1,000", " do:", "8)", ":)", "EOS"),
            *("ABCDE", "““““", "!!!!", "...", ". . .", "&gt;", "[deleted]", "日本", "\U0001f600"),
            *("\u0130", "\u212a", "\u017f", "x" * 14, "y" * 31, "word word word "),
        ]
    ),
    st.text("abcdefgh DOP018.:'", max_size=8),
    st.text(max_size=3),
)  # fmt: skip
BODIES = st.lists(PIECES, max_size=10).map("".join).map(encodable)


def columns_of(tokens: TurnTokens) -> list[Any]:
    numbers = (tokens.num_tokens, tokens.longest_tokens, tokens.facts)
    return [tokens.texts.to_pylist(), *(column.tolist() for column in numbers)]


@settings(max_examples=600)
@given(st.lists(BODIES, max_size=6))
def test_bodies_become_the_same_turns(bodies: list[str]) -> None:
    column = pa.array(bodies, pa.large_string())
    compiled, python = by_both_routes(lambda: columns_of(turn_tokens(column)))
    assert compiled == python


IDS = st.sampled_from(
    [
        *(None, "", "t3_", "t3_a", "t3_ZZ", "t1_a", "t1_0b", "t1_", "a", "t3_a b", "t1_-", "t1_é"),
        *("t3_" + "z" * 12, "t1_" + "z" * 13, "T1_a", "t3_é", "t1_a\t"),
    ]
)
POSTS = st.fixed_dictionaries(
    {
        "id": st.integers(0, 9),
        "link_id": IDS,
        "parent_id": IDS,
        "author": st.sampled_from([None, "", "ann", "a\tb", "a\nb", "\r", "a b"]),
        "created_utc": st.integers(0, 5),
        "score": st.integers(-3, 3),
        "subreddit": st.sampled_from([None, "", "Test"]),
        "body": BODIES,
    }
)


@settings(max_examples=400)
@given(st.lists(POSTS, max_size=6), st.integers(1, 6))
def test_the_same_comments_are_kept(records: list[dict[str, Any]], max_words: int) -> None:
    posts = pa.RecordBatch.from_pylist(records, schema=REFERENCE_COMMENTS.schema)
    compiled, python = by_both_routes(lambda: kept_comments(posts, max_words=max_words))
    assert compiled[0].equals(python[0])
    assert compiled[1] == python[1]
    compiled[0].validate(full=True)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 64])
@pytest.mark.parametrize("odd", ["x", " ", "\\", "é", "\u3000", "\t"])
def test_words_are_counted_wherever_they_begin(size: int, odd: str) -> None:
    """Sixteen bytes are looked at together; what parts two words may stand in any of them."""
    bodies = [
        "ab " * number + "x" * (size - place) + odd + "y" * place
        for number in (0, 1, 5, 6)
        for place in range(0, size + 1, 3)
    ]
    rows = {"id": 1, "link_id": "t3_a", "created_utc": 0, "score": 0}
    posts = pa.RecordBatch.from_pylist(
        [{**rows, "body": body} for body in bodies], schema=REFERENCE_COMMENTS.schema
    )
    for max_words in (1, 5, 6, 7):
        compiled, python = by_both_routes(lambda m=max_words: kept_comments(posts, max_words=m))
        assert compiled[0].equals(python[0])


PAIRS = st.lists(st.tuples(st.integers(-2, 3), st.integers(-2, 3)), max_size=40)


@settings(max_examples=200)
@given(PAIRS, PAIRS, st.booleans())
def test_pairs_stand_in_the_same_rows(
    known: list[tuple[int, int]], wanted: list[tuple[int, int]], far: bool
) -> None:
    factor = 2**60 if far else 1

    def columns(pairs: list[tuple[int, int]]) -> Any:
        both = np.array(pairs, np.int64).reshape(-1, 2) * factor
        return both[:, 0], both[:, 1]

    compiled, python = by_both_routes(
        lambda: rows_of_pairs(columns(known), columns(wanted)).tolist()
    )
    assert compiled == python
    last = {pair: row for row, pair in enumerate(known)}
    assert compiled == [last.get(pair, -1) for pair in wanted]


def test_many_pairs_are_found_however_alike_they_are() -> None:
    """Ids of a month count up: a poor hash would put them all side by side."""
    for step in (1, 36, 2**20, 2**32):
        links = np.repeat(np.arange(300) * step, 300)
        ids = np.tile(np.arange(300) * step, 300)
        rows = rows_of_pairs((links, ids), (links[::-1], ids[::-1]))
        assert (rows == np.arange(len(links))[::-1]).all()


@needs_real_dumps
@pytest.mark.real_data
@pytest.mark.parametrize("path", sorted(REAL_DUMPS.glob("RC_200*")), ids=lambda path: path.name)
def test_real_comments_become_the_same(path: Any) -> None:
    for block in read_lines(path, lambda _: None):
        posts = parse_block(block, REFERENCE_COMMENTS).posts
        compiled, python = by_both_routes(lambda p=posts: kept_comments(p))
        assert compiled[0].equals(python[0])
        assert compiled[1] == python[1]
        bodies = posts.column("body")
        compiled, python = by_both_routes(lambda b=bodies: columns_of(turn_tokens(b)))
        assert compiled == python


def test_slices_of_columns_are_read_where_they_start() -> None:
    bodies = pa.array(["one two", "(x) y", "z 1.0 ", ""], pa.large_string())
    assert turn_tokens(bodies.slice(1, 2)).texts.to_pylist() == ["( x ) y", "z 1.0"]
    records = [
        {"id": n, "link_id": f"t3_{n}", "created_utc": 0, "score": 0, "body": f"a {n}"}
        for n in range(4)
    ]
    posts = pa.RecordBatch.from_pylist(records, schema=REFERENCE_COMMENTS.schema)
    kept, _ = kept_comments(posts.slice(2))
    assert kept.column("link_id").to_pylist() == [2, 3]
    assert kept.column("body").to_pylist() == ["a 2", "a 3"]


def test_columns_of_different_lengths_are_refused() -> None:
    one, two = (np.arange(n + 1, dtype=np.int64) for n in (1, 2))
    with pytest.raises(ValueError, match="same number of rows"):
        native.compiled.reference_comments((one, b"a"), (two, b"ab"), (two, b"ab"), (two, b"ab"), 3)
    with pytest.raises(ValueError, match="same length"):
        native.compiled.rows_of_pairs(one, two, one, one)
    with pytest.raises(ValueError, match="must ascend"):
        native.compiled.reference_turns(np.array([0, 5], np.int64), b"abc")
