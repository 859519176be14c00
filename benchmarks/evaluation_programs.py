"""One program that scores made-up replies, in a process of its own.

    python benchmarks/evaluation_programs.py PROGRAM HYPOTHESES REFERENCES ROUNDS RESULT.json

Writes seconds of each round, the peak of the process's memory in bytes, and the values.
"""

import json
import math
import platform
import re
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from dialogpt.evaluation.bootstrap import Bootstrap
from dialogpt.evaluation.diversity import DiversityMeasure
from dialogpt.evaluation.measure import Chunk
from dialogpt.evaluation.mteval import MtevalMeasure
from dialogpt.records import TestItem

_CHUNK = 4096
_VOCABULARY = 1_000_000
_LONGEST = 22
_ORDERS = range(1, 5)

Values = dict[str, float]


def made_up(num_hypotheses: int, num_references: int) -> Iterator[Chunk]:
    """Texts of 3 to 22 words, the r-th most frequent word as often as 1 / (r + 2) says.

    Two words in five are the usual successor of the one before, so that there are common phrases.
    """
    rng = np.random.default_rng(0)
    words = np.array([_word(rank) for rank in range(_VOCABULARY)], object)
    shares = np.cumsum(1 / np.arange(2, _VOCABULARY + 2))
    shares /= shares[-1]
    for start in range(0, num_hypotheses, _CHUNK):
        number = min(_CHUNK, num_hypotheses - start)
        size = (number * (1 + num_references), _LONGEST)
        ranks = np.searchsorted(shares, rng.random(size))
        usual = rng.random(size) < 0.4
        for place in range(1, _LONGEST):
            ranks[:, place] = np.where(
                usual[:, place], ranks[:, place - 1] * 7 % 997, ranks[:, place]
            )
        lengths = rng.integers(3, _LONGEST + 1, len(ranks))
        texts = [
            f"{' '.join(row[:length])} ."
            for row, length in zip(words[ranks].tolist(), lengths.tolist(), strict=True)
        ]
        pools = [
            texts[number + i * num_references : number + (i + 1) * num_references]
            for i in range(number)
        ]
        nothing: list[list[str]] = [[] for _ in range(number)]
        yield Chunk(systems=[texts[:number]], references=pools, contexts=nothing, knowledge=nothing)


def write_files(num_hypotheses: int, num_references: int, items: Path, replies: Path) -> None:
    """The same texts as a test set and the replies of a system, as the command reads them."""
    with items.open("w", encoding="utf-8") as to_items, replies.open("w", encoding="utf-8") as out:
        number = 0
        for chunk in made_up(num_hypotheses, num_references):
            out.writelines(f"{text}\n" for text in chunk.systems[0])
            for references in chunk.references:
                item = TestItem(
                    id=str(number), turns=(references[-1],), references=tuple(references)
                )
                to_items.write(f"{item.to_json()}\n")
                number += 1


