"""From judgments, DSTC7's files or counts to files of numbers and tables."""

import csv
import json
import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from support_judgments import (
    answer,
    answers_record,
    judged_by,
    judgment,
    plan_item,
    plan_record,
)

from dialogpt.command_line import UserError
from dialogpt.config.humaneval import AnalyzeConfig
from dialogpt.humaneval.analysis import analyze
from dialogpt.humaneval.judgments import Judgment, as_lines
from dialogpt.humaneval.published import COUNTS_COLUMNS, read_dstc7
from dialogpt.records import RecordError
from dialogpt.table_formats import Table, csv_text, latex, markdown, plain

TABLE_7 = Path(__file__).parents[2] / "golden" / "metrics" / "human" / "dialogpt_table7_8.json"


def analyzed(folder: Path, judgments: list[Judgment], *, to: str = "out", **options: Any) -> Any:
    source = folder / "judgments.jsonl"
    source.write_text(as_lines(judgments), encoding="utf-8")
    return of_file(source, folder / to, **options)


def of_file(source: Path, output: Path, **options: Any) -> Any:
    name = "counts" if "counts" in source.name else "answers"
    config = AnalyzeConfig(output=str(output), **{name: str(source), "draws": 200, **options})
    assert analyze(config) == 0
    return json.loads((output / "analysis.json").read_text(encoding="utf-8"))


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(path.read_text(encoding="utf-8"))))


def cast(num: int = 12, *, seed: int = 0) -> list[Judgment]:
    rng = random.Random(seed)
    words = ["first", "neutral", "second"]
    return [
        one
        for aspect in ("relevance", "human_likeness")
        for one in judged_by([rng.choices(words, k=3) for _ in range(num)], aspect=aspect)
    ]


def test_preferences_stand_in_all_files_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = analyzed(tmp_path, cast())
    (one, two) = found["preferences"]
    assert (one["aspect"], two["aspect"]) == ("relevance", "human_likeness")
    assert one["first"] + one["neutral"] + one["second"] == 36
    (row, _) = rows_of(tmp_path / "out" / "preferences.csv")
    assert float(row["share_first_value"]) == one["share_first"]["value"] == one["first"] / 36
    assert float(row["share_difference_p_value"]) == one["share_difference"]["p_value"]
    assert row["systems"] == "a; b"
    cell = f"{one['neutral']} ({one['neutral'] / 36:.0%})"
    printed = capsys.readouterr().out
    page = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    tex = (tmp_path / "out" / "tables.tex").read_text(encoding="utf-8")
    assert f"| {cell} |" in page
    assert f"& {cell.replace('%', chr(92) + '%')} &" in tex
    assert f"  {cell}  " in printed
    assert "Human-likeness" in page  # as judges saw it
    assert found["mean_kappa"] is not None
    assert len(rows_of(tmp_path / "out" / "judges.csv")) == len(found["judges"]) == 3
    assert len(rows_of(tmp_path / "out" / "agreements.csv")) == len(found["agreements"]) == 4


def test_the_table_of_uncertainty_gives_each_system_its_own_share(tmp_path: Path) -> None:
    analyzed(tmp_path, judged_by([["first"]] * 6 + [["neutral"]] * 3 + [["second"]]))
    page = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if "| a vs b |" in line and "0.6000" in line)
    cells = [cell.strip() for cell in row.split("|")]
    assert [cells[n] for n in (3, 6, 9)] == ["0.6000", "0.1000", "0.5000"]


def test_aspects_stand_in_the_order_of_the_page_whoever_answered_first(tmp_path: Path) -> None:
    order = ("relevance", "informativeness", "human_likeness")
    judgments = [
        one for aspect in reversed(order) for one in judged_by([["first", "second"]], aspect=aspect)
    ]
    found = analyzed(tmp_path, judgments[:-1])
    assert tuple(one["aspect"] for one in found["preferences"]) == order


