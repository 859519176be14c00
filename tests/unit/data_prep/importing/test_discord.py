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


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("alice@Alabama.com, @Al", ["Al"], "alice@Alabama.com, @user"),
        ("bob@Al.com and @Al.", ["Al"], "bob@Al.com and @user."),
        ("@Albert @Al's", ["Al"], "@Albert @user's"),
        ("@Al Lee @Al", ["Al", "Al Lee"], "@user @user"),
        ("thanks@Al", ["Al"], "thanks@user"),
        ("你好@安娜你好", ["安娜"], "你好@user你好"),
        ("@a+b(c) @a\\1", ["a+b(c)", "a\\1"], "@user @user"),
        ("@{0} {1}", ["{0}"], "@user {1}"),
    ],
)
def test_a_mention_is_a_whole_word(text, names, expected, tmp_path):
    mentions = [{"id": "9", "name": name} for name in names]
    (found,), _ = read_text(read, export(message(0, ANNA, text, mentions=mentions)), tmp_path)
    assert found.turns == (expected,)


def test_an_export_in_reverse_order_gives_the_same_dialogues(tmp_path):
    said = [
        message(n, who, text)
        for n, (who, text) in enumerate([(ANNA, "hi"), (ANNABEL, "yo"), (ANNA, "so?"), (BOT, "x")])
    ]
    same_second = [message(n, ANNABEL, f"{n}") for n in (-1, 100)]  # ids 99 and 200
    for late in same_second:
        late["timestamp"] = "2020-01-31T11:59:00+01:00"
    forth, log = read_text(read, export(*said, *same_second), tmp_path)
    back, other_log = read_text(read, export(*reversed([*said, *same_second])), tmp_path)
    assert back == forth
    assert turns_of(forth) == [["hi", "yo", "so?", "-1\n100"]]
    assert drops_of(log) == drops_of(other_log) == {"messages.bot": 1}


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
