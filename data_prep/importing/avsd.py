"""DSTC7-AVSD (Alamri et al. 2019): questions and answers about a video, its caption and summary.

    {"dialogs": [{"image_id": "3MSZA", "caption": "...", "summary": "...",
                  "dialog": [{"question": "...", "answer": "..."}, ...]}, ...]}

In the test set the last answer is withheld. Its references are in a file of COCO's caption format,
under the name VIDEO_N, where N is the number of the question, from 0.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_document, shown
from dialogpt.command_line import UserError
from dialogpt.records import TestItem

_WITHHELD = "__UNDISCLOSED__"
_QUESTIONER, _ANSWERER = 0, 1
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\w)")


def read_avsd(file: InputFile, log: ImportLog, *, split_knowledge: bool) -> Iterator[Conversation]:
    """The conversation about each video, as far as it is disclosed; the answers are the replies.

    Args:
        file: the JSON document.
        log: counts the dialogues.
        split_knowledge: caption and summary sentence by sentence, not each as one.

    Raises:
        UserError: the file is no AVSD document.
    """
    for where, value in _dialogs(file, log):
        log.add("records_read")
        try:
            video, turns, knowledge = _parse(value, split_knowledge=split_knowledge)
        except UnusableError as error:
            log.drop("records", error.reason, where, str(error))
            continue
        if turns[-1] == _WITHHELD:
            log.add("turns_dropped.withheld_question")
            log.add("turns_dropped.withheld_answer")
            turns = turns[:-2]
        if not turns:
            log.drop("records", "answer_withheld", where, "the only answer is withheld")
            continue
        yield Conversation(
            turns=tuple(turns),
            speakers=_speakers(turns),
            thread_id=f"avsd_{video}",
            knowledge=knowledge,
            split=file.split,
            split_key=video,
            replies=frozenset(range(1, len(turns), 2)),
        )


def read_avsd_references(
    file: InputFile, contexts: InputFile, log: ImportLog, *, split_knowledge: bool
) -> Iterator[TestItem]:
    """One item for each withheld answer that has references.

    Nothing says which of the references is the original answer, so none is held out as human.

    Args:
        file: the references.
        contexts: the test set.
        log: counts the items.
        split_knowledge: see `read_avsd`.

    Raises:
        UserError: a file is something else.
    """
    references = _references(file, log)
    for where, value in _dialogs(contexts, log):
        try:
            video, turns, knowledge = _parse(value, split_knowledge=split_knowledge)
        except UnusableError:
            continue  # counted when the dialogues were read
        if turns[-1] != _WITHHELD:
            continue
        log.add("test_items_read")
        name = f"{video}_{len(turns) // 2 - 1}"
        if name not in references:
            message = f"expected references under {name!r} in {file.name}, found none"
            log.drop("test_items", "no_references", where, message)
            continue
        yield TestItem(
            id=f"avsd_{name}",
            turns=tuple(turns[:-1]),
            speakers=_speakers(turns[:-1]),
            turn_ids=tuple(f"avsd_{video}_{turn}" for turn in range(len(turns) - 1)),
            references=tuple(references[name]),
            knowledge=knowledge,
            thread_id=f"avsd_{video}",
        )


def _speakers(turns: list[str]) -> tuple[int, ...]:
    return tuple(_ANSWERER if turn % 2 else _QUESTIONER for turn in range(len(turns)))


def _dialogs(file: InputFile, log: ImportLog) -> Iterator[tuple[str, Any]]:
    document = json_document(file, log)
    dialogs = document.get("dialogs") if isinstance(document, dict) else None
    if not isinstance(dialogs, list):
        raise UserError(
            f'{file.path}: expected {{"dialogs": [...]}} of DSTC7-AVSD, found {shown(document)}; '
            "give another file, or another --source"
        )
    for number, value in enumerate(dialogs, start=1):
        yield f"{file.name}, dialogue {number}", value


def _parse(value: Any, *, split_knowledge: bool) -> tuple[str, list[str], tuple[str, ...]]:
    """The video, questions and answers in turn, and the knowledge.

    Raises:
        UnusableError: something of it is not there.
    """
    values = value if isinstance(value, dict) else {}
    video, pairs = values.get("image_id"), values.get("dialog")
    if not isinstance(video, str) or not video:
        raise UnusableError("no_video", f'expected {{"image_id": "..."}}, found {shown(value)}')
    if not isinstance(pairs, list) or not pairs:
        raise UnusableError("no_dialogue", f'expected {{"dialog": [...]}}, found {shown(pairs)}')
    turns: list[str] = []
    for pair in pairs:
        for key in ("question", "answer"):
            text = pair.get(key) if isinstance(pair, dict) else None
            if not isinstance(text, str):
                raise UnusableError("no_answer", f"expected text as {key}, found {shown(pair)}")
            turns.append(text)
    sentences = [values.get(key) or "" for key in ("caption", "summary")]
    if not all(isinstance(text, str) for text in sentences):
        raise UnusableError("no_caption", f"expected texts, found {shown(sentences)}")
    if split_knowledge:
        sentences = [part for text in sentences for part in _SENTENCE_END.split(text)]
    return video, turns, tuple(sentences)


def _references(file: InputFile, log: ImportLog) -> dict[str, list[str]]:
    """Name of the test item -> its references, in the order of the file."""
    document = json_document(file, log)
    try:
        names = {image["id"]: image["name"] for image in document["images"]}
        references = defaultdict(list)
        for annotation in document["annotations"]:
            references[names[annotation["image_id"]]].append(str(annotation["caption"]))
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{file.path}: expected COCO's caption format with 'images' and 'annotations', found "
            f"{shown(document)} ({error!r}); give the file with several references a question"
        ) from error
    return dict(references)
