"""python -m dialogpt.sweep: choose the learning rate by validation loss, over short runs."""

import sys
from collections.abc import Sequence
from importlib import import_module

from dialogpt.command_line import parse_config, run_command, split_options
from dialogpt.config.training import SweepConfig, TrainConfig

PROG = "python -m dialogpt.sweep"


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the sweep's options and the training's, sweep, and exit with its code."""
    words = sys.argv[1:] if argv is None else argv
    own, options = split_options(words, SweepConfig)
    sweep, _ = parse_config(SweepConfig, _words(own), prog=PROG)
    # A recipe may leave the training's folder to the command line, where --output is ours. Then it
    # is this one; options act in order, so a recipe that names a folder keeps it.
    fallback = f"{sweep.output}/best"
    with_fallback = [["--output", fallback], *options] if sweep.output else options
    training, resolved = parse_config(TrainConfig, _words(with_fallback), prog=PROG)
    if training.output == fallback:
        options = with_fallback

    def command() -> None:
        # Imported late: a misspelt option should not wait for what the sweep needs.
        sweep_rates = import_module("dialogpt.sweep.run").sweep_rates
        raise SystemExit(sweep_rates(sweep, training, resolved, options))

    run_command(command)


def _words(options: Sequence[Sequence[str]]) -> list[str]:
    return [word for option in options for word in option]


if __name__ == "__main__":
    main()
