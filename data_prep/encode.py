"""Dialogue -> EncodedDialogue: text to token ids, each distinct text once."""

from collections.abc import Sequence

import numpy as np

from dialogpt.data.chunks import token_dtype
from dialogpt.records import Dialogue, EncodedDialogue
from dialogpt.text import record_key
from dialogpt.tokenization import Tokenizer


def encode_dialogues(dialogues: Sequence[Dialogue], tokenizer: Tokenizer) -> list[EncodedDialogue]:
    """The dialogues as token ids, in order.

    A text that stands in several dialogues is encoded once, and they share its array: paths of one
    reply tree share their beginnings.

    Args:
        dialogues: some dialogues; the more, the better the tokenizer's batches.
        tokenizer: its width of an id is that of the arrays, uint16 or uint32.
    """
    texts = list(dict.fromkeys(text for d in dialogues for text in (*d.turns, *d.knowledge)))
    dtype = token_dtype(tokenizer.vocab_size)
    ids = {
        text: np.array(encoded, dtype=dtype)
        for text, encoded in zip(texts, tokenizer.encode_batch(texts), strict=True)
    }
    num_words = {text: len(text.split()) for text in texts}
    keys = {
        name: record_key(name)
        for name in {name for d in dialogues for name in (d.thread_id, *d.turn_ids)}
    }
    return [
        EncodedDialogue(
            turns=tuple(ids[turn] for turn in dialogue.turns),
            speakers=np.array(dialogue.speakers, dtype=np.int8),
            num_words=np.array([num_words[turn] for turn in dialogue.turns], dtype=np.uint32),
            num_chars=np.array([len(turn) for turn in dialogue.turns], dtype=np.uint32),
            turn_keys=np.array([keys[name] for name in dialogue.turn_ids], dtype=np.uint64),
            thread_key=keys[dialogue.thread_id],
            knowledge=tuple(ids[sentence] for sentence in dialogue.knowledge),
        )
        for dialogue in dialogues
    ]
