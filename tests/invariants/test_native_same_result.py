"""The compiled loops and their counterparts in Python: the same results on anything."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_dumps import REAL_DUMPS, needs_real_dumps

from data_prep import native
from data_prep.config import TextConfig
from data_prep.dump import LineBlock, read_lines
from data_prep.normalize import TURN_DROPS, turn_text
from data_prep.post_fields import SECONDS, Field, FieldKind, PostFormat
from data_prep.posts import COMMENTS, SUBMISSIONS, ParsedBlock, parse_block
from data_prep.responses import response_words, trigrams_of
from data_prep.text_columns import text_buffers
from data_prep.turns import turn_column
from dialogpt.text import clean_turn

pytestmark = pytest.mark.skipif(
    native.compiled is None,
    reason="nothing was compiled: there was no C compiler when the project was installed",
)


def by_both_routes(block: LineBlock, post_format: PostFormat) -> tuple[ParsedBlock, ParsedBlock]:
    compiled = parse_block(block, post_format)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return compiled, parse_block(block, post_format)


NAMES = ["id", "link_id", "parent_id", "author", "created_utc", "score", "body", "other"]
SCALARS = st.one_of(
    st.sampled_from(["t1_a", "t3_zz", "c0z", "t1_", "A9", "0", "12", "t1_t1_a", "7.5", " 7", ""]),
    st.sampled_from([7.0, -0.5, 1e3, 2**31, -(2**31), 2**40, 2**63, 10**19, True, None, -1, 0]),
    st.text(max_size=8),
    st.integers(),
    st.floats(allow_nan=True),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=3,
)
RECORDS = st.builds(
    lambda record, odd: {**record, **odd},
    st.fixed_dictionaries(
        {"id": st.just("c1"), "link_id": st.just("t3_x"), "body": st.text(max_size=20)}
    ),
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4),
)


ODD_BYTES = (
    *(b"\\", b'"', b"\\u12", b"\\ud83d", b"\xff", b"\xe2\x82", b"\0"),
    *(b"{", b"]", b",", b"0", b".", b"e5", b"-", b"\x0b", b" "),
)


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    """A record as JSON, in one of the ways to write it, at times with a byte changed."""
    line = json.dumps(
        draw(RECORDS),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " : ")])),
    ).encode("utf-8", "surrogatepass")
    line = draw(st.sampled_from([line, b" " + line, line + b"\r", line + b" ", line + b"}", line]))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(line)))
        odd = draw(st.sampled_from(ODD_BYTES))
        line = line[:place] + odd + line[place + draw(st.integers(0, 1)) :]
    return line.replace(b"\n", b" ")


@settings(max_examples=400)
@given(st.lists(json_lines(), max_size=6), st.booleans())
def test_lines_become_the_same_posts(lines: list[bytes], ends: bool) -> None:
    block = LineBlock(5, b"\n".join(lines) + (b"\n" if ends else b""))
    for post_format in (COMMENTS, SUBMISSIONS, ALL_KINDS):
        compiled, python = by_both_routes(block, post_format)
        assert compiled.posts.equals(python.posts)
        assert compiled.unusable == python.unusable
        compiled.posts.validate(full=True)


ALL_KINDS = PostFormat(
    (
        Field(name="parent_id", kind=FieldKind.PARENT, reason="missing_field"),
        Field(name="score", kind=FieldKind.INTEGER, reason="missing_field", limits=(-3, 10)),
        Field(name="created_utc", kind=FieldKind.INTEGER, limits=SECONDS),
        Field(name="author", kind=FieldKind.TEXT, reason="missing_field"),
        Field(name="other", kind=FieldKind.TEXT),
    )
)


@pytest.mark.parametrize("size", [1, 15, 16, 17, 31, 4095, 4096, 4097, 70_000])
def test_long_strings_end_where_they_end(size: int) -> None:
    """Sixteen bytes are looked at together; what ends a string may stand in any of them."""
    source = random.Random(size)
    bodies = ["x" * (size - 1) + tail for tail in ("x", '"', "\\", "\u00e9", "\n", "\x7f")]
    records: list[dict[str, Any]] = [{"id": "a", "link_id": "b", "body": body} for body in bodies]
    source.shuffle(records)
    block = LineBlock(1, b"\n".join(json.dumps(record).encode() for record in records))
    compiled, python = by_both_routes(block, COMMENTS)
    assert compiled.posts.equals(python.posts)
    assert compiled.posts.column("body").to_pylist() == [record["body"] for record in records]


@needs_real_dumps
@pytest.mark.real_data
@pytest.mark.parametrize("path", sorted(REAL_DUMPS.glob("R?_200*")), ids=lambda path: path.name)
def test_real_dumps_become_the_same_posts(path: Any) -> None:
    post_format = COMMENTS if path.name.startswith("RC") else SUBMISSIONS
    for block in read_lines(path, lambda _: None):
        compiled, python = by_both_routes(block, post_format)
        assert compiled.posts.equals(python.posts)
        assert compiled.unusable == python.unusable


def without_compiled(function: Callable[[], Any]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "compiled", None)
        return function()


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which no column holds."""
    return text.encode("utf-8", "ignore").decode()


