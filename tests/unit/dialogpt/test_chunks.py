from dataclasses import fields, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support_train import encoded

from dialogpt.data.chunks import Chunk, gather, in_columns, pack_chunk, unpack_chunk

VOCAB_SIZE = 60_001

segments = st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=6)


@st.composite
def dialogue_strategy(draw):
    dialogue = encoded(
        draw(st.lists(segments, min_size=1, max_size=4)), key=draw(st.integers(0, 2**40))
    )
    knowledge = draw(st.lists(segments, max_size=2))
    return replace(dialogue, knowledge=tuple(np.array(s, np.uint16) for s in knowledge))


def as_values(dialogue):
    plain = {
        name: np.asarray(getattr(dialogue, name)).tolist()
        for name in ("speakers", "num_words", "num_chars", "turn_keys", "thread_key")
    }
    pieces = {
        name: [piece.tolist() for piece in getattr(dialogue, name)]
        for name in ("turns", "knowledge")
    }
    return plain | pieces


@given(st.lists(st.lists(dialogue_strategy(), min_size=1, max_size=4), min_size=1), st.data())
def test_dialogues_gathered_from_chunks_are_the_ones_asked_for_in_that_order(parts, data):
    places = [(part, place) for part, part_of in enumerate(parts) for place in range(len(part_of))]
    wanted = data.draw(st.lists(st.sampled_from(places), max_size=8))
    chunks = [unpack_chunk(pack_chunk(part, VOCAB_SIZE), VOCAB_SIZE) for part in parts]
    starts = [chunk.starts().tolist() for chunk in chunks]
    gathered = gather([(chunks[part], starts[part], place) for part, place in wanted])
    assert len(gathered) == len(wanted)
    expected = [as_values(parts[part][place]) for part, place in wanted]
    assert list(map(as_values, gathered.dialogues())) == expected


@given(st.lists(dialogue_strategy(), min_size=1, max_size=5))
def test_columns_are_what_is_read_back_from_a_chunk(dialogues):
    columns = in_columns(dialogues)
    read = unpack_chunk(pack_chunk(dialogues, VOCAB_SIZE), VOCAB_SIZE)
    for field in fields(Chunk):
        one, other = getattr(columns, field.name), getattr(read, field.name)
        assert one.dtype == other.dtype, field.name
        assert one.tolist() == other.tolist(), field.name


def test_no_dialogues_are_a_chunk_without_any():
    for empty in (in_columns([]), gather([])):
        assert len(empty) == 0
        assert list(empty.dialogues()) == []
        assert empty.starts().tolist() == [[0, 0, 0]]
