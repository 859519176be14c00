from pathlib import Path

import numpy as np
import pytest

from data_prep.config import FilterConfig
from data_prep.counts import (
    MonthCounts,
    Tally,
    as_text,
    as_tsv,
    count_names,
    merged,
    month_name,
    month_number,
    require_sums,
    with_total,
)
from data_prep.filters import FilterSet

ROOT = Path(__file__).parents[3]
NAMES = count_names(("url", "too_long"))


def counts(**months: dict[str, int]) -> MonthCounts:
    return merged([{name.replace("_", "-"): numbers for name, numbers in months.items()}], NAMES)


def test_a_tally_counts_rows_by_their_month() -> None:
    tally = Tally()
    tally.add_each(np.array([201502, 201412, 201502], dtype=np.int32), "paths")
    tally.add("2015-02", "paths", 40)
    tally.add("2015-03", "paths", 0)
    assert tally.by_month() == {"2014-12": {"paths": 1}, "2015-02": {"paths": 42}}


def test_a_month_and_its_number_are_the_same() -> None:
    assert month_number("2005-12") == 200512
    assert month_name(200512) == "2005-12"


def test_parts_add_up_to_every_name_in_every_month() -> None:
    total = merged([{"2015-02": {"paths": 1}}, {"2014-12": {}}, {"2015-02": {"paths": 2}}], NAMES)
    assert list(total) == ["2014-12", "2015-02"]
    assert list(total["2014-12"]) == NAMES
    assert total["2015-02"]["paths"] == with_total(total)["total"]["paths"] == 3


def test_a_name_that_no_table_shows_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="pahts"):
        merged([{"2015-02": {"pahts": 1}}], NAMES)


GOOD = {
    "comments_read": 10,
    "comments_dropped.removed": 3,
    "comments_kept": 7,
    "comments_kept.unknown_parent": 2,
    "paths": 5,
    "paths_dropped.url": 1,
    "dialogues.train": 3,
    "dialogues.test": 1,
}


def test_sums_that_hold_pass() -> None:
    require_sums(counts(y2015_01=GOOD))


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"comments_kept.unknown_parent"}))
def test_a_number_lost_on_the_way_is_noticed(name: str) -> None:
    with pytest.raises(AssertionError):
        require_sums(counts(y2015_01={**GOOD, name: GOOD[name] + 1}))


def test_many_months_are_a_table_of_100_columns() -> None:
    months = {
        f"20{year}-{month:02d}": {"paths": 10**9} for year in (14, 15) for month in range(1, 13)
    }
    text = as_text(merged([months], NAMES))
    assert max(len(line) for line in text.splitlines()) <= 100
    heads = [word for line in text.splitlines() if "20" in line for word in line.split()]
    assert heads == ["total", *months]
    assert "24,000,000,000" in text
    assert "url" not in text
    assert "\npaths_dropped.url\t0" in as_tsv(merged([months], NAMES))


def test_the_docs_explain_every_name() -> None:
    pages = [(ROOT / "docs" / name).read_text() for name in ("dialogues.md", "text-and-filters.md")]
    for name in count_names(FilterSet.from_config(FilterConfig()).reasons):
        whole, _, part = name.partition(".")
        if part and whole != "dialogues":
            assert any(f"`{part}`" in page for page in pages), name
