"""python -m data_prep extract: dumps -> reply trees -> filtered dialogues in Parquet.

Output folder:

    dialogues/<split>/part-*.parquet   see data_prep.dialogues; appears when all is done
    counts.json, counts.tsv            see data_prep.counts
    extract.yaml, plan.json            the options, and what the folder was made of
    work/                              while it runs: spills, markers, unfinished parts
"""

import shutil
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import orjson

from data_prep.config import ExtractConfig
from data_prep.counts import (
    MonthCounts,
    as_text,
    as_tsv,
    count_names,
    merged,
    require_sums,
    with_total,
)
from data_prep.dialogues import DIALOGUES_FOLDER
from data_prep.extract_plan import agree_on_plan, make_plan
from data_prep.extract_stages import BuildTask, ReadTask, SpillPart, build_partition, read_dump
from data_prep.filters import FilterSet
from data_prep.inventory import Inventory, take_inventory
from data_prep.stages import JsonObject, Stage, Unit, run_stage
from dialogpt.command_line import parse_config, run_command
from dialogpt.folders import sole_use
from dialogpt.records import write_json

DAMAGED_INPUT = 3
"""Exit code when all was written, but an archive could not be read to its end."""

_PROG = "python -m data_prep extract"


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config, resolved = parse_config(ExtractConfig, argv, prog=_PROG)
    run_command(partial(extract, config, resolved))


def extract(config: ExtractConfig, resolved: str) -> None:
    """Do what the config says, or the rest of it, and print the counts.

    Args:
        config: what to do.
        resolved: the config as YAML, to save beside the output.

    Raises:
        UserError: the dumps or the output folder are not as they should be.
        SystemExit: with DAMAGED_INPUT, after everything is written.
    """
    output = Path(config.output)
    inventory = take_inventory(Path(config.dumps))
    filters = FilterSet.from_config(config.filters)
    plan = make_plan(config, inventory)
    agree_on_plan(output / "plan.json", plan)
    (output / "extract.yaml").write_text(resolved, encoding="utf-8")
    if (output / DIALOGUES_FOLDER).exists():
        print(f"{output} is finished; nothing to do", file=sys.stderr)
    else:
        for note in _notes(inventory):
            print(f"note: {note}", file=sys.stderr)
        with sole_use(output):
            _run(config, inventory, filters, num_partitions=plan["settings"]["num_partitions"])
    if not config.keep_work_files:
        shutil.rmtree(output / "work", ignore_errors=True)
    damages = orjson.loads((output / "counts.json").read_bytes())["damaged_archives"]
    for damage in damages:
        print(f"warning: {damage}; what came before it is in the dialogues", file=sys.stderr)
    if damages:
        print(
            "warning: fetch the damaged files again and extract into another --output",
            file=sys.stderr,
        )
        raise SystemExit(DAMAGED_INPUT)


def _notes(inventory: Inventory) -> Iterable[str]:
    yield from inventory.notes
    if inventory.skipped:
        yield f"skipped what is not named RC_YYYY-MM or RS_YYYY-MM: {', '.join(inventory.skipped)}"


def _run(
    config: ExtractConfig, inventory: Inventory, filters: FilterSet, *, num_partitions: int
) -> None:
    """Both stages, from where they stopped; the counts; and last the dialogues' final name."""
    output = Path(config.output)
    work = output / "work"
    for unfinished in work.rglob("*.unfinished"):
        unfinished.unlink()
    readings = _read(config, inventory, work, num_partitions)
    parts = _build(config, inventory, work, readings, num_partitions)

    names = count_names(filters.reasons)
    no_counts: MonthCounts = {dump.month: {} for dump in inventory.dumps}
    counts = merged([no_counts, *(unit["counts"] for unit in (*readings, *parts))], names)
    require_sums(counts)
    text = as_text(counts)
    (output / "counts.tsv").write_text(as_tsv(counts), encoding="utf-8")
    write_json(
        output / "counts.json",
        {
            "months": with_total(counts),
            "damaged_archives": [unit["damage"] for unit in readings if unit["damage"]],
            "unusable_lines": _examples(readings),
            "missing": list(inventory.notes),
            "skipped": list(inventory.skipped),
        },
    )
    (work / DIALOGUES_FOLDER).rename(output / DIALOGUES_FOLDER)
    print(text, end="")


def _examples(readings: Sequence[JsonObject]) -> dict[str, list[str]]:
    """Reason -> the first unusable lines of each file."""
    examples: dict[str, list[str]] = {}
    for reading in readings:
        for reason, lines in reading["examples"].items():
            examples.setdefault(reason, []).extend(lines)
    return examples


def _spill(work: Path, month_and_kind: str) -> Path:
    return work / "spills" / f"{month_and_kind}.arrow"


def _read(
    config: ExtractConfig, inventory: Inventory, work: Path, num_partitions: int
) -> list[JsonObject]:
    (work / "spills").mkdir(parents=True, exist_ok=True)
    stage = Stage(label="read", measure="B", work=read_dump, markers=work / "markers" / "read")
    units = []
    for dump in inventory.dumps:
        name = f"{dump.kind}_{dump.month}"
        task = ReadTask(dump, _spill(work, name), num_partitions)
        units.append(Unit(name, task, dump.size))
    return run_stage(stage, units, num_workers=config.num_workers)


def _build(
    config: ExtractConfig,
    inventory: Inventory,
    work: Path,
    readings: Sequence[JsonObject],
    num_partitions: int,
) -> list[JsonObject]:
    parts: list[list[SpillPart]] = [[] for _ in range(num_partitions)]
    num_comments = [0] * num_partitions
    for dump, reading in zip(inventory.dumps, readings, strict=True):
        numbers: dict[int, list[int]] = {}
        for number, (partition, num_rows) in enumerate(reading["batches"]):
            numbers.setdefault(partition, []).append(number)
            num_comments[partition] += num_rows if dump.kind == "RC" else 0
        spill = _spill(work, f"{dump.kind}_{dump.month}")
        for partition, batch_numbers in numbers.items():
            parts[partition].append(SpillPart(spill, dump, tuple(batch_numbers)))
    stage = Stage(
        label="build",
        measure=" comments",
        work=build_partition,
        markers=work / "markers" / "build",
    )
    units = [
        Unit(
            f"part-{number:05d}",
            BuildTask(number, tuple(parts[number]), work / DIALOGUES_FOLDER, config),
            num_comments[number],
        )
        for number in range(num_partitions)
    ]
    return run_stage(stage, units, num_workers=config.num_workers)
