"""python -m dialogpt.import_plato FILE OUTPUT: a released PLATO -> a model folder.

FILE is what PaddlePaddle's release or its port to torch stored, as safetensors or as a state dict
of torch.save. Files that hold anything but tensors are refused before anything in them runs.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from dialogpt.checkpoint import CARD_FILE, untrained_card
from dialogpt.command_line import UserError, run_command
from dialogpt.config.plato import PlatoConfig
from dialogpt.folders import whole_folder
from dialogpt.models.gpt2 import num_parameters
from dialogpt.plato.load import Source, build_plato
from dialogpt.plato.network import PlatoSizes
from dialogpt.plato.release import release_weights
from dialogpt.records import write_json
from dialogpt.tokenization import load_tokenizer

RELEASE_TEXT_RULES = "plato-release"
"""Stands where cards name the rules of `dialogpt.text`: the release trained on its own."""


def main(argv: list[str] | None = None) -> None:
    """Import what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m dialogpt.import_plato",
        description="Weights of a PLATO, as its authors or the port to torch published them, into "
        "a model folder that training and decoding read.",
        allow_abbrev=False,
    )
    parser.add_argument("source", type=Path, metavar="FILE", help="file of weights")
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="model folder to be")
    parser.add_argument(
        "--tokenizer",
        required=True,
        metavar="NAME",
        help="BERT-base-uncased's: a folder with vocab.txt, or hub:bert-base-uncased",
    )
    parser.add_argument(
        "--num_heads",
        "--num-heads",
        type=int,
        default=0,
        metavar="N",
        help="attention heads a block; by default the width / 64, as in the release",
    )
    options = parser.parse_args(argv)
    run_command(
        lambda: import_plato(
            options.source,
            options.output,
            tokenizer_name=options.tokenizer,
            num_heads=options.num_heads,
        )
    )


def import_plato(source: Path, output: Path, *, tokenizer_name: str, num_heads: int = 0) -> None:
    """Write a model folder from a file of weights, and say what it is.

    Args:
        source: file of weights.
        output: folder to be; new or empty.
        tokenizer_name: as for `load_tokenizer`.
        num_heads: heads a block; 0 takes heads of 64 dimensions.

    Raises:
        UserError: the weights are not one whole PLATO, or not of this tokenizer, or the output is
            there.
    """
    tokenizer = load_tokenizer(tokenizer_name)
    weights, values = release_weights(source, num_heads=num_heads)
    sizes = PlatoSizes(**values)
    if sizes.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"{source}: expected the {tokenizer.vocab_size} token embeddings of its tokenizer, "
            f"found {sizes.vocab_size}; name the right one with --tokenizer"
        )
    can_select = sizes.num_latents > 0 and bool(weights["selection.weight"].any())
    config = PlatoConfig(
        num_latents=sizes.num_latents,
        head_biases=sizes.head_biases,
        selection_weight=float(can_select),
    )
    begun = Source(
        name=str(source),
        sizes=sizes,
        weights=weights,
        num_latents=sizes.num_latents,
        described={},  # a whole PLATO, of which nothing may be missing
    )
    model = build_plato(begun, config, dropout=0.0)
    card = untrained_card(
        tokenizer,
        direction="forward",
        max_seq_len=config.sequence.longest_row,
        text_rules=RELEASE_TEXT_RULES,
    )
    with whole_folder(output) as folder:
        model.save(folder)
        tokenizer.save(folder)
        write_json(folder / CARD_FILE, asdict(card))
    print(
        f"{output}: a PLATO of {sizes.num_latents} latents, {sizes.num_layers} layers, width "
        f"{sizes.hidden_size}, {sizes.num_heads} heads, {num_parameters(model):,} parameters"
    )


if __name__ == "__main__":
    main()
