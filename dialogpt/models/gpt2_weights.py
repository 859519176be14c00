"""A GPT-2's weights from a file of any age -> the names, and the sizes, that transformers knows.

Three generations of names lead to the same parameters, here of the first block's first norm:

    h.0.ln_1.g                        OpenAI's release as pytorch_pretrained_bert first had it
    h.0.ln_1.weight                   the inner model alone
    module.transformer.h.0.ln_1.weight    DialoGPT's .pkl, of a model that DataParallel held

and the output layer is lm_head.decoder.weight in DialoGPT's .pkl (its train_utils.py takes off
`module.` and loads the inner model alone where no name begins with `transformer.`). Files hold
tensors only: what would run code when it is read is refused before it does.
"""

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config

from dialogpt.command_line import UserError
from dialogpt.models.gpt2 import ModelSizes, refusal

INPUT_TABLE = "transformer.wte.weight"
POSITION_TABLE = "transformer.wpe.weight"
OUTPUT_TABLE = "lm_head.weight"
HEAD_SIZE = 64
"""Of every GPT-2 that was published; the weights do not say how many heads share the width."""

_PUBLISHED = {(12, 768): "117M", (24, 1024): "345M", (36, 1280): "762M", (48, 1600): "1542M"}
"""(layers, width) -> the name of the size in Table 1 of DialoGPT and in GPT-2's release."""
_NICKNAMES = {"small": "117M", "medium": "345M", "large": "762M"}
"""What DialoGPT's files and folders call these sizes."""
_SHORT_ENDINGS = {"g": "weight", "b": "bias", "w": "weight"}
_MASK = re.compile(r"transformer\.h\.\d+\.attn\.(masked_)?bias")
"""The causal mask, which old versions stored with the weights."""
_FLOATS = (torch.float16, torch.bfloat16, torch.float32)
_SHOWN = 3
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpt2Weights:
    """The parameters of a whole GPT-2, checked.

    Attributes:
        tensors: transformers' name -> tensor, all of one number format; without the output layer
            where it is the table of tokens.
        sizes: what the shapes say.
        is_tied: whether the output layer is the table of tokens.
    """

    tensors: dict[str, Tensor]
    sizes: ModelSizes
    is_tied: bool

    @property
    def dtype(self) -> torch.dtype:
        """The number format."""
        return self.tensors[INPUT_TABLE].dtype


def size_name(sizes: ModelSizes) -> str:
    """The size as the papers name it, or its number of parameters where it is none of theirs."""
    name = _PUBLISHED.get((sizes.num_layers, sizes.hidden_size))
    number = sizes.num_parameters
    return name or (f"{number / 1e6:.1f}M" if number >= 1e6 else f"{number / 1e3:.0f}k")


def misleading_nickname(file: Path, sizes: ModelSizes) -> str:
    """What a file's name calls it and is not: "small" of small_reverse.pkl; "" if it fits."""
    named = [word for word in re.split(r"[^a-z]+", file.name.lower()) if word in _NICKNAMES]
    wrong = [word for word in named if _NICKNAMES[word] != size_name(sizes)]
    return wrong[0] if wrong else ""


