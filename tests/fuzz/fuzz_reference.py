"""Any bytes as bodies and ids, for preset `reference`: the compiled loops and Python's agree."""

from collections.abc import Callable
from typing import TypeVar

from harness import instrumented, main

with instrumented():
    import numpy as np
    import pyarrow as pa

    from data_prep import native
    from data_prep.reference.pairs import rows_of_pairs
    from data_prep.reference.posts import REFERENCE_COMMENTS, kept_comments
    from data_prep.reference.text import TurnTokens, turn_tokens

Made = TypeVar("Made")

SEEDS = [
    "Don't w/ b/c j/k http://x.com/a_b [1] (555) 123-4567 &amp; don\u2019t".encode(),
    b"8pm html5 mp3 end.Next 3.14 1,000 :) 8) do: ... !!!! ABCDE URL MENTION\0EOS EOS EOS",
    "\u201cquoted\u201d caf\u00e9 \\o/ #tag word word word\0\u3000 \u2028 \x1c\x85".encode(),
    b"x" * 40 + b"__url__ ____ a.b www. www.a.com foo@bar.com 12:30",
]
WORDS = [
    *(mark.encode() for mark in "()[]:;,.!?'\"/\\#&>-_ \0\n\t\v\f\x1c\x7f"),
    *(b"http", b"HTTP", b"URL", b"MENTION", b"__url__", b"b/c", b"j/k", b"w/o", b"w/", b"com"),
    *(b"D:", b"8P", b":o)", b"=]", b"<3", b"@a", b"1.0", b"(555) ", b"-4567", b".Next", b"EOS "),
    *(c.encode() for c in "\u201c\u201d\u00e9\u0130\u212a\u017f\u2028\u3000\ufeff\U0001f600"),
]


def one_input(data: bytes) -> object:
    """Bodies are separated by NUL; the same bytes serve as numbers of comments and threads."""
    bodies = pa.array(data.decode("utf-8", "ignore").split("\0"), pa.large_string())
    compiled, python = _by_both_routes(lambda: _columns_of(turn_tokens(bodies)))
    assert compiled == python
    _compare_pairs(data)
    posts = _posts(bodies)
    for max_words in (1, 5, 30):
        kept, same = _by_both_routes(lambda m=max_words: kept_comments(posts, max_words=m))
        assert kept == same
        kept[0].validate(full=True)
    return tuple(compiled[3][:4])


def _compare_pairs(data: bytes) -> None:
    numbers = np.frombuffer(data[: len(data) // 4 * 4], np.uint8).astype(np.int64)
    firsts, seconds, asked, others = numbers.reshape(4, -1) % 23
    compiled, python = _by_both_routes(
        lambda: rows_of_pairs((firsts, seconds), (asked, others)).tolist()
    )
    assert compiled == python


def _posts(bodies: pa.Array) -> pa.RecordBatch:
    """Comments with these bodies, of which some serve as ids and names, too."""
    texts = bodies.to_pylist()
    rows = [
        {
            "id": row,
            "link_id": "t3_a" if row % 3 else texts[row - 1],
            "parent_id": "t1_b" if row % 2 else texts[row // 2],
            "author": texts[-1 - row],
            "created_utc": row,
            "score": 1,
            "subreddit": "",
            "body": text,
        }
        for row, text in enumerate(texts)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=REFERENCE_COMMENTS.schema)


def _columns_of(tokens: TurnTokens) -> list[list[object]]:
    numbers = (tokens.num_tokens, tokens.longest_tokens, tokens.facts)
    return [tokens.texts.to_pylist(), *(column.tolist() for column in numbers)]


def _by_both_routes(function: Callable[[], Made]) -> tuple[Made, Made]:
    result = function()
    compiled, native.compiled = native.compiled, None
    try:
        return result, function()
    finally:
        native.compiled = compiled


if __name__ == "__main__":
    main(one_input, SEEDS, WORDS)
