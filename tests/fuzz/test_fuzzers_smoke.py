"""The fuzzers find nothing in a few hundred inputs; longer runs are started by hand: README.md."""

import importlib
from pathlib import Path

import pytest

RUNS = {
    "fuzz_lines": 400,
    "fuzz_turns": 300,
    "fuzz_trees": 120,
    "fuzz_dump": 400,
    "fuzz_reference": 200,
}


@pytest.mark.parametrize("name", RUNS)
def test_a_short_run_finds_no_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    harness, fuzzer = importlib.import_module("harness"), importlib.import_module(name)
    mutator = harness.mutations(fuzzer.SEEDS, fuzzer.WORDS, seed=7)
    assert harness.run_mutations(fuzzer.one_input, mutator, max_runs=RUNS[name]) == RUNS[name]
    assert mutator.num_kinds > 10
