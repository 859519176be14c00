"""Made-up dumps that hold what made the program of DSTC-7, track 2 act, without ending it.

Each case is a thread of its own. What ends the program is left out: bytes that are not UTF-8,
halves of surrogate pairs, and comments of kept threads whose author, score, parent or body is
missing or of another type. So is what docs/published-test-sets.md says is different on purpose.
"""

import json
import random
from dataclasses import dataclass, field
from hashlib import sha224
from typing import Any

Record = dict[str, Any]
MONTHS = ("2017-04", "2017-05")
WITHOUT = object()
"""Value of a field that the record does not have."""

LISTED_SUBREDDITS = ("todayilearned", "movies")
LISTED_DOMAINS = ("en.wikipedia.org", "imdb.com")

BODIES = {
    # What the tokenizer does, as it did in 2018.
    "case": "This IS Mixed Case, isn't it? :D XD :-P",
    "half": "about 8½ or 2½ cups",
    "marks": "z̀algo ͡ʘ ͜ʖ ͡ʘ and मचिक्ने",
    "heart": "love </3 and <3 <33",
    "entities": "a &amp; b &lt;c &quot;d&quot; &#39;e&#39; &nbsp;f &xi; &#x27; &#X27; &#150; "
    "&#129; &no; &;",
    "urls": "see http://a.b/c_(d)#e?f=g&amp;h www.x.com end.Next foo@bar.com http://!?!? x.co/y",
    "phones": "call +1 800 555 1234 or 555-1234 or (800) 555.1234 or 12345678901234",
    "numbers": "1/2 3.14 1,000 12:30 -5 +5-6+ 1-2 1-800-FOO 2017-04-01",
    "dots": "wait . . . what.. ok...... really. .\u00a0.",
    "runs": "!!!!!! ----- ??????? aaaaaaa " + 5 * "\u00e9" + " " + 4 * "\U0001f600",
    "users": "@someone #topic #1 ##two r/sub u/user /s -- <-- <tag> a-b-c don't-you o'",
    "emoji": "\U0001f44d\U0001f3fd \U0001f468\u200d\U0001f469\u200d\U0001f467 "
    "\U0001f1e9\U0001f1ea flags",
    "blanks": "tabs\tand\n\nlines\r\nand   blanks  ",
    "odd_blanks": "a\u2028b\u0085c\u000bd\u001ce\u3000f\u200bg",
    "upper": "İSTANBUL STRASSE ẞ ΑΣ Ǆ",
    "quote_marks": "“curly” ‘single’ «guillemets» — dashes – … ellipsis",
    "json": 'with "quotes" and \\ backslash and / slash',
}
"""Name -> body; each becomes a response and a context."""

_PIECES = [
    *"aZé½²٣İßǆ我_-'’.,:;!?#@&/\\|()[]{}<>=*+~^%$\"“… ",
    *("\u0300", "\u0361", "\u200d", "\ufe0f", "\u00a0", "\u2028", "\U0001f600", "\U0001f3fd"),
    *(
        "\U0001f1e9",
        "http://",
        "https:",
        "www.",
        ".com",
        ".co.uk/",
        "foo",
        "don't",
        "555",
        "1",
        "07",
    ),
    *("800-", "&amp;", "&#39;", "&#x3c;", "&nbsp;", "&xi;", ":)", ":-D", "</3", "<3", "-->", "<b>"),
    *("  ", "...", ". ", "!!!!!!", "@you", "#topic", "a@b.c", "1/2", "[deleted]", "[ deleted ]"),
]


def texts(number: int) -> list[str]:
    """Texts to be cut into tokens: the bodies, and so many that are put together at random."""
    drawn = random.Random(7)
    lengths = [drawn.randint(1, 12) for _ in range(number)]
    # An entity may be a number without "#", or stand for the end of a line.
    odd = ["&x41; &xi; &x;", "so .&#10;. it is", "a &#65;&#065;&#x41; b"]
    return [
        *BODIES.values(),
        *odd,
        *("".join(drawn.choices(_PIECES, k=length)) for length in lengths),
    ]


