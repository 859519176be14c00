"""Files of keys, which say what of a dump the authors kept, as the release's data/keys-test.gz."""

import gzip
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from data_prep.reference.pairs import rows_of_pairs
from data_prep.threads import IntArray
from dialogpt.command_line import UserError

_ROW = re.compile(r"t3_([0-9a-z]{1,12})\tt1_([0-9a-z]{1,12})\t(dep|keep)")


@dataclass(frozen=True, slots=True)
class KeepKeys:
    """Which comments are kept.

    Attributes:
        needed: two columns, the values of the ids of submissions and comments: comments to read.
        wanted: likewise: comments to end a dialogue with.
    """

    needed: tuple[IntArray, IntArray]
    wanted: tuple[IntArray, IntArray]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The keys of a file, compressed with gzip or not.

        Raises:
            UserError: the file is absent, or has other lines than "t3_<id> t1_<id> dep|keep" with
                tabs between.
        """
        pairs: dict[str, list[tuple[int, int]]] = {"dep": [], "keep": []}
        try:
            opened = gzip.open if path.read_bytes()[:2] == b"\x1f\x8b" else open
            with opened(path, "rt", encoding="utf-8") as lines:
                for line_number, line in enumerate(lines, start=1):
                    row = _ROW.fullmatch(line.rstrip())
                    if row is None:
                        raise UserError(
                            f"{path}:{line_number}: expected t3_<id>, t1_<id> and dep or keep with "
                            f"tabs between, found {line[:80]!r}; give a file like the public "
                            "code's data/keys-test.gz"
                        )
                    pairs[row[3]].append((int(row[1], 36), int(row[2], 36)))
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path}: cannot read the keys ({error}); copy the file again"
            ) from error
        return cls(needed=_columns(pairs["dep"]), wanted=_columns(pairs["keep"]))

    def needs(self, link_ids: IntArray, ids: IntArray) -> NDArray[np.bool_]:
        """(n,) whether each comment is to be read."""
        return rows_of_pairs(self.needed, (link_ids, ids)) >= 0

    def wants(self, link_ids: IntArray, ids: IntArray) -> NDArray[np.bool_]:
        """(n,) whether each comment is to end a dialogue."""
        return rows_of_pairs(self.wanted, (link_ids, ids)) >= 0


def _columns(pairs: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    columns = np.array(pairs, np.int64).reshape(-1, 2)
    return columns[:, 0].copy(), columns[:, 1].copy()
