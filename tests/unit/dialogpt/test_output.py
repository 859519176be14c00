import json
from pathlib import Path
from typing import Any

import pytest

from dialogpt.decode.contexts import read_contexts
from dialogpt.decode.output import ResponseWriter, format_response, output_format_of
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis


def response(*context: str, reply: str = "fine") -> Response:
    hypothesis = Hypothesis(text=reply, token_ids=[1], finished=True, scores={"score": -1.0})
    return Response(context=context, hypotheses=[hypothesis], num_turns_dropped=0)


RESPONSES = [response("hi", "how are EOS you EOS"), response("7 up", reply="1.0 yes EOS no")]


def written(path: Path, output_format: Any) -> list[str]:
    with ResponseWriter(path, settings={"seed": 0}, output_format=output_format) as writer:
        for one in RESPONSES:
            writer.write(one)
    return path.read_text(encoding="utf-8").split("\n")


def test_each_format_has_one_line_a_context(tmp_path: Path) -> None:
    records = written(tmp_path / "a.jsonl", "jsonl")
    assert [json.loads(line)["response"] for line in records[:-1]] == ["fine", "1.0 yes EOS no"]
    assert written(tmp_path / "a.txt", "text") == ["fine", "1.0 yes EOS no", ""]
    rows = written(tmp_path / "a.tsv", "tsv")
    assert [row.split("\t")[1] for row in rows[:-1]] == ["fine", "1.0 yes EOS no"]


@pytest.mark.parametrize("output_format", ["jsonl", "tsv"])
def test_the_contexts_that_are_written_are_read_again(tmp_path: Path, output_format: Any) -> None:
    path = tmp_path / f"out.{output_format}"
    written(path, output_format)
    assert read_contexts(str(path)) == [list(one.context) for one in RESPONSES]


@pytest.mark.parametrize("output_format", ["jsonl", "tsv", "text"])
def test_nothing_in_a_reply_ends_its_line_or_field(output_format: Any) -> None:
    line = format_response(response("a", reply="x\ty\nz\x1b[2J"), output_format, settings={})
    assert "\n" not in line
    assert "\x1b" not in line
    assert line.count("\t") == (output_format == "tsv")


def test_the_ending_decides_unless_the_option_does() -> None:
    names = ["a.tsv", "a.TXT", "a.jsonl", "a.json", "a", ""]
    found = [output_format_of(name, "auto") for name in names]
    assert found == ["tsv", "text", "jsonl", "jsonl", "jsonl", "jsonl"]
    assert output_format_of("a.tsv", "text") == "text"
