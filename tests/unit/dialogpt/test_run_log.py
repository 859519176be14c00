import json

from dialogpt.run_log import METRICS_FILE, RunLog, read_metrics


def write(folder, steps, *, last_step=0):
    log = RunLog(folder, last_step=last_step, tensorboard=False)
    for step in steps:
        log.write("train", step, {"loss": step / 3})
    log.close()


def test_lines_come_back_with_every_digit(tmp_path):
    write(tmp_path, [1, 2])
    assert read_metrics(tmp_path) == [
        {"kind": "train", "step": 1, "loss": 1 / 3},
        {"kind": "train", "step": 2, "loss": 2 / 3},
    ]


def test_going_on_drops_the_lines_after_the_checkpoint_and_a_line_cut_short(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    with (tmp_path / METRICS_FILE).open("a") as lines:
        lines.write('{"kind": "train", "st')
    write(tmp_path, [3, 4, 5], last_step=2)
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]


def test_a_line_that_is_being_written_is_not_read(tmp_path):
    write(tmp_path, [1, 2])
    with (tmp_path / METRICS_FILE).open("a") as lines:
        lines.write('{"kind": "train", "st')
    assert [record["step"] for record in read_metrics(tmp_path)] == [1, 2]


def test_a_run_without_a_checkpoint_begins_with_an_empty_log(tmp_path):
    write(tmp_path, [0, 1])
    write(tmp_path, [0])
    assert [record["step"] for record in read_metrics(tmp_path)] == [0]


def test_a_line_is_on_disk_as_soon_as_it_is_written(tmp_path):
    log = RunLog(tmp_path, last_step=0, tensorboard=False)
    log.write("valid", 5, {"loss": 1.0})
    assert json.loads((tmp_path / METRICS_FILE).read_text())["kind"] == "valid"
    log.close()