@dataclass
class Thread:
    """A submission and its comments; comments are named within the thread."""

    id: str
    submission: Record | None = None
    comments: list[Record] = field(default_factory=list)

    def add(self, name: str, parent: str = "", body: str | None = None, **values: Any) -> "Thread":
        """Add a comment; parent is the name of another one, or "" for the submission."""
        record = {
            "id": self.id + name,
            "link_id": f"t3_{self.id}",
            "parent_id": f"t1_{self.id}{parent}" if parent else f"t3_{self.id}",
            "author": "somebody",
            "score": 3,
            "body": f"This is comment {name} of {self.id}." if body is None else body,
            **values,
        }
        self.comments.append(_with_fields(record))
        return self


def _with_fields(record: Record) -> Record:
    return {name: value for name, value in record.items() if value is not WITHOUT}


def thread(name: str, **values: Any) -> Thread:
    """A thread whose submission passes all rules, but for the values."""
    record = {
        "id": name,
        "subreddit": "todayilearned",
        "score": 100,
        "num_comments": 10,
        "domain": "en.wikipedia.org",
        "title": f"TIL that this is thread {name}",
        "url": f"http://en.wikipedia.org/wiki/{name}#Section_{name}",
        "permalink": f"/r/todayilearned/comments/{name}/til/",
        "distinguished": None,
        **values,
    }
    return Thread(name, _with_fields(record))


def submission_cases() -> list[Thread]:
    """A thread of two comments for each thing that a submission can be."""
    wiki = "http://en.wikipedia.org/wiki/X"
    values: list[Record] = [
        {"num_comments": 9},
        {"num_comments": 10.0},
        {"num_comments": "12"},
        {"num_comments": None},
        {"num_comments": WITHOUT},
        {"num_crossposts": 0},
        {"num_crossposts": 1},
        {"num_crossposts": None},
        {"locked": False},
        {"locked": True},
        {"locked": None},
        {"locked": "false"},
        {"over_18": True},
        {"over-18": True, "over_18": True},
        {"over-18": True, "over_18": False},
        {"over-18": True},
        {"brand_safe": True},
        {"brand_safe": False},
        {"brand_safe": None},
        {"distinguished": "moderator"},
        {"distinguished": WITHOUT},
        {"subreddit_type": "public"},
        {"subreddit_type": "restricted"},
        {"subreddit_type": "archived"},
        {"subreddit_type": "private"},
        {"domain": "m.imgur.com"},
        {"domain": "reddit.com.au"},
        {"domain": "Reddit.com"},
        {"domain": "flickr.com"},
        {"domain": "ebay.com"},
        {"domain": "twitter.com"},
        {"domain": "youtube.com"},
        {"domain": None},
        {"domain": WITHOUT},
        {"domain": "imdb.com", "subreddit": "movies"},
        {"domain": "nytimes.com"},
        {"subreddit": "aww"},
        {"subreddit": "TodayILearned"},
        {"subreddit": WITHOUT},
        {"url": wiki},
        {"url": f"{wiki}#ab"},
        {"url": f"{wiki}#abc"},
        {"url": f"{wiki}#ab\t"},
        {"url": f"{wiki}#ab#c"},
        {"url": "#abcdef"},
        {"url": f"{wiki} Y#abc"},
        {"url": f"{wiki}#abc.jpg"},
        {"url": f"{wiki}#abc.JPG"},
        {"url": f"{wiki}#abcgif"},
        {"url": f"{wiki}#a.png"},
        {"url": f"{wiki}#a.pdf"},
        {"url": f"{wiki}.pdf#page"},
        {"url": None},
        {"url": WITHOUT},
        {"score": WITHOUT},
        {"score": None},
        {"permalink": WITHOUT},
        {"permalink": None},
        {"title": WITHOUT},
        {"title": ""},
        {"title": "A"},
        {"title": "ab"},
        {"title": "x" * 280},
        {"title": "x" * 281},
        {"title": "this > that"},
        {"title": "this &gt; that"},
        {"title": "[deleted]"},
        {"title": "What is [deleted] here?"},
        {"title": "\u201cQuoted\u201d \u2014 caf\u00e9 \t& co  "},
        {"selftext": "about #nothing"},
    ]
    threads = []
    for number, value in enumerate(values):
        case = thread(f"s{number:02d}", **value)
        threads.append(case.add("a").add("b", "a"))
    return threads


