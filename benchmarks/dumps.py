"""Dumps of any size for benchmarks, drawn from real ones.

Whole real threads are drawn with replacement and spread over one month. Ids are new, rise with
time and name the same parents; bodies are spliced anew (see `benchmarks.bodies`) from those of
real comments of the same length. Equal settings give equal bytes, with the same versions of
numpy and zstandard.
"""

import json
from calendar import timegm
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import strptime

import numpy as np
import numpy.typing as npt
import orjson
import zstandard

from benchmarks.bodies import Template
from benchmarks.ours import MANIFEST
from benchmarks.real_threads import RealThreads, Record, read_threads
from benchmarks.record_forms import CommentForm, submission_record

FIRST_COMMENT_ID = int("ds00000", 36)
FIRST_SUBMISSION_ID = int("7n0000", 36)
"""Ids of the beginning of 2018, so that they have as many characters as real ones."""

_ZSTD_LEVEL = 3
_RECORDS_PER_WRITE = 20_000
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class DumpSettings:
    """What decides the bytes of a dump.

    Attributes:
        source: folder of real dumps.
        source_months: the months to draw from; none means all.
        num_comments: how many comments there shall be at least; the last thread stays whole.
        seed: of every draw.
        wide: the fields of 2018 instead of those of 2006.
        month: "YYYY-MM" of the dump.
    """

    source: Path
    source_months: tuple[str, ...] = ()
    num_comments: int
    seed: int = 0
    wide: bool = False
    month: str = "2018-01"


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is written, in the order of time.

    Attributes:
        thread: (D,) the real thread of each drawn one, in the order of time.
        submission_time: (D,) Unix time of its submission.
        drawn: (N,) place in `thread` of each node.
        node: (N,) node of the real threads.
        template: (N,) node whose body is taken.
        time: (N,) Unix time.
        parent: (N,) place of the parent in these columns, or -1.
    """

    thread: Integers
    submission_time: Integers
    drawn: Integers
    node: Integers
    template: Integers
    time: Integers
    parent: Integers


def make_dump(settings: DumpSettings, output: Path) -> Record:
    """Write RC_<month>.zst, RS_<month>.zst and the manifest, which is returned.

    A folder that already holds this dump is left as it is.

    Raises:
        UserError: the source has no dumps.
        FileExistsError: the folder holds another dump.
    """
    wanted = json.loads(json.dumps(asdict(settings) | {"source": settings.source.name}))
    if (output / MANIFEST).exists():
        manifest: Record = orjson.loads((output / MANIFEST).read_bytes())
        if manifest["settings"] != wanted:
            raise FileExistsError(
                f"{output}: expected a dump of {wanted}, found one of {manifest['settings']}; "
                "choose another folder or delete this one"
            )
        return manifest
    output.mkdir(parents=True, exist_ok=True)
    threads = read_threads(settings.source, settings.source_months)
    plan = _make_plan(threads, settings)
    write = threads.maker.writer(settings.seed)
    comments, submissions = (output / f"{kind}_{settings.month}.zst" for kind in ("RC", "RS"))
    num_bytes = {
        "RS": _write_records(submissions, _submissions(threads, plan, write)),
        "RC": _write_records(
            comments, _comments(threads, plan, write, settings), wide=settings.wide
        ),
    }
    manifest = {
        "settings": wanted,
        "num_comments": int(threads.present[plan.node].sum()),
        "num_submissions": len(plan.thread),
        "num_real_comments": int(threads.present.sum()),
        "num_bytes": num_bytes,
    }
    (output / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _make_plan(threads: RealThreads, settings: DumpSettings) -> _Plan:
    rng = np.random.default_rng(settings.seed)
    thread = _draw_threads(threads, settings.num_comments, rng)
    month_start, month_seconds = _month(settings.month)
    span = _spans(threads)[thread]
    fitted_span = np.minimum(span, month_seconds * 9 // 10)
    start = month_start + (rng.random(len(thread)) * (month_seconds - fitted_span)).astype(np.int64)
    by_start = np.argsort(start, kind="stable")
    thread, start = thread[by_start], start[by_start]
    squeeze = (fitted_span / np.maximum(span, 1))[by_start]

    num_nodes = np.diff(threads.first_node)[thread]
    drawn = np.repeat(np.arange(len(thread)), num_nodes)
    first = np.cumsum(num_nodes) - num_nodes
    within = np.arange(len(drawn)) - first[drawn]
    node = threads.first_node[thread][drawn] + within
    time = start[drawn] + (threads.seconds[node] * squeeze[drawn]).astype(np.int64)
    parent = threads.parent[node]
    parent = np.where(parent < 0, -1, first[drawn] + parent)

    order = np.argsort(time, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    parent = np.where(parent < 0, -1, place[parent])
    node = node[order]
    template = _exchange_bodies(threads, node, rng)
    return _Plan(thread, start, drawn[order], node, template, time[order], parent[order])


def _draw_threads(threads: RealThreads, num_comments: int, rng: np.random.Generator) -> Integers:
    """As many threads as are needed for num_comments, each as likely as any other."""
    sizes = np.add.reduceat(threads.present.astype(np.int64), threads.first_node[:-1])
    draws: list[Integers] = []
    missing = num_comments
    while missing > 0:
        draw = rng.integers(0, len(sizes), size=int(missing / sizes.mean()) + 1)
        sums = np.cumsum(sizes[draw])
        draw = draw[: int(np.searchsorted(sums, missing)) + 1]
        missing -= int(sizes[draw].sum())
        draws.append(draw)
    return np.concatenate(draws)


def _spans(threads: RealThreads) -> Integers:
    """Seconds from the submission to the last comment of each real thread."""
    return np.asarray(np.maximum.reduceat(threads.seconds, threads.first_node[:-1]))


def _exchange_bodies(threads: RealThreads, node: Integers, rng: np.random.Generator) -> Integers:
    """For each node the node whose body it gets: any of the same length, itself if unchanged."""
    by_class = np.argsort(threads.length_class, kind="stable")
    classes, first, size = np.unique(
        threads.length_class[by_class], return_index=True, return_counts=True
    )
    place = np.searchsorted(classes, threads.length_class[node])
    draw = by_class[first[place] + (rng.random(len(node)) * size[place]).astype(np.int64)]
    return np.where(threads.length_class[node] < 0, node, draw)


def _month(month: str) -> tuple[int, int]:
    """First second and number of seconds of "YYYY-MM", UTC."""
    year, number = map(int, month.split("-"))
    next_month = f"{year + number // 12:04d}-{number % 12 + 1:02d}"
    start, end = (timegm(strptime(text, "%Y-%m")) for text in (month, next_month))
    return start, end - start


def base36(number: int) -> str:
    """A number as Reddit writes ids."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def _submissions(
    threads: RealThreads, plan: _Plan, write: Callable[[Template], str]
) -> Iterator[Record]:
    num_comments = np.bincount(
        plan.drawn, weights=threads.present[plan.node], minlength=len(plan.thread)
    ).astype(np.int64)
    columns = (plan.thread, plan.submission_time, num_comments)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for number, (thread, time, count) in enumerate(rows):
        real = threads.submissions[thread]
        texts = {name: write(real[name]) for name in ("title", "selftext")} if real else {}
        yield submission_record(
            name=base36(FIRST_SUBMISSION_ID + number),
            time=time,
            subreddit=threads.subreddits[thread],
            num_comments=count,
            real={**(real or {}), **texts},
        )


