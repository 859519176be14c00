"""A judgment: one judge, one item, one aspect. What `collect` writes and `analyze` reads."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from dialogpt.config.humaneval import Kind
from dialogpt.humaneval.answers import PURPOSES, AnsweredItem, AnswersFile, Plan, checked_value
from dialogpt.humaneval.fields import Fields, brief, mistake, read_text
from dialogpt.humaneval.items import Purpose
from dialogpt.humaneval.kinds import FIRST, KINDS, NEUTRAL, SECOND, Answer
from dialogpt.records import json_lines

_MIRRORED: Mapping[Answer, Answer] = {FIRST: SECOND, NEUTRAL: NEUTRAL, SECOND: FIRST}


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgment:
    """One judge's answer on one aspect of one item. A line of the collected file holds these names.

    Attributes:
        study, kind: of the plan.
        judge, item, purpose, context_index, aspect: as in the plan.
        systems: what is judged; of two, the one whose name sorts first comes first, whatever the
            order on the page.
        shown: the same in the order of the page.
        value: "first", "neutral" or "second" of `systems`, or a rating.
        passed: whether the answer is one that was expected; None where none is known.
        seconds: how long the judge took for the whole item; None where not known.
        comment: what the judge wrote beside the item.
        started, exported: when the judge began, which tells sessions apart, and when the answer was
            saved, in ISO 8601; None where not known.
    """

    study: str
    kind: Kind
    judge: str
    item: str
    purpose: Purpose
    context_index: int
    systems: tuple[str, ...]
    shown: tuple[str, ...]
    aspect: str
    value: Answer
    passed: bool | None
    seconds: float | None
    comment: str
    started: str | None = None
    exported: str | None = None

    @property
    def value_as_shown(self) -> Answer:
        """The answer as the judge saw it: "first" is the reply that stood first."""
        return self.value if self.shown == self.systems else _MIRRORED[self.value]

    @property
    def key(self) -> tuple[str, str, str]:
        """Judge, item and aspect: who answered what. No two judgments share it."""
        return self.judge, self.item, self.aspect

    def to_json(self) -> str:
        """The judgment as one line, without its end."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})


def judgments_of(answered: AnsweredItem, file: AnswersFile, plan: Plan) -> list[Judgment]:
    """One judgment for each aspect that was answered, in the order of the plan's aspects."""
    item = plan.items[answered.item]
    systems = tuple(sorted(item.shown))
    judgments = []
    for aspect in plan.aspects:
        if aspect not in answered.values:
            continue
        as_shown = answered.values[aspect]
        expected = item.expected.get(aspect)
        judgments.append(
            Judgment(
                study=plan.study,
                kind=plan.kind,
                judge=file.judge,
                item=item.id,
                purpose=item.purpose,
                context_index=item.context_index,
                systems=systems,
                shown=item.shown,
                aspect=aspect,
                value=as_shown if systems == item.shown else _MIRRORED[as_shown],
                passed=None if expected is None else as_shown in expected,
                seconds=answered.seconds,
                comment=answered.comment,
                started=file.started.isoformat(),
                exported=file.exported.isoformat(),
            )
        )
    return judgments


def as_lines(judgments: Iterable[Judgment]) -> str:
    """The text of a collected file."""
    return "".join(judgment.to_json() + "\n" for judgment in judgments)


def read_judgments(path: Path) -> list[Judgment]:
    """The judgments of a file that `collect` wrote.

    Raises:
        UserError, RecordError: a line is none, or contradicts another one.
    """
    judgments: dict[tuple[str, str, str], Judgment] = {}
    items: dict[str, tuple[object, ...]] = {}
    for line_number, value in json_lines(StringIO(read_text(path)), str(path)):
        where = f"{path}:{line_number}"
        judgment = _judgment(Fields(value, where))
        first = next(iter(judgments.values()), judgment)
        if (judgment.study, judgment.kind) != (first.study, first.kind):
            raise mistake(where, f"study {first.study!r} of {first.kind}", judgment.study)
        if judgment.key in judgments:
            raise mistake(where, "each judge, item and aspect once", " ".join(judgment.key))
        item = (judgment.systems, judgment.shown, judgment.purpose, judgment.context_index)
        if items.setdefault(judgment.item, item) != item:
            raise mistake(
                f"{where}, item {brief(judgment.item)}",
                f"what stands on it above, {items[judgment.item]}",
                item,
            )
        judgments[judgment.key] = judgment
    return list(judgments.values())


def _judgment(fields: Fields) -> Judgment:
    kind: Kind = fields.one_of("kind", tuple(KINDS))  # type: ignore[assignment]
    purpose: Purpose = fields.one_of("purpose", PURPOSES)  # type: ignore[assignment]
    systems, shown = fields.texts("systems"), fields.texts("shown")
    if len(shown) != KINDS[kind].num_shown or list(systems) != sorted(shown):
        raise mistake(f"{fields.where}, 'systems'", "the systems of 'shown', sorted", systems)
    return Judgment(
        study=fields.text("study"),
        kind=kind,
        judge=fields.text("judge"),
        item=fields.text("item"),
        purpose=purpose,
        context_index=fields.whole("context_index"),
        systems=systems,
        shown=shown,
        aspect=fields.one_of("aspect", KINDS[kind].aspect_names),
        value=checked_value(fields.value("value"), kind, f"{fields.where}, 'value'"),
        passed=None if fields.value("passed") is None else fields.flag("passed"),
        seconds=None if fields.value("seconds") is None else fields.seconds("seconds"),
        comment=fields.text("comment"),
        started=_moment(fields, "started"),
        exported=_moment(fields, "exported"),
    )


def _moment(fields: Fields, name: str) -> str | None:
    return None if fields.value(name) is None else fields.moment(name).isoformat()
