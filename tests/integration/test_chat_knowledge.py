"""Knowledge in a conversation: given, shown, changed, read by a PLATO, stored with the turns."""

import json
from pathlib import Path
from typing import Any

import pytest
from support_decode import Run, in_process, save_model_folder
from support_plato_decode import save_plato_folder

from dialogpt.chat import main
from dialogpt.config.decoding import GenerationConfig, ResponderConfig
from dialogpt.config.plato import SequenceConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import read_given_contexts
from dialogpt.decode.conversation import LONGEST_MESSAGE
from dialogpt.responders import build_responder

NOT_READ = "The knowledge is not read: "
KNOWN = ("i like tea.", "i have a dog.")
MESSAGES = ("Hi!", "what now")


@pytest.fixture(scope="module")
def plato(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plato_folder(tmp_path_factory.mktemp("plato"), seed=1)


@pytest.fixture(scope="module")
def unknowing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models that read no knowledge."""
    limits = SequenceConfig(max_context_tokens=40, max_knowledge_sentences=0)
    return {
        "gpt2": save_model_folder(tmp_path_factory.mktemp("gpt2"), seed=1),
        "plato": save_plato_folder(tmp_path_factory.mktemp("ignorant"), limits=limits),
    }


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    words = ("chat", "--device", "cpu", "--generation.max_new_tokens", "8")
    return in_process(main, *words, monkeypatch=monkeypatch, capsys=capsys)


def record_of(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def replies_of(model: Path, turns: list[str], knowledge: tuple[str, ...]) -> list[str]:
    """What the model replies to these turns of others, with the knowledge: another route to it."""
    generation = GenerationConfig(max_new_tokens=8)
    config = ResponderConfig(model=str(model), device="cpu", generation=generation)
    responder, _ = build_responder(config)
    said: list[str] = []
    replies: list[str] = []
    for turn in turns:
        said.append(turn)
        context = GivenContext(turns=tuple(said), knowledge=knowledge)
        replies.append(responder.respond(context, context_index=len(said)).text)
        said.append(replies[-1])
    return replies


def test_knowledge_of_the_command_line_is_read_with_every_turn_and_saved(
    chat: Run, plato: Path, tmp_path: Path
) -> None:
    path = tmp_path / "talk.jsonl"
    typed = "\n".join([*MESSAGES, f"/save {path}"])
    given = (" i like\ttea.", "i have a dog.\x07")
    out, err = chat("--model", str(plato), "--knowledge", *given, typed=typed)
    replies = out.splitlines()
    assert replies == replies_of(plato, list(MESSAGES), KNOWN)
    assert replies != replies_of(plato, list(MESSAGES), ())
    turns = [MESSAGES[0], replies[0], MESSAGES[1], replies[1]]
    record = record_of(path)
    assert (record["turns"], record["knowledge"]) == (turns, list(KNOWN))
    assert read_given_contexts(str(path)) == [GivenContext(turns=tuple(turns), knowledge=KNOWN)]
    assert NOT_READ not in err


def test_knowledge_is_added_shown_kept_by_a_reset_and_removed(
    chat: Run, plato: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name for name in ("known.jsonl", "forgotten.jsonl")]
    typed = [
        "/knowledge",
        f"/knowledge {KNOWN[0]}",
        "/knowledge   i have \x07 a dog.",
        "Hi!",
        "/reset",
        "/knowledge",
        "Hi!",
        f"/save {paths[0]}",
        "/knowledge clear\u200b",
        "/knowledge",
        "/reset",
        "Hi!",
        f"/save {paths[1]}",
        "/knowledge clear",
    ]
    out, err = chat("--model", str(plato), typed="\n".join(typed))
    known, again, forgotten = out.splitlines()
    assert [known] == [again] == replies_of(plato, ["Hi!"], KNOWN)
    assert [forgotten] == replies_of(plato, ["Hi!"], ()) != [known]
    assert err.splitlines()[1:] == [
        "No knowledge yet; /knowledge TEXT adds a sentence.",
        "Sentence 1 of the knowledge: i like tea.",
        "Sentence 2 of the knowledge: i have a dog.",
        "A new conversation.",
        "   1  i like tea.",
        "   2  i have a dog.",
        f"Wrote {paths[0]}",
        "No knowledge any more.",
        "No knowledge yet; /knowledge TEXT adds a sentence.",
        "A new conversation.",
        f"Wrote {paths[1]}",
        "No knowledge any more.",
    ]
    assert record_of(paths[0])["knowledge"] == list(KNOWN)
    assert "knowledge" not in record_of(paths[1])


def test_a_sentence_without_readable_text_is_refused_and_none_is_added(
    chat: Run, plato: Path, tmp_path: Path
) -> None:
    typed = "/knowledge \u200b\x07\n/knowledge\n"
    out, err = chat("--model", str(plato), typed=typed, expected_exit=1)
    assert out == ""
    assert err.splitlines()[1:] == [
        "error: expected a sentence of knowledge, found nothing readable; none was added",
        "No knowledge yet; /knowledge TEXT adds a sentence.",
    ]
    for words in (["", "b"], ["\x07"]):
        _, err = chat("--knowledge", "a", *words, expected_exit=2)
        assert "expected text in every sentence, found nothing readable in sentence 2 of" in err
    # Found before a model is looked for, in both kinds of conversation.
    for kind in ([], ["--self", "--prompt", "hi"]):
        too_long = ["--knowledge", "x" * (LONGEST_MESSAGE + 1)]
        _, err = chat("--model", str(tmp_path / "none"), *kind, *too_long, expected_exit=1)
        assert "a sentence of knowledge of at most 10,000 characters" in err


@pytest.mark.parametrize("kind", ["gpt2", "plato"])
def test_a_model_that_reads_no_knowledge_is_named_once(
    chat: Run, unknowing: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    model = unknowing[kind]
    path = tmp_path / "talk.jsonl"
    typed = f"Hi!\n/knowledge\n/knowledge a\n/reset\n/knowledge b\nHi!\n/save {path}\n"
    said = (
        f"{NOT_READ}{model} takes none, so replies do not depend on it; name a PLATO that takes "
        "some by --model. This is said once."
    )
    out, err = chat("--model", str(model), typed=typed)
    first, second = out.splitlines()
    assert first == second
    assert err.splitlines()[2:4] == ["Sentence 1 of the knowledge: a", said]
    assert err.count(NOT_READ) == 1
    assert record_of(path)["knowledge"] == ["a", "b"]
    again, err = chat("--model", str(model), "--knowledge", "c", typed="Hi!\n/knowledge a\n")
    assert again.splitlines() == [first]
    assert err.splitlines()[1] == said
    assert err.count(NOT_READ) == 1
    for words in ([], ["--self", "--prompt", "Hi!", "--num_turns", "1"]):
        _, err = chat("--model", str(model), *words, typed="Hi!\n/knowledge\n/knowledge clear\n")
        assert NOT_READ not in err
    _, err = chat("--model", str(model), *words, "--knowledge", "c")
    assert err.splitlines()[1:] == [said]


def test_in_a_talk_with_itself_every_reply_draws_on_the_knowledge_which_is_stored(
    chat: Run, plato: Path, tmp_path: Path
) -> None:
    path = tmp_path / "talk.jsonl"
    words = ["--model", str(plato), "--self", "--prompt", "Hi!", "--num_turns", "3"]
    out, err = chat(*words, "--knowledge", " i like tea.", KNOWN[1], "--output", str(path))
    record = record_of(path)
    assert record["knowledge"] == list(KNOWN)
    assert out.splitlines() == record["turns"]
    assert len(record["turns"]) == 4
    assert NOT_READ not in err
    for number in (1, 2, 3):
        context = GivenContext(turns=tuple(record["turns"][:number]), knowledge=KNOWN)
        generation = GenerationConfig(max_new_tokens=8)
        config = ResponderConfig(model=str(plato), device="cpu", generation=generation)
        responder, _ = build_responder(config)
        assert record["turns"][number] == responder.respond(context, context_index=number).text
    assert record["turns"] != chat(*words)[0].splitlines()
