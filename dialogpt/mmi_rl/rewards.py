"""What a reply is worth. Shapes: C contexts, S samples of each."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.copying import ngrams
from dialogpt.decode.contexts import Context
from dialogpt.decode.replies import GeneratedReply
from dialogpt.decode.scorers import BackwardScorer
from dialogpt.records import Hypothesis

Floats = NDArray[np.float64]


def distinct_ngrams(replies: Iterable[Sequence[int]], n: int) -> tuple[int, int]:
    """Different n-grams in all replies together, and all of them.

    Their ratio is Dist-n (Li et al. 2016, arXiv:1510.03055), here of tokens. It falls as replies
    become more, so only equal numbers of replies compare.
    """
    found = [ngram for reply in replies for ngram in ngrams(reply, n)]
    return len(set(found)), len(found)


def advantages(objectives: Floats) -> Floats:
    """(C, S): how much better each sample is than the others of its context are on average.

    The baseline is the average of the other samples, so it does not depend on the sample itself and
    leaves the gradient's expectation as it is (Williams 1992). With the average of all S samples,
    its own among them, the advantage and the expected gradient would be (S - 1) / S of this.

    Args:
        objectives: (C, S), S at least 2.
    """
    num_samples = objectives.shape[1]
    centered = objectives - objectives.mean(axis=1, keepdims=True)
    result: Floats = centered * (num_samples / (num_samples - 1))
    return result


class BackwardReward:
    """log P(source | reply) under the backward model, which `--mmi` ranks by.

    The paper names P itself; of tens of tokens it is as good as 0, and its log ranks alike.

    Args:
        scorer: its window leaves room for the longest reply.
        config: whether the reward is a sum over the source's tokens or their mean.
    """

    def __init__(self, scorer: BackwardScorer, config: MmiRlConfig) -> None:
        self._scorer = scorer
        self._by_mean = config.reduction == "mean"

    def __call__(
        self,
        contexts: Sequence[Sequence[list[int]]],
        replies: Sequence[Sequence[GeneratedReply]],
    ) -> Floats:
        """(C, S) nats, of a source's tokens together or each.

        Args:
            contexts: of each, the ids of its turns, each with its end-of-turn token.
            replies: S to each context.
        """
        if not contexts:
            return np.zeros((0, 0))
        # Texts are not read by this scorer.
        sources = [Context(turns=(), turn_ids=tuple(turns)) for turns in contexts]
        hypotheses = [
            [
                Hypothesis(text="", token_ids=r.token_ids, finished=r.finished, scores={})
                for r in group
            ]
            for group in replies
        ]
        rewards = np.array(self._scorer.score(sources, hypotheses), np.float64)
        if self._by_mean:
            lengths = [len(self._scorer.source_ids(source)) for source in sources]
            rewards /= np.array(lengths)[:, None]
        return rewards
