"""Response selection: how well a candidate goes with its context, by a recognition pass.

arXiv:1910.07931, section 2.4: p(l = 1 | context, response) of the state at [M]. The pass reads
[M] context [BOU] candidate [EOU]; no key of generation can serve it, as the context sees the
response there.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from dialogpt.decode.contexts import Context
from dialogpt.decode.scorers import COHERENCE
from dialogpt.plato.batch import PlatoRow, lay_rows
from dialogpt.plato.loaded import LoadedPlato
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.spans import make_spans
from dialogpt.records import Hypothesis

PLACES_AT_ONCE = 1 << 16
"""Of rows that are read in one pass, as if each were as long as the longest."""


class CoherenceScorer:
    """log p(l = 1 | context, reply), nats: 0 is sure to belong there.

    Args:
        loaded: a PLATO that has learned to select responses.
        places_at_once: of rows in one pass.
    """

    name = COHERENCE

    def __init__(self, loaded: LoadedPlato, *, places_at_once: int = PLACES_AT_ONCE) -> None:
        self._loaded = loaded
        self._places_at_once = places_at_once

    def score(
        self, contexts: Sequence[Context], hypotheses: Sequence[Sequence[Hypothesis]]
    ) -> list[list[float]]:
        """Nats; what else is in the batch changes none of them."""
        prefixes = [self._loaded.context_columns(context) for context in contexts]
        # Latents often say the same. It is read once, and gets the same number to the bit.
        rows = {
            (index, tuple(hypothesis.token_ids)): PlatoRow(
                prefix=prefixes[index],
                response=self._loaded.response_columns(hypothesis.token_ids),
            )
            for index, group in enumerate(hypotheses)
            for hypothesis in group
        }
        logits = coherence_logits(
            self._loaded.model, list(rows.values()), places_at_once=self._places_at_once
        )
        scores = dict(zip(rows, F.logsigmoid(torch.tensor(logits)).tolist(), strict=True))
        return [
            [scores[index, tuple(h.token_ids)] for h in group]
            for index, group in enumerate(hypotheses)
        ]


@torch.inference_mode()
def coherence_logits(
    model: PlatoModel, rows: Sequence[PlatoRow], *, places_at_once: int = PLACES_AT_ONCE
) -> list[float]:
    """The logit of p(l = 1) of each row, in as few passes as fit.

    Args:
        model: with a latent, in evaluation mode.
        rows: contexts with responses.
        places_at_once: of rows in one pass.
    """
    logits = [0.0] * len(rows)
    for numbers in _parts(
        [row.prefix.shape[1] + row.response.shape[1] + 1 for row in rows], places_at_once
    ):
        found = _read(model, [rows[number] for number in numbers])
        for number, logit in zip(numbers, found, strict=True):
            logits[number] = logit
    return logits


def _parts(lengths: Sequence[int], places_at_once: int) -> Iterator[list[int]]:
    """Numbers of rows, longest first, that are read together."""
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    while order:
        size = max(1, places_at_once // lengths[order[0]])
        yield order[:size]
        order = order[size:]


def _read(model: PlatoModel, rows: Sequence[PlatoRow]) -> list[float]:
    table = model.network.tokens.weight
    laid = lay_rows(rows, has_latent=True)
    spans = make_spans(laid.starts, laid.prefix_lengths, recognition=True).to(table.device)
    columns = torch.from_numpy(np.ascontiguousarray(laid.columns)).to(table.device)
    masks = model.network.mask.expand(len(rows), -1)
    with torch.autocast(table.device.type, enabled=False):
        states = model.states(columns, spans, masks, table.dtype)[spans.latent_places]
        found: list[float] = model.coherence(states).tolist()
    return found