def comment_cases() -> list[Thread]:
    """Threads about what a comment can be, and where it can stand."""
    chain = thread("chain")
    previous = ""
    for name in "abcdefgh":
        chain.add(name, previous)
        previous = name
    words = "word " * 120
    long = thread("long").add("a", body=words).add("b", "a", body=words + "end").add("c", "b")
    huge = thread("huge").add("a", body="w " * 260).add("b", "a", body="x " * 90).add("c", "b")
    huge.add("d", "", body="y " * 197).add("e", "d").add("f", "", body="y " * 300).add("g", "f")
    lengths = thread("length")
    for number in (1, 2, 280, 281):
        lengths.add(f"x{number}", body="x" * number).add(f"y{number}", f"x{number}")
    removed = thread("gone").add("a", body="[deleted]").add("b", "a").add("c", "b")
    removed.add("d", body="[ deleted ]").add("e", body="It was [deleted] I think").add("f", "e")
    removed.add("g", body="[removed]").add("h", "g").add("i", author="[deleted]").add("j", "i")
    removed.add("k", author=None).add("l", author=12)
    forgotten = thread("forget").add("a", body="[deleted]").add("b", "a", body="w " * 210)
    forgotten.add("c", "b").add("d", body="")
    forgotten.add("e", "d").add("f", body=" \n ")
    quotes = thread("quote").add("a", body="> said\n\nno").add("b", "a").add("c", body="a &gt; b")
    quotes.add("d", body="a -> b").add("e", "d").add("f", body="a < b")
    scores = thread("score")
    for number, score in enumerate((-5, 0, 1, 0.5, 7.0, True, False, 10**12)):
        scores.add(f"x{number}", score=score)
    parents = thread("parent").add("a", "nobody").add("b", "a").add("c", parent_id=None)
    parents.add("d", parent_id=12345).add("e", "d").add("f", parent_id="").add("g", "g")
    parents.add("h", "i").add("i", "h").add("j", "i").add("k", parent_id="t1_chainc")
    parents.add("l", parent_id="chainc")
    orphans = thread("orphan").add("a", "nobody").add("b", "a")
    links = thread("link").add("a", link_id="t5_link").add("b", link_id="t3_link_x")
    links.add("c", link_id="link").add("d", link_id=None).add("e", link_id=WITHOUT)
    links.add("f", link_id="t3_LINK").add("g", id=WITHOUT).add("h", id=12).add("i", "a")
    links.add("j", link_id="t3_").add("k", link_id=["t3_link"])
    twice = thread("twice").add("a", body="The first one").add("a", body="The last one")
    twice.add("b", "a").add("c").add("c", body="[deleted]").add("d", "c")
    answered = thread("order", title="Who comes first?").add("b").add("a").add("c", "a")
    none = thread("none").add("a", score=0)
    texts = thread("texts")
    for name, body in BODIES.items():
        texts.add(name, body=body).add(f"{name}2", name)
    again = [thread("again", title="The first title"), thread("again", title="The last title")]
    again[1].add("a").add("b", "a")
    spoken = thread("eos").add("a", body="I say EOS here").add("b", "a").add("c", "b")
    unknown = Thread("unknown").add("a")
    escaped = Thread("escaped").add("a")  # whose submission stands among the odd lines
    cases = [
        chain,
        long,
        huge,
        lengths,
        removed,
        forgotten,
        quotes,
        scores,
        parents,
        orphans,
        links,
    ]
    return [*cases, twice, answered, none, texts, *again, spoken, unknown, escaped]


def month(number: int) -> tuple[bytes, bytes]:
    """The dumps of a month: comments and submissions, one JSON object a line.

    The second month has the threads of the first one as other people wrote them, and one more.
    """
    threads = [*submission_cases(), *comment_cases()]
    if number:
        threads = [thread("may").add("a").add("b", "a", body="In May"), *threads[:3]]
        threads.append(Thread("chain").add("z", "c", body="A late answer"))
    comments = [record for of_thread in threads for record in of_thread.comments]
    submissions = [of.submission for of in threads if of.submission is not None]
    return _lines(comments, _ODD_COMMENTS), _lines(submissions, _ODD_SUBMISSIONS)


