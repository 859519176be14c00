"""python -m data_prep contamination: does what a model is tested on also stand in its training?

The report is about three kinds of text: the responses (human and references), the last turn of each
context, and each whole context. docs/duplicates.md says how to read it.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.contamination.search import Findings, SearchTask, search_part
from data_prep.contamination.test_set import (
    KINDS,
    RESPONSE,
    TestSet,
    TestText,
    WantedTexts,
    read_test_set,
)
from data_prep.dialogues import num_dialogues, part_files
from data_prep.stages import JsonObject, Stage, Unit, Workers, run_stage
from dialogpt.command_line import parse_config, run_command
from dialogpt.records import write_json

CONTAMINATED = 3
"""Exit code when the report is written, and says that the test set is not fit for testing."""

_PROG = "python -m data_prep contamination"
_BINS_PER_UNIT = 20
_SHOWN_IDS = 100


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class ContaminationConfig:
    """Report the texts of a test set that also stand in training, exactly or nearly."""

    dialogues: str
    """Folder that `extract` wrote; its training split is searched."""
    test: str = ""
    """JSON Lines of test items ("id", "turns", "references", "human"); "" takes the test split of
    the dialogues, the last turn of each being the response."""
    output: str = ""
    """File for the report with all matches (JSON); "" only prints the table."""
    min_similarity: float = 0.8
    """Report texts with so large a share of shingles in common (Jaccard similarity)."""
    shingle_words: int = 3
    """Words of a shingle, the piece of text that is compared."""
    min_words: int = 5
    """Texts of fewer words are counted apart: "thank you" stands everywhere."""
    max_share: float = 1.0
    """End with exit code 3 if training has a larger share of the responses of min_words or more."""
    max_matches: int = 20
    """Matches of a text that the report lists, the most similar ones; 0 lists all."""
    num_workers: int = 0
    """Processes; 0 takes one for each core."""

    def __post_init__(self) -> None:
        _require(0 < self.min_similarity <= 1, "min_similarity must lie in (0, 1]")
        _require(self.shingle_words >= 1, "shingle_words must be >= 1")
        _require(self.min_words >= 1, "min_words must be >= 1")
        _require(0 <= self.max_share <= 1, "max_share must lie in [0, 1]")
        _require(self.max_matches >= 0, "max_matches must be >= 0")
        _require(self.num_workers >= 0, "num_workers must be >= 0")


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config, _ = parse_config(ContaminationConfig, argv, prog=_PROG)
    run_command(partial(_command, config))


def _command(config: ContaminationConfig) -> None:
    report = check(config)
    if config.output:
        output = Path(config.output)
        output.parent.mkdir(parents=True, exist_ok=True)
        write_json(output, report)
    print("\n".join(table_lines(report)))
    if any(report[name]["number"] for name in ("shared_thread_ids", "shared_turn_ids")):
        print("the test set and training have threads or comments in common: deal them out again")
        raise SystemExit(CONTAMINATED)
    share = report["kinds"][RESPONSE]["long"]["share"]
    if share > config.max_share:
        print(f"{share:.2%} of the responses are in training: more than {config.max_share:.2%}")
        raise SystemExit(CONTAMINATED)


def check(config: ContaminationConfig) -> JsonObject:
    """The report.

    Returns:
        JSON: "settings"; "num_items" and, of training, "num_dialogues", "num_turns",
        "num_contexts"; "shared_thread_ids", "shared_turn_ids" ("number" and some "ids"); "kinds"
        (kind -> "long" and "short" -> what `_summary` says); "matches", one for each test text
        that was found, and a training text that it was found in.

    Raises:
        UserError: there are no dialogues, or no test items.
    """
    dialogues = Path(config.dialogues)
    parts = part_files(dialogues, "train")
    task = SearchTask(
        part=parts[0],
        test=Path(config.test) if config.test else None,
        dialogues=dialogues,
        shingle_words=config.shingle_words,
        min_similarity=config.min_similarity,
        min_words=config.min_words,
        max_matches=config.max_matches,
    )
    test_set = read_test_set(
        task.test,
        dialogues,
        shingle_words=config.shingle_words,
        min_similarity=config.min_similarity,
    )
    results = _search(task, parts, config.num_workers)
    found = list(_merged(config, test_set, results))
    counted = ("num_dialogues", "num_turns", "num_contexts")
    return {
        "settings": asdict(config),
        "num_items": test_set.num_items,
        **{name: sum(result[name] for result in results) for name in counted},
        **{
            name: _ids({value for result in results for value in result[name]})
            for name in ("shared_thread_ids", "shared_turn_ids")
        },
        "kinds": _kinds(found, min_words=config.min_words),
        "matches": [match for of_text in found for match in of_text.matches()],
    }


def _search(task: SearchTask, parts: Sequence[Path], num_workers: int) -> list[JsonObject]:
    """What each file of training holds."""
    units = []
    for part in parts:
        of_part = SearchTask(**{**asdict(task), "part": part})
        units.append(Unit(part.stem, of_part, num_dialogues(part)))
    with tempfile.TemporaryDirectory() as folder, Workers(num_workers) as workers:
        stage = Stage(
            label="search", measure=" dialogues", work=search_part, markers=Path(folder) / "markers"
        )
        return run_stage(stage, units, workers=workers)


def _ids(names: set[str]) -> JsonObject:
    return {"number": len(names), "ids": sorted(names)[:_SHOWN_IDS]}


@dataclass(frozen=True, slots=True)
class FoundText:
    """A text of the test set, and what was found of it.

    Attributes:
        text: of the test set.
        num_words: its words.
        num_exact, num_near: texts of training with the same words, and similar ones.
        best: of `contamination_search.Matches`.
    """

    text: TestText
    num_words: int
    num_exact: int
    num_near: int
    best: list[JsonObject]

    def matches(self) -> Iterator[JsonObject]:
        """The matches as the report lists them."""
        for match in self.best:
            yield {
                "kind": self.text.kind,
                "test_id": self.text.item_id,
                "test_turn_id": self.text.turn_id,
                "test_turns": self.text.turns,
                "num_exact": self.num_exact,
                "num_near": self.num_near,
                "similarity": match["similarity"],
                "exact": match["exact"],
                "train_thread_id": match["thread_id"],
                "train_turn_id": match["turn_id"],
                "train_turns": match["turns"],
            }


def _merged(
    config: ContaminationConfig, test_set: TestSet, results: Sequence[JsonObject]
) -> Iterator[FoundText]:
    """Every text of the test set with what all files hold of it."""
    sources: tuple[tuple[str, WantedTexts, tuple[TestText, ...]], ...] = (
        ("turns", test_set.turns, test_set.turn_texts),
        ("contexts", test_set.contexts, test_set.context_texts),
    )
    for name, wanted, texts in sources:
        findings = Findings(wanted, min_words=config.min_words, max_matches=config.max_matches)
        for result in results:
            findings.add_json(result[name])
        lengths = wanted.lengths()
        for text, number in zip(texts, wanted.numbers.tolist(), strict=True):
            matches = findings.of_text.get(number)
            yield FoundText(
                text=text,
                num_words=int(lengths[number]),
                num_exact=matches.num_exact if matches else 0,
                num_near=matches.num_near if matches else 0,
                best=matches.best if matches else [],
            )


def _kinds(found: Sequence[FoundText], *, min_words: int) -> JsonObject:
    kinds: JsonObject = {}
    for kind in KINDS:
        of_kind = [text for text in found if text.text.kind == kind]
        kinds[kind] = {
            "long": _summary([text for text in of_kind if text.num_words >= min_words]),
            "short": _summary([text for text in of_kind if text.num_words < min_words]),
        }
    return kinds


def _summary(found: Sequence[FoundText]) -> JsonObject:
    """How much of some texts is in training.

    Returns:
        JSON: "texts"; "exact", those of which the same words are in training; "near", those of
        which only similar texts are; "share" of both. "mean_similarity" and "max_similarity" of the
        texts found, each to what is most similar to it; "histogram", in steps of 0.05.
    """
    exact = sum(text.num_exact > 0 for text in found)
    similarities = np.array([text.best[0]["similarity"] for text in found if text.best])
    bins = np.floor(similarities * _BINS_PER_UNIT).astype(int)
    numbers, counts = np.unique(bins, return_counts=True)
    return {
        "texts": len(found),
        "exact": exact,
        "near": len(similarities) - exact,
        "share": len(similarities) / len(found) if found else 0.0,
        "mean_similarity": float(similarities.mean()) if len(similarities) else None,
        "max_similarity": float(similarities.max()) if len(similarities) else None,
        "histogram": {
            f"{number / _BINS_PER_UNIT:.2f}": count
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        },
    }


def table_lines(report: JsonObject) -> Iterator[str]:
    """The report as a table for people."""
    settings = report["settings"]
    yield (
        f"{report['num_items']:,} test items, {report['num_dialogues']:,} training dialogues; "
        f"near: similarity of {settings['min_similarity']} or more"
    )
    yield f"{'in training':<38} {'texts':>9} {'exact':>9} {'near':>9} {'share':>8} {'mean':>6}"
    for kind in KINDS:
        for length, sign in (("long", ">="), ("short", "<")):
            label = f"{kind}, {sign} {settings['min_words']} words"
            row = report["kinds"][kind][length]
            mean = row["mean_similarity"]
            yield (
                f"{label:<38} {row['texts']:>9,} "
                f"{row['exact']:>9,} {row['near']:>9,} {row['share']:>8.2%} "
                f"{'' if mean is None else f'{mean:.2f}':>6}"
            )
    yield f"threads in common: {report['shared_thread_ids']['number']:,}"
    yield f"comments in common: {report['shared_turn_ids']['number']:,}"
