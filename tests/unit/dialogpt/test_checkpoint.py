from pathlib import Path

import pytest
from support_train import byte_tokenizer

from dialogpt.checkpoint import (
    STATE_FILE,
    ModelCard,
    RunFolder,
    read_model_card,
    resolve_model_folder,
    write_model_folder,
)
from dialogpt.command_line import UserError
from dialogpt.tokenization import load_tokenizer

CARD = ModelCard(
    direction="backward",
    max_seq_len=128,
    text_rules="natural-1",
    tokenizer_kind="gpt2",
    tokenizer_fingerprint="0123456789abcdef",
    eos_id=256,
    step=7,
    valid_loss=3.25,
)


class FakeModel:
    def __init__(self, content: str = "weights") -> None:
        self.content = content

    def save(self, folder: Path) -> None:
        (folder / "config.json").write_text(self.content)


def write_checkpoint(run: RunFolder, step: int) -> Path:
    run.begin_checkpoint(step)
    folder = run.unfinished(step)
    (folder / "model").mkdir()
    FakeModel(f"model {step}").save(folder / "model")
    (folder / STATE_FILE).write_text("{}")
    return run.publish(step)


def write_best(run: RunFolder, step: int) -> None:
    run.publish_best(step, lambda folder: FakeModel(f"best {step}").save(folder))


def content(folder: Path) -> str:
    return (folder / "config.json").read_text()


@pytest.fixture
def run(tmp_path):
    return RunFolder(tmp_path / "run", keep_last=2)


def test_a_model_folder_holds_model_tokenizer_and_card(tmp_path):
    tokenizer = byte_tokenizer()
    tokenizer.save(tmp_path / "tokenizer")
    folder = tmp_path / "model"
    write_model_folder(folder, FakeModel(), tokenizer_folder=tmp_path / "tokenizer", card=CARD)
    assert content(folder) == "weights"
    assert load_tokenizer(str(folder)).fingerprint == tokenizer.fingerprint
    assert read_model_card(folder) == CARD


def test_a_model_of_others_has_no_card(tmp_path):
    assert read_model_card(tmp_path) is None


def test_a_card_that_is_damaged_is_an_error(tmp_path):
    (tmp_path / "dialogpt.json").write_text('{"format_ver')
    with pytest.raises(UserError, match=r"dialogpt\.json: expected JSON"):
        read_model_card(tmp_path)


@pytest.mark.parametrize(
    "text", ['{"format_version": 2}', '{"format_version": 1, "direction": "forward"}']
)
def test_a_card_of_another_version_is_an_error(tmp_path, text):
    (tmp_path / "dialogpt.json").write_text(text)
    with pytest.raises(UserError, match="expected version 1 with direction"):
        read_model_card(tmp_path)


def test_a_run_folder_means_its_best_model(run):
    write_checkpoint(run, 5)
    assert resolve_model_folder(str(run.path)) == str(run.path / "last")
    write_best(run, 5)
    assert resolve_model_folder(str(run.path)) == str(run.path / "best")


def test_a_model_folder_means_itself_and_a_hub_name_too(tmp_path):
    FakeModel().save(tmp_path)
    assert resolve_model_folder(str(tmp_path)) == str(tmp_path)
    assert resolve_model_folder("microsoft/DialoGPT-small") == "microsoft/DialoGPT-small"


def test_a_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(UserError, match="expected a model folder"):
        resolve_model_folder(str(tmp_path))


def test_the_newest_checkpoints_are_kept_and_last_points_to_the_newest(run):
    for step in (5, 10, 15):
        write_checkpoint(run, step)
        assert content(run.path / "last") == f"model {step}"
    assert [path.name for path in run.checkpoints()] == ["step-00000010", "step-00000015"]


def test_an_unfinished_checkpoint_does_not_count_and_is_written_anew(run):
    write_checkpoint(run, 5)
    run.begin_checkpoint(10)
    (run.unfinished(10) / STATE_FILE).write_text("{}")
    (run.unfinished(10) / "rest").write_text("of a killed process")
    assert [path.name for path in run.checkpoints()] == ["step-00000005"]
    assert content(run.path / "last") == "model 5"
    assert not (write_checkpoint(run, 10) / "rest").exists()


def test_a_checkpoint_without_its_state_does_not_count(run):
    (write_checkpoint(run, 5) / STATE_FILE).unlink()
    assert run.checkpoints() == []


def test_a_run_that_was_killed_within_publish_is_set_right_when_it_goes_on(run, monkeypatch):
    for step in (5, 10, 15):
        write_checkpoint(run, step)
    write_best(run, 15)
    with monkeypatch.context() as patch:  # the kill comes after the name, before the link
        patch.setattr(run, "_link", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write_checkpoint(run, 20)
        with pytest.raises(KeyboardInterrupt):
            write_best(run, 20)
    half = [run.path / folder / "step-00000005.unfinished" for folder in ("checkpoints", "models")]
    for folder in half:  # and another one came while these were removed
        (folder / "model").mkdir(parents=True)
    assert content(run.path / "last") == "model 15"
    run.clean_up_after_kill()
    assert content(run.path / "last") == "model 20"
    assert content(run.path / "best") == "best 15"
    assert not any(folder.exists() for folder in half)


def test_best_outlives_the_checkpoints_and_is_replaced_whole(run):
    write_best(run, 5)
    for step in (5, 10, 15):
        write_checkpoint(run, step)
    assert content(run.path / "best") == "best 5"
    write_best(run, 15)
    assert content(run.path / "best") == "best 15"
    assert [path.name for path in (run.path / "models").iterdir()] == ["step-00000015"]


def test_a_failed_write_leaves_the_former_best(run):
    write_best(run, 5)

    def fail(folder: Path) -> None:
        (folder / "config.json").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        run.publish_best(10, fail)
    assert content(run.path / "best") == "best 5"


def test_the_same_step_can_be_best_again_after_a_resumed_run(run):
    write_best(run, 5)
    write_best(run, 5)
    assert content(run.path / "best") == "best 5"
    assert len(list((run.path / "models").iterdir())) == 1


def test_without_validation_best_is_last_and_is_not_pruned_away(tmp_path):
    run = RunFolder(tmp_path / "run", keep_last=1)
    former = None
    for step in (5, 10, 15, 20):
        write_checkpoint(run, step)
        if former is not None:  # between the two links best is what it was
            assert content(run.path / "best") == f"model {former}"
        run.last_is_best()
        assert content(run.path / "best") == f"model {step}"
        former = step
    assert [path.name for path in run.checkpoints()] == ["step-00000015", "step-00000020"]


def test_a_run_folder_can_be_moved(run, tmp_path):
    write_checkpoint(run, 5)
    write_best(run, 5)
    moved = run.path.rename(tmp_path / "elsewhere")
    assert content(moved / "best") == "best 5"
    assert content(moved / "last") == "model 5"
