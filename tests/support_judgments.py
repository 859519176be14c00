"""Plans, judges' files and judgments, made up for tests of human evaluation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dialogpt.humaneval.answers import plan_mark
from dialogpt.humaneval.judgments import Judgment

ASPECTS = ("relevance", "human_likeness")
STARTED, EXPORTED = "2026-01-31T10:00:00.000Z", "2026-01-31T11:00:00.000Z"


def judgment(value: int | str, **changes: Any) -> Judgment:
    """One judgment; of a pair a, b unless it is a rating."""
    pairwise = isinstance(value, str)
    systems = changes.pop("systems", ("a", "b") if pairwise else ("a",))
    values: dict[str, Any] = {
        "study": "s",
        "kind": "pairwise" if pairwise else "rating_0_2",
        "judge": "judge-001",
        "item": "item-1",
        "purpose": "judged",
        "context_index": 0,
        "systems": systems,
        "shown": systems,
        "aspect": "relevance",
        "value": value,
        "passed": None,
        "seconds": 5.0,
        "comment": "",
    }
    return Judgment(**{**values, **changes})


def judged_by(votes: Sequence[Sequence[int | str | None]], **changes: Any) -> list[Judgment]:
    """A row of votes an item; a column is a judge. None in place of a vote: no judgment."""
    mark = "".join(changes.get("systems", ()))
    return [
        judgment(vote, judge=f"judge-{j:03}", item=f"item-{mark}{i}", context_index=i, **changes)
        for i, row in enumerate(votes)
        for j, vote in enumerate(row)
        if vote is not None
    ]


def plan_item(
    id_: str,
    shown: Sequence[str],
    *,
    purpose: str = "judged",
    context_index: int = 0,
    expected: Mapping[str, list[Any]] | None = None,
) -> dict[str, Any]:
    """An item of a plan."""
    return {
        "id": id_,
        "purpose": purpose,
        "context_index": context_index,
        "turns": ["hello"],
        "shown": [{"system": name, "text": f"text of {name}"} for name in shown],
        "expected": expected,
    }


def plan_record(
    items: Sequence[dict[str, Any]], judges: Mapping[str, Sequence[str]], *, kind: str = "pairwise"
) -> dict[str, Any]:
    """A plan as `make` writes it."""
    plan = {
        "format": "dialogpt-humaneval-plan",
        "version": 1,
        "kind": kind,
        "seed": 0,
        "aspects": list(ASPECTS),
        "items": list(items),
        "judges": [{"name": name, "items": list(ids)} for name, ids in judges.items()],
    }
    return {**plan, "study": f"study-{plan_mark(plan)}"}


def answer(item: str, *values: Any, seconds: float = 7.5, comment: str = "") -> dict[str, Any]:
    """An answer of a judge's file, on the first aspects."""
    named = dict(zip(ASPECTS, values, strict=False))
    return {"item": item, "values": named, "seconds": seconds, "comment": comment}


def answers_record(
    judge: str, answers: Sequence[dict[str, Any]], *, plan: Mapping[str, Any], **changes: Any
) -> dict[str, Any]:
    """A judge's file as the page writes it."""
    record = {
        "format": "dialogpt-humaneval-answers",
        "version": 1,
        "study": plan["study"],
        "judge": judge,
        "kind": plan["kind"],
        "started": STARTED,
        "exported": EXPORTED,
        "complete": False,
        "answers": list(answers),
    }
    return {**record, **changes}


def save(path: Path, value: Any) -> Path:
    """Write JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path
