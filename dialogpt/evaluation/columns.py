"""Columns of tables: what each number depends on. Presets fill in what happens to text before."""

from dialogpt.evaluation.scores import MetricFacts

_BLANKS, _MTEVAL = "blanks", "mteval-v14c"


def dialogpt_columns() -> list[MetricFacts]:
    """Columns of DialoGPT's Tables 2 and 3, Avg len excepted."""
    weights = "information from all references; kept where segments are drawn anew"
    return [
        *(_mteval(f"NIST-{n}", f"N-{n}", note=weights) for n in (2, 4)),
        *(_mteval(f"BLEU-{n}", f"B-{n}", is_share=True) for n in (1, 2, 3, 4)),
        _meteor(),
        _split("Entropy-4", "E-4", note="nats, over all replies"),
        *(_split(f"Dist-{n}", f"D-{n}", is_share=True, note="over all replies") for n in (1, 2)),
    ]


def plato_columns(stop_words: str) -> list[MetricFacts]:
    """Columns of PLATO's tables.

    Args:
        stop_words: what was left out of words of knowledge, in words.
    """
    bleu = "one reference; smoothing 7 of nltk 3.4, of which a copy scores more than 1"
    return [
        *(
            _split(f"BLEU-{n} (PLATO)", f"B-{n}", tokens="single blanks", note=bleu, refs=True)
            for n in (1, 2)
        ),
        *(
            _split(
                f"Distinct-{n}", f"D-{n}", tokens="single blanks", note="over all replies", digits=3
            )
            for n in (1, 2)
        ),
        *(_split(f"Knowledge {name}", f"K-{name}", note=stop_words) for name in ("R", "P", "F1")),
    ]


def avsd_columns() -> list[MetricFacts]:
    """Columns of DSTC7-AVSD, as the MSCOCO scorers have them."""
    rouge = "beta 1.2, best precision and recall apart"
    cider = "CIDEr-D; depends on the whole test set"
    return [
        *(_split(f"BLEU-{n} (COCO)", f"B-{n}", refs=True, digits=3) for n in (1, 2, 3, 4)),
        _meteor(digits=3),
        _split("ROUGE-L", "ROUGE-L", refs=True, digits=3, note=rouge),
        _split("CIDEr", "CIDEr", refs=True, digits=3, note=cider),
    ]


def behaviour_columns() -> list[MetricFacts]:
    """How systems behave, whatever the references say."""
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
