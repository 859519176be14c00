import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_decode import save_model_folder

from dialogpt.command_line import UserError
from dialogpt.config.chat import ChatConfig
from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.contexts import read_contexts
from dialogpt.decode.conversation import (
    LONGEST_MESSAGE,
    MODEL,
    USER,
    Conversation,
    HistoryBudget,
    history_budget,
    save_conversation,
    self_talk,
)
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

WIDE = HistoryBudget(num_tokens=1000, count_tokens=len)


@dataclass
class Echo:
    """Replies with the number of turns and the last one; or as it is told to."""

    failure: BaseException | None = None
    empty_from: int = 1000
    asked: list[tuple[list[str], int]] = field(default_factory=list)

    def respond(
        self,
        turns: Sequence[str],
        *,
        context_index: int = 0,
        on_text: Callable[[str], None] | None = None,
    ) -> Response:
        self.asked.append((list(turns), context_index))
        if on_text is not None:
            on_text("so f")
            on_text("so far")
        if self.failure is not None:
            raise self.failure
        text = f"{len(turns)}: {turns[-1]}" if len(turns) < self.empty_from else ""
        scores = {"forward_log_prob": -1.0, "score": -1.0}
        hypothesis = Hypothesis(text=text, token_ids=[1], finished=True, scores=scores)
        return Response(context=tuple(turns), hypotheses=[hypothesis], num_turns_dropped=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model_folder(tmp_path_factory.mktemp("models") / "forward", seed=1)


def responder_of(folder: Path, **generation: object) -> Responder:
    options = GenerationConfig(**generation)  # type: ignore[arg-type]
    return build_responder(ChatConfig(model=str(folder), device="cpu", generation=options))[0]


def test_the_state_is_the_list_of_turns_that_the_responder_gets() -> None:
    echo = Echo()
    conversation = Conversation(responder=echo, budget=WIDE)
    for message in ("hello", "  how\x1b[31m are \n you? "):
        conversation.say(message)
    replies = ["1: hello", "3: how[31m are you?"]
    assert conversation.turns == ["hello", replies[0], "how[31m are you?", replies[1]]
    assert conversation.roles == [USER, MODEL, USER, MODEL]
    # The number of turns takes the place of a context's position in a file.
    assert echo.asked == [(["hello"], 1), (conversation.turns[:3], 3)]


def test_the_reply_is_told_while_it_grows() -> None:
    told: list[str] = []
    Conversation(responder=Echo(), budget=WIDE).say("hello", on_text=told.append)
    assert told == ["so f", "so far"]


def test_the_same_seed_and_turns_give_the_same_conversation(folder: Path) -> None:
    messages = ["the inn", "out", "in the house"]

    def talked(seed: int) -> Conversation:
        responder = responder_of(folder, num_samples=2, max_new_tokens=10, seed=seed)
        conversation = Conversation(responder=responder, budget=history_budget(responder))
        for message in messages:
            conversation.say(message)
        return conversation

    conversation = talked(3)
    turns = list(conversation.turns)
    assert talked(3).turns == turns
    assert talked(4).turns != turns
    conversation.undo()
    conversation.say(messages[-1])
    assert conversation.turns == turns
    conversation.reset()
    assert conversation.turns == []
    for message in messages:
        conversation.say(message)
    assert conversation.turns == turns


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), UserError("out of memory")])
def test_a_reply_that_does_not_come_leaves_the_conversation_as_it_was(
    failure: BaseException,
) -> None:
    echo = Echo()
    conversation = Conversation(responder=echo, budget=WIDE)
    conversation.say("hello")
    turns, response = list(conversation.turns), conversation.last_response
    echo.failure = failure
    with pytest.raises(type(failure)):
        conversation.say("again")
    assert conversation.turns == turns
    assert conversation.last_response is response


def test_a_reply_without_readable_text_is_no_turn() -> None:
    conversation = Conversation(responder=Echo(empty_from=3), budget=WIDE)
    conversation.say("hello")
    with pytest.raises(UserError, match="nothing readable to say"):
        conversation.say("again")
    assert conversation.turns == ["hello", "1: hello"]


def test_what_cannot_be_sent_is_refused_before_the_model_is_asked() -> None:
    echo = Echo()
    conversation = Conversation(responder=echo, budget=WIDE)
    for message in ("", " \t", "\x00\u200b"):
        with pytest.raises(UserError, match="nothing readable"):
            conversation.say(message)
    with pytest.raises(UserError, match="at most 10,000 characters"):
        conversation.say("x" * (LONGEST_MESSAGE + 1))
    assert echo.asked == []
    conversation.say("x" * LONGEST_MESSAGE)
    assert len(echo.asked) == 1


