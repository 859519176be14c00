"""Executors in the place of processes: any stage of `data_prep.stages` on Spark.

Units read and write files, so these must be in folders that the driver and all executors share.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

from data_prep.spark.session import named_errors
from data_prep.stages import Stage, Task, Unit, Workers
from dialogpt.command_line import UserError
from dialogpt.records import write_json

if TYPE_CHECKING:
    from tqdm import tqdm


class SparkWorkers(Workers):
    """Executors that do the units of a stage."""

    def __init__(
        self, spark: SparkSession, apart: Callable[[Stage[Any]], Stage[Any]] | None = None
    ) -> None:
        """Use the executors of a session.

        Args:
            spark: the session.
            apart: stage -> the same with work that several attempts may do at the same time. None
                takes the stage as it is, and no speculation.

        Raises:
            UserError: Spark may start a second attempt while the first is at work.
        """
        super().__init__(num_workers=max(2, spark.sparkContext.defaultParallelism))
        self._spark = spark
        self._apart = apart
        if apart is None and spark.conf.get("spark.speculation", "false") == "true":
            raise UserError(
                "spark.speculation: two attempts would write the same files of the search for "
                "duplicates; switch it off (--spark.settings '[spark.speculation=false]')"
            )

    def run(self, stage: Stage[Task], units: Sequence[Unit[Task]], bar: "tqdm[Any]") -> None:
        """Do some units, write their markers, and move the bar on."""
        if not units:
            return
        stage = self._apart(stage) if self._apart else stage
        # The largest first, so that no large one is left alone at the end.
        ordered = sorted(units, key=lambda unit: -unit.size)
        tasks = self._spark.sparkContext.parallelize(ordered, len(ordered))
        with named_errors(stage.label):
            tasks.foreachPartition(_UnitRunner(stage))
        bar.update(sum(unit.size for unit in units))


@dataclass(frozen=True, slots=True)
class _UnitRunner:
    """A task: does units and writes their markers."""

    stage: Stage[Any]

    def __call__(self, units: Iterable[Unit[Any]]) -> None:
        for unit in units:
            try:
                result = self.stage.work(unit.task, lambda _: None)
            except (UserError, OSError) as error:
                raise UserError(f"{unit.name}: {error}") from error
            write_json(self.stage.marker(unit), {"key": unit.key, "result": result})
