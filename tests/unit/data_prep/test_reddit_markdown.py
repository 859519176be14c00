"""Markdown becomes the text that its reader sees; what only looks like markdown stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.reddit_markdown import (
    has_marks,
    hide_literals,
    reduce_marks,
    show_literals,
    strip_quotes,
)
from dialogpt.text import clean_turn


def plain(markdown: str) -> str:
    return clean_turn(show_literals(reduce_marks(hide_literals(markdown))))


@pytest.mark.parametrize(
    "text",
    [
        "5 * 3 * 2",
        "5*3*2 and 10*2+ a little",
        "1920*1080*24*24",
        "snake_case_name and a_b",
        "f**k this s**t, you b***h",
        "M*A*S*H",
        "W*A*L*T*E*R!",
        "**",
        "a footnote* and *another",
        ":-*",
        ">_<",
        "*_* hi *_*",
        "^_^ hi ^_^",
        "-_- no -_-",
        "o_O ^o^ T_T ~_~",
        "¯\\_(ツ)_/¯",
        "¯_(ツ)_/¯",
        ":\\ and =\\=",
        "US\\NATO",
        "\\o/ \\m/",
        "C# and F#",
        "#1",
        "#hashtag",
        "2^10 and x^(2n)",
        "nice ^^",
        "<3",
        "a < b > c",
        "|incrX| > |incrY|",
        "(español | spanish)",
        "1. one 2) two",
        "- ",
        "+1",
        "-5",
        "2006. What a year",
        "~100",
        "yea~~~ dawg",
        "[citation needed]",
        "array[3](x",
        "[ ] todo",
        "`tis the season",
        "<b>bold</b>",
        "w/ and b/c",
        "--> here",
        "fill in the ____!",
    ],
)
def test_what_only_looks_like_markdown_stays(text):
    assert plain(text) == clean_turn(text)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("*it* _too_ **bold** __too__ ***both***", "it too bold too both"),
        ("**a *b** c*", "a b c"),
        ('I (*really*) "_mean_" it', 'I (really) "mean" it'),
        ("*many words, one mark*.", "many words, one mark."),
        ("Hu*man*ity, *root*kits, fast*er*", "Humanity, rootkits, faster"),
        ("**W**hat p**E**n", "What pEn"),
        ("sends ~~dick~~ Weiner", "sends dick Weiner"),
        ("# Head\n\ntext", "Head text"),
        ("####Don't", "Don't"),
        ("#**Thanks**", "Thanks"),
        ("* a\n* b\n  - c\n+ d", "a b c d"),
        ("1. a\n2. b", "1. a 2. b"),
        ("a\n\n---\n\nb\n***\nc\n===", "a b c"),
        ("a|b\n:--|--:\n*c*|d\n\nx|y", "a b c d x|y"),
        ("|a|b|\n|-|-|\n|c|d|", "a b c d"),
        ("[text](http://a.b/c_(d)_e)", "text"),
        ('see [a](http://b "title"), [c](/r/d)', "see a, c"),
        ("[[1]](http://x)", "[1]"),
        ("[*a* and **b**](http://x_y_z)", "a and b"),
        ("[[a](u)](v)", "a"),
        ("[](/emote) hi", "hi"),
        ("![gif](giphy|abc) wow![pic](u)", "wow!pic"),
        ("hi\n\n[1]: http://x.y\n", "hi"),
        ("[Me]: hello there", "[Me]: hello there"),
        (">!boo!< ha", "boo ha"),
        ("^^tiny ^^text", "tiny text"),
        ("^(rip Harris Wittels)", "rip Harris Wittels"),
        ("^(a (b) c)", "a (b) c"),
        ("Edge.^^^Nice^^^^One", "Edge. Nice One"),
        ("`a_b*c*` and ``x``", "a_b*c* and x"),
        ("so:\n\n    x *= y * z\n    _a_\n\n*b*", "so: x *= y * z _a_ b"),
        ("```\nx*y*z\n```\n*b*", "x*y*z b"),
        ("\\*zips\\* 1\\. \\#tag \\[x\\](y)", "*zips* 1. #tag [x](y)"),
        ("\\\\", "\\"),
        ("¯\\\\\\_(ツ)\\_/¯", "¯\\_(ツ)_/¯"),
        ("¯\\\\_(ツ)_/¯", "¯\\_(ツ)_/¯"),
        ("a\r\n* b\r* c", "a b c"),
        ("*hug* :-*", "hug :-*"),
    ],
)
def test_marks_go_and_their_text_stays(markdown, text):
    assert plain(markdown) == text


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("&gt; hi\n\nyes", "\nyes"),
        ("> hi\n>> deeper\nyes\n>no blank", "yes\n"),
        ("  &gt;hi", ""),
        ("&amp;gt; hi\nyes", "yes"),
        ("a\n&gt; b\nc", "a\nc"),
        ("a &gt; b", "a &gt; b"),
        ("->", "->"),
        ("&gt;!spoiler!&lt;", "&gt;!spoiler!&lt;"),
        ("&gt;_&lt;", "&gt;_&lt;"),
        (">:( no", ">:( no"),
        ("    > code", "    > code"),
    ],
)
def test_quoted_lines_go_and_nothing_else(body, kept):
    assert strip_quotes(body) == kept


words = st.lists(
    st.text(st.characters(categories=["Ll", "Lu"]), min_size=2, max_size=8), min_size=1, max_size=4
).map(" ".join)
decorations = [
    "{}",
    "*{}*",
    "_{}_",
    "**{}**",
    "__{}__",
    "***{}***",
    "~~{}~~",
    "**_{}_**",
    "[{}](http://x.y/z_z)",
    "*[{}](/r/x)*",
    "`{}`",
    ">!{}!<",
    "^({})",
]
line_marks = ["{}", "# {}", "### {}", "* {}", "- {}", "+ {}", "  * {}"]


@given(
    st.lists(
        st.tuples(words, st.sampled_from(decorations), st.sampled_from(line_marks)), max_size=6
    )
)
def test_decorated_words_are_read_as_the_words(lines):
    markdown = "\n\n".join(line.format(mark.format(text)) for text, mark, line in lines)
    assert plain(markdown) == clean_turn(" ".join(text for text, _, _ in lines))


@given(st.text("ab .,!?'\"1\n"))
def test_text_without_marks_is_told_apart_and_unchanged(text):
    assert not has_marks(text)
    assert show_literals(reduce_marks(hide_literals(text))) == text


marked_text = st.text(st.sampled_from("ab1 \n\t*_~`^[]()#>!<|\\-+=&;.¯ツ\r\ue02a"))


@given(marked_text)
def test_no_letter_or_digit_is_lost_where_nothing_is_linked(text):
    # Without "(" there is no link whose target could go, without "[" no definition.
    unlinked = text.replace("(", "").replace("[", "")
    kept = [character for character in unlinked if character.isalnum()]
    assert [character for character in plain(unlinked) if character.isalnum()] == kept


@given(marked_text)
def test_text_called_free_of_marks_would_not_change(text):
    if not has_marks(text):
        assert plain(text) == clean_turn(text)


HARD_TO_PARSE = [
    *("*", "_", "`", "~~", "^", "[", "]", "(", ">!", "|-", "\\", "-", "#", "|", "!", "<"),
    *("*a", "a*", "* ", "*(", "*( ", "**a", "*_", "_*a", "-_", "~~a", "`a", "``a", "^(", "^^a"),
    *("[a](", "[a](b ", "[[", "[a]", "](", "[x]:", "![gif](", ">!a", "¯\\_("),
    *("- ", "\n- \n", "a|b\n-|-\n", "\n    a", "```\n"),
]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", HARD_TO_PARSE)
def test_time_grows_in_step_with_length(piece):
    # A quadratic step needs minutes for these 200,000 characters, a linear one half a second.
    body = piece * (200_000 // len(piece))
    for text in (body, f"*{body}*", f"[x {body}](y)"):
        assert len(plain(text)) <= len(text)


@pytest.mark.timeout(60)
def test_deep_nesting_is_paired_from_the_inside():
    depth = 100_000
    assert plain("*( " * depth + "a" + " )*" * depth) == "( " * depth + "a" + " )" * depth
