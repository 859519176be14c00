"""python -m dialogpt.evaluate: replies and references in, the numbers of the papers out."""

import logging
import sys
from pathlib import Path

from dialogpt.command_line import parse_config, require_place, run_command
from dialogpt.config.evaluation import EvaluateConfig
from dialogpt.records import write_json, write_text

logger = logging.getLogger(__name__)


def main() -> None:
    """Parse the command line, evaluate, print the table and write the files."""
    config, resolved = parse_config(EvaluateConfig, prog="python -m dialogpt.evaluate")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    run_command(lambda: evaluate_and_report(config, resolved))


def evaluate_and_report(config: EvaluateConfig, resolved: str) -> None:
    """Evaluate as configured; what was found goes to standard output and into the folder.

    Raises:
        UserError: files do not go together, or the folder cannot be made.
    """
    # Imported late: a misspelt option should not wait for torch.
    from dialogpt.evaluation.picture import draw, has_matplotlib
    from dialogpt.evaluation.run import evaluate
    from dialogpt.evaluation.table_files import csv_text, latex
    from dialogpt.evaluation.tables import markdown, terminal_text

    output = Path(config.output) if config.output else None
    if output is not None:  # before hours of work
        require_place(output, "folder")
    evaluation = evaluate(config)
    print(terminal_text(evaluation))
    if output is None:
        return
    output.mkdir(parents=True, exist_ok=True)
    (output / "scores.png").unlink(missing_ok=True)  # of former scores
    write_json(output / "scores.json", evaluation.as_record())
    write_text(output / "evaluate.yaml", resolved)
    write_text(output / "scores.md", markdown(evaluation))
    write_text(output / "scores.tex", latex(evaluation))
    write_text(output / "scores.csv", csv_text(evaluation))
    if has_matplotlib() and evaluation.systems:
        draw(evaluation, output / "scores.png")
    elif evaluation.systems:
        logger.info("No picture: pip install 'dialogpt[plots]' draws one")
    print(f"Wrote {output}", file=sys.stderr)


if __name__ == "__main__":
    main()
