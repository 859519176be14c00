"""Dataclass -> command line: YAML files, dotted overrides, one message for every mistake."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import docstring_parser
import yaml
from jsonargparse import ActionYesNo, ArgumentError, ArgumentParser, set_parsing_settings

from dialogpt.records import RecordError

Config = TypeVar("Config")

USAGE_ERROR = 2
"""Exit code of a wrong option or config file, as argparse has it."""
INPUT_ERROR = 1
"""Exit code of input that cannot be worked on."""
_LINE_END = "\n"


class UserError(Exception):
    """Something that the user can mend: printed as one message, without a traceback."""


def parse_config(
    config_class: type[Config], argv: Sequence[str] | None = None, *, prog: str
) -> tuple[Config, str]:
    """An instance of config_class, and the resolved YAML to save beside the output.

    Options act in order: `--config FILE` first, then `--section.field value` to change it. An
    unknown key, in the file or on the command line, ends the program with exit code 2.

    Args:
        config_class: a dataclass; the docstring under each field is its help.
        argv: the words of the command line; None takes the program's own.
        prog: the command as the user types it.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog=prog, description=config_class.__doc__, allow_abbrev=False, exit_on_error=True
    )
    parser.add_argument("--config", action="config", help="YAML file; later options override it")
    flags = _bool_fields(config_class)
    parser.add_class_arguments(config_class, None, skip=set(flags))
    for name, (default, help_text) in flags.items():  # so that `--mmi` needs no value
        parser.add_argument(
            f"--{name}", action=ActionYesNo(no_prefix="no_"), default=default, help=help_text
        )
    words = _with_underscores(sys.argv[1:] if argv is None else argv)
    for file in _config_files(words):
        mistake = _mistake_in(file, config_class)
        if mistake:
            parser.error(f"{file}: {mistake}")
    words = _with_brackets(_with_plain_flags(words, flags), config_class)
    parser.exit_on_error = False
    try:
        options = parser.parse_args(words)
    except ArgumentError as error:
        message = _with_culprit(parser, words, error.message)
        parser.exit_on_error = True
        parser.error(_without_union(message))
    parser.exit_on_error = True
    try:
        # jsonargparse hides a field named like a method of its namespaces ("keys") behind a mark.
        values = {
            name.removeprefix("\u200b"): value
            for name, value in vars(parser.instantiate(options)).items()
        }
        names = {field.name for field in fields(config_class)}  # type: ignore[arg-type]
        config = config_class(**{name: value for name, value in values.items() if name in names})
    except ValueError as error:
        parser.error(_without_union(str(error)))
    resolved = yaml.safe_load(parser.dump(options, skip_validation=True))
    resolved.pop("config", None)
    return config, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)


def _with_culprit(parser: ArgumentParser, words: Sequence[str], message: str) -> str:
    """What a parser says of the words, after the name of the config file that is at fault."""
    if "are required" in message:  # need not stand in a file
        return message
    for file in _config_files(words):
        try:
            parser.parse_args(["--config", str(file)])
        except ArgumentError as alone:
            if alone.message == message:
                return f"{file}: {message}"
    return message


def _without_union(message: str) -> str:
    """What is wrong with an optional section, without that it is not None and all its values."""
    before, found, rest = message.partition("Does not validate against any of the Union subtypes")
    wrong, is_optional, _ = rest.partition("- Expected a <class 'NoneType'>")
    lines = [line.strip().removeprefix("- ") for line in wrong.partition("Errors:")[2].split("\n")]
    said = [
        "expected a section of settings, found null" if "must be a mapping" in line else line
        for line in lines
        if line and not line.startswith("Problem with given class_path")
    ]
    return " ".join([before.strip(), *said]).strip() if found and is_optional and said else message


def _with_underscores(argv: Sequence[str]) -> list[str]:
    """The words with `_` for `-` in the names of options: `--keep-rejects` is `--keep_rejects`."""
    words = []
    for word in argv:
        name, equals, value = word.partition("=")
        if name.startswith("--"):
            name = "--" + name[2:].replace("-", "_")
        words.append(name + equals + value)
    return words


def _config_files(words: Sequence[str]) -> list[Path]:
    """What --config names, where it is a file; the parser says what is wrong with anything else."""
    joined = [word.partition("=")[2] for word in words if word.startswith("--config=")]
    named = [value for word, value in pairwise(words) if word == "--config"]
    # Not Path.is_file, which raises for settings in place of a name: they may be long.
    return [Path(value) for value in joined + named if os.path.isfile(value)]  # noqa: PTH113


