import json
import logging
from pathlib import Path

import pytest
import torch
from support_decode import NUM_PADDING_IDS, save_model_folder, tiny_tokenizer
from transformers import BertConfig, BertModel, GPT2LMHeadModel

from dialogpt.command_line import UserError
from dialogpt.config.shared import Direction
from dialogpt.decode.load import (
    LoadedModel,
    check_same_tokenizer,
    choose_device,
    choose_dtype,
    load_model,
    readable_ids,
)
from dialogpt.models.inference import inference_of
from dialogpt.tokenization import load_tokenizer

CPU = torch.device("cpu")


def load(
    folder: Path, direction: Direction = "forward", dtype: torch.dtype = torch.float32
) -> LoadedModel:
    return load_model(str(folder), direction, device=CPU, dtype=dtype)


def test_a_loaded_model_computes_what_transformers_computes(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model")
    loaded = load(folder)
    ids = torch.tensor([[1, 5, 9, 260]])
    reference = GPT2LMHeadModel.from_pretrained(folder).eval()
    hidden = loaded.model.transformer(input_ids=ids).last_hidden_state
    torch.testing.assert_close(loaded.model.lm_head(hidden), reference(ids).logits)
    assert loaded.tokenizer.fingerprint == tiny_tokenizer().fingerprint


def test_in_bfloat16_logits_are_not_rounded_to_it(tmp_path: Path) -> None:
    loaded = load(save_model_folder(tmp_path / "model"), dtype=torch.bfloat16)
    assert {p.dtype for p in loaded.model.parameters()} == {torch.bfloat16}
    states = torch.randn(9, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    logits = inference_of(loaded.model).logits(states)
    expected = states.double() @ loaded.model.lm_head.weight.double().T
    assert logits.dtype == torch.float32
    assert (logits - expected).abs().max() < 1e-5
    assert (logits.bfloat16() - expected).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("direction", "max_seq_len", "num_positions", "window"),
    [("forward", 48, 64, 48), ("forward", 200, 64, 64), (None, 48, 64, 64)],
)
def test_the_window_is_what_was_trained_and_fits_the_position_table(
    tmp_path: Path, direction: str | None, max_seq_len: int, num_positions: int, window: int
) -> None:
    folder = save_model_folder(
        tmp_path / "model",
        direction=direction,
        max_seq_len=max_seq_len,
        num_positions=num_positions,
    )
    assert load(folder).window == window


def test_a_run_folder_means_its_best_model(tmp_path: Path) -> None:
    save_model_folder(tmp_path / "run" / "best", seed=1)
    save_model_folder(tmp_path / "run" / "last", seed=2)
    assert load(tmp_path / "run").name == str(tmp_path / "run" / "best")


@pytest.mark.parametrize(("trained", "wanted"), [("backward", "forward"), ("forward", "backward")])
def test_a_model_of_the_other_direction_is_refused(
    tmp_path: Path, trained: str, wanted: Direction
) -> None:
    folder = save_model_folder(tmp_path / "model", direction=trained)
    with pytest.raises(UserError, match=f"expected a {wanted} model, found one trained {trained}"):
        load(folder, wanted)


@pytest.mark.parametrize("wanted", ["forward", "backward"])
def test_a_model_without_our_card_serves_in_both_directions(
    tmp_path: Path, wanted: Direction
) -> None:
    assert load(save_model_folder(tmp_path / "model", direction=None), wanted).window == 64


def test_models_of_different_tokenizers_do_not_go_together(tmp_path: Path) -> None:
    forward = load(save_model_folder(tmp_path / "forward"))
    other = tiny_tokenizer(extra_merge=("e", "r"))
    folder = save_model_folder(tmp_path / "backward", direction="backward", tokenizer=other)
    backward = load(folder, "backward")
    check_same_tokenizer(forward, forward)
    with pytest.raises(UserError, match=f"{forward.tokenizer.fingerprint}.*{other.fingerprint}"):
        check_same_tokenizer(forward, backward)


def test_a_tokenizer_that_was_exchanged_is_found_out(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model")
    tiny_tokenizer(extra_merge=("e", "r")).save(folder)
    with pytest.raises(UserError, match="restore the files that were saved with the model"):
        load(folder)


def test_other_text_rules_are_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load(save_model_folder(tmp_path / "same"))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        load(save_model_folder(tmp_path / "model", text_rules="spaced-0"))
    assert "spaced-0" in caplog.text


def test_what_is_no_model_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty: expected a model folder"):
        load(tmp_path / "empty")
    without_weights = save_model_folder(tmp_path / "without_weights")
    (without_weights / "model.safetensors").unlink()
    damaged = save_model_folder(tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"not a weight")
    for folder in (without_weights, damaged):
        with pytest.raises(UserError, match=f"{folder}: expected .* loading failed"):
            load(folder)


def test_a_name_that_is_nowhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="no/such-model: expected a run folder, a model folder"):
        load(Path("no/such-model"))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    config = BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=10)
    BertModel(config).save_pretrained(tmp_path / "bert")
    with pytest.raises(UserError, match="expected a GPT-2, found the model type bert"):
        load(tmp_path / "bert")


def test_weights_that_miss_a_layer_are_refused_and_not_made_up(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["n_layer"] = 3
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"the weights lack .*h\.2\."):
        load(folder)


def test_a_vocabulary_larger_than_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model", direction=None)
    vocab = json.loads((folder / "vocab.json").read_text())
    vocab |= {f"extra{n}": len(vocab) + n for n in range(NUM_PADDING_IDS + 1)}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    with pytest.raises(UserError, match="266 token embeddings, its tokenizer 267 ids"):
        load(folder)


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps", ""])
def test_an_unknown_device_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="device: expected auto or one of cpu"):
        choose_device(name)


def test_the_cpu_computes_in_float32_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert choose_device("auto") == CPU
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("bf16", CPU) == torch.bfloat16


def test_tokens_that_show_nothing_are_known() -> None:
    tokenizer = load_tokenizer("gpt2")
    readable = readable_ids(tokenizer)
    assert readable.shape == (tokenizer.vocab_size,)
    for text, shows in (("hello", True), ("!", True), (" ", False), ("\n\n", False)):
        ((token_id,),) = tokenizer.encode_batch([text])
        assert bool(readable[token_id]) == shows
    assert not readable[tokenizer.eos_id]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation_function", "relu"),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
    ],
)
def test_a_gpt2_that_computes_something_else_is_refused(
    tmp_path: Path, key: str, value: object
) -> None:
    folder = save_model_folder(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    with pytest.raises(UserError, match=f"expected {key} .* as in GPT-2, found {value}"):
        load(folder)
