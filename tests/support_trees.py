"""Threads with branches, as dialogues from root to leaf."""

import numpy as np
from hypothesis import strategies as st

from dialogpt.records import EncodedDialogue


def path(turns, keys, *, thread=1) -> EncodedDialogue:
    """A dialogue of token ids whose turns have keys; one word a token, two characters a token."""
    lengths = np.array([len(turn) for turn in turns], dtype=np.uint32)
    return EncodedDialogue(
        turns=tuple(np.array(turn, dtype=np.uint16) for turn in turns),
        speakers=np.zeros(len(turns), np.int8),
        num_words=lengths,
        num_chars=2 * lengths,
        turn_keys=np.array(keys, dtype=np.uint64),
        thread_key=thread,
    )


def paths_of(parents, texts, *, thread=1) -> list[EncodedDialogue]:
    """From root to each leaf, in the order of a walk; parents[i] < i, and -1 at roots."""
    answers = {number: [] for number in range(-1, len(parents))}
    for number, parent in enumerate(parents):
        answers[parent].append(number)
    found = []
    waiting = [[root] for root in reversed(answers[-1])]
    while waiting:
        way = waiting.pop()
        below = answers[way[-1]]
        waiting += [[*way, answer] for answer in reversed(below)]
        if not below:
            keys = [1000 * thread + number for number in way]
            found.append(path([texts[number] for number in way], keys, thread=thread))
    return found


def random_threads(count: int, *, seed: int, num_ids: int = 256) -> list[EncodedDialogue]:
    """Paths of threads of 2 to 12 turns of up to 12 tokens."""
    generator = np.random.default_rng(seed)
    found = []
    for thread in range(1, count + 1):
        size = int(generator.integers(2, 13))
        parents = [-1, *(int(generator.integers(0, number)) for number in range(1, size))]
        texts = [generator.integers(0, num_ids, generator.integers(0, 13)) for _ in parents]
        found += paths_of(parents, texts, thread=thread)
    return found


@st.composite
def threads(draw, max_threads=4, max_turns=10, max_tokens=12):
    """Paths of some threads in any order, some twice; single turns among them."""
    found = []
    for thread in range(1, draw(st.integers(1, max_threads)) + 1):
        size = draw(st.integers(1, max_turns))
        parents = [draw(st.integers(-1, number - 1)) for number in range(size)]
        text = st.lists(st.integers(0, 256), max_size=max_tokens)
        found += paths_of(parents, [draw(text) for _ in parents], thread=thread)
    return draw(st.permutations(found + found[: draw(st.integers(0, 2))]))
