"""turn_text takes any body, reads what its author wrote, and reports what the filters need."""

import ast
import bz2
import html
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_prep.config import FilterConfig, TextConfig
from data_prep.filters import FilterSet
from data_prep.normalize import TurnText, contains_url, turn_text
from data_prep.reddit_markdown import has_marks
from dialogpt.text import clean_turn

ROOT = Path(__file__).parents[3]
DEFAULT = TextConfig()


def text_of(body: str, **config) -> str:
    return turn_text(body, TextConfig(**config)).text


@pytest.mark.parametrize(
    "body",
    [
        "[deleted]",
        "[removed]",
        " [Deleted] ",
        "[removed].",
        "\\[deleted\\]",
        "[ Removed by Reddit ]",
        "[deleted by user]",
        "[ Removed by reddit in response to a copyright notice. ]",
    ],
)
def test_removed_bodies_are_known(body):
    assert turn_text(body, DEFAULT) == TurnText("", False, False, "removed")


@pytest.mark.parametrize(
    "body", ["[deleted scenes]", "deleted", "It was [removed]", "[removed] by whom?", "[redacted]"]
)
def test_bodies_about_removal_are_turns(body):
    assert turn_text(body, DEFAULT).drop_reason is None


@pytest.mark.parametrize(
    "body", ["", " \n", "\u200b", "\u200d", "&amp;nbsp;", "\u0301", "\ud800\x00"]
)
def test_bodies_with_nothing_to_read_are_empty(body):
    assert turn_text(body, DEFAULT) == TurnText("", False, False, "empty")


@pytest.mark.parametrize("body", ["!", "?", "**", "😂", "ツ", "+1", "0"])
def test_the_shortest_answers_are_turns(body):
    assert turn_text(body, DEFAULT).text == body


def test_quotes_are_stripped_or_drop_the_comment():
    body = "&gt; see [this](http://x.y)\n\nYes."
    assert turn_text(body, DEFAULT) == TurnText("Yes.", False, False, None)
    assert turn_text(body, TextConfig(quotes="drop")) == TurnText("", False, False, "quote")
    assert turn_text("a &gt; b", TextConfig(quotes="drop")).text == "a > b"
    assert turn_text("&gt; only", DEFAULT).drop_reason == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "see http://x.y/z",
        "HTTPS://X.Y",
        "ftp://x.y",
        "www.x.y",
        "WWW.X.Y",
        "(http://x)",
        "[this](http://x)",
        "[this](/r/pics)",
        "imgur.com/a1b2",
        "en.wikipedia.org/wiki/X",
        "Example.COM:8080/x",
        "youtu.be/abc",
        "_http://x.y_",
        "_www.x.y_",
        "_youtu.be/abc_",
        "sftp://x.y",
        "and then?http://x.y",
        "thishttp://x.y",
    ],
)
def test_addresses_are_urls(text):
    assert contains_url(text)
    assert turn_text(text, DEFAULT).has_url


@pytest.mark.parametrize(
    "text",
    [
        "show/hide",
        "and/or",
        "b/c w/ w/o",
        "e.g.this",
        "a.m./p.m.",
        "it.is/was",
        "Amazon.com",
        "reddit.com, not digg.com",
        "/r/pics and /u/spez",
        "http",
        "the http protocol",
        "://",
        "www",
        "www. hm",
        "awww.nice",
        "24/7 at 1.5/2",
        "main.py/test",
        "f(x)[i](",
        "[text]()",
        "...com/",
    ],
)
def test_words_with_dots_and_slashes_are_no_urls(text):
    assert not contains_url(text)


@pytest.mark.parametrize("body", ["http&#58;//x.y", "www\\.x.y", "w\u00adww.x.y"])
def test_an_address_that_only_the_text_shows_is_a_url(body):
    assert not contains_url(body)
    assert turn_text(body, DEFAULT).has_url


def test_markup_is_seen_in_the_body_and_in_the_text():
    link = turn_text("[text](http://x)", DEFAULT)
    assert (link.text, link.has_markup, link.has_url) == ("text", True, True)
    assert turn_text("[citation needed]", DEFAULT).has_markup
    entity = turn_text("&amp;#91;x", DEFAULT)
    assert (entity.text, entity.has_markup) == ("[x", True)
    assert not turn_text("(x)", DEFAULT).has_markup


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("R&amp;B &lt;3 a &gt; b", "R&B <3 a > b"),
        ("x&amp;nbsp;y &amp;mdash; &amp;#3232;_&amp;#xCA0;", "x y — ಠ_ಠ"),
        ("&amp;amp; &amp;amp;amp;", "& &"),
        ("&amp;lt;title&amp;gt;", "<title>"),
        ("&amp;#42;literal&amp;#42;", "*literal*"),
        ("AT&amp;T &amp;foo; &amp;notit; ?a=1&amp;copy=2", "AT&T &foo; &notit; ?a=1&copy=2"),
        ("`&amp;amp;`", "&amp;"),
    ],
)
def test_entities_become_characters_after_the_dump_and_after_markdown(body, text):
    assert text_of(body) == text


