"""What is dropped as a duplicate, compared with a search that looks at all pairs."""

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support_duplicates import (
    Drop,
    Row,
    brute_force,
    drops_of,
    name_of,
    reasons,
    row,
    search,
)

from data_prep.config import DuplicatesConfig
from data_prep.duplicates import pairs as pair_search
from data_prep.duplicates import stages as duplicate_stages
from data_prep.duplicates.minhash import Banding
from data_prep.duplicates.search import choose_num_buckets, read_drops

NEAR = DuplicatesConfig(drop="near")
OF_RESPONSES = DuplicatesConfig(drop="near", of="response")
EXACT = DuplicatesConfig(drop="exact")

SENTENCE = (
    "the quick brown fox jumps over the lazy dog and then it sleeps for a long long while in the "
    "warm summer sun near the old red barn until the farmer comes home from the far away market "
    "with bread"
)
QUESTION = "what do you think the fox will do today when the farmer is not looking after it"


def found(tmp_path: Path, rows: Sequence[Row], config: DuplicatesConfig) -> dict[Any, Drop]:
    return drops_of(search(tmp_path, [rows], config), [rows])


def dropped(tmp_path: Path, rows: Sequence[Row], config: DuplicatesConfig) -> dict[str, str]:
    return reasons(found(tmp_path, rows, config))


def edited(text: str, rng: random.Random, num_edits: int) -> str:
    """The text with some words put in, left out or replaced."""
    words = text.split()
    for _ in range(num_edits):
        place = rng.randrange(len(words))
        words[place : place + rng.randint(0, 1)] = [f"new{rng.randrange(10**6)}"] * rng.randint(
            0, 1
        )
    return " ".join(words or ["x"])


def corpus(num_threads: int, seed: int) -> list[Row]:
    """Threads of a few paths, some of them copies of others with up to three edits a turn."""
    rng = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(60)]
    rows: list[Row] = []
    for number in range(num_threads):
        name = f"{rng.randrange(36**4):x}x{number}"
        opener = " ".join(rng.choices(vocabulary, k=rng.randint(3, 30)))
        source = rng.choice(rows)["turns"] if rows and rng.random() < 0.6 else None
        split, created = rng.choice(["train", "train", "valid", "test"]), rng.randrange(4)
        for path in range(rng.randint(1, 3)):
            turns = [
                opener,
                *(" ".join(rng.choices(vocabulary, k=rng.randint(1, 25))) for _ in "ab"),
            ]
            if source and path == 0:
                turns = [edited(turn, rng, rng.choice([0, 0, 0, 1, 3])) for turn in source]
            ids = [f"t1_{name}", f"t1_{name}{path}", f"t1_{name}{path}z"]
            rows.append(
                row(name, *turns, split=split, created_utc=created, turn_ids=ids[: len(turns)])
            )
    return rows


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "config",
    [
        NEAR,
        OF_RESPONSES,
        EXACT,
        DuplicatesConfig(drop="exact", of="response", min_words=4),
        DuplicatesConfig(drop="near", min_similarity=0.5, shingle_words=2, min_words=1),
        DuplicatesConfig(drop="near", min_similarity=0.95, shingle_words=1),
    ],
)
def test_what_goes_is_what_a_comparison_of_all_pairs_says(
    config: DuplicatesConfig, seed: int, tmp_path: Path
) -> None:
    rows = corpus(60, seed)
    expected = brute_force(rows, config)
    assert len(expected) > 3
    # So many bands that none of the pairs is missed by chance; how many are is another test's.
    with patch.object(Banding, "for_similarity", lambda _: Banding(2, 80)):
        assert found(tmp_path, rows, config) == expected


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.lists(st.text("ab .!\U0001f600é'", min_size=1, max_size=12), min_size=1, max_size=3),
            st.sampled_from(["train", "valid", "test"]),
            st.integers(0, 2),
        ),
        max_size=12,
    ),
    st.sampled_from(["dialogue", "response"]),
    st.integers(1, 3),
)
def test_any_dialogues_are_judged_as_by_a_comparison_of_all_pairs(
    dialogues: list[tuple[list[str], str, int]], of: str, shingle_words: int
) -> None:
    rows = []
    for number, (turns, split, created) in enumerate(dialogues):
        cleaned = [" ".join(turn.split()) or "!" for turn in turns]
        rows.append(row(f"{number}", *cleaned, split=split, created_utc=created))
    config = DuplicatesConfig(
        drop="near", of=of, min_words=1, min_similarity=0.5, shingle_words=shingle_words
    )
    with (
        TemporaryDirectory() as folder,
        patch.object(Banding, "for_similarity", lambda _: Banding(2, 80)),
    ):
        assert found(Path(folder), rows, config) == brute_force(rows, config)


