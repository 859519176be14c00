"""One month of dumps -> the instances in it that the lists of DSTC-7 name."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import orjson

from data_prep.published.dstc7_comments import read_comments
from data_prep.published.dstc7_instances import Conversations
from data_prep.published.dstc7_sets import read_sets
from data_prep.published.dstc7_submissions import SubmissionLists, read_submissions
from data_prep.published.dstc7_tokens import challenge_tokenizer
from data_prep.published.list_files import list_lines, read_hashes, read_names
from data_prep.stages import JsonObject, Report
from dialogpt.command_line import UserError, as_plain
from dialogpt.records import write_text

HASHES = "the challenge's lists/test-multiref.hashes"


@dataclass(frozen=True, kw_only=True, slots=True)
class ListFiles:
    """The files that say what is looked for; None where there is none."""

    hashes: Path
    sets: Path
    subreddits: Path | None
    domains: Path | None
    pages: Path | None

    def wanted(self) -> frozenset[str]:
        """The hashes of references, and the keys, whose instances tell the contexts."""
        keys = {listed.key for listed in read_sets(self.sets)}
        return read_hashes(self.hashes, HASHES) | keys

    def submission_lists(self, month: str) -> SubmissionLists:
        """What the submissions of a month must be among."""
        subreddits, domains, pages = self.subreddits, self.domains, self.pages
        return SubmissionLists(
            subreddits=read_names(subreddits, "names of subreddits") if subreddits else None,
            domains=read_names(domains, "names of domains") if domains else None,
            pages=read_pages(pages, month) if pages else None,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class MonthTask:
    """A month to search.

    Attributes:
        month: "YYYY-MM".
        comments, submissions: its dumps.
        lists: what is looked for.
        output: file for the instances found, one JSON object a line.
    """

    month: str
    comments: Path
    submissions: Path
    lists: ListFiles
    output: Path


def search_month(task: MonthTask, report: Report) -> JsonObject:
    """Write the instances that are found.

    Memory is bounded by the comments on the submissions that are kept.

    Args:
        task: what to do.
        report: called with the number of bytes read.

    Returns:
        Name -> number: what was read, kept and dropped, "instances" that were compared, and of
        them "instances_found".

    Raises:
        UserError: a list has another form, or NLTK is absent.
    """
    counts: Counter[str] = Counter()
    tokens = challenge_tokenizer().tokens
    wanted = task.lists.wanted()
    lists = task.lists.submission_lists(task.month)
    submissions = read_submissions(task.submissions, lists, counts, report)
    comments = read_comments(task.comments, submissions.keys(), counts, report)
    found = {}
    for instance in Conversations(submissions, comments, tokens).instances():
        counts["instances"] += 1
        hash_ = instance.hash
        if hash_ in wanted:
            found[hash_] = instance
    counts["instances_found"] = len(found)
    lines = (
        orjson.dumps({"hash": hash_, **as_plain(instance)}).decode() + "\n"
        for hash_, instance in found.items()
    )
    write_text(task.output, "".join(lines))
    return dict(counts)


def read_pages(path: Path, month: str) -> frozenset[str]:
    """The addresses of pages that the challenge could fetch for the submissions of a month.

    Raises:
        UserError: the file is absent, or a line has another form.
    """
    pages = set()
    for number, line in list_lines(path, "the challenge's lists/cc-match.tsv"):
        url, _, months = line.strip().partition("\t")
        if not months:
            raise UserError(
                f"{path}:{number}: expected an address, a month and the month of a crawl with tabs "
                f"between, found {line[:80]!r}; give the challenge's lists/cc-match.tsv"
            )
        if months.split("\t")[0] == month:
            pages.add(url)
    return frozenset(pages)
