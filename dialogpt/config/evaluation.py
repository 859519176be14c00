"""The options of `python -m dialogpt.evaluate`."""

from dataclasses import dataclass, field
from typing import Literal

from dialogpt.config.shared import Precision, require

PresetName = Literal["general", "dstc7", "reddit6k", "plato", "avsd"]
HUMAN = "human"
"""Name of the system that answers as the test set's people did."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """Numbers of a forward model itself, beside those of what systems said."""

    model: str = ""
    """Run folder, model folder or name on the hub, for perplexity and for whether the model heeds
    the context. Empty: neither is measured."""
    answers: Literal["human", "references"] = "references"
    """The answers whose probability is measured: those held out, or the first reference."""
    max_items: int = 0
    """Take the first so many items of the test set; 0 takes all."""
    batch_items: int = 512
    """Items computed at once."""
    precision: Precision = "auto"
    """Of the products; auto takes the best the device has."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        require(self.max_items >= 0, "language_model.max_items must be >= 0")
        require(self.batch_items >= 2, "language_model.batch_items must be >= 2")


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """Scores of one or several systems on a test set, as in the papers."""

    references: tuple[str, ...]
    """The test set: one JSON Lines file of items (multiref.jsonl), or text files with one reference
    a line, which need as many lines as the systems' files."""
    systems: tuple[str, ...] = ()
    """NAME=FILE of each system. FILE is what `dialogpt.decode --output` writes: JSON Lines, or
    text with one reply a line, or TSV with the reply in the last column."""
    preset: PresetName = "general"
    """How text is prepared, which references count and what is measured: see docs/evaluation.md."""
    human: bool = True
    """Score the held-out human answers as one more system, where the test set has them."""
    reference_slots: Literal["", "all", "script"] = ""
    """Which references count: all, or the six slots of DSTC7's script, where the second counts
    twice. Empty: as the preset says."""
    stop_words: str = ""
    """File of words, one a line, that Knowledge R/P/F1 leave out. Empty: none is left out."""
    ptb_tokenizer: bool = False
    """Preset avsd: split text by the PTB tokenizer, as the challenge did and PLATO did not; needs
    Java."""
    meteor: bool = True
    """Measure METEOR, where Java and its jar are there; else its column says n/a."""
    meteor_jar: str = ""
    """meteor-1.5.jar; empty: that of the package pycocoevalcap (pip install 'dialogpt[meteor]')."""
    baseline: str = ""
    """System that the others are compared with; empty: each with each."""
    draws: int = 1000
    """Bootstrap draws for confidence intervals and comparisons."""
    seed: int = 0
    """Seed of the draws."""
    output: str = ""
    """Folder for scores.json, the tables (Markdown, LaTeX, CSV) and the picture; empty: only
    print."""
    language_model: LanguageModelConfig = field(default_factory=LanguageModelConfig)
    """A forward model whose own numbers are wanted."""

    def __post_init__(self) -> None:
        require(self.draws >= 100, "draws must be >= 100")
        require(self.seed >= 0, "seed must be >= 0")
        require(bool(self.references), "references must name a file")
        names = [named_file(system)[0] for system in self.systems]
        require(len(set(names)) == len(names), f"systems must have different names, got {names}")
        require(HUMAN not in names or not self.human, "human is a name of its own; --no_human")
        if self.baseline:
            known = [*names, HUMAN] if self.human else names
            require(self.baseline in known, f"baseline must be one of {known}")


def named_file(system: str) -> tuple[str, str]:
    """Name and file of NAME=FILE.

    Raises:
        ValueError: it is not of that form.
    """
    name, equals, file = system.partition("=")
    require(bool(name.strip() and equals and file), f"systems must be NAME=FILE, got {system!r}")
    require(name.isprintable(), f"systems must have names of one line, got {name!r}")
    return name, file
