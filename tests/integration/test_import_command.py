"""Every source through the command, on to tokenizer, shards and inspect; and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
from support_importing import (
    REAL_SETS,
    counts_of,
    hold_folder,
    needs_real_sets,
    rows_of,
    run_import,
)

from data_prep import inspecting, train_tokenizer, write_shards
from data_prep.importing import importer
from data_prep.importing.config import SOURCES
from data_prep.splits import split_of
from dialogpt.data.manifest import read_manifest
from dialogpt.decode.contexts import read_contexts
from dialogpt.records import SPLITS, read_test_items

NAMES = ("Zebulon", "Quirinus", "Walburga")
"""Names of people in the chats below, that are nowhere else."""
ZEB, QUIR, WAL = NAMES


def chat_line(minute, who, text):
    return f"31/12/2019, 21:{minute:02} - {who}: {text}\n"


WHATSAPP = (
    f"no head: {WAL}\n"
    f'31/12/2019, 21:00 - {ZEB} changed the subject from "a" to "{WAL}: {QUIR}"\n'
    + chat_line(1, ZEB, "do you like tea?")
    + chat_line(2, QUIR, "i do not, @\u2068Walburga\u2069")
    + chat_line(2, WAL, "<Media omitted>")
)
TELEGRAM = {
    "name": WAL,
    "messages": [
        {"id": 1, "type": "service", "date": "2020-01-01T10:00:00", "actor": ZEB},
        {
            "id": 2,
            "type": "message",
            "date": "2020-01-01T10:00:00",
            "from": ZEB,
            "text": "do you like tea?",
        },
        {
            "id": 3,
            "type": "message",
            "date": "2020-01-01T10:01:00",
            "from": QUIR,
            "text": ["i do not, ", {"type": "mention", "text": f"@{WAL}"}],
        },
        {"id": 4, "type": "message", "from": QUIR, "text": "no date"},
    ],
}
DISCORD = {
    "channel": {"name": WAL},
    "messages": [
        {
            "id": str(number),
            "type": "Default",
            "timestamp": "2020-01-01T10:00:00+00:00",
            "content": text,
            "author": {"id": str(number), "name": who},
            "mentions": [{"id": "9", "name": WAL}],
        }
        for number, who, text in (
            (1, ZEB, "do you like tea?"),
            (2, QUIR, f"i do not, @{WAL}"),
            (3, QUIR, None),
        )
    ],
}
SLACK = [
    {"type": "message", "user": ZEB, "text": "do you like tea?", "ts": "1577872800.000100"},
    {"type": "message", "user": QUIR, "text": f"i do not, <@W1|{WAL}>", "ts": "1577872860.000100"},
    {"type": "message", "user": QUIR, "text": f"{WAL}"},
]


def write_slack(path):
    channel = path / f"mpdm-{WAL}--{ZEB}-1"
    channel.mkdir(parents=True)
    (channel / "2020-01-01.json").write_text(json.dumps(SLACK))
    (path / "users.json").write_text(json.dumps([{"id": ZEB, "name": WAL}]))


TURNS = ["do you like tea ?", "i do not ."]
TEXTS = {
    "dailydialog": "".join(f"{text} __eou__ " for text in TURNS).strip() + "\n",
    "personachat": json.dumps({"personas": [["a"], ["b"]], "utterances": TURNS}),
    "avsd": json.dumps(
        {
            "dialogs": [
                {
                    "image_id": "VID",
                    "caption": "c .",
                    "summary": "s .",
                    "dialog": [{"question": TURNS[0], "answer": TURNS[1]}],
                }
            ]
        }
    ),
    "dialogpt_tsv": "\t".join(TURNS) + "\n",
    "json_lines": json.dumps(["do you like tea?", "i do not."]) + "\n",
    "whatsapp": WHATSAPP,
    "telegram": json.dumps(TELEGRAM),
    "discord": json.dumps(DISCORD),
    "datasets": "question,answer\ndo you like tea?,i do not.\n",
}


def write_source(source: str, folder: Path) -> Path:
    """An input of two turns; that of a chat is named for people."""
    name = "pairs.csv" if source == "datasets" else f"Chat of {ZEB} with {QUIR}"
    path = folder / "in" / name
    path.parent.mkdir(parents=True)
    if source == "slack":
        write_slack(path)
    else:
        path.write_text(TEXTS[source], encoding="utf-8")
    return path


def options_for(source: str, path: Path) -> list[str | Path]:
    if source == "datasets":
        return ["--path", path, "--columns.turns", "question,answer"]
    return ["--input", path]


NOT_DEALT = ["--split.valid_fraction", "0", "--split.test_fraction", "0"]


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_goes_on_to_shards_and_inspect(source, tmp_path, capsys):
    output = tmp_path / "out"
    options = options_for(source, write_source(source, tmp_path))
    assert run_import("--source", source, "--output", output, *options, *NOT_DEALT) == 0
    (row,) = rows_of(output, "train")
    mentions = ["do you like tea?", "i do not, @user"]
    chats = ("whatsapp", "telegram", "discord", "slack")
    assert row["turns"] == (mentions if source in chats else ["do you like tea?", "i do not."])
    assert row["subreddit"] == source
    unknown = source in ("dialogpt_tsv", "json_lines", "datasets")
    assert row["speakers"] == ([-1, -1] if unknown else [0, 1])

    write_shards.main(
        [
            *("--dialogues", str(output), "--tokenizer", "gpt2"),
            *("--output", str(tmp_path / "shards"), "--num_workers", "1"),
        ]
    )
    assert read_manifest(tmp_path / "shards" / "train").num_dialogues == 1
    capsys.readouterr()
    inspecting.main(["--shards", str(tmp_path / "shards"), "--find", "TEA"])
    assert row["turns"][1] in capsys.readouterr().out


def test_a_tokenizer_is_trained_on_each_turn_once_however_many_rows_it_is_in(tmp_path, capsys):
    path = write_lines(tmp_path / "a", some_dialogues(40))
    by_response = ["--instances", "response", *NOT_DEALT]
    assert lines_import(tmp_path, "--input", path, *by_response) == 0
    assert len(rows_of(tmp_path / "out", "train")) == 80
    options = ["--dialogues", str(tmp_path / "out"), "--output", str(tmp_path / "tokenizer")]
    train_tokenizer.main([*options, "--vocab_size", "301"])
    assert "120 of 120 distinct turns" in capsys.readouterr().out


@pytest.mark.parametrize("source", ["whatsapp", "telegram", "discord", "slack"])
def test_no_name_of_a_person_is_written_anywhere(source, tmp_path):
    output = tmp_path / "out"
    path = write_source(source, tmp_path)
    assert run_import("--source", source, "--output", output, "--input", path) == 0
    drops = json.loads((output / "counts.json").read_text())["examples_of_drops"]
    assert drops  # the malformed message has left its example
    written = [json.dumps(rows_of(output))]
    for file in output.rglob("*"):
        written.append(str(file.relative_to(output)))
        if file.suffix in (".json", ".tsv", ".yaml"):
            written.append(file.read_text(encoding="utf-8"))
    assert len(written) > 5
    for name in NAMES:
        assert name.lower() not in " ".join(written).lower()


def write_lines(path: Path, dialogues) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(dialogue) + "\n" for dialogue in dialogues))
    return path


def some_dialogues(number, *, seed=""):
    return [[f"hello {seed}{n}", f"reply {seed}{n}", f"again {seed}{n}"] for n in range(number)]


def lines_import(tmp_path, *options, output="out"):
    return run_import("--source", "json_lines", "--output", tmp_path / output, *options)


def test_the_same_command_again_does_nothing(tmp_path, capsys):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(9))]
    assert lines_import(tmp_path, *options) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    capsys.readouterr()
    assert lines_import(tmp_path, *options) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


def test_another_option_or_input_is_refused_with_what_differs(tmp_path, capsys):
    first = write_lines(tmp_path / "a", some_dialogues(9))
    assert lines_import(tmp_path, "--input", first) == 0
    assert lines_import(tmp_path, "--input", first, "--min_turns", "3") == 1
    assert "settings.min_turns was 2, is 3" in capsys.readouterr().err
    write_lines(tmp_path / "a", some_dialogues(10))
    assert lines_import(tmp_path, "--input", first) == 1
    assert "inputs.input was" in capsys.readouterr().err
    assert len(rows_of(tmp_path / "out")) == 9


def test_a_folder_of_other_files_is_refused_and_an_empty_one_taken(tmp_path, capsys):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(2))]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    assert lines_import(tmp_path, *options) == 1
    assert "other files" in capsys.readouterr().err
    (tmp_path / "out" / "mine").unlink()
    assert lines_import(tmp_path, *options) == 0


def test_a_run_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(9))]

    def fail(*_args):
        raise OSError("disk full")

    monkeypatch.setattr(importer, "write_test_items", fail)
    assert lines_import(tmp_path, *options) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_a_killed_run_left_is_not_taken_for_output(tmp_path):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(9))]
    left = tmp_path / "out.unfinished" / "output" / "dialogues" / "train" / "part-00007.parquet"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    assert lines_import(tmp_path, *options) == 0
    assert len(rows_of(tmp_path / "out")) == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out"]


def test_two_runs_on_one_output_are_refused(tmp_path, capsys):
    import multiprocessing

    options = ["--input", write_lines(tmp_path / "a", some_dialogues(2))]
    context = multiprocessing.get_context("spawn")
    holds, end = context.Event(), context.Event()
    other = context.Process(target=hold_folder, args=(tmp_path / "out.unfinished", holds, end))
    other.start()
    assert holds.wait(60)
    try:
        assert lines_import(tmp_path, *options) == 1
        assert "another run is at work" in capsys.readouterr().err
        assert (tmp_path / "out.unfinished").is_dir()
    finally:
        end.set()
        other.join()
    assert lines_import(tmp_path, *options) == 0


def test_an_unknown_key_ends_with_code_2(tmp_path, capsys):
    assert lines_import(tmp_path, "--inptu", "x") == 2
    assert "inptu" in capsys.readouterr().err


def test_the_wrong_source_is_told_with_an_example_and_leaves_nothing(tmp_path, capsys):
    path = write_lines(tmp_path / "a", some_dialogues(3))
    assert run_import("--source", "dailydialog", "--output", tmp_path / "out", "--input", path) == 1
    message = capsys.readouterr().err
    assert "found none in 3 records" in message
    assert f"{path}:1: expected turns that all end with __eou__" in message
    assert not (tmp_path / "out").exists()


def test_published_splits_are_kept(tmp_path):
    for split in SPLITS:
        write_lines(tmp_path / split, some_dialogues(5, seed=split))
    options = [part for split in SPLITS for part in (f"--{split}", tmp_path / split)]
    assert lines_import(tmp_path, *options) == 0
    for split in SPLITS:
        turns = [row["turns"] for row in rows_of(tmp_path / "out", split)]
        assert turns == some_dialogues(5, seed=split)


def test_a_line_that_names_its_split_is_in_it(tmp_path):
    names = ["train", "dev", "test"]
    values = [{"turns": ["a", name], "split": name} for name in names]
    assert lines_import(tmp_path, "--input", write_lines(tmp_path / "a", values)) == 0
    found = [row["turns"][1] for split in SPLITS for row in rows_of(tmp_path / "out", split)]
    assert found == names


def test_what_has_no_splits_is_dealt_by_a_hash_of_its_text_or_id(tmp_path):
    plain = some_dialogues(60)
    others = enumerate(some_dialogues(120, seed="other"))
    named = [{"turns": dialogue, "id": f"n{n % 60}"} for n, dialogue in others]
    shares = ["--split.valid_fraction", "0.3", "--split.test_fraction", "0.3"]
    path = write_lines(tmp_path / "a", [*plain, *plain, *named])
    assert lines_import(tmp_path, "--input", path, "--no_drop_leaks", *shares) == 0
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        rows = rows_of(tmp_path / "out", split)
        assert len(rows) > 30
        for row in rows:
            key = row["thread_id"] if row["thread_id"][0] == "n" else row["turns"][0]
            sides.setdefault(key, set()).add(split)
    assert len(sides) == 120
    assert all(len(splits) == 1 for splits in sides.values())


def test_the_input_is_not_dealt_to_splits_that_have_files(tmp_path):
    given = write_lines(tmp_path / "given", some_dialogues(3, seed="given"))
    path = write_lines(tmp_path / "a", some_dialogues(60))
    shares = ["--split.valid_fraction", "0.4", "--split.test_fraction", "0.4"]
    assert lines_import(tmp_path, "--input", path, "--test", given, *shares) == 0
    counts = counts_of(tmp_path / "out")
    assert counts["input"].keys() & {f"dialogues.{split}" for split in SPLITS} == {
        "dialogues.train",
        "dialogues.valid",
    }
    assert counts["test"]["dialogues.test"] == 3


def test_training_dialogues_of_the_held_out_files_are_dropped_unless_wanted(tmp_path):
    train = write_lines(
        tmp_path / "t", [*some_dialogues(5), ["hello\u200b 3", "reply 3", "again 3"]]
    )
    valid = write_lines(tmp_path / "v", some_dialogues(6)[3:])
    options = ["--train", train, "--valid", valid]
    assert lines_import(tmp_path, *options) == 0
    assert [row["turns"] for row in rows_of(tmp_path / "out", "train")] == some_dialogues(3)
    assert len(rows_of(tmp_path / "out", "valid")) == 3
    assert counts_of(tmp_path / "out")["train"]["records_dropped.leak"] == 3
    assert lines_import(tmp_path, *options, "--no_drop_leaks", output="all") == 0
    assert len(rows_of(tmp_path / "all", "train")) == 6


@pytest.mark.parametrize("first", ["train", "test"])
def test_a_leak_is_dropped_in_whatever_order_a_file_tells_its_splits(first, tmp_path):
    twins = [{"turns": ["how are you?", "fine"], "split": split} for split in ("train", "test")]
    alone = {"turns": ["hi", "yo"], "split": "train"}
    twins = twins if first == "train" else twins[::-1]
    path = write_lines(tmp_path / "a", [*twins, alone])
    assert lines_import(tmp_path, "--input", path) == 0
    assert [row["turns"] for row in rows_of(tmp_path / "out", "train")] == [alone["turns"]]
    assert len(rows_of(tmp_path / "out", "test")) == 1
    counts = counts_of(tmp_path / "out")["total"]
    assert (counts["records_read"], counts["records_dropped.leak"]) == (3, 1)


def test_same_words_under_many_ids_are_not_dealt_to_training_and_test(tmp_path):
    ids = range(200)
    lines = [{"id": f"d{n}", "turns": ["how are you?", "fine"]} for n in ids]
    assert lines_import(tmp_path, "--input", write_lines(tmp_path / "a", lines)) == 0
    assert rows_of(tmp_path / "out", "train") == []
    num_held_out = len(rows_of(tmp_path / "out"))
    assert num_held_out > 0
    assert counts_of(tmp_path / "out")["total"]["records_dropped.leak"] == 200 - num_held_out
    # A table with ids as well.
    table = tmp_path / "pairs.csv"
    table.write_text("id,q,a\n" + "".join(f"d{n},how are you?,fine\n" for n in ids))
    options = ["--source", "datasets", "--path", table, "--output", tmp_path / "table"]
    assert run_import(*options, "--columns.turns", "q,a", "--columns.id", "id") == 0
    assert rows_of(tmp_path / "table", "train") == []
    assert len(rows_of(tmp_path / "table")) == num_held_out


def test_malformed_records_are_counted_saved_and_told_and_the_rest_is_written(tmp_path, capsys):
    path = write_lines(tmp_path / "a", [["hi", "yo"], {"no": "turns"}, ["alone"], ["\u200b"]])
    with path.open("a") as lines:
        lines.write("{\n")
    assert lines_import(tmp_path, "--input", path, *NOT_DEALT) == 0
    counts = counts_of(tmp_path / "out")["total"]
    assert counts == {
        "records_read": 5,
        "records_dropped.empty": 1,
        "records_dropped.no_turns": 1,
        "records_dropped.not_json": 1,
        "records_kept": 2,
        "turns_dropped.empty": 1,
        "instances": 2,
        "instances_dropped.too_few_turns": 1,
        "dialogues.train": 1,
    }
    message = capsys.readouterr().err
    assert f"no_turns, for example {path}:2: expected" in message
    assert "3 of 5 records could not be used" in message
    assert "the valid split is empty" in message


def test_tables_named_for_splits_land_in_them_and_renaming_is_another_import(tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("train", "validation", "test"):
        (folder / f"{name}.csv").write_text(f"question,answer\nhello {name},hi\n")
    options = ["--source", "datasets", "--path", folder, "--output", tmp_path / "out"]
    options += ["--columns.turns", "question,answer"]
    assert run_import(*options) == 0
    for split, name in zip(SPLITS, ("train", "validation", "test"), strict=True):
        (row,) = rows_of(tmp_path / "out", split)
        assert row["turns"] == [f"hello {name}", "hi"]
    (folder / "test.csv").rename(folder / "tiny_train.csv")
    assert run_import(*options) == 1
    assert "inputs.path was" in capsys.readouterr().err


def test_messages_that_cannot_be_read_are_told(tmp_path, capsys):
    path = tmp_path / "chat"
    path.write_bytes((chat_line(1, ZEB, "hi") + chat_line(2, QUIR, "yo")).encode() + b"caf\xe9\n")
    options = ["--source", "whatsapp", "--output", tmp_path / "out", "--input", path]
    assert run_import(*options, "--min_turns", "1", *NOT_DEALT) == 0
    assert counts_of(tmp_path / "out")["total"]["messages_dropped.not_utf8"] == 1
    message = capsys.readouterr().err
    assert "note: not_utf8, for example whatsapp_input:2: expected UTF-8" in message
    assert QUIR not in message


def test_splits_that_are_left_out_are_told(tmp_path, capsys, monkeypatch):
    from data_prep.importing import hub_datasets

    table = tmp_path / "pairs.csv"
    table.write_text("q,a\nhi,yo\n")
    load = hub_datasets.datasets.load_dataset

    def more_splits(*args, **options):
        (rows,) = load(*args, **options).values()
        return {"train": rows, "test_seen": rows}

    monkeypatch.setattr(hub_datasets.datasets, "load_dataset", more_splits)
    options = ["--source", "datasets", "--path", table, "--output", tmp_path / "out"]
    assert run_import(*options, "--columns.turns", "q,a") == 0
    assert "note: splits that are read: train; left out: test_seen" in capsys.readouterr().err
    assert counts_of(tmp_path / "out")["total"]["splits_dropped.unknown_name"] == 1


def test_any_number_of_parts_gives_the_same_rows(tmp_path, monkeypatch):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(50))]
    assert lines_import(tmp_path, *options) == 0
    monkeypatch.setattr(importer, "CONVERSATIONS_PER_PART", 7)
    assert lines_import(tmp_path, *options, output="parts") == 0
    for split in SPLITS:
        assert rows_of(tmp_path / "parts", split) == rows_of(tmp_path / "out", split)
    train = tmp_path / "parts" / "dialogues" / "train"
    assert sum(1 for _ in train.glob("part-*.parquet")) == 8
    for name in ("counts.json", "manifest.json"):
        one, other = (tmp_path / folder / name for folder in ("out", "parts"))
        assert one.read_bytes() == other.read_bytes()


def test_the_saved_config_repeats_the_import(tmp_path):
    options = ["--input", write_lines(tmp_path / "a", some_dialogues(9)), "--max_turns", "2"]
    assert lines_import(tmp_path, *options) == 0
    saved = tmp_path / "out" / "import.yaml"
    assert run_import("--config", saved, "--output", tmp_path / "again") == 0
    assert rows_of(tmp_path / "again") == rows_of(tmp_path / "out")


def test_a_test_set_with_references_is_written_and_read_by_decode(tmp_path):
    turns = [{"text": "Hi .", "responses": ["hello .", "\u200b"]}, {"text": "Hello ."}]
    empty = [{"text": "Hi .", "responses": ["\u200b"]}, {"text": "Hello ."}]
    path = write_lines(tmp_path / "r", [{"dialogue": turns}, {"dialogue": empty}])
    options = ["--source", "dailydialog", "--output", tmp_path / "out", "--test_references", path]
    assert run_import(*options) == 0
    written = tmp_path / "out" / "testset" / "dailydialog.jsonl"
    (item,) = read_test_items(written)
    assert (item.turns, item.references, item.human) == (("Hi.",), ("hello.",), None)
    assert read_contexts(str(written)) == [["Hi."]]
    counts = counts_of(tmp_path / "out")["test"]
    assert (counts["test_items_read"], counts["test_items"]) == (2, 1)
    assert (counts["test_items_dropped.empty"], counts["references_dropped.empty"]) == (1, 1)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Import a real data set once; its output folder."""
    folder = tmp_path_factory.mktemp("real")

    def run(name, *options):
        output = folder / name
        if not output.exists():
            assert run_import("--output", output, *options) == 0
        return output

    yield run
    shutil.rmtree(folder)


