"""The decode command over the formats of contexts and replies."""

import json
from pathlib import Path

import pytest
from support_decode import save_model_folder

from dialogpt.decode.__main__ import main

GREEDY = ["--generation.method", "greedy", "--generation.max_new_tokens", "8", "--show", "0"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_model_folder(tmp_path_factory.mktemp("model"), seed=1))


def decode(monkeypatch: pytest.MonkeyPatch, model: str, *words: str) -> None:
    monkeypatch.setattr(
        "sys.argv", ["decode", "--model", model, "--device", "cpu", *GREEDY, *words]
    )
    main()


def test_the_same_contexts_in_any_format_get_the_same_replies(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {
        "a.jsonl": '["Hi!", "7 up"]\n["the inn"]\n',
        "b.tsv": "Hi! EOS 7 up\tone\ttwo\nthe inn\tthree\n",
        "c.txt": "Hi!\n7 up\n\nthe inn\n",
        "d.train": "0.0 Hi! EOS 1.0 7 up\t1.0 one\n0.0 the inn\t1.0 three\n",
        "e.log": "Hi! __eou__ 7 up\nthe inn\n",
    }
    options = {"d.train": ["--has-weights"], "e.log": ["--turn_separator", " __eou__ "]}
    replies = {}
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        output = tmp_path / f"{name}.txt"
        words = ["--contexts", str(tmp_path / name), "--output", str(output)]
        decode(monkeypatch, model, *words, *options.get(name, []))
        replies[name] = output.read_text(encoding="utf-8").splitlines()
    assert len(replies["a.jsonl"]) == 2
    assert all(found == replies["a.jsonl"] for found in replies.values())


def test_an_output_of_each_format_is_a_file_of_contexts_or_replies(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('["typed EOS here", "7 up"]\n', encoding="utf-8")
    for name in ("one.tsv", "one.jsonl", "one.txt"):
        decode(monkeypatch, model, "--contexts", str(source), "--output", str(tmp_path / name))
    (record,) = map(json.loads, (tmp_path / "one.jsonl").read_text(encoding="utf-8").splitlines())
    reply = record["response"]
    assert (tmp_path / "one.txt").read_text(encoding="utf-8") == f"{reply}\n"
    context, _, written = (tmp_path / "one.tsv").read_text(encoding="utf-8").partition("\t")
    assert context.split(" EOS ") == ["typed\u00a0EOS\u00a0here", "7 up"]
    assert written == f"{reply}\n"
    again = ["--contexts", str(tmp_path / "one.tsv"), "--output", str(tmp_path / "two.jsonl")]
    decode(monkeypatch, model, *again)
    (second,) = map(json.loads, (tmp_path / "two.jsonl").read_text(encoding="utf-8").splitlines())
    assert second["context"] == record["context"] == ["typed EOS here", "7 up"]
    assert second["response"] == reply
