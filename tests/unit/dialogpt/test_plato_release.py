"""The released PLATO's names, of its port and of Paddle, on made-up tensors of their shapes."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from dialogpt.command_line import UserError
from dialogpt.plato.network import PlatoNetwork, PlatoSizes
from dialogpt.plato.release import release_weights

V, P, D, F, K, LAYERS = 50, 32, 12, 48, 5, 3
Weights = dict[str, Tensor]


def shapes(*, num_roles: int = 2) -> dict[str, tuple[int, ...]]:
    """Port's name -> shape, as its modules have them."""
    found: dict[str, tuple[int, ...]] = {
        "mask_embed": (1, 1, D),
        "latent_embeddings": (K, D),
        "embedder.token_embedding.weight": (V, D),
        "embedder.pos_embedding.weight": (P, D),
        "embedder.type_embedding.weight": (num_roles, D),
        "embedder.turn_embedding.weight": (16, D),
        "embed_layer_norm.weight": (D,),
        "embed_layer_norm.bias": (D,),
        "post_network.weight": (K, D),
        "discriminator.0.weight": (1, D),
        "discriminator.0.bias": (1,),
        "bow_predictor.weight": (V, D),
    }
    products = {"attn.linear_qkv": (3 * D, D), "attn.linear_out": (D, D)}
    products |= {"ff.linear_hidden.0": (F, D), "ff.linear_out": (D, F)}
    for layer in range(LAYERS):
        for name, shape in products.items():
            found[f"layers.{layer}.{name}.weight"] = shape
            found[f"layers.{layer}.{name}.bias"] = shape[:1]
        for name in ("attn_norm", "ff_norm"):
            found |= {f"layers.{layer}.{name}.{part}": (D,) for part in ("weight", "bias")}
    return found


def made_up(*, num_roles: int = 2) -> Weights:
    generator = torch.Generator().manual_seed(0)
    wanted = shapes(num_roles=num_roles)
    return {name: torch.randn(shape, generator=generator) for name, shape in wanted.items()}


def of_paddle(weights: Weights) -> Weights:
    """The release's own names; its layers have their weights as (in, out)."""
    parts = [
        (r"embedder.token_embedding", "/Embedder_0/Embedding_0"),
        (r"embedder.pos_embedding", "/Embedder_0/Embedding_1"),
        (r"embedder.type_embedding", "/Embedder_0/Embedding_2"),
        (r"embedder.turn_embedding", "/Embedder_0/Embedding_3"),
        (r"embed_layer_norm", "/LayerNorm_0"),
        (r"layers\.(\d+)\.attn\.linear_qkv", r"/TransformerBlock_\1/MultiheadAttention_0/FC_0"),
        (r"layers\.(\d+)\.attn\.linear_out", r"/TransformerBlock_\1/MultiheadAttention_0/FC_1"),
        (r"layers\.(\d+)\.ff\.linear_hidden\.0", r"/TransformerBlock_\1/FeedForward_0/FC_0"),
        (r"layers\.(\d+)\.ff\.linear_out", r"/TransformerBlock_\1/FeedForward_0/FC_1"),
        (r"layers\.(\d+)\.attn_norm", r"/TransformerBlock_\1/LayerNorm_0"),
        (r"layers\.(\d+)\.ff_norm", r"/TransformerBlock_\1/LayerNorm_1"),
        (r"(post_network|bow_predictor)", r".\1/FC_0"),
        (r"discriminator\.0", ".discriminator/FC_0"),
    ]
    renamed = {"Model/UnifiedTransformer_0.sequence_mask": torch.ones(P, P).tril()}
    for name, weight in weights.items():
        if name in ("mask_embed", "latent_embeddings"):
            renamed[f"Model/UnifiedTransformer_0.{name}"] = weight
            continue
        stem, _, ending = name.rpartition(".")
        [new] = [
            re.sub(pattern, place, stem) for pattern, place in parts if re.fullmatch(pattern, stem)
        ]
        is_product = "FC_" in new and ending == "weight"
        short = {"weight": "w_0", "bias": "b_0"}[ending]
        renamed[f"Model/UnifiedTransformer_0{new}.{short}"] = (
            weight.T.contiguous() if is_product else weight
        )
    return renamed


