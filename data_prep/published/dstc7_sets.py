"""The challenge's list of references, and what is written for a line of it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from data_prep.published.dstc7_instances import SEPARATOR, START, Instance
from data_prep.published.list_files import is_hash, list_lines
from dialogpt.command_line import UserError
from dialogpt.records import TestItem

HUMAN_SLOT = 1
"""Which of the references the challenge takes for a human system: the second one of those found."""

_SETS = "the challenge's lists/test-multiref.sets"
_ENDS = str.maketrans("\t\n\r", "   ")


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """A line of the list.

    Attributes:
        key: the hash of the instance in the blind test set; it names the context.
        scores: one for each reference, as in the file.
        hashes: likewise, of the references' instances.
    """

    key: str
    scores: tuple[str, ...]
    hashes: tuple[str, ...]


def read_sets(path: Path) -> list[ReferenceSet]:
    """The lines of the list.

    Raises:
        UserError: the file is absent, or a line has another form.
    """
    sets = []
    for number, line in list_lines(path, _SETS):
        key, *cells = line.split("\t")
        references = [cell.split("|") for cell in cells]
        if not is_hash(key) or not all(len(r) > 1 and is_hash(r[1]) for r in references):
            raise UserError(
                f"{path}:{number}: expected KEY, SCORE|HASH, SCORE|HASH ... with tabs between, "
                f"each key and hash of 56 hexadecimal digits, found {line[:80]!r}; give {_SETS}"
            )
        scores, hashes = ([r[place] for r in references] for place in (0, 1))
        sets.append(ReferenceSet(key, tuple(scores), tuple(hashes)))
    return sets


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance that was found in the dumps, and the month of the dump."""

    instance: Instance
    month: str

    @classmethod
    def from_json(cls, value: dict[str, Any], month: str) -> Self:
        """What `as_plain` made of an instance, and read from JSON."""
        turn_ids = tuple(value.pop("turn_ids"))
        return cls(Instance(**value, turn_ids=turn_ids), month)


@dataclass(frozen=True, slots=True)
class WrittenSet:
    """What is written for a line of the list.

    Attributes:
        line: of test.refs.txt.
        item: None where no turn of a context is known.
        num_references: how many are in the line.
        num_of_other_context: how many of those answer another text than the item's turns.
        human_moved: whether one of the first two is missing, so that HUMAN_SLOT is another's.
    """

    line: str
    item: TestItem | None
    num_references: int
    num_of_other_context: int
    human_moved: bool


def write_set(
    listed: ReferenceSet, found: Mapping[str, FoundInstance], hashes: AbstractSet[str]
) -> WrittenSet:
    """A line of the list as the challenge writes it, and as an item.

    Args:
        listed: the line.
        found: by hash.
        hashes: of the challenge's list; others are no references, though their contexts are used.
    """
    there = [hash_ in found and hash_ in hashes for hash_ in listed.hashes]
    references = [
        (score, found[hash_])
        for score, hash_, is_there in zip(listed.scores, listed.hashes, there, strict=True)
        if is_there
    ]
    responses = [reference.instance.response.translate(_ENDS) for _, reference in references]
    scored = zip((score for score, _ in references), responses, strict=True)
    instances = [reference for _, reference in references]
    # The key's own instance says for certain what its context is.
    witness = found.get(listed.key) or next(iter(instances), None)
    others = (
        sum(witness.instance.context != r.instance.context for r in instances) if witness else 0
    )
    return WrittenSet(
        line="\t".join([listed.key, *("|".join(cell) for cell in scored)]) + "\n",
        item=_item(listed.key, witness, instances) if witness else None,
        num_references=len(references),
        num_of_other_context=others,
        human_moved=bool(references) and not all(there[: HUMAN_SLOT + 1]),
    )


def _item(key: str, witness: FoundInstance, found: Sequence[FoundInstance]) -> TestItem | None:
    context = witness.instance
    turns = tuple(context.context.split(SEPARATOR))
    turns = turns[1:] if turns[0] == START else turns
    if not turns or not found:
        return None
    instances = [reference.instance for reference in found]
    human = instances.pop(HUMAN_SLOT) if len(instances) > HUMAN_SLOT else None
    turn_ids = context.turn_ids[:-1]
    return TestItem(
        id=key,
        turns=turns,
        # A cut context, or a comment that says EOS itself, has other turns than comments.
        turn_ids=turn_ids if len(turn_ids) == len(turns) else (),
        references=tuple(instance.response for instance in instances),
        reference_ids=tuple(instance.turn_ids[-1] for instance in instances),
        reference_scores=tuple(int(instance.score) for instance in instances),
        human=human.response if human else None,
        human_id=human.turn_ids[-1] if human else None,
        thread_id=f"t3_{context.thread_id}",
        subreddit=context.subreddit,
        month=witness.month,
    )
