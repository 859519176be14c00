"""The tokens are those of NLTK 3.4.1, recorded by golden/dstc7/record.py."""

import json
import sys
from pathlib import Path

import pytest
from golden.dstc7.cases import texts

from data_prep.published.dstc7_tokens import challenge_tokenizer
from dialogpt.command_line import UserError

GOLDEN = Path(__file__).parents[3] / "golden" / "dstc7"


def recorded() -> list[tuple[str, list[str]]]:
    lines = (GOLDEN / "tokens.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(json.loads(line)) for line in lines]


def test_tokens_are_those_of_the_nltk_of_2018() -> None:
    tokens = challenge_tokenizer().tokens
    for text, expected in recorded():
        assert tokens(text) == expected, text


def test_recorded_texts_are_what_the_cases_say() -> None:
    assert [text for text, _ in recorded()] == texts(1500)


def test_todays_nltk_cuts_some_of_the_texts_otherwise() -> None:
    """Otherwise the rules that stand here would have no purpose."""
    from nltk.tokenize import TweetTokenizer

    today = TweetTokenizer(preserve_case=False)
    assert any(today.tokenize(text) != expected for text, expected in recorded())


@pytest.mark.parametrize("entity", ["&#xd800;", "&#55357;", "&#99999999999999999999;", "&#-1;"])
def test_an_entity_that_stands_for_no_character_vanishes(entity: str) -> None:
    assert challenge_tokenizer().tokens(f"a {entity} b") == ["a", "b"]


@pytest.mark.parametrize(
    "text", ["http://" + "!?" * 5000, "1" * 10000, "a." * 5000, "http://" + "(a" * 5000]
)
def test_no_text_of_reddits_length_takes_for_ever(text: str) -> None:
    """NLTK's expression for addresses takes a time that doubles with every other character."""
    assert "".join(challenge_tokenizer().tokens(text)) == text


def test_without_nltk_there_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nltk.tokenize.casual", None)
    with pytest.raises(UserError, match="pip install"):
        challenge_tokenizer()
