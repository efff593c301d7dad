"""Settings for all tests."""

import gc
import sys

import pytest
from hypothesis import settings

# Examples of property tests are the same in every run.
settings.register_profile("project", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("project")

# With this package jsonschema, which nbformat and frictionless need, takes 3 s to load: 38 grammars for a format of
# addresses that nothing here has.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave the thousands of collected tests out of every later search for garbage."""
    gc.collect()
    gc.freeze()
