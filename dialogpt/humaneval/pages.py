"""The page of one judge: one HTML file without a server, a network or a name of a system."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from dialogpt.config.humaneval import Kind
from dialogpt.humaneval.instructions import instructions_html
from dialogpt.humaneval.items import Item
from dialogpt.humaneval.kinds import KINDS

# None of these may stand in a script element, and the last two end a line in older JavaScript.
_ESCAPES = str.maketrans({c: f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"})


def render_page(kind: Kind, *, study: str, judge: str, items: Sequence[Item]) -> str:
    """The page as HTML.

    Of an item only its id, turns with their speakers, and replies get in. Texts stand in a block of
    JSON, and the script puts them into the page as text. The page's policy lets nothing be loaded
    or sent, and nothing run but the script itself, which it knows by its hash.

    Args:
        kind: of study.
        study: its id.
        judge: name of the judge.
        items: in the order of the page.
    """
    style, script = _part("page.css"), _part("page_answers.js") + _part("page.js")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    asked = KINDS[kind]
    data = {
        "study": study,
        "judge": judge,
        "kind": kind,
        "aspects": [
            {"name": aspect.name, "label": aspect.label, "question": aspect.question}
            for aspect in asked.aspects
        ],
        "options": [
            {"value": option.value, "key": option.key, "label": option.label}
            for option in asked.options
        ],
        "items": [
            {
                "id": item.id,
                "turns": item.turns,
                "speakers": item.speakers,
                "replies": [one.text for one in item.shown],
            }
            for item in items
        ],
    }
    parts = {
        "policy": policy,
        "title": escape(f"Judging conversations: {judge}"),
        "style": style,
        "judge": escape(judge),
        "instructions": instructions_html(
            kind, has_checks=any(item.purpose != "judged" for item in items)
        ),
        "data": _json(data),
        "script": script,
    }
    # In one go, so that a text with a mark in it stays a text.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _part("page.html"))


def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names what may run."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(value: Any) -> str:
    """JSON that ends no element and begins no comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES)
