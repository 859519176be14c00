"""The command itself: a terminal, a pipe, hostile lines, and the model talking to itself."""

import json
import os
import re
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support_decode import Run, in_process, save_model_folder

from dialogpt.chat import main
from dialogpt.command_line import parse_config
from dialogpt.config.chat import ChatConfig
from dialogpt.decode.contexts import read_contexts
from dialogpt.decode.conversation import MODEL, USER

ROOT = Path(__file__).parents[2]
SHORT = ["--generation.num_samples", "2", "--generation.max_new_tokens", "10", "--device", "cpu"]

FORWARD, BACKWARD = "runs/latest/forward/best", "runs/latest/backward/best"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `make train` seems to have trained a pair of models."""
    folder = tmp_path_factory.mktemp("trained")
    for seed, direction in enumerate(("forward", "backward"), start=1):
        best = folder / "runs" / "mine" / direction / "best"
        size = {"max_seq_len": 128, "num_positions": 128}
        save_model_folder(best, seed=seed, direction=direction, **size)
    (folder / "runs" / "latest").symlink_to("mine")
    return folder


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], runs: Path) -> Run:
    """The command with bytes on its standard input, in the folder of the models."""
    monkeypatch.chdir(runs)
    return in_process(main, "chat", monkeypatch=monkeypatch, capsys=capsys)


def record_of(path: Path) -> dict[str, Any]:
    (line,) = path.read_text(encoding="utf-8").splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


def test_a_script_gets_one_reply_a_line_and_the_conversation_as_a_file(
    chat: Run, tmp_path: Path
) -> None:
    path = tmp_path / "my chats" / "one.jsonl"
    typed = f"Hi!\n\nwhat now\n/save {path}\n//quit\n/quit\nnever read\n"
    out, err = chat("--mmi", *SHORT, typed=typed)
    replies = out.splitlines()
    assert len(replies) == 3
    record = record_of(path)
    assert record["turns"] == ["Hi!", replies[0], "what now", replies[1]]
    assert record["roles"] == [USER, MODEL, USER, MODEL]
    assert record["settings"]["generation"]["seed"] == 0
    assert record["settings"]["backward_model"] == BACKWARD
    assert read_contexts(str(path)) == [record["turns"]]
    assert err.splitlines() == [f"Forward model {FORWARD}, backward {BACKWARD}", f"Wrote {path}"]

    # The turns decide: without the third message, and with one taken back, the same replies.
    again, _ = chat("--mmi", *SHORT, typed="Hi!\nother\n/undo\nwhat now")
    assert [again.splitlines()[0], again.splitlines()[2]] == replies[:2]


def test_why_shows_the_candidates_of_the_last_reply_and_undo_those_before_it(chat: Run) -> None:
    out, err = chat(
        "--mmi", *SHORT, typed="Hi!\n/why\nwhat now\n/undo\n/why\n/reset\n/why\n", expected_exit=1
    )
    reply, *rest = out.splitlines()
    first, _, second = (
        "\n".join(rest)
        .partition("Candidates of the last reply")[2]
        .partition("Candidates of the last reply")
    )
    assert second.strip() in first
    assert "backward  reply" in second
    assert re.search(rf"^> +1 .*{re.escape(reply)}", second, re.MULTILINE)
    assert re.search(r"^ +2 ", second, re.MULTILINE)
    assert "Taken back: what now" in err
    assert err.splitlines()[-1] == "error: there is no reply yet"


def test_an_unknown_command_is_named_and_never_sent(chat: Run) -> None:
    out, err = chat(
        *SHORT, typed="/shrug it\n/\u200bSAVE\n/\n /why\n/undo\n/save\n", expected_exit=1
    )
    assert out == ""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert [error.split(";")[0] for error in errors] == [
        "error: unknown command /shrug",
        "error: unknown command /SAVE",
        "error: unknown command /",
        "error: there is no reply yet",
        "error: there is nothing to take back yet",
        "error: /save needs the path of a file that does not exist yet",
    ]
    out, err = chat(*SHORT, typed="//shrug\n/save slash.jsonl\n/help\n/quit\n")
    assert record_of(Path("slash.jsonl"))["turns"] == ["/shrug", out.strip()]
    for command in ("/why", "/undo", "/reset", "/save PATH", "/quit", "//text", "Ctrl-C"):
        assert command in err
    assert "/reset            begin a new conversation; the knowledge stays\n" in err
    for command in ("/knowledge  ", "/knowledge TEXT  ", "/knowledge clear  "):
        assert f"\n{command}" in err


def test_a_command_with_words_behind_it_does_nothing(chat: Run) -> None:
    commands = ["/why so", "/undo 2", "/reset now", "/help me", "/quit x"]
    typed = "\n".join(["Hi!", *commands, "/save kept.jsonl"])
    out, err = chat(*SHORT, typed=f"{typed}\n", expected_exit=1)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: {c.split()[0]} takes nothing behind it" for c in commands]
    assert record_of(Path("kept.jsonl"))["turns"] == ["Hi!", out.strip()]


def test_a_file_that_is_there_already_or_cannot_be_is_refused_and_the_talk_goes_on(
    chat: Run, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine", encoding="utf-8")
    paths = [
        str(taken),
        str(tmp_path),
        f"{taken}/below",
        "a\0b",
        "n" * 300,
        "~nobody-of-this-name/a",
    ]
    typed = "Hi!\n" + "".join(f"/save {path}\n" for path in paths) + "still there?\n"
    out, err = chat(*SHORT, typed=typed, expected_exit=1)
    assert len(out.splitlines()) == 2
    assert err.count("error: ") == len(paths)
    assert f"{taken}: exists already" in err
    assert taken.read_text(encoding="utf-8") == "mine"


def test_hostile_lines_get_a_message_or_a_reply_and_steer_nothing(chat: Run) -> None:
    lines = [
        b"\x1b[2J\x1b]0;owned\x07<b>hi</b><|endoftext|>",
        b"\xff\xfe\x80 bytes",
        b"x" * 100_000,
        b"\x00\x01\xe2\x80\x8b",
        b"/\x1b[31mred",
        b"   \t ",
        b"",
        b"/save hostile.jsonl",
        b"/save a\x1b[31m.jsonl",
        b"/save a\x1b[31m.jsonl",
        b"and no end of line",
    ]
    out, err = chat(*SHORT, typed=b"\n".join(lines), expected_exit=1)
    assert len(out.splitlines()) == 3
    assert "at most 10,000 characters" in err
    assert "the message holds nothing readable" in err
    assert "unknown command /[31mred" in err
    assert "Wrote a[31m.jsonl\nerror: a[31m.jsonl: exists already" in err
    assert set(out + err) - {"\n"} == {c for c in out + err if c.isprintable()}
    turns = record_of(Path("hostile.jsonl"))["turns"]
    assert turns[0] == "[2J]0;owned<b>hi</b><|endoftext|>"
    assert turns[2] == "��� bytes"


def test_the_model_talks_to_itself_and_leaves_a_transcript(chat: Run, tmp_path: Path) -> None:
    talk = ["--self", "--prompt", "what is\x07 it?", "--num_turns", "4", *SHORT]
    transcripts = []
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        path = tmp_path / name / "talk.jsonl"
        out, err = chat(*talk, "--generation.seed", seed, "--output", str(path))
        record = record_of(path)
        assert out.splitlines() == record["turns"]
        assert f"Wrote {path}" in err
        assert record["turns"][0] == "what is it?"
        assert record["roles"] == [USER, *[MODEL] * 4]
        assert record["settings"]["generation"]["seed"] == int(seed)
        transcripts.append(record["turns"])
    assert transcripts[0] == transcripts[1] != transcripts[2]
    out, err = chat(*talk, "--output", str(path), expected_exit=1)
    assert f"{path}: exists already" in err
    assert out == ""  # found before anything is said


def test_options_that_do_not_go_together_are_one_message(chat: Run) -> None:
    for words, message in [
        (["--self"], "--self needs a --prompt"),
        (["--self", "--prompt", " \x07"], "--self needs a --prompt"),
        (["--prompt", "hi"], "--prompt goes with --self"),
        (["--output", "talk.jsonl"], "--output goes with --self"),
        (["--self", "--prompt", "hi", "--num_turns", "0"], "num_turns must be >= 1"),
        (["--selfish"], "selfish"),
    ]:
        _, err = chat(*words, expected_exit=2)
        assert message in err


def test_the_preset_is_the_papers_but_for_what_it_says() -> None:
    path = ROOT / "configs" / "decode" / "chat.yaml"
    config, _ = parse_config(ChatConfig, ["--config", str(path)], prog="chat")
    assert config.mmi
    assert (config.generation.top_k, config.mmi_options.weight) == (10, 1.0)
    assert 1 < config.generation.num_samples < 16
    assert config.generation.no_repeat_ngram == 3


def test_the_code_in_the_documentation_runs(chat: Run) -> None:
    page = (ROOT / "docs" / "chat.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    names: dict[str, Any] = {}
    exec(compile(blocks[0], "docs/chat.md", "exec"), names)
    typed = "".join(f"{message}\n" for message in names["turns"][::2])
    preset = str(ROOT / "configs" / "decode" / "chat.yaml")
    out, _ = chat("--config", preset, typed=typed)
    assert out.splitlines() == names["turns"][1::2]


class Terminal:
    """The command in a pseudo-terminal, which Ctrl-C reaches as it does in a real one."""

    def __init__(self, *words: str, folder: Path) -> None:
        pty = pytest.importorskip("pty")
        self._ours, theirs = pty.openpty()
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dialogpt.chat", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "TERM": "xterm"},
            preexec_fn=lambda: os.login_tty(theirs),
        )
        os.close(theirs)
        self.seen = ""

    def type(self, keys: bytes) -> None:
        """Type, reading meanwhile what comes back: else both sides would wait for each other."""
        while keys:
            ready, writable, _ = select.select([self._ours], [self._ours], [], 120)
            assert ready or writable, f"nobody reads what is typed: {self.seen[-200:]}"
            if ready:
                self._read()
            elif writable:
                keys = keys[os.write(self._ours, keys[:512]) :]

    def shows(self, wanted: str) -> str:
        """What came up to and including the wanted text."""
        while wanted not in self.seen:
            ready, _, _ = select.select([self._ours], [], [], 120)
            goes_on = bool(ready) and self._read()
            assert goes_on, f"{wanted!r} did not come: {self.seen[-500:]}"
        before, _, self.seen = self.seen.partition(wanted)
        return before + wanted

    def _read(self) -> bool:
        """Note what is shown; False at the end."""
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:  # Linux: the other side has closed
            chunk = b""
        self.seen += chunk.decode("utf-8", "replace")
        return bool(chunk)

    def close(self) -> int:
        exit_code = self.process.wait(timeout=120)
        os.close(self._ours)
        return exit_code


@pytest.mark.slow  # a Ctrl-C at the wrong moment of a busy machine is lost, as in any terminal
def test_a_conversation_in_a_terminal_outlives_ctrl_c_and_long_lines(runs: Path) -> None:
    # So many candidates that Ctrl-C comes before the reply does.
    many = ["--generation.num_samples", "400", "--generation.max_new_tokens", "40"]
    terminal = Terminal(*many, "--device", "cpu", folder=runs)
    assert "/help lists the commands" in terminal.shows("you> ")
    terminal.type(b"half a li")
    terminal.shows("half a li")  # it reads; a Ctrl-C just before that is lost
    terminal.type(b"\x03")
    terminal.shows("(Ctrl-D or /quit ends the chat)")
    terminal.shows("you> ")
    terminal.type(b"Hi!\r")
    terminal.shows("(choosing among 400)")
    terminal.type(b"\x03")
    terminal.shows("(reply ended; your message is taken back)")
    terminal.shows("you> ")
    terminal.type(b"/undo\r")
    terminal.shows("error: there is nothing to take back yet")
    terminal.shows("you> ")
    terminal.type(b"x" * 100_000 + b"\r")
    terminal.shows("at most 10,000 characters")
    terminal.shows("you> ")
    terminal.type(b"\x1b[31mHi! \xff\xfe\r")
    terminal.shows("model> ")
    terminal.shows("you> ")
    terminal.type(b"/whx\x7fy\r")  # edited with the backspace key
    assert "forward  reply" in terminal.shows(">    1 ")
    terminal.shows("you> ")
    terminal.type(b"\x04")
    assert terminal.close() == 0
