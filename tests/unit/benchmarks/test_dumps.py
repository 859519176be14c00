from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support_dumps import REAL_DUMPS, comment, needs_real_dumps, write_dump

from benchmarks.dumps import DumpSettings, base36, make_dump
from benchmarks.real_threads import records_of
from data_prep.dump import read_lines
from data_prep.inventory import take_inventory

Record = dict[str, Any]

MONTHS = ("2006-01",)
NUM_COMMENTS = 12_000
"""Over three times as many as are real, so that threads and bodies are drawn repeatedly."""


def records(folder: Path, kind: str, months: Sequence[str] = ()) -> list[Record]:
    return [
        record
        for dump in take_inventory(folder).dumps
        if dump.kind == kind and (not months or dump.month in months)
        for record in records_of(dump)
    ]


def shape(comments: Sequence[Record]) -> tuple[Any, ...]:
    """A thread's tree as nested sorted tuples, which say nothing but who answers whom.

    A parent that is missing counts as one that is there, so that its children stay siblings.
    """
    children = defaultdict(list)
    names = {"t1_" + record["id"] for record in comments}
    for record in comments:
        children[record["parent_id"]].append("t1_" + record["id"])
    tops = [name for name in children if name not in names]

    def below(name: str) -> tuple[Any, ...]:
        return tuple(sorted(below(child) for child in children[name]))

    return tuple(sorted((top.startswith("t1_"), below(top)) for top in tops))


def threads(comments: Sequence[Record]) -> dict[str, list[Record]]:
    by_link = defaultdict(list)
    for record in comments:
        by_link[record["link_id"]].append(record)
    return by_link


@pytest.fixture(scope="module")
def settings() -> DumpSettings:
    return DumpSettings(source=REAL_DUMPS, source_months=MONTHS, num_comments=NUM_COMMENTS)


