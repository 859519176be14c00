"""From a run to a folder for plain transformers, and back into our decoder."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from support_decode import save_model_folder
from support_train import merged, tiny_settings, train_here, write_shards
from transformers import AutoModelForCausalLM, AutoTokenizer

from dialogpt.command_line import UserError
from dialogpt.config.decoding import DecodeConfig, GenerationConfig
from dialogpt.decode.respond import build_responder
from dialogpt.decode.response import Response
from dialogpt.export import export, main

CONTEXTS = [["Hi", "you?"], ["</s> <|endoftext|>"], ["a", "b", "c d e"]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    settings = tiny_settings(write_shards(folder / "shards"), folder / "forward")
    assert train_here(merged(settings, {"model": {"max_positions": 40}}), folder) == 0
    return folder / "forward"


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("exported") / "model"
    main([str(run), str(output)])
    return output


def respond(model: Path, **generation: Any) -> list[Response]:
    options = GenerationConfig(max_new_tokens=8, **generation)
    config = DecodeConfig(model=str(model), device="cpu", generation=options)
    responder, _ = build_responder(config)
    assert responder.forward.window == 32  # of the rows, not the 40 positions
    return responder.respond_batch(CONTEXTS)


def test_the_exported_model_decodes_as_the_run_does(run: Path, exported: Path) -> None:
    before, after = respond(run, num_samples=3), respond(exported, num_samples=3)
    assert [r.as_record() for r in before] == [r.as_record() for r in after]


def test_plain_transformers_says_what_we_say(exported: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(exported)
    model = AutoModelForCausalLM.from_pretrained(exported)
    assert model.generation_config.top_k == 10
    assert model.generation_config.max_new_tokens == 16
    for response in respond(exported, method="greedy"):
        messages = [{"role": "user", "content": turn} for turn in response.context]
        inputs = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)
        options = {"do_sample": False, "top_k": None, "min_new_tokens": 1, "max_new_tokens": 8}
        output = model.generate(**inputs, **options)
        (hypothesis,) = response.hypotheses
        new_ids = output[0, inputs["input_ids"].shape[1] :].tolist()
        end = [tokenizer.eos_token_id] if hypothesis.finished else []
        assert [*hypothesis.token_ids, *end] == new_ids


def test_the_example_on_the_page_runs(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (exported / "README.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    torch.manual_seed(0)
    exec(code.replace("FOLDER", str(exported)).replace("Hi! How are you?", "Hi"), {})
    assert capsys.readouterr().out.endswith("\n")


def test_the_page_has_the_numbers_of_the_run_and_no_path(run: Path, exported: Path) -> None:
    page = (exported / "README.md").read_text(encoding="utf-8")
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    card = json.loads((exported / "dialogpt.json").read_text())
    (own,) = [r for r in records if r["kind"] == "valid" and r["step"] == card["step"]]
    assert f"| {card['step']} | {own['loss']:.4f} | {own['perplexity']:,.2f} |" in page
    tokens = sum(r["tokens"] for r in records if r["kind"] == "train" and r["step"] <= own["step"])
    assert f"| tokens seen | {tokens:,} |" in page
    manifest = json.loads((run.parent / "shards/train/manifest.json").read_text())
    turns = sum(shard["num_turns"] for shard in manifest["shards"])
    assert f"| train | 120 | {turns:,} |" in page
    assert "At most 32 tokens" in page
    assert "schedule.learning_rate: 0.01" in page
    for file in exported.iterdir():
        if file.suffix != ".safetensors":
            assert str(run.parent) not in file.read_text(encoding="utf-8"), file


def test_counts_of_other_shards_are_not_passed_off_as_the_runs(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run.parent, moved, symlinks=True)
    config = moved / "forward" / "config.yaml"
    config.write_text(config.read_text().replace(str(run.parent), str(moved)))
    shutil.rmtree(moved / "shards")
    write_shards(moved / "shards", num_train=60)
    export(moved / "forward", tmp_path / "out")
    page = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "120 dialogues to train on, 24 to validate on" in page
    assert "| train |" not in page


def test_tokens_after_the_models_step_are_not_counted(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(run, moved, symlinks=True)
    export(moved, tmp_path / "before")
    with (moved / "metrics.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({"kind": "train", "step": 10**6, "tokens": 5, "loss": 1.0}) + "\n")
    export(moved, tmp_path / "after")
    pages = [(tmp_path / name / "README.md").read_text() for name in ("before", "after")]
    rows = [[line for line in page.splitlines() if "tokens seen" in line] for page in pages]
    assert rows[0] == rows[1] != []


def test_a_run_that_minimises_a_reward_has_its_nats_a_token_on_the_page(
    run: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(run, tmp_path / "run", symlinks=True)
    metrics = moved / "metrics.jsonl"
    records = [json.loads(line) for line in metrics.read_text().splitlines()]
    for record in records:
        if record["kind"] == "valid":
            record |= {"human_loss": record["loss"] + 1, "loss": 283.5}
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    export(moved, tmp_path / "exported")
    page = (tmp_path / "exported" / "README.md").read_text()
    last = next(r for r in reversed(records) if r["kind"] == "valid")
    assert f"{last['human_loss']:.4f}" in page
    assert "283.5" not in page


def test_a_model_folder_and_the_last_model_of_a_run_are_exported_too(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(run / "last", tmp_path / "last")
    step = json.loads((run / "last" / "dialogpt.json").read_text())["step"]
    assert f"the forward model of step {step}, window 32 tokens" in capsys.readouterr().out
    assert "| last |" in (tmp_path / "last" / "README.md").read_text() or step == _best_step(run)
    folder = save_model_folder(tmp_path / "alone", direction="backward", max_seq_len=48)
    export(folder, tmp_path / "backward")
    page = (tmp_path / "backward" / "README.md").read_text()
    assert "A backward dialogue model" in page
    assert "Not recorded: the model came without its run." in page
    assert "At most 48 tokens" in page


def _best_step(run: Path) -> int:
    return int(json.loads((run / "best" / "dialogpt.json").read_text())["step"])


def test_what_cannot_be_exported_is_named_and_leaves_nothing(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    for source, message in [
        (tmp_path / "none", "expected a training run or a model folder, found nothing"),
        (tmp_path, "expected a model folder"),
        (save_model_folder(tmp_path / "bare", direction=None), "import_checkpoint"),
    ]:
        with pytest.raises(UserError, match=message):
            export(source, tmp_path / "out")
    with pytest.raises(UserError, match="expected a new or empty folder"):
        export(run, exported)
    for number, text in enumerate(["{", "[" * 100_000, "[]"]):
        folder = save_model_folder(tmp_path / f"broken{number}")
        (folder / "config.json").write_text(text)
        with pytest.raises(UserError, match=f"^{folder}/config.json: expected .*JSON"):
            export(folder, tmp_path / "out")
    folder = save_model_folder(tmp_path / "mixed")
    (folder / "vocab.json").write_text((exported / "vocab.json").read_text())
    (folder / "merges.txt").write_text((exported / "merges.txt").read_text())
    with pytest.raises(UserError, match="restore the files that were saved"):
        export(folder, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))
