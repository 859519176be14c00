"""Random forests with every defect, by arrays and by a naive builder: the same, and none lost."""

from hostile.compare_trees import BODIES, MONTHS, compare, config_with
from hostile.naive_trees import Comment
from hypothesis import given, settings
from hypothesis import strategies as st

IDS = st.integers(0, 14)
COMMENTS = st.builds(
    Comment,
    thread=st.integers(0, 2),
    id=IDS,
    parent=st.integers(-1, 15),
    body=st.sampled_from([BODIES[0]] * 6 + [*BODIES]),
    author=st.sampled_from(["ann", "bob", "cid", "", "[deleted]", None]),
    month=st.sampled_from(MONTHS),
    score=st.integers(-2, 2),
)
CONFIGS = st.builds(
    lambda low, more, responses: config_with(low, low + more if more >= 0 else 0, responses),
    st.integers(1, 3),
    st.integers(-1, 3),
    st.integers(2, 3),
)


def in_order_of_months(comments: list[Comment]) -> list[Comment]:
    return sorted(comments, key=lambda comment: comment.month)


@settings(max_examples=100)
@given(st.lists(COMMENTS, max_size=40).map(in_order_of_months), CONFIGS)
def test_any_forest_gives_the_dialogues_items_and_counts_of_the_naive_builder(
    comments: list[Comment], config: object
) -> None:
    compare(comments, config)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(
    st.integers(1, 40),
    st.sampled_from(["chain", "ring", "star", "ring with tails"]),
    st.permutations(range(40)),
    CONFIGS,
)
def test_shapes_do_not_depend_on_the_order_of_lines(
    size: int, shape: str, order: list[int], config: object
) -> None:
    parents = {
        "chain": lambda n: n - 1,
        "ring": lambda n: (n + 1) % size,
        "star": lambda n: 0 if n else -1,
        "ring with tails": lambda n: (n + 1) % 3 if n < 3 else n - 3,
    }
    comments = [Comment(1, n, parents[shape](n), f"I say {n}") for n in range(size)]
    shuffled = [comments[n] for n in order if n < size]
    result = compare(shuffled, config)  # type: ignore[arg-type]
    assert result == compare(comments, config)  # type: ignore[arg-type]


@settings(max_examples=40)
@given(st.lists(st.tuples(IDS, st.sampled_from(BODIES)), min_size=1, max_size=12))
def test_of_duplicates_one_stays_and_the_others_are_counted(rows: list[tuple[int, str]]) -> None:
    comments = [Comment(1, number, body=body) for number, body in rows]
    counts = compare(comments, config_with(1, 0, 2)).counts
    num_duplicates = len(rows) - len({number for number, _ in rows})
    assert counts[201501, "comments_dropped.duplicate_id"] == num_duplicates


def test_ids_at_the_ends_of_their_range_are_ids() -> None:
    last = 36**12 - 1
    comments = [
        Comment(last, last), Comment(last, 0, last), Comment(0, last, 0), Comment(0, 0),
        Comment(last, last - 1, 0),
    ]  # fmt: skip
    result = compare(comments, config_with(2, 0, 2))
    assert [row["turn_ids"] for row in result.dialogues] == [
        ["t1_0", "t1_zzzzzzzzzzzz"],
        ["t1_zzzzzzzzzzzz", "t1_0", "t1_zzzzzzzzzzzy"],
    ]


def test_voices_beyond_what_can_be_numbered_are_unknown() -> None:
    comments = [Comment(1, n, n - 1, "I", author=f"author {n}") for n in range(140)]
    (dialogue,) = compare(comments, config_with(2, 0, 2)).dialogues
    assert dialogue["speakers"] == [*range(128), *[-1] * 12]
