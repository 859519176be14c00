"""The page itself in Gradio: components, and which of them a message changes.

The conversation is shown by `gr.HTML` and not by `gr.Chatbot`: that one puts text through a cleaner
of HTML and does not escape it, so `<img src=...>` in a message makes a request.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from dialogpt.config.web import MOST_WAITING, WebConfig
from dialogpt.web import view
from dialogpt.web.card import Card
from dialogpt.web.limits import RefusalError
from dialogpt.web.notice import HEADLINE, notices
from dialogpt.web.sliders import Bounds, checked_choice
from dialogpt.web.talk import Service, Talk

TITLE = "Talk to the model"
_MOST_EVENTS = 64
# In Gradio's own queue. Ours, ModelGate, is shorter and tells the visitor why.
_MOST_TALKS = 1000
# Conversations in memory; the one that was silent for longest goes first.
_SAMPLING = ("num_samples", "top_k", "top_p", "temperature")
_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]


def build_page(
    config: WebConfig, service: Service, *, limits: dict[str, Bounds], card: Card, has_mmi: bool
) -> gr.Blocks:
    """The page.

    Args:
        config: the options of the command.
        service: what answers.
        limits: field of Choice -> bounds of its slider.
        card: of the forward model.
        has_mmi: whether there is a backward model.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        _html(view.header(HEADLINE))
        talk = gr.State(Talk())
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=320):
                shown = _html(view.conversation(()), elem_id="conversation")
                box = gr.Textbox(
                    placeholder="Write a message",
                    show_label=False,
                    label="Message",
                    lines=1,
                    max_lines=6,
                    autofocus=True,
                    elem_id="message",
                )
                status = _html(view.status(""), elem_id="status")
                with gr.Row(elem_classes="dg-buttons"):
                    send = gr.Button("Send", variant="primary", min_width=90)
                    again = gr.Button("Another reply", min_width=90)
                    reset = gr.Button("Start over", min_width=90)
                with gr.Accordion("Candidates of the last reply", open=True):
                    table = _html(view.candidates(None), elem_id="candidates")
            with gr.Column(scale=3, min_width=300):
                sliders = _settings(config, limits, has_mmi=has_mmi)
                with gr.Accordion("About the model", open=True):
                    _html(view.about_model(card), elem_id="card")
                with gr.Accordion("What you should know", open=True):
                    _html(view.about_page(notices(config)), elem_id="notice")
        handlers = _Handlers(service, limits=limits, names=list(sliders), has_mmi=has_mmi)
        outputs = [talk, shown, box, status, table]
        # The queue's number is high because ModelGate counts: who is turned away must not wait.
        common = {
            "outputs": outputs,
            "show_progress": "hidden",
            "api_visibility": "private",
            "concurrency_limit": MOST_WAITING + 8,
            "concurrency_id": "reply",
        }
        values = [talk, *sliders.values()]
        sent = gr.on([box.submit, send.click], handlers.reply, inputs=[box, *values], **common)
        drawn = again.click(handlers.draw_again, inputs=values, **common)
        reset.click(
            handlers.start_over,
            outputs=outputs,
            show_progress="hidden",
            api_visibility="private",
            cancels=[sent, drawn],
        )
    page.queue(max_size=_MOST_EVENTS, api_open=False)
    page.state_session_capacity = _MOST_TALKS
    return page


def look() -> dict[str, Any]:
    """For `gr.mount_gradio_app`: fonts of the visitor's own system, and our style."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        font=_FONTS,
        font_mono=["ui-monospace", "monospace"],
    )
    return {"theme": theme, "css": Path(__file__).with_name("style.css").read_text("utf-8")}


def _html(value: str, **options: Any) -> gr.HTML:
    """A piece of the page. Without js_on_load, which is code that Gradio would compile."""
    return gr.HTML(value, js_on_load=None, **options)


def _settings(
    config: WebConfig, limits: dict[str, Bounds], *, has_mmi: bool
) -> dict[str, gr.components.Component]:
    """Field of Choice -> its component."""
    is_sampling = config.generation.method == "sample"
    components: dict[str, gr.components.Component] = {}
    with gr.Accordion("How replies are made", open=True, elem_id="settings"):
        if not is_sampling:
            _html(view.method(config.generation))
        for name, bound in limits.items():
            if name == "mmi_weight":
                components["mmi"] = gr.Checkbox(
                    value=has_mmi and config.mmi,
                    label="MMI: rank by the backward model",
                    container=False,
                    visible=has_mmi,
                )
            components[name] = gr.Slider(
                bound.low,
                bound.high,
                value=bound.start,
                step=bound.step,
                label=bound.label,
                visible=has_mmi if name == "mmi_weight" else is_sampling or name not in _SAMPLING,
            )
    return components


class _Handlers:
    """What the buttons do. Each returns the outputs: talk, conversation, box, status, table.

    Gradio passes the request where a parameter has that type, by position.
    """

    def __init__(
        self, service: Service, *, limits: dict[str, Bounds], names: list[str], has_mmi: bool
    ) -> None:
        self._service = service
        self._limits = limits
        self._names = names
        self._has_mmi = has_mmi

    def reply(
        self, request: gr.Request, message: str, talk: Talk, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Answer what was typed; first shows it."""
        yield from self._answered(talk, message, values, request)

    def draw_again(
        self, request: gr.Request, talk: Talk, *values: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Answer the last message anew, with the sliders as they are now."""
        if not talk.turns:
            yield _unchanged(view.status("There is no reply yet to draw again."))
            return
        before, message = talk.without_last_exchange(), talk.turns[-2]
        yield from self._answered(before, message, values, request, redrawn=talk)

    def start_over(self) -> tuple[Any, ...]:
        """An empty conversation."""
        return Talk(), view.conversation(()), "", view.status(""), view.candidates(None)

    def _answered(
        self,
        talk: Talk,
        message: str,
        values: tuple[Any, ...],
        request: gr.Request,
        *,
        redrawn: Talk | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        # redrawn: the conversation whose last reply is drawn again, and which stays if none comes.
        box = gr.skip() if redrawn else ""
        try:
            given = dict(zip(self._names, values, strict=True))
            choice = checked_choice(given, self._limits, has_mmi=self._has_mmi)
            cleaned = self._service.accept(message, client=request.client.host)
        except RefusalError as refusal:
            yield _unchanged(view.status(str(refusal)))
            return
        shown = view.conversation((*talk.turns, cleaned), is_waiting=True)
        yield gr.skip(), shown, box, view.status(""), gr.skip()
        try:
            longer, response = self._service.answer(talk, cleaned, choice)
        except RefusalError as refusal:
            # What was typed goes back to where it can be sent again.
            before = view.conversation((redrawn or talk).turns)
            box = gr.skip() if redrawn else message
            yield gr.skip(), before, box, view.status(str(refusal)), gr.skip()
            return
        shown = view.conversation(longer.turns)
        yield longer, shown, gr.skip(), view.status(""), view.candidates(response)


def _unchanged(status: str) -> tuple[Any, ...]:
    """Outputs that say something and leave all else."""
    return gr.skip(), gr.skip(), gr.skip(), status, gr.skip()
