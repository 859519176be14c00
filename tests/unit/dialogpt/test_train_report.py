"""What a run says of itself: the share of the devices' rate, and the time left."""

import pytest

from dialogpt.train.progress import Totals
from dialogpt.train.report import TimeLeft, short_form, utilisation_share
from dialogpt.train.utilisation import ModelFlops, Utilisation

METRICS = {
    "loss": 1.0,
    "tokens_per_second": 1234.5,
    "padding_share": 0.0,
    "waiting_share": 0.0,
    "learning_rate": 0.1,
}


def test_the_bar_shows_mfu_where_it_is_known():
    assert short_form({**METRICS, "mfu": 0.414})["mfu"] == "41%"
    assert "mfu" not in short_form(METRICS)


def test_a_share_of_targets_costs_a_share_of_the_output_layer():
    flops = ModelFlops(
        num_block_weights=10, num_output_weights=4, attention_width=0, mean_length=9.0
    )
    utilisation = Utilisation(flops=flops, peak_rate=1e4)
    totals = Totals(num_target_tokens=50, num_tokens=100, num_used_tokens=99)
    share = utilisation_share(utilisation, totals, tokens_per_second=20.0)
    assert share == pytest.approx(20 * 6 * (10 + 0.5 * 4) / 1e4)


def test_the_time_left_is_by_the_clock_since_the_first_line(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("dialogpt.train.report.perf_counter", lambda: now)
    left = TimeLeft(110)
    # A run that goes on after step 40: its steps of before took no time of this process.
    assert left.after(50) == "?"
    now += 20.0
    assert left.after(60) == "01:40"  # 50 steps at 2 s
    now += 5 * 3600.0
    assert left.after(105) == "27:18"  # 5 at 18020 s for 55 of them
    assert left.after(110) == "00:00"
