"""python -m dialogpt.humaneval make|collect|analyze [options]: a study with human judges."""

import sys
from importlib import import_module
from typing import Any

from dialogpt.command_line import UserError, parse_config, printable, run_command
from dialogpt.config.humaneval import AnalyzeConfig, CollectConfig, MakeConfig
from dialogpt.records import RecordError

STEPS = {
    "make": "draw items from the replies of systems, and write a page for each judge",
    "collect": "merge the files that judges sent back, and check them",
    "analyze": "preferences or ratings, how sure they are, and how far judges agree",
}
"""Step -> what it does, in the order of a study."""

# Of each step: its options, the module, and the function in it.
_STEPS: dict[str, tuple[type[Any], str, str]] = {
    "make": (MakeConfig, "dialogpt.humaneval.make", "make"),
    "collect": (CollectConfig, "dialogpt.humaneval.collect", "collect"),
    "analyze": (AnalyzeConfig, "dialogpt.humaneval.analysis", "analyze"),
}


def main(argv: list[str]) -> None:
    """Hand the rest of the command line to the step it names; a status but 0 ends the program."""
    if argv and argv[0] in STEPS:
        config_class, module, function = _STEPS[argv[0]]
        config, _ = parse_config(
            config_class, argv[1:], prog=f"python -m dialogpt.humaneval {argv[0]}"
        )

        def step() -> None:
            # Imported late, so that `--help` waits for nothing.
            try:
                status = getattr(import_module(module), function)(config)
            except (UserError, RecordError) as error:
                # Every message is one line, so that the name of a file cannot add another one.
                raise UserError(printable(str(error))) from error
            if status:
                raise SystemExit(status)

        run_command(step)
        return
    lines = [f"  {name:<9} {text}" for name, text in STEPS.items()]
    head = "usage: python -m dialogpt.humaneval STEP [options]   (STEP --help lists them)"
    usage = "\n".join([head, "", *lines])
    if argv and argv[0] in ("-h", "--help"):
        print(usage)
        return
    found = f"unknown step {argv[0]!r}" if argv else "no step given"
    print(f"{usage}\n\nerror: {found}", file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    main(sys.argv[1:])
