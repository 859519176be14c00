import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from support_train import encoded
from transformers import GPT2LMHeadModel

from dialogpt.command_line import UserError
from dialogpt.config.training import ModelConfig
from dialogpt.data.batch import Collator
from dialogpt.models.gpt2 import build_gpt2, num_parameters
from dialogpt.models.residual import join_and_norm

TINY = ModelConfig(num_layers=2, hidden_size=16, num_heads=2, max_positions=32, dropout=0.0)
EOS = 0


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_gpt2(TINY, vocab_size=32, eos_id=EOS)


@pytest.fixture
def dialogues():
    """Rows of very different lengths, one with an end-of-turn id typed by nobody: [EOS]-only."""
    turns = [[[1, 2, 3], [4], [5, 6]], [[7], [8]], [[9] * 12, [10] * 11], [[], [11, 12]]]
    return [(i, encoded(t)) for i, t in enumerate(turns)]


def collated(dialogues):
    return Collator(direction="forward", max_seq_len=32, eos_id=EOS)(dialogues)


def test_the_loss_is_that_of_transformers(model, dialogues):
    batch = collated(dialogues)
    untouched = GPT2LMHeadModel(model.language_model.config)
    untouched.load_state_dict(model.language_model.state_dict())
    theirs = untouched(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels
    ).loss
    ours = model(batch)["nll"] / model.loss_counts(batch)["nll"]
    torch.testing.assert_close(ours, theirs)


def test_padding_changes_nothing(model, dialogues):
    together = model(collated(dialogues))["nll"]
    alone = sum(model(collated([dialogue]))["nll"] for dialogue in dialogues)
    torch.testing.assert_close(together, alone)


def test_what_stands_in_the_padding_changes_nothing(model, dialogues):
    batch = collated(dialogues)
    other = torch.where(batch.attention_mask.bool(), batch.input_ids, 31)
    assert not torch.equal(other, batch.input_ids)
    torch.testing.assert_close(model(replace(batch, input_ids=other)), model(batch))


def test_a_batch_without_dialogues_gives_zero_loss_and_zero_gradients(model):
    loss = model(collated([]))["nll"]
    loss.backward()
    assert loss.item() == 0.0
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


def test_initialisation_is_scaled_by_depth_as_in_gpt2():
    torch.manual_seed(0)
    config = ModelConfig(num_layers=8, hidden_size=128, num_heads=4, max_positions=64)
    model = build_gpt2(config, vocab_size=500, eos_id=EOS)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            expected = 0.02 / math.sqrt(2 * 8)
        elif parameter.ndim == 2:
            expected = 0.02
        else:
            assert set(parameter.unique().tolist()) <= {0.0, 1.0}, name
            continue
        assert parameter.std().item() == pytest.approx(expected, rel=0.05), name
        assert abs(parameter.mean().item()) < expected / 10, name


def test_paper_sizes_have_the_papers_number_of_parameters():
    # Table 1 of DialoGPT: 117M; GPT-2 itself counts 124.4M with its position table.
    with torch.device("meta"):
        model = build_gpt2(ModelConfig(), vocab_size=50257, eos_id=50256)
    assert num_parameters(model) == 124_439_808


def test_a_saved_model_loads_here_and_in_plain_transformers(model, dialogues, tmp_path):
    model.save(tmp_path)
    batch = collated(dialogues)
    again = build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)
    torch.testing.assert_close(again(batch), model(batch), rtol=0, atol=0)
    plain = GPT2LMHeadModel.from_pretrained(tmp_path)
    torch.testing.assert_close(
        plain(batch.input_ids).logits, model.language_model(batch.input_ids).logits
    )


def test_packed_dropout_falls_on_all_that_is_added_and_in_training_alone(dialogues, monkeypatch):
    joined = []

    def join(*values, rate):
        joined.append(rate)
        return join_and_norm(*values, rate=rate)

    monkeypatch.setattr("dialogpt.models.packed_gpt2.join_and_norm", join)
    model = build_gpt2(replace(TINY, dropout=0.3), vocab_size=32, eos_id=EOS)
    batch = Collator(direction="forward", max_seq_len=32, eos_id=EOS, packed_tokens=128)(dialogues)
    for rate, mode in ((0.3, model.train), (0.0, model.eval)):
        joined.clear()
        mode()
        model(batch)
        assert joined == [rate] * (2 * TINY.num_layers + 1)


def test_a_checkpoint_trains_with_the_configs_dropout_but_never_of_attention(model, tmp_path):
    model.save(tmp_path)
    config = replace(TINY, init=str(tmp_path), dropout=0.3)
    loaded = build_gpt2(config, vocab_size=32, eos_id=EOS).language_model.config
    assert (loaded.resid_pdrop, loaded.embd_pdrop, loaded.attn_pdrop) == (0.3, 0.3, 0.0)


def test_half_precision_weights_become_float32(model, tmp_path):
    model.language_model.half()
    model.save(tmp_path)
    loaded = build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


def test_another_vocabulary_is_an_error_with_both_sizes(model, tmp_path):
    model.save(tmp_path)
    with pytest.raises(UserError, match=r"vocabulary of 33 ids.*found 32"):
        build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=33, eos_id=EOS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("activation_function", "relu"), ("scale_attn_by_inverse_layer_idx", True)],
)
def test_a_gpt2_that_computes_something_else_is_an_error(model, tmp_path, key, value):
    model.save(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(UserError, match=rf"expected {key} .* found {value} in config.json"):
        build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(UserError, match="expected a model folder"):
        build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)


def test_a_name_that_leads_nowhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    name = str(tmp_path / "absent")
    with pytest.raises(UserError, match=r"absent: expected a run folder.* loading failed"):
        build_gpt2(replace(TINY, init=name), vocab_size=32, eos_id=EOS)


def test_weights_of_something_else_are_an_error(model, tmp_path):
    model.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("transformer.h.1.mlp.c_fc.weight")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"the weights lack transformer\.h\.1\.mlp\.c_fc\.weight"):
        build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)


def test_weights_that_are_cut_short_are_an_error(model, tmp_path):
    model.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="loading failed"):
        build_gpt2(replace(TINY, init=str(tmp_path)), vocab_size=32, eos_id=EOS)
