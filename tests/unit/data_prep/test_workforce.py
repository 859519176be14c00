from pathlib import Path

import pytest

from data_prep import native, workforce
from data_prep.config import ExtractConfig
from data_prep.inventory import DumpFile, Inventory
from data_prep.stages import Workers
from data_prep.thread_workers import ThreadWorkers
from data_prep.workforce import FEW_CORES, SMALL_DUMPS, share_out, workers_for


def dump(size: int, kind: str = "RC") -> DumpFile:
    return DumpFile(Path(f"{kind}_2015-01.zst"), kind, "2015-01", size)  # type: ignore[arg-type]


def kind_of_workers(size: int = SMALL_DUMPS, *, preset: str = "reference", num: int = 2) -> type:
    config = ExtractConfig(dumps="d", output="o", preset=preset, num_workers=num)
    with workers_for(config, Inventory((dump(size - 1), dump(1, "RS")), (), ())) as workers:
        assert workers.num_workers == num
        return type(workers)


def test_threads_do_small_dumps_where_the_loops_are_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "compiled", native)
    assert kind_of_workers() is ThreadWorkers
    assert kind_of_workers(num=FEW_CORES) is ThreadWorkers
    assert kind_of_workers(num=FEW_CORES + 1) is Workers
    assert kind_of_workers(SMALL_DUMPS + 1) is Workers
    assert kind_of_workers(preset="paper") is Workers
    monkeypatch.setattr(native, "compiled", None)
    assert kind_of_workers() is Workers


def test_every_core_of_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "compiled", native)
    config = ExtractConfig(dumps="d", output="o", preset="reference")
    for cores, suffice in ((FEW_CORES, True), (FEW_CORES + 1, False)):
        monkeypatch.setattr(workforce, "num_cores", lambda cores=cores: cores)
        assert workforce.threads_suffice(config, Inventory((dump(1),), (), ())) is suffice


def test_large_dumps_are_read_by_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = [dump(700), dump(100), dump(1)]
    monkeypatch.setattr(native, "compiled", native)
    assert share_out(dumps, 8) == (8, [7, 1, 1])
    assert share_out(dumps, FEW_CORES) == (1, [FEW_CORES] * 3)
    monkeypatch.setattr(native, "compiled", None)
    assert share_out(dumps, 8) == (8, [1, 1, 1])
