"""`python -m dialogpt.humaneval analyze`: judgments -> numbers, tables, who may not have looked."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dialogpt.command_line import UserError, as_plain, printable
from dialogpt.config.humaneval import AnalyzeConfig
from dialogpt.humaneval.agreement import agreements, mean_kappa
from dialogpt.humaneval.analysis_report import csv_records, tables_of
from dialogpt.humaneval.analysis_results import Analysis, LeftOut
from dialogpt.humaneval.answers import ANSWERS_FORMAT, PLAN_FORMAT, VALUES, format_of
from dialogpt.humaneval.fields import writing
from dialogpt.humaneval.judges import JudgeStatistics, judge_statistics
from dialogpt.humaneval.judgments import Judgment, read_judgments
from dialogpt.humaneval.kinds import KINDS
from dialogpt.humaneval.preferences import preference, preferences, single
from dialogpt.humaneval.published import is_dstc7, read_counts, read_dstc7
from dialogpt.humaneval.rating_means import rate, rating_differences
from dialogpt.humaneval.ratings import count_ratings
from dialogpt.humaneval.resampling import generator
from dialogpt.records import write_json, write_text
from dialogpt.table_formats import csv_text, latex, markdown, markdown_text, plain
from dialogpt.text import clean_turn

ANALYSIS_FORMAT = "dialogpt-humaneval-analysis"


def analyze(config: AnalyzeConfig) -> int:
    """Write analysis.json, tables.md, tables.tex and CSV files; print the tables.

    `answers` is a file of `collect`, or a per-judge file of DSTC7.

    Returns:
        0.

    Raises:
        UserError, RecordError: the input cannot be read, nothing is left of it, or the output
            folder is not empty.
    """
    folder = Path(config.output)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = "other files" if folder.is_dir() else "a file"
        raise UserError(
            f"{folder}: expected a new or empty folder, found {found}; name another --output"
        )
    analysis = of_counts(config) if config.counts else of_judgments(config)
    with writing(folder):
        _write(folder, analysis)
    tables = tables_of(analysis)
    print("\n".join([*_said(analysis), "", *map(plain, tables)]))
    print(f"written to {printable(str(folder))}")
    return 0


def of_counts(config: AnalyzeConfig) -> Analysis:
    """What follows from counts alone.

    Raises:
        UserError: counts are to be drawn by item, of which they say nothing.
    """
    if config.resample != "judgment":
        raise UserError(
            f"{config.counts}: counts say nothing of items, so that only judgments can be drawn; "
            "add --resample judgment, as in DialoGPT's paper"
        )
    rows = read_counts(Path(config.counts))
    return Analysis(
        study=Path(config.counts).name,
        kind="pairwise",
        num_judgments=sum(sum(row.counts) for row in rows),
        preferences=[
            preference(
                row.systems,
                row.aspect,
                single(np.array(row.counts, np.int64)),
                counts_by_item=None,
                resample=config.resample,
                draws=config.draws,
                rng=generator(config.seed, *row.systems, row.aspect),
            )
            for row in rows
        ],
        **_options(config),
    )


def of_judgments(config: AnalyzeConfig) -> Analysis:
    """What follows from judgments.

    Raises:
        UserError: none counts.
    """
    path = Path(config.answers)
    given, notes = _read(path)
    # Sorted, so that nothing depends on the order of the file; aspects as on the page, those that
    # no page has (DSTC7's columns) in the order they have.
    aspects = [*KINDS[given[0].kind].aspect_names, *(j.aspect for j in given)] if given else []
    places = {name: place for place, name in reversed([*enumerate(aspects)])}
    given.sort(key=lambda judgment: (places[judgment.aspect], judgment.judge, judgment.item))
    judges = judge_statistics(given, exclude_spam=config.exclude_spam)
    left_out = _left_out(judges) if config.exclude_spam else []
    names = {one.judge for one in left_out}
    counted = [j for j in given if j.purpose == "judged" and j.judge not in names]
    if not counted:
        raise UserError(_nothing_counts(path, given, num_left_out=len(names)))
    found = agreements(counted)
    return Analysis(
        study=counted[0].study,
        kind=counted[0].kind,
        num_judgments=len(counted),
        notes=notes,
        left_out=left_out,
        agreements=found,
        mean_kappa=mean_kappa(found),
        judges=judges,
        **_results(counted, config),
        **_options(config),
    )


def _read(path: Path) -> tuple[list[Judgment], list[str]]:
    """Judgments, and what to say about them."""
    collect = "run `collect`, and name the file that it writes"
    if not path.is_file():
        there = "a folder" if path.is_dir() else "nothing"
        raise UserError(f"{path}: expected the file that `collect` wrote, found {there}; {collect}")
    if is_dstc7(path):
        return read_dstc7(path)
    what = {ANSWERS_FORMAT: "the answers of one judge", PLAN_FORMAT: "a plan"}.get(format_of(path))
    if what:
        raise UserError(f"{path}: expected the file that `collect` wrote, found {what}; {collect}")
    return read_judgments(path), []


def _nothing_counts(path: Path, given: Sequence[Judgment], *, num_left_out: int) -> str:
    """What is wrong where no judgment is left."""
    expected = f"{path}: expected judgments that count"
    num = sum(one.purpose == "judged" for one in given)
    if num:
        return (
            f"{expected}, found {num:,}, all of the {num_left_out} judges who are left out; "
            "--no_exclude_spam keeps them"
        )
    found = f"{len(given):,}, all on items with a known answer" if given else "none"
    return f"{expected}, found {found}; run `collect` again once judges have answered other items"


def _results(counted: Sequence[Judgment], config: AnalyzeConfig) -> dict[str, Any]:
    kind = counted[0].kind
    options = {"resample": config.resample, "draws": config.draws, "seed": config.seed}
    if kind == "pairwise":
        return {"preferences": preferences(counted, **options)}  # type: ignore[arg-type]
    table = count_ratings(counted, [int(value) for value in VALUES[kind]])
    return {
        "ratings": rate(table, **options),  # type: ignore[arg-type]
        "rating_differences": rating_differences(table, **options),  # type: ignore[arg-type]
    }


def _options(config: AnalyzeConfig) -> dict[str, Any]:
    names = ("draws", "seed", "resample", "exclude_spam")
    return {name: getattr(config, name) for name in names}


def _left_out(judges: Sequence[JudgeStatistics]) -> list[LeftOut]:
    return [
        LeftOut(
            judge=one.judge,
            num_judgments=one.num_judgments,
            reason=one.known.outcome,
        )
        for one in judges
        if one.is_spam
    ]


def _said(analysis: Analysis) -> list[str]:
    """Lines for the user: what counts, what does not, whom to look at."""
    drawn = "contexts, with all their judgments" if analysis.resample == "item" else "judgments"
    lines = [
        f"{clean_turn(analysis.study)} ({analysis.kind}): {analysis.num_judgments:,} judgments; "
        f"{analysis.draws:,} draws of {drawn}",
        *analysis.notes,
    ]
    for one in analysis.left_out:
        judge = clean_turn(one.judge)
        lines.append(f"left out: {judge} ({one.num_judgments:,} judgments), {one.reason}")
    left_out = {one.judge for one in analysis.left_out}
    for statistics in analysis.judges:
        state = "left out" if statistics.judge in left_out else "counted"
        judge = clean_turn(statistics.judge)
        lines += [f"look at {judge} ({state}): {flag}" for flag in statistics.flags]
    return lines


def _write(folder: Path, analysis: Analysis) -> None:
    """All files; analysis.json comes last, so that where it is, the others are."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = tables_of(analysis)
    head = "\n".join(f"- {markdown_text(line)}" for line in _said(analysis))
    text = "\n".join(map(markdown, tables))
    write_text(folder / "tables.md", f"# {markdown_text(analysis.study)}\n\n{head}\n\n{text}")
    write_text(folder / "tables.tex", "\n".join(map(latex, tables)))
    for name, records in csv_records(analysis).items():
        write_text(folder / f"{name}.csv", csv_text(records))
    values = {"format": ANALYSIS_FORMAT, "version": 1, **as_plain(analysis)}
    write_json(folder / "analysis.json", values)
