"""DailyDialog (Li et al. 2017), and its test set with more references (Gupta et al. 2019).

One dialogue a line, every turn ends with `__eou__`, two speakers take turns:

    Can you study with the radio on ? __eou__ No , I listen to background music . __eou__

The test set with references is JSON Lines; turns have the texts of what may be answered:

    {"dialogue": [{"text": "What for ?", "responses": ["they want more pay .", ...]}, ...]}
"""

from collections.abc import Iterator
from typing import Any

from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, json_value, numbered_lines, shown
from dialogpt.records import TestItem

_END_OF_TURN = "__eou__"


def read_dailydialog(file: InputFile, log: ImportLog) -> Iterator[Conversation]:
    """The conversations of one file of the release."""
    for number, line in numbered_lines(file, log):
        log.add("records_read")
        *turns, rest = line.split(_END_OF_TURN)
        if not turns or rest.strip():
            message = f"expected turns that all end with {_END_OF_TURN}, found {shown(line)}"
            log.drop("records", "no_end_of_turn", f"{file.name}:{number}", message)
            continue
        yield Conversation(
            turns=tuple(turns),
            speakers=tuple(turn % 2 for turn in range(len(turns))),
            thread_id=f"{file.prefix}_{number}",
            split=file.split,
        )


def read_dailydialog_references(file: InputFile, log: ImportLog) -> Iterator[TestItem]:
    """One item for each turn that has responses: the turns so far, and these as references.

    The first response is the next turn of the dialogue (lower-case, as the others are), so none is
    held out as the human one.
    """
    for number, line in numbered_lines(file, log):
        log.add("test_items_read")
        try:
            turns, responses = _turns_and_responses(json_value(line))
        except UnusableError as error:
            log.drop("test_items", error.reason, f"{file.name}:{number}", str(error))
            continue
        log.add("test_items_read", sum(map(bool, responses)) - 1)
        thread = f"dailydialog_test_{number}"
        for turn, references in enumerate(responses):
            if references:
                yield TestItem(
                    id=f"{thread}_{turn + 1}",
                    turns=turns[: turn + 1],
                    speakers=tuple(position % 2 for position in range(turn + 1)),
                    turn_ids=tuple(f"{thread}_{position}" for position in range(turn + 1)),
                    references=references,
                    thread_id=thread,
                )


def _turns_and_responses(value: Any) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The text of each turn, and the responses to each.

    Raises:
        UnusableError: the line is something else.
    """
    turns = value.get("dialogue") if isinstance(value, dict) else None
    if not isinstance(turns, list) or not turns:
        raise UnusableError(
            "no_dialogue", f'expected {{"dialogue": [...]}} with turns, found {shown(value)}'
        )
    texts, responses = [], []
    for turn in turns:
        text = turn.get("text") if isinstance(turn, dict) else None
        found = turn.get("responses", []) if isinstance(turn, dict) else None
        if not isinstance(text, str) or not isinstance(found, list):
            raise UnusableError("no_text", f'expected {{"text": "..."}}, found {shown(turn)}')
        if not all(isinstance(response, str) for response in found):
            raise UnusableError("no_text", f"expected responses of text, found {shown(found)}")
        texts.append(text)
        responses.append(tuple(found))
    return tuple(texts), responses
