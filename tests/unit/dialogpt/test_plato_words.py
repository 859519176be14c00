"""Words that latents prefer, against the formulas of the paper in another form."""

import math

import pytest

from dialogpt.plato.words import Preference, preferences, words_of

TEXTS = {
    0: ["What is it?", "What do you do?", "and why?"],
    1: ["It is good.", "I do it, and it's good", "good, good"],
    2: ["what?", "no."],
}


def by_word(found: list[Preference]) -> dict[str, Preference]:
    return {preference.word: preference for preference in found}


def test_words_are_in_lower_case_and_punctuation_counts() -> None:
    assert words_of("Don't you  SEE 2 of_them?!") == [
        *("don't", "you", "see", "2", "of", "them", "?", "!")
    ]


def test_log_odds_are_those_of_monroe_colaresi_and_quinn() -> None:
    prior = 7.0
    said = {latent: [w for t in texts for w in words_of(t)] for latent, texts in TEXTS.items()}
    everything = [word for words in said.values() for word in words]
    for latent, found in preferences(TEXTS, prior=prior).items():
        others = [word for other, words in said.items() if other != latent for word in words]
        assert {p.word for p in found} == set(everything)
        for preference in found:
            share = prior * everything.count(preference.word) / len(everything)
            odds = []
            for words in (said[latent], others):
                smoothed = (words.count(preference.word) + share) / (len(words) + prior)
                odds.append(smoothed / (1 - smoothed))
            variance = 1 / (said[latent].count(preference.word) + share)
            variance += 1 / (others.count(preference.word) + share)
            expected = math.log(odds[0] / odds[1])
            assert preference.log_odds == pytest.approx(expected)
            assert preference.z_score == pytest.approx(expected / variance**0.5)
            assert preference.count == said[latent].count(preference.word)
        scores = [preference.z_score for preference in found]
        assert scores == sorted(scores, reverse=True)


def test_what_one_latent_asks_and_another_praises_comes_first() -> None:
    found = preferences(TEXTS, prior=10.0)
    assert found[0][0].word == "?"
    assert found[1][0].word == "good"


def test_latents_that_say_the_same_prefer_nothing_and_two_are_opposite() -> None:
    same = preferences({0: ["a b b", "c"], 1: ["c", "a b b"]}, prior=3.0)
    assert all(p.log_odds == pytest.approx(0) for found in same.values() for p in found)
    first, second = preferences({0: ["a b b"], 1: ["b c c c"]}, prior=3.0).values()
    for word, preference in by_word(first).items():
        assert preference.log_odds == pytest.approx(-by_word(second)[word].log_odds)


def test_a_larger_prior_wants_more_evidence() -> None:
    few = by_word(preferences(TEXTS, prior=1.0)[1])["good"]
    many = by_word(preferences(TEXTS, prior=1000.0)[1])["good"]
    assert 0 < many.log_odds < few.log_odds


@pytest.mark.parametrize("texts", [{0: [], 1: []}, {0: ["a a"], 1: ["a"]}, {0: [""], 1: ["..."]}])
def test_with_less_than_two_words_there_is_nothing_to_prefer(texts: dict[int, list[str]]) -> None:
    assert preferences(texts, prior=1.0) == {0: [], 1: []}