def test_a_message_longer_than_what_the_model_reads_is_named_with_its_size() -> None:
    budget = HistoryBudget(num_tokens=4, count_tokens=len)
    conversation = Conversation(responder=Echo(), budget=budget)
    assert conversation.say("four")[1] == []
    (notice,) = conversation.say("fives")[1]
    assert notice == "The message has 5 tokens; the model read the last 4 of them."


def test_undo_goes_back_by_a_message_and_its_reply() -> None:
    conversation = Conversation(responder=Echo(), budget=WIDE)
    for message in ("one", "two"):
        conversation.say(message)
    assert conversation.last_response is not None
    assert conversation.last_response.text == "3: two"
    assert conversation.undo() == "two"
    assert conversation.turns == ["one", "1: one"]
    assert conversation.last_response is not None
    assert conversation.last_response.text == "1: one"
    assert conversation.undo() == "one"
    assert conversation.last_response is None
    with pytest.raises(UserError, match="nothing to take back"):
        conversation.undo()


messages_of_all_kinds = st.lists(
    st.text(max_size=20).filter(lambda text: clean_turn(text)), min_size=1, max_size=8
)


@given(messages=messages_of_all_kinds, max_new_tokens=st.sampled_from([4, 20, 40]))
@settings(max_examples=20)
def test_the_model_reads_the_most_whole_turns_that_fit_and_it_is_said_once_that_some_do_not(
    folder: Path, messages: list[str], max_new_tokens: int
) -> None:
    responder = loaded(folder, max_new_tokens)
    conversation = Conversation(responder=responder, budget=history_budget(responder))
    room = 64 - max_new_tokens
    times_said = 0
    for message in messages:
        before = list(conversation.turns)
        try:
            response, notices = conversation.say(message)
        except UserError:  # the tiny model draws bytes that are no text
            assert conversation.turns == before
            continue
        assert conversation.turns == [*before, clean_turn(message), response.text]
        sizes = [
            1 + len(ids) for ids in responder.forward.tokenizer.encode_batch(conversation.turns)
        ][:-1]
        dropped = response.num_turns_dropped
        assert sum(sizes[dropped:]) <= room or dropped == len(sizes) - 1
        assert dropped == 0 or sum(sizes[dropped - 1 :]) > room
        said = [notice for notice in notices if "not fit any more" in notice]
        assert len(said) == (1 if dropped and not times_said else 0)
        times_said += len(said)
        too_long = [notice for notice in notices if f"the model read the last {room}" in notice]
        assert len(too_long) == (1 if sizes[-1] > room else 0)


_LOADED: dict[int, Responder] = {}


def loaded(folder: Path, max_new_tokens: int) -> Responder:
    """A greedy responder; one for each length, as loading takes longer than replying."""
    if max_new_tokens not in _LOADED:
        _LOADED[max_new_tokens] = responder_of(
            folder, method="greedy", max_new_tokens=max_new_tokens
        )
    return _LOADED[max_new_tokens]


def test_after_a_reset_it_is_said_again_that_turns_do_not_fit(folder: Path) -> None:
    responder = responder_of(folder, method="greedy", max_new_tokens=10)
    conversation = Conversation(responder=responder, budget=history_budget(responder))
    for _ in range(2):
        said = [conversation.say("in the house " * 2)[1] for _ in range(4)]
        (notice,) = [notice for notices in said for notice in notices]
        assert "the 54 tokens that the model reads of a conversation" in notice
        conversation.reset()


def test_a_saved_conversation_is_read_back_as_a_context(tmp_path: Path) -> None:
    conversation = Conversation(responder=Echo(), budget=WIDE)
    for message in ("one <|endoftext|>", 'quoted "two"\\', "drei äöü 👩‍🚀"):
        conversation.say(message)
    path = tmp_path / "new" / "chat.jsonl"
    save_conversation(path, conversation.turns, roles=conversation.roles, settings={"seed": 3})
    assert read_contexts(str(path)) == [conversation.turns]
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["roles"] == [USER, MODEL] * 3
    assert json.loads(line)["settings"] == {"seed": 3}
    with pytest.raises(UserError, match="exists already"):
        save_conversation(path, ["other"], roles=[USER], settings={})
    assert read_contexts(str(path)) == [conversation.turns]
    with pytest.raises(UserError, match="nothing to save"):
        save_conversation(tmp_path / "empty.jsonl", [], roles=[], settings={})
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["chat.jsonl"]


def test_talking_to_itself_each_reply_answers_all_turns_before_it() -> None:
    echo = Echo()
    replies = [response.text for response in self_talk(echo, " hi\n", num_turns=3)]
    assert replies == ["1: hi", "2: 1: hi", "3: 2: 1: hi"]
    assert echo.asked == [(["hi", *replies][:number], number) for number in (1, 2, 3)]


def test_talking_to_itself_ends_when_nothing_readable_is_said() -> None:
    replies = list(self_talk(Echo(empty_from=3), "hi", num_turns=9))
    assert len(replies) == 2
