from functools import partial
from time import gmtime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import chat_config, drops_of, read_text, turns_of

from data_prep.importing.whatsapp import read_whatsapp


def read(text, folder, **options):
    config = chat_config("whatsapp", **options)
    return read_text(partial(read_whatsapp, config=config), text, folder)


ANDROID = """\
31/12/2019, 21:40 - Messages and calls are end-to-end encrypted. No one outside can read them.
31/12/2019, 21:45 - Ann: Happy new year!
and many more

to all of you
31/12/2019, 21:46 - Ann: <Media omitted>
31/12/2019, 21:47 - Bob Müller: Thanks: you too
31/12/2019, 21:47 - Bob Müller: 12/31 was a good day - Ann: right?
31/12/2019, 21:48 - Ann: This message was deleted
31/12/2019, 21:49 - Ann: IMG-20191231.jpg (file attached)
us two
31/12/2019, 21:50 - Ann: VID-1.mp4 (file attached)
"""
ANDROID_TURNS = [
    "Happy new year!\nand many more\nto all of you",
    "Thanks: you too\n12/31 was a good day - Ann: right?",
    "us two",
]


def test_lines_go_on_media_notices_and_deleted_messages_are_left_out(tmp_path):
    (found,), log = read(ANDROID, tmp_path)
    assert list(found.turns) == ANDROID_TURNS
    assert found.turn_ids == ("p_2", "p_7", "p_10")
    assert drops_of(log) == {"messages.notice": 1, "messages.media": 2, "messages.deleted": 1}
    assert log._tally.by_month()["input"]["messages_read"] == 8


STYLES = {
    "android, day first": "31/12/2019, 21:4{} - {}: {}\n",
    "android, month first, 12 hours": "12/31/19, 9:4{} PM - {}: {}\n",
    "android, with the narrow blank of 2023": "12/31/19, 9:4{}\u202fPM - {}: {}\n",
    "android, German": "31.12.19, 21:4{} - {}: {}\n",
    "ios, day first": "[31/12/2019, 21:4{}:00] {}: {}\n",
    "ios, 12 hours, with marks": "\u200e[12/31/19, 9:4{}:00\u202fPM] {}: {}\n",
    "ios, German": "[31.12.19, 21:4{}:00] {}: {}\r\n",
    "year first": "2019-12-31, 21:4{} - {}: {}\n",
}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_every_style_of_dates_gives_the_same_conversation(style, tmp_path):
    lines = [(0, "Ann", "hi"), (1, "Bob", "yo: there"), (2, "Ann", "7 up")]
    (found,), log = read("".join(style.format(*line) for line in lines), tmp_path)
    assert found.turns == ("hi", "yo: there", "7 up")
    assert found.times == (1577828400, 1577828460, 1577828520)
    assert drops_of(log) == {}


def test_what_ios_marks_as_not_typed_is_left_out(tmp_path):
    text = (
        "[31/12/2019, 21:45:00] The Gang: \u200eMessages and calls are end-to-end encrypted.\n"
        "[31/12/2019, 21:45:10] Ann: \u200eimage omitted\n"
        "\u200e[31/12/2019, 21:45:20] Bob: \u200e<attached: 00000012-PHOTO.jpg>\n"
        "[31/12/2019, 21:45:30] Bob: nice \u200e<This message was edited>\n"
    )
    found, log = read(text, tmp_path)
    assert turns_of(found) == [["nice"]]
    assert drops_of(log) == {"messages.not_typed": 2, "messages.media": 1}


@pytest.mark.parametrize(
    "notice",
    [
        'Ann changed the subject from "a" to "b: c"',
        'Ann created group "x: y"',
        "Ann added Bob: he is nice",
        "Ann left",
    ],
)
def test_a_notice_with_a_colon_is_nobodys_turn(notice, tmp_path):
    found, log = read(f"1/2/20, 10:00 - {notice}\n1/2/20, 10:01 - Bob: hi\n", tmp_path)
    assert turns_of(found) == [["hi"]]
    assert drops_of(log) == {"messages.notice": 1}


@pytest.mark.parametrize("text", ["@\u2068Ann Lee\u2069 hi", "@4917123456789 hi"])
def test_who_is_mentioned_is_not_named(text, tmp_path):
    found, _ = read(f"1/2/20, 10:00 - Bob: {text}\n", tmp_path)
    assert turns_of(found) == [["@user hi"]]


def dated(dates):
    return "".join(f"{date}, 10:00 - A{n}: x\n" for n, date in enumerate(dates))


@pytest.mark.parametrize(
    ("dates", "months"),
    [
        (["3/4/20", "13/4/20"], [4, 4]),  # a 13 can only be a day
        (["3/4/20", "3/13/20"], [3, 3]),
        (["1/3/20", "2/3/20", "1/4/20"], [3, 3, 4]),  # as days, time goes on
        (["3/1/20", "3/2/20", "4/1/20"], [3, 3, 4]),  # as months, time goes on
        (["3/4/20"], [4]),
    ],
)
def test_the_order_of_dates_is_told_by_the_whole_file(dates, months, tmp_path):
    found, _ = read(dated(dates), tmp_path, max_pause_minutes=0)
    times = [time for c in found for time in c.times]
    assert [gmtime(time).tm_mon for time in times] == months


def test_the_option_decides_about_the_order_of_dates(tmp_path):
    text = dated(["3/4/20", "13/4/20"])
    found, log = read(text, tmp_path, date_order="month_first")
    assert sum(len(c.turns) for c in found) == 1
    assert drops_of(log) == {"messages.no_such_time": 1}


def test_lines_before_the_first_message_are_dropped_and_counted(tmp_path):
    found, log = read("chat\nof us\n1/2/20, 10:00 - Bob: hi\n", tmp_path)
    assert turns_of(found) == [["hi"]]
    assert drops_of(log) == {"messages.no_head": 2}


def test_noon_and_midnight_of_12_hours(tmp_path):
    text = "1/2/20, 12:05 AM - A: x\n1/2/20, 12:05 p.m. - B: y\n"
    found, _ = read(text, tmp_path, max_pause_minutes=0)
    assert found[0].times[1] - found[0].times[0] == 12 * 3600


heads = st.sampled_from(
    [
        "",
        "1/2/20, 10:00 - ",
        "[99.99.9999, 99:99:99] ",
        "1/2/20, 10:00 - A: ",
        "31.2.20, 9:00 - B: ",
    ]
)


@given(st.lists(st.tuples(heads, st.text(st.characters(codec="utf-8"), max_size=12)), max_size=6))
def test_no_text_crashes_it_and_messages_add_up(tmp_path_factory, lines):
    text = "".join(f"{head}{rest}\n" for head, rest in lines)
    found, log = read(text, tmp_path_factory.mktemp("chat"), merge_messages=False)
    read_in = log._tally.by_month().get("input", {}).get("messages_read", 0)
    assert read_in == sum(len(c.turns) for c in found) + sum(drops_of(log).values())
