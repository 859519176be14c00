import re
from functools import partial
from time import gmtime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_importing import chat_config, drops_of, read_text, turns_of

from data_prep.importing.whatsapp import KNOWN_HEADS, read_whatsapp
from dialogpt.command_line import UserError


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
    "android, Dutch": "31-12-2019 21:4{} - {}: {}\n",
    "android, Spanish": "31/12/19, 9:4{} p. m. - {}: {}\n",
    "android, Finnish": "31.12.2019 klo 21.4{} - {}: {}\n",
    "android, older French": "31/12/2019 à 21:4{} - {}: {}\n",
    "android, Hungarian": "2019. 12. 31. 21:4{} - {}: {}\n",
    "android, Korean": "2019. 12. 31. 오후 9:4{}, {} : {}\n",
    "ios, Korean": "[2019. 12. 31. 오후 9:4{}:00] {}: {}\n",
    "android, Chinese": "2019/12/31 下午9:4{} - {}: {}\n",
    "ios, Chinese": "[2019/12/31 下午9:4{}:00] {}: {}\n",
    "android, Japanese": "2019/12/31 21:4{} - {}: {}\n",
    "android, Arabic": "٣١/١٢/٢٠١٩، ٩:٤{} م - {}: {}\n",
    "ios, Arabic, with marks": "\u200f[٣١\u200f/١٢\u200f/٢٠١٩، ٩:٤{}:٠٠ م] {}: {}\n",
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
        'Ann hat den Betreff von "Ferien: 2018" zu "Ferien: 2019" geändert',
        'Ann hat den Betreff von "Ferien" zu "Ferien: 2019" geändert',
        "Ann hat den Betreff zu „Ferien: 2019“ geändert",
        "Ann a changé le sujet en « Vacances : 2019 »",
    ],
)
def test_a_notice_with_a_colon_is_nobodys_turn(notice, tmp_path):
    found, log = read(f"1/2/20, 10:00 - {notice}\n1/2/20, 10:01 - Bob: hi\n", tmp_path)
    assert turns_of(found) == [["hi"]]
    assert drops_of(log) == {"messages.notice": 1}


def test_a_nickname_in_quotation_marks_is_a_person(tmp_path):
    found, _ = read('1/2/20, 10:00 - Ann "Annie" Lee: hi\n', tmp_path)
    assert turns_of(found) == [["hi"]]


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


def test_a_file_without_a_known_head_is_refused_with_its_first_line_masked(tmp_path):
    text = "2024年1月5日 21:45 ~ Zebulon: hi\nand more\n"
    with pytest.raises(UserError) as caught:
        read(text, tmp_path)
    message = str(caught.value)
    assert "'2024x1x5x 21:45 ~ xxxxxxx: xx'" in message
    assert "date format is not known" in message
    assert "Zebulon" not in message
    for head in KNOWN_HEADS:
        assert repr(head) in message
        found, _ = read(f"{head}Ann: hi\n", tmp_path)
        assert turns_of(found) == [["hi"]]


def test_an_empty_file_has_no_messages(tmp_path):
    assert read("\n", tmp_path)[0] == []


