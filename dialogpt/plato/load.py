"""PLATO from nothing, from BERT or GPT-2, and from a model folder of its own.

A model folder's config.json holds the sizes, the masks and the limits of rows, which a model is
trained with; what it was trained for stays in the run's config.yaml.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dialogpt.checkpoint import is_plato, resolve_model_folder
from dialogpt.command_line import UserError
from dialogpt.config.plato import PlatoConfig, SequenceConfig
from dialogpt.config.training import ModelConfig
from dialogpt.plato.model import CONFIG_FILE, MASKS, SELECTS, WEIGHTS_FILE, PlatoModel
from dialogpt.plato.network import PlatoNetwork, PlatoSizes

BERT_EPS, GPT2_EPS = 1e-12, 1e-5
_LATENT_PARTS = ("latents.", "mask", "posterior.", "bag_of_words.", "selection.")
_BIASES = ("posterior.bias", "bag_of_words.bias")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where weights come from, and what they fix.

    Attributes:
        name: for messages.
        sizes: of the network to build.
        weights: by our names; None for random ones.
        num_latents: of the weights; 0 where they are those of BERT or GPT-2.
        described: config.json of a PLATO; None for other weights.
    """

    name: str
    sizes: PlatoSizes
    weights: Mapping[str, Tensor] | None = None
    num_latents: int = 0
    described: Mapping[str, Any] | None = None


def read_source(model: ModelConfig, plato: PlatoConfig, *, vocab_size: int) -> Source:
    """What a run's model begins with.

    Args:
        model: sizes, or where weights are: a PLATO of this project, a BERT or a GPT-2.
        plato: the run's section.
        vocab_size: ids of the shards' tokenizer.

    Raises:
        UserError: there are no such weights, or they do not go with the tokenizer or the section.
    """
    if model.init == "scratch":
        return Source(name="scratch", sizes=_new_sizes(model, plato, vocab_size))
    folder = _on_disk(resolve_model_folder(model.init))
    source = _plato_source(folder) if is_plato(folder) else _other_source(folder, plato)
    if source.sizes.vocab_size != vocab_size:
        raise UserError(
            f"model.init {model.init!r}: expected a vocabulary of {vocab_size} ids, as the shards' "
            f"tokenizer has, found {source.sizes.vocab_size}; write the shards with the tokenizer "
            "of these weights, or take others"
        )
    _require_same_model(source, plato)
    sizes = replace(source.sizes, num_latents=plato.num_latents, head_biases=plato.head_biases)
    return replace(source, sizes=sizes)


def build_plato(
    source: Source, plato: PlatoConfig, *, dropout: float, compiled: bool = False
) -> PlatoModel:
    """A PLATO in float32.

    Args:
        source: what `read_source` found.
        plato: objective and masks.
        dropout: of the blocks.
        compiled: whether torch compiles the blocks.

    Raises:
        UserError: tensors are missing or misshaped.
    """
    model = PlatoModel(PlatoNetwork(source.sizes, dropout=dropout), plato, compiled=compiled)
    if source.weights is not None:
        _take(model, source)
    return model


