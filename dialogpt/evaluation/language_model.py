"""Numbers of a forward model itself: how probable answers are to it, and what contexts add."""

import logging
import random
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from dialogpt.command_line import UserError
from dialogpt.config.evaluation import LanguageModelConfig
from dialogpt.decode.contexts import encode_contexts, latest_turns
from dialogpt.decode.load import LoadedModel
from dialogpt.evaluation.measure import Floats, GroupedSums, SummedMetrics
from dialogpt.evaluation.scores import MetricFacts, Written
from dialogpt.models.scoring import continuation_log_probs
from dialogpt.records import TestItem
from dialogpt.text import clean_turn

logger = logging.getLogger(__name__)


def _facts(
    name: str, note: str, *, digits: int, higher: bool = False, written: Written = "number"
) -> MetricFacts:
    return MetricFacts(
        name=name,
        short=name,
        text="clean_turn",
        tokens="the model's tokenizer",
        case="kept",
        uses_references=True,
        higher_is_better=higher,
        written=written,
        digits=digits,
        note=note,
    )


MODEL_METRICS = (
    _facts("Perplexity a token", "the end of a turn counts; not across tokenizers", digits=2),
    _facts("Perplexity a word", "words are what stands between blanks", digits=1),
    _facts("Perplexity a character", "", digits=3),
    _facts("Context gain", "nats a token that another context costs", digits=4, higher=True),
    _facts(
        "Context helps",
        "answers that are likelier after their own context",
        digits=1,
        higher=True,
        written="percent",
    ),
)
_SUMS = ("nll", "tokens", "words", "characters", "shuffled_nll", "helped", "answers")


def measure_model(
    loaded: LoadedModel, items: Iterator[TestItem], config: LanguageModelConfig, *, seed: int
) -> SummedMetrics:
    """The values of MODEL_METRICS.

    Each answer is scored after its own context and after that of another item, drawn from those of
    the same batch: a model that heeds the context makes the answer less likely there.

    Args:
        loaded: a forward model.
        items: of a test set; those after the first max_items are not read.
        config: which answers, and how many at once.
        seed: of the exchange of contexts.

    Raises:
        UserError: the items have no turns, or no answer of the kind that is asked for.
    """
    draw = random.Random(seed)
    sums = GroupedSums(len(_SUMS))
    num_skipped = 0
    while batch := list(islice(items, config.batch_items)):
        left = config.max_items - sums.num_segments - num_skipped if config.max_items else None
        batch = batch[:left]
        pairs = _pairs(loaded, batch, config)
        if len(pairs) == 1:  # there is no other context to exchange it with
            pairs = []
        num_skipped += len(batch) - len(pairs)
        if pairs:
            sums.add(_rows(loaded, pairs, draw))
        if left is not None and left <= config.batch_items:
            break
    if sums.num_segments == 0:
        raise UserError("language_model: expected answers that fit the model's window, found none")
    if num_skipped:
        logger.warning(
            "language_model: %d answers left out: longer than the %d tokens that %s reads, or "
            "alone in the last batch",
            num_skipped,
            loaded.window,
            loaded.name,
        )
    names = tuple(metric.name for metric in MODEL_METRICS)
    return SummedMetrics(names=names, sums=sums.values(), formula=model_metrics)


def model_metrics(sums: Floats) -> Floats:
    """(..., 7) sums as in `_SUMS` -> (..., 5) values as in MODEL_METRICS."""
    nll, tokens, words, characters, shuffled, helped, answers = np.moveaxis(sums, -1, 0)
    with np.errstate(over="ignore"):
        values = [np.exp(nll / tokens), np.exp(nll / words), np.exp(nll / characters)]
    return np.stack([*values, (shuffled - nll) / tokens, helped / answers], axis=-1)


Pair = tuple[list[list[int]], list[int], str]
"""Token ids of a context's turns and of the answer with its end of turn; the answer's text."""


def _pairs(
    loaded: LoadedModel, items: Sequence[TestItem], config: LanguageModelConfig
) -> list[Pair]:
    """Those whose answers leave room for a context."""
    texts = [clean_turn(_answer(item, config)) for item in items]
    try:
        contexts = encode_contexts(loaded.tokenizer, [item.turns for item in items])
    except ValueError as error:
        raise UserError(
            "language_model: expected items with contexts that can be read; name a file of items "
            f"(multiref.jsonl) with --references ({error})"
        ) from error
    answers = [[*ids, loaded.tokenizer.eos_id] for ids in loaded.tokenizer.encode_batch(texts)]
    pairs = zip(contexts, answers, texts, strict=True)
    return [
        (list(context.turn_ids), ids, text)
        for context, ids, text in pairs
        if len(ids) < loaded.window
    ]


def _answer(item: TestItem, config: LanguageModelConfig) -> str:
    answer = item.human if config.answers == "human" else item.references[0]
    if answer is None:
        raise UserError(
            f"language_model: item {item.id!r} has no human answer; take language_model.answers "
            "references"
        )
    return answer


def _rows(loaded: LoadedModel, pairs: Sequence[Pair], draw: random.Random) -> Floats:
    """(n, 7) numbers of each pair, as in `_SUMS`."""
    contexts = [turns for turns, _, _ in pairs]
    own = _log_probs(loaded, contexts, pairs)
    others = _log_probs(loaded, [contexts[other] for other in exchanged(len(pairs), draw)], pairs)
    return np.array(
        [
            [-mine, len(ids), max(1, len(text.split())), max(1, len(text)), -other, mine > other, 1]
            for mine, other, (_, ids, text) in zip(own, others, pairs, strict=True)
        ],
        dtype=np.float64,
    )


def exchanged(number: int, draw: random.Random) -> list[int]:
    """For each of so many items another one, each once; a single item keeps its own."""
    order = list(range(number))
    draw.shuffle(order)
    others = [0] * number
    for place, index in enumerate(order):  # each takes from the next one of a random circle
        others[index] = order[(place + 1) % number]
    return others


def _log_probs(
    loaded: LoadedModel, contexts: Sequence[list[list[int]]], pairs: Sequence[Pair]
) -> list[float]:
    """Nats of each answer, its end of turn included, after so much of a context as fits."""
    rows = []
    for turns, (_, ids, _) in zip(contexts, pairs, strict=True):
        kept, _ = latest_turns(turns, loaded.window - len(ids))
        rows.append(([token for turn in kept for token in turn], ids))
    return continuation_log_probs(loaded.model, rows)
