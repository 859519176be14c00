from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.dialogues import (
    DIALOGUE_SCHEMA,
    ROWS_PER_GROUP,
    SPLITS,
    DialogueRow,
    DialogueWriter,
    dialogues_of,
    part_files,
    read_dialogues,
    table_of,
)
from dialogpt.command_line import UserError
from dialogpt.records import Dialogue


def row(number: int) -> DialogueRow:
    return {
        "turns": [f"turn {number}", "na\u00efve \U0001f600"],
        "speakers": [0, -1],
        "turn_ids": [f"t1_{number}", "t1_z"],
        "thread_id": f"t3_{number}",
        "subreddit": "test",
        "month": "2015-01",
        "created_utc": 2**40,
        "score": -(2**31),
    }


def test_rows_are_read_back_in_order_over_parts_and_row_groups(tmp_path: Path) -> None:
    with DialogueWriter(tmp_path / "dialogues", 0) as writer:
        for number in range(ROWS_PER_GROUP + 5):
            writer.write("train", row(number))
    with DialogueWriter(tmp_path / "dialogues", 1) as writer:
        writer.write("train", {**row(-1), "knowledge": ["a fact"]})
        writer.write("valid", row(7))
    batches = list(read_dialogues(tmp_path, "train"))
    assert [batch.num_rows for batch in batches] == [ROWS_PER_GROUP, 5, 1]
    threads = [dialogue.thread_id for batch in batches for dialogue in dialogues_of(batch)]
    assert threads == [f"t3_{number}" for number in [*range(ROWS_PER_GROUP + 5), -1]]
    (dialogue,) = dialogues_of(batches[-1])
    assert dialogue == Dialogue(
        turns=("turn -1", "na\u00efve \U0001f600"),
        speakers=(0, -1),
        turn_ids=("t1_-1", "t1_z"),
        thread_id="t3_-1",
        knowledge=("a fact",),
    )
    assert [path.name for path in part_files(tmp_path, "test")] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert list(read_dialogues(tmp_path, "test")) == []


def test_no_more_than_a_row_group_is_held(tmp_path: Path) -> None:
    with DialogueWriter(tmp_path, 0) as writer:
        (unfinished,) = (tmp_path / "train").iterdir()
        for number in range(ROWS_PER_GROUP - 1):
            writer.write("train", row(number))
        before = unfinished.stat().st_size
        writer.write("train", row(-1))
        assert unfinished.stat().st_size > before + ROWS_PER_GROUP


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with DialogueWriter(tmp_path / name, 0) as writer:
            for number in range(100):
                writer.write("train", row(number))
    assert (tmp_path / "one" / "train" / "part-00000.parquet").read_bytes() == (
        tmp_path / "two" / "train" / "part-00000.parquet"
    ).read_bytes()


def test_a_writer_that_fails_leaves_no_part(tmp_path: Path) -> None:
    def fail() -> None:
        with DialogueWriter(tmp_path / "dialogues", 0) as writer:
            writer.write("train", row(1))
            raise ValueError("a fault")

    with pytest.raises(ValueError, match="a fault"):
        fail()
    for split in SPLITS:
        with pytest.raises(UserError, match="finished"):
            part_files(tmp_path, split)


def test_columns_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "dialogues" / "train" / "part-00000.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"turns": [["a"]]}), path)
    with pytest.raises(UserError, match=r"part-00000\.parquet"):
        next(read_dialogues(tmp_path, "train"))


def test_a_table_has_the_schema_also_without_rows() -> None:
    assert table_of([]).schema == table_of([row(1)]).schema == DIALOGUE_SCHEMA