def test_the_order_of_the_lines_changes_nothing(tmp_path: Path) -> None:
    judgments = cast()
    shuffled = [
        j
        for aspect in ("relevance", "human_likeness")
        for j in judgments[::-1]
        if j.aspect == aspect
    ]
    first = analyzed(tmp_path, judgments, to="first")
    assert analyzed(tmp_path, shuffled, to="second") == first
    assert analyzed(tmp_path, judgments, to="third", seed=1) != first


def failing(judge: str, *passed: bool) -> list[Judgment]:
    return [
        judgment("first", judge=judge, item=f"check-{n}", purpose="spam_check", passed=ok)
        for n, ok in enumerate(passed)
    ]


def test_who_fails_too_many_checks_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    judgments = [
        *cast(),
        *failing("judge-000", True, True, True, False),
        *failing("judge-001", False, False, True, True),
        *failing("judge-002", True, True, True, True),
    ]
    without = analyzed(tmp_path, judgments, to="without")
    said = capsys.readouterr().out
    assert without["left_out"] == [
        {
            "judge": "judge-001",
            "num_judgments": 24,
            "reason": "failed 2 of 4 items with a known answer",
        }
    ]
    assert "left out: judge-001 (24 judgments), failed 2 of 4 items with a known answer" in said
    kept = [j for j in cast() if j.judge != "judge-001"]
    assert without["preferences"] == analyzed(tmp_path, kept, to="kept")["preferences"]
    everyone = analyzed(tmp_path, judgments, to="all", exclude_spam=False)
    assert everyone["left_out"] == []
    assert everyone["preferences"] == analyzed(tmp_path, cast(), to="cast")["preferences"]
    spam = [*failing("judge-000", False, False), judgment("first", judge="judge-000")]
    with pytest.raises(UserError, match=r"found 1, all of the 1 judges .*--no_exclude_spam keeps"):
        analyzed(tmp_path, spam, to="none")
    for options in ({}, {"exclude_spam": False}):
        with pytest.raises(UserError, match="found 2, all on items with a known answer; run") as no:
            analyzed(tmp_path, spam[:2], to="none", **options)
        assert "exclude_spam" not in str(no.value)


@pytest.mark.parametrize("kind", ["answers", "plan"])
def test_a_file_of_another_step_is_named(tmp_path: Path, kind: str) -> None:
    plan = plan_record([plan_item("item-1", ["a", "b"])], {"judge-001": ["item-1"]})
    record = answers_record("judge-001", [answer("item-1", "first")], plan=plan)
    source = tmp_path / "judgments.json"
    record = plan if kind == "plan" else record
    source.write_text(json.dumps(record, indent=1), encoding="utf-8")
    found = {"plan": "a plan", "answers": "the answers of one judge"}[kind]
    with pytest.raises(UserError, match=rf"json: expected .* found {found}; run `collect`, and"):
        of_file(source, tmp_path / "out")


def test_who_answers_no_item_with_a_known_answer_is_left_out(tmp_path: Path) -> None:
    judgments = [*cast(), *failing("judge-000", True), *failing("judge-002", True, True)]
    found = analyzed(tmp_path, judgments)
    assert [(one["judge"], one["reason"]) for one in found["left_out"]] == [
        ("judge-001", "answered 0 of 2 items with a known answer")
    ]
    everyone = analyzed(tmp_path, judgments, to="all", exclude_spam=False)
    assert everyone["left_out"] == []
    assert everyone["judges"][1]["flags"][0] == "answered 0 of 2 items with a known answer"


