import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import drops_of, read_text, turns_of

from data_prep.importing.personachat import read_personachat

PERSONAS = [["i like tea."], ["i am tall.", "i sing."]]
UTTERANCES = ["hi !", "hello .", "bye ?", "bye ."]
JSON_LINE = json.dumps({"personas": PERSONAS, "utterances": UTTERANCES})
PARLAI = """\
1 your persona: i am tall.
2 your persona: i sing.
3 partner's persona: i like tea.
4 hi !\thello .\t\thello .|no
5 bye ?\tbye .
"""


def test_both_forms_of_a_dialogue_say_the_same(tmp_path):
    from_json, _ = read_text(read_personachat, JSON_LINE, tmp_path)
    from_parlai, _ = read_text(read_personachat, PARLAI, tmp_path)
    assert from_json == from_parlai
    assert turns_of(from_json) == [UTTERANCES]


def test_the_second_speaker_has_the_second_persona_and_speaks_at_odd_places(tmp_path):
    (found,), _ = read_text(read_personachat, JSON_LINE, tmp_path)
    assert found.speakers == (0, 1, 0, 1)
    assert found.knowledge_of == {0: ("i like tea.",), 1: ("i am tall.", "i sing.")}
    assert found.knowledge == ()


def test_line_1_begins_another_dialogue_and_silence_is_no_turn(tmp_path):
    text = PARLAI + "1 __SILENCE__\thello .\n2 hi\tyo\n1 a\tb\n"
    found, _ = read_text(read_personachat, text, tmp_path)
    assert turns_of(found) == [UTTERANCES, ["hello .", "hi", "yo"], ["a", "b"]]
    assert found[1].speakers == (1, 0, 1)
    assert [c.thread_id for c in found] == ["p_1", "p_6", "p_8"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"utterances": ["a"]}', "no_personas"),
        ('{"personas": [["a"]], "utterances": ["a"]}', "no_personas"),
        ('{"personas": [["a"], [1]], "utterances": ["a"]}', "no_personas"),
        ('{"personas": [[], []], "utterances": []}', "no_utterances"),
        ('{"personas": [[], []], "utterances": "ab"}', "no_utterances"),
        ("[1]", "no_utterances"),
        ("{", "not_json"),
    ],
)
def test_a_malformed_line_is_dropped_by_its_reason_and_the_next_is_read(line, reason, tmp_path):
    found, log = read_text(read_personachat, f"{JSON_LINE}\n{line}\n{JSON_LINE}\n", tmp_path)
    assert len(found) == 2
    assert drops_of(log) == {f"records.{reason}": 1}
    assert log.examples[f"records.{reason}"][0].startswith("input:2: expected")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("1 your persona: a\n", "no_utterances"),
        ("1 a\tb\nno number\tc\n", "no_number"),
        ("1 a\n", "no_answer"),
    ],
)
def test_a_malformed_episode_is_dropped_by_its_reason(lines, reason, tmp_path):
    found, log = read_text(read_personachat, PARLAI + lines, tmp_path)
    assert turns_of(found) == [UTTERANCES]
    assert drops_of(log) == {f"records.{reason}": 1}


def test_an_empty_file_has_no_dialogues(tmp_path):
    assert read_text(read_personachat, "\n \n", tmp_path)[0] == []


words = st.text("abc !?'.", min_size=1, max_size=8).filter(str.strip)


@given(
    st.lists(words, max_size=3),
    st.lists(words, max_size=3),
    st.lists(st.tuples(words, words), min_size=1, max_size=4),
)
def test_whatever_is_written_in_the_text_format_comes_back(tmp_path_factory, mine, theirs, said):
    lines = [f"your persona: {text}" for text in mine]
    lines += [f"partner's persona: {text}" for text in theirs]
    lines += [f"{first}\t{second}" for first, second in said]
    text = "".join(f"{number} {line}\n" for number, line in enumerate(lines, start=1))
    (found,), _ = read_text(read_personachat, text, tmp_path_factory.mktemp("parlai"))
    assert found.turns == tuple(text for pair in said for text in pair)
    assert found.knowledge_of == {0: tuple(theirs), 1: tuple(mine)}
