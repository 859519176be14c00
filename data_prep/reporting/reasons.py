"""What the names of reasons mean, in a sentence each: docs/text-and-filters.md, shortened."""

from collections.abc import Mapping
from typing import Any

_SENTENCES = {
    # Lines of a dump.
    "malformed_json": "The line is not JSON.",
    "not_an_object": "The line is JSON, but not an object.",
    "missing_id": "The record does not say which comment or submission it is.",
    "missing_link": "The comment does not say under which submission it stands.",
    "missing_body": "The comment has no text.",
    "missing_field": "The record lacks a field that is needed.",
    "truncated_archive": "The damage of a compressed file cut this line.",
    # Comments.
    "excluded_subreddit": "The subreddit is on the list of those to leave out{list}.",
    "duplicate_id": "Another line of the same comment was taken: the last one that is not deleted.",
    "removed": "The body only says that the comment was deleted or removed.",
    "empty": "Nothing readable is left once quoted lines and marks are gone.",
    "quote": "The comment quotes another one, and text.quotes is “drop”.",
    # Paths.
    "too_few_turns": "Fewer than {min_turns} turns: nobody answered.",
    "too_long": "All turns together have more than {max_words} words (rule 5 of the paper).",
    "url": "A turn holds an address (rule 1).",
    "word_run": "The response says a word more than {max_word_run} times in a row (rule 2).",
    "no_frequent_word": (
        "The response has none of the most frequent words, so it may be in another language "
        "(rule 3)."
    ),
    "markup": "The response holds “[” or “]”, be it only as part of a link (rule 4).",
    "offensive": "The response contains a listed phrase, as whole words in any case (rule 6).",
    "bland": (
        "At least {bland_percent} of the response’s trigrams (three words in a row) stand more "
        "than {bland_count} times in all responses (rule 7)."
    ),
    "duplicate": "Another dialogue that stays has the same words.",
    "near_duplicate": "Another dialogue that stays has nearly the same words.",
    "purged": "Somebody wanted a comment in it removed; such dialogues are shown nowhere.",
    # Of `import`.
    "leak": "The same turns stand in the validation or test split as well.",
    "not_utf8": "The line is not UTF-8.",
    "not_json": "The line is not JSON.",
}

OFFENSIVE_REASONS = frozenset({"offensive", "excluded_subreddit"})
"""Reasons whose examples nobody should have to see unasked."""


def explanation(reason: str, settings: Mapping[str, Any]) -> str:
    """What the reason means under the settings; "" for one that this version does not know."""
    filters = settings.get("filters", {})
    return _SENTENCES.get(reason, "").format(
        min_turns=settings.get("min_turns", 2),
        max_words=f"{filters.get('max_words', 200):,}",
        max_word_run=filters.get("max_word_run", 2),
        bland_percent=f"{filters.get('bland_share', 0.9):.0%}".replace("%", " %"),
        bland_count=f"{filters.get('bland_count', 1000):,}",
        list=", the one that ships" if filters.get("excluded_subreddits") == "default" else "",
    )


def label(reason: str) -> str:
    """The name as words: "too few turns"."""
    return reason.replace("_", " ")
