"""Responses as text for a terminal: tables within 100 columns, nothing that could steer it."""

import unicodedata
from collections.abc import Iterator

from dialogpt.decode.respond import Response
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

WIDTH = 100
_SCORES = ("score", "forward_log_prob", "backward_log_prob")
_HEADINGS = {"score": "score", "forward_log_prob": "forward", "backward_log_prob": "backward"}
_SCORE_WIDTH = 10


def format_line(response: Response) -> str:
    """The last turn and the reply, on one line where they fit."""
    return _hanging("", f"{response.context[-1]} -> {response.text}", indent=4)


def format_table(response: Response, *, title: str) -> str:
    """The context and all hypotheses with their ranks and log-probabilities, the reply marked.

    Args:
        response: what to show.
        title: first line, e.g. "Context 1 of 5".
    """
    dropped = response.num_turns_dropped
    lines = [title + (f" ({dropped} oldest turns had no room)" if dropped else "")]
    for number, turn in enumerate(response.context, start=1):
        lines.append(_hanging(f"  turn {number}: ", turn))
    columns = [name for name in _SCORES if name in response.hypotheses[0].scores]
    headings = "".join(f"{_HEADINGS[name]:>{_SCORE_WIDTH}}" for name in columns)
    lines += ["", f"  rank{headings}  reply (log-probabilities in nats)"]
    for rank, hypothesis in enumerate(response.hypotheses, start=1):
        lines.append(_format_hypothesis(hypothesis, rank=rank, columns=columns))
    return "\n".join(lines)


def _format_hypothesis(hypothesis: Hypothesis, *, rank: int, columns: list[str]) -> str:
    marker = ">" if rank == 1 else " "
    scores = "".join(f"{hypothesis.scores[name]:{_SCORE_WIDTH}.2f}" for name in columns)
    ending = "" if hypothesis.finished else " [cut]"
    return _hanging(f"{marker} {rank:>4}{scores}  ", hypothesis.text + ending)


def _hanging(head: str, text: str, *, indent: int | None = None) -> str:
    """The head, then the text wrapped beside it, or indented by so many columns."""
    margin = len(head) if indent is None else indent
    # Cleaned once more: a caller's own Response may hold what a terminal would obey.
    lines = list(_wrapped(clean_turn(text), first=WIDTH - len(head), rest=WIDTH - margin))
    return head + ("\n" + " " * margin).join(lines or [""])


def _wrapped(text: str, *, first: int, rest: int) -> Iterator[str]:
    """Lines of at most `first`, then `rest`, columns, broken at blanks where there are any."""
    room = first
    while num_columns(text) > room:
        # The longest head that fits: 1 character more is added until the room is full.
        end = used = 0
        while used + num_columns(text[end]) <= room:
            used += num_columns(text[end])
            end += 1
        blank = text.rfind(" ", 1, end + 1)
        line, text = (text[:blank], text[blank + 1 :]) if blank > 0 else (text[:end], text[end:])
        yield line
        room = rest
    if text:
        yield text


def num_columns(text: str) -> int:
    """Columns of a terminal that the text takes: East Asian wide characters two, marks none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )
