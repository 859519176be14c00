"""Trackers get every line of metrics once, from the first rank, however often a run goes on."""

import json
import logging
import sqlite3
from importlib.util import find_spec

import pytest
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker
from support_train import merged, run_training, tiny_settings, train_here, write_shards

from dialogpt.command_line import UserError
from dialogpt.run_log import read_metrics
from dialogpt.train.step import Updater

CHANGES = {"max_steps": 12, "log_every_steps": 2}  # checkpoints after steps 4, 8 and 12


class Recording(GeneralTracker):
    """Stands in for a tracker; remembers what each of its runs was given."""

    name = "trackio"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self, project, **options):
        super().__init__()
        self.project, self.options = project, options
        self.lines, self.settings, self.finished = [], {}, False

    @property
    def tracker(self):
        return self

    def start(self):
        started.append(self)

    def store_init_configuration(self, values):
        self.settings.update(values)

    def log(self, values, step=None, **kwargs):
        self.lines.append((step, values))

    def finish(self):
        self.finished = True


class Broken(Recording):
    def log(self, values, step=None, **kwargs):
        super().log(values, step)
        raise ConnectionError("no route to host")


class Refusing(Recording):
    def start(self):
        raise ValueError("no api key")


started: list[Recording] = []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracking")
    write_shards(folder / "shards")
    return folder


@pytest.fixture
def install(monkeypatch):
    """A function that puts a class in the place of the trackers."""
    started.clear()

    def put(*classes):
        names = ("trackio", "wandb")[: len(classes)]
        monkeypatch.setattr("dialogpt.train.trackers.get_available_trackers", lambda: [*names])
        for name, tracker_class in zip(names, classes, strict=True):
            monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, name, tracker_class)

    return put


def settings_of(folder, name, **changes):
    return merged(tiny_settings(folder / "shards", folder / name), {**CHANGES, **changes})


def train_until(step, settings, folder):
    """Train, and be interrupted in a step."""
    whole_step = Updater.begin

    def broken_step(updater, batches, number, **options):
        if number == step:
            raise KeyboardInterrupt
        return whole_step(updater, batches, number, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Updater, "begin", broken_step)
        with pytest.raises(KeyboardInterrupt):
            train_here(settings, folder)


def lines_of(run):
    """What a tracker must have been given for metrics.jsonl, but for how long things took."""
    return [
        (record["step"], {f"{record['kind']}/{name}" for name in record if name not in AXES})
        for record in read_metrics(run)
    ]


AXES = ("kind", "step")


def names_only(lines):
    return [(step, set(values)) for step, values in lines]


def test_a_tracker_is_told_the_settings_and_gets_every_line(folder, install):
    install(Recording)
    train_here(settings_of(folder, "plain", trackers=["trackio"]), folder)
    (tracker,) = started
    assert names_only(tracker.lines) == lines_of(folder / "plain")
    assert tracker.lines[-1][1]["valid/loss"] == read_metrics(folder / "plain")[-1]["loss"]
    assert tracker.finished
    assert tracker.project == "dialogpt"
    assert tracker.options["name"].startswith(f"{folder.name}-plain-")
    assert tracker.settings["schedule.learning_rate"] == 0.01
    assert tracker.settings["parameters"] > 10_000


def test_a_run_that_goes_on_goes_on_there_and_sends_no_line_twice(folder, install):
    """Interrupted after step 7, whose lines of step 6 stand behind the checkpoint of step 4."""
    install(Recording)
    settings = settings_of(folder, "broken", trackers=["trackio"])
    train_until(8, settings, folder)
    train_here(settings, folder)
    first, second = started
    assert [step for step, _ in first.lines] == [0, 2, 4, 6, 6]
    assert names_only([*first.lines, *second.lines]) == lines_of(folder / "broken")
    assert second.options["name"] == first.options["name"]
    assert (first.options["resume"], second.options["resume"]) == ("never", "allow")
    assert first.finished


def test_a_tracker_that_comes_later_gets_the_lines_of_before(folder, install):
    install(Recording)
    settings = settings_of(folder, "later")
    train_until(8, settings, folder)
    train_here({**settings, "trackers": ["trackio"]}, folder)
    (tracker,) = started
    assert names_only(tracker.lines) == lines_of(folder / "later")
    assert tracker.options["resume"] == "never"


def test_a_tracker_that_was_off_for_a_while_gets_the_lines_of_that_while(folder, install):
    """On up to step 4, off up to step 8, and on again."""
    install(Recording)
    settings = settings_of(folder, "off", trackers=["trackio"])
    train_until(6, settings, folder)
    train_until(10, {**settings, "trackers": []}, folder)
    train_here(settings, folder)
    first, second = started
    assert [step for step, _ in first.lines] == [0, 2, 4]
    assert names_only([*first.lines, *second.lines]) == lines_of(folder / "off")
    assert second.options["resume"] == "allow"


def test_a_tracker_that_failed_gets_what_it_missed_when_the_run_goes_on(folder, install):
    install(Broken)
    settings = settings_of(folder, "missed", trackers=["trackio"])
    train_until(8, settings, folder)
    install(Recording)
    train_here(settings, folder)
    broken, whole = started
    assert len(broken.lines) == 1
    assert names_only(whole.lines) == lines_of(folder / "missed")


