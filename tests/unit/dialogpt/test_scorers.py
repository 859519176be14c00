"""Scorers of one's own: found, checked, and part of the sum that ranks."""

import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from support_decode import save_model_folder, tiny_model

from dialogpt.command_line import UserError, parse_config
from dialogpt.config.decoding import DecodeConfig, GenerationConfig
from dialogpt.decode.contexts import Context
from dialogpt.decode.load import LoadedModel
from dialogpt.decode.rerank import Reranker, build_reranker
from dialogpt.decode.respond import build_responder
from dialogpt.decode.scorers import ScorerModels
from dialogpt.records import Hypothesis

CONTEXTS = [
    Context(turns=("a", "b"), turn_ids=([1, 0], [2, 0])),
    Context(turns=("c",), turn_ids=([3, 0],)),
]
HYPOTHESES = [
    [
        Hypothesis(text=text, token_ids=[1], finished=True, scores={"forward_log_prob": -n})
        for n, text in enumerate(texts)
    ]
    for texts in (["no", "well, perhaps", "maybe"], ["hm"])
]

# What a user would write: a scorer that reads text, and one that asks the loaded models.
PACKAGE = """
class NumLetters:
    name = "num_letters"

    def __init__(self, models):
        pass

    def score(self, contexts, hypotheses):
        return [[len(h.text) for h in group] for group in hypotheses]


class TwiceTheFirst:
    name = "twice"

    def __init__(self, models):
        self.window = models.forward.window

    def score(self, contexts, hypotheses):
        return [[2 * h.scores["num_letters"] + self.window for h in g] for g in hypotheses]


def nothing(models):
    return object()


A_NUMBER = 3
"""


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution as pip leaves it: a module, and metadata with its entry points."""
    (tmp_path / "letters_scorer.py").write_text(PACKAGE, encoding="utf-8")
    folder = tmp_path / "letters_scorer-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: letters-scorer\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[dialogpt.scorers]\nletters = letters_scorer:NumLetters\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "letters_scorer", raising=False)
    return tmp_path


def build(scorers: dict[str, float]) -> Reranker:
    tokenizer: Any = SimpleNamespace(eos_id=0)
    forward = LoadedModel(
        name="tiny",
        model=tiny_model(),
        tokenizer=tokenizer,
        window=64,
        readable=torch.ones(35, dtype=torch.bool),
    )
    config = DecodeConfig(scorers=scorers)
    return build_reranker(
        config, ScorerModels(forward=forward, backward=None, generation=config.generation)
    )


def given(score: Any, *, name: str = "own") -> Reranker:
    """A reranker with a scorer that gives what `score` gives."""
    scorer: Any = SimpleNamespace(name=name, score=score)
    return Reranker(scorers=(scorer,), weights={"forward_log_prob": 1.0, name: 1.0})


@pytest.mark.usefixtures("own_package")
def test_an_entry_point_and_a_module_add_their_scores_to_the_sum() -> None:
    ranking = build({"letters": 2.0, "letters_scorer:TwiceTheFirst": 0.25, "forward_log_prob": 0.5})
    first, second = ranking.rerank(CONTEXTS, HYPOTHESES)
    assert [h.text for h in first] == ["well, perhaps", "maybe", "no"]
    assert [h.text for h in second] == ["hm"]
    for h in [*first, *second]:
        letters = h.scores["num_letters"]
        assert letters == len(h.text)
        assert h.scores["twice"] == 2 * letters + 64  # it saw the score before it, and the model
        expected = 0.5 * h.scores["forward_log_prob"] + 2.0 * letters + 0.25 * h.scores["twice"]
        assert h.scores["score"] == pytest.approx(expected)
    assert HYPOTHESES[0][0].scores == {"forward_log_prob": 0}  # what came in is left as it was


@pytest.mark.usefixtures("own_package")
def test_a_negative_weight_prefers_what_has_less() -> None:
    first, _ = build({"letters": -1.0}).rerank(CONTEXTS, HYPOTHESES)
    assert [h.text for h in first] == ["no", "maybe", "well, perhaps"]
    assert [h.scores["score"] for h in first] == [-2, -7, -14]


def test_the_scorer_of_the_documentation_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "ranking.md").read_text(encoding="utf-8")
    (code,) = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    (tmp_path / "numbers_scorer.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (words,) = [line for line in page.splitlines() if line.startswith("python -m dialogpt.decode")]
    config, _ = parse_config(DecodeConfig, shlex.split(words)[3:], prog="decode")
    texts = [["7 of 11", "seven"], ["hm"]]
    groups = [[replace(h, text=t) for h, t in zip(HYPOTHESES[0], ts, strict=False)] for ts in texts]
    first, _ = build(config.scorers).rerank(CONTEXTS, groups)
    assert [(h.text, h.scores["score"]) for h in first] == [("seven", -1), ("7 of 11", -6)]


@pytest.mark.usefixtures("own_package")
def test_weight_zero_shows_a_score_and_does_not_rank_by_it() -> None:
    first, _ = build({"letters": 0.0}).rerank(CONTEXTS, HYPOTHESES)
    assert [h.text for h in first] == ["no", "well, perhaps", "maybe"]
    assert [h.scores["num_letters"] for h in first] == [2, 13, 5]


@pytest.mark.usefixtures("own_package")
def test_a_scorer_from_the_command_line_ranks_replies_and_is_recorded(tmp_path: Path) -> None:
    folder = save_model_folder(tmp_path / "model", seed=1)
    words = ["--model", str(folder), "--device", "cpu", "--scorers", "{letters: 1, "]
    words[-1] += "forward_log_prob: 0}"
    words += ["--generation.num_samples", "6", "--generation.max_new_tokens", "12"]
    config, _ = parse_config(DecodeConfig, words, prog="decode")
    responder, settings = build_responder(config)
    assert settings["weights"] == {"forward_log_prob": 0.0, "num_letters": 1.0}
    record = responder.respond(["the inn"]).as_record()
    lengths = [len(h["text"]) for h in record["hypotheses"]]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) > 1
    for h in record["hypotheses"]:
        assert h["scores"]["num_letters"] == h["scores"]["score"] == len(h["text"])
        assert "forward_log_prob" in h["scores"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such",
            r"one of forward_log_prob, .*coherence \(of a P.*letters, or module.*found 'no_such'",
        ),
        ("no_module:Scorer", "to import no_module:Scorer, found No module named 'no_module'"),
        ("letters_scorer:Absent", "found module 'letters_scorer' has no attribute 'Absent'"),
        ("letters_scorer:", "to import letters_scorer:, found"),
        ("letters_scorer:A_NUMBER", "given the loaded models .*found int"),
        ("letters_scorer:nothing", "an object with a name .*found object with the name None"),
    ],
)
@pytest.mark.usefixtures("own_package")
def test_what_is_no_scorer_is_named_with_what_there_is(name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build({name: 1.0})


def test_one_name_in_two_packages_is_not_guessed(own_package: Path) -> None:
    folder = own_package / "other-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[dialogpt.scorers]\nletters = other:Scorer\n")
    with pytest.raises(UserError, match=r"several packages .*letters_scorer:NumLetters"):
        build({"letters": 1.0})


@pytest.mark.usefixtures("own_package")
def test_a_name_is_given_once() -> None:
    with pytest.raises(UserError, match="found 'num_letters', which is taken"):
        build({"letters": 1.0, "letters_scorer:NumLetters": 1.0})
    for name in ("score", "forward_log_prob"):
        with pytest.raises(UserError, match=f"found '{name}', which is taken"):
            given(lambda *_: [], name=name)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1, 2, 3]], "a list of scores for each of 2 contexts, found 1 lists"),
        (None, "each of 2 contexts, found NoneType"),
        ([[1, 2], [3]], "expected 3 scores for context 0 of the batch, found 2 scores"),
        ([[1, 2, 3], [4, 5]], "expected 1 scores for context 1 of the batch, found 2 scores"),
        ([[1, 2, 3], 4], "expected 1 scores for context 1 of the batch, found int"),
        ([[1, math.nan, 3], [4]], "expected finite numbers, found 'nan' for context 0"),
        ([[1, 2, 3], [-math.inf]], "expected finite numbers, found '-inf' for context 1"),
        ([[1, None, 3], [4]], "expected finite numbers, found 'None' for context 0"),
        ([["1", 2, 3], [4]], "expected finite numbers, found '1' for context 0"),
        ([[10**400, 2, 3], [4]], "expected finite numbers, found '1000"),
        ([torch.ones(3, 2), [4]], "expected finite numbers, found 'tensor"),
    ],
)
def test_scores_that_are_no_scores_are_refused(scores: Any, message: str) -> None:
    with pytest.raises(UserError, match=f"scorer own: .*{message}"):
        given(lambda contexts, hypotheses: scores).rerank(CONTEXTS, HYPOTHESES)


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    scores: Sequence[Any] = [np.array([1, 2, 3], dtype=np.float32), torch.tensor([4.0])]
    ranked = given(lambda contexts, hypotheses: scores).rerank(CONTEXTS, HYPOTHESES)
    values = [h.scores["own"] for group in ranked for h in group]
    assert sorted(values) == [1, 2, 3, 4]
    assert {type(value) for value in values} == {float}


def test_weights_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite weight"):
        DecodeConfig(scorers={"own": math.nan}, generation=GenerationConfig())
