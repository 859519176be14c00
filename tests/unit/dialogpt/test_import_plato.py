"""A released PLATO becomes a model folder that computes what it computed."""

import json

import pytest
import torch
from safetensors.torch import save_file
from support_wordpiece import PIECES, wordpiece_tokenizer

from dialogpt.config.plato import PlatoConfig
from dialogpt.import_plato import main
from dialogpt.plato.load import load_plato
from tests.support_plato import batch, example, model

PORT_NAMES = {
    "tokens": "embedder.token_embedding",
    "positions": "embedder.pos_embedding",
    "roles": "embedder.type_embedding",
    "turns": "embedder.turn_embedding",
    "embedding_norm": "embed_layer_norm",
    "latents": "latent_embeddings",
    "qkv": "attn.linear_qkv",
    "projection": "attn.linear_out",
    "attention_norm": "attn_norm",
    "inner": "ff.linear_hidden.0",
    "outer": "ff.linear_out",
    "mlp_norm": "ff_norm",
    "posterior": "post_network",
    "bag_of_words": "bow_predictor",
    "selection": "discriminator.0",
}


def as_released(plato):
    """The state dict of the port to torch."""
    named = {}
    for name, value in plato.state_dict().items():
        name = name.removeprefix("network.").replace("blocks.", "layers.")
        if name == "mask":
            named["mask_embed"] = value.view(1, 1, -1)
            continue
        *before, part, kind = name.split(".")
        ported = ".".join([*before, PORT_NAMES[part], kind])
        named[ported.replace("latent_embeddings.weight", "latent_embeddings")] = value
    named["embedder.turn_embedding.weight"] = named["embedder.turn_embedding.weight"][:16]
    return {name: value.clone().contiguous() for name, value in named.items()}


@pytest.fixture
def plato():
    config = PlatoConfig(num_latents=3, head_biases=False)
    return model(
        config,
        dtype=torch.float32,
        hidden_size=64,
        num_heads=1,
        vocab_size=len(PIECES),
        head_biases=False,
    ).eval()


def test_what_it_computed_is_computed_again(plato, tmp_path, capsys):
    save_file(as_released(plato), tmp_path / "plato.safetensors")
    wordpiece_tokenizer().save(tmp_path / "tokenizer")
    words = [str(tmp_path / "plato.safetensors"), str(tmp_path / "model")]
    main([*words, "--tokenizer", str(tmp_path / "tokenizer")])
    assert "a PLATO of 3 latents" in capsys.readouterr().out
    found = load_plato(tmp_path / "model")
    assert found.selects_responses
    made = batch(plato, example(1), example(2))
    with torch.no_grad():
        for name, value in plato(made).items():
            torch.testing.assert_close(found(made)[name], value)
    card = json.loads((tmp_path / "model" / "dialogpt.json").read_text())
    assert (card["direction"], card["tokenizer_kind"]) == ("forward", "wordpiece")


def test_another_tokenizer_is_refused(plato, tmp_path, capsys):
    weights = as_released(plato)
    for name in ("embedder.token_embedding.weight", "bow_predictor.weight"):
        weights[name] = weights[name][:-1].clone()
    save_file(weights, tmp_path / "plato.safetensors")
    wordpiece_tokenizer().save(tmp_path / "tokenizer")
    words = [str(tmp_path / "plato.safetensors"), str(tmp_path / "model")]
    with pytest.raises(SystemExit):
        main([*words, "--tokenizer", str(tmp_path / "tokenizer")])
    assert f"expected the {len(PIECES)} token embeddings" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_model_without_a_discriminator_does_not_select(plato, tmp_path):
    named = as_released(plato)
    kept = {name: value for name, value in named.items() if "discriminator" not in name}
    save_file(kept, tmp_path / "plato.safetensors")
    wordpiece_tokenizer().save(tmp_path / "tokenizer")
    words = [str(tmp_path / "plato.safetensors"), str(tmp_path / "model")]
    main([*words, "--tokenizer", str(tmp_path / "tokenizer")])
    assert not load_plato(tmp_path / "model").selects_responses
