"""The texts of a test set that are looked for in training."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa

from data_prep.contamination.similar_texts import SimilarityIndex
from data_prep.dialogues import dialogues_of, read_dialogues
from data_prep.shingles import IntArray, bounds_of, compared_words, num_words, shingle_sets
from dialogpt.command_line import UserError
from dialogpt.records import TestItem, read_test_items
from dialogpt.text import clean_turn

RESPONSE = "response"
"""Kind of a human response or a reference; compared with every turn of training."""

LAST_TURN = "last turn of the context"
"""Kind of the turn that is answered; compared with every turn of training."""

CONTEXT = "whole context"
"""Kind of all turns before the response; compared with every beginning of a training dialogue."""

KINDS = (RESPONSE, LAST_TURN, CONTEXT)


@dataclass(frozen=True, slots=True)
class TestText:
    """A text of a test item.

    Attributes:
        kind: one of KINDS.
        item_id: of the item.
        turn_id: of the response, or of the last turn of the context; "" if not known.
        turns: one turn, or all of the context.
    """

    __test__ = False  # pytest takes a class of this name for tests

    kind: str
    item_id: str
    turn_id: str
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WantedTexts:
    """Different texts, to be found in training.

    Attributes:
        words: k texts, each as the words of its turns with a line break between two turns.
        index: of the k texts.
        numbers: (n,) which of them each of the n texts of the test set is.
    """

    words: tuple[str, ...]
    index: SimilarityIndex
    numbers: IntArray

    @classmethod
    def of(cls, texts: Iterable[TestText], *, shingle_words: int, min_similarity: float) -> Self:
        """The different ones among some texts."""
        turns = [text.turns for text in texts]
        bounds = bounds_of(np.array([len(of_text) for of_text in turns], np.int64))
        flat = [clean_turn(turn) for of_text in turns for turn in of_text]
        words = compared_words(pa.array(flat, pa.large_string()))
        spelled = words.to_pylist()
        joined = [
            "\n".join(spelled[start:end])
            for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]
        different, first, numbers = np.unique(
            np.array(joined, np.object_), return_index=True, return_inverse=True
        )
        of_turns = shingle_sets(words, shingle_words)
        sets = of_turns.unions(bounds[:-1][first], bounds[1:][first])
        return cls(tuple(different), SimilarityIndex.of(sets, min_similarity), numbers)

    def lengths(self) -> IntArray:
        """(k,) words of each of the different texts."""
        words = pa.array([words.replace("\n", " ") for words in self.words], pa.large_string())
        return num_words(words)


@dataclass(frozen=True, slots=True)
class TestSet:
    """A test set, ready to be looked for.

    Attributes:
        num_items: how many it has.
        thread_ids: of all its threads that are known.
        turn_ids: of all its turns that are known.
        turn_texts: the texts that are one turn.
        context_texts: the texts that are whole contexts.
        turns: where `turn_texts` are found.
        contexts: where `context_texts` are found.
    """

    __test__ = False

    num_items: int
    thread_ids: frozenset[str]
    turn_ids: frozenset[str]
    turn_texts: tuple[TestText, ...]
    context_texts: tuple[TestText, ...]
    turns: WantedTexts
    contexts: WantedTexts

    @classmethod
    def of(cls, items: Iterable[TestItem], *, shingle_words: int, min_similarity: float) -> Self:
        """From test items."""
        items = list(items)
        texts = [text for item in items for text in _texts_of(item)]
        turn_texts = tuple(text for text in texts if text.kind != CONTEXT)
        context_texts = tuple(text for text in texts if text.kind == CONTEXT)
        turns, contexts = (
            WantedTexts.of(of_kind, shingle_words=shingle_words, min_similarity=min_similarity)
            for of_kind in (turn_texts, context_texts)
        )
        return cls(
            num_items=len(items),
            thread_ids=frozenset(item.thread_id for item in items) - {""},
            turn_ids=frozenset(name for item in items for name in _turn_ids_of(item)) - {""},
            turn_texts=turn_texts,
            context_texts=context_texts,
            turns=turns,
            contexts=contexts,
        )


def _texts_of(item: TestItem) -> Iterator[TestText]:
    responses = list(item.references)
    response_ids = [*item.reference_ids] or [""] * len(responses)
    if item.human is not None:
        responses.append(item.human)
        response_ids.append(item.human_id or "")
    for response, name in zip(responses, response_ids, strict=True):
        yield TestText(RESPONSE, item.id, name, (response,))
    if item.turns:
        last_id = item.turn_ids[-1] if item.turn_ids else ""
        yield TestText(LAST_TURN, item.id, last_id, item.turns[-1:])
        yield TestText(CONTEXT, item.id, last_id, item.turns)


def _turn_ids_of(item: TestItem) -> tuple[str, ...]:
    return (*item.turn_ids, *item.reference_ids, item.human_id or "")


@cache
def read_test_set(
    test: Path | None, dialogues: Path, *, shingle_words: int, min_similarity: float
) -> TestSet:
    """The test set; a process reads it once.

    Args:
        test: a JSON Lines file of test items, or None for the test split of the dialogues, the last
            turn of each being the response.
        dialogues: the output folder of an extraction.
        shingle_words: words of a shingle.
        min_similarity: what counts as similar.

    Raises:
        UserError: there is no item.
        RecordError: a line of the file is no test item.
    """
    items = list(_items_of_split(dialogues) if test is None else read_test_items(test))
    for item in items:
        if item.reference_ids and len(item.reference_ids) != len(item.references):
            raise UserError(
                f"{test}: item {item.id!r} has {len(item.references)} references and "
                f"{len(item.reference_ids)} reference_ids; give an id for each, or none"
            )
    if not items:
        raise UserError(
            f"{test or dialogues}: expected test items, found none; name a file with --test, or "
            "extract with a --split.test_fraction that leaves some dialogues for testing"
        )
    return TestSet.of(items, shingle_words=shingle_words, min_similarity=min_similarity)


def _items_of_split(folder: Path) -> Iterator[TestItem]:
    for rows in read_dialogues(folder, "test"):
        for dialogue in dialogues_of(rows):
            yield TestItem(
                id=dialogue.turn_ids[-1],
                turns=dialogue.turns[:-1],
                turn_ids=dialogue.turn_ids[:-1],
                references=(),
                human=dialogue.turns[-1],
                human_id=dialogue.turn_ids[-1],
                thread_id=dialogue.thread_id,
            )
