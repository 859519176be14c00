"""Learning rate of each optimizer step. Steps count from 1; nothing but numbers goes in."""

import math
from typing import Literal

ScheduleName = Literal["noam", "linear", "cosine", "constant"]


def learning_rate(
    step: int, name: ScheduleName, *, peak: float, warmup_steps: int, total_steps: int
) -> float:
    """The rate of step `step`: a straight line to `peak` at the end of warm-up, then by name.

        noam      peak * min(step / warmup, sqrt(warmup / step)), Vaswani et al. 2017
                  (arXiv:1706.03762); DialoGPT's, with warm-up 16,000
        linear    from peak to 0 at the last step
        cosine    half a cosine from peak to 0 at the last step
        constant  peak

    Args:
        step: from 1.
        name: shape after warm-up.
        peak: highest rate.
        warmup_steps: steps from 0 to peak; 0 starts at peak.
        total_steps: the last step; linear and cosine end there.

    Raises:
        ValueError: step is below 1, or the name is none of these.
    """
    if step < 1:
        raise ValueError(f"steps count from 1, got {step}")
    if step <= warmup_steps:
        return peak * step / warmup_steps
    if name == "constant":
        return peak
    if name == "noam":
        return peak * math.sqrt(warmup_steps / step)
    share = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    if name == "linear":
        return peak * (1.0 - share)
    if name == "cosine":
        return peak * 0.5 * (1.0 + math.cos(math.pi * share))
    raise ValueError(f"expected noam, linear, cosine or constant, got {name!r}")
