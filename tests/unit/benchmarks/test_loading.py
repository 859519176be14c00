"""All programs of the benchmark of loading make rows of the same dialogues."""

import importlib.util
import multiprocessing
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loading import median_of, rates_of, section
from benchmarks.loading_data import fitted, row_of, write_stores
from benchmarks.loading_programs import Loaded, passes, programs
from benchmarks.memory import descendants, proportional_bytes
from benchmarks.training_data import EOS_ID, MAX_SEQ_LEN, made_up_dialogues
from dialogpt.records import IGNORE_INDEX

DIALOGUES = [fitted(dialogue) for _, dialogue in made_up_dialogues(300, seed=4)]
Row = tuple[tuple[int, ...], int]
"""Token ids, and how many are given and no targets."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    write_stores(DIALOGUES, folder, release=None)
    return folder


def rows_of(batch: Loaded) -> list[Row]:
    tensors = batch.tensors
    if "labels" in tensors:
        lengths = tensors["lengths"].tolist() if "lengths" in tensors else None
        assert lengths is None or sum(lengths) == batch.num_tokens
        lengths = lengths or _lengths(tensors["input_ids"].tolist())
        rows = zip(tensors["input_ids"], tensors["labels"], lengths, strict=True)
        return [
            (tuple(ids[:length].tolist()), length - int((labels != IGNORE_INDEX).sum()))
            for ids, labels, length in rows
        ]
    # The last token of a dialogue is a target alone: it has no place in a packed row.
    places, targets = tensors["target_places"].tolist(), tensors["targets"].tolist()
    starts = np.flatnonzero(tensors["positions"][: places[-1] + 1].numpy() == 0).tolist()
    found = []
    for start, end in zip(starts, [*starts[1:], places[-1] + 1], strict=True):
        learned = [
            target for place, target in zip(places, targets, strict=True) if start <= place < end
        ]
        ids = [*tensors["input_ids"][start:end].tolist(), learned[-1]]
        assert ids[-len(learned) :] == learned
        found.append((tuple(ids), len(ids) - len(learned)))
    return found


def _lengths(rows: list[list[int]]) -> list[int]:
    """Of rows that are padded with the end-of-turn id, of which one belongs to the row."""
    return [len(row) - _run_of_ends(row) + 1 for row in rows]


def _run_of_ends(row: list[int]) -> int:
    return next(i for i, token in enumerate(reversed(row)) if token != EOS_ID)


@pytest.mark.parametrize(
    "program", ["ours, packed", "ours, padded", "datasets", "mosaicml-streaming"]
)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_program_makes_a_row_of_every_dialogue(stores: Path, program: str, workers: int):
    if program == "mosaicml-streaming" and not importlib.util.find_spec("streaming"):
        pytest.skip("mosaicml-streaming is not installed")
    expected = Counter()
    for dialogue in DIALOGUES:
        ids, given = row_of(dialogue)
        expected[tuple(ids.tolist()), given] += 1
    batches = list(programs(None)[program](stores, workers)(0))
    assert Counter(row for batch in batches for row in rows_of(batch)) == expected
    assert sum(batch.num_tokens for batch in batches) == sum(
        len(row) * count for (row, _), count in expected.items()
    )


@pytest.mark.parametrize("program", ["ours, packed", "datasets"])
def test_workers_have_ended_when_their_time_is_taken(stores: Path, program: str):
    found = passes(lambda: programs(None)[program](stores, 1), 0.0)
    assert found["num_tokens"] > 0
    assert not multiprocessing.active_children()


def test_a_fitted_dialogue_is_the_row_that_training_sees():
    (_, long), *_ = [pair for pair in made_up_dialogues(300, seed=4) if _tokens(pair[1]) > 256]
    short = fitted(long)
    assert _tokens(short) <= MAX_SEQ_LEN < _tokens(long)
    assert fitted(short).turns[-1].tolist() == short.turns[-1].tolist()
    assert len(short.num_words) == len(short.turn_keys) == len(short.turns)


def _tokens(dialogue) -> int:
    return sum(map(len, dialogue.turns)) + len(dialogue.turns)


def test_stores_that_cannot_be_written_are_named_with_what_to_do(stores: Path):
    text = (stores / "stores.json").read_text()
    assert "--release" in text
    assert ("pip install mosaicml-streaming" in text) == (
        importlib.util.find_spec("streaming") is None
    )


def result(**changes: float) -> dict[str, float]:
    values = {"num_tokens": 900.0, "num_computed": 1000.0, "seconds": 2.0, "cpu_seconds": 3.0}
    values |= {"first_batch_seconds": 0.5, "peak_bytes": 2.0**21}
    return values | changes


def test_medians_are_of_each_number_by_itself():
    runs = [result(seconds=1, cpu_seconds=9), result(seconds=5, cpu_seconds=7), result()]
    assert median_of(runs) == result(seconds=2, cpu_seconds=7)


def test_a_run_of_more_passes_has_the_same_rates():
    twice = result(num_tokens=1800, num_computed=2000, seconds=4, cpu_seconds=6)
    assert rates_of(twice) == rates_of(result())
    assert median_of([rates_of(result()), rates_of(twice)]) == rates_of(result())


def test_the_table_has_rates_padding_and_the_ratio_to_the_release():
    ours, theirs = rates_of(result()), rates_of(result(cpu_seconds=6))
    medians = {("ours, packed", 2): ours, ("the release", 0): theirs}
    text = section(medians, {"bytes": {"ours": 5e6, "release": 1.2e6}}, ["A note"])
    assert "| ours, packed | 2 | 450 | 300 | 2.0 | 10% | 0.50 | 2 | 5.0 |" in text
    assert "| the release | 0 | 450 | 150 | 1.0 |" in text
    assert text.endswith("* A note")
    alone = section({("ours, packed", 2): ours}, {"bytes": {"ours": 5e6}}, [])
    assert "| 300 |  | 10% |" in alone


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has proportional sizes")
def test_the_peak_is_that_of_children_and_theirs_together(tmp_path: Path):
    hold = "x = b'1' * (40 << 20); import time; time.sleep({})"
    inner = (
        f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {hold.format(2)!r}])"
    )
    started = [sys.executable, "-c", f"{inner}; {hold.format(1)}; p.wait()"]
    # In a process of its own: this one has other children, started for other tests.
    measuring = (
        "import subprocess; from benchmarks.memory import PeakMemory\n"
        f"with PeakMemory() as memory: subprocess.run({started!r}, check=True)\n"
        "print(memory.peak_bytes)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measuring],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert 80 << 20 < int(done.stdout) < 160 << 20


def test_a_process_that_has_ended_holds_nothing():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert proportional_bytes(process.pid) == 0
    assert descendants(process.pid) == []
    assert process.pid not in descendants(os.getpid())
