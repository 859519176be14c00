"""New texts that look like real ones: the bodies of benchmark dumps.

A dump of a million comments drawn from a few thousand real ones would hold every text many times,
and a program that remembers texts would look faster on it than on real dumps. So each text is
spliced anew. A real text is a template: its plain words, in runs within a sentence, are slots;
everything else (markup, entities, URLs, numbers, non-ASCII, capitals, line breaks) stays where it
is. A slot of n words takes the beginning of one real run of n words and the end of another.
"""

import random
import re
import sys
from collections.abc import Callable, Iterable

Template = tuple[str | int, ...]
"""Parts of a text in order: a string stands for itself, a number names the pool of a run."""

MAX_RUN_WORDS = 10
"""Longer runs are cut, so that there are many real runs of every length."""

MAX_POOL_RUNS = 40_000
"""Runs kept of each kind; a bound on memory."""

UNCHANGED = frozenset({"", "[deleted]", "[removed]"})
"""Texts that say something about the record, so they are kept as they are."""

_PIECE = re.compile(r"\S+|\s+")
_PLAIN_WORD = re.compile(r"(?=.{1,30}\Z)[A-Za-z'][a-z']*(?:-[a-z]+)*([.,!?;:]*)")
_SENTENCE_ENDS = (".", "!", "?", ";", ":")


class BodyMaker:
    """Makes templates of real texts, and texts of templates."""

    def __init__(self) -> None:
        self._pools: list[list[tuple[str, ...]]] = []
        self._pool_numbers: dict[tuple[int, bool, bool], int] = {}

    def learn(self, text: str) -> Template:
        """The template of a real text, whose runs go into the pools."""
        if text in UNCHANGED:
            return (text,)
        parts: list[str | int] = []
        literal: list[str] = []
        for run in _runs(text):
            if isinstance(run, str):
                literal.append(run)
                continue
            if literal:
                parts.append(sys.intern("".join(literal)))
                literal = []
            parts.append(self._pool_number(run))
        if literal:
            parts.append("".join(literal))
        return tuple(parts)

    def _pool_number(self, run: tuple[str, ...]) -> int:
        kind = (len(run), run[0][0].isupper(), run[-1].endswith(_SENTENCE_ENDS))
        number = self._pool_numbers.setdefault(kind, len(self._pools))
        if number == len(self._pools):
            self._pools.append([])
        if len(pool := self._pools[number]) < MAX_POOL_RUNS:
            pool.append(run)
        return number

    def writer(self, seed: int) -> Callable[[Template], str]:
        """A function from templates to new texts; equal seeds give equal series of texts."""
        pools, uniform = self._pools, random.Random(seed).random

        def write(template: Template) -> str:
            parts = []
            for part in template:
                if isinstance(part, str):
                    parts.append(part)
                    continue
                pool = pools[part]
                beginning = pool[int(uniform() * len(pool))]
                if (num_words := len(beginning)) > 1:
                    end = pool[int(uniform() * len(pool))]
                    cut = 1 + int(uniform() * (num_words - 1))
                    beginning = beginning[:cut] + end[cut:]
                parts.append(" ".join(beginning))
            return "".join(parts)

        return write


def _runs(text: str) -> Iterable[tuple[str, ...] | str]:
    """Runs of plain words as tuples, and what is between them as strings."""
    run: list[str] = []
    pending = ""  # a space that belongs to the run if another plain word follows
    for piece in _PIECE.findall(text):
        if piece == " " and run:
            pending = piece
            continue
        plain = _PLAIN_WORD.fullmatch(piece)
        if plain is None:
            if run:
                yield tuple(run)
                run = []
            yield pending + piece
        else:
            if len(run) == MAX_RUN_WORDS:
                yield tuple(run)
                yield pending
                run = []
            run.append(sys.intern(piece))
            if piece.endswith(_SENTENCE_ENDS):
                yield tuple(run)
                run = []
        pending = ""
    if run:
        yield tuple(run)
    if pending:
        yield pending
