"""python -m dialogpt.export RUN OUTPUT: a trained model for plain transformers, with its page."""

import argparse
import shutil
from dataclasses import asdict
from pathlib import Path

from dialogpt.checkpoint import CARD_FILE, is_plato
from dialogpt.command_line import UserError, run_command
from dialogpt.exporting.facts import ModelFacts, gather_facts
from dialogpt.exporting.page import write_page
from dialogpt.fast_tokenizer import write_fast_tokenizer
from dialogpt.folders import whole_folder
from dialogpt.records import write_json
from dialogpt.tokenization import load_tokenizer

_TOP_K = 10
"""DialoGPT, section 4: top-K sampling with K = 10."""
_MAX_NEW_TOKENS = 64


def main(argv: list[str] | None = None) -> None:
    """Export what the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m dialogpt.export",
        description="A trained model as a folder that plain transformers loads, chat template "
        "included: weights, tokenizer, settings of generation, and README.md, a page with the "
        "data's counts, the results and the limits. `python -m dialogpt.decode` reads it too.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "run",
        type=Path,
        metavar="RUN",
        help="folder of a run (its best model), RUN/last, or a model folder",
    )
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="folder to be; new or empty")
    options = parser.parse_args(argv)
    run_command(lambda: export(options.run, options.output))


def export(run: Path, output: Path) -> None:
    """Write the folder, and say what it is.

    Raises:
        UserError: there is no model of ours, its files do not belong together, or the output is
            taken.
    """
    facts = gather_facts(run)
    if is_plato(facts.folder):
        raise UserError(
            f"{facts.folder}: expected a GPT-2, found a PLATO, which transformers has no code "
            "for; copy the folder as it is (cp -rL RUN/best FOLDER): decoding, chat and the web "
            "page read it"
        )
    weights = sorted(facts.folder.glob("model*.safetensors*"))
    if not weights:
        raise UserError(
            f"{facts.folder}: expected model.safetensors, found none; `python -m "
            "dialogpt.import_checkpoint` writes it from other files"
        )
    with whole_folder(output) as folder:
        for file in (*weights, facts.folder / "config.json"):
            shutil.copyfile(file, folder / file.name)
        _write_beside(folder, facts)
    print(
        f"{output}: the {facts.card.direction} model of step {facts.card.step:,}, window "
        f"{facts.card.max_seq_len} tokens; see {output / 'README.md'}"
    )


def _write_beside(folder: Path, facts: ModelFacts) -> None:
    """All files that are not the model itself."""
    card = facts.card
    tokenizer = load_tokenizer(str(facts.folder))
    if tokenizer.fingerprint != card.tokenizer_fingerprint:
        raise UserError(
            f"{facts.folder}: trained with the tokenizer {card.tokenizer_fingerprint}, found "
            f"{tokenizer.fingerprint} beside it; restore the files that were saved with the model"
        )
    tokenizer.save(folder)
    eos = write_fast_tokenizer(folder, tokenizer, direction=card.direction, window=card.max_seq_len)
    write_json(folder / CARD_FILE, asdict(card))
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": card.eos_id,
            "eos_token_id": card.eos_id,
            "pad_token_id": card.eos_id,
            "do_sample": True,
            "top_k": _TOP_K,
            # As in decoding, half of the window at most: a context must have room.
            "max_new_tokens": max(1, min(_MAX_NEW_TOKENS, card.max_seq_len // 2)),
        },
    )
    write_page(folder / "README.md", facts, eos=eos)


if __name__ == "__main__":
    main()
