"""Settings for all tests."""

from functools import cache

import docstring_parser
from hypothesis import settings

# A time limit for one example says more about the machine than about the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# Hundreds of tests run a command in this process. Half of what parsing its options costs is to read
# the source of the same classes again, for the help texts: once is enough for a process.
docstring_parser.parse_from_object = cache(docstring_parser.parse_from_object)
