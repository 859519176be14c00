"""The sample dump: what is real in it, what is made up, and that it is the same every time."""

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from data_prep import sample
from data_prep.config import SampleConfig
from data_prep.sample_conversations import (
    REAL_COMMENT,
    Conversation,
    RealTurn,
    conversation_lines,
    load_conversations,
    parse_conversation,
    run_lengths,
)
from data_prep.sample_defects import CASES
from data_prep.sample_files import DumpFiles
from data_prep.sample_records import DumpLine, RecordMaker, base_36, month_of, to_json_line
from data_prep.sample_trees import MONTH_BORDER_UTC, plain_thread
from dialogpt.command_line import UserError

pytest.importorskip("chitchat_dataset", reason="needs the extra [sample]")

NUM_CONVERSATIONS = 60


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "dump"
    write(folder)
    return folder


def write(folder: Path, *, seed: int = 0, num_conversations: int = NUM_CONVERSATIONS) -> str:
    return sample.write_sample(
        SampleConfig(output=str(folder), seed=seed, num_conversations=num_conversations)
    )


def lines_of(path: Path) -> list[bytes]:
    with path.open("rb") as compressed:
        reader = zstandard.ZstdDecompressor(max_window_size=2**28).stream_reader(
            compressed, read_across_frames=True
        )
        return reader.read().removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)


def checksums(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(dump, tmp_path):
    write(tmp_path / "again")
    write(tmp_path / "other", seed=1)
    assert checksums(tmp_path / "again") == checksums(dump)
    assert checksums(tmp_path / "other")["RC_2018-04.zst"] != checksums(dump)["RC_2018-04.zst"]


def test_a_second_run_touches_nothing_and_other_settings_are_refused(tmp_path):
    write(tmp_path / "dump", num_conversations=3)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "dump").iterdir()}
    assert "nothing to do" in write(tmp_path / "dump", num_conversations=3)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "dump").iterdir()} == before
    with pytest.raises(UserError, match="'seed': 5"):
        write(tmp_path / "dump", num_conversations=3, seed=5)


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="other files"):
        write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_killed_run_leaves_nothing_that_the_next_one_keeps(dump, tmp_path):
    leftover = tmp_path / "dump.unfinished"
    leftover.mkdir()
    (leftover / "RC_1999-01.zst").write_bytes(b"half a fr")
    write(tmp_path / "dump")
    assert checksums(tmp_path / "dump") == checksums(dump)
    assert not leftover.exists()


def test_every_case_is_in_the_smallest_sample_and_the_counts_are_those_of_the_files(tmp_path):
    write(tmp_path / "dump", num_conversations=1)
    marker = json.loads((tmp_path / "dump" / sample.MARKER_FILE).read_text())
    assert {case.name for case in CASES} <= set(marker["lines_by_origin"])
    found = {path.name: len(lines_of(path)) for path in (tmp_path / "dump").glob("*.zst")}
    assert found == marker["lines_of_files"]
    assert sum(found.values()) == sum(marker["lines_by_origin"].values())


def test_the_readme_says_what_is_made_up_and_how_much(dump):
    readme = (dump / "README.txt").read_text()
    marker = json.loads((dump / sample.MARKER_FILE).read_text())
    assert "It does not come from Reddit" in readme
    for origin, count in marker["lines_by_origin"].items():
        assert f"{count:>8,}  {origin}" in readme


def test_the_files_have_the_layouts_that_published_dumps_have(dump):
    frames = (dump / "RC_2018-04.zst").read_bytes()
    assert zstandard.frame_content_size(frames) == -1
    first = zstandard.ZstdDecompressor().decompressobj()
    first.decompress(frames)
    assert first.unused_data.startswith(b"\x50\x2a\x4d\x18"), "a skippable frame comes second"
    window = zstandard.get_frame_parameters((dump / "RC_2018-05.zst").read_bytes()).window_size
    assert window == 2**28
    with (dump / "RS_2018-04.zst").open("rb") as compressed:
        text = zstandard.ZstdDecompressor().stream_reader(compressed).read()
    assert text.startswith(b"\xef\xbb\xbf{")
    assert not lines_of(dump / "RS_2018-05.zst")[-1].endswith(b"\n")


