import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import byte_tokenizer, write_split
from support_trees import path, paths_of, random_threads, threads

from dialogpt.command_line import UserError
from dialogpt.config.training import BatchConfig, DataConfig
from dialogpt.data.batch import Collator
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.features import make_features
from dialogpt.data.loader import StepLoader
from dialogpt.data.manifest import read_manifest, save_manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner, run_starts
from dialogpt.data.trees import tree_pieces
from dialogpt.records import IGNORE_INDEX

EOS = 256
# A -> B -> (C, D) and A -> E, as three dialogues.
A, B, C, D, E = [5, 6], [7], [8, 9], [], [10]
THREAD = paths_of([-1, 0, 1, 1, 0], [A, B, C, D, E])


def collated(dialogues, num_tokens, max_seq_len=64):
    collate = Collator(
        direction="forward",
        max_seq_len=max_seq_len,
        eos_id=EOS,
        packed_tokens=num_tokens,
        shares_turns=True,
    )
    return collate(list(enumerate(dialogues)))


def test_a_thread_is_laid_out_turn_by_turn():
    batch = collated(THREAD, 9)
    # The ends of C, D and E are targets only; D has no other token.
    #  place                            0  1  2    3  4    5  6  7   8
    assert batch.input_ids.tolist() == [5, 6, EOS, 7, EOS, 8, 9, 10, EOS]
    assert batch.positions.tolist() == [0, 1, 2, 3, 4, 5, 6, 3, 0]
    assert batch.ends.tolist() == [8, 8, 8, 7, 7, 7, 7, 8, 9]
    assert batch.tiles.tolist() == [[0, 0, 8], [8, 8, 9]]
    assert batch.target_places.tolist() == [2, 3, 4, 5, 6, 4, 2, 7]
    assert batch.targets.tolist() == [7, EOS, 8, 9, EOS, EOS, 10, EOS]
    assert batch.weights.tolist() == [2, 2, 1, 1, 1, 1, 1, 1]
    assert (batch.num_tokens, batch.num_used_tokens, batch.num_padded_tokens) == (19, 8, 9)
    assert (batch.num_target_tokens, batch.num_target_words) == (10, 5)
    assert batch.dialogue_indices == (0, 1, 2)


def test_a_collision_of_keys_does_not_make_two_turns_one():
    dialogues = [path([[1], [2]], [1, 2]), path([[1], [3]], [1, 2]), path([[1], [3]], [1, 2])]
    batch = collated(dialogues, 16)
    assert sorted(batch.targets.tolist()) == [2, 3, EOS, EOS]
    assert batch.num_target_tokens == 6


def test_threads_with_equal_turn_keys_stay_apart():
    dialogues = [path([[1], [2]], [1, 2], thread=1), path([[1], [2]], [1, 2], thread=2)]
    assert collated(dialogues, 16).num_used_tokens == 6


@settings(deadline=None, max_examples=60)
@given(threads(), st.sampled_from([4, 12, 64]))
def test_every_target_sees_the_tokens_of_its_own_row(dialogues, max_seq_len):
    """The context of each target, read off `ends`, is the part of a row before it."""
    batch = collated(dialogues, 2048, max_seq_len)
    expected: dict[tuple, int] = {}
    for dialogue in dialogues:
        row = make_features(dialogue, EOS, direction="forward", max_seq_len=max_seq_len)
        if row is None:
            continue
        for place in np.flatnonzero(row.labels != IGNORE_INDEX):
            if place:
                seen = tuple(row.input_ids[: place + 1].tolist())
                expected[seen] = expected.get(seen, 0) + 1
    ids, ends = batch.input_ids.numpy(), batch.ends.numpy()
    found: dict[tuple, int] = {}
    columns = (batch.target_places, batch.targets, batch.weights)
    for place, target, weight in zip(*(column.tolist() for column in columns), strict=True):
        roots = [root for root, first, _ in batch.tiles.tolist() if root == first <= place]
        ways = [k for k in range(roots[-1], place + 1) if place < ends[k]]
        assert batch.positions[ways].tolist() == list(range(len(ways)))
        seen = (*ids[ways].tolist(), target)
        found[seen] = found.get(seen, 0) + weight
    assert found == expected


def test_a_dialogue_that_another_begins_with_keeps_its_last_token():
    dialogues = [path([[1], [2]], [1, 2]), path([[1], [2], [3]], [1, 2, 3])]
    batch = collated(dialogues, 8)
    assert batch.input_ids[: batch.num_used_tokens].tolist() == [1, EOS, 2, EOS, 3]
    assert batch.targets.tolist() == [2, EOS, 3, EOS]
    assert batch.weights.tolist() == [2, 2, 1, 1]


def lengths_and_shared(dialogues):
    lengths = np.array([sum(map(len, d.turns)) + len(d.turns) for d in dialogues])
    pieces = [
        tree_pieces(dialogues[max(0, i - 1) : i + 1], eos_id=EOS, max_seq_len=10**6)[0]
        for i in range(len(dialogues))
    ]
    sizes = np.array([sum(len(piece.input_ids) for piece in some) for some in pieces])
    before = np.array([0, *lengths[:-1]])
    return lengths, before + lengths - sizes


