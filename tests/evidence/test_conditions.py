"""Pooling by condition keeps contrasts and phases apart."""

from __future__ import annotations

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.evidence.conditions import CONDITION_NAMES, CONTRAST_NAMES, keep, pool_by_condition


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    return ipt.effect_sizes(ipt.load_dataset("ipt"))


def test_each_cell_is_the_fit_of_its_own_rows(effects: pd.DataFrame) -> None:
    fits = pool_by_condition(effects)
    for contrast, groups in fits.items():
        for condition, fit in groups.items():
            rows = effects[
                (effects["contrast"] == contrast) & (effects["condition"] == condition) & (effects["phase"] == "acute")
            ]
            assert fit.estimate == ipt.pool(rows, dependence="aggregate").estimate


def test_phase_none_takes_all_phases_and_another_phase_takes_others(effects: pd.DataFrame) -> None:
    acute = pool_by_condition(effects)["ipt_vs_control"]["depression"].k
    prevention = pool_by_condition(effects, phase="prevention")["ipt_vs_control"]["depression"].k
    assert (acute, prevention) == (35, 3)


def test_tidy_starts_with_contrast_and_group(effects: pd.DataFrame) -> None:
    table = pool_by_condition(effects, contrast="ipt_vs_control").tidy()
    assert list(table.columns[:3]) == ["contrast", "group", "k"]
    assert set(table["contrast"]) == {"ipt_vs_control"}


def test_every_shipped_contrast_and_condition_has_a_name(effects: pd.DataFrame) -> None:
    assert set(effects["contrast"]) <= set(CONTRAST_NAMES)
    assert set(effects["condition"]) <= set(CONDITION_NAMES)


def test_unknown_value_lists_those_there_are(effects: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match="'prevention'"):
        keep(effects, "phase", "spring")
    with pytest.raises(OptionError, match="no column 'season'"):
        keep(effects, "season", "spring")


def test_table_without_effects_is_not_estimable(effects: pd.DataFrame) -> None:
    with pytest.raises(NotEstimableError, match="in any contrast"):
        pool_by_condition(effects.assign(effect=float("nan")))
