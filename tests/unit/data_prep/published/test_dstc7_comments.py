import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from golden.dstc7.cases import WITHOUT, thread

from data_prep.published.dstc7_comments import Comment, read_comments


def read(path: Path, threads: set[str]) -> tuple[dict[str, Comment], Counter[str]]:
    counts: Counter[str] = Counter()
    return read_comments(path, threads, counts, lambda _: None), counts


def write(folder: Path, *lines: str | dict[str, Any]) -> Path:
    path = folder / "RC_2017-04"
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts))
    return path


def comment(name: str = "c", **values: Any) -> dict[str, Any]:
    return thread("x").add(name, **values).comments[0]


def test_only_comments_on_the_submissions_are_kept(tmp_path: Path) -> None:
    lines = [comment(), comment("d", link_id="t3_y"), comment("e", body='"link_id":"t3_x"')]
    kept, counts = read(write(tmp_path, *lines), {"x"})
    assert set(kept) == {"t1_xc", "t1_xe"}
    assert counts == {"comments_read": 3, "comments_kept": 2}


@pytest.mark.parametrize(
    "link",
    ['"link_id":"t3_x"', '"link_id" : "t3_x"', r'"link_id":"t3_\u0078"', r'"link\u005fid":"t3_x"'],
)
@pytest.mark.parametrize("others", [0, 3])
def test_a_comment_is_found_however_its_link_is_written(
    tmp_path: Path, link: str, others: int
) -> None:
    line = f'{{"id":"a",{link},"parent_id":"t3_x","author":"b","score":1,"body":"c"}}'
    around = [comment(str(number), link_id="t3_y") for number in range(others)]
    kept, counts = read(write(tmp_path, *around, line, "", *around), {"x"})
    assert list(kept) == ["t1_a"]
    assert counts["comments_read"] == 2 * others + 1


@pytest.mark.parametrize("link", ["t5_x", "t3_x_y", "_x_"])
def test_the_submission_is_what_stands_between_the_first_dashes(tmp_path: Path, link: str) -> None:
    kept, _ = read(write(tmp_path, comment(link_id=link)), {"x"})
    assert list(kept) == ["t1_xc"]


@pytest.mark.parametrize("link", ["x", None, 12, ["t3_x"], WITHOUT, "T3-x", "t3_X"])
def test_a_link_of_another_form_is_none(tmp_path: Path, link: Any) -> None:
    kept, counts = read(write(tmp_path, comment(link_id=link)), {"x"})
    assert (kept, counts) == ({}, {"comments_read": 1})


@pytest.mark.parametrize(
    "values",
    [
        *({name: WITHOUT} for name in ("id", "parent_id", "author", "score", "body")),
        *({"id": 12}, {"body": ["b"]}, {"body": "b" * 50_001}),
    ],
)
def test_an_unusable_comment_is_counted(tmp_path: Path, values: dict[str, Any]) -> None:
    kept, counts = read(write(tmp_path, comment(**values)), {"x"})
    assert (kept, counts["comments_dropped.unusable"]) == ({}, 1)


def test_a_line_that_is_cut_off_is_counted(tmp_path: Path) -> None:
    kept, counts = read(write(tmp_path, json.dumps(comment())[:-9]), {"x"})
    assert (kept, counts["comments_dropped.malformed"]) == ({}, 1)


def test_what_is_told_of_a_comment(tmp_path: Path) -> None:
    odd = comment("odd", parent_id=None, score=None, author=None)
    kept, _ = read(write(tmp_path, comment(score=7.0, author="[deleted]"), odd), {"x"})
    body = "This is comment c of x."
    assert kept["t1_xc"] == Comment("x", "t3_x", 7.0, True, body)
    assert kept["t1_xodd"] == Comment("x", "", 0, False, body.replace("c of", "odd of"))


def test_of_equal_ids_the_last_one_counts(tmp_path: Path) -> None:
    kept, counts = read(write(tmp_path, comment(body="First"), comment(body="Last")), {"x"})
    assert kept["t1_xc"].body == "Last"
    assert counts["comments_kept"] == 2


def test_of_a_damaged_archive_what_came_before_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "RC_2017-04.gz"
    data = "".join(json.dumps(comment(str(number))) + "\n" for number in range(2000)).encode()
    path.write_bytes(gzip.compress(data)[:-100])
    kept, counts = read(path, {"x"})
    assert counts["damaged_archives"] == 1
    assert "t1_x0" in kept
