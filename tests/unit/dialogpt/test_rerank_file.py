"""Candidates of a file in another order, by the scores that stand there."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialogpt.command_line import UserError
from dialogpt.config.rerank import RerankConfig
from dialogpt.decode.contexts import Context
from dialogpt.decode.output import format_response
from dialogpt.decode.rerank import Reranker
from dialogpt.decode.reranked import reranked
from dialogpt.decode.response import Response
from dialogpt.decode.scorers import FORWARD, LENGTH_NORMALIZED, LengthNormalizedScorer
from dialogpt.records import Hypothesis, RecordError
from dialogpt.rerank import write_reranked

SCORES = st.sampled_from([-3.0, -2.5, -1.0, -0.25])
"""Few, so that sums are equal now and then."""


@st.composite
def found(draw: st.DrawFn) -> list[Hypothesis]:
    """Hypotheses as a model finds them, with a score of their own beside the forward one."""
    return [
        Hypothesis(
            text=draw(st.sampled_from(["", "yes", "no\u2028", "\u00e9t\u00e9"])),
            token_ids=[1] * draw(st.integers(1, 4)),
            finished=draw(st.booleans()),
            scores={FORWARD: draw(SCORES), "own": draw(SCORES)},
            latent=draw(st.one_of(st.none(), st.integers(0, 3))),
        )
        for _ in range(draw(st.integers(1, 5)))
    ]


class Own:
    """A scorer whose score was given before."""

    name = "own"

    def score(self, contexts: Any, hypotheses: Any) -> list[list[float]]:
        """As it is."""
        return [[h.scores["own"] for h in group] for group in hypotheses]


def line(hypotheses: list[Hypothesis], weights: Mapping[str, float], *, method: str) -> str:
    """What decoding would write if it ranked by these weights."""
    scorers = [Own()] + ([LengthNormalizedScorer(0.5)] if LENGTH_NORMALIZED in weights else [])
    ranker = Reranker(scorers=tuple(scorers), weights=weights, finished_first=method == "beam")
    context = Context(turns=("hi",), turn_ids=[[5, 0]])
    (ranked,) = ranker.rerank([context], [hypotheses])
    response = Response(context=("hi",), hypotheses=ranked, num_turns_dropped=0)
    settings = {"generation": {"method": method}, "weights": dict(weights)}
    return format_response(response, "jsonl", settings=settings)


WEIGHTS = st.sampled_from(
    [
        {FORWARD: 1.0},
        {"own": 1.0},
        {"own": 1.0, FORWARD: 0.5},
        {FORWARD: -1.0, "own": 0.0},
        {LENGTH_NORMALIZED: 1.0, "own": 0.25},
    ]
)


@given(found(), WEIGHTS, WEIGHTS, st.sampled_from(["sample", "beam"]))
def test_a_file_in_another_order_is_what_decoding_would_have_written(
    hypotheses: list[Hypothesis],
    first: dict[str, float],
    then: dict[str, float],
    method: str,
) -> None:
    before, after = (json.loads(line(hypotheses, w, method=method)) for w in (first, then))
    ((record, is_other),) = reranked(
        io.StringIO(json.dumps(before)), "f", weights=then, length_penalty=0.5
    )
    # A score that nobody asked for the second time stays.
    for value in record["hypotheses"]:
        if LENGTH_NORMALIZED not in then:
            value["scores"].pop(LENGTH_NORMALIZED, None)
    assert sorted(map(str, record["hypotheses"])) == sorted(map(str, after["hypotheses"]))
    assert [h["text"] for h in record["hypotheses"]] == [h["text"] for h in after["hypotheses"]]
    assert {**record, "hypotheses": 0} == {**after, "hypotheses": 0}
    assert is_other == (after["response"] != before["response"])


def record(**changes: Any) -> dict[str, Any]:
    """A line of two hypotheses."""
    hypotheses = [
        {"text": "no", "num_tokens": 2, "finished": True, "scores": {FORWARD: -1.0, "own": -9.0}},
        {"text": "yes", "num_tokens": 2, "finished": True, "scores": {FORWARD: -2.0, "own": -1.0}},
    ]
    plain = {"context": ["hi"], "response": "no", "is_fallback": False, "hypotheses": hypotheses}
    return {**plain, **changes}


def config_for(folder: Path, *records: dict[str, Any], **changes: Any) -> RerankConfig:
    (folder / "all.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in records), encoding="utf-8"
    )
    options: dict[str, Any] = {
        "candidates": str(folder / "all.jsonl"),
        "scorers": {"own": 1.0},
        "output": str(folder / "new" / "other.jsonl"),
    }
    return RerankConfig(**{**options, **changes})


def test_replies_that_change_are_counted_and_a_fallback_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_left = record(hypotheses=[], is_fallback=True, response="Let us talk of tea.")
    config = config_for(tmp_path, record(), nothing_left)
    write_reranked(config)
    lines = [json.loads(text) for text in Path(config.output).read_text("utf-8").splitlines()]
    assert [one["response"] for one in lines] == ["yes", "Let us talk of tea."]
    assert [h["scores"]["score"] for h in lines[0]["hypotheses"]] == [-1.0, -9.0]
    assert lines[0]["settings"]["weights"] == {"own": 1.0}
    assert "2 contexts: another reply to 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("wrong", "scorers", "message"),
    [
        (record(hypotheses=[]), {"own": 1.0}, "expected candidates under 'hypotheses'"),
        ([1], {"own": 1.0}, "expected candidates under 'hypotheses'"),
        (record(), {"coherence": 1.0}, "score coherence of each hypothesis, found forward"),
        (record(hypotheses=[{"text": 3}]), {"own": 1.0}, "expected a hypothesis with 'text'"),
        (
            record(hypotheses=[{"text": "a", "scores": {FORWARD: float("nan"), "own": 1}}]),
            {"own": 1.0},
            "score forward_log_prob of each hypothesis, found own",
        ),
        (
            record(hypotheses=[{"text": "a", "scores": {FORWARD: -1, "own": True}}]),
            {"own": 1.0},
            "score own of each hypothesis, found forward_log_prob",
        ),
        (
            record(hypotheses=[{"text": "a", "scores": {FORWARD: -1}}]),
            {LENGTH_NORMALIZED: 1.0},
            "needs 'num_tokens'",
        ),
    ],
)
def test_what_cannot_be_ranked_is_refused_and_nothing_is_left(
    tmp_path: Path, wrong: Any, scorers: dict[str, float], message: str
) -> None:
    good = record()
    for hypothesis in good["hypotheses"]:
        hypothesis["scores"] |= dict.fromkeys(scorers, 0.0)
    config = config_for(tmp_path, good, wrong, scorers=scorers)
    with pytest.raises(RecordError) as caught:
        write_reranked(config)
    assert "all.jsonl:2: " in str(caught.value)
    assert message in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_an_output_that_exists_is_kept_and_a_missing_input_is_said(tmp_path: Path) -> None:
    config = config_for(tmp_path, record(), output=str(tmp_path / "all.jsonl"))
    with pytest.raises(UserError, match="exists"):
        write_reranked(config)
    config = config_for(tmp_path, candidates=str(tmp_path / "none.jsonl"))
    with pytest.raises(UserError, match="found nothing there"):
        write_reranked(config)


def test_bytes_that_are_no_text_and_settings_that_are_none_end_in_a_sentence(
    tmp_path: Path,
) -> None:
    config = config_for(tmp_path, record(settings=[1]))
    write_reranked(config)
    Path(config.output).unlink()
    Path(config.candidates).write_bytes(b'{"response": "\xff"}\n')
    with pytest.raises(RecordError, match="expected UTF-8, found the byte 0xff"):
        write_reranked(config)
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize("scorers", [{}, {"own": float("inf")}])
def test_weights_are_finite_and_there(scorers: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="scorers: expected"):
        RerankConfig(candidates="a", output="b", scorers=scorers)
