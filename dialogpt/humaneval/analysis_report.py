"""An analysis as tables: DialoGPT's Tables 7 and 8, PLATO's and DSTC7's tables, judges."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dialogpt.command_line import as_plain
from dialogpt.humaneval.analysis_results import Analysis
from dialogpt.humaneval.kinds import KINDS
from dialogpt.humaneval.preferences import STARS, Preference
from dialogpt.humaneval.rating_means import Rating
from dialogpt.humaneval.resampling import Difference, Estimate
from dialogpt.table_formats import Table

NOT_KNOWN = "n/a"
_STARS_NOTE = "* p <= .01, ** p <= .001, *** p <= .0001, **** p <= .00001"


def tables_of(analysis: Analysis) -> list[Table]:
    """The tables that there are numbers for, results first."""
    tables: list[Table] = []
    if analysis.preferences:
        tables += [preference_table(analysis), statistics_table(analysis)]
        if any(one.majority is not None for one in analysis.preferences):
            tables.append(majority_table(analysis))
    if analysis.ratings:
        tables += [plato_table(analysis), instance_table(analysis)]
    if analysis.rating_differences:
        tables.append(difference_table(analysis))
    if analysis.agreements:
        tables.append(agreement_table(analysis))
    if analysis.judges:
        tables.append(judge_table(analysis))
    return tables


def csv_records(analysis: Analysis) -> dict[str, list[dict[str, Any]]]:
    """Name of a CSV file -> its lines, all numbers that there are."""
    kinds = ("preferences", "ratings", "rating_differences", "agreements", "judges")
    records = {kind: [as_plain(one) for one in getattr(analysis, kind)] for kind in kinds}
    return {kind: lines for kind, lines in records.items() if lines}


def preference_table(analysis: Analysis) -> Table:
    """As DialoGPT's Table 7: counts and percentages, the preferred system bold, with its stars."""
    rows, bold = [], set()
    for number, one in enumerate(_by_aspect(analysis)):
        counts = [one.first, one.neutral, one.second]
        cells = [f"{count} ({count / one.num_judgments:.0%})" for count in counts]
        if one.first != one.second:
            column = 0 if one.first > one.second else 2
            cells[column] += f" {one.stars}" if one.stars else ""
            bold.add((number, column + 2))
        first, second = one.systems
        rows.append([_label(analysis, one.aspect), first, *cells, second])
    return Table(
        title="Preferences",
        head=["aspect", "system A", "A", "neutral", "B", "system B"],
        rows=rows,
        num_names=2,
        bold=frozenset(bold),
        note=f"Judgments for A, for neither, for B. {_STARS_NOTE}.",
    )


def statistics_table(analysis: Analysis) -> Table:
    """As DialoGPT's Table 8: mean, standard error and interval of each, and of the difference."""
    rows = [
        [
            _label(analysis, one.aspect),
            " vs ".join(one.systems),
            *(
                cell
                for share in (one.share_first, one.share_second, one.share_difference)
                for cell in _cells(share)
            ),
            _p(one.share_difference),
        ]
        for one in _by_aspect(analysis)
    ]
    columns = [f"{what} {x}" for x in ("1", "2", "1-2") for what in ("mean", "SE", "95 % CI")]
    return Table(
        title="Preferences: uncertainty",
        head=["aspect", "systems 1 vs 2", *columns, "p"],
        rows=rows,
        num_names=2,
        note="Mean: share of all judgments, neutral ones count for neither. "
        + _bootstrap_note(analysis, "of an exact binomial test"),
    )


def majority_table(analysis: Analysis) -> Table:
    """Items won by majority vote."""
    rows = []
    for one in _by_aspect(analysis):
        if one.majority is not None:
            votes = [str(one.majority[name]) for name in ("first", "neutral", "second", "tied")]
            first, second = one.systems
            items = str(one.num_items)
            rows.append([_label(analysis, one.aspect), first, second, items, *votes])
    return Table(
        title="Majority votes",
        head=["aspect", "system A", "system B", "items", "A", "neutral", "B", "tied"],
        rows=rows,
        num_names=3,
        note="Items where one answer has more votes than either other one; tied: none has.",
    )


def plato_table(analysis: Analysis) -> Table:
    """As PLATO's table of human evaluation: mean of majority votes, a column an aspect."""
    split = sum(one.num_without_majority for one in analysis.ratings)
    return _rating_table(
        analysis,
        "Ratings by majority vote",
        lambda one: one.majority_mean,
        lambda one: _number(one.majority_mean.value, 3),
        "Mean over instances of the majority vote. Without a majority, so that the median is "
        f"taken: {split:,} of {sum(one.num_instances for one in analysis.ratings):,}. Average "
        f"Fleiss' kappa over aspects: {_number(analysis.mean_kappa, 3)}.",
    )


def instance_table(analysis: Analysis) -> Table:
    """As in DSTC7: mean over instances with its interval, a column an aspect."""

    def cell(one: Rating) -> str:
        mean = one.instance_mean
        return f"{_number(mean.value, 3)} {_interval(mean, 3)}"

    return _rating_table(
        analysis,
        "Ratings, mean over instances",
        lambda one: one.instance_mean,
        cell,
        f"Mean of the means of instances; 95 % percentile intervals, {analysis.draws:,} draws of "
        "contexts.",
    )


