"""Small dumps, and extraction of them in this process."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_prep.dialogues import dialogues_of, read_dialogues
from data_prep.extract import main
from dialogpt.records import SPLITS, Dialogue

REAL_DUMPS = Path(__file__).parent.parent.parent / "shared" / "data" / "reddit"

needs_real_dumps = pytest.mark.skipif(
    not REAL_DUMPS.is_dir(), reason=f"real dumps are not at {REAL_DUMPS}"
)
NO_FILTERS = [
    *("--filters.frequent_words", ""),
    *("--filters.offensive_phrases", ""),
    *("--filters.excluded_subreddits", ""),
    *("--split.valid_fraction", "0"),
    *("--split.test_fraction", "0"),
]
"""Options for tests about trees: the short texts of such tests would not pass the filters."""


def comment(name: str, parent: str = "t3_t", **values: Any) -> dict[str, Any]:
    """A comment record; its text says which one it is."""
    return {
        "id": name,
        "link_id": "t3_t",
        "parent_id": parent,
        "author": f"author of {name}",
        "created_utc": 1_420_000_000,
        "score": 1,
        "subreddit": "test",
        "body": f"This is {name}",
        **values,
    }


def as_lines(records: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def write_dump(folder: Path, records: Iterable[dict[str, Any]], name: str = "RC_2015-01") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(as_lines(records))
    return path


def run_extract(dumps: Path, output: Path, *options: str) -> int:
    """The exit code of the command, run in this process."""
    argv = ["--dumps", str(dumps), "--output", str(output), "--num_workers", "1", *options]
    try:
        main(argv)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def all_dialogues(output: Path) -> Iterator[Dialogue]:
    for split in SPLITS:
        for batch in read_dialogues(output, split):
            yield from dialogues_of(batch)


def turn_ids_of(output: Path) -> list[str]:
    """Each dialogue as "a b c", the names of its comments, sorted."""
    return sorted(
        " ".join(turn_id.removeprefix("t1_") for turn_id in dialogue.turn_ids)
        for dialogue in all_dialogues(output)
    )


def counts_of(output: Path) -> dict[str, dict[str, int]]:
    """Month or "total" -> name -> number, names of 0 left out."""
    months = json.loads((output / "counts.json").read_bytes())["months"]
    return {
        month: {name: number for name, number in numbers.items() if number}
        for month, numbers in months.items()
    }


def results_of(output: Path) -> dict[str, str]:
    """Digest of every file that an extraction leaves, by its path in the output folder."""
    return {
        str(path.relative_to(output)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(output.rglob("*"))
        # extract.yaml names the output folder itself; work files are of no interest to users.
        if path.is_file() and path.name != "extract.yaml" and not _is_work(path, output)
    }


def _is_work(path: Path, output: Path) -> bool:
    return "work" in path.relative_to(output).parts
