import pytest

from benchmarks.scaling import uncovered


@pytest.mark.parametrize(
    ("exchange", "work", "expected"),
    [
        ([(0, 4)], [], 4.0),
        ([(0, 4)], [(1, 2), (1.5, 3)], 2.0),
        ([(0, 4), (3, 6)], [(5, 9)], 5.0),  # at the same time counts once
        ([(2, 3)], [(0, 5)], 0.0),
        ([], [(0, 5)], 0.0),
    ],
)
def test_what_no_work_covers_is_not_hidden(exchange, work, expected):
    assert uncovered(exchange, work) == expected
