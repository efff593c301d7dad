"""Choices that people write in a file are those they would give in Python, and every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import SchemaError
from ipt_evidence.evidence.multiverse_declared import read_choices

GOOD = """
which:
  population:
    all: all
    not perinatal: {population_group_not: perinatal}
  sessions:
    all: all
    12 or more: {n_sessions_from: 12}
  rating:
    self or clinician: {rating: [self, clinician]}
how:
  tau2_method: [REML, DL]
  rho: [0.4, 0.6]
  adjustment: none
"""
BAD = """
which:
  population: all
  year:
    late: {year_from: soon}
  rating:
    good: {rating: nobody}
    other: {ratings: self}
how:
  rho: [much]
  tau2: [REML]
extra: 1
"""


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    table = ipt.effect_sizes(ipt.load_dataset("ipt"))
    acute = (table["contrast"] == "ipt_vs_control") & (table["phase"] == "acute")
    return table[acute & (table["condition"] == "depression")]


def test_a_file_says_what_python_would(effects: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "choices.yaml"
    path.write_text(GOOD, encoding="utf-8")
    choices = read_choices(path, effects)
    which = {
        "population": {"all": None, "not perinatal": lambda t: t["population_group"] != "perinatal"},
        "sessions": {"all": None, "12 or more": lambda t: (t["n_sessions"] >= 12).fillna(False).astype(bool)},
        "rating": {"self or clinician": {"rating": ["self", "clinician"]}},
    }
    how = {"tau2_method": ["REML", "DL"], "rho": [0.4, 0.6], "adjustment": ["none"]}
    expected = ipt.multiverse(effects, which=which, how=how)  # type: ignore[arg-type]
    found = ipt.multiverse(effects, which=choices.which, how=choices.how)
    pd.testing.assert_frame_equal(found.table, expected.table, check_exact=True)
    assert found.table["data_set"].nunique() > 8


def test_a_part_that_is_left_out_has_its_defaults(effects: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "choices.yaml"
    path.write_text("how: {ci_method: [wald]}", encoding="utf-8")
    assert read_choices(path, effects).which is None
    path.write_text("which: {rating: {all: all}}", encoding="utf-8")
    assert read_choices(path, effects).how is None


def test_every_mistake_is_named(effects: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "choices.yaml"
    path.write_text(BAD, encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        read_choices(path, effects)
    said = str(caught.value)
    for part in (
        "choices.yaml",
        "'extra'",
        "which, population",
        "'year_from'",
        "soon",
        "nobody",
        "'ratings'",
        "'tau2'",
    ):
        assert part in said, part
    assert "rho must be a list of numbers" in said
    for text in ("", "[1, 2]", "{}", "which: {}"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SchemaError, match="choices of the multiverse cannot be used"):
            read_choices(path, effects)
