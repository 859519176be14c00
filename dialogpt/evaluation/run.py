"""EvaluateConfig -> segments -> measures -> Evaluation."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

from tqdm import tqdm

from dialogpt.command_line import UserError
from dialogpt.config.evaluation import HUMAN, EvaluateConfig, named_file
from dialogpt.evaluation.bootstrap import Bootstrap
from dialogpt.evaluation.inputs import Segment, read_items, read_segments
from dialogpt.evaluation.measure import Chunk, Metrics, SummedMetrics
from dialogpt.evaluation.presets import Preset, build_preset
from dialogpt.evaluation.scores import (
    Comparison,
    Evaluation,
    MetricFacts,
    Score,
    SystemScores,
    TestSetFacts,
)
from dialogpt.records import TestItem

logger = logging.getLogger(__name__)

_CHUNK = 4096
"""Segments that are worked on at once."""


def evaluate(config: EvaluateConfig) -> Evaluation:
    """All numbers that the configuration asks for.

    Raises:
        UserError: a file is missing or empty, files do not go together, there is nothing to score.
        RecordError: a line is not what it should be.
    """
    given = [named_file(system) for system in config.systems]
    segments = read_segments(config.references, given)
    first = next(segments)  # raises where a file is missing or empty
    has_human = config.human and first.item.human is not None
    systems = [*given, (HUMAN, config.references[0])] if has_human else given
    if not systems and not config.language_model.model:
        raise UserError(
            "expected systems to score, found none; name them with --systems NAME=FILE, or a model "
            "with --language_model.model"
        )
    if config.baseline and config.baseline not in [name for name, _ in systems]:
        raise UserError(
            f"--baseline {config.baseline}: expected one of the systems that are scored, found "
            f"none of that name; item {first.item.id!r} has no human answer"
        )
    preset = build_preset(config, num_systems=len(systems))
    counts = _ReferenceCounts()
    progress = tqdm(desc="segments", unit="segment", disable=None)
    knows_humans = first.item.human is not None
    for chunk in _chunks(
        chain([first], segments), preset, has_human=has_human, knows_humans=knows_humans
    ):
        counts.add(chunk)
        for measure in preset.measures if systems else ():
            measure.add(chunk)
        progress.update(len(chunk.references))
    progress.close()
    bootstrap = Bootstrap(draws=config.draws, seed=config.seed)
    results = [measure.results() for measure in preset.measures] if systems else []
    per_system = list(zip(*results, strict=True))
    scored = [
        SystemScores(name=name, file=file, scores=_scores(metrics, bootstrap, counts.num_segments))
        for (name, file), metrics in zip(systems, per_system, strict=True)
    ]
    shown = {metric.name for metric in preset.metrics}
    names = [name for name, _ in systems]
    comparisons = [
        one
        for first_one, second_one in _pairs(names, config.baseline)
        for one in _compared(
            (first_one, per_system[names.index(first_one)]),
            (second_one, per_system[names.index(second_one)]),
            bootstrap,
        )
        if one.metric in shown
    ]
    model, model_metrics = _model_scores(config) if config.language_model.model else (None, ())
    order = {metric.name: number for number, metric in enumerate(preset.metrics)}
    return Evaluation(
        preset=preset.name,
        test_set=counts.facts(config.references, preset.slots),
        metrics=preset.metrics,
        systems=tuple(scored),
        comparisons=tuple(sorted(comparisons, key=lambda one: order[one.metric])),
        missing=preset.missing(),
        settings={"draws": config.draws, "seed": config.seed},
        model=model,
        model_metrics=model_metrics,
    )


def _chunks(
    segments: Iterator[Segment], preset: Preset, *, has_human: bool, knows_humans: bool
) -> Iterator[Chunk]:
    """Segments by thousands, their texts prepared; people are the last system, if they are one."""
    while batch := list(islice(segments, _CHUNK)):
        systems = [
            [reply.text for reply in replies]
            for replies in zip(*(one.replies for one in batch), strict=True)
        ]
        items = [segment.item for segment in batch]
        for item in items:
            _check_human(item, is_known=knows_humans)
        if has_human:
            systems.append([item.human or "" for item in items])
        yield Chunk(
            systems=[preset.prepare(list(map(_sound, texts))) for texts in systems],
            references=_regrouped(preset, [preset.references(item) for item in items]),
            contexts=_regrouped(preset, [item.turns for item in items]),
            knowledge=_regrouped(preset, [item.knowledge for item in items])
            if preset.name == "plato"
            else [()] * len(items),
        )


def _regrouped(preset: Preset, groups: Sequence[Sequence[str]]) -> list[list[str]]:
    """Texts of groups, prepared all at once."""
    texts = iter(preset.prepare([_sound(text) for group in groups for text in group]))
    return [list(islice(texts, len(group))) for group in groups]


def _sound(text: str) -> str:
    """A text without halves of characters, which JSON can hold and no tokenizer reads."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _check_human(item: TestItem, *, is_known: bool) -> None:
    """Raise UserError where an item differs from the first one in having a human answer."""
    if (item.human is not None) != is_known:
        expected, found = ("a", "none") if is_known else ("no", "one")
        raise UserError(
            f"item {item.id!r}: expected {expected} human answer, as the first item, found "
            f"{found}; give all items one, or none"
        )


