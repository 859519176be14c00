"""How much of a message the chat says that a model reads, against what changes its replies."""

from pathlib import Path
from typing import Any

import pytest
from support_decode import save_model_folder
from support_plato_decode import save_plato_folder

from dialogpt.config.decoding import GenerationConfig, ResponderConfig
from dialogpt.config.plato import SequenceConfig
from dialogpt.decode.conversation import Conversation, history_budget
from dialogpt.decode.response import AnyResponder
from dialogpt.responders import build_responder

GENERATION = GenerationConfig(method="greedy", max_new_tokens=8)


def responder_of(folder: Path) -> AnyResponder:
    return build_responder(ResponderConfig(model=str(folder), device="cpu", generation=GENERATION))[
        0
    ]


def plato(folder: Path, **limits: Any) -> AnyResponder:
    sequence = SequenceConfig(max_response_tokens=30, **limits)
    return responder_of(save_plato_folder(folder, limits=sequence))


def numbers(responder: AnyResponder, message: str) -> list[tuple[str, dict[str, float]]]:
    """All that the model says to the message, with its scores."""
    response = responder.respond([message])
    return [(hypothesis.text, hypothesis.scores) for hypothesis in response.hypotheses]


def places_read(responder: AnyResponder, message: str) -> list[int]:
    """The characters, a token each, without which the model would answer something else."""
    before = numbers(responder, message)
    return [
        place
        for place in range(len(message))
        if numbers(responder, f"{message[:place]}z{message[place + 1 :]}") != before
    ]


def message_of(length: int) -> str:
    """So many tokens of a byte tokenizer: no two letters of these are merged, and none is a z."""
    return ("abcdefg" * length)[:length]


@pytest.mark.parametrize(
    ("limits", "budget"),
    [
        ({"max_context_tokens": 40, "max_turn_tokens": 12}, 12),
        ({"max_context_tokens": 12, "max_turn_tokens": 40}, 11),  # [EOU] takes a place
        ({"max_context_tokens": 12, "max_turn_tokens": 12}, 11),
        ({"max_context_tokens": 13, "max_turn_tokens": 12}, 12),
        ({"max_context_tokens": 12, "max_turn_tokens": 40, "whole_turns": True}, 11),
        ({"max_context_tokens": 40, "max_turn_tokens": 12, "whole_turns": True}, 12),
    ],
)
def test_a_plato_reads_as_much_of_a_message_as_the_chat_says(
    limits: dict[str, Any], budget: int, tmp_path: Path
) -> None:
    expect_that_it_reads(plato(tmp_path, **limits), budget)


def test_a_gpt2_reads_as_much_of_a_message_as_the_chat_says(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path, seed=1, max_seq_len=24)
    expect_that_it_reads(responder_of(folder), 24 - GENERATION.max_new_tokens - 1)


def expect_that_it_reads(responder: AnyResponder, budget: int) -> None:
    for length in (budget, budget + 1, budget + 5):
        message = message_of(length)
        assert places_read(responder, message) == list(range(length - budget, length))
        conversation = Conversation(responder=responder, budget=history_budget(responder))
        _, notices = conversation.say(message)
        said = f"The message has {length} tokens; the model read the last {budget} of them."
        assert notices == ([said] if length > budget else [])


def test_a_message_in_a_conversation_is_read_as_far_as_one_alone(tmp_path: Path) -> None:
    responder = plato(tmp_path, max_context_tokens=40, max_turn_tokens=12)

    def said(message: str) -> list[dict[str, float]]:
        response = responder.respond(["hello", "a", message])
        return [hypothesis.scores for hypothesis in response.hypotheses]

    message = message_of(20)
    assert said("z" * 8 + message[8:]) == said(message)
    assert said("z" * 9 + message[9:]) != said(message)


def test_turns_that_a_plato_has_no_number_for_are_not_blamed_on_tokens(tmp_path: Path) -> None:
    responder = plato(tmp_path, max_context_tokens=200, max_turns=3)
    conversation = Conversation(responder=responder, budget=history_budget(responder))
    said = [conversation.say("a")[1] for _ in range(4)]
    (notice,) = [notice for notices in said for notice in notices]
    assert said[2] == [notice]
    assert "2 oldest turns do not fit any more into the 3 turns that the model reads" in notice
