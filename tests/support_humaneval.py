"""Replies of made-up systems, and studies made from them."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dialogpt.config.humaneval import MakeConfig
from dialogpt.humaneval.make import make

# Names that stand nowhere in code or texts, so that finding one on a page means something.
NAMES = ("zorkmid", "quuxlet", "frobozz")
WORDS = (
    *("think", "that", "new", "one", "better", "because", "people", "made", "care", "about"),
    *("how", "things", "work", "money", "although", "brother", "went", "there", "last", "year"),
    *("before", "snow", "fell", "on", "every", "old", "roof", "sometimes", "never", "again"),
)
MARKUP = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
HOSTILE = (
    MARKUP,
    "<!-- <script> {{data}} {{judge}} \u2028 &amp;",
    "\u202egnp.exe \u2067abc שלום (עולם)!",
    "a" * 5000,
    "many words " * 800,
    "",
)


def write_systems(
    folder: Path,
    *,
    num_contexts: int,
    hostile: bool = False,
    num_turns: int = 0,
    speakers: Sequence[Any] = (),
) -> tuple[str, ...]:
    """NAME=FILE of three systems, the last one a test set with the replies of people.

    Args:
        folder: for the files.
        num_contexts: in each.
        hostile: whether replies of the first system try to do harm.
        num_turns: of each context; 0 draws 1 to 3.
        speakers: of the turns, which the test set names if there are any.
    """
    generator = random.Random(num_contexts)

    def text() -> str:
        return " ".join(generator.sample(WORDS, generator.randint(7, 20)))

    contexts = [
        [text() for _ in range(num_turns or generator.randint(1, 3))] for _ in range(num_contexts)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        lines: list[dict[str, Any]] = []
        for number, turns in enumerate(contexts):
            reply = HOSTILE[number % len(HOSTILE)] if hostile and name == NAMES[0] else text()
            if name == NAMES[-1]:
                lines.append({"id": f"t{number}", "turns": turns, "references": ["x"]})
                lines[-1]["human"] = reply
                if speakers:
                    lines[-1]["speakers"] = list(speakers)
            else:
                lines.append({"context": turns, "response": reply, "hypotheses": []})
        write_lines(folder / f"{name}.jsonl", lines)
    return tuple(f"{name}={folder / name}.jsonl" for name in NAMES)


def write_lines(file: Path, values: Sequence[Any]) -> Path:
    """A JSON Lines file."""
    file.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return file


def read_lines(file: Path) -> list[Any]:
    """What `write_lines` wrote."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def by_purpose(plan: dict[str, Any], *purposes: str) -> list[dict[str, Any]]:
    """The items of a plan that serve one of these purposes."""
    return [item for item in plan["items"] if item["purpose"] in purposes]


def make_study(folder: Path, systems: tuple[str, ...], **options: Any) -> dict[str, Any]:
    """Make a study in a folder of the name `study`; what its plan holds."""
    output = folder / "study"
    human = systems[-1].partition("=")[2]
    config = MakeConfig(**{"systems": systems, "output": str(output), "human": human, **options})
    assert make(config) == 0
    plan: dict[str, Any] = json.loads((output / "plan.json").read_text(encoding="utf-8"))
    return plan
