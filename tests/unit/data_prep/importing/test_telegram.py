import json
from functools import partial

import pytest
from support_importing import chat_config, drops_of, read_text, turns_of

from data_prep.importing.telegram import read_telegram
from dialogpt.command_line import UserError

read = partial(read_telegram, config=chat_config("telegram"))


def message(number, who, text, **values):
    return {
        "id": number,
        "type": "message",
        "date": f"2020-01-31T10:{number:02}:00",
        "date_unixtime": str(1_580_464_800 + 60 * number),
        "from": who,
        "from_id": f"user{who}",
        "text": text,
        **values,
    }


MESSAGES = [
    {"id": 0, "type": "service", "date": "2020-01-31T10:00:00", "actor": "Ann"},
    message(1, "Ann", "hi"),
    message(2, "Ann", ["see ", {"type": "link", "text": "x.org"}, " and ", "that"]),
    message(3, "Bob", [{"type": "mention", "text": "@ann"}, " yes"]),
    message(4, "Bob", "", photo="p.jpg"),
    message(5, "Bob", "old", forwarded_from="Ann"),
    message(6, "Ann", [{"type": "mention_name", "text": "Bob", "user_id": 1}, "!"]),
]
CHAT = {"name": "Bob", "type": "personal_chat", "id": 77, "messages": MESSAGES}
TURNS = [["hi\nsee x.org and that", "@user yes", "@user!"]]


def test_texts_in_pieces_are_joined_and_mentions_do_not_name(tmp_path):
    found, log = read_text(read, json.dumps(CHAT), tmp_path)
    assert turns_of(found) == TURNS
    assert found[0].speakers == ("userAnn", "userBob", "userAnn")
    assert found[0].turn_ids == ("p_0_1", "p_0_3", "p_0_6")
    assert found[0].times[0] == 1_580_464_920
    assert drops_of(log) == {"messages.notice": 1, "messages.media": 1, "messages.forwarded": 1}


def test_an_export_of_all_chats_never_joins_two(tmp_path):
    found, _ = read_text(read, json.dumps({"chats": {"list": [CHAT, CHAT]}}), tmp_path)
    assert turns_of(found) == TURNS * 2
    assert found[1].turn_ids[0] == "p_1_1"


def test_chats_that_were_left_are_read_after_the_others(tmp_path):
    left = {"list": [{**CHAT, "messages": [message(1, "Zoe", "bye")]}]}
    document = {"left_chats": left, "chats": {"list": [CHAT]}}
    found, log = read_text(read, json.dumps(document), tmp_path)
    assert turns_of(found) == [*TURNS, ["bye"]]
    assert [c.turn_ids[0] for c in found] == ["p_0_1", "p_1_1"]
    assert log._tally.by_month()["input"]["messages_read"] == len(MESSAGES) + 1
    found, _ = read_text(read, json.dumps({"left_chats": left}), tmp_path)
    assert turns_of(found) == [["bye"]]


def test_what_bots_write_is_left_out_where_the_export_tells(tmp_path):
    messages = [
        message(1, "Ann", "a cat", via_bot="@pic"),
        message(2, "Ann", "what's the time?"),
        message(3, "Clock", "10:03", from_id="user77"),
    ]
    chat = {"type": "bot_chat", "id": 77, "messages": messages}
    found, log = read_text(read, json.dumps(chat), tmp_path)
    assert turns_of(found) == [["what's the time?"]]
    assert drops_of(log) == {"messages.bot": 2}
    # In a chat with a person, the same id is that person.
    found, log = read_text(read, json.dumps({**chat, "type": "personal_chat"}), tmp_path)
    assert turns_of(found) == [["what's the time?", "10:03"]]


def test_without_unix_times_dates_are_read(tmp_path):
    old = {key: value for key, value in message(1, "A", "x").items() if key != "date_unixtime"}
    found, _ = read_text(read, json.dumps({"messages": [old]}), tmp_path)
    assert found[0].times == (1_580_464_860,)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        3,
        {"type": "message", "text": "x"},
        message(1, "A", 3),
        message(1, "A", [{"type": "bold"}]),
        message(1, "A", [None]),
        message(1, "A", "x", date_unixtime="soon"),
        {"type": "what"},
    ],
)
def test_a_malformed_message_is_counted_and_the_next_is_read(bad, tmp_path):
    text = json.dumps({"messages": [bad, message(2, "B", "ok")]})
    found, log = read_text(read, text, tmp_path)
    assert turns_of(found) == [["ok"]]
    assert drops_of(log) == {"messages.malformed": 1}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"chats": []}',
        '{"chats": {"list": []}, "left_chats": 3}',
        '{"chats": {"list": [{}]}}',
        "x",
    ],
)
def test_another_kind_of_file_is_refused(text, tmp_path):
    with pytest.raises(UserError, match="expected"):
        read_text(read, text, tmp_path)
