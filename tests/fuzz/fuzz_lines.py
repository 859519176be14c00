"""Any bytes as the lines of a dump: the compiled reader and Python's give the same posts."""

import json

from harness import instrumented, main

with instrumented():
    from data_prep import native
    from data_prep.dump import LineBlock
    from data_prep.post_fields import UNUSABLE, Field, FieldKind, PostFormat
    from data_prep.posts import COMMENTS, SUBMISSIONS, ParsedBlock, parse_block

_RECORD = {
    "id": "c10",
    "link_id": "t3_abc",
    "parent_id": "t1_c0z",
    "author": "ann",
    "created_utc": 1138752114,
    "score": -3,
    "subreddit": "AskScience",
    "body": 'why? caf\u00e9 \U0001f600 \\ " &gt; x',
}
SEEDS = [
    json.dumps(_RECORD).encode(),
    json.dumps(_RECORD, ensure_ascii=False).encode() + b"\n\n null\r\n[1]\n{}",
    b'{"id":"a","link_id":"b","body":"\\ud83d","score":"7.5","x":[{"y":[1e5,true]}]}\n',
    b'{"id":7,"link_id":8,"parent_id":9,"created_utc":"1420000000","score":7.0,"body":""}\n',
]
WORDS = [
    *(f'"{name}":'.encode() for name in _RECORD),
    *(b'"', b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"\\u0000", b"\xff", b"\xe2\x82", b"\0", b"\n"),
    *(b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"NaN", b"1e400", b"-0", b"0" * 13),
    *(b'"t1_a"', b'"t3_"', b'"7."', b'"+7"', b"9" * 19, b"\xef\xbb\xbf", b"\r", b"\x0b", b"[" * 40),
]

_ALL_KINDS = PostFormat(
    (
        Field(name="parent_id", kind=FieldKind.PARENT, reason="missing_field"),
        Field(name="score", kind=FieldKind.INTEGER, reason="missing_field", limits=(-3, 10)),
        Field(name="author", kind=FieldKind.TEXT, reason="missing_field"),
    )
)


def _by_python(block: LineBlock, post_format: PostFormat) -> ParsedBlock:
    compiled, native.compiled = native.compiled, None
    try:
        return parse_block(block, post_format)
    finally:
        native.compiled = compiled


def one_input(data: bytes) -> object:
    """Every line is a post or is counted, by either route; no route raises."""
    block = LineBlock(1, data)
    num_records = sum(bool(line.strip()) for line in data.split(b"\n"))
    seen = []
    for post_format in (COMMENTS, SUBMISSIONS, _ALL_KINDS):
        parsed, expected = parse_block(block, post_format), _by_python(block, post_format)
        assert parsed.posts.equals(expected.posts)
        assert parsed.unusable == expected.unusable
        assert parsed.posts.num_rows + len(parsed.unusable) == num_records
        assert {line.reason for line in parsed.unusable} <= {*UNUSABLE}
        parsed.posts.validate(full=True)
        seen.append((min(parsed.posts.num_rows, 3), *(line.reason for line in parsed.unusable[:3])))
    return tuple(seen)


if __name__ == "__main__":
    main(one_input, SEEDS, WORDS)
