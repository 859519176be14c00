import subprocess
import sys

import numpy as np
import pytest
import torch
from support_train import byte_tokenizer, encoded, made_up_dialogues, write_split

from dialogpt.command_line import UserError
from dialogpt.config.training import BatchConfig, DataConfig
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.loader import StepLoader

DIALOGUES = made_up_dialogues(61, seed=3)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards") / "train"
    return folder, write_split(folder, DIALOGUES, tokenizer=byte_tokenizer(), num_shards=3)


def step_loader(split, *, num_workers=0, rank=0, num_ranks=1, **batch):
    folder, manifest = split
    return StepLoader(
        folder,
        manifest,
        data=DataConfig(
            shards=str(folder.parent), max_seq_len=24, num_workers=num_workers, window_chunks=3
        ),
        batch=BatchConfig(**{"micro_batch_tokens": 96, "accumulation_steps": 2, **batch}),
        direction="forward",
        rank=rank,
        num_ranks=num_ranks,
        seed=5,
    )


def as_values(steps):
    return [[(b.input_ids.tolist(), b.dialogue_indices) for b in step] for step in steps]


@pytest.mark.parametrize("index", [0, 7, 8, 20, 41, 60])
def test_dialogues_of_all_shards_are_numbered_through(split, index):
    dataset = ShardDataset(*split, cached_chunks=2)
    number, dialogue = dataset[index]
    assert number == index
    assert len(dataset) == len(DIALOGUES)
    expected = [turn.tolist() for turn in DIALOGUES[index].turns]
    assert [turn.tolist() for turn in dialogue.turns] == expected


def test_an_index_beyond_the_end_is_an_error(split):
    with pytest.raises(IndexError, match="61 of 61"):
        ShardDataset(*split)[61]


def test_row_lengths_come_from_the_index(split):
    lengths = ShardDataset(*split).row_lengths(24)
    whole = [sum(map(len, d.turns)) + len(d.turns) for d in DIALOGUES]
    assert lengths.tolist() == [min(length, 24) for length in whole]


def test_the_first_dialogues_alone_can_be_taken(split):
    dataset = ShardDataset(*split, max_dialogues=10)
    assert len(dataset) == len(dataset.row_lengths(24)) == 10
    assert dataset.chunk_starts.tolist() == [0, 8, 10]


def test_workers_give_the_batches_of_the_process_itself(split):
    alone = as_values(step_loader(split, num_workers=0).epoch(1))
    assert as_values(step_loader(split, num_workers=2).epoch(1)) == alone


@pytest.mark.filterwarnings("error:This DataLoader will create")
def test_more_workers_than_cores_are_not_started(split):
    assert as_values(step_loader(split, num_workers=1000).epoch(0)) == as_values(
        step_loader(split).epoch(0)
    )


def test_an_epoch_has_every_dialogue_once_and_rows_within_the_budget(split):
    batches = [batch for step in step_loader(split).epoch(0) for batch in step]
    found = sorted(index for batch in batches for index in batch.dialogue_indices)
    assert found == list(range(len(DIALOGUES)))
    assert all(batch.num_padded_tokens <= 96 for batch in batches)


def test_going_on_in_an_epoch_gives_the_rest(split):
    loader = step_loader(split)
    whole = as_values(loader.epoch(0))
    assert as_values(loader.epoch(0, 3)) == whole[3:]


def test_iterating_draws_nothing_from_the_global_generator(split):
    before = torch.get_rng_state()
    list(step_loader(split).epoch(0))
    assert torch.equal(torch.get_rng_state(), before)


def test_two_ranks_with_one_micro_batch_have_the_steps_of_one_rank_with_two(split):
    together = as_values(step_loader(split, accumulation_steps=2).epoch(0))
    ranks = [
        as_values(step_loader(split, rank=r, num_ranks=2, accumulation_steps=1).epoch(0))
        for r in range(2)
    ]
    assert [[a, b] for [a], [b] in zip(*ranks, strict=True)] == together


def test_no_dialogues_are_no_steps_and_an_error(tmp_path):
    manifest = write_split(tmp_path / "train", [], tokenizer=byte_tokenizer())
    with pytest.raises(UserError, match="0 dialogues, so 0 steps"):
        step_loader((tmp_path / "train", manifest))


def test_single_turns_are_counted_by_the_batches(tmp_path):
    dialogues = [encoded([[1, 2]]), encoded([[1], [2]])]
    manifest = write_split(tmp_path / "train", dialogues, tokenizer=byte_tokenizer())
    batches = [b for step in step_loader((tmp_path / "train", manifest)).epoch(0) for b in step]
    assert sum(batch.num_skipped for batch in batches) == 1
    assert sorted(i for batch in batches for i in batch.dialogue_indices) == [1]


def test_lengths_beyond_16_bits_are_kept(tmp_path):
    long = encoded([np.ones(70_000, int).tolist(), [2]])
    manifest = write_split(tmp_path / "train", [long], tokenizer=byte_tokenizer())
    assert ShardDataset(tmp_path / "train", manifest).row_lengths(80_000).tolist() == [70_003]


_HELD = """
import sys
from pathlib import Path
from dialogpt.config.training import BatchConfig, DataConfig
from dialogpt.data.loader import StepLoader
from dialogpt.data.manifest import read_manifest
from dialogpt.tokenization import load_tokenizer

folder = Path(sys.argv[1])
tokenizer = load_tokenizer(sys.argv[2])
held = []
loader = StepLoader(
    folder,
    read_manifest(folder, tokenizer=tokenizer),
    data=DataConfig(shards=str(folder.parent), max_seq_len=24, num_workers=1),
    batch=BatchConfig(micro_batch_tokens=96),
    direction="forward", rank=0, num_ranks=1, seed=5,
)
held.append(loader.epoch(0))
next(held[0])
held.append(held)
print("begun", flush=True)
sys.exit(7)
"""


def test_a_program_ends_though_something_holds_its_loader(split, tmp_path):
    # The worker ignores SIGTERM, by which Python ends it, and then waits for it.
    byte_tokenizer().save(tmp_path / "tokenizer")
    command = [sys.executable, "-c", _HELD, str(split[0]), str(tmp_path / "tokenizer")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (7, "begun\n"), done.stderr
