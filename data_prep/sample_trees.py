"""Made-up threads whose records are fine one by one, and odd together."""

from collections.abc import Callable

from data_prep.sample_records import Record, RecordMaker, fullname

MONTH_BORDER_UTC = 1_525_132_800
"""2018-05-01 00:00 UTC: between the two months that every sample has."""

_TITLE = "What is on your mind?"
_OPENER = "What do you like to do when the weather is bad?"
_REPLY = "I read a book and make a pot of tea, and then I call my mother."
_LONG_CHAIN = 300


def plain_thread(maker: RecordMaker, time: int) -> list[Record]:
    """A healthy submission, opening comment and reply."""
    submission = maker.submission(
        _TITLE, author=maker.author("made up 0"), created_utc=time, num_comments=2
    )
    opener = maker.comment(
        _OPENER, submission, author=maker.author("made up 1"), created_utc=time + 60
    )
    return [submission, opener, _reply(maker, opener)]


def _reply(maker: RecordMaker, parent: Record, text: str = _REPLY) -> Record:
    return maker.comment(
        text, parent, author=maker.author("made up 2"), created_utc=parent["created_utc"] + 60
    )


def _parent_missing(maker: RecordMaker, time: int) -> list[Record]:
    submission, _, reply = plain_thread(maker, time)
    return [submission, reply, _reply(maker, reply, "so do I, and it is good tea")]


def _submission_missing(maker: RecordMaker, time: int) -> list[Record]:
    return plain_thread(maker, time)[1:]


def _self_parent(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    opener["parent_id"] = fullname(opener)
    return [submission, opener, reply]


def _two_cycle(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    opener["parent_id"] = fullname(reply)
    return [submission, opener, reply, _reply(maker, reply, "so do I, and it is good tea")]


def _duplicate(maker: RecordMaker, time: int) -> list[Record]:
    records = plain_thread(maker, time)
    return [*records, dict(records[-1])]


def _duplicate_deleted(maker: RecordMaker, time: int) -> list[Record]:
    records = plain_thread(maker, time)
    return [*records, {**records[-1], "body": "[deleted]", "author": "[deleted]"}]


def _deleted_between(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    later = _reply(maker, reply, "that is what I do as well")
    reply.update(body="[deleted]", author="[deleted]")
    return [submission, opener, reply, later]


def _branches(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    others = [_reply(maker, opener, text) for text in ("I do nothing at all", "I go for a run")]
    return [submission, opener, reply, *others, _reply(maker, others[0], "that is a good plan")]


def _long_chain(maker: RecordMaker, time: int) -> list[Record]:
    records = plain_thread(maker, time)
    while len(records) < _LONG_CHAIN:
        records.append(_reply(maker, records[-1], "and then what do you do?"))
        records[-1]["created_utc"] = time + 120  # so that the chain stays within its month
    return records


def _child_before_parent(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    return [reply, opener, submission]


def _month_border(maker: RecordMaker, time: int) -> list[Record]:
    return plain_thread(maker, MONTH_BORDER_UTC - 90)


def _excluded_subreddit(maker: RecordMaker, time: int) -> list[Record]:
    return [{**record, "subreddit": "CringeAnarchy"} for record in plain_thread(maker, time)]


def _integer_parent(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    reply["parent_id"] = int(opener["id"], 36)  # some years of Pushshift write ids as numbers
    return [submission, opener, reply]


def _plain_link(maker: RecordMaker, time: int) -> list[Record]:
    submission, opener, reply = plain_thread(maker, time)
    reply["link_id"] = submission["id"]
    return [submission, opener, reply]


def _times_as_strings(maker: RecordMaker, time: int) -> list[Record]:
    return [
        {**record, "created_utc": str(record["created_utc"])}
        for record in plain_thread(maker, time)
    ]


def _times_as_floats(maker: RecordMaker, time: int) -> list[Record]:
    return [
        {**record, "created_utc": float(record["created_utc"])}
        for record in plain_thread(maker, time)
    ]


TREES: dict[str, Callable[[RecordMaker, int], list[Record]]] = {
    "thread crosses a month border": _month_border,
    "parent is not in the dump": _parent_missing,
    "submission is not in the dump": _submission_missing,
    "comment is its own parent": _self_parent,
    "two comments are each other's parents": _two_cycle,
    "comment stands twice": _duplicate,
    "comment stands twice, the second time deleted": _duplicate_deleted,
    "deleted comment between two others": _deleted_between,
    "replies branch": _branches,
    f"chain of {_LONG_CHAIN - 1} comments": _long_chain,
    "children stand before their parents": _child_before_parent,
    "subreddit is excluded": _excluded_subreddit,
    "parent_id is an integer": _integer_parent,
    "link_id has no t3_": _plain_link,
    "created_utc is a string": _times_as_strings,
    "created_utc is a float": _times_as_floats,
}
"""What is odd -> makes the records of one such thread at a time in seconds since 1970."""
