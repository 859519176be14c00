"""Options of `python -m data_prep import`; the docstring under a field is its help."""

from dataclasses import dataclass, field

from data_prep.config import SplitConfig

CHAT_SOURCES = ("whatsapp", "telegram", "discord", "slack")
FILE_SOURCES = (
    "dailydialog",
    "personachat",
    "avsd",
    "dialogpt_tsv",
    "json_lines",
    *CHAT_SOURCES,
)
SOURCES = (*FILE_SOURCES, "datasets")
INSTANCES = ("default", "dialogue", "response")
DATE_ORDERS = ("guess", "day_first", "month_first")

_MEANT_FOR: dict[str, tuple[str, ...]] = {
    "test_references": ("dailydialog", "avsd"),
    "split_knowledge": ("avsd",),
    "has_weights": ("dialogpt_tsv",),
    "merge_messages": CHAT_SOURCES,
    "max_pause_minutes": CHAT_SOURCES,
    "date_order": ("whatsapp",),
    "path": ("datasets",),
    "subset": ("datasets",),
    "columns": ("datasets",),
    **dict.fromkeys(("input", "train", "valid", "test"), FILE_SOURCES),
}
"""Option -> the sources that it has an effect on, where these are not all."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, kw_only=True)
class SharesConfig:
    """How dialogues that come without splits are dealt to train, valid and test."""

    valid_fraction: float = 0.05
    """Share of the dialogues for the validation split, where no file is given for it."""
    test_fraction: float = 0.05
    """Share of the dialogues for the test split, where no file is given for it."""
    salt: str = "dialogpt"
    """Mixed into the hash that deals; another salt gives another split."""

    def __post_init__(self) -> None:
        self.dealing()

    def dealing(self) -> SplitConfig:
        """The same for `data_prep.splits`.

        Raises:
            ValueError: the shares are out of range.
        """
        return SplitConfig(
            valid_fraction=self.valid_fraction, test_fraction=self.test_fraction, salt=self.salt
        )


@dataclass(frozen=True, kw_only=True)
class ColumnsConfig:
    """What the columns of a data set hold: `turns` is needed, or `text` and `dialogue`."""

    turns: str = ""
    """Column with the list of turns: texts, or messages like {"role": ..., "content": ...}. Several
    columns with commas between hold one turn each: "question,answer"."""
    text: str = ""
    """Column with one message, where every message has a row of its own."""
    dialogue: str = ""
    """Column that is the same in all rows of one dialogue, which follow one another."""
    speakers: str = ""
    """Column with who speaks: a list, one a turn, beside `turns`; one value beside `text`."""
    knowledge: str = ""
    """Columns (commas between) with sentences that replies may draw on: a text or a list each."""
    id: str = ""
    """Column with a name of the dialogue; without it the row's number is the name."""

    def __post_init__(self) -> None:
        _require(not (self.turns and self.text), "give columns.turns or columns.text, and not both")
        _require(
            bool(self.text) == bool(self.dialogue),
            "columns.text and columns.dialogue go together: each row is a message, and the second "
            "says of which dialogue",
        )


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """Conversations of other sources than Reddit -> the dialogue files that `extract` writes."""

    source: str
    """What the files are: dailydialog, personachat, avsd, dialogpt_tsv, json_lines, whatsapp,
    telegram, discord, slack, or datasets (whatever the library `datasets` loads)."""
    output: str
    """Folder for dialogues/<split>/*.parquet and the counts; it appears when all is done."""
    input: str = ""
    """A file, a folder of files, or a pattern like "chats/*.txt" (slack: the export's folder),
    without splits: dealt by a hash to train, and to valid and test if they have no files."""
    train: str = ""
    """File or files, as for input, of a published training split."""
    valid: str = ""
    """The same for the validation split."""
    test: str = ""
    """The same for the test split."""
    test_references: str = ""
    """File with several references for each test context (multireftest of dailydialog, the COCO
    caption file of avsd): writes testset/<source>.jsonl."""
    path: str = ""
    """datasets: a name on the hub, or a local .csv, .tsv, .json, .jsonl or .parquet file, a folder
    of them or a pattern; train.csv, validation.csv and test.csv are the splits of these names."""
    subset: str = ""
    """datasets: which configuration of a data set that has several."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    """datasets: what the columns hold."""
    instances: str = "default"
    """One row a whole "dialogue", for GPT-2, which learns all its turns; or one a "response" with
    all that was said before, for PLATO, which learns the last turn from knowledge and context. The
    default is response for personachat and avsd and dialogue for the others."""
    min_turns: int = 2
    """Drop shorter rows."""
    max_turns: int | None = None
    """Most turns of a row: a longer dialogue is cut into rows of about the same length, and a
    response keeps the last turns before it; 0 is no limit, null is 24 for chats and else 0."""
    detokenize: bool | None = None
    """Take out the blanks around punctuation of tokenised English; null does so where a source is
    published like that: dailydialog, personachat, avsd, dialogpt_tsv."""
    drop_leaks: bool = True
    """Drop training dialogues that stand, word for word, in validation or test as well."""
    split_knowledge: bool = True
    """avsd: caption and summary sentence by sentence, as PLATO cuts each to a few tokens."""
    has_weights: bool = False
    """dialogpt_tsv: every turn begins with its weight, "0.0 " or "1.0 "; weights are never guessed
    from the text."""
    merge_messages: bool = True
    """Chats: consecutive messages of one person are one turn."""
    max_pause_minutes: float = 60.0
    """Chats: a longer silence begins another dialogue; 0 never does."""
    date_order: str = "guess"
    """whatsapp: whether dates are "day_first" or "month_first"; "guess" looks at all of a file."""
    split: SharesConfig = field(default_factory=SharesConfig)
    """Train, valid and test where the source has no splits."""

    def __post_init__(self) -> None:
        for name, allowed in (
            ("source", SOURCES),
            ("instances", INSTANCES),
            ("date_order", DATE_ORDERS),
        ):
            found = getattr(self, name)
            _require(found in allowed, f"{name} must be one of {', '.join(allowed)}, got {found!r}")
        for name, sources in _MEANT_FOR.items():
            _require(
                self.source in sources or getattr(self, name) == self._default_of(name),
                f"{name} has no effect on the source {self.source}, only on {', '.join(sources)}",
            )
        _require(self.min_turns >= 1, "min_turns must be >= 1")
        _require(
            not self.max_turns or self.max_turns >= self.min_turns,
            "max_turns must be null, 0 or >= min_turns",
        )
        _require(self.max_pause_minutes >= 0, "max_pause_minutes must be >= 0")
        self._require_inputs()

    def _default_of(self, name: str) -> object:
        default = type(self).__dataclass_fields__[name].default
        return ColumnsConfig() if name == "columns" else default

    def _require_inputs(self) -> None:
        if self.source == "datasets":
            _require(bool(self.path), "datasets needs path: a name on the hub, or local files")
            _require(
                bool(self.columns.turns or self.columns.text),
                "datasets needs columns.turns, or columns.text and columns.dialogue",
            )
            return
        given = any((self.input, self.train, self.valid, self.test, self.test_references))
        _require(given, "give input, or one or more of train, valid and test")
        _require(
            not (self.input and self.train),
            "give input, which is dealt to the splits that have no file, or train, and not both",
        )
        _require(
            not (self.test_references and self.source == "avsd") or bool(self.test),
            "avsd: test_references needs test, the file with the contexts",
        )
