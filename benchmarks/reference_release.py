"""Runs the public DialoGPT code on a dump, as its Makefile does, and compares its output with ours.

The release is github.com/microsoft/DialoGPT. Nothing of it is in this project: `--release` names a
checkout, and `--release-python` a Python that has zstandard, nltk and flashtext. The keys that its
Makefile also asks for were never published with it for new data, so they are left out.
"""

import subprocess
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path

from benchmarks.measure import Usage, run_measured

_SCRIPT = Path("src/reddit.py")
_CONV_OPTIONS = (
    *("--parallel=True", "--bl_words", "lists/words.blocklist.txt"),
    *("--bl_subreddits", "lists/subreddits.blocklist.txt", "--clean", "True"),
    *("--min_score", "1", "--min_depth", "2", "--max_depth", "5"),
    *("--use_title", "0", "--leaves_only", "1"),
)
"""What the Makefile gives the second step for the months of training."""


@dataclass(frozen=True, slots=True)
class Release:
    """A checkout of the release, and the Python to run it with."""

    checkout: Path
    python: str

    def __post_init__(self) -> None:
        if not (self._folder / _SCRIPT).is_file():
            raise FileNotFoundError(
                f"{self.checkout}: expected a checkout of microsoft/DialoGPT with "
                f"reddit_extractor/{_SCRIPT}; check --release"
            )

    @property
    def _folder(self) -> Path:
        return self.checkout.resolve() / "reddit_extractor"

    def run(self, dumps: Path, month: str, output: Path) -> dict[str, Usage]:
        """Each step's usage; the lines are in conv/<month>.tsv under output, an empty folder.

        Raises:
            MeasuredCommandError: a step failed.
        """
        common = [
            *(month, "--ignore_keys", "True"),
            *("--reddit_input", str(dumps.resolve()), "--reddit_output", str(output.resolve())),
        ]

        def step(name: str, *options: str) -> Usage:
            command = [self.python, str(_SCRIPT), *common, f"--task={name}", *options]
            return run_measured(command, cwd=self._folder, log=output / f"{name}.log")

        extract = step("extract")
        tables = sorted(str(path) for path in (output / "extract" / month).glob("r?_sub*.tsv"))
        gzip = run_measured(["gzip", "-f", *tables], cwd=output.resolve(), log=output / "gzip.log")
        return {"extract": extract, "gzip": gzip, "conv": step("conv", *_CONV_OPTIONS)}

    def description(self) -> str:
        """Which release this is, and what it ran with."""
        code = (
            "import platform, importlib.metadata as m; print('Python', platform.python_version(), "
            "*(f', {name} {m.version(name)}' for name in ('zstandard', 'nltk', 'flashtext')))"
        )
        done = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        ran_with = done.stdout.strip().replace(" ,", ",")
        digest = sha256((self._folder / _SCRIPT).read_bytes()).hexdigest()[:12]
        return f"Release: {_SCRIPT.name} with SHA-256 {digest}..., {ran_with}"


def first_difference(release_lines: Path, our_lines: Path) -> tuple[int, str | None]:
    """Number of the release's lines, and where ours differ from them, None if nowhere.

    The release's lines are taken without their first column, which is how its Makefile makes
    train.tsv.
    """
    num_lines, difference = 0, None
    with release_lines.open("rb") as theirs, our_lines.open("rb") as ours:
        for number, (their_line, our_line) in enumerate(zip_longest(theirs, ours), start=1):
            num_lines += their_line is not None
            if difference is None:
                expected = None if their_line is None else their_line.partition(b"\t")[2]
                if expected != our_line:
                    difference = (
                        f"line {number}: the release has {_shown(expected)}, "
                        f"ours is {_shown(our_line)}"
                    )
    return num_lines, difference


def _shown(line: bytes | None) -> str:
    if line is None:
        return "no more lines"
    text = line.decode("utf-8", "replace")
    return repr(text if len(text) <= 300 else text[:300] + "...")
