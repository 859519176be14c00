"""Runs DialoGPT's public code on the made-up month and writes what it says under tests/golden.

    cd tests && python -m golden.record_reference --release PATH

PATH is the folder reddit_extractor of github.com/microsoft/DialoGPT (commit 61194e4). The Python
needs nltk, flashtext and zstandard, as the release does; the project itself is not used.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import zstandard
from golden.reference_cases import MAKEFILE_OPTIONS, MONTH, RUNS, dumps, keys, reference_ids
from golden.reference_texts import TEXTS, fuzz_texts

FIXTURES = Path(__file__).parent.parent / "fixtures" / "reference"
GOLDEN = Path(__file__).parent / "reference"


def main() -> None:
    """Write fixtures and golden files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", type=Path, required=True, help="its folder reddit_extractor")
    release = parser.parse_args().release
    for folder in (FIXTURES, GOLDEN):
        folder.mkdir(parents=True, exist_ok=True)
    comments, submissions = dumps()
    (FIXTURES / f"RC_{MONTH}.jsonl").write_bytes(comments)
    (FIXTURES / f"RS_{MONTH}.jsonl").write_bytes(submissions)
    (FIXTURES / "keys.tsv").write_text(keys(comments), encoding="utf-8")
    counts = {}
    for name in RUNS:
        with tempfile.TemporaryDirectory() as folder:
            lines, counts[name] = run(release, name, Path(folder))
        (GOLDEN / f"{name}.tsv").write_bytes(lines)
    record_references(release)
    record_texts(release)
    origin = {
        "made_by": "cd tests; python -m golden.record_reference --release reddit_extractor",
        "release": "github.com/microsoft/DialoGPT, commit 61194e4",
        "nltk": version("nltk"),
        "counts": counts,
    }
    (GOLDEN / "origin.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


def run(release: Path, name: str, folder: Path) -> tuple[bytes, dict[str, int]]:
    """The release's conv/MONTH.tsv, and how much it dropped for which reason."""
    dumped, output = folder / "in", folder / "out"
    dumped.mkdir()
    for kind in ("RC", "RS"):
        data = (FIXTURES / f"{kind}_{MONTH}.jsonl").read_bytes()
        (dumped / f"{kind}_{MONTH}.zst").write_bytes(zstandard.compress(data))
    key_file = folder / "keys.gz"
    key_file.write_bytes(gzip.compress((FIXTURES / "keys.tsv").read_bytes()))
    paths = {
        "KEYS": str(key_file),
        "WORDS": str(release / "lists" / "words.blocklist.txt"),
        "SUBREDDITS": str(release / "lists" / "subreddits.blocklist.txt"),
    }
    extract, conv = ([paths.get(word, word) for word in options] for options in RUNS[name])
    usual = [
        word
        for option, value in MAKEFILE_OPTIONS.items()
        if option not in conv
        for word in (option, value)
    ]
    command = [sys.executable, str(release / "src" / "reddit.py"), MONTH]
    folders = ["--reddit_input", str(dumped), "--reddit_output", str(output)]
    call([*command, "--task=extract", *folders, *extract])
    for path in (output / "extract" / MONTH).glob("r*.tsv"):
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    messages = call([*command, "--task=conv", *folders, *usual, *conv])
    skipped = Counter(line.split("\t")[1] for line in messages.split("\n") if line[:5] == "skip\t")
    stat = (output / "extract" / MONTH / "stat.tsv").read_text().split("\t")
    return (output / "conv" / f"{MONTH}.tsv").read_bytes(), {
        "comments_kept": int(stat[1]),
        "submissions_kept": int(stat[3]),
        **dict(sorted(skipped.items())),
    }


def call(command: list[str]) -> str:
    """What the command writes to stderr; the release exits with 1 where it crashes."""
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stderr


def record_references(release: Path) -> None:
    """Run create-multiref.py on the instances of the run "test"."""
    instances = (GOLDEN / "test.tsv").read_bytes()
    ids = FIXTURES / "reference-ids.txt"
    ids.write_text(reference_ids(instances.decode().splitlines(keepends=True)), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "test.tsv.gz"
        data.write_bytes(gzip.compress(instances))
        options = ["--data", str(data), "--testids", str(ids)]
        script = str(release / "src" / "create-multiref.py")
        call([sys.executable, script, *options, "--out", str(GOLDEN / "scored_refs.txt")])


def record_texts(release: Path) -> None:
    """Let the release's own functions normalize texts, as JSON Lines of [text, turn]."""
    source = (release / "src" / "reddit.py").read_text(encoding="utf-8")
    start, end = source.index("def minimal_norm_sentence"), source.index("def extract_submissions")
    names: dict[str, object] = {}
    exec("import re\nfrom nltk.tokenize import TweetTokenizer\n" + source[start:end], names)
    minimal, full = names["minimal_norm_sentence"], names["gpt_norm_sentence"]
    pairs = [[text, full(minimal(text))] for text in [*TEXTS, *fuzz_texts(600)]]  # type: ignore[operator]
    lines = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (GOLDEN / "texts.jsonl").write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
