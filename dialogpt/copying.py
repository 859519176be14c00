"""What a reply copies, in whatever tokens. No torch: evaluation imports this module."""

from collections.abc import Hashable, Iterable, Sequence


def copied_share(reply: Sequence[Hashable], turns: Iterable[Sequence[Hashable]], n: int) -> float:
    """Share of a reply's n-grams that stand in one of the turns, in [0, 1].

    Every place of the reply counts, repeated ones too. A reply shorter than n is one n-gram of its
    own length. No n-gram reaches over the end of a turn.

    Args:
        reply: tokens, without the end of turn; the share of none is 0.
        turns: tokens of each turn of the source.
        n: at least 1.
    """
    n = min(n, len(reply))
    if n == 0:
        return 0.0
    known = {ngram for turn in turns for ngram in ngrams(turn, n)}
    found = [ngram in known for ngram in ngrams(reply, n)]
    return sum(found) / len(found)


def ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """The n-grams in order, at each place one; none if there are less than n tokens."""
    return [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
