import json
from functools import partial

import pytest
from support_importing import chat_config, drops_of, read_text, turns_of

from data_prep.importing.discord import read_discord
from dialogpt.command_line import UserError

read = partial(read_discord, config=chat_config("discord"))
ANNA = {"id": "1", "name": "anna", "nickname": "Anna", "isBot": False}
ANNABEL = {"id": "2", "name": "annabel", "nickname": "Annabel", "isBot": False}
BOT = {"id": "3", "name": "bot", "isBot": True}


def message(number, author, content, **values):
    return {
        "id": str(100 + number),
        "type": "Default",
        "timestamp": f"2020-01-31T11:{number:02}:00.123+01:00",
        "content": content,
        "author": author,
        "mentions": [],
        **values,
    }


def export(*messages):
    return json.dumps({"guild": {}, "channel": {"name": "general"}, "messages": messages})


def test_people_are_told_apart_and_not_named(tmp_path):
    text = export(
        message(0, ANNA, "hi @Annabel, not @Anna", mentions=[ANNA, ANNABEL]),
        message(1, ANNABEL, "<@1> <@!1> <@&9> <:smile:123> ok", type="Reply"),
    )
    (found,), log = read_text(read, text, tmp_path)
    assert found.turns == ("hi @user, not @user", "@user @user @user :smile: ok")
    assert found.speakers == ("1", "2")
    assert found.turn_ids == ("p_100", "p_101")
    assert found.times[0] == 1_580_464_800
    assert drops_of(log) == {}


def test_bots_notices_and_pictures_are_left_out_by_reason(tmp_path):
    text = export(
        message(0, BOT, "beep"),
        message(1, ANNA, "joined", type="GuildMemberJoin"),
        message(2, ANNA, "", attachments=[{}]),
        message(3, ANNA, "hi"),
    )
    found, log = read_text(read, text, tmp_path)
    assert turns_of(found) == [["hi"]]
    assert drops_of(log) == {"messages.bot": 1, "messages.notice": 1, "messages.media": 1}


@pytest.mark.parametrize(
    "bad",
    [
        None,
        {},
        message(0, None, "x"),
        message(0, ANNA, None),
        message(0, ANNA, "x", timestamp="now"),
        message(0, ANNA, "x", timestamp=3),
        message(0, ANNA, "x", id="Anna"),
        message(0, ANNA, "x", mentions=["Anna"]),
    ],
)
def test_a_malformed_message_is_counted_and_the_next_is_read(bad, tmp_path):
    found, log = read_text(read, export(bad, message(1, ANNA, "ok")), tmp_path)
    assert turns_of(found) == [["ok"]]
    assert drops_of(log) == {"messages.malformed": 1}


@pytest.mark.parametrize("text", ["[]", "{}", '{"messages": 3}', "x"])
def test_another_kind_of_file_is_refused(text, tmp_path):
    with pytest.raises(UserError, match="expected"):
        read_text(read, text, tmp_path)
