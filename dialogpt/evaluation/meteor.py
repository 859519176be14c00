"""METEOR 1.5 by its own program (Denkowski and Lavie 2014, "Meteor Universal").

There is no METEOR without Java: what other packages have under this name is another metric. The
program runs as DialoGPT's `dstc/metrics.py` and the MSCOCO scorers run it, rank task and `-l en
-norm`, but once for all systems, and takes segments from us by its `-stdio` mode. For each it gives
the same numbers as for files with `-ssOut`, and it takes segments of different numbers of
references.

Shapes: G groups of segments (see `measure`).
"""

import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from dialogpt.command_line import UserError
from dialogpt.evaluation.java import UnavailableError, java_program, last_line, shipped_jar
from dialogpt.evaluation.measure import Chunk, Floats, GroupedSums, Metrics, SummedMetrics

_NUM_STATISTICS = 23
_AT_ONCE = 16
"""Segments sent before answers are read: these fit into the smallest pipe, so nobody waits."""
_MOST_SECONDS = 300.0
"""For some answers; the first ones wait for the program to start, which takes ten."""
_LINE_ENDS = re.compile(r"[\r\n]+")
_BARS = re.compile(r"\|(?=\|)")

# Parameters of the rank task for English.
_MODULE_WEIGHTS = np.array([1.0, 0.6, 0.8, 0.6])  # exact, stem, synonym, paraphrase
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
# Columns of the statistics: T hypothesis, R reference.
_T_LENGTH, _R_LENGTH, _T_FUNCTION_WORDS, _R_FUNCTION_WORDS = 0, 1, 2, 3
_T_CONTENT, _R_CONTENT = slice(4, 20, 4), slice(5, 20, 4)  # matches by module
_T_FUNCTION, _R_FUNCTION = slice(6, 20, 4), slice(7, 20, 4)
_CHUNKS, _T_MATCHES, _R_MATCHES = 20, 21, 22


class MeteorMeasure:
    """METEOR of the corpus, from statistics of segments summed up; not an average of scores.

    Of several references the one with the best score counts. Statistics are sums, so intervals are
    those of the corpus score. A segment without references counts as one with an empty one.

    Args:
        jar: the program; None takes the one in the package pycocoevalcap.

    Attributes:
        problem: why there is no score; "" while all is well. Then results are nan.

    Raises:
        UserError: the jar that is named does not exist.
    """

    names = ("METEOR",)

    def __init__(self, jar: Path | None = None) -> None:
        self.problem = ""
        self._sums: list[GroupedSums] = []
        self._program: MeteorProgram | None = None
        try:
            self._program = start_meteor(jar)
        except UnavailableError as error:
            self.problem = str(error)

    def add(self, chunk: Chunk) -> None:
        """Take in the next segments."""
        self._sums = self._sums or [GroupedSums(_NUM_STATISTICS) for _ in chunk.systems]
        if self._program is None:
            return
        try:
            for sums, hypotheses in zip(self._sums, chunk.systems, strict=True):
                sums.add(_without_whole(self._program.statistics(hypotheses, chunk.references)))
        except UnavailableError as error:
            self.problem = str(error)
            self._program = None

    def results(self) -> list[Metrics]:
        """Of each system, in order."""
        if self._program is not None:
            self._program.close()
        results: list[Metrics] = []
        for sums in self._sums:
            values = sums.values()
            if self.problem:
                values = np.full((1, _NUM_STATISTICS), np.nan)
            results.append(SummedMetrics(names=self.names, sums=values, formula=meteor_score))
        return results


