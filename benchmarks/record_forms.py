"""Records with the fields that real dumps have: narrow as of 2006, wide as of 2018.

Fields and their order were read off published dumps; records of 2006 have their fields in many
orders, those of 2018 in one.
"""

import random
from typing import Any

Record = dict[str, Any]

_FIELDS_2006 = (
    *("controversiality", "body", "subreddit_id", "link_id", "stickied", "subreddit", "score"),
    *("ups", "author_flair_css_class", "created_utc", "author_flair_text", "author", "id"),
    *("edited", "parent_id", "gilded", "distinguished", "retrieved_on"),
)
_FIELDS_2018: Record = {
    "archived": False,
    "author_created_utc": 1367941024,
    "author_flair_background_color": "",
    "author_flair_richtext": [],
    "author_flair_template_id": None,
    "author_flair_text_color": "dark",
    "author_flair_type": "text",
    "author_fullname": "",
    "author_patreon_flair": False,
    "can_gild": True,
    "can_mod_post": False,
    "collapsed": False,
    "collapsed_reason": None,
    "gildings": {"gid_1": 0, "gid_2": 0, "gid_3": 0},
    "is_submitter": False,
    "no_follow": True,
    "permalink": "",
    "removal_reason": None,
    "send_replies": True,
    "subreddit_name_prefixed": "",
    "subreddit_type": "public",
}
"""The 21 fields that records of 2018 have beyond those of 2006."""

_NUM_ORDERS = 64
_SECONDS_TO_RETRIEVAL = 8_640_000


class CommentForm:
    """Makes comment records."""

    def __init__(self, *, wide: bool, seed: int) -> None:
        self._wide = wide
        shuffle = random.Random(seed).shuffle
        orders = [list(_FIELDS_2006) for _ in range(_NUM_ORDERS)]
        for order in orders:
            shuffle(order)
        self._orders = [sorted((*_FIELDS_2006, *_FIELDS_2018))] if wide else orders
        self._num_records = 0

    def record(
        self,
        *,
        name: str,
        link_id: str,
        parent_id: str,
        author: str,
        body: str,
        score: int,
        time: int,
        subreddit: tuple[str, str],
    ) -> Record:
        """One comment, with its fields in the order that is next."""
        values = {
            "controversiality": 0,
            "body": body,
            "subreddit_id": subreddit[1],
            "link_id": link_id,
            "stickied": False,
            "subreddit": subreddit[0],
            "score": score,
            "ups": score,
            "author_flair_css_class": None,
            "created_utc": time,
            "author_flair_text": None,
            "author": author,
            "id": name,
            "edited": False,
            "parent_id": parent_id,
            "gilded": 0,
            "distinguished": None,
            "retrieved_on": time + _SECONDS_TO_RETRIEVAL,
        }
        if self._wide:
            values |= _FIELDS_2018
            values["author_fullname"] = "t2_" + name
            values["permalink"] = f"/r/{subreddit[0]}/comments/{link_id[3:]}/x/{name}/"
            values["subreddit_name_prefixed"] = f"r/{subreddit[0]}"
        order = self._orders[self._num_records % len(self._orders)]
        self._num_records += 1
        return {field: values[field] for field in order}


def submission_record(
    *, name: str, time: int, subreddit: tuple[str, str], num_comments: int, real: Record
) -> Record:
    """One submission with the 39 fields of 2006.

    Args:
        name: its id, in base 36.
        time: Unix time.
        subreddit: name and id.
        num_comments: comments of it in the dump.
        real: what is known of a real one; empty where the dumps do not have it.
    """
    score = real.get("score", 1)
    return {
        "media_embed": {},
        "selftext": real.get("selftext", ""),
        "stickied": False,
        "id": name,
        "subreddit": subreddit[0],
        "author_flair_text": None,
        "is_self": real.get("is_self", False),
        "author": real.get("author", "[deleted]"),
        "from": None,
        "created": time,
        "over_18": real.get("over_18", False),
        "from_kind": None,
        "link_flair_text": None,
        "score": score,
        "quarantine": False,
        "media": None,
        "hide_score": False,
        "link_flair_css_class": None,
        "ups": score,
        "subreddit_id": subreddit[1],
        "archived": True,
        "author_flair_css_class": None,
        "distinguished": None,
        "url": real.get("url", f"http://example.com/{name}"),
        "gilded": 0,
        "from_id": None,
        "downs": 0,
        "retrieved_on": time + _SECONDS_TO_RETRIEVAL,
        "title": real.get("title", f"What is there to say about {name}"),
        "domain": real.get("domain", "example.com"),
        "thumbnail": "default",
        "permalink": f"/r/{subreddit[0]}/comments/{name}/x/",
        "edited": False,
        "secure_media_embed": {},
        "secure_media": None,
        "num_comments": real.get("num_comments", max(num_comments, 2)),
        "created_utc": str(time),  # as it was in the dumps of 2006
        "saved": False,
        "name": f"t3_{name}",
    }
