"""The files under configs/data go through the dataclass of their stage."""

from pathlib import Path

import pytest
import yaml

from data_prep.config import ExtractConfig
from data_prep.importing.config import ImportConfig
from dialogpt.command_line import parse_config

CONFIGS = Path(__file__).parents[3] / "configs" / "data"


def load(path):
    return parse_config(ExtractConfig, ["--config", str(path)], prog="extract")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("reddit*.yaml")), ids=lambda path: path.stem)
def test_every_value_of_a_data_config_comes_through(path):
    _, resolved = load(path)
    assert yaml.safe_load(resolved) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("import_*.yaml")), ids=lambda path: path.stem)
def test_every_value_of_an_import_config_comes_through(path):
    _, resolved = parse_config(ImportConfig, ["--config", str(path)], prog="import")
    given, found = yaml.safe_load(path.read_text()), yaml.safe_load(resolved)
    columns = found.pop("columns")
    for name, value in given.pop("columns", {}).items():
        assert columns[name] == value
    assert {name: found[name] for name in given} == given


def test_the_paper_s_config_is_what_the_command_does_by_itself():
    config, _ = load(CONFIGS / "reddit.yaml")
    plain = ExtractConfig(dumps=config.dumps, output=config.output)
    assert config == plain
