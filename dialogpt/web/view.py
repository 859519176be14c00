"""The pieces of HTML that the page shows. All text in them is escaped by `report.markup`.

A text from a person or a model stands in <bdi dir="auto">: its direction is its own, and cannot
turn around what stands beside it.
"""

from collections.abc import Sequence

from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis
from dialogpt.report.markup import Html, element, html
from dialogpt.text import clean_turn
from dialogpt.web.card import Card

_SPEAKERS = ("You", "Model")
_FIRST_SCORES = ("score", "coherence", "forward_log_prob", "backward_log_prob")
_SCORE_NAMES = {
    "score": "Score",
    "coherence": "log P(reply fits)",
    "forward_log_prob": "log P(reply | context)",
    "backward_log_prob": "log P(context | reply)",
}


def conversation(turns: Sequence[str], *, is_waiting: bool = False) -> Html:
    """The turns as bubbles, the visitor's first.

    Args:
        turns: any text, oldest first.
        is_waiting: whether to show that the model is at work.
    """
    if not turns:
        return element("div", element("p", "Say something to begin."), class_="dg-empty")
    bubbles = [_bubble(turn, speaker=number % 2) for number, turn in enumerate(turns)]
    if is_waiting:
        dots = element("span", element("i"), element("i"), element("i"), class_="dg-dots")
        words = element("span", "The model is at work", class_="dg-hidden")
        bubbles.append(element("div", dots, words, class_="dg-bubble dg-model"))
    talk = element("div", *bubbles, class_="dg-talk")
    # Gradio keeps an element, and how far it is scrolled, while its tag is the same. With another
    # tag it is a new one, which starts at its end: a message and its reply come into sight.
    tag = "section" if is_waiting else "div"
    # In the order of the keyboard, so that it scrolls without a mouse.
    return element(tag, talk, class_="dg-view", tabindex="0")


def _bubble(turn: str, *, speaker: int) -> Html:
    who = element("span", _SPEAKERS[speaker], class_="dg-who")
    return element("div", who, _text(turn), class_=f"dg-bubble dg-{('visitor', 'model')[speaker]}")


def _text(text: str) -> Html:
    # Cleaned here too: whatever it is that comes in, no invisible character goes out.
    return element("bdi", clean_turn(text), dir="auto")


def score_names(hypotheses: Sequence[Hypothesis]) -> list[str]:
    """Every score that any hypothesis has: those of the project first, then others as they come."""
    found = list(dict.fromkeys(name for h in hypotheses for name in h.scores))
    first = [name for name in _FIRST_SCORES if name in found]
    return [*first, *(name for name in found if name not in first)]


def candidate_rows(hypotheses: Sequence[Hypothesis]) -> list[tuple[str, ...]]:
    """Cells of each candidate, best first: rank, tokens, every score, reply; "–" for no value.

    Behind the rank stands the latent that spoke, where any has one.
    """
    names = score_names(hypotheses)
    has_latent = _has_latent(hypotheses)
    return [
        (
            str(rank),
            *(["–" if h.latent is None else str(h.latent)] if has_latent else []),
            str(h.num_tokens),
            *(f"{h.scores[name]:,.2f}" if name in h.scores else "–" for name in names),
            clean_turn(h.text),
        )
        for rank, h in enumerate(hypotheses, start=1)
    ]


def _has_latent(hypotheses: Sequence[Hypothesis]) -> bool:
    return any(hypothesis.latent is not None for hypothesis in hypotheses)


def candidates(response: Response | None) -> Html:
    """The table of all candidates of a reply with every score, the reply itself marked."""
    if response is None:
        words = "After each reply, all candidates it was chosen from are listed here."
        return element("p", words, class_="dg-muted")
    hypotheses = response.hypotheses
    if not hypotheses:
        return element("p", *_remarks(response), class_="dg-muted")
    names = [_SCORE_NAMES.get(name, name) for name in score_names(hypotheses)]
    latent = ["z"] if _has_latent(hypotheses) else []
    heads = ("Rank", *latent, "Tokens", *names)
    top = [element("th", name, scope="col") for name in heads]
    top.append(element("th", "Reply", scope="col", class_="dg-reply"))
    rows = [
        _row(heads, cells, is_chosen=number == 0, is_cut=not h.finished)
        for number, (cells, h) in enumerate(
            zip(candidate_rows(hypotheses), hypotheses, strict=True)
        )
    ]
    table = element(
        "table", element("thead", element("tr", *top)), element("tbody", *rows), class_="dg-table"
    )
    # In the order of the keyboard, so that it scrolls without a mouse.
    scroll = element("div", table, class_="dg-scroll", tabindex="0")
    return html(scroll, element("p", *_remarks(response), class_="dg-muted"))


def _row(heads: Sequence[str], cells: Sequence[str], *, is_chosen: bool, is_cut: bool) -> Html:
    """A row; on a narrow screen, where the head is not shown, each number has its own label."""
    rank, *numbers, reply = cells
    mark = [element("span", "chosen", class_="dg-chosen")] if is_chosen else []
    cut = [element("span", "cut at the longest length", class_="dg-cut")] if is_cut else []
    return element(
        "tr",
        element("th", rank, scope="row"),
        *(
            element("td", number, data_label=head)
            for head, number in zip(heads[1:], numbers, strict=True)
        ),
        element("td", _text(reply), *mark, *cut, class_="dg-reply"),
        class_="dg-best" if is_chosen else "",
    )


def _remarks(response: Response) -> list[str]:
    remarks = ["Log-probabilities are in nats; higher is better. "]
    if response.num_turns_dropped:
        number = response.num_turns_dropped
        which = "The oldest turn was" if number == 1 else f"The {number} oldest turns were"
        remarks.append(f"{which} not read: the model's window had no more room. ")
    if response.filtered:
        # Not their texts: a page that shows what its filter drops has no filter.
        remarks.append(f"A filter dropped {len(response.filtered)} candidates. ")
    if response.is_fallback:
        remarks.append("None was left, so the reply is a fixed sentence of this page's operator.")
    return remarks


def status(message: str) -> Html:
    """What went wrong with the last message, or nothing."""
    return element("p", message, class_="dg-status", role="alert") if message else Html("")


def header(headline: str) -> Html:
    """The head of the page, with what everyone must have seen."""
    return element(
        "header",
        element("h1", "Talk to the model"),
        element("p", headline, class_="dg-warning"),
        class_="dg-header",
    )


def method(generation: GenerationConfig) -> Html:
    """How replies are found, where they are not drawn at random."""
    words = {
        "greedy": "The likeliest token is taken at each step, so there is one candidate.",
        "beam": f"Beam search keeps the {generation.beam_size} likeliest beginnings.",
    }
    return element("p", words[generation.method], class_="dg-muted")


def about_model(card: Card) -> Html:
    """The model's card."""
    rows = [
        element("div", element("dt", name), element("dd", _text(value)))
        for name, value in card.lines
    ]
    parts = [element("p", element("b", card.title)), element("dl", *rows, class_="dg-card")]
    if card.readme:
        summary = element("summary", "README of the model")
        parts.append(element("details", summary, element("pre", card.readme)))
    return html(*parts)


def about_page(sentences: Sequence[str]) -> Html:
    """The notices as a list."""
    return element("ul", *(element("li", sentence) for sentence in sentences), class_="dg-notes")
