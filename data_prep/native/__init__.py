"""The loops of extraction that look at every byte, in C; None where they were not compiled.

Whatever is done here is done in Python as well, by the module that imports `compiled`, with the
same results: tests compare the two. So `DIALOGPT_NO_NATIVE=1` makes everything slower, and nothing
else.
"""

import os
from types import ModuleType

compiled: ModuleType | None = None
if not os.environ.get("DIALOGPT_NO_NATIVE"):
    try:
        from data_prep import _native as compiled
    except ImportError:  # no compiler was there when the project was installed
        compiled = None