PIECES = st.one_of(
    st.sampled_from(
        [
            *" \n\t\r\v\x1c\x00\x7f.,'’‘“”…—!?()[]{}<>*_~`#>^|&;:/\\@-+=",
            *("http://", "HTTPS://", "ftp://x", "www.", "WWW.a", "imgur.com/a", "and/or"),
            *("a.m./", "](x"),
            *("&amp;", "&gt;", "\n&gt;", "   &gt; x\n", "&lt;", "*b c*", "**so**", "*", "**"),
            "    ",
            *("[deleted]", "[removed]", "(*x*)", "*o.*", "a*b", "&gt;!s!&lt;", "&gt;_&lt;", "*5*"),
            *("&amp;", "&gt; ", "- item", "1. one", "no no NO ", "don't", "isn’t", "I'm ", "the "),
            *("é", "É", "×", "ß", "ñ\u0301", "\u00a0", "\u00ad", "\u200b", "\u200d", "\u2028"),
            *("😀", "👍🏽", "🇩🇪", "½", "²", "ªb", "µ", "İ", "K", "\u0301", "日本", "٣"),
            *("3,5", "1.000", "x.y"),
        ]
    ),
    st.text("abcdefgh THO019", max_size=6),
    st.text(max_size=3),
)  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=8).map("".join).map(encodable), max_size=8)
CONFIGS = st.builds(
    TextConfig, unescape_entities=st.booleans(), reduce_markdown=st.booleans(),
    quotes=st.sampled_from(["strip", "drop"]),
)  # fmt: skip


@settings(max_examples=500)
@given(TEXTS, CONFIGS)
def test_bodies_become_the_same_turns(bodies: list[str], config: TextConfig) -> None:
    column = turn_column(pa.array(bodies, pa.large_string()), config)
    expected = [turn_text(body, config) for body in bodies]
    assert column.texts.to_pylist() == [turn.text for turn in expected]
    assert column.has_url.tolist() == [turn.has_url for turn in expected]
    assert column.has_markup.tolist() == [turn.has_markup for turn in expected]
    reasons = [None, *TURN_DROPS]
    assert [reasons[code] for code in column.drop_codes] == [turn.drop_reason for turn in expected]


FREQUENT = frozenset(["the", "i", "do", "can", "to", "a", "no", "h"])


@settings(max_examples=500)
@given(TEXTS)
def test_texts_have_the_same_words_and_trigrams(texts: list[str]) -> None:
    column = pa.array(map(clean_turn, texts), pa.large_string())
    words = response_words(column, FREQUENT)
    expected = without_compiled(lambda: response_words(column, FREQUENT))
    assert words.joined.to_pylist() == expected.joined.to_pylist()
    assert words.longest_runs.tolist() == expected.longest_runs.tolist()
    assert words.has_frequent.tolist() == expected.has_frequent.tolist()
    trigrams = trigrams_of(words.joined)
    expected = without_compiled(lambda: trigrams_of(words.joined))
    assert trigrams.texts.to_pylist() == expected.texts.to_pylist()
    assert trigrams.counts.tolist() == expected.counts.tolist()
    assert trigrams.checksums.tolist() == expected.checksums.tolist()


def test_every_character_that_is_taken_for_settled_is() -> None:
    """Python's Unicode tables must confirm it; what is refused takes the way of Python anyway."""
    characters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    column = pa.array(characters, pa.large_string())
    _, facts = native.compiled.turns_of_bodies(*text_buffers(column), False)
    _, _, _, is_read = native.compiled.words_of_texts(*text_buffers(column), b"")
    taken = (np.frombuffer(facts, np.uint8) & 1) | np.frombuffer(is_read, np.uint8)
    settled = column.filter(pa.array(taken.astype(bool))).to_pylist()
    assert 500 < len(settled) < 3000
    for template in ("{}", "a{}b x {} 1{}2 {}"):
        bodies = pa.array([template.replace("{}", c) for c in settled], pa.large_string())
        turns = turn_column(bodies, TextConfig())
        expected = without_compiled(lambda b=bodies: turn_column(b, TextConfig()))
        assert turns.texts.equals(expected.texts)
        assert (turns.drop_codes == expected.drop_codes).all()
        words = response_words(expected.texts, FREQUENT)
        assert words.joined.equals(
            without_compiled(lambda e=expected: response_words(e.texts, FREQUENT)).joined
        )


def test_slices_of_columns_are_read_where_they_start() -> None:
    bodies = pa.array(["one two three", "*a* b", "c  d e f", ""], pa.large_string())
    column = turn_column(bodies.slice(1, 2), TextConfig())
    assert column.texts.to_pylist() == ["a b", "c d e f"]
    words = response_words(bodies.slice(2), FREQUENT)
    assert words.joined.to_pylist() == ["c d e f", ""]
    assert trigrams_of(words.joined.slice(0, 1)).texts.to_pylist() == ["c d e", "d e f"]


@needs_real_dumps
@pytest.mark.real_data
def test_real_bodies_become_the_same_turns() -> None:
    for path in REAL_DUMPS.glob("RC_200*"):
        for block in read_lines(path, lambda _: None):
            bodies = parse_block(block, COMMENTS).posts.column("body")
            column = turn_column(bodies, TextConfig())
            expected = without_compiled(lambda b=bodies: turn_column(b, TextConfig()))
            assert column.texts.equals(expected.texts)
            assert (column.has_url == expected.has_url).all()
            assert (column.has_markup == expected.has_markup).all()
