"""PLATO behind the interface of every model: ranking, records, tables, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from support_decode import save_model_folder, tiny_tokenizer
from support_plato_decode import NUM_LATENTS, save_plato_folder, tiny_plato
from support_wordpiece import wordpiece_tokenizer

from dialogpt.command_line import UserError
from dialogpt.config.decoding import FilterConfig, GenerationConfig, MmiConfig, ResponderConfig
from dialogpt.config.plato import SequenceConfig
from dialogpt.config.web import WebConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.conversation import history_budget
from dialogpt.decode.display import format_table
from dialogpt.decode.respond import Responder
from dialogpt.decode.response import AnyResponder
from dialogpt.latents import format_replies
from dialogpt.plato.generate import ReplyTokens
from dialogpt.plato.respond import PlatoResponder
from dialogpt.responders import build_responder
from dialogpt.web.card import model_card
from dialogpt.web.models import load_page_models
from dialogpt.web.sliders import checked_choice
from dialogpt.web.view import candidate_rows

CONTEXTS = [["hello there"], ["the inn", "out", "who?"], ["a"], ["what now", "in the house"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plato_folder(tmp_path_factory.mktemp("plato"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_plato_folder(tmp_path_factory.mktemp("plain"), num_latents=0)


def config_of(folder: Path, **options: Any) -> ResponderConfig:
    generation = {"max_new_tokens": 8, **options.pop("generation", {})}
    return ResponderConfig(
        model=str(folder), device="cpu", generation=GenerationConfig(**generation), **options
    )


def responder_of(folder: Path, **options: Any) -> AnyResponder:
    return build_responder(config_of(folder, **options))[0]


def test_the_model_folder_says_what_responds(folder: Path, tmp_path: Path) -> None:
    assert isinstance(responder_of(folder), PlatoResponder)
    gpt2 = save_model_folder(tmp_path / "gpt2")
    assert isinstance(responder_of(gpt2), Responder)
    run = tmp_path / "run"
    run.mkdir()
    (run / "best").symlink_to(folder)
    assert isinstance(responder_of(run), PlatoResponder)


@pytest.mark.parametrize("method", ["sample", "beam", "greedy"])
def test_each_latent_has_its_say_and_the_most_coherent_reply_wins(
    folder: Path, method: str
) -> None:
    responder = responder_of(folder, generation={"method": method, "beam_size": 3})
    scores: set[float] = set()
    for response in responder.respond_batch(CONTEXTS):
        hypotheses = response.hypotheses
        assert sorted(h.latent for h in hypotheses if h.latent is not None) == [0, 1, 2]
        # Replies that beam search had to cut are beginnings, and stand behind all others.
        ranks = [(method == "beam" and not h.finished, -h.scores["coherence"]) for h in hypotheses]
        assert ranks == sorted(ranks)
        assert all(h.scores["score"] == h.scores["coherence"] for h in hypotheses)
        scores |= {h.scores["coherence"] for h in hypotheses}
    assert len(scores) > len(CONTEXTS)
    assert responder.num_candidates == NUM_LATENTS


def test_a_head_that_was_never_trained_ranks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    responder = responder_of(save_plato_folder(tmp_path, selects=False))
    assert "without response selection" in caplog.text
    for response in responder.respond_batch(CONTEXTS):
        assert len(response.hypotheses) == NUM_LATENTS
        scores = [h.scores["forward_log_prob"] for h in response.hypotheses]
        assert scores == sorted(scores, reverse=True)
        assert all("coherence" not in h.scores for h in response.hypotheses)
    title, *_, head = format_replies(response, title="t").splitlines()[: 3 + len(CONTEXTS[-1])]
    assert title == "t"
    assert head.split()[:3] == ["z", "forward", "reply"]


def test_more_samples_of_each_latent_are_more_candidates(folder: Path) -> None:
    responder = responder_of(folder, generation={"samples_per_latent": 4, "num_samples": 7})
    response = responder.respond(CONTEXTS[0])
    assert len(response.hypotheses) == responder.num_candidates == 4 * NUM_LATENTS


def test_without_a_latent_it_responds_as_gpt2_does(plain: Path) -> None:
    responder = responder_of(plain, generation={"num_samples": 5})
    response = responder.respond(CONTEXTS[1])
    assert len(response.hypotheses) == responder.num_candidates == 5
    assert all(set(h.scores) == {"forward_log_prob", "score"} for h in response.hypotheses)
    assert "latent" not in json.dumps(response.as_record())
    beam = responder_of(plain, generation={"method": "beam", "beam_size": 4})
    assert len(beam.respond(CONTEXTS[1]).hypotheses) == 4
    single = responder_of(plain, generation={"num_samples": 1})
    assert single.can_stream
    grown: list[str] = []
    response = single.respond(CONTEXTS[1], on_text=grown.append)
    assert grown[-1] == response.text
    assert not responder_of(plain).can_stream


def test_a_file_of_contexts_gets_the_same_replies_in_any_batches(folder: Path) -> None:
    responder = responder_of(folder, generation={"method": "sample"})
    together = [r.as_record() for r in responder.respond_batch(CONTEXTS, first_index=3)]
    parts = [
        responder.respond(turns, context_index=3 + number).as_record()
        for number, turns in enumerate(CONTEXTS)
    ]
    assert [[h["text"] for h in r["hypotheses"]] for r in together] == [
        [h["text"] for h in r["hypotheses"]] for r in parts
    ]


def test_mmi_ranks_and_coherence_joins_it_by_its_weight(folder: Path, tmp_path: Path) -> None:
    backward = save_model_folder(tmp_path / "backward", seed=1, direction="backward")
    options = {"mmi": True, "backward_model": str(backward)}
    responder, settings = build_responder(config_of(folder, **options))
    for h in responder.respond(CONTEXTS[1]).hypotheses:
        assert h.scores["score"] == pytest.approx(h.scores["backward_log_prob"])
        assert h.scores["coherence"] < 0
    assert settings["weights"] == {"forward_log_prob": 0.0, "backward_log_prob": 1.0}
    both = responder_of(
        folder, **options, scorers={"coherence": 2.0}, mmi_options=MmiConfig(weight=0.5)
    )
    for h in both.respond(CONTEXTS[1]).hypotheses:
        mmi = 0.5 * h.scores["forward_log_prob"] + 0.5 * h.scores["backward_log_prob"]
        assert h.scores["score"] == pytest.approx(mmi + 2 * h.scores["coherence"])


def test_the_latent_stands_in_records_tables_and_on_the_page(folder: Path) -> None:
    response = responder_of(folder).respond(CONTEXTS[0])
    best = response.hypotheses[0]
    record = response.as_record()["hypotheses"][0]
    assert record["latent"] == best.latent
    table = format_table(response, title="t").splitlines()
    (head,) = [line for line in table if "rank" in line]
    assert head.split()[:3] == ["rank", "z", "score"]
    (line,) = [line for line in table if line.startswith(">")]
    assert line.split()[:3] == [">", "1", str(best.latent)]
    assert candidate_rows(response.hypotheses)[0][:2] == ("1", str(best.latent))


def test_speakers_and_knowledge_make_a_difference_and_parity_is_the_default(folder: Path) -> None:
    responder = responder_of(folder, generation={"method": "greedy"})

    def said(**known: Any) -> list[dict[str, float]]:
        turns = ("one", "two", "three")
        response = responder.respond(GivenContext(turns=turns, **known))
        return [h.scores for h in sorted(response.hypotheses, key=lambda h: h.latent or 0)]

    assert said() == said(speakers=(0, 1, 0))
    assert said() != said(speakers=(0, 0, 0))
    assert said() != said(knowledge=("I know.",))
    assert responder.reads_knowledge


def test_turns_beyond_the_limits_are_counted_and_filters_drop(folder: Path) -> None:
    responder = responder_of(folder)
    long = ["x" * 12, "y" * 12, "z" * 12, "w" * 12]
    assert responder.respond(long).num_turns_dropped == 0  # 40 tokens hold the end of the first
    assert responder.respond(["y", *long]).num_turns_dropped == 1
    assert responder.respond(["v", "y", *long]).num_turns_dropped == 2
    assert history_budget(responder).num_tokens == 40


def test_a_filter_drops_candidates_of_latents(folder: Path, tmp_path: Path) -> None:
    word = responder_of(folder).respond(CONTEXTS[0]).hypotheses[0].text
    assert word
    phrases = tmp_path / "phrases.txt"
    phrases.write_text(word.lstrip("#") + "\n", encoding="utf-8")
    response = responder_of(folder, filter=FilterConfig(phrases=str(phrases))).respond(CONTEXTS[0])
    assert [dropped.hypothesis.text for dropped in response.filtered] == [word]
    assert response.text != word


def test_replies_longer_than_the_table_of_positions_are_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="at most 62"):
        responder_of(folder, generation={"max_new_tokens": 63})
    assert responder_of(folder, generation={"max_new_tokens": 62}).respond(CONTEXTS[0]).text


def test_a_damaged_folder_or_another_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "dialogpt.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    tiny_tokenizer(extra_merge=("a", "n")).save(tmp_path)
    with pytest.raises(UserError, match="trained with the tokenizer"):
        responder_of(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="expected a PLATO"):
        responder_of(tmp_path)


def test_no_control_token_of_a_wordpiece_vocabulary_is_ever_said(tmp_path: Path) -> None:
    tokenizer = wordpiece_tokenizer()
    tokens = ReplyTokens.of(tokenizer, readable=None)
    names = {tokenizer.pieces[i] for i in tokens.forbidden.tolist()}
    assert names == {"[PAD]", "[unused0]", "[unused2]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
    model = tiny_plato(vocab_size=tokenizer.vocab_size)
    for token in tokens.forbidden.tolist():
        model.network.tokens.weight[token] *= 10
    responder = responder_of(save_plato_folder(tmp_path, tokenizer=tokenizer, model=model))
    for response in responder.respond_batch(CONTEXTS):
        for hypothesis in response.hypotheses:
            assert not set(hypothesis.token_ids) & set(tokens.forbidden.tolist())


def test_the_page_lets_a_visitor_choose_candidates_of_each_latent(folder: Path) -> None:
    generation = GenerationConfig(max_new_tokens=8)
    config = WebConfig(model=str(folder), device="cpu", max_samples=9, generation=generation)
    models = load_page_models(config)
    limit = models.limits["num_samples"]
    assert (limit.label, limit.high, limit.start) == ("Candidates of each latent", 3, 1)
    values = {name: bound.start for name, bound in models.limits.items()}
    choice = checked_choice({**values, "num_samples": 2}, models.limits, has_mmi=False)
    responder = models.replies(choice)
    assert responder.num_candidates == 2 * NUM_LATENTS
    assert models.settings_of(choice)["weights"] == {"coherence": 1.0}
    lines = dict(model_card(models.responder.forward).lines)
    assert lines["Kind"].startswith("PLATO with 3 latent")
    assert lines["Shape"] == "2 layers, 32 wide, 2 attention heads"


def test_on_the_page_mmi_takes_the_place_of_coherence_where_a_visitor_wants_it(
    folder: Path, tmp_path: Path
) -> None:
    backward = save_model_folder(tmp_path / "backward", seed=1, direction="backward")
    generation = GenerationConfig(max_new_tokens=8)
    config = WebConfig(
        model=str(folder), backward_model=str(backward), device="cpu", generation=generation
    )
    models = load_page_models(config)
    values = {name: bound.start for name, bound in models.limits.items()}
    weights = {}
    for mmi in (True, False):
        choice = checked_choice({**values, "mmi": mmi}, models.limits, has_mmi=True)
        weights[mmi] = models.settings_of(choice)["weights"]
        names = models.replies(choice).respond(CONTEXTS[0]).hypotheses[0].scores
        assert ("backward_log_prob" in names, "coherence" in names) == (mmi, True)
    assert weights[False] == {"coherence": 1.0}
    assert weights[True] == {"forward_log_prob": 0.0, "backward_log_prob": 1.0}


def test_a_blind_model_and_one_of_other_limits_respond_too(tmp_path: Path) -> None:
    limits = SequenceConfig(max_context_tokens=20, max_response_tokens=9)
    folder = save_plato_folder(tmp_path, visible=False, limits=limits)
    responder = responder_of(folder, generation={"method": "beam", "beam_size": 2})
    assert history_budget(responder).num_tokens == 20
    responses = responder.respond_batch(CONTEXTS)
    assert [sorted(h.latent or 0 for h in r.hypotheses) for r in responses] == [[0, 1, 2]] * 4
    assert torch.tensor(responses[0].hypotheses[0].scores["coherence"]).isfinite()
