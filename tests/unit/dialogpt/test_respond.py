import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support_decode import save_model_folder

from dialogpt.command_line import UserError
from dialogpt.config.decoding import DecodeConfig, GenerationConfig, MmiConfig
from dialogpt.decode import respond
from dialogpt.decode.generate import generate
from dialogpt.decode.load import load_model
from dialogpt.decode.output import ResponseWriter
from dialogpt.decode.respond import Responder, build_responder
from dialogpt.models.scoring import continuation_log_probs

GENERATION = GenerationConfig(num_samples=4, max_new_tokens=12, seed=3)
CONTEXTS = [["the inn", "out"], ["a"], ["in the house", "thin", "who?"], ["what now"], ["b", "c"]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return (
        save_model_folder(folder / "forward", seed=1),
        save_model_folder(folder / "backward", direction="backward", seed=2),
    )


@pytest.fixture(scope="module")
def responder(folders: tuple[Path, Path]) -> Responder:
    return build_responder(mmi_config(folders))[0]


def mmi_config(folders: tuple[Path, Path], **mmi_options: object) -> DecodeConfig:
    return DecodeConfig(
        model=str(folders[0]),
        backward_model=str(folders[1]),
        mmi=True,
        device="cpu",
        generation=GENERATION,
        mmi_options=MmiConfig(**mmi_options),  # type: ignore[arg-type]
    )


def test_batches_of_any_size_give_the_same_responses(responder: Responder) -> None:
    whole = responder.respond_batch(CONTEXTS)
    halves = [
        *responder.respond_batch(CONTEXTS[:2]),
        *responder.respond_batch(CONTEXTS[2:], first_index=2),
    ]
    alone = [responder.respond(turns, context_index=i) for i, turns in enumerate(CONTEXTS)]
    for responses in (halves, alone):
        for one, other in zip(responses, whole, strict=True):
            assert [h.token_ids for h in one.hypotheses] == [h.token_ids for h in other.hypotheses]
            for a, b in zip(one.hypotheses, other.hypotheses, strict=True):
                assert a.scores == pytest.approx(b.scores, abs=1e-3)


def test_no_reply_is_empty(folders: tuple[Path, Path]) -> None:
    """Not even where blanks and the end of the turn are all that the model likes to say."""
    responder, _ = build_responder(
        DecodeConfig(
            model=str(folders[0]),
            device="cpu",
            generation=GenerationConfig(num_samples=8, top_k=0, max_new_tokens=30),
        )
    )
    tokenizer = responder.forward.tokenizer
    ((blank,),) = tokenizer.encode_batch([" "])
    with torch.no_grad():
        responder.forward.model.transformer.ln_f.weight.zero_()
        responder.forward.model.transformer.ln_f.bias.fill_(1.0)
        table = responder.forward.model.transformer.wte.weight
        table.fill_(0.0)
        table[blank] = 0.3
        table[tokenizer.eos_id] = 0.3  # each as likely as 120 of the 260 others
    shows = [h for r in responder.respond_batch(CONTEXTS) for h in r.hypotheses if h.finished]
    assert len(shows) > 10
    assert all(h.text for h in shows)


def test_scores_are_those_of_the_two_models(
    responder: Responder, folders: tuple[Path, Path]
) -> None:
    device, dtype = torch.device("cpu"), torch.float32
    backward = load_model(str(folders[1]), "backward", device=device, dtype=dtype)
    forward, eos = responder.forward, responder.forward.tokenizer.eos_id
    first, second = forward.tokenizer.encode_batch(CONTEXTS[0])
    response = responder.respond(CONTEXTS[0])
    assert len(response.hypotheses) == 4
    for h in response.hypotheses:
        said = [*h.token_ids, *([eos] if h.finished else [])]
        context = [*first, eos, *second, eos]
        (expected,) = continuation_log_probs(forward.model, [(context, said)])
        assert h.scores["forward_log_prob"] == pytest.approx(expected, abs=1e-3)
        source = [*second, eos, *first, eos]
        (expected,) = continuation_log_probs(backward.model, [([*h.token_ids, eos], source)])
        assert h.scores["backward_log_prob"] == pytest.approx(expected, abs=1e-3)
        assert h.scores["score"] == h.scores["backward_log_prob"]
    scores = [h.scores["score"] for h in response.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert response.text == response.hypotheses[0].text


def test_without_mmi_the_likeliest_hypothesis_is_the_reply(folders: tuple[Path, Path]) -> None:
    config = DecodeConfig(model=str(folders[0]), device="cpu", generation=GENERATION)
    response = build_responder(config)[0].respond(["the inn", "out"])
    log_probs = [h.scores["forward_log_prob"] for h in response.hypotheses]
    assert log_probs == sorted(log_probs, reverse=True)
    assert all(set(h.scores) == {"forward_log_prob", "score"} for h in response.hypotheses)


def test_oldest_turns_that_do_not_fit_are_dropped_and_counted(responder: Responder) -> None:
    turns = [f"{number} " + "x" * 20 for number in range(9)]  # 23 tokens each; 52 fit
    response = responder.respond(turns)
    assert response.num_turns_dropped == 7
    assert response.context == tuple(turns)
    kept = responder.respond(turns[7:])
    assert kept.num_turns_dropped == 0
    assert [h.token_ids for h in kept.hypotheses] == [h.token_ids for h in response.hypotheses]


def test_a_turn_longer_than_the_window_is_answered_by_its_end(responder: Responder) -> None:
    (long, short) = responder.respond_batch([["y" * 500 + "z" * 51], ["z" * 51]])
    assert long.num_turns_dropped == 0
    again = responder.respond(["z" * 51])
    first = responder.respond(["y" * 500 + "z" * 51])
    assert [h.token_ids for h in first.hypotheses] == [h.token_ids for h in again.hypotheses]
    assert [h.token_ids for h in long.hypotheses] == [h.token_ids for h in first.hypotheses]
    assert short.context == ("z" * 51,)


def test_no_room_for_a_context_is_an_error(responder: Responder) -> None:
    generation = GenerationConfig(max_new_tokens=63)
    with pytest.raises(UserError, match="max_new_tokens 63 leaves no room for a context"):
        Responder(forward=responder.forward, generation=generation)
    Responder(forward=responder.forward, generation=GenerationConfig(max_new_tokens=62))


def test_replies_that_take_most_of_the_window_are_warned_about(
    folders: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    for length, warned in ((32, False), (33, True)):
        generation = GenerationConfig(max_new_tokens=length)
        build_responder(DecodeConfig(model=str(folders[0]), device="cpu", generation=generation))
        assert ("more than half of the 64 tokens" in caplog.text) == warned


def test_a_context_without_text_is_refused(responder: Responder) -> None:
    for turns in ([], ["hello", " "]):
        with pytest.raises(ValueError, match="expected turns of readable text"):
            responder.respond(turns)


def test_too_little_memory_is_met_with_smaller_batches(
    responder: Responder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = responder.respond_batch(CONTEXTS)
    sizes: list[int] = []

    def hungry(model: Any, contexts: list[list[int]], **options: Any) -> Any:
        sizes.append(len(contexts))
        if len(contexts) > most:
            raise torch.OutOfMemoryError("no more")
        return generate(model, contexts, **options)

    monkeypatch.setattr(respond, "generate", hungry)
    most = 2
    found = responder.respond_batch(CONTEXTS)
    assert sizes == [5, 2, 3, 1, 2]
    assert [r.text for r in found] == [r.text for r in expected]
    assert "out of memory with 5 contexts at once; trying halves" in caplog.text
    most = 0
    with pytest.raises(UserError, match=r"out of memory with one context.*num_samples"):
        responder.respond_batch(CONTEXTS)


def test_the_record_counts_the_end_of_turn_token(responder: Responder) -> None:
    for response in responder.respond_batch(CONTEXTS):
        record = response.as_record()
        assert record["response"] == record["hypotheses"][0]["text"] == response.text
        for row, h in zip(record["hypotheses"], response.hypotheses, strict=True):
            assert row["num_tokens"] == len(h.token_ids) + (1 if h.finished else 0)
            assert row["num_tokens"] <= 12


def test_the_output_has_its_name_only_when_it_is_whole(
    responder: Responder, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "replies.jsonl"
    response = responder.respond(["a"])
    with pytest.raises(TypeError), ResponseWriter(path, settings={"seed": object()}) as writer:
        writer.write(response)  # an object is no JSON
    assert not path.exists()
    with ResponseWriter(path, settings={"seed": 3}) as writer:
        writer.write(response)
        assert not path.exists()
    (line,) = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line) == {**response.as_record(), "settings": {"seed": 3}}
    with pytest.raises(UserError, match="exists already"):
        ResponseWriter(path, settings={})
    assert sorted(p.name for p in path.parent.iterdir()) == ["replies.jsonl"]
