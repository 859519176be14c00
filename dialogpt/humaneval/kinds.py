"""What judges are asked: three kinds of study, their aspects, their answers.

The aspects and scales are those of the papers; the wording is ours, because none of them prints the
whole of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dialogpt.config.humaneval import Kind

FIRST, NEUTRAL, SECOND = "first", "neutral", "second"

Answer = int | str
"""A rating, or FIRST, NEUTRAL or SECOND, as shown on the page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Aspect:
    """One question about an item.

    Attributes:
        name: under which answers stand in files.
        label: its heading.
        question: what the judge is asked.
    """

    name: str
    label: str
    question: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One answer.

    Attributes:
        value: as it stands in files.
        key: the key of the keyboard that chooses it.
        label: what the page writes on it.
    """

    value: Answer
    key: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class KindOfStudy:
    """What is asked of every item of a study.

    Attributes:
        task: what a judge does, in one or two sentences.
        num_shown: replies that an item shows.
        aspects: in the order of the page.
        options: the same for all aspects.
    """

    task: str
    num_shown: int
    aspects: tuple[Aspect, ...]
    options: tuple[Option, ...]

    @property
    def aspect_names(self) -> tuple[str, ...]:
        """In the order of the page."""
        return tuple(aspect.name for aspect in self.aspects)


# DialoGPT (arXiv:1911.00536), section 4.4: three aspects, a three-point scale.
_PAIRWISE = KindOfStudy(
    task="You see the end of a conversation and two replies to it, A and B. For each question say "
    "which of the two is better, or that there is no difference.",
    num_shown=2,
    aspects=(
        Aspect(
            name="relevance",
            label="Relevance",
            question="Which reply fits better to what was said before?",
        ),
        Aspect(
            name="informativeness",
            label="Informativeness",
            question="Which reply says more that is specific, interesting or new?",
        ),
        Aspect(
            name="human_likeness",
            label="Human-likeness",
            question="Which reply is more likely to be written by a person?",
        ),
    ),
    options=(
        Option(value=FIRST, key="1", label="A"),
        Option(value=NEUTRAL, key="2", label="No difference"),
        Option(value=SECOND, key="3", label="B"),
    ),
)
# PLATO (arXiv:1910.07931), section 4.3: four aspects, 0 is bad, 1 normal, 2 good.
_RATING_0_2 = KindOfStudy(
    task="You see the end of a conversation and one reply to it. Give the reply 0, 1 or 2 points "
    "for each question.",
    num_shown=1,
    aspects=(
        Aspect(
            name="fluency",
            label="Fluency",
            question="Is the reply smooth and grammatical?",
        ),
        Aspect(
            name="coherence",
            label="Coherence",
            question="Does the reply fit what was said before, without contradicting itself or "
            "what both know from the conversation? It may well disagree.",
        ),
        Aspect(
            name="informativeness",
            label="Informativeness",
            question="Does the reply say something specific, interesting or new?",
        ),
        Aspect(
            name="overall",
            label="Overall",
            question="All in all, how good is the reply?",
        ),
    ),
    options=(
        Option(value=0, key="0", label="bad"),
        Option(value=1, key="1", label="fair"),
        Option(value=2, key="2", label="good"),
    ),
)
# DSTC7, task 2: two statements, how far the judge agrees from 1 to 5.
_RATING_1_5 = KindOfStudy(
    task="You see the end of a conversation and one reply to it. Say how far you agree with each "
    "statement.",
    num_shown=1,
    aspects=(
        Aspect(
            name="relevance",
            label="Relevance",
            question="The reply fits what was said before.",
        ),
        Aspect(
            name="informativeness",
            label="Informativeness",
            question="The reply is interesting and says something specific.",
        ),
    ),
    options=(
        Option(value=1, key="1", label="strongly disagree"),
        Option(value=2, key="2", label="disagree"),
        Option(value=3, key="3", label="neither"),
        Option(value=4, key="4", label="agree"),
        Option(value=5, key="5", label="strongly agree"),
    ),
)

KINDS: Mapping[Kind, KindOfStudy] = {
    "pairwise": _PAIRWISE,
    "rating_0_2": _RATING_0_2,
    "rating_1_5": _RATING_1_5,
}
