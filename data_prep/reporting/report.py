"""python -m data_prep report: one HTML page about a folder of dialogues, and its figures as PNG.

Output folder:

    index.html      all of it in one file, which loads nothing from elsewhere
    *.png           the figures of the page, for slides
    report.json     what the folder is for
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from data_prep.reporting.config import ReportConfig
from data_prep.reporting.contents import Findings, contents_of
from data_prep.reporting.drawing import Drawing
from data_prep.reporting.folder import read_folder
from data_prep.reporting.item_statistics import item_statistics
from data_prep.reporting.overview import overview_of
from data_prep.reporting.page import render
from data_prep.reporting.texts import TextSample, text_statistics
from dialogpt.command_line import UserError, parse_config, run_command
from dialogpt.folders import begin_folder, sole_use
from dialogpt.records import write_text
from dialogpt.tokenization import Tokenizer, load_tokenizer

PAGE = "index.html"

_PROG = "python -m data_prep report"
_NOTE = "report.json"
_DEFAULT_TOKENIZER = ReportConfig(dialogues="").tokenizer


def main(argv: Sequence[str] | None = None) -> None:
    """The command; the first word may be the folder."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words and not words[0].startswith("-"):
        words.insert(0, "--dialogues")
    config, _ = parse_config(ReportConfig, words, prog=_PROG)
    run_command(partial(report, config))


def report(config: ReportConfig) -> None:
    """Write the page.

    Raises:
        UserError: the folder of dialogues or the output is not as it should be.
    """
    output = Path(config.output)
    drawing = Drawing(output)
    folder = read_folder(Path(config.dialogues))
    tokenizer, without_tokens = _tokenizer(config.tokenizer)
    if not (output / _NOTE).is_file():
        begin_folder(output / _NOTE, {"made_by": _PROG})
    sample = TextSample(
        max_rows=config.max_rows,
        max_tokenized=config.max_tokenized,
        num_kept=config.num_examples,
    )
    with sole_use(output):
        found = Findings(
            folder=folder,
            overview=overview_of(folder.parts),
            texts=text_statistics(folder.parts, sample, tokenizer),
            items=item_statistics(folder.test_files),
            tokenizer=config.tokenizer,
            without_tokens=without_tokens,
            num_examples=config.num_examples,
        )
        page = render(contents_of(found, drawing))
        for stale in {path.name for path in output.glob("*.png")} - {*drawing.files}:
            (output / stale).unlink()
        write_text(output / PAGE, page)
    print(f"written to {output / PAGE}")


def _tokenizer(name: str) -> tuple[Tokenizer | None, str]:
    """A tokenizer, or None and why there is none; only the default one may be absent."""
    if not name:
        return None, "no tokenizer was named"
    try:
        return load_tokenizer(name), ""
    except UserError as error:
        if name != _DEFAULT_TOKENIZER:
            raise
        print(f"note: no tokens are counted: {error}", file=sys.stderr)
        return None, str(error)
