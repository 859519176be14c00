"""The files under configs/data go through the dataclass of their stage."""

from pathlib import Path

import pytest
import yaml

from data_prep.config import ExtractConfig
from dialogpt.command_line import parse_config

CONFIGS = Path(__file__).parents[3] / "configs" / "data"


def load(path):
    return parse_config(ExtractConfig, ["--config", str(path)], prog="extract")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("reddit*.yaml")), ids=lambda path: path.stem)
def test_every_value_of_a_data_config_comes_through(path):
    _, resolved = load(path)
    assert yaml.safe_load(resolved) == yaml.safe_load(path.read_text())


def test_the_paper_s_config_is_what_the_command_does_by_itself():
    config, _ = load(CONFIGS / "reddit.yaml")
    plain = ExtractConfig(dumps=config.dumps, output=config.output)
    assert config == plain
