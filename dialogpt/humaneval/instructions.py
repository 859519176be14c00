"""What judges read before they begin: on their page as HTML, and as a file."""

from collections.abc import Sequence
from html import escape
from typing import Any

from dialogpt.config.humaneval import Kind
from dialogpt.humaneval.kinds import KINDS

_BEFORE = (
    "Read the whole conversation first. The reply answers its last message.",
    "Judge each question by itself: a reply may fit well and say little.",
    "The texts come from the open internet and from programs that learned from it. They may be "
    "rude or wrong; judge the reply, not the opinion.",
)
_CHECKS = (
    "Some items have a clear answer and show whether somebody reads. Do not hurry; there are no "
    "other tricks."
)
_NO_CHECKS = "Do not hurry; there are no tricks."
_AFTER = (
    "Do not talk about the items with other judges before all are done.",
    "Go on in the same browser on the same device until you have sent your answers: they are kept "
    "there and nowhere else, and the page starts anew in any other one.",
    "Do not use a private (incognito) window: it forgets all answers when it is closed. If you "
    "must, save your answers before you close it.",
    "You can go back and change answers. They stay in this browser if you close the page, which "
    "asks you first while they are in no file yet; the page sends nothing anywhere. At the end you "
    "download a file and send it back.",
)


def _notes(kind: Kind, *, has_checks: bool) -> tuple[str, ...]:
    return (*_BEFORE, _CHECKS if has_checks else _NO_CHECKS, *_AFTER, _keys(kind))


def _keys(kind: Kind) -> str:
    keys = [option.key for option in KINDS[kind].options]
    return (
        f"Keyboard: {keys[0]} to {keys[-1]} answer the marked question, Enter goes on, Backspace "
        "goes back, Tab moves between questions, and arrow keys choose within one."
    )


def instructions_html(kind: Kind, *, has_checks: bool) -> str:
    """The inside of the page's first section.

    Args:
        kind: of study.
        has_checks: whether there are items with a known answer.
    """
    asked = KINDS[kind]
    lines = [f"<p>{escape(asked.task)}</p>", "<dl>"]
    for aspect in asked.aspects:
        lines += [f"<dt>{escape(aspect.label)}</dt>", f"<dd>{escape(aspect.question)}</dd>"]
    lines += ["</dl>", *_scale(kind), "<ul>"]
    lines += [f"<li>{escape(note)}</li>" for note in _notes(kind, has_checks=has_checks)]
    return "\n".join([*lines, "</ul>"])


def _scale(kind: Kind) -> Sequence[str]:
    options = KINDS[kind].options
    if not isinstance(options[0].value, int):
        return ()
    said = ", ".join(f"{option.key} = {option.label}" for option in options)
    return (f"<p>{escape(said)}.</p>",)


def instructions(kind: Kind, plan: dict[str, Any]) -> str:
    """instructions.md: what to send to judges along with their pages. Names no system.

    Args:
        kind: of study.
        plan: what plan.json holds.
    """
    asked = KINDS[kind]
    aspects = [f"- **{aspect.label}**: {aspect.question}" for aspect in asked.aspects]
    scale = [f"- {option.key}: {option.label}" for option in asked.options]
    has_checks = any(item["purpose"] != "judged" for item in plan["items"])
    num_items = max(len(judge["items"]) for judge in plan["judges"])
    return "\n".join(
        [
            "# Judging conversations",
            "",
            f"Open your page (`{plan['judges'][0]['name']}.html`, or the number that you were "
            f"given) in a browser. It has {num_items:,} items at most and needs no network.",
            "",
            asked.task,
            "",
            *aspects,
            "",
            "Answers:",
            "",
            *scale,
            "",
            *(f"- {note}" for note in _notes(kind, has_checks=has_checks)),
            "",
            f"Send back the file `{plan['study']}-NAME.json`, with the name of your page for NAME.",
            "",
        ]
    )
