"""The table for a paper in LaTeX, and every number in CSV."""

import csv
import io
import math

from dialogpt.evaluation.scores import NOT_MEASURED, Evaluation
from dialogpt.evaluation.tables import best_systems, shown_scores, splits
from dialogpt.table_formats import latex_text


def latex(evaluation: Evaluation) -> str:
    """The table for a paper; needs the package booktabs."""
    best = best_systems(evaluation)
    head = ["System", *(latex_text(metric.short) for metric in evaluation.metrics)]
    lines = [
        r"\begin{tabular}{l" + "r" * len(evaluation.metrics) + "}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
    ]
    for system in evaluation.systems:
        cells = [
            rf"\textbf{{{latex_text(shown)}}}"
            if system.name in best.get(metric.name, ())
            else latex_text(shown)
            for metric, shown in shown_scores(evaluation, system)
        ]
        lines.append(" & ".join([latex_text(system.name), *cells]) + r" \\")
    facts = evaluation.test_set
    comments = [
        f"Preset {evaluation.preset}, {facts.num_segments:,} segments, references a segment: "
        f"{facts.references} ({facts.slots})",
        *splits(evaluation),
    ]
    lines = [*(f"% {' '.join(comment.split())}" for comment in comments), *lines]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def csv_text(evaluation: Evaluation) -> str:
    """Every number of every system, a line each, with all that it depends on."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    head = ["preset", "metric", "system", "value", "low", "high", "text", "tokens", "case"]
    writer.writerow([*head, "references", "slots", "segments", "draws", "seed", "note"])
    facts = evaluation.test_set
    for metric in evaluation.metrics:
        note = evaluation.missing.get(metric.name, metric.note)
        for system in evaluation.systems:
            score = system.scores.get(metric.name, NOT_MEASURED)
            numbers = [_number(value) for value in (score.value, score.low, score.high)]
            how = [metric.text, metric.tokens, metric.case]
            references = [facts.references, facts.slots] if metric.uses_references else ["", ""]
            settings = [evaluation.settings[name] for name in ("draws", "seed")]
            row = [evaluation.preset, metric.name, system.name, *numbers, *how, *references]
            writer.writerow([*row, score.num_segments, *settings, note])
    return stream.getvalue()


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))
