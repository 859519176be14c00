import json
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_train import byte_tokenizer, encoded, made_up_dialogues, write_split

from dialogpt.command_line import UserError
from dialogpt.data.chunks import token_dtype
from dialogpt.data.manifest import MANIFEST_FILE, finished_shard, read_manifest, verify_checksums
from dialogpt.data.shards import ShardReader, ShardWriter
from dialogpt.records import EncodedDialogue

TOKENIZER = byte_tokenizer()


@st.composite
def encoded_dialogues(draw):
    """Any turns, empty ones too, with knowledge and the extremes of every column."""
    ids = st.lists(st.integers(0, TOKENIZER.vocab_size - 1), max_size=8)
    turns = draw(st.lists(ids, min_size=1, max_size=5))
    count = len(turns)

    def column(low, high, dtype):
        values = st.lists(st.integers(low, high), min_size=count, max_size=count)
        return np.array(draw(values), dtype=dtype)

    return EncodedDialogue(
        turns=tuple(np.array(turn, dtype=np.uint16) for turn in turns),
        speakers=column(-1, 127, np.int8),
        num_words=column(0, 2**32 - 1, np.uint32),
        num_chars=column(0, 2**32 - 1, np.uint32),
        turn_keys=column(0, 2**64 - 1, np.uint64),
        thread_key=draw(st.integers(0, 2**64 - 1)),
        knowledge=tuple(
            np.array(piece, dtype=np.uint16) for piece in draw(st.lists(ids, max_size=3))
        ),
    )


def as_values(dialogue):
    return (
        [turn.tolist() for turn in dialogue.turns],
        [piece.tolist() for piece in dialogue.knowledge],
        dialogue.speakers.tolist(),
        dialogue.num_words.tolist(),
        dialogue.num_chars.tolist(),
        dialogue.turn_keys.tolist(),
        dialogue.thread_key,
    )


def read_all(folder, manifest):
    found = []
    for shard in manifest.shards:
        reader = ShardReader(folder, shard, vocab_size=manifest.vocab_size)
        for number in range(shard.num_chunks):
            found += reader.read_chunk(number).dialogues()
        reader.close()
    return found


@settings(deadline=None, max_examples=30)
@given(
    dialogues=st.lists(encoded_dialogues(), min_size=1, max_size=9),
    chunk_dialogues=st.integers(1, 4),
    num_shards=st.integers(1, 3),
)
def test_what_is_written_is_read(tmp_path_factory, dialogues, chunk_dialogues, num_shards):
    folder = tmp_path_factory.mktemp("shards") / "train"
    write_split(
        folder,
        dialogues,
        tokenizer=TOKENIZER,
        num_shards=num_shards,
        chunk_dialogues=chunk_dialogues,
    )
    manifest = read_manifest(folder, tokenizer=TOKENIZER)
    verify_checksums(folder, manifest)
    found = read_all(folder, manifest)
    assert list(map(as_values, found)) == list(map(as_values, dialogues))
    assert manifest.num_dialogues == len(dialogues)
    assert manifest.num_tokens == sum(len(turn) for d in dialogues for turn in d.turns)
    sizes = [(sum(map(len, d.turns)) + len(d.turns), sum(map(len, d.knowledge))) for d in dialogues]
    readers = [ShardReader(folder, shard, vocab_size=257) for shard in manifest.shards]
    assert [tuple(row[:2]) for reader in readers for row in reader.sizes.tolist()] == sizes


@pytest.fixture
def split(tmp_path):
    folder = tmp_path / "train"
    return folder, write_split(folder, made_up_dialogues(20, seed=0), tokenizer=TOKENIZER)


def test_chunks_have_the_size_that_the_manifest_says(split):
    folder, manifest = split
    (shard,) = manifest.shards
    reader = ShardReader(folder, shard, vocab_size=257)
    sizes = [len(reader.read_chunk(number)) for number in range(shard.num_chunks)]
    assert sizes == [8, 8, 4]
    assert shard.chunk_dialogues == 8


def test_the_same_input_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_split(tmp_path / name, made_up_dialogues(20, seed=0), tokenizer=TOKENIZER)
    files = [path.name for path in (tmp_path / "one").iterdir() if path.name != MANIFEST_FILE]
    assert len(files) == 3
    for name in files:
        one, two = ((tmp_path / run / name).read_bytes() for run in ("one", "two"))
        assert one == two


def test_a_reader_can_be_sent_to_another_process_after_it_has_read(split):
    folder, manifest = split
    reader = ShardReader(folder, manifest.shards[0], vocab_size=257)
    first = list(map(as_values, reader.read_chunk(0).dialogues()))
    sent = pickle.loads(pickle.dumps(reader))  # as multiprocessing does
    reader.close()  # within one process LMDB opens a file only once
    assert list(map(as_values, sent.read_chunk(0).dialogues())) == first


def test_a_closed_reader_opens_again(split):
    folder, manifest = split
    reader = ShardReader(folder, manifest.shards[0], vocab_size=257)
    reader.read_chunk(0)
    reader.close()
    assert len(reader.read_chunk(1)) == 8


