import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from golden.dstc7.cases import MONTHS, WITHOUT, month, thread

from data_prep.published.dstc7_submissions import (
    DROPS,
    RULES,
    Submission,
    SubmissionLists,
    drop_reason,
    read_submissions,
)

FIXTURES = Path(__file__).parents[3] / "fixtures" / "dstc7"


def reason(lists: SubmissionLists | None = None, **values: Any) -> str | None:
    return drop_reason(thread("x", **values).submission, lists or SubmissionLists())


def read(path: Path) -> tuple[dict[str, Submission], Counter[str]]:
    counts: Counter[str] = Counter()
    return read_submissions(path, SubmissionLists(), counts, lambda _: None), counts


def test_a_link_to_a_place_in_a_page_is_kept() -> None:
    assert reason() is None


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("few_comments", {"num_comments": 9}),
        ("crossposted", {"num_crossposts": 1}),
        ("locked", {"locked": True}),
        ("over_18", {"over-18": True, "over_18": True}),
        ("not_brand_safe", {"brand_safe": None}),
        ("distinguished", {"distinguished": "admin"}),
        ("not_public", {"subreddit_type": "archived"}),
        ("excluded_domain", {"domain": "old.reddit.com"}),
        ("no_anchor", {"url": "http://a.b/#cd"}),
        ("blank_in_url", {"url": "http://a.b/ #cde"}),
        ("file", {"url": "http://a.b/#cde.png"}),
        ("unusable", {"url": None}),
        ("unusable", {"score": WITHOUT}),
        ("unusable", {"num_comments": "12"}),
        ("unusable", {"title": "t" * 50_001}),
    ],
)
def test_a_dropped_submission_says_why(expected: str, values: dict[str, Any]) -> None:
    assert reason(**values) == expected
    assert expected in DROPS


def test_posts_for_adults_pass_as_in_the_challenge() -> None:
    """It asks for "over-18", which no dump has."""
    assert reason(over_18=True) is None


def test_the_first_rule_that_applies_gives_the_reason() -> None:
    values = {"num_comments": 1, "num_crossposts": 1, "locked": True, "url": "http://a.b/ c.png"}
    order = [name for name, _ in RULES]
    found = []
    for name, mended in (("num_comments", 10), ("num_crossposts", 0), ("locked", False)):
        found.append(reason(**values))
        values[name] = mended
    found.append(reason(**values))
    assert found == ["few_comments", "crossposted", "locked", "no_anchor"]
    assert sorted(found, key=order.index) == found


@pytest.mark.parametrize(
    ("expected", "lists"),
    [
        ("other_subreddit", SubmissionLists(subreddits=frozenset({"TodayILearned"}))),
        ("other_domain", SubmissionLists(domains=frozenset({"wikipedia.org"}))),
        ("other_page", SubmissionLists(pages=frozenset({"http://en.wikipedia.org/wiki/x"}))),
        (None, SubmissionLists(subreddits=frozenset({"todayilearned"}))),
    ],
)
def test_lists_are_compared_letter_by_letter(expected: str | None, lists: SubmissionLists) -> None:
    assert reason(lists) == expected


def test_no_submission_is_lost_uncounted() -> None:
    for name in MONTHS:
        _, counts = read(FIXTURES / f"RS_{name}.jsonl")
        drops = {key.split(".")[1]: n for key, n in counts.items() if "_dropped." in key}
        assert counts["submissions_read"] == counts["submissions_kept"] + sum(drops.values())
        assert set(drops) <= set(DROPS)


def test_of_equal_ids_the_last_one_counts_and_a_dropped_one_changes_nothing(tmp_path: Path) -> None:
    posts = [thread("x", title="First"), thread("x", title="Last"), thread("x", num_comments=1)]
    path = tmp_path / "RS_2017-04"
    path.write_text("\n".join(json.dumps(post.submission) for post in posts))
    kept, counts = read(path)
    assert kept == {"x": Submission("todayilearned", "Last")}
    assert counts["submissions_kept"] == 2


def test_fixtures_are_what_the_cases_say() -> None:
    for number, name in enumerate(MONTHS):
        dumps = [(FIXTURES / f"{kind}_{name}.jsonl").read_bytes() for kind in ("RC", "RS")]
        assert tuple(dumps) == month(number)
