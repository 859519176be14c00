"""A whole run with recorded passes, without a GPU: it is told so, and learns what others learn."""

import json

import pytest
from support_recorded import Recorders
from support_train import merged, tiny_settings, train_here, write_shards

from dialogpt.run_log import read_metrics
from dialogpt.train import run, start
from dialogpt.train.step import Updater


@pytest.fixture
def recorders(monkeypatch):
    """Those of each updater that records."""
    made = []

    def updater(model, optimizer, *, record, **options):
        if record is not None:
            assert record is start.record_graph
            record = Recorders(model.parameters())
            made.append(record)
        return Updater(model, optimizer, record=record, **options)

    monkeypatch.setattr(start, "Updater", updater)
    return made


def losses_of(shards, folder):
    changes = {"max_steps": 12, "batch": {"layout": "packed", "micro_batch_tokens": 200}}
    changes["model"] = {"dropout": 0.0}  # these recordings compute, and so draw numbers
    assert train_here(merged(tiny_settings(shards, folder / "run"), changes), folder) == 0
    facts = json.loads((folder / "run" / "run.json").read_text())
    metrics = read_metrics(folder / "run")
    return facts["cuda_graphs"], [record["loss"] for record in metrics if "loss" in record]


def test_a_run_is_recorded_where_it_can_and_gains_by_it(tmp_path, monkeypatch, recorders):
    shards = write_shards(tmp_path / "shards")
    folders = [tmp_path / name for name in ("plain", "recorded", "large")]
    for folder in folders:
        folder.mkdir()
    is_recorded, expected = losses_of(shards, folders[0])
    assert not is_recorded
    assert not recorders

    asked = {}
    with_budget = run.with_budget

    def budget(*arguments, can_record, **options):
        asked["can_record"] = can_record
        return with_budget(*arguments, can_record=can_record, **options)

    monkeypatch.setattr(run, "can_record", lambda *arguments, **options: True)
    monkeypatch.setattr(run, "with_budget", budget)
    is_recorded, found = losses_of(shards, folders[1])
    assert is_recorded
    assert asked["can_record"]
    assert found == pytest.approx(expected, rel=1e-5)
    assert recorders[0].num_replays > 10

    monkeypatch.setattr(run, "most_tokens", lambda: 199)
    is_recorded, _ = losses_of(shards, folders[2])
    assert not is_recorded
    assert len(recorders) == 1
