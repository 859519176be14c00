"""python -m data_prep testset: a published test set from dumps and key lists, or one of a split.

docs/published-test-sets.md says what is needed, what is written, and what may be missing.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from data_prep.published import dstc7, reddit6k, split
from data_prep.published.config import TestsetConfig
from data_prep.stages import JsonObject
from dialogpt.command_line import parse_config, run_command
from dialogpt.folders import sole_use

DAMAGED = 3
"""Exit code when all is written, but a dump is damaged, so that only a part of it was searched."""

_PROG = "python -m data_prep testset"
_Kind = tuple[Callable[[TestsetConfig], JsonObject], Callable[[JsonObject], Iterator[str]]]
_KINDS: dict[str, _Kind] = {
    "reddit6k": (reddit6k.write_reddit6k, reddit6k.table_lines),
    "dstc7": (dstc7.write_dstc7, dstc7.table_lines),
    "split": (split.write_split, split.table_lines),
}


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config, _ = parse_config(TestsetConfig, argv, prog=_PROG)
    run_command(partial(_command, config))


def _command(config: TestsetConfig) -> None:
    write, table_lines = _KINDS[config.kind]
    with sole_use(Path(config.output)):
        report = write(config)
    print("\n".join(table_lines(report)))
    if report.get("damaged"):
        raise SystemExit(DAMAGED)
