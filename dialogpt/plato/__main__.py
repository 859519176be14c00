"""python -m dialogpt.plato: the perplexities of Table 5 on a split of shards."""

import logging
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from dialogpt.command_line import UserError, parse_config, require_place, run_command
from dialogpt.config.plato import MeasureConfig

_KINDS = {
    "": "by the posterior, which has read the answer",
    "marginal_": "over all latents",
    "best_": "by the best latent of each response",
    "bound_": "by the variational bound",
}


def main() -> None:
    """Parse the command line, measure, print."""
    config, _ = parse_config(MeasureConfig, prog="python -m dialogpt.plato")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    run_command(lambda: measure_split(config))


def measure_split(config: MeasureConfig) -> None:
    """Measure as configured; the numbers go to standard output and into the file.

    Raises:
        UserError: model and shards do not go together, or a split is not there.
    """
    # Imported late: a misspelt option should not wait for torch.
    from dialogpt.checkpoint import is_plato, read_model_card, resolve_model_folder
    from dialogpt.config.training import BatchConfig, DataConfig
    from dialogpt.data.manifest import read_manifest
    from dialogpt.distributed import num_ranks, start_accelerator
    from dialogpt.plato.load import load_plato
    from dialogpt.plato.loaders import split_loader
    from dialogpt.plato.measure import measure
    from dialogpt.records import write_json
    from dialogpt.tokenization import load_tokenizer

    folder, shards = Path(resolve_model_folder(config.model)), Path(config.shards)
    if not is_plato(folder):
        raise UserError(
            f"--model {config.model}: expected a run or model folder of a PLATO, found "
            f"{'another model' if folder.is_dir() else 'no folder'}; name a run of a config with a "
            "section plato"
        )
    if config.output:
        require_place(Path(config.output), "file")
    tokenizer = load_tokenizer(str(shards / "tokenizer"))
    card = read_model_card(folder)
    if card is not None and card.tokenizer_fingerprint != tokenizer.fingerprint:
        raise UserError(
            f"{shards}: expected shards of the model's tokenizer {card.tokenizer_fingerprint}, "
            f"found those of {tokenizer.fingerprint}; write them with the tokenizer in {folder}"
        )
    manifest = read_manifest(shards / config.split, tokenizer=tokenizer)
    accelerator, _ = start_accelerator(config.precision)
    model = load_plato(folder).to(accelerator.device)
    loader = split_loader(
        shards / config.split,
        manifest,
        replace(model.config, examples=config.examples),
        data=DataConfig(shards=config.shards, num_workers=0),
        batch=BatchConfig(micro_batch_tokens=config.micro_batch_tokens),
        model=model,
        bou_id=tokenizer.bou_id,
        rank=accelerator.process_index,
        seed=0,
        max_dialogues=config.max_dialogues,
    )
    steps = tqdm(loader.epoch(0), total=loader.planner.num_steps(0), desc="batches", disable=None)
    result = measure(model, steps, accelerator=accelerator, all_latents=model.has_latent)
    if not accelerator.is_main_process:
        return
    values = result.metrics()
    del values["loss"]  # a run's, by its weights and reduction, which the model's folder lacks
    print(f"{folder} on {shards / config.split}, {num_ranks()} device(s)")
    print(f"{result.num_responses:,} responses, {result.num_tokens:,} tokens with their ends\n")
    print(f"{'perplexity':<46}{'a token':>10}{'a word':>10}{'nats/char':>11}")
    for kind, what in _KINDS.items():
        if f"{kind}perplexity" in values:
            label = what if model.has_latent else "without a latent"
            token, word = values[f"{kind}perplexity"], values[f"{kind}word_perplexity"]
            print(f"{label:<46}{token:>10.2f}{word:>10.1f}{values[f'{kind}nll_per_char']:>11.4f}")
    for name in ("selection_accuracy", "latent_perplexity", "latent_entropy", "latent_information"):
        if name in values:
            print(f"{name.replace('_', ' '):<46}{values[name]:>10.4f}")
    print(
        "\nA token is one of this tokenizer: compare models of different ones a word or character."
    )
    if config.output:
        Path(config.output).parent.mkdir(parents=True, exist_ok=True)
        write_json(Path(config.output), values)


if __name__ == "__main__":
    main()