def test_each_step_can_be_switched_off():
    body = "*a* &amp;amp; b &lt;3"
    assert text_of(body, unescape_entities=False) == "a &amp;amp; b &lt;3"
    assert text_of(body, reduce_markdown=False) == "*a* & b <3"
    assert text_of(body, reduce_markdown=False, unescape_entities=False) == body


def test_text_stays_natural():
    body = "Café b/c I’M 👩\u200d👧 ❤\ufe0f — naïve… (YES!!!)"
    assert text_of(body) == body


any_text = st.text(st.characters() | st.characters(categories=["Cs", "Cc", "Co", "Cf", "Mn"]))
marked_text = st.text(st.sampled_from("ab1 \n\t*_~`^[]()#>!<|\\-+=&;.gtamplx\ue02a\ud83d"))


@given(any_text | marked_text, st.booleans(), st.booleans(), st.sampled_from(["strip", "drop"]))
@example("[deleted", True, True, "strip")
@example("&#0;&#xD800;&#9999999;&#10;", True, True, "strip")
def test_any_body_makes_a_clean_turn_or_a_reason(body, entities, markdown, quotes):
    config = TextConfig(unescape_entities=entities, reduce_markdown=markdown, quotes=quotes)
    turn = turn_text(body, config)
    assert clean_turn(turn.text) == turn.text
    assert turn.drop_reason in (None, "removed", "quote", "empty")
    assert bool(turn.text) == (turn.drop_reason is None)


@given(any_text)
def test_a_body_without_marks_and_entities_is_only_cleaned_and_stays_so(body):
    body = body.replace("&", "and")
    turn = turn_text(body, DEFAULT)
    if has_marks(body) or turn.drop_reason:
        return
    assert turn.text == clean_turn(body)
    if not has_marks(turn.text):
        assert turn_text(turn.text, DEFAULT).text == turn.text


@given(st.text("abc <>&'\"éツ", min_size=1).filter(lambda text: not has_marks(text)))
def test_what_an_author_typed_survives_the_escapes_of_the_dump(typed):
    dumped = html.escape(typed, quote=False)
    assert text_of(dumped) == clean_turn(typed)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", ["&", "&amp;", "&#", ">\n", "&gt;\n", "www.", "a.com", "http:/"])
def test_megabytes_are_read_in_time_that_grows_with_length(piece):
    body = piece * (1_000_000 // len(piece))
    assert len(turn_text(body, DEFAULT).text) <= len(body)


@pytest.mark.real_data
def test_real_comments_are_read_once_and_for_all():
    path = ROOT.parent / "shared" / "data" / "reddit" / "RC_2006-02.bz2"
    if not path.is_file():
        pytest.skip(f"no real dump at {path}")
    with bz2.open(path, "rt", encoding="utf-8") as lines:
        bodies = [json.loads(line)["body"] for line in lines]
    turns = [turn_text(body, DEFAULT) for body in bodies]
    removed = [body for body in bodies if body.strip() in ("[deleted]", "[removed]")]
    assert sum(turn.drop_reason == "removed" for turn in turns) == len(removed) > 1000
    texts = [turn.text for turn in turns if turn.drop_reason is None]
    num_changed = sum(turn_text(text, DEFAULT).text != text for text in texts)
    assert num_changed <= len(texts) / 1000
    with_scheme = [body for body in bodies if "http://" in body and "gt;" not in body]
    assert all(turn_text(body, DEFAULT).has_url for body in with_scheme)


def documented_examples(heading: str) -> list[tuple[str, str]]:
    """(body, outcome) of each two-line example in the code block under a heading."""
    page = (ROOT / "docs" / "text-and-filters.md").read_text(encoding="utf-8")
    block = page.split(f"## {heading}\n", 1)[1].split("```python\n", 1)[1].split("```\n", 1)[0]
    lines = block.splitlines()
    return [
        (ast.literal_eval(body), outcome.removeprefix("#   -> "))
        for body, outcome in zip(lines[::2], lines[1::2], strict=True)
    ]


def described(turn: TurnText) -> str:
    """A turn as the documentation writes it."""
    if turn.drop_reason:
        return f"dropped: {turn.drop_reason}"
    return f"{turn.text}{'  [url]' * turn.has_url}{'  [markup]' * turn.has_markup}"


def test_documented_bodies_make_the_documented_turns():
    examples = documented_examples("Bodies and turns")
    assert len(examples) > 10
    for body, outcome in examples:
        assert described(turn_text(body, DEFAULT)) == outcome


def test_documented_dialogues_get_the_documented_reasons():
    default = FilterSet.from_config(FilterConfig())
    examples = documented_examples("Dialogues and reasons")
    assert {reason for _, reason in examples} == {*default.reasons, "subreddit", "kept"}
    for (subreddit, *bodies), reason in examples:
        if default.excludes_subreddit(subreddit):
            assert reason == "subreddit"
            continue
        turns = [turn_text(body, DEFAULT) for body in bodies]
        assert (default.drop_reason(turns) or "kept") == reason
