"""Ids that are to be purged: how they are read, and what they take out of each kind of file."""

import gzip
import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import dialogues
from data_prep.dialogues import DIALOGUE_SCHEMA, DialogueWriter, table_of
from data_prep.purging import files as purge_files
from data_prep.purging import places as purge_places
from data_prep.purging.command import PurgeConfig, with_lists
from data_prep.purging.files import (
    Removal,
    purge_dialogues,
    purge_json,
    purge_rejects,
    purge_test_items,
)
from data_prep.purging.ids import PurgedIds, earlier_ids, file_of_ids, read_ids
from data_prep.rejects import REJECT_SCHEMA
from dialogpt.command_line import UserError, parse_config
from dialogpt.data.chunks import pack_chunk, unpack_chunk
from dialogpt.records import EncodedDialogue, TestItem, read_test_items
from dialogpt.text import record_key

NAMES = [f"t1_{digit}" for digit in "abcdefgh"] + ["t3_a", "t3_b", "t3_c"]
COMMENTS, THREADS = NAMES[:8], NAMES[8:]

rows_strategy = st.lists(
    st.tuples(st.lists(st.sampled_from(COMMENTS), max_size=4), st.sampled_from([*THREADS, None])),
    max_size=12,
)
some_names = st.sets(st.sampled_from(NAMES))


def is_concerned(turn_ids: Sequence[str], thread_id: str | None, names: set[str]) -> bool:
    """What the purge must find, by a plain look at each id."""
    return any(name in names for name in (*turn_ids, thread_id))


# Reading ids.


def test_ids_come_sorted_and_once_as_reddit_writes_them(tmp_path: Path) -> None:
    lines = "\ufeff# asked by mail\r\n\r\n t1_C2715  # in June\nc2715\nt3_22569\n000\nt1_00az\n"
    (tmp_path / "ids").write_text(lines, encoding="utf-8")
    assert read_ids(str(tmp_path / "ids")) == ["t1_0", "t1_az", "t1_c2715", "t3_22569"]


def test_ids_may_be_gzipped_or_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ids.gz").write_bytes(gzip.compress(b"c1\n") + gzip.compress(b"c2\n"))
    assert read_ids(str(tmp_path / "ids.gz")) == ["t1_c1", "t1_c2"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"c3\n")))
    assert read_ids("-") == ["t1_c3"]


