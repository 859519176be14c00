"""What the page about a run says, on runs made up line by line."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dialogpt.report.__main__ import _default_output
from dialogpt.report.curves import smoothed
from dialogpt.report.formats import percent, short_count
from dialogpt.report.markup import element, table
from dialogpt.report.notices import notices
from dialogpt.report.page import _what_it_is
from dialogpt.report.runs import Run, read_run
from dialogpt.run_log import note_end


def train(step, loss=None, **values):
    return {"kind": "train", "step": step, **({} if loss is None else {"loss": loss}), **values}


def valid(step, loss):
    return {"kind": "valid", "step": step, "loss": loss, "perplexity": 2.0**loss}


def run(*records, finished="step 40 was the last", **changes):
    made = Run(
        name="runs/made-up",
        folder=Path("runs/made-up"),
        train=[record for record in records if record["kind"] == "train"],
        valid=[record for record in records if record["kind"] == "valid"],
        settings={},
        facts={},
        finished=finished,
        failures=[],
        last_written=datetime(2026, 1, 2, 3, 4, tzinfo=UTC),
    )
    return replace(made, **changes)


def test_a_good_run_has_nothing_to_be_told_of():
    assert notices(run(valid(0, 9.0), train(10, 6.0, waiting_share=0.001), valid(10, 5.0))) == []


def test_overfitting_is_told_with_its_losses():
    records = [valid(0, 9.0), train(10, 6.0), valid(10, 5.0), train(20, 4.0), valid(20, 5.5)]
    (notice,) = notices(run(*records))
    assert "since step 10 training loss has fallen from 6.0000 to 4.0000" in notice
    assert "validation loss has risen from 5.0000 to 5.5000" in notice


def test_a_validation_loss_that_rises_with_training_loss_is_no_overfitting():
    records = [valid(0, 9.0), train(10, 6.0), valid(10, 5.0), train(20, 7.0), valid(20, 5.5)]
    assert notices(run(*records)) == []


def test_the_best_validation_is_that_of_the_model_kept():
    records = [valid(0, 5.0), valid(10, 4.0), valid(20, 3.99), valid(30, 3.5), valid(40, 4.5)]
    made = run(*records)
    assert made.best == valid(30, 3.5)
    # 3.99 and 3.5 are lower than 4.0, but not by enough.
    assert replace(made, settings={"validation.min_delta": 0.6}).best == valid(10, 4.0)


def test_waiting_is_weighed_by_time():
    """1 s without waiting and 3 s of which a third went into it."""
    fast = train(10, 1.0, tokens=100, tokens_per_second=100.0, waiting_share=0.0)
    slow = train(20, 1.0, tokens=150, tokens_per_second=50.0, waiting_share=1 / 3)
    made = run(valid(0, 1.0), fast, slow)
    assert made.mean_over_time("waiting_share") == pytest.approx(0.25)
    assert made.tokens_per_second == pytest.approx(250 / 4)
    (notice,) = notices(replace(made, settings={"data.num_workers": 2}))
    assert notice.startswith("25.0 % of the time went into waiting for data")
    assert "(2 now)" in notice


def test_what_no_line_has_is_not_known():
    assert run(valid(0, 1.0), train(10, 1.0)).mean_over_time("mfu") is None
    assert run(valid(0, 1.0)).tokens_per_second is None


def test_skipped_failed_and_unfinished_steps_are_told():
    made = run(
        valid(0, 1.0),
        train(20, 1.0, skipped_steps=3),
        finished="",
        facts={"total_steps": 1000},
        failures=["failed-step-00000021"],
    )
    failed, unfinished, skipped = notices(made)
    assert "not finite in step 21: the batch is saved in failed-step-00000021" in failed
    assert "step 20 of 1,000 at 2026-01-02 03:04 UTC" in unfinished
    assert "3 steps of 20" in skipped


def test_a_run_without_validation_is_told():
    (notice,) = notices(run(train(10, 1.0)))
    assert "Nothing was validated" in notice


def test_training_losses_between_validations_are_sums_over_tokens():
    records = [
        *(valid(0, 9.0), train(5, 8.0, target_tokens=1), train(10, 4.0, target_tokens=3)),
        *(valid(10, 5.0), train(15, 3.0, target_tokens=7), valid(20, 4.0)),
    ]
    assert [(v["step"], loss) for v, loss in run(*records).train_losses()] == [(10, 5.0), (20, 3.0)]


def test_smoothing_takes_lines_around_and_weighs_them_by_tokens():
    losses = [float(i % 3) for i in range(80)]
    weights = [1 + i % 5 for i in range(80)]
    lines = [
        train(10 * i, loss, target_tokens=weight)
        for i, (loss, weight) in enumerate(zip(losses, weights, strict=True))
    ]
    lines.insert(40, train(395))  # float16 overflowed in all of its steps
    points = smoothed(lines)
    assert [step for step, _ in points] == [10 * i for i in range(80)]
    near = range(48, 53)  # a twentieth of 80, and the line itself
    expected = sum(losses[i] * weights[i] for i in near) / sum(weights[i] for i in near)
    assert points[50][1] == pytest.approx(expected)
    assert points[0][1] == losses[0]  # no line before it, so none behind it either


def test_a_straight_line_stays_itself_when_smoothed():
    lines = [train(i, 5.0 - i / 50) for i in range(100)]
    assert [loss for _, loss in smoothed(lines)] == pytest.approx([r["loss"] for r in lines])


def test_few_lines_are_not_smoothed():
    assert smoothed([train(i, 1.0) for i in range(39)]) == []


def test_why_training_ended_comes_from_the_newest_checkpoint(tmp_path):
    lines = [valid(0, 9.0), train(10, 6.0)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_run(tmp_path).finished == ""
    for step, finished in ((4, ""), (10, "step 10 was the last")):
        folder = tmp_path / "checkpoints" / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "state.json").write_text(json.dumps({"progress": {"finished": finished}}))
    assert read_run(tmp_path).finished == "step 10 was the last"


def test_without_checkpoints_a_note_says_why_training_ended(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(valid(0, 9.0)) + "\n")
    (tmp_path / "run.json").write_text('{"ranks": 2}')
    note_end(tmp_path, "it is over")
    found = read_run(tmp_path)
    assert found.finished == "it is over"
    assert found.facts["ranks"] == 2
    assert not any("Not finished" in notice for notice in notices(found))


def test_a_note_of_the_end_alone_says_nothing_of_data_and_devices(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(json.dumps(valid(0, 9.0)) + "\n")
    note_end(tmp_path, "it is over")
    assert _what_it_is(read_run(tmp_path)).startswith("Last line written")


def test_numbers_are_short():
    written = [short_count(value) for value in (None, 0, 9_999, 12_345, 123_456, 124_439_808, 3e9)]
    assert written == ["–", "0", "9,999", "12.3 k", "123 k", "124 M", "3.0 G"]
    assert [percent(None), percent(0.0123)] == ["–", "1.2 %"]


def test_html_is_escaped_once():
    piece = element("p", "a < b & c", element("b", "<i>"), title='"&')
    assert piece == '<p title="&quot;&amp;">a &lt; b &amp; c<b>&lt;i&gt;</b></p>'
    assert "<td>&lt;x&gt;</td>" in table(["name", "value"], [["a", "<x>"]])


def test_the_page_lies_in_the_run_or_beside_the_runs(tmp_path):
    one, two = tmp_path / "a" / "forward", tmp_path / "a" / "backward"
    assert _default_output([one]) == one / "report"
    assert _default_output([one, two]) == tmp_path.resolve() / "a" / "report"
    assert _default_output([one, tmp_path / "b" / "forward"]) == tmp_path.resolve() / "report"