def _mistake_in(file: Path, config_class: type) -> str:
    """What keeps a file from being settings; "" for none. jsonargparse would not name the file."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"expected YAML, found what is none ({where}{getattr(error, 'problem', error)})"
    if not isinstance(content, dict):
        found = "none" if content is None else f"a {type(content).__name__}"
        return f"expected settings as lines of `name: value`, found {found}"
    # A file may name another one, as the command line does.
    settings = {key: value for key, value in content.items() if key != "config"}
    unknown = _unknown_key(settings, config_class)
    return f"expected a known setting, found {unknown}; --help lists them" if unknown else ""


def _unknown_key(values: dict[Any, Any], config_class: type) -> str:
    """The first key, dotted, that is no field of the dataclass or of a section; "" for none."""
    hints = get_type_hints(config_class)
    for key, value in values.items():
        name, dot, rest = str(key).partition(".")
        if name not in hints:
            return str(key)
        below = {rest: value} if dot else value
        if is_dataclass(hints[name]) and isinstance(below, dict):
            unknown = _unknown_key(below, hints[name])
            if unknown:
                return f"{name}.{unknown}"
    return ""


def _with_plain_flags(argv: Sequence[str], names: Iterable[str]) -> list[str]:
    """The words with `--no_mmi` for `--mmi false` and `--mmi` for `--mmi true`.

    Options inside a section take a value anyway, and nobody should have to know which do.
    """
    flags = {f"--{name}" for name in names}
    words: list[str] = []
    for word in argv:
        name, equals, value = word.partition("=")
        if equals and name in flags:
            words.append(name)
            word = value
        if word in ("true", "false") and words and words[-1] in flags:
            if word == "false":
                words[-1] = f"--no_{words[-1][2:]}"
        else:
            words.append(word)
    return words


def split_options(
    argv: Sequence[str], config_class: type
) -> tuple[list[list[str]], list[list[str]]]:
    """Options that are fields of a dataclass, and all others: for a command with two of them.

    Args:
        argv: the words of the command line.
        config_class: whose fields; `--help` counts as one of them.

    Returns:
        Two lists of options in their order, each the option's name and the words that follow it.
    """
    own = {"help", *(field.name for field in fields(config_class))}
    own |= {f"no_{name}" for name in _bool_fields(config_class)}
    taken: list[list[str]] = []
    left: list[list[str]] = []
    group = left
    for word in argv:
        if word.startswith("--") or word == "-h":
            name = word.partition("=")[0][2:].replace("-", "_")
            group = taken if name in own or word == "-h" else left
            group.append([word])
        elif group:
            group[-1].append(word)
        else:  # a word before any option: whose parser sees it will refuse it
            left.append([word])
    return taken, left


def _with_brackets(argv: Sequence[str], config_class: type) -> list[str]:
    """The words with `--seeds [1, 2]` for `--seeds 1 2`, where a field is a tuple[T, ...]."""
    hints = get_type_hints(config_class)
    tuples = {
        field.name: get_args(hints[field.name])[0]
        for field in fields(config_class)
        if get_origin(hints[field.name]) is tuple
    }
    words: list[str] = []
    items: list[str] = []
    for word in [*argv, "--"]:
        if not word.startswith("--") and items:
            items.append(word)
            continue
        if items:
            words += _bracketed(items, tuples[items[0].removeprefix("--")])
            items = []
        name, equals, value = word.partition("=")
        if name.removeprefix("--") in tuples:
            items = [name, value] if equals else [name]
        else:
            words.append(word)
    return words[:-1]


def _bracketed(words: list[str], item: Any) -> list[str]:
    """An option and its values, as jsonargparse takes a list; as it is where that is given."""
    name, *values = words
    if not values or values[0].startswith("["):
        return words
    if item not in (int, float):
        # Not escaped: YAML does not put the halves of an emoji together.
        values = [json.dumps(value, ensure_ascii=False) for value in values]
    return [name, f"[{', '.join(values)}]"]


def _bool_fields(config_class: type) -> dict[str, tuple[bool, str]]:
    """Name -> (default, help) of the top-level bool fields of a dataclass."""
    hints = get_type_hints(config_class)
    documented = {
        parameter.arg_name: parameter.description or ""
        for parameter in docstring_parser.parse_from_object(config_class).params
    }
    return {
        field.name: (bool(field.default), documented.get(field.name, ""))
        for field in fields(config_class)
        if hints[field.name] is bool
    }


def printable(text: str, *, kept: str = "") -> str:
    """Text in which nothing acts on a terminal: such characters stand as Python writes them.

    Names of files may hold escape sequences and ends of lines.

    Args:
        text: what is to be printed.
        kept: characters that stay as they are.
    """
    return "".join(c if c.isprintable() or c in kept else repr(c)[1:-1] for c in text)


def run_command(command: Callable[[], None]) -> None:
    """Run a command; turn what the user can mend into a message on stderr and exit code 1."""
    try:
        command()
    except BrokenPipeError:
        # Whoever read the output, `head` say, has enough. Nothing more may be written there, not
        # even what Python still holds when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except (UserError, RecordError, OSError) as error:
        print(f"error: {printable(str(error), kept=_LINE_END)}", file=sys.stderr)
        raise SystemExit(INPUT_ERROR) from error
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        raise SystemExit(130) from None


def require_folder(path: Path, what: str, remedy: str) -> None:
    """Raise UserError unless path is a folder."""
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise UserError(f"{path}: expected {what}, found {found}; {remedy}")


def refuse_to_overwrite(path: Path) -> None:
    """Raise UserError if there is such a file: hours of work should not vanish unasked."""
    if path.exists():
        raise UserError(f"{path}: exists already; name another --output or delete it")


def require_place(output: Path, what: Literal["file", "folder"]) -> None:
    """Raise UserError where something cannot be written: before the work, not behind it."""
    place = next(path for path in (output, *output.absolute().parents) if path.exists())
    wants_folder = what == "folder" or place != output
    if place.is_dir() != wants_folder:
        found = "the folder" if place.is_dir() else "the file"
        raise UserError(f"{output}: expected a place for a {what}, found {found} {place}")
    if not os.access(place, os.W_OK):
        raise UserError(f"{output}: expected a place to write to, but {place} is write-protected")


def as_plain(value: Any) -> Any:
    """A nested dataclass as plain dicts and lists, for JSON and YAML."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: as_plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value
