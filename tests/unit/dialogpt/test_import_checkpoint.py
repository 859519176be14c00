"""Checkpoints as others wrote them, made here in their layout, and files that should be refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support_decode import save_model_folder, tiny_model, tiny_tokenizer
from torch import Tensor
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from dialogpt.checkpoint import read_model_card
from dialogpt.command_line import UserError
from dialogpt.decode.load import load_model
from dialogpt.import_checkpoint import import_checkpoint, main
from dialogpt.models.gpt2 import ModelSizes, load_gpt2
from dialogpt.models.gpt2_weights import misleading_nickname, size_name
from dialogpt.tokenization import load_tokenizer

TOKENIZER = tiny_tokenizer()
StateDict = dict[str, Tensor]


@pytest.fixture
def model() -> GPT2LMHeadModel:
    return tiny_model(seed=3, vocab_size=TOKENIZER.vocab_size, tied=True)


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    TOKENIZER.save(tmp_path / "tokenizer")
    return str(tmp_path / "tokenizer")


def of_the_release(model: GPT2LMHeadModel) -> StateDict:
    """The names of DialoGPT's .pkl files: an own name for the output layer, masks, float16."""
    weights = {name: w.half() for name, w in model.state_dict().items()}
    weights["lm_head.decoder.weight"] = weights.pop("lm_head.weight")
    for layer in range(2):
        weights[f"transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
    return weights


def of_data_parallel(model: GPT2LMHeadModel) -> StateDict:
    return {f"module.{name}": weight for name, weight in of_the_release(model).items()}


def of_the_inner_model(model: GPT2LMHeadModel) -> StateDict:
    return {name: weight.half() for name, weight in model.transformer.state_dict().items()}


def of_openai(model: GPT2LMHeadModel) -> StateDict:
    short = {"weight": "w", "bias": "b"}
    renamed = {}
    for name, weight in of_the_inner_model(model).items():
        stem, _, ending = name.rpartition(".")
        if stem in ("wte", "wpe"):
            renamed[name] = weight
        else:
            norm = "ln_" in stem and ending == "weight"
            renamed[f"{stem}.{'g' if norm else short[ending]}"] = weight
    return renamed


@pytest.mark.parametrize("names", [of_the_release, of_data_parallel, of_the_inner_model, of_openai])
@pytest.mark.parametrize("is_archive", [False, True])
def test_weights_under_any_names_compute_what_they_did(
    tmp_path: Path,
    model: GPT2LMHeadModel,
    vocabulary: str,
    names: Callable[[GPT2LMHeadModel], StateDict],
    is_archive: bool,
) -> None:
    file = tmp_path / "small_reverse.pkl"
    torch.save(names(model), file, _use_new_zipfile_serialization=is_archive)
    output = tmp_path / "out"
    import_checkpoint(
        file, output, direction="backward", window=32, tokenizer_name=vocabulary, num_heads=2
    )
    ids = torch.tensor([[1, 5, 9, 260]])
    loaded = GPT2LMHeadModel.from_pretrained(output)
    assert loaded.dtype == torch.float16
    torch.testing.assert_close(loaded.float()(ids).logits, model.half().float()(ids).logits)
    ours = load_model(str(output), "backward", device=torch.device("cpu"), dtype=torch.float32)
    assert ours.window == 32
    assert ours.tokenizer.fingerprint == TOKENIZER.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out",
        "small_reverse.pkl",
        "tokenizer",
    ]