def test_the_database_grows_beyond_its_first_64_mib(tmp_path):
    writer = ShardWriter(tmp_path, "shard-00000", tokenizer=TOKENIZER, chunk_dialogues=1)
    generator = np.random.default_rng(0)  # noise: it must not compress away
    noise = [generator.integers(0, 257, size=6_000_000).astype(np.uint16) for _ in range(11)]
    for ids in noise:
        turns = encoded([[1]])
        writer.add(
            EncodedDialogue(
                turns=(ids,),
                speakers=turns.speakers,
                num_words=turns.num_words,
                num_chars=turns.num_chars,
                turn_keys=turns.turn_keys,
                thread_key=0,
            )
        )
    info = writer.close()
    assert info.num_bytes > 64 * 2**20
    reader = ShardReader(tmp_path, info, vocab_size=257)
    for number, ids in enumerate(noise):
        (dialogue,) = reader.read_chunk(number).dialogues()
        assert np.array_equal(dialogue.turns[0], ids)


def test_ids_of_a_large_vocabulary_take_32_bits():
    assert token_dtype(2**16) == np.uint16
    assert token_dtype(2**16 + 1) == np.uint32


@pytest.mark.parametrize("ids", [[257], [5, 300, 1]])
def test_an_id_outside_the_vocabulary_is_an_error(tmp_path, ids):
    writer = ShardWriter(tmp_path, "shard-00000", tokenizer=TOKENIZER, chunk_dialogues=1)
    with pytest.raises(ValueError, match=r"must lie in \[0, 257\)"):
        writer.add(encoded([ids, [1]]))


def test_nothing_counts_as_finished_before_it_is_closed(tmp_path):
    writer = ShardWriter(tmp_path, "shard-00000", tokenizer=TOKENIZER, chunk_dialogues=1)
    writer.add(encoded([[1], [2]]))
    assert finished_shard(tmp_path, "shard-00000") is None
    assert not (tmp_path / "shard-00000.lmdb").exists()
    assert writer.close() == finished_shard(tmp_path, "shard-00000")


def test_a_killed_writers_rest_is_written_over(tmp_path):
    abandoned = ShardWriter(tmp_path, "shard-00000", tokenizer=TOKENIZER, chunk_dialogues=1)
    abandoned.add(encoded([[9], [9]]))
    abandoned._environment.close()
    writer = ShardWriter(tmp_path, "shard-00000", tokenizer=TOKENIZER, chunk_dialogues=1)
    writer.add(encoded([[1], [2]]))
    info = writer.close()
    reader = ShardReader(tmp_path, info, vocab_size=257)
    assert info.num_chunks == 1
    assert [d.turns[0].tolist() for d in reader.read_chunk(0).dialogues()] == [[1]]


def change_manifest(folder, **changes):
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "found"), [({"version": 3}, "version 3"), ({"format": "other"}, "found other")]
)
def test_another_version_or_format_is_refused(split, changes, found):
    folder, _ = split
    change_manifest(folder, **changes)
    with pytest.raises(UserError, match=found):
        read_manifest(folder)


def test_no_manifest_means_unfinished(split):
    folder, _ = split
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(UserError, match="expected the manifest of finished shards, found none"):
        read_manifest(folder)


def test_another_tokenizer_is_refused_with_both_fingerprints(split):
    folder, _ = split
    other = byte_tokenizer(num_extra=1)
    message = f"{TOKENIZER.fingerprint} .257 ids., this is gpt2 {other.fingerprint} .258 ids."
    with pytest.raises(UserError, match=message):
        read_manifest(folder, tokenizer=other)


def test_a_missing_or_cut_file_is_noticed_at_once(split):
    folder, manifest = split
    path = folder / "shard-00000.lmdb"
    content = path.read_bytes()
    path.write_bytes(content[:-4096])
    with pytest.raises(UserError, match=f"expected {len(content)} bytes"):
        read_manifest(folder)
    path.unlink()
    with pytest.raises(UserError, match="found no file"):
        read_manifest(folder)
    with pytest.raises(UserError, match="missing; write the shards again"):
        ShardReader(folder, manifest.shards[0], vocab_size=257).read_chunk(0)


def test_a_missing_index_is_an_error(split):
    folder, manifest = split
    (folder / "shard-00000.sizes.npy").unlink()
    with pytest.raises(UserError, match=r"sizes\.npy: missing"):
        _ = ShardReader(folder, manifest.shards[0], vocab_size=257).sizes


def test_damaged_bytes_are_noticed_by_the_chunk_and_by_the_checksums(split):
    folder, manifest = split
    path = folder / "shard-00000.lmdb"
    content = bytearray(path.read_bytes())
    # The magic number of zstd; LMDB keeps outdated copies of its pages, so every frame is damaged.
    for frame in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), bytes(content)):
        content[frame.start() + 20] ^= 0xFF
    path.write_bytes(content)
    reader = ShardReader(folder, manifest.shards[0], vocab_size=257)
    with pytest.raises(UserError, match="chunk 0 is damaged"):
        reader.read_chunk(0)
    with pytest.raises(UserError, match=r"the file is damaged"):
        verify_checksums(folder, manifest)


def test_a_chunk_that_is_not_there_is_an_error(split):
    folder, manifest = split
    with pytest.raises(UserError, match="expected 3 chunks, found no chunk 3"):
        ShardReader(folder, manifest.shards[0], vocab_size=257).read_chunk(3)
