import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.ids import base36, decode_ids, encode_ids

IDS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(IDS, st.booleans())))
def test_ids_have_the_values_that_int_gives_them(named: list[tuple[str, bool]]) -> None:
    names = [("t1_" if prefixed else "") + name for name, prefixed in named]
    values, valid = decode_ids(names, b"t1_")
    assert values.tolist() == [int(name, 36) for name, _ in named]
    assert valid.all()
    _, valid = decode_ids(names, b"t1_", needs_prefix=True)
    assert valid.tolist() == [prefixed for _, prefixed in named]


@settings(deadline=None)
@given(st.lists(st.text(max_size=16)))
def test_only_short_base_36_is_an_id(names: list[str]) -> None:
    _, valid = decode_ids(names, b"t3_")
    for name, is_valid in zip(names, valid.tolist(), strict=True):
        digits = name.removeprefix("t3_")
        assert is_valid == (digits.isascii() and digits.isalnum() and len(digits) <= 12)


def test_no_ids_at_all() -> None:
    values, valid = decode_ids([], b"t1_")
    assert values.dtype == np.int64
    assert len(values) == len(valid) == 0


@settings(deadline=None)
@given(st.integers(0, 2**63))
def test_base36_is_read_back_by_int(value: int) -> None:
    assert int(base36(value), 36) == value


@settings(deadline=None)
@given(st.lists(st.integers(0, 36**12 - 1)))
def test_many_ids_are_encoded_as_one_is(values: list[int]) -> None:
    encoded = encode_ids(np.array(values, dtype=np.int64), "t1_")
    assert encoded.to_pylist() == [f"t1_{base36(value)}" for value in values]
