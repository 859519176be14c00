import io

import pytest

from dialogpt.records import RecordError, json_lines, write_text


@pytest.mark.parametrize(
    "line", ["{", "[" * 100_000, '{"a":' * 100_000, "1" * 5_000], ids=["cut", "[", "{", "digits"]
)
def test_a_line_that_cannot_be_decoded_is_named_and_not_shown_whole(line):
    lines = json_lines(io.StringIO(f"[1]\n\n{line}\n"), "a.jsonl")
    assert next(lines) == (1, [1])
    with pytest.raises(RecordError, match=r"^a\.jsonl:3: expected one JSON value") as error:
        next(lines)
    assert len(str(error.value)) < 300


def test_a_write_that_fails_leaves_the_former_file(tmp_path):
    path = tmp_path / "config.yaml"
    write_text(path, "former\n")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half \ud800")  # stands for a kill: nothing can encode it
    assert path.read_text() == "former\n"
