"""A user's own files."""

from __future__ import annotations

from pathlib import Path

import pytest

import ipt_evidence as ipt


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A user's own small table, taken from the shipped rows."""
    frame = ipt.load_dataset("ipt")
    path = tmp_path / "mine.csv"
    frame[frame["trial_id"].isin(["elkin1989", "weissman1979", "bolton2003"])].to_csv(path, index=False)
    return path