def read_weights(file: Path, *, num_heads: int = 0) -> Gpt2Weights:
    """The weights of a checkpoint file, under transformers' names.

    Args:
        file: safetensors, or what `torch.save` wrote of a state dict, in its old form or its new.
        num_heads: attention heads a block; 0 takes heads of 64 dimensions, as every published
            GPT-2 has.

    Raises:
        UserError: the file is damaged, holds anything but tensors, or not one whole GPT-2.
    """
    found = read_tensors(file)
    tensors: dict[str, Tensor] = {}
    for old_name, tensor in found.items():
        name = _current_name(old_name, found)
        if _MASK.fullmatch(name):
            continue
        if name in tensors:
            raise UserError(f"{file}: expected each weight once, found two for {_shown([name])}")
        if tensor.dtype not in _FLOATS or tensor.layout != torch.strided:
            raise UserError(
                f"{file}: expected float16, bfloat16 or float32 in {_shown([old_name])}, found "
                f"{tensor.dtype}"
            )
        tensors[name] = tensor
    sizes = _sizes(file, tensors, num_heads)
    _check_shapes(file, tensors, sizes)
    output = tensors.pop(OUTPUT_TABLE, None)
    is_tied = output is None or torch.equal(output, tensors[INPUT_TABLE])
    if output is not None and not is_tied:
        tensors[OUTPUT_TABLE] = output
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors.values()))
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise UserError(f"{file}: expected numbers in {name}, found nan or infinity")
        tensors[name] = tensor.to(dtype).contiguous()
    return Gpt2Weights(tensors=tensors, sizes=sizes, is_tied=is_tied)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Name -> tensor on the CPU; UserError for anything else."""
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise UserError(f"{file}: expected a checkpoint file, found {found}")
    try:
        if file.suffix == ".safetensors":
            tensors: dict[str, Tensor] = load_file(file)
            return tensors
        # Files from before torch 1.6 are no archives, and cannot be mapped into memory.
        is_archive = zipfile.is_zipfile(file)
        content: Any = torch.load(file, map_location="cpu", weights_only=True, mmap=is_archive)
    except SafetensorError as error:
        raise UserError(
            f"{file}: not a whole safetensors file ({error}); fetch it again"
        ) from error
    except Exception as error:  # torch raises what its reader raises, and names no class for it
        raise UserError(
            f"{file}: expected tensors that torch.save wrote, and nothing else; nothing in it was "
            f"run. {refusal(error)}"
        ) from error
    if not isinstance(content, dict) or not content:
        raise UserError(
            f"{file}: expected a state dict, name -> tensor, found {type(content).__name__}"
        )
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(
                f"{file}: expected tensors only, found {type(value).__name__} under "
                f"{_shown([name])}; of a checkpoint with an optimizer, save the model's state dict "
                "alone"
            )
    return dict(content)


def _current_name(name: str, names: Iterable[str]) -> str:
    """What transformers calls a weight.

    Args:
        name: in the file.
        names: all of the file.
    """
    name = name.removeprefix("module.")
    if name == "lm_head.decoder.weight":
        return OUTPUT_TABLE
    inner_alone = not any(n.removeprefix("module.").startswith("transformer.") for n in names)
    if inner_alone and name != OUTPUT_TABLE:
        name = f"transformer.{name}"
    stem, _, ending = name.rpartition(".")
    return f"{stem}.{_SHORT_ENDINGS.get(ending, ending)}"


def _sizes(file: Path, tensors: dict[str, Tensor], num_heads: int) -> ModelSizes:
    for name in (INPUT_TABLE, POSITION_TABLE):
        if name not in tensors or tensors[name].dim() != 2 or not tensors[name].numel():
            raise UserError(
                f"{file}: expected a GPT-2, found no matrix {name}; the names begin with "
                f"{_shown(sorted(tensors))}"
            )
    vocab_size, width = tensors[INPUT_TABLE].shape
    layers = {int(n.split(".")[2]) for n in tensors if re.match(r"transformer\.h\.\d+\.", n)}
    if not layers or layers != set(range(len(layers))):
        raise UserError(
            f"{file}: expected blocks transformer.h.0, transformer.h.1 and so on, found the "
            f"numbers {sorted(layers)[:_SHOWN]} ... of {len(layers)} blocks"
        )
    if not num_heads and width % HEAD_SIZE:
        raise UserError(
            f"{file}: expected a width that is a multiple of {HEAD_SIZE}, found {width}; name the "
            "attention heads of a block with --num_heads"
        )
    num_heads = num_heads or width // HEAD_SIZE
    if width % num_heads:
        raise UserError(f"{file}: --num_heads {num_heads} does not divide the width {width}")
    return ModelSizes(
        num_layers=len(layers),
        hidden_size=width,
        num_heads=num_heads,
        num_positions=tensors[POSITION_TABLE].shape[0],
        vocab_size=vocab_size,
    )


def expected_shapes(sizes: ModelSizes) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every parameter, the output layer apart."""
    width = sizes.hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        INPUT_TABLE: (sizes.vocab_size, width),
        POSITION_TABLE: (sizes.num_positions, width),
        "transformer.ln_f.weight": (width,),
        "transformer.ln_f.bias": (width,),
    }
    products = {
        "attn.c_attn": (width, 3 * width),
        "attn.c_proj": (width, width),
        "mlp.c_fc": (width, 4 * width),
        "mlp.c_proj": (4 * width, width),
    }
    for layer in range(sizes.num_layers):
        block = f"transformer.h.{layer}"
        for norm in ("ln_1", "ln_2"):
            shapes |= {f"{block}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        for name, shape in products.items():
            shapes |= {f"{block}.{name}.weight": shape, f"{block}.{name}.bias": shape[1:]}
    return shapes


def _shown(names: Sequence[object]) -> str:
    """The first names of a file, so that nothing in them acts on a terminal."""
    return ", ".join(repr(name)[:_SHOWN_CHARACTERS] for name in names[:_SHOWN])


def _check_shapes(file: Path, tensors: dict[str, Tensor], sizes: ModelSizes) -> None:
    expected = expected_shapes(sizes)
    optional = {OUTPUT_TABLE: expected[INPUT_TABLE]}
    size = f"{sizes.num_layers} layers of width {sizes.hidden_size}"
    missing = sorted(set(expected) - set(tensors))
    if missing:
        raise UserError(f"{file}: a GPT-2 of {size} has {_shown(missing)}, found none")
    unknown = sorted(set(tensors) - set(expected) - set(optional))
    if unknown:
        raise UserError(f"{file}: a GPT-2 has no {_shown(unknown)}; not one of its kind")
    for name, shape in {**expected, **optional}.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            raise UserError(
                f"{file}: expected the shape {shape} of {name} in a GPT-2 of {size}, found "
                f"{tuple(tensors[name].shape)}"
            )


def write_weights(folder: Path, weights: Gpt2Weights, *, eos_id: int) -> None:
    """Write config.json and model.safetensors; GPT2LMHeadModel.from_pretrained reads them.

    Args:
        folder: is there.
        weights: go into the file as they are, in their number format.
        eos_id: the end-of-turn token, which generation starts and stops with.
    """
    sizes = weights.sizes
    config = GPT2Config(
        architectures=["GPT2LMHeadModel"],
        vocab_size=sizes.vocab_size,
        n_positions=sizes.num_positions,
        n_embd=sizes.hidden_size,
        n_layer=sizes.num_layers,
        n_head=sizes.num_heads,
        bos_token_id=eos_id,
        eos_token_id=eos_id,
        tie_word_embeddings=weights.is_tied,
        dtype=str(weights.dtype).removeprefix("torch."),
    )
    config.save_pretrained(folder)
    save_file(weights.tensors, folder / "model.safetensors", metadata={"format": "pt"})