@dataclass(kw_only=True, slots=True)
class _ReferenceCounts:
    """How many different references segments have."""

    num_segments: int = 0
    num_references: int = 0
    extremes: set[int] = field(default_factory=set)

    def add(self, chunk: Chunk) -> None:
        numbers = [len(set(references)) for references in chunk.references]
        self.num_segments += len(numbers)
        self.num_references += sum(numbers)
        self.extremes = {min(self.extremes | {min(numbers)}), max(self.extremes | {max(numbers)})}

    def facts(self, files: Iterable[str], slots: str) -> TestSetFacts:
        return TestSetFacts(
            files=tuple(files),
            num_segments=self.num_segments,
            fewest_references=min(self.extremes),
            most_references=max(self.extremes),
            mean_references=self.num_references / self.num_segments,
            slots=slots,
        )


def _scores(
    measured: Sequence[Metrics], bootstrap: Bootstrap, num_segments: int
) -> dict[str, Score]:
    """By the metric's name."""
    scores = {}
    for metrics in measured:
        found = bootstrap.intervals(metrics)
        numbers: Sequence[float | None] = [None] * len(found)
        if isinstance(metrics, SummedMetrics) and metrics.num_defined is not None:
            numbers = metrics.num_defined.tolist()
        for name, value, interval, number in zip(
            metrics.names, metrics.values(), found, numbers, strict=True
        ):
            scores[name] = Score(
                value=float(value),
                low=interval.low,
                high=interval.high,
                num_segments=num_segments if number is None else int(number),
            )
    return scores


def _pairs(names: Sequence[str], baseline: str) -> list[tuple[str, str]]:
    if baseline:
        return [(name, baseline) for name in names if name != baseline]
    return [(a, b) for number, a in enumerate(names) for b in names[number + 1 :]]


def _compared(
    first: tuple[str, Sequence[Metrics]],
    second: tuple[str, Sequence[Metrics]],
    bootstrap: Bootstrap,
) -> Iterator[Comparison]:
    """Two systems by every metric."""
    for ours, theirs in zip(first[1], second[1], strict=True):
        found = bootstrap.paired(ours, theirs)
        for name, difference in zip(ours.names, found, strict=True):
            yield Comparison(
                metric=name,
                first=first[0],
                second=second[0],
                difference=difference.value,
                low=difference.low,
                high=difference.high,
                p=difference.p,
            )


def _model_scores(config: EvaluateConfig) -> tuple[SystemScores, tuple[MetricFacts, ...]]:
    """Numbers of the language model, and what they depend on."""
    # Imported here: whoever scores files of replies should not wait for torch.
    from dialogpt.decode.load import choose_device, choose_dtype, load_model
    from dialogpt.evaluation.language_model import MODEL_METRICS, measure_model

    options = config.language_model
    device = choose_device(options.device)
    loaded = load_model(
        options.model, "forward", device=device, dtype=choose_dtype(options.precision, device)
    )
    measured = measure_model(loaded, read_items(config.references), options, seed=config.seed)
    num_answers = int(measured.sums[:, -1].sum())
    bootstrap = Bootstrap(draws=config.draws, seed=config.seed)
    scores = _scores([measured], bootstrap, num_answers)
    gain = scores["Context gain"]
    if not gain.low > 0.0:
        logger.warning(
            "%s: other contexts cost %.4f nats a token (%.4f to %.4f): the model does not heed "
            "what it is answering",
            loaded.name,
            gain.value,
            gain.low,
            gain.high,
        )
    return SystemScores(name=loaded.name, file=options.answers, scores=scores), MODEL_METRICS
