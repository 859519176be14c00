"""What people say in the dialogues, of all rows or of a sample that is spread over the files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.paths import num_words
from data_prep.reporting.columns import lengths, sums
from data_prep.reporting.distribution import Distribution
from data_prep.reporting.sampling import RowGroup, chosen_groups, row_groups, spaced
from dialogpt.records import Split
from dialogpt.tokenization import Tokenizer

_COLUMNS = ("turns", "knowledge")
_SHOWN_COLUMNS = ("turns", "speakers", "thread_id", "subreddit", "month", "score", "knowledge")
_RESPONSE_SCHEMA = pa.schema([("response", pa.large_string()), ("count", pa.int64())])
_ROWS_HELD = 200_000  # responses, before equal ones are put together


@dataclass(frozen=True, kw_only=True, slots=True)
class TextSample:
    """Which texts to read.

    Attributes:
        max_rows: dialogues at most; 0 is all.
        max_tokenized: dialogues at most whose tokens are counted.
        num_kept: dialogues to show.
        num_responses: most frequent responses to find.
    """

    max_rows: int
    max_tokenized: int
    num_kept: int
    num_responses: int = 20


@dataclass(slots=True)
class TextStatistics:
    """Counts over the dialogues whose text was read.

    Attributes:
        num_rows: how many these are.
        num_all_rows: how many there are.
        turn_words: blank-separated words of a turn.
        dialogue_words: of all turns of a dialogue.
        response_words: of the last turn.
        num_knowledge: sentences that a reply may draw on.
        dialogue_tokens: of all turns, and one end-of-turn token for each; empty without tokenizer.
        responses: (response, how often), the most frequent first.
        kept: rows of dialogues to show.
    """

    num_rows: int = 0
    num_all_rows: int = 0
    turn_words: Distribution = field(default_factory=Distribution)
    dialogue_words: Distribution = field(default_factory=Distribution)
    response_words: Distribution = field(default_factory=Distribution)
    num_knowledge: Distribution = field(default_factory=Distribution)
    dialogue_tokens: Distribution = field(default_factory=Distribution)
    responses: list[tuple[str, int]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_sample(self) -> bool:
        """Whether there are dialogues whose text was not read."""
        return self.num_rows < self.num_all_rows

    def add(self, batch: pa.RecordBatch) -> pa.Array:
        """Count the words of some rows of _COLUMNS, and give back their responses."""
        texts, num_turns = batch.column("turns").flatten(), lengths(batch.column("turns"))
        words = num_words(texts)
        last = np.cumsum(num_turns) - 1
        self.turn_words.add(words)
        self.dialogue_words.add(sums(words, num_turns))
        self.response_words.add(words[last])
        self.num_knowledge.add(lengths(batch.column("knowledge")))
        self.num_rows += batch.num_rows
        return texts.take(pa.array(last))

    def add_tokens(self, turns: pa.ListArray, tokenizer: Tokenizer) -> None:
        """Count the tokens of some dialogues."""
        num_turns = lengths(turns)
        ids = tokenizer.encode_batch(turns.flatten().to_pylist())
        num_tokens = np.fromiter(map(len, ids), np.int64, len(ids))
        self.dialogue_tokens.add(sums(num_tokens + 1, num_turns))


def text_statistics(
    parts: Mapping[Split, Sequence[Path]], sample: TextSample, tokenizer: Tokenizer | None
) -> TextStatistics:
    """Read the texts.

    Memory grows with the different responses of the dialogues that are read: `max_rows` bounds it.

    Args:
        parts: split -> its files.
        sample: how much to read.
        tokenizer: counts tokens; None counts none.

    Raises:
        UserError: a file is damaged.
    """
    groups = row_groups(parts)
    statistics = TextStatistics(num_all_rows=sum(group.num_rows for group in groups))
    chosen = chosen_groups(groups, sample.max_rows)
    num_chosen = sum(group.num_chosen for group in chosen)
    responses = _ResponseCounts()
    for group in chosen:
        for batch in group.read(_COLUMNS):
            if tokenizer is not None:
                start, wanted = statistics.num_rows, sample.max_tokenized
                rows = spaced(start, batch.num_rows, wanted=wanted, total=num_chosen)
                if len(rows):
                    statistics.add_tokens(batch.column("turns").take(pa.array(rows)), tokenizer)
            responses.add(statistics.add(batch))
    statistics.responses = responses.most_frequent(sample.num_responses)
    statistics.kept = list(_rows_to_show(groups, sample.num_kept))
    return statistics


def _rows_to_show(groups: Sequence[RowGroup], wanted: int) -> Iterator[dict[str, Any]]:
    """Rows that are evenly spaced over all dialogues."""
    start, total = 0, sum(group.num_rows for group in groups)
    for group in groups:
        rows = spaced(start, group.num_rows, wanted=wanted, total=total)
        start += group.num_rows
        if len(rows):
            batches = list(replace(group, num_chosen=group.num_rows).read(_SHOWN_COLUMNS))
            table = pa.Table.from_batches(batches).take(pa.array(rows))
            yield from ({**row, "split": group.split} for row in table.to_pylist())


class _ResponseCounts:
    """How often each response was said."""

    def __init__(self) -> None:
        self._together = _RESPONSE_SCHEMA.empty_table()
        self._new: list[pa.Table] = []
        self._num_new = 0

    def add(self, responses: pa.Array) -> None:
        """Count some more."""
        ones = pa.array(np.ones(len(responses), np.int64))
        self._new.append(pa.table([responses.cast(pa.large_string()), ones], _RESPONSE_SCHEMA))
        self._num_new += len(responses)
        if self._num_new > max(_ROWS_HELD, self._together.num_rows):
            self._put_together()

    def most_frequent(self, number: int) -> list[tuple[str, int]]:
        """Responses that were said more than once, the most frequent first, then by letters."""
        self._put_together()
        order = [("count", "descending"), ("response", "ascending")]
        top = self._together.sort_by(order).slice(0, number).to_pylist()
        return [(row["response"], row["count"]) for row in top if row["count"] > 1]

    def _put_together(self) -> None:
        tables = pa.concat_tables([self._together, *self._new])
        grouped = tables.group_by("response", use_threads=False).aggregate([("count", "sum")])
        self._together = grouped.rename_columns(_RESPONSE_SCHEMA.names)
        self._new, self._num_new = [], 0
