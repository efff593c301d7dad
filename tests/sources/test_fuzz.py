"""Damaged files of every kind: a table, or an error in our words.

The long run is ``python benchmarks/fuzz_readers.py``; ``IPT_EVIDENCE_FUZZ=5000`` sets the examples of this one.
"""

from __future__ import annotations

import os
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fuzz_readers import damaged, read, seeds
from ipt_evidence.errors import EvidenceWarning

EXAMPLES = int(os.environ.get("IPT_EVIDENCE_FUZZ", "3"))
KINDS = ("own", "metapsy", "metafor", "revman", "rm5", "arms", "xlsx", "zip", "yaml")


@pytest.fixture(scope="module")
def sources():
    found = seeds()
    assert set(found) == set(KINDS)
    assert all(contents for _, contents in found.values())
    return found


@pytest.mark.parametrize("kind", KINDS)
@settings(derandomize=True, deadline=None, max_examples=EXAMPLES)
@given(draw=st.randoms(use_true_random=True))
def test_any_damage_ends_in_a_table_or_in_our_words(sources, tmp_path_factory, kind, draw):
    name, contents = sources[kind]
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(damaged(draw.choice(contents), draw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        read(kind, path)
    assert [found.name for found in path.parent.iterdir()] == [name]


@pytest.mark.parametrize("kind", KINDS)
def test_undamaged_files_are_read(sources, tmp_path, kind):
    name, contents = sources[kind]
    (tmp_path / name).write_bytes(contents[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        assert read(kind, tmp_path / name) == ""
