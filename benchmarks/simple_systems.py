"""Systems that learn nothing, to see what the numbers of a trained one are worth.

    python benchmarks/simple_systems.py --dialogues FOLDER --references FILE --output FOLDER

Writes the replies of four of them, a line a context, for `python -m dialogpt.evaluate`:

* constant: always the commonest reply of the training split;
* echo: the last turn again;
* random: the reply of a random training dialogue;
* retrieval: the reply of the training dialogue whose last turn before it is nearest by BM25
  (Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework").

See README.md beside this file.
"""

import argparse
import math
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow.parquet as pq

from dialogpt.records import TestItem, read_test_items, write_text
from dialogpt.text import clean_turn

_K1, _B = 1.2, 0.75
_WORD = re.compile(r"\w+")


def main() -> None:
    options = _parser().parse_args()
    items = list(read_test_items(options.references))
    pairs = list(_training_pairs(options.dialogues))
    if not items or not pairs:
        sys.exit(f"error: expected items and dialogues, found {len(items)} and {len(pairs)}")
    draw = random.Random(options.seed)
    commonest, _ = Counter(reply for _, reply in pairs).most_common(1)[0]
    replies = {
        "constant": [commonest] * len(items),
        "echo": [item.turns[-1] for item in items],
        "random": [draw.choice(pairs)[1] for _ in items],
        "retrieval": _retrieved(items, pairs),
    }
    options.output.mkdir(parents=True, exist_ok=True)
    for name, texts in replies.items():
        path = options.output / f"{name}.txt"
        write_text(path, "".join(f"{clean_turn(text)}\n" for text in texts))
        print(f"{name}={path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0], allow_abbrev=False)
    parser.add_argument("--dialogues", type=Path, required=True, help="what extract wrote")
    parser.add_argument("--references", type=Path, required=True, help="items of a test set")
    parser.add_argument("--output", type=Path, required=True, help="folder for the replies")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _training_pairs(folder: Path) -> Iterator[tuple[str, str]]:
    """The last two turns of each training dialogue."""
    for file in sorted((folder / "dialogues" / "train").glob("*.parquet")):
        for turns in pq.read_table(file, columns=["turns"]).column("turns").to_pylist():
            if len(turns) > 1:
                yield turns[-2], turns[-1]


def _retrieved(items: Sequence[TestItem], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """For each item the reply of the training pair with the nearest context."""
    words = [_WORD.findall(context.lower()) for context, _ in pairs]
    lengths = np.array([len(of_context) for of_context in words], np.float64)
    norm = _K1 * (1 - _B + _B * lengths / lengths.mean())
    postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, of_context in enumerate(words):
        for word, count in Counter(of_context).items():
            postings[word].append((index, count))
    table = {word: np.array(places, np.int64) for word, places in postings.items()}
    replies = []
    for item in items:
        scores = np.zeros(len(pairs))
        for word in set(_WORD.findall(item.turns[-1].lower())):
            if word in table:
                indices, counts = table[word].T
                rarity = math.log(1 + (len(pairs) - len(indices) + 0.5) / (len(indices) + 0.5))
                scores[indices] += rarity * counts * (_K1 + 1) / (counts + norm[indices])
        replies.append(pairs[int(scores.argmax())][1])
    return replies


if __name__ == "__main__":
    main()
