import io
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from dialogpt.decode.terminal import ReplyLine, line_reader
from dialogpt.text import clean_turn


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(written: str) -> list[str]:
    """The lines that a terminal shows: a backspace goes one column to the left."""
    lines = []
    for line in written.split("\n"):
        shown: list[str] = []
        column = 0
        for character in line:
            if character == "\b":
                column -= 1
                assert column >= 0
            else:
                shown[column : column + 1] = [character]
                column += 1
        lines.append("".join(shown).rstrip(" "))
    return lines


def grown(out: io.StringIO, text: str, *, thinking: str = "") -> str:
    """What is written while the characters of the text come one by one."""
    reply = ReplyLine(out, label="model> ", thinking=thinking)
    reply.begin()
    for end in range(1, len(text)):
        reply.grow(text[:end])
    reply.finish(text)
    return out.getvalue()


@given(text=st.text())
def test_however_it_grew_the_last_line_is_the_whole_reply(text: str) -> None:
    *_, last, end = screen(grown(Terminal(), text, thinking="(thinking)"))
    assert last == f"model> {clean_turn(text)}".rstrip(" ")
    assert end == ""


def test_a_reply_is_printed_as_it_grows_and_once() -> None:
    terminal = Terminal()
    reply = ReplyLine(terminal, label="model> ", thinking="(thinking)")
    reply.begin()
    assert screen(terminal.getvalue()) == ["model> (thinking)"]
    for text in ("Good", "Good ", "Good morn"):
        reply.grow(text)
        assert screen(terminal.getvalue()) == [f"model> {text.strip()}"]
    reply.finish("Good morning")
    assert screen(terminal.getvalue()) == ["model> Good morning", ""]
    assert terminal.getvalue().count("Good") == 1


def test_a_reply_that_is_ended_ends_its_line() -> None:
    for so_far in ("", "Good morn"):
        terminal = Terminal()
        reply = ReplyLine(terminal, label="model> ", thinking="(thinking)")
        reply.begin()
        reply.grow(so_far)
        reply.abandon()
        assert screen(terminal.getvalue()) == [f"model> {so_far}".strip(), ""]


def test_a_reply_cannot_steer_the_terminal() -> None:
    text = "\x1b[2J\x1b]0;title\x07clear\r\n\x9b31m\u202eback"
    written = grown(Terminal(), text, thinking="(thinking)")
    assert set(written) - set("\b\n") == {c for c in written if c.isprintable()}


def test_in_a_pipe_a_reply_is_one_plain_line() -> None:
    assert grown(io.StringIO(), "Hello\nthere", thinking="(thinking)") == "Hello there\n"
    out = io.StringIO()
    reply = ReplyLine(out, label="model> ", thinking="(thinking)")
    reply.begin()
    reply.grow("Hello the")
    reply.abandon()
    assert out.getvalue() == ""


def lines_of(read: Callable[[], str | None]) -> list[str]:
    lines = []
    while (line := read()) is not None:
        lines.append(line)
    return lines


def test_lines_of_a_pipe_come_without_a_prompt_and_none_too_long() -> None:
    out = io.StringIO()
    source = io.StringIO("one\n\n" + "x" * 10 + "\n" + "y" * 200_000 + "\nlast")
    lines = lines_of(line_reader(source, out, prompt="you> ", longest=10))
    assert lines == ["one", "", "x" * 10, "y" * 11, "last"]
    assert out.getvalue() == ""
