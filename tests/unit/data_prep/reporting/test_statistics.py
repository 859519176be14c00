from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from data_prep.dialogues import DialogueWriter, part_files
from data_prep.reporting.overview import overview_of
from data_prep.reporting.texts import TextSample, text_statistics
from dialogpt.command_line import UserError
from dialogpt.records import SPLITS
from dialogpt.tokenization import load_tokenizer

WORDS = ["yes", "no", "well,", "Ünï", "I'm", "日本", "ok!"]


def rows_of(seed: int, number: int, split: str) -> list[dict]:
    generator = np.random.default_rng([seed, SPLITS.index(split)])
    rows = []
    for _ in range(number):
        num_turns = int(generator.integers(1, 6))
        turns = [
            " ".join(generator.choice(WORDS, generator.integers(1, 5))) for _ in range(num_turns)
        ]
        thread = int(generator.integers(0, 40))
        rows.append(
            {
                "turns": turns,
                "speakers": [int(s) for s in generator.integers(-1, min(num_turns, 3), num_turns)],
                "turn_ids": [f"t1_{n}" for n in range(num_turns)],
                "thread_id": f"t3_{split}_{thread}",
                "subreddit": f"sub{int(generator.geometric(0.3))}",
                "month": str(generator.choice(["2015-01", "2015-02", ""])),
                "created_utc": 0,
                "score": int(generator.integers(-9, 999)),
                "knowledge": ["a fact"] * int(generator.integers(0, 3)),
            }
        )
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in range(2):
        with DialogueWriter(tmp_path / "dialogues", part) as writer:
            for split, number in (("train", 300), ("valid", 20), ("test", 0)):
                for row in rows_of(part, number, split):
                    writer.write(split, row)
    return tmp_path


def parts_of(folder: Path) -> dict:
    return {split: part_files(folder, split) for split in SPLITS}


def all_rows() -> list[dict]:
    return [
        row
        for split, number in (("train", 300), ("valid", 20))
        for part in range(2)
        for row in rows_of(part, number, split)
    ]


def counter_of(distribution) -> Counter:
    return Counter(dict(distribution.items()))


ALL = TextSample(max_rows=0, max_tokenized=10_000, num_kept=3)


def test_the_overview_counts_what_a_loop_over_the_rows_counts(folder):
    found, rows = overview_of(parts_of(folder)), all_rows()
    assert found.num_dialogues == {"train": 600, "valid": 40, "test": 0}
    assert counter_of(found.num_turns) == Counter(len(row["turns"]) for row in rows)
    assert counter_of(found.num_speakers) == Counter(max(row["speakers"]) + 1 for row in rows)
    assert found.num_unknown_speakers == sum(s == -1 for row in rows for s in row["speakers"])
    assert counter_of(found.scores) == Counter(row["score"] for row in rows)
    assert found.subreddits == Counter(row["subreddit"] for row in rows)
    assert found.months == Counter(row["month"] for row in rows)
    assert found.shared_threads == set()


def test_the_texts_count_what_a_loop_over_the_rows_counts(folder):
    tokenizer = load_tokenizer("gpt2")
    found, rows = text_statistics(parts_of(folder), ALL, tokenizer), all_rows()
    assert not found.is_sample
    turns = [turn for row in rows for turn in row["turns"]]
    assert counter_of(found.turn_words) == Counter(len(turn.split()) for turn in turns)
    whole = [" ".join(row["turns"]) for row in rows]
    assert counter_of(found.dialogue_words) == Counter(len(text.split()) for text in whole)
    responses = Counter(row["turns"][-1] for row in rows)
    assert counter_of(found.response_words) == Counter(
        len(row["turns"][-1].split()) for row in rows
    )
    assert counter_of(found.num_knowledge) == Counter(len(row["knowledge"]) for row in rows)
    tokens = [sum(1 + len(ids) for ids in tokenizer.encode_batch(row["turns"])) for row in rows]
    assert counter_of(found.dialogue_tokens) == Counter(tokens)
    ordered = sorted(responses.items(), key=lambda item: (-item[1], item[0].encode()))
    assert found.responses == ordered[:20]


def test_responses_are_counted_alike_when_they_are_put_together_again_and_again(
    folder, monkeypatch
):
    at_once = text_statistics(parts_of(folder), ALL, None).responses
    monkeypatch.setattr("data_prep.reporting.texts._ROWS_HELD", 7)
    assert text_statistics(parts_of(folder), ALL, None).responses == at_once


def test_what_was_said_once_is_not_frequent(tmp_path):
    row = {**rows_of(0, 1, "train")[0], "turns": ["hello"], "speakers": [0], "turn_ids": ["t1_a"]}
    with DialogueWriter(tmp_path / "dialogues", 0) as writer:
        for text in ("once", "twice", "twice"):
            writer.write("train", {**row, "turns": [text]})
    assert text_statistics(parts_of(tmp_path), ALL, None).responses == [("twice", 2)]


def test_a_sample_has_the_size_asked_for_and_says_that_it_is_one(folder):
    sample = TextSample(max_rows=100, max_tokenized=10, num_kept=3)
    found = text_statistics(parts_of(folder), sample, load_tokenizer("gpt2"))
    assert found.is_sample
    assert (found.num_rows, found.num_all_rows, found.dialogue_words.total) == (100, 640, 100)
    assert found.dialogue_tokens.total == 10


def test_dialogues_to_show_are_rows_of_the_files_from_all_over(folder):
    found = text_statistics(parts_of(folder), ALL, None)
    rows = all_rows()
    assert len(found.kept) == 3
    for shown in found.kept:
        assert any(
            all(row[name] == shown[name] for name in shown if name != "split") for row in rows
        )
    assert len({shown["thread_id"] for shown in found.kept}) > 1


def test_a_thread_in_two_splits_is_found_in_whatever_parts_it_is(tmp_path):
    for part, (split, other) in enumerate(
        [("train", "valid"), ("test", "train"), ("valid", "test")]
    ):
        with DialogueWriter(tmp_path / "dialogues", part) as writer:
            for number in range(part, part + 2):
                row = rows_of(0, 1, "train")[0]
                writer.write(split, {**row, "thread_id": f"t3_{number}"})
                writer.write(other, {**row, "thread_id": f"t3_alone_{part}_{other}"})
    found = overview_of(parts_of(tmp_path))
    # Part 0: 0 and 1 in train; part 1: 1 and 2 in test; part 2: 2 and 3 in valid.
    assert found.shared_threads == {"t3_1", "t3_2"}


def test_a_damaged_file_is_named(folder):
    path = folder / "dialogues" / "train" / "part-00001.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"part-00001\.parquet"):
        overview_of(parts_of(folder))
