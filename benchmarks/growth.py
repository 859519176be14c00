"""Ours on dumps of several sizes: is the time linear in the comments, is the memory bounded?"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.compare import BENCHMARK, PREFACE, kind_of_dump
from benchmarks.measure import Usage, empty_folder, environment, median_usage
from benchmarks.ours import dump_of, presets_of, run_ours
from benchmarks.report import RATE, RATE_OF_CPU, shown_command, table, write_section


def growth(options: argparse.Namespace, work: Path) -> None:
    """Measure each preset at each size, and write the section.

    Raises:
        MeasuredCommandError: an extraction failed.
    """
    presets = presets_of(options)
    usages: dict[str, dict[int, Usage]] = {name: {} for name in presets}
    for size in sorted(options.comments):
        dumps, manifest = dump_of(options, work, size)
        num_comments = int(manifest["num_comments"])
        for name, preset in presets.items():
            runs = []
            for _ in range(options.runs):
                output = empty_folder(work / "results" / "growth")
                runs.append(run_ours(dumps, output, preset=preset, num_workers=0))
            usage = usages[name][num_comments] = median_usage(runs)
            print(f"{num_comments:,} {name}: {usage.wall_seconds:.2f} s", file=sys.stderr)
    text = "\n\n".join(
        [
            f"### Growth with the number of comments{kind_of_dump(options)}",
            f"`{shown_command(sys.argv)}`",
            *(_preset_table(name, by_size) for name, by_size in usages.items()),
            "\n".join(f"* {note}" for note in [*environment(), f"Runs of each: {options.runs}"]),
        ]
    )
    print(text)
    section = "-".join(["growth", "wide" if options.wide else "narrow", *options.source_months])
    write_section(options.document, BENCHMARK, section, text, preface=PREFACE)


def line_through(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Start and slope of the line whose relative deviations have the least sum of squares."""
    weights = [1 / time**2 for time in seconds]
    total = sum(weights)
    mean_size = sum(w * x for w, x in zip(weights, sizes, strict=True)) / total
    mean_time = sum(w * y for w, y in zip(weights, seconds, strict=True)) / total
    covariance = variance = 0.0
    for weight, size, time in zip(weights, sizes, seconds, strict=True):
        covariance += weight * (size - mean_size) * (time - mean_time)
        variance += weight * (size - mean_size) ** 2
    slope = covariance / variance if variance else mean_time / mean_size
    return mean_time - slope * mean_size, slope


def _preset_table(name: str, by_size: Mapping[int, Usage]) -> str:
    sizes, usages = list(by_size), list(by_size.values())
    start, slope = line_through(sizes, [usage.wall_seconds for usage in usages])
    rows, deviations = [], []
    for size, usage in zip(sizes, usages, strict=True):
        expected = start + slope * size
        deviations.append(usage.wall_seconds / expected - 1)
        rows.append(
            [
                f"{size:,}",
                f"{usage.wall_seconds:.2f}",
                f"{usage.cpu_seconds:.2f}",
                f"{size / usage.wall_seconds / 1e3:.0f}",
                f"{size / usage.cpu_seconds / 1e3:.0f}",
                f"{usage.wall_seconds / size * 1e6:.2f}",
                f"{deviations[-1]:+.1%}",
                f"{usage.peak_bytes / 1e6:.0f}",
            ]
        )
    head = ["comments", "wall s", "CPU s", RATE, RATE_OF_CPU]
    head += ["s per million", "off the line", "peak MB of a process"]
    largest = max(deviations, key=abs)
    return "\n\n".join(
        [
            f"Preset {name}: {start:.2f} s and {slope * 1e6:.2f} s per million comments; the "
            f"largest deviation from this line is {largest:+.1%}.",
            table(head, rows),
        ]
    )
