"""Tokenizers of the hub, with a folder that stands for a repository of it."""

import huggingface_hub
import pytest
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from support_train import byte_tokenizer
from support_wordpiece import wordpiece_tokenizer

from dialogpt.command_line import UserError
from dialogpt.tokenization import load_tokenizer


@pytest.fixture
def hub(tmp_path, monkeypatch):
    asked = []

    def download(repository, name):
        asked.append(name)
        if not (tmp_path / name).is_file():
            raise EntryNotFoundError(f"404: {name}")
        return str(tmp_path / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return tmp_path, asked


def test_a_repository_of_bert_gives_its_words(hub):
    folder, asked = hub
    wordpiece_tokenizer(lowercase=False).save(folder)
    found = load_tokenizer("hub:some/bert")
    assert asked == ["vocab.txt", "tokenizer_config.json"]  # a cache has what was asked for alone
    assert found.kind == "wordpiece"
    assert found.fingerprint == wordpiece_tokenizer(lowercase=False).fingerprint
    (folder / "tokenizer_config.json").unlink()
    assert load_tokenizer("hub:some/bert").fingerprint == wordpiece_tokenizer().fingerprint


def test_a_repository_of_gpt2_gives_its_pairs(hub):
    folder, _ = hub
    byte_tokenizer().save(folder)
    found = load_tokenizer("hub:some/gpt2")
    assert (found.kind, found.fingerprint) == ("gpt2", byte_tokenizer().fingerprint)


def test_a_repository_of_neither_is_refused(hub):
    with pytest.raises(UserError, match=r"neither vocab\.txt nor vocab\.json and merges\.txt"):
        load_tokenizer("hub:some/other")


def test_without_a_network_it_asks_once(hub, monkeypatch):
    _, asked = hub

    def download(repository, name):
        asked.append(name)
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(UserError, match="no network"):
        load_tokenizer("hub:some/bert")
    assert len(asked) == 1