def difference_table(analysis: Analysis) -> Table:
    """Each two systems."""
    rows = []
    aspects = list(dict.fromkeys(one.aspect for one in analysis.rating_differences))
    for one in sorted(analysis.rating_differences, key=lambda one: aspects.index(one.aspect)):
        between = one.mean_difference
        rows.append(
            [
                _label(analysis, one.aspect),
                " - ".join(one.systems),
                str(one.num_contexts),
                *_cells(between),
                _p(between),
            ]
        )
    return Table(
        title="Differences of ratings",
        head=["aspect", "systems", "contexts", "difference", "SE", "95 % CI", "p"],
        rows=rows,
        num_names=2,
        note=_bootstrap_note(analysis, "of a permutation test"),
    )


def agreement_table(analysis: Analysis) -> Table:
    """Fleiss' kappa and shares of agreement."""
    rows = [
        [
            _label(analysis, one.aspect),
            " vs ".join(one.systems) or "all",
            str(one.num_items),
            _number(one.kappa, 3),
            _percent(one.agreeing),
            _percent(one.unanimous),
        ]
        for one in analysis.agreements
    ]
    return Table(
        title="Agreement of judges",
        head=["aspect", "systems", "items", "Fleiss' kappa", "pairs agree", "all agree"],
        rows=rows,
        num_names=2,
        note="Items with at least two judges. Mean kappa over aspects, all items: "
        f"{_number(analysis.mean_kappa, 3)}.",
    )


def judge_table(analysis: Analysis) -> Table:
    """What each judge did."""
    left_out = {one.judge for one in analysis.left_out}
    answers = sorted({answer for one in analysis.judges for answer in one.shares}, key=str)
    pairwise = analysis.kind == "pairwise"
    names = [
        f"{answer} shown" if pairwise and answer != "neutral" else answer for answer in answers
    ]
    rows = [
        [
            one.judge,
            "left out" if one.judge in left_out else f"{len(one.flags)} flags" * bool(one.flags),
            str(one.num_items),
            str(one.num_judgments),
            _number(one.mean_seconds, 1),
            _number(one.median_seconds, 1),
            *(_percent(one.shares.get(answer, 0.0)) for answer in answers),
            *([_percent(one.first_shown)] if pairwise else []),
            _percent(one.agreement),
            f"{one.known.failed_qualification}/{one.known.num_qualification}",
            f"{one.known.failed_spam_checks}/{one.known.num_spam_checks}",
        ]
        for one in analysis.judges
    ]
    head = ["judge", "state", "items", "judgments", "mean s", "median s", *map(str, names)]
    head += ["first of preferences"] * pairwise
    return Table(
        title="Judges",
        head=[*head, "agrees", "qualification failed", "spam checks failed"],
        rows=rows,
        num_names=2,
        note="Seconds an item. Agrees: with the majority of the other judges of "
        "the item who count.",
    )


def _rating_table(
    analysis: Analysis,
    title: str,
    value: Callable[[Rating], Estimate],
    cell: Callable[[Rating], str],
    note: str,
) -> Table:
    """A row a system, a column an aspect, the best of each bold."""
    found: Mapping[tuple[str, str], Rating] = {(o.system, o.aspect): o for o in analysis.ratings}
    systems = list(dict.fromkeys(one.system for one in analysis.ratings))
    aspects = list(dict.fromkeys(one.aspect for one in analysis.ratings))
    rows = [
        [s, *(cell(found[s, a]) if (s, a) in found else NOT_KNOWN for a in aspects)]
        for s in systems
    ]
    bold = set()
    for column, aspect in enumerate(aspects, start=1):
        values = {s: value(found[s, aspect]).value or 0.0 for s in systems if (s, aspect) in found}
        best = max(values.values())
        bold |= {(r, column) for r, s in enumerate(systems) if values.get(s) == best}
    head = ["system", *(_label(analysis, aspect) for aspect in aspects)]
    return Table(title=title, head=head, rows=rows, bold=frozenset(bold), note=note)


def _by_aspect(analysis: Analysis) -> list[Preference]:
    """The rows in blocks of an aspect, as both papers' tables have them."""
    aspects = list(dict.fromkeys(one.aspect for one in analysis.preferences))
    return sorted(analysis.preferences, key=lambda one: aspects.index(one.aspect))


def _label(analysis: Analysis, aspect: str) -> str:
    """What judges saw as its heading, or its name."""
    known = KINDS[analysis.kind].aspects if analysis.kind in KINDS else ()  # type: ignore[index]
    return next((one.label for one in known if one.name == aspect), aspect)


def _bootstrap_note(analysis: Analysis, least: str) -> str:
    """What SE, CI and p are; of draws of judgments p has a least value."""
    draws = f"{analysis.draws:,} draws of"
    if analysis.resample == "item":
        return (
            f"SE, CI (percentile): {draws} contexts, each with all its judgments; n/a where all "
            "are alike. p: two-sided, exact sign-flip test of contexts."
        )
    return (
        f"SE, CI (percentile), p (two-sided, centred): {draws} judgments, independent of each "
        f"other, as in DialoGPT's paper; p is at least that {least}."
    )


def _cells(one: Estimate) -> Sequence[str]:
    return _number(one.value, 4), _number(one.standard_error, 4), _interval(one, 4)


def _interval(one: Estimate, digits: int) -> str:
    if one.low is None or one.high is None:
        return NOT_KNOWN
    return f"({one.low:.{digits}f}, {one.high:.{digits}f})"


def _p(between: Difference) -> str:
    """With digits enough to see which stars it gets."""
    if between.p_value is None:
        return NOT_KNOWN
    if between.p_value < STARS[-1]:
        return f"<{STARS[-1]:.0e}"
    return f"{between.p_value:.4f}" if between.p_value >= 1e-3 else f"{between.p_value:.1e}"


def _number(value: float | None, digits: int) -> str:
    return NOT_KNOWN if value is None else f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return NOT_KNOWN if share is None else f"{share:.0%}"
