import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dialogpt.command_line import (
    UserError,
    as_plain,
    parse_config,
    require_folder,
    run_command,
)
from dialogpt.config.training import TrainConfig
from dialogpt.records import RecordError

NEEDED = ["--output", "o", "--data.shards", "s", "--schedule.learning_rate", "1e-4"]


def parse(*options):
    return parse_config(TrainConfig, [*NEEDED, *options], prog="train")


def test_a_dotted_option_changes_one_value():
    config, resolved = parse("--model.num_layers", "3", "--direction", "backward")
    assert (config.model.num_layers, config.model.hidden_size) == (3, 768)
    assert config.direction == "backward"
    assert yaml.safe_load(resolved)["model"]["num_layers"] == 3


def test_later_options_override_the_file(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: {num_layers: 5, num_heads: 6}\nseed: 7\n")
    config, resolved = parse("--config", str(path), "--seed", "8")
    assert (config.model.num_layers, config.model.num_heads, config.seed) == (5, 6, 8)
    assert "config" not in yaml.safe_load(resolved)


def test_the_resolved_yaml_gives_the_same_config(tmp_path):
    config, resolved = parse("--batch.accumulation_steps", "4", "--no_tensorboard")
    path = tmp_path / "resolved.yaml"
    path.write_text(resolved)
    again, text = parse_config(TrainConfig, ["--config", str(path)], prog="train")
    assert again == config
    assert text == resolved
    assert again.tensorboard is False


@pytest.mark.parametrize(
    "options",
    [
        ["--schedule.warmup_step", "3"],  # a prefix of a real name
        ["--schedule.warmup", "3"],
        ["--learning_rate", "1"],
        ["--model.dropout", "high"],
        ["--direction", "sideways"],
        ["--model.num_heads", "7"],  # 768 is no multiple
        ["--schedule.learning_rate", "-1"],
        ["--model.num_heads", "0"],
        ["--optimizer.beta1", "1.0"],
        ["--optimizer.weight_decay", "-0.1"],
        ["--seed", "-1"],
    ],
)
def test_a_wrong_option_ends_with_exit_code_2_and_names_itself(options, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse(*options)
    assert stopped.value.code == 2
    assert options[0].removeprefix("--").rpartition(".")[2] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plato.num_latents", "-1"], "error: plato.num_latents must be >= 0, got -1\n"),
        (["--plato.nosuch", "3"], "error: Parser key \"plato\": Option 'nosuch' is not accepted\n"),
        (["--plato.sequence", "null"], "error: expected a section of settings, found null\n"),
        (["--plato.latent_sample", "hard"], "'straight_through', 'sample']. Got value: hard\n"),
    ],
)
def test_a_mistake_in_an_optional_section_is_said_and_nothing_else(options, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--plato.num_latents", "2", *options)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(said)


def test_an_unknown_key_in_a_file_ends_with_exit_code_2(tmp_path, capsys):
    path = tmp_path / "run.yaml"
    path.write_text("schedule: {learning_rate: 1e-5, warmup_step: 10}\n")
    with pytest.raises(SystemExit) as stopped:
        parse("--config", str(path))
    assert stopped.value.code == 2
    assert "warmup_step" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("schedule: {warmup_step: 10}\n", "a known setting, found schedule.warmup_step;"),
        ("schedule.warmup_step: 10\n", "a known setting, found schedule.warmup_step;"),
        ("learning_rate: 10\n", "a known setting, found learning_rate;"),
        ("seed: 1\nmodel: [\n", "YAML, found what is none (line 3, column 1: "),
        ("[" * 5_000, "YAML, found what is none ("),
        ("\xff", "YAML, found what is none ("),
        ("# nothing\n", "settings as lines of `name: value`, found none"),
        ("- seed\n", "settings as lines of `name: value`, found a list"),
    ],
)
@pytest.mark.parametrize("is_joined", [False, True])
def test_a_file_that_is_no_settings_is_named(content, message, is_joined, tmp_path, capsys):
    path = tmp_path / "run.yaml"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(SystemExit) as stopped:
        parse(*([f"--config={path}"] if is_joined else ["--config", str(path)]))
    assert stopped.value.code == 2
    assert f"error: {path}: expected {message}" in capsys.readouterr().err