@pytest.fixture(scope="module")
def made(settings: DumpSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    make_dump(settings, folder)
    return folder


@pytest.fixture(scope="module")
def made_comments(made: Path) -> list[Record]:
    return records(made, "RC")


@pytest.fixture(scope="module")
def real_comments() -> list[Record]:
    return records(REAL_DUMPS, "RC", MONTHS)


@needs_real_dumps
@pytest.mark.real_data
class TestDrawnFromRealDumps:
    def test_there_are_as_many_comments_as_asked_and_the_last_thread_is_whole(
        self, made_comments: list[Record], real_comments: list[Record]
    ):
        largest = max(map(len, threads(real_comments).values()))
        assert NUM_COMMENTS <= len(made_comments) < NUM_COMMENTS + largest

    def test_ids_are_unique_and_rise_with_time_within_the_month(self, made_comments: list[Record]):
        ids = [int(record["id"], 36) for record in made_comments]
        times = [record["created_utc"] for record in made_comments]
        assert ids == sorted(set(ids))
        assert times == sorted(times)
        assert times[0] >= 1_514_764_800
        assert times[-1] < 1_517_443_200

    def test_threads_are_interleaved(self, made_comments: list[Record]):
        links = [record["link_id"] for record in made_comments]
        changes = sum(one != other for one, other in pairwise(links))
        assert changes > len(set(links)) * 1.5

    def test_a_parent_is_in_its_own_thread_or_missing_as_often_as_in_the_real_dump(
        self, made_comments: list[Record], real_comments: list[Record]
    ):
        def missing(comments: list[Record]) -> float:
            num_replies = num_missing = 0
            link_of = {"t1_" + record["id"]: record["link_id"] for record in comments}
            for record in comments:
                if record["parent_id"].startswith("t3_"):
                    assert record["parent_id"] == record["link_id"]
                    continue
                num_replies += 1
                num_missing += record["parent_id"] not in link_of
                assert link_of.get(record["parent_id"], record["link_id"]) == record["link_id"]
            return num_missing / num_replies

        assert missing(made_comments) == pytest.approx(missing(real_comments), abs=0.015)

    def test_every_tree_is_one_of_the_real_trees(
        self, made_comments: list[Record], real_comments: list[Record]
    ):
        real = Counter(map(shape, threads(real_comments).values()))
        drawn = Counter(map(shape, threads(made_comments).values()))
        assert drawn.keys() <= real.keys()
        commonest, num_real = real.most_common(1)[0]
        assert drawn[commonest] / drawn.total() == pytest.approx(num_real / real.total(), abs=0.03)

    def test_every_thread_has_a_submission_that_names_its_subreddit(
        self, made: Path, made_comments: list[Record]
    ):
        submissions = {record["name"]: record for record in records(made, "RS")}
        assert submissions.keys() == {record["link_id"] for record in made_comments}
        for record in made_comments:
            submission = submissions[record["link_id"]]
            assert submission["subreddit"] == record["subreddit"]
            assert submission["permalink"].split("/")[2] == record["subreddit"]
            assert submission["title"] is not None

    def test_fields_of_narrow_records_are_those_of_2006(
        self, made: Path, made_comments: list[Record], real_comments: list[Record]
    ):
        assert {frozenset(record) for record in made_comments} == {frozenset(real_comments[0])}
        real_submission = records(REAL_DUMPS, "RS", MONTHS)[0]
        made_submission = records(made, "RS")[0]
        assert made_submission.keys() == real_submission.keys()
        for name, value in real_submission.items():
            assert type(made_submission[name]) is type(value), name

    def test_lines_are_ascii_as_in_the_real_dumps(self, made: Path):
        for dump in take_inventory(made).dumps:
            assert all(block.data.isascii() for block in read_lines(dump.path, lambda _: None))

    def test_lengths_and_shares_of_bodies_stay_those_of_the_real_dump(
        self, made_comments: list[Record], real_comments: list[Record]
    ):
        def quantiles(numbers: list[int]) -> list[int]:
            ordered = sorted(numbers)
            return [ordered[int(len(ordered) * share)] for share in (0.25, 0.5, 0.75, 0.9, 0.99)]

        def shares(comments: list[Record]) -> list[float]:
            bodies = [record["body"] for record in comments]
            wanted = ["&gt;", "&amp;", "http", "[", "(", "\n", "!!!", "**", ". "]
            counts = [sum(text in body for body in bodies) for text in wanted]
            counts += [bodies.count("[deleted]"), bodies.count("[removed]")]
            counts.append(sum(not body.isascii() for body in bodies))
            counts.append(sum(len(body.split()) > 30 for body in bodies))
            counts.append(sum(record["score"] < 1 for record in comments))
            return [count / len(bodies) for count in counts]

        for measure, tolerance in ((lambda body: len(body.split()), 0.1), (len, 0.1)):
            made_quantiles, real_quantiles = (
                quantiles([measure(record["body"]) for record in comments])
                for comments in (made_comments, real_comments)
            )
            assert made_quantiles == pytest.approx(real_quantiles, rel=tolerance, abs=2)
        assert shares(made_comments) == pytest.approx(shares(real_comments), abs=0.02)

    def test_nearly_no_body_is_there_twice(self, made_comments: list[Record]):
        bodies = [record["body"] for record in made_comments if len(record["body"].split()) > 1]
        assert len(set(bodies)) > 0.98 * len(bodies)

    def test_same_settings_give_the_same_bytes_and_another_seed_others(
        self, settings: DumpSettings, made: Path, tmp_path: Path
    ):
        make_dump(settings, tmp_path / "again")
        make_dump(replace(settings, seed=1), tmp_path / "other")
        for name in ("RC_2018-01.zst", "RS_2018-01.zst"):
            assert (made / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
            assert (made / name).read_bytes() != (tmp_path / "other" / name).read_bytes()

    def test_wide_records_have_21_more_fields_and_escaped_slashes(
        self, settings: DumpSettings, made_comments: list[Record], tmp_path: Path
    ):
        make_dump(replace(settings, wide=True), tmp_path)
        wide = records(tmp_path, "RC")
        assert len(wide[0]) == len(made_comments[0]) + 21
        narrow_parts = [
            {name: value for name, value in record.items() if name in made_comments[0]}
            for record in wide
        ]
        assert narrow_parts == made_comments
        lines = next(read_lines(tmp_path / "RC_2018-01.zst", lambda _: None)).data
        assert lines.count(b"/") == lines.count(b"\\/") > 0


def test_a_thread_over_two_months_without_submission_is_drawn_whole(tmp_path: Path):
    first = [comment("a"), comment("b", "t1_a", body="[deleted]"), comment("c", "t1_gone")]
    later = [comment("d", "t1_b", created_utc=1_424_000_000)]
    source = [{"subreddit_id": "t5_1", **record} for record in (*first, *later)]
    write_dump(tmp_path / "real", source[:3], "RC_2015-01")
    write_dump(tmp_path / "real", source[3:], "RC_2015-02")
    manifest = make_dump(DumpSettings(source=tmp_path / "real", num_comments=9), tmp_path / "made")

    made = records(tmp_path / "made", "RC")
    assert manifest["num_comments"] == len(made) == 12
    real_shape = shape(source)
    assert [shape(thread) for thread in threads(made).values()] == [real_shape] * 3
    for thread in threads(made).values():
        deleted = [record for record in thread if record["body"] == "[deleted]"]
        assert [record["parent_id"] for record in deleted] == [
            "t1_" + record["id"]
            for record in thread
            if record["id"] == deleted[0]["parent_id"].removeprefix("t1_")
        ]
    assert [record["num_comments"] for record in records(tmp_path / "made", "RS")] == [4] * 3


def test_a_made_folder_is_kept_for_the_same_settings_and_refused_for_others(tmp_path: Path):
    write_dump(tmp_path / "real", [{"subreddit_id": "t5_1", **comment("a")}])
    settings = DumpSettings(source=tmp_path / "real", num_comments=3)
    make_dump(settings, tmp_path / "made")
    times = [path.stat().st_mtime_ns for path in sorted((tmp_path / "made").iterdir())]
    make_dump(settings, tmp_path / "made")
    assert times == [path.stat().st_mtime_ns for path in sorted((tmp_path / "made").iterdir())]
    with pytest.raises(FileExistsError, match="choose another folder"):
        make_dump(replace(settings, seed=7), tmp_path / "made")


@pytest.mark.parametrize("number", [0, 35, 36, 12345678, 36**7])
def test_base36_is_what_int_reads(number: int):
    assert int(base36(number), 36) == number
