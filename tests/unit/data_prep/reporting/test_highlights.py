import pytest

from data_prep.reporting.highlights import Highlighter

SETTINGS = {"filters": {"offensive_phrases": "default"}}


def marked(reason: str, *turns: str, settings=SETTINGS, trigrams=()) -> list[list[str]]:
    hits = Highlighter.of(settings, trigrams).hits(reason, turns)
    assert len(hits) == len(turns)
    return [[turn[a:b] for a, b in spans] for turn, spans in zip(turns, hits, strict=True)]


def test_addresses_are_marked_in_every_turn():
    assert marked("url", "see http://x.com/a, ok", "no show/hide", "imgur.com/a1b2") == [
        ["http://x.com/a,"],
        [],
        ["imgur.com/a1b2"],
    ]


@pytest.mark.parametrize(
    ("response", "run"),
    [
        ("It's all ME, me - Me! Yes yes", "ME, me - Me!"),
        ("But...but...but... no", "But...but...but..."),
    ],
)
def test_the_longest_run_of_a_word_is_marked_in_the_response(response, run):
    assert marked("word_run", "no no no no", response) == [[], [run]]


def test_brackets_are_marked_with_what_they_hold():
    assert marked("markup", "[a]", "well [citation needed] :[ ok") == [
        [],
        ["[citation needed]", "["],
    ]


def test_the_phrase_is_marked_across_punctuation_and_a_closing_s(tmp_path):
    phrases = tmp_path / "mine.txt"
    phrases.write_text("bad word\n")
    settings = {"filters": {"offensive_phrases": f"{phrases} (sha256 0123456789abcdef)"}}
    assert marked("offensive", "a", "so BAD, word's end", settings=settings) == [
        [],
        ["BAD, word's"],
    ]


def test_a_list_that_is_not_there_any_more_marks_nothing():
    settings = {"filters": {"offensive_phrases": "/gone.txt (sha256 0123456789abcdef)"}}
    assert marked("offensive", "a", "kill yourself", settings=settings) == [[], []]


def test_known_frequent_trigrams_are_marked():
    found = marked("bland", "i do not", "Well, I do not know.", trigrams=["i do not"])
    assert found == [[], ["I do not"]]


def test_a_reason_that_cannot_be_pointed_at_marks_nothing():
    assert marked("too_long", "a", "b") == [[], []]
    assert marked("of a later version", "a", "b") == [[], []]


def test_rude_words_are_known_without_any_settings():
    assert Highlighter.of({}, ()).is_offensive(["fine", "just kill   YOURSELF!"])
    assert not Highlighter.of({}, ()).is_offensive(["fine", "just kill time"])
