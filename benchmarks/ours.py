"""Runs this project's extraction and the floors, each as a process of its own."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, MeasuredCommandError, Usage, run_measured, warm_up

Manifest = dict[str, Any]

MANIFEST = "dump.json"
"""What `benchmarks.dumps` writes last."""

EXTRACT = (sys.executable, "-m", "data_prep", "extract")


def has_presets() -> bool:
    """Whether the extraction of this checkout has --preset; before, all it did was "paper".

    Raises:
        MeasuredCommandError: it cannot even print its help.
    """
    done = subprocess.run([*EXTRACT, "--help"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise MeasuredCommandError(f"{' '.join(EXTRACT)} --help failed\n{done.stderr[-2000:]}")
    return "--preset" in done.stdout


def run_ours(
    dumps: Path,
    output: Path,
    *,
    preset: str | None,
    num_workers: int,
    further: Sequence[str] = (),
) -> Usage:
    """Extract into output/out.

    Args:
        dumps: folder of dumps.
        output: an empty folder.
        preset: of the extraction; None gives no --preset.
        num_workers: processes; 0 leaves the number to the extraction.
        further: options.

    Raises:
        MeasuredCommandError: it failed.
    """
    options = ["--dumps", str(dumps.resolve()), "--output", str((output / "out").resolve())]
    options += further
    if preset is not None:
        options = ["--preset", preset, *options]
    if num_workers:
        options += ["--num_workers", str(num_workers)]
    return run_measured([*EXTRACT, *options], cwd=ROOT, log=output / "extract.log")


def run_floor(dumps: Path, output: Path, *, floor: str) -> Usage:
    """Take the dumps through one of `benchmarks.floors`; only its log goes to output."""
    script = ROOT / "benchmarks" / "floors.py"
    command = [sys.executable, str(script), floor, str(dumps.resolve())]
    return run_measured(command, cwd=ROOT, log=output / "floor.log")


def dump_of(options: argparse.Namespace, work: Path, size: int) -> tuple[Path, Manifest]:
    """Make a dump, or find it made before, and see that its files are in the system's cache.

    It is made in a process of its own, so that this one stays small (see `benchmarks.measure`).

    Args:
        options: those that decide what a dump is made of.
        work: the folder of dumps.
        size: comments at least.

    Returns:
        The dump's folder, and what its manifest says.
    """
    months = options.source_months
    dumps = work / "-".join(["wide" if options.wide else "narrow", str(size), *months])
    command = [sys.executable, str(ROOT / "benchmarks" / "extraction.py"), "make"]
    command += ["--dumps", str(options.dumps.resolve()), "--output", str(dumps.resolve())]
    command += ["--comments", str(size), "--seed", str(options.seed)]
    command += ["--source-months", *months] if months else []
    command += ["--wide"] if options.wide else []
    if subprocess.run(command).returncode:
        raise MeasuredCommandError("the dump could not be made")
    warm_up(dumps)
    manifest: Manifest = json.loads((dumps / MANIFEST).read_bytes())
    return dumps, manifest


def presets_of(options: argparse.Namespace) -> dict[str, str | None]:
    """Name of each preset to measure -> what to give as --preset; see `run_ours`."""
    if has_presets():
        return {preset: preset for preset in options.presets}
    print("note: this checkout has no --preset; its extraction is measured as it is")
    return {"paper": None}
