"""Response selection of candidates, against the recognition pass that training makes."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support_plato_decode import LIMITS, save_plato_folder, tiny_plato
from support_train import byte_tokenizer, encoded

from dialogpt.config.plato import PlatoConfig
from dialogpt.decode.context_formats import GivenContext
from dialogpt.decode.contexts import Context, encode_contexts
from dialogpt.plato import rank
from dialogpt.plato.examples import ExampleCollator, ExampleSource
from dialogpt.plato.loaded import LoadedPlato, load_for_decoding
from dialogpt.plato.rank import CoherenceScorer
from dialogpt.records import Hypothesis

TURNS = [["what is it?"], ["hi", "you", "who are you?"], ["a", "b"]]
REPLIES = [["it is me", "no", "it is me"], ["me", "you!", "nobody you know"], ["c", "c", "c"]]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedPlato:
    folder = save_plato_folder(tmp_path_factory.mktemp("plato"), tokenizer=byte_tokenizer())
    return load_for_decoding(str(folder), device=torch.device("cpu"), dtype=torch.float32)


def hypotheses(loaded: LoadedPlato, texts: list[str]) -> list[Hypothesis]:
    return [
        Hypothesis(text=text, token_ids=ids, finished=True, scores={})
        for text, ids in zip(texts, loaded.tokenizer.encode_batch(texts), strict=True)
    ]


def contexts_of(loaded: LoadedPlato, given: list[list[str]]) -> list[Context]:
    return encode_contexts(loaded.tokenizer, given)


def test_the_score_of_a_gold_pair_is_that_of_the_positive_branch_of_training(
    loaded: LoadedPlato,
) -> None:
    """With speakers, knowledge, turns that are cut and a response that is cut."""
    said = ["one two", "three", "four" * 9, "five"]
    response, knowledge = "six and seven and eight and nine and ten", ["I am ten.", "I eat."]
    ids = loaded.tokenizer.encode_batch([*said, response, *knowledge])
    dialogue = encoded(ids[:5])
    dialogue.speakers[:] = [1, 0, 0, 1, 0]
    source = ExampleSource(
        index=0,
        dialogue=type(dialogue)(
            **{
                **{name: getattr(dialogue, name) for name in dialogue.__slots__},
                "knowledge": tuple(np.array(k) for k in ids[5:]),
            }
        ),
        turn=4,
        negative=np.array(ids[0]),
    )
    collate = ExampleCollator(
        config=PlatoConfig(sequence=LIMITS),
        layout=loaded.model.layout(),
        bou_id=loaded.tokenizer.bou_id,
        eou_id=loaded.tokenizer.eos_id,
    )
    assert len(ids[4]) > LIMITS.max_response_tokens
    with torch.no_grad():
        expected = loaded.model.recognize(collate([source]), torch.float32).logits
    given = GivenContext(turns=tuple(said), speakers=(1, 0, 0, 1), knowledge=tuple(knowledge))
    contexts = encode_contexts(loaded.tokenizer, [given])
    ((gold, other),) = CoherenceScorer(loaded).score(
        contexts, [hypotheses(loaded, [response, said[0]])]
    )
    assert gold == pytest.approx(float(F.logsigmoid(expected[0])), abs=1e-5)
    assert other == pytest.approx(float(F.logsigmoid(expected[1])), abs=1e-5)
    assert abs(gold - other) > 0.01
    bare = encode_contexts(loaded.tokenizer, [said])
    ((without,),) = CoherenceScorer(loaded).score(bare, [hypotheses(loaded, [response])])
    assert abs(gold - without) > 1e-3


def test_a_candidate_has_the_same_score_alone_and_in_any_batch(loaded: LoadedPlato) -> None:
    contexts = contexts_of(loaded, TURNS)
    groups = [hypotheses(loaded, texts) for texts in REPLIES]
    together = CoherenceScorer(loaded).score(contexts, groups)
    in_parts = CoherenceScorer(loaded, places_at_once=50).score(contexts, groups)
    for context, group, scores, others in zip(contexts, groups, together, in_parts, strict=True):
        assert scores == pytest.approx(others, abs=1e-5)
        for hypothesis, score in zip(group, scores, strict=True):
            ((alone,),) = CoherenceScorer(loaded).score([context], [[hypothesis]])
            assert score == pytest.approx(alone, abs=1e-5)
    assert len({round(score, 4) for scores in together for score in scores}) == 6


def test_what_several_latents_say_of_one_context_is_read_once(
    loaded: LoadedPlato, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = rank._read

    def counted(model: object, rows: list[object]) -> list[float]:
        read.append(len(rows))
        return original(model, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(rank, "_read", counted)
    contexts = contexts_of(loaded, TURNS)
    groups = [hypotheses(loaded, texts) for texts in REPLIES]
    scores = CoherenceScorer(loaded).score(contexts, groups)
    assert read == [2 + 3 + 1]
    assert scores[0][0] == scores[0][2]
    assert len(set(scores[2])) == 1


def test_scores_are_log_probabilities_also_where_they_are_extreme(tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    model = tiny_plato(vocab_size=tokenizer.vocab_size)
    model.selection.weight *= 1000
    folder = save_plato_folder(tmp_path, tokenizer=tokenizer, model=model)
    loaded = load_for_decoding(str(folder), device=torch.device("cpu"), dtype=torch.float32)
    scores = CoherenceScorer(loaded).score(
        contexts_of(loaded, TURNS), [hypotheses(loaded, texts) for texts in REPLIES]
    )
    values = [score for group in scores for score in group]
    assert all(np.isfinite(values))
    assert max(values) <= 0
    assert min(values) < -100
