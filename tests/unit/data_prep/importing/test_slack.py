import json

import pytest
from support_importing import chat_config, drops_of, turns_of

from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile
from data_prep.importing.slack import read_slack
from dialogpt.command_line import UserError

DAY = 1_580_428_800  # 2020-01-31


def message(minute, user, text, **values):
    return {
        "type": "message",
        "user": user,
        "text": text,
        "ts": f"{DAY + 60 * minute}.000100",
    } | values


def stamp(minute):
    return f"{DAY + 60 * minute}.000100"


def read(folder, days, **options):
    for name, messages in days.items():
        path = folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(messages))
    (folder / "users.json").write_text(json.dumps([{"id": "U1", "name": "ann"}]))
    log = ImportLog()
    file = InputFile(folder, "export", "p", None)
    return list(read_slack(file, log, chat_config("slack", **options))), log


def test_days_go_on_and_channels_do_not_mix(tmp_path):
    days = {
        "general/2020-01-31": [message(1439, "U1", "late")],
        "general/2020-02-01": [message(1441, "U2", "early")],
        "other/2020-01-31": [message(1440, "U3", "elsewhere")],
    }
    found, _ = read(tmp_path, days)
    assert turns_of(found) == [["late", "early"], ["elsewhere"]]
    assert found[0].turn_ids[0] == f"p_0_{stamp(1439)}"
    assert found[1].thread_id.startswith("p_1_")


def test_a_thread_is_a_dialogue_of_its_own_however_long_it_pauses(tmp_path):
    thread = {"thread_ts": stamp(0)}
    days = {
        "c/2020-01-31": [
            message(0, "U1", "who knows?", **thread),
            message(1, "U2", "lunch?"),
            message(2, "U3", "yes"),
        ],
        "c/2020-02-05": [message(9000, "U2", "i do", **thread)],
    }
    found, _ = read(tmp_path, days)
    assert turns_of(found) == [["lunch?", "yes"], ["who knows?", "i do"]]


def test_markup_becomes_text_that_names_nobody(tmp_path):
    text = "<@U1> <@W2|ann> <!here> <#C1|general> <https://x.org|site> <https://y.org> &lt;3 &amp;"
    found, _ = read(tmp_path, {"c/2020-01-31": [message(0, "U1", text)]})
    assert turns_of(found) == [["@user @user @here #general site https://y.org <3 &"]]


def test_bots_notices_and_files_are_left_out_by_reason(tmp_path):
    messages = [
        message(0, "U1", "joined", subtype="channel_join"),
        message(1, None, "beep", subtype="bot_message"),
        message(2, "U1", "boop", bot_id="B1"),
        message(3, "U1", "", files=[{}]),
        message(4, "U1", "hi", subtype="me_message"),
        {"type": "message"},
        "text",
    ]
    found, log = read(tmp_path, {"c/2020-01-31": messages})
    assert turns_of(found) == [["hi"]]
    assert drops_of(log) == {
        "messages.notice": 1,
        "messages.bot": 2,
        "messages.media": 1,
        "messages.malformed": 2,
    }


def test_a_folder_that_is_no_export_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"2020-01-31\.json"):
        read(tmp_path, {})
