"""An evaluation as tables in Markdown, like the papers', and on the terminal."""

import math
from collections.abc import Iterable, Sequence

from dialogpt.config.evaluation import HUMAN
from dialogpt.evaluation.scores import (
    NOT_MEASURED,
    Evaluation,
    MetricFacts,
    Score,
    SystemScores,
)
from dialogpt.table_formats import markdown_text

SIGNIFICANT = 0.05
FEWEST_SEGMENTS = 30
"""Of fewer ones the bootstrap promises too much: no difference is starred."""


def markdown(evaluation: Evaluation) -> str:
    """A page: the table, what its columns mean, intervals, comparisons."""
    test_set = evaluation.test_set
    head = (
        f"Preset {evaluation.preset}; {test_set.num_segments:,} segments of "
        f"{markdown_text(', '.join(test_set.files))}; references a segment: {test_set.references} "
        f"({test_set.slots})."
    )
    parts = [head, main_table(evaluation), columns_table(evaluation)]
    parts += ["### Intervals", _intervals_text(evaluation), intervals_table(evaluation)]
    if evaluation.comparisons:
        parts += ["### Comparisons", _comparisons_text(evaluation), comparisons_table(evaluation)]
    if evaluation.model is not None:
        parts += [
            f"### The model {markdown_text(evaluation.model.name)} itself",
            model_table(evaluation),
        ]
    return "\n\n".join(parts) + "\n"


def model_table(evaluation: Evaluation) -> str:
    """A row a number of the language model."""
    assert evaluation.model is not None
    rows = [
        [
            markdown_text(metric.name),
            metric.shown(score.value),
            _interval(metric, score),
            markdown_text(f"{metric.tokens}; {metric.note}" if metric.note else metric.tokens),
        ]
        for metric in evaluation.model_metrics
        for score in [evaluation.model.scores[metric.name]]
    ]
    return _markdown_table(["number", "value", "95 % interval", "how"], rows)


def main_table(evaluation: Evaluation) -> str:
    """A row a system, a column a metric; the best model of each column is bold."""
    best = best_systems(evaluation)
    rows = [
        [
            markdown_text(system.name),
            *(
                f"**{shown}**" if system.name in best.get(metric.name, ()) else shown
                for metric, shown in shown_scores(evaluation, system)
            ),
        ]
        for system in evaluation.systems
    ]
    return _markdown_table(["system", *(markdown_text(m.short) for m in evaluation.metrics)], rows)


def columns_table(evaluation: Evaluation) -> str:
    """What each column is, and why one says n/a."""
    rows = []
    for metric in evaluation.metrics:
        why = evaluation.missing.get(metric.name, "")
        row = [metric.name, metric.text, metric.tokens, metric.case]
        row += [_references(evaluation, metric), _segments(evaluation, metric)]
        rows.append([markdown_text(text) for text in (*row, f"n/a: {why}" if why else metric.note)])
    head = ["metric", "text", "split by", "case", "references", "segments", "note"]
    return _markdown_table(head, rows)


def intervals_table(evaluation: Evaluation) -> str:
    """A row a metric and system: value and 95 % confidence interval."""
    rows = [
        [
            markdown_text(metric.name),
            markdown_text(system.name),
            metric.shown(score.value),
            _interval(metric, score),
        ]
        for metric in evaluation.metrics
        if metric.name not in evaluation.missing
        for system in evaluation.systems
        for score in [system.scores.get(metric.name, NOT_MEASURED)]
    ]
    return _markdown_table(["metric", "system", "value", "95 % interval"], rows)


def comparisons_table(evaluation: Evaluation) -> str:
    """A row a metric and pair of systems."""
    facts = {metric.name: metric for metric in evaluation.metrics}
    rows = [
        [
            markdown_text(one.metric),
            markdown_text(f"{one.first} - {one.second}"),
            facts[one.metric].shown(one.difference),
            _ends(facts[one.metric], one.low, one.high),
            _shown_p(one.p, evaluation),
        ]
        for one in evaluation.comparisons
    ]
    return _markdown_table(["metric", "systems", "difference", "95 % interval", "p"], rows)


def best_systems(evaluation: Evaluation) -> dict[str, set[str]]:
    """Metric -> the systems that are best as shown, people left out; none where all are."""
    best: dict[str, set[str]] = {}
    for metric in evaluation.metrics:
        values = {
            system.name: system.scores[metric.name].value
            for system in evaluation.systems
            if system.name != HUMAN and metric.name in system.scores
        }
        values = {name: value for name, value in values.items() if not math.isnan(value)}
        if metric.higher_is_better is None or not values:
            continue
        top = (max if metric.higher_is_better else min)(values.values())
        shown = {name for name, value in values.items() if metric.shown(value) == metric.shown(top)}
        if len(shown) < len(values):
            best[metric.name] = shown
    return best


