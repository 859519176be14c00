"""The options of a study with judges: its pages, their answers, and what they say."""

import re
from dataclasses import dataclass
from typing import Literal

from dialogpt.config.shared import require

Kind = Literal["pairwise", "rating_0_2", "rating_1_5"]

_NAME = re.compile(r"[\w.+-]+")
_FEWEST_FOR_A_PAIR = 2


@dataclass(frozen=True, kw_only=True)
class MakeConfig:
    """Draw items from the replies of several systems, and write a page for each judge."""

    systems: tuple[str, ...]
    """NAME=FILE of each system: JSON Lines as `python -m dialogpt.decode` writes them, or a test
    set, whose `human` replies are taken. All on the same contexts."""
    output: str
    """Folder for the pages and plan.json; must be new or empty."""
    kind: Kind = "pairwise"
    """What judges do: `pairwise` prefers one of two replies or neither, for relevance,
    informativeness and human-likeness (DialoGPT); `rating_0_2` rates one reply for fluency,
    coherence, informativeness and overall (PLATO); `rating_1_5` for relevance and informativeness
    (DSTC7)."""
    pairs: tuple[str, ...] = ()
    """NAME:NAME of systems to compare; none compares each with each. Only for `pairwise`."""
    num_items: int = 100
    """Contexts to draw. Each makes an item for every pair, or for every system when rated."""
    judges_per_item: int = 3
    """How many different judges see an item."""
    num_judges: int = 0
    """Judges, a page for each; 0 makes as many as items_per_judge needs."""
    items_per_judge: int = 0
    """The most items a judge may get, without checks; 0 makes it as many as num_judges needs, and
    100 where that is 0 too."""
    num_qualification: int = 4
    """Items with a known answer at the start of each page."""
    num_spam_checks: int = 6
    """Items with a known answer strewn into each page."""
    checks: str = ""
    """JSON Lines file of items with known answers, dealt evenly to both purposes; where it has too
    few, the rest is made from the replies of people."""
    human: str = ""
    """File of human replies on the same contexts that checks are made from; empty takes the system
    of the name `human`."""
    study: str = "study"
    """Name of the study; what was drawn adds a mark to it."""
    seed: int = 0
    """Decides what is drawn: the same seed and the same replies make the same folder."""

    def __post_init__(self) -> None:
        names = [entry.partition("=")[0] for entry in self.systems]
        for entry, name in zip(self.systems, names, strict=True):
            require(
                bool(_NAME.fullmatch(name)) and len(entry) > len(name) + 1,
                f"systems must be NAME=FILE with a name of letters, digits and . + - _, not "
                f"{entry!r}",
            )
            require(names.count(name) == 1, f"systems has {name!r} twice; give each its own name")
        fewest = _FEWEST_FOR_A_PAIR if self.kind == "pairwise" else 1
        require(len(names) >= fewest, f"systems must be at least {fewest} for {self.kind}")
        require(not self.pairs or self.kind == "pairwise", "pairs goes with kind pairwise only")
        seen: set[frozenset[str]] = set()
        for pair in self.pairs:
            both = pair.split(":")
            require(
                len(both) == _FEWEST_FOR_A_PAIR and both[0] != both[1] and {*both} <= {*names},
                f"pairs must be NAME:NAME of two of the systems {', '.join(names)}, not {pair!r}",
            )
            require(frozenset(both) not in seen, f"pairs has {pair!r} twice; remove one")
            seen.add(frozenset(both))
        for option in ("num_items", "judges_per_item"):
            require(getattr(self, option) >= 1, f"{option} must be >= 1")
        for option in ("num_judges", "items_per_judge", "num_qualification", "num_spam_checks"):
            require(getattr(self, option) >= 0, f"{option} must be >= 0")
        require(
            self.num_qualification + self.num_spam_checks != 1,
            "num_qualification and num_spam_checks must be 0 or at least 2 together, because one "
            "item with a known answer is passed by whoever always gives that answer",
        )
        require(
            not self.num_judges or self.num_judges >= self.judges_per_item,
            f"num_judges {self.num_judges} must be >= judges_per_item {self.judges_per_item}, "
            "because nobody judges an item twice",
        )
        require(
            bool(_NAME.fullmatch(self.study)),
            f"study must be of letters, digits and . + - _, not {self.study!r}",
        )


@dataclass(frozen=True, kw_only=True)
class CollectConfig:
    """Merge the files that judges sent back, and check each against the plan."""

    plan: str
    """plan.json of the study."""
    answers: tuple[str, ...]
    """Files of the judges, folders of them, or patterns."""
    output: str
    """JSON Lines file for all judgments; replaced if no judgment in it gets lost."""


@dataclass(frozen=True, kw_only=True)
class AnalyzeConfig:
    """Preferences or ratings with intervals and p-values, agreement, and what judges did."""

    answers: str = ""
    """The file that `collect` wrote, or a per-judge file of DSTC7."""
    output: str
    """Folder for the tables; must be new or empty."""
    draws: int = 10_000
    """Bootstrap draws."""
    seed: int = 0
    """Decides the draws."""
    resample: Literal["item", "judgment"] = "item"
    """What is drawn: `item` draws contexts with all their judgments, so that judges who agree do
    not count as many; `judgment` draws each by itself, as in DialoGPT."""
    exclude_spam: bool = True
    """Leave out the judges whose answers to the checks are wrong too often, or missing."""
    counts: str = ""
    """JSON or CSV file of counts (first, neutral, second), a comparison each, in place of answers:
    for published tables."""

    def __post_init__(self) -> None:
        require(bool(self.answers) != bool(self.counts), "give either answers or counts")
        require(self.draws >= 1, "draws must be >= 1")
