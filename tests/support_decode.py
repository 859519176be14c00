"""Tiny GPT-2s for the tests of decoding: wild weights, so that no two tokens are as likely.

Besides, the commands that use them.
"""

import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

from dialogpt.checkpoint import CARD_FILE, untrained_card
from dialogpt.records import write_json
from dialogpt.text import TEXT_RULES
from dialogpt.tokenization import GPT2_EOS, Gpt2Tokenizer

NUM_PADDING_IDS = 5
"""Rows of the tiny models' embedding that no token has."""


def tiny_tokenizer(*, extra_merge: tuple[str, str] | None = None) -> Gpt2Tokenizer:
    """All bytes and four merges; another merge makes another tokenizer of the same size."""
    merges = [("t", "h"), ("th", "e"), ("i", "n"), extra_merge or ("o", "u")]
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    vocab = {piece: index for index, piece in enumerate([*pieces, GPT2_EOS])}
    return Gpt2Tokenizer(vocab, merges)


def tiny_model(
    *, seed: int = 0, vocab_size: int = 40, num_positions: int = 64, tied: bool = False
) -> GPT2LMHeadModel:
    """Two layers in float32; by default 35 tokens, of which 0 ends a turn, and padding ids.

    With tied matrices, wild weights repeat the last token for ever; hence not by default.
    """
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=num_positions,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=tied,
    )
    return GPT2LMHeadModel(config).eval()


def save_model_folder(
    folder: Path,
    *,
    direction: str | None = "forward",
    seed: int = 0,
    max_seq_len: int = 64,
    num_positions: int = 64,
    tokenizer: Gpt2Tokenizer | None = None,
    text_rules: str = TEXT_RULES,
) -> Path:
    """A model folder as training writes it; without a card if direction is None."""
    tokenizer = tokenizer or tiny_tokenizer()
    vocab_size = tokenizer.vocab_size + NUM_PADDING_IDS
    model = tiny_model(seed=seed, vocab_size=vocab_size, num_positions=num_positions, tied=True)
    model.save_pretrained(folder)
    tokenizer.save(folder)
    if direction is not None:
        card = untrained_card(
            tokenizer, direction=direction, max_seq_len=max_seq_len, text_rules=text_rules
        ).at(step=1, valid_loss=None)
        write_json(folder / CARD_FILE, asdict(card))
    return folder


Run = Callable[..., tuple[str, str]]
"""Words of a command, what is typed, and the exit code to expect -> what it says on both pipes."""


def in_process(
    main: Callable[[], None],
    *first_words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """A command with bytes on its standard input, without the seconds that importing takes."""

    def run(*words: str, typed: str | bytes = "", expected_exit: int = 0) -> tuple[str, str]:
        data = typed if isinstance(typed, bytes) else typed.encode()
        monkeypatch.setattr("sys.argv", [*first_words, *words])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        capsys.readouterr()
        exit_code = 0
        try:
            main()
        except SystemExit as end:
            exit_code = int(end.code or 0)
        out, err = capsys.readouterr()
        assert exit_code == expected_exit, err
        return out, err

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return run
