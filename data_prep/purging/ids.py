"""The ids of comments and threads that are to be purged: reading, keeping and finding them."""

import gzip
import re
import sys
import zlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from dialogpt.command_line import UserError
from dialogpt.data.chunks import Chunk
from dialogpt.text import record_key

PURGED_IDS_FILE = "purged_ids.txt"
"""File of an extraction folder: all ids that were ever purged from it, sorted, one a line. The
extraction reads it, so that they do not come back."""

COMMENT, THREAD = "t1_", "t3_"
"""How Reddit's ids of comments and threads begin."""

_ID = re.compile(rf"({COMMENT}|{THREAD})?([0-9A-Za-z]{{1,12}})")  # 12: see data_prep.ids
_ID_IN_JSON = re.compile(r'"(?:id|name|link_id)"\s*:\s*"((?:t[13]_)?[0-9A-Za-z]{1,12})"')
_GZIP_BEGINNING = b"\x1f\x8b"
_SHOWN_LINES = 5


def read_ids(source: str) -> list[str]:
    """The ids of a file, sorted and each once, as Reddit writes them: `t1_c2715`, `t3_22569`.

    One stands on a line; a comment's may lack its `t1_`. Blank lines, and what follows a "#", are
    passed over.

    Args:
        source: path of a text file, gzipped or not; "-" is the standard input.

    Raises:
        UserError: the file cannot be read, or a line is no id; the message names the line.
    """
    name = "<stdin>" if source == "-" else source
    content = sys.stdin.buffer.read() if source == "-" else _content(Path(source))
    if content.startswith(_GZIP_BEGINNING):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{name}: not a whole gzip file ({error}); copy it again") from error
    ids, wrong = set(), []
    for number, line in enumerate(content.decode("utf-8-sig", "replace").split("\n"), start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        found = _ID.fullmatch(text)
        if found is None:
            wrong.append(f"{name}:{number}: {text[:40]!r}")
        else:
            ids.add(_as_reddit_writes(*found.groups()))
    if wrong:
        more = f", and {len(wrong) - _SHOWN_LINES:,} more" if len(wrong) > _SHOWN_LINES else ""
        raise UserError(
            f"{', '.join(wrong[:_SHOWN_LINES])}{more}: expected one id a line, t1_c2715 or c2715 "
            "for a comment or t3_22569 for a thread; mend the file; nothing was changed"
        )
    return sorted(ids)


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise UserError(f"{path}: expected a file of ids, one a line, found none; check --ids")
    return path.read_bytes()


def _as_reddit_writes(prefix: str | None, digits: str) -> str:
    return (prefix or COMMENT) + (digits.lower().lstrip("0") or "0")


def earlier_ids(folder: Path) -> list[str]:
    """The ids that were purged from an extraction folder before; none if there were no purges."""
    path = folder / PURGED_IDS_FILE
    return read_ids(str(path)) if path.is_file() else []


def file_of_ids(ids: Iterable[str]) -> str:
    """What stands in the file of all ids that were purged from an extraction folder."""
    return "".join(f"{name}\n" for name in sorted(ids))


class PurgedIds:
    """Tells which dialogues hold one of some comments or belong to one of some threads.

    Attributes:
        names: all of them.
    """

    def __init__(self, ids: Iterable[str]) -> None:
        """Begin with none found.

        Args:
            ids: as `read_ids` returns them.
        """
        self.names = frozenset(ids)
        self._comments = _Names([name for name in self.names if name.startswith(COMMENT)])
        self._threads = _Names([name for name in self.names if name.startswith(THREAD)])
        self._among_texts: set[str] = set()

    @property
    def found(self) -> set[str]:
        """Those of the ids that were met."""
        return self._comments.found | self._threads.found | self._among_texts

    def in_rows(self, rows: pa.RecordBatch) -> NDArray[np.bool_]:
        """Which dialogues in Parquet are concerned.

        Args:
            rows: n rows with columns `turn_ids` and `thread_id`.

        Returns:
            (n,)
        """
        concerned = self._threads.in_strings(rows.column("thread_id"))
        turn_ids = rows.column("turn_ids")
        turns = self._comments.in_strings(turn_ids.flatten())
        concerned[np.asarray(pc.list_parent_indices(turn_ids))[turns]] = True
        return concerned

    def in_chunk(self, chunk: Chunk) -> NDArray[np.bool_]:
        """Which dialogues of a shard's chunk are concerned: (dialogues,)."""
        turns = self._comments.in_keys(chunk.turn_keys)
        before = np.concatenate([[0], np.cumsum(turns)])
        ends = np.cumsum(chunk.num_turns, dtype=np.int64)
        in_turns: NDArray[np.bool_] = before[ends] > before[ends - chunk.num_turns]
        return in_turns | self._threads.in_keys(chunk.thread_keys)

    def in_names(self, *names: Any) -> bool:
        """Whether one of the names is among the ids; whatever is no text is not."""
        met = {name for name in names if isinstance(name, str)} & self.names
        self._among_texts |= met
        return bool(met)

    def in_json_text(self, *texts: str) -> bool:
        """Whether JSON, which may be cut short, names one of the ids as its own or its thread's."""
        named = [name for text in texts for name in _ID_IN_JSON.findall(text)]
        return self.in_names(*(name if "_" in name else COMMENT + name for name in named))


class _Names:
    """Some names, to be found among columns of names or of their keys."""

    def __init__(self, names: Sequence[str]) -> None:
        self.found: set[str] = set()
        self._names = np.array(names, dtype=object)
        self._array = pa.array(names, pa.string())

    def in_strings(self, column: pa.Array) -> NDArray[np.bool_]:
        """(n,) which strings of a column are among the names; null is not."""
        if not len(self._array):
            return np.zeros(len(column), np.bool_)
        # The set to look in is hashed anew each time, so it should be the smaller one: first that
        # of the column, among which few are found, then these few.
        names = self._array.cast(column.type)
        names = names.filter(pc.is_in(names, value_set=column))
        self.found.update(names.to_pylist())
        return np.array(pc.is_in(column, value_set=names))  # Arrow's own cannot be written to

    def in_keys(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) which keys, as `record_key` makes them, are those of the names."""
        ours, names = self._sorted_keys
        if not len(ours):
            return np.zeros(len(keys), np.bool_)
        places = np.minimum(np.searchsorted(ours, keys), len(ours) - 1)
        hits: NDArray[np.bool_] = ours[places] == keys
        self.found.update(names[places[hits]].tolist())
        return hits

    @cached_property
    def _sorted_keys(self) -> tuple[NDArray[np.uint64], NDArray[Any]]:
        keys = np.array([record_key(name) for name in self._names], dtype=np.uint64)
        order = np.argsort(keys)
        return keys[order], self._names[order]