def test_bytes_come_back_whole_from_a_file_of_several_frames(tmp_path):
    written = [b"line %d\n" % number for number in range(4500)]
    files = DumpFiles(tmp_path)
    for data in written:
        files.write(DumpLine(kind="RC", month="2018-04", data=data, origin=""))
    assert files.close() == {"RC_2018-04.zst": 4500}
    assert lines_of(tmp_path / "RC_2018-04.zst") == written
    assert (tmp_path / "RC_2018-04.zst").read_bytes().count(b"\x50\x2a\x4d\x18") == 3


def test_the_text_and_time_of_every_real_turn_is_there_and_no_sender():
    conversations = load_conversations(20, seed=3)
    maker = RecordMaker(0)
    bodies: Counter[tuple[str, int]] = Counter()
    for conversation in conversations:
        for line in conversation_lines(conversation, maker):
            record = json.loads(line.data)
            assert line.month == month_of(record["created_utc"])
            assert not any(turn.sender.encode() in line.data for turn in conversation.turns)
            if line.origin == REAL_COMMENT:
                # Entities are Reddit's three; `html.unescape` would also mend what users typed.
                body = record["body"].replace("&lt;", "<").replace("&gt;", ">")
                bodies[body.replace("&amp;", "&"), record["created_utc"]] += 1
    assert bodies == Counter((t.text, t.created_utc) for c in conversations for t in c.turns)


@given(num_turns=st.integers(1, 600), seed=st.integers(0, 2**32))
def test_runs_have_two_to_seven_turns_and_leave_none_out(num_turns, seed):
    lengths = run_lengths(num_turns, RecordMaker(seed).rng)
    assert sum(lengths) == num_turns
    assert lengths == [1] if num_turns == 1 else all(2 <= length <= 7 for length in lengths)


def test_a_run_is_a_chain_of_replies_under_the_submission():
    turns = tuple(RealTurn(f"turn {i}", "ab"[i % 2], 1_525_000_000 + i) for i in range(23))
    lines = conversation_lines(Conversation("A prompt & more?", turns), RecordMaker(1))
    submission, *comments = [json.loads(line.data) for line in lines]
    assert submission["title"] == "A prompt &amp; more?"
    assert submission["num_comments"] == len(comments) == 23
    previous = None
    for comment in comments:
        top_level, reply = "t3_" + submission["id"], f"t1_{previous}"
        assert comment["link_id"] == top_level
        assert comment["parent_id"] in ((top_level, reply) if previous else (top_level,))
        previous = comment["id"]
    assert len({comment["author"] for comment in comments}) == 2
    assert sum(comment["parent_id"].startswith("t3_") for comment in comments) >= 23 / 7


def test_a_made_up_thread_crosses_a_month_border():
    months = [line.month for line in CASES[0].lines(RecordMaker(0), 0)]
    assert months == ["2018-04", "2018-04", "2018-05"]
    assert month_of(MONTH_BORDER_UTC - 1) == "2018-04"
    assert month_of(MONTH_BORDER_UTC) == "2018-05"


def test_every_case_differs_from_a_healthy_thread():
    for case in CASES:
        lines = [line.data for line in case.lines(RecordMaker(7), 1_525_000_000)]
        healthy = [to_json_line(r) for r in plain_thread(RecordMaker(7), 1_525_000_000)]
        assert lines
        assert lines != healthy, case.name
        assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines), case.name


def test_a_conversation_of_another_shape_is_named():
    with pytest.raises(UserError, match="conversation abc"):
        parse_conversation("abc", {"messages": [[{"text": "hello", "sender": "x"}]]})


def test_a_missing_package_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "chitchat_dataset", None)
    with pytest.raises(UserError, match="pip install chitchat-dataset"):
        load_conversations(1, seed=0)


@given(number=st.integers(0, 2**63))
def test_base_36_is_read_back_by_int(number):
    assert int(base_36(number), 36) == number


def test_the_shipped_lists_know_the_sample_s_phrase_and_subreddit():
    lists = Path(sample.__file__).parent / "lists"
    made_up = [line.data for case in CASES for line in case.lines(RecordMaker(0), 0)]
    lines = [data.decode(errors="replace").lower() for data in made_up]
    for name in ("offensive_phrases.txt", "excluded_subreddits.txt"):
        words = [w for w in (lists / name).read_text().splitlines() if w and w[0] != "#"]
        assert any(f'"{word}"' in line or f" {word}," in line for word in words for line in lines)