def test_two_contexts_where_all_agree_are_no_proof(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analyzed(tmp_path, judged_by([["first"] * 3] * 2))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Relevance", "a", "6", "(100%)", "0", "(0%)", "0", "(0%)", "b"] in lines
    (row,) = (line for line in lines if line[1:4] == ["a", "vs", "b"] and "1.0000" in line)
    none = ["n/a", "n/a"]
    assert row[4:] == ["1.0000", *none, "0.0000", *none, "1.0000", *none, "0.5000"]


def test_ratings_make_the_tables_of_plato_and_dstc7(tmp_path: Path) -> None:
    judgments = judged_by([[2, 2, 0], [0, 1, 2], [1, 1, 1]], aspect="fluency")
    judgments += judged_by([[0, 0, 0], [0, 1, 0], [2, 2, 2]], aspect="fluency", systems=("b",))
    found = analyzed(tmp_path, judgments)
    a, b = found["ratings"]
    assert a["majority_mean"]["value"] == pytest.approx(4 / 3)
    assert b["majority_mean"]["value"] == pytest.approx(2 / 3)
    assert a["num_without_majority"] == 1
    page = (tmp_path / "out" / "tables.md").read_text(encoding="utf-8")
    assert "| a | **1.333** |\n| b | 0.667 |" in page
    assert "the median is taken: 1 of 6." in page
    (difference,) = found["rating_differences"]
    assert difference["mean_difference"]["value"] == pytest.approx(10 / 9 - 7 / 9)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "analysis.json",
        "tables.md",
        "tables.tex",
        "ratings.csv",
        "rating_differences.csv",
        "agreements.csv",
        "judges.csv",
    }


