"""What each judge did, and who may not have looked."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, sqrt
from statistics import mean, median

from dialogpt.humaneval.judgments import Judgment
from dialogpt.humaneval.kinds import FIRST, SECOND, Answer
from dialogpt.humaneval.known_answers import MOST_FAILED_SHARE, KnownAnswers, known_answers

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
        num_compared: judgments where the other judges of the item who count have a majority.
        agreement: share of these that agree with it; None if there are none.
        first_shown: share of "first as shown" among preferences that are not neutral; None for
            ratings or if there are none.
        known: how the items with a known answer were answered.
        flags: reasons to look at the judge.
        is_spam: whether the known answers say that the judge did not look.
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
    known: KnownAnswers
    flags: tuple[str, ...]
    is_spam: bool


def judge_statistics(
    judgments: Iterable[Judgment], *, exclude_spam: bool = True
) -> list[JudgeStatistics]:
    """One for each judge, sorted by name.

    First the items with a known answer decide who counts; then those who count set the usual time
    and the majorities that everyone is compared with. Otherwise a few who click would make the
    measure by which the others are found slow or of another opinion.

    Args:
        judgments: of all purposes.
        exclude_spam: whether those who failed too many checks do not count.
    """
    by_judge: dict[str, list[Judgment]] = defaultdict(list)
    for judgment in judgments:
        by_judge[judgment.judge].append(judgment)
    given = [judgment for theirs in by_judge.values() for judgment in theirs]
    known = known_answers(given)
    counted = {judge for judge in by_judge if not (exclude_spam and known[judge].is_spam)}
    votes: dict[tuple[str, str], Counter[Answer]] = defaultdict(Counter)
    for judgment in given:
        if judgment.purpose == "judged" and judgment.judge in counted:
            votes[judgment.item, judgment.aspect][judgment.value] += 1
    compared = {
        judge: _compared(theirs, votes, is_counted=judge in counted)
        for judge, theirs in by_judge.items()
    }
    seconds = {judge: _seconds(theirs) for judge, theirs in by_judge.items()}
    medians = [median(seconds[judge]) for judge in sorted(counted) if seconds[judge]]
    usual = median(medians) if medians else 0.0
    return [
        _statistics(
            by_judge[judge],
            seconds[judge],
            known[judge],
            compared[judge],
            usual=usual,
            others=_sum(compared[other] for other in counted - {judge}),
        )
        for judge in sorted(by_judge)
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compared:
    """Judgments where the other judges have a majority: their number, items, and how many agree."""

    num: int
    num_items: int
    same: int

    @property
    def share(self) -> float | None:
        return self.same / self.num if self.num else None


def _sum(all_of: Iterable[_Compared]) -> _Compared:
    compared = list(all_of)
    return _Compared(
        num=sum(one.num for one in compared),
        num_items=sum(one.num_items for one in compared),
        same=sum(one.same for one in compared),
    )


def _statistics(
    given: Sequence[Judgment],
    seconds: Sequence[float],
    known: KnownAnswers,
    compared: _Compared,
    *,
    usual: float,
    others: _Compared,
) -> JudgeStatistics:
    judged = [j for j in given if j.purpose == "judged"]
    shown = Counter(j.value_as_shown for j in judged)
    preferred = shown[FIRST] + shown[SECOND]
    flags = [
        *_failures(known),
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
        known=known,
        flags=tuple(flags),
        is_spam=known.is_spam,
    )


def _failures(known: KnownAnswers) -> list[str]:
    if known.is_unknown:
        return [known.outcome]
    return [
        f"failed {failed} of {num} {what}; {MOST_FAILED_SHARE:.0%} are allowed"
        for what, failed, num in (
            ("qualification items", known.failed_qualification, known.num_qualification),
            ("spam checks", known.failed_spam_checks, known.num_spam_checks),
        )
        if failed > MOST_FAILED_SHARE * num
    ]


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
    given: Iterable[Judgment],
    votes: Mapping[tuple[str, str], Counter[Answer]],
    *,
    is_counted: bool,
) -> _Compared:
    """With the answer that has the most votes of the others, where there is one such answer."""
    agrees = []
    items = set()
    for judgment in given:
        if judgment.purpose != "judged":
            continue
        others = votes[judgment.item, judgment.aspect].copy()
        others[judgment.value] -= is_counted
        (winner, most), *rest = [*others.most_common(2), (None, 0)]
        if most > rest[0][1]:
            agrees.append(judgment.value == winner)
            items.add(judgment.item)
    return _Compared(num=len(agrees), num_items=len(items), same=sum(agrees))
