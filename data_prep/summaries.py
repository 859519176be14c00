"""The small files beside the dialogues of an extraction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from data_prep.counts import MonthCounts, as_tsv, with_total
from data_prep.inventory import Inventory
from data_prep.rejects import Example
from dialogpt.records import as_json

_TOP_TRIGRAMS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What an extraction has to tell.

    Attributes:
        inventory: of the dumps.
        counts: of everything.
        damages: what is wrong with archives.
        unusable: reason -> the first unusable lines.
        examples: of what was dropped and kept.
        frequent: the frequent trigrams with their counts, or None if nobody counted.
    """

    inventory: Inventory
    counts: MonthCounts
    damages: Sequence[str] = ()
    unusable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    examples: Sequence[Example] = ()
    frequent: pa.Table | None = None


def summary_files(findings: Findings) -> dict[str, str]:
    """Name -> text of the small files."""
    files = {
        "counts.tsv": as_tsv(findings.counts),
        "counts.json": as_json(
            {
                "months": with_total(findings.counts),
                "damaged_archives": list(findings.damages),
                "unusable_lines": findings.unusable,
                "missing": list(findings.inventory.notes),
                "skipped": list(findings.inventory.skipped),
            }
        ),
        "examples.json": as_json(findings.examples),
    }
    if findings.frequent is not None:
        files["frequent_trigrams.tsv"] = _trigram_lines(findings.frequent)
    return files


def _trigram_lines(frequent: pa.Table) -> str:
    """The trigrams that are seen most, one a line with its count."""
    top = frequent.sort_by([("count", "descending"), ("trigram", "ascending")])
    rows = top.slice(0, _TOP_TRIGRAMS).to_pylist()
    return "".join(f"{row['trigram']}\t{row['count']}\n" for row in rows)
