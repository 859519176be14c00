"""Looking for the texts of a test set in one file of training dialogues.

Every pair of texts that is similar enough is found: see `data_prep.contamination.similar_texts`.
Memory is bounded by the test set and the dialogues of a thread.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from data_prep.contamination.test_set import WantedTexts, read_test_set
from data_prep.dialogues import read_part
from data_prep.shingles import IntArray, ShingleSets, compared_words, flattened, shingle_sets
from data_prep.stages import JsonObject, Report


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchTask:
    """A file to look through.

    Attributes:
        part: of training dialogues.
        test, dialogues, shingle_words, min_similarity: as for `read_test_set`.
        min_words: texts of fewer words are everywhere: one example of each is enough.
        max_matches: matches of a text that are kept, the most similar ones; 0 keeps all.
    """

    part: Path
    test: Path | None
    dialogues: Path
    shingle_words: int
    min_similarity: float
    min_words: int
    max_matches: int


@dataclass(frozen=True, slots=True)
class TrainingTexts:
    """Texts of training, once each though many paths of a thread may have them in common.

    Attributes:
        words: the words of all turns.
        first, stop: (n,) the turns of each text in `words`.
        turn_ids: the comment of each text's last turn.
        thread_ids: the thread of each.
    """

    words: pa.Array
    first: IntArray
    stop: IntArray
    turn_ids: pa.Array
    thread_ids: pa.Array


@dataclass(slots=True)
class Matches:
    """What was found of one text.

    Attributes:
        num_exact: texts of training with the same words.
        num_near: others that are similar enough.
        best: the most similar ones: "similarity", "exact", "thread_id", "turn_id", "turns".
    """

    num_exact: int = 0
    num_near: int = 0
    best: list[JsonObject] = field(default_factory=list)

    def add(self, match: JsonObject, *, limit: int) -> None:
        """Count a match, and keep it if it is among the best.

        Args:
            match: as in `best`.
            limit: how many are kept; 0 keeps all.
        """
        self.num_exact += match["exact"]
        self.num_near += not match["exact"]
        self.best.append(match)
        if limit and len(self.best) > 2 * limit:
            self.cut(limit)

    def cut(self, limit: int) -> None:
        """Put the best in order and keep no more than the limit."""
        self.best.sort(key=_rank)
        if limit:
            del self.best[limit:]

    def merge(self, other: "Matches", *, limit: int) -> None:
        """Add what was found elsewhere."""
        self.num_exact += other.num_exact
        self.num_near += other.num_near
        self.best += other.best
        self.cut(limit)


def _rank(match: JsonObject) -> tuple[Any, ...]:
    return not match["exact"], -match["similarity"], match["thread_id"], match["turn_id"]


class Findings:
    """What was found of each of some different texts."""

    def __init__(self, wanted: WantedTexts, *, min_words: int, max_matches: int) -> None:
        """Begin with nothing found.

        Args:
            wanted: the texts.
            min_words: see SearchTask.
            max_matches: see SearchTask.
        """
        self._wanted = wanted
        self._is_long = wanted.lengths() >= min_words
        self._max_matches = max_matches
        self.of_text: dict[int, Matches] = {}

    def limit(self, number: int) -> int:
        """How many matches of a text are kept; 0 for all."""
        return self._max_matches if self._is_long[number] else 1

    def search(self, texts: TrainingTexts, sets: ShingleSets, turns: pa.Array) -> None:
        """Find the wanted texts among some of training.

        Args:
            texts: of training.
            sets: their shingles.
            turns: the texts of all turns, in step with `texts.words`.
        """
        similar = self._wanted.index.search(sets)
        for other, known, similarity in similar.pairs():
            here = slice(int(texts.first[other]), int(texts.stop[other]))
            match = {
                "similarity": similarity,
                "exact": "\n".join(texts.words[here].to_pylist()) == self._wanted.words[known],
                "thread_id": texts.thread_ids[other].as_py(),
                "turn_id": texts.turn_ids[other].as_py(),
                "turns": turns[here].to_pylist(),
            }
            self.of_text.setdefault(known, Matches()).add(match, limit=self.limit(known))

    def as_json(self) -> JsonObject:
        """Number of the text -> [num_exact, num_near, best]."""
        for number, matches in self.of_text.items():
            matches.cut(self.limit(number))
        return {
            str(number): [matches.num_exact, matches.num_near, matches.best]
            for number, matches in self.of_text.items()
        }

    def add_json(self, found: JsonObject) -> None:
        """Add what another process has found."""
        for name, values in found.items():
            number = int(name)
            matches = self.of_text.setdefault(number, Matches())
            matches.merge(Matches(*values), limit=self.limit(number))


def search_part(task: SearchTask, report: Report) -> JsonObject:
    """Look through one file.

    Returns:
        JSON: "turns" and "contexts", what `Findings.as_json` gives; "shared_thread_ids" and
        "shared_turn_ids", those of the test set that are in the file; "num_dialogues",
        "num_turns" and "num_contexts", what was looked at.
    """
    test_set = read_test_set(
        task.test,
        task.dialogues,
        shingle_words=task.shingle_words,
        min_similarity=task.min_similarity,
    )
    limits = {"min_words": task.min_words, "max_matches": task.max_matches}
    of_turns = Findings(test_set.turns, **limits)
    of_contexts = Findings(test_set.contexts, **limits)
    shared_threads: set[str] = set()
    shared_turns: set[str] = set()
    counts = {"num_dialogues": 0, "num_turns": 0, "num_contexts": 0}
    for dialogues in whole_threads(read_part(task.part)):
        batch = _Batch(dialogues)
        sets = shingle_sets(batch.words, task.shingle_words)
        for findings, texts, name in (
            (of_turns, batch.all_turns(), "num_turns"),
            (of_contexts, batch.all_contexts(), "num_contexts"),
        ):
            findings.search(texts, sets.unions(texts.first, texts.stop), batch.turns)
            counts[name] += len(texts.first)
        shared_threads |= _in_common(dialogues.column("thread_id"), test_set.thread_ids)
        shared_turns |= _in_common(batch.turn_ids, test_set.turn_ids)
        counts["num_dialogues"] += dialogues.num_rows
        report(dialogues.num_rows)
    return {
        **counts,
        "turns": of_turns.as_json(),
        "contexts": of_contexts.as_json(),
        "shared_thread_ids": sorted(shared_threads),
        "shared_turn_ids": sorted(shared_turns),
    }


def _in_common(names: pa.Array | pa.ChunkedArray, of_test: frozenset[str]) -> set[str]:
    is_shared = pc.is_in(names, value_set=pa.array(sorted(of_test), pa.string()))
    return {*names.filter(is_shared).to_pylist()}


def whole_threads(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The rows of some batches in other pieces, none of which ends amid a thread."""
    held: pa.Table | None = None
    for batch in batches:
        table = pa.Table.from_batches([batch])
        if held is not None:
            table = pa.concat_tables([held, table])
        threads = table.column("thread_id").to_numpy()
        others = np.flatnonzero(threads != threads[-1:])
        start = int(others[-1]) + 1 if len(others) else 0
        if start:
            yield table.slice(0, start)
        held = table.slice(start)
    if held is not None and held.num_rows:
        yield held


