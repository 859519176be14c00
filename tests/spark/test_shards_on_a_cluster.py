"""Shards from executors are those of local processes."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from support_dialogues import made_up_dialogues, write_dialogues
from support_spark import needs_spark

from data_prep.config import ShardsConfig
from data_prep.spark.config import SparkConfig
from data_prep.spark.entry import shard_workers
from data_prep.write_shards import write_shards
from dialogpt.command_line import UserError
from dialogpt.data.manifest import Manifest
from dialogpt.tokenization import train_sentencepiece

pytestmark = [needs_spark, pytest.mark.timeout(300)]


@pytest.fixture
def config(tmp_path: Path) -> ShardsConfig:
    parts = [made_up_dialogues(30 + 7 * part, seed=part) for part in range(3)]
    write_dialogues(tmp_path / "extracted", {"train": parts, "valid": parts[:1]})
    texts = [turn for dialogue in parts[0] for turn in dialogue.turns]
    train_sentencepiece(texts, tmp_path / "tokenizer", vocab_size=310)
    return ShardsConfig(
        dialogues=str(tmp_path / "extracted"),
        tokenizer=str(tmp_path / "tokenizer"),
        output=str(tmp_path / "shards"),
        num_workers=1,
        chunk_dialogues=16,
    )


def on_spark(config: ShardsConfig) -> list[Manifest]:
    """What the command does."""
    with shard_workers(config, SparkConfig(), master="") as given:
        return write_shards(*given)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_shards_have_the_same_bytes_and_a_second_run_writes_none(
    spark: Any, config: ShardsConfig, tmp_path: Path
) -> None:
    manifests = on_spark(config)
    assert [manifest.num_dialogues for manifest in manifests] == [111, 30, 0]
    (tmp_path / "shards").rename(tmp_path / "on_spark")
    write_shards(config)
    assert digests(tmp_path / "on_spark") == digests(tmp_path / "shards")
    shard = tmp_path / "shards" / "train" / "shard-00001.lmdb"
    before = shard.stat().st_mtime_ns
    on_spark(config)
    assert shard.stat().st_mtime_ns == before


def test_shards_on_a_place_that_python_cannot_open_are_refused(
    spark: Any, config: ShardsConfig
) -> None:
    elsewhere = ShardsConfig(
        dialogues="viewfs://tests/data/extracted", tokenizer=config.tokenizer, output=config.output
    )
    with pytest.raises(UserError, match="a mount"):
        on_spark(elsewhere)
