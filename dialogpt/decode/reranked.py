"""Candidates of a file in another order, by the scores that stand there.

No model is asked again: a weight of MMI, say, is chosen on one decoding of the validation set.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from dialogpt.decode.rerank import TOTAL, best_first
from dialogpt.decode.scorers import FORWARD, LENGTH_NORMALIZED
from dialogpt.records import Hypothesis, RecordError, json_lines


def reranked(
    source: TextIO, name: str, *, weights: Mapping[str, float], length_penalty: float
) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each record of a file of responses, its hypotheses best first; whether the reply is another.

    The order is that of decoding: where all was found by beam search, cut replies come last. Lines
    on which a filter has left no hypothesis stay as they are.

    Args:
        source: JSON Lines as `dialogpt.decode` writes them.
        name: what to call them in an error.
        weights: name of a score -> its weight in the sum that ranks.
        length_penalty: the power of the length in `length_normalized_log_prob`.

    Raises:
        RecordError: a line has no hypotheses, or not the scores that are asked for.
    """
    for number, record in json_lines(source, name):
        where = f"{name}:{number}"
        found = record.get("hypotheses") if isinstance(record, dict) else None
        if not isinstance(found, list) or not (found or record.get("is_fallback")):
            raise RecordError(
                f"{where}: expected candidates under 'hypotheses', as dialogpt.decode writes them "
                "to a .jsonl file, found none"
            )
        settings = _section(record, "settings")
        values = [(_hypothesis(value, where, weights, length_penalty), value) for value in found]
        by_beams = _section(settings, "generation").get("method") == "beam"
        ranked = best_first([hypothesis for hypothesis, _ in values], finished_first=by_beams)
        records = {id(h): {**value, "scores": h.scores} for h, value in values}
        ordered = [records[id(hypothesis)] for hypothesis in ranked]
        reply = ordered[0]["text"] if ordered else record.get("response", "")
        yield (
            {
                **record,
                "response": reply,
                "hypotheses": ordered,
                "settings": {**settings, "weights": dict(weights)},
            },
            reply != record.get("response"),
        )


def _section(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What stands under a name; {} where that is no section."""
    section = record.get(name)
    return section if isinstance(section, dict) else {}


def _hypothesis(
    value: Any, where: str, weights: Mapping[str, float], length_penalty: float
) -> Hypothesis:
    """A hypothesis of the file with its new sum. Its token ids are not there."""
    text, scores = (value.get("text"), value.get("scores")) if isinstance(value, dict) else (0, 0)
    if not isinstance(text, str) or not isinstance(scores, dict):
        raise RecordError(
            f"{where}: expected a hypothesis with 'text' and 'scores', found {str(value)[:60]!r}"
        )
    known = {name: score for name, score in scores.items() if name != TOTAL and _is_finite(score)}
    if LENGTH_NORMALIZED in weights and FORWARD in known:
        num_tokens = value.get("num_tokens")
        if not isinstance(num_tokens, int):
            raise RecordError(
                f"{where}: {LENGTH_NORMALIZED} needs 'num_tokens' of each hypothesis, found "
                f"{num_tokens!r}"
            )
        known[LENGTH_NORMALIZED] = known[FORWARD] / max(num_tokens, 1) ** length_penalty
    missing = sorted({FORWARD, *weights} - set(known))
    if missing:
        raise RecordError(
            f"{where}: expected a finite score {' and '.join(missing)} of each hypothesis, found "
            f"{', '.join(sorted(known)) or 'none'}"
        )
    known[TOTAL] = sum(weight * known[name] for name, weight in weights.items())
    return Hypothesis(
        text=text, token_ids=[], finished=value.get("finished") is not False, scores=known
    )


def _is_finite(score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score)
