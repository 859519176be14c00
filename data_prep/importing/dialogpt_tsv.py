r"""The text files of DialoGPT (microsoft/DialoGPT): SOURCE<TAB>TARGET, turns joined by " EOS ".

    0.0 i like tea . EOS 1.0 so do i .<TAB>1.0 then let us have some .

The weights in front of the turns are there or not, and only an option can tell: "7 up", "nan" and
"inf" are beginnings of sentences. A turn of weight 0 must not be learned (the reference found a
phrase of its block list in it). Lines of its extraction have the ids of the submission, of the
answered comment and of the comment as a first field: t3_a,t1_b,t1_c<TAB>SOURCE<TAB>TARGET.
"""

from collections.abc import Iterator

from data_prep.importing.conversations import Conversation, UnusableError
from data_prep.importing.import_log import ImportLog
from data_prep.importing.inputs import InputFile, numbered_lines, shown
from dialogpt.dialogue_text import split_turns, weight_and_text


def read_dialogpt_tsv(
    file: InputFile, log: ImportLog, *, has_weights: bool
) -> Iterator[Conversation]:
    """The conversation of each line.

    Args:
        file: the TSV.
        log: counts the lines.
        has_weights: whether each turn begins with its weight.
    """
    for number, line in numbered_lines(file, log):
        log.add("records_read")
        try:
            yield _parse(line, file, number, has_weights=has_weights)
        except UnusableError as error:
            log.drop("records", error.reason, f"{file.name}:{number}", str(error))


def _parse(line: str, file: InputFile, number: int, *, has_weights: bool) -> Conversation:
    """The conversation of a line.

    Raises:
        UnusableError: it has other fields, or a turn has no weight where it should.
    """
    fields = line.split("\t")
    if len(fields) not in (2, 3):
        raise UnusableError(
            "not_two_fields",
            "expected SOURCE<TAB>TARGET, or ids and these, found "
            f"{len(fields)} field{'s' * (len(fields) != 1)}: {shown(line)}",
        )
    turns = [*split_turns(fields[-2]), fields[-1]]
    never_learned = set()
    if has_weights:
        for turn, text in enumerate(turns):
            weight, turns[turn] = _weight_and_text(text)
            if weight == 0:
                never_learned.add(turn)
    ids = fields[0].split(",") if len(fields) == 3 else []
    thread = f"{file.prefix}_{number}"
    return Conversation(
        turns=tuple(turns),
        speakers=(None,) * len(turns),  # the format does not say who is who
        thread_id=thread,
        turn_ids=_turn_ids(thread, ids, len(turns)),
        split=file.split,
        split_key=ids[0] if ids else "",
        never_learned=frozenset(never_learned),
    )


def _turn_ids(thread: str, ids: list[str], num_turns: int) -> tuple[str, ...]:
    """Ids of the turns: the last two are those of the comments, if the line has them."""
    numbered = [f"{thread}_{turn}" for turn in range(num_turns)]
    known = ids[1:] if len(ids) == 3 else []
    return (*numbered[: num_turns - len(known)], *known)


def _weight_and_text(turn: str) -> tuple[float, str]:
    found = weight_and_text(turn)
    if found is None:
        raise UnusableError(
            "no_weight", f"expected a turn with its weight, like '1.0 hello', found {shown(turn)}"
        )
    return found
