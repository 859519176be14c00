"""How a system behaves: counted by hand, and left out group by group the slow way."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.evaluation import behaviour
from dialogpt.evaluation.behaviour import (
    CopyMeasure,
    DuplicateMeasure,
    EmptyMeasure,
    RepetitionMeasure,
)
from dialogpt.evaluation.measure import Chunk, JackknifedMetrics, Measure, Metrics


def measured(
    measure: Measure, *systems: Sequence[str], contexts: Sequence[Sequence[str]] = (), size: int = 2
) -> list[Metrics]:
    contexts = contexts or [[] for _ in systems[0]]
    for start in range(0, len(systems[0]), size):
        part = slice(start, start + size)
        references = [["x"] for _ in contexts[part]]
        measure.add(
            Chunk(
                systems=[texts[part] for texts in systems],
                references=references,
                contexts=contexts[part],
                knowledge=[[] for _ in references],
            )
        )
    return list(measure.results())


def test_a_reply_repeats_itself_if_three_words_stand_in_it_twice() -> None:
    replies = ["a b c a b c", "a a a a", "a a a", "a b c b c a", "", "a  b c d\na b c"]
    first, second = measured(RepetitionMeasure(), replies, ["so"] * 6)
    assert first.names == ("Repetition rate",)
    assert first.values() == pytest.approx([3 / 6])
    assert second.values() == pytest.approx([0.0])


def test_what_is_copied_is_a_share_of_each_reply() -> None:
    replies = ["a b c d", "a b", "b a", "", "c a b c", "a b c"]
    contexts = [["x a b c"], ["a b"], ["a b"], ["a"], ["b c", "a b c"], []]
    # a b c of two; whole, as it is short; another order; nothing; a b c of two; no context.
    (metrics,) = measured(CopyMeasure(), replies, contexts=contexts)
    assert metrics.names == ("Copy rate",)
    assert metrics.values() == pytest.approx([(1 / 2 + 1 + 0 + 0 + 1 / 2) / 5])
    (without,) = measured(CopyMeasure(), replies)
    assert np.isnan(without.values()).all()


def test_no_copied_words_reach_over_the_end_of_a_turn() -> None:
    (metrics,) = measured(CopyMeasure(), ["a b c"], contexts=[["x a b", "c y"]])
    assert metrics.values() == pytest.approx([0.0])


def test_empty_is_what_has_no_word() -> None:
    (metrics,) = measured(EmptyMeasure(), ["", " \t", "\u00a0", "a", "."])
    assert metrics.names == ("Empty rate",)
    assert metrics.values() == pytest.approx([3 / 5])


def test_duplicates_are_replies_that_another_segment_has() -> None:
    first, second = measured(
        DuplicateMeasure(), ["a b", "c", "a  b ", "", "", "A b"], list("abcdef")
    )
    assert first.names == ("Duplicate rate",)
    assert first.values() == pytest.approx([4 / 6])
    assert second.values() == pytest.approx([0.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=12), st.integers(1, 6))
def test_groups_of_replies_are_left_out_in_turn(replies: list[str], most_groups: int) -> None:
    def rate(texts: Sequence[str]) -> float:
        counts = Counter(texts)
        return sum(counts[text] > 1 for text in texts) / len(texts) if texts else np.nan

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(behaviour, "_MOST_GROUPS", most_groups)
        (metrics,) = measured(DuplicateMeasure(), replies)
    assert isinstance(metrics, JackknifedMetrics)
    assert metrics.values() == pytest.approx([rate(replies)])
    num_groups = min(most_groups, len(replies))
    expected = [
        [rate([text for i, text in enumerate(replies) if i % num_groups != group])]
        for group in range(num_groups)
    ]
    assert metrics.left_out == pytest.approx(np.array(expected), nan_ok=True)
