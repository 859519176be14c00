"""Where a task may put what is too large for memory."""

import os


def scratch_folder() -> str | None:
    """A folder of this machine's disk that Spark was given for large files; None if it is not told.

    In a task the variable is set; TMPDIR may be small, or in memory.
    """
    return os.environ.get("SPARK_LOCAL_DIRS", "").split(",")[0] or None