def written(weights: Weights, folder: Path) -> Path:
    torch.save(weights, folder / "PLATO.pt")
    return folder / "PLATO.pt"


def test_each_tensor_gets_the_place_that_does_its_work(tmp_path: Path) -> None:
    theirs = made_up(num_roles=3)
    ours, sizes = release_weights(written(theirs, tmp_path), num_heads=2)
    assert sizes == {
        "num_layers": LAYERS,
        "hidden_size": D,
        "num_heads": 2,
        "inner_size": F,
        "num_positions": P,
        "vocab_size": V,
        "num_latents": K,
        "blocks": "bert",
        "norm_eps": 1e-12,
        "head_biases": True,
    }
    pairs = {
        "tokens.weight": "embedder.token_embedding.weight",
        "positions.weight": "embedder.pos_embedding.weight",
        "roles.weight": "embedder.type_embedding.weight",
        "embedding_norm.weight": "embed_layer_norm.weight",
        "embedding_norm.bias": "embed_layer_norm.bias",
        "latents.weight": "latent_embeddings",
        "posterior.weight": "post_network.weight",
        "bag_of_words.weight": "bow_predictor.weight",
        "selection.weight": "discriminator.0.weight",
        "selection.bias": "discriminator.0.bias",
    }
    in_blocks = {"qkv": "attn.linear_qkv", "projection": "attn.linear_out"}
    in_blocks |= {"attention_norm": "attn_norm", "inner": "ff.linear_hidden.0"}
    in_blocks |= {"outer": "ff.linear_out", "mlp_norm": "ff_norm"}
    for layer in range(LAYERS):
        for our_name, name in in_blocks.items():
            for part in ("weight", "bias"):
                pairs[f"blocks.{layer}.{our_name}.{part}"] = f"layers.{layer}.{name}.{part}"
    for our_name, name in pairs.items():
        assert torch.equal(ours[our_name], theirs[name]), our_name
    assert torch.equal(ours["mask"], theirs["mask_embed"][0, 0])
    assert torch.equal(ours["turns.weight"][:16], theirs["embedder.turn_embedding.weight"])
    assert not ours["posterior.bias"].any()
    assert not ours["bag_of_words.bias"].any()
    rest = {"mask", "turns.weight", "posterior.bias", "bag_of_words.bias"}
    assert set(ours) == set(pairs) | rest


def test_the_network_takes_all_of_it(tmp_path: Path) -> None:
    ours, sizes = release_weights(written(made_up(), tmp_path), num_heads=2)
    network = PlatoNetwork(PlatoSizes(**sizes), dropout=0.0)
    heads = ("posterior.", "bag_of_words.", "selection.")
    network.load_state_dict({n: w for n, w in ours.items() if not n.startswith(heads)})


def of_data_parallel(weights: Weights) -> Weights:
    return {f"module.{name}": weight for name, weight in weights.items()}


@pytest.mark.parametrize("names", [of_paddle, of_data_parallel])
@pytest.mark.parametrize("is_safetensors", [True, False])
def test_other_names_lead_to_the_same_weights(
    tmp_path: Path, names: Callable[[Weights], Weights], is_safetensors: bool
) -> None:
    torch.manual_seed(0)
    expected, sizes = release_weights(written(made_up(), tmp_path), num_heads=2)
    file = tmp_path / ("release.safetensors" if is_safetensors else "release.pt")
    (save_file if is_safetensors else torch.save)(names(made_up()), file)
    torch.manual_seed(0)
    found, found_sizes = release_weights(file, num_heads=2)
    assert found_sizes == sizes
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_rows_that_the_release_lacks_are_drawn_at_random(tmp_path: Path) -> None:
    theirs = made_up()
    torch.manual_seed(2)
    ours, _ = release_weights(written(theirs, tmp_path), num_heads=2)
    assert torch.equal(ours["roles.weight"][:2], theirs["embedder.type_embedding.weight"])
    torch.manual_seed(2)
    new_role, new_turn = 0.02 * torch.randn(1, D), 0.02 * torch.randn(1, D)
    torch.testing.assert_close(ours["roles.weight"][2:], new_role)
    torch.testing.assert_close(ours["turns.weight"][16:], new_turn)


