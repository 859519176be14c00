"""A judge's page in a browser: by mouse, by keyboard, across visits, with hostile texts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support_browser import open_browser
from support_humaneval import MARKUP, make_study, write_systems

from dialogpt.humaneval.answers import read_answers, read_plan

NO_STORAGE = """
Object.defineProperty(window, "localStorage", { get() { throw new Error("not here"); } });
"""
NO_CLIPBOARD = """
Object.defineProperty(navigator, "clipboard", { value: undefined });
document.execCommand = () => false;
"""
# What a page that the browser keeps goes through.
DEAF = "addEventListener('storage', (event) => event.stopImmediatePropagation());"
BACK = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as found:
        yield found


class Judge:
    """A browser that has one page of a study open, and what it requested and complained about."""

    def __init__(
        self, browser: Any, folder: Path, *, width: int = 1200, script: str = "", judge: int = 1
    ) -> None:
        self.folder = folder
        self.window = browser.new_context(viewport={"width": width, "height": 800})
        if script:
            self.window.add_init_script(script)
        self.tab = self.window.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.num_asked = 0  # whether the page may be left
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", self._dismiss)
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.address = (folder / "study" / f"judge-00{judge}.html").as_uri()
        self.tab.goto(self.address)

    def _dismiss(self, dialog: Any) -> None:
        if dialog.type == "beforeunload":
            self.num_asked += 1
            dialog.accept()
            return
        self.complaints.append(dialog.message)
        dialog.dismiss()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def click(self, name: str) -> None:
        self.tab.get_by_role("button", name=name).click()

    def choose(self, aspect: str, option: str) -> None:
        group = self.tab.get_by_role("group", name=aspect)
        group.get_by_role("radio", name=option, exact=True).click()

    def heading(self) -> str:
        text: str = self.tab.locator("h1:visible").inner_text()
        return text

    def chosen(self) -> list[str]:
        """The aspect and number of each chosen option."""
        script = "inputs => inputs.map(input => `${input.name} ${input.value}`)"
        found: list[str] = self.tab.eval_on_selector_all("input[type=radio]:checked", script)
        return found

    def download(self) -> Path:
        with self.tab.expect_download() as started:
            self.click("Download answers")
        file = self.folder / str(started.value.suggested_filename)
        started.value.save_as(file)
        return file

    def close(self) -> None:
        self.window.close()


def small_study(folder: Path, **options: Any) -> dict[str, Any]:
    """Three contexts: 9 judged items and 2 checks a judge."""
    systems = write_systems(folder, num_contexts=12)
    few = {"num_items": 3, "num_qualification": 1, "num_spam_checks": 1}
    return make_study(folder, systems, **{**few, **options})


def test_leaving_is_asked_while_answers_are_in_no_file(browser: Any, tmp_path: Path) -> None:
    """A private window keeps them until it is closed, so that no page knows of it."""
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    assert "private (incognito) window" in judge.tab.locator("#start").inner_text()
    judge.tab.reload()
    assert judge.num_asked == 0
    judge.press("Enter", "1")
    assert judge.chosen() == ["relevance 0"]
    judge.tab.reload()
    assert judge.num_asked == 1
    judge.press("Enter")
    assert judge.chosen() == ["relevance 0"]
    judge.tab.reload()  # nothing new, but still in no file
    assert judge.num_asked == 2
    judge.click("Save")
    judge.download()
    judge.tab.reload()
    assert judge.num_asked == 2
    judge.press("2")
    assert judge.chosen() == ["relevance 0", "informativeness 1"]
    judge.tab.reload()
    assert judge.num_asked == 3
    judge.close()


def test_one_digit_too_many_changes_nothing(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    judge.press("Enter", *"1113")
    third = ["relevance 0", "informativeness 0", "human_likeness 0"]
    assert judge.chosen() == third
    assert "All questions are answered" in judge.tab.get_by_role("status").inner_text()
    judge.press("Shift+Tab")  # to what comes before Next
    assert judge.tab.evaluate("document.activeElement.id") == "jump"
    judge.tab.locator("input[name=informativeness]").first.focus()
    judge.press("3")
    assert judge.chosen() == [third[0], "informativeness 2", third[2]]
    judge.press("Enter")
    assert judge.heading() == "Item 2 of 11"
    judge.press("2")
    assert judge.chosen() == ["relevance 1"]
    judge.close()


def test_instructions_in_the_middle_lead_on_and_groups_are_named_in_words(
    browser: Any, tmp_path: Path
) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    judge.click("Begin")
    legend = judge.tab.locator("legend").first.text_content()
    assert legend == "Relevance Which reply fits better to what was said before?"
    judge.click("Instructions")
    judge.click("Go on")
    assert judge.heading() == "Item 1 of 11"
    judge.close()


def test_who_speaks_stands_beside_the_turns(browser: Any, tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=12, num_turns=3, speakers=[7, 0, 7])
    make_study(tmp_path, systems, num_items=3, num_qualification=1, num_spam_checks=1)
    judge = Judge(browser, tmp_path)
    judge.press("Enter")
    labels = judge.tab.locator("#turns .speaker").all_inner_texts()
    assert labels == ["Person 1", "Person 2", "Person 1"]
    judge.close()


def test_a_study_is_answered_by_keyboard_alone_across_a_reload(
    browser: Any, tmp_path: Path
) -> None:
    plan = small_study(tmp_path)
    items = plan["judges"][0]["items"]
    judge = Judge(browser, tmp_path)
    judge.press("Enter")
    expected = {}
    for number, item in enumerate(items):
        assert judge.heading() == f"Item {number + 1} of 11"
        keys = [str((number + n) % 3 + 1) for n in range(3)]
        words = {"1": "first", "2": "neutral", "3": "second"}
        expected[item] = dict(zip(plan["aspects"], (words[key] for key in keys), strict=True))
        judge.press(*keys[:2])
        if number == 5:  # in the middle of an item
            judge.tab.reload()
            assert judge.heading() == "Item 6 of 11"
            assert len(judge.chosen()) == 2
            judge.press("Backspace")
            assert judge.heading() == "Item 5 of 11"
            assert len(judge.chosen()) == 3
            judge.press("Enter")
        judge.press(keys[2], "Enter")
    assert judge.heading() == "All items are answered"
    file = judge.download()
    assert file.name == f"{plan['study']}-judge-001.json"
    read = read_answers(file, read_plan(tmp_path / "study" / "plan.json"))
    assert {answer.item: dict(answer.values) for answer in read.answers.values()} == expected
    assert [*read.answers] == items
    assert all(answer.seconds >= 0 for answer in read.answers.values())
    assert read.judge == "judge-001"
    assert read.started <= read.exported
    assert json.loads(file.read_text(encoding="utf-8"))["complete"] is True
    assert judge.complaints == []
    assert {url for url in judge.requests if not url.startswith("blob:")} == {judge.address}
    judge.close()


@pytest.mark.parametrize(
    ("kind", "labels", "values"),
    [
        ("pairwise", ["A", "No difference", "B"], ["first", "neutral", "second"]),
        ("rating_0_2", ["0, bad", "1, fair", "2, good"], [0, 1, 2]),
        ("rating_1_5", ["1, strongly disagree", "3, neither", "5, strongly agree"], [1, 3, 5]),
    ],
)
def test_a_study_is_answered_by_mouse_alone(
    browser: Any, tmp_path: Path, kind: str, labels: list[str], values: list[Any]
) -> None:
    plan = small_study(tmp_path, kind=kind)
    judge = Judge(browser, tmp_path, judge=2)
    judge.click("Begin")
    items = plan["judges"][1]["items"]
    expected = {}
    for number, item in enumerate(items):
        for place, aspect in enumerate(plan["aspects"]):
            choice = (number + place) % 3
            judge.choose(aspect.replace("_", "-"), labels[choice])
            expected.setdefault(item, {})[aspect] = values[choice]
        judge.click("Next")
    read = read_answers(judge.download(), read_plan(tmp_path / "study" / "plan.json"))
    assert read.judge == "judge-002"
    assert {answer.item: dict(answer.values) for answer in read.answers.values()} == expected
    assert judge.complaints == []
    judge.close()


def test_next_waits_for_all_answers_and_says_which(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    judge.press("Enter", "2", "Enter")
    assert judge.heading() == "Item 1 of 11"
    message = judge.tab.get_by_role("status").inner_text()
    assert message == "Please answer first: Informativeness, Human-likeness."
    assert judge.tab.evaluate("document.activeElement.name") == "informativeness"
    judge.press("3")
    assert judge.tab.get_by_role("status").inner_text() == ""
    judge.press("3", "Enter")
    assert judge.heading() == "Item 2 of 11"
    judge.close()


def test_answers_are_changed_going_back_and_items_not_yet_reached_stay_closed(
    browser: Any, tmp_path: Path
) -> None:
    plan = small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    judge.press("Enter", *"111", "Enter", *"222", "Enter", "ArrowLeft")
    assert judge.heading() == "Item 2 of 11"
    judge.tab.get_by_role("spinbutton").fill("1")
    judge.press("Enter")
    assert judge.heading() == "Item 1 of 11"
    judge.choose("Relevance", "B")
    judge.press("ArrowLeft")  # within the question, as radio buttons have it
    assert judge.chosen()[0] == "relevance 1"
    assert judge.heading() == "Item 1 of 11"
    judge.tab.get_by_role("spinbutton").fill("9")
    judge.press("Enter")
    assert judge.heading() == "Item 1 of 11"
    assert "Items 1 to 3" in judge.tab.get_by_role("status").inner_text()
    judge.click("Save")
    data = json.loads(judge.download().read_text(encoding="utf-8"))
    assert data["complete"] is False
    assert [answer["item"] for answer in data["answers"]] == plan["judges"][0]["items"][:2]
    first = {"relevance": "neutral", "informativeness": "first", "human_likeness": "first"}
    assert data["answers"][0]["values"] == first
    judge.close()


def test_a_comment_is_text_that_answers_nothing_and_is_kept(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    judge.press("Enter")
    judge.tab.locator("summary").click()
    judge.tab.locator("#comment").click()
    judge.tab.keyboard.type(f"123 {MARKUP}")
    judge.press("Backspace", "Enter", "1")
    assert judge.chosen() == []
    judge.tab.reload()
    kept = f"123 {MARKUP[:-1]}\n1"
    assert judge.tab.input_value("#comment") == kept
    judge.click("Save")
    read = read_answers(judge.download(), read_plan(tmp_path / "study" / "plan.json"))
    assert [(dict(a.values), a.comment) for a in read.answers.values()] == [({}, kept)]
    assert judge.tab.title() == "Judging conversations: judge-001"
    judge.close()


@pytest.mark.parametrize("kind", ["pairwise", "rating_1_5"])
def test_hostile_texts_do_nothing_and_nothing_is_wider_than_a_phone(
    browser: Any, tmp_path: Path, kind: str
) -> None:
    systems = write_systems(tmp_path, num_contexts=12, hostile=True)
    make_study(tmp_path, systems, num_items=12, kind=kind, num_qualification=0)
    judge = Judge(browser, tmp_path, width=360)
    widest = "Math.max(...[...document.querySelectorAll('header *, main *, footer *')].map("
    widest += "e => e.getBoundingClientRect()).map(r => r.width ? r.right : 0))"
    sideways = (
        "[...document.querySelectorAll('.text-box')].filter(e => e.scrollWidth > e.clientWidth)"
    )
    sideways += ".map(e => e.textContent)"
    judge.press("Enter")
    shown = set()
    while judge.heading().startswith("Item"):
        shown |= {*judge.tab.locator("#replies .text").all_text_contents()}
        assert judge.tab.evaluate(widest) <= 360
        assert judge.tab.evaluate("document.documentElement.scrollWidth") <= 360
        assert judge.tab.evaluate(sideways) == []
        judge.press(*"2222", "Enter")
    assert {MARKUP, "a" * 5000, "(no text)"} <= shown
    assert judge.tab.evaluate(widest) <= 360
    assert judge.tab.title() == "Judging conversations: judge-001"
    assert judge.tab.locator("img").count() == 0
    assert judge.complaints == []
    assert judge.requests == [judge.address]
    judge.close()


def test_the_policy_lets_nothing_out_and_nothing_else_run(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    attempts = """async () => {
      const found = [];
      await fetch("http://127.0.0.1:9/x").catch(() => found.push("fetch"));
      const image = new Image();
      await new Promise(done => { image.onload = image.onerror = done;
        image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="; });
      if (image.width === 0) found.push("image");
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(script);
      if (!window.ran) found.push("script");
      return found;
    }"""
    assert judge.tab.evaluate(attempts) == ["fetch", "image", "script"]
    assert judge.requests == [judge.address]
    judge.close()


def test_a_browser_that_keeps_nothing_is_told_and_works(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path, script=NO_STORAGE)
    assert judge.tab.locator("#storage-warning").is_visible()
    judge.press("Enter", *"123", "Enter")
    assert judge.heading() == "Item 2 of 11"
    judge.click("Save")
    read = read_answers(judge.download(), read_plan(tmp_path / "study" / "plan.json"))
    assert len(read.answers) == 1
    judge.close()
    other = Judge(browser, tmp_path)
    assert not other.tab.locator("#storage-warning").is_visible()
    other.close()


def test_what_else_stands_in_the_storage_is_left_out(browser: Any, tmp_path: Path) -> None:
    plan = small_study(tmp_path)
    first, second = plan["judges"][0]["items"][:2]
    judge = Judge(browser, tmp_path)
    stored = {
        "started": "2020-01-01T00:00:00Z",
        "position": 1e9,
        "answers": {
            first: {"values": {"relevance": 1, "informativeness": 7, "other": 0}, "seconds": "x"},
            second: None,
            "item-999": {"values": {"relevance": 1}},
        },
    }
    write = "([key, value]) => { localStorage.setItem(key, value); }"
    key = f"dialogpt-humaneval/{plan['study']}/judge-001"
    # From an empty page of the same origin, because this one writes when it is left.
    empty = tmp_path / "empty.html"
    empty.write_text("<!DOCTYPE html><title>-</title>", encoding="utf-8")
    for value, heading in ((json.dumps(stored), "Item 11 of 11"), ("{", "Judging conversations")):
        judge.tab.goto(empty.as_uri())
        judge.tab.evaluate(write, [key, value])
        judge.tab.goto(judge.address)
        assert judge.heading() == heading
        if value != "{":
            judge.click("Save")
            answers = json.loads(judge.download().read_text(encoding="utf-8"))["answers"]
            assert [(a["item"], a["values"]) for a in answers] == [
                (first, {"relevance": "neutral"})
            ]
    assert judge.complaints == []
    judge.close()


def test_without_a_clipboard_the_text_is_there_to_be_copied(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path, script=NO_CLIPBOARD)
    judge.press("Enter", *"123")
    judge.click("Save")
    judge.click("Copy answers")
    judge.tab.wait_for_selector("#answers-text", state="visible")
    file = tmp_path / "pasted.json"
    file.write_text(judge.tab.input_value("#answers-text"), encoding="utf-8")
    read = read_answers(file, read_plan(tmp_path / "study" / "plan.json"))
    assert len(read.answers) == 1
    judge.close()


def test_two_tabs_of_one_page_do_not_undo_each_other(browser: Any, tmp_path: Path) -> None:
    small_study(tmp_path)
    judge = Judge(browser, tmp_path)
    other = judge.window.new_page()
    other.goto(judge.address)
    judge.press("Enter", *"123", "Enter")
    other.locator("#count", has_text="1 of 11").wait_for()
    other.keyboard.press("Enter")
    for key in ("Backspace", *"321", "Enter", *"222"):
        other.keyboard.press(key)
    judge.tab.locator("#count", has_text="2 of 11").wait_for()
    # And they have an end: no tab writes because another one has.
    judge.tab.evaluate("window.seen = 0; addEventListener('storage', () => { window.seen += 1; })")
    judge.tab.wait_for_timeout(300)
    assert judge.tab.evaluate("window.seen") == 0
    judge.click("Save")
    answers = json.loads(judge.download().read_text(encoding="utf-8"))["answers"]
    assert len(answers) == 2
    judge.close()


def test_a_tab_that_slept_loses_nothing(browser: Any, tmp_path: Path) -> None:
    """Pages that are kept to go back to hear nothing of what other tabs store meanwhile."""
    small_study(tmp_path)
    judge = Judge(browser, tmp_path, script=DEAF)
    judge.press("Enter", *"111", "Enter")
    judge.click("Save")
    judge.download()
    other = judge.window.new_page()
    other.on("dialog", lambda dialog: dialog.accept())
    other.goto(judge.address)
    for _ in range(5):
        for key in (*"333", "Enter"):
            other.keyboard.press(key)
    assert judge.tab.locator("#count").inner_text() == "1 of 11 answered"
    judge.tab.evaluate(BACK)
    judge.tab.locator("#count", has_text="6 of 11").wait_for()
    for key in ("Backspace", "2"):  # on the sixth item, and the first tab hears nothing
        other.keyboard.press(key)
    judge.click("Go on")
    judge.press("2")  # on the seventh: written without being back from anywhere
    stored = [answer["values"] for answer in read_stored(judge)["answers"].values()]
    assert sum(len(values) == 3 for values in stored) == 6
    assert sum(values.get("relevance") == 1 for values in stored) == 2
    other.reload()
    assert other.locator("#count").inner_text() == "6 of 11 answered"
    judge.close()


def read_stored(judge: Judge) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(judge.tab.evaluate("Object.values(localStorage)[0]"))
    return found


def test_a_page_of_a_thousand_items_holds_one_at_a_time(browser: Any, tmp_path: Path) -> None:
    systems = write_systems(tmp_path, num_contexts=340)
    plan = make_study(tmp_path, systems, num_items=334, items_per_judge=1002)
    assert len(plan["judges"][0]["items"]) == 1012
    judge = Judge(browser, tmp_path)
    judge.press("Enter")
    for _ in range(10):
        judge.press(*"123", "Enter")
    assert judge.heading() == "Item 11 of 1012"
    assert judge.tab.evaluate("document.querySelectorAll('*').length") < 250
    judge.close()
