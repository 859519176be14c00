"""Fleiss' kappa and plain agreement."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support_judgments import judged_by, judgment

from dialogpt.humaneval.agreement import agreements, fleiss_kappa, mean_kappa

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "golden" / "metrics" / "human" / "fleiss.json").read_text(
        encoding="utf-8"
    )
)


def test_kappa_of_ten_items_is_the_fraction() -> None:
    (_, found) = agreements(judged_by(GOLDEN["ratings"]))
    assert found.kappa == pytest.approx(float(Fraction(GOLDEN["fleiss_kappa"])), abs=1e-12)
    assert found.kappa == pytest.approx(GOLDEN["fleiss_kappa_float"], abs=1e-6)
    assert found.unanimous == 0.4
    pairs = [(a == b) + (a == c) + (b == c) for a, b, c in GOLDEN["ratings"]]
    assert found.agreeing == pytest.approx(sum(pairs) / 30)


def test_kappa_of_the_textbook() -> None:
    counts = np.array(GOLDEN["textbook"]["counts"])
    assert fleiss_kappa(counts) == pytest.approx(GOLDEN["textbook"]["kappa"], abs=1e-6)


def test_with_unequal_numbers_of_judges_it_is_gwets() -> None:
    counts = [(3, 1), (0, 2), (1, 0), (0, 0)]
    # Items with two judges or more: 3/6 and 1 of the pairs agree. The third has but one judge, and
    # counts for the shares; the last has none.
    agreeing = (Fraction(3 * 2, 4 * 3) + 1) / 2
    first = (Fraction(3, 4) + 0 + 1) / 3
    by_chance = first**2 + (1 - first) ** 2
    expected = (agreeing - by_chance) / (1 - by_chance)
    assert fleiss_kappa(np.array(counts)) == pytest.approx(float(expected), abs=1e-12)


def test_where_kappa_is_not_defined_there_is_none() -> None:
    assert fleiss_kappa(np.array([[3, 0], [2, 0]])) is None
    assert fleiss_kappa(np.array([[1, 0], [0, 1]])) is None
    assert mean_kappa(agreements(judged_by([[1], [2]]))) is None


def test_the_average_is_over_aspects_of_all_items() -> None:
    judgments = judged_by(GOLDEN["ratings"], aspect="fluency")
    judgments += judged_by([[0, 0, 0], [2, 2, 2]], aspect="overall")
    judgments += judged_by([[0, 0, 0], [2, 2, 2]], aspect="overall", systems=("b",))
    found = agreements(judgments)
    assert [(one.systems, one.aspect) for one in found] == [
        ((), "fluency"),
        ((), "overall"),
        (("a",), "fluency"),
        (("a",), "overall"),
        (("b",), "overall"),
    ]
    assert mean_kappa(found) == pytest.approx((float(Fraction(101, 296)) + 1) / 2)


def test_preferences_are_counted_as_they_stood_on_the_page() -> None:
    """All prefer a, wherever it stands: as good as agreement can be."""
    cast = [
        judgment("first", item=f"item-{n}", judge=judge, shown=shown)
        for n, shown in enumerate([("a", "b"), ("b", "a")] * 3)
        for judge in ("one", "two")
    ]
    (together, pair) = agreements(cast)
    assert together.kappa == pair.kappa == 1.0