def test_published_counts_give_tables_7_and_8(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = []
    golden = json.loads(TABLE_7.read_text(encoding="utf-8"))
    for name, row in golden.items():
        if not name.startswith("_"):
            pair, aspect = name.split(" ")
            first, second = pair.split("v")
            rows.append([f"system {first}", f"system {second}", aspect, *row["counts"].values()])
    counts = tmp_path / "counts.csv"
    with counts.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([COUNTS_COLUMNS, *rows])
    with pytest.raises(UserError, match="add --resample judgment"):
        of_file(counts, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    found = of_file(counts, tmp_path / "out", resample="judgment", draws=10_000)
    assert len(found["preferences"]) == 18
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Relevance system 2 2671 (45%) 513 (9%) 2816 (47%) system 1" in said
    assert "Informative system 2 2722 (45%) 234 (4%) 3044 (51%) *** system 1" in said
    assert "Majority votes" not in said
    published = [row["published"] for name, row in golden.items() if not name.startswith("_")]
    told = [
        (row["p"], one["stars"], one["share_difference"]["p_value"])
        for row, one in zip(published, found["preferences"], strict=True)
    ]
    # Of 10,000 draws none was as large, and the paper prints ****; by the exact test it is ***.
    assert [p for paper, stars, p in told if paper == 0 and stars != "****"] == [
        pytest.approx(2.4e-5, abs=1e-6)
    ]
    assert not any(stars == "****" for paper, stars, _ in told if paper > 0)
    note = "* p <= .01, ** p <= .001, *** p <= .0001, **** p <= .00001"
    assert any(note in line for line in said)
    for _, stars, p in told:
        assert len(stars) == sum(p <= level for level in (1e-2, 1e-3, 1e-4, 1e-5))
    as_json = tmp_path / "counts.json"
    records = [dict(zip(COUNTS_COLUMNS, row, strict=True)) for row in rows]
    as_json.write_text(json.dumps(records), encoding="utf-8")
    again = of_file(as_json, tmp_path / "json", resample="judgment", draws=10_000)
    assert again["preferences"] == found["preferences"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,b,x,1,2", "csv:2, 'second': expected a whole number of at least 0, found None"),
        ("a,b,x,1,2,-3", "csv:2, 'second': expected a whole number of at least 0, found '-3'"),
        ("a,b,x,0,0,0", "csv:2: expected 1 to 10,000,000 judgments"),
        ("a,b,x,1,2,99999999", "csv:2: expected 1 to 10,000,000 judgments"),
        (f"a,b,x,1,2,{'9' * 5000}", "csv:2, 'second': expected a whole number"),
        (f"{'a' * 200_000},b,x,1,2,3", "csv:2: expected CSV, found 'field larger than"),
        ("a,b,x,1,2,3\na,b,x,1,2,3", "csv:3: expected each pair and aspect once"),
        ("a,b,x,1,2,3\nb,a,x,3,2,1", "csv:3: expected each pair and aspect once"),
        ("a,a,x,1,2,3", "csv:2: expected two different systems"),
        ("", "csv: expected a comparison a row, found none"),
    ],
)
def test_counts_that_are_none_are_refused(tmp_path: Path, row: str, message: str) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text(f"{','.join(COUNTS_COLUMNS)}\n{row}\n", encoding="utf-8")
    with pytest.raises(UserError, match=message):
        of_file(counts, tmp_path / "out", resample="judgment")
    counts.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(UserError, match="csv:1: expected columns system_1, system_2, aspect"):
        of_file(counts, tmp_path / "out", resample="judgment")


DSTC7 = """JudgeID\tInstanceID\tSystemID\tRelevance\tInformativeness
7\tx\tTeamA\t5\t1
8\tx\tTeamA\t3\t2
7\ty\tTeamA\t1\t1
7\tx\tTeamCE\t4\t4
9\tx\tTeamEC\t2\t4
8\ty\tTeamEC\t2\t5
"""


def test_who_judges_a_reply_of_dstc7_twice_counts_twice_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The means that were published with these files count so."""
    source = tmp_path / "judges.tsv"
    source.write_text(DSTC7 + "7\tx\tTeamA\t1\t1\n9\tx\tTeamCE\t1\t1\n", encoding="utf-8")
    found = of_file(source, tmp_path / "out")
    said = "1 of 8 rows judge a reply that their judge has judged before; all count, as in DSTC7"
    assert found["notes"] == [said]  # TeamCE and TeamEC are two systems in the file
    assert said in capsys.readouterr().out
    rating = next(one for one in found["ratings"] if one["system"] == "TeamA")
    assert rating["instance_mean"]["value"] == (3 + 1) / 2
    source.write_text(DSTC7, encoding="utf-8")
    assert of_file(source, tmp_path / "once")["notes"] == []


def test_dstc7s_files_are_read_as_they_were_published(tmp_path: Path) -> None:
    source = tmp_path / "judges.tsv"
    source.write_bytes(b"\xef\xbb\xbf" + DSTC7.encode())
    found = of_file(source, tmp_path / "out")
    ratings = {(one["system"], one["aspect"]): one for one in found["ratings"]}
    assert {system for system, _ in ratings} == {"TeamA", "TeamCE"}  # the same system, merged
    assert ratings["TeamA", "Relevance"]["instance_mean"]["value"] == (4 + 1) / 2
    assert ratings["TeamCE", "Relevance"]["instance_mean"]["value"] == (3 + 2) / 2
    assert ratings["TeamCE", "Informativeness"]["num_judgments"] == 3
    assert found["judges"][0]["mean_seconds"] is None
    older = DSTC7.replace("InstanceID\tSystemID", "Hash\tTeam").replace("\n", "\r\n")
    source.write_bytes(older.encode())
    assert of_file(source, tmp_path / "older") == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("5\t1\n", "6\t1\n"), "tsv:2, Relevance: expected an integer from 1 to 5, found '6'"),
        (("5\t1\n", "5\n"), "tsv:2: expected 5 columns"),
        (("SystemID", "Name"), "tsv:1: expected columns JudgeID, InstanceID, SystemID and aspects"),
        (("\tRelevance\tInformativeness", ""), "tsv:1: expected columns"),
    ],
)
def test_a_dstc7_file_that_is_none_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    source = tmp_path / "judges.tsv"
    source.write_text(DSTC7.replace(*change, 1), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_dstc7(source)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    analyzed(tmp_path, cast())
    with pytest.raises(UserError, match="expected a new or empty folder, found other files"):
        analyzed(tmp_path, cast())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": 1}, "jsonl:2, 'value': expected one of first, neutral, second, found 1"),
        ({"systems": ["a"]}, "jsonl:2, 'systems': expected the systems of 'shown', sorted"),
        ({"systems": ["b", "a"]}, "jsonl:2, 'systems': expected the systems of 'shown', sorted"),
        ({"aspect": "fluency"}, "jsonl:2, 'aspect': expected one of relevance, informativeness"),
        ({"started": "now"}, "jsonl:2, 'started': expected a time such as"),
        *(
            ({"item": "item-0", "judge": "judge-9", **change}, "item 'item-0': expected what stan")
            for change in (
                {"context_index": 0, "purpose": "spam_check"},
                {"context_index": 0, "shown": ["b", "a"]},
                {"context_index": 0, "systems": ["a", "c"], "shown": ["a", "c"]},
                {"context_index": 3},
            )
        ),
        ({"study": "t"}, "jsonl:2: expected study 's' of pairwise, found 't'"),
        ({"item": "item-0"}, "jsonl:2: expected each judge, item and aspect once"),
        ({"passed": 1}, "jsonl:2, 'passed': expected true or false, found 1"),
    ],
)
def test_a_line_that_is_no_judgment_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    first, second = judged_by([["first"], ["second"]])
    lines = [first.to_json(), json.dumps({**json.loads(second.to_json()), **change})]
    (tmp_path / "judgments.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        of_file(tmp_path / "judgments.jsonl", tmp_path / "out")


@pytest.mark.parametrize("content", [None, b"", b"\xff\n", b"{\n"])
def test_a_file_without_judgments_is_refused(tmp_path: Path, content: bytes | None) -> None:
    source = tmp_path / "judgments.jsonl"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises((UserError, RecordError), match=r"judgments\.jsonl(:1)?: expected"):
        of_file(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


HOSTILE = "=1+1|<b>*x*\x1b[31m\n\\input{y}"


def test_names_do_not_act_in_any_table() -> None:
    table = Table(title=HOSTILE, head=["system", "n"], rows=[[HOSTILE, "1"]], note=HOSTILE)
    for text in (markdown(table), latex(table), plain(table), csv_text([{"system": HOSTILE}])):
        assert "\x1b" not in text
    assert r"| =1+1\|\<b\>\*x\*\[31m \\input{y} | 1 |" in markdown(table)
    tex = latex(table)
    assert r"\textbackslash{}input\{y\}" in tex
    assert all(line.startswith("%") for line in tex.splitlines() if r"\input" in line)
    assert csv_text([{"system": HOSTILE}]).splitlines()[1].startswith("'=1+1")


def test_values_within_values_become_columns() -> None:
    text = csv_text([{"a": {"b": 0.1, "c": None}, "d": ("x", "y")}, {"e": -1.5}])
    assert text.splitlines() == ["a_b,a_c,d,e", "0.1,,x; y,", ",,,-1.5"]


def test_the_counts_that_come_with_the_project_are_those_of_the_paper() -> None:
    path = Path(__file__).parents[3] / "configs" / "humaneval" / "dialogpt_table7.csv"
    names = ["Human", "DialoGPT 345M", "PersonalityChat"]
    names += ["DialoGPT 345M MMI", "DialoGPT 345M Beam", "DialoGPT 762M"]
    found = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            first, second = (names.index(row[f"system_{side}"]) + 1 for side in (1, 2))
            counts = {name: int(row[name]) for name in ("first", "neutral", "second")}
            found[f"{first}v{second} {row['aspect']}"] = counts
    golden = json.loads(TABLE_7.read_text(encoding="utf-8"))
    assert found == {
        name: row["counts"] for name, row in golden.items() if not name.startswith("_")
    }