_ODD_COMMENTS = (
    b'{"id": "oddly", "link_id" :\t"t3_chain", "parent_id": "t3_chain", "author": "a", "score": 2, '
    b'"body": "Blanks before the colon"}',
    rb'{"id": "odd2", "link_id": "t3_ch\u0061in", "parent_id": "t3_chain", "author": "a", '
    rb'"score": 2, "body": "A letter written otherwise"}',
    b'{"id": "odd3", "link_id": "t3_chain", "parent_id": "t3_chain", "author": "a", "score": NaN, '
    b'"body": "Not a number of points"}',
    b'{"id": "odd4", "link_id": "t3_chain", "parent_id": "t3_chain", "author": "a", "scor',
    b'{"id": "odd5", "link_id": "t3_chain", "parent_id": "t3_chain", "author": "a", "score": 2, '
    b'"body": "A raw\ttab"}',
    b'["link_id", "t3_chain"]',
    b"null",
    b"7",
    b'"link_id"',
    b"",
    b"  ",
)
_ODD_SUBMISSIONS = (
    b'{"id": "odd", "url": "http://a.b/#abc", "titl',
    b'["http://a.b/#abc"]',
    b'"http://a.b/#abc"',
    b"null",
    b"",
    json.dumps(thread("escaped").submission).replace("#", r"\u0023").encode(),
)


def _lines(records: list[Record], odd: tuple[bytes, ...]) -> bytes:
    """The records, some as ASCII and some as UTF-8, with the odd lines in between."""
    lines = [
        json.dumps(record, ensure_ascii=bool(number % 2)).encode()
        for number, record in enumerate(records)
    ]
    middle = len(lines) // 2
    return b"\n".join([*lines[:middle], *odd, *lines[middle:], b""])


def lists(instances: list[list[str]]) -> dict[str, str]:
    """The lists of hashes, by file name, that go with the instances of all months.

    Args:
        instances: the cells of a line of the release's output: hash, subreddit, submission, score,
            position, context, response.
    """
    contexts: dict[str, list[list[str]]] = {}
    for cells in instances:
        contexts.setdefault(cells[5], []).append(cells)
    sets, hashes, keys = [], set(), []
    for number, (context, cells) in enumerate(sorted(contexts.items())):
        references = sorted(cells)
        listed = [f"{cell[3]}|{cell[0]}" for cell in references]
        key = references[-1][0]
        if number % 7 == 1:
            listed.insert(1, f"5|{_made_up(context)}")
        if number % 7 == 2:
            key = _made_up(context)
        if number % 7 == 3:
            listed = [f"9|{_made_up(context)}"]
            key = _made_up(context + "key")
        if number % 7 == 4:
            listed = [listed[0] + "|more", *listed]
        if number % 7 == 5:
            listed.append(f"1|{instances[0][0]}")  # answers another context
        if number % 3:
            keys.append(key)
        sets.append("\t".join([key, *listed]))
        hashes |= {cell.split("|")[1] for cell in listed if number % 11}
    sets.append(_made_up("a key without references"))
    keys.append(_made_up("a key that no set has"))
    return {
        "test-multiref.sets": "".join(f"{line}\n" for line in sets),
        "test-multiref.hashes": "".join(f"{hash_}\n" for hash_ in sorted(hashes)),
        "test.2k.txt": "".join(f"{key}\n" for key in keys),
    }


def _made_up(text: str) -> str:
    return sha224(text.encode()).hexdigest()


def pages() -> str:
    """A list of the pages that could be fetched: of every other thread, and of other months."""
    threads = [*submission_cases(), *comment_cases()]
    urls = [of.submission.get("url") for of in threads if of.submission is not None]
    wanted = sorted({url for url in urls if isinstance(url, str)})
    lines = [f"{url}\t{MONTHS[number % 3 == 0]}\t2017-06" for number, url in enumerate(wanted)]
    lines.append(f"{thread('may').submission['url']}\t{MONTHS[1]}\t2017-06")
    return "".join(f"{line}\n" for line in lines)
