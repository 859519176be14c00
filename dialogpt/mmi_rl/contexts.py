"""Contexts from shards: dialogues without their last turn, in the order of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialogpt.command_line import UserError
from dialogpt.data.batch import AnyBatch, Collator, collate
from dialogpt.data.dataset import ShardDataset
from dialogpt.data.manifest import Manifest
from dialogpt.data.sampler import BatchLimits, BatchPlanner, RankSampler
from dialogpt.decode.contexts import latest_turns


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceContext:
    """What is replied to.

    Attributes:
        dialogue_index: number of its dialogue in the split.
        turn_ids: token ids of each turn, each with its end-of-turn token; at least one turn.
        answer: token ids of what a person replied.
    """

    dialogue_index: int
    turn_ids: tuple[list[int], ...]
    answer: list[int]

    @property
    def texts(self) -> list[list[int]]:
        """The turns without their ends."""
        return [ids[:-1] for ids in self.turn_ids]


class ContextReader:
    """The contexts of a split by number.

    Args:
        folder: the split's.
        manifest: what `read_manifest` returned for it.
        max_seq_len: longest row, in tokens.
        max_new_tokens: of a reply. A context has what is left; the oldest turns that do not fit are
            dropped, whole.
        max_dialogues: the first so many; 0 takes all.

    Raises:
        UserError: the split has no dialogues.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        max_seq_len: int,
        max_new_tokens: int,
        max_dialogues: int = 0,
    ) -> None:
        self.dataset = ShardDataset(folder, manifest, max_dialogues=max_dialogues)
        if len(self.dataset) == 0:
            raise UserError(
                f"{folder}: expected dialogues to reply to, found none; extract more, or change "
                "the filters and the split"
            )
        self._budget = max_seq_len - max_new_tokens
        self._eos_id = manifest.eos_id
        self._collate = Collator(
            direction="forward", max_seq_len=max_seq_len, eos_id=manifest.eos_id
        )

    def read(self, indices: Sequence[int]) -> list[SourceContext]:
        """Those of some dialogues; single turns are left out."""
        contexts = []
        columns = self.dataset.__getitems__(indices).columns
        for index, dialogue in zip(indices, columns.dialogues(), strict=True):
            *turns, answer = (turn.tolist() for turn in dialogue.turns)
            if turns:
                kept, _ = latest_turns([[*turn, self._eos_id] for turn in turns], self._budget)
                contexts.append(
                    SourceContext(dialogue_index=index, turn_ids=tuple(kept), answer=answer)
                )
        return contexts

    def answered(self, indices: Sequence[int]) -> AnyBatch:
        """Dialogues, maybe none, as a forward model is trained on them: with people's replies."""
        if not indices:
            return collate([], [], eos_id=self._eos_id)
        return self._collate(self.dataset.__getitems__(indices))


class ContextLoader:
    """One rank's contexts a step, in an order that is a function of seed, epoch and ranks.

    Args:
        reader: of the training split.
        contexts_per_step: of each rank; the last step of an epoch may have fewer.
        rank, num_ranks: this process, and how many there are.
        window_chunks: chunks that are mixed together.
        seed: the run's.
    """

    def __init__(
        self,
        reader: ContextReader,
        *,
        contexts_per_step: int,
        rank: int,
        num_ranks: int,
        window_chunks: int,
        seed: int,
    ) -> None:
        self._reader = reader
        limits = BatchLimits(
            micro_batch_tokens=2**62,  # contexts are counted, not their tokens
            packed=True,
            max_micro_batch_size=contexts_per_step,
            num_ranks=num_ranks,
            window_chunks=window_chunks,
        )
        dataset = reader.dataset
        self.planner = BatchPlanner(
            dataset.row_lengths(2**16), dataset.chunk_starts, limits=limits, seed=seed
        )
        self._sampler = RankSampler(self.planner, rank)

    def epoch(self, epoch: int, first_step: int) -> Iterator[list[SourceContext]]:
        """The contexts of each step of an epoch, from `first_step` (from 0) on."""
        self._sampler.go_to(epoch, first_step)
        for indices in self._sampler:
            yield self._reader.read(indices)
