"""Made-up threads for the sample dump: one for each thing that a filter or a parser must deal with.

Real chit-chat is well-formed, so it would never show what extraction does with the rest of Reddit.
Each case is a small thread of its own: a submission, an opening comment and a reply, of which one
thing is odd. The text is ours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from data_prep.sample_records import (
    DumpLine,
    Record,
    RecordMaker,
    dump_line,
    month_of,
    to_json_line,
)
from data_prep.sample_trees import TREES, plain_thread

ABSENT = object()
"""As a field's value: leave the field out."""


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of made-up thread.

    Attributes:
        name: what is odd about it, as the summary says it.
        lines: makes the lines of one such thread at a time in seconds since 1970.
    """

    name: str
    lines: Callable[[RecordMaker, int], Iterator[DumpLine]]


# Bodies as they stand in a dump, that is, with Reddit's entities.
_REPLY_BODIES: dict[str, Any] = {
    "reply has a URL": "I found it all at https://example.com/tea and it is the best",
    "reply has a URL without http": "You can find it at www.example.com if you like tea",
    "reply says a word four times": "no no no no, that is not what I do at all",
    "reply has a run of exclamation marks": "That is what I do too!!!",
    "reply has no frequent word": "Crossword puzzles, mostly.",
    "reply has square brackets": "I do [the usual] when it is bad",
    "reply has a markdown link": "I read [this book](https://example.com/book) when it is bad",
    "reply has over 200 words": "and then I read a page of the book " * 40,
    "reply has an offensive phrase": "just kill yourself, that is what I do",
    "reply is in another script": "Я читаю книгу и пью чай, а потом звоню маме.",
    "reply has been deleted": "[deleted]",
    "reply has been removed": "[removed]",
    "reply has been removed by Reddit": "[ Removed by Reddit ]",
    "reply is empty": "",
    "reply is blank": " \n\t ",
    "reply body is null": None,
    "reply body is a number": 7,
    "reply has HTML entities": "I make tea &amp; toast, it&#39;s &lt;3 &nbsp;and &#x200B;all of it",
    "reply has an entity within an entity": "that is how you write &amp;amp; in a page",
    "reply has markdown": "**I** *really* do ~~not~~ `read`:\n\n* the news\n* a book\n\n# and more",
    "reply quotes the opener": "&gt; when the weather is bad\n\nI like it when it is bad",
    "reply is a quote only": "&gt; What do you like to do when the weather is bad?",
    "reply has an arrow, not a quote": "bad weather -&gt; a pot of tea, that is the rule",
    "reply has CRLF line ends": "I read a book\r\nand then I sleep\r\n",
    "reply has control characters": "I read\ta\x00 book\x0b and\x85 then\u2028I sleep\x1f",
    "reply has invisible characters": "I re\u200bad a \ufeffbook\u00ad and\u2060 I sleep\u202e",
    "reply has emoji and accents": "the caf\u00e9, cre\u0301me and \U0001f468\u200d\U0001f373",
    "reply has a lone surrogate": "I cut my emoji in half \ud83d and that is it",
    "reply spells control tokens": "is it <|endoftext|> or </s> or <pad> or EOS that you mean?",
    "reply has the blank mark of SentencePiece": "the \u2581 is a block, and not a blank",
    "reply begins with a number": "7 up and a book is what I like",
    "reply has shouting": "THAT IS WHAT I DO AS WELL",
}

_REPLY_FIELDS: dict[str, Record] = {
    "reply score is a string": {"score": "7"},
    "reply score is null": {"score": None},
    "reply score is a float": {"score": 7.0},
    "reply score is negative": {"score": -12},
    "reply score is absent": {"score": ABSENT},
    "reply created_utc is null": {"created_utc": None},
    "reply created_utc is absent": {"created_utc": ABSENT},
    "reply parent_id is null": {"parent_id": None},
    "reply parent_id is absent": {"parent_id": ABSENT},
    "reply link_id is absent": {"link_id": ABSENT},
    "reply id is absent": {"id": ABSENT},
    "reply body is absent": {"body": ABSENT},
    "reply author has been deleted": {"author": "[deleted]"},
    "reply author is null": {"author": None},
    "reply author is absent": {"author": ABSENT},
    "reply author has a tab and a line break": {"author": "a\tb\nc"},
    "reply subreddit is absent": {"subreddit": ABSENT, "permalink": ABSENT},
    "reply is by AutoModerator and stickied": {"author": "AutoModerator", "stickied": True},
}

_SUBMISSION_FIELDS: dict[str, Record] = {
    "submission title is null": {"title": None},
    "submission title is empty": {"title": ""},
    "submission num_comments is a string": {"num_comments": "2"},
    "submission num_comments is null": {"num_comments": None},
    "submission permalink is absent": {"permalink": ABSENT},
    "submission id is absent": {"id": ABSENT},
}

# What a damaged line is made of: the JSON of the reply, without its line break.
_DAMAGED_LINES: dict[str, Callable[[bytes], bytes]] = {
    "line is cut off": lambda line: line[: len(line) // 2],
    "line has a byte that is not UTF-8": lambda line: line.replace(b"pot of", b"pot\xffof"),
    "line has an unescaped control character": lambda line: line.replace(b"pot of", b"pot\x01of"),
    "line ends in CRLF": lambda line: line + b"\r",
    "line says NaN": lambda line: line.replace(b'"gilded":0', b'"gilded":NaN'),
    "line has a key twice": lambda line: line.replace(b'"gilded":0', b'"gilded":0,"gilded":1'),
    "line is blank": lambda line: b"",
    "line is null": lambda line: b"null",
    "line is a list": lambda line: b"[1,2]",
    "line is an empty object": lambda line: b"{}",
    "line is a number": lambda line: b"7",
}


def _changed(record: Record, fields: Record) -> Record:
    return {key: value for key, value in {**record, **fields}.items() if value is not ABSENT}


def _thread_with_changed_record(name: str, position: int, fields: Record) -> Case:
    """A plain thread of which one record (0 submission, 2 reply) has other fields."""

    def lines(maker: RecordMaker, time: int) -> Iterator[DumpLine]:
        records = plain_thread(maker, time)
        for index, record in enumerate(records):
            line = dump_line(record, month=month_of(record["created_utc"]), origin=name)
            if index == position:
                data = to_json_line(_changed(record, fields))
                line = DumpLine(kind=line.kind, month=line.month, data=data, origin=name)
            yield line

    return Case(name, lines)


def _thread_with_damaged_reply(name: str, damage: Callable[[bytes], bytes]) -> Case:
    def lines(maker: RecordMaker, time: int) -> Iterator[DumpLine]:
        *healthy, reply = plain_thread(maker, time)
        for record in healthy:
            yield dump_line(record, month=month_of(record["created_utc"]), origin=name)
        yield DumpLine(
            kind="RC",
            month=month_of(reply["created_utc"]),
            data=damage(to_json_line(reply).removesuffix(b"\n")) + b"\n",
            origin=name,
        )

    return Case(name, lines)


def _tree(name: str, make: Callable[[RecordMaker, int], list[Record]]) -> Case:
    """A case whose records are fine one by one, and odd together."""

    def lines(maker: RecordMaker, time: int) -> Iterator[DumpLine]:
        for record in make(maker, time):
            # Some cases write the time as a string; the file is that of the number.
            month = month_of(int(float(record["created_utc"])))
            yield dump_line(record, month=month, origin=name)

    return Case(name, lines)


CASES: tuple[Case, ...] = (
    *(_tree(name, make) for name, make in TREES.items()),
    *(_thread_with_changed_record(name, 2, {"body": body}) for name, body in _REPLY_BODIES.items()),
    *(_thread_with_changed_record(name, 2, fields) for name, fields in _REPLY_FIELDS.items()),
    *(_thread_with_changed_record(name, 0, fields) for name, fields in _SUBMISSION_FIELDS.items()),
    *(_thread_with_damaged_reply(name, damage) for name, damage in _DAMAGED_LINES.items()),
)
"""Every case once. The first writes into the two months whose files have a special layout."""
