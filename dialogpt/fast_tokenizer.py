r"""tokenizer.json: our tokenizers for plain transformers, with the template of a dialogue.

The template puts every turn's text, with single blanks, before an end-of-turn token; roles do not
count. The normalizer makes it NFC. What else `dialogpt.text.clean_turn` does, taking invisible
characters out, is left to the caller.

transformers looks for control tokens in the whole text, so one that a user spells would count as
well. So the template marks what a user spells with a character of the private-use area, and the
normalizer, which sees what is left once the tokens are cut out, drops the mark: the text is encoded
as the letters it consists of, as `dialogpt.tokenization` does.

A private-use character stands for SentencePiece's blank, too. So "\u2581", spelled by a user, stays
what it is.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer

from dialogpt.command_line import UserError
from dialogpt.records import write_json
from dialogpt.tokenization import (
    GPT2_EOS,
    Gpt2Tokenizer,
    SentencePieceTokenizer,
    Tokenizer,
)

CONFIG_FILE = "tokenizer_config.json"
_MARK = "\ue000"
_BLANK = "\ue001"
_SENTENCEPIECE_BLANK = "\u2581"


def write_fast_tokenizer(folder: Path, tokenizer: Tokenizer, *, direction: str, window: int) -> str:
    """Write tokenizer.json and tokenizer_config.json, which AutoTokenizer reads.

    Args:
        folder: is there; may have the files of `tokenizer.save`.
        tokenizer: whose ids it gives.
        direction: of the model; a backward one reads the latest turn first.
        window: most tokens that the model reads.

    Returns:
        How the end-of-turn token is spelled.

    Raises:
        UserError: a tokenizer of another kind.
    """
    fast, eos, pad = _fast(tokenizer)
    controls = [token.content for token in fast.get_added_tokens_decoder().values()]
    fast.save(str(folder / "tokenizer.json"))
    values: dict[str, Any] = {
        # The name by which transformers reads tokenizer.json as it is, and rebuilds nothing.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": eos,
        "eos_token": eos,
        "clean_up_tokenization_spaces": False,
        "model_max_length": window,
        # What is generated follows the end of a row, and what is too long loses its beginning.
        "padding_side": "left",
        "truncation_side": "left",
        "chat_template": chat_template(controls, direction=direction),
    }
    write_json(folder / CONFIG_FILE, {**values, "pad_token": pad} if pad else values)
    return eos


def chat_template(controls: Iterable[str], *, direction: str) -> str:
    """The Jinja template that makes a row of training from messages, oldest first.

    Args:
        controls: how the control tokens are spelled.
        direction: forward keeps the order; backward turns the list of messages round, as its
            training does.
    """
    text = "message['content']"
    for character in (_MARK, _BLANK):
        text += _replaced(character, "")
    text = f"({text}).split() | join(' ')"
    for name in controls:
        text += _replaced(name, name[:-1] + _MARK + name[-1:])
    order = "messages" if direction == "forward" else "messages | reverse"
    return f"{{%- for message in {order} -%}}{{{{- {text} + eos_token -}}}}{{%- endfor -%}}"


def _replaced(old: str, new: str) -> str:
    # JSON spells characters in ASCII, in a way that Jinja knows.
    return f" | replace({json.dumps(old)}, {json.dumps(new)})"


def _fast(tokenizer: Tokenizer) -> tuple[FastTokenizer, str, str]:
    """The tokenizer of the library, and how the ends of turns and padding are spelled."""
    if isinstance(tokenizer, Gpt2Tokenizer):
        return _fast_gpt2(tokenizer), GPT2_EOS, ""
    if isinstance(tokenizer, SentencePieceTokenizer):
        return _fast_sentencepiece(tokenizer)
    raise UserError(f"expected a tokenizer of gpt2 or sentencepiece, found {tokenizer.kind}")


def _fast_gpt2(tokenizer: Gpt2Tokenizer) -> FastTokenizer:
    fast = FastTokenizer(models.BPE(vocab=tokenizer.vocab, merges=tokenizer.merges))
    fast.normalizer = normalizers.Sequence([normalizers.Replace(_MARK, ""), normalizers.NFC()])
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([_control(GPT2_EOS)])
    return fast


def _fast_sentencepiece(tokenizer: SentencePieceTokenizer) -> tuple[FastTokenizer, str, str]:
    processor = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model_bytes)
    ids = range(processor.get_piece_size())
    names = [processor.id_to_piece(i).replace(_SENTENCEPIECE_BLANK, _BLANK) for i in ids]
    vocab = {name: i for i, name in zip(ids, names, strict=True)}
    others = [i for i in ids if processor.is_control(i) or processor.is_unknown(i)]
    # Text never becomes one of these: the name of a control token or a byte is spelled in letters.
    normal = {names[i] for i in ids if i not in others and not processor.is_byte(i)}
    fast = FastTokenizer(
        models.BPE(
            vocab=vocab,
            merges=_merges(vocab, normal),
            unk_token=names[processor.unk_id()],
            fuse_unk=False,
            byte_fallback=True,
        )
    )
    fast.normalizer = normalizers.Sequence(
        [normalizers.Replace(_MARK, ""), normalizers.NFC(), normalizers.Replace(" ", _BLANK)]
    )
    fast.decoder = decoders.Sequence(
        [decoders.Replace(_BLANK, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    controls = [names[i] for i in ids if processor.is_control(i)]
    fast.add_special_tokens([_control(name) for name in controls])
    pad_id = processor.pad_id()
    return fast, names[processor.eos_id()], names[pad_id] if pad_id >= 0 else ""


def _merges(vocab: dict[str, int], normal: set[str]) -> list[tuple[str, str]]:
    """All pairs of pieces that make a piece; what SentencePiece would join first stands first.

    SentencePiece's BPE joins neighbours whose whole has the lowest id, whatever the two are.
    """
    pairs = [
        (vocab[whole], vocab[whole[:cut]], (whole[:cut], whole[cut:]))
        for whole in normal
        for cut in range(1, len(whole))
        if whole[:cut] in normal and whole[cut:] in normal
    ]
    return [pair for _, _, pair in sorted(pairs)]


def _control(name: str) -> AddedToken:
    # Found in the text as it comes, before the normalizer drops marks.
    return AddedToken(name, special=True, normalized=False)
