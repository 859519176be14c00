from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialogpt.data.sampler import BatchLimits, BatchPlanner, RankSampler, fill_step


@st.composite
def planners(draw):
    """Uneven chunks, uneven lengths, any number of ranks."""
    chunk_sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    starts = np.cumsum([0, *chunk_sizes])
    lengths = draw(st.lists(st.integers(1, 40), min_size=int(starts[-1]), max_size=int(starts[-1])))
    limits = BatchLimits(
        micro_batch_tokens=draw(st.integers(1, 120)),
        packed=draw(st.booleans()),
        max_micro_batch_size=draw(st.integers(0, 4)),
        num_ranks=draw(st.integers(1, 4)),
        accumulation_steps=draw(st.integers(1, 3)),
        window_chunks=draw(st.integers(1, 5)),
    )
    return BatchPlanner(
        np.array(lengths, np.uint16), starts, limits=limits, seed=draw(st.integers(0, 5))
    )


def flat(planner, epoch=0):
    return [batch.tolist() for step in planner.steps(epoch) for batch in step]


@given(planner=planners(), epoch=st.integers(0, 3))
def test_every_dialogue_comes_once_an_epoch(planner, epoch):
    found = sorted(index for batch in flat(planner, epoch) for index in batch)
    assert found == list(range(len(planner.lengths)))


@given(planner=planners())
def test_no_micro_batch_exceeds_its_limits(planner):
    for batch in flat(planner):
        lengths = [int(planner.lengths[i]) for i in batch]
        padded = len(batch) * max(lengths, default=0)
        # A packed row has no place for the last token of a dialogue.
        tokens = sum(lengths) - len(batch) if planner.limits.packed else padded
        # A dialogue that is longer than the budget is alone.
        assert tokens <= planner.limits.micro_batch_tokens or len(batch) == 1
        if planner.limits.max_micro_batch_size:
            assert len(batch) <= planner.limits.max_micro_batch_size


@given(planner=planners())
def test_every_step_has_a_micro_batch_for_each_rank_and_accumulation_step(planner):
    wanted = planner.limits.num_ranks * planner.limits.accumulation_steps
    steps = list(planner.steps(0))
    assert {len(step) for step in steps} <= {wanted}
    assert len(steps) == planner.num_steps(0) >= 1


@given(planner=planners())
def test_only_the_last_step_has_empty_micro_batches(planner):
    *steps, _ = planner.steps(0)
    assert all(len(batch) for step in steps for batch in step)


@given(planner=planners())
def test_the_ranks_together_have_the_whole_plan_and_equal_shares(planner):
    shares = [list(RankSampler(planner, rank)) for rank in range(planner.limits.num_ranks)]
    assert len({len(share) for share in shares}) == 1
    interleaved = [batch for group in zip(*shares, strict=True) for batch in group]
    assert interleaved == flat(planner)


@given(planner=planners(), data=st.data())
def test_going_on_from_a_position_gives_exactly_the_rest(planner, data):
    sampler = RankSampler(planner, 0)
    whole = list(sampler)
    step = data.draw(st.integers(0, planner.num_steps(0)))
    sampler.go_to(0, step)
    assert list(sampler) == whole[step * planner.limits.accumulation_steps :]
    assert len(sampler) == len(list(sampler))


@given(planner=planners())
def test_the_plan_is_a_function_of_its_arguments(planner):
    again = BatchPlanner(
        planner.lengths, planner._chunk_starts, limits=planner.limits, seed=planner._seed
    )
    first = flat(planner, 1)
    flat(again, 0)  # planning another epoch in between leaves no trace
    assert flat(again, 1) == first


def large_planner(**changes):
    lengths = np.random.default_rng(0).integers(4, 200, size=2000).astype(np.uint16)
    limits = {"micro_batch_tokens": 2048, "num_ranks": 2, "window_chunks": 5, **changes}
    starts = np.arange(0, 2001, 50)
    return BatchPlanner(lengths, starts, limits=BatchLimits(**limits), seed=0)


