"""What every fuzzer here shares: atheris where it is installed, else a seeded mutator.

A fuzzer is a function of bytes that raises when a promise is broken. It may return what it saw
(anything hashable): the mutator keeps inputs that show something new, which is its only guidance.
"""

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

Fuzzer = Callable[[bytes], Hashable]

TESTS = Path(__file__).parents[1]
for _folder in (TESTS, TESTS.parent):  # so that `python tests/fuzz/fuzz_x.py` finds them
    if str(_folder) not in sys.path:
        sys.path.append(str(_folder))

_MAX_BYTES = 4096
_MAX_KEPT = 4000


def instrumented() -> AbstractContextManager[object]:
    """Imports within are watched for coverage, if atheris is there and this is the main program."""
    is_main = Path(sys.argv[0]).name.startswith("fuzz_")
    if atheris is None or not is_main:
        return nullcontext()
    return atheris.instrument_imports(include=["data_prep"])


def mutations(seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> "Mutator":
    """An endless source of inputs, the same for the same seed."""
    return Mutator(seeds, words, seed)


class Mutator:
    """Changes inputs at random, and begins again from those that showed something new."""

    def __init__(self, seeds: Sequence[bytes], words: Sequence[bytes], seed: int) -> None:
        self._random = random.Random(seed)
        self._kept = [*seeds] or [b""]
        self._words = [*words] or [b"\0"]
        self._seen: set[Hashable] = set()
        self._last = b""

    def __iter__(self) -> Iterator[bytes]:
        yield from self._kept
        while True:
            data = self._random.choice(self._kept)
            for _ in range(self._random.randint(1, 6)):
                data = self._changed(data)[:_MAX_BYTES]
            self._last = data
            yield data

    def learn(self, seen: Hashable) -> None:
        """What the last input showed."""
        if seen not in self._seen and len(self._kept) < _MAX_KEPT:
            self._seen.add(seen)
            self._kept.append(self._last)

    @property
    def num_kinds(self) -> int:
        """How many different things were seen."""
        return len(self._seen)

    def _changed(self, data: bytes) -> bytes:
        source = self._random
        start = source.randint(0, len(data))
        end = min(len(data), start + source.choice((0, 1, 1, 2, 8, 64)))
        match source.randrange(7):
            case 0:
                middle = source.choice(self._words)
            case 1:
                middle = source.randbytes(end - start)
            case 2:
                middle = data[start:end] * source.choice((2, 3, 40))
            case 3:
                other = source.choice(self._kept)
                place = source.randint(0, len(other))
                middle = other[place : place + source.choice((1, 8, 64, 512))]
            case 4:
                return (
                    data[:start]
                    + bytes([data[start] ^ 1 << source.randrange(8)])
                    + data[start + 1 :]
                    if start < len(data)
                    else data[:-1]
                )
            case 5:
                middle = b""
            case _:
                middle = data[start:end] + source.choice(self._words)
        return data[:start] + middle + data[end:]


def run_mutations(
    fuzzer: Fuzzer, mutator: Mutator, *, max_runs: int = 0, max_seconds: float = 0
) -> int:
    """Give the fuzzer inputs until a limit is reached; how many it got.

    Raises:
        AssertionError: of the fuzzer; the input stands in a file that the message names.
    """
    began, num_runs = time.monotonic(), 0
    for data in mutator:
        if (max_runs and num_runs >= max_runs) or (
            max_seconds and time.monotonic() - began >= max_seconds
        ):
            break
        try:
            mutator.learn(fuzzer(data))
        except BaseException:
            print(f"input: {data!r}", file=sys.stderr)
            raise
        num_runs += 1
    return num_runs


def main(fuzzer: Fuzzer, seeds: Sequence[bytes], words: Sequence[bytes]) -> None:
    """The command: libFuzzer's options with atheris, the three below without."""
    if atheris is not None:
        _fuzz_with_atheris(fuzzer, seeds)
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("-max_total_time", type=float, default=0, help="seconds; 0 is no limit")
    parser.add_argument("-runs", type=int, default=0, help="inputs; 0 is no limit")
    parser.add_argument("-seed", type=int, default=0)
    parser.add_argument("files", nargs="*", type=Path, help="inputs to try, and nothing else")
    options = parser.parse_args()
    for path in options.files:
        fuzzer(path.read_bytes())
    if options.files:
        return
    mutator = mutations(seeds, words, options.seed)
    runs = run_mutations(fuzzer, mutator, max_runs=options.runs, max_seconds=options.max_total_time)
    print(f"{runs:,} inputs, {mutator.num_kinds:,} kinds of outcome, no fault")


def _fuzz_with_atheris(fuzzer: Fuzzer, seeds: Sequence[bytes]) -> None:
    corpus = Path(f"/tmp/corpus_{Path(sys.argv[0]).stem}")
    corpus.mkdir(exist_ok=True)
    for data in seeds:
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def watched(data: bytes) -> None:
        fuzzer(data)

    arguments = (
        [*sys.argv]
        if any(not a.startswith("-") for a in sys.argv[1:])
        else [*sys.argv, str(corpus)]
    )
    atheris.Setup(arguments, watched)
    atheris.Fuzz()