@pytest.mark.parametrize(
    "line",
    ["t1_", "t5_abc", "c 1", "c1,c2", "https://reddit.com/c1", "t1_" + 13 * "a", "\x00", "é"],
)
def test_a_malformed_line_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text(f"c1\n\n{line}\nc2\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"ids:3: .*t1_c2715"):
        read_ids(str(tmp_path / "ids"))


def test_bytes_that_are_no_text_are_malformed(tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes(b"c1\n\xff\xfe\n")
    with pytest.raises(UserError, match="ids:2: "):
        read_ids(str(tmp_path / "ids"))


def test_many_malformed_lines_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("?\n" * 1007)
    with pytest.raises(UserError, match=r"ids:1: .*ids:5: '\?', and 1,002 more: expected"):
        read_ids(str(tmp_path / "ids"))


def test_a_missing_or_damaged_file_of_ids_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found none; check --ids"):
        read_ids(str(tmp_path / "ids"))
    (tmp_path / "ids").write_bytes(gzip.compress(b"c1\n" * 99)[:-9])
    with pytest.raises(UserError, match="not a whole gzip file"):
        read_ids(str(tmp_path / "ids"))


@given(names=some_names)
def test_noted_ids_are_read_back(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    folder = tmp_path_factory.mktemp("noted")
    assert earlier_ids(folder) == []
    (folder / "purged_ids.txt").write_text(file_of_ids(names))
    assert earlier_ids(folder) == sorted(names)
    # `extract` reads the file by splitting at blanks.
    assert (folder / "purged_ids.txt").read_text().split() == sorted(names)


# Finding them.


@given(rows=rows_strategy, names=some_names, start=st.integers(0, 5))
def test_rows_are_found_as_by_a_plain_look_also_in_a_slice(
    rows: list[tuple[list[str], str | None]], names: set[str], start: int
) -> None:
    batch = pa.record_batch(
        {
            "turn_ids": pa.array([turn_ids for turn_ids, _ in rows], pa.list_(pa.string())),
            "thread_id": pa.array([thread_id for _, thread_id in rows], pa.string()),
        }
    ).slice(start)
    ids = PurgedIds(names)
    assert ids.in_rows(batch).tolist() == [is_concerned(*row, names) for row in rows[start:]]
    in_slice = {name for turn_ids, thread in rows[start:] for name in (*turn_ids, thread)}
    assert ids.found == names & in_slice


@given(rows=rows_strategy.filter(bool), names=some_names)
def test_dialogues_of_a_chunk_are_found_as_by_a_plain_look(
    rows: list[tuple[list[str], str | None]], names: set[str]
) -> None:
    rows = [(turn_ids or ["t1_a"], thread or "t3_a") for turn_ids, thread in rows]
    chunk = unpack_chunk(pack_chunk([encoded(*row) for row in rows], 9), 9)
    ids = PurgedIds(names)
    assert ids.in_chunk(chunk).tolist() == [is_concerned(*row, names) for row in rows]
    assert ids.found == names & {name for turns, thread in rows for name in (*turns, thread)}


def encoded(turn_ids: Sequence[str], thread_id: str) -> EncodedDialogue:
    ones = np.ones(len(turn_ids), np.uint32)
    return EncodedDialogue(
        turns=tuple(np.ones(1, np.uint16) for _ in turn_ids),
        speakers=ones.astype(np.int8),
        num_words=ones,
        num_chars=ones,
        turn_keys=np.array([record_key(name) for name in turn_ids], np.uint64),
        thread_key=record_key(thread_id),
    )


def test_no_ids_find_nothing() -> None:
    chunk = unpack_chunk(pack_chunk([encoded(["t1_a"], "t3_a")], 9), 9)
    assert not PurgedIds([]).in_chunk(chunk).any()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"body":"no","id":"a","score":', True),
        ('{ "name" : "t1_a", "bo', True),
        ('{"link_id":"t3_a","id', True),
        ('{"id":"ab"', False),
        ('{"author":"a","body":"a"', False),
        ('{"parent_id":"t1_a"', False),
        ('{"link_id":"t3_b"', False),
    ],
)
def test_a_piece_of_json_is_found_by_its_own_id_and_that_of_its_thread(
    text: str, found: bool
) -> None:
    assert PurgedIds(["t1_a", "t3_a"]).in_json_text("", text) == found


# Taking dialogues out of files.


def rows_of(rows: Sequence[tuple[list[str], str | None]]) -> list[dict[str, Any]]:
    return [
        {
            "turns": [f"turn {number} {name}" for name in turn_ids],
            "speakers": [0 for _ in turn_ids],
            "turn_ids": turn_ids,
            "thread_id": thread_id or "t3_c",
            "subreddit": "test",
            "month": "2015-01",
            "created_utc": number,
            "score": 1,
        }
        for number, (turn_ids, thread_id) in enumerate(rows)
    ]


def write_part(folder: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with DialogueWriter(folder, 0) as writer:
        for row in rows:
            writer.write("train", row)
    return folder / "train" / "part-00000.parquet"


@settings(max_examples=60)
@given(rows=rows_strategy, names=some_names, rows_per_group=st.integers(1, 5))
def test_what_stays_of_a_part_is_written_as_if_nothing_else_had_been_there(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[list[str], str | None]],
    names: set[str],
    rows_per_group: int,
) -> None:
    folder = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialogues, "ROWS_PER_GROUP", rows_per_group)
        patch.setattr(purge_files, "ROWS_PER_GROUP", rows_per_group)
        patch.setattr(purge_files, "_ROWS_TO_SEARCH", 3)
        all_rows = rows_of(rows)
        part = write_part(folder / "all", all_rows)
        kept = [
            row for row in all_rows if not is_concerned(row["turn_ids"], row["thread_id"], names)
        ]
        expected = write_part(folder / "kept", kept)
        before = part.read_bytes()
        removal = purge_dialogues(part, PurgedIds(names), folder / "rest")
    assert removal == Removal(num_before=len(rows), num_removed=len(rows) - len(kept))
    assert part.read_bytes() == before
    if removal:
        assert (folder / "rest").read_bytes() == expected.read_bytes()
    assert (folder / "rest").exists() == bool(removal)


