"""Tiny PLATOs for the tests of decoding: wild weights, so that latents speak differently."""

from pathlib import Path

import numpy as np
import torch
from support_decode import tiny_tokenizer
from torch import Tensor

from dialogpt.checkpoint import untrained_card, write_model_folder
from dialogpt.config.plato import BlockKind, PlatoConfig, SequenceConfig
from dialogpt.plato.batch import PlatoRow, lay_rows
from dialogpt.plato.generate import ReplyTokens
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.plato.sequence import Columns, Context, context_columns, response_columns
from dialogpt.plato.spans import make_spans
from dialogpt.text import TEXT_RULES
from dialogpt.tokenization import Tokenizer

NUM_LATENTS = 3
VOCAB_SIZE = 40
BOU, EOU, UNKNOWN = 1, 2, 3
FIRST_WORD = 4
TOKENS = ReplyTokens(
    bou_id=BOU,
    eos_id=EOU,
    vocab_size=VOCAB_SIZE - 3,
    readable=None,
    forbidden=torch.tensor([0, BOU, UNKNOWN]),
)
LIMITS = SequenceConfig(max_context_tokens=40, max_turn_tokens=12, max_response_tokens=30)


def tiny_plato(
    *,
    seed: int = 0,
    num_latents: int = NUM_LATENTS,
    blocks: BlockKind = "bert",
    visible: bool = True,
    causal: bool = False,
    vocab_size: int = VOCAB_SIZE,
    limits: SequenceConfig = LIMITS,
    selects: bool = True,
) -> PlatoModel:
    """Two layers of width 32 in float32."""
    torch.manual_seed(seed)
    sizes = PlatoSizes(
        num_layers=2,
        hidden_size=32,
        num_heads=2,
        inner_size=64,
        num_positions=64,
        vocab_size=vocab_size,
        num_latents=num_latents,
        blocks=blocks,
        norm_eps=1e-12,
    )
    config = PlatoConfig(
        num_latents=num_latents,
        blocks=blocks,
        latent_visible_to_context=visible,
        bidirectional_context=not causal,
        sequence=limits,
        selection_weight=float(selects),
    )
    model = PlatoModel(PlatoNetwork(sizes, dropout=0.0), config)
    for name, parameter in model.named_parameters():
        if "norm" not in name:
            torch.nn.init.normal_(parameter, std=0.3)
    if num_latents:
        torch.nn.init.normal_(model.network.latents.weight, std=2.0)
    return model.eval().requires_grad_(False)


def context_of(turns: list[list[int]], *, knowledge: list[list[int]] | None = None) -> Columns:
    """Columns of a context of token ids, roles by turns."""
    context = Context(
        turns=[np.array(turn) for turn in turns],
        speakers=[-1] * len(turns),
        replier=-1,
        knowledge=[np.array(sentence) for sentence in knowledge or []],
    )
    return context_columns(context, LIMITS, eou_id=EOU)


CONTEXTS = [
    context_of([[5, 6, 7], [8]]),
    context_of([[9]]),
    context_of([[10, 11], [12, 13, 14, 15], [16, 4, 4]], knowledge=[[20, 21], [22]]),
    context_of([[30, 31, 32, 33, 34, 35, 36], [5, 5, 5, 5, 5]]),
]


def full_logits(
    model: PlatoModel, context: Columns, latent: int | None, reply: list[int]
) -> Tensor:
    """(T + 1, V) behind [BOU] and each token of a reply, by one pass over the whole row."""
    response = response_columns(np.array(reply, np.int64), bou_id=BOU, eou_id=EOU)[:, :-1]
    layout = model.layout()
    laid = lay_rows([PlatoRow(prefix=context, response=response)], has_latent=layout.has_latent)
    spans = make_spans(
        laid.starts,
        laid.prefix_lengths,
        causal=layout.is_causal,
        hides_latent=layout.hides_latent,
    )
    vectors = None if latent is None else model.network.latents.weight[[latent]]
    states = model.states(torch.from_numpy(laid.columns), spans, vectors, torch.float32)
    return states[int(laid.prefix_lengths[0]) :] @ model.network.tokens.weight.T


def save_plato_folder(
    folder: Path,
    *,
    tokenizer: Tokenizer | None = None,
    max_seq_len: int = 96,
    model: PlatoModel | None = None,
    **options: object,
) -> Path:
    """A model folder as training writes it; by default of a tiny byte tokenizer."""
    tokenizer = tokenizer or tiny_tokenizer()
    if model is None:
        model = tiny_plato(vocab_size=tokenizer.vocab_size, **options)  # type: ignore[arg-type]
    tokenizer.save(folder / "tokenizer")
    card = untrained_card(
        tokenizer, direction="forward", max_seq_len=max_seq_len, text_rules=TEXT_RULES
    )
    write_model_folder(folder / "model", model, tokenizer_folder=folder / "tokenizer", card=card)
    return folder / "model"
