"""python -m dialogpt.import_checkpoint FILE OUTPUT: published and old weights -> a model folder.

For DialoGPT's .pkl files, whose names no program knows any more, and for folders in the layout of
microsoft/DialoGPT-*, which say nothing of direction and window. What comes out is what training
leaves: model.safetensors, config.json, the tokenizer's files and our card, dialogpt.json.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from dialogpt.checkpoint import CARD_FILE, ModelCard, untrained_card
from dialogpt.command_line import UserError, run_command
from dialogpt.config.shared import Direction
from dialogpt.folders import whole_folder
from dialogpt.models.gpt2 import plain_gpt2_heads
from dialogpt.models.gpt2_weights import (
    HEAD_SIZE,
    Gpt2Weights,
    misleading_nickname,
    read_weights,
    size_name,
    write_weights,
)
from dialogpt.records import write_json
from dialogpt.tokenization import Tokenizer, load_tokenizer

PUBLISHED_WINDOW = 128
"""Longest row of DialoGPT's training, in tokens: its prepro.py drops what is longer."""
RELEASE_TEXT_RULES = "dialogpt-release"
"""Stands where cards name the rules of `dialogpt.text`: the release trained on its own, with blanks
around punctuation."""

_WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")


def main(argv: list[str] | None = None) -> None:
    """Import what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m dialogpt.import_checkpoint",
        description="Weights of GPT-2's kind, as DialoGPT published them (.pkl, or a folder with "
        "pytorch_model.bin), into a model folder that training, decoding and transformers read. "
        "Files that hold anything but tensors are refused before anything in them runs.",
        allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, metavar="FILE", help="file of weights, or a folder")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="model folder to be")
    parser.add_argument(
        "--direction",
        choices=get_args(Direction),
        required=True,
        help="what the model learned: forward P(response | context), or backward P(source | "
        "response), as small_reverse.pkl; weights do not say it",
    )
    parser.add_argument(
        "--window",
        type=int,
        default=PUBLISHED_WINDOW,
        metavar="TOKENS",
        help="longest row of its training; DialoGPT's is %(default)s, which is the default",
    )
    parser.add_argument(
        "--tokenizer",
        default="",
        metavar="NAME",
        help="gpt2, a folder, or hub:NAME; by default what lies beside the weights, or gpt2",
    )
    parser.add_argument(
        "--num_heads",
        "--num-heads",
        type=int,
        default=0,
        metavar="N",
        help="attention heads a block; by default what config.json in the file's folder says, or "
        "else the width / 64, as in every published GPT-2",
    )
    options = parser.parse_args(argv)
    run_command(
        lambda: import_checkpoint(
            options.source,
            options.output,
            direction=options.direction,
            window=options.window,
            tokenizer_name=options.tokenizer,
            num_heads=options.num_heads,
        )
    )


def import_checkpoint(
    source: Path,
    output: Path,
    *,
    direction: Direction,
    window: int = PUBLISHED_WINDOW,
    tokenizer_name: str = "",
    num_heads: int = 0,
) -> None:
    """Write a model folder from a file of weights, and say what it is.

    Args:
        source: file of weights, or a folder with one and config.json; what lies beside a file
            counts too where config.json does.
        output: folder to be; new or empty.
        direction: what the model learned.
        window: longest row of its training, in tokens.
        tokenizer_name: as for `load_tokenizer`; "" takes the folder's, or GPT-2's.
        num_heads: heads a block; 0 takes the folder's config.json, or heads of 64 dimensions.

    Raises:
        UserError: there are no weights, they are not one whole GPT-2, the tokenizer, the window or
            the output do not fit, or they lie in a model folder of this project.
    """
    file = _weights_file(source)
    home = _home(source)
    is_guess = not num_heads and home is None
    if home is not None:
        _refuse_our_own(home)
        num_heads = num_heads or plain_gpt2_heads(home)
    tokenizer = load_tokenizer(tokenizer_name or _own_tokenizer(home))
    weights = read_weights(file, num_heads=num_heads)
    _check_fit(file, weights, tokenizer, window)
    card = untrained_card(
        tokenizer, direction=direction, max_seq_len=window, text_rules=RELEASE_TEXT_RULES
    )
    with whole_folder(output) as folder:
        write_weights(folder, weights, eos_id=tokenizer.eos_id)
        tokenizer.save(folder)
        write_json(folder / CARD_FILE, asdict(card))
    _describe(file, output, weights, card)
    if is_guess:
        print(f"note: heads of {HEAD_SIZE} dimensions assumed; --num_heads changes it")


def _weights_file(source: Path) -> Path:
    if not source.is_dir():
        return source
    for name in _WEIGHTS_FILES:
        if (source / name).is_file():
            return source / name
    raise UserError(
        f"{source}: expected a folder with {' or '.join(_WEIGHTS_FILES)}, found neither; name the "
        "file itself"
    )


def _home(source: Path) -> Path | None:
    """The model folder that the weights belong to; None for a file without config.json beside."""
    if source.is_dir():
        return source
    return source.parent if (source.parent / "config.json").is_file() else None


def _refuse_our_own(folder: Path) -> None:
    """Its card knows direction and window; a second one would say what the command line says."""
    if (folder / CARD_FILE).is_file():
        raise UserError(
            f"{folder}: expected weights of others, found a model folder of this project: it has "
            f"{CARD_FILE} already; name it as --model as it is"
        )


def _own_tokenizer(home: Path | None) -> str:
    """The folder, if it has a tokenizer; else GPT-2's, which all of DialoGPT uses."""
    names = ("vocab.json", "tokenizer.json", "tokenizer.model", "encoder.json")
    has_own = home is not None and any((home / name).is_file() for name in names)
    return str(home) if has_own else "gpt2"


def _check_fit(file: Path, weights: Gpt2Weights, tokenizer: Tokenizer, window: int) -> None:
    sizes = weights.sizes
    if sizes.vocab_size < tokenizer.vocab_size:
        raise UserError(
            f"{file}: expected at least the {tokenizer.vocab_size} token embeddings of its "
            f"tokenizer, found {sizes.vocab_size}; name the right one with --tokenizer"
        )
    if not 1 <= window <= sizes.num_positions:
        raise UserError(
            f"--window: expected 1 to {sizes.num_positions}, the positions of {file}, found "
            f"{window}"
        )


def _describe(file: Path, output: Path, weights: Gpt2Weights, card: ModelCard) -> None:
    sizes = weights.sizes
    print(
        f"{output}: a {card.direction} model of {size_name(sizes)} ({sizes.num_layers} layers, "
        f"width {sizes.hidden_size}, {sizes.num_heads} heads, {sizes.num_parameters:,} parameters, "
        f"{str(weights.dtype).removeprefix('torch.')}), window {card.max_seq_len} tokens"
    )
    nickname = misleading_nickname(file, sizes)
    if nickname:
        print(f"note: {file.name} is called {nickname}, and is a model of {size_name(sizes)}")
    if "reverse" in file.name and card.direction == "forward":
        print(f"note: {file.name} sounds like a backward model; is --direction forward right?")
    if not weights.is_tied:
        print("note: the output layer differs from the table of tokens; both are kept, not tied")


if __name__ == "__main__":
    main()
