import json
from typing import Any

import pytest

from data_prep.published.json_records import read_record


@pytest.mark.parametrize(
    ("text", "value"), [("7", 7), ("7.0", 7.0), ("null", None), ('"7"', "7"), ("[1]", [1])]
)
def test_a_value_keeps_its_type(text: str, value: Any) -> None:
    record = read_record(b'{"score": %s}' % text.encode())
    assert record == {"score": value}
    assert type(record["score"]) is type(value)


@pytest.mark.parametrize(
    "line", [b"", b"null", b"7", b"[1]", b'"a"', b'{"a": 1', b'{"a": "\t"}', b"{a: 1}", b"[" * 9999]
)
def test_what_is_no_object_to_pythons_parser_is_none(line: bytes) -> None:
    assert read_record(line) is None


def test_what_only_pythons_parser_takes_is_taken() -> None:
    record = read_record(b'{"score": NaN, "id": "a"}')
    assert record is not None
    assert record["id"] == "a"
    assert record["score"] != record["score"]


def test_what_cannot_be_written_becomes_the_replacement_character() -> None:
    assert read_record(b'{"body": "a\\ud83db", "title": "\xff"}') == {
        "body": "a\ufffdb",
        "title": "\ufffd",
    }
    whole = json.dumps({"body": "\U0001f600", "score": 1}).encode()
    assert read_record(whole) == {"body": "\U0001f600", "score": 1}
