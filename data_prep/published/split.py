"""The dialogues of a split -> test items: the last turn of each answers those before it.

No published list selects them; it is how a test split of one's own data becomes something that
`dialogpt.decode` answers and `dialogpt.evaluate` scores.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from data_prep.dialogues import read_dialogues
from data_prep.published.config import TestsetConfig
from data_prep.stages import JsonObject
from dialogpt.command_line import UserError, require_folder
from dialogpt.records import TestItem, write_json, write_text

ITEMS, REPORT = "testset.jsonl", "report.json"


def write_split(config: TestsetConfig) -> JsonObject:
    """Write testset.jsonl and report.json.

    Returns:
        The report: dialogues read, those of one turn, which answer nothing, and items written.

    Raises:
        UserError: there are no such dialogues.
    """
    folder = Path(config.dialogues)
    require_folder(folder, "dialogues", "run `python -m data_prep extract` or `import` first")
    items, num_read = _items(folder, config)
    if not items:
        raise UserError(
            f"{folder}: expected dialogues of two turns and more in the split {config.split!r}, "
            f"found none among {num_read:,}; name another --split"
        )
    output = Path(config.output)
    write_text(output / ITEMS, "".join(f"{item.to_json()}\n" for item in items))
    report: JsonObject = {
        "split": config.split,
        "dialogues": num_read,
        "items": len(items),
        "with_knowledge": sum(bool(item.knowledge) for item in items),
    }
    write_json(output / REPORT, report)
    return report


def _items(folder: Path, config: TestsetConfig) -> tuple[list[TestItem], int]:
    """The items, of `max_items` a sample in the order of the files; and dialogues read.

    The sample is kept while reading (Vitter 1985, algorithm R), so memory holds no more than it.
    """
    draw = random.Random(config.seed)
    kept: list[tuple[int, TestItem]] = []
    num_read = num_items = 0
    for rows in read_dialogues(folder, config.split):
        num_read += len(rows)
        for item in _items_of(rows):
            if not config.max_items or len(kept) < config.max_items:
                kept.append((num_items, item))
            elif (place := draw.randint(0, num_items)) < config.max_items:
                kept[place] = (num_items, item)
            num_items += 1
    return [item for _, item in sorted(kept, key=lambda one: one[0])], num_read


def _items_of(rows: pa.RecordBatch) -> Iterator[TestItem]:
    for row in rows.to_pylist():
        if len(row["turns"]) > 1:
            yield _item(row)


def _item(row: dict[str, Any]) -> TestItem:
    *turn_ids, response_id = row["turn_ids"]
    return TestItem(
        id=response_id,
        turns=tuple(row["turns"][:-1]),
        speakers=tuple(row["speakers"][:-1]),
        turn_ids=tuple(turn_ids),
        references=(row["turns"][-1],),
        reference_ids=(response_id,),
        reference_scores=(row["score"],),
        thread_id=row["thread_id"],
        subreddit=row["subreddit"],
        month=row["month"],
        knowledge=tuple(row["knowledge"]),
    )


def table_lines(report: JsonObject) -> Iterator[str]:
    """The report for people."""
    yield f"dialogues of the split {report['split']}: {report['dialogues']:,}"
    yield f"items written: {report['items']:,}, {report['with_knowledge']:,} of them with knowledge"
