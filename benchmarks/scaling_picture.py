"""The picture of docs/benchmarks.md on several GPUs, from the numbers of scaling.py.

    python benchmarks/scaling_picture.py numbers.json --output docs/images/scaling.png

`numbers.json` is what `scaling.py --json numbers.json` writes.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.scaling import WAYS

THE_RELEASE = {1: 10_847, 2: 20_645, 4: 37_647, 8: 71_356}
"""GPUs -> tokens a second, as DialoGPT's release reports them for V100s."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("numbers", type=Path, nargs="+", help="what scaling.py --json wrote")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    results = [result for path in options.numbers for result in json.loads(path.read_text())]
    draw(results, options.output)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Rates against one GPU's, a line for each model, way and amount of work.

    Args:
        results: what scaling.py measured; kinds of work without a rate on one GPU are left out.
        path: of the PNG.
    """
    from matplotlib.figure import Figure

    lines = speedups(results)
    lines["the release, V100"] = {gpus: rate / THE_RELEASE[1] for gpus, rate in THE_RELEASE.items()}
    most = max(gpus for line in lines.values() for gpus in line)
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([1, most], [1, most], color="0.7", linestyle=":", label="in proportion")
    for (name, line), marker in zip(lines.items(), "osD^v<>phX*P", strict=False):
        style = "--" if name.startswith("the release") else "-"
        axes.plot(list(line), list(line.values()), style, marker=marker, markersize=5, label=name)
    axes.set_xlabel("GPUs of one host")
    axes.set_ylabel("tokens a second, to one GPU")
    axes.set_xticks(sorted({gpus for line in lines.values() for gpus in line}))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def speedups(results: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    """Name of a kind of work -> GPUs -> rate, where one GPU's is 1."""
    rates: dict[str, dict[int, float]] = defaultdict(dict)
    for result in results:
        work = f"{result['accumulation']} x {result['tokens']:,} tokens"
        name = f"{result['size']}, {WAYS[result['way']]}, {work}"
        rates[name][result["gpus"]] = result["tokens_per_second"]
    return {
        name: {gpus: rate / line[1] for gpus, rate in sorted(line.items())}
        for name, line in rates.items()
        if 1 in line and len(line) > 1
    }


if __name__ == "__main__":
    main()
