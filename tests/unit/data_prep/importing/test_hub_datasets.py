import ast
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support_importing import drops_of, turns_of

from data_prep.importing import hub_datasets
from data_prep.importing.config import ColumnsConfig, ImportConfig
from data_prep.importing.dataset_files import files_by_split, local_files
from data_prep.importing.hub_datasets import read_datasets
from data_prep.importing.import_log import ImportLog
from dialogpt.command_line import UserError


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def read(path, *, turns="dialog", subset="", log=None, only_dealt_by_id=False, **columns):
    columns = ColumnsConfig(turns="" if "text" in columns else turns, **columns)
    config = ImportConfig(
        source="datasets", output="out", path=str(path), subset=subset, columns=columns
    )
    log = log or ImportLog()
    return list(read_datasets(config, log, only_dealt_by_id=only_dealt_by_id))


DIALOGUES = [["hi", "yo"], ["7 up", "nan", "null"]]


def test_every_kind_of_local_file_gives_the_same_dialogues(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"dialog": d}) + "\n" for d in DIALOGUES))
    (tmp_path / "b.json").write_text(json.dumps([{"dialog": d, "other": 1} for d in DIALOGUES]))
    pq.write_table(pa.table({"dialog": DIALOGUES, "x": [1, 2]}), tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.json", "c.parquet"):
        assert turns_of(read(tmp_path / name)) == DIALOGUES


@pytest.mark.parametrize(("name", "separator"), [("a.csv", ","), ("a.tsv", "\t")])
def test_words_that_pandas_takes_for_numbers_and_gaps_stay_words(name, separator, tmp_path):
    columns = {"question": ["007", "12"], "answer": ["1.0", "3e4"], "more": ["NA", "null"]}
    rows = [tuple(columns), *zip(*columns.values(), strict=True)]
    (tmp_path / name).write_text("".join(separator.join(row) + "\n" for row in rows))
    found = read(tmp_path / name, turns="question,answer,more")
    assert turns_of(found) == [list(row) for row in rows[1:]]


def test_rows_of_a_csv_may_be_messages(tmp_path):
    (tmp_path / "a.csv").write_text('conv,line,who\n1,"hi, you",A\n1,yo,B\n2,so,A\n')
    found = read(tmp_path / "a.csv", text="line", dialogue="conv", speakers="who")
    assert turns_of(found) == [["hi, you", "yo"], ["so"]]


def test_files_of_a_pattern_are_read_by_name(tmp_path):
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"dialog": [name]}) + "\n")
    assert turns_of(read(tmp_path / "*.jsonl")) == [["a"], ["b"]]
    assert turns_of(read(tmp_path)) == [["a"], ["b"]]


def write_tables(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(f"question,answer\n{name},x\n")


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "validation.csv", "test.csv"),
        ("my_train.csv", "my_dev.csv", "my-Test.csv"),
        ("train-00000-of-00001.csv", "val1.csv", "testing.csv"),
    ],
)
def test_local_files_that_are_named_for_splits_keep_them(names, tmp_path):
    write_tables(tmp_path, *names)
    found = read(tmp_path, turns="question,answer")
    assert {c.turns[0]: c.split for c in found} == dict(
        zip(names, ("train", "valid", "test"), strict=True)
    )
    assert [c.split for c in found] == ["test", "valid", "train"]


def test_files_of_one_split_are_dealt(tmp_path):
    write_tables(tmp_path, "train-0.csv", "train-1.csv")
    found = read(tmp_path, turns="question,answer")
    assert [(c.turns[0], c.split) for c in found] == [("train-0.csv", None), ("train-1.csv", None)]


@pytest.mark.parametrize(
    "names",
    [("train.csv", "more.csv"), ("a.csv", "b.csv", "test.csv"), ("a.csv", "train_test.csv")],
)
def test_files_of_which_only_some_tell_a_split_are_refused(names, tmp_path):
    write_tables(tmp_path, *names)
    with pytest.raises(UserError, match=r"expected names .* rename"):
        files_by_split("p", local_files(str(tmp_path)))


