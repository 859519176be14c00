"""`python -m dialogpt.humaneval collect`: judges' files -> one file of judgments."""

import glob
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import CollectConfig
from dialogpt.humaneval.answers import AnswersFile, Plan, read_answers, read_plan
from dialogpt.humaneval.fields import brief
from dialogpt.humaneval.judgments import Judgment, as_lines, judgments_of, read_judgments
from dialogpt.humaneval.kinds import Answer
from dialogpt.records import write_text
from dialogpt.text import clean_turn

_MOST_NAMED = 10


def collect(config: CollectConfig) -> int:
    """Merge and check what judges sent back; write it, and print what there is and what is not.

    Returns:
        0; what is missing is no mistake, because judges may be at work.

    Raises:
        UserError: a file is none of this study, two files contradict each other, or the output
            holds judgments that would be lost.
    """
    plan = read_plan(Path(config.plan))
    paths = answers_paths(config.answers, Path(config.plan))
    latest, notes = merged([read_answers(path, plan) for path in paths])
    judgments = [
        judgment
        for judge, file in latest.items()
        for item in plan.judges[judge]
        if item in file.answers
        for judgment in judgments_of(file.answers[item], judge, plan)
    ]
    output = Path(config.output)
    if output.exists():
        _require_nothing_lost(output, judgments)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_text(output, as_lines(judgments))
    for line in [*notes, *summary(plan, latest, judgments)]:
        print(line)
    print(f"{len(judgments):,} judgments written to {output}")
    return 0


def answers_paths(words: Sequence[str], plan: Path) -> list[Path]:
    """Files, the *.json files of folders, and what patterns match; each once, sorted.

    A plan that lies among them is no answers file, and is passed over.

    Raises:
        UserError: nothing is found for one of the words.
    """
    found: set[Path] = set()
    for word in words:
        path = Path(word)
        if path.is_dir():
            matches = list(path.glob("*.json"))
        elif path.exists():
            matches = [path]
        else:
            matches = [Path(match) for match in glob.glob(word, recursive=True)]  # noqa: PTH207
        matches = [match for match in matches if match.resolve() != plan.resolve()]
        if not matches:
            raise UserError(
                f"{word}: expected answers of judges (*.json), found none; name a file, a folder "
                "or a pattern"
            )
        found.update(matches)
    return sorted(found)


def merged(files: Iterable[AnswersFile]) -> tuple[dict[str, AnswersFile], list[str]]:
    """The last export of each judge, and what to say about the others.

    A later export takes the place of an earlier one if it answers all that the earlier one does,
    and either comes from the same session, where answers may have been changed, or answers alike.

    Returns:
        Judge -> file, sorted by judge, and lines for the user.

    Raises:
        UserError: two files of a judge contradict each other.
    """
    by_judge: dict[str, list[AnswersFile]] = defaultdict(list)
    for file in files:
        by_judge[file.judge].append(file)
    latest, notes = {}, []
    for judge, exports in sorted(by_judge.items()):
        exports.sort(key=lambda file: (file.exported, len(file.answers), str(file.path)))
        for earlier, later in pairwise(exports):
            changed = _num_changed(earlier, later)
            notes.append(
                f"{clean_turn(judge)}: {later.path} takes the place of {earlier.path}"
                + (f", {changed} of its answers changed" if changed else "")
            )
        latest[judge] = exports[-1]
    return latest, notes


def _num_changed(earlier: AnswersFile, later: AnswersFile) -> int:
    """Answers of the earlier export that the later one gives otherwise."""
    both = f"{earlier.path} and {later.path}, both of judge {brief(later.judge)}"
    before, now = _by_aspect(earlier), _by_aspect(later)
    lost = [place for place in before if place not in now]
    if lost:
        raise UserError(
            f"{both}: expected the later export to hold all answers of the earlier one, found "
            f"none on item {brief(lost[0][0])}, {brief(lost[0][1])} ({len(lost)} missing); leave "
            "out one of the files"
        )
    changed = [place for place, value in before.items() if now[place] != value]
    if changed and earlier.started != later.started:
        item, aspect = changed[0]
        raise UserError(
            f"{both}: expected one session, or two with the same answers, found "
            f"{before[changed[0]]!r} and {now[changed[0]]!r} on item {brief(item)}, "
            f"{brief(aspect)}; two people may have used one page: leave out one of the files"
        )
    return len(changed)