def dailydialog(real):
    folder = REAL_SETS / "dailydialog"
    return real(
        "dailydialog",
        *("--source", "dailydialog", "--train", folder / "dialogues_train.txt.gz"),
        *("--valid", folder / "dialogues_validation.txt.gz"),
        *("--test", folder / "dialogues_test.txt.gz"),
        *("--test_references", folder / "multireftest.json.gz"),
    )


@pytest.mark.real_data
@needs_real_sets
def test_dailydialog_is_whole_and_its_leaks_are_found(real):
    counts = counts_of(dailydialog(real))
    assert counts["train"]["records_read"] == 11_118
    assert counts["train"]["records_dropped.leak"] == 232
    for split in ("valid", "test"):
        assert counts[split]["records_read"] == counts[split][f"dialogues.{split}"] == 1_000
    assert counts["test"]["test_items"] == 6_740
    assert counts["test"]["references"] + counts["test"]["references_dropped.empty"] == 5 * 6_740


@pytest.mark.real_data
@needs_real_sets
def test_items_of_dailydialog_are_contexts_of_its_test_split(real):
    output = dailydialog(real)
    turns = {row["thread_id"]: row for row in rows_of(output, "test")}
    for item in read_test_items(output / "testset" / "dailydialog.jsonl"):
        row = turns[item.thread_id]
        assert list(item.turn_ids) == row["turn_ids"][: len(item.turns)]
        assert list(item.speakers) == row["speakers"][: len(item.turns)]
        assert 4 <= len(item.references) <= 5
        # The two files write apostrophes and a few words differently.
        same = sum(ours == theirs for ours, theirs in zip(item.turns, row["turns"], strict=False))
        assert same >= len(item.turns) / 2 or len(item.turns) < 3


