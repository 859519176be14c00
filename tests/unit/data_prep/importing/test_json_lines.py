import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import drops_of, read_text, turns_of

from data_prep.importing.json_lines import TURN_KEYS, read_json_lines
from dialogpt.command_line import UserError


def read(values, folder):
    text = "\n".join(v if isinstance(v, str) else json.dumps(v) for v in values)
    return read_text(read_json_lines, text, folder)


def test_a_list_and_an_object_say_the_same_under_every_key(tmp_path):
    values = [["hi", "hello"], *({key: ["hi", "hello"]} for key in TURN_KEYS)]
    found, log = read(values, tmp_path)
    assert turns_of(found) == [["hi", "hello"]] * len(values)
    assert drops_of(log) == {}
    assert found[0].thread_id == "p_1"
    assert found[0].turn_ids == ("p_1_0", "p_1_1")


def test_all_that_a_line_says_of_itself_is_kept(tmp_path):
    value = {
        "turns": ["hi", "hello"],
        "speakers": ["Ann", "Bob"],
        "knowledge": ["Bob is tall."],
        "id": "d7",
        "thread_id": 12,
        "split": "validation",
    }
    (found,), _ = read([value], tmp_path)
    assert found.speakers == ("Ann", "Bob")
    assert found.knowledge == ("Bob is tall.",)
    assert found.turn_ids == ("d7_0", "d7_1")
    assert (found.thread_id, found.split_key, found.split) == ("12", "12", "valid")


def test_system_messages_stand_behind_the_knowledge(tmp_path):
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    (found,), _ = read([{"messages": messages, "knowledge": "k"}], tmp_path)
    assert found.knowledge == ("k", "s")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not_json"),
        ("3", "no_turns"),
        ("{}", "no_turns"),
        ('{"turns": ["a"], "messages": []}', "no_turns"),
        ('{"turns": ["a"], "split": "dev2"}', "wrong_split"),
        ('{"turns": ["a"], "id": [1]}', "wrong_id"),
        ('{"turns": ["a"], "knowledge": [1]}', "wrong_knowledge"),
        ('{"turns": ["a\\ud800"]}', "not_json"),
    ],
)
def test_a_malformed_line_is_dropped_with_file_and_line_and_the_next_is_read(
    line, reason, tmp_path
):
    found, log = read([["a"], line, ["b"]], tmp_path)
    assert turns_of(found) == [["a"], ["b"]]
    assert drops_of(log) == {f"records.{reason}": 1}
    assert log.examples[f"records.{reason}"][0].startswith("input:2: expected")


def test_left_out_messages_are_counted(tmp_path):
    value = [{"role": "tool", "content": "x"}, {"role": "user", "content": "y"}]
    found, log = read([value], tmp_path)
    assert turns_of(found) == [["y"]]
    assert drops_of(log) == {"turns.tool": 1}


@given(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=4), max_size=4))
def test_whatever_is_written_comes_back(tmp_path_factory, dialogues):
    text = "".join(json.dumps(turns) + "\n" for turns in dialogues)
    found, _ = read_text(read_json_lines, text, tmp_path_factory.mktemp("lines"))
    assert turns_of(found) == dialogues


@given(st.binary(max_size=80))
def test_bytes_are_read_dropped_by_line_or_refused_as_a_file(tmp_path_factory, content):
    try:
        found, log = read_text(read_json_lines, content, tmp_path_factory.mktemp("bytes"))
    except UserError:  # what looks like a compressed file
        return
    num_read = log._tally.by_month().get("input", {}).get("records_read", 0)
    dropped = [n for name, n in drops_of(log).items() if name.startswith("records.")]
    assert num_read == len(found) + sum(dropped)
