"""python -m data_prep import: conversations of other sources -> dialogues in Parquet.

Output folder, which appears when all is done:

    dialogues/<split>/part-*.parquet   see data_prep.dialogues
    testset/<source>.jsonl             contexts with several references, if a file has them
    counts.json, counts.tsv            what was read, dropped for which reason, and written
    import.yaml, manifest.json         the options, and what the folder was made of
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from data_prep.config import SplitConfig
from data_prep.dialogues import DIALOGUES_FOLDER, DialogueWriter
from data_prep.importing.config import ImportConfig
from data_prep.importing.conversations import Conversation
from data_prep.importing.import_log import ImportLog
from data_prep.importing.instances import cleaned, rows_of
from data_prep.importing.output_folder import (
    CONFIG_FILE,
    appearing,
    config_without_names,
    make_manifest,
)
from data_prep.importing.sources import (
    instance_rules,
    read_dealt_apart,
    read_source,
    read_test_references,
    text_cleaner,
)
from data_prep.splits import split_of
from dialogpt.command_line import UserError, parse_config, run_command
from dialogpt.records import SPLITS, Split, TestItem, write_json

CONVERSATIONS_PER_PART = 250_000
"""Conversations in a part, the unit that `shards` hands to its processes."""

_MANY = 0.1  # of the records: dropping more is worth a word
_FAULTS = tuple(f"messages.{name}" for name in ("not_utf8", "no_head", "no_such_time", "malformed"))
_NO_FAULT = ("records.leak", "records.answer_withheld")  # drops that are as they should be


def main(argv: Sequence[str] | None = None) -> None:
    """The command."""
    config, resolved = parse_config(ImportConfig, argv, prog="python -m data_prep import")
    run_command(partial(import_dialogues, config, resolved))


def import_dialogues(config: ImportConfig, resolved: str) -> None:
    """Do what the config says, and print the counts.

    Args:
        config: what to do.
        resolved: the config as YAML, to save beside the output.

    Raises:
        UserError: the input or the output folder is not as it should be, or no dialogue comes out.
    """
    output = Path(config.output)
    with appearing(output, make_manifest(config)) as folder:
        if folder is None:
            print(f"{output} is finished; nothing to do", file=sys.stderr)
            return
        with tqdm(unit="B", unit_scale=True, desc="import", leave=False) as bar:
            log = ImportLog(bar.update)
            write_dialogues(config, folder / DIALOGUES_FOLDER, log)
            write_test_items(config, folder / "testset", log)
        write_json(folder / "counts.json", log.as_json())
        (folder / "counts.tsv").write_text(log.as_tsv(), encoding="utf-8")
        resolved = config_without_names(config, resolved)
        (folder / CONFIG_FILE).write_text(resolved, encoding="utf-8")
    print(log.as_text(), end="")
    for note in notes(log):
        print(note, file=sys.stderr)


def write_dialogues(config: ImportConfig, folder: Path, log: ImportLog) -> None:
    """Write the rows of all conversations, in parts.

    Raises:
        UserError: the input is not as it should be, or no dialogue comes out.
    """
    rules = instance_rules(config)
    conversations = dealt_conversations(config, log)
    for part, first in enumerate(conversations):
        with DialogueWriter(folder, part) as writer:
            rest = islice(conversations, CONVERSATIONS_PER_PART - 1)
            for split, conversation in chain([first], rest):
                for row in rows_of(conversation, rules, log):
                    writer.write(split, row)
                    log.add(f"dialogues.{split}")
    total = log.total()
    if not any(total[f"dialogues.{split}"] for split in SPLITS) and not config.test_references:
        examples = [f"\n  {drops[0]}" for drops in log.examples.values()]
        raise UserError(
            f"expected dialogues of {config.min_turns} turns or more in the input, found none in "
            f"{total['records_read']:,} records; check --source{''.join(examples[:3])}"
        )


def dealt_conversations(
    config: ImportConfig, log: ImportLog
) -> Iterator[tuple[Split, Conversation]]:
    """Each conversation, cleaned, and its split; what is dropped is counted.

    Raises:
        UserError: the input is not as it should be.
    """
    clean = text_cleaner(config)
    dealing = config.split.dealing()
    if config.valid:
        dealing = replace(dealing, valid_fraction=0.0)
    if config.test:
        dealing = replace(dealing, test_fraction=0.0)
    held_out: set[bytes] = set()
    if config.drop_leaks:
        # Read twice: a training dialogue may stand before its twin of the test split.
        first_reading = ImportLog(log.report)
        for found in read_dealt_apart(config, first_reading):
            conversation = cleaned(found, clean, first_reading)
            if conversation.turns and _split_of(conversation, dealing) != "train":
                held_out.add(_digest(conversation))
    for found in read_source(config, log):
        conversation = cleaned(found, clean, log)
        name = conversation.thread_id
        if not conversation.turns:
            log.drop("records", "empty", name, "no turn has readable text")
            continue
        split = _split_of(conversation, dealing)
        if config.drop_leaks:
            digest = _digest(conversation)
            if split == "train" and digest in held_out:
                message = "the same turns are in the validation or test split"
                log.drop("records", "leak", name, message)
                continue
            if split != "train":
                held_out.add(digest)
        log.add("records_kept")
        yield split, conversation


def _split_of(conversation: Conversation, dealing: SplitConfig) -> Split:
    key = conversation.split_key or "\n".join(conversation.turns)
    return conversation.split or split_of(key, dealing)


def _digest(conversation: Conversation) -> bytes:
    return blake2b("\n".join(conversation.turns).encode(), digest_size=16).digest()


def write_test_items(config: ImportConfig, folder: Path, log: ImportLog) -> None:
    """Write the multi-reference test items, if there is a file of references.

    Raises:
        UserError: the input is not as it should be.
    """
    if not config.test_references:
        return
    folder.mkdir()
    clean = text_cleaner(config)
    with (folder / f"{config.source}.jsonl").open("w", encoding="utf-8") as output:
        for found in read_test_references(config, log):
            item = _cleaned_item(found, clean)
            if not item.references or not all(item.turns):
                message = "no readable text in the references or in a turn"
                log.drop("test_items", "empty", item.id, message)
                continue
            for _ in range(len(found.references) - len(item.references)):
                log.drop("references", "empty", item.id, "a reference without readable text")
            log.add("test_items")
            log.add("references", len(item.references))
            output.write(item.to_json() + "\n")


def _cleaned_item(item: TestItem, clean: Callable[[str], str]) -> TestItem:
    return replace(
        item,
        turns=tuple(map(clean, item.turns)),
        references=tuple(filter(None, map(clean, item.references))),
        knowledge=tuple(filter(None, map(clean, item.knowledge))),
        subreddit=item.id.partition("_")[0],
    )


def notes(log: ImportLog) -> Iterator[str]:
    """What the user should know beside the counts."""
    yield from log.notes
    total = log.total()
    for name, drops in log.examples.items():
        kind, _, reason = name.partition(".")
        is_fault = kind in ("records", "test_items") or name in _FAULTS
        if is_fault and name not in _NO_FAULT:
            yield f"note: {reason}, for example {drops[0]}"
    num_dropped = total["records_read"] - total["records_kept"]
    num_dropped -= sum(total[name.replace(".", "_dropped.")] for name in _NO_FAULT)
    if num_dropped > _MANY * total["records_read"]:
        yield (
            f"warning: {num_dropped:,} of {total['records_read']:,} records could not be used; "
            "counts.json has more examples"
        )
    for split in SPLITS:
        if not total[f"dialogues.{split}"]:
            yield f"warning: the {split} split is empty"
