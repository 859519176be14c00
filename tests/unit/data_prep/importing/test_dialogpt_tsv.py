from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support_importing import drops_of, read_text

from data_prep.importing.dialogpt_tsv import read_dialogpt_tsv

plain = partial(read_dialogpt_tsv, has_weights=False)
weighted = partial(read_dialogpt_tsv, has_weights=True)

turn_texts = st.text(st.characters(exclude_characters="\t\n\r", codec="utf-8"), max_size=9)


def is_one_turn(text):
    # An EOS at the edge of a text would join with the blanks of the separator.
    return " EOS " not in f" {text} " and text.strip() == text != ""


one_turn = turn_texts.filter(is_one_turn)


def test_source_and_target_are_the_turns_of_unknown_speakers(tmp_path):
    (found,), _ = read_text(plain, "a EOS b c\td\n", tmp_path)
    assert found.turns == ("a", "b c", "d")
    assert found.speakers == (None, None, None)
    assert found.turn_ids == ("p_1_0", "p_1_1", "p_1_2")
    assert found.never_learned == frozenset()


@given(st.lists(one_turn, min_size=2, max_size=5))
@example(["7 up", "nan", "inf", "1.0 i like tea", "0.0"])
def test_without_the_option_nothing_is_taken_for_a_weight(tmp_path_factory, turns):
    line = " EOS ".join(turns[:-1]) + "\t" + turns[-1]
    (found,), _ = read_text(plain, line, tmp_path_factory.mktemp("tsv"))
    assert list(found.turns) == turns


@given(st.lists(st.tuples(st.sampled_from(["0.0", "1.0", "1", "0"]), one_turn), min_size=2))
@example([("1.0", "7 up"), ("0.0", "nan"), ("1.0", "1.0"), ("0.0", "0.0 inf")])
def test_with_the_option_exactly_one_weight_a_turn_is_taken(tmp_path_factory, said):
    turns = [f"{weight} {text}" for weight, text in said]
    line = " EOS ".join(turns[:-1]) + "\t" + turns[-1]
    (found,), _ = read_text(weighted, line, tmp_path_factory.mktemp("tsv"))
    assert list(found.turns) == [text for _, text in said]
    assert found.never_learned == {n for n, (weight, _) in enumerate(said) if float(weight) == 0}


@pytest.mark.parametrize("turn", ["nan hi", "inf hi", "-1.0 hi", "1.0x hi", "hi", "1e3 hi", ""])
def test_with_the_option_a_turn_without_a_weight_is_dropped(turn, tmp_path):
    found, log = read_text(weighted, f"1.0 a\t{turn}\n1.0 a\t1.0 b\n", tmp_path)
    assert [c.turns for c in found] == [("a", "b")]
    assert drops_of(log) == {"records.no_weight": 1}


def test_ids_in_front_name_the_last_two_turns_and_decide_about_the_split(tmp_path):
    (found,), _ = read_text(plain, "t3_s,t1_b,t1_c\ta EOS b\tc\n", tmp_path)
    assert found.turns == ("a", "b", "c")
    assert found.turn_ids == ("p_1_0", "t1_b", "t1_c")
    assert found.split_key == "t3_s"


@pytest.mark.parametrize("line", ["no tab", "a\tb\tc\td"])
def test_another_number_of_fields_is_dropped_and_named(line, tmp_path):
    found, log = read_text(plain, f"{line}\na\tb\n", tmp_path)
    assert [c.turns for c in found] == [("a", "b")]
    assert drops_of(log) == {"records.not_two_fields": 1}
    assert "input:1: expected SOURCE<TAB>TARGET" in log.examples["records.not_two_fields"][0]
