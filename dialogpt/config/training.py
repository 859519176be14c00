"""The sections of training and of the search for its learning rate."""

from dataclasses import dataclass, field
from typing import Literal

from dialogpt.config.mmi_rl import MmiRlConfig
from dialogpt.config.plato import PlatoConfig
from dialogpt.config.shared import Direction, Precision, require

TrackerName = Literal["trackio", "wandb"]
Layout = Literal["auto", "packed", "padded", "tree"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which dialogues a model learns from, and how they are cut."""

    shards: str
    """Folder that `python -m data_prep shards` wrote."""
    max_seq_len: int = 256
    """Longest row in tokens; oldest turns are dropped whole until a dialogue fits. A PLATO has the
    limits of plato.sequence instead."""
    num_workers: int = 2
    """Processes that read and collate beside the training process, no more than there are cores;
    0 reads in the training process."""
    window_chunks: int = 64
    """Chunks whose dialogues are mixed and sorted by length together; more mixes better."""

    def __post_init__(self) -> None:
        require(self.max_seq_len >= 4, "data.max_seq_len must be >= 4")
        require(self.num_workers >= 0, "data.num_workers must be >= 0")
        require(self.window_chunks >= 1, "data.window_chunks must be >= 1")


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """How much goes through a device at once and into one optimizer step."""

    layout: Layout = "auto"
    """packed lays dialogues end to end, without padding; padded takes rows of like length, one
    dialogue each; tree is packed with dialogues of one thread together and each of their turns
    computed once, for direction forward. Loss and gradients are the same. auto takes packed where
    the GPU has its kernels (NVIDIA, from Ampere on, in bf16), and padded elsewhere."""
    micro_batch_tokens: int | Literal["auto"] = 16384
    """Most tokens, padding included, that one device computes at once. auto takes as many as fit
    the GPU's memory, at most 65,536; a step is then as large as the GPU allows."""
    max_micro_batch_size: int = 0
    """Most dialogues that one device computes at once; 0 leaves that to micro_batch_tokens."""
    accumulation_steps: int = 1
    """Micro-batches a device adds up for one optimizer step."""
    activation_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: a sixth of their
    memory, for a quarter less speed or so."""

    def __post_init__(self) -> None:
        require(
            self.micro_batch_tokens == "auto" or self.micro_batch_tokens >= 1,
            "batch.micro_batch_tokens must be >= 1, or auto",
        )
        require(self.max_micro_batch_size >= 0, "batch.max_micro_batch_size must be >= 0")
        require(self.accumulation_steps >= 1, "batch.accumulation_steps must be >= 1")


def token_budget(batch: BatchConfig) -> int:
    """batch.micro_batch_tokens, which must be a number by now."""
    assert batch.micro_batch_tokens != "auto", "see dialogpt.train.memory"
    return batch.micro_batch_tokens


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A GPT-2, new or from a checkpoint."""

    init: str = "scratch"
    """"scratch", a folder in Hugging Face format, or a name on the hub; with the last two the
    sizes below are the checkpoint's and are ignored."""
    num_layers: int = 12
    """Transformer blocks."""
    hidden_size: int = 768
    """Width of the residual stream."""
    num_heads: int = 12
    """Attention heads a block."""
    max_positions: int = 1024
    """Rows of the position table."""
    dropout: float = 0.1
    """Probability of dropping an activation (embedding, residual)."""

    def __post_init__(self) -> None:
        sizes = (self.num_layers, self.hidden_size, self.num_heads, self.max_positions)
        require(min(sizes) >= 1, "model sizes must be >= 1")
        require(
            self.hidden_size % self.num_heads == 0,
            f"model.hidden_size {self.hidden_size} must be a multiple of model.num_heads "
            f"{self.num_heads}",
        )
        require(0.0 <= self.dropout < 1.0, "model.dropout must lie in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate moves over optimizer steps."""

    name: Literal["noam", "linear", "cosine", "constant"] = "noam"
    """Shape after the linear warm-up: noam falls with 1/sqrt(step), linear and cosine to 0 at the
    last step, constant stays."""
    learning_rate: float
    """Highest rate reached, at the end of warm-up."""
    warmup_steps: int = 16000
    """Optimizer steps (not micro-batches) from 0 to learning_rate."""

    def __post_init__(self) -> None:
        require(self.learning_rate > 0, "schedule.learning_rate must be > 0")
        require(self.warmup_steps >= 0, "schedule.warmup_steps must be >= 0")
        require(
            self.name != "noam" or self.warmup_steps >= 1,
            "schedule.warmup_steps must be >= 1 with schedule.name noam",
        )


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW."""

    weight_decay: float = 0.01
    """Decay of matrices; biases, layer norms and one-dimensional parameters have none."""
    beta1: float = 0.9
    """Decay of the running mean of gradients."""
    beta2: float = 0.999
    """Decay of the running mean of squared gradients."""
    epsilon: float = 1e-8
    """Added to the denominator."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 switches clipping off."""

    def __post_init__(self) -> None:
        require(self.weight_decay >= 0, "optimizer.weight_decay must be >= 0")
        require(0.0 <= self.beta1 < 1.0, "optimizer.beta1 must lie in [0, 1)")
        require(0.0 <= self.beta2 < 1.0, "optimizer.beta2 must lie in [0, 1)")
        require(self.epsilon >= 0, "optimizer.epsilon must be >= 0")
        require(self.max_grad_norm >= 0, "optimizer.max_grad_norm must be >= 0")


@dataclass(frozen=True, kw_only=True)
class ValidationConfig:
    """When the model is measured on the validation split, and when training stops for it."""

    every_steps: int = 1000
    """Optimizer steps between validations; one more is made at the end of training."""
    max_dialogues: int = 0
    """Measure on the first so many dialogues; 0 takes all."""
    patience: int = 0
    """Stop after so many validations in a row without progress; 0 never stops."""
    min_delta: float = 0.0
    """Progress is a validation loss lower than the best by more than this, in nats a token."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "validation.every_steps must be >= 1")
        require(self.max_dialogues >= 0, "validation.max_dialogues must be >= 0")
        require(self.patience >= 0, "validation.patience must be >= 0")
        require(self.min_delta >= 0, "validation.min_delta must be >= 0")


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """What is kept on disk."""

    every_steps: int = 1000
    """Optimizer steps between checkpoints; one more is made at the end of training."""
    keep_last: int = 2
    """Checkpoints kept besides the best model."""

    def __post_init__(self) -> None:
        require(self.every_steps >= 1, "checkpoint.every_steps must be >= 1")
        require(self.keep_last >= 1, "checkpoint.keep_last must be >= 1")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Train a dialogue model on shards; the same command goes on where a stopped run was."""

    output: str
    """Folder of the run: best/ and last/ models, checkpoints/, metrics.jsonl, config.yaml."""
    data: DataConfig
    """Which dialogues."""
    schedule: ScheduleConfig
    """Learning rate."""
    direction: Direction = "forward"
    """forward learns P(response | context); backward learns P(source | response) for MMI."""
    model: ModelConfig = field(default_factory=ModelConfig)
    """Which model."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """How much at once."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW."""
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    """Validation and early stopping."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """Checkpoints."""
    max_epochs: int = 5
    """Most passes over the training split."""
    max_steps: int = 0
    """Most optimizer steps; 0 leaves that to max_epochs."""
    precision: Precision = "auto"
    """auto takes bf16 where the hardware has it, fp16 with loss scaling on older GPUs, and fp32
    on a CPU."""
    compile: bool = True
    """Let torch compile the model for packed batches on a GPU, which takes half a minute at the
    start. With up to 32,768 tokens at once (16,384 with several ranks) they are played as CUDA
    graphs too, where ranks are on one host, without FSDP and activation_checkpointing."""
    seed: int = 0
    """Seed of initialisation, dropout and the order of the data."""
    log_every_steps: int = 10
    """Optimizer steps between lines of metrics.jsonl."""
    tensorboard: bool = True
    """Write TensorBoard event files where the package is installed."""
    trackers: tuple[TrackerName, ...] = ()
    """Services that get every line of metrics as well, such as [trackio] or [trackio, wandb]."""
    mmi_rl: MmiRlConfig | None = None
    """Maximise mutual information by policy gradient instead of learning the replies of people;
    null does not."""
    plato: PlatoConfig | None = None
    """Train a PLATO, with a discrete latent variable, instead of a GPT-2; null does not."""

    def __post_init__(self) -> None:
        require(self.max_epochs >= 1, "max_epochs must be >= 1")
        require(self.max_steps >= 0, "max_steps must be >= 0")
        require(self.seed >= 0, "seed must be >= 0")
        require(self.log_every_steps >= 1, "log_every_steps must be >= 1")
        if self.mmi_rl is not None:
            self._check_mmi_rl(self.mmi_rl)
        if self.plato is not None:
            self._check_plato()

    def _check_plato(self) -> None:
        require(self.mmi_rl is None, "plato and mmi_rl are two ways of training: take one")
        require(self.direction == "forward", "plato needs direction forward")
        require(
            self.batch.layout in ("auto", "packed"),
            "plato needs batch.layout packed or auto: its rows are never padded",
        )
        require(
            self.batch.micro_batch_tokens != "auto",
            "plato needs a number as batch.micro_batch_tokens",
        )
        require(
            not self.batch.activation_checkpointing, "plato has no batch.activation_checkpointing"
        )
        assert self.plato is not None
        require(
            self.plato.negatives == "corpus" or self.batch.max_micro_batch_size != 1,
            "plato.negatives in_batch needs batches of two examples: raise "
            "batch.max_micro_batch_size, or take corpus",
        )

    def _check_mmi_rl(self, mmi_rl: MmiRlConfig) -> None:
        require(self.direction == "forward", "mmi_rl needs direction forward")
        require(self.model.init != "scratch", "mmi_rl needs model.init: a trained forward model")
        # What is drawn and what is learned would else be two distributions.
        require(self.model.dropout == 0.0, "mmi_rl needs model.dropout 0")
        require(self.batch.layout in ("auto", "padded"), "mmi_rl needs batch.layout padded or auto")
        require(
            self.batch.micro_batch_tokens != "auto" and self.batch.accumulation_steps == 1,
            "mmi_rl needs batch.accumulation_steps 1 and a number as batch.micro_batch_tokens: a "
            "step is mmi_rl.contexts_per_step, whatever fits a device at once",
        )
        require(
            mmi_rl.max_new_tokens <= self.data.max_seq_len - 2,
            f"mmi_rl.max_new_tokens {mmi_rl.max_new_tokens} leaves no room for a context in "
            f"data.max_seq_len {self.data.max_seq_len}",
        )


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """Train short runs that differ in the learning rate alone, and choose by validation loss.

    All other options, `--config` first, are those of `python -m dialogpt.train --help`: they say
    what the runs and the training that follows have in common.
    """

    output: str = ""
    """Folder of the sweep: a run in lr-RATE-seed-SEED each, results.json, sweep.png. Empty: the
    recipe's own output with -sweep after it."""
    learning_rates: tuple[float, ...] = ()
    """Highest rates to try. Empty: the recipe's own, times 1/4, 1/2, 1, 2 and 4."""
    max_steps: int = 0
    """Optimizer steps of each run; 0 takes 2,000, or the recipe's max_steps where that is less."""
    seeds: tuple[int, ...] = ()
    """Train every rate once with each seed, so that the noise is measured. Empty: the recipe's seed
    alone."""
    launcher: str = ""
    """How a run starts, up to and with -m: "accelerate launch --config_file FILE -m". Empty: this
    Python, in one process."""
    gpus: tuple[str, ...] = ()
    """Train as many runs at once as there are values here, each with one of them as its
    CUDA_VISIBLE_DEVICES: 0 1 2 3, or 0,1 2,3 for runs on two GPUs. Empty: one run at a time, on
    whatever the launcher takes."""
    dry_run: bool = False
    """Only print the command of each run, one a line, for a job queue; when the jobs are done, the
    same command without this collects what they left."""

    def __post_init__(self) -> None:
        rates = self.learning_rates
        require(all(0.0 < rate < 1e38 for rate in rates), "learning_rates must be > 0 and finite")
        require(
            len(rates) == len(set(rates)) and len(rates) != 1,
            "learning_rates needs two rates or more, each once",
        )
        require(self.max_steps >= 0, "max_steps must be >= 0")
        require(all(seed >= 0 for seed in self.seeds), "seeds must be >= 0")
        require(len(self.seeds) == len(set(self.seeds)), "seeds needs each seed once")
