import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import drops_of

from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.instances import (
    InstanceRules,
    clean_text,
    cleaned,
    rows_of,
    speaker_numbers,
)
from dialogpt.text import clean_turn


def conversation(turns, **values):
    values = {"speakers": tuple(n % 2 for n in range(len(turns))), "thread_id": "d"} | values
    return Conversation(turns=tuple(turns), **values)


def rows(found, *, by_response=False, min_turns=2, max_turns=0):
    log = ImportLog()
    rules = InstanceRules(
        source="s", by_response=by_response, min_turns=min_turns, max_turns=max_turns
    )
    found = cleaned(found, clean_turn, log)
    return list(rows_of(found, rules, log)), log


def texts(found, **options):
    return ["".join(row["turns"]) for row in rows(found, **options)[0]]


def test_a_row_is_the_dialogue_or_one_for_each_response():
    assert texts(conversation("abcd")) == ["abcd"]
    assert texts(conversation("abcd"), by_response=True) == ["ab", "abc", "abcd"]


def test_only_replies_end_a_row():
    found = conversation("abcd", replies=frozenset({1, 3}))
    assert texts(found, by_response=True) == ["ab", "abcd"]
    assert texts(found) == ["abcd"]


def test_a_row_has_the_knowledge_of_whoever_speaks_last():
    found = conversation("abc", knowledge=("k",), knowledge_of={0: ("zero",), 1: ("one",)})
    by_response, _ = rows(found, by_response=True)
    assert [row["knowledge"] for row in by_response] == [["k", "one"], ["k", "zero"]]
    assert rows(found)[0][0]["knowledge"] == ["k", "zero"]


def test_a_turn_that_must_not_be_learned_is_given_in_the_row_that_it_begins():
    found = conversation("abcde", never_learned=frozenset({2}))
    assert texts(found) == ["ab", "cde"]
    assert texts(found, by_response=True) == ["ab", "abcd", "abcde"]


def test_a_response_that_must_not_be_learned_is_dropped_and_counted():
    found = conversation("abc", never_learned=frozenset({2}))
    for by_response in (False, True):
        kept, log = rows(found, by_response=by_response)
        assert [row["turns"] for row in kept] == [["a", "b"]]
        assert drops_of(log) == {"instances.weight_0": 1}


def test_the_first_turn_is_given_anyway():
    found = conversation("ab", never_learned=frozenset({0}))
    assert texts(found) == ["ab"]


@given(st.integers(2, 40), st.frozensets(st.integers(0, 39)), st.integers(2, 9))
def test_no_row_learns_what_it_must_not_and_every_turn_is_in_a_row_or_counted(
    num_turns, never_learned, max_turns
):
    never_learned = frozenset(n for n in never_learned if n < num_turns)
    found = conversation([str(n) for n in range(num_turns)], never_learned=never_learned)
    for by_response in (False, True):
        kept, log = rows(found, by_response=by_response, max_turns=max_turns)
        numbers = [[int(turn) for turn in row["turns"]] for row in kept]
        learned = [
            turn for of_row in numbers for turn in (of_row[-1:] if by_response else of_row[1:])
        ]
        assert not never_learned & set(learned)
        assert len(set(learned)) == len(learned)
        assert all(2 <= len(of_row) <= max_turns for of_row in numbers)
        assert all(of_row == list(range(of_row[0], of_row[-1] + 1)) for of_row in numbers)
        counts = log._tally.by_month()["input"]
        assert counts["instances"] == len(kept) + sum(drops_of(log).values())
        if by_response:
            assert {*learned, *never_learned, 0} == set(range(num_turns))


@given(st.integers(2, 200), st.integers(2, 30))
def test_a_long_dialogue_is_cut_into_rows_of_about_the_same_length(num_turns, max_turns):
    found = conversation([str(n) for n in range(num_turns)])
    kept, log = rows(found, max_turns=max_turns, min_turns=1)
    lengths = [len(row["turns"]) for row in kept]
    assert sum(lengths) == num_turns
    assert max(lengths) - min(lengths) <= 1
    assert ("dialogues_cut" in log._tally.by_month()["input"]) == (num_turns > max_turns)


def test_a_response_keeps_the_last_turns_before_it():
    assert texts(conversation("abcde"), by_response=True, max_turns=3) == [
        "ab",
        "abc",
        "bcd",
        "cde",
    ]


def test_too_short_a_dialogue_is_dropped_and_counted():
    for by_response in (False, True):
        kept, log = rows(conversation("a"), by_response=by_response)
        assert kept == []
        assert drops_of(log) == {"instances.too_few_turns": 1}


def test_turns_without_readable_text_go_with_all_that_belongs_to_them():
    found = conversation(
        ["a", " \u200b", "c", "d"],
        speakers=("A", "B", "C", "A"),
        times=(1, 2, 3, 4),
        replies=frozenset({1, 2}),
        never_learned=frozenset({1, 3}),
        knowledge=("k\n1", "\u200b"),
        knowledge_of={"A": (" ", "x")},
    )
    log = ImportLog()
    found = cleaned(found, clean_turn, log)
    assert found.turns == ("a", "c", "d")
    assert found.speakers == ("A", "C", "A")
    assert found.turn_ids == ("d_0", "d_2", "d_3")
    assert found.times == (1, 3, 4)
    assert (found.replies, found.never_learned) == ({1}, {2})
    assert (found.knowledge, found.knowledge_of) == (("k 1",), {"A": ("x",)})
    assert drops_of(log) == {"turns.empty": 1}


def test_the_last_turn_dates_the_row_and_nonsense_is_no_date():
    found = conversation("abc", times=(1, 2, 1_580_464_800))
    (row,), _ = rows(found)
    assert (row["month"], row["created_utc"]) == ("2020-01", 1_580_464_800)
    for time in (0, -5, 10**15):
        (row,), _ = rows(conversation("ab", times=(1, time)))
        assert (row["month"], row["created_utc"]) == ("", 0)


def test_speakers_are_numbered_in_the_row_and_the_129th_voice_is_unknown():
    assert speaker_numbers(["x", None, "y", "x"]) == [0, -1, 1, 0]
    assert speaker_numbers(range(200)) == [*range(128), *[-1] * 72]
    late, _ = rows(conversation("abc", speakers=("x", "y", "z")), by_response=True, max_turns=2)
    assert late[1]["speakers"] == [0, 1]


@pytest.mark.parametrize("text", ["a\u200b b\n c", "e\u0301", "<|endoftext|>", "\ud7ff x"])
def test_without_detokenising_texts_are_cleaned_as_everywhere(text):
    assert clean_text(None)(text) == clean_turn(text)


def test_detokenised_text_is_cleaned_before_and_after():
    assert clean_text(lambda text: text.replace("  ", "?") + " \u200b")("a  b") == "a b"
