"""How judges answered the items whose answer is known."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dialogpt.humaneval.judgments import Judgment

MOST_FAILED_SHARE = 0.25
"""A judge who fails a greater share of the items with a known answer, qualification items and spam
checks together, is left out of the results: so few spam checks alone let too many clickers in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownAnswers:
    """Of one judge.

    An item of which only those aspects were answered where nothing is expected is not among them:
    it is neither passed nor failed. One wrong answer fails an item.

    Attributes:
        num_known: items with a known answer that any judge answered; all judges get the same.
        num_qualification, failed_qualification, num_spam_checks, failed_spam_checks: those that
            this judge answered, and those that are failed.
    """

    num_known: int
    num_qualification: int
    failed_qualification: int
    num_spam_checks: int
    failed_spam_checks: int

    @property
    def num(self) -> int:
        """Answered, of both purposes."""
        return self.num_qualification + self.num_spam_checks

    @property
    def failed(self) -> int:
        """Failed, of both purposes."""
        return self.failed_qualification + self.failed_spam_checks

    @property
    def is_spam(self) -> bool:
        """Whether more are failed than is allowed, or none is answered, which tells nothing."""
        return self.failed > MOST_FAILED_SHARE * self.num or self.is_unknown

    @property
    def is_unknown(self) -> bool:
        """Whether there are such items and none is answered."""
        return self.num_known > 0 and not self.num

    @property
    def outcome(self) -> str:
        """In words."""
        if self.is_unknown:
            return f"answered 0 of {self.num_known} items with a known answer"
        return f"failed {self.failed} of {self.num} items with a known answer"


def known_answers(judgments: Iterable[Judgment]) -> dict[str, KnownAnswers]:
    """For each judge, also those who answered none.

    Args:
        judgments: of all purposes.
    """
    given = list(judgments)
    num_known = len({j.item for j in given if j.purpose != "judged"})
    known = [j for j in given if j.passed is not None]
    answered = Counter((judge, purpose) for judge, purpose, _ in _items(known))
    failed = Counter(
        (judge, purpose) for judge, purpose, _ in _items(j for j in known if not j.passed)
    )

    return {
        judge: KnownAnswers(
            num_known=num_known,
            num_qualification=answered[judge, "qualification"],
            failed_qualification=failed[judge, "qualification"],
            num_spam_checks=answered[judge, "spam_check"],
            failed_spam_checks=failed[judge, "spam_check"],
        )
        for judge in sorted({j.judge for j in given})
    }


def _items(judgments: Iterable[Judgment]) -> set[tuple[str, str, str]]:
    return {(j.judge, j.purpose, j.item) for j in judgments}
