from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.published.dstc7_instances import Instance
from data_prep.published.dstc7_sets import FoundInstance, ReferenceSet, read_sets, write_set
from dialogpt.command_line import UserError, as_plain

KEY, A, B, C = (letter * 56 for letter in "0abc")
CONTEXT = "START EOS a title EOS a comment"


def found(name: str, context: str = CONTEXT, score: int = 3) -> FoundInstance:
    ids = ("t3_x", "t1_m", f"t1_{name}")
    response = f"answer {name}"
    return FoundInstance(Instance("movies", "x", score, 3, context, response, ids), "2017-04")


FOUND = {A: found("a"), B: found("b"), C: found("c")}
LISTED = ReferenceSet(KEY, ("9", "5", "1"), (A, B, C))
HASHES = frozenset({A, B, C})


def test_a_line_has_the_key_and_the_scored_references_in_the_order_of_the_list() -> None:
    written = write_set(LISTED, FOUND, HASHES)
    assert written.line == f"{KEY}\t9|answer a\t5|answer b\t1|answer c\n"


def test_the_second_reference_is_the_human_answer_and_no_reference() -> None:
    item = write_set(LISTED, FOUND, HASHES).item
    assert item is not None
    assert (item.human, item.human_id) == ("answer b", "t1_b")
    assert item.references == ("answer a", "answer c")
    assert item.reference_ids == ("t1_a", "t1_c")
    assert item.reference_scores == (3, 3)


def test_an_item_has_the_turns_without_the_mark_of_the_beginning() -> None:
    item = write_set(LISTED, FOUND, HASHES).item
    assert item is not None
    assert item.id == KEY
    assert item.turns == ("a title", "a comment")
    assert item.turn_ids == ("t3_x", "t1_m")
    assert (item.thread_id, item.subreddit, item.month) == ("t3_x", "movies", "2017-04")


def test_a_cut_context_has_no_ids_of_turns() -> None:
    cut = {hash_: found("a", "... rest EOS a comment") for hash_ in HASHES}
    item = write_set(LISTED, {**cut, A: found("a", "... comment")}, HASHES).item
    assert item is not None
    assert (item.turns, item.turn_ids) == (("... comment",), ())


def test_the_instance_of_the_key_tells_the_context_though_it_is_no_reference() -> None:
    known = {**FOUND, KEY: found("k", "START EOS the key's")}
    written = write_set(LISTED, known, HASHES)
    assert written.item is not None
    assert written.item.turns == ("the key's",)
    assert "answer k" not in written.line
    assert written.num_of_other_context == 3


def test_references_that_are_missing_or_not_in_the_list_of_hashes_are_left_out() -> None:
    for known, hashes in (({B: FOUND[B], C: FOUND[C]}, HASHES), (FOUND, HASHES - {A})):
        written = write_set(LISTED, known, hashes)
        assert written.line == f"{KEY}\t5|answer b\t1|answer c\n"
        assert written.num_references == 2
        assert written.human_moved
        assert written.item is not None
        assert written.item.human == "answer c"


def test_a_missing_third_reference_moves_nobody() -> None:
    assert not write_set(LISTED, {A: FOUND[A], B: FOUND[B]}, HASHES).human_moved


def test_a_single_reference_is_no_human() -> None:
    item = write_set(LISTED, {C: FOUND[C]}, HASHES).item
    assert item is not None
    assert (item.references, item.human, item.human_id) == (("answer c",), None, None)


def test_a_set_without_references_keeps_its_line_and_has_no_item() -> None:
    written = write_set(LISTED, {KEY: found("k")}, HASHES)
    assert (written.line, written.item, written.human_moved) == (f"{KEY}\n", None, False)


def test_answers_to_nothing_but_the_beginning_are_no_item() -> None:
    titles = {hash_: found("t", "START") for hash_ in HASHES}
    assert write_set(LISTED, titles, HASHES).item is None


def test_a_response_cannot_tear_the_table() -> None:
    torn = replace(FOUND[A], instance=replace(FOUND[A].instance, response="a\tb\n."))
    assert write_set(LISTED, {A: torn}, HASHES).line == f"{KEY}\t9|a b .\n"


def test_a_found_instance_survives_json() -> None:
    plain = as_plain(FOUND[A].instance)
    assert FoundInstance.from_json(plain, "2017-04") == FOUND[A]


def test_sets_are_read_and_what_follows_a_hash_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sets"
    path.write_text(f"{KEY}\t9|{A}\t-5|{B}|more\n\n{C}\n")
    assert read_sets(path) == [
        ReferenceSet(KEY, ("9", "-5"), (A, B)),
        ReferenceSet(C, (), ()),
    ]


@pytest.mark.parametrize("line", ["key", f"{KEY}\t{A}", f"{KEY}\t9|{A[:-1]}", f"{KEY}\t9|"])
def test_a_line_of_another_form_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "sets"
    path.write_text(f"{KEY}\n{line}\n")
    with pytest.raises(UserError, match=r"sets:2: expected KEY, SCORE\|HASH"):
        read_sets(path)
