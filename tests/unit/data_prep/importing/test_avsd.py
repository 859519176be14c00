import json
from functools import partial

import pytest
from support_importing import drops_of, read_text

from data_prep.importing.avsd import read_avsd, read_avsd_references
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile
from dialogpt.command_line import UserError

read = partial(read_avsd, split_knowledge=True)


def dialog(video, *pairs, caption="a man sits . he reads .", summary="he is at home ."):
    said = [{"question": question, "answer": answer} for question, answer in pairs]
    return {"image_id": video, "caption": caption, "summary": summary, "dialog": said}


def document(*dialogs):
    return json.dumps({"type": "x", "version": "0.1", "dialogs": dialogs})


TEST_SET = document(
    dialog("AAA", ("q0", "a0"), ("q1", "__UNDISCLOSED__")),
    dialog("BBB", ("q0", "__UNDISCLOSED__")),
    dialog("CCC", ("q0", "a0")),
)
REFERENCES = json.dumps(
    {
        "images": [{"name": "AAA_1", "id": 7}, {"name": "ZZZ_0", "id": 8}],
        "annotations": [
            {"image_id": 7, "id": 1, "caption": "yes ."},
            {"image_id": 8, "id": 2, "caption": "no ."},
            {"image_id": 7, "id": 3, "caption": "he does ."},
        ],
    }
)


def test_answers_are_the_replies_and_the_video_is_the_thread(tmp_path):
    (found,), _ = read_text(read, document(dialog("AAA", ("q0", "a0"), ("q1", "a1"))), tmp_path)
    assert found.turns == ("q0", "a0", "q1", "a1")
    assert found.speakers == (0, 1, 0, 1)
    assert found.replies == {1, 3}
    assert (found.thread_id, found.split_key) == ("avsd_AAA", "AAA")


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (True, ("a man sits .", "he reads .", "he is at home .")),
        (False, ("a man sits . he reads .", "he is at home .")),
    ],
)
def test_caption_and_summary_are_knowledge_whole_or_by_sentences(split, expected, tmp_path):
    text = document(dialog("AAA", ("q", "a")))
    (found,), _ = read_text(partial(read_avsd, split_knowledge=split), text, tmp_path)
    assert found.knowledge == expected


def test_a_missing_summary_is_no_sentence(tmp_path):
    text = document(dialog("AAA", ("q", "a"), caption="one .", summary=None))
    (found,), _ = read_text(read, text, tmp_path)
    assert [sentence for sentence in found.knowledge if sentence] == ["one ."]


def test_a_withheld_answer_is_never_read_as_text(tmp_path):
    found, log = read_text(read, TEST_SET, tmp_path)
    assert [c.turns for c in found] == [("q0", "a0"), ("q0", "a0")]
    assert drops_of(log) == {
        "records.answer_withheld": 1,
        "turns.withheld_answer": 2,
        "turns.withheld_question": 2,
    }


def test_items_join_withheld_questions_with_references_of_the_same_name(tmp_path):
    (tmp_path / "contexts").write_text(TEST_SET)
    contexts = InputFile(tmp_path / "contexts", "contexts", "p", "test")

    def read_items(file, log):
        return read_avsd_references(file, contexts, log, split_knowledge=True)

    (item,), log = read_text(read_items, REFERENCES, tmp_path)
    assert item.id == "avsd_AAA_1"
    assert item.turns == ("q0", "a0", "q1")
    assert item.speakers == (0, 1, 0)
    assert item.references == ("yes .", "he does .")
    assert item.knowledge == ("a man sits .", "he reads .", "he is at home .")
    assert drops_of(log) == {"test_items.no_references": 1}
    assert log._tally.by_month()["input"]["test_items_read"] == 2


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"dialog": []}, "no_video"),
        ({"image_id": "A", "dialog": []}, "no_dialogue"),
        ({"image_id": "A", "dialog": [{"question": "q"}]}, "no_answer"),
        ({**dialog("A", ("q", "a")), "caption": 3}, "no_caption"),
        (None, "no_video"),
    ],
)
def test_a_malformed_dialogue_is_dropped_by_its_reason_and_the_next_is_read(
    value, reason, tmp_path
):
    found, log = read_text(read, document(value, dialog("B", ("q", "a"))), tmp_path)
    assert [c.thread_id for c in found] == ["avsd_B"]
    assert drops_of(log) == {f"records.{reason}": 1}


@pytest.mark.parametrize("text", ["[]", '{"dialogs": {}}', "{", '{"turns": []}\n{"turns": []}'])
def test_another_kind_of_file_is_refused_with_its_name(text, tmp_path):
    with pytest.raises(UserError, match=r"input.*expected"):
        read_text(read, text, tmp_path)


def test_another_kind_of_references_is_refused_with_its_name(tmp_path):
    (tmp_path / "r").write_text(TEST_SET)
    file = InputFile(tmp_path / "r", "r", "p", "test")
    with pytest.raises(UserError, match="COCO"):
        list(read_avsd_references(file, file, ImportLog(), split_knowledge=True))
