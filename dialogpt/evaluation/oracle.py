"""Of each context the candidate that its references like best: what ranking could reach at most.

PLATO (arXiv:1910.07931), table 3: "upper bound" takes the candidate with the highest sum of BLEU-1
to BLEU-4, METEOR and ROUGE-L of the MSCOCO scorers, each of the one segment, without CIDEr.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from dialogpt.command_line import UserError
from dialogpt.config.oracle import OracleConfig
from dialogpt.evaluation.coco import CocoBleuMeasure, RougeLMeasure
from dialogpt.evaluation.inputs import Segment, read_segments
from dialogpt.evaluation.java import UnavailableError
from dialogpt.evaluation.measure import MOST_GROUPS, Chunk, Floats, SummedMetrics
from dialogpt.evaluation.meteor import MeteorProgram, start_meteor

_logger = logging.getLogger(__name__)

_SEGMENTS = 64
"""Contexts scored at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The candidate that was chosen for a context.

    Attributes:
        segment: the context, its references and all candidates.
        place: of the candidate, 0 for the one ranked first.
        scores: sum of its scores, and that of the one ranked first.
    """

    segment: Segment
    place: int
    scores: tuple[float, float]

    @property
    def text(self) -> str:
        """What it says."""
        return self.segment.replies[0].candidates[self.place]


@contextmanager
def choosing(config: OracleConfig) -> Iterator[tuple[Iterator[Choice], str]]:
    """The choice for each context, in order, and what they are chosen by, in words.

    Raises:
        UserError: files do not go together, or a line has no candidates.
        RecordError: a line is not what it should be.
    """
    segments = read_segments([config.references], [("the candidates", config.candidates)])
    program = _meteor(config)
    try:
        measured = "BLEU-1 to 4, ROUGE-L" + (" and METEOR" if program else "")
        yield _choices(segments, program), measured
    except UnavailableError as error:
        # Half of the choices would be made by one rule, half by another.
        raise UserError(f"METEOR has stopped: {error}; --no_meteor does without it") from error
    finally:
        if program is not None:
            program.close()


def _meteor(config: OracleConfig) -> MeteorProgram | None:
    """METEOR, or None and a warning where it is not to be had."""
    if not config.meteor:
        return None
    try:
        return start_meteor(Path(config.meteor_jar) if config.meteor_jar else None)
    except UnavailableError as error:
        _logger.warning("warning: without METEOR: %s", error)
        return None


def _choices(segments: Iterator[Segment], program: MeteorProgram | None) -> Iterator[Choice]:
    while batch := list(islice(segments, _SEGMENTS)):
        yield from _chosen(batch, program)


def _chosen(batch: Sequence[Segment], program: MeteorProgram | None) -> Iterator[Choice]:
    texts: list[str] = []
    references: list[Sequence[str]] = []
    sizes = []
    for segment in batch:
        (reply,) = segment.replies
        if not reply.candidates:
            raise UserError(
                f"{reply.where}: expected candidates under 'hypotheses', as dialogpt.decode writes "
                "them to a .jsonl file, found none"
            )
        texts += reply.candidates
        references += [segment.item.references] * len(reply.candidates)
        sizes.append(len(reply.candidates))
    ends = np.cumsum(sizes)
    sums = _sums(texts, references, program)
    for segment, scores in zip(batch, np.split(sums, ends[:-1]), strict=True):
        place = int(scores.argmax())  # the first of equal ones, which ranking prefers
        yield Choice(segment=segment, place=place, scores=(float(scores[place]), float(scores[0])))


def _sums(
    texts: Sequence[str], references: Sequence[Sequence[str]], program: MeteorProgram | None
) -> Floats:
    """(N,) BLEU-1 to 4, ROUGE-L and, if it is there, METEOR of (N,) segments, added up."""
    totals: list[Floats] = []
    for start in range(0, len(texts), MOST_GROUPS):
        here = slice(start, start + MOST_GROUPS)
        nothing: list[tuple[str, ...]] = [()] * len(texts[here])
        chunk = Chunk(
            systems=[texts[here]],
            references=references[here],
            contexts=nothing,
            knowledge=nothing,
        )
        total = np.zeros(len(texts[here]))
        for measure in (CocoBleuMeasure(), RougeLMeasure()):
            measure.add(chunk)
            (metrics,) = measure.results()
            # So few segments are each a group of their own, so these are scores of segments.
            assert isinstance(metrics, SummedMetrics)
            total += metrics.formula(metrics.sums).sum(axis=-1)
        if program is not None:
            total += program.scores(texts[here], references[here])
        totals.append(total)
    return np.concatenate(totals)
