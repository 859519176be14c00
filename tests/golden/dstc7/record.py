"""Runs the program of DSTC-7, track 2 on the made-up months and writes what it says here.

    cd tests && python -m golden.dstc7.record --release PATH

PATH is the folder data_extraction of github.com/mgalley/DSTC7-End-to-End-Conversation-Modeling
(commit: see origin.json). The Python needs nltk 3.3 or 3.4.1, zstandard, beautifulsoup4 and
chardet, as the program does; the project itself is not used. Nothing is fetched: every page is
there, and empty.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import zstandard
from golden.dstc7.cases import LISTED_DOMAINS, LISTED_SUBREDDITS, MONTHS, lists, month, pages, texts

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "dstc7"
GOLDEN = Path(__file__).parent

# Run beside the program, in place of its module of this name.
_NO_FETCHING = """
from fetching import CommonCrawl

CommonCrawl.download = lambda self, *args, **kwargs: ("", "", "")
"""
# NLTK of 2018 asks for what Python has no longer; it wants it for signatures alone.
_OLD_PYTHON = """
import inspect

inspect.formatargspec = lambda *args, **kwargs: "(*args, **kwargs)"
"""


def main() -> None:
    """Write fixtures and golden files."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", type=Path, required=True, help="its folder data_extraction")
    parser.add_argument("--commit", required=True, help="of the release")
    arguments = parser.parse_args()
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(MONTHS):
        comments, submissions = month(number)
        (FIXTURES / f"RC_{name}.jsonl").write_bytes(comments)
        (FIXTURES / f"RS_{name}.jsonl").write_bytes(submissions)
    for name, text in {
        "subreddits.txt": "".join(f"{name}\n" for name in LISTED_SUBREDDITS),
        "domains.txt": "".join(f"{name}\n" for name in LISTED_DOMAINS),
        "cc-match.tsv": pages(),
    }.items():
        (FIXTURES / name).write_text(text, encoding="utf-8")
    record_texts()
    with tempfile.TemporaryDirectory() as folder:
        record(arguments.release, Path(folder))
    origin = {
        "made_by": "cd tests; python -m golden.dstc7.record --release data_extraction",
        "release": "github.com/mgalley/DSTC7-End-to-End-Conversation-Modeling, commit "
        + arguments.commit,
        "nltk": version("nltk"),
        "python": sys.version.split()[0],
    }
    (GOLDEN / "origin.json").write_text(json.dumps(origin, indent=1) + "\n", encoding="utf-8")


def record(release: Path, folder: Path) -> None:
    """Run the release on all months, with its lists and without, and make the references."""
    prepare(release, folder)
    everything = {name: run(folder, name, "") for name in MONTHS}
    for name, lines in everything.items():
        (GOLDEN / f"convos_{name}.txt").write_bytes(lines)
        listed = run(folder, name, "listed")
        (GOLDEN / f"listed_{name}.txt").write_bytes(listed)
    instances = [
        line.split("\t")
        for lines in everything.values()
        for line in lines.decode().split("\n")[:-1]
    ]
    for name, text in lists(instances).items():
        (FIXTURES / name).write_text(text, encoding="utf-8")
    hashes = ["--test", str(FIXTURES / "test-multiref.hashes")]
    found = b"".join(run(folder, name, "", hashes) for name in MONTHS)
    unique = b"".join(sorted(set(found.splitlines(keepends=True))))
    script = [sys.executable, str(release / "src" / "ids2refs.py")]
    refs = subprocess.run(
        [*script, str(FIXTURES / "test-multiref.sets")],
        input=unique,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": "UTF-8"},
    ).stdout
    (GOLDEN / "test.refs").write_bytes(refs)


def record_texts() -> None:
    """Let NLTK cut texts, as JSON Lines of [text, tokens]."""
    exec(_OLD_PYTHON)
    from nltk.tokenize import TweetTokenizer

    tokenizer = TweetTokenizer(preserve_case=False)
    pairs = [[text, tokenizer.tokenize(text)] for text in texts(1500)]
    lines = "".join(json.dumps(pair) + "\n" for pair in pairs)
    (GOLDEN / "tokens.jsonl").write_text(lines, encoding="utf-8")


def prepare(release: Path, folder: Path) -> None:
    """Copy the release to where nothing can be fetched, and the dumps and lists beside it."""
    source = release / "src"
    shutil.copy(source / "create_official_data.py", folder)
    shutil.copy(source / "commoncrawl.py", folder / "fetching.py")
    (folder / "commoncrawl.py").write_text(_NO_FETCHING)
    (folder / "sitecustomize.py").write_text(_OLD_PYTHON)
    (folder / "lists").mkdir()
    (folder / "lists" / "cc-match.tsv").write_text("")
    for name in MONTHS:
        for kind in ("RC", "RS"):
            data = (FIXTURES / f"{kind}_{name}.jsonl").read_bytes()
            (folder / f"{kind}_{name}.zst").write_bytes(zstandard.compress(data))


def run(folder: Path, name: str, with_lists: str, options: list[str] | None = None) -> bytes:
    """The lines of a month's *.convos.txt, as the release's Makefile makes them."""
    output = folder / "convos.txt"
    options = options or []
    if with_lists:
        filters = ["subreddit_filter", "subreddits.txt", "domain_filter", "domains.txt"]
        names = [*filters, "cc_match", "cc-match.tsv"]
        for option, file in zip(names[::2], names[1::2], strict=True):
            options = [*options, f"--{option}", str(FIXTURES / file)]
    inputs = [f"--rsinput=RS_{name}.zst", f"--rcinput=RC_{name}.zst", f"--convos={output}"]
    usual = ["--anchoronly=True", "--use_cc=True", "--facts=-", f"--pickle={with_lists}{name}.pkl"]
    subprocess.run(
        [sys.executable, "create_official_data.py", *inputs, *usual, *options],
        check=True,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONIOENCODING": "UTF-8", "PYTHONPATH": str(folder)},
    )
    return output.read_bytes()


if __name__ == "__main__":
    main()
