import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.reporting.shown_text import pieces_of, plain


def shown(text: str, **options) -> str:
    return "|".join(f"{piece.kind}:{piece.text}" for piece in pieces_of(text, **options))


def test_an_override_of_the_direction_is_named_and_does_not_act():
    assert shown("a\u202ebc") == "plain:a|hidden:U+202E|plain:bc"


@pytest.mark.parametrize(
    "hidden", ["\u200b", "\u2066", "\x00", "\x1b", "\ufffe", "\ud800", "\ue000", "\u2028", "\ufeff"]
)
def test_what_cannot_be_seen_is_named(hidden):
    assert shown(f"a{hidden}b") == f"plain:a|hidden:U+{ord(hidden):04X}|plain:b"


def test_many_of_one_hidden_character_are_named_once():
    assert shown("\u200b" * 10_000) == "hidden:U+200B ×580|gap: … 9,420 more characters … "


@given(st.text(st.characters(), max_size=300), st.integers(1, 50))
def test_whatever_the_text_no_hidden_character_and_no_surrogate_is_shown(text, most):
    pieces = pieces_of(text, most=most)
    for character in "".join(piece.text for piece in pieces):
        assert character in "\u200c\u200d" or unicodedata.category(character) not in (
            *("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"),
        )
    "".join(piece.text for piece in pieces).encode("utf-8")


@given(st.text(st.sampled_from("ab []."), max_size=200), st.data())
def test_visible_text_is_shown_whole_and_exactly_the_hits_are_marked(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    pieces = pieces_of(text, [(start, end)])
    assert "".join(piece.text for piece in pieces) == text
    assert "".join(piece.text for piece in pieces if piece.kind == "hit") == text[start:end]


def test_a_long_text_is_cut_and_says_by_how_much():
    (first, gap) = pieces_of("A" * 10_000)
    assert len(first.text) + int(gap.text.split()[1].replace(",", "")) == 10_000
    assert len(first.text) < 700


def test_a_cut_falls_between_words():
    (first, _) = pieces_of("seven letters " * 100)
    assert first.text.endswith("seven ") or first.text.endswith("letters ")


def test_a_few_characters_more_are_no_reason_to_cut():
    assert shown("A" * 650) == "plain:" + "A" * 650


def test_a_late_hit_is_shown_and_the_beginning_is_left_out():
    text = "word " * 1_000 + "http://x.com" + " word" * 1_000
    pieces = pieces_of(text, [(5_000, 5_012)])
    assert [piece.text for piece in pieces if piece.kind == "hit"] == ["http://x.com"]
    assert [piece.kind for piece in pieces] == ["gap", "plain", "hit", "plain", "gap"]


def test_heaps_of_accents_on_a_letter_are_cut_down():
    text = "Z" + "\u0351\u036b\u0343" * 50 + "A"
    assert shown(text) == "plain:Z\u0351\u036bA"


def test_emoji_of_several_characters_stay_whole():
    family = "👨\u200d👩\u200d👧 🏳️\u200d🌈"
    assert shown(family) == f"plain:{family}"


def test_line_breaks_act_in_raw_text_alone():
    assert shown("a\nb", has_lines=True) == "plain:a\nb"
    assert shown("a\nb") == "plain:a|hidden:U+000A|plain:b"


def test_a_name_is_one_short_line():
    assert plain("a\u202eb\n") == "a‹U+202E›b‹U+000A›"
    assert len(plain("c" * 5_000, most=20)) < 40
    assert plain("c" * 5_000, most=20).endswith("…")