def _by_aspect(file: AnswersFile) -> dict[tuple[str, str], Answer]:
    """Item and aspect -> answer."""
    return {
        (item, aspect): value
        for item, answered in file.answers.items()
        for aspect, value in answered.values.items()
    }


def _require_nothing_lost(output: Path, judgments: Iterable[Judgment]) -> None:
    """Raise UserError if a file holds judgments that are not among those to be written."""
    new = {(judgment.study, *judgment.key) for judgment in judgments}
    for old in read_judgments(output):
        if (old.study, *old.key) not in new:
            raise UserError(
                f"{output}: expected nothing there that would be lost, found the answer of judge "
                f"{brief(old.judge)} on item {brief(old.item)} of study {brief(old.study)}; name "
                "the files of all judges, or another --output"
            )


def summary(
    plan: Plan, latest: Mapping[str, AnswersFile], judgments: Sequence[Judgment]
) -> list[str]:
    """Lines on judges, on items that lack judgments, and on checks.

    An item counts as answered if all its aspects are.
    """
    answered = {
        judge: [i for i, one in file.answers.items() if len(one.values) == len(plan.aspects)]
        for judge, file in latest.items()
    }
    lines = [
        f"study {clean_turn(plan.study)} ({plan.kind}): {len(latest)} of {len(plan.judges)} judges "
        "sent answers"
    ]
    failed = failed_checks(judgments)
    for judge, items in answered.items():
        planned = len(plan.judges[judge])
        state = "complete" if len(items) == planned else f"{planned - len(items)} to go"
        checks: Counter[str] = Counter(plan.items[item].purpose for item in items)
        words = [f"{len(items)} of {planned} items", state]
        words += [
            f"{len(failed[judge, purpose])} of {checks[purpose]} {name} failed"
            for purpose, name in (
                ("qualification", "qualification items"),
                ("spam_check", "spam checks"),
            )
            if checks[purpose]
        ]
        lines.append(f"  {clean_turn(judge)}: {', '.join(words)}")
    without = [clean_turn(judge) for judge in plan.judges if judge not in latest]
    if without:
        lines.append(f"  no answers from {_named(without)}")
    only_said = sum(
        bool(one.comment) and not one.values for f in latest.values() for one in f.answers.values()
    )
    if only_said:
        lines.append(f"  {only_said} comments on items without an answer are not taken over")
    return [*lines, *_items_that_lack(plan, answered)]


def _items_that_lack(plan: Plan, answered: Mapping[str, Sequence[str]]) -> list[str]:
    """How many items have all the judges that were planned, and which have not."""
    planned = Counter(
        item
        for items in plan.judges.values()
        for item in items
        if plan.items[item].purpose == "judged"
    )
    given = Counter(item for items in answered.values() for item in items)
    short = [item for item in sorted(planned) if given[item] < planned[item]]
    lines = [
        f"{len(planned) - len(short)} of {len(planned)} judged items have all answers that were "
        "planned"
    ]
    if short:
        pieces = [f"{clean_turn(item)} ({given[item]} of {planned[item]})" for item in short]
        lines.append(f"  fewer: {_named(pieces)}")
    return lines


def failed_checks(judgments: Iterable[Judgment]) -> dict[tuple[str, str], set[str]]:
    """Judge and purpose -> items with an answer that is not one of the expected ones."""
    failed: dict[tuple[str, str], set[str]] = defaultdict(set)
    for judgment in judgments:
        if judgment.passed is False:
            failed[judgment.judge, judgment.purpose].add(judgment.item)
    return failed


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
