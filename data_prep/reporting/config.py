"""Options of `python -m data_prep report`; the docstring under a field is its help."""

from dataclasses import dataclass


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class ReportConfig:
    """Show on one HTML page what was read, dropped and kept: report FOLDER [--output FOLDER]."""

    dialogues: str
    """Folder that `extract` or `import` wrote; it may also be given as the first word."""
    output: str = "report"
    """Folder for index.html and its figures as PNG; an earlier report in it is replaced."""
    max_rows: int = 1_000_000
    """Read the text of at most so many dialogues, spread evenly over the files; 0 reads all. What
    is not about text counts every dialogue, whatever this says."""
    tokenizer: str = "gpt2"
    """Whose tokens to count: "gpt2", "hub:NAME" or a tokenizer folder; "" counts none."""
    max_tokenized: int = 10_000
    """Count the tokens of at most so many dialogues, spread evenly over those that are read."""
    num_examples: int = 4
    """Examples to show of each reason, at most; there are twelve."""

    def __post_init__(self) -> None:
        _require(self.max_rows >= 0, "max_rows must be >= 0")
        _require(self.max_tokenized >= 1, "max_tokenized must be >= 1")
        _require(self.num_examples >= 0, "num_examples must be >= 0")
