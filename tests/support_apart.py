"""What each of two ranks runs in test_apart.py: `python -m support_apart FOLDER`.

Two steps, the second within `Updater.apart`; the weights behind each go to FOLDER/RANK-STEP.
"""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from safetensors.torch import save_file
from support_train import encoded

from dialogpt.config.training import ModelConfig, OptimizerConfig
from dialogpt.data.batch import Collator
from dialogpt.distributed import start_accelerator, wait_for_all_ranks
from dialogpt.models.gpt2 import build_gpt2
from dialogpt.train.optim import build_optimizer
from dialogpt.train.step import Updater

STEPS = ("together", "apart")


def main() -> None:
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    accelerator, _ = start_accelerator("fp32")
    config = ModelConfig(num_layers=1, hidden_size=8, num_heads=1, max_positions=16, dropout=0.0)
    model = build_gpt2(config, vocab_size=8, eos_id=7)
    updater = Updater(
        model,
        build_optimizer(model, OptimizerConfig(), learning_rate=0.1),
        accelerator=accelerator,
        max_grad_norm=1.0,
        failures=folder,
    )
    rank = accelerator.process_index
    collate = Collator(direction="forward", max_seq_len=16, eos_id=7)
    batch = collate([(rank, encoded([[1 + rank, 2], [3 + rank, 4]]))])
    for number, (step, context) in enumerate(zip(STEPS, (nullcontext, updater.apart), strict=True)):
        with context():
            updater.step([batch, batch], number, learning_rate=0.1)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        save_file(weights, folder / f"{rank}-{step}")
    wait_for_all_ranks()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