@pytest.mark.parametrize("config", [NEAR, OF_RESPONSES])
def test_partitions_buckets_workers_and_the_order_of_rows_make_no_difference(
    config: DuplicatesConfig, tmp_path: Path
) -> None:
    rows = corpus(80, seed=9)
    expected = found(tmp_path / "one", rows, config)
    assert {drop.reason for drop in expected.values()} == {"duplicate", "near_duplicate"}
    rng = random.Random(1)
    for number, (num_parts, num_buckets, num_workers) in enumerate([(2, 1, 1), (5, 16, 2)]):
        rng.shuffle(rows)
        parts: list[list[Row]] = [[] for _ in range(num_parts)]
        owners = {row["thread_id"]: rng.randrange(num_parts - 1) for row in rows}
        for one in rows:  # the last part stays empty
            parts[owners[one["thread_id"]]].append(one)
        again = search(
            tmp_path / f"{number}",
            parts,
            config,
            num_buckets=num_buckets,
            num_workers=num_workers,
        )
        assert drops_of(again, parts) == expected


def test_what_goes_has_a_duplicate_that_stays_and_those_that_stay_have_none(
    tmp_path: Path,
) -> None:
    rows = corpus(150, seed=3)
    drops = found(tmp_path, rows, NEAR)
    assert not {drop.kept for drop in drops.values()} & {*drops}
    staying = [row for row in rows if name_of(row) not in drops]
    assert found(tmp_path / "again", staying, NEAR) == {}


def test_case_punctuation_and_spacing_make_no_difference(tmp_path: Path) -> None:
    rows = [
        row("a", "Well, I'll be... damned!", "It's a nice day, isn't it?"),
        row("b", "well I’ll be DAMNED", "(It's a nice day; isn't it)", created_utc=1_430_000_000),
        row("c", "well I'll be damned it's a", "nice day isn't it", created_utc=1_430_000_000),
    ]
    assert dropped(tmp_path, rows, EXACT) == {"b": "duplicate"}


def test_turns_without_words_are_compared_as_they_are(tmp_path: Path) -> None:
    rows = [row("a", SENTENCE, "😂"), row("b", SENTENCE, "😢"), row("c", SENTENCE, "😂")]
    assert dropped(tmp_path, rows, NEAR) == {"c": "duplicate"}


def test_exact_mode_keeps_what_is_only_nearly_the_same(tmp_path: Path) -> None:
    rows = [row("a", QUESTION, SENTENCE), row("b", QUESTION, SENTENCE + " now")]
    assert dropped(tmp_path, rows, EXACT) == {}
    assert dropped(tmp_path / "near", rows, NEAR) == {"b": "near_duplicate"}


def test_a_test_dialogue_stays_before_a_valid_one_and_that_before_one_of_training(
    tmp_path: Path,
) -> None:
    rows = [
        row("a", QUESTION, SENTENCE, created_utc=1),
        row("b", QUESTION, SENTENCE, created_utc=2, split="valid"),
        row("c", QUESTION, SENTENCE, created_utc=3, split="test"),
    ]
    kept = {drop.kept[0] for drop in found(tmp_path, rows, NEAR).values()}
    assert kept == {"t3_c"}
    kept = {drop.kept[0] for drop in found(tmp_path / "2", rows[:2], NEAR).values()}
    assert kept == {"t3_b"}


def test_the_earliest_stays_and_an_unknown_time_is_late(tmp_path: Path) -> None:
    rows = [
        row("a", QUESTION, SENTENCE, created_utc=0),
        row("b", QUESTION, SENTENCE, created_utc=8),
        row("c", QUESTION, SENTENCE, created_utc=7),
        row("d", QUESTION, SENTENCE, created_utc=7),
    ]
    assert {drop.kept for drop in found(tmp_path, rows, NEAR).values()} == {("t3_c", "t1_c1")}


def test_in_a_chain_only_the_middle_goes(tmp_path: Path) -> None:
    words = SENTENCE.split()
    first, middle, last = (" ".join(words[start : start + 30]) for start in (0, 3, 6))
    rows = [
        row("a", QUESTION, first, created_utc=1),
        row("b", QUESTION, middle, created_utc=2),
        row("c", QUESTION, last, created_utc=3),
    ]
    config = DuplicatesConfig(drop="near", min_similarity=0.75)
    assert dropped(tmp_path, rows, config) == {"b": "near_duplicate"}
    # With the middle preferred, both ends go for it.
    rows[0]["created_utc"], rows[1]["created_utc"] = 2, 1
    assert {*dropped(tmp_path / "2", rows, config)} == {"a", "c"}


