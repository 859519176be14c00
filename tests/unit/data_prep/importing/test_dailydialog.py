import gzip
import json

from support_importing import drops_of, read_text, turns_of

from data_prep.importing.dailydialog import read_dailydialog, read_dailydialog_references

LINES = "Hi . __eou__ Hello . __eou__ Bye . __eou__\nOnly one . __eou__\n"


def test_each_line_is_a_dialogue_of_two_speakers_in_turn(tmp_path):
    found, log = read_text(read_dailydialog, LINES, tmp_path, prefix="dailydialog_train")
    assert turns_of(found) == [["Hi . ", " Hello . ", " Bye . "], ["Only one . "]]
    assert [c.speakers for c in found] == [(0, 1, 0), (0,)]
    assert [c.thread_id for c in found] == ["dailydialog_train_1", "dailydialog_train_2"]
    assert drops_of(log) == {}


def test_compressed_and_with_windows_ends_it_is_the_same(tmp_path):
    plain, _ = read_text(read_dailydialog, LINES, tmp_path)
    packed = gzip.compress(LINES.replace("\n", "\r\n").encode())
    assert read_text(read_dailydialog, packed, tmp_path)[0] == plain


def test_a_line_without_the_end_of_its_last_turn_is_dropped_and_named(tmp_path):
    text = b"no mark at all\nHi . __eou__ cut in the mid\n\xff\n\nHi . __eou__ Yo . __eou__\n"
    found, log = read_text(read_dailydialog, text, tmp_path)
    assert [c.thread_id for c in found] == ["p_5"]
    assert drops_of(log) == {"records.no_end_of_turn": 2, "records.not_utf8": 1}
    assert log.examples["records.no_end_of_turn"][0].startswith("input:1: expected")
    assert log._tally.by_month()["input"]["records_read"] == 4


def test_an_item_of_the_test_set_has_the_turns_so_far_and_all_responses(tmp_path):
    dialogue = [
        {"text": "Hi .", "responses": ["hello .", "hey"]},
        {"text": "Hello .", "responses": ["bye ."]},
        {"text": "Bye ."},
    ]
    text = json.dumps({"dialogue": dialogue}) + "\nnot json\n" + json.dumps({"dialogue": [{}]})
    items, log = read_text(read_dailydialog_references, text, tmp_path)
    assert [(i.id, i.turns, i.references) for i in items] == [
        ("dailydialog_test_1_1", ("Hi .",), ("hello .", "hey")),
        ("dailydialog_test_1_2", ("Hi .", "Hello ."), ("bye .",)),
    ]
    assert items[1].speakers == (0, 1)
    assert items[1].turn_ids == ("dailydialog_test_1_0", "dailydialog_test_1_1")
    assert {i.human for i in items} == {None}
    assert drops_of(log) == {"test_items.not_json": 1, "test_items.no_text": 1}
    assert log._tally.by_month()["input"]["test_items_read"] == 4
