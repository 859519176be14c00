"""Which posts of a dump an extraction looks at, and what it wants to know of them."""

from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from data_prep.config import ExtractConfig
from data_prep.inventory import DumpFile
from data_prep.post_fields import PostFormat
from data_prep.posts import COMMENTS, SUBMISSIONS
from data_prep.reference.keys import KeepKeys
from data_prep.reference.posts import (
    KEPT_COMMENTS_SCHEMA,
    KEPT_SUBMISSIONS_SCHEMA,
    REFERENCE_COMMENTS,
    REFERENCE_SUBMISSIONS,
    TITLE_FIELD,
    SubmissionFiles,
    kept_comments,
)

Sifted: TypeAlias = tuple[pa.RecordBatch, dict[str, int]]
"""The posts that stay, and how many are dropped for which reason."""


class Sifter:
    """Takes all posts as they are: preset "paper", which drops none before it knows the others.

    Attributes:
        post_format: how the lines of the dump are read.
        schema: of the posts that stay.
    """

    def __init__(self, post_format: PostFormat, schema: pa.Schema | None = None) -> None:
        """Note what is read, and what stays; without a schema that is all of it."""
        self.post_format = post_format
        self.schema = post_format.schema if schema is None else schema

    def sift(self, posts: pa.RecordBatch) -> Sifted:
        """What is done to a block of posts; several threads do so at once."""
        return posts, {}

    def sift_in_order(self, posts: pa.RecordBatch) -> Sifted:
        """What is done then, with one block after the other."""
        return posts, {}


class ReferenceComments(Sifter):
    """The comments that the public code's task "extract" writes down."""

    def __init__(self, config: ExtractConfig) -> None:
        """Read the keys, if there are any."""
        super().__init__(REFERENCE_COMMENTS, KEPT_COMMENTS_SCHEMA)
        self._max_words = config.reference.max_words
        self._keys = read_keys(config)

    def sift(self, posts: pa.RecordBatch) -> Sifted:
        """See `reference.posts.kept_comments`."""
        return kept_comments(posts, max_words=self._max_words, keys=self._keys)


class ReferenceSubmissions(Sifter):
    """The submissions that the public code's task "extract" writes down, with their files."""

    def __init__(self, config: ExtractConfig) -> None:
        """Begin with the first file."""
        with_titles = config.reference.use_title
        schema = KEPT_SUBMISSIONS_SCHEMA
        if with_titles:
            schema = schema.append(TITLE_FIELD)
        super().__init__(REFERENCE_SUBMISSIONS, schema)
        self._files = SubmissionFiles(with_titles=with_titles)

    def sift_in_order(self, posts: pa.RecordBatch) -> Sifted:
        """See `reference.posts.SubmissionFiles`."""
        return self._files.kept(posts)


def sifter_for(dump: DumpFile, config: ExtractConfig) -> Sifter:
    """What the preset does with the posts of a dump."""
    if config.preset == "paper":
        return Sifter(COMMENTS if dump.kind == "RC" else SUBMISSIONS)
    return ReferenceComments(config) if dump.kind == "RC" else ReferenceSubmissions(config)


def read_keys(config: ExtractConfig) -> KeepKeys | None:
    """The keys of preset "reference", if the config names a file of them."""
    return KeepKeys.read(Path(config.reference.keys)) if config.reference.keys else None
