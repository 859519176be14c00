"""python -m data_prep sample: real chit-chat as a small Reddit-like dump, with made-up oddities."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from data_prep.config import SampleConfig
from data_prep.sample_conversations import (
    MADE_UP_TITLE,
    REAL_COMMENT,
    REAL_TITLE,
    Conversation,
    conversation_lines,
    load_conversations,
)
from data_prep.sample_defects import CASES
from data_prep.sample_files import LAYOUTS, DumpFiles, Layout
from data_prep.sample_records import DumpLine, RecordMaker
from dialogpt.command_line import UserError, parse_config, run_command
from dialogpt.records import write_json

MARKER_FILE = "sample.json"
"""Written last; its presence means that the dump is whole."""

MADE_UP_SHARE = 0.03
"""Made-up threads for each real conversation; but every case has one thread at least."""

_SAMPLE_VERSION = 1  # change it whenever the same settings give other bytes


def main(argv: list[str]) -> None:
    """Write the dump that the command line asks for."""
    config, _ = parse_config(SampleConfig, argv, prog="python -m data_prep sample")
    run_command(lambda: print(write_sample(config)))


def write_sample(config: SampleConfig) -> str:
    """Write the dump unless it is there already; the summary that the user reads.

    The folder appears whole or not at all.

    Raises:
        UserError: chitchat-dataset is absent, or the folder holds something else.
    """
    folder = Path(config.output)
    settings = _settings(config)
    if _is_finished(folder, settings):
        return f"{folder}: nothing to do, the dump is there already"
    conversations = load_conversations(config.num_conversations, seed=config.seed)
    unfinished = folder.absolute().with_name(folder.name + ".unfinished")
    if unfinished.exists():  # of a run that was killed
        shutil.rmtree(unfinished)
    unfinished.mkdir(parents=True)
    files = DumpFiles(unfinished)
    counts: Counter[str] = Counter()
    for line in sample_lines(conversations, seed=config.seed):
        files.write(line)
        counts[line.origin] += 1
    num_lines = files.close()
    summary = describe(counts, num_lines, num_conversations=len(conversations))
    (unfinished / "README.txt").write_text(summary, encoding="utf-8")
    write_json(
        unfinished / MARKER_FILE,
        {"settings": settings, "lines_of_files": num_lines, "lines_by_origin": counts},
    )
    unfinished.replace(folder)
    return f"{summary}\nwritten to {folder}"


def sample_lines(conversations: Sequence[Conversation], *, seed: int) -> Iterator[DumpLine]:
    """Real threads in the order of time, with made-up ones spread evenly between them.

    Every case is there at least once, however few the conversations.
    """
    maker = RecordMaker(seed)
    num_made_up = max(len(CASES), round(MADE_UP_SHARE * len(conversations)))
    made_up = 0
    for index, conversation in enumerate(tqdm(conversations, unit=" conversations"), start=1):
        yield from conversation_lines(conversation, maker)
        while made_up * len(conversations) < num_made_up * index:
            case = CASES[made_up % len(CASES)]
            yield from case.lines(maker, conversation.turns[-1].created_utc)
            made_up += 1


def describe(counts: Counter[str], num_lines: dict[str, int], *, num_conversations: int) -> str:
    """What of the dump is real and what is made up, with the lines of each kind."""
    real = {name: counts[name] for name in (REAL_COMMENT, REAL_TITLE, MADE_UP_TITLE)}
    made_up = {case.name: counts[case.name] for case in CASES}
    layouts = {name: LAYOUTS.get(name, Layout()).note for name in num_lines}
    return "\n".join(
        [
            "A small dump in the Pushshift schema. It does not come from Reddit.",
            "",
            f"REAL: {sum(real.values()):,} lines. Text, prompts, turn order and times of",
            f"{num_conversations:,} human conversations of the package chitchat-dataset (MIT",
            "licence), cut into runs of 2 to 7 turns; each run is a chain of replies. Made up even",
            "here: ids, scores, author names (one for each person), subreddits, flags.",
            *(f"  {count:>8,}  {name}" for name, count in real.items()),
            "",
            f"MADE UP: {sum(made_up.values()):,} lines, text included. Lines of the threads in",
            "which one thing is odd, so that every filter and parsing rule has work:",
            *(f"  {count:>8,}  {name}" for name, count in made_up.items()),
            "",
            "FILES",
            *(f"  {n:>8,} lines  {name}  {layouts[name]}" for name, n in num_lines.items()),
            "",
        ]
    )


def _settings(config: SampleConfig) -> dict[str, Any]:
    """All that the bytes of the dump depend on."""
    try:
        package_version = version("chitchat-dataset")
    except PackageNotFoundError:
        package_version = "none"  # loading it will say what to do
    return {
        "num_conversations": config.num_conversations,
        "seed": config.seed,
        "sample_version": _SAMPLE_VERSION,
        "chitchat_dataset": package_version,
    }


def _is_finished(folder: Path, settings: dict[str, Any]) -> bool:
    """Whether the dump is there; UserError if something else is."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    marker = folder / MARKER_FILE
    if not marker.is_file():
        raise UserError(
            f"{folder}: expected nothing, or a dump that this command wrote, found other files; "
            "choose another --output"
        )
    found = json.loads(marker.read_text(encoding="utf-8"))["settings"]
    if found != settings:
        raise UserError(
            f"{folder}: expected a dump with the settings {settings}, found one with {found}; "
            "delete it or choose another --output"
        )
    return True
