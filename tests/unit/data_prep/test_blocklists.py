"""Phrases are found as whole words in any script; list files are read or refused by line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.blocklists import (
    PhraseList,
    packaged_list,
    read_subreddits,
    read_words,
    words_of,
)
from dialogpt.command_line import UserError


def found(text: str, *phrases: str) -> str | None:
    return PhraseList(phrases).find(words_of(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("No, NO no!", ["no", "no", "no"]),
        ("don't", ["don't"]),
        ("don’t", ["don't"]),
        ("'quoted' rock'n'roll", ["quoted", "rock'n'roll"]),
        ("well-read b/c snake_case", ["well", "read", "b", "c", "snake", "case"]),
        ("!!! 😂 ...", []),
        ("Ça va, ΟΔΟΣ?", ["ça", "va", "οδος"]),
        ("w\u0323ord", ["w\u0323ord"]),
        ("2^10 = 1,024.50.", ["2", "10", "1,024.50"]),
        ("one,two 3,four", ["one", "two", "3", "four"]),
    ],
)
def test_words_are_letters_digits_and_inner_apostrophes(text, words):
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("ASS!", "ass"),
        ("what an ass.", "ass"),
        ("an ass's ears", "ass"),
        ("an ass’s ears", "ass"),
        ("(ass)", "ass"),
        ("dumb-ass", "Dumb ass"),
        ("go, kill... yourself", "kill yourself"),
        ("I don’t care", "don't care"),
        ("Das ist SCHEISSE", "scheisse"),
        ("Imbécile !", "imbécile"),
    ],
)
def test_a_phrase_is_found_in_any_case_and_punctuation(text, phrase):
    assert found(text, phrase) is not None


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("Scunthorpe", "cunt"),
        ("class assé éass", "ass"),
        ("er aß", "ass"),
        ("a\u0323ss ass\u0323", "ass"),
        ("kill the lights yourself", "kill yourself"),
        ("fuck, you're right", "fuck you"),
        ("kill", "kill yourself"),
        ("", "kill"),
    ],
)
def test_a_phrase_is_not_found_inside_words_or_with_a_gap(text, phrase):
    assert found(text, phrase) is None


def test_a_phrase_that_begins_within_the_false_start_of_another_is_found():
    assert found("a b d", "a b c", "b d") == "b d"
    assert found("a a b", "a b") == "a b"


vocabulary = st.sampled_from(["a", "b", "ab", "ba", "c"])
word_lists = st.lists(vocabulary, min_size=1, max_size=12)


@given(word_lists, st.lists(st.lists(vocabulary, min_size=1, max_size=3), min_size=1, max_size=4))
def test_phrases_are_found_just_where_a_regular_expression_finds_them(text_words, phrase_words):
    phrases = [" ".join(words) for words in phrase_words]
    pattern = "|".join(rf"(?:^| ){re.escape(phrase)}(?: |$)" for phrase in phrases)
    text = " ".join(text_words)
    assert (found(text, *phrases) is not None) == (re.search(pattern, text) is not None)


@given(st.text())
def test_words_are_found_in_any_string(text):
    for word in words_of(text):
        assert word
        assert word == word.lower()


def test_a_phrase_without_a_word_is_refused():
    with pytest.raises(ValueError, match=r"'!!!' holds no word"):
        PhraseList(["fine", "!!!"])


def write(tmp_path, content: bytes):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    return path


def test_comments_blank_lines_bom_and_crlf_are_not_entries(tmp_path):
    content = "\ufeff# head\r\n\r\nKill  Yourself \r\n  # more\r\nimbécile".encode()
    phrases = PhraseList.from_file(write(tmp_path, content))
    assert phrases.find(words_of("kill yourself")) == "kill yourself"
    assert phrases.find(words_of("Imbécile")) == "imbécile"
    assert phrases.find(words_of("head more")) is None


def test_an_empty_list_finds_nothing(tmp_path):
    assert PhraseList.from_file(write(tmp_path, b"# nothing\n")).find(["word"]) is None


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path):
    with pytest.raises(UserError, match=r"list\.txt:2: expected UTF-8, found byte 0xe9"):
        PhraseList.from_file(write(tmp_path, b"fine\nimb\xe9cile\n"))


def test_a_line_without_a_word_is_named(tmp_path):
    with pytest.raises(UserError, match=r"list\.txt:3: expected a phrase .*found '!!!'"):
        PhraseList.from_file(write(tmp_path, b"fine\n\n!!!\n"))


@pytest.mark.parametrize("make_path", [lambda folder: folder / "no.txt", lambda folder: folder])
def test_a_missing_list_is_a_user_error_that_says_what_to_do(tmp_path, make_path):
    with pytest.raises(UserError, match=r'expected a UTF-8 text file .*"default"'):
        PhraseList.from_file(make_path(tmp_path))


def test_subreddits_are_read_with_and_without_their_prefix(tmp_path):
    path = write(tmp_path, b"AskReddit\nr/Pics\n/r/u_some-body/\n")
    assert read_subreddits(path) == {"askreddit", "pics", "u_some-body"}


def test_a_line_that_is_no_subreddit_is_named(tmp_path):
    with pytest.raises(UserError, match=r"list\.txt:2: .*found 'two words'"):
        read_subreddits(write(tmp_path, b"pics\ntwo words\n"))


def test_a_word_list_refuses_a_phrase(tmp_path):
    with pytest.raises(UserError, match=r"list\.txt:1: expected one word, found 'of the'"):
        read_words(write(tmp_path, b"of the\n"))


def test_the_lists_that_ship_can_be_read():
    frequent = read_words(packaged_list("frequent_words_en.txt"))
    assert len(frequent) == 50
    assert {"the", "of", "a"} <= frequent
    assert read_subreddits(packaged_list("excluded_subreddits.txt"))
    phrases = PhraseList.from_file(packaged_list("offensive_phrases.txt"))
    assert phrases.find(words_of("Oh, go kill yourself!")) is not None
    assert phrases.find(words_of("A chink in the armor of retardant foam")) is None
