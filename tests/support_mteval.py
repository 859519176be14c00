"""NIST, BLEU and diversity once more, plainly: what the fast measures are compared with."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from hypothesis import strategies as st

from dialogpt.evaluation.measure import Chunk, Measure, Metrics

GOLDEN = Path(__file__).parent / "golden" / "metrics"
EXPECTED = json.loads((GOLDEN / "dstc" / "expected.json").read_text(encoding="utf-8"))


def golden_lines(name: str) -> list[str]:
    return (GOLDEN / "dstc" / name).read_text(encoding="utf-8").split("\n")[:-1]


def chunk_of(systems: Sequence[Sequence[str]], references: Sequence[Sequence[str]] = ()) -> Chunk:
    nothing: list[list[str]] = [[] for _ in systems[0]]
    return Chunk(
        systems=systems, references=references or nothing, contexts=nothing, knowledge=nothing
    )


def in_pieces(chunk: Chunk, *sizes: int) -> Iterable[Chunk]:
    """The segments in chunks of these sizes; the last takes the rest."""
    start = 0
    for size in (*sizes, len(chunk.references)):
        part = slice(start, start + size)
        start += size
        yield chunk_of([texts[part] for texts in chunk.systems], chunk.references[part])


def measured(measure: Measure, *chunks: Chunk) -> list[Metrics]:
    for chunk in chunks:
        measure.add(chunk)
    return measure.results()


def named(metrics: Metrics) -> dict[str, float]:
    return dict(zip(metrics.names, map(float, metrics.values()), strict=True))


# Few words, so that n-grams meet; some that a tokenizer or Perl takes in its own way.
_words = st.sampled_from(
    ["0", "a", "b", "c", "A", "1.5", "a..5", "...", "5-", "é", "漢", "http://A.b", "x\u00a0y", "&<"]
)
texts = st.lists(_words, max_size=7).map(" ".join)


@st.composite
def corpora(draw: st.DrawFn, *, min_references: int = 1) -> Chunk:
    """A few segments of up to two systems; every segment has a reference with words."""
    number = draw(st.integers(1, 9))
    num_systems = draw(st.integers(1, 2))
    systems = draw(
        st.lists(
            st.lists(texts, min_size=number, max_size=number),
            min_size=num_systems,
            max_size=num_systems,
        )
    )
    references = draw(
        st.lists(
            st.lists(texts, max_size=3).map(lambda some: [*some, "a b"]),
            min_size=number,
            max_size=number,
        )
    )
    return chunk_of(systems, [draw(st.permutations(some)) for some in references])


def mteval_words(text: str) -> list[str]:
    """By the script's five patterns, one after the other."""
    words = []
    for token in text.replace("&", " ").replace("<", " ").split():
        if re.match("https?://", token):
            words.append(token)
            continue
        token = "".join(c.lower() if c.isascii() else c for c in f" {token} ")
        token = re.sub(
            r"([^\w\s',.\-]|_)", lambda m: f" {m[0]} " if m[0].isascii() else m[0], token
        )
        for pattern, shape in (
            (r"([^0-9])([.,])", r"\1 \2 "),
            (r"([.,])([^0-9])", r" \1 \2"),
            (r"([0-9])(-)", r"\1 \2 "),
        ):
            token = re.sub(pattern, shape, token)
        words += token.split()
    return words


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(order)), strict=False))


def plain_mteval(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[float]:
    """NIST-1 to 4, then BLEU-1 to 4."""
    all_counts: Counter[tuple[str, ...]] = Counter()
    for segment in references:
        for reference in segment:
            for order in range(1, 5):
                all_counts.update(_ngrams(mteval_words(reference), order))
    num_words = sum(number for ngram, number in all_counts.items() if len(ngram) == 1)
    matches, totals, information = [0] * 4, [0] * 4, [0.0] * 4
    length = closest = 0
    mean = 0.0
    for hypothesis, segment in zip(hypotheses, references, strict=True):
        words = mteval_words(hypothesis)
        pool = [mteval_words(reference) for reference in segment]
        length += len(words)
        closest += min((abs(len(one) - len(words)), len(one)) for one in pool)[1]
        mean += sum(map(len, pool)) / len(pool)
        for order in range(1, 5):
            counts = _ngrams(words, order)
            totals[order - 1] += sum(counts.values())
            of_references = [_ngrams(one, order) for one in pool]
            for ngram, number in counts.items():
                clipped = min(number, max(one[ngram] for one in of_references))
                if clipped:
                    history = ngram[:-1]
                    before = num_words if history in ((), ("0",)) else all_counts[history]
                    matches[order - 1] += clipped
                    information[order - 1] += clipped * math.log2(before / all_counts[ngram])
    nist = bleu = 0.0
    scores: tuple[list[float], list[float]] = ([], [])
    ratio = min(1.0, length / mean)
    beta = math.log(0.5) / math.log(1.5) ** 2
    penalty = math.exp(beta * math.log(ratio) ** 2) if ratio else 0.0
    brevity = math.exp(min(0.0, 1 - closest / length)) if length else 0.0
    halves = 1
    for order in range(1, 5):
        match, total = matches[order - 1], totals[order - 1]
        nist += information[order - 1] / max(total, 1)
        scores[0].append(nist * penalty)
        if total:
            halves *= 1 if match else 2
            bleu += math.log((match or 1 / halves) / total)
        scores[1].append(math.exp(bleu / order) * brevity)
    return scores[0] + scores[1]


def plain_diversity(hypotheses: Sequence[str]) -> list[float]:
    """Entropy-1 to 4, then Dist-1 to 4; nan without n-grams."""
    entropies, shares = [], []
    for order in range(1, 5):
        counts: Counter[tuple[str, ...]] = Counter()
        for hypothesis in hypotheses:
            counts.update(_ngrams(hypothesis.split(), order))
        total = sum(counts.values())
        logs = [number / total * math.log(total / number) for number in counts.values()]
        entropies.append(sum(logs) if total else math.nan)
        shares.append(len(counts) / total if total else math.nan)
    return entropies + shares
