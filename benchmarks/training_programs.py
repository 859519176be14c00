"""What the benchmark of training measures: each a function that makes an optimizer step.

Every program trains in bfloat16 with float32 weights and AdamW in one kernel, clips gradients, and
has no dropout unless it is asked for.
"""

import importlib.util
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.training_data import EOS_ID, MAX_SEQ_LEN, VOCAB_SIZE, micro_batches
from dialogpt.config.training import Layout, ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.data.dataset import IndexedDialogue
from dialogpt.distributed import start_accelerator
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.recorded import record_graph
from dialogpt.train.sharding import place_model
from dialogpt.train.step import Updater

SIZES = {"117M": (12, 768, 12), "345M": (24, 1024, 16), "762M": (36, 1280, 20)}
"""Name -> blocks, width, heads; the paper's names."""
FOR_A_CPU = {"tiny": (2, 64, 2)}
"""To try a benchmark out."""
_ROWS_OF_THE_RELEASE = 64
_RATE = 1e-5


@dataclass(frozen=True, slots=True)
class Program:
    """Something that trains.

    Attributes:
        step: makes the next optimizer step; useful tokens in it, without padding.
        num_parameters: of the model.
        apart: a context in which ranks exchange no gradients.
    """

    step: Callable[[], int]
    num_parameters: int
    apart: Callable[[], AbstractContextManager[None]] = nullcontext


def ours(
    dialogues: list[IndexedDialogue],
    size: str,
    tokens: int,
    *,
    layout: Layout,
    compiled: bool = True,
    recomputes: bool = False,
    accumulation: int = 1,
    records: bool = False,
    dropout: float = 0.0,
) -> Program:
    """The project's own step, on batches as its loader makes them; every rank has its own."""
    layers, width, heads = (SIZES | FOR_A_CPU)[size]
    torch.manual_seed(0)
    config = ModelConfig(
        num_layers=layers, hidden_size=width, num_heads=heads, max_positions=1024, dropout=dropout
    )
    model = build_gpt2(
        config, vocab_size=VOCAB_SIZE, eos_id=EOS_ID, compiled=compiled, recomputes=recomputes
    )
    accelerator, _ = start_accelerator("bf16" if torch.cuda.is_available() else "fp32")
    place_model(model, accelerator)
    updater = Updater(
        model,
        build_optimizer(model, OptimizerConfig(), learning_rate=_RATE),
        accelerator=accelerator,
        max_grad_norm=1.0,
        failures=Path(),
        record=record_graph if records else None,
    )
    collate = Collator(
        direction="forward",
        max_seq_len=MAX_SEQ_LEN,
        eos_id=EOS_ID,
        packed_tokens=0 if layout == "padded" else tokens,
        shares_turns=layout == "tree",
    )
    groups = micro_batches(dialogues, tokens=tokens, layout=layout)
    groups = groups[accelerator.process_index :: accelerator.num_processes][:8]
    made = [collate(group) for group in groups]
    if torch.cuda.is_available():
        made = [batch.pin_memory() for batch in made]
    batches = itertools.cycle(made)
    numbers = itertools.count(1)
    begun = deque([updater.begin([next(batches)], 0, learning_rate=_RATE)])

    def step() -> int:
        some = list(itertools.islice(batches, accumulation))
        begun.append(updater.begin(some, next(numbers), learning_rate=_RATE))
        begun.popleft().result()  # as in training: the step before is looked at meanwhile
        return sum(batch.num_tokens for batch in some)

    return Program(step, sum(p.numel() for p in model.parameters()), updater.apart)