def test_a_part_of_another_version_keeps_its_columns(tmp_path: Path) -> None:
    table = table_of(rows_of([(["t1_a"], "t3_a"), (["t1_b"], "t3_a")])).append_column(
        "mood", pa.array(["sad", "glad"])
    )
    pq.write_table(table, tmp_path / "part")
    assert purge_dialogues(tmp_path / "part", PurgedIds(["t1_a"]), tmp_path / "rest")
    assert pq.read_table(tmp_path / "rest").to_pylist() == table.slice(1).to_pylist()


def test_a_damaged_part_and_one_without_ids_are_named(tmp_path: Path) -> None:
    part = write_part(tmp_path, rows_of([(["t1_a"], "t3_a")]))
    pq.write_table(pq.read_table(part).drop_columns(["turn_ids"]), tmp_path / "other")
    with pytest.raises(UserError, match=r"other: expected the columns .*, found no turn_ids"):
        purge_dialogues(tmp_path / "other", PurgedIds(["t1_a"]), None)
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"part-00000\.parquet: not a whole Parquet file"):
        purge_dialogues(part, PurgedIds(["t1_a"]), None)


def reject(kind: str, turn_ids: list[str], thread_id: str | None, turn: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "reason": "why",
        "turns": [turn],
        "turn_ids": turn_ids,
        "num_turns": len(turn_ids),
        "thread_id": thread_id,
        "month": "2015-01",
    }


REJECTS = [
    reject("line", [], None, '{"id": "a", "bo'),
    reject("line", [], None, '{"id": "b", "bo'),
    reject("comment", ["t1_a"], "t3_b", "gone"),
    reject("comment", ["t1_b"], "t3_b", 'said {"id": "a"}'),
    reject("path", ["t1_b", "t1_a"], "t3_b", "gone"),
    reject("path", ["t1_b"], "t3_a", "gone"),
]
KEPT_REJECTS = [REJECTS[1], REJECTS[3]]


def test_rejects_go_by_their_ids_and_lines_by_what_they_spell(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(REJECTS, REJECT_SCHEMA), tmp_path / "all")
    removal = purge_rejects(tmp_path / "all", PurgedIds(["t1_a", "t3_a"]), tmp_path / "rest")
    assert removal == Removal(num_before=6, num_removed=4)
    rest = pq.read_table(tmp_path / "rest")
    assert rest.schema.equals(REJECT_SCHEMA)
    assert rest.select(["kind", "turns"]).to_pylist() == [
        {"kind": row["kind"], "turns": row["turns"]} for row in KEPT_REJECTS
    ]


def test_examples_go_like_rejects_and_so_do_lines_in_lists(tmp_path: Path) -> None:
    value = {"why": REJECTS, "lines": ['RC:1: {"id":"a"', 'RC:2: {"id":"b"'], "number": 7}
    path, rest = tmp_path / "examples.json", tmp_path / "rest.json"
    path.write_text(json.dumps(value))
    removal = purge_json(path, PurgedIds(["t1_a", "t3_a"]), rest)
    assert removal == Removal(num_before=8, num_removed=5)
    assert json.loads(rest.read_text()) == {
        "why": KEPT_REJECTS,
        "lines": ['RC:2: {"id":"b"'],
        "number": 7,
    }
    path.write_text("{")
    with pytest.raises(UserError, match=r"examples\.json: expected JSON"):
        purge_json(path, PurgedIds([]), None)


def item(name: str, **changes: Any) -> TestItem:
    values: dict[str, Any] = {
        "id": name,
        "turns": ("hi", "there"),
        "turn_ids": ("t1_c", "t1_d"),
        "references": ("one", "two"),
        "reference_ids": ("t1_e", "t1_f"),
        "reference_scores": (5, 4),
        "human": "three",
        "human_id": "t1_g",
        "thread_id": "t3_b",
    }
    return TestItem(**{**values, **changes})


def test_test_items_go_with_context_human_or_thread_and_lose_references(tmp_path: Path) -> None:
    items = [
        item("stays"),
        item("context", turn_ids=("t1_c", "t1_a")),
        item("human", human_id="t1_a"),
        item("thread", thread_id="t3_a"),
        item("first reference", reference_ids=("t1_a", "t1_f")),
        item("both references", reference_ids=("t1_a", "t1_b")),
        item("nothing known", turn_ids=(), reference_ids=(), human_id=None, reference_scores=()),
    ]
    path, rest = tmp_path / "items.jsonl", tmp_path / "rest.jsonl"
    path.write_text("".join(item.to_json() + "\n" for item in items))
    removal = purge_test_items(path, PurgedIds(["t1_a", "t1_b", "t3_a"]), rest)
    assert removal == Removal(num_before=7, num_removed=4, num_shortened=1)
    shortened = item(
        "first reference", references=("two",), reference_ids=("t1_f",), reference_scores=(4,)
    )
    assert list(read_test_items(rest)) == [items[0], shortened, items[6]]


