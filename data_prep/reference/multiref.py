"""Lines with ids and a list of ids -> the public code's multi-reference test set, byte for byte.

The list is its data/test-multi-refs-ids.txt: a line names the instances that answer one context,
with a score each. The first gives the context and the first reference; of the others those count
whose context reads the same. Whoever lacks a month of dumps lacks instances; the public code then
drops lines with no more than a message, here they are named.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dialogpt.command_line import UserError

_SCORE = re.compile(r"[0-9]+\|")


@dataclass(frozen=True, slots=True)
class MultiReferences:
    """A multi-reference test set, and what is not in it.

    Attributes:
        lines: of test.scored_refs.txt, each with its end.
        missing_contexts: ids of first instances that were not found; their lines are left out.
        missing_references: ids of other instances that were not found.
        other_contexts: ids of instances that answer something else than the first of their line.
    """

    lines: list[str]
    missing_contexts: list[str]
    missing_references: list[str]
    other_contexts: list[str]


@dataclass(frozen=True, slots=True)
class _ScoredId:
    score: str
    id: str


def multi_reference_lines(
    instance_lines: Iterable[str], key_lines: Iterable[str]
) -> MultiReferences:
    """The lines of test.scored_refs.txt.

    Args:
        instance_lines: lines that `conversations` made with `tsv_ids` and without `leaves_only`, of
            all months; of equal ids the last line counts.
        key_lines: lines of test-multi-refs-ids.txt.

    Raises:
        UserError: a line has another form.
    """
    wanted = [_scored_ids(line, number) for number, line in enumerate(key_lines, start=1)]
    ids = {scored.id for line in wanted for scored in line}
    found = _instances(instance_lines, ids)
    result = MultiReferences([], [], [], [])
    for first, *others in wanted:
        if first.id not in found:
            result.missing_contexts.append(first.id)
            continue
        context, response = found[first.id]
        cells = [context, f"{first.score}|{response}"]
        for other in others:
            other_context, response = found.get(other.id, (None, ""))
            if other_context is None:
                result.missing_references.append(other.id)
            elif other_context != context:
                result.other_contexts.append(other.id)
            else:
                cells.append(f"{other.score}|{response}")
        result.lines.append("\t".join(cells) + "\n")
    return result


def without_scores(lines: Sequence[str]) -> list[str]:
    """The lines of test.refs.txt, given those of test.scored_refs.txt."""
    return [_SCORE.sub("", line) for line in lines]


def _instances(lines: Iterable[str], ids: set[str]) -> dict[str, tuple[str, str]]:
    """Context and response of those instances that are wanted, in plain quotation marks."""
    found = {}
    for number, line in enumerate(lines, start=1):
        cells = line.rstrip().replace("“", '"').replace("”", '"').split("\t")
        if len(cells) != 3:
            raise UserError(
                f"line {number} of the instances: expected ids, context and response with tabs "
                f"between, found {line[:80]!r}; extract with tsv_ids"
            )
        if cells[0] in ids:
            found[cells[0]] = (cells[1], cells[2])
    return found


def _scored_ids(line: str, number: int) -> list[_ScoredId]:
    cells = line.rstrip().split("\t")[1:]
    scored = [_ScoredId(*cell.split(",", 1)) for cell in cells if "," in cell]
    if not scored or len(scored) != len(cells):
        raise UserError(
            f"line {number} of the list of references: expected multiref, SCORE,ID, SCORE,ID ... "
            f"with tabs between, found {line[:80]!r}; give the release's test-multi-refs-ids.txt"
        )
    return scored
