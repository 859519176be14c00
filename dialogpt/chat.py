"""python -m dialogpt.chat: a conversation with the model in the terminal, or of it with itself."""

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from dialogpt.command_line import (
    INPUT_ERROR,
    UserError,
    parse_config,
    refuse_to_overwrite,
    run_command,
)
from dialogpt.config.chat import ChatConfig
from dialogpt.decode.conversation import (
    LONGEST_MESSAGE,
    MODEL,
    USER,
    Conversation,
    checked_message,
    checked_sentence,
    history_budget,
    save_conversation,
    self_talk,
)
from dialogpt.decode.display import format_table, hanging
from dialogpt.decode.response import AnyResponder
from dialogpt.decode.terminal import ReplyLine, line_reader
from dialogpt.responders import build_responder
from dialogpt.text import clean_turn

YOUR_PROMPT = "you> "
MODEL_LABEL = "model> "
_QUIT = "/quit"
_CLEAR = "clear"
_WITH_ARGUMENT = ("/save", "/knowledge")
HELP = """\
/why              the candidates for the last reply, with their scores
/undo             take back your last message and its reply
/reset            begin a new conversation; the knowledge stays
/knowledge        show the sentences that replies may draw on, such as a persona
/knowledge TEXT   add a sentence to them
/knowledge clear  remove them all
/save PATH        write the conversation to a JSON Lines file, which must not exist yet
/help             this list
/quit             end; so does Ctrl-D
//text            send a text that begins with a slash
Ctrl-C ends a reply that takes too long."""


def main() -> None:
    """Parse the command line and talk."""
    config, _ = parse_config(ChatConfig, prog="python -m dialogpt.chat")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for stream in (sys.stdin, sys.stdout):
        # Typed bytes that are no UTF-8, or a terminal that lacks a character, should not end it.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    run_command(lambda: talk_to_itself(config) if config.self else talk(config))


def talk(config: ChatConfig) -> None:
    """Talk with whoever types until the input ends.

    Raises:
        SystemExit: in a pipe, a line could not be answered; the others were.
    """
    knowledge = [checked_sentence(sentence) for sentence in config.knowledge]
    responder, settings = build_responder(config)
    chat = Chat(
        Conversation(responder=responder, budget=history_budget(responder), knowledge=knowledge),
        settings=settings,
        unread_knowledge=_unread_knowledge(responder),
        thinking="" if responder.can_stream else f"(choosing among {responder.num_candidates})",
    )
    chat.run()
    if chat.num_refused and not chat.is_terminal:
        raise SystemExit(INPUT_ERROR)


def talk_to_itself(config: ChatConfig) -> None:
    """Print what the model says to itself, and write the transcript if wanted."""
    output = Path(config.output) if config.output else None
    if output is not None:
        refuse_to_overwrite(output)
    turns = [checked_message(config.prompt)]
    knowledge = [checked_sentence(sentence) for sentence in config.knowledge]
    responder, settings = build_responder(config)
    _tell(_models(settings))
    if knowledge:
        _tell_if_any(_unread_knowledge(responder))
    _print_turn("prompt> ", turns[0])
    replies = self_talk(responder, turns[0], num_turns=config.num_turns, knowledge=knowledge)
    for response in replies:
        _print_turn(MODEL_LABEL, response.text)
        turns.append(response.text)
    if len(turns) <= config.num_turns:
        _tell(f"Ended after {len(turns) - 1} turns: the model found nothing readable to say.")
    if output is not None:
        roles = [USER, *[MODEL] * (len(turns) - 1)]
        save_conversation(output, turns, roles=roles, settings=settings, knowledge=knowledge)
        _tell(f"Wrote {output}")


