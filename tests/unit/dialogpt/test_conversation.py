import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_decode import save_model_folder

from dialogpt.command_line import UserError
from dialogpt.config.chat import ChatConfig
from dialogpt.config.decoding import GenerationConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import read_contexts, read_given_contexts
from dialogpt.decode.conversation import (
    LONGEST_MESSAGE,
    MODEL,
    USER,
    Conversation,
    HistoryBudget,
    checked_sentence,
    history_budget,
    save_conversation,
    self_talk,
)
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.decode.response import Response
from dialogpt.records import Hypothesis
from dialogpt.text import clean_turn

WIDE = HistoryBudget(num_tokens=1000, num_message_tokens=1000, count_tokens=len)


@dataclass
class Echo:
    """Replies with the number of turns and the last one; or as it is told to."""

    failure: BaseException | None = None
    empty_from: int = 1000
    num_turns_read: int = 1000
    asked: list[tuple[list[str], int]] = field(default_factory=list)
    known: list[tuple[str, ...]] = field(default_factory=list)

    def respond(
        self,
        turns: GivenContext,
        *,
        context_index: int = 0,
        on_text: Callable[[str], None] | None = None,
    ) -> Response:
        said = turns.turns
        self.asked.append((list(said), context_index))
        self.known.append(turns.knowledge)
        if on_text is not None:
            on_text("so f")
            on_text("so far")
        if self.failure is not None:
            raise self.failure
        text = f"{len(said)}: {said[-1]}" if len(said) < self.empty_from else ""
        scores = {"forward_log_prob": -1.0, "score": -1.0}
        hypothesis = Hypothesis(text=text, token_ids=[1], finished=True, scores=scores)
        dropped = max(0, len(said) - self.num_turns_read)
        return Response(context=said, hypotheses=[hypothesis], num_turns_dropped=dropped)


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
    budget = HistoryBudget(num_tokens=9, num_message_tokens=4, count_tokens=len)
    conversation = Conversation(responder=Echo(), budget=budget)
    assert conversation.say("four")[1] == []
    (notice,) = conversation.say("fives")[1]
    assert notice == "The message has 5 tokens; the model read the last 4 of them."


@pytest.mark.parametrize(
    ("num_tokens", "most", "limit"),
    [
        (100, 4, "3 turns"),  # all that is read: a turn more would have had room
        (20, 4, "3 turns"),  # four turns of 4 tokens, each with its end
        (19, 4, "19 tokens"),
        (20, 5, "20 tokens"),  # four turns of 5
    ],
)
def test_what_keeps_the_oldest_turns_out_is_named(num_tokens: int, most: int, limit: str) -> None:
    budget = HistoryBudget(num_tokens=num_tokens, num_message_tokens=most, count_tokens=len)
    conversation = Conversation(responder=Echo(num_turns_read=3), budget=budget)
    said = [
        [notice for notice in conversation.say("fives")[1] if "message has" not in notice]
        for _ in range(4)
    ]
    assert said == [
        [],
        [],
        [
            f"The 2 oldest turns do not fit any more into the {limit} that the model reads of a "
            "conversation; from now on it forgets the beginning. This is said once."
        ],
        [],
    ]


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
        ][:-1]  # each with its end
        dropped = response.num_turns_dropped
        assert sum(sizes[dropped:]) <= room or dropped == len(sizes) - 1
        assert dropped == 0 or sum(sizes[dropped - 1 :]) > room
        said = [notice for notice in notices if "not fit any more" in notice]
        assert len(said) == (1 if dropped and not times_said else 0)
        times_said += len(said)
        read = f"has {sizes[-1] - 1} tokens; the model read the last {room - 1} of"
        too_long = [notice for notice in notices if read in notice]
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


KNOWN = ["i like tea.", "i have a dog."]


def test_every_reply_may_draw_on_the_knowledge_which_is_no_turn_and_outlives_a_reset() -> None:
    echo = Echo()
    conversation = Conversation(responder=echo, budget=WIDE, knowledge=KNOWN[:1])
    conversation.say("hello")
    conversation.knowledge.append(KNOWN[1])
    conversation.say("again")
    conversation.undo()
    conversation.reset()
    conversation.say("hello")
    assert echo.known == [("i like tea.",), tuple(KNOWN), tuple(KNOWN)]
    assert [turns for turns, _ in echo.asked][::2] == [["hello"], ["hello"]]
    echo = Echo()
    assert len(list(self_talk(echo, "hi", num_turns=2, knowledge=KNOWN))) == 2
    assert echo.known == [tuple(KNOWN)] * 2


def test_a_sentence_of_knowledge_is_cleaned_as_a_turn_is_and_an_empty_one_refused() -> None:
    assert checked_sentence("  i\x1b[31m like \n tea. ") == "i[31m like tea."
    for sentence in ("", " \t", "\x00\u200b"):
        with pytest.raises(UserError, match="a sentence of knowledge, found nothing readable"):
            checked_sentence(sentence)
    assert checked_sentence("x" * LONGEST_MESSAGE)
    with pytest.raises(UserError, match="a sentence of knowledge of at most 10,000 characters"):
        checked_sentence("x" * (LONGEST_MESSAGE + 1))


def test_saved_knowledge_is_read_back_with_the_turns(tmp_path: Path) -> None:
    path = tmp_path / "chat.jsonl"
    save_conversation(path, ["a", "b"], roles=[USER, MODEL], settings={}, knowledge=KNOWN)
    (context,) = read_given_contexts(str(path))
    assert context == GivenContext(turns=("a", "b"), knowledge=tuple(KNOWN))
    without = tmp_path / "without.jsonl"
    save_conversation(without, ["a", "b"], roles=[USER, MODEL], settings={})
    assert set(json.loads(without.read_text(encoding="utf-8"))) == {"turns", "roles", "settings"}
