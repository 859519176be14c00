"""What a run on Spark asks of the place that its results go to.

`shared_output` and `remote_output` are the two kinds of places.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from pyspark.sql import DataFrame

from data_prep.spark.finishing import Finishing
from data_prep.spark.storage import HadoopFolder
from data_prep.spark.summaries import Report
from data_prep.stages import JsonObject


class Output(Protocol):
    """A folder for results. They are prepared in its folder `work`, and published at the end.

    Attributes:
        work: for what the stages leave one another; all machines write to it.
    """

    work: HadoopFolder

    def sole_use(self) -> AbstractContextManager[None]:
        """Hold the folder against other runs, as far as its file system can, and begin it."""

    def manifest(self) -> JsonObject | None:
        """Of the results that are there, if they are whole."""

    def read(self, name: str) -> bytes | None:
        """A small file beside the results; None if there is none."""

    def begin_results(self) -> None:
        """Take away what an interrupted run has prepared."""

    def write(self, name: str, pieces: Iterable[bytes]) -> None:
        """Prepare a file."""

    def write_dialogues(
        self, candidates: DataFrame, finishing: Finishing, num_partitions: int, report: Report
    ) -> None:
        """Prepare the dialogues.

        Args:
            candidates: parcels; those of a partition are in one task.
            finishing: how.
            num_partitions: how many there are, with or without candidates.
            report: is told what the tasks tell, and of the files.
        """

    def write_rejects(self, rejects: DataFrame) -> None:
        """Prepare the files of rejects that the first stages made; parcels."""

    def publish(self, manifest: JsonObject, options: str) -> None:
        """Give the results their names, in place of older ones; the manifest last.

        Args:
            manifest: describes them.
            options: of the run, as YAML.
        """
