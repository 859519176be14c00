from pathlib import Path

import pytest

from data_prep.importing.config import ColumnsConfig, ImportConfig
from data_prep.importing.sources import instance_rules, text_cleaner
from dialogpt.command_line import parse_config

CONFIGS = sorted((Path(__file__).parents[4] / "configs" / "data").glob("import_*.yaml"))
FILES = {"output": "o", "input": "i"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_example_config_loads(path):
    config, _ = parse_config(ImportConfig, ["--config", str(path)], prog="import")
    assert config.output


def test_there_are_example_configs():
    assert len(CONFIGS) == 5


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "reddit", "input": "i"}, "source must be one of"),
        ({"source": "json_lines"}, "give input"),
        ({"source": "json_lines", "input": "i", "train": "t"}, "not both"),
        ({"source": "json_lines", "input": "i", "has_weights": True}, "only on dialogpt_tsv"),
        ({"source": "json_lines", "input": "i", "test_references": "r"}, "has no effect"),
        ({"source": "json_lines", "input": "i", "max_pause_minutes": 5.0}, "has no effect"),
        ({"source": "telegram", "input": "i", "date_order": "day_first"}, "only on whatsapp"),
        ({"source": "json_lines", "input": "i", "columns": ColumnsConfig(turns="t")}, "columns"),
        ({"source": "avsd", "input": "i", "test_references": "r"}, "needs test"),
        ({"source": "datasets", "path": "p"}, "columns.turns"),
        ({"source": "datasets", "columns": ColumnsConfig(turns="t")}, "needs path"),
        ({"source": "datasets", "path": "p", "input": "i"}, "input has no effect"),
        ({"source": "whatsapp", "input": "i", "date_order": "dmy"}, "date_order must be"),
        ({"source": "json_lines", "input": "i", "instances": "turn"}, "instances must be"),
        ({"source": "json_lines", "input": "i", "max_turns": 1}, "max_turns"),
        ({"source": "json_lines", "input": "i", "min_turns": 0}, "min_turns"),
        ({"source": "slack", "input": "i", "max_pause_minutes": -1}, "max_pause_minutes"),
    ],
)
def test_options_that_do_not_go_together_are_refused_with_the_reason(values, message):
    with pytest.raises(ValueError, match=message):
        ImportConfig(output="o", **values)


@pytest.mark.parametrize("columns", [{"turns": "a", "text": "b"}, {"text": "b"}, {"dialogue": "c"}])
def test_columns_that_do_not_go_together_are_refused(columns):
    with pytest.raises(ValueError, match="columns"):
        ColumnsConfig(**columns)


def test_rows_and_text_are_by_default_as_suits_the_source():
    def defaults(source, **values):
        config = ImportConfig(source=source, **FILES, **values)
        rules = instance_rules(config)
        return rules.by_response, rules.max_turns, text_cleaner(config)("a .") == "a."

    assert defaults("dailydialog") == (False, 0, True)
    assert defaults("personachat") == (True, 0, True)
    assert defaults("avsd") == (True, 0, True)
    assert defaults("dialogpt_tsv") == (False, 0, True)
    assert defaults("json_lines") == (False, 0, False)
    assert defaults("slack") == (False, 24, False)
    assert defaults("slack", max_turns=0, instances="response") == (True, 0, False)
    assert defaults("personachat", instances="dialogue", detokenize=False) == (False, 0, False)
    assert defaults("json_lines", max_turns=5, detokenize=True) == (False, 5, True)
