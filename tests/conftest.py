"""Settings for all tests: examples of property tests are the same in every run."""

from hypothesis import settings

settings.register_profile("project", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("project")