@pytest.mark.parametrize("purge", [purge_dialogues, purge_rejects, purge_test_items, purge_json])
def test_what_nothing_is_taken_out_of_is_not_written_anew(
    purge: purge_files.Purge, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    if purge is purge_dialogues:
        pq.write_table(DIALOGUE_SCHEMA.empty_table(), path)
    elif purge is purge_rejects:
        pq.write_table(pa.Table.from_pylist(REJECTS, REJECT_SCHEMA), path)
    else:
        path.write_text(item("stays").to_json() + "\n")
    assert not purge(path, PurgedIds(["t1_h"]), tmp_path / "rest")
    assert not (tmp_path / "rest").exists()


# Getting to their places.


def write_rest(folder: Path, content: str, names: Sequence[str]) -> None:
    for name in names:
        purge_places.place_for_rest(folder, name).write_text(content)


PLACES = ("train/file", "markers/train/marker", "train/manifest.json")


def contents(folder: Path) -> dict[str, str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_nothing_vouches_for_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("old")
    write_rest(tmp_path, "new", PLACES)
    replace, seen = Path.replace, []

    def watched(self: Path, target: Path) -> Path:
        if self.is_relative_to(tmp_path / purge_places.WHOLE):
            seen.append({name: (tmp_path / name).exists() for name in PLACES})
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    purge_places.put_in_place(tmp_path)
    assert [tuple(there.values()) for there in seen] == [
        (True, False, False),
        (True, False, False),
        (True, True, False),
    ]
    assert contents(tmp_path) == dict.fromkeys(PLACES, "new")


def test_what_another_command_has_written_since_is_not_written_over(tmp_path: Path) -> None:
    write_rest(tmp_path, "purged", PLACES)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "manifest.json").write_text("old")
    interrupt_before_places(tmp_path)
    for name in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("written since")
    purge_places.go_on(tmp_path)
    assert contents(tmp_path) == dict.fromkeys(PLACES, "written since")


def test_what_is_forgotten_is_forgotten_also_if_that_is_interrupted(tmp_path: Path) -> None:
    for number in range(len(PLACES)):
        folder = tmp_path / str(number)
        write_rest(folder, "purged", PLACES)
        interrupt_before_places(folder)
        for name in PLACES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("written since")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(purge_places.shutil, "rmtree", remove_last_files(number))
            purge_places.go_on(folder)
        purge_places.go_on(folder)
        assert contents(folder) == dict.fromkeys(PLACES, "written since")


def remove_last_files(number: int) -> Callable[[Path], None]:
    """As far as rmtree gets in any order, before it is killed."""

    def remove(folder: Path) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        for path in files[len(files) - number :]:
            path.unlink()

    return remove


def interrupt_before_places(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purge_places, "go_on", lambda folder: None)
        purge_places.put_in_place(folder)
    assert (folder / purge_places.WHOLE).is_dir()


def test_what_was_being_forgotten_is_not_gone_on_with(tmp_path: Path) -> None:
    write_rest(tmp_path, "purged", PLACES)
    interrupt_before_places(tmp_path)
    (tmp_path / purge_places.WHOLE / "replaces.json").unlink()
    purge_places.go_on(tmp_path)
    assert contents(tmp_path) == {}


# The command line.


@pytest.mark.parametrize(
    "words",
    [
        ["--dialogues", "a", "b c", "--shards", "d", "--ids", "-"],
        ["--shards=d", "--ids=-", "--dialogues", "a", "--dialogues", "b c"],
        ["--ids", "-", "--dialogues=a", "b c", "--dry_run", "--shards", "d", "--no_dry_run"],
    ],
)
def test_folders_are_given_one_after_the_other(words: list[str]) -> None:
    config, _ = parse_config(PurgeConfig, with_lists(words), prog="purge")
    assert config == PurgeConfig(ids="-", dialogues=("a", "b c"), shards=("d",))


def test_a_purge_of_nothing_is_a_wrong_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse_config(PurgeConfig, with_lists(["--ids", "-"]), prog="purge")
    assert stopped.value.code == 2
    assert "--dialogues" in capsys.readouterr().err
