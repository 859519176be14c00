"""Each rule of the paper drops what it names and nothing else; the set follows its switches."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import filters
from data_prep.blocklists import PhraseList, packaged_list, read_words, words_of
from data_prep.config import FilterConfig, TextConfig
from data_prep.filters import FilterSet, PathColumns
from data_prep.normalize import TurnText, turn_text
from data_prep.responses import ResponseWords, response_words
from dialogpt.command_line import UserError

FREQUENT = read_words(packaged_list("frequent_words_en.txt"))
OFF = FilterConfig(
    urls=False,
    max_word_run=0,
    frequent_words="",
    markup=False,
    max_words=0,
    offensive_phrases="",
    excluded_subreddits="",
)


def turn(text: str, *, has_url: bool = False, has_markup: bool = False) -> TurnText:
    return TurnText(text, has_url=has_url, has_markup=has_markup, drop_reason=None)


def words(*responses: str) -> ResponseWords:
    return response_words(pa.array(responses, pa.large_string()), FREQUENT)


def test_url_looks_at_every_turn():
    plain, linking = turn("see this"), turn("see www.x.com", has_url=True)
    for turns, is_dropped in (
        ([plain, plain], False),
        ([linking, plain], True),
        ([plain, linking], True),
    ):
        assert filters.url(PathColumns.of_dialogue(turns)).tolist() == [is_dropped]


@pytest.mark.parametrize("text", ["no no no", "No, no, NO!", "ha ha ha ha", "so very very very"])
def test_three_equal_words_in_a_row_are_a_run(text):
    assert filters.word_run(words(text)).all()


@pytest.mark.parametrize(
    "text",
    [
        "no no",
        "!!! ??? ...",
        "no no yes no",
        "the man the man the man",
        "hahaha",
        "$2,000,000,000",
        "",
    ],
)
def test_two_equal_words_or_punctuation_are_no_run(text):
    assert not filters.word_run(words(text)).any()


@given(st.lists(st.lists(st.sampled_from(["a", "b"]), max_size=12), max_size=4), st.integers(1, 5))
def test_a_word_run_is_what_a_search_for_repeats_finds(tokens, max_run):
    has_run = [
        any(f" {' '.join([word] * (max_run + 1))} " in f" {' '.join(line)} " for word in "ab")
        for line in tokens
    ]
    found = filters.word_run(words(*(" ".join(line) for line in tokens)), max_run=max_run)
    assert found.tolist() == has_run


@pytest.mark.parametrize(
    "text", ["The cat", "I'm", "That’s great", "Don't!", "can't", "isn't", "YOU"]
)
def test_a_frequent_word_is_heard_in_any_case_and_in_contractions(text):
    assert not filters.no_frequent_word(words(text)).any()


@pytest.mark.parametrize("text", ["Vielen Dank", "lol", "!!!", "Theodore", "won't", "x'the", ""])
def test_a_response_without_frequent_words_is_dropped(text):
    assert filters.no_frequent_word(words(text)).all()


def test_markup_is_that_of_the_response():
    marked, plain = turn("citation needed", has_markup=True), turn("(none)")
    assert filters.markup(PathColumns.of_dialogue([plain, marked])).all()
    assert not filters.markup(PathColumns.of_dialogue([marked, plain])).any()


@pytest.mark.parametrize(
    ("num_words", "is_dropped"), [((100, 100), False), ((100, 101), True), ((201,), True)]
)
def test_source_and_response_may_have_200_words_together(num_words, is_dropped):
    turns = [turn(" ".join(["word"] * number)) for number in num_words]
    assert filters.too_long(PathColumns.of_dialogue(turns)).tolist() == [is_dropped]


def test_offensive_is_a_phrase_of_the_list():
    phrases = PhraseList(["kill yourself"])
    said = words("Kill yourself.", "skill yourself")
    assert filters.offensive(said, phrases=phrases).tolist() == [True, False]


def test_reasons_are_in_the_order_of_the_paper():
    assert FilterSet.from_config(FilterConfig()).reasons == (
        "url",
        "word_run",
        "no_frequent_word",
        "markup",
        "too_long",
        "offensive",
    )
    assert FilterSet.from_config(OFF).reasons == ()


# One response that only the named rule drops, and a word of the config that switches it on.
BREAKS_ONE_RULE = {
    "url": (turn("the page", has_url=True), {"urls": True}),
    "word_run": (turn("the the the"), {"max_word_run": 2}),
    "no_frequent_word": (turn("Danke"), {"frequent_words": "default"}),
    "markup": (turn("the [sic]", has_markup=True), {"markup": True}),
    "too_long": (turn("the cat " * 101), {"max_words": 200}),
    "offensive": (turn("you whore"), {"offensive_phrases": "default"}),
}


@pytest.mark.parametrize("reason", BREAKS_ONE_RULE)
def test_a_rule_acts_if_and_only_if_its_switch_is_on(reason):
    response, switch = BREAKS_ONE_RULE[reason]
    turns = [turn("so what is it?"), response]
    alone = FilterSet.from_config(replace(OFF, **switch))
    assert alone.reasons == (reason,)
    assert alone.drop_reason(turns) == reason
    assert FilterSet.from_config(OFF).drop_reason(turns) is None
    assert FilterSet.from_config(FilterConfig()).drop_reason(turns) == reason


def test_the_first_reason_in_order_is_given():
    # Breaks rule after rule; with each one switched off the next speaks up.
    worst = turn("kys kys kys " * 70, has_url=True, has_markup=True)
    config = FilterConfig()
    heard = []
    for switched_off in (
        {"urls": False},
        {"max_word_run": 0},
        {"frequent_words": ""},
        {"markup": False},
        {"max_words": 0},
        {"offensive_phrases": ""},
    ):
        heard.append(FilterSet.from_config(config).drop_reason([worst]))
        config = replace(config, **switched_off)
    assert tuple(heard) == FilterSet.from_config(FilterConfig()).reasons
    assert FilterSet.from_config(config).drop_reason([worst]) is None


def test_only_the_response_must_be_english_and_decent():
    source = turn("[whore] non non non", has_markup=True)
    default = FilterSet.from_config(FilterConfig())
    assert default.drop_reason([source, turn("that is rude")]) is None
    assert default.drop_reason([turn("that is rude"), source]) == "word_run"


@pytest.mark.parametrize("name", ["gonewild", "GoneWild", "r/gonewild", "/r/GONEWILD"])
def test_excluded_subreddits_are_known_in_any_spelling(name):
    default = FilterSet.from_config(FilterConfig())
    assert default.excludes_subreddit(name)
    assert not default.excludes_subreddit("gonewilder")
    assert not default.excludes_subreddit("")


def test_own_lists_replace_those_that_ship(tmp_path):
    phrases, subreddits = tmp_path / "phrases.txt", tmp_path / "subreddits.txt"
    phrases.write_text("blue moon\n", encoding="utf-8")
    subreddits.write_text("pics\n", encoding="utf-8")
    ours = FilterSet.from_config(
        FilterConfig(offensive_phrases=str(phrases), excluded_subreddits=str(subreddits))
    )
    assert ours.drop_reason([turn("the Blue Moon")]) == "offensive"
    assert ours.drop_reason([turn("you whore")]) is None
    assert ours.excludes_subreddit("Pics")
    assert not ours.excludes_subreddit("gonewild")


def test_a_missing_list_is_named(tmp_path):
    missing = tmp_path / "missing.txt"
    with pytest.raises(UserError, match=r"missing\.txt"):
        FilterSet.from_config(FilterConfig(offensive_phrases=str(missing)))


def test_a_dialogue_needs_turns():
    with pytest.raises(ValueError, match="at least one turn"):
        FilterSet.from_config(FilterConfig()).drop_reason([])


NAMES = st.sampled_from(["url", "[x]", "no no no", "the end", "kys", "hm", "word " * 150])
DIALOGUES = st.lists(
    st.lists(st.one_of(NAMES, st.text(max_size=60)), min_size=1, max_size=3), max_size=6
)


@given(DIALOGUES)
def test_a_column_of_dialogues_is_judged_as_each_one_is(dialogues):
    """And each one as a chain of ifs would have it."""
    default = FilterSet.from_config(FilterConfig())
    turns = [
        [turn_text(body.replace("url", "http://x.org"), TextConfig()) for body in bodies]
        for bodies in dialogues
    ]
    columns = [PathColumns.of_dialogue(one) for one in turns]
    verdict = default.judge(
        PathColumns(
            has_url=np.array([c.has_url[0] for c in columns], np.bool_),
            num_words=np.array([c.num_words[0] for c in columns], np.int64),
            responses=pa.array([one[-1].text for one in turns], pa.large_string()),
            response_has_markup=np.array([one[-1].has_markup for one in turns], np.bool_),
        )
    )
    reasons = [None, *default.reasons]
    assert [reasons[code] for code in verdict.codes] == [default.drop_reason(t) for t in turns]
    assert [reasons[code] for code in verdict.codes] == [naive_reason(t) for t in turns]


def naive_reason(turns: list[TurnText]) -> str | None:
    said = words_of(turns[-1].text)
    if any(turn.has_url for turn in turns):
        return "url"
    if any(a == b == c for a, b, c in zip(said, said[1:], said[2:], strict=False)):
        return "word_run"
    stems = {part for word in said for part in (word, word.split("'")[0], word.split("n't")[0])}
    stems |= {word[:-2] for word in said if word.endswith("n't")}
    if not stems & FREQUENT:
        return "no_frequent_word"
    if turns[-1].has_markup:
        return "markup"
    if sum(len(turn.text.split()) for turn in turns) > 200:
        return "too_long"
    return "offensive" if "kys" in said else None