class _Batch:
    """The texts of the dialogues of some whole threads."""

    def __init__(self, dialogues: pa.Table) -> None:
        self.turns, bounds = flattened(dialogues.column("turns"))
        self.turn_ids, _ = flattened(dialogues.column("turn_ids"))
        self.words = compared_words(self.turns)
        rows = np.repeat(np.arange(dialogues.num_rows), np.diff(bounds))
        self._starts = bounds[:-1][rows]
        self._is_context: NDArray[np.bool_] = np.ones(len(rows), np.bool_)
        self._is_context[bounds[1:] - 1] = False
        self._threads = dialogues.column("thread_id").combine_chunks().take(pa.array(rows))
        turn_codes = np.asarray(self.turn_ids.dictionary_encode().indices).astype(np.int64)
        thread_codes = np.asarray(self._threads.dictionary_encode().indices).astype(np.int64)
        self._comments = thread_codes * (int(turn_codes.max(initial=0)) + 1) + turn_codes

    def all_turns(self) -> TrainingTexts:
        """Each comment."""
        _, turns = np.unique(self._comments, return_index=True)
        return self._texts(turns, turns)

    def all_contexts(self) -> TrainingTexts:
        """Each beginning of a dialogue that some turn answers, once for its last comment."""
        possible = np.flatnonzero(self._is_context)
        _, first = np.unique(self._comments[possible], return_index=True)
        last_turns = possible[first]
        return self._texts(self._starts[last_turns], last_turns)

    def _texts(self, first: IntArray, last: IntArray) -> TrainingTexts:
        return TrainingTexts(
            words=self.words,
            first=first,
            stop=last + 1,
            turn_ids=self.turn_ids.take(pa.array(last)),
            thread_ids=self._threads.take(pa.array(last)),
        )