def test_a_run_that_begins_anew_is_another_run_there(folder, install):
    """Killed before its first checkpoint, a run begins with an empty log."""
    install(Recording)
    settings = settings_of(folder, "anew", trackers=["trackio"])
    train_until(3, settings, folder)
    train_here(settings, folder)
    first, second = started
    assert names_only(second.lines) == lines_of(folder / "anew")
    assert second.options["name"] != first.options["name"]
    assert second.options["resume"] == "never"


def test_wandb_goes_on_by_an_id_kept_in_the_run_folder(folder, install):
    install(Recording, Recording)
    settings = settings_of(folder, "by_id", trackers=["trackio", "wandb"])
    train_until(8, settings, folder)
    train_here(settings, folder)
    first, second = started[1], started[3]
    kept = json.loads((folder / "by_id" / "trackers.json").read_text())
    assert first.options == second.options
    assert first.options == {
        "name": f"{folder.name}-by_id",
        "id": kept["wandb"]["id"],
        "resume": "allow",
        "dir": str(folder / "by_id"),
    }


def test_a_tracker_that_fails_does_not_end_training(folder, install, caplog):
    install(Broken, Recording)
    settings = settings_of(folder, "unreachable", trackers=["trackio", "wandb"])
    with caplog.at_level(logging.WARNING):
        assert train_here(settings, folder) == 0
    broken, whole = started
    assert len(broken.lines) == 1
    assert caplog.text.count("no route to host") == 1
    assert names_only(whole.lines) == lines_of(folder / "unreachable")


def test_a_tracker_that_does_not_start_ends_the_command_before_the_first_step(folder, install):
    install(Refusing)
    with pytest.raises(UserError, match=r"trackio did not start \(ValueError: no api key\)"):
        train_here(settings_of(folder, "refused", trackers=["trackio"]), folder)
    assert not (folder / "refused" / "metrics.jsonl").exists()


def test_a_tracker_that_is_not_installed_is_an_error_before_anything_is_made(folder, monkeypatch):
    monkeypatch.setattr("dialogpt.train.trackers.get_available_trackers", lambda: ["wandb"])
    with pytest.raises(UserError, match=r"no trackio; `pip install 'dialogpt\[tracking\]'`"):
        train_here(settings_of(folder, "absent", trackers=["wandb", "trackio"]), folder)
    assert not (folder / "absent").exists()


FAKE_TRACKIO = """
import json, os

class Run:
    def log(self, values, step=None):
        with open(os.environ["FAKE_TRACKIO"], "a") as file:
            file.write(json.dumps([os.environ.get("RANK"), step, sorted(values)]) + "\\n")

    def finish(self):
        pass

config = {}
init = lambda project, **options: Run()
"""


@pytest.mark.slow
def test_of_two_ranks_the_first_alone_is_tracked(folder, monkeypatch, tmp_path):
    """Through accelerate's own class for trackio, over a package of that name in the folder."""
    (tmp_path / "trackio.py").write_text(FAKE_TRACKIO, encoding="utf-8")
    (tmp_path / "trackio-1.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: trackio\nVersion: 1.0\n"
    (tmp_path / "trackio-1.0.dist-info" / "METADATA").write_text(metadata, encoding="utf-8")
    monkeypatch.setenv("FAKE_TRACKIO", str(tmp_path / "lines"))
    settings = settings_of(folder, "ranks", trackers=["trackio"])
    finished = run_training(settings, tmp_path, num_ranks=2)
    assert finished.returncode == 0, finished.stderr
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert {rank for rank, _, _ in lines} == {"0"}
    assert [(step, set(names)) for _, step, names in lines] == lines_of(folder / "ranks")


@pytest.mark.skipif(find_spec("trackio") is None, reason="trackio is not installed")
def test_trackio_itself_has_every_line_once_after_going_on(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path))
    settings = settings_of(folder, "real_trackio", trackers=["trackio"])
    train_until(8, settings_of(folder, "real_trackio"), folder)
    for _ in range(2):  # a run that goes on from step 4, and one that is finished
        assert run_training(settings, folder).returncode == 0
    with sqlite3.connect(tmp_path / "dialogpt.db") as database:
        rows = database.execute(
            "select run_name, step, metrics from metrics order by id"
        ).fetchall()
    assert len({name for name, _, _ in rows}) == 1
    found = [(step, set(json.loads(metrics))) for _, step, metrics in rows]
    assert found == lines_of(folder / "real_trackio")


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_wandb_itself_keeps_its_files_in_the_run_folder(folder, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert (
        run_training(settings_of(folder, "real_wandb", trackers=["wandb"]), folder).returncode == 0
    )
    kept = json.loads((folder / "real_wandb" / "trackers.json").read_text())
    (offline,) = (folder / "real_wandb" / "wandb").glob("offline-run-*")
    run_id = kept["wandb"]["id"]
    assert offline.name.endswith(run_id)
    assert (offline / f"run-{run_id}.wandb").stat().st_size > 0
