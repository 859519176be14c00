"""The plan of a study and the files that judges send back, read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, get_args

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import Kind
from dialogpt.humaneval.fields import Fields, brief, mistake, read_object, read_text
from dialogpt.humaneval.items import Purpose
from dialogpt.humaneval.kinds import KINDS, Answer
from dialogpt.records import as_json

PLAN_FORMAT = "dialogpt-humaneval-plan"
ANSWERS_FORMAT = "dialogpt-humaneval-answers"

PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
VALUES: Mapping[str, tuple[Answer, ...]] = {
    kind: tuple(option.value for option in study.options) for kind, study in KINDS.items()
}
"""What may be answered, by the kind of study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanItem:
    """What judges are asked about.

    Attributes:
        id: names it.
        purpose: whether it is judged, or its answer is known.
        context_index: number of its context; items of one context are no independent evidence.
        shown: systems in the order of the page, two for preferences, one for ratings.
        expected: aspect -> answers that pass, as shown; empty where none is known.
    """

    id: str
    purpose: Purpose
    context_index: int
    shown: tuple[str, ...]
    expected: Mapping[str, tuple[Answer, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Who is asked what.

    Attributes:
        study: names the study; answers carry it too.
        kind: what is asked.
        aspects: what replies are judged for.
        items: by their ids.
        judges: name -> ids of items, in the order of the page.
    """

    study: str
    kind: Kind
    aspects: tuple[str, ...]
    items: Mapping[str, PlanItem]
    judges: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweredItem:
    """What a judge says about an item.

    Attributes:
        item: its id.
        values: aspect -> answer as shown; aspects that were not answered are missing, maybe all.
        seconds: how long it took.
        comment: what the judge wrote beside it.
    """

    item: str
    values: Mapping[str, Answer]
    seconds: float
    comment: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswersFile:
    """What one export of a page holds.

    Attributes:
        path: the file.
        judge: of the plan.
        started: when the judge began; two sessions differ in it.
        exported: when the file was written.
        answers: by item.
    """

    path: Path
    judge: str
    started: datetime
    exported: datetime
    answers: Mapping[str, AnsweredItem]


def read_plan(path: Path) -> Plan:
    """The plan that `make` wrote.

    Raises:
        UserError: it is none, or contradicts itself; the message names the place.
    """
    fields = read_object(path, format_name=PLAN_FORMAT)
    kind: Kind = fields.one_of("kind", tuple(KINDS))  # type: ignore[assignment]
    aspects = fields.texts("aspects")
    items: dict[str, PlanItem] = {}
    for number, value in enumerate(fields.rows("items"), start=1):
        item = _plan_item(Fields(value, f"{path}, item {number}"), kind, aspects)
        if item.id in items:
            raise mistake(f"{path}, item {number}", "an id of its own", item.id)
        items[item.id] = item
    judges: dict[str, tuple[str, ...]] = {}
    for number, value in enumerate(fields.rows("judges"), start=1):
        judge = Fields(value, f"{path}, judge {number}")
        name, ids = judge.text("name"), judge.texts("items")
        if name in judges:
            raise mistake(judge.where, "a name of its own", name)
        for id_ in ids:
            if id_ not in items:
                raise mistake(f"{judge.where}, 'items'", "ids of items of the plan", id_)
        judges[name] = ids
    study, mark = fields.text("study"), plan_mark(fields.others("study"))
    if study.rpartition("-")[2] != mark:
        raise mistake(
            f"{path}, 'study'",
            f"an id that ends in {mark}, the mark of what the plan holds",
            study,
            "the plan was changed: take it as `make` wrote it",
        )
    return Plan(study=study, kind=kind, aspects=aspects, items=items, judges=judges)


def plan_mark(content: Mapping[str, Any]) -> str:
    """The end of a study's id: a hash of all that was drawn.

    So answers to another drawing under the same name cannot be taken for answers to this one, and a
    plan that was edited is found out.

    Args:
        content: what plan.json holds, without the study's id.
    """
    return blake2b(as_json(content).encode(), digest_size=5).hexdigest()


def _plan_item(fields: Fields, kind: Kind, aspects: tuple[str, ...]) -> PlanItem:
    shown = tuple(
        Fields(value, f"{fields.where}, 'shown'").text("system") for value in fields.rows("shown")
    )
    num_shown = 2 if kind == "pairwise" else 1
    if len(shown) != num_shown:
        raise mistake(f"{fields.where}, 'shown'", f"{num_shown} replies", len(shown))
    expected: dict[str, tuple[Answer, ...]] = {}
    if fields.value("expected") is not None:
        for aspect, values in fields.mapping("expected").items():
            where = f"{fields.where}, 'expected', {brief(aspect)}"
            if aspect not in aspects or not isinstance(values, list) or not values:
                raise mistake(where, f"a list of answers for one of {', '.join(aspects)}", values)
            expected[aspect] = tuple(checked_value(v, kind, where) for v in values)
    return PlanItem(
        id=fields.text("id"),
        purpose=fields.one_of("purpose", PURPOSES),  # type: ignore[arg-type]
        context_index=fields.whole("context_index"),
        shown=shown,
        expected=expected,
    )


def checked_value(value: Any, kind: str, where: str) -> Answer:
    """An answer that may be given in a study of this kind.

    Raises:
        UserError: it may not.
    """
    allowed = VALUES[kind]
    # By type too: True is no rating, nor is 1.0.
    if type(value) is not type(allowed[0]) or value not in allowed:
        raise mistake(where, f"one of {', '.join(map(str, allowed))}", value)
    return value


def format_of(path: Path) -> Any:
    """What the object in a file, whatever its name, says of its format; None if there is none."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
        if not start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return None
        value = json.loads(read_text(path))
    except (OSError, UserError, ValueError, RecursionError):
        return None
    return value.get("format") if isinstance(value, dict) else None


def read_answers(path: Path, plan: Plan) -> AnswersFile:
    """A judge's file, which may be unfinished.

    Raises:
        UserError: it is none, or does not fit the plan; the message names the item.
    """
    fields = read_object(path, format_name=ANSWERS_FORMAT)
    study = fields.text("study")
    if study != plan.study:
        raise mistake(
            f"{path}, 'study'", plan.study, study, "it belongs to that study: leave it out"
        )
    fields.one_of("kind", [plan.kind])
    fields.flag("complete")
    judge = fields.text("judge")
    if judge not in plan.judges:
        raise mistake(
            f"{path}, 'judge'", f"one of the {len(plan.judges)} judges of the plan", judge
        )
    assigned = set(plan.judges[judge])
    answers: dict[str, AnsweredItem] = {}
    for number, value in enumerate(fields.rows("answers"), start=1):
        answer = _answer(Fields(value, f"{path}, answer {number}"), plan, assigned)
        if answer.item in answers:
            raise mistake(f"{path}, answer {number}", "each item once", answer.item)
        answers[answer.item] = answer
    started, exported = fields.moment("started"), fields.moment("exported")
    return AnswersFile(path=path, judge=judge, started=started, exported=exported, answers=answers)


def _answer(fields: Fields, plan: Plan, assigned: set[str]) -> AnsweredItem:
    item = fields.text("item")
    where = f"{fields.where}, item {brief(item)}"
    if item not in plan.items:
        raise mistake(where, "an item of the plan", item, "take the plan of these pages")
    if item not in assigned:
        raise mistake(where, "an item that this judge was given", item)
    values: dict[str, Answer] = {}
    for aspect, value in fields.mapping("values").items():
        if aspect not in plan.aspects:
            raise mistake(where, f"aspects among {', '.join(plan.aspects)}", aspect)
        values[aspect] = checked_value(value, plan.kind, f"{where}, {brief(aspect)}")
    return AnsweredItem(
        item=item, values=values, seconds=fields.seconds("seconds"), comment=fields.text("comment")
    )
