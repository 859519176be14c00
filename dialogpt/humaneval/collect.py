"""`python -m dialogpt.humaneval collect`: judges' files -> one file of judgments."""

import glob
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from dialogpt.command_line import UserError, printable
from dialogpt.config.humaneval import CollectConfig
from dialogpt.humaneval.answers import (
    ANSWERS_FORMAT,
    AnswersFile,
    Plan,
    format_of,
    read_answers,
    read_plan,
)
from dialogpt.humaneval.fields import brief, writing
from dialogpt.humaneval.judgments import Judgment, as_lines, judgments_of, read_judgments
from dialogpt.humaneval.kinds import Answer
from dialogpt.humaneval.known_answers import KnownAnswers, known_answers
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
    output = Path(config.output)
    paths, passed_over = answers_paths(config.answers, Path(config.plan), output)
    latest, notes = merged([read_answers(path, plan) for path in paths])
    judgments = [
        judgment
        for judge, file in latest.items()
        for item in plan.judges[judge]
        if item in file.answers
        for judgment in judgments_of(file.answers[item], file, plan)
    ]
    if passed_over:
        notes.append(f"no answers, passed over: {_named([p.name for p in passed_over])}")
    if folders := sorted(p for word in config.answers for p in _folders_within(Path(word))):
        names = _named([str(folder) for folder in folders])
        notes.append(f"folders within folders, not looked into: {names}; name them as well")
    if output.exists() and (num := _num_replaced(output, judgments)):
        notes.append(f"{num:,} answers in {output} are replaced by later ones of the same session")
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        write_text(output, as_lines(judgments))
    for line in [*notes, *summary(plan, latest, judgments)]:
        print(printable(line))
    print(printable(f"{len(judgments):,} judgments written to {output}"))
    return 0


def answers_paths(words: Sequence[str], plan: Path, output: Path) -> tuple[list[Path], list[Path]]:
    """Files, those of folders that hold answers, and what patterns match; each once, sorted.

    Of a folder every *.json file must hold answers, but for the plan and the output. Others may,
    for judges may paste them into a file of any name.

    Returns:
        Files to read; files of folders that hold no answers.

    Raises:
        UserError: nothing is found for one of the words.
    """
    found: set[Path] = set()
    passed_over: set[Path] = set()
    ours = {plan.resolve(), output.resolve()}
    for word in words:
        path = Path(word)
        if path.is_dir():
            files = [file for file in path.iterdir() if file.is_file()]
            matches = [f for f in files if f.suffix == ".json" or format_of(f) == ANSWERS_FORMAT]
            passed_over |= {f for f in files if f not in matches and f.resolve() not in ours}
        elif path.exists():
            matches = [path]
        else:
            matches = [Path(match) for match in glob.glob(word, recursive=True)]  # noqa: PTH207
        matches = [match for match in matches if match.resolve() not in ours]
        if not matches:
            raise UserError(
                f"{word}: expected answers of judges, found none; name a file, a folder or a "
                "pattern"
            )
        found.update(matches)
    return sorted(found), sorted(passed_over)


def _folders_within(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.is_dir()] if path.is_dir() else []


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


def _num_replaced(output: Path, judgments: Iterable[Judgment]) -> int:
    """How many answers of a file take another value.

    Raises:
        UserError: one would be lost, or be replaced by something else than a later export of the
            same session.
    """
    new = {(judgment.study, *judgment.key): judgment for judgment in judgments}
    num_replaced = 0
    for old in read_judgments(output):
        now = new.get((old.study, *old.key))
        whose = f"judge {brief(old.judge)} on item {brief(old.item)}, {brief(old.aspect)}"
        if now is None:
            raise UserError(
                f"{output}: expected nothing there that would be lost, found the answer of "
                f"{whose}, of study {brief(old.study)}; name the files of all judges, or another "
                "--output"
            )
        if now.value == old.value:
            continue
        if not _is_later(now, old):
            raise UserError(
                f"{output}: expected the answer of {whose}, as before, {old.value!r}, or a later "
                f"export of the same session, found {now.value!r}; leave out the wrong file, or "
                "name another --output"
            )
        num_replaced += 1
    return num_replaced


def _is_later(now: Judgment, old: Judgment) -> bool:
    """Whether it comes from the same session, and was saved afterwards."""
    if now.started is None or now.exported is None or old.exported is None:
        return False
    before, after = map(datetime.fromisoformat, (old.exported, now.exported))
    return now.started == old.started and before < after


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
    known = known_answers(judgments)
    for judge, items in answered.items():
        planned = len(plan.judges[judge])
        state = "complete" if len(items) == planned else f"{planned - len(items)} to go"
        words = [f"{len(items)} of {planned} items", state]
        words += _checks_in_words(plan, judge, known.get(judge))
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


def _checks_in_words(plan: Plan, judge: str, known: KnownAnswers | None) -> list[str]:
    """What became of the items with a known answer, also if none was answered."""
    num_planned = sum(plan.items[item].purpose != "judged" for item in plan.judges[judge])
    if known is None or not known.num:
        return [f"0 of {num_planned} items with a known answer answered"] if num_planned else []
    return [
        f"{failed} of {num} {name} failed"
        for name, failed, num in (
            ("qualification items", known.failed_qualification, known.num_qualification),
            ("spam checks", known.failed_spam_checks, known.num_spam_checks),
        )
        if num
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