def transformers_padded(
    dialogues: list[IndexedDialogue],
    size: str,
    tokens: int,
    *,
    attention: str,
    dropout: float = 0.0,
) -> Program:
    """What a user writes around transformers: rows of like length, its own loss.

    With eager attention it is the release's loop: 64 rows, and two numbers read back each step.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    layers, width, heads = SIZES[size]
    release = attention == "eager"
    config = GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_layer=layers,
        n_embd=width,
        n_head=heads,
        attn_implementation=attention,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=0.0,  # as in the release
    )
    model = GPT2LMHeadModel(config).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, fused=True)
    collate = Collator(direction="forward", max_seq_len=MAX_SEQ_LEN, eos_id=EOS_ID)
    rows = _ROWS_OF_THE_RELEASE if release else 0
    budget = rows * MAX_SEQ_LEN if release else tokens
    groups = micro_batches(dialogues, tokens=budget, layout="padded", rows=rows)
    groups = groups[:: max(1, len(groups) // 8)][:8]  # of all lengths
    batches = itertools.cycle([collate(group).pin_memory() for group in groups])

    def step() -> int:
        batch = next(batches)
        there = batch.to(torch.device("cuda"))
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(
                input_ids=there.input_ids,
                attention_mask=there.attention_mask,
                labels=there.labels,
            ).loss
        _update(model, optimizer, loss)
        if release:
            loss.item()
            (there.input_ids != 0).sum().item()
        return batch.num_tokens

    return Program(step, sum(p.numel() for p in model.parameters()))


def nanogpt(checkout: Path, size: str, tokens: int, *, dropout: float = 0.0) -> Program:
    """nanoGPT, compiled, on full rows of 1,024 tokens: no padding, and no ends of dialogues.

    Its dropout falls on attention, too.
    """
    layers, width, heads = SIZES[size]
    spec = importlib.util.spec_from_file_location("nanogpt_model", checkout / "model.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{checkout}: expected a checkout of karpathy/nanoGPT")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.GPTConfig(
        block_size=1024, n_layer=layers, n_head=heads, n_embd=width, dropout=dropout, bias=False
    )
    model: Any = module.GPT(config).cuda()
    optimizer = model.configure_optimizers(0.01, _RATE, (0.9, 0.95), "cuda")
    compiled = torch.compile(model)
    rows = tokens // 1024
    data = [torch.randint(VOCAB_SIZE, (rows, 1025)).pin_memory() for _ in range(8)]
    batches = itertools.cycle(data)

    def step() -> int:
        batch = next(batches).to("cuda", non_blocking=True)
        with torch.autocast("cuda", torch.bfloat16):
            _, loss = compiled(batch[:, :-1].contiguous(), batch[:, 1:].contiguous())
        _update(model, optimizer, loss)
        return rows * 1024

    return Program(step, sum(p.numel() for p in model.parameters()))


def _update(model: torch.nn.Module, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


def build(
    name: str,
    dialogues: list[IndexedDialogue],
    size: str,
    *,
    tokens: Sequence[int],
    nanogpt_checkout: Path,
    dropout: float = 0.0,
) -> list[tuple[str, Callable[[], Program]]]:
    """What is measured under a name: each way of setting it up; the fastest counts."""
    own = partial(ours, dialogues, size, dropout=dropout)
    padded = partial(transformers_padded, dialogues, size, dropout=dropout)
    ways: dict[str, Callable[[int], Program]] = {
        "ours, packed": lambda n: own(n, layout="packed"),
        "ours, trees": lambda n: own(n, layout="tree"),
        "ours, packed, not compiled": lambda n: own(n, layout="packed", compiled=False),
        "ours, padded": lambda n: own(n, layout="padded"),
        "transformers, SDPA": lambda n: padded(n, attention="sdpa"),
        "the release's loop": lambda n: padded(n, attention="eager"),
        "nanoGPT": lambda n: nanogpt(nanogpt_checkout, size, n, dropout=dropout),
    }
    make = ways[name]
    if name == "the release's loop":
        return [("64 rows", lambda: make(0))]
    return [(f"{n:,} tokens", lambda n=n: make(n)) for n in tokens]  # type: ignore[misc]


NAMES = (
    "ours, packed",
    "nanoGPT",
    "ours, padded",
    "transformers, SDPA",
    "the release's loop",
)
"""What is measured unless the user names others."""
