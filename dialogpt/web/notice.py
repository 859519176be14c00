"""What the page says about the model and about what happens to what is typed."""

from dialogpt.config.web import WebConfig
from dialogpt.text import clean_turn

HEADLINE = (
    "This is a statistical model of conversations between people. It may be wrong, rude or "
    "offensive, and it knows nothing of you or of today."
)


def notices(config: WebConfig) -> list[str]:
    """Sentences for the visitor, true for this configuration; the headline is not among them."""
    limit = config.max_message_chars
    return [
        "It continues a conversation with words that are likely there. It does not check facts, "
        "has no memory beyond the turns that fit into its window, and is no one's advice.",
        *_about_knowledge(config),
        _about_filters(config),
        _about_storage(config),
        f"A message may have {limit:,} characters. At most {config.messages_per_minute} messages "
        "a minute are answered, one at a time.",
    ]


def _about_knowledge(config: WebConfig) -> list[str]:
    if not config.knowledge:
        return []
    return [
        "The operator has given it sentences to draw on, which are no facts about the model: "
        + " ".join(f"“{clean_turn(sentence)}”" for sentence in config.knowledge)
    ]


def _about_filters(config: WebConfig) -> str:
    if config.filter.phrases or config.filter.classifier:
        return (
            "Some candidates are filtered out by a list or a classifier that the operator chose. "
            "No filter is a guarantee: what remains may offend all the same."
        )
    return (
        "No filter is at work here beyond those of its training data, and no filter would be a "
        "guarantee."
    )


def _about_storage(config: WebConfig) -> str:
    kept = (
        "Your conversation is kept in the memory of this server while this page is open, and is "
        "gone when you close it or start over, at the latest when the server stops."
    )
    log = (
        "The server's log has a line for each reply: the time, the number of characters and turns, "
        "the number of candidates and how long it took; no address, and no text"
    )
    has_filter = bool(config.filter.phrases or config.filter.classifier)
    log += " but that of candidates that a filter dropped." if has_filter else "."
    if config.transcript:
        return (
            "What you write is stored: the operator of this server keeps each conversation, with "
            f"the model's candidates and the time, in a file; your address is not in it. {log}"
        )
    return f"{kept} Nothing you type is stored in a file. {log}"
