"""Shards -> what PLATO learns from: a response, what it answers, and a response of elsewhere.

All numbers here are of examples; shards count dialogues, of which each has one example or, with
`PlatoConfig.examples` all, as many as utterances that another one comes before.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dialogpt.command_line import UserError
from dialogpt.config.plato import PlatoConfig
from dialogpt.data.chunks import Chunk
from dialogpt.data.dataset import ShardDataset
from dialogpt.plato.batch import PlatoBatch, PlatoExample, RowLayout, make_batch
from dialogpt.plato.lengths import Cuts, have_responses, last_lengths, measure
from dialogpt.plato.sequence import Columns, Context, context_columns, response_columns
from dialogpt.records import EncodedDialogue

_MAX_DRAWS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleSource:
    """A response by its place.

    Attributes:
        index: number of the example in the split.
        dialogue: that it is in.
        turn: place of the response in it; at least 1, or 0 where the dialogue has no response.
        negative: token ids of another response; None where none is wanted.
    """

    index: int
    dialogue: EncodedDialogue
    turn: int
    negative: NDArray[Any] | None


class ExampleDataset(Dataset[ExampleSource]):
    """The responses of a split by number.

    Args:
        dialogues: the split's.
        config: which responses, whether negatives are drawn, and how long rows are.
        seed: of the negatives, which are a function of it and of the numbers asked for at once.

    Attributes:
        lengths: (examples,) places of each example's row, one more than that at least; as the
            planner of packed batches leaves out one of each.
        chunk_starts: (chunks + 1,) int64, first example of each chunk, then their number.
        cuts: what limits leave out; None where there are too many dialogues to look at them all.

    Raises:
        UserError: no dialogue has a response.
    """

    cuts: Cuts | None

    def __init__(self, dialogues: ShardDataset, config: PlatoConfig, *, seed: int) -> None:
        self._dialogues = dialogues
        self._takes_all = config.examples == "all"
        self._draws = (
            config.negatives == "corpus" and config.selection_weight > 0 and config.num_latents > 0
        )
        self._seed = seed
        latent = int(config.num_latents > 0)
        if self._takes_all:
            found = measure(dialogues, config.sequence)
            lengths, self.cuts = found.lengths, found.all()
            self._firsts = np.concatenate([[0], np.cumsum(found.counts)])
        else:
            lengths, self.cuts = last_lengths(dialogues, config.sequence)
            self._firsts = np.arange(len(dialogues) + 1)
        self.lengths = lengths + np.array(latent + 1, lengths.dtype)
        self.chunk_starts = self._firsts[dialogues.chunk_starts]
        if not have_responses(lengths):
            raise UserError(
                f"{dialogues.folder}: expected dialogues of two utterances or more, found none; "
                "take other shards"
            )

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, index: int) -> ExampleSource:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[ExampleSource]:
        """The examples of a batch, in the order asked for; torch's fetcher calls this."""
        if not len(indices):
            return []
        numbers = np.searchsorted(self._firsts, indices, "right") - 1
        columns = self._dialogues.__getitems__(numbers.tolist()).columns
        places = np.asarray(indices) - self._firsts[numbers]
        found = []
        for index, place, dialogue in zip(
            indices, places.tolist(), columns.dialogues(), strict=True
        ):
            turn = 1 + place if self._takes_all else len(dialogue.turns) - 1
            found.append((int(index), dialogue, turn))
        negatives = self._negatives(found, numbers.tolist()) if self._draws else None
        return [
            ExampleSource(
                index=index,
                dialogue=dialogue,
                turn=turn,
                negative=None if negatives is None else negatives[place],
            )
            for place, (index, dialogue, turn) in enumerate(found)
        ]

    def _negatives(
        self, found: Sequence[tuple[int, EncodedDialogue, int]], numbers: list[int]
    ) -> list[NDArray[Any]]:
        """A response of other words for each, from the chunks that all of them come from.

        Where these hold no other, the chunks that follow are taken in, so that a small last chunk
        ends no run.
        """
        digest = hashlib.blake2b(np.asarray([i for i, _, _ in found]).tobytes(), digest_size=8)
        rng = np.random.default_rng([self._seed, int.from_bytes(digest.digest())])
        pools = self._pools(numbers)
        pool = next(pools)
        if not len(pool):  # single utterances alone, which are left out
            return [dialogue.turns[turn] for _, dialogue, turn in found]
        first_draws = rng.integers(len(pool), size=len(found)).tolist()
        negatives = []
        for (index, dialogue, turn), draw in zip(found, first_draws, strict=True):
            other = _other_response(dialogue.turns[turn], pool, draw, rng)
            while other is None:
                pool = next(pools, _NONE)
                if not len(pool):
                    raise UserError(
                        f"{self._dialogues.folder}: response selection: expected a response that "
                        f"differs from that of example {index}, found the same {_MAX_DRAWS} times "
                        "in a row; take more data, or set plato.selection_weight 0"
                    )
                draw = int(rng.integers(len(pool)))
                other = _other_response(dialogue.turns[turn], pool, draw, rng)
            negatives.append(other)
        return negatives

    def _pools(self, numbers: Sequence[int]) -> Iterator["_Responses"]:
        """The responses of the chunks of some dialogues; then with one chunk more each time."""
        chunks = sorted(set(self._dialogues.chunk_numbers(numbers)))
        yield _Responses([self._dialogues.chunk(number) for number in chunks])
        last, num_chunks = chunks[-1], self._dialogues.num_chunks()
        for step in range(1, num_chunks):
            number = (last + step) % num_chunks
            if number not in chunks:
                chunks.append(number)
                yield _Responses([self._dialogues.chunk(number) for number in chunks])