def _comments(
    threads: RealThreads, plan: _Plan, write: Callable[[Template], str], settings: DumpSettings
) -> Iterator[Record]:
    form = CommentForm(wide=settings.wide, seed=settings.seed)
    for start in range(0, len(plan.node), _RECORDS_PER_WRITE):
        part = slice(start, start + _RECORDS_PER_WRITE)
        node = plan.node[part]
        columns: Sequence[Integers | npt.NDArray[np.bool_]] = (
            plan.drawn[part],
            node,
            plan.template[part],
            plan.time[part],
            plan.parent[part],
            threads.score[node],
            threads.present[node],
        )
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for place, (drawn, real, body, time, parent, score, present) in enumerate(rows, start):
            if not present:
                continue
            link = "t3_" + base36(FIRST_SUBMISSION_ID + drawn)
            yield form.record(
                name=base36(FIRST_COMMENT_ID + place),
                link_id=link,
                parent_id=link if parent < 0 else "t1_" + base36(FIRST_COMMENT_ID + parent),
                author=threads.author[real],
                body=write(threads.templates[body]),
                score=score,
                time=time,
                subreddit=threads.subreddits[plan.thread[drawn]],
            )


def _write_records(path: Path, records: Iterator[Record], *, wide: bool = False) -> int:
    """Write lines as real dumps have them, all characters in ASCII; their number of bytes."""
    unfinished = path.with_name(path.name + ".unfinished")
    compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, threads=1)
    num_bytes, lines = 0, list[bytes]()
    with unfinished.open("wb") as target, compressor.stream_writer(target) as writer:
        for record in records:
            line = orjson.dumps(record)
            if not line.isascii():
                line = json.dumps(record, separators=(",", ":")).encode()
            lines.append(line)
            if len(lines) == _RECORDS_PER_WRITE:
                num_bytes += writer.write(_joined(lines, wide))
                lines = []
        if lines:
            num_bytes += writer.write(_joined(lines, wide))
    unfinished.rename(path)
    return num_bytes


def _joined(lines: list[bytes], wide: bool) -> bytes:
    """Whole lines; the dumps of 2018 escape slashes."""
    data = b"\n".join(lines) + b"\n"
    return data.replace(b"/", b"\\/") if wide else data
