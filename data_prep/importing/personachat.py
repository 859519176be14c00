"""Persona-Chat (Zhang et al. 2018): each speaker has a persona of a few sentences.

Two forms are read, told by their first line. JSON Lines, where utterance i is of speaker i % 2:

    {"personas": [["i like tea."], ["i am tall."]], "utterances": ["hi!", "hello."]}

and the text format of ParlAI, where line 1 begins a dialogue, the partner speaks first and "your
persona" is that of who answers; the fields behind the answer (reward, candidates) are not read:

    1 your persona: i am tall.
    2 partner's persona: i like tea.
    3 hi !<TAB>hello .
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_value, numbered_lines, shown

_FIRST, _SECOND = 0, 1
_PARLAI_LINE = re.compile(r"(\d+) (.*)", re.DOTALL)
_PERSONAS = {"your persona: ": _SECOND, "partner's persona: ": _FIRST}
_SILENCE = "__SILENCE__"
"""What ParlAI writes where the first speaker says nothing yet."""


def read_personachat(file: InputFile, log: ImportLog) -> Iterator[Conversation]:
    """The conversations of a file in either form."""
    lines = numbered_lines(file, log)
    first = next(lines, None)
    if first is None:
        return
    read = _read_json_lines if first[1].lstrip().startswith("{") else _read_parlai
    yield from read(file, _with_first(first, lines), log)


def _with_first(
    first: tuple[int, str], rest: Iterator[tuple[int, str]]
) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest


def _read_json_lines(
    file: InputFile, lines: Iterator[tuple[int, str]], log: ImportLog
) -> Iterator[Conversation]:
    for number, line in lines:
        log.add("records_read")
        try:
            personas, utterances = _personas_and_utterances(json_value(line))
        except UnusableError as error:
            log.drop("records", error.reason, f"{file.name}:{number}", str(error))
            continue
        yield _conversation(file, number, personas, utterances, first_speaker=_FIRST)


def _personas_and_utterances(value: Any) -> tuple[list[list[str]], list[str]]:
    """Both speakers' sentences, and what they say in turn.

    Raises:
        UnusableError: the value is something else.
    """
    values = value if isinstance(value, dict) else {}
    personas, utterances = values.get("personas"), values.get("utterances")
    if not _is_texts(utterances) or not utterances:
        raise UnusableError(
            "no_utterances", f'expected {{"utterances": ["...", ...]}}, found {shown(value)}'
        )
    if not isinstance(personas, list) or len(personas) != 2 or not all(map(_is_texts, personas)):
        raise UnusableError(
            "no_personas", f'expected {{"personas": [["..."], ["..."]]}}, found {shown(personas)}'
        )
    return personas, utterances


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _read_parlai(
    file: InputFile, lines: Iterator[tuple[int, str]], log: ImportLog
) -> Iterator[Conversation]:
    for _, episode in groupby(lines, key=_EpisodeNumber()):
        log.add("records_read")
        numbered = list(episode)
        first_line = numbered[0][0]
        try:
            personas, utterances = _parse_episode(line for _, line in numbered)
        except UnusableError as error:
            log.drop("records", error.reason, f"{file.name}:{first_line}", str(error))
            continue
        silent = utterances[0] == _SILENCE
        yield _conversation(
            file,
            first_line,
            personas,
            utterances[silent:],
            first_speaker=_SECOND if silent else _FIRST,
        )


class _EpisodeNumber:
    """The number of the episode that a line belongs to: each begins with a line 1."""

    def __init__(self) -> None:
        self._number = 0

    def __call__(self, line: tuple[int, str]) -> int:
        self._number += line[1].startswith("1 ")
        return self._number


def _parse_episode(lines: Iterator[str]) -> tuple[list[list[str]], list[str]]:
    """Both speakers' sentences, and what they say in turn.

    Raises:
        UnusableError: a line is something else, or nobody speaks.
    """
    personas: list[list[str]] = [[], []]
    utterances: list[str] = []
    for line in lines:
        found = _PARLAI_LINE.fullmatch(line)
        if found is None:
            raise UnusableError("no_number", f"expected NUMBER TEXT, found {shown(line)}")
        text = found[2]
        prefix = next((prefix for prefix in _PERSONAS if text.startswith(prefix)), None)
        if prefix is not None:
            personas[_PERSONAS[prefix]].append(text.removeprefix(prefix))
            continue
        said = text.split("\t")
        if len(said) < 2:
            raise UnusableError("no_answer", f"expected TEXT<TAB>ANSWER, found {shown(line)}")
        utterances += said[:2]
    if not utterances:
        raise UnusableError("no_utterances", "expected lines TEXT<TAB>ANSWER, found personas alone")
    return personas, utterances


def _conversation(
    file: InputFile,
    number: int,
    personas: list[list[str]],
    utterances: list[str],
    *,
    first_speaker: int,
) -> Conversation:
    return Conversation(
        turns=tuple(utterances),
        speakers=tuple((first_speaker + turn) % 2 for turn in range(len(utterances))),
        thread_id=f"{file.prefix}_{number}",
        knowledge_of={who: tuple(sentences) for who, sentences in enumerate(personas)},
        split=file.split,
    )