class _Responses:
    """The responses of some chunks by number."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        places = [_responses(chunk) for chunk in chunks]
        self._tokens = [chunk.tokens for chunk in chunks]
        self._firsts = np.cumsum([0, *(len(ends) for ends, _ in places)])
        self._places = places

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def __getitem__(self, number: int) -> NDArray[Any]:
        chunk = int(np.searchsorted(self._firsts, number, "right")) - 1
        ends, lengths = self._places[chunk]
        place = number - self._firsts[chunk]
        return self._tokens[chunk][ends[place] - lengths[place] : ends[place]]


_NONE = _Responses([])


def _responses(chunk: Chunk) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(responses,) where each one's tokens end, and how many they are."""
    lengths = chunk.segment_lengths.astype(np.int64)
    ends = np.cumsum(lengths)
    kinds = np.stack([chunk.num_knowledge + 1, chunk.num_turns - 1], axis=1)
    # Of each dialogue: its knowledge and first utterance, then its responses.
    is_response = np.repeat(np.tile([False, True], len(chunk)), kinds.astype(np.int64).ravel())
    return ends[is_response], lengths[is_response]


def _other_response(
    response: NDArray[Any], pool: _Responses, draw: int, rng: np.random.Generator
) -> NDArray[Any] | None:
    """The one of that number, or another one drawn if it says the same; None if all drawn do."""
    for _ in range(_MAX_DRAWS):
        drawn = pool[draw]
        if not np.array_equal(drawn, response):
            return drawn
        draw = int(rng.integers(len(pool)))
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExampleCollator:
    """Examples -> a batch; a class, so that it can be sent to worker processes.

    Attributes:
        config: limits, and whether negatives are those of the batch.
        layout: of the model's rows.
        bou_id, eou_id: begin a response, end an utterance.
    """

    config: PlatoConfig
    layout: RowLayout
    bou_id: int
    eou_id: int

    def __call__(self, sources: Sequence[ExampleSource]) -> PlatoBatch:
        """The batch; dialogues of a single utterance are left out and counted."""
        usable = [source for source in sources if source.turn > 0]
        examples = list(self._examples(usable))
        batch = make_batch(self._with_neighbours(examples), self.layout)
        return replace(batch, num_skipped=len(sources) - len(usable))

    def _examples(self, sources: Sequence[ExampleSource]) -> Iterator[PlatoExample]:
        limits = self.config.sequence
        for source in sources:
            dialogue, turn = source.dialogue, source.turn
            context = Context(
                turns=dialogue.turns[:turn],
                speakers=dialogue.speakers[:turn].tolist(),
                replier=int(dialogue.speakers[turn]),
                knowledge=dialogue.knowledge,
            )
            response = dialogue.turns[turn]
            share = min(1.0, (limits.max_response_tokens + 1) / max(1, len(response)))
            yield PlatoExample(
                index=source.index,
                prefix=context_columns(context, limits, eou_id=self.eou_id),
                response=self._response(response),
                negative=None if source.negative is None else self._response(source.negative),
                num_words=share * float(dialogue.num_words[turn]),
                num_chars=share * float(dialogue.num_chars[turn]),
            )

    def _response(self, tokens: NDArray[Any]) -> Columns:
        return response_columns(
            tokens,
            bou_id=self.bou_id,
            eou_id=self.eou_id,
            max_tokens=self.config.sequence.max_response_tokens,
        )

    def _with_neighbours(self, examples: list[PlatoExample]) -> list[PlatoExample]:
        """With the next other response as its negative, as in the release, if so configured."""
        config = self.config
        if config.negatives != "in_batch" or not config.selection_weight:
            return examples
        others = _next_others(examples) if self.layout.has_latent else []
        return [
            replace(example, negative=other.response)
            for example, other in zip(examples, others, strict=False)
        ] or examples


def _next_others(examples: Sequence[PlatoExample]) -> list[PlatoExample]:
    """For each example the next one, in a circle, of another response; none if all are alike."""
    others: list[PlatoExample] = []
    for place, example in enumerate(examples):
        circle = (*examples[place + 1 :], *examples[:place])
        other = next((e for e in circle if not _says_the_same(e, example)), None)
        if other is None:
            return []
        others.append(other)
    return others


def _says_the_same(first: PlatoExample, second: PlatoExample) -> bool:
    return np.array_equal(first.response[0], second.response[0])
