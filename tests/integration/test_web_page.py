"""The page in a browser: what a visitor sees, and what hostile text does there (nothing)."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from support_browser import needed, open_browser
from support_web import HOSTILE_REPLIES, MARKUP, BlockingReplies, FixedReplies

from dialogpt.config.web import WebConfig
from dialogpt.text import clean_turn
from dialogpt.web.card import Card
from dialogpt.web.sliders import bounds
from dialogpt.web.talk import Service

needed("gradio", "web")

CONFIG = WebConfig(port=0, messages_per_minute=30, max_waiting=0)
CARD = Card(title="a model", lines=[("Kind", MARKUP)], readme=MARKUP)


@contextmanager
def serving(replies: FixedReplies, config: WebConfig = CONFIG) -> Iterator[str]:
    """The address of a page that replies so."""
    from dialogpt.web.page import build_page
    from dialogpt.web.server import address_of, build_server, listen

    listener = listen(config)
    service = Service(config, replies)
    page = build_page(config, service, limits=bounds(config), card=CARD, has_mmi=True)
    server = build_server(config, page)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield address_of(listener)
    finally:
        server.should_exit = server.force_exit = True
        thread.join(timeout=30)


@pytest.fixture(scope="module")
def replies() -> FixedReplies:
    return FixedReplies()


@pytest.fixture(scope="module")
def address(replies: FixedReplies) -> Iterator[str]:
    with serving(replies) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


class Visitor:
    """One page in the browser, and every request and complaint that it made."""

    def __init__(self, browser: Any, address: str, *, width: int = 1200) -> None:
        self.tab = browser.new_page(viewport={"width": width, "height": 800})
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("console", self._note)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.tab.goto(address)
        self.tab.wait_for_selector("#message textarea")

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def type(self, text: str) -> None:
        self.tab.fill("#message textarea", text)
        self.tab.press("#message textarea", "Enter")

    def say(self, text: str) -> None:
        """Send a message and wait for the reply."""
        before = self.tab.locator(".dg-bubble").count()
        self.type(text)
        self.tab.wait_for_function(
            "before => document.querySelectorAll('.dg-bubble').length === before + 2"
            " && !document.querySelector('.dg-dots')",
            arg=before,
        )

    def bubbles(self) -> list[str]:
        texts: list[str] = self.tab.locator(".dg-bubble bdi").all_text_contents()
        return texts

    def is_newest_in_sight(self) -> bool:
        """Whether the last bubble lies wholly within the conversation's box and the window."""
        box = self.tab.locator("#conversation").bounding_box()
        last = self.tab.locator(".dg-bubble").last.bounding_box()
        lowest = min(box["y"] + box["height"], self.tab.viewport_size["height"])
        return bool(max(box["y"], 0) <= last["y"] and last["y"] + last["height"] <= lowest)


@pytest.fixture
def visitor(browser: Any, address: str) -> Iterator[Visitor]:
    found = Visitor(browser, address)
    yield found
    found.tab.close()


def test_hostile_text_is_shown_and_does_nothing(visitor: Visitor, address: str) -> None:
    hostile = (
        f"{MARKUP} ${{window.hit=4}} {{{{value}}}} <b>x</b> [a](javascript:alert(1)) \u202eabc"
    )
    visitor.say(hostile)
    visitor.say("and again")
    reply = clean_turn(HOSTILE_REPLIES[0])
    assert visitor.bubbles() == [clean_turn(hostile), reply, "and again", reply]
    rows = visitor.tab.locator("#candidates tbody tr td:last-child bdi").all_text_contents()
    assert rows == [clean_turn(text) for text in HOSTILE_REPLIES]
    assert MARKUP in visitor.tab.locator("#card").text_content()
    assert visitor.tab.evaluate("window.hit") is None
    assert visitor.tab.locator("#conversation img, #candidates img, #card script").count() == 0
    assert visitor.complaints == []
    assert {urlsplit(url).netloc for url in visitor.requests} == {urlsplit(address).netloc}
    assert not [url for url in visitor.requests if urlsplit(url).path == "/x"]


def test_every_candidate_stands_with_its_scores_and_the_chosen_one_is_marked(
    visitor: Visitor,
) -> None:
    visitor.say("hello")
    rows = visitor.tab.locator("#candidates tbody tr")
    cells = [rows.nth(n).locator("th, td").all_text_contents()[:6] for n in range(rows.count())]
    assert cells == [
        ["1", "4", "-1.00", "-10.00", "-20.25", "0.00"],
        ["2", "3", "-2.00", "-11.00", "-21.25", "0.50"],
        ["3", "4", "-3.00", "-12.00", "-22.25", "1.00"],
    ]
    assert rows.locator(".dg-chosen").count() == 1
    assert "chosen" in rows.nth(0).text_content()


