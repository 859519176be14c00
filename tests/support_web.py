"""Replies for the tests of the web page: hostile ones, known numbers, and a model that blocks."""

import threading
from collections.abc import Sequence

from dialogpt.config.web import WebConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis
from dialogpt.web.sliders import Choice, bounds

MARKUP = '<img src="/x" onerror="window.hit=1"><script>window.hit=2</script>'
HOSTILE_REPLIES = (
    MARKUP,
    "**bold** [link](http://example.com/) ![image](http://example.com/a.png) ${window.hit=3}",
    "{{value}} \u202eright to left\u202c \u200f \x1b[31mred\x07 \u05e9\u05dc\u05d5\u05dd",
)


def response(context: Sequence[str], texts: Sequence[str] = HOSTILE_REPLIES) -> Response:
    """A response with these candidates; their scores fall from -1 by 1."""
    hypotheses = [
        Hypothesis(
            text=text,
            token_ids=[5, 6, 7],
            finished=number != 1,
            scores={
                "forward_log_prob": -10.0 - number,
                "kindness": 0.5 * number,
                "backward_log_prob": -20.25 - number,
                "score": -1.0 - number,
            },
        )
        for number, text in enumerate(texts)
    ]
    return Response(context=tuple(context), hypotheses=hypotheses, num_turns_dropped=0)


class FixedReplies:
    """Replies with the hostile texts; remembers what it was asked."""

    def __init__(self, texts: Sequence[str] = HOSTILE_REPLIES) -> None:
        self.texts = texts
        self.asked: list[tuple[tuple[str, ...], int]] = []
        self.choices: list[Choice] = []
        self.knowledge: list[tuple[str, ...]] = []

    def __call__(self, choice: Choice) -> "FixedReplies":
        self.choices.append(choice)
        return self

    def respond(self, context: GivenContext, *, context_index: int = 0) -> Response:
        self.asked.append((context.turns, context_index))
        self.knowledge.append(context.knowledge)
        return response(context.turns, self.texts)


class BlockingReplies(FixedReplies):
    """Replies once it is released; counts how many calls were in it at once."""

    def __init__(self) -> None:
        super().__init__(["done"])
        self.entered = threading.Semaphore(0)
        self.released = threading.Event()
        self.num_inside = self.most_inside = 0

    def respond(self, context: GivenContext, *, context_index: int = 0) -> Response:
        self.num_inside += 1
        self.most_inside = max(self.most_inside, self.num_inside)
        self.entered.release()
        assert self.released.wait(timeout=30)
        self.num_inside -= 1
        return super().respond(context, context_index=context_index)


def choice(config: WebConfig, **changes: float | bool) -> Choice:
    """What the sliders say before anybody moves them, with changes."""
    start = {name: bound.start for name, bound in bounds(config).items()}
    return Choice(**{**start, "mmi": False, **changes})  # type: ignore[arg-type]