def test_copies_of_what_goes_go_for_the_one_that_stays(tmp_path: Path) -> None:
    rows = [
        row("a", QUESTION, SENTENCE, created_utc=1),
        row("b", QUESTION, SENTENCE + " now", created_utc=2),
        row("c", QUESTION, SENTENCE + " now", created_utc=3),
    ]
    drops = found(tmp_path, rows, NEAR)
    assert {*drops.values()} == {Drop("near_duplicate", ("t3_a", "t1_a1"), 38 / 39)}
    assert len(drops) == 2


def test_paths_of_one_thread_are_no_duplicates_for_their_common_beginning(tmp_path: Path) -> None:
    long = f"{SENTENCE} {QUESTION} " * 3
    rows = [row("a", long, "I think so, too."), row("a", long, "No, not at all.")]
    rows[1]["turn_ids"] = ["t1_a0", "t1_other"]
    assert dropped(tmp_path, rows, NEAR) == {}
    # The same comment twice under one parent is one.
    rows[1]["turns"][1] = "I think so too"
    assert dropped(tmp_path / "2", rows, NEAR) == {"a": "duplicate"}


def test_a_bot_is_found_among_responses_whatever_it_answers(tmp_path: Path) -> None:
    bot = "I am a bot and this action was performed automatically please contact the moderators"
    rows = [
        row(name, " ".join(name * number for number in range(1, 9)), bot, created_utc=created)
        for created, name in enumerate("vwxyz")
    ]
    assert dropped(tmp_path, rows, NEAR) == {}
    assert {*dropped(tmp_path / "2", rows, OF_RESPONSES)} == {*"vxyz"}  # v's time is not known


def test_thank_you_is_never_a_duplicate(tmp_path: Path) -> None:
    rows = [row(f"{number}", "Here you are", "Thank you!") for number in range(4)]
    for number, config in enumerate([NEAR, EXACT, OF_RESPONSES]):
        assert dropped(tmp_path / f"{number}", rows, config) == {}


def test_min_words_is_the_least_number_that_is_compared(tmp_path: Path) -> None:
    nine = "one two three four five six seven eight nine"
    rows = [row("a", "yes", nine), row("b", "yes", nine)]
    assert dropped(tmp_path, rows, NEAR) == {"b": "duplicate"}
    assert dropped(tmp_path / "2", rows, OF_RESPONSES) == {}
    rows = [row("a", "yes", nine + " ten"), row("b", "no", nine + " ten")]
    assert dropped(tmp_path / "3", rows, OF_RESPONSES) == {"b": "duplicate"}


def test_similarity_at_the_threshold_is_enough_and_just_below_is_not(tmp_path: Path) -> None:
    config = DuplicatesConfig(drop="near", shingle_words=1, min_words=1)
    eight = "a b c d e f g h"
    assert dropped(tmp_path, [row("a", eight + " i"), row("b", eight + " j")], config) == {
        "b": "near_duplicate"
    }  # 8 of 10
    seven = "a b c d e f g"
    assert dropped(tmp_path / "2", [row("a", seven + " i"), row("b", seven + " j")], config) == {}


def planted(num_pairs: int, seed: int) -> list[Row]:
    """Pairs of dialogues that are just as similar as 0.8 asks, both in all and in the response."""
    rng = random.Random(seed)
    rows = []
    for number in range(num_pairs):
        # 16 of the 20 trigrams of two such turns are common to both.
        words = [[f"{rng.randrange(10**9)}" for _ in range(20)] for _ in "ab"]
        changed = [turn[:-2] + [f"{rng.randrange(10**9)}" for _ in range(2)] for turn in words]
        for name, turns in ((f"{number}a", words), (f"{number}b", changed)):
            rows.append(row(name, *(" ".join(turn) for turn in turns)))
    return rows


def test_of_pairs_just_at_the_threshold_at_most_a_few_in_a_thousand_are_missed(
    tmp_path: Path,
) -> None:
    num_pairs = 3000
    rows = planted(num_pairs, seed=5)
    assert [drop.similarity for drop in brute_force(rows[:2], NEAR).values()] == [0.8]
    drops = found(tmp_path, rows, NEAR)
    assert 0.997 * num_pairs <= len(drops) <= num_pairs
    assert all(name[0] == drop.kept[0].replace("a", "b") for name, drop in drops.items())


