"""An evaluation as tables: like the papers' in Markdown and LaTeX, and every number in CSV."""

import csv
import io
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

_LATEX = str.maketrans(
    {
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
    }
)
SIGNIFICANT = 0.05


def markdown(evaluation: Evaluation) -> str:
    """A page: the table, what its columns mean, intervals, comparisons."""
    test_set = evaluation.test_set
    head = (
        f"Preset {evaluation.preset}; {test_set.num_segments:,} segments of "
        f"{', '.join(test_set.files)}; references a segment: {test_set.references} "
        f"({test_set.slots})."
    )
    parts = [head, main_table(evaluation), columns_table(evaluation)]
    parts += ["### Intervals", _intervals_text(evaluation), intervals_table(evaluation)]
    if evaluation.comparisons:
        parts += ["### Comparisons", _comparisons_text(evaluation), comparisons_table(evaluation)]
    if evaluation.model is not None:
        parts += [f"### The model {_cell(evaluation.model.name)} itself", model_table(evaluation)]
    return "\n\n".join(parts) + "\n"


def model_table(evaluation: Evaluation) -> str:
    """A row a number of the language model."""
    assert evaluation.model is not None
    rows = [
        [
            _cell(metric.name),
            metric.shown(score.value),
            _interval(metric, score),
            _cell(f"{metric.tokens}; {metric.note}" if metric.note else metric.tokens),
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
            _cell(system.name),
            *(
                f"**{shown}**" if system.name in best.get(metric.name, ()) else shown
                for metric, shown in _shown_scores(evaluation, system)
            ),
        ]
        for system in evaluation.systems
    ]
    return _markdown_table(["system", *(_cell(m.short) for m in evaluation.metrics)], rows)


def columns_table(evaluation: Evaluation) -> str:
    """What each column is, and why one says n/a."""
    rows = []
    for metric in evaluation.metrics:
        references = evaluation.test_set.references if metric.uses_references else "none"
        note = evaluation.missing.get(metric.name, "")
        note = f"n/a: {note}" if note else metric.note
        row = [metric.name, metric.text, metric.tokens, metric.case, references]
        rows.append([_cell(text) for text in (*row, f"{evaluation.test_set.num_segments:,}", note)])
    head = ["metric", "text", "split by", "case", "references", "segments", "note"]
    return _markdown_table(head, rows)


def intervals_table(evaluation: Evaluation) -> str:
    """A row a metric and system: value and 95 % confidence interval."""
    rows = [
        [
            _cell(metric.name),
            _cell(system.name),
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
            _cell(one.metric),
            _cell(f"{one.first} - {one.second}"),
            facts[one.metric].shown(one.difference),
            _interval(facts[one.metric], Score(value=one.difference, low=one.low, high=one.high)),
            facts[one.metric].shown_p(one.p) + (" *" if one.p < SIGNIFICANT else ""),
        ]
        for one in evaluation.comparisons
    ]
    return _markdown_table(["metric", "systems", "difference", "95 % interval", "p"], rows)


def latex(evaluation: Evaluation) -> str:
    """The table for a paper; needs the package booktabs."""
    best = best_systems(evaluation)
    lines = [
        r"\begin{tabular}{l" + "r" * len(evaluation.metrics) + "}",
        r"\toprule",
        " & ".join(["System", *(_latex(metric.short) for metric in evaluation.metrics)]) + r" \\",
        r"\midrule",
    ]
    for system in evaluation.systems:
        cells = [
            rf"\textbf{{{_latex(shown)}}}"
            if system.name in best.get(metric.name, ())
            else _latex(shown)
            for metric, shown in _shown_scores(evaluation, system)
        ]
        lines.append(" & ".join([_latex(system.name), *cells]) + r" \\")
    facts = evaluation.test_set
    caption = (
        f"Preset {evaluation.preset}, {facts.num_segments:,} segments, references a segment: "
        f"{facts.references}."
    )
    return "\n".join([f"% {caption}", *lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_text(evaluation: Evaluation) -> str:
    """Every number of every system, a line each, with all that it depends on."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["preset", "metric", "system", "value", "low", "high", "text", "tokens", "case"]
    writer.writerow([*head, "references", "segments", "note"])
    facts = evaluation.test_set
    for metric in evaluation.metrics:
        note = evaluation.missing.get(metric.name, metric.note)
        for system in evaluation.systems:
            score = system.scores.get(metric.name, NOT_MEASURED)
            numbers = [_number(value) for value in (score.value, score.low, score.high)]
            how = [metric.text, metric.tokens, metric.case]
            references = facts.references if metric.uses_references else ""
            row = [evaluation.preset, metric.name, system.name, *numbers, *how]
            writer.writerow([*row, references, facts.num_segments, note])
    return stream.getvalue()


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
        parts.append("\n".join(_splits(evaluation)))
    if evaluation.model is not None:
        lines = [f"Model {evaluation.model.name}"]
        for metric in evaluation.model_metrics:
            score = evaluation.model.scores[metric.name]
            interval = _interval(metric, score)
            lines.append(f"  {metric.name:<24}{metric.shown(score.value):>12}  ({interval})")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _splits(evaluation: Evaluation) -> list[str]:
    """A line for each way in which texts were treated, and one for each metric without a value."""
    groups: dict[str, list[str]] = {}
    for metric in evaluation.metrics:
        if metric.name not in evaluation.missing:
            how = f"text {metric.text}, split by {metric.tokens}, case {metric.case}"
            groups.setdefault(how, []).append(metric.short)
    lines = [f"{', '.join(names)}: {how}" for how, names in groups.items()]
    return [*lines, *(f"{name} n/a: {why}" for name, why in evaluation.missing.items())]


def _terminal_table(evaluation: Evaluation) -> str:
    rows = [["system", *(metric.short for metric in evaluation.metrics)]]
    for system in evaluation.systems:
        rows.append([system.name, *(shown for _, shown in _shown_scores(evaluation, system))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells]))
    return "\n".join(lines)


def _shown_scores(
    evaluation: Evaluation, system: SystemScores
) -> Iterable[tuple[MetricFacts, str]]:
    for metric in evaluation.metrics:
        yield metric, metric.shown(system.scores.get(metric.name, NOT_MEASURED).value)


def _interval(metric: MetricFacts, score: Score) -> str:
    if not score.has_interval:
        return "n/a"
    return f"{metric.shown(score.low)} to {metric.shown(score.high)}"


def _intervals_text(evaluation: Evaluation) -> str:
    draws = evaluation.settings["draws"]
    return (
        f"Percentile bootstrap over segments, {draws:,} draws; for entropy and distinct n-grams, "
        "which are no sums, the jackknife over groups of segments. Seed "
        f"{evaluation.settings['seed']}."
    )


def _comparisons_text(evaluation: Evaluation) -> str:
    return (
        "First minus second, on the same segments (paired bootstrap or jackknife); p is two-sided, "
        f"* below {SIGNIFICANT}, not corrected for the number of comparisons "
        f"({len(evaluation.comparisons)})."
    )


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ").replace("<", "&lt;")


def _latex(text: str) -> str:
    return text.translate(_LATEX)


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