@pytest.mark.real_data
@needs_real_sets
def test_each_reply_of_persona_chat_has_the_persona_of_its_speaker(real):
    folder = REAL_SETS / "personachat"
    output = real(
        "personachat",
        *("--source", "personachat", "--valid", folder / "personachat_valid.jsonl.gz"),
        *("--input", folder / "personachat_train.jsonl.gz"),
    )
    counts = counts_of(output)
    assert (counts["input"]["records_read"], counts["valid"]["records_read"]) == (8_939, 999)
    assert counts["valid"]["dialogues.valid"] == 14_577
    personas: dict[tuple[str, int], list[str]] = {}
    for row in rows_of(output, "valid"):
        who = (row["thread_id"], row["speakers"][-1])
        assert personas.setdefault(who, row["knowledge"]) == row["knowledge"] != []
    assert len(personas) == 2 * 999
    threads = {split: {row["thread_id"] for row in rows_of(output, split)} for split in SPLITS}
    assert not threads["train"] & threads["test"]


@pytest.mark.real_data
@needs_real_sets
def test_avsd_is_dealt_by_video_and_every_test_item_has_six_references(real):
    folder = REAL_SETS / "avsd"
    output = real(
        "avsd",
        *("--source", "avsd", "--input", folder / "valid_set4DSTC7-AVSD.json.gz"),
        *("--test", folder / "test_set4DSTC7-AVSD.json.gz"),
        *("--test_references", folder / "test_set4DSTC7-AVSD_multiref.json.gz"),
    )
    items = list(read_test_items(output / "testset" / "avsd.jsonl"))
    assert len(items) == 1_710
    assert {len(item.references) for item in items} == {6}
    assert all("__UNDISCLOSED__" not in str(item) for item in items)
    assert all("__UNDISCLOSED__" not in turn for row in rows_of(output) for turn in row["turns"])
    valid, train = (
        {row["thread_id"] for row in rows_of(output, split)} for split in ("valid", "train")
    )
    assert len(valid | train) == 1_787
    assert not valid & train
    config = importer.ImportConfig(source="avsd", output="o", input="i").split.dealing()
    assert all(split_of(video.removeprefix("avsd_"), config) != "train" for video in valid)
