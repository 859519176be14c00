"""Dialogues for the benchmark of training: those of shards, or made-up ones of like lengths."""

from pathlib import Path

import numpy as np

from dialogpt.config.training import Layout
from dialogpt.data.dataset import IndexedDialogue, ShardDataset
from dialogpt.data.manifest import read_manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner
from dialogpt.data.shards import num_shared_tokens
from dialogpt.records import EncodedDialogue
from dialogpt.tokenization import load_tokenizer

VOCAB_SIZE = 50257
EOS_ID = 50256
MAX_SEQ_LEN = 256
_MEAN_LOG_TOKENS, _SPREAD = 3.35, 0.85
# Of a turn's tokens. Two to five turns of such lengths, cut to 256, make dialogues of 115 tokens.


def dialogues_of(shards: Path, number: int) -> list[IndexedDialogue]:
    """The first dialogues of the training split."""
    tokenizer = load_tokenizer(str(shards / "tokenizer"))
    manifest = read_manifest(shards / "train", tokenizer=tokenizer)
    dataset = ShardDataset(shards / "train", manifest)
    return [dataset[index] for index in range(min(number, len(dataset)))]


def made_up_dialogues(number: int, seed: int = 0) -> list[IndexedDialogue]:
    """Dialogues of random tokens: how fast a step is does not depend on which they are."""
    generator = np.random.default_rng(seed)
    dialogues = []
    for index in range(number):
        num_turns = 2 + min(3, int(generator.geometric(0.5)) - 1)
        sizes = generator.lognormal(_MEAN_LOG_TOKENS, _SPREAD, num_turns).astype(int) + 1
        turns = tuple(generator.integers(0, EOS_ID, size).astype(np.uint16) for size in sizes)
        dialogues.append((index, _encoded(turns)))
    return dialogues


def _encoded(turns: tuple[np.ndarray, ...]) -> EncodedDialogue:
    words = np.array([len(turn) for turn in turns], np.uint32)
    return EncodedDialogue(
        turns=turns,
        speakers=np.zeros(len(turns), np.int8),
        num_words=words,
        num_chars=words,
        turn_keys=np.zeros(len(turns), np.uint64),
        thread_key=0,
    )


def micro_batches(
    dialogues: list[IndexedDialogue], *, tokens: int, layout: Layout, rows: int = 0
) -> list[list[IndexedDialogue]]:
    """The dialogues as the planner deals them; the last one, which is not full, is left out."""
    lengths = np.array([sum(map(len, d.turns)) + len(d.turns) for _, d in dialogues])
    limits = BatchLimits(
        micro_batch_tokens=tokens, packed=layout != "padded", max_micro_batch_size=rows
    )
    planner = BatchPlanner(
        np.minimum(lengths, MAX_SEQ_LEN),
        np.array([0, len(dialogues)]),
        limits=limits,
        seed=0,
        shared=_shared(dialogues, lengths) if layout == "tree" else None,
    )
    steps = [[dialogues[index] for index in step[0]] for step in planner.steps(0)]
    return steps[:-1]


def _shared(dialogues: list[IndexedDialogue], lengths: np.ndarray) -> np.ndarray:
    """What the shards' index says of neighbours; see `dialogpt.data.dataset`."""
    pairs = zip([None, *(d for _, d in dialogues)], (d for _, d in dialogues), strict=False)
    shared = np.array([num_shared_tokens(before, dialogue) for before, dialogue in pairs])
    is_whole = lengths <= MAX_SEQ_LEN
    return np.where(is_whole & np.roll(is_whole, 1), shared, 0)
