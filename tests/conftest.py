"""Settings for all tests."""

from hypothesis import settings

# A time limit for one example says more about the machine than about the code.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
