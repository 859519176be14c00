from time import tzset

from hypothesis import given
from hypothesis import strategies as st
from support_importing import chat_config, drops_of, turns_of

from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile
from data_prep.importing.messages import Message, conversations_of, seconds_of

FILE = InputFile(None, "file", "p", None)


def converse(messages, **options):
    log = ImportLog()
    config = chat_config("whatsapp", **options)
    return list(conversations_of(messages, FILE, log, config)), log


def said(*lines):
    """Messages from (minute, speaker, text)."""
    return [Message(who, text, 60 * minute, f"m{n}") for n, (minute, who, text) in enumerate(lines)]


TALK = said(
    (0, "A", "hi"), (1, "A", "you there?"), (2, "B", "yes"), (62, "A", "so"), (123, "B", "?")
)


def test_messages_in_a_row_of_one_person_are_one_turn():
    found, _ = converse(TALK)
    assert turns_of(found) == [["hi\nyou there?", "yes", "so"], ["?"]]
    assert found[0].speakers == ("A", "B", "A")
    assert found[0].turn_ids == ("m0", "m2", "m3")
    assert found[0].times == (60, 120, 3720)


def test_unjoined_each_message_is_a_turn():
    found, _ = converse(TALK, merge_messages=False)
    assert turns_of(found) == [["hi", "you there?", "yes", "so"], ["?"]]


def test_a_dialogue_ends_where_the_silence_is_longer_than_the_limit_and_only_there():
    assert turns_of(converse(TALK, max_pause_minutes=60)[0])[1] == ["?"]
    assert len(converse(TALK, max_pause_minutes=59.9)[0]) == 3
    assert len(converse(TALK, max_pause_minutes=61)[0]) == 1
    assert len(converse(TALK, max_pause_minutes=0)[0]) == 1


def test_a_clock_that_is_put_back_ends_no_dialogue():
    found, _ = converse(said((200, "A", "hi"), (20, "B", "yo")))
    assert turns_of(found) == [["hi", "yo"]]


def test_messages_without_readable_text_are_counted_and_part_nobody():
    found, log = converse(said((0, "A", "hi"), (1, "B", " \u200b"), (2, "A", "again")))
    assert turns_of(found) == [["hi\nagain"]]
    assert drops_of(log) == {"messages.empty": 1}


@given(
    st.lists(st.tuples(st.integers(0, 500), st.sampled_from("ABC"), st.sampled_from("xyz"))),
    st.booleans(),
    st.sampled_from([0, 1, 60]),
)
def test_every_word_is_in_one_turn_and_in_order(lines, merge, pause):
    found, log = converse(said(*lines), merge_messages=merge, max_pause_minutes=pause)
    words = [word for c in found for turn in c.turns for word in turn.split("\n")]
    assert words == [text for _, _, text in lines]
    assert len(found) == log._tally.by_month().get("input", {}).get("records_read", 0)
    if merge:
        for conversation in found:
            pairs = zip(conversation.speakers, conversation.speakers[1:], strict=False)
            assert all(one != next_one for one, next_one in pairs)


def test_times_without_a_zone_are_utc_wherever_the_computer_is(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    tzset()
    assert seconds_of("1970-01-01T00:01:00") == 60
    assert seconds_of("1970-01-01T01:01:00+01:00") == 60
    assert seconds_of("1970-01-01T00:01:00.5Z") == 60
    monkeypatch.undo()
    tzset()