def test_100_000_characters_get_a_message_and_can_be_shortened(visitor: Visitor) -> None:
    visitor.type("<" * 100_000)
    visitor.tab.wait_for_selector(".dg-status")
    assert "100,000 characters; at most 1,000" in visitor.tab.inner_text("#status")
    assert visitor.bubbles() == []
    assert len(visitor.tab.input_value("#message textarea")) == 100_000
    visitor.say("short")
    assert visitor.bubbles()[0] == "short"
    assert visitor.tab.locator(".dg-status").count() == 0


def test_sliders_another_reply_and_starting_over(visitor: Visitor, replies: FixedReplies) -> None:
    visitor.say("hello")
    visitor.tab.locator("#settings input[type=number]").nth(3).fill("0.5")
    visitor.tab.locator("#settings input[type=checkbox]").check()
    visitor.tab.get_by_role("button", name="Another reply").click()
    visitor.tab.wait_for_selector(".dg-dots", state="detached")
    while len(replies.asked) < 2 or replies.asked[-1] != (("hello",), 1):
        visitor.tab.wait_for_timeout(20)
    assert (replies.choices[-1].temperature, replies.choices[-1].mmi) == (0.5, True)
    visitor.tab.get_by_role("button", name="Start over").click()
    visitor.tab.wait_for_selector(".dg-empty")
    visitor.say("new")
    assert replies.asked[-1] == (("new",), 0)


def test_a_reply_that_could_not_be_drawn_again_stays(
    visitor: Visitor, replies: FixedReplies, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.say("hello")
    before = visitor.bubbles()
    monkeypatch.setattr(replies, "texts", [""])
    visitor.tab.get_by_role("button", name="Another reply").click()
    visitor.tab.wait_for_selector(".dg-status")
    assert "nothing to say" in visitor.tab.inner_text("#status")
    assert visitor.bubbles() == before
    assert len(before) == 2


def test_nothing_is_wider_than_a_phone(browser: Any, address: str) -> None:
    phone = Visitor(browser, address, width=360)
    phone.say("a" * 300)
    assert phone.tab.evaluate("document.documentElement.scrollWidth") <= 360
    widest = "Math.max(...[...document.querySelectorAll('main *')].map(e => {"
    widest += "const r = e.getBoundingClientRect(); return r.width ? r.right : 0}))"
    assert phone.tab.evaluate(widest) <= 360
    phone.tab.close()


def test_the_newest_reply_is_in_sight(visitor: Visitor) -> None:
    for number in range(7):
        visitor.say(f"message {number} " + "and so on " * 30)
    assert visitor.is_newest_in_sight()
    # And again for who has gone back to what was said first.
    visitor.tab.locator(".dg-bubble").first.scroll_into_view_if_needed()
    assert not visitor.is_newest_in_sight()
    visitor.say("next")
    assert visitor.is_newest_in_sight()


def test_who_comes_while_the_model_is_busy_is_told_so_and_keeps_the_message(browser: Any) -> None:
    busy = BlockingReplies()
    with serving(busy) as address:
        first, second = Visitor(browser, address), Visitor(browser, address)
        first.type("first")
        first.tab.wait_for_selector(".dg-dots")
        assert busy.entered.acquire(timeout=30)
        second.type("second")
        second.tab.wait_for_selector(".dg-status")
        assert "busy" in second.tab.inner_text("#status")
        assert second.tab.input_value("#message textarea") == "second"
        busy.released.set()
        first.tab.wait_for_selector(".dg-dots", state="detached")
        assert first.bubbles() == ["first", "done"]
        second.say("second")
        for visitor in (first, second):
            visitor.tab.close()


def test_the_log_of_a_visit_has_no_text_and_no_address(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    visitor.say("my secret")
    assert "9 characters" in caplog.text
    assert "secret" not in caplog.text
    assert "127.0.0.1" not in caplog.text


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("gradio_api/info", {}, 404),
        ("gradio_api/file=setup.cfg", {}, 404),
        ("monitoring", {}, 404),
        ("", {"Host": "evil.example"}, 421),
        ("config", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_the_guard_stands_before_gradio(
    address: str, path: str, headers: dict[str, str], status: int
) -> None:
    with pytest.raises(HTTPError) as error:
        urlopen(Request(address + path, headers=headers), timeout=10)
    assert error.value.code == status
