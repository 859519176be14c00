"""Tiny shards and configs for tests of data, models and training."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from support_forks import ForkedProcess, start_forked
from tokenizers import pre_tokenizers

from dialogpt.command_line import parse_config
from dialogpt.config.training import TrainConfig
from dialogpt.data.manifest import Manifest, write_manifest
from dialogpt.data.shards import ShardWriter
from dialogpt.records import EncodedDialogue
from dialogpt.tokenization import GPT2_EOS, Gpt2Tokenizer, Tokenizer
from dialogpt.train.run import train

ROOT = Path(__file__).parent.parent


def byte_tokenizer(num_extra: int = 0) -> Gpt2Tokenizer:
    """One token a byte, no merges; num_extra unused ids make it another tokenizer."""
    names = [*sorted(pre_tokenizers.ByteLevel.alphabet()), GPT2_EOS]
    names += [f"unused{i}" for i in range(num_extra)]
    return Gpt2Tokenizer({name: i for i, name in enumerate(names)}, [])


def randomised(model):
    """The model with every parameter moved: biases that are 0 would hide what becomes of them."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator, dtype=p.dtype))
    return model


def encoded(turns: Sequence[Sequence[int]], *, key: int = 0) -> EncodedDialogue:
    """A dialogue of token ids; one word a token, two characters a token."""
    lengths = np.array([len(turn) for turn in turns], dtype=np.uint32)
    return EncodedDialogue(
        turns=tuple(np.array(turn, dtype=np.uint16) for turn in turns),
        speakers=np.array([i % 2 for i in range(len(turns))], dtype=np.int8),
        num_words=lengths,
        num_chars=2 * lengths,
        turn_keys=np.arange(len(turns), dtype=np.uint64) + np.uint64(100 * key),
        thread_key=key,
    )


def made_up_dialogues(count: int, *, seed: int) -> list[EncodedDialogue]:
    """Dialogues of 2 to 4 turns whose reply repeats the turn before it, so that there is something
    to learn; uneven lengths."""
    generator = np.random.default_rng(seed)
    dialogues = []
    for key in range(count):
        word = generator.integers(60, 100, size=int(generator.integers(1, 9))).tolist()
        turns = [word + generator.integers(60, 100, size=i).tolist() for i in range(4)]
        dialogues.append(encoded(turns[: int(generator.integers(2, 5))], key=key))
    return dialogues


def short_dialogues(count: int) -> list[EncodedDialogue]:
    """Dialogues that fit the rows of `tiny_settings` uncut."""
    candidates = made_up_dialogues(4 * count + 20, seed=2)
    fitting = [d for d in candidates if sum(map(len, d.turns)) + len(d.turns) <= 32]
    return fitting[:count]


def write_split(
    folder: Path,
    dialogues: Sequence[EncodedDialogue],
    *,
    tokenizer: Tokenizer,
    num_shards: int = 1,
    chunk_dialogues: int = 8,
) -> Manifest:
    """A split's folder, with the dialogues dealt to shards in order."""
    shards = []
    bounds = np.linspace(0, len(dialogues), num_shards + 1).astype(int)
    for number in range(num_shards):
        writer = ShardWriter(
            folder,
            f"shard-{number:05d}",
            tokenizer=tokenizer,
            chunk_dialogues=chunk_dialogues,
        )
        for dialogue in dialogues[bounds[number] : bounds[number + 1]]:
            writer.add(dialogue)
        shards.append(writer.close())
    return write_manifest(folder, folder.name, tokenizer=tokenizer, shards=shards)


def write_shards(folder: Path, *, num_train: int = 120, num_valid: int = 24) -> Path:
    """Shards of made-up dialogues: train in three shards, valid in one (none with num_valid 0)."""
    tokenizer = byte_tokenizer()
    write_split(
        folder / "train", made_up_dialogues(num_train, seed=1), tokenizer=tokenizer, num_shards=3
    )
    if num_valid:
        write_split(folder / "valid", short_dialogues(num_valid), tokenizer=tokenizer)
    tokenizer.save(folder / "tokenizer")
    return folder


def tiny_settings(shards: Path, output: Path) -> dict[str, Any]:
    """A run of some seconds: 2 layers, width 16, dropout on."""
    return {
        "output": str(output),
        "data": {"shards": str(shards), "max_seq_len": 32, "num_workers": 0, "window_chunks": 4},
        "schedule": {"name": "noam", "learning_rate": 0.01, "warmup_steps": 10},
        "model": {"num_layers": 2, "hidden_size": 16, "num_heads": 2, "max_positions": 32},
        "batch": {"micro_batch_tokens": 128, "accumulation_steps": 2},
        "validation": {"every_steps": 6},
        "checkpoint": {"every_steps": 4},
        "max_epochs": 2,
        "precision": "fp32",
        "log_every_steps": 3,
        "tensorboard": False,
    }


def merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Settings with some values changed, section by section."""
    result = dict(settings)
    for key, value in changes.items():
        former = result.get(key)
        result[key] = merged(former, value) if isinstance(former, dict) else value
    return result


def train_command(settings: dict[str, Any], folder: Path, *, num_ranks: int = 1) -> list[str]:
    """The words of the command that trains with these settings."""
    path = folder / f"{Path(settings['output']).name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    launcher = ["-m"]
    if num_ranks > 1:
        # On CPU `accelerate launch` starts a single process; torchrun starts several.
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        launcher += [str(num_ranks), "-m"]
    return [sys.executable, *launcher, "dialogpt.train", "--config", str(path)]


def free_port() -> str:
    """Of this machine, for ranks to meet at."""
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        return str(there.getsockname()[1])


def launch_command(settings: dict[str, Any], folder: Path, config: str, *options: str) -> list[str]:
    """The words of `accelerate launch` with a file of configs/accelerate, and more options.

    The files for GPUs start several processes on a CPU too; that for a CPU starts one.
    """
    path = folder / f"{Path(settings['output']).name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    launcher = ["-m", "accelerate.commands.launch", "--config_file"]
    launcher += [str(ROOT / "configs" / "accelerate" / config), *options]
    return [sys.executable, *launcher, "-m", "dialogpt.train", "--config", str(path)]


def environment() -> dict[str, str]:
    """For a command started from any folder: this checkout, one thread."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "ACCELERATE_USE_CPU": "true",
    }


def train_here(settings: dict[str, Any], folder: Path) -> int:
    """Train in this process: saves the start of another where only the message matters."""
    path = folder / f"{Path(settings['output']).name}.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return train(*parse_config(TrainConfig, ["--config", str(path)], prog="train"))


def start_training(
    settings: dict[str, Any], folder: Path, *, ranks: Mapping[str, str] | None = None
) -> ForkedProcess:
    """Start training in a process of its own, which need not import anything.

    Args:
        settings: of the run.
        folder: to write them in, and to run in.
        ranks: variables that tell a rank of several who it is.
    """
    _, _, module, *words = train_command(settings, folder)
    return start_forked(
        module, words, folder=folder, environment={**environment(), **(ranks or {})}
    )


def train_forked(settings: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Train in a process that need not import anything, and wait for the end."""
    process = start_training(settings, folder)
    _, said = process.communicate(timeout=240)
    assert process.returncode is not None
    return subprocess.CompletedProcess(
        train_command(settings, folder), process.returncode, "", said
    )


def run_training(
    settings: dict[str, Any], folder: Path, *, num_ranks: int = 1
) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, or one a rank, and wait for the end."""
    return run_to_end(train_command(settings, folder, num_ranks=num_ranks), folder)


def run_to_end(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder and wait for the end."""
    return subprocess.run(
        command,
        env=environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
