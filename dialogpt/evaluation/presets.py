"""Presets: how text is prepared, which references count, what is measured and in which columns."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dialogpt.command_line import UserError
from dialogpt.config.evaluation import EvaluateConfig, PresetName
from dialogpt.evaluation.behaviour import (
    CopyMeasure,
    DuplicateMeasure,
    EmptyMeasure,
    RepetitionMeasure,
)
from dialogpt.evaluation.cider import CiderMeasure
from dialogpt.evaluation.clean import clean_str
from dialogpt.evaluation.coco import CocoBleuMeasure, RougeLMeasure
from dialogpt.evaluation.columns import (
    avsd_columns,
    behaviour_columns,
    dialogpt_columns,
    plato_columns,
)
from dialogpt.evaluation.diversity import DiversityMeasure, LengthMeasure, PlatoDistinctMeasure
from dialogpt.evaluation.java import UnavailableError
from dialogpt.evaluation.measure import Measure
from dialogpt.evaluation.meteor import MeteorMeasure
from dialogpt.evaluation.mteval import MtevalMeasure
from dialogpt.evaluation.plato_scores import (
    KnowledgeMeasure,
    PlatoBleuMeasure,
    plato_text,
    read_stop_words,
)
from dialogpt.evaluation.ptb import PtbTokenizer
from dialogpt.evaluation.scores import MetricFacts
from dialogpt.records import TestItem
from dialogpt.wordpiece import bert_words

Prepare = Callable[[Sequence[str]], list[str]]

_NUM_SLOTS = 6
"""Columns of references that DSTC7's script fills."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What `run` goes by.

    Attributes:
        name: as given.
        prepare: texts as measures get them.
        references: those of an item that count, a repeated one as often as it counts.
        slots: the same in words.
        measures: what is measured.
        metrics: what is shown of that, in order.
        meteor: one of the measures; None where METEOR is not wanted.
        reasons: metric -> why it cannot be measured, as far as that is known before.
    """

    name: PresetName
    prepare: Prepare
    references: Callable[[TestItem], Sequence[str]]
    slots: str
    measures: tuple[Measure, ...]
    metrics: tuple[MetricFacts, ...]
    meteor: MeteorMeasure | None
    reasons: dict[str, str]

    def missing(self) -> dict[str, str]:
        """Metric -> why it could not be measured."""
        if self.meteor is not None and self.meteor.problem:
            return {**self.reasons, "METEOR": self.meteor.problem}
        return self.reasons


def build_preset(config: EvaluateConfig, *, num_systems: int) -> Preset:
    """The preset of a configuration.

    Raises:
        UserError: a file that it names cannot be read.
    """
    text, lowers, prepare = _preparation(config)
    slots = config.reference_slots or ("script" if config.preset == "dstc7" else "all")
    meteor = None
    if config.meteor and config.preset != "plato":
        meteor = MeteorMeasure(Path(config.meteor_jar) if config.meteor_jar else None)
    measures, metrics = _measures(config, num_systems=num_systems)
    if meteor is not None:
        measures.append(meteor)
    return Preset(
        name=config.preset,
        prepare=prepare,
        references=_chosen(config, slots),
        slots=_slots_in_words(config, slots),
        measures=tuple(measures),
        metrics=tuple(
            replace(metric, text=text, case="lower" if lowers else metric.case)
            for metric in metrics
        ),
        meteor=meteor,
        reasons={} if config.meteor or config.preset == "plato" else {"METEOR": "--no_meteor"},
    )


def six_slots(item: TestItem) -> Sequence[str]:
    """The references that DialoGPT's script `dstc/dstc.py` compares with.

    It puts reference i modulo k into slot i of six; reference 1 is the human response, in whose
    place the next one counts. Of fewer than six the script would compare people with themselves in
    a later round; here the next one counts there, too. Where no human response is known, all count.
    """
    references = item.references
    if item.human is None:
        return references
    everyone = [references[0], references[1 % len(references)], *references[1:]]
    return [everyone[slot % len(everyone)] for slot in range(_NUM_SLOTS)]


def _all_references(item: TestItem) -> Sequence[str]:
    return item.references


def _first_reference(item: TestItem) -> Sequence[str]:
    return item.references[:1]


def _chosen(config: EvaluateConfig, slots: str) -> Callable[[TestItem], Sequence[str]]:
    if config.preset == "plato":
        return _first_reference
    return six_slots if slots == "script" else _all_references


def _slots_in_words(config: EvaluateConfig, slots: str) -> str:
    if config.preset == "plato":
        return "the first counts"
    if slots == "script":
        return (
            "in six slots as in DSTC7's script: at most five, the second once more in each round; "
            "all, where no human answer is known"
        )
    return "all count"


def _preparation(config: EvaluateConfig) -> tuple[str, bool, Prepare]:
    """How texts are prepared: in words, whether case goes, and as a function."""
    if config.preset == "dstc7":
        return "clean_str", True, lambda texts: [clean_str(text) for text in texts]
    if config.preset == "plato":
        return "words of BERT-uncased, contractions joined", True, _plato_texts
    if config.preset == "avsd" and config.ptb_tokenizer:
        return "PTB, without punctuation", True, _ptb_texts()
    return "as it is", False, list


def _ptb_texts() -> Prepare:
    """The PTB tokenizer; UserError where it is not there or fails."""

    def prepare(texts: Sequence[str]) -> list[str]:
        with _named_option():
            return tokenizer.tokenize(texts)

    with _named_option():
        tokenizer = PtbTokenizer()
    return prepare


@contextmanager
def _named_option() -> Iterator[None]:
    try:
        yield
    except UnavailableError as error:
        raise UserError(f"--ptb_tokenizer: {error}") from error


def _plato_texts(texts: Sequence[str]) -> list[str]:
    """Texts as PLATO decodes them: what BERT-uncased takes for words, then contractions joined.

    Word pieces make no difference, as those of a word are put together again.
    """
    return [plato_text(" ".join(bert_words(text))) for text in texts]


def _measures(
    config: EvaluateConfig, *, num_systems: int
) -> tuple[list[Measure], list[MetricFacts]]:
    behaviour: list[Measure] = [
        LengthMeasure(num_systems),
        RepetitionMeasure(),
        CopyMeasure(),
        DuplicateMeasure(),
        EmptyMeasure(),
    ]
    if config.preset == "plato":
        words = read_stop_words(Path(config.stop_words)) if config.stop_words else ()
        knowledge = KnowledgeMeasure(words)
        plato: list[Measure] = [PlatoBleuMeasure(), PlatoDistinctMeasure(num_systems), knowledge]
        return [*plato, *behaviour], [*plato_columns(knowledge.note), *behaviour_columns()]
    if config.preset == "avsd":
        coco: list[Measure] = [CocoBleuMeasure(), RougeLMeasure(), CiderMeasure()]
        return [*coco, *behaviour], [*avsd_columns(), *behaviour_columns()]
    ours: list[Measure] = [MtevalMeasure(num_systems), DiversityMeasure(num_systems)]
    return [*ours, *behaviour], [*dialogpt_columns(), *behaviour_columns()]
