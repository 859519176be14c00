import gzip
import io
import zipfile

import pytest
import zstandard
from support_importing import drops_of

from data_prep.importing.config import ImportConfig
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import (
    InputFile,
    input_files,
    json_document,
    numbered_lines,
    paths_of,
)
from dialogpt.command_line import UserError


def zipped(text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("_chat.txt", text)
    return packed.getvalue()


def file_of(path):
    return InputFile(path, "name", "p", None)


TEXT = "\ufefffirst\r\n\n  \nline\u2028separator\x85in\ra text\x0b\nlast"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
def test_only_line_feeds_end_a_line_and_numbers_count_blank_ones(pack, tmp_path):
    (tmp_path / "f").write_bytes(pack(TEXT.encode()))
    lines = list(numbered_lines(file_of(tmp_path / "f"), ImportLog()))
    assert lines == [(1, "first"), (4, "line\u2028separator\x85in\ra text\x0b"), (5, "last")]


def test_a_line_that_is_not_utf8_is_dropped_with_its_number(tmp_path):
    (tmp_path / "f").write_bytes(b"a\nb\xe9\nc")
    log = ImportLog()
    assert [text for _, text in numbered_lines(file_of(tmp_path / "f"), log)] == ["a", "c"]
    assert drops_of(log) == {"records.not_utf8": 1}
    assert log.examples["records.not_utf8"] == ["name:2: expected UTF-8, found the byte 0xe9"]


def test_a_damaged_archive_is_refused_by_name(tmp_path):
    (tmp_path / "f").write_bytes(gzip.compress(b"a\n" * 9999)[:-9])
    for read in (numbered_lines, json_document):
        with pytest.raises(UserError, match="f: expected a whole archive"):
            list(read(file_of(tmp_path / "f"), ImportLog()))


def test_reading_reports_every_byte_of_the_file(tmp_path):
    (tmp_path / "f").write_text("[1]")
    seen = []
    assert json_document(file_of(tmp_path / "f"), ImportLog(seen.append)) == [1]
    assert sum(seen) == 3


def test_an_error_in_json_is_named_by_file_and_line(tmp_path):
    (tmp_path / "f").write_text('{\n"a": 1\n"b": 2}')
    with pytest.raises(UserError, match="f:3: expected one JSON document"):
        json_document(file_of(tmp_path / "f"), ImportLog())


def test_a_file_a_folder_and_a_pattern_name_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.json", ".hidden"):
        (tmp_path / name).write_text("")
    names = {
        given: [p.name for p in paths_of(str(tmp_path / given), "whatsapp")]
        for given in ("", "*.txt", "c.json")
    }
    assert names == {
        "": ["a.txt", "b.txt"],  # photos lie beside a chat
        "*.txt": ["a.txt", "b.txt"],
        "c.json": ["c.json"],
    }


def test_of_a_folder_only_whatsapp_leaves_files_out(tmp_path):
    for name in ("b.TXT", "a.txt.gz", "photo.jpg"):
        (tmp_path / name).write_text("")
    assert [p.name for p in paths_of(str(tmp_path), "whatsapp")] == ["a.txt.gz", "b.TXT"]
    assert len(paths_of(str(tmp_path), "telegram")) == 3
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "photo.jpg").write_text("")
    with pytest.raises(UserError, match=r"found a folder without \.txt files"):
        paths_of(str(tmp_path / "photos"), "whatsapp")


@pytest.mark.parametrize(
    ("content", "found"),
    [(zipped("hi"), "a zip archive; unpack it"), ("hi".encode("utf-16"), "UTF-16")],
    ids=["zip", "utf-16"],
)
def test_an_archive_and_another_encoding_are_refused_with_what_to_do(content, found, tmp_path):
    (tmp_path / "f").write_bytes(content)
    for read in (numbered_lines, json_document):
        with pytest.raises(UserError, match=f"f: expected .*{found}"):
            list(read(file_of(tmp_path / "f"), ImportLog()))


@pytest.mark.parametrize("given", ["nothing", "*.none", "empty"])
def test_a_name_of_nothing_is_an_error(given, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"expected a file, a folder of files or a pattern"):
        paths_of(str(tmp_path / given), "json_lines")


def test_a_slack_export_is_a_folder_and_not_its_files(tmp_path):
    assert paths_of(str(tmp_path), "slack") == [tmp_path]
    (tmp_path / "e.zip").write_text("")
    with pytest.raises(UserError, match="unpack"):
        paths_of(str(tmp_path / "e.zip"), "slack")


def test_held_out_files_come_first_and_names_of_chats_are_hidden(tmp_path):
    for name in ("Ann.txt", "Bob.txt", "v"):
        (tmp_path / name).write_text("")
    config = ImportConfig(
        source="whatsapp",
        output="o",
        input=str(tmp_path / "*.txt"),
        valid=str(tmp_path / "v"),
    )
    files = input_files(config)
    assert [(f.name, f.prefix, f.split) for f in files] == [
        ("whatsapp_valid", "whatsapp_valid", "valid"),
        ("whatsapp_input-0", "whatsapp_input-0", None),
        ("whatsapp_input-1", "whatsapp_input-1", None),
    ]
    assert [f.column for f in files] == ["valid", "input", "input"]
