import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.importing.conversations import UnusableError
from data_prep.importing.turn_lists import parse_turns

FORMS = {
    "openai": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
    ],
    "openai in parts": [
        {"role": "developer", "content": [{"type": "text", "text": "be brief"}]},
        {"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "hi"}]},
        {"role": "assistant", "content": ["hello"]},
    ],
    "sharegpt": [
        {"from": "system", "value": "be brief"},
        {"from": "human", "value": "hi"},
        {"from": "gpt", "value": "hello"},
    ],
}


@pytest.mark.parametrize("value", FORMS.values(), ids=FORMS)
def test_all_forms_of_a_dialogue_with_roles_say_the_same(value):
    found = parse_turns(value)
    assert found.turns == ["hi", "hello"]
    assert found.speakers == ["user", "assistant"]
    assert found.knowledge == ["be brief"]


def test_words_for_one_role_are_one_speaker():
    value = [{"from": who, "value": "x"} for who in ("human", "gpt", "user", "Assistant")]
    assert parse_turns(value).speakers == ["user", "assistant", "user", "assistant"]


def test_names_are_told_apart_and_are_no_roles():
    value = [{"speaker": who, "text": "x"} for who in ("system", "Tool", "gpt", "bot", 3, None)]
    found = parse_turns(value)
    assert found.speakers == ["system", "Tool", "gpt", "bot", 3, None]
    assert found.knowledge == []


def test_tools_and_messages_without_text_are_left_out_by_reason():
    value = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{}]},
        {"role": "tool", "content": "{}"},
        {"role": "user", "content": [{"type": "image_url"}]},
        {"role": "assistant", "content": "sunny"},
    ]
    found = parse_turns(value)
    assert found.turns == ["weather?", "sunny"]
    assert found.left_out == ["no_text", "tool", "no_text"]


def test_speakers_beside_the_turns_are_taken_and_our_own_mark_is_unknown():
    assert parse_turns(["a", "b", "c", "d"], [0, "x", None, -1]).speakers == [0, "x", None, None]
    assert parse_turns(["a", "b"]).speakers == [None, None]


@pytest.mark.parametrize(
    ("value", "speakers", "reason"),
    [
        ([], None, "no_turns"),
        ("hi", None, "no_turns"),
        ({"a": 1}, None, "no_turns"),
        (None, None, "no_turns"),
        (["a", 1], None, "no_message"),
        (["a", {"text": "b"}], None, "no_message"),
        ([{"role": "user"}], None, "no_message"),
        ([{"role": "user", "content": 3}], None, "no_text"),
        ([{"role": ["user"], "content": "x"}], None, "wrong_speakers"),
        ([{"role": "system", "content": "x"}], None, "no_turns"),
        (["a", "b"], [0], "wrong_speakers"),
        (["a", "b"], "ab", "wrong_speakers"),
        (["a"], [True], "wrong_speakers"),
        ([{"text": "a"}], [0], "speakers_twice"),
    ],
)
def test_anything_else_is_unusable_for_a_named_reason(value, speakers, reason):
    with pytest.raises(UnusableError, match=r"expected .* found") as error:
        parse_turns(value, speakers)
    assert error.value.reason == reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["role", "from", "content", "value", "text", "speaker", "x"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values, json_values)
def test_no_value_crashes_and_every_turn_is_text_with_a_speaker(value, speakers):
    try:
        found = parse_turns(value, speakers)
    except UnusableError:
        return
    assert found.turns
    assert all(isinstance(turn, str) for turn in (*found.turns, *found.knowledge))
    assert len(found.speakers) == len(found.turns)
    hash(tuple(found.speakers))
