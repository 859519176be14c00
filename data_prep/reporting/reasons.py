"""What the names of reasons mean, in a sentence each: docs/text-and-filters.md, shortened."""

from collections.abc import Mapping
from types import SimpleNamespace
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
    # Of `import`: records, instances, test items.
    "leak": "The same turns stand in the validation or test split as well.",
    "not_utf8": "It is not UTF-8.",
    "not_json": "The line is not JSON.",
    "no_end_of_turn": "The line has no “__eou__”.",
    "no_dialogue": "The record has no list of turns.",
    "no_turns": "The record has no list of turns.",
    "no_utterances": "The record has no utterances.",
    "no_personas": "The record has no personas.",
    "no_message": "Something in the list of turns is no message.",
    "no_text": "A turn is no text.",
    "no_answer": "A question or an answer is absent.",
    "no_number": "The line does not begin with a number.",
    "no_weight": "A turn has no weight before it.",
    "no_video": "The record does not name its video.",
    "no_caption": "A caption or summary is no text.",
    "no_references": "Nobody gave a reference.",
    "not_two_fields": "The line is not source, tab, target.",
    "answer_withheld": "The only answer is withheld.",
    # Of `import`: messages of chats.
    "notice": "The app says it, not a person.",
    "not_typed": "The app says it, not a person.",
    "deleted": "The message was deleted.",
    "media": "A picture, a file or a call without words.",
    "bot": "A program wrote it.",
    "tool": "A tool of a model answered it.",
    "forwarded": "Somebody else wrote it, and it was passed on.",
    "malformed": "The message has no form that is known.",
    "no_head": "The line stands before the first message.",
    "no_such_time": "Its date or time does not exist.",
    "unknown_name": "A split of this name is not read.",
}

_REFERENCE_SENTENCES = {
    # Comments, and submissions.
    "few_comments": "The submission is said to have fewer than 2 comments.",
    "removed": "The body is “[deleted]”.",
    "quote": "The body holds “>”.",
    "unknown_submission": (
        "The submission is not in the month’s RS file, or not among those the release takes."
    ),
    "too_few_words": "The body has fewer than two words.",
    "broken_row": "The author’s name would tear the release’s table.",
    "not_in_keys": "The file of keys does not name the comment.",
    "duplicate_id": "A later line of the same comment was taken.",
    # Paths.
    "unusable_submission": "The title is blank, or the permalink names no subreddit.",
    "low_score": "The last comment has a score below {reference.min_score}.",
    "too_few_turns": (
        "Fewer than {reference.min_depth} turns: nobody answered, or a comment of more than "
        "{reference.max_words} words lies between."
    ),
    "empty_response": "Of the response no token is left.",
    "long_token": "A token of the response has more than 30 characters.",
    "too_long": "The line has more than 200 tokens, weights and EOS counted.",
    "url": "A turn holds an address.",
    "bracket": "A turn holds one of “[”, “]”, “(” and “)”.",
    "all_caps": "A turn holds five capitals in a row.",
    "repeated_token": "The response says a token three times in a row.",
}
"""Of the preset "reference", where they differ from _SENTENCES: docs/reference-preset.md."""

OFFENSIVE_REASONS = frozenset({"offensive", "excluded_subreddit"})
"""Reasons whose examples nobody should have to see unasked."""


def explanation(reason: str, settings: Mapping[str, Any]) -> str:
    """What the reason means under the settings; "" for one that this version does not know."""
    filters = settings.get("filters", {})
    sentences = _SENTENCES
    if settings.get("preset") == "reference":
        sentences = {**_SENTENCES, **_REFERENCE_SENTENCES}
    return sentences.get(reason, "").format(
        reference=SimpleNamespace(
            **{"min_score": 1, "min_depth": 2, "max_words": 30, **settings.get("reference", {})}
        ),
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