class Chat:
    """Lines from standard input, replies on standard output, everything else on standard error.

    Args:
        conversation: what is lengthened.
        settings: how replies are made, for saved files.
        thinking: shown on a terminal until a reply begins.
        unread_knowledge: said once, when there is knowledge; "" where the model reads it.

    Attributes:
        is_terminal: whether somebody sits there; else lines come from a script.
        num_refused: lines that were neither answered nor obeyed.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        settings: dict[str, Any],
        thinking: str,
        unread_knowledge: str,
    ) -> None:
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self.num_refused = 0
        self._conversation = conversation
        self._settings = settings
        self._thinking = thinking
        self._unread_knowledge = unread_knowledge
        self._commands: dict[str, Callable[[str], None]] = {
            "/why": self._why,
            "/undo": self._undo,
            "/reset": self._reset,
            "/knowledge": self._knowledge,
            "/save": self._save,
            "/help": lambda _: _tell(HELP),
        }

    def run(self) -> None:
        """Answer line after line until the input ends or says /quit."""
        _tell(_models(self._settings))
        if self._conversation.knowledge:
            self._tell_what_is_not_read()
        if self.is_terminal:
            _tell("It says what people say where it learned: it may be false, rude or hurtful.")
            _tell("/help lists the commands; Ctrl-D ends.")
        next_line = line_reader(sys.stdin, sys.stdout, prompt=YOUR_PROMPT, longest=LONGEST_MESSAGE)
        while True:
            try:
                line = next_line()
                if line is None or clean_turn(line) == _QUIT:
                    break
                self._handle(line)
            except KeyboardInterrupt:
                if not self.is_terminal:
                    raise
                _tell("\n(Ctrl-D or /quit ends the chat)")
        if self.is_terminal and line is None:
            _tell("")  # the cursor is still behind the prompt

    def _handle(self, line: str) -> None:
        """Answer or obey one line; what is wrong with it is said, and the chat goes on."""
        try:
            if not line.strip():
                return
            text = checked_message(line)
            if text.startswith("//"):
                self._answer(text[1:])
            elif text.startswith("/"):
                self._obey(text, line)
            else:
                self._answer(text)
        except BrokenPipeError:
            raise  # nobody reads any more
        except (UserError, OSError) as error:
            self.num_refused += 1
            _tell(f"error: {clean_turn(str(error))}")

    def _obey(self, text: str, line: str) -> None:
        name, blank, _ = text.partition(" ")
        if blank and name not in _WITH_ARGUMENT and name in (_QUIT, *self._commands):
            raise UserError(f"{name} takes nothing behind it")
        command = self._commands.get(name)
        if command is None:
            raise UserError(
                f"unknown command {name[:40]}; /help lists the commands, and // at the beginning "
                "sends a text that begins with a slash"
            )
        # A path is taken as typed: cleaning would join its blanks.
        _, *argument = line.strip().split(maxsplit=1)
        command(argument[0] if argument else "")

    def _answer(self, message: str) -> None:
        reply = ReplyLine(sys.stdout, label=MODEL_LABEL, thinking=self._thinking)
        try:
            reply.begin()
            response, notices = self._conversation.say(message, on_text=reply.grow)
        except KeyboardInterrupt:
            reply.abandon()
            if not self.is_terminal:
                raise
            _tell("(reply ended; your message is taken back)")
            return
        except BaseException:
            reply.abandon()
            raise
        reply.finish(response.text)
        for notice in notices:
            _tell(f"({notice})")

    def _why(self, _: str) -> None:
        response = self._conversation.last_response
        if response is None:
            raise UserError("there is no reply yet")
        # Without the turns: they stand above, and a long conversation would push the table away.
        shown = replace(response, context=())
        print(format_table(shown, title="Candidates of the last reply"), flush=True)

    def _undo(self, _: str) -> None:
        _tell(f"Taken back: {self._conversation.undo()}")

    def _reset(self, _: str) -> None:
        self._conversation.reset()
        _tell("A new conversation.")

    def _knowledge(self, text: str) -> None:
        knowledge = self._conversation.knowledge
        if not text:
            for number, sentence in enumerate(knowledge, start=1):
                _tell(hanging(f"{number:>4}  ", sentence))
            if not knowledge:
                _tell("No knowledge yet; /knowledge TEXT adds a sentence.")
            return
        sentence = checked_sentence(text)
        if sentence == _CLEAR:
            knowledge.clear()
            _tell("No knowledge any more.")
            return
        knowledge.append(sentence)
        _tell(f"Sentence {len(knowledge)} of the knowledge: {sentence}")
        self._tell_what_is_not_read()

    def _tell_what_is_not_read(self) -> None:
        _tell_if_any(self._unread_knowledge)
        self._unread_knowledge = ""

    def _save(self, path: str) -> None:
        if not path:
            raise UserError("/save needs the path of a file that does not exist yet")
        conversation = self._conversation
        try:
            save_conversation(
                Path(path).expanduser(),
                conversation.turns,
                roles=conversation.roles,
                settings=self._settings,
                knowledge=conversation.knowledge,
            )
        except (ValueError, RuntimeError) as error:  # a zero byte, ~ of nobody
            raise UserError(f"{path[:200]}: expected the path of a file ({error})") from error
        _tell(f"Wrote {clean_turn(path)}")


def _print_turn(label: str, text: str) -> None:
    line = ReplyLine(sys.stdout, label=label)
    line.begin()
    line.finish(text)


def _models(settings: dict[str, Any]) -> str:
    backward = settings.get("backward_model")
    return f"Forward model {settings['model']}" + (f", backward {backward}" if backward else "")


def _unread_knowledge(responder: AnyResponder) -> str:
    """What to say of knowledge to a model that reads none; "" for one that does."""
    if responder.reads_knowledge:
        return ""
    return (
        f"The knowledge is not read: {responder.forward.name} takes none, so replies do not depend "
        "on it; name a PLATO that takes some by --model. This is said once."
    )


def _tell_if_any(text: str) -> None:
    if text:
        _tell(text)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
