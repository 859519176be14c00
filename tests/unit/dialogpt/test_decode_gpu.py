import random
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from support_decode import save_model_folder, tiny_model
from transformers import GPT2Config, GPT2LMHeadModel

from dialogpt.config.decoding import DecodeConfig, GenerationConfig
from dialogpt.decode.generate import generate
from dialogpt.decode.load import load_model
from dialogpt.decode.respond import build_responder
from dialogpt.models.inference import inference_of
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


def short_model(seed: int) -> Any:
    """A frozen model in bfloat16 whose heads the kernels take."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=40,
        n_positions=256,
        n_embd=64,
        n_layer=3,
        n_head=2,
        initializer_range=0.3,
        tie_word_embeddings=False,
    )
    return GPT2LMHeadModel(config).eval().bfloat16().requires_grad_(False).cuda()


@pytest.mark.parametrize("method", ["greedy", "sample", "beam"])
def test_recorded_steps_draw_what_the_log_probability_says(method: str) -> None:
    """Batches of other sizes share the recorded steps; each reply is scored by a full pass."""
    model = short_model(1)
    assert inference_of(model).has_kernels
    draw = random.Random(0)
    finished = 0
    for num_contexts, longest, num_samples in ((5, 60, 7), (2, 130, 3), (7, 30, 40), (1, 1, 1)):
        contexts = [
            [*(draw.randrange(1, 35) for _ in range(draw.randrange(longest))), 0]
            for _ in range(num_contexts)
        ]
        generation = GenerationConfig(
            method=method,  # type: ignore[arg-type]
            num_samples=num_samples,
            beam_size=4,
            max_new_tokens=40,
            no_repeat_ngram=3,
        )
        groups = generate(
            model,
            contexts,
            context_indices=range(num_contexts),
            generation=generation,
            eos_id=0,
            vocab_size=35,
        )
        for context, replies in zip(contexts, groups, strict=True):
            said = [[*r.token_ids, *([0] if r.finished else [])] for r in replies]
            scores = continuation_log_probs(model, [(context, ids) for ids in said])
            for reply, ids, score in zip(replies, said, scores, strict=True):
                # bfloat16: a cached step and a full pass round differently.
                assert reply.forward_log_prob == pytest.approx(score, abs=0.05 * len(ids) + 0.05)
                finished += reply.finished
    assert finished


def test_packed_scores_are_those_of_float32_within_bfloat16() -> None:
    model = short_model(2)
    draw = random.Random(1)
    pairs = [
        (
            [draw.randrange(35) for _ in range(draw.randrange(1, 90))],
            [draw.randrange(35) for _ in range(draw.randrange(1, 90))],
        )
        for _ in range(50)
    ]
    packed = continuation_log_probs(model, pairs, max_batch_tokens=1500)
    wide = GPT2LMHeadModel(model.config).eval()
    wide.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    expected = continuation_log_probs(wide, pairs)
    for (_, continuation), one, other in zip(pairs, packed, expected, strict=True):
        assert one == pytest.approx(other, abs=0.05 * len(continuation) + 0.05)


def test_recorded_steps_do_not_count_on_from_an_earlier_batch() -> None:
    """Rows that a step computes besides must stay within the positions: long, then few and late."""
    model = short_model(3)
    for length, num_samples, longest in ((40, 16, 64), (240, 16, 8), (20, 1, 64)):
        generate(
            model,
            [[*[5] * length, 0]],
            context_indices=[0],
            generation=GenerationConfig(
                num_samples=num_samples, max_new_tokens=longest, min_new_tokens=longest
            ),
            eos_id=0,
            vocab_size=35,
        )
        torch.cuda.synchronize()
