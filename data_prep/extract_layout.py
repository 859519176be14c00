"""What the posts of some dumps are dealt to, and which posts are looked at together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.config import ExtractConfig
from data_prep.extract_plan import agree_on_num_partitions
from data_prep.extract_stages import Spill
from data_prep.inventory import DumpFile, Inventory
from data_prep.partitions import choose_num_partitions


@dataclass(frozen=True, slots=True)
class Part:
    """Whole threads that one unit of work makes dialogues of.

    Attributes:
        name: names its files.
        number: which of the partitions that the spills were dealt to.
        num_partitions: how many there are.
        spills: of the dumps that can have posts of it, comments first, by month.
    """

    name: str
    number: int
    num_partitions: int
    spills: tuple[Spill, ...]

    @property
    def dumps(self) -> list[DumpFile]:
        """The dumps behind the spills."""
        return [spill.dump for spill in self.spills]


class Layout:
    """The parts of an extraction.

    Preset "paper" looks at the threads of all months together, preset "reference" at each month by
    itself, as the public code does.

    Attributes:
        parts: in the order of their names.
    """

    def __init__(self, config: ExtractConfig, inventory: Inventory, work: Path) -> None:
        """Lay out the parts.

        Args:
            config: the preset, and how many partitions the user wants.
            inventory: the dumps.
            work: folder of the spills.
        """
        self._config = config
        self._work = work
        self._sizes = {dump.month: dump.size for dump in inventory.comment_dumps}
        self._common = 0
        if config.preset == "paper":
            self._common = agree_on_num_partitions(
                config.num_partitions, inventory.comment_dumps, work
            )
            self.parts = self._parts_of(inventory.dumps, "part-")
        else:
            self.parts = [
                part
                for month in self._sizes
                for part in self._parts_of(
                    [dump for dump in inventory.dumps if dump.month == month], f"{month}-part-"
                )
            ]

    def _parts_of(self, dumps: Sequence[DumpFile], prefix: str) -> list[Part]:
        spills = tuple(Spill(self.spill(dump), dump) for dump in dumps)
        number = self.num_partitions(dumps[0])
        return [Part(f"{prefix}{n:05d}", n, number, spills) for n in range(number)]

    def num_partitions(self, dump: DumpFile) -> int:
        """To how many partitions the posts of a dump are dealt."""
        if self._common:
            return self._common
        size = self._sizes.get(dump.month, 0)
        return self._config.num_partitions or choose_num_partitions(size)

    def spill(self, dump: DumpFile) -> Path:
        """Where the posts of a dump are dealt out."""
        return self._work / "spills" / f"{dump.kind}_{dump.month}.arrow"

    @property
    def asked_for(self) -> int:
        """The number of partitions that another run must not ask otherwise for; 0 is any."""
        return self._common or self._config.num_partitions