def test_epochs_and_seeds_differ():
    planner = large_planner()
    other = BatchPlanner(planner.lengths, planner._chunk_starts, limits=planner.limits, seed=1)
    assert flat(planner, 0) != flat(planner, 1)
    assert flat(planner, 0) != flat(other, 0)


def test_sorting_by_length_leaves_little_padding():
    planner = large_planner()
    costs = [(planner.lengths[b].sum(), len(b) * planner.lengths[b].max()) for b in flat(planner)]
    real, padded = np.array(costs, dtype=np.int64).sum(axis=0)
    in_order = [np.arange(i, min(i + 20, 2000)) for i in range(0, 2000, 20)]
    padded_in_order = sum(len(b) * int(planner.lengths[b].max()) for b in in_order)
    assert 1 - real / padded < 0.1 < 1 - real / padded_in_order


def test_micro_batches_of_a_step_cost_about_the_same():
    # With equal numbers of rows the cost is the longest row; the slowest rank sets the pace.
    planner = large_planner(num_ranks=4, max_micro_batch_size=8, window_chunks=40)
    *steps, _ = planner.steps(0)
    longest = np.array([[planner.lengths[batch].max() for batch in step] for step in steps], float)
    busy = longest.sum() / (4 * longest.max(axis=1)).sum()
    shuffled = np.random.default_rng(0).permutation(longest.flatten()).reshape(longest.shape)
    assert busy > 0.95 > shuffled.sum() / (4 * shuffled.max(axis=1)).sum()


@pytest.mark.parametrize("packed", [False, True])
def test_every_rank_computes_as_much_in_the_same_step(packed):
    planner = large_planner(num_ranks=4, packed=packed, window_chunks=40)
    *steps, _ = planner.steps(0)
    computed = np.array([[cost(planner, batch) for batch in step] for step in steps], float)
    assert len(computed) > 10
    assert (computed.min(axis=1) / computed.max(axis=1)).mean() > 0.9
    assert computed.sum() / (4 * computed.max(axis=1)).sum() > 0.96


def cost(planner, batch):
    """Tokens that the device computes, padding included."""
    lengths = planner.lengths[batch].astype(int)
    # A packed row is as long for every rank; what differs is how much of it is used.
    return lengths.sum() if planner.limits.packed else len(lengths) * lengths.max()


def test_chunks_of_a_window_are_mixed():
    planner = large_planner()
    chunks = {index // 50 for index in next(iter(RankSampler(planner, 0)))}
    assert len(chunks) > 1


@pytest.mark.parametrize("num_wanted", [2, 3, 6, 7])
def test_a_step_is_filled_by_splitting_the_largest_and_then_by_empty_batches(num_wanted):
    lengths = np.array([10, 1, 1, 1, 1, 1])
    filled = fill_step([np.array([0]), np.arange(1, 6)], num_wanted, lengths)
    assert len(filled) == num_wanted
    assert sorted(np.concatenate(filled).tolist()) == list(range(6))
    assert sum(len(batch) == 0 for batch in filled) == max(0, num_wanted - 6)


@settings(max_examples=20)
@given(planner=planners(), epoch=st.integers(0, 2))
def test_the_count_of_steps_is_known_without_data(planner, epoch):
    assert planner.num_steps(epoch) == len(list(islice(planner.steps(epoch), None)))


def test_packed_batches_are_full_but_for_a_dialogue_and_mix_lengths():
    lengths = np.random.default_rng(0).integers(1, 100, 4000).astype(np.uint16)
    limits = BatchLimits(micro_batch_tokens=2000, packed=True)
    planner = BatchPlanner(lengths, np.arange(0, 4001, 100), limits=limits, seed=0)
    *batches, _ = [batch for step in planner.steps(0) for batch in step]
    sums = [int(lengths[batch].sum()) for batch in batches]
    assert sum(total < 1900 for total in sums) <= len(planner.lengths) // 6400 + 1  # window ends
    assert np.mean(sums) > 1940
    spreads = [np.ptp(lengths[batch]) for batch in batches]
    assert np.mean(spreads) > 80
