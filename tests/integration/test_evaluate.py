"""The command from files to files: goldens through it, several systems, people, a model."""

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support_decode import save_model_folder
from support_mteval import golden_lines, plain_mteval

from dialogpt.command_line import UserError, parse_config
from dialogpt.config.evaluation import EvaluateConfig
from dialogpt.evaluate import evaluate_and_report
from dialogpt.evaluation import picture
from dialogpt.evaluation.java import UnavailableError
from dialogpt.records import TestItem

GOLDEN = Path(__file__).parent.parent / "golden" / "metrics"
DSTC = GOLDEN / "dstc"
Evaluate = Callable[..., dict[str, Any]]


def evaluate(tmp_path: Path, *options: str) -> dict[str, Any]:
    """What stands in scores.json."""
    output = tmp_path / "scores"
    argv = [*options, "--output", str(output)]
    evaluate_and_report(*parse_config(EvaluateConfig, argv, prog="evaluate"))
    found: dict[str, Any] = json.loads((output / "scores.json").read_text(encoding="utf-8"))
    return found


def values(found: dict[str, Any], system: str) -> dict[str, float]:
    (scores,) = [one["scores"] for one in found["systems"] if one["name"] == system]
    return {name: score["value"] for name, score in scores.items()}


def write_items(path: Path, *items: TestItem) -> str:
    path.write_text("".join(item.to_json() + "\n" for item in items), encoding="utf-8")
    return str(path)


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all else; one test draws."""
    monkeypatch.setattr("dialogpt.evaluation.picture.has_matplotlib", lambda: False)


@pytest.fixture
def items(tmp_path: Path) -> list[TestItem]:
    words = ["one two", "two three", "three four five", "six", "seven eight nine", "ten"]
    return [
        TestItem(
            id=str(number),
            turns=("Well then", f"Which is it, {word}?"),
            references=(f"It is {word} .", f"maybe {word}"),
            human=f"I say {word} .",
        )
        for number, word in enumerate(words)
    ]


def write_replies(path: Path, items: list[TestItem], reply: Callable[[TestItem], str]) -> str:
    lines = [json.dumps({"context": list(i.turns), "response": reply(i)}) + "\n" for i in items]
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("kind", ["raw", "clean"])
def test_the_golden_numbers_come_out_of_the_command(tmp_path: Path, kind: str) -> None:
    expected = json.loads((DSTC / "expected.json").read_text())[kind]
    references = [str(DSTC / f"ref{number}_{kind}.txt") for number in range(3)]
    system = f"golden={DSTC / f'hyp_{kind}.txt'}"
    found = evaluate(
        tmp_path, "--references", *references, "--systems", system, "--preset", "reddit6k"
    )
    measured = values(found, "golden")
    nist, bleu = (expected["mteval_v14c"][name] for name in ("nist", "bleu"))
    for n in (1, 2, 3, 4):
        assert measured[f"NIST-{n}"] == pytest.approx(nist[n - 1], abs=6e-5)
        assert measured[f"BLEU-{n}"] == pytest.approx(bleu[n - 1], abs=6e-5)
        assert measured[f"Entropy-{n}"] == pytest.approx(expected["entropy"][n - 1], abs=1e-6)
    for n in (1, 2):
        assert measured[f"Dist-{n}"] == pytest.approx(expected["distinct"][n - 1], abs=1e-6)
    assert measured["Avg len"] == pytest.approx(expected["avg_len"])
    assert found["test_set"]["num_segments"] == 12
    assert found["test_set"]["most_references"] == 3


def test_preset_dstc7_cleans_and_fills_the_slots_of_the_script(tmp_path: Path) -> None:
    columns = [golden_lines(f"ref{number}_raw.txt") for number in range(3)]
    cleaned = [golden_lines(f"ref{number}_clean.txt") for number in range(3)]
    items = [
        TestItem(id=str(number), turns=("?",), references=(first, third), human=second)
        for number, (first, second, third) in enumerate(zip(*columns, strict=True))
    ]
    references = write_items(tmp_path / "items.jsonl", *items)
    words = ["--references", references, "--systems", f"golden={DSTC / 'hyp_raw.txt'}"]
    measured = values(evaluate(tmp_path, *words, "--preset", "dstc7", "--no_meteor"), "golden")
    # By an implementation of its own: reference 1 is people's, and 2 stands in its place, too.
    slots = [[a, c, c, a, c, c] for a, _, c in zip(*cleaned, strict=True)]
    expected = plain_mteval(golden_lines("hyp_clean.txt"), slots)
    names = [f"{kind}-{n}" for kind in ("NIST", "BLEU") for n in (1, 2, 3, 4)]
    assert [measured[name] for name in names] == pytest.approx(expected, rel=1e-9)
    golden = json.loads((DSTC / "expected.json").read_text())["clean"]
    assert measured["Avg len"] == pytest.approx(golden["avg_len"])
    assert measured["Dist-1"] == pytest.approx(golden["distinct"][0], abs=1e-6)


def test_preset_dstc7_takes_all_references_where_people_are_not_known(tmp_path: Path) -> None:
    golden = json.loads((DSTC / "expected.json").read_text())["clean"]["mteval_v14c"]
    references = [str(DSTC / f"ref{number}_raw.txt") for number in range(3)]
    words = ["--references", *references, "--systems", f"golden={DSTC / 'hyp_raw.txt'}"]
    measured = values(evaluate(tmp_path, *words, "--preset", "dstc7", "--no_meteor"), "golden")
    assert measured["NIST-2"] == pytest.approx(golden["nist"][1], abs=6e-5)
    assert measured["BLEU-4"] == pytest.approx(golden["bleu"][3], abs=6e-5)


def test_systems_and_people_stand_in_every_file(
    tmp_path: Path, items: list[TestItem], capsys: pytest.CaptureFixture[str]
) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    good = write_replies(tmp_path / "good.jsonl", items, lambda item: item.references[0])
    bad = write_replies(tmp_path / "bad.jsonl", items, lambda item: "no idea")
    systems = ["--systems", f"good={good}", f"b|d={bad}"]
    found = evaluate(tmp_path, "--references", references, *systems, "--no_meteor")
    assert [one["name"] for one in found["systems"]] == ["good", "b|d", "human"]
    assert values(found, "good")["BLEU-4"] == pytest.approx(1.0)
    assert values(found, "b|d")["Duplicate rate"] == 1.0
    out = capsys.readouterr().out
    assert "6 segments, references a segment: 2 (all count)" in out
    assert "METEOR n/a: --no_meteor" in out
    page = (tmp_path / "scores" / "scores.md").read_text(encoding="utf-8")
    assert r"| b\|d |" in page
    assert "**100.00%**" in page
    assert "| NIST-2 | as it is | mteval-v14c | lower | 2 | 6 |" in page
    tex = (tmp_path / "scores" / "scores.tex").read_text(encoding="utf-8")
    assert r"\textbf{100.00\%}" in tex
    with (tmp_path / "scores" / "scores.csv").open(encoding="utf-8", newline="") as source:
        rows = list(csv.DictReader(source))
    of_good = {row["metric"]: row for row in rows if row["system"] == "good"}
    assert of_good["BLEU-4"] | {"value": "", "low": "", "high": "", "note": ""} == {
        "preset": "general",
        "metric": "BLEU-4",
        "system": "good",
        "value": "",
        "low": "",
        "high": "",
        "text": "as it is",
        "tokens": "mteval-v14c",
        "case": "lower",
        "references": "2",
        "slots": "all count",
        "segments": "6",
        "draws": "1000",
        "seed": "0",
        "note": "",
    }
    assert float(of_good["BLEU-4"]["value"]) == pytest.approx(1.0)
    assert of_good["METEOR"]["value"] == ""
    pairs = {(one["first"], one["second"]) for one in found["comparisons"]}
    assert pairs == {("good", "b|d"), ("good", "human"), ("b|d", "human")}
    (one,) = [
        c
        for c in found["comparisons"]
        if (c["metric"], c["first"], c["second"]) == ("BLEU-1", "good", "b|d")
    ]
    assert one["difference"] == pytest.approx(
        values(found, "good")["BLEU-1"] - values(found, "b|d")["BLEU-1"]
    )
    assert one["low"] <= one["difference"] <= one["high"]
    assert one["p"] < 0.05


def test_the_picture_shows_what_has_a_value(
    tmp_path: Path, items: list[TestItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    titles = []

    def noted(panel: Any, evaluation: Any, metric: Any) -> None:
        draw_metric(panel, evaluation, metric)
        titles.append(panel.get_title())

    draw_metric = picture._draw_metric
    monkeypatch.setattr(picture, "has_matplotlib", lambda: True)
    monkeypatch.setattr(picture, "_draw_metric", noted)
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it $is$")
    words = ["--references", references, "--systems", f"a$b$={file}", "--no_meteor"]
    evaluate(tmp_path, *words, "--preset", "plato")
    # No item has knowledge, so no panel has it.
    assert titles == ["B-1", "B-2", "D-1", "D-2", "Len", "Rep, %", "Copy, %", "Dup, %", "Empty, %"]
    written = (tmp_path / "scores" / "scores.png").read_bytes()
    assert written.startswith(b"\x89PNG")


def test_a_baseline_leaves_its_comparisons_only(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is")
    systems = ["--systems", f"a={file}", f"b={file}", "--baseline", "human"]
    found = evaluate(tmp_path, "--references", references, *systems)
    pairs = {(one["first"], one["second"]) for one in found["comparisons"]}
    assert pairs == {("a", "human"), ("b", "human")}


def test_equal_systems_differ_by_nothing(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: f"it is {item.id} or so")
    words = ["--references", references, "--no_human", "--no_meteor"]
    found = evaluate(tmp_path, *words, "--systems", f"a={file}", f"b={file}")
    for one in found["comparisons"]:
        if one["difference"] is not None:  # null: not defined for such replies
            assert (one["difference"], one["p"]) == (0.0, 1.0)


def test_the_order_of_segments_changes_nothing(tmp_path: Path, items: list[TestItem]) -> None:
    found = []
    for order in (items, items[::-1]):
        references = write_items(tmp_path / "items.jsonl", *order)
        file = write_replies(tmp_path / "a.jsonl", order, lambda item: f"it is {item.id} or so")
        found.append(evaluate(tmp_path, "--references", references, "--systems", f"a={file}"))
    first, second = (values(one, "a") for one in found)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert second[name] == (value if value is None else pytest.approx(value))


@pytest.mark.parametrize("preset", ["plato", "avsd"])
def test_the_other_presets_have_their_columns(
    tmp_path: Path, items: list[TestItem], preset: str
) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: item.references[0])
    words = ["--references", references, "--systems", f"a={file}", "--preset", preset]
    found = evaluate(tmp_path, *words, "--no_meteor")
    measured = values(found, "a")
    if preset == "plato":
        # A perfect copy of four words or more, by smoothing method 7 (nltk <= 3.4.5).
        assert 1.2 < measured["BLEU-1 (PLATO)"] <= 1.3334
        assert {metric["case"] for metric in found["metrics"]} == {"lower"}
    else:
        assert measured["ROUGE-L"] == pytest.approx(1.0)
        assert measured["BLEU-1 (COCO)"] == pytest.approx(1.0, abs=1e-6)
    names = [metric["name"] for metric in found["metrics"]]
    assert set(names) <= measured.keys() | {"METEOR"}


def test_what_java_would_give_says_why_it_does_not(
    tmp_path: Path, items: list[TestItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> str:
        raise UnavailableError("no Java here")

    monkeypatch.setattr("dialogpt.evaluation.meteor.java_program", missing)
    monkeypatch.setattr("dialogpt.evaluation.meteor.shipped_jar", lambda *parts: Path("x.jar"))
    monkeypatch.setattr("dialogpt.evaluation.ptb.java_program", missing)
    monkeypatch.setattr("dialogpt.evaluation.ptb.shipped_jar", lambda *parts: Path("x.jar"))
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is")
    words = ["--references", references, "--systems", f"a={file}"]
    found = evaluate(tmp_path, *words)
    assert found["missing"] == {"METEOR": "no Java here"}
    assert values(found, "a")["METEOR"] is None
    with pytest.raises(UserError, match="--ptb_tokenizer: no Java here"):
        evaluate(tmp_path, *words, "--preset", "avsd", "--ptb_tokenizer")


def test_a_model_that_heeds_nothing_is_told(
    tmp_path: Path, items: list[TestItem], caplog: pytest.LogCaptureFixture
) -> None:
    model = save_model_folder(tmp_path / "model", seed=1)
    references = write_items(tmp_path / "items.jsonl", *items)
    options = ["--references", references, "--language_model.model", str(model)]
    found = evaluate(tmp_path, *options, "--language_model.device", "cpu")
    assert [one["name"] for one in found["systems"]] == ["human"]
    scores = {name: score["value"] for name, score in found["model"]["scores"].items()}
    # Wild weights are worse than chance over the 261 tokens.
    assert scores["Perplexity a token"] > 261
    assert math.log(scores["Perplexity a word"]) > math.log(scores["Perplexity a token"])
    assert "does not heed" in caplog.text


def test_an_answer_without_another_one_beside_it_is_left_out(
    tmp_path: Path, items: list[TestItem], caplog: pytest.LogCaptureFixture
) -> None:
    model = save_model_folder(tmp_path / "model", seed=1)
    references = write_items(tmp_path / "items.jsonl", *items[:5])
    options = ["--references", references, "--language_model.model", str(model)]
    options += ["--language_model.device", "cpu", "--language_model.batch_items", "2"]
    found = evaluate(tmp_path, *options)
    assert found["model"]["scores"]["Context helps"]["num_segments"] == 4
    assert "1 answers left out" in caplog.text


def test_no_picture_of_former_scores_stays(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "scores.png").write_bytes(b"of other systems")
    evaluate(tmp_path, "--references", references, "--no_meteor")
    assert not (tmp_path / "scores" / "scores.png").exists()


def test_nothing_is_written_where_files_do_not_go_together(
    tmp_path: Path, items: list[TestItem]
) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items[:-1], lambda item: "it is")
    with pytest.raises(UserError, match=r"expected a reply of a to item 6"):
        evaluate(tmp_path, "--references", references, "--systems", f"a={file}")
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--systems", "file"], "systems must be NAME=FILE"),
        (["--systems", " =x"], "systems must be NAME=FILE"),
        (["--systems", "a\nb=x"], "systems must have names of one line"),
        (["--systems", "a=x", "a=y"], "systems must have different names"),
        (["--systems", "human=x"], "human is a name of its own"),
        (["--systems", "a=x", "--baseline", "b"], "baseline must be one of"),
        (["--draws", "3"], "draws must be >= 100"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_config(EvaluateConfig, ["--references", "r", *options], prog="evaluate")
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_numbers_on_some_segments_say_on_how_many(tmp_path: Path, items: list[TestItem]) -> None:
    some = [replace(items[0], knowledge=("it is one",)), *items[1:]]
    references = write_items(tmp_path / "items.jsonl", *some)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is one")
    words = ["--references", references, "--systems", f"a={file}", "--preset", "plato"]
    (scores,) = [one["scores"] for one in evaluate(tmp_path, *words)["systems"][:1]]
    assert scores["Knowledge R"] == {"value": 1.0, "low": None, "high": None, "num_segments": 1}
    page = (tmp_path / "scores" / "scores.md").read_text(encoding="utf-8")
    assert "| 1 of 6 |" in page
    assert "| BLEU-1 (PLATO) | words of BERT-uncased, contractions joined | single blanks " in page
    assert "| 1 | 6 |" in page  # one reference counts


def test_few_segments_get_no_stars_and_no_p_of_0(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    good = write_replies(tmp_path / "good.jsonl", items, lambda item: item.references[0])
    bad = write_replies(tmp_path / "bad.jsonl", items, lambda item: "no")
    words = ["--references", references, "--systems", f"good={good}", f"bad={bad}"]
    evaluate(tmp_path, *words, "--no_meteor")
    page = (tmp_path / "scores" / "scores.md").read_text(encoding="utf-8")
    assert "<0.001 |" in page
    assert " * |" not in page
    assert "With fewer than 30 segments" in page


@pytest.mark.parametrize("place", [0, 3])
def test_items_with_and_without_people_are_refused(
    tmp_path: Path, items: list[TestItem], place: int
) -> None:
    items[place] = replace(items[place], human=None)
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is")
    with pytest.raises(UserError, match="give all items one, or none"):
        evaluate(tmp_path, "--references", references, "--systems", f"a={file}")


def test_people_as_baseline_who_are_not_there_are_missed_at_once(
    tmp_path: Path, items: list[TestItem]
) -> None:
    nobody = [replace(item, human=None) for item in items]
    references = write_items(tmp_path / "items.jsonl", *nobody)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is")
    words = ["--references", references, "--systems", f"a={file}", "--baseline", "human"]
    with pytest.raises(UserError, match="--baseline human: expected one of the systems"):
        evaluate(tmp_path, *words)


def test_halves_of_characters_are_read(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    file = write_replies(tmp_path / "a.jsonl", items, lambda item: "it is \ud83d \U0001f600")
    words = ["--references", references, "--systems", f"\U0001f600={file}", "--preset", "plato"]
    assert values(evaluate(tmp_path, *words), "\U0001f600")["Avg len"] == 4.0


def test_a_place_for_no_folder_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    argv = ["--references", "nothing", "--output", str(tmp_path / "file" / "folder")]
    with pytest.raises(UserError, match="expected a place for a folder, found the file"):
        evaluate_and_report(*parse_config(EvaluateConfig, argv, prog="evaluate"))


def test_nothing_to_score_is_said(tmp_path: Path, items: list[TestItem]) -> None:
    references = write_items(tmp_path / "items.jsonl", *items)
    with pytest.raises(UserError, match="expected systems to score, found none"):
        evaluate(tmp_path, "--references", references, "--no_human")