def test_of_a_bot_with_many_variants_each_is_compared_with_a_few(tmp_path: Path) -> None:
    rows = [
        row(f"{number:03d}", QUESTION, f"{SENTENCE} user{number}", created_utc=number + 1)
        for number in range(300)
    ]
    result = search(tmp_path, [rows], NEAR)
    assert result.counts["near_duplicate"] == 299
    assert {drop.kept for drop in drops_of(result, [rows]).values()} == {("t3_000", "t1_0001")}
    assert result.counts["cut_groups"] > 0
    # The most preferred under one key are not always those under another.
    assert 300 * pair_search.MAX_COMPARED / 2 < result.counts["pairs"] < 300 * 299 / 3


def test_the_same_search_again_does_nothing_and_another_key_or_config_everything(
    tmp_path: Path,
) -> None:
    rows = corpus(40, seed=2)
    parts = [rows[:30], rows[30:]]
    with Spy() as spy:
        first = search(tmp_path, parts, NEAR, key="a")
        assert first.counts["near_duplicate"] > 0
        assert spy.num_calls == 2
        assert search(tmp_path, parts, NEAR, key="a") == first
        assert spy.num_calls == 2
        other = search(tmp_path, parts, NEAR, key="b")
        assert spy.num_calls == 4
        assert other.key != first.key
        assert other.counts == {**first.counts, "peak_memory": other.counts["peak_memory"]}
        assert search(tmp_path, parts, EXACT, key="b").counts["near_duplicate"] == 0


class Spy:
    """Counts how often candidates are signed."""

    def __init__(self) -> None:
        self.num_calls = 0

    def __enter__(self) -> "Spy":
        write_rows = duplicate_stages.write_rows

        def counting(table: Any, path: Path) -> None:
            self.num_calls += path.parent.name == "identities"
            write_rows(table, path)

        self._patch = patch.object(duplicate_stages, "write_rows", counting)
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


def test_the_detail_names_what_stays_and_never_calls_a_near_duplicate_the_same(
    tmp_path: Path,
) -> None:
    words = " ".join(f"w{number}" for number in range(5000))
    rows = [row("a", words, SENTENCE), row("b", words + " x", SENTENCE), row("c", words, SENTENCE)]
    result = search(tmp_path, [rows], NEAR)
    assert read_drops(result.drops[0]).column("detail").to_pylist() == [
        "like t1_a1 of t3_a: 0.999",
        "like t1_a1 of t3_a: 1",
    ]


def never_in_june(candidates: pa.Table) -> NDArray[np.bool_]:
    return np.asarray(candidates.column("month")) == "2015-06"


@pytest.mark.parametrize("num_workers", [1, 2])
def test_for_what_is_dropped_anyhow_nothing_goes(num_workers: int, tmp_path: Path) -> None:
    rows = [
        row("a", QUESTION, SENTENCE, created_utc=1, month="2015-06"),
        row("b", QUESTION, SENTENCE, created_utc=2),
        row("c", QUESTION, SENTENCE, created_utc=3),
        row("d", QUESTION, SENTENCE, created_utc=4, month="2015-06"),
    ]
    parts = [rows[:2], rows[2:]]
    result = search(tmp_path, parts, NEAR, excludes=never_in_june, num_workers=num_workers)
    drops = drops_of(result, parts)
    assert drops == {name_of(rows[2]): Drop("duplicate", name_of(rows[1]), 1.0)}
    assert result.counts["compared"] == 2


def test_no_candidates_have_no_duplicates(tmp_path: Path) -> None:
    result = search(tmp_path, [[], []], NEAR)
    assert drops_of(result, [[], []]) == {}
    assert result.counts["compared"] == 0


def test_a_bucket_holds_as_many_keys_as_memory_allows() -> None:
    assert choose_num_buckets(10, NEAR) == 2
    # Of 150 million dialogues, which is all of Reddit in DialoGPT's selection.
    assert choose_num_buckets(150_000_000, NEAR) == 256
    assert choose_num_buckets(150_000_000, EXACT) == 32


@pytest.mark.parametrize(
    "values",
    [
        {"drop": "off"},
        {"of": "context"},
        {"min_words": 0},
        {"min_similarity": 0.4},
        {"min_similarity": 1.1},
        {"shingle_words": 0},
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ValueError, match=f"duplicates.{name}"):
        DuplicatesConfig(**values)
