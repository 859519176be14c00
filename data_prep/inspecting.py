"""python -m data_prep inspect: one dialogue as text, and token by token as GPT-2 trains on it.

The row comes from `dialogpt.data.features`, which makes the rows of training batches: what is shown
is what is learned.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from data_prep.inspected_dialogues import (
    DialogueFiles,
    Dialogues,
    DialogueShards,
    InspectedDialogue,
)
from dialogpt.command_line import UserError, parse_config, require_folder, run_command
from dialogpt.data.features import FittedTurns, fit_turns, make_features
from dialogpt.records import IGNORE_INDEX, UNKNOWN_SPEAKER, EncodedDialogue, Split
from dialogpt.tokenization import Tokenizer, load_tokenizer

Direction: TypeAlias = Literal["forward", "backward"]

_END_OF_TURN = "<end of turn>"
_NOT_LEARNED = "-"


@dataclass(frozen=True, kw_only=True)
class InspectConfig:
    """Show one dialogue as text, token ids, labels, speakers and turn numbers."""

    shards: str = ""
    """Folder that `shards` wrote; its own tokenizer is taken."""
    dialogues: str = ""
    """Folder that `extract` or `import` wrote."""
    tokenizer: str = "gpt2"
    """With dialogues: "gpt2", "hub:NAME" or a tokenizer folder."""
    split: Split = "train"
    """train, valid or test."""
    index: int = 0
    """Which dialogue of the split, from 0; with id or find, which of those that are found."""
    id: str = ""
    """Only dialogues with this turn or thread, e.g. t1_c2715."""
    find: str = ""
    """Only dialogues with this text in a turn, in any case."""
    direction: Direction = "forward"
    """Which row: forward learns what is said next, backward what was said before."""
    max_seq_len: int = 256
    """Longest row in tokens, as data.max_seq_len of training."""

    def __post_init__(self) -> None:
        for condition, message in (
            (bool(self.shards) != bool(self.dialogues), "give either shards or dialogues"),
            (not (self.id and self.find), "give id or find, not both"),
            (self.index >= 0, f"index must be >= 0, got {self.index}"),
            (self.max_seq_len >= 4, f"max_seq_len must be >= 4, got {self.max_seq_len}"),
        ):
            if not condition:
                raise ValueError(message)


def main(argv: list[str]) -> None:
    """Print the dialogue that the command line asks for."""
    config, _ = parse_config(InspectConfig, argv, prog="python -m data_prep inspect")
    run_command(partial(inspect_dialogue, config))


def inspect_dialogue(config: InspectConfig) -> None:
    """Print a dialogue.

    Raises:
        UserError: the folder is not what it should be, or there is no such dialogue.
    """
    dialogues, tokenizer = _open(config)
    number = find_number(dialogues, config)
    dialogue = dialogues.at(number)
    title = f"dialogue {number:,} of {len(dialogues):,} in {config.split}"
    print("\n".join([title, *describe_text(dialogue), ""]))
    print("\n".join(describe_row(dialogue.encoded, tokenizer, config)))


def _open(config: InspectConfig) -> tuple[Dialogues, Tokenizer]:
    if config.dialogues:
        tokenizer = load_tokenizer(config.tokenizer)
        return DialogueFiles(Path(config.dialogues), config.split, tokenizer), tokenizer
    folder = Path(config.shards)
    require_folder(folder, "shards", "run `python -m data_prep shards` first")
    tokenizer = load_tokenizer(str(folder / "tokenizer"))
    return DialogueShards(folder / config.split, tokenizer), tokenizer


def find_number(dialogues: Dialogues, config: InspectConfig) -> int:
    """The place in the split of the dialogue that is asked for.

    Raises:
        UserError: there are not so many.
    """
    if not config.id and not config.find:
        if config.index >= len(dialogues):
            raise UserError(
                f"expected a dialogue number {config.index} in {config.split}, found "
                f"{len(dialogues):,} dialogues; give --index from 0 to less than that"
            )
        return config.index
    found = dialogues.with_id(config.id) if config.id else dialogues.with_text(config.find)
    numbers = list(islice(found, config.index + 1))
    if len(numbers) <= config.index:
        what = f"id {config.id}" if config.id else f"text {config.find!r}"
        raise UserError(
            f"expected more than {config.index} dialogues with the {what} in {config.split}, found "
            f"{len(numbers)}; try another --split"
        )
    return numbers[config.index]


def describe_text(dialogue: InspectedDialogue) -> Iterator[str]:
    """Lines with thread, knowledge and turns."""
    if dialogue.thread_id:
        yield f"thread {dialogue.thread_id}"
    for number, sentence in enumerate(dialogue.knowledge):
        yield f"knowledge {number}: {sentence}"
    yield "turn  speaker  text"
    turns = zip(dialogue.turns, dialogue.encoded.speakers.tolist(), dialogue.turn_ids, strict=True)
    for number, (text, speaker, turn_id) in enumerate(turns):
        yield f"{number:>4}{_speaker(speaker):>9}  {text}" + (f"   [{turn_id}]" if turn_id else "")


def describe_row(
    encoded: EncodedDialogue, tokenizer: Tokenizer, config: InspectConfig
) -> Iterator[str]:
    """Lines about the row of training, one a token.

    Args:
        encoded: the dialogue.
        tokenizer: the one that encoded it.
        config: direction and longest row.
    """
    features = make_features(
        encoded, tokenizer.eos_id, direction=config.direction, max_seq_len=config.max_seq_len
    )
    if features is None:
        yield "a single turn: nothing to learn from, training leaves it out"
        return
    fitted = fit_turns(encoded.turns, config.max_seq_len)
    labels = features.labels.tolist()
    num_learned = sum(label != IGNORE_INDEX for label in labels)
    yield (
        f"{config.direction}: {len(labels)} tokens, {num_learned} of them learned: those with a "
        "label, each from all tokens above it"
    )
    yield from _losses(encoded, fitted, config.max_seq_len)
    yield f"position  {'token':<24}{'id':>7}{'label':>7}{'turn':>6}{'speaker':>9}"
    turns = _turn_numbers(fitted, config.direction)
    rows = zip(features.input_ids.tolist(), labels, turns, strict=True)
    for position, (token, label, turn) in enumerate(rows):
        text = _END_OF_TURN if token == tokenizer.eos_id else repr(tokenizer.decode([token]))
        shown = _NOT_LEARNED if label == IGNORE_INDEX else str(label)
        speaker = _speaker(int(encoded.speakers[turn]))
        yield f"{position:>8}  {text:<24}{token:>7}{shown:>7}{turn:>6}{speaker:>9}"


def _losses(encoded: EncodedDialogue, fitted: FittedTurns, max_seq_len: int) -> Iterator[str]:
    """What does not fit the row, or no place in it."""
    if fitted.first:
        yield f"turns before turn {fitted.first} are left out: --max_seq_len is {max_seq_len}"
    if len(fitted.turns[0]) < len(encoded.turns[fitted.first]):
        yield f"turn {fitted.first} has lost its beginning"
    if fitted.response_is_cut:
        yield "the response has lost its end"
    if encoded.knowledge:
        yield "knowledge is for PLATO; GPT-2's row has no place for it"


def _turn_numbers(fitted: FittedTurns, direction: Direction) -> Iterator[int]:
    """The turn that each token of the row is of; its end-of-turn token belongs to a turn."""
    turns = list(enumerate(fitted.turns, start=fitted.first))
    for number, turn in turns if direction == "forward" else turns[::-1]:
        yield from (number for _ in range(len(turn) + 1))


def _speaker(number: int) -> str:
    return "?" if number == UNKNOWN_SPEAKER else str(number)
