import pytest

from data_prep.reporting.formats import counted, number, percent, size


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.99999, "99.9 %"),
        (0.5, "50.0 %"),
        (0.001, "0.1 %"),
        (0.0002, "0.020 %"),
        (1e-6, "< 0.001 %"),
    ],
)
def test_only_nothing_is_0_percent_and_only_all_is_100(share, text):
    assert percent(share) == text


def test_numbers_have_thousands_separators_and_a_real_minus():
    assert [number(n) for n in (1_234_567, -5, 24.06, 1234.5)] == [
        "1,234,567",
        "−5",
        "24.1",
        "1,234",
    ]


def test_one_is_singular():
    assert [counted(n, "turn") for n in (0, 1, 2_000)] == ["0 turns", "1 turn", "2,000 turns"]


def test_sizes_have_the_unit_of_their_magnitude():
    assert [size(n) for n in (999, 1_000, 32_600_000, 5 * 10**15)] == [
        *("999 B", "1.0 kB", "32.6 MB", "5,000.0 TB"),
    ]
