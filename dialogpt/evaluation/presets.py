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
from dialogpt.tokenization import bert_words

Prepare = Callable[[Sequence[str]], list[str]]

_NUM_SLOTS = 6
"""Columns of references that DSTC7's script fills."""
_BLANKS, _MTEVAL = "blanks", "mteval-v14c"


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
        references=six_slots if slots == "script" else _all_references,
        slots=_slots_in_words(config, slots),
        measures=tuple(measures),
        metrics=tuple(
            replace(metric, text=text, case="lower" if lowers else metric.case)
            for metric in metrics
        ),
        meteor=meteor,
        reasons={} if config.meteor or config.preset == "plato" else {"METEOR": "--no_meteor"},
    )


def six_slots(item: TestItem) -> list[str]:
    """The references that DialoGPT's script `dstc/dstc.py` compares with.

    It puts reference i modulo k into slot i of six; reference 1 is the human response, in whose
    place the next one counts once more. Of fewer than six the script would compare people with
    themselves in a later slot; here they are replaced there, too.
    """
    references = item.references
    number = len(references)
    if item.human is not None:
        everyone = [references[0], references[1 % number], *references[1:]]
    else:  # the human response stands among them, and takes no part
        everyone = [references[0], references[2 % number], *references[2:]]
    return [everyone[slot % len(everyone)] for slot in range(_NUM_SLOTS)]


def _all_references(item: TestItem) -> Sequence[str]:
    return item.references


def _slots_in_words(config: EvaluateConfig, slots: str) -> str:
    if config.preset == "plato":
        return "the first counts"
    if slots == "script":
        return "six slots as in DSTC7's script, where the second other than the human counts twice"
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
        return [*plato, *behaviour], [*_plato(knowledge.note), *_behaviour()]
    if config.preset == "avsd":
        coco: list[Measure] = [CocoBleuMeasure(), RougeLMeasure(), CiderMeasure()]
        return [*coco, *behaviour], [*_avsd(), *_behaviour()]
    ours: list[Measure] = [MtevalMeasure(num_systems), DiversityMeasure(num_systems)]
    return [*ours, *behaviour], [*_dialogpt(), *_behaviour()]


def _dialogpt() -> list[MetricFacts]:
    """Columns of DialoGPT's Tables 2 and 3, Avg len excepted."""
    weights = "information from all references; kept where segments are drawn anew"
    return [
        *(_mteval(f"NIST-{n}", f"N-{n}", note=weights) for n in (2, 4)),
        *(_mteval(f"BLEU-{n}", f"B-{n}", is_share=True) for n in (1, 2, 3, 4)),
        _meteor(),
        _split("Entropy-4", "E-4", note="nats, over all replies"),
        *(_split(f"Dist-{n}", f"D-{n}", is_share=True, note="over all replies") for n in (1, 2)),
    ]


def _plato(stop_words: str) -> list[MetricFacts]:
    bleu = "one reference; smoothing 7 of nltk 3.4, of which a copy scores more than 1"
    return [
        *(
            _split(f"BLEU-{n} (PLATO)", f"B-{n}", tokens="single blanks", note=bleu, refs=True)
            for n in (1, 2)
        ),
        *(
            _split(f"Distinct-{n}", f"D-{n}", tokens="single blanks", note="over all replies")
            for n in (1, 2)
        ),
        *(_split(f"Knowledge {name}", f"K-{name}", note=stop_words) for name in ("R", "P", "F1")),
    ]


def _avsd() -> list[MetricFacts]:
    rouge = "beta 1.2, best precision and recall apart"
    cider = "CIDEr-D; depends on the whole test set"
    return [
        *(_split(f"BLEU-{n} (COCO)", f"B-{n}", refs=True, digits=3) for n in (1, 2, 3, 4)),
        _meteor(digits=3),
        _split("ROUGE-L", "ROUGE-L", refs=True, digits=3, note=rouge),
        _split("CIDEr", "CIDEr", refs=True, digits=3, note=cider),
    ]


def _behaviour() -> list[MetricFacts]:
    trigram = "replies with a trigram twice"
    copied = "trigrams of a reply that stand in its context"
    return [
        _split("Avg len", "Len", direction=None, digits=1, note="words of a reply"),
        _split("Repetition rate", "Rep", is_share=True, direction=False, digits=1, note=trigram),
        _split("Copy rate", "Copy", is_share=True, direction=None, digits=1, note=copied),
        _split(
            "Duplicate rate",
            "Dup",
            is_share=True,
            direction=False,
            digits=1,
            note="replies that another segment got, too",
        ),
        _split("Empty rate", "Empty", is_share=True, direction=False, digits=1),
    ]


def _mteval(name: str, short: str, *, is_share: bool = False, note: str = "") -> MetricFacts:
    return MetricFacts(
        name=name,
        short=short,
        text="",
        tokens=_MTEVAL,
        case="lower",
        uses_references=True,
        written="percent" if is_share else "number",
        note=note,
    )


def _meteor(*, digits: int = 2) -> MetricFacts:
    return MetricFacts(
        name="METEOR",
        short="METEOR",
        text="",
        tokens="METEOR 1.5 -norm",
        case="lower",
        uses_references=True,
        written="percent" if digits == 2 else "number",
        digits=digits,
    )


def _split(
    name: str,
    short: str,
    *,
    tokens: str = _BLANKS,
    refs: bool = False,
    is_share: bool = False,
    direction: bool | None = True,
    digits: int = 2,
    note: str = "",
) -> MetricFacts:
    return MetricFacts(
        name=name,
        short=short,
        text="",
        tokens=tokens,
        case="kept",
        uses_references=refs,
        higher_is_better=direction,
        written="percent" if is_share else "number",
        digits=digits,
        note=note,
    )