def test_splits_of_other_names_beside_known_ones_are_counted_and_told(monkeypatch):
    rows = {name: Rows(name) for name in ("train", "test_seen", "test_unseen")}
    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", lambda *_, **__: rows)
    log = ImportLog()
    assert [c.turns for c in read("owner/name", log=log)] == [("train",)]
    assert drops_of(log) == {"splits.unknown_name": 2}
    (note,) = log.notes
    assert "left out: test_seen, test_unseen" in note


def test_a_data_set_is_read_for_what_is_dealt_only_if_its_one_split_has_ids(monkeypatch):
    columns = {"turns": "dialog", "id": "name"}
    several = {"train": IdRows("a"), "test": IdRows("b")}
    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", lambda *_, **__: several)
    assert read("owner/name", only_dealt_by_id=True, **columns) == []
    one = {"train": IdRows("a")}
    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", lambda *_, **__: one)
    assert turns_of(read("owner/name", only_dealt_by_id=True, **columns)) == [["a"]]
    assert read("owner/name", only_dealt_by_id=True) == []


class Rows:
    """Rows as the library streams them; one may ask for columns, not for all."""

    column_names = ("dialog", "picture")

    def __init__(self, *turns):
        self._turns = turns

    def select_columns(self, names):
        assert names == ["dialog"]
        return [{"dialog": [turn]} for turn in self._turns]


class IdRows(Rows):
    column_names = ("dialog", "name")

    def select_columns(self, names):
        assert names == ["dialog", "name"]
        return [{"dialog": [turn], "name": f"id of {turn}"} for turn in self._turns]


def test_a_name_on_the_hub_is_loaded_by_the_same_call_without_code_of_its_own(monkeypatch):
    calls = []
    splits = {name: Rows(name) for name in ("train", "validation", "test")}

    def load_dataset(path, **options):
        calls.append((path, options))
        return splits

    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", load_dataset)
    found = read("owner/name", subset="en")
    assert calls == [("owner/name", {"name": "en", "streaming": True})]
    # What is held out comes first, so that leaks into training can be noticed.
    assert [(c.split, c.turns) for c in found] == [
        ("test", ("test",)),
        ("valid", ("validation",)),
        ("train", ("train",)),
    ]


def test_no_call_ever_trusts_remote_code():
    tree = ast.parse(Path(hub_datasets.__file__).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    keywords = {keyword.arg for call in calls for keyword in call.keywords}
    assert "trust_remote_code" not in keywords
    assert "streaming" in keywords


def test_a_single_split_is_dealt(monkeypatch):
    rows = {"everything": Rows("a")}
    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", lambda *_, **__: rows)
    assert [c.split for c in read("owner/name")] == [None]


def test_splits_of_other_names_are_refused(monkeypatch):
    rows = {"a": Rows(), "b": Rows()}
    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", lambda *_, **__: rows)
    with pytest.raises(UserError, match="found a, b"):
        read("owner/name")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(name, tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\nx,y\n")
    (tmp_path / "a.jsonl").write_text('{"question": "x", "answer": "y"}\n')
    with pytest.raises(UserError, match="'dialog', found question, answer"):
        read(tmp_path / name)


def test_without_a_network_the_message_says_so():
    with pytest.raises(UserError, match=r"owner/no-such-name.*network"):
        read("owner/no-such-name")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no parquet")
    with pytest.raises(UserError, match=r"a\.parquet"):
        read(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["a.pkl", "a.tar", "a.csv.zip"])
def test_files_of_other_kinds_are_never_handed_to_the_library(name, tmp_path):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match="expected files of one of the kinds"):
        local_files(str(tmp_path / name))


def test_files_of_two_kinds_at_once_are_refused(tmp_path):
    for name in ("a.csv", "b.json"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=r"found \.csv, \.json"):
        local_files(str(tmp_path))


@pytest.mark.parametrize("path", ["no/such.csv", "./nothing", "/nothing", "none*"])
def test_a_local_file_that_is_not_there_is_not_looked_for_on_the_hub(path):
    with pytest.raises(UserError, match="found nothing"):
        local_files(path)