def _on_disk(name: str) -> Path:
    """The folder of a model; a name on the hub is fetched."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        folder = Path(snapshot_download(name, allow_patterns=[CONFIG_FILE, WEIGHTS_FILE]))
        if not (folder / WEIGHTS_FILE).is_file():
            # The older format; read by what knows tensors and nothing else.
            folder = Path(snapshot_download(name, allow_patterns=[CONFIG_FILE, "*.bin"]))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise UserError(
            f"model.init {name!r}: expected a folder, or a name on the hub; there is no such "
            f"folder, and the hub said: {error}"
        ) from error
    return folder


def load_plato(folder: Path, *, compiled: bool = False) -> PlatoModel:
    """The PLATO of a model folder, without dropout, in evaluation mode.

    Raises:
        UserError: the folder holds none, or not all of one.
    """
    source = _plato_source(folder)
    assert source.described is not None
    described = source.described
    config = PlatoConfig(
        num_latents=source.sizes.num_latents,
        blocks=source.sizes.blocks,
        head_biases=source.sizes.head_biases,
        sequence=SequenceConfig(**described["sequence"]),
        selection_weight=float(described[SELECTS]),
        **{name: described[name] for name in MASKS},
    )
    require_positions(source, config.sequence)
    return build_plato(source, config, dropout=0.0, compiled=compiled).eval()


def require_positions(source: Source, limits: SequenceConfig) -> None:
    """Raise UserError where limits allow utterances longer than the table of positions.

    Positions count inside utterances, control tokens included; what is cut off the beginning of a
    context leaves the others as they are.
    """
    most = {
        "max_response_tokens": limits.max_response_tokens + 2,
        "max_turn_tokens": limits.max_turn_tokens + 1,
        "max_knowledge_tokens": (limits.max_knowledge_tokens + 1)
        * (limits.max_knowledge_sentences > 0),
    }
    name = max(most, key=lambda one: most[one])
    if most[name] > source.sizes.num_positions:
        raise UserError(
            f"{source.name}: expected utterances of at most its {source.sizes.num_positions} "
            f"positions, found plato.sequence.{name} {getattr(limits, name)}, with control tokens "
            f"{most[name]}; lower it, or take a model of more positions (model.max_positions)"
        )


def _new_sizes(model: ModelConfig, plato: PlatoConfig, vocab_size: int) -> PlatoSizes:
    return PlatoSizes(
        num_layers=model.num_layers,
        hidden_size=model.hidden_size,
        num_heads=model.num_heads,
        inner_size=4 * model.hidden_size,
        num_positions=model.max_positions,
        vocab_size=vocab_size,
        num_latents=plato.num_latents,
        blocks=plato.blocks,
        norm_eps=BERT_EPS if plato.blocks == "bert" else GPT2_EPS,
        head_biases=plato.head_biases,
    )


def _plato_source(folder: Path) -> Source:
    path = folder / CONFIG_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        names = [field.name for field in fields(PlatoSizes)]
        sizes = PlatoSizes(**{name: described[name] for name in names})
        SequenceConfig(**described["sequence"])
        for name in (*MASKS, SELECTS):
            if not isinstance(described[name], bool):
                raise ValueError(f"{name} must be true or false, got {described[name]!r}")
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UserError(
            f"{folder}: expected a PLATO of this project ({CONFIG_FILE} and {WEIGHTS_FILE}); "
            f"reading failed: {type(error).__name__}: {error}; copy the model again"
        ) from error
    return Source(
        name=str(folder),
        sizes=sizes,
        weights=weights,
        num_latents=sizes.num_latents,
        described=described,
    )


def _other_source(folder: Path, plato: PlatoConfig) -> Source:
    from dialogpt.plato.weights import read_pretrained

    weights, sizes = read_pretrained(folder)
    return Source(
        name=str(folder),
        sizes=PlatoSizes(**sizes, num_latents=plato.num_latents, head_biases=plato.head_biases),
        weights=weights,
    )


def _require_same_model(source: Source, plato: PlatoConfig) -> None:
    """A trained PLATO goes on with its masks; its latent may be left out, or be new, not others."""
    if source.num_latents and plato.num_latents not in (0, source.num_latents):
        raise UserError(
            f"model.init {source.name}: expected plato.num_latents {source.num_latents} or 0, "
            f"found {plato.num_latents}; the latents of another number have nothing in common"
        )
    if source.described is None:
        return
    for name in MASKS:
        if source.described[name] != getattr(plato, name):
            raise UserError(
                f"model.init {source.name}: expected plato.{name} {source.described[name]}, as it "
                f"was trained, found {getattr(plato, name)}; set it so, or train from other weights"
            )


def _take(model: PlatoModel, source: Source) -> None:
    """Give the model all weights of a source; latent parts that it lacks stay random."""
    assert source.weights is not None
    own = model.state_dict()
    named = {_our_name(name, own): value for name, value in source.weights.items()}
    _require_no_biases(source, own)
    named = {name: value for name, value in named.items() if name in own or not _is_latent(name)}
    unknown = sorted(set(named) - set(own))
    missing = sorted(
        name
        for name in set(own) - set(named)
        if not (_is_latent(name) and not source.num_latents)
        and not (name in _BIASES or _begins_anew(name, source))
    )
    if unknown or missing:
        raise UserError(
            f"{source.name}: expected the tensors of a PLATO of {source.sizes.num_layers} layers, "
            f"found others ({', '.join(unknown[:3]) or 'none'}) and missed "
            f"{', '.join(missing[:3]) or 'none'}; take other weights"
        )
    for name, value in named.items():
        if value.shape != own[name].shape:
            raise UserError(
                f"{source.name}: expected {name} of shape {tuple(own[name].shape)}, found "
                f"{tuple(value.shape)}; take other weights"
            )
        own[name].copy_(value)


def _require_no_biases(source: Source, own: Mapping[str, Tensor]) -> None:
    """Biases that a model is not to have can be left out where they are zeros."""
    assert source.weights is not None
    for name in _BIASES:
        bias = source.weights.get(name)
        is_left_out = name not in own and "posterior.weight" in own
        if bias is not None and is_left_out and bool(bias.any()):
            raise UserError(
                f"{source.name}: expected no {name}, as plato.head_biases is false, found one that "
                "is not zero; set plato.head_biases true, or take other weights"
            )


def _our_name(name: str, own: Mapping[str, Tensor]) -> str:
    return name if name in own else f"network.{name}"


def _is_latent(name: str) -> bool:
    return name.removeprefix("network.").startswith(_LATENT_PARTS)


def _begins_anew(name: str, source: Source) -> bool:
    """Whether weights of BERT or GPT-2 have nothing of the kind, so that it stays random."""
    return source.described is None and name in ("network.turns.weight", "network.roles.weight")
