"""Name of a source -> how it is read, and what suits it where the options leave it open."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from data_prep.importing.avsd import read_avsd, read_avsd_references
from data_prep.importing.config import CHAT_SOURCES, ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.dailydialog import read_dailydialog, read_dailydialog_references
from data_prep.importing.detokenize import detokenize
from data_prep.importing.dialogpt_tsv import read_dialogpt_tsv
from data_prep.importing.discord import read_discord
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, input_files, paths_of
from data_prep.importing.instances import InstanceRules, clean_text
from data_prep.importing.json_lines import read_json_lines
from data_prep.importing.personachat import read_personachat
from data_prep.importing.slack import read_slack
from data_prep.importing.telegram import read_telegram
from data_prep.importing.whatsapp import read_whatsapp
from dialogpt.records import TestItem

ReadFile: TypeAlias = Callable[[InputFile, ImportLog, ImportConfig], Iterator[Conversation]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A source that is read file by file.

    Attributes:
        read: the conversations of a file.
        by_response: whether each reply is an instance by default.
        tells_split: whether dialogues may say their split, or have ids that they are dealt by.
        is_tokenised: whether its texts are published with blanks around punctuation.
        max_turns: most turns of a row by default; 0 is no limit.
    """

    read: ReadFile
    by_response: bool = False
    tells_split: bool = False
    is_tokenised: bool = False
    max_turns: int = 0


_CHAT_TURNS = 24
"""About as many turns as fit the rows of a model: GPT-2 would never see what lies further back."""

_SOURCES: dict[str, Source] = {
    "dailydialog": Source(read=lambda file, log, _: read_dailydialog(file, log), is_tokenised=True),
    "personachat": Source(
        read=lambda file, log, _: read_personachat(file, log), by_response=True, is_tokenised=True
    ),
    "avsd": Source(
        read=lambda file, log, config: read_avsd(file, log, split_knowledge=config.split_knowledge),
        by_response=True,
        tells_split=True,
        is_tokenised=True,
    ),
    "dialogpt_tsv": Source(
        read=lambda file, log, config: read_dialogpt_tsv(file, log, has_weights=config.has_weights),
        tells_split=True,
        is_tokenised=True,
    ),
    "json_lines": Source(read=lambda file, log, _: read_json_lines(file, log), tells_split=True),
    "whatsapp": Source(read=read_whatsapp, max_turns=_CHAT_TURNS),
    "telegram": Source(read=read_telegram, max_turns=_CHAT_TURNS),
    "discord": Source(read=read_discord, max_turns=_CHAT_TURNS),
    "slack": Source(read=read_slack, max_turns=_CHAT_TURNS),
}


def read_source(config: ImportConfig, log: ImportLog) -> Iterator[Conversation]:
    """All conversations, those of published validation and test splits first.

    Raises:
        UserError: the input is not there, or is something else.
    """
    if config.source == "datasets":
        # Imported late: it takes a second, and only this source needs it.
        from data_prep.importing.hub_datasets import read_datasets

        yield from read_datasets(config, log)
        return
    for file in input_files(config):
        log.column = file.column
        yield from _SOURCES[config.source].read(file, log, config)


def read_dealt_apart(config: ImportConfig, log: ImportLog) -> Iterator[Conversation]:
    """The conversations of which two with the same turns may come to different splits.

    They are in files that are given without a split, and say their split or are dealt by an id.

    Raises:
        UserError: the input is not there, or is something else.
    """
    if config.source == "datasets":
        from data_prep.importing.hub_datasets import read_datasets  # late, as above

        yield from read_datasets(config, log, only_dealt_by_id=True)
    elif _SOURCES[config.source].tells_split:
        for file in input_files(config):
            if file.split is None:
                yield from _SOURCES[config.source].read(file, log, config)


def read_test_references(config: ImportConfig, log: ImportLog) -> Iterator[TestItem]:
    """The multi-reference test items, not cleaned yet; none if no file is given for them.

    Raises:
        UserError: the files are not there, or are something else.
    """
    if not config.test_references:
        return
    log.column = "test"
    for path in paths_of(config.test_references, config.source):
        file = InputFile(path, str(path), f"{config.source}_test", "test")
        if config.source == "dailydialog":
            yield from read_dailydialog_references(file, log)
            continue
        for contexts in input_files(config):
            if contexts.split == "test":
                yield from read_avsd_references(
                    file, contexts, log, split_knowledge=config.split_knowledge
                )


def instance_rules(config: ImportConfig) -> InstanceRules:
    """How conversations become rows: as the options say, or as suits the source."""
    source = _SOURCES.get(config.source, Source(read=lambda *_: iter(())))
    by_response = source.by_response
    if config.instances != "default":
        by_response = config.instances == "response"
    return InstanceRules(
        source=config.source,
        by_response=by_response,
        min_turns=config.min_turns,
        max_turns=source.max_turns if config.max_turns is None else config.max_turns,
    )


def text_cleaner(config: ImportConfig) -> Callable[[str], str]:
    """What each text goes through: as the options say, or as suits the source."""
    is_tokenised = config.source in _SOURCES and _SOURCES[config.source].is_tokenised
    wanted = is_tokenised if config.detokenize is None else config.detokenize
    return clean_text(detokenize if wanted else None)


def hides_names(config: ImportConfig) -> bool:
    """Whether the input's file names must not be written: those of chats name people."""
    return config.source in CHAT_SOURCES
