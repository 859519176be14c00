import pytest

from benchmarks.training import busy_time
from benchmarks.training_memory import MEMORY_WAYS, memory_cells

RESULT = {"tokens_per_second": 1000.0, "gib": 8.0, "gib_kept": 4.0}


def test_time_in_which_several_kernels_run_counts_once():
    # None runs from 3 to 5; the last one lies within another.
    assert busy_time([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (6.0, 6.5)]) == (7.0, 5.0)


@pytest.mark.parametrize("way", MEMORY_WAYS)
def test_a_recording_takes_what_it_keeps(way):
    rate, taken, estimated, off = memory_cells("117M", 16384, RESULT, **way)
    assert rate == "1,000"
    assert taken == ("4.0" if way.get("records") else "8.0")
    assert int(off.rstrip("%")) == pytest.approx(100 * float(estimated) / float(taken) - 100, abs=2)
