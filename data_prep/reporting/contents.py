"""What the page shows, section by section, from what was counted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from data_prep.reporting.drawing import Drawing
from data_prep.reporting.examples import dropped_groups, shown_item, shown_row
from data_prep.reporting.figures import draw_concentration, draw_funnel
from data_prep.reporting.folder import OPTIONAL_FILES, DialogueFolder
from data_prep.reporting.formats import counted
from data_prep.reporting.funnel import Step, flows, last_flow, num_dialogues, steps_by_column
from data_prep.reporting.highlights import Highlighter
from data_prep.reporting.histogram import draw_histogram
from data_prep.reporting.histograms import histograms
from data_prep.reporting.item_statistics import ItemStatistics
from data_prep.reporting.month_figures import draw_drops_by_month, draw_months
from data_prep.reporting.overview import Overview
from data_prep.reporting.paper import differences_from_paper, flat
from data_prep.reporting.texts import TextStatistics
from dialogpt.records import SPLITS

TOP_SUBREDDITS = 30

_SHOWN_TRIGRAMS = 40
_LEAST_SHARE = 0.001  # dropped in some month, to be drawn by month
_SHOWN_THREADS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """All that was counted.

    Attributes:
        folder: what stands beside the dialogues.
        overview: of all dialogues.
        texts: of those whose text was read.
        items: of the test items.
        tokenizer: whose tokens were counted.
        without_tokens: why none were; "" if they were.
        num_examples: of each reason at most.
    """

    folder: DialogueFolder
    overview: Overview
    texts: TextStatistics
    items: ItemStatistics
    tokenizer: str
    without_tokens: str
    num_examples: int


def contents_of(found: Findings, drawing: Drawing) -> dict[str, Any]:
    """Name -> value for templates/page.html; draws the figures."""
    folder, overview = found.folder, found.overview
    highlighter = Highlighter.of(folder.settings, (trigram for trigram, _ in folder.trigrams))
    return {
        "folder": folder,
        "overview": overview,
        "texts": found.texts,
        "warnings": list(_warnings(found)),
        "headline": list(_headline(found)),
        **_origin(folder),
        **_funnel(folder, drawing),
        "histograms": histograms(
            drawing,
            overview,
            found.texts,
            tokenizer=found.tokenizer,
            max_words=folder.settings.get("filters", {}).get("max_words", 0),
        ),
        "without_tokens": found.without_tokens,
        **_subreddits(overview, drawing),
        **_months(found, drawing),
        **_speech(found),
        "splits": [(split, overview.num_dialogues.get(split, 0)) for split in SPLITS],
        "shown_threads": sorted(overview.shared_threads)[:_SHOWN_THREADS],
        **_test_items(found.items, highlighter, drawing),
        **_examples(found, highlighter),
        "missing": {name: OPTIONAL_FILES[name] for name in folder.missing},
    }


def _warnings(found: Findings) -> Iterator[str]:
    """What a reader must know before anything else."""
    for damage in found.folder.notes.get("damaged_archives", []):
        yield f"{damage}; what came before the damage is in the dialogues."
    if found.overview.shared_threads:
        threads = counted(len(found.overview.shared_threads), "thread")
        yield f"{threads} in two splits: models would be tested on what they were trained on."
    told = num_dialogues(found.folder.counts.total)
    if found.folder.counts.total and told != found.overview.total:
        yield (
            f"counts.tsv tells of {told:,} dialogues, and the files hold "
            f"{found.overview.total:,}: they were not written together."
        )


@dataclass(frozen=True, slots=True)
class Tile:
    """A number at the top of the page.

    Attributes:
        value: the number; a share if `is_share`.
        name: what it counts.
        is_share: whether to write it in percent.
        is_estimate: whether it was not counted in full.
    """

    value: float
    name: str
    is_share: bool = False
    is_estimate: bool = False


def _headline(found: Findings) -> Iterator[Tile]:
    total, overview, texts = found.folder.counts.total, found.overview, found.texts
    for name, what in (("comments_read", "comments read"), ("records_read", "records read")):
        if name in total:
            yield Tile(total[name], what)
    yield Tile(overview.total, "dialogues")
    flow = last_flow(total)
    if flow is not None:
        yield Tile(flow.share_kept, f"of {flow.num_in:,} {flow.kind} kept", is_share=True)
    num_words = texts.dialogue_words.sum
    if texts.is_sample:
        num_words = round(texts.dialogue_words.mean * overview.total)
    yield Tile(num_words, "words in them", is_estimate=texts.is_sample)
    yield Tile(overview.num_turns.mean, "turns a dialogue")
    yield Tile(texts.turn_words.mean, "words a turn", is_estimate=texts.is_sample)


def _origin(folder: DialogueFolder) -> dict[str, Any]:
    """Dumps, rules and settings."""
    inputs = folder.manifest.get("inputs", {})
    rules = folder.manifest.get("rules", "")
    return {
        "dumps": [
            (name, note["size"], note["sha256"])
            for name, note in sorted(inputs.items())
            if isinstance(note, Mapping)
        ],
        "checksums": [(name, note) for name, note in inputs.items() if isinstance(note, str)],
        "rules": rules if isinstance(rules, str) else "; ".join(rules),
        "differences": [] if folder.is_import else differences_from_paper(folder.settings),
        "settings": sorted(flat(folder.settings).items()),
    }


def _funnel(folder: DialogueFolder, drawing: Drawing) -> dict[str, Any]:
    counts = folder.counts
    found = [flow for flow in flows(counts.total) if flow.num_in]
    steps = steps_by_column(counts) if len(counts.columns) > 1 else {}
    large = {name: of for name, of in steps.items() if _is_worth_a_panel(of)}
    return {
        "flows": found,
        "funnel": draw_funnel(drawing, found) if found else None,
        "columns": list(counts.columns),
        "steps_by_column": steps,
        "drops_by_month": (
            draw_drops_by_month(drawing, large) if large and counts.are_monthly else None
        ),
        "odd_comments": [
            (name.partition(".")[2], number)
            for name, number in counts.total.items()
            if name.startswith("comments_kept.")
        ],
    }


def _is_worth_a_panel(steps: Mapping[str, Step]) -> bool:
    return any(step.share >= _LEAST_SHARE for step in steps.values())


@dataclass(frozen=True, slots=True)
class SubredditRow:
    """A line of the table of subreddits.

    Attributes:
        name: the subreddit.
        num_dialogues: how many it has.
        share: of all dialogues.
        cumulative: share of this one and those above it.
    """

    name: str
    num_dialogues: int
    share: float
    cumulative: float


def _subreddits(overview: Overview, drawing: Drawing) -> dict[str, Any]:
    ordered = sorted(overview.subreddits.items(), key=lambda found: (-found[1], found[0]))
    total = max(overview.total, 1)
    cumulative = [number / total for number in accumulate(number for _, number in ordered)]
    return {
        "top_subreddits": [
            SubredditRow(name, number, number / total, reached)
            for (name, number), reached in zip(ordered[:TOP_SUBREDDITS], cumulative, strict=False)
        ],
        "num_subreddits": len(ordered),
        "num_for_half": 1 + sum(reached < 0.5 for reached in cumulative),
        # The number of equally large ones that would be as concentrated (inverse Simpson index).
        "effective_subreddits": 1 / max(sum((number / total) ** 2 for _, number in ordered), 1e-12),
        "concentration": draw_concentration(drawing, cumulative) if len(ordered) > 1 else None,
    }


def _months(found: Findings, drawing: Drawing) -> dict[str, Any]:
    """Dialogues a month as the files have them, and what the counts say of the month."""
    dialogues = {month: n for month, n in sorted(found.overview.months.items()) if month}
    counted = found.folder.counts.columns if found.folder.counts.are_monthly else {}
    kept = {}
    for month, numbers in counted.items():
        flow = last_flow(numbers)
        if flow is not None and flow.num_in:
            kept[month] = flow.share_kept
    rows = [
        (month, counted.get(month, {}).get("comments_read"), dialogues.get(month, 0))
        for month in sorted({*dialogues, *counted})
    ]
    return {
        "months": [(*row, kept.get(row[0])) for row in rows],
        "months_figure": draw_months(drawing, dialogues, kept) if len(dialogues) > 1 else None,
        "num_without_month": found.overview.months.get("", 0),
    }


def _speech(found: Findings) -> dict[str, Any]:
    words = found.texts.response_words
    return {
        "trigrams": found.folder.trigrams[:_SHOWN_TRIGRAMS],
        "responses": found.texts.responses,
        "short_responses": 1 - words.share_above(2) if words.total else 0.0,
    }


def _test_items(
    items: ItemStatistics, highlighter: Highlighter, drawing: Drawing
) -> dict[str, Any]:
    numbers = items.num_references
    title = "References of a test item"
    return {
        "items": items,
        "references": (
            draw_histogram(drawing, "references", numbers, title=title, unit="references")
            if numbers.total
            else None
        ),
        "test_example": shown_item(items.example, highlighter) if items.example else None,
    }


def _examples(found: Findings, highlighter: Highlighter) -> dict[str, Any]:
    folder = found.folder
    order = [name.partition("_dropped.")[2] for name in folder.counts.total if "_dropped." in name]
    return {
        "kept_examples": [shown_row(row, highlighter) for row in found.texts.kept],
        "dropped_examples": dropped_groups(
            folder.examples,
            folder.settings,
            highlighter,
            order=order,
            most=found.num_examples,
        ),
    }
