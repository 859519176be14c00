"""BERT's WordPiece: words cut into the longest pieces that the vocabulary has.

Devlin et al. 2019, arXiv:1810.04805. PLATO (arXiv:1910.07931) takes it with the vocabulary of
BERT-base-uncased: `[unused0]` begins a response there, `[unused1]` ends every utterance.

Text loses what the vocabulary does not know: case and accents (of uncased ones), how many blanks
stood where, and whole words, which become `[UNK]`. `decode` is therefore no inverse of `encode`;
but the ids of a decoded text are the same ids again, `[UNK]` apart.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import models, normalizers, pre_tokenizers

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.tokenizer_files import broken_files_named, content_fingerprint, write_description

VOCAB_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
BOU, EOU = "[unused0]", "[unused1]"
"""What PLATO's [BOU] and [EOU] are in BERT's vocabulary, which has no piece for either."""
CONTINUATION = "##"
LONGEST_WORD = 100
"""In characters; a longer word is one [UNK], as in BERT's code."""

# Pieces in brackets are BERT's control tokens: text is cut at brackets, so it never spells one.
_CONTROL = re.compile(r"\[.+\]", re.DOTALL)
_NEEDED = {
    UNK: "stands for words without pieces",
    BOU: "begins a response in PLATO",
    EOU: "ends a turn",
}
_NO_BLANK_BEFORE = frozenset(".,?!;:')]}%\u2026\u2019")
_NO_BLANK_AFTER = frozenset("([{")
_APOSTROPHES = frozenset("'\u2019")
_CONTRACTED = frozenset({"s", "t", "m", "d", "re", "ve", "ll"})


