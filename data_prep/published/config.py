"""Options of `python -m data_prep testset`; the docstring under a field is its help."""

from dataclasses import dataclass, fields

from dialogpt.records import Split

KINDS = ("reddit6k", "dstc7", "split")

_NEEDED = {
    "reddit6k": ("lines", "ids"),
    "dstc7": ("dumps", "hashes", "sets"),
    "split": ("dialogues",),
}
_OTHERS = {
    "reddit6k": ("human",),
    "dstc7": ("keys", "subreddits", "domains", "pages", "num_workers"),
    "split": ("split", "max_items", "seed"),
}
"""Kind -> the options that it must have, and those that it may have besides --output."""


@dataclass(frozen=True, kw_only=True)
class TestsetConfig:
    """Write a published test set, given dumps and its lists, or one of a split of dialogues."""

    __test__ = False  # pytest takes a class of this name for tests

    kind: str
    """"reddit6k", the test set of DialoGPT; "dstc7", that of DSTC-7, track 2; "split", the last
    turns of dialogues of one's own."""
    output: str
    """Folder for the test set and report.json."""
    lines: str = ""
    """reddit6k: folder `reference` of an extraction with ids and with the release's keys-test.gz,
    or one file of it; docs/published-test-sets.md has the command."""
    ids: str = ""
    """reddit6k: the release's data/test-multi-refs-ids.txt."""
    human: str = ""
    """reddit6k: file with what a person answered, one line for each line of ids, as the release's
    human.ref.6k.txt; "" leaves the items without."""
    dumps: str = ""
    """dstc7: folder of RC_YYYY-MM.* and RS_YYYY-MM.* files, of 2017-04 to 2017-11."""
    hashes: str = ""
    """dstc7: the challenge's lists/test-multiref.hashes, the instances that are looked for."""
    sets: str = ""
    """dstc7: the challenge's lists/test-multiref.sets, the references of each context."""
    # Not `keys`: jsonargparse has a method of that name, and loses the option's value.
    keys: str = ""
    """dstc7: file of keys, one a line, of the contexts to write, as test.2k.txt; "" writes all."""
    subreddits: str = ""
    """dstc7: the challenge's lists/subreddits-official.txt; it saves time and memory and loses
    nothing, as all hashes are of these subreddits. "" takes all."""
    domains: str = ""
    """dstc7: likewise lists/domains-official.txt."""
    pages: str = ""
    """dstc7: likewise lists/cc-match.tsv, the web pages that the challenge could fetch."""
    num_workers: int = 0
    """dstc7: processes, each for a month; 0 takes one for each core."""

    dialogues: str = ""
    """split: what `extract` or `import` wrote."""
    split: Split = "test"
    """split: train, valid or test."""
    max_items: int = 0
    """split: a random sample of so many; 0 takes all."""
    seed: int = 0
    """split: of the sample."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        for name in _NEEDED[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"kind {self.kind!r} needs --{name}")
        own = {*_NEEDED[self.kind], *_OTHERS[self.kind]}
        for kind in KINDS:
            for name in {*_NEEDED[kind], *_OTHERS[kind]} - own:
                if getattr(self, name) != _DEFAULTS[name]:
                    raise ValueError(
                        f"--{name} is for kind {kind!r} and would have no effect; leave it out"
                    )
        for name in ("num_workers", "max_items", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0")


_DEFAULTS = {field.name: field.default for field in fields(TestsetConfig)}