def test_a_file_with_a_wrong_value_is_named(tmp_path, capsys):
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("seed: 1\n")
    bad.write_text("model: {dropout: high}\n")
    with pytest.raises(SystemExit) as stopped:
        parse("--config", str(good), "--config", str(bad))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert f'error: {bad}: Parser key "model.dropout"' in said
    assert str(good) not in said


@pytest.mark.parametrize("options", [["--model.dropout", "high"], ["--seed"], []])
def test_a_file_is_not_named_for_what_is_wrong_elsewhere(options, tmp_path, capsys):
    good = tmp_path / "good.yaml"
    good.write_text("output: o\nmodel: {dropout: 0.5}\n")
    with pytest.raises(SystemExit) as stopped:  # data.shards is missing, too
        parse_config(TrainConfig, ["--config", str(good), *options], prog="train")
    assert stopped.value.code == 2
    assert str(good) not in capsys.readouterr().err


def test_a_file_may_have_dotted_keys_and_name_another_file(tmp_path):
    (tmp_path / "one.yaml").write_text("model.num_layers: 5\n")
    (tmp_path / "two.yaml").write_text("config: one.yaml\nseed: 3\n")
    config, _ = parse("--config", str(tmp_path / "two.yaml"))
    assert (config.model.num_layers, config.seed) == (5, 3)


def test_the_help_of_an_option_is_the_docstring_of_its_field(capsys):
    with pytest.raises(SystemExit) as stopped:
        parse("--help")
    assert stopped.value.code == 0
    assert "Optimizer steps (not micro-batches)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("mend it"), 1),
        (RecordError("a.jsonl:3: mend it"), 1),
        (FileNotFoundError(2, "mend it"), 1),
        (NotADirectoryError(20, "mend it"), 1),
        (PermissionError(13, "mend it"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_what_the_user_can_mend_is_a_message_and_an_exit_code(error, code, capsys):
    def command():
        raise error

    with pytest.raises(SystemExit) as stopped:
        run_command(command)
    assert stopped.value.code == code
    captured = capsys.readouterr().err
    assert ("mend it" in captured) == (code == 1)
    assert "Traceback" not in captured


def test_a_reader_that_has_enough_ends_the_command_quietly():
    program = (
        "from dialogpt.command_line import run_command\n"
        "run_command(lambda: [print('line') for _ in range(100_000)])"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141  # as shells have it for SIGPIPE


def test_a_bug_keeps_its_traceback():
    def command():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command)


def test_require_folder_says_what_it_found(tmp_path):
    require_folder(tmp_path, "a folder", "make it")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="expected a folder of shards, found a file; make it"):
        require_folder(tmp_path / "file", "a folder of shards", "make it")
    with pytest.raises(UserError, match="found nothing"):
        require_folder(tmp_path / "absent", "a folder", "make it")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--no_compile"], False),
        (["--compile", "false"], False),
        (["--compile=false"], False),
        (["--compile", "true"], True),
        (["--compile"], True),
        (["--compile", "false", "--compile"], True),
    ],
)
def test_a_switch_may_have_a_value(options, expected):
    config, _ = parse(*options)
    assert config.compile is expected


@pytest.mark.parametrize("options", [["--compile", "maybe"], ["--compile=maybe"]])
def test_a_switch_takes_no_other_value(options, capsys):
    with pytest.raises(SystemExit):
        parse(*options)
    assert "maybe" in capsys.readouterr().err


@dataclass
class Inner:
    path: Path = Path("a/b")
    numbers: tuple[int, ...] = (1, 2)


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    names: dict[str, Inner] = field(default_factory=lambda: {"x": Inner(numbers=())})


def test_nested_dataclasses_become_plain_values():
    assert as_plain(Outer()) == {
        "inner": {"path": "a/b", "numbers": [1, 2]},
        "names": {"x": {"path": "a/b", "numbers": []}},
    }


def test_a_message_does_nothing_to_the_terminal(capsys):
    def command():
        raise UserError("a\x1b[31m\u202eb\udcff.json: expected é\n  | line")

    with pytest.raises(SystemExit):
        run_command(command)
    assert (
        capsys.readouterr().err == r"error: a\x1b[31m\u202eb\udcff.json: expected é" "\n  | line\n"
    )
