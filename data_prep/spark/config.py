"""What `--engine spark` can be told. No pyspark here: every extraction has this section."""

from dataclasses import dataclass, field

ARCHIVES, LINES, PARQUET = ROUTES = ("archives", "lines", "parquet")
"""Ways to read posts: see `SparkConfig.read`."""


@dataclass(frozen=True, kw_only=True)
class SparkConfig:
    """How extraction uses a Spark cluster; without effect on other engines."""

    read: str = ARCHIVES
    """What the dumps are read as. "archives": any compression, damaged or not, one task a file.
    "lines": plain, .bz2 and .gz files in order; many tasks read a plain or .bz2 file. "parquet":
    the folders `comments` and `submissions` in the folder of dumps hold Parquet."""
    settings: list[str] = field(default_factory=list)
    """Settings of Spark, NAME=VALUE each, such as spark.executor.memory=8g."""

    def __post_init__(self) -> None:
        if self.read not in ROUTES:
            raise ValueError(f"spark.read must be one of {', '.join(ROUTES)}, got {self.read!r}")
        for setting in self.settings:
            name, _, value = setting.partition("=")
            if not (name.startswith("spark.") and value):
                raise ValueError(f"spark.settings must be spark.NAME=VALUE each, got {setting!r}")
