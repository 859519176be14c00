"""The page of `python -m data_prep report`, read as a browser reads it."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support_dumps import (
    REAL_DUMPS,
    all_dialogues,
    comment,
    counts_of,
    needs_real_dumps,
    run_extract,
    write_dump,
)

from data_prep.dialogues import read_dialogues
from data_prep.importing.importer import main as import_main
from data_prep.reporting.folder import OPTIONAL_FILES
from data_prep.reporting.formats import number, percent
from data_prep.reporting.report import main
from dialogpt.records import SPLITS, read_test_items

pytest.importorskip("matplotlib")

VOID = {"meta", "link", "br", "img", "input", "hr", "use"}
HOSTILE = [
    "<script>alert(1)</script> and the </style> of it",
    '"><img src=http://evil.example/x onerror=alert(1)> is the a',
    "the \u202egnp.exe\u202c of the \u2066 and a",
    "the " + "A" * 10_000 + " of a",
    "the {{ 7 * 7 }} of {% raw %} a",
    "the Z" + "\u0351\u036b\u0343" * 100 + " of a",
    "$x^2$ is the \\frac{1}{2} of a",
]


class Page(HTMLParser):
    """A page as headings with tables below them; every element must be closed in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: dict[str, list[list[list[str]]]] = {}
        self.texts: list[str] = []
        self._open: list[str] = []
        self._heading = ""
        self._styles: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self._heading = ""
        elif tag == "table":
            self.tables.setdefault(self._heading, []).append([])
        elif tag == "tr":
            self.tables[self._heading][-1].append([])
        elif tag in ("td", "th"):
            self.tables[self._heading][-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            self._styles.append(data)
            return
        self.texts.append(data)
        if self._open and self._open[-1] in ("h1", "h2", "h3"):
            self._heading += data
        elif "table" in self._open and {"td", "th"} & {*self._open} and "small" not in self._open:
            self.tables[self._heading][-1][-1][-1] += data.strip()

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def style(self) -> str:
        return "".join(self._styles)

    def rows(self, heading: str, table: int = 0) -> dict[str, list[str]]:
        """First cell of a row -> the others; the table's own head under ""."""
        return {row[0]: row[1:] for row in self.tables[heading][table]}


def write_dumps(folder: Path) -> Path:
    """Two months: threads of all kinds, hostile text, and lines that hold no comment."""
    for month, name in (("01", "RC_2015-01"), ("02", "RC_2015-02")):
        records = []
        for thread in range(60):
            link = f"t3_{month}{thread}"
            values = {"link_id": link, "subreddit": ["one", "Two", "three"][thread % 7 % 3]}
            root, reply = f"r{month}{thread}", f"s{month}{thread}"
            text = HOSTILE[thread % len(HOSTILE)]
            records += [
                comment(root, link, body=f"What is the answer {thread}? {text}", **values),
                comment(reply, f"t1_{root}", body=text, score=thread - 5, **values),
                comment(f"u{month}{thread}", f"t1_{root}", body="It is the same!", **values),
                comment(f"x{month}{thread}", f"t1_{root}", body="see http://x.com/a", **values),
                comment(f"w{month}{thread}", link, body=f"It is alone {thread}", **values),
                comment(f"y{month}{thread}", link, body="&gt; quoted \u202egnp.exe", **values),
                comment(f"z{month}{thread}", link, body="[deleted]", **values),
            ]
            if thread % 3 == 0:
                short = ["It is", "Yes, it is"][thread % 2]
                records.append(comment(f"q{month}{thread}", f"t1_{root}", body=short, **values))
            if thread % 2:
                values |= {"score": 7, "author": f"author of {root}"}
                records.append(
                    comment(f"v{month}{thread}", f"t1_{reply}", body="It was the end.", **values)
                )
        path = write_dump(folder, records, name)
        path.write_bytes(path.read_bytes() + b'{"id": <script>\n')
    return folder


@pytest.fixture(scope="module")
def extracted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("extracted")
    options = ["--split.test_fraction", "0.3", "--multiref.min_responses", "2"]
    dumps = write_dumps(folder / "dumps")
    assert run_extract(dumps, folder / "out", *options, "--filters.bland_count", "100") == 0
    return folder / "out"


@pytest.fixture(scope="module")
def html(extracted, tmp_path_factory) -> str:
    return page_of(extracted, tmp_path_factory.mktemp("report") / "report")


@pytest.fixture(scope="module")
def page(html) -> Page:
    return Page(html)


def page_of(folder: Path, output: Path, *options: str) -> str:
    main([str(folder), "--output", str(output), *options])
    return (output / "index.html").read_text(encoding="utf-8")


def rows_of(folder: Path) -> list[dict]:
    return [
        {**row, "split": split}
        for split in SPLITS
        for batch in read_dialogues(folder, split)
        for row in batch.to_pylist()
    ]


def quantile_row(values: list[int]) -> list[str]:
    """What stands below a histogram, from a sorted list."""
    ordered = sorted(values)
    shares = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
    quantiles = [ordered[math.ceil(share * len(ordered) - 1e-9) - 1] for share in shares]
    return [
        *(number(q) for q in (ordered[0], *quantiles, ordered[-1])),
        number(sum(ordered) / len(ordered)),
    ]


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are painted and not drawn, which takes most of the time: for tests of the text."""
    monkeypatch.setattr("data_prep.reporting.drawing.inline_svg", lambda *_: "")
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig", lambda _, path, **__: path.write_bytes(b"")
    )


def test_the_funnel_is_the_table_of_counts(page, extracted):
    counts = counts_of(extracted)["total"]
    for kind, whole in (("comments", "comments_read"), ("paths", "paths")):
        drops = {
            name.partition(".")[2].replace("_", " "): n
            for name, n in counts.items()
            if name.startswith(f"{kind}_dropped.")
        }
        rows = page.rows(kind.capitalize())
        assert rows[f"all {kind}"][-1] == number(counts[whole])
        assert {*drops} == {*rows} - {"reason", f"all {kind}", *(n for n in rows if "kept" in n)}
        left = counts[whole]
        for reason in [name for name in rows if name in drops]:
            dropped = drops[reason]
            share = percent(dropped / left)
            out = number(left - dropped)
            assert rows[reason] == [number(left), number(dropped), share, "", out]
            left -= dropped
        kept = f"kept: {percent(left / counts[whole])}"
        assert rows[kept][-1] == number(left)
    assert left == sum(1 for _ in all_dialogues(extracted))


def test_shares_of_months_are_those_of_the_table_of_counts(page, extracted):
    months = counts_of(extracted)
    rows = page.rows("Month by month: dropped of what came in")
    assert rows["reason"] == ["2015-01", "2015-02"]
    expected = [
        percent(months[month]["comments_dropped.malformed_json"] / months[month]["comments_read"])
        for month in ("2015-01", "2015-02")
    ]
    assert rows["malformed json"] == expected
    urls = []
    for month in ("2015-01", "2015-02"):
        before = ("paths_dropped.too_few_turns", "paths_dropped.too_long")
        num_in = months[month]["paths"] - sum(months[month].get(name, 0) for name in before)
        urls.append(percent(months[month]["paths_dropped.url"] / num_in))
    assert rows["url"] == urls


def test_every_number_below_a_histogram_is_that_of_a_sorted_list(page, extracted):
    rows = rows_of(extracted)
    words = [[len(turn.split()) for turn in row["turns"]] for row in rows]
    shown = [table[1] for table in page.tables["Lengths and turns"]]
    lists = [
        [len(row["turns"]) for row in rows],
        [len({*row["speakers"]} - {-1}) for row in rows],
        [row["score"] for row in rows],
        [n for of_row in words for n in of_row],
        [sum(of_row) for of_row in words],
    ]
    assert shown[:-1] == [quantile_row(values) for values in lists]  # the last are the tokens
    assert len({*map(tuple, shown)}) == len(lists) + 1


def test_headline_splits_subreddits_months_and_responses_are_a_recount(page, extracted):
    rows = rows_of(extracted)
    words = sum(len(turn.split()) for row in rows for turn in row["turns"])
    for value in (len(rows), words, counts_of(extracted)["total"]["comments_read"]):
        assert f" {number(value)} " in page.text
    splits = Counter(row["split"] for row in rows)
    shown = page.rows("Splits and test set")
    for split in SPLITS:
        assert shown[split] == [number(splits[split]), percent(splits[split] / len(rows))]
    above = 0
    ordered = sorted(Counter(row["subreddit"] for row in rows).items(), key=lambda i: -i[1])
    for name, n in ordered:
        above += n
        expected = [number(n), percent(n / len(rows)), percent(above / len(rows)), ""]
        assert page.rows("Subreddits and months")[name] == expected
    counted = counts_of(extracted)
    for month, n in Counter(row["month"] for row in rows).items():
        kept = percent(n / counted[month]["paths"])
        comments = number(counted[month]["comments_read"])
        assert page.rows("Months")[month] == [comments, number(n), kept]
    responses = Counter(row["turns"][-1] for row in rows)
    ((first, times), *_) = responses.most_common(1)
    shown = page.rows("Most frequent responses")
    assert shown[first] == [number(times), percent(times / len(rows))]
    short = sum(len(row["turns"][-1].split()) < 3 for row in rows)
    assert f"{percent(short / len(rows))} of the responses" in page.text


def test_test_items_are_counted(page, extracted):
    items = list(read_test_items(extracted / "testset" / "multiref.jsonl"))
    assert items
    references = [len(item.references) for item in items]
    assert f"{number(len(items))} items with {number(sum(references))} references" in page.text
    assert page.tables["Test items with several references"][0][1] == quantile_row(references)


def test_every_reason_has_examples_with_what_it_means(page, extracted):
    reasons = {
        example["reason"] for example in json.loads((extracted / "examples.json").read_bytes())
    }
    assert {"url", "removed", "too_few_turns", "malformed_json"} <= reasons
    for reason in reasons - {"kept"}:
        assert f"Dropped: {reason.replace('_', ' ')}" in page.text
    assert "A turn holds an address (rule 1)." in page.text


def test_hostile_text_is_shown_as_text_and_makes_no_element(page, html):
    assert "<script>alert(1)</script> and the </style> of it" in page.text
    assert "{{ 7 * 7 }} of {% raw %}" in page.text
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "form", "link", "base"}
    assert not [name for _, values in page.elements for name in values if name.startswith("on")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00-\x08]", html)
    assert "U+202E" in page.text
    assert max(map(len, re.findall(r"\w+", page.text))) < 1_000


def test_the_page_loads_nothing_from_anywhere(page, html):
    for tag, values in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            assert (values.get(name) or "#").startswith("#"), f"{tag} {name}"
    assert "@import" not in page.style
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", html))
    (policy,) = [
        values["content"]
        for tag, values in page.elements
        if "Security" in str(values.get("http-equiv"))
    ]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_links_within_the_page_lead_somewhere_and_ids_are_unique(page):
    ids = [values["id"] for _, values in page.elements if "id" in values]
    assert len({*ids}) == len(ids)
    targets = [
        values[name].removeprefix("#")
        for _, values in page.elements
        for name in ("href", "xlink:href")
        if values.get(name)
    ]
    assert {*targets} <= {*ids}


def test_offensive_examples_are_shown_on_a_click_alone(tmp_path):
    records = [
        comment("a", body="What is it?"),
        comment("b", "t1_a", body="Go kill   YOURSELF, it is the end"),
    ]
    run_extract(write_dump(tmp_path / "in", records).parent, tmp_path / "out")
    before, marked, after = page_of(tmp_path / "out", tmp_path / "report").partition(
        "<mark>Go kill YOURSELF,</mark>"
    )
    assert marked
    assert before.count("<details") - before.count("</details>") == 1
    assert "</details>" in after


def test_a_folder_without_a_dialogue_has_a_page_all_the_same(tmp_path):
    run_extract(write_dump(tmp_path / "in", [comment("a")]).parent, tmp_path / "out")
    page = Page(page_of(tmp_path / "out", tmp_path / "report"))
    assert page.rows("Paths")["too few turns"] == ["1", "1", "100 %", "", "0"]
    assert page.rows("Splits and test set")["train"] == ["0", "0 %"]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", OPTIONAL_FILES)
def test_without_an_optional_file_the_page_says_that_it_is_not_there(name, extracted, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(extracted, folder, ignore=shutil.ignore_patterns("work", name))
    page = Page(page_of(folder, tmp_path / "report", "--tokenizer", ""))
    assert f"Not in this folder: {name}" in page.text
    assert "Tokens were not counted" in page.text


@pytest.mark.usefixtures("undrawn")
def test_dialogues_alone_are_enough(extracted, tmp_path):
    shutil.copytree(extracted / "dialogues", tmp_path / "folder" / "dialogues")
    page = Page(page_of(tmp_path / "folder", tmp_path / "report", "--num_examples", "0"))
    assert quantile_row([len(row["turns"]) for row in rows_of(extracted)]) in [
        table[1] for table in page.tables["Lengths and turns"]
    ]
    assert "what was read and dropped is not known" in page.text


@pytest.mark.usefixtures("undrawn")
def test_an_import_has_a_page_without_months(tmp_path):
    lines = [f"Hi number {n} ! __eou__ Hello there , <b>{n}</b> . __eou__\n" for n in range(20)]
    for split in ("train", "valid", "test"):
        (tmp_path / split).write_text("".join(lines[:: 1 if split == "train" else 7]))
    files = [f"--{split}={tmp_path / split}" for split in ("train", "valid", "test")]
    import_main(["--source", "dailydialog", "--output", str(tmp_path / "out"), *files])
    page = Page(page_of(tmp_path / "out", tmp_path / "report"))
    assert "dailydialog: imported dialogues" in page.text
    assert "These dialogues have no months." in page.text
    assert page.rows("Records")["leak"][1] == "3"
    assert "Dropped: leak" in page.text
    assert "Hello there, <b>" in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_sample_is_said_to_be_one_and_estimates_its_words(extracted, tmp_path):
    page = Page(page_of(extracted, tmp_path / "report", "--max_rows", "50"))
    total = len(rows_of(extracted))
    assert f"The text of 50 of {number(total)} dialogues was read" in page.text
    assert "≈" in page.text
    assert quantile_row([len(row["turns"]) for row in rows_of(extracted)]) in [
        table[1] for table in page.tables["Lengths and turns"]
    ]


@pytest.mark.usefixtures("undrawn")
def test_damage_and_unusable_lines_are_named(extracted, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(extracted, folder, ignore=shutil.ignore_patterns("work"))
    notes = json.loads((folder / "counts.json").read_bytes())
    notes["damaged_archives"] = ["RC_2015-01.zst: the file ends in the middle"]
    (folder / "counts.json").write_text(json.dumps(notes))
    page = Page(page_of(folder, tmp_path / "report"))
    assert "Warning. RC_2015-01.zst: the file ends in the middle" in page.text
    last_line = (extracted.parent / "dumps" / "RC_2015-01").read_bytes().count(b"\n")
    assert f'RC_2015-01:{last_line}: {{"id": <script>' in page.text


@pytest.mark.usefixtures("undrawn")
def test_counts_that_do_not_belong_to_the_dialogues_are_a_warning(extracted, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(extracted, folder, ignore=shutil.ignore_patterns("work", "part-00000.parquet"))
    for split in SPLITS:
        source = next((extracted / "dialogues" / split).glob("*.parquet"))
        target = folder / "dialogues" / split / "part-00000.parquet"
        shutil.copy(extracted / "dialogues" / "valid" / source.name, target)
    page = Page(page_of(folder, tmp_path / "report"))
    assert "they were not written together" in page.text
    assert "in two splits: models would be tested on what they were trained on" in page.text


def test_the_same_folder_makes_the_same_page_in_another_process(extracted, html, tmp_path):
    command = "from data_prep.reporting.report import main; main()"
    argv = [sys.executable, "-c", command, "--dialogues", str(extracted)]
    argv += ["--output", str(tmp_path / "report")]
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(argv, check=True, env=environment, capture_output=True)
    assert (tmp_path / "report" / "index.html").read_text(encoding="utf-8") == html


def test_a_report_takes_the_place_of_an_earlier_one_and_of_nothing_else(
    extracted, tmp_path, capsys
):
    report = tmp_path / "report"
    page_of(extracted, report)
    assert (report / "tokens_per_dialogue.png").read_bytes().startswith(b"\x89PNG")
    page_of(extracted, report, "--tokenizer", "")
    assert not (report / "tokens_per_dialogue.png").exists()
    assert (report / "funnel.png").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").touch()
    with pytest.raises(SystemExit) as stopped:
        main([str(extracted), "--output", str(other)])
    assert stopped.value.code == 1
    assert "choose another --output" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["{empty}"], 1, "expected dialogues/<split>/part-*.parquet, found none"),
        (["{empty}/nowhere"], 1, "expected a folder of dialogues, found nothing"),
        (["{empty}", "--max_row", "1"], 2, "--max_row"),
        (["{empty}", "--max_rows", "-1"], 2, "max_rows must be >= 0"),
        ([], 2, "dialogues"),
    ],
)
def test_what_cannot_be_done_is_said(argv, code, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as stopped:
        main([word.format(empty=tmp_path / "empty") for word in argv])
    assert stopped.value.code == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


@pytest.mark.real_data
@needs_real_dumps
def test_real_months_have_a_page_whose_numbers_are_a_recount(tmp_path):
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    for name in ("RC_2005-12.zst", "RC_2006-01.bz2", "RC_2006-02.bz2", "RS_2006-02.bz2"):
        (dumps / name).symlink_to(REAL_DUMPS / name)
    assert run_extract(dumps, tmp_path / "out") == 0
    page, rows = Page(page_of(tmp_path / "out", tmp_path / "report")), rows_of(tmp_path / "out")
    shown = [table[1] for table in page.tables["Lengths and turns"]]
    assert quantile_row([len(row["turns"]) for row in rows]) in shown
    assert quantile_row([len(t.split()) for row in rows for t in row["turns"]]) in shown
    assert quantile_row([row["score"] for row in rows]) in shown
