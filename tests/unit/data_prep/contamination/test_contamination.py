"""What the contamination check finds, compared with a look at every pair of texts."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support_dialogues import write_dialogues
from support_duplicates import jaccard, shingles

from data_prep import dialogues as dialogue_files
from data_prep.blocklists import words_of
from data_prep.contamination.command import ContaminationConfig, check
from data_prep.contamination.search import Matches, whole_threads
from data_prep.contamination.test_set import CONTEXT, LAST_TURN, RESPONSE
from dialogpt.records import Dialogue, TestItem

LONG = "the quick brown fox jumps over the lazy dog and then sleeps for a long while in the sun"


def dialogue(thread: str, *turns: tuple[str, str]) -> Dialogue:
    """A dialogue from (comment, text) of each turn."""
    return Dialogue(
        turns=tuple(text for _, text in turns),
        speakers=tuple(number % 2 for number in range(len(turns))),
        turn_ids=tuple(f"t1_{name}" for name, _ in turns),
        thread_id=f"t3_{thread}",
    )


def item(name: str, turns: Sequence[str], references: Sequence[str], **values: Any) -> TestItem:
    return TestItem(id=name, turns=tuple(turns), references=tuple(references), **values)


def report_of(
    tmp_path: Path, train: Sequence[Sequence[Dialogue]], items: Sequence[TestItem], **values: Any
) -> dict[str, Any]:
    write_dialogues(tmp_path / "extracted", {"train": train})
    test = tmp_path / "test.jsonl"
    test.write_text("".join(one.to_json() + "\n" for one in items), encoding="utf-8")
    config = ContaminationConfig(
        dialogues=str(tmp_path / "extracted"), test=str(test), num_workers=1, **values
    )
    return check(config)


def found(report: dict[str, Any]) -> set[tuple[str, str, str, float, bool]]:
    return {
        (m["kind"], m["test_id"], m["train_turn_id"], m["similarity"], m["exact"])
        for m in report["matches"]
    }


def random_text(rng: random.Random, earlier: list[str]) -> str:
    """A new text, or an earlier one with a few words changed."""
    words = rng.choices([f"w{number}" for number in range(40)], k=rng.randint(1, 14))
    if earlier and rng.random() < 0.4:
        words = rng.choice(earlier).split(" ")
        if rng.random() < 0.7:
            words[rng.randrange(len(words))] = rng.choice(["new", "W1", "w2!"])
    earlier.append(" ".join(words))
    return earlier[-1]


def random_threads(rng: random.Random, num_threads: int, earlier: list[str]) -> list[Dialogue]:
    """Paths of small trees: two paths of a thread have their first turns in common."""
    paths = []
    for thread in range(num_threads):
        texts = {name: random_text(rng, earlier) for name in "abcde"}
        for names in ("abc", "abd", "ae"):
            turns = [(f"{thread}{name}", texts[name]) for name in names]
            paths.append(dialogue(f"{thread}", *turns))
    return paths


def every_match(
    train: Sequence[Dialogue], items: Sequence[TestItem], *, size: int, least: float
) -> set[tuple[str, str, str, float, bool]]:
    matches = set()
    for one in items:
        wanted = [(RESPONSE, (text,)) for text in (*one.references, one.human) if text is not None]
        wanted += [(LAST_TURN, one.turns[-1:]), (CONTEXT, one.turns)]
        for path in train:
            for stop, turn_id in enumerate(path.turn_ids, start=1):
                for kind, turns in wanted:
                    if kind == CONTEXT and stop == len(path.turns):
                        continue
                    known = path.turns[:stop] if kind == CONTEXT else path.turns[stop - 1 : stop]
                    left, right = [[*map(words_of, texts)] for texts in (turns, known)]
                    similarity = float(jaccard(shingles(left, size), shingles(right, size)))
                    if similarity >= least:
                        matches.add((kind, one.id, turn_id, similarity, left == right))
    return matches


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("size", "least"), [(3, 0.8), (1, 0.5), (2, 1.0)])
def test_every_response_and_context_that_stands_in_training_is_found_and_no_other(
    seed: int, size: int, least: float, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    earlier: list[str] = []
    train = random_threads(rng, 40, earlier)
    items = []
    for number in range(30):
        turns = [random_text(rng, earlier) for _ in range(rng.randint(1, 3))]
        if number % 3 == 0:
            turns = list(rng.choice(train).turns[:2])
        references = [random_text(rng, earlier) for _ in range(rng.randint(1, 3))]
        items.append(item(f"i{number}", turns, references, human=random_text(rng, earlier)))
    report = report_of(
        tmp_path,
        [train[:30], train[30:]],
        items,
        min_similarity=least,
        shingle_words=size,
        min_words=1,
        max_matches=0,
    )
    expected = every_match(train, items, size=size, least=least)
    assert {kind for kind, *_ in expected} == {RESPONSE, LAST_TURN, CONTEXT}
    assert found(report) == expected


def test_a_comment_counts_once_however_many_paths_lead_through_it(tmp_path: Path) -> None:
    paths = [dialogue("t", ("a", LONG), (f"b{number}", f"answer {number}")) for number in range(5)]
    (match,) = report_of(tmp_path, [paths], [item("i", ["What?"], [LONG])])["matches"]
    assert (match["num_exact"], match["num_near"]) == (1, 0)
    assert match["train_turn_id"] == "t1_a"


def test_a_thread_counts_once_where_it_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialogue_files, "ROWS_PER_GROUP", 2)
    paths = [dialogue("t", ("a", LONG), (f"b{number}", f"answer {number}")) for number in range(5)]
    paths += [dialogue("u", ("c", LONG), ("d", "Yes."))]
    (match, _) = report_of(tmp_path, [paths], [item("i", ["What?"], [LONG])])["matches"]
    assert match["num_exact"] == 2


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_pieces_of_whole_threads_hold_all_rows_and_no_thread_twice(piece: int) -> None:
    threads = list("aabbbbcddddde")
    table = pa.table({"thread_id": threads, "row": range(len(threads))})
    pieces = list(whole_threads(table.to_batches(max_chunksize=piece)))
    assert pa.concat_tables(pieces).column("row").to_pylist() == list(range(len(threads)))
    owners = Counter(name for part in pieces for name in {*part.column("thread_id").to_pylist()})
    assert {*owners.values()} == {1}
    assert all(part.num_rows for part in pieces)
    assert list(whole_threads([])) == []


def test_short_texts_are_counted_apart_and_shown_once(tmp_path: Path) -> None:
    paths = [
        dialogue(f"{number}", (f"{number}a", "Thanks!"), (f"{number}b", LONG))
        for number in range(9)
    ]
    items = [item("i", ["Here you are"], ["thanks", LONG, "no", "I have never been there myself"])]
    report = report_of(tmp_path, [paths], items, max_matches=4)
    responses = report["kinds"][RESPONSE]
    assert [responses["short"][name] for name in ("texts", "exact", "near")] == [2, 1, 0]
    assert [responses["long"][name] for name in ("texts", "exact", "near")] == [2, 1, 0]
    shown = Counter((m["test_turns"][0], m["num_exact"]) for m in report["matches"])
    assert shown == {("thanks", 9): 1, (LONG, 9): 4}


def test_a_text_of_just_min_words_is_a_long_one(tmp_path: Path) -> None:
    paths = [dialogue("t", ("a", "one two three"), ("b", "Yes."))]
    items = [item("i", ["What?"], ["one two three four", "one two three"])]
    responses = report_of(tmp_path, [paths], items, min_words=4)["kinds"][RESPONSE]
    assert (responses["long"]["texts"], responses["short"]["texts"]) == (1, 1)


def test_how_near_is_said_by_mean_maximum_and_histogram(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(20)]
    texts = [" ".join(words[:stop]) for stop in (20, 19, 17)]
    paths = [dialogue("t", ("a", texts[0]), ("b", "Yes, I do think that this is so."))]
    items = [item("i", ["What?"], [*texts, "something else that is quite long"])]
    summary = report_of(tmp_path, [paths], items, shingle_words=1)["kinds"][RESPONSE]["long"]
    assert (summary["texts"], summary["exact"], summary["near"]) == (4, 1, 2)
    assert summary["share"] == 0.75
    assert summary["max_similarity"] == 1
    assert summary["mean_similarity"] == pytest.approx((1 + 0.95 + 0.85) / 3)
    assert summary["histogram"] == {"0.85": 1, "0.95": 1, "1.00": 1}


def test_the_same_shingles_in_another_order_are_near_and_not_exact(tmp_path: Path) -> None:
    paths = [dialogue("t", ("a", "one two three four five one two"), ("b", "Yes."))]
    items = [item("i", ["What?"], ["one two three four five one two one two"])]
    (match,) = report_of(tmp_path, [paths], items, shingle_words=1)["matches"]
    assert (match["similarity"], match["exact"]) == (1.0, False)


def test_case_marks_blanks_and_how_an_accent_is_spelled_make_no_difference(tmp_path: Path) -> None:
    paths = [dialogue("t", ("a", f"{LONG} caf\u00e9"), ("b", "Yes."))]
    changed = f"{LONG} cafe\u0301".upper().replace(" ", ",  ") + "\n!"
    (match,) = report_of(tmp_path, [paths], [item("i", ["What?"], [changed])])["matches"]
    assert match["exact"]


def test_threads_and_comments_in_common_are_named(tmp_path: Path) -> None:
    paths = [dialogue("t", ("a", "Hello"), ("b", "Yes.")), dialogue("u", ("c", "Hi"), ("d", "No."))]
    items = [
        item(
            "i", ["Hello"], ["x"], thread_id="t3_t", turn_ids=("t1_a",), human="y", human_id="t1_d"
        ),
        item("j", ["Hello"], ["x"], thread_id="t3_x", reference_ids=("t1_b",)),
        item("k", ["Hello"], ["x"]),
    ]
    report = report_of(tmp_path, [paths], items)
    assert report["shared_thread_ids"] == {"number": 1, "ids": ["t3_t"]}
    assert report["shared_turn_ids"] == {"number": 3, "ids": ["t1_a", "t1_b", "t1_d"]}


def test_what_has_no_id_is_not_in_common(tmp_path: Path) -> None:
    path = Dialogue(turns=("Hi", "No."), speakers=(0, 1), turn_ids=("", ""), thread_id="")
    items = [
        item("i", ["Hello"], ["x"], human="y"),
        item("j", ["Hello"], ["x"], turn_ids=("t1_z",)),
    ]
    report = report_of(tmp_path, [[path]], items)
    assert report["shared_thread_ids"]["number"] == report["shared_turn_ids"]["number"] == 0


def test_the_best_matches_are_kept_in_whatever_order_they_come() -> None:
    rng = random.Random(0)
    all_matches = [
        {
            "similarity": rng.choice([0.8, 0.9, 1.0]),
            "exact": False,
            "thread_id": "t",
            "turn_id": f"{number:03d}",
        }
        for number in range(60)
    ]
    rank = lambda match: (-match["similarity"], match["turn_id"])  # noqa: E731
    for _ in range(3):
        rng.shuffle(all_matches)
        halves = [Matches(), Matches()]
        for number, match in enumerate(all_matches):
            halves[number % 2].add(match, limit=5)
        halves[0].merge(halves[1], limit=5)
        assert halves[0].best == sorted(all_matches, key=rank)[:5]
        assert halves[0].num_near == 60


@pytest.mark.parametrize(
    "values",
    [
        {"min_similarity": 0.0},
        {"min_similarity": 1.5},
        {"shingle_words": 0},
        {"min_words": 0},
        {"max_share": -0.1},
        {"max_matches": -1},
        {"num_workers": -1},
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(values: dict[str, Any]) -> None:
    (name,) = values
    with pytest.raises(ValueError, match=name):
        ContaminationConfig(dialogues="x", **values)
