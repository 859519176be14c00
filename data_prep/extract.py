"""python -m data_prep extract: dumps -> reply trees -> filtered dialogues in Parquet.

Output folder; docs/dialogues.md says more:

    dialogues/<split>/part-*.parquet   see data_prep.dialogues
    testset/multiref.jsonl             contexts with several references
    rejects/*.parquet                  what was dropped, if that is wanted
    counts.json, counts.tsv            see data_prep.counts
    examples.json                      some dialogues of each fate
    manifest.json                      what all that was made of; written last
    extract.yaml                       the options
    work/                              spills, candidates and markers, for another run
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from data_prep.config import ExtractConfig
from data_prep.inventory import take_inventory
from data_prep.pandas_import import keep_pandas_out
from data_prep.stages import import_for_workers
from data_prep.workforce import threads_suffice
from dialogpt.command_line import parse_config, run_command

DAMAGED_INPUT = 3
"""Exit code when all was written, but an archive could not be read to its end."""

_PROG = "python -m data_prep extract"


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config, resolved = parse_config(ExtractConfig, argv, prog=_PROG)
    run_command(partial(extract, config, resolved))


def extract(config: ExtractConfig, resolved: str) -> None:
    """Do what the config says, or what is left of it, and print the counts.

    Args:
        config: what to do.
        resolved: the config as YAML, to save beside the output.

    Raises:
        UserError: the dumps or the output folder are not as they should be.
        SystemExit: with DAMAGED_INPUT, after everything is written.
    """
    # The engines are imported here: a mistake in the options is told at once, and the processes
    # import them at the same time as this one.
    if config.engine == "spark":
        from data_prep.spark.entry import extract_with_spark

        damages = extract_with_spark(config, config.spark, resolved, master=config.master)
    else:
        inventory = take_inventory(Path(config.dumps))
        if config.num_workers != 1 and not threads_suffice(config, inventory):
            import_for_workers("data_prep.extract_run")
        keep_pandas_out("data_prep")
        from data_prep.extract_local import extract_locally

        damages = extract_locally(config, inventory, resolved, prog=_PROG)
    _report_damage(damages)


def _report_damage(damages: Sequence[str]) -> None:
    for damage in damages:
        print(f"warning: {damage}; what came before it is in the dialogues", file=sys.stderr)
    if damages:
        print(
            "warning: fetch the damaged files again, put them in the place of the others, and give "
            "the same command",
            file=sys.stderr,
        )
        raise SystemExit(DAMAGED_INPUT)
