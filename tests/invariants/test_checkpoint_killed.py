"""A process killed before any operation on files, while it saves, leaves only whole checkpoints."""

import json
import os
import shutil
import signal
import sys

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from support_train import byte_tokenizer
from torch import nn

from dialogpt.checkpoint import ModelCard, RunFolder, read_model_card, write_model_folder
from dialogpt.config.training import OptimizerConfig
from dialogpt.train.optim import build_optimizer
from dialogpt.train.progress import Progress
from dialogpt.train.state import Identity, restore_checkpoint, save_checkpoint

CARD = ModelCard(
    direction="forward",
    max_seq_len=32,
    text_rules="natural-1",
    tokenizer_kind="gpt2",
    tokenizer_fingerprint="0123456789abcdef",
    eos_id=256,
    step=0,
    valid_loss=None,
)
IDENTITY = Identity(num_ranks=1, shards="abc")
OPERATIONS = ("open", "os.", "shutil.")
"""How the names begin of what Python's audit hooks call an operation on files."""


class TinyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def save(self, folder) -> None:
        (folder / "config.json").write_text("{}")
        save_file({name: p.detach() for name, p in self.named_parameters()}, folder / "weights")


class Training:
    """As much of a run as saving sees; the weights of step s are all s."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.tokenizer = folder / "tokenizer"
        byte_tokenizer().save(self.tokenizer)
        self.accelerator = Accelerator(cpu=True)
        self.model = TinyModel()
        self.optimizer = build_optimizer(self.model, OptimizerConfig(), learning_rate=0.1)
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        self.optimizer.step()  # so that it has a state

    def save(self, output, step, *, best=False):
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.fill_(step)
        run, card = RunFolder(output, keep_last=2), CARD.at(step=step, valid_loss=1.0)
        if best:
            run.publish_best(
                step,
                lambda folder: write_model_folder(
                    folder, self.model, tokenizer_folder=self.tokenizer, card=card
                ),
            )
        save_checkpoint(
            run,
            self.model,
            optimizer=self.optimizer,
            accelerator=self.accelerator,
            progress=Progress(step=step),
            identity=IDENTITY,
            tokenizer_folder=self.tokenizer,
            card=card,
        )


def killed_before(operation, work):
    """Whether a child that does the work came to its n-th operation on files, where it died."""
    child = os.fork()
    if child == 0:
        left = operation

        def hook(event, _):
            nonlocal left
            left -= event.startswith(OPERATIONS)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def assert_whole(model_folder):
    """The card is written last; the weights must be those of the same step."""
    step = read_model_card(model_folder).step
    assert load_file(model_folder / "weights")["layer.weight"].unique().tolist() == [step]
    return step


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_only_whole_checkpoints_count_whenever_the_kill_comes(tmp_path):
    training = Training(tmp_path)
    before = tmp_path / "before"
    training.save(before, 1, best=True)
    training.save(before, 2)
    left_behind = set()
    for operation in range(1, 1000):
        output = tmp_path / f"killed-{operation}"
        shutil.copytree(before, output, symlinks=True)
        if not killed_before(operation, lambda output=output: training.save(output, 3, best=True)):
            break
        assert assert_whole(output / "best") in (1, 3)
        assert assert_whole(output / "last") in (2, 3)
        run = RunFolder(output, keep_last=2)
        *_, newest = run.checkpoints()
        for checkpoint in run.checkpoints():
            step = json.loads((checkpoint / "state.json").read_text())["progress"]["step"]
            assert assert_whole(checkpoint / "model") == step
            restore_checkpoint(
                checkpoint,
                {"loss_scale": None},
                model=training.model,
                optimizer=training.optimizer,
                accelerator=training.accelerator,
            )
        left_behind.add(step)
        run.clean_up_after_kill()
        assert not [*output.rglob("*.unfinished")]
        assert assert_whole(output / "last") == step
        assert (output / "last").resolve() == newest / "model"
        training.save(output, 4)
        steps = [assert_whole(checkpoint / "model") for checkpoint in run.checkpoints()]
        assert steps == [step, 4]
        shutil.rmtree(output)
    # The kills came from the first operation to the last.
    assert operation > 30
    assert left_behind == {2, 3}
