"""DialoGPT's clean_str: its golden lines, and word by word the same as rule by rule."""

import io
import json
import re
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialogpt.evaluation import clean
from dialogpt.evaluation.clean import clean_at_once, clean_str

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "metrics" / "clean_str.tsv"
REDDIT = ROOT.parent / "shared" / "data" / "reddit" / "RC_2015-02.zst"

# Pieces that meet in the rules' corners, with and without blanks between them.
PIECES = st.sampled_from(
    [
        *("won't", "can't", "Won't", "-", "'", '"', "(", ")", "]", "[", "] (", ".", "..", ". ."),
        *(",", "http://x.y", "HTTP", "__url__", "URL", "_", "555", "1", "0", "1234", "5551234"),
        *("(555)", "x", "D", ":", ":)", "'s", "n't", "'em", "'d've", "é", "İ", "Σ", "٣", "&amp;"),
        *("a.com", "8", "!!!!!", "?", "word", "@", "#tag", "<3", "e-mail", "+"),
        *(" ", " ", " ", "  ", "\t", "\n", "\u00a0"),
    ]
)


def test_the_golden_lines() -> None:
    lines = GOLDEN.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 16
    for line in lines:
        raw, expected = line.split("\t")
        assert clean_str(raw) == clean_at_once(raw) == expected


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES | st.text(max_size=3), max_size=12).map("".join))
def test_word_by_word_is_rule_by_rule(text: str) -> None:
    assert clean_str(text) == clean_at_once(text)
    assert clean_str(text) == clean_at_once(text)  # from the words that are known by now


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call 555 123 4567 now", "call 555 123 4567 now"),
        ("call (555) 123-4567 now", "call (555) 123 4567 now"),  # a telephone number is one token
        ("call (55) 123-4567 now", "call ( 55 ) 123 4567 now"),
        ("won't won't won't", "will n't wo n't will n't"),
        ("(won't -- won't)", "( will n't wo n't )"),
        ("won't can't", "will n't can n't"),
        ("see [that] ( http://a.b )", "see that"),
        ("see [that] ( __url__ )", "see that"),
        ("see [that]\n(\thttp://a.b )", "see that"),
        ("wait . . . what", "wait . . . what"),
        ("", ""),
        (" \t\n", ""),
        ("日本", ""),
    ],
)
def test_rules_that_look_over_a_blank(text: str, expected: str) -> None:
    assert clean_str(text) == clean_at_once(text) == expected


@given(st.lists(st.sampled_from(["[", "]", "] ( __url__ )", "] (__url__)", "a", " "])).map("".join))
@example("[a] [b] ( __url__ )")
@example("[a [b] ( __url__ ) c] ( __url__ )")
def test_links_are_what_the_expression_of_the_release_takes(text: str) -> None:
    assert clean._without_links(text) == re.sub(r"\[([^\]]*)\] \( *__url__ *\)", r"\1", text)


def test_a_line_of_brackets_takes_no_hours() -> None:
    assert clean_str("[" * 200_000 + "] ( __url__ )") == ""


def test_many_words_and_long_ones_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "_MOST_WORDS", 10)
    monkeypatch.setattr(clean, "_clean_words", words := clean._CleanWords())
    for number in range(25):
        text = f"it's{number} {'x' * 40}{number}!"
        assert clean_str(text) == clean_at_once(text)
        assert 1 <= len(words) <= 10
        assert max(map(len, words)) <= clean._LONGEST_WORD


@pytest.mark.real_data
def test_real_comments_word_by_word() -> None:
    if not REDDIT.is_file():
        pytest.skip("no Reddit dump beside the project")
    unpacker = zstandard.ZstdDecompressor(max_window_size=2**31)
    with REDDIT.open("rb") as packed, unpacker.stream_reader(packed) as unpacked:
        lines = io.TextIOWrapper(unpacked, encoding="utf-8")
        bodies = [json.loads(next(lines))["body"] for _ in range(1000)]
    assert sum(map(bool, bodies)) > 900
    for body in bodies:
        assert clean_str(body) == clean_at_once(body)
