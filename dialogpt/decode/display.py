"""Responses as text for a terminal: tables within 100 columns, nothing that could steer it."""

import unicodedata
from collections.abc import Iterator

from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

WIDTH = 100
_HEADINGS = {
    "score": "score",
    "coherence": "coherence",
    "forward_log_prob": "forward",
    "backward_log_prob": "backward",
    "backward_log_prob_mean": "per token",
    "length_normalized_log_prob": "by length",
}
"""The project's scores: each has a column, in this order, under a name that fits it."""
_SHOWN_CHARACTERS = 500
"""Of a turn; who gave a longer one has the whole in a file."""
_SCORE_WIDTH = 10
_LATENT_WIDTH = 4
_INDENT = " " * 8


def format_line(response: Response) -> str:
    """The last turn and the reply, on one line where they fit."""
    return hanging("", f"{shortened(response.context[-1])} -> {response.text}", indent=4)


def format_table(response: Response, *, title: str) -> str:
    """The context and all hypotheses with their ranks and scores, the reply marked.

    Scores of one's own scorers stand under each reply, by name; below all, what a filter dropped.

    Args:
        response: what to show.
        title: first line, e.g. "Context 1 of 5".
    """
    dropped = response.num_turns_dropped
    lines = [title + (f" ({dropped} oldest turns had no room)" if dropped else "")]
    for number, turn in enumerate(response.context, start=1):
        lines.append(hanging(f"  turn {number}: ", shortened(turn)))
    candidates = [*response.hypotheses, *(filtered.hypothesis for filtered in response.filtered)]
    columns = [name for name in _HEADINGS if all(name in h.scores for h in candidates)]
    has_latent = any(hypothesis.latent is not None for hypothesis in candidates)
    headings = _latent_cell("z") if has_latent else ""
    headings += "".join(f"{_HEADINGS[name]:>{_SCORE_WIDTH}}" for name in columns)
    lines += ["", f"  rank{headings}  reply (log-probabilities in nats)"]
    if response.is_fallback:
        lines.append(hanging(">       ", f"{response.text} [fallback: no hypothesis was left]"))
    for rank, hypothesis in enumerate(response.hypotheses, start=1):
        lines.append(
            _format_hypothesis(
                hypothesis, mark=f"{'>' if rank == 1 else ' '} {rank:>4}", columns=columns
            )
        )
    for filtered in response.filtered:
        lines.append(_format_hypothesis(filtered.hypothesis, mark="x", columns=columns))
        objection = filtered.objection
        lines.append(hanging(_INDENT, f"dropped: {objection.reason} ({objection.detail})"))
    return "\n".join(lines)


def _format_hypothesis(hypothesis: Hypothesis, *, mark: str, columns: list[str]) -> str:
    latent = "" if hypothesis.latent is None else _latent_cell(str(hypothesis.latent))
    numbers = [f"{_number(hypothesis.scores[name]):>{_SCORE_WIDTH}}" for name in columns]
    scores = latent + "".join(numbers)
    ending = "" if hypothesis.finished else " [cut]"
    shown = hanging(f"{mark:>6}{scores}  ", hypothesis.text + ending)
    others = [f"{name} {v:.4g}" for name, v in hypothesis.scores.items() if name not in _HEADINGS]
    return shown + ("\n" + hanging(_INDENT, ", ".join(others)) if others else "")


def _latent_cell(text: str) -> str:
    return f"{text:>{_LATENT_WIDTH}}"


def shortened(turn: str) -> str:
    """A turn, or its beginning and how much of it is left out."""
    more = len(turn) - _SHOWN_CHARACTERS
    return turn if more <= 0 else f"{turn[:_SHOWN_CHARACTERS]} [and {more:,} more characters]"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.1e}"  # neither leaves its column


def hanging(head: str, text: str, *, indent: int | None = None) -> str:
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
