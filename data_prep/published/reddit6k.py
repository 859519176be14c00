"""Lines of an extraction and a list of ids -> Reddit 6k, the multi-reference test set of DialoGPT.

The lines are those of preset `reference` with ids and the release's keys. The list has a line for
each context: a score and an instance for each reference, the highest score first.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.published.config import TestsetConfig
from data_prep.published.list_files import list_lines
from data_prep.reference.multiref import (
    MultiReferences,
    multi_reference_lines,
    without_scores,
)
from data_prep.stages import JsonObject
from dialogpt.command_line import UserError
from dialogpt.records import TestItem, write_json, write_text

_IDS = "the release's data/test-multi-refs-ids.txt"
_LINES = "YYYY-MM.tsv files of an extraction with preset reference"
_MONTH_FILE = re.compile(r"[0-9]{4}-[0-9]{2}\.tsv")
_SCORED_ID = re.compile(r"(-?[0-9]+),([^,\t]+),([^,\t]+),([^,\t]+)")


@dataclass(frozen=True, slots=True)
class ListedContext:
    """A line of the list.

    Attributes:
        number: of the line, from 1.
        line: as it is in the file, without its end.
        ids: its instances, "submission,parent,comment" each.
    """

    number: int
    line: str
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """A line of the extraction that the list names, and the month of its file."""

    line: str
    month: str


@dataclass(frozen=True, slots=True)
class WrittenContext:
    """What the release writes for a line of the list, and the same as an item.

    Attributes:
        found: its line of test.scored_refs.txt, if there is one, and what is missing.
        item: None where there is no line.
    """

    found: MultiReferences
    item: TestItem | None


def write_reddit6k(config: TestsetConfig) -> JsonObject:
    """Write test.scored_refs.txt, test.refs.txt, multiref.jsonl and report.json.

    Returns:
        The report: docs/published-test-sets.md says what is in it.

    Raises:
        UserError: a file is absent or has another form.
    """
    output = Path(config.output)
    listed = read_contexts(Path(config.ids))
    human = _human_answers(Path(config.human), listed) if config.human else None
    paths = _line_files(Path(config.lines))
    instances = read_instances(paths, {id_ for context in listed for id_ in context.ids})
    written = [write_context(context, instances, human) for context in listed]
    lines = [line for context in written for line in context.found.lines]
    write_text(output / "test.scored_refs.txt", "".join(lines))
    write_text(output / "test.refs.txt", "".join(without_scores(lines)))
    items = [context.item for context in written if context.item is not None]
    write_text(output / "multiref.jsonl", "".join(f"{item.to_json()}\n" for item in items))
    report = _report(listed, written, instances, [path.stem for path in paths])
    write_json(output / "report.json", report)
    return report


def read_contexts(path: Path) -> list[ListedContext]:
    """The lines of the list.

    Raises:
        UserError: the file is absent, or a line has another form.
    """
    contexts = []
    for number, line in list_lines(path, _IDS):
        cells = [_SCORED_ID.fullmatch(cell) for cell in line.split("\t")[1:]]
        ids = [",".join(cell.groups()[1:]) for cell in cells if cell is not None]
        if not ids or len(ids) != len(cells):
            raise UserError(
                f"{path}:{number}: expected multiref, SCORE,ID,ID,ID, SCORE,ID,ID,ID ... with tabs "
                f"between, found {line[:80]!r}; give {_IDS}"
            )
        contexts.append(ListedContext(number, line, tuple(ids)))
    return contexts


def _line_files(path: Path) -> list[Path]:
    """The files of lines, in the order of months."""
    if not path.is_dir():
        if path.exists():
            return [path]
        raise UserError(f"{path}: expected {_LINES}, found nothing; check --lines")
    paths = sorted(file for file in path.iterdir() if _MONTH_FILE.fullmatch(file.name))
    if not paths:
        others = sorted(file.name for file in path.glob("*.tsv"))
        raise UserError(
            f"{path}: expected {_LINES}, found {', '.join(others[:3]) or 'none'}; let --lines name "
            "the extraction's folder `reference`"
        )
    return paths


def read_instances(paths: Sequence[Path], ids: set[str]) -> dict[str, Instance]:
    """The lines of some instances; of equal ids the last line counts.

    Args:
        paths: files of lines.
        ids: of the instances.

    Raises:
        UserError: a line has another form.
    """
    instances = {}
    for path in paths:
        for number, line in list_lines(path, "lines of preset reference"):
            cells = line.split("\t", 3)
            if len(cells) != 3:
                raise UserError(
                    f"{path}:{number}: expected ids, context and response with tabs between, "
                    f"found {line[:80]!r}; extract with --reference.tsv_ids true"
                )
            if cells[0] in ids:
                instances[cells[0]] = Instance(line, path.stem)
    return instances


def _human_answers(path: Path, listed: Sequence[ListedContext]) -> list[str]:
    """What a person answered to each context."""
    try:
        answers = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: expected the release's human.ref.6k.txt, cannot read it ({error})"
        ) from error
    if len(answers) != len(listed):
        raise UserError(
            f"{path}: expected {len(listed):,} lines, one for each line of ids, found "
            f"{len(answers):,}; give the files of one release"
        )
    return answers


def write_context(
    context: ListedContext, instances: dict[str, Instance], human: Sequence[str] | None = None
) -> WrittenContext:
    """A line of the list as the release writes it, and as an item.

    Args:
        context: the line.
        instances: by id.
        human: what a person answered, to each line of the list.
    """
    there = [instances[id_].line for id_ in context.ids if id_ in instances]
    found = multi_reference_lines(there, [context.line])
    if not found.lines:
        return WrittenContext(found, None)
    lost = {*found.missing_references, *found.other_contexts}
    source, *cells = found.lines[0].removesuffix("\n").split("\t")
    references = [cell.partition("|") for cell in cells]
    first = context.ids[0]
    item = TestItem(
        # The first id would not do: some contexts have it in common.
        id=f"reddit6k-{context.number:04d}",
        turns=tuple(source.split(" EOS ")),
        references=tuple(text for _, _, text in references),
        reference_ids=tuple(_comment(id_) for id_ in context.ids if id_ not in lost),
        reference_scores=tuple(int(score) for score, _, _ in references),
        human=human[context.number - 1] if human else None,
        thread_id=first.split(",")[0],
        month=instances[first].month,
    )
    return WrittenContext(found, item)


def _comment(instance_id: str) -> str:
    return instance_id.rpartition(",")[2]


def _report(
    listed: Sequence[ListedContext],
    written: Sequence[WrittenContext],
    instances: dict[str, Instance],
    months: list[str],
) -> JsonObject:
    items = [context.item for context in written if context.item is not None]
    ids = {id_ for context in listed for id_ in context.ids}
    found = [context.found for context in written]
    per_line = Counter(len(item.references) for item in items)
    return {
        "kind": "reddit6k",
        "months": months,
        "contexts": {
            "listed": len(listed),
            "written": len(items),
            "with_all_references": sum(
                item is not None and len(item.references) == len(context.ids)
                for context, item in zip(listed, (c.item for c in written), strict=True)
            ),
        },
        "references": {
            "listed": sum(len(context.ids) for context in listed),
            "written": sum(len(item.references) for item in items),
        },
        "instances": {"listed": len(ids), "found": len(instances)},
        "references_per_context": {str(number): per_line[number] for number in sorted(per_line)},
        "missing_contexts": [id_ for of_line in found for id_ in of_line.missing_contexts],
        "missing_instances": sorted(ids - set(instances)),
        "other_contexts": sorted({id_ for of_line in found for id_ in of_line.other_contexts}),
    }


def table_lines(report: JsonObject) -> Iterator[str]:
    """The report for people."""
    contexts, references = report["contexts"], report["references"]
    yield f"months read: {', '.join(report['months'])}"
    yield f"{'':<12} {'listed':>9} {'written':>9}"
    for name, row in (("contexts", contexts), ("references", references)):
        yield f"{name:<12} {row['listed']:>9,} {row['written']:>9,}"
    if numbers := [int(number) for number in report["references_per_context"]]:
        mean = references["written"] / contexts["written"]
        yield f"references of a context: {min(numbers)} to {max(numbers)}, {mean:.1f} on average"
    if references["written"] < references["listed"]:
        yield (
            f"missing: {len(report['missing_instances']):,} of {report['instances']['listed']:,} "
            f"instances, {len(report['missing_contexts']):,} of them first ones, whose contexts "
            f"are left out; with another context: {len(report['other_contexts']):,}. Scores on "
            "what is left cannot be compared with published ones; report.json has the ids"
        )
