"""Every file under configs/ goes through the dataclass of its command."""

import re

import pytest
import yaml
from accelerate.commands.config.config_args import load_config_from_file
from support_train import ROOT, merged

from dialogpt.command_line import parse_config
from dialogpt.config.decoding import DecodeConfig
from dialogpt.config.training import TrainConfig

CONFIGS = ROOT / "configs"
TRAIN = sorted((CONFIGS / "train").glob("*.yaml"))
PLATO = sorted((CONFIGS / "train" / "plato").glob("*.yaml"))
DECODE = sorted((CONFIGS / "decode").glob("*.yaml"))
ACCELERATE = sorted((CONFIGS / "accelerate").glob("*.yaml"))

# Table 1 of arXiv:1911.00536: layers, width, batch per GPU; and the limits of epochs.
TABLE_1 = {"small": (12, 768, 128, 5), "medium": (24, 1024, 64, 5), "large": (36, 1280, 32, 3)}


def load(path, *options):
    return parse_config(TrainConfig, ["--config", str(path), *options], prog="train")


# Table 5 of arXiv:1910.07931: blocks, whether the context is seen whole, whether its dialogue
# pre-training comes before it, latents.
TABLE_5 = {
    "1.1": ("bert", True, False, 0),
    "1.2": ("gpt2", False, False, 0),
    "1.3": ("gpt2", True, False, 0),
    "2.1": ("gpt2", True, True, 0),
    "2.2": ("bert", True, True, 0),
    "3.1": ("bert", True, True, 20),
}


@pytest.mark.parametrize(
    "path", [path for path in PLATO if path.stem.startswith("table5")], ids=lambda path: path.stem
)
def test_plato_configs_are_those_of_table_5(path):
    config, _ = load(path)
    assert config.plato is not None
    blocks, sees_all, is_pretrained, num_latents = TABLE_5[path.stem.removeprefix("table5_")]
    assert config.plato.num_latents == num_latents
    assert config.plato.bidirectional_context == sees_all
    assert config.model.init.startswith("runs/plato-pretrain") == is_pretrained
    assert ("gpt2" in config.data.shards) == (blocks == "gpt2")


@pytest.mark.parametrize(
    "path", [*TRAIN, *PLATO], ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_train_configs_load_and_every_value_comes_through(path):
    config, resolved = load(path)
    assert config.direction == ("backward" if "backward" in path.stem else "forward")
    longest = config.data.max_seq_len
    if config.plato is not None:  # positions count inside utterances
        longest = max(config.plato.sequence.max_turn_tokens, 50) + 2
    assert longest <= config.model.max_positions
    written, kept = yaml.safe_load(path.read_text()), yaml.safe_load(resolved)
    for key, value in written.items():
        if isinstance(value, dict):
            assert merged(kept[key], value) == kept[key]
        else:
            assert kept[key] == value


@pytest.mark.parametrize("path", DECODE, ids=lambda path: path.stem)
def test_decode_configs_load(path):
    needed = ["--model", "runs/forward", "--backward_model", "runs/backward"]
    config, _ = parse_config(DecodeConfig, ["--config", str(path), *needed], prog="decode")
    assert config.model == "runs/forward"


@pytest.mark.parametrize("path", ACCELERATE, ids=lambda path: path.stem)
def test_accelerate_configs_load_and_leave_the_precision_to_the_run(path):
    config = load_config_from_file(str(path))
    assert config.mixed_precision == "no"
    assert config.use_cpu == (path.stem == "one_cpu")
    assert (config.num_machines > 1) == (path.stem == "many_nodes")


def test_no_config_is_missing_and_none_is_overlooked():
    backward = {f"backward_{size}" for size in ("demo", "small", "medium")}
    assert {path.stem for path in TRAIN} == {*TABLE_1, *backward, "demo", "mmi_rl"}
    assert {path.stem for path in PLATO} == {
        "demo",
        "pretrain",
        *(f"table5_{row}" for row in TABLE_5),
    }
    names = {"one_cpu", "one_gpu", "many_gpus", "many_nodes", "fsdp"}
    assert {path.stem for path in ACCELERATE} == names
    found = {p for p in CONFIGS.rglob("*.yaml") if p.parent.name != "data"}
    assert found == {*TRAIN, *PLATO, *DECODE, *ACCELERATE}


@pytest.mark.parametrize(("size", "expected"), TABLE_1.items())
def test_the_recipes_are_those_of_the_papers_table_1(size, expected):
    names = [size] if size == "large" else [size, f"backward_{size}"]
    for name in names:
        config, _ = load(CONFIGS / "train" / f"{name}.yaml")
        model, batch = config.model, config.batch
        found = (
            model.num_layers,
            model.hidden_size,
            batch.micro_batch_tokens // 128,  # dialogues of the average length
            config.max_epochs,
        )
        assert found == expected
        assert batch.layout == "auto"
        assert batch.max_micro_batch_size == 0
        assert (config.schedule.name, config.schedule.warmup_steps) == ("noam", 16000)
        assert batch.micro_batch_tokens >= config.data.max_seq_len  # or no row would fit


@pytest.mark.parametrize("size", TABLE_1)
def test_the_highest_rate_is_that_of_the_reference_code(size):
    config, _ = load(CONFIGS / "train" / f"{size}.yaml")
    peak = 1e-5 * 1e4 * config.model.hidden_size**-0.5 * 16000**-0.5
    assert config.schedule.learning_rate == pytest.approx(peak, rel=1e-4)


@pytest.mark.parametrize("path", TRAIN, ids=lambda path: path.stem)
def test_every_value_of_a_paper_recipe_names_its_origin(path):
    if path.stem.endswith("demo"):
        assert "[ours]" in path.read_text()
        return
    own = {"output", "direction", "shards", "learning_rate"}  # the last has it in the line above
    for line in path.read_text().splitlines():
        key = re.match(r"\s*(\w+): +\S", line)
        if key and key[1] not in own:
            assert re.search(r"# .*\[(paper|code|ours)\]", line), line


def test_from_scratch_and_from_gpt2_differ_by_one_option():
    path = CONFIGS / "train" / "small.yaml"
    assert load(path)[0].model.init == "scratch"
    assert load(path, "--model.init", "gpt2")[0].model.init == "gpt2"
