"""A checkpoint is gone on from only where the order of the data is the same."""

import json

import pytest

from dialogpt.checkpoint import STATE_FILE
from dialogpt.command_line import UserError
from dialogpt.train.state import Identity, read_state

NOTED = {"num_ranks": 2, "shards": "abc", "layout": "packed", "plan": 2}


def read(folder, noted, **values):
    (folder / STATE_FILE).write_text(json.dumps(noted))
    return read_state(folder, Identity(**{**NOTED, **values}))


def test_what_was_noted_is_read_where_all_of_it_is_the_same(tmp_path):
    assert read(tmp_path, NOTED) == NOTED


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_ranks", 1, "expected 2 processes, .* found 1"),
        ("shards", "xyz", "expected training shards abc, .* found xyz"),
        (
            "layout",
            "padded",
            "expected packed batches, .* found padded; give --batch.layout packed",
        ),
        ("plan", 3, "expected dialogues in the order of version 2, .* found version 3"),
    ],
)
def test_another_order_of_the_data_is_refused(name, value, message, tmp_path):
    with pytest.raises(UserError, match=message):
        read(tmp_path, NOTED, **{name: value})


def test_a_checkpoint_from_before_there_were_layouts_is_padded(tmp_path):
    older = {"num_ranks": 2, "shards": "abc"}
    assert read(tmp_path, older, layout="padded") == older
    with pytest.raises(UserError, match="expected padded batches"):
        read(tmp_path, older)


def test_packed_batches_came_in_another_order_before_the_order_was_noted(tmp_path):
    older = {"num_ranks": 2, "shards": "abc", "layout": "packed"}
    with pytest.raises(UserError, match=r"in the order of version 1, .* found version 2"):
        read(tmp_path, older)
