"""PLATO's inference on a GPU, by kernels and recorded steps, against the same on the CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from support_plato_decode import CONTEXTS, TOKENS, full_logits, save_plato_folder, tiny_plato

from dialogpt.config.decoding import GenerationConfig, ResponderConfig
from dialogpt.decode.contexts import encode_contexts
from dialogpt.plato.engine import PlatoEngine, frozen
from dialogpt.plato.generate import Candidate, generate
from dialogpt.plato.model import PlatoModel
from dialogpt.plato.rank import CoherenceScorer
from dialogpt.plato.respond import build_plato_responder

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]
KINDS: dict[str, dict[str, Any]] = {
    "bert": {},
    "blind": {"visible": False},
    "no latent, causal": {"num_latents": 0, "causal": True, "blocks": "gpt2"},
}
GENERATIONS = {
    "beam": GenerationConfig(method="beam", beam_size=4, length_penalty=0.0, max_new_tokens=20),
    "sample": GenerationConfig(samples_per_latent=3, num_samples=3, max_new_tokens=20),
}


def on_gpu(model: PlatoModel, dtype: torch.dtype) -> PlatoEngine:
    return PlatoEngine(frozen(model, torch.device("cuda"), dtype))


def candidates(engine: PlatoEngine, generation: GenerationConfig) -> list[list[Candidate]]:
    return generate(
        engine,
        CONTEXTS,
        layout=engine.model.layout(),
        context_indices=range(len(CONTEXTS)),
        generation=generation,
        tokens=TOKENS,
    )


@pytest.mark.parametrize("method", GENERATIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("dtype", "nats"), [(torch.bfloat16, 3.0), (torch.float16, 1.0)])
def test_log_probabilities_by_kernels_are_those_of_whole_passes_on_the_cpu(
    kind: str, method: str, dtype: torch.dtype, nats: float
) -> None:
    engine = on_gpu(tiny_plato(**KINDS[kind]), dtype)
    assert engine.has_kernels
    plain = tiny_plato(**KINDS[kind])
    # Twice: the second time steps are played that the first has recorded.
    for _ in range(2):
        for context, group in zip(CONTEXTS, candidates(engine, GENERATIONS[method]), strict=True):
            for candidate in group:
                reply = candidate.reply
                rows = full_logits(plain, context, candidate.latent, reply.token_ids)
                said = [*reply.token_ids, *([TOKENS.eos_id] if reply.finished else [])]
                log_probs = rows.log_softmax(-1)[torch.arange(len(said)), said]
                assert reply.forward_log_prob == pytest.approx(float(log_probs.sum()), abs=nats)
    assert engine.workspace is not None


@pytest.mark.parametrize("kind", KINDS)
def test_beams_in_float32_are_those_of_the_cpu(kind: str) -> None:
    found = candidates(on_gpu(tiny_plato(**KINDS[kind]), torch.float32), GENERATIONS["beam"])
    expected = candidates(PlatoEngine(tiny_plato(**KINDS[kind])), GENERATIONS["beam"])
    assert [[c.reply.token_ids for c in group] for group in found] == [
        [c.reply.token_ids for c in group] for group in expected
    ]


def test_coherence_on_the_gpu_is_that_of_the_cpu(tmp_path: Path) -> None:
    folder = save_plato_folder(tmp_path)
    config = ResponderConfig(
        model=str(folder), device="cuda", precision="bf16", generation=GENERATIONS["sample"]
    )
    responder, _ = build_plato_responder(config)
    on_cpu = ResponderConfig(model=str(folder), device="cpu", generation=GENERATIONS["sample"])
    scorer = CoherenceScorer(build_plato_responder(on_cpu)[0].forward)
    turns = [["the inn", "out"], ["a"]]
    contexts = encode_contexts(responder.forward.tokenizer, turns)
    for context, response in zip(contexts, responder.respond_batch(turns), strict=True):
        (expected,) = scorer.score([context], [response.hypotheses])
        found = [hypothesis.scores["coherence"] for hypothesis in response.hypotheses]
        chances = [F.sigmoid(torch.tensor(values)) for values in (found, expected)]
        torch.testing.assert_close(*chances, atol=0.1, rtol=0)
