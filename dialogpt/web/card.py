"""What a visitor should know about the model: the lines of its card, from what its folder says."""

import logging
import math
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from dialogpt.checkpoint import ModelCard, read_model_card
from dialogpt.command_line import UserError
from dialogpt.decode.load import Loaded
from dialogpt.plato.loaded import LoadedPlato
from dialogpt.train.settings import CONFIG_FILE, read_settings

logger = logging.getLogger(__name__)

README = "README.md"
_MOST_README_CHARS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """A model's card.

    Attributes:
        title: the model's name.
        lines: (what, how much), in the order in which they are shown.
        readme: the text of the folder's README.md; "" without one.
    """

    title: str
    lines: list[tuple[str, str]]
    readme: str


def model_card(loaded: Loaded) -> Card:
    """The card of a loaded model. A model from elsewhere has fewer lines, and says so."""
    folder = Path(loaded.name)
    card = read_model_card(folder) if folder.is_dir() else None
    lines = [*_sizes(loaded), *_training(loaded, folder, card)]
    return Card(title=display_name(loaded.name), lines=lines, readme=_readme(folder))


def display_name(name: str) -> str:
    """A model's name for strangers: of a folder the last parts, not where it lies on the machine.

    runs/mine-small/forward/best -> mine-small/forward; a name on the hub stays as it is.
    """
    parts = [part for part in PurePath(name).parts if part not in ("best", "last", "/", "..", ".")]
    return "/".join(parts[-2:]) or "model"


def _sizes(loaded: Loaded) -> list[tuple[str, str]]:
    if isinstance(loaded, LoadedPlato):
        sizes = loaded.model.network.sizes
        kind = "PLATO without a latent variable"
        if sizes.num_latents:
            kind = f"PLATO with {sizes.num_latents} latent speech acts, each of which has its say"
        shape = (sizes.num_layers, sizes.hidden_size, sizes.num_heads)
        number = sum(parameter.numel() for parameter in loaded.model.parameters())
        most = loaded.model.config.sequence.max_context_tokens
        reads = f"{most:,} tokens of a conversation"
    else:
        config = loaded.model.config
        kind = "GPT-2, a language model"
        shape = (config.n_layer, config.n_embd, config.n_head)
        number = num_parameters(loaded.model)
        reads = f"{loaded.window:,} tokens of a conversation, its reply included"
    layers, width, heads = shape
    tokenizer = loaded.tokenizer
    return [
        ("Kind", kind),
        ("Shape", f"{layers} layers, {width} wide, {heads} attention heads"),
        ("Parameters", _short_count(number)),
        ("Tokenizer", f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens"),
        ("Reads at most", reads),
    ]


def num_parameters(model: Any) -> int:
    """Parameters of a GPT2LMHeadModel; a tied output matrix counts once, copied or not."""
    number: int = sum(parameter.numel() for parameter in model.transformer.parameters())
    return number if model.config.tie_word_embeddings else number + model.lm_head.weight.numel()


def _short_count(number: int) -> str:
    if number < 1_000_000:
        return f"{number:,}"
    millions = number / 1e6
    return f"{millions:.1f} million" if millions < 10 else f"{millions:,.0f} million"


def _training(loaded: Loaded, folder: Path, card: ModelCard | None) -> list[tuple[str, str]]:
    """Where and how the model was trained, as far as its folder says."""
    if card is None:
        return [("Training", "not known here: the model comes from elsewhere, without our card")]
    lines = [
        ("Trained", f"by this project, {card.step:,} steps"),
        ("Text rules", card.text_rules),
    ]
    run = _run_settings(folder)
    if card.valid_loss is not None:
        loss = _loss(loaded, card.valid_loss, run)
        lines.append(("Loss on held-out dialogues", loss))
    shards, start = run.get("data.shards"), run.get("model.init")
    if isinstance(shards, str):
        lines.append(("Training data", display_name(shards)))
    if isinstance(start, str):
        words = "random weights" if start == "scratch" else display_name(start)
        lines.append(("Started from", words))
    return lines


def _loss(loaded: Loaded, loss: float, run: dict[str, Any]) -> str:
    """What training minimised; only of nats of a token there is a perplexity."""
    if "mmi_rl.backward_model" in run:
        return f"{loss:.3f} (minus the objective of its training)"
    if isinstance(loaded, LoadedPlato):
        unit = "token" if run.get("plato.reduction") == "token_mean" else "response"
        losses = ", all its losses together" if loaded.model.config.num_latents else ""
        return f"{loss:.3f} nats a {unit}{losses}"
    return f"{loss:.3f} nats a token (perplexity {math.exp(min(loss, 700.0)):,.1f})"


def _run_settings(folder: Path) -> dict[str, Any]:
    """The settings of the training run that a model folder is a part of; {} if it is none."""
    # runs/NAME/forward/best, as a run is resolved, or its target in models/.
    for parent in list(folder.parents)[:2]:
        path = parent / CONFIG_FILE
        if path.is_file():
            try:
                return read_settings(path)
            except UserError as error:  # the model talks all the same
                logger.warning("%s", error)
                return {}
    return {}


def _readme(folder: Path) -> str:
    path = folder / README
    if not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")[:_MOST_README_CHARS].strip()
