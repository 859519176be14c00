"""python -m dialogpt.oracle: the candidates that a perfect ranking would choose, as a system."""

import json
import logging
import sys
from pathlib import Path

from dialogpt.command_line import parse_config, refuse_to_overwrite, run_command
from dialogpt.config.oracle import OracleConfig
from dialogpt.evaluation.oracle import Choice, choosing
from dialogpt.records import write_text


def main() -> None:
    """Parse the command line, choose, and write the replies."""
    config, _ = parse_config(OracleConfig, prog="python -m dialogpt.oracle")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    run_command(lambda: write_oracle(config))


def write_oracle(config: OracleConfig) -> None:
    """Write one line a context, whole or not at all, and print what choosing well would gain.

    Raises:
        UserError: files do not go together, or the output exists.
        RecordError: a line is not what it should be.
    """
    output = Path(config.output)
    refuse_to_overwrite(output)
    with choosing(config) as (choices, measured):
        chosen = list(choices)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, "".join(map(_line, chosen)))
    best, first = (sum(choice.scores[i] for choice in chosen) / len(chosen) for i in (0, 1))
    agreed = sum(choice.place == 0 for choice in chosen)
    print(
        f"{len(chosen):,} contexts: {measured} add up to {best:.4f} for the candidates chosen by "
        f"the references, {first:.4f} for those ranked first; both are the same in {agreed:,}"
    )
    print(f"Wrote {output}", file=sys.stderr)


def _line(choice: Choice) -> str:
    item = choice.segment.item
    record = {
        "context": list(item.turns),
        "response": choice.text,
        "place": choice.place,
        "scores": {"sum": choice.scores[0], "sum of the first": choice.scores[1]},
    }
    return json.dumps(record, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
