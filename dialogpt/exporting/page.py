"""README.md of an exported model: what it is, how to use it, what it learned from, what it is not.

Paths, names of machines and folders do not go in: the page is made to be published.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dialogpt import __version__
from dialogpt.exporting.facts import ModelFacts
from dialogpt.models.gpt2 import ModelSizes
from dialogpt.models.gpt2_weights import size_name
from dialogpt.report.formats import count, decimal, setting
from dialogpt.report.runs import Record, Run
from dialogpt.text import TEXT_RULES

_HEADER = """---
library_name: transformers
pipeline_tag: text-generation
tags:
- dialogue
- gpt2
---
"""
_HIDDEN_SETTINGS = (
    "output",
    "data.shards",
    "data.num_workers",
    "log_every_steps",
    "tensorboard",
    "trackers",
)
_FORWARD_USE = """

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForCausalLM.from_pretrained("FOLDER")
messages = [{"role": "user", "content": "Hi! How are you?"}]
inputs = tokenizer.apply_chat_template(messages, return_tensors="pt", return_dict=True)
output = model.generate(**inputs)
reply = output[0, inputs["input_ids"].shape[1]:]
print(tokenizer.decode(reply, skip_special_tokens=True))
```

`generation_config.json` asks for sampling among the 10 likeliest tokens, as DialoGPT's paper does.
"""
_BACKWARD_USE = """

It ranks replies, and says nothing itself: log p(source | reply) for maximum mutual information.

```
python -m dialogpt.decode --mmi --model FORWARD_MODEL --backward_model FOLDER
```
"""
_FORMAT = """

A row is {order}, each
followed by the end-of-turn token `{eos}` (id {eos_id}), and nothing else: no roles, no
system message, no token types. The chat template makes exactly that. `add_generation_prompt`
changes nothing, because a context ends where a turn ends.

- Roles are ignored: every message is a turn, a system message too.
- Blanks are made single, and `{eos}` that a user types is encoded as the letters it consists of,
  by the template together with the normalizer in `tokenizer.json`. That holds for
  `apply_chat_template` alone: in `tokenizer(text)` it is the token.
- {text_rules}
- At most {window} tokens. Longer rows were not trained, and give short, empty or broken replies.
  Drop the oldest turns whole; `python -m dialogpt.decode` does so by itself.
"""
_NATURAL_TEXT = """Training text has no control characters and no invisible ones. The template does
  not take them out; `dialogpt.text.clean_turn` does."""
_OTHER_TEXT = """Training text was not cleaned by this project, and may be unlike what people type:
  DialoGPT's release puts blanks around punctuation."""
_LIMITS = """

- It says what people in its training data say, which can be false, rude or hurtful. Do not put it
  before people without safeguards of your own.
- It knows nothing of the day, of its user or of what it said before the {window} tokens.
- Perplexity is that of held-out dialogues of the same source; it says little about other talk. Only
  the figures per word and per character compare between tokenizers.
- The licence of these weights is for their publisher to state; none is stated here.
"""


def write_page(path: Path, facts: ModelFacts, *, eos: str) -> None:
    """Write README.md.

    Args:
        path: the file.
        facts: what is known.
        eos: how the end-of-turn token is spelled.
    """
    card = facts.card
    is_forward = card.direction == "forward"
    config = facts.config
    sizes = ModelSizes(
        num_layers=config["n_layer"],
        hidden_size=config["n_embd"],
        num_heads=config["n_head"],
        num_positions=config["n_positions"],
        vocab_size=config["vocab_size"],
    )
    learned = "P(response | context)" if is_forward else "P(source | response)"
    order = (
        "the turns of a dialogue, oldest first"
        if is_forward
        else "the turns of a dialogue, latest first (give messages oldest first)"
    )
    size = f"{size_name(sizes)}: {sizes.num_layers} layers, width {sizes.hidden_size}, "
    size += f"{sizes.num_heads} heads, {count(sizes.num_parameters)} parameters"
    sections = [
        f"# A {card.direction} dialogue model of {size_name(sizes)}",
        f"A GPT-2 ({size}) that learned {learned} from dialogues, as in DialoGPT "
        "(arXiv:1911.00536).",
        "## Use" + (_FORWARD_USE if is_forward else _BACKWARD_USE).rstrip(),
        "Or `python -m dialogpt.decode --model FOLDER`, which keeps the window and cleans text."
        if is_forward
        else "",
        "## Format"
        + _FORMAT.format(
            order=order,
            eos=eos,
            eos_id=card.eos_id,
            window=card.max_seq_len,
            text_rules=_NATURAL_TEXT if card.text_rules == TEXT_RULES else _OTHER_TEXT,
        ).rstrip(),
        "## Data\n\n" + "\n".join(_data(facts)),
        "## Results\n\n" + "\n".join(_results(facts)),
        "## Training\n\n" + "\n".join(_training(facts)),
        "## Limits" + _LIMITS.format(window=card.max_seq_len).rstrip(),
    ]
    text = _HEADER + "\n" + "\n\n".join(filter(None, sections)) + "\n"
    path.write_text(text, encoding="utf-8")


def _data(facts: ModelFacts) -> Iterator[str]:
    if facts.run is None:
        yield "Not recorded: the model came without its run."
        return
    if facts.manifests:
        yield "| split | dialogues | turns | words | tokens |\n| --- | --- | --- | --- | --- |"
        for split, manifest in facts.manifests.items():
            turns = sum(shard.num_turns for shard in manifest.shards)
            words = sum(shard.num_words for shard in manifest.shards)
            numbers = (manifest.num_dialogues, turns, words, manifest.num_tokens)
            yield f"| {split} | {' | '.join(map(count, numbers))} |"
        yield "\nTokens without those that end a turn."
    else:
        known = facts.run.facts
        yield (
            f"{count(known.get('train_dialogues'))} dialogues to train on, "
            f"{count(known.get('valid_dialogues'))} to validate on, "
            f"{count(known.get('tokens_an_epoch'))} tokens an epoch. (As the run noted them; its "
            "shards were not at hand, or have changed since.)"
        )
    yield (
        f"\nText rules `{facts.card.text_rules}`, {facts.card.tokenizer_kind} tokenizer "
        f"`{facts.card.tokenizer_fingerprint}`."
    )


def _results(facts: ModelFacts) -> Iterator[str]:
    step = facts.card.step
    run = facts.run
    if run is None or not run.valid:
        yield "No validation is recorded."
        return
    wanted: dict[str, Record | None] = {
        "this": None,  # at its own step, where perhaps nothing was measured
        "best": run.best,
        "last": run.valid[-1],
    }
    yield (
        "| model | step | nats a token | perplexity a token | perplexity a word | nats a "
        "character |\n| --- | --- | --- | --- | --- | --- |"
    )
    rows: dict[int, list[str]] = {}
    for name, record in wanted.items():
        rows.setdefault(step if record is None else int(record["step"]), []).append(name)
    records = {int(record["step"]): record for record in run.valid}
    for row_step, names in rows.items():
        record = records.get(row_step, {})
        # Training on a reward minimises something else; nats a token stand beside it.
        nll = record.get("human_loss", record.get("loss"))
        yield (
            f"| {', '.join(names)} | {count(row_step)} | {decimal(nll, 4)} | "
            f"{decimal(record.get('perplexity'), 2)} | "
            f"{decimal(record.get('word_perplexity'), 2)} | "
            f"{decimal(record.get('nll_per_char'), 4)} |"
        )
    yield (
        f"\nOn {count(run.valid[-1].get('tokens'))} target tokens of the validation split; sums of "
        "nats divided by counts."
    )


def _training(facts: ModelFacts) -> Iterator[str]:
    run = facts.run
    if run is None:
        yield f"Not recorded. Exported with dialogpt {__version__}."
        return
    # Lines of the log are cut at the model's step: what came after is none of its doing.
    seen = sum(r.get("tokens", 0) for r in run.train if r["step"] <= facts.card.step)
    rows = {
        "optimizer steps": count(facts.card.step),
        "tokens seen": count(seen),
        "device": f"{run.facts.get('device', '–')} x {run.facts.get('ranks', '–')}",
        "number format": run.facts.get("precision", "–"),
        "begun": run.facts.get("started", "–"),
        "dialogpt, torch": f"{run.facts.get('dialogpt', '–')}, {run.facts.get('torch', '–')}",
        "exported with": f"dialogpt {__version__}",
    }
    yield "| | |\n| --- | --- |"
    yield from (f"| {name} | {value} |" for name, value in rows.items())
    yield "\nSettings (paths left out):\n\n````yaml"
    yield from _settings(run)
    yield "````"


def _settings(run: Run) -> Iterator[str]:
    for name, value in run.settings.items():
        if name not in _HIDDEN_SETTINGS:
            yield f"{name}: {setting(_without_path(name, value))}"


def _without_path(name: str, value: Any) -> Any:
    if name == "model.init" and (Path(value).is_absolute() or Path(value).exists()):
        return "a local folder"
    # One line: a value with an end of line in it would be a line of its own.
    return json.dumps(value, ensure_ascii=False) if "\n" in str(value) else value
