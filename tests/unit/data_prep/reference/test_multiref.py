import pytest

from data_prep.reference.multiref import multi_reference_lines, without_scores
from dialogpt.command_line import UserError

INSTANCES = [
    "t3_a,t1_a,t1_b\tIs it ?\t\u201cYes\u201d , it is .\n",
    "t3_a,t1_a,t1_c\tIs it ?\tNo 7 .\n",
    "t3_a,t1_a,t1_d\tOr not ?\tMaybe so .\n",
]


def references(*key_lines: str) -> list[str]:
    return multi_reference_lines(INSTANCES, key_lines).lines


def test_a_line_has_the_context_and_its_scored_references_in_plain_quotes() -> None:
    (line,) = references("multiref\t9,t3_a,t1_a,t1_b\t2,t3_a,t1_a,t1_c\n")
    assert line == 'Is it ?\t9|"Yes" , it is .\t2|No 7 .\n'


def test_what_is_missing_is_named() -> None:
    found = multi_reference_lines(
        INSTANCES,
        [
            "multiref\t9,t3_a,t1_a,t1_gone\t2,t3_a,t1_a,t1_c\n",
            "multiref\t9,t3_a,t1_a,t1_b\t2,t3_a,t1_a,t1_lost\t1,t3_a,t1_a,t1_d\n",
        ],
    )
    assert found.lines == ['Is it ?\t9|"Yes" , it is .\n']
    assert found.missing_contexts == ["t3_a,t1_a,t1_gone"]
    assert found.missing_references == ["t3_a,t1_a,t1_lost"]
    assert found.other_contexts == ["t3_a,t1_a,t1_d"]


def test_of_equal_ids_the_last_line_counts() -> None:
    again = "t3_a,t1_a,t1_b\tIs it so ?\tWell .\n"
    found = multi_reference_lines([*INSTANCES, again], ["multiref\t1,t3_a,t1_a,t1_b"])
    assert found.lines == ["Is it so ?\t1|Well .\n"]


def test_a_head_by_another_name_is_taken_as_well() -> None:
    """The release says "Ignoring line", and does not."""
    assert len(references("ref\t9,t3_a,t1_a,t1_b")) == 1


def test_an_empty_context_is_one() -> None:
    lines = ["t3_a,t1_a,t1_b\t\tWell .\n", "t3_a,t1_a,t1_c\t\tSo .\n"]
    keys = ["multiref\t5,t3_a,t1_a,t1_b\t4,t3_a,t1_a,t1_c\n"]
    assert multi_reference_lines(lines, keys).lines == ["\t5|Well .\t4|So .\n"]


def test_scores_can_be_taken_off() -> None:
    lines = references("multiref\t19,t3_a,t1_a,t1_b\t2,t3_a,t1_a,t1_c")
    assert without_scores(lines) == ['Is it ?\t"Yes" , it is .\tNo 7 .\n']


@pytest.mark.parametrize("line", ["", "multiref", "multiref\tx", "multiref\t9,a\tb"])
def test_a_list_of_another_form_is_an_error(line: str) -> None:
    with pytest.raises(UserError, match="line 1 of the list of references"):
        references(line)


@pytest.mark.parametrize("line", ["", "a\tb", "a\tb\tc\td"])
def test_instances_of_another_form_are_an_error(line: str) -> None:
    with pytest.raises(UserError, match="line 1 of the instances"):
        multi_reference_lines([line], [])
