"""Any text as bodies of comments: the compiled loops and Python's give the same turns and words."""

from harness import instrumented, main

with instrumented():
    import pyarrow as pa

    from data_prep import native
    from data_prep.config import TextConfig
    from data_prep.normalize import TURN_DROPS, turn_text
    from data_prep.responses import response_words, trigrams_of
    from data_prep.turns import turn_column

SEEDS = [
    "&gt; a quote\n\nSo *very* good, **no**? See http://x.com/a_b [1] &amp; don\u2019t".encode(),
    "see imgur.com/a1b2, and/or www.a.b\0[deleted]\0caf\u00e9 \u2014 3,5 no no \U0001f600".encode(),
    "`a*b*` ^^up ~~x~~ f**k #1\n* item\n1. one\n    code\n\0\u0ca0_\u0ca0".encode(),
    "\u00af\\_(\u30c4)_/\u00af >_< >!so!< a|b\n-|-\nc|d".encode(),
]
WORDS = [
    *(mark.encode() for mark in "*_~`#>\\^|&;:/-+=[]()!.,'\"\0\n\t\r \x1c\x7f"),
    *(b"&amp;", b"&gt;", b"\n&gt; ", b"&lt;", b"&#42;", b"&nbsp;", b">!", b"!<", b"](", b"```\n"),
    *(b"http://", b"www.", b".com/", b"[deleted]", b"[ Removed by Reddit ]", b"    ", b"n't"),
    *(
        c.encode()
        for c in "\u00a0\u00ad\u200b\u200d\u2028\u0301\u00c9\u00d7\u0130\u2019\ue02a\ufeff"
    ),
]
_FREQUENT = frozenset(["the", "i", "do", "can", "no", "so"])
_CONFIGS = (TextConfig(), TextConfig(quotes="drop", unescape_entities=False))
_REASONS = [None, *TURN_DROPS]


def one_input(data: bytes) -> object:
    """Bodies are separated by NUL; what is not UTF-8 no reader lets pass."""
    bodies = pa.array(data.decode("utf-8", "ignore").split("\0"), pa.large_string())
    seen: list[object] = []
    for config in _CONFIGS:
        column = turn_column(bodies, config)
        turns = [turn_text(body, config) for body in bodies.to_pylist()]
        assert column.texts.to_pylist() == [turn.text for turn in turns]
        assert column.has_url.tolist() == [turn.has_url for turn in turns]
        assert column.has_markup.tolist() == [turn.has_markup for turn in turns]
        assert [_REASONS[code] for code in column.drop_codes] == [t.drop_reason for t in turns]
        assert all(turn.text.isprintable() or not turn.text.isascii() for turn in turns)
        seen += [(t.has_url, t.has_markup, t.drop_reason, "[" in t.text) for t in turns[:3]]
    _compare_words(column.texts)
    return tuple(seen)


def _compare_words(texts: pa.Array) -> None:
    words, trigrams = _words_and_trigrams(texts)
    compiled, native.compiled = native.compiled, None
    try:
        expected_words, expected_trigrams = _words_and_trigrams(texts)
    finally:
        native.compiled = compiled
    assert words == expected_words
    assert trigrams == expected_trigrams


def _words_and_trigrams(texts: pa.Array) -> tuple[object, object]:
    words = response_words(texts, _FREQUENT)
    trigrams = trigrams_of(words.joined)
    return (
        (words.joined.to_pylist(), words.longest_runs.tolist(), words.has_frequent.tolist()),
        (trigrams.texts.to_pylist(), trigrams.counts.tolist(), trigrams.checksums.tolist()),
    )


if __name__ == "__main__":
    main(one_input, SEEDS, WORDS)
