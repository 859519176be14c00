"""What a visitor may set, within which bounds; whatever a browser sends is checked here."""

from dataclasses import dataclass, replace
from typing import Any

from dialogpt.config.decoding import GenerationConfig
from dialogpt.config.web import WebConfig
from dialogpt.web.limits import RefusalError

HIGHEST_TOP_K = 200
LOWEST_TOP_P = 0.05
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.1, 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """The ends of a slider, both included.

    Attributes:
        label: its name on the page, and in what is said about a wrong value.
        low, high: the ends.
        start: where it stands at first; between the ends.
        step: 1 for whole numbers.
    """

    label: str
    low: float
    high: float
    start: float
    step: float

    def checked(self, value: Any) -> float:
        """The value, whole if the step is 1; RefusalError if it is no number between the ends."""
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Of not-a-number, every comparison is false.
        if not is_number or not self.low <= value <= self.high:
            raise RefusalError(f"{self.label} must lie between {self.low:g} and {self.high:g}.")
        return round(value) if self.step == 1 else float(value)


def bounds(config: WebConfig, *, num_latents: int = 0) -> dict[str, Bounds]:
    """Field of Choice -> bounds; start values are the configuration's.

    Where the configuration starts beyond a bound, the bound gives way. A reply can be made shorter
    than it says and not longer: what the backward model reads was sized for that length.

    Args:
        config: the options of the command.
        num_latents: of the model; each then has its own candidates, which the limit is shared by.
    """
    start = config.generation
    label, samples = "Candidates", start.num_samples
    if num_latents:
        label, samples = "Candidates of each latent", start.samples_per_latent
    most_samples = max(config.max_samples // max(1, num_latents), samples)
    return {
        "num_samples": _bounds(label, 1, most_samples, samples),
        "top_k": _bounds("Top-k (0: no limit)", 0, HIGHEST_TOP_K, start.top_k),
        "top_p": _bounds("Top-p", LOWEST_TOP_P, 1.0, start.top_p, step=0.01),
        "temperature": _bounds(
            "Temperature", LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE, start.temperature, step=0.05
        ),
        "max_new_tokens": _bounds(
            "Longest reply (tokens)",
            start.min_new_tokens,
            start.max_new_tokens,
            start.max_new_tokens,
        ),
        "mmi_weight": _bounds("MMI weight", 0.0, 1.0, config.mmi_options.weight, step=0.05),
    }


def _bounds(label: str, low: float, high: float, start: float, *, step: float = 1) -> Bounds:
    return Bounds(label=label, low=min(low, start), high=max(high, start), start=start, step=step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """How a visitor wants the next reply to be made; fields as in GenerationConfig, and MMI's."""

    num_samples: int
    top_k: int
    top_p: float
    temperature: float
    max_new_tokens: int
    mmi_weight: float
    mmi: bool

    def generation(self, start: GenerationConfig) -> GenerationConfig:
        """The configuration with what was chosen."""
        return replace(
            start,
            num_samples=self.num_samples,
            top_k=self.top_k,
            top_p=self.top_p,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
        )


def checked_choice(values: dict[str, Any], limits: dict[str, Bounds], *, has_mmi: bool) -> Choice:
    """A visitor's choice.

    Args:
        values: field of Choice -> whatever came from the browser.
        limits: field of Choice -> its bounds.
        has_mmi: whether there is a backward model; without one, MMI is off.

    Raises:
        RefusalError: a value is no number, or lies beyond its bounds.
    """
    numbers: dict[str, Any] = {name: b.checked(values[name]) for name, b in limits.items()}
    return Choice(**numbers, mmi=has_mmi and values["mmi"] is True)
