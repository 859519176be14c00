import json
import logging

import pytest

from dialogpt.config.training import ValidationConfig
from dialogpt.train.progress import Progress, Totals
from dialogpt.train.report import interval_metrics, short_form, warn_if_overfitting
from dialogpt.train.step import StepResult


def result(nll=6.0, count=3, **changes):
    values = {
        "loss_sums": {"nll": nll},
        "loss_counts": {"nll": count},
        "num_tokens": 10,
        "num_padded_tokens": 16,
        "num_used_tokens": 8,
        "num_target_tokens": count,
        "num_skipped_dialogues": 0,
        "grad_norm": 1.0,
        "was_skipped": False,
        "stop_requested": False,
    }
    return StepResult(**{**values, **changes})


def test_totals_divide_sums_and_take_no_mean_of_means():
    totals = Totals()
    totals.add(result(nll=2.0, count=1))
    totals.add(result(nll=9.0, count=9))
    assert totals.losses() == {"nll": 1.1}
    assert totals.num_target_tokens == 10
    assert totals.padding_share == 1 - 16 / 32
    assert totals.paths_per_token == 20 / 16


def test_the_loss_of_a_skipped_step_stays_out_and_is_counted():
    progress = Progress()
    progress.take(result(nll=float("inf"), was_skipped=True), steps_in_epoch=9)
    progress.take(result(), steps_in_epoch=9)
    assert progress.since_log.losses() == {"nll": 2.0}
    assert (progress.step, progress.num_skipped_steps, progress.num_skipped_in_a_row) == (2, 1, 0)


def test_where_every_step_was_skipped_no_loss_is_reported():
    progress = Progress()
    progress.take(result(nll=float("inf"), was_skipped=True), steps_in_epoch=9)
    metrics = interval_metrics(progress, progress.since_log, learning_rate=0.1)
    assert "loss" not in metrics
    assert metrics["skipped_steps"] == 1
    shown = short_form({**metrics, "tokens_per_second": 1.0, "waiting_share": 0.0})
    assert shown["loss"] == "nan"


def test_an_epoch_ends_with_its_last_step():
    progress = Progress()
    positions = []
    for _ in range(4):
        progress.take(result(), steps_in_epoch=2)
        positions.append((progress.step, progress.epoch, progress.step_in_epoch))
    assert positions == [(1, 0, 1), (2, 1, 0), (3, 1, 1), (4, 2, 0)]


def test_progress_survives_json_to_the_last_bit():
    progress = Progress()
    progress.take(result(nll=1 / 3), steps_in_epoch=5)
    progress.take_validation(2 / 3, ValidationConfig())
    progress.take(result(nll=0.1), steps_in_epoch=5)
    assert Progress.from_json(json.loads(json.dumps(progress.to_json()))) == progress


def test_training_stops_after_so_many_validations_without_progress():
    config = ValidationConfig(patience=2, min_delta=0.01)
    progress = Progress()
    losses = [3.0, 2.0, 1.995, 1.98, 1.975, 1.971]
    best = [progress.take_validation(loss, config) for loss in losses[:-1]]
    # 1.995 is lower than the best, but not by enough.
    assert best == [True, True, False, True, False]
    assert progress.finished == ""
    assert progress.take_validation(losses[-1], config) is False
    assert "no progress in 2 validations (best 1.9800" in progress.finished


def test_without_patience_nothing_stops():
    progress = Progress()
    for _ in range(20):
        progress.take_validation(1.0, ValidationConfig())
    assert progress.finished == ""


@pytest.mark.parametrize(
    ("train", "valid", "former", "expected"),
    [
        (1.0, 3.0, (2.0, 2.5), True),
        (1.0, 2.0, (2.0, 2.5), False),
        (2.5, 3.0, (2.0, 2.5), False),
        (1.0, 3.0, (None, 2.5), False),
    ],
)
def test_overfitting_is_said(train, valid, former, expected, caplog):
    progress = Progress(train_loss=train, valid_loss=valid, best_step=40)
    with caplog.at_level(logging.WARNING):
        assert warn_if_overfitting(progress, former) is expected
    assert ("overfits. The best one is that of step 40" in caplog.text) is expected
