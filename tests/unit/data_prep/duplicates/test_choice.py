"""Which of similar dialogues stay, against one look at each in turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.duplicates import choice as choosing
from data_prep.duplicates.choice import Edges, choose

Graph = dict[tuple[int, int], float]

graphs = st.dictionaries(
    st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] < pair[1]),
    st.sampled_from([0.8, 0.9, 1.0]),
)


def chosen(graph: Graph) -> dict[int, tuple[int, float]]:
    """Rank that goes -> what stays for it, and how similar it is."""
    pairs = np.array([*graph], np.int64).reshape(-1, 2)
    edges = choose(Edges(pairs[:, 0], pairs[:, 1], np.array([*graph.values()])), 10)
    columns = zip(edges.second, edges.first, edges.similarity, strict=True)
    drops = {int(gone): (int(kept), float(similarity)) for gone, kept, similarity in columns}
    assert len(drops) == len(edges.first)
    return drops


@given(graphs)
def test_each_goes_for_the_most_similar_that_stays(graph: Graph) -> None:
    expected: dict[int, tuple[int, float]] = {}
    for rank in range(10):
        kept = [
            (-similarity, first)
            for (first, second), similarity in graph.items()
            if second == rank and first not in expected
        ]
        if kept:
            similarity, first = min(kept)
            expected[rank] = (first, -similarity)
    assert chosen(graph) == expected


def test_of_a_chain_every_other_one_stays() -> None:
    assert {*chosen({(rank, rank + 1): 0.8 for rank in range(9)})} == {1, 3, 5, 7, 9}


def test_edges_may_be_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = {(rank, rank + 1): 0.8 for rank in range(9)} | {(2, 7): 0.9}
    whole = chosen(graph)
    monkeypatch.setattr(choosing, "_EDGES_AT_ONCE", 2)
    assert chosen(graph) == whole
