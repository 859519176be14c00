"""A reply as text while its tokens are drawn."""

import unicodedata
from collections.abc import Callable, Sequence

from dialogpt.text import clean_turn
from dialogpt.tokenization import Tokenizer

_BROKEN = "\ufffd"


class TextStream:
    """Passes a growing reply on; each text begins with the one before.

    Args:
        tokenizer: of the model that draws the tokens.
        on_text: given the whole text so far, cleaned as every turn is.
    """

    def __init__(self, tokenizer: Tokenizer, on_text: Callable[[str], None]) -> None:
        self._tokenizer = tokenizer
        self._on_text = on_text
        self._shown = ""

    def add(self, token_ids: Sequence[int]) -> None:
        """All token ids drawn so far, the end-of-turn token among them or not."""
        self._show(settled(clean_turn(self._tokenizer.decode(token_ids))))

    def end(self, text: str) -> None:
        """The whole reply."""
        self._show(text)

    def _show(self, text: str) -> None:
        if len(text) > len(self._shown):
            self._shown = text
            self._on_text(text)


def settled(text: str) -> str:
    """The beginning of a cleaned text that stays as it is whatever follows.

    A token may end within a character: its first bytes decode to U+FFFD, which should not flicker.
    And an accent that follows joins the last letter, so that one waits for the next.
    """
    text = text.rstrip(_BROKEN)
    end = len(text)
    while end and unicodedata.combining(text[end - 1]):
        end -= 1
    return text[: max(end - 1, 0)]
