import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from data_prep.ids import MAX_ID_LENGTH, base36
from data_prep.reference.order import ORDER_COLUMNS, SUBMISSION_KEY, in_order, string_keys

IDS = st.one_of(st.integers(0, 36**MAX_ID_LENGTH - 1), st.integers(0, 36**3))


@given(st.lists(IDS, min_size=1))
def test_keys_ascend_as_the_strings_do(ids: list[int]) -> None:
    keys = string_keys(np.array(ids))
    by_key = [ids[row] for row in np.argsort(keys, kind="stable")]
    assert by_key == sorted(ids, key=base36)
    assert len(set(keys.tolist())) == len(set(ids))


def test_longest_ids_stay_below_the_key_of_submissions() -> None:
    keys = string_keys(np.array([0, 36**MAX_ID_LENGTH - 1]))
    assert 0 < keys[0] < keys[1] < SUBMISSION_KEY


def test_no_ids_have_no_keys() -> None:
    assert len(string_keys(np.zeros(0, np.int64))) == 0


def test_rows_are_sorted_by_file_then_by_each_id() -> None:
    rows = [(1, 1, 1, 1), (0, 9, 9, 9), (0, 9, 9, 8), (0, 9, 8, 9), (0, 8, 9, 9)]
    table = pa.Table.from_pylist([dict(zip(ORDER_COLUMNS, row, strict=True)) for row in rows])
    assert [tuple(row.values()) for row in in_order(table).to_pylist()] == sorted(rows)
