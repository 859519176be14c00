"""clean_turn is idempotent and total; record_key never changes."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialogpt.text import clean_turn, record_key

any_character = st.characters() | st.characters(categories=["Cc", "Cf", "Cs", "Co", "Mn", "Zs"])


@given(st.text(any_character))
@example("e\x00\u0301")
@example("\u200b \u200b")
@example(" \u0301")
def test_clean_turn_twice_is_clean_turn_once(text):
    once = clean_turn(text)
    assert clean_turn(once) == once


@given(st.text(any_character))
def test_a_clean_turn_is_one_line_of_visible_nfc_text(text):
    clean = clean_turn(text)
    assert unicodedata.is_normalized("NFC", clean)
    assert clean.split() == [word for word in clean.split(" ") if word]
    assert "  " not in clean
    assert clean == clean.strip()
    categories = {unicodedata.category(character) for character in clean if character != "\u200d"}
    assert "\u200c" in clean or categories.isdisjoint({"Cc", "Cf", "Cs", "Co"})


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  Hello,\r\n\tWorld!  ", "Hello, World!"),
        ("cafe\u0301", "café"),
        ("a\x00b\u200bc\ud800d\ue000e", "abcde"),
        ("a\u00a0b\u2028c\u3000d", "a b c d"),
        ("👩\u200d👧 ❤\ufe0f", "👩\u200d👧 ❤\ufe0f"),
        ("\u200b\n\x00", ""),
        ("", ""),
    ],
)
def test_only_what_no_reader_sees_goes(text, clean):
    assert clean_turn(text) == clean


def test_a_key_is_the_same_for_ever():
    # Recorded values: shards and splits are addressed by them.
    assert record_key("t3_22569") == 5839739743840807604
    assert record_key("\ud800") == 7497787021708494914


@given(st.text())
def test_a_key_has_64_bits(record_id):
    assert 0 <= record_key(record_id) < 2**64