def terminal_text(evaluation: Evaluation) -> str:
    """What is printed: the table in columns of even width, and what its numbers depend on."""
    parts = []
    facts = evaluation.test_set
    if evaluation.systems:
        parts.append(
            f"Preset {evaluation.preset}: {facts.num_segments:,} segments, references a segment: "
            f"{facts.references} ({facts.slots})"
        )
        parts.append(_terminal_table(evaluation))
        parts.append("\n".join(splits(evaluation)))
    if evaluation.model is not None:
        lines = [f"Model {evaluation.model.name}"]
        for metric in evaluation.model_metrics:
            score = evaluation.model.scores[metric.name]
            interval = _interval(metric, score)
            lines.append(f"  {metric.name:<24}{metric.shown(score.value):>12}  ({interval})")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def splits(evaluation: Evaluation) -> list[str]:
    """A line for each way in which texts were treated, and one for each metric without a value."""
    groups: dict[str, list[str]] = {}
    for metric in evaluation.metrics:
        if metric.name not in evaluation.missing:
            how = f"text {metric.text}, split by {metric.tokens}, case {metric.case}"
            groups.setdefault(how, []).append(metric.short)
    lines = [f"{', '.join(names)}: {how}" for how, names in groups.items()]
    lines += [
        f"{metric.short}: {_segments(evaluation, metric)} segments"
        for metric in evaluation.metrics
        if " of " in _segments(evaluation, metric)
    ]
    return [*lines, *(f"{name} n/a: {why}" for name, why in evaluation.missing.items())]


def _terminal_table(evaluation: Evaluation) -> str:
    rows = [["system", *(metric.short for metric in evaluation.metrics)]]
    for system in evaluation.systems:
        rows.append([system.name, *(shown for _, shown in shown_scores(evaluation, system))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join(lines)


def shown_scores(evaluation: Evaluation, system: SystemScores) -> Iterable[tuple[MetricFacts, str]]:
    """Each column with a system's value as it is written."""
    for metric in evaluation.metrics:
        yield metric, metric.shown(system.scores.get(metric.name, NOT_MEASURED).value)


def _interval(metric: MetricFacts, score: Score) -> str:
    return _ends(metric, score.low, score.high)


def _ends(metric: MetricFacts, low: float, high: float) -> str:
    if math.isnan(low) or math.isnan(high):
        return "n/a"
    return f"{metric.shown(low)} to {metric.shown(high)}"


def _shown_p(p: float, evaluation: Evaluation) -> str:
    """A p-value; none of so many draws is not 0. A star where it is small and means something."""
    if math.isnan(p):
        return "n/a"
    least = 1.0 / evaluation.settings["draws"]
    shown = f"{p:.4f}" if p >= least else f"<{least:g}"
    is_enough = evaluation.test_set.num_segments >= FEWEST_SEGMENTS
    return f"{shown} *" if p < SIGNIFICANT and is_enough else shown


def _segments(evaluation: Evaluation, metric: MetricFacts) -> str:
    """How many a metric rests on: all, or those where it is defined."""
    everything = evaluation.test_set.num_segments
    numbers = {
        system.scores[metric.name].num_segments
        for system in evaluation.systems
        if metric.name in system.scores
    }
    if metric.name in evaluation.missing or numbers <= {everything}:
        return f"{everything:,}"
    return f"{' or '.join(f'{number:,}' for number in sorted(numbers))} of {everything:,}"


def _references(evaluation: Evaluation, metric: MetricFacts) -> str:
    return evaluation.test_set.references if metric.uses_references else "none"


def _intervals_text(evaluation: Evaluation) -> str:
    draws = evaluation.settings["draws"]
    return (
        f"Percentile bootstrap over segments, {draws:,} draws, seed "
        f"{evaluation.settings['seed']}; Wilson's interval for shares of replies (Rep, Empty); the "
        "jackknife over groups of segments for what is no sum over them (E, D, Dup). n/a where a "
        "number rests on one segment, or does not change with the segments." + _few(evaluation)
    )


def _few(evaluation: Evaluation) -> str:
    if evaluation.test_set.num_segments >= FEWEST_SEGMENTS:
        return ""
    return (
        f" **With fewer than {FEWEST_SEGMENTS} segments intervals are too narrow and p too small: "
        "no differences are starred.**"
    )


def _comparisons_text(evaluation: Evaluation) -> str:
    return (
        "First minus second, on the same segments (paired bootstrap or jackknife); p is two-sided, "
        f"* below {SIGNIFICANT} (from {FEWEST_SEGMENTS} segments on), not corrected for the "
        f"number of comparisons ({len(evaluation.comparisons)})."
    )


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)
