"""What each of two ranks runs in test_apart.py: `python -m support_apart FOLDER plain|recorded`.

Some steps, and one more within `Updater.apart`. The weights behind each, and the norm of its
gradient, go to FOLDER/RANK-STEP.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file
from support_recorded import Recorders
from support_train import encoded

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.distributed import start_accelerator, wait_for_all_ranks
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.step import Updater

NUM_TOGETHER = 4


def main() -> None:
    folder, way = Path(sys.argv[1]), sys.argv[2]
    torch.manual_seed(0)
    accelerator, _ = start_accelerator("fp32")
    config = ModelConfig(num_layers=1, hidden_size=8, num_heads=1, max_positions=16, dropout=0.0)
    model = build_gpt2(config, vocab_size=8, eos_id=7)
    recorders = Recorders(model.parameters())
    updater = Updater(
        model,
        build_optimizer(model, OptimizerConfig(), learning_rate=0.1),
        accelerator=accelerator,
        max_grad_norm=1.0,
        failures=folder,
        record=recorders if way == "recorded" else None,
    )
    rank = accelerator.process_index
    collate = Collator(direction="forward", max_seq_len=16, eos_id=7, packed_tokens=32)
    batch = collate([(rank, encoded([[1 + rank, 2], [3 + rank, 4]] * (1 + rank)))])
    for number in range(NUM_TOGETHER + 1):
        is_apart = number == NUM_TOGETHER
        with updater.apart() if is_apart else nullcontext():
            result = updater.step([batch, batch], number, learning_rate=0.1)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        # AdamW makes the same of a gradient and of twice that; its norm tells them apart.
        weights["grad_norm"] = torch.tensor(result.grad_norm)
        save_file(weights, folder / f"{rank}-{'apart' if is_apart else number}")
    assert recorders.num_recordings == (2 if way == "recorded" else 0)
    wait_for_all_ranks()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