def _word(rank: int) -> str:
    """A word for each number: "b", "c", ..., the frequent ones short."""
    letters = ""
    while True:
        letters += "bcdfghklmnprstvw"[rank % 16] + "aeiou"[rank // 16 % 5]
        rank //= 80
        if not rank:
            return letters


def ours(chunks: Iterator[Chunk], *, draws: int = 0) -> tuple[float, Values]:
    """Seconds without making the texts, and values."""
    seconds = -perf_counter()
    measures = [MtevalMeasure(1), DiversityMeasure(1)]
    seconds += perf_counter()
    for chunk in chunks:
        seconds -= perf_counter()
        for measure in measures:
            measure.add(chunk)
        seconds += perf_counter()
    seconds -= perf_counter()
    found = [measure.results()[0] for measure in measures]
    values = {n: float(v) for m in found for n, v in zip(m.names, m.values(), strict=True)}
    for metrics in found if draws else ():
        Bootstrap(draws=draws, seed=0).intervals(metrics)
    return seconds + perf_counter(), values


def ours_with_intervals(chunks: Iterator[Chunk]) -> tuple[float, Values]:
    return ours(chunks, draws=1000)


def plain_python(chunks: Iterator[Chunk]) -> tuple[float, Values]:
    """What one would write by hand: tuples of words in dictionaries, segment by segment."""
    hypotheses, references = _all(chunks)
    start = perf_counter()
    pools = [[_ngrams(_plain_words(text)) for text in pool] for pool in references]
    corpus: Counter[tuple[str, ...]] = Counter()
    for pool in pools:
        for ngrams in pool:
            corpus.update(ngrams)
    num_words = sum(number for ngram, number in corpus.items() if len(ngram) == 1)
    matches, totals, gains = np.zeros((3, 4))
    closest = mean = 0.0
    for text, pool in zip(hypotheses, pools, strict=True):
        words = _plain_words(text)
        most: Counter[tuple[str, ...]] = Counter()
        for ngrams in pool:
            most |= ngrams
        for ngram, number in _ngrams(words).items():
            order = len(ngram) - 1
            totals[order] += number
            if clipped := min(number, most[ngram]):
                quirk = ngram[:-1] in ((), ("0",))
                before = num_words if quirk else corpus[ngram[:-1]]
                matches[order] += clipped
                gains[order] += clipped * math.log2(before / corpus[ngram])
        lengths = [sum(n for ngram, n in ngrams.items() if len(ngram) == 1) for ngrams in pool]
        closest += min((abs(length - len(words)), length) for length in lengths)[1]
        mean += sum(lengths) / len(lengths)
    values = _plain_scores(matches, totals, gains, closest, mean) | _plain_diversity(hypotheses)
    return perf_counter() - start, values


def _plain_words(text: str) -> list[str]:
    """Right for these texts, which have no URLs and no numbers."""
    return re.sub(r"([^\w\s'-]|_)", r" \1 ", text.lower()).split()


def _ngrams(words: list[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for n in _ORDERS for i in range(len(words) - n + 1))


def _plain_scores(
    matches: np.ndarray, totals: np.ndarray, gains: np.ndarray, closest: float, mean: float
) -> Values:
    ratio = math.log(min(1.0, totals[0] / mean))
    penalty = math.exp(math.log(0.5) / math.log(1.5) ** 2 * ratio**2)
    brevity = math.exp(min(0.0, 1 - closest / totals[0]))
    values = {}
    nist = logs = 0.0
    halves = 1
    for n in _ORDERS:
        nist += gains[n - 1] / totals[n - 1]
        halves *= 1 if matches[n - 1] else 2
        logs += math.log((matches[n - 1] or 1 / halves) / totals[n - 1])
        values |= {f"NIST-{n}": nist * penalty, f"BLEU-{n}": math.exp(logs / n) * brevity}
    return values


def _plain_diversity(hypotheses: list[str]) -> Values:
    corpus: Counter[tuple[str, ...]] = Counter()
    for text in hypotheses:
        corpus.update(_ngrams(text.split()))
    values = {}
    for n in _ORDERS:
        counts = [number for ngram, number in corpus.items() if len(ngram) == n]
        total = sum(counts)
        values[f"Entropy-{n}"] = -sum(c / total * math.log(c / total) for c in counts)
        values[f"Dist-{n}"] = len(counts) / total
    return values


def sacrebleu_bleu(chunks: Iterator[Chunk]) -> tuple[float, Values]:
    """BLEU-2 and BLEU-4 alone."""
    from sacrebleu.metrics import BLEU

    hypotheses, references = _all(chunks)
    streams = [list(texts) for texts in zip(*references, strict=True)]
    start = perf_counter()
    values = {}
    for n in (2, 4):
        bleu = BLEU(lowercase=True, tokenize="13a", max_ngram_order=n, smooth_method="exp")
        values[f"BLEU-{n}"] = bleu.corpus_score(hypotheses, streams).score / 100
    return perf_counter() - start, values


def nltk_scores(chunks: Iterator[Chunk]) -> tuple[float, Values]:
    """Its own BLEU and NIST of orders 2 and 4, of split texts; other numbers than ours."""
    from nltk.translate.bleu_score import corpus_bleu
    from nltk.translate.nist_score import corpus_nist

    hypotheses, references = _all(chunks)
    start = perf_counter()
    words = [text.split() for text in hypotheses]
    pools = [[text.split() for text in pool] for pool in references]
    for n in (2, 4):
        corpus_bleu(pools, words, weights=[1 / n] * n)
        corpus_nist(pools, words, n=n)
    return perf_counter() - start, {}


def _all(chunks: Iterator[Chunk]) -> tuple[list[str], list[list[str]]]:
    hypotheses: list[str] = []
    references: list[list[str]] = []
    for chunk in chunks:
        hypotheses += chunk.systems[0]
        references += map(list, chunk.references)
    return hypotheses, references


PROGRAMS: dict[str, Callable[[Iterator[Chunk]], tuple[float, Values]]] = {
    "ours": ours,
    "ours, with intervals": ours_with_intervals,
    "plain Python": plain_python,
    "sacrebleu": sacrebleu_bleu,
    "nltk": nltk_scores,
}


def main() -> None:
    program, num_hypotheses, num_references, rounds, path = sys.argv[1:]
    seconds = []
    values: Values = {}
    for _ in range(int(rounds)):
        taken, values = PROGRAMS[program](made_up(int(num_hypotheses), int(num_references)))
        seconds.append(taken)
    unit = 1 if platform.system() == "Darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    result = {"seconds": seconds, "peak_bytes": peak, "values": values}
    Path(path).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()