def test_a_message_with_a_line_that_is_not_utf8_is_lost_whole_and_nothing_else(tmp_path):
    text = (
        b"1/2/20, 10:00 - Ann: hi\n"
        b"1/2/20, 10:01 - Bob: caf\xe9\nand more from Bob\n"
        b"1/2/20, 10:02 - Ann: I see\n"
        b"1/2/20, 10:03 - Bob: what\nis a caf\xe9\nanyway?\n"
        b"1/2/20, 10:04 - Ann: \xef\xbf\xbd is a character\n"
    )
    found, log = read(text, tmp_path, merge_messages=False)
    assert turns_of(found) == [["hi", "I see", "\ufffd is a character"]]
    assert set(found[0].speakers) == {"Ann"}
    assert drops_of(log) == {"messages.not_utf8": 2}
    assert log.examples["messages.not_utf8"][0].startswith("input:2: expected UTF-8")
    assert log._tally.by_month()["input"]["messages_read"] == 5


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("look at this \u200e<attached: 00000012-PHOTO-2020.jpg>", "look at this"),
        ("look\nat this \u200eimage omitted", "look\nat this"),
        ("report \u2022 \u200e12 pages \u200edocument omitted", None),
        ("report.pdf \u2022 \u200e12 pages \u200edocument omitted", None),
        ("photo.jpg \u200eimage omitted", None),
        ("here: x.org \u200eimage omitted", "here: x.org"),
        ("call \u200e+49 170 1234567 now", "call \u200e+49 170 1234567 now"),
        ("\u200eIMG-1.jpg (file attached)\nlook", "look"),
        ("IMG-1.jpg (bestand bijgevoegd)", None),
        ("IMG-1.jpg (Datei angehängt)\nSchau mal", "Schau mal"),
        ("song.opus (файл добавлен)", None),
        ("x.org (worth it)", "x.org (worth it)"),
        ("<Medien ausgeschlossen>\nSchau mal", "Schau mal"),
        ("Bild weggelassen", None),
        ("I <3 you", "I <3 you"),
        ("hallo <Diese Nachricht wurde bearbeitet.>", "hallo"),
        ("hola \u200e<Se editó este mensaje.>", "hola"),
        ("שלום \u200f<something in no list>", "שלום"),
        ("hello <b>", "hello <b>"),
        ("Null", "Null"),
    ],
)
def test_only_what_was_typed_is_kept(said, typed, tmp_path):
    found, log = read(f"1/2/20, 10:00 - Bob: {said}\n1/2/20, 10:01 - Ann: ok\n", tmp_path)
    assert turns_of(found) == [["ok"] if typed is None else [typed, "ok"]]
    assert drops_of(log) == ({"messages.media": 1} if typed is None else {})


def test_a_message_of_which_the_end_was_not_typed_is_counted_as_cut(tmp_path):
    _, log = read("1/2/20, 10:00 - Bob: hi \u200eimage omitted\n", tmp_path)
    assert log._tally.by_month()["input"]["messages_cut"] == 1


@pytest.mark.parametrize(
    "said",
    [
        *("This message was deleted", "\u200eYou deleted this message.", "null"),
        "This message was deleted by admin Ann",
        *("Diese Nachricht wurde gelöscht.", "Du hast diese Nachricht gelöscht."),
        *("Se eliminó este mensaje.", "Eliminaste este mensaje."),
        *("Ce message a été supprimé", "Questo messaggio è stato eliminato"),
        *("Mensagem apagada", "Essa mensagem foi apagada", "Você apagou esta mensagem"),
        *("Dit bericht is verwijderd", "Bu mesaj silindi", "Это сообщение удалено"),
        *("تم حذف هذه الرسالة", "此消息已删除", "此訊息已刪除", "삭제된 메시지입니다."),
        "このメッセージは削除されました。",
    ],
)
def test_deleted_messages_are_told_in_many_languages(said, tmp_path):
    found, log = read(f"1/2/20, 10:00 - Bob: {said}\n1/2/20, 10:01 - Ann: ok\n", tmp_path)
    assert turns_of(found) == [["ok"]]
    assert drops_of(log) == {"messages.deleted": 1}
    found, _ = read(f"1/2/20, 10:00 - Bob: Hm. {said} Ach.\n", tmp_path)
    assert len(found) == 1  # words around it were typed


@pytest.mark.parametrize(
    ("midnight", "noon"),
    [
        ("1/2/20, 12:05 AM - ", "1/2/20, 12:05 p.m. - "),
        ("2020/2/1 凌晨12:05 - ", "2020/2/1 中午12:05 - "),
        ("2020. 2. 1. 오전 12:05, ", "2020. 2. 1. 오후 12:05, "),
        ("١/٢/٢٠٢٠، ١٢:٠٥ ص - ", "١/٢/٢٠٢٠، ١٢:٠٥ م - "),
    ],
)
def test_noon_and_midnight_of_12_hours(midnight, noon, tmp_path):
    text = f"{midnight}A: x\n{noon}B: y\n"
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
    folder = tmp_path_factory.mktemp("chat")
    try:
        found, log = read(text, folder, merge_messages=False)
    except UserError:
        assert not any(re.match(r"1/2|\[99|31\.2", line) for line in text.split("\n"))
        return
    read_in = log._tally.by_month().get("input", {}).get("messages_read", 0)
    assert read_in == sum(len(c.turns) for c in found) + sum(drops_of(log).values())
