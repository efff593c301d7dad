"""Effects of the shipped trials, computed once."""

from __future__ import annotations

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.pooling.result import PooledFit


@pytest.fixture(scope="session")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt", analysis_set=None))


@pytest.fixture(scope="session")
def depression(effects: pd.DataFrame) -> pd.DataFrame:
    rows = effects[(effects["condition"] == "depression") & (effects["contrast"] == "ipt_vs_control")]
    return rows[(rows["phase"] == "acute") & (rows["analysis_set"] == "primary")]


@pytest.fixture(scope="session")
def depression_fit(depression: pd.DataFrame) -> PooledFit:
    return ipt.pool(depression, dependence="aggregate")


@pytest.fixture(scope="session")
def anxiety_fit(effects: pd.DataFrame) -> PooledFit:
    rows = effects[(effects["condition"] == "anxiety") & (effects["contrast"] == "ipt_vs_control")]
    return ipt.pool(rows[rows["analysis_set"] == "primary"], dependence="aggregate")
