"""Which words a latent prefers: log-odds against all other latents, with a prior.

Monroe, Colaresi and Quinn 2008, "Fightin' Words", Political Analysis 16(4), equations 16, 19, 20
and 22: with a Dirichlet prior that follows the words of all, rare words do not win by chance.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Preference:
    """How much more a latent says a word than the others do.

    Attributes:
        word: in lower case; a character of punctuation is a word.
        count: how often the latent says it.
        log_odds: log of the ratio of odds, smoothed by the prior; 0 where all say it as often.
        z_score: log_odds over its standard deviation, by which words are ordered.
    """

    word: str
    count: int
    log_odds: float
    z_score: float


def words_of(text: str) -> list[str]:
    """Words and characters of punctuation, in lower case."""
    return _WORD.findall(text.lower())


def preferences(texts: Mapping[int, Iterable[str]], *, prior: float) -> dict[int, list[Preference]]:
    """For each latent all words of all, those that it prefers most first; then by the word.

    Args:
        texts: latent -> what it says.
        prior: words that each is taken to have said before, spread as all of them say them.
    """
    counts = {
        latent: Counter(word for text in said for word in words_of(text))
        for latent, said in texts.items()
    }
    everything: Counter[str] = sum(counts.values(), Counter())
    if len(everything) < 2:  # nothing to prefer
        return {latent: [] for latent in counts}
    return {latent: _of_one(own, everything, prior) for latent, own in counts.items()}


def _of_one(own: Counter[str], everything: Counter[str], prior: float) -> list[Preference]:
    num_all, num_own = everything.total(), own.total()
    found = []
    for word, count in everything.items():
        before = prior * count / num_all
        here, there = own[word] + before, count - own[word] + before
        log_odds = math.log(here / (num_own + prior - here))
        log_odds -= math.log(there / (num_all - num_own + prior - there))
        found.append(
            Preference(
                word=word,
                count=own[word],
                log_odds=log_odds,
                z_score=log_odds / math.sqrt(1 / here + 1 / there),
            )
        )
    return sorted(found, key=lambda preference: (-preference.z_score, preference.word))
