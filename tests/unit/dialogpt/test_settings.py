import pytest
import yaml

from dialogpt.command_line import UserError
from dialogpt.train.settings import check_same_config

FORMER = {"output": "a", "data": {"shards": "s", "num_workers": 2}, "seed": 0, "tensorboard": True}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(FORMER))
    return path


def test_the_same_settings_go_on(path):
    check_same_config(path, yaml.safe_dump(FORMER))


def test_a_new_run_has_nothing_to_compare(tmp_path):
    check_same_config(tmp_path / "config.yaml", "seed: 1")


def test_what_changes_no_result_may_change(path):
    now = {**FORMER, "output": "b", "data": {"shards": "s", "num_workers": 0}, "tensorboard": False}
    now["trackers"] = ["trackio"]
    check_same_config(path, yaml.safe_dump(now))


def test_a_run_from_before_there_were_layouts_goes_on(path):
    now = {**FORMER, "batch": {"layout": "auto"}, "compile": True}
    check_same_config(path, yaml.safe_dump(now))


def test_every_other_difference_is_named_with_both_values(path):
    now = {**FORMER, "seed": 1, "data": {"shards": "t", "num_workers": 2}}
    with pytest.raises(UserError, match=r"data.shards: 's' there, 't' here; seed: 0 there, 1 here"):
        check_same_config(path, yaml.safe_dump(now))


@pytest.mark.parametrize("content", ["model: [\n", "- a\n", "", "\xff"])
def test_a_broken_file_is_named(path, content):
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"config\.yaml: expected the settings .*; put back what"):
        check_same_config(path, yaml.safe_dump(FORMER))
