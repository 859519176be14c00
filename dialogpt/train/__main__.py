"""python -m dialogpt.train, or accelerate launch -m dialogpt.train: train a dialogue model."""

from importlib import import_module

from dialogpt.command_line import parse_config, run_command
from dialogpt.config.training import TrainConfig


def main() -> None:
    """Parse the options, train, and exit with the run's code."""
    config, resolved = parse_config(TrainConfig, prog="python -m dialogpt.train")

    def command() -> None:
        # Imported late: a misspelt option should not wait for torch.
        module = "dialogpt.train.run"
        if config.mmi_rl is not None:
            module = "dialogpt.mmi_rl.run"
        elif config.plato is not None:
            module = "dialogpt.plato.run"
        raise SystemExit(import_module(module).train(config, resolved))

    run_command(command)


if __name__ == "__main__":
    main()
