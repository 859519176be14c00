"""What each judge did, and who may not have looked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, sqrt
from statistics import mean, median

from dialogpt.humaneval.items import Purpose
from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.kinds import FIRST, SECOND, Answer

MOST_FAILED_SHARE = 0.25
"""A judge who fails a greater share of the items with a known answer, qualification items and spam
checks together, is left out of the results: so few spam checks alone let too many clickers in."""

HASTE = 0.4
"""Flagged: a median time below this part of the median of all judges' medians."""
SAME_ANSWER_SHARE = 0.95
"""Flagged: one answer, as shown, in so great a share of the judgments."""
STANDARD_ERRORS = 3.0
"""Flagged: the share of "first as shown" among preferences so many standard errors from a half. The
number of items makes the standard error."""
DISSENT = 0.00135
"""Flagged: agreement with the others so much lower than that of all other judges that it would come
this rarely by chance (3 standard errors, one-sided), by Fisher's exact test. Not a standard error:
where the others always agree it is 0, and one dissent would be infinitely many."""
FEWEST = 10
"""Judgments, or items, below which shares, or times, are not flagged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeStatistics:
    """What one judge did.

    Attributes:
        judge: by name.
        num_items: answered, checks included.
        num_judgments: on items that are judged; what follows is about these, but for the checks.
        mean_seconds, median_seconds: for an item, checks included; None where not known.
        shares: answer as shown -> share of the judgments.
        num_compared: judgments where the other judges of the item have a majority.
        agreement: share of these that agree with it; None if there are none.
        first_shown: share of "first as shown" among preferences that are not neutral; None for
            ratings or if there are none.
        num_qualification, failed_qualification, num_spam_checks, failed_spam_checks: items whose
            answer is known, and those where an answer is not one of the expected ones.
        flags: reasons to look at the judge.
        is_spam: whether the judge failed more items with a known answer than is allowed.
    """

    judge: str
    num_items: int
    num_judgments: int
    mean_seconds: float | None
    median_seconds: float | None
    shares: Mapping[Answer, float]
    num_compared: int
    agreement: float | None
    first_shown: float | None
    num_qualification: int
    failed_qualification: int
    num_spam_checks: int
    failed_spam_checks: int
    flags: tuple[str, ...]
    is_spam: bool


def judge_statistics(judgments: Iterable[Judgment]) -> list[JudgeStatistics]:
    """One for each judge, sorted by name.

    Args:
        judgments: of all purposes.
    """
    by_judge: dict[str, list[Judgment]] = defaultdict(list)
    votes: dict[tuple[str, str], Counter[Answer]] = defaultdict(Counter)
    for judgment in judgments:
        by_judge[judgment.judge].append(judgment)
        if judgment.purpose == "judged":
            votes[judgment.item, judgment.aspect][judgment.value] += 1
    compared = {judge: _compared(given, votes) for judge, given in by_judge.items()}
    seconds = {judge: _seconds(given) for judge, given in by_judge.items()}
    medians = [median(times) for times in seconds.values() if times]
    usual = median(medians) if medians else 0.0
    everyone = list(compared.values())
    found = []
    for judge in sorted(by_judge):
        own = compared[judge]
        others = _Compared(
            num=sum(one.num for one in everyone) - own.num,
            num_items=sum(one.num_items for one in everyone) - own.num_items,
            same=sum(one.same for one in everyone) - own.same,
        )
        found.append(_statistics(by_judge[judge], seconds[judge], own, usual=usual, others=others))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compared:
    """Judgments where the other judges have a majority: their number, items, and how many agree."""

    num: int
    num_items: int
    same: int

    @property
    def share(self) -> float | None:
        return self.same / self.num if self.num else None


def _statistics(
    given: Sequence[Judgment],
    seconds: Sequence[float],
    compared: _Compared,
    *,
    usual: float,
    others: _Compared,
) -> JudgeStatistics:
    judged = [j for j in given if j.purpose == "judged"]
    shown = Counter(j.value_as_shown for j in judged)
    preferred = shown[FIRST] + shown[SECOND]
    num_qualification, failed_qualification = _checks(given, "qualification")
    num_spam_checks, failed_spam_checks = _checks(given, "spam_check")
    flags = [
        *_failures("qualification items", failed_qualification, num_qualification),
        *_failures("spam checks", failed_spam_checks, num_spam_checks),
        *_haste(seconds, usual),
        *_habits(judged, shown),
        *_dissent(compared, others),
    ]
    return JudgeStatistics(
        judge=given[0].judge,
        num_items=len({j.item for j in given}),
        num_judgments=shown.total(),
        mean_seconds=mean(seconds) if seconds else None,
        median_seconds=median(seconds) if seconds else None,
        shares={v: n / shown.total() for v, n in sorted(shown.items(), key=str) if n},
        num_compared=compared.num,
        agreement=compared.share,
        first_shown=shown[FIRST] / preferred if preferred else None,
        num_qualification=num_qualification,
        failed_qualification=failed_qualification,
        num_spam_checks=num_spam_checks,
        failed_spam_checks=failed_spam_checks,
        flags=tuple(flags),
        is_spam=failed_qualification + failed_spam_checks
        > MOST_FAILED_SHARE * (num_qualification + num_spam_checks),
    )


def _failures(what: str, failed: int, num: int) -> list[str]:
    if failed > MOST_FAILED_SHARE * num:
        return [f"failed {failed} of {num} {what}; {MOST_FAILED_SHARE:.0%} are allowed"]
    return []


def _haste(seconds: Sequence[float], usual: float) -> list[str]:
    if len(seconds) >= FEWEST and median(seconds) < HASTE * usual:
        return [f"median of {median(seconds):.1f} s an item; half of the judges {usual:.1f} s"]
    return []


def _habits(judged: Sequence[Judgment], shown: Counter[Answer]) -> list[str]:
    """One answer for all, and one place for all, each with its numbers."""
    flags = []
    if shown.total() >= FEWEST:
        ((answer, times),) = shown.most_common(1)
        if times >= SAME_ANSWER_SHARE * shown.total():
            flags.append(f"answers {answer!r} in {times} of {shown.total()} judgments")
    preferred = shown[FIRST] + shown[SECOND]
    # Items, because the aspects of an item are no independent evidence.
    num_items = len({j.item for j in judged if j.value in (FIRST, SECOND)})
    if num_items >= FEWEST:
        away = abs(shown[FIRST] / preferred - 0.5) / (0.5 / sqrt(num_items))
        if away > STANDARD_ERRORS:
            flags.append(
                f"prefers the reply shown first in {shown[FIRST]} of {preferred} preferences on "
                f"{num_items} items, {away:.1f} standard errors from a half"
            )
    return flags


def _dissent(own: _Compared, others: _Compared) -> list[str]:
    if others.share is None or own.share is None or own.num_items < FEWEST:
        return []
    chance = _chance_of_fewer(own.num_items, own.share, others.num_items, others.share)
    if own.share >= others.share or chance >= DISSENT:
        return []
    return [
        f"agrees with the majority of the others in {own.share:.0%}, the other judges in "
        f"{others.share:.0%}"
    ]


def _chance_of_fewer(num: int, share: float, num_others: int, share_others: float) -> float:
    """Fisher's exact test, one-sided: as few agreements or fewer among the first, all else given.

    Args:
        num: items; the share is rounded to them, because the aspects of an item are no independent
            evidence.
        share: that agrees.
        num_others: items of the others.
        share_others: that agrees there.
    """
    dissents = round(num * (1 - share))
    total = dissents + round(num_others * (1 - share_others))
    return sum(
        exp(
            _log_ways(num, k)
            + _log_ways(num_others, total - k)
            - _log_ways(num + num_others, total)
        )
        for k in range(max(dissents, total - num_others), min(num, total) + 1)
    )


def _log_ways(num: int, chosen: int) -> float:
    """Logarithm of the binomial coefficient."""
    return lgamma(num + 1) - lgamma(chosen + 1) - lgamma(num - chosen + 1)


def _seconds(given: Iterable[Judgment]) -> list[float]:
    """Of each item once, though it has a judgment for every aspect."""
    return list({j.item: j.seconds for j in given if j.seconds is not None}.values())


def _compared(
    given: Iterable[Judgment], votes: Mapping[tuple[str, str], Counter[Answer]]
) -> _Compared:
    """With the answer that has the most votes of the others, where there is one such answer."""
    agrees = []
    items = set()
    for judgment in given:
        if judgment.purpose != "judged":
            continue
        others = votes[judgment.item, judgment.aspect].copy()
        others[judgment.value] -= 1
        (winner, most), *rest = [*others.most_common(2), (None, 0)]
        if most > rest[0][1]:
            agrees.append(judgment.value == winner)
            items.add(judgment.item)
    return _Compared(num=len(agrees), num_items=len(items), same=sum(agrees))


def _checks(given: Iterable[Judgment], purpose: Purpose) -> tuple[int, int]:
    """Items of this purpose, and those that are failed."""
    checks = [j for j in given if j.purpose == purpose]
    failed = {j.item for j in checks if j.passed is False}
    return len({j.item for j in checks}), len(failed)
