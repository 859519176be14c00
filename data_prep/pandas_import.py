"""Keeps pandas out of a command that has no use for it.

pyarrow imports pandas, where it is installed, at the first array that it makes: a fifth of a second
before anything is read. Nothing of an extraction becomes a table of pandas.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def keep_pandas_out(command: str) -> None:
    """Let pyarrow believe that pandas is not installed, for the rest of this process.

    Only if the process is there for this command alone: whoever calls the command's function from
    a program of their own may want pandas next.

    Args:
        command: the module that `python -m` was given.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or spec.name != f"{command}.__main__" or "pandas" in sys.modules:
        return
    refusal = _NoPandas()
    sys.meta_path.insert(0, refusal)
    try:
        import pyarrow as pa

        pa.array([0])  # pyarrow looks for pandas once
    finally:
        sys.meta_path.remove(refusal)


class _NoPandas:
    """A finder of modules that says there is no pandas."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed", name=name)
        return None
