import pytest
from support_importing import drops_of, turns_of

from data_prep.importing.config import ColumnsConfig
from data_prep.importing.dataset_rows import conversations_of_rows, wanted_columns
from data_prep.importing.import_log import ImportLog


def read(rows, **columns):
    log = ImportLog()
    config = ColumnsConfig(**columns)
    return list(conversations_of_rows(rows, config, split=None, log=log)), log


def test_a_column_with_lists_is_read_with_speakers_knowledge_and_id():
    row = {"dialog": ["hi", "yo"], "who": [5, 3], "a": "k1", "b": ["k2", "k3"], "name": 9}
    (found,), _ = read([row], turns="dialog", speakers="who", knowledge="a, b", id="name")
    assert found.turns == ("hi", "yo")
    assert found.speakers == (5, 3)
    assert found.knowledge == ("k1", "k2", "k3")
    assert (found.thread_id, found.split_key) == ("9", "9")


def test_several_columns_are_a_turn_each_and_empty_ones_none():
    rows = [{"q": "7 up", "a": "nan"}, {"q": "hi", "a": None}, {"q": "hi", "a": ""}]
    found, _ = read(rows, turns="q,a")
    assert turns_of(found) == [["7 up", "nan"], ["hi"], ["hi"]]
    assert found[0].thread_id == "datasets_input_0"


def test_messages_are_read_as_in_json_lines():
    row = {"m": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}
    (found,), _ = read([row], turns="m")
    assert (found.turns, found.knowledge) == (("u",), ("s",))


def test_rows_of_one_dialogue_in_a_row_are_its_messages():
    rows = [
        {"d": 1, "t": "hi", "s": "A", "k": "situation"},
        {"d": 1, "t": "yo", "s": "B", "k": "situation"},
        {"d": 2, "t": "so", "s": "A", "k": ""},
        {"d": 1, "t": "again", "s": "A", "k": "x"},
    ]
    found, log = read(rows, text="t", dialogue="d", speakers="s", knowledge="k")
    assert turns_of(found) == [["hi", "yo"], ["so"], ["again"]]
    assert found[0].speakers == ("A", "B")
    assert found[0].knowledge == ("situation",)
    assert found[0].thread_id == "1"
    assert log._tally.by_month()["input"]["records_read"] == 3


@pytest.mark.parametrize(
    ("row", "columns", "reason"),
    [
        ({"d": None}, {"turns": "d"}, "no_turns"),
        ({"d": 3, "e": "x"}, {"turns": "d,e"}, "no_text"),
        ({"d": "", "e": None}, {"turns": "d,e"}, "no_turns"),
        ({"d": ["a"], "s": [1, 2]}, {"turns": "d", "speakers": "s"}, "wrong_speakers"),
        ({"d": ["a"], "k": 3}, {"turns": "d", "knowledge": "k"}, "wrong_knowledge"),
        ({"t": None, "d": 1}, {"text": "t", "dialogue": "d"}, "no_text"),
    ],
)
def test_a_row_of_other_values_is_dropped_by_its_reason(row, columns, reason):
    found, log = read([row], **columns)
    assert found == []
    assert drops_of(log) == {f"records.{reason}": 1}


def test_all_columns_that_are_named_are_wanted_once():
    columns = ColumnsConfig(turns="q, a", speakers="s", knowledge="k,q", id="i")
    assert wanted_columns(columns) == ["q", "a", "s", "k", "i"]