class WordPieceTokenizer:
    """A WordPiece vocabulary, and how text is cleaned before it is cut."""

    kind = "wordpiece"

    def __init__(
        self,
        pieces: Sequence[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
    ) -> None:
        """Make a tokenizer.

        Args:
            pieces: the piece of each id.
            lowercase: whether case is lost.
            strip_accents: whether accents are; None: with an uncased vocabulary, as in BERT.
            split_chinese: whether each Chinese character is a word.

        Raises:
            UserError: a piece that PLATO needs is missing, or one is empty or stands twice.
        """
        self.pieces = list(pieces)
        ids = _checked_ids(self.pieces)
        self.vocab_size = len(self.pieces)
        self.bou_id, self.eos_id, self.unk_id = ids[BOU], ids[EOU], ids[UNK]
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_chinese = split_chinese
        self._controls = {
            i for piece, i in ids.items() if _CONTROL.fullmatch(piece) and i != self.unk_id
        }
        # No special token is registered: "[MASK]" in a text is "[", "mask" and "]".
        fast = FastTokenizer(
            models.WordPiece(
                vocab=ids,
                unk_token=UNK,
                max_input_chars_per_word=LONGEST_WORD,
                continuing_subword_prefix=CONTINUATION,
            )
        )
        fast.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=split_chinese,
            strip_accents=self.strip_accents,
            lowercase=lowercase,
        )
        fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        self._fast = fast
        rules = [self.lowercase, self.strip_accents, self.split_chinese]
        self.fingerprint = content_fingerprint(self.kind, json.dumps([self.pieces, rules]).encode())

    @classmethod
    def from_vocab(cls, vocab_file: Path) -> "WordPieceTokenizer":
        """Read vocab.txt, one piece a line, and tokenizer_config.json if it lies beside."""
        config_file = vocab_file.with_name(CONFIG_FILE)
        with broken_files_named(str(vocab_file), "BERT's"):
            # Not splitlines: a piece may be a character that Unicode takes for the end of a line.
            pieces = vocab_file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
            config: dict[str, Any] = {}
            if config_file.is_file():
                config = json.loads(config_file.read_text(encoding="utf-8"))
            return cls(
                pieces,
                lowercase=bool(config.get("do_lower_case", True)),
                strip_accents=config.get("strip_accents"),
                split_chinese=bool(config.get("tokenize_chinese_chars", True)),
            )

    @classmethod
    def from_json(cls, description: dict[str, Any]) -> "WordPieceTokenizer":
        """What a tokenizer.json of transformers with a model of the type WordPiece describes.

        Raises:
            UserError: it cuts text otherwise than BERT does, or the vocabulary has holes.
        """
        model, cleaning = description["model"], description["normalizer"]
        found = (
            cleaning["type"],
            description["pre_tokenizer"]["type"],
            cleaning["clean_text"],
            model["unk_token"],
            model["continuing_subword_prefix"],
            model["max_input_chars_per_word"],
        )
        bert = ("BertNormalizer", "BertPreTokenizer", True, UNK, CONTINUATION, LONGEST_WORD)
        if found != bert:
            raise UserError(f"expected {bert}, found {found}")
        ids: dict[str, int] = model["vocab"]
        pieces = sorted(ids, key=lambda piece: ids[piece])
        if [ids[piece] for piece in pieces] != list(range(len(pieces))):
            raise UserError(f"expected the ids 0 to {len(pieces) - 1}, found others")
        return cls(
            pieces,
            lowercase=cleaning["lowercase"],
            strip_accents=cleaning["strip_accents"],
            split_chinese=cleaning["handle_chinese_chars"],
        )

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text; of control tokens, [UNK] alone can be among them."""
        encodings = self._fast.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, as `join_pieces` writes it; [UNK] is shown, no other control."""
        return join_pieces(self.pieces[i] for i in ids if i not in self._controls)

    def decode_batch(self, rows: Sequence[Sequence[int]]) -> list[str]:
        """The text of each row of token ids."""
        return [self.decode(ids) for ids in rows]

    def save(self, folder: Path) -> None:
        """Write vocab.txt and its config, which BertTokenizer reads, and our description."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{piece}\n" for piece in self.pieces)
        (folder / VOCAB_FILE).write_text(lines, encoding="utf-8", newline="\n")
        names = {"pad": PAD, "unk": UNK, "cls": CLS, "sep": SEP, "mask": MASK}
        write_json(
            folder / CONFIG_FILE,
            {
                "tokenizer_class": "BertTokenizer",
                "do_lower_case": self.lowercase,
                "strip_accents": self.strip_accents,
                "tokenize_chinese_chars": self.split_chinese,
                **{f"{role}_token": name for role, name in names.items()},
            },
        )
        write_description(folder, self)


def _checked_ids(pieces: Sequence[str]) -> dict[str, int]:
    """Piece -> id."""
    ids = {piece: i for i, piece in enumerate(pieces)}
    for piece, purpose in _NEEDED.items():
        if piece not in ids:
            raise UserError(
                f"the vocabulary has no {piece!r}, which {purpose}; take that of BERT-uncased, or "
                "train one with `python -m data_prep tokenizer --kind wordpiece`"
            )
    if len(ids) != len(pieces):
        twice = next(piece for i, piece in enumerate(pieces) if ids[piece] != i)
        raise UserError(f"expected each piece once, found {twice!r} twice")
    broken = [i for piece, i in ids.items() if not piece or "\n" in piece or "\r" in piece]
    if broken:
        raise UserError(f"expected a piece in each line, found none in line {broken[0] + 1}")
    return ids


def join_pieces(pieces: Iterable[str]) -> str:
    """Pieces as readable text.

    `##` glues a piece to the one before, if there is one. Otherwise a blank stands between two, but
    for

    - none before . , ? ! ; : % ' and closing brackets, none behind opening ones,
    - none on both sides of the apostrophe of don't, it's, I'm, he'd, we're, I've, she'll,
    - none within 3.5, 10:30 and 1,000.

    A blank depends on what stands before it and the piece behind it: so the text of the first
    pieces begins the text of all, and can be shown while more are drawn.
    """
    text, before, last = "", "", ""
    for piece in pieces:
        if piece.startswith(CONTINUATION) and len(piece) > len(CONTINUATION):
            piece = piece.removeprefix(CONTINUATION)
            text, last = text + piece, piece
            continue
        text += piece if not text or _is_close(before, last, piece) else f" {piece}"
        before, last = last, piece
    return text


def _is_close(before: str, last: str, piece: str) -> bool:
    """Whether no blank stands between `last`, which `before` comes before, and a piece."""
    if piece in _NO_BLANK_BEFORE or last in _NO_BLANK_AFTER:
        return True
    if last in _APOSTROPHES:
        return piece.lower() in _CONTRACTED
    if before[-1:].isdigit() and piece.isdigit():
        return last in (".", ":") or (last == "," and len(piece) == 3)
    return False


def bert_words(text: str) -> list[str]:
    """What BERT-uncased takes for words, before it cuts them into pieces: without case and accents.

    Blanks and punctuation end a word, and each character of punctuation and each Chinese one is a
    word.
    """
    normalized = normalizers.BertNormalizer(lowercase=True).normalize_str(text)
    return [word for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(normalized)]
