"""The quick look at a table agrees with the schema: it may miss a good table, never pass a bad one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pandera.errors import SchemaErrors

import ipt_evidence as ipt
from ipt_evidence.studies.contract import COLUMNS
from ipt_evidence.studies.contract_kept import keeps_contract
from ipt_evidence.studies.schema import studies_schema
from ipt_evidence.studies.table import find_faults

SPOILT = {"text": ("", "nonsense"), "number": (np.nan, -1.0, 0.0, 0.5, 1e6), "whole": (np.nan, -1.0, 0.5, 7.0)}


@pytest.fixture(scope="module")
def typed() -> pd.DataFrame:
    frame = ipt.load_dataset("ipt", analysis_set=None).groupby("statistics").head(2).reset_index(drop=True)
    frame.attrs = {}
    typed = find_faults(frame, list(range(len(frame))))[0]
    absent = {rule.name: "" if rule.kind == "text" else np.nan for rule in COLUMNS if rule.name not in typed}
    return typed.assign(**absent)


def rows_that_fail(frame: pd.DataFrame) -> set[int]:
    """Return the rows in which the schema finds a fault."""
    try:
        studies_schema().validate(frame, lazy=True)
    except SchemaErrors as errors:
        return set(errors.failure_cases["index"].astype(int))
    return set()


def test_the_shipped_rows_need_no_schema(typed):
    assert keeps_contract(typed)
    assert rows_that_fail(typed) == set()


def test_one_changed_cell_is_judged_as_by_the_schema(typed):
    rows = []
    for route in ("arm_means", "effect_with_uncertainty"):
        row = typed[typed["statistics"] == route].iloc[0].to_dict()
        rows += [row | {rule.name: value} for rule in COLUMNS for value in SPOILT[rule.kind]]
    keys = [row["comparison_id"] and f"{row['comparison_id']} {at}" for at, row in enumerate(rows)]
    changed = pd.DataFrame(rows).assign(comparison_id=keys).astype(typed.dtypes)
    bad = rows_that_fail(changed)
    assert 100 < len(bad) < len(changed) - 100
    assert keeps_contract(changed.drop(index=list(bad)))
    for at in sorted(bad):
        assert not keeps_contract(changed.iloc[[at]]), rows[at]


def test_repeated_keys_absent_columns_and_other_types_are_left_to_the_schema(typed):
    assert not keeps_contract(typed.assign(comparison_id="same"))
    assert not keeps_contract(typed.drop(columns="trial_id"))
    assert not keeps_contract(typed.assign(mean_1="1.5"))
