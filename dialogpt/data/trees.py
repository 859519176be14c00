"""Dialogues of one thread -> the tree of their turns, each turn once.

Root-to-leaf paths of a thread share their beginnings. Where they do, the states of a model that
looks backwards only are the same, so a turn that stands in several dialogues need be computed only
once, with its loss counted as often as it stands there.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dialogpt.data.features import Features, make_features
from dialogpt.data.packing import Piece
from dialogpt.records import IGNORE_INDEX, EncodedDialogue


def tree_pieces(
    dialogues: Iterable[EncodedDialogue], *, eos_id: int, max_seq_len: int
) -> tuple[list[Piece], float, float]:
    """The turns of dialogues of two turns or more, a turn before those that answer it.

    The first turn of a dialogue is given, all others are targets: see `dialogpt.data.features`. A
    dialogue that has to be shortened stands alone, as its row.

    Args:
        dialogues: of any threads, in any order.
        eos_id: ends every turn.
        max_seq_len: longest row, in tokens.

    Returns:
        The pieces, and words and characters of the text of all targets, counted as often as the
        targets.
    """
    trees = _Trees(eos_id)
    num_words = num_chars = 0.0
    for dialogue in dialogues:
        if sum(map(len, dialogue.turns)) + len(dialogue.turns) <= max_seq_len:
            trees.add(dialogue)
            num_words += float(dialogue.num_words[1:].sum())
            num_chars += float(dialogue.num_chars[1:].sum())
            continue
        row = make_features(dialogue, eos_id, direction="forward", max_seq_len=max_seq_len)
        assert row is not None
        trees.add_row(row)
        num_words += row.num_target_words
        num_chars += row.num_target_chars
    return trees.pieces(), num_words, num_chars


class _Trees:
    """Nodes by number: tokens, parent, dialogues through it, answers."""

    def __init__(self, eos_id: int) -> None:
        self._eos = np.array([eos_id], np.int64)
        self._input_ids: list[NDArray[np.int64]] = []
        self._labels: list[NDArray[np.int64]] = []
        self._parents: list[int] = []
        self._num_paths: list[int] = []
        self._answers: list[list[int]] = []
        self._roots: list[int] = []
        self._found: dict[tuple[int, int, int], int] = {}

    def add(self, dialogue: EncodedDialogue) -> None:
        """One more path; it makes nodes for the turns that are not there yet."""
        node = -1
        for key, turn in zip(dialogue.turn_keys.tolist(), dialogue.turns, strict=True):
            name = (dialogue.thread_key, node, key)
            child = self._found.get(name)
            # A key is a hash: only equal tokens make it the same turn.
            if child is None or not np.array_equal(self._input_ids[child][:-1], turn):
                ids = np.concatenate([turn, self._eos]).astype(np.int64, copy=False)
                labels = np.full_like(ids, IGNORE_INDEX) if node < 0 else ids
                child = self._new(ids, labels, node)
                self._found[name] = child
            else:
                self._num_paths[child] += 1
            node = child

    def add_row(self, row: Features) -> None:
        """A path that shares nothing."""
        self._new(row.input_ids, row.labels, -1)

    def _new(self, input_ids: NDArray[Any], labels: NDArray[Any], parent: int) -> int:
        number = len(self._parents)
        self._input_ids.append(input_ids)
        self._labels.append(labels)
        self._parents.append(parent)
        self._num_paths.append(1)
        self._answers.append([])
        (self._roots if parent < 0 else self._answers[parent]).append(number)
        return number

    def pieces(self) -> list[Piece]:
        """All nodes in the order of a walk that visits a turn before its answers."""
        place: dict[int, int] = {-1: -1}
        pieces: list[Piece] = []
        for node in self._walk():
            place[node] = len(pieces)
            piece = Piece(
                input_ids=self._input_ids[node],
                labels=self._labels[node],
                parent=place[self._parents[node]],
                num_paths=self._num_paths[node],
            )
            pieces.append(piece)
        return pieces

    def _walk(self) -> Sequence[int]:
        order = []
        waiting = self._roots[::-1]
        while waiting:
            node = waiting.pop()
            order.append(node)
            waiting += self._answers[node][::-1]
        return order