class MeteorProgram:
    """The running program. It takes seconds to start, and up to 2 GiB of memory.

    Args:
        jar: of METEOR 1.5, beside its folder `data`.

    Raises:
        UnavailableError: there is no Java, or the program does not answer as it should.
    """

    def __init__(self, jar: Path) -> None:
        command = [java_program(), "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar.resolve())]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (until close)
        try:
            self._process = subprocess.Popen(
                [*command, "-", "-", "-stdio", "-l", "en", "-norm"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        except OSError as error:
            raise UnavailableError(f"Java does not start: {error}") from error
        self.statistics(["a"], [["a"]])

    def statistics(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """(n, 23) numbers of each segment, from which `meteor_score` comes.

        Raises:
            UnavailableError: the program has ended or does not answer as it should.
        """
        lines = list(map(_request, hypotheses, references))
        rows: list[list[float]] = []
        for start in range(0, len(lines), _AT_ONCE):
            rows += self._answers(lines[start : start + _AT_ONCE])
        return np.array(rows, np.float64).reshape(-1, _NUM_STATISTICS)

    def scores(self, hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """(n,) scores in [0, 1] of the segments, each for itself.

        Raises:
            UnavailableError: as for `statistics`.
        """
        scores: Floats = meteor_score(_without_whole(self.statistics(hypotheses, references)))
        return scores[..., 0]

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(BrokenPipeError):  # what it has not read is lost anyway
                pipe.close()

    def _answers(self, lines: Sequence[bytes]) -> Iterator[list[float]]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        limit = threading.Timer(_MOST_SECONDS, self._process.kill)  # a pipe has no time limit
        limit.start()
        try:
            self._process.stdin.write(b"".join(lines))
            self._process.stdin.flush()
            for _ in lines:
                answer = self._process.stdout.readline().split()
                if len(answer) != _NUM_STATISTICS:
                    raise ValueError
                yield [float(number) for number in answer]
        except (OSError, ValueError):
            self._process.kill()
            self._process.wait()
            said = last_line(self._errors)
            self.close()
            raise UnavailableError(
                "METEOR's program does not answer as version 1.5 does"
                + (f": {said}" if said else "; is the jar whole?")
            ) from None
        finally:
            limit.cancel()


def start_meteor(jar: Path | None) -> MeteorProgram:
    """The program of a jar, or of the one in the package pycocoevalcap.

    Raises:
        UserError: the jar that is named does not exist.
        UnavailableError: there is no Java, or no jar in a package.
    """
    if jar is not None and not jar.is_file():
        raise UserError(
            f"--meteor_jar {jar}: expected the file meteor-1.5.jar, found "
            f"{'a folder' if jar.is_dir() else 'nothing'}; leave the option out to take the "
            "one of the package pycocoevalcap"
        )
    return MeteorProgram(jar or shipped_jar("meteor", "meteor-1.5.jar"))


def _request(hypothesis: str, references: Sequence[str]) -> bytes:
    """The line that asks for the statistics of a segment."""
    # The program splits lines at "|||", and drops a field that is empty at the end of a line.
    fields = [_plain(text) for text in [*(references or [""]), hypothesis]]
    return f"SCORE ||| {' ||| '.join(fields)} \n".encode("utf-8", "replace")


def _plain(text: str) -> str:
    """A text without what the protocol is made of. In files the program takes it for the same."""
    return _BARS.sub("| ", _LINE_ENDS.sub(" ", text))


def _without_whole(statistics: Floats) -> Floats:
    """Statistics as they are summed: a segment that is matched whole, in one piece, has none."""
    whole = (
        (statistics[:, _CHUNKS] == 1)
        & (statistics[:, _T_MATCHES] == statistics[:, _T_LENGTH])
        & (statistics[:, _R_MATCHES] == statistics[:, _R_LENGTH])
    )
    result = statistics.copy()
    result[whole, _CHUNKS] = 0
    return result


def meteor_score(sums: Floats) -> Floats:
    """(..., 23) sums of statistics -> (..., 1) scores in [0, 1], as the program computes them.

    Precision is the weighted share of matched words of the hypotheses, recall that of the
    references; content words weigh 0.75, function words 0.25, and matches by the module that found
    them. F is their harmonic mean with alpha = 0.85, and is reduced by up to 0.6 for words that
    stand in other places: 0.6 (chunks / matches)^0.2.
    """
    content, function = _MODULE_WEIGHTS * _DELTA, _MODULE_WEIGHTS * (1 - _DELTA)
    found_t = sums[..., _T_CONTENT] @ content + sums[..., _T_FUNCTION] @ function
    found_r = sums[..., _R_CONTENT] @ content + sums[..., _R_FUNCTION] @ function
    precision = _ratio(found_t, _weighted(sums[..., _T_LENGTH], sums[..., _T_FUNCTION_WORDS]))
    recall = _ratio(found_r, _weighted(sums[..., _R_LENGTH], sums[..., _R_FUNCTION_WORDS]))
    f_mean = _ratio(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall)
    matches = (sums[..., _T_MATCHES] + sums[..., _R_MATCHES]) / 2
    penalty = _GAMMA * _ratio(sums[..., _CHUNKS], matches) ** _BETA
    return (f_mean * (1 - penalty))[..., None]


def _weighted(length: Floats, function_words: Floats) -> Floats:
    return _DELTA * (length - function_words) + (1 - _DELTA) * function_words


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Their quotient; 0 by 0. nan stays nan."""
    return np.divide(numerator, denominator, out=np.zeros_like(denominator), where=denominator != 0)