def test_heads_that_were_switched_off_are_zeros_and_said_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    off = ("discriminator", "bow_predictor")
    theirs = {n: w for n, w in made_up().items() if not n.startswith(off)}
    with caplog.at_level(logging.WARNING, logger="dialogpt.plato.release"):
        ours, _ = release_weights(written(theirs, tmp_path), num_heads=2)
    for name, shape in (("selection.weight", (1, D)), ("bag_of_words.weight", (V, D))):
        assert torch.equal(ours[name], torch.zeros(shape))
    assert "replies are ranked by their log-probability" in caplog.text
    assert "no bag of words" in caplog.text


def test_a_model_without_latents_has_no_parts_for_them(tmp_path: Path) -> None:
    latent = ("latent", "mask", "post", "bow", "discriminator")
    theirs = {n: w for n, w in made_up().items() if not n.startswith(latent)}
    ours, sizes = release_weights(written(theirs, tmp_path), num_heads=2)
    assert sizes["num_latents"] == 0
    network = PlatoNetwork(PlatoSizes(**sizes), dropout=0.0)
    network.load_state_dict(ours)


def test_heads_have_64_dimensions_unless_said_otherwise(tmp_path: Path) -> None:
    wide = {n: w.repeat_interleave(16, -1) for n, w in made_up().items()}
    with pytest.raises(UserError, match=r"layers\.0\.attn\.linear_qkv"):
        # Of the width 192, but with products of the old height: refused, and after the heads.
        release_weights(written(wide, tmp_path))
    with pytest.raises(UserError, match="width 12 evenly, found 0"):
        release_weights(written(made_up(), tmp_path))
    for heads in (5, -4):
        with pytest.raises(UserError, match=f"width 12 evenly, found {heads}; .* --num_heads"):
            release_weights(written(made_up(), tmp_path), num_heads=heads)


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("layers.1.ff_norm.bias", None, r"expected layers\.1\.ff_norm\.bias of shape \(12,\)"),
        ("layers.1.attn.linear_qkv.weight", torch.zeros(D, 3 * D), r"\(36, 12\).*\(12, 36\)"),
        ("embedder.type_embedding.weight", torch.zeros(4, D), r"type_embedding.*\(3, 12\)"),
        ("embedder.type_embedding.weight", torch.zeros(1, D), r"type_embedding.*\(2, 12\)"),
        ("embedder.turn_embedding.weight", torch.zeros(17, D), r"turn_embedding.*\(16, 12\)"),
        ("embedder.token_embedding.weight", None, r"no matrix embedder\.token_embedding"),
        ("embedder.token_embedding.weight", torch.zeros(0, D), r"no matrix embedder\.token_embe"),
        ("mask_embed", None, "expected mask_embed"),
        ("post_network.weight", None, r"expected post_network\.weight"),
        ("predictor.weight", torch.zeros(V, D), "no place for, found 'predictor.weight'"),
        ("layers.4.ff_norm.bias", torch.zeros(D), r"found the numbers \[0, 1, 2, 4\]"),
    ],
)
def test_a_missing_or_misshaped_tensor_is_named(
    tmp_path: Path, name: str, change: Tensor | None, match: str
) -> None:
    theirs = made_up()
    if change is None:
        del theirs[name]
    else:
        theirs[name] = change
    with pytest.raises(UserError, match=match):
        release_weights(written(theirs, tmp_path), num_heads=2)


def test_a_file_that_holds_more_than_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"model": made_up(), "epoch": Path("x")}, tmp_path / "PLATO.pt")
    with pytest.raises(UserError, match="nothing in it was run"):
        release_weights(tmp_path / "PLATO.pt")