@settings(deadline=None, max_examples=30)
@given(threads(max_threads=8), st.data())
def test_shards_say_what_neighbours_share_and_batches_fit(tmp_path_factory, dialogues, data):
    folder = tmp_path_factory.mktemp("shards") / "train"
    tokenizer = byte_tokenizer()
    chunk = data.draw(st.integers(1, 9))
    write_split(folder, dialogues, tokenizer=tokenizer, chunk_dialogues=chunk)
    dataset = ShardDataset(folder, read_manifest(folder, tokenizer=tokenizer))
    _, shared = lengths_and_shared(dialogues)
    assert dataset.shared_lengths(10**6).tolist() == shared.tolist()

    max_seq_len = data.draw(st.sampled_from([8, 20, 200]))
    budget = data.draw(st.integers(max_seq_len, 300))
    limits = BatchLimits(
        micro_batch_tokens=budget,
        packed=True,
        max_micro_batch_size=data.draw(st.sampled_from([0, 0, 3])),
        num_ranks=data.draw(st.integers(1, 3)),
        window_chunks=data.draw(st.integers(1, 4)),
    )
    planner = BatchPlanner(
        dataset.row_lengths(max_seq_len),
        dataset.chunk_starts,
        limits=limits,
        seed=0,
        shared=dataset.shared_lengths(max_seq_len),
    )
    batches = [batch for step in planner.steps(0) for batch in step]
    assert sorted(index for batch in batches for index in batch.tolist()) == list(
        range(len(dialogues))
    )
    for batch in batches:
        if limits.max_micro_batch_size:
            assert len(batch) <= limits.max_micro_batch_size
        some = [dialogues[index] for index in batch]
        collated(some, budget, max_seq_len)  # raises where they do not fit


def test_a_row_shares_nothing_with_one_that_is_shortened(tmp_path):
    first, later = [[1], [2] * 20], [[1], [3]]
    dialogues = [path(first, [1, 2]), path(later, [1, 3]), path(later, [1, 3])]
    write_split(tmp_path / "train", dialogues, tokenizer=byte_tokenizer())
    dataset = ShardDataset(tmp_path / "train", read_manifest(tmp_path / "train"))
    assert dataset.shared_lengths(64).tolist() == [0, 2, 4]
    assert dataset.shared_lengths(10).tolist() == [0, 0, 4]


def test_runs_come_together_and_are_cut_only_where_they_are_too_long():
    dialogues = random_threads(60, seed=1)
    lengths, shared = lengths_and_shared(dialogues)
    planner = BatchPlanner(
        lengths,
        np.array([0, len(dialogues)]),
        limits=BatchLimits(micro_batch_tokens=400, packed=True),
        seed=0,
        shared=shared,
    )
    batches = [batch for step in planner.steps(0) for batch in step]
    batch_of = {index: number for number, batch in enumerate(batches) for index in batch.tolist()}
    apart = sum(
        batch_of[index] != batch_of[index - 1]
        for index in range(1, len(dialogues))
        if shared[index]
    )
    assert apart == 0
    sizes = [collated([dialogues[i] for i in batch], 400).num_used_tokens for batch in batches]
    assert np.mean(sizes[:-1]) > 0.75 * 400
    order = [index for batch in batches for index in batch.tolist()]
    assert order != sorted(order)


def test_a_run_over_the_budget_is_cut_where_it_is_full():
    own, shared = np.array([10, 5, 5, 5, 5]), np.array([0, 8, 8, 8, 8])
    goes_on = np.array([False, True, True, True, True])

    def starts(**limits):
        return run_starts(own, shared, goes_on, **limits).tolist()

    # 10 + 5 + 5 = 20; then 8 + 5 + 5 = 18.
    assert starts(budget=20, limit=9) == [0, 3]
    assert starts(budget=35, limit=9) == [0]
    assert starts(budget=35, limit=2) == [0, 2, 4]
    assert starts(budget=20, limit=2) == [0, 2, 4]


def test_shards_of_version_1_are_read_but_not_for_trees(tmp_path):
    folder, tokenizer = tmp_path / "train", byte_tokenizer()
    manifest = write_split(folder, THREAD, tokenizer=tokenizer)
    sizes = np.load(folder / "shard-00000.sizes.npy")
    np.save(folder / "shard-00000.sizes.npy", sizes[:, :2])
    path_of_manifest = folder / "manifest.json"
    text = path_of_manifest.read_text()
    path_of_manifest.write_text(text.replace('"version": 2', '"version": 1'))
    assert '"version": 1' in path_of_manifest.read_text()
    manifest = read_manifest(folder, tokenizer=tokenizer)

    def loader(layout):
        return StepLoader(
            folder,
            manifest,
            data=DataConfig(shards=str(tmp_path), max_seq_len=32, num_workers=0),
            batch=BatchConfig(micro_batch_tokens=64, layout=layout),
            direction="forward",
            rank=0,
            num_ranks=1,
            seed=0,
        )

    assert manifest.format_version == 1
    save_manifest(folder, manifest)  # as purging does, which leaves shards without purged ones
    assert read_manifest(folder, tokenizer=tokenizer).format_version == 1
    ((batch,),) = loader("packed").epoch(0)
    assert batch.num_tokens == 19
    with pytest.raises(UserError, match="version 1; run `python -m data_prep shards` again"):
        loader("tree")
