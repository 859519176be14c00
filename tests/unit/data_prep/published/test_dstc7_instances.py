"""The instances are those of the program of DSTC-7, track 2, byte for byte.

What it says of the made-up months was recorded by golden/dstc7/record.py, and so were the digests
of what it says of real months, with nltk 3.4.1 and a stand-in for every submission.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from golden.dstc7.cases import MONTHS
from support_dumps import REAL_DUMPS, needs_real_dumps

from data_prep.dump import read_lines
from data_prep.published.dstc7_comments import Comment, read_comments
from data_prep.published.dstc7_instances import Conversations, Instance, cut_context, normalized
from data_prep.published.dstc7_month import ListFiles
from data_prep.published.dstc7_submissions import Submission, SubmissionLists, read_submissions
from data_prep.published.dstc7_tokens import challenge_tokenizer

TESTS = Path(__file__).parents[3]
FIXTURES, GOLDEN = TESTS / "fixtures" / "dstc7", TESTS / "golden" / "dstc7"


def lines_of(comments: Path, submissions: Path, lists: SubmissionLists) -> bytes:
    """The release's *.convos.txt."""
    counts: Counter[str] = Counter()
    posts = read_submissions(submissions, lists, counts, lambda _: None)
    kept = read_comments(comments, posts.keys(), counts, lambda _: None)
    instances = Conversations(posts, kept, challenge_tokenizer().tokens).instances()
    return "".join(f"{instance.hash}\t{instance.line}\n" for instance in instances).encode()


@pytest.mark.parametrize("name", MONTHS)
def test_made_up_month_gives_the_instances_of_the_release(name: str) -> None:
    found = lines_of(
        FIXTURES / f"RC_{name}.jsonl", FIXTURES / f"RS_{name}.jsonl", SubmissionLists()
    )
    assert found == (GOLDEN / f"convos_{name}.txt").read_bytes()


@pytest.mark.parametrize("name", MONTHS)
def test_with_the_lists_a_made_up_month_gives_the_instances_of_the_release(name: str) -> None:
    files = ListFiles(
        hashes=Path(),
        sets=Path(),
        subreddits=FIXTURES / "subreddits.txt",
        domains=FIXTURES / "domains.txt",
        pages=FIXTURES / "cc-match.tsv",
    )
    found = lines_of(
        FIXTURES / f"RC_{name}.jsonl",
        FIXTURES / f"RS_{name}.jsonl",
        files.submission_lists(name),
    )
    assert found == (GOLDEN / f"listed_{name}.txt").read_bytes()


REAL = {
    # month: instances, first digits of the SHA-256 of their lines
    "2005-12": (794, "6b393b2ffa32159cad50bde44b292ad3"),
    "2006-01": (2587, "01280bdf77cb43a9d0d366b5232e0acb"),
    "2006-02": (5508, "804167a05e59179eda6efb0d1e02dc6b"),
    "2015-02": (131920, "d101dff0180a6e8c29ecf957f0b1da8f"),
}


@pytest.fixture
def stand_ins(tmp_path: Path) -> Callable[[Path], Path]:
    """Makes a file of submissions that pass, one for every thread of a file of comments."""

    def write(comments: Path) -> Path:
        subreddits: dict[str, str] = {}
        for block in read_lines(comments, lambda _: None):
            for line in block.data.splitlines():
                record = orjson.loads(line)
                subreddits.setdefault(record["link_id"].split("_")[1], record["subreddit"])
        rest = {"score": 1, "num_comments": 10, "domain": "d.org", "url": "http://d.org/#part"}
        rest |= {"permalink": "/", "distinguished": None}
        path = tmp_path / "RS"
        path.write_text(
            "\n".join(
                json.dumps({"id": id_, "subreddit": name, "title": f"What about {id_}?", **rest})
                for id_, name in subreddits.items()
            )
        )
        return path

    return write


@needs_real_dumps
@pytest.mark.real_data
@pytest.mark.parametrize(
    "name",
    # A month of 130,000 instances takes longer than all the others together.
    [pytest.param(name, marks=pytest.mark.slow) if name > "2007" else name for name in REAL],
)
def test_real_month_gives_the_instances_of_the_release(
    name: str, stand_ins: Callable[[Path], Path]
) -> None:
    (comments,) = REAL_DUMPS.glob(f"RC_{name}.*")
    found = lines_of(comments, stand_ins(comments), SubmissionLists())
    assert (found.count(b"\n"), hashlib.sha256(found).hexdigest()[:32]) == REAL[name]


def comment(parent_id: str = "t3_x", body: str = "so it is", score: float = 2) -> Comment:
    return Comment("x", parent_id, score, False, body)


def instances(title: str = "a title", **comments: Comment) -> list[Instance]:
    named = {f"t1_{name}": value for name, value in comments.items()}
    posts = {"x": Submission("movies", title)}
    return list(Conversations(posts, named, str.split).instances())


def test_the_hash_is_that_of_all_that_the_challenge_says_of_an_instance() -> None:
    _, answer = instances(a=comment())
    assert answer.line == "movies\tx\t2\t2\tSTART EOS a title\tso it is"
    expected = hashlib.sha224(b"movies\tx\t2\t2\tSTART EOS a title\tso it is").hexdigest()
    assert answer.hash == expected


def test_turn_ids_name_the_submission_and_the_comments() -> None:
    found = instances(a=comment(), b=comment("t1_a"))
    assert [instance.turn_ids for instance in found] == [
        ("t3_x",),
        ("t3_x", "t1_a"),
        ("t3_x", "t1_a", "t1_b"),
    ]


def test_a_title_is_an_instance_once_however_many_answer_it() -> None:
    found = instances(a=comment(), b=comment(), c=comment("t1_gone", score=0))
    assert [instance.position for instance in found] == [1, 2, 2]


@pytest.mark.parametrize(("size", "is_cut"), [(198, False), (199, True)])
def test_a_context_keeps_its_last_200_words(size: int, is_cut: bool) -> None:
    context = cut_context(["START", " ".join("w" * size)])
    assert (len(context.split()) == 200) is not is_cut
    assert context.startswith("... EOS w w" if is_cut else "START EOS w w")


def test_a_last_turn_of_more_words_is_kept_with_a_word_before_it() -> None:
    context = cut_context(["START", "w w w", " ".join("v" * 300)])
    assert context == "... EOS " + " ".join("v" * 300)


def test_tokenized_deletion_reads_as_before() -> None:
    tokens = challenge_tokenizer().tokens
    assert normalized(" [deleted]\n", tokens) == "[deleted]"
    assert normalized("A\r\n\tB  c", tokens) == "a b c"


def test_a_circle_of_answers_is_gone_round_until_the_path_is_full() -> None:
    found = instances(a=comment("t1_b"), b=comment("t1_a"))
    assert [len(instance.turn_ids) for instance in found] == [7, 7]
