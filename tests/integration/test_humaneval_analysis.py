"""A study from the replies to the tables, by its commands, with judges that are made up."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support_judgments import EXPORTED, STARTED, save

from dialogpt.humaneval.__main__ import main
from dialogpt.humaneval.answers import VALUES

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "then", "it"]
Choose = Callable[[dict[str, Any], str, random.Random], Any]


def write_systems(folder: Path, num: int = 40) -> list[str]:
    rng = random.Random(0)
    named = []
    contexts = [[" ".join(rng.choices(WORDS, k=6))] for _ in range(num)]
    for name in ("small", "large", "human"):
        path = folder / f"{name}.jsonl"
        lines = [
            {"context": turns, "response": f"{name} says " + " ".join(rng.sample(WORDS, 9))}
            for turns in contexts
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        named.append(f"{name}={path}")
    return named


def answer_pages(folder: Path, plan: dict[str, Any], choosers: dict[str, Choose]) -> None:
    """A file for each judge, as the page writes it."""
    items = {item["id"]: item for item in plan["items"]}
    for number, judge in enumerate(plan["judges"]):
        rng = random.Random(number)
        choose = choosers.get(judge["name"], likes_the_better)
        answers = [
            {
                "item": id_,
                "values": {a: choose(items[id_], a, rng) for a in plan["aspects"]},
                "seconds": round(rng.uniform(5, 20), 1),
                "comment": "",
            }
            for id_ in judge["items"]
        ]
        record = {key: plan[key] for key in ("study", "kind")}
        record |= {"format": "dialogpt-humaneval-answers", "version": 1, "judge": judge["name"]}
        record |= {"started": STARTED, "exported": EXPORTED, "complete": True, "answers": answers}
        save(folder / f"{judge['name']}.json", record)


RANK = {"small": 0, "large": 1, "human": 2}


def likes_the_better(item: dict[str, Any], aspect: str, rng: random.Random) -> Any:
    """Right about what is known; else mostly for the better system, whatever its place."""
    if item["expected"] and aspect in item["expected"]:
        return item["expected"][aspect][0]
    ranks = [RANK.get(one["system"], 0) for one in item["shown"]]
    if len(ranks) == 1:
        return min(max(ranks[0] + rng.choice([0, 0, 0, -1, 1]), 0), 2)
    better = "first" if ranks[0] > ranks[1] else "second"
    return rng.choices([better, "neutral", "first", "second"], [6, 1, 1, 1])[0]


def does_not_look(item: dict[str, Any], aspect: str, rng: random.Random) -> Any:
    return VALUES["pairwise"][0] if len(item["shown"]) > 1 else VALUES["rating_0_2"][-1]


@pytest.mark.parametrize("step", ["make", "collect", "analyze"])
def test_an_output_that_cannot_be_written_is_named_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], step: str
) -> None:
    study, merged, blocked = tmp_path / "study", tmp_path / "merged.jsonl", tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    systems = write_systems(tmp_path)
    words = {
        "make": ["--systems", *systems, "--num_items", "2", "--output", str(study)],
        "collect": ["--plan", str(study / "plan.json"), "--answers", str(tmp_path / "answers")],
        "analyze": ["--answers", str(merged), "--draws", "10"],
    }
    words["collect"] += ["--output", str(merged)]
    if step != "make":
        main(["make", *words["make"]])
        plan = json.loads((study / "plan.json").read_text(encoding="utf-8"))
        answer_pages(tmp_path / "answers", plan, {})
    if step == "analyze":
        main(["collect", *words["collect"]])
    with pytest.raises(SystemExit) as ended:
        main([step, *words[step], "--output", str(blocked / "deeper")])
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert f"error: {blocked / 'deeper'}: expected an output that can be written, found" in said
    assert "name another --output" in said


@pytest.mark.parametrize("kind", ["pairwise", "rating_0_2"])
def test_what_judges_think_comes_out_and_who_does_not_look_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    study, out = tmp_path / "study", tmp_path / "results"
    options = ["--kind", kind, "--num_items", "20", "--num_judges", "4", "--judges_per_item", "4"]
    main(["make", "--systems", *write_systems(tmp_path), "--output", str(study), *options])
    plan = json.loads((study / "plan.json").read_text(encoding="utf-8"))
    answer_pages(tmp_path / "answers", plan, {"judge-002": does_not_look})
    merged = str(tmp_path / "judgments.jsonl")
    answers = str(tmp_path / "answers")
    main(["collect", "--plan", str(study / "plan.json"), "--answers", answers, "--output", merged])
    main(["analyze", "--answers", merged, "--output", str(out), "--draws", "1000"])
    found = json.loads((out / "analysis.json").read_text(encoding="utf-8"))
    said = capsys.readouterr().out
    assert "judge-002: 70 of 70 items, complete" in said
    assert "left out: judge-002" in said
    assert [one["judge"] for one in found["left_out"]] == ["judge-002"]
    num_groups = 3 * len(plan["aspects"])
    if kind == "pairwise":
        assert len(found["preferences"]) == num_groups
        for one in found["preferences"]:
            better = max(one["systems"], key=RANK.__getitem__)
            shares = dict(zip(one["systems"], ("share_first", "share_second"), strict=True))
            worse = min(one["systems"], key=RANK.__getitem__)
            assert one[shares[better]]["value"] > one[shares[worse]]["value"] + 0.3
            assert one["share_difference"]["p_value"] < 0.05
            assert one["num_items"] == 20
    else:
        assert len(found["ratings"]) == num_groups
        means = {(o["system"], o["aspect"]): o["majority_mean"]["value"] for o in found["ratings"]}
        for aspect in plan["aspects"]:
            assert means["small", aspect] < means["large", aspect] < means["human", aspect]
