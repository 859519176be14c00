import warnings
from pathlib import Path

import pytest
import torch
from support_decode import save_model_folder, tiny_model

from dialogpt.config.decoding import DecodeConfig, GenerationConfig
from dialogpt.decode.generate import generate
from dialogpt.decode.load import load_model
from dialogpt.decode.respond import build_responder
from dialogpt.models.scoring import continuation_log_probs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

CONTEXTS = [["the inn", "out"], ["a"], ["in the house", "thin", "who?"], ["what now"], ["b", "c"]]


@pytest.mark.parametrize(("precision", "nats"), [("fp32", 0.02), ("bf16", 3.0), ("fp16", 1.0)])
def test_scores_on_the_gpu_are_those_of_the_cpu(
    tmp_path: Path, precision: str, nats: float
) -> None:
    config = DecodeConfig(
        model=str(save_model_folder(tmp_path / "forward", seed=1)),
        backward_model=str(save_model_folder(tmp_path / "backward", seed=2, direction="backward")),
        mmi=True,
        device="cuda",
        precision=precision,  # type: ignore[arg-type]
        generation=GenerationConfig(num_samples=6, max_new_tokens=20),
    )
    responder, settings = build_responder(config)
    assert settings["precision"] != "float32" or precision == "fp32"
    cpu, dtype = torch.device("cpu"), torch.float32
    forward = load_model(config.model, "forward", device=cpu, dtype=dtype)
    backward = load_model(config.backward_model, "backward", device=cpu, dtype=dtype)
    eos = forward.tokenizer.eos_id
    for turns, response in zip(CONTEXTS, responder.respond_batch(CONTEXTS), strict=True):
        turn_ids = [[*ids, eos] for ids in forward.tokenizer.encode_batch(turns)]
        context = [token_id for ids in turn_ids for token_id in ids]
        source = [token_id for ids in reversed(turn_ids) for token_id in ids]
        for h in response.hypotheses:
            said = [*h.token_ids, *([eos] if h.finished else [])]
            (expected,) = continuation_log_probs(forward.model, [(context, said)])
            assert h.scores["forward_log_prob"] == pytest.approx(expected, abs=nats)
            (expected,) = continuation_log_probs(backward.model, [([*h.token_ids, eos], source)])
            assert h.scores["backward_log_prob"] == pytest.approx(expected, abs=nats)


@pytest.mark.parametrize("method", ["greedy", "sample"])
def test_a_batch_gives_the_tokens_of_one_by_one_in_float32(method: str) -> None:
    model = tiny_model().to("cuda")
    contexts = [[5, 6, 7, 0], [9, 0, 0, 8, 0], [*range(1, 25), 0, 3, 0], [0]]
    options = {
        "generation": GenerationConfig(method=method, num_samples=5, max_new_tokens=24),  # type: ignore[arg-type]
        "eos_id": 0,
        "vocab_size": 35,
    }
    together = generate(model, contexts, context_indices=range(4), **options)
    for index, (context, replies) in enumerate(zip(contexts, together, strict=True)):
        (alone,) = generate(model, [context], context_indices=[index], **options)
        assert [r.token_ids for r in alone] == [r.token_ids for r in replies]


def num_waits(model: object, num_tokens: int) -> int:
    """Times that the host waits for the device in a generation of so many steps."""
    options = GenerationConfig(
        num_samples=4, max_new_tokens=num_tokens, min_new_tokens=num_tokens, top_p=0.9
    )
    previous = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            generate(
                model,  # type: ignore[arg-type]
                [[5, 6, 0], [7, 0]],
                context_indices=[0, 1],
                generation=options,
                eos_id=0,
                vocab_size=35,
            )
    finally:
        torch.cuda.set_sync_debug_mode(previous)
    return sum("synchronizing" in str(warning.message) for warning in caught)


def test_the_host_does_not_wait_for_the_device_at_every_token() -> None:
    model = tiny_model().to("cuda")
    num_waits(model, 8)  # the first call may set things up
    waits = num_waits(model, 16)
    assert waits > 0  # the contexts go over, the replies come back
    assert num_waits(model, 48) - waits <= 8  # four looks at which rows are finished
