"""Comments on some submissions -> the instances of DSTC-7, track 2, each known by its hash.

An instance is a comment and what it answers: "START", the title, and at most five comments above
it. The title stands in front even where there are more than five, or where a comment above was
deleted. The first comment that answers a submission brings an instance of the title with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha224

from data_prep.published.dstc7_comments import DELETED, Comment
from data_prep.published.dstc7_submissions import Submission

MAX_COMMENTS_ABOVE = 5
MAX_CONTEXT_WORDS = 200
RESPONSE_CHARACTERS = range(2, 281)
MIN_SCORE = 1

START = "START"
SEPARATOR = " EOS "

_BLANKS = re.compile("[ \n\r\t]+")
_WORD_ENDS = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Instance:
    """A context and a response.

    Attributes:
        subreddit, thread_id: where; the submission's id has no prefix.
        score: of the comment, 1 for a title.
        position: which turn of the conversation it is, from 1 for a title.
        context: turns with SEPARATOR between, the first ones cut off where it is too long.
        response: the last turn.
        turn_ids: of the turns, the response last; where the context was cut, also of those that
            are gone.
    """

    subreddit: str
    thread_id: str
    score: int | float
    position: int
    context: str
    response: str
    turn_ids: tuple[str, ...]

    @property
    def line(self) -> str:
        """What the challenge's files say of it, after the hash."""
        place = (self.subreddit, self.thread_id, str(self.score), str(self.position))
        return "\t".join((*place, self.context, self.response))

    @property
    def hash(self) -> str:
        """What the challenge's lists know it by."""
        return sha224(self.line.encode()).hexdigest()


class Conversations:
    """The conversations of one month."""

    def __init__(
        self,
        submissions: Mapping[str, Submission],
        comments: Mapping[str, Comment],
        tokens: Callable[[str], list[str]],
    ) -> None:
        """Prepare for them.

        Args:
            submissions: by id without prefix; all that the comments name.
            comments: by id with prefix.
            tokens: cuts a text, as `dstc7_tokens.ChallengeTokenizer.tokens`.
        """
        self._submissions = submissions
        self._comments = comments
        self._tokens = tokens
        self._turns: dict[str, str] = {}

    def instances(self) -> Iterator[Instance]:
        """All instances, in the order of the comments' ids."""
        begun: set[str] = set()
        for comment_id in sorted(self._comments):
            comment = self._comments[comment_id]
            path = self._path_to(comment_id)
            if len(path) == 2 and comment.thread_id not in begun:
                begun.add(comment.thread_id)
                title = path[0]
                yield from self._instance([title], comment.thread_id, score=1)
            if not comment.is_by_deleted and comment.score >= MIN_SCORE:
                yield from self._instance(path, comment.thread_id, comment.score)

    def _path_to(self, comment_id: str) -> list[str]:
        """The ids of the turns down to a comment: the submission, and comments.

        A comment of another thread is followed, to a title of its own; a circle is gone round.
        """
        path = [comment_id]
        parent_id = self._comments[comment_id].parent_id
        while parent_id in self._comments and len(path) <= MAX_COMMENTS_ABOVE:
            path.append(parent_id)
            parent_id = self._comments[parent_id].parent_id
        path.append(f"t3_{self._comments[path[-1]].thread_id}")
        return path[::-1]

    def _instance(self, path: list[str], thread_id: str, score: int | float) -> Iterator[Instance]:
        """The instance of a path, if there is one."""
        response = self._turn(path[-1])
        if len(response) not in RESPONSE_CHARACTERS or response == DELETED or ">" in response:
            return
        context = cut_context([START, *(self._turn(turn_id) for turn_id in path[:-1])])
        if DELETED in context:
            return
        yield Instance(
            subreddit=self._submissions[thread_id].subreddit,
            thread_id=thread_id,
            score=score,
            position=len(path),
            context=context,
            response=response,
            turn_ids=tuple(path),
        )

    def _turn(self, turn_id: str) -> str:
        if turn_id not in self._turns:
            if turn_id.startswith("t3_"):
                text = self._submissions[turn_id.removeprefix("t3_")].title
            else:
                text = self._comments[turn_id].body
            self._turns[turn_id] = normalized(text, self._tokens)
        return self._turns[turn_id]


def normalized(text: str, tokens: Callable[[str], list[str]]) -> str:
    """The tokens of a text with a blank between two."""
    turn = " ".join(tokens(_BLANKS.sub(" ", text).strip()))
    return turn.replace("[ deleted ]", DELETED)


def cut_context(turns: list[str]) -> str:
    """The turns as one text, of which the last 200 words are kept, or the last turn and a word."""
    context = SEPARATOR.join(turns)
    words = _WORD_ENDS.split(context)
    most = max(MAX_CONTEXT_WORDS, len(_WORD_ENDS.split(turns[-1])) + 1)
    return context if len(words) <= most else "... " + " ".join(words[-most:])