def test_an_output_layer_of_its_own_is_kept_and_named(
    tmp_path: Path, vocabulary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    untied = tiny_model(vocab_size=TOKENIZER.vocab_size, tied=False)
    save_file(untied.state_dict(), tmp_path / "weights.safetensors")
    command = [str(tmp_path / "weights.safetensors"), str(tmp_path / "out"), "--num-heads", "2"]
    main([*command, "--direction", "forward", "--window", "64", "--tokenizer", vocabulary])
    said = capsys.readouterr().out
    assert "a forward model of 12k (2 layers, width 16, 2 heads" in said
    assert "the output layer differs from the table of tokens" in said
    loaded = load_gpt2(str(tmp_path / "out"), dtype=torch.float32)
    assert torch.equal(loaded.lm_head.weight, untied.lm_head.weight)
    assert torch.equal(loaded.transformer.wte.weight, untied.transformer.wte.weight)


def test_the_true_size_is_named_whatever_the_file_is_called() -> None:
    def sizes(num_layers: int, hidden_size: int) -> ModelSizes:
        return ModelSizes(
            num_layers=num_layers,
            hidden_size=hidden_size,
            num_heads=hidden_size // 64,
            num_positions=1024,
            vocab_size=50257,
        )

    small, medium, large = sizes(12, 768), sizes(24, 1024), sizes(36, 1280)
    assert [size_name(s) for s in (small, medium, large)] == ["117M", "345M", "762M"]
    assert size_name(sizes(12, 1024)) == f"{sizes(12, 1024).num_parameters / 1e6:.1f}M"
    assert misleading_nickname(Path("a/small_reverse.pkl"), medium) == "small"
    assert misleading_nickname(Path("small/medium_ft.pkl"), medium) == ""
    assert misleading_nickname(Path("smaller.pkl"), medium) == ""


def published_folder(folder: Path, model: GPT2LMHeadModel) -> Path:
    """The layout of microsoft/DialoGPT-*: a pickle of weights, no tokenizer.json, no card."""
    folder.mkdir()
    TOKENIZER.save(folder)
    for name in ("dialogpt_tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1024}')
    model.config.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["task_specific_params"] = {"conversational": {"max_length": 1000}}
    (folder / "config.json").write_text(json.dumps(config))
    generation = {"bos_token_id": 0, "eos_token_id": 3, "max_length": 1000, "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    weights = dict(model.state_dict())
    weights["transformer.h.0.attn.bias"] = torch.ones(1, 1, 64, 64, dtype=torch.uint8)
    torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    return folder


def test_the_published_layout_is_decoded_as_it_is_and_knows_its_window_once_imported(
    tmp_path: Path, model: GPT2LMHeadModel, caplog: pytest.LogCaptureFixture
) -> None:
    folder = published_folder(tmp_path / "DialoGPT-tiny", model)
    cpu = torch.device("cpu")
    loaded = load_model(str(folder), "forward", device=cpu, dtype=torch.float32)
    assert "no dialogpt.json says" in caplog.text
    assert loaded.window == 64
    assert loaded.tokenizer.eos_id == TOKENIZER.eos_id
    caplog.clear()
    import_checkpoint(folder, tmp_path / "out", direction="forward", window=40)
    again = load_model(str(tmp_path / "out"), "forward", device=cpu, dtype=torch.float32)
    assert again.window == 40
    assert "no dialogpt.json says" not in caplog.text
    assert "cleaned by the rules 'dialogpt-release'" in caplog.text
    ids = torch.tensor([[1, 5, 9, 260]])
    for one in (loaded, again):
        hidden = one.model.transformer(input_ids=ids).last_hidden_state
        torch.testing.assert_close(one.model.lm_head(hidden), model(ids).logits)
    plain = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert plain("the inn").input_ids == TOKENIZER.encode_batch(["the inn"])[0]
    card = read_model_card(tmp_path / "out")
    assert card is not None
    assert card.direction == "forward"


class TouchesAFile:
    """What an attacker stores: reading it as a pickle makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("is_archive", [False, True])
def test_a_file_that_would_run_code_is_refused_and_runs_none(
    tmp_path: Path, model: GPT2LMHeadModel, vocabulary: str, is_archive: bool
) -> None:
    victim = tmp_path / "made by the attacker"
    folder = published_folder(tmp_path / "evil", model)
    content = {**model.state_dict(), "more": TouchesAFile(victim)}
    file = folder / "pytorch_model.bin"
    torch.save(content, file, _use_new_zipfile_serialization=is_archive)
    output = tmp_path / "out"
    for source in (file, folder):
        with pytest.raises(UserError, match=r"tensors.*nothing in it was run") as error:
            import_checkpoint(source, output, direction="forward", tokenizer_name=vocabulary)
        assert "weights_only" not in str(error.value)
        assert "\x1b" not in str(error.value)
    with pytest.raises(UserError, match="expected tensors only in pytorch_model"):
        load_gpt2(str(folder), dtype=torch.float32)
    assert not victim.exists()
    assert not output.exists()
    # The same bytes do make the file where a reader runs what it finds: the trap is a real one.
    torch.load(file, weights_only=False)
    assert victim.exists()


def changed(weights: StateDict, **changes: object) -> dict[str, object]:
    return {**weights, **{name.replace("__", "."): value for name, value in changes.items()}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": {"lr": 1}}, "expected tensors only, found dict under 'optimizer'"),
        ({"more": None}, "expected tensors only, found NoneType under 'more'"),
        ({"more__weight": torch.ones(1)}, "a GPT-2 has no 'transformer.more.weight'"),
        ({"\x1b[2J": torch.ones(1)}, r"has no 'transformer\.\\x1b\[2J'"),
        ({"wte__weight": torch.ones(3)}, "found no matrix transformer.wte.weight"),
        ({"ln_f__bias": torch.ones(3)}, r"expected the shape \(16,\) of transformer.ln_f.bias"),
        ({"ln_f__g": torch.ones(16)}, "found two for 'transformer.ln_f.weight'"),
        ({"ln_f__bias": torch.ones(16).long()}, "expected float16.* found torch.int64"),
        ({"ln_f__bias": torch.full((16,), torch.nan)}, "ln_f.bias, found nan"),
        ({"h__7__ln_1__bias": torch.ones(16)}, r"found the numbers \[0, 1, 7\] ... of 3 blocks"),
    ],
)
def test_what_is_not_one_whole_gpt2_is_refused(
    tmp_path: Path, model: GPT2LMHeadModel, vocabulary: str, change: StateDict, message: str
) -> None:
    file = tmp_path / "weights.bin"
    torch.save(changed(model.transformer.state_dict(), **change), file)
    with pytest.raises(UserError, match=message):
        import_checkpoint(
            file, tmp_path / "out", direction="forward", tokenizer_name=vocabulary, num_heads=2
        )
    assert not (tmp_path / "out").exists()


def test_what_the_files_do_not_say_must_be_said(
    tmp_path: Path, model: GPT2LMHeadModel, vocabulary: str
) -> None:
    def fails(message: str, **options: object) -> None:
        given = {"direction": "forward", "tokenizer_name": vocabulary, "num_heads": 2, "window": 64}
        with pytest.raises(UserError, match=message):
            import_checkpoint(file, tmp_path / "out", **(given | options))  # type: ignore[arg-type]

    file = tmp_path / "weights.bin"
    fails("expected a checkpoint file, found nothing")
    file.write_bytes(b"<html>not found</html>")
    fails("nothing in it was run.* it is damaged, or not a file of torch.save;")
    torch.save([torch.ones(1)], file)
    fails("expected a state dict, name -> tensor, found list")
    weights = dict(model.transformer.state_dict())
    torch.save(weights, file)
    fails("a multiple of 64, found 16; name the attention heads", num_heads=0)
    fails("--num_heads 3 does not divide the width 16", num_heads=3)
    fails("--window: expected 1 to 64", window=65)
    fails("expected at least the 50257 token embeddings", tokenizer_name="gpt2")
    del weights["h.1.mlp.c_fc.bias"]
    torch.save(weights, file)
    fails("has 'transformer.h.1.mlp.c_fc.bias', found none")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    torch.save(dict(model.transformer.state_dict()), file)
    fails("expected a new or empty folder, found other files")
    with pytest.raises(UserError, match="found neither"):
        import_checkpoint(tmp_path, tmp_path / "new", direction="forward")


def test_a_file_of_weights_alone_gets_gpt2s_own_vocabulary(tmp_path: Path) -> None:
    torch.save(tiny_model(vocab_size=50257, tied=True).state_dict(), tmp_path / "w.bin")
    import_checkpoint(
        tmp_path / "w.bin", tmp_path / "out", direction="forward", window=64, num_heads=2
    )
    assert load_tokenizer(str(tmp_path / "out")).fingerprint == load_tokenizer("gpt2").fingerprint


def test_what_lies_beside_a_file_counts_where_config_json_does(
    tmp_path: Path, model: GPT2LMHeadModel, capsys: pytest.CaptureFixture[str]
) -> None:
    file = published_folder(tmp_path / "DialoGPT-tiny", model) / "pytorch_model.bin"
    main([str(file), str(tmp_path / "out"), "--direction", "forward", "--window", "64"])
    assert "assumed" not in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "config.json").read_text())["n_head"] == 2
    assert load_tokenizer(str(tmp_path / "out")).fingerprint == TOKENIZER.fingerprint
    config = file.with_name("config.json")
    config.write_text(config.read_text().replace('"gpt2"', '"gptj"'))
    with pytest.raises(UserError, match="expected a GPT-2, found the model type gptj"):
        import_checkpoint(file, tmp_path / "other", direction="forward", window=64)


def test_heads_that_are_guessed_are_told(
    tmp_path: Path, vocabulary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"vocab_size": TOKENIZER.vocab_size, "n_positions": 64, "n_embd": 128}
    wide = GPT2LMHeadModel(GPT2Config(**sizes, n_layer=1, n_head=2))
    file = tmp_path / "weights.bin"
    torch.save(wide.state_dict(), file)
    note = "note: heads of 64 dimensions assumed; --num_heads changes it"
    for options, num_heads in (([], 2), (["--num_heads", "4"], 4)):
        output = tmp_path / str(num_heads)
        command = [str(file), str(output), "--direction", "forward", "--window", "64"]
        main([*command, "--tokenizer", vocabulary, *options])
        assert json.loads((output / "config.json").read_text())["n_head"] == num_heads
        assert (note in capsys.readouterr().out) == (not options)


@pytest.mark.parametrize("name", ["", "model.safetensors"])
def test_a_model_folder_of_ours_is_not_imported_again(tmp_path: Path, name: str) -> None:
    ours = save_model_folder(tmp_path / "ours", direction="backward")
    with pytest.raises(UserError, match=r"has dialogpt\.json already; name it as --model as it is"):
        import_checkpoint(ours / name, tmp_path / "out", direction="forward", window=32)
    assert not (tmp_path / "out").exists()
