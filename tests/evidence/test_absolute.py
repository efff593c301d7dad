"""Absolute effects: formulas written out, signs of numbers needed to treat, where the standard deviations are from."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.evidence.absolute import absolute_effects
from ipt_evidence.evidence.absolute_sds import control_sds

NORMAL = NormalDist()
SAME = 1e-12
"""Relative. One formula in double precision."""


def fit(estimate: float, low: float, high: float, measure: str = "SMD") -> ipt.PooledFit:
    table = pd.DataFrame({"effect": [0.1, 0.2, 0.4], "variance": 0.02, "measure": measure})
    base = ipt.pool(table, ci_method="wald")
    return replace(base, estimate=estimate, ci_low=low, ci_high=high)


def values(found: pd.DataFrame, name: str) -> list[float]:
    return found.set_index("quantity").loc[name, ["value", "ci_low", "ci_high"]].astype(float).tolist()


def test_formulas() -> None:
    g = (0.5, 0.3, 0.7)
    found = absolute_effects(fit(*g), control_event_rate=0.25, sd_points={"HAM-D": 7.5}).tidy()
    rate = [NORMAL.cdf(x + NORMAL.inv_cdf(0.25)) for x in g]
    assert values(found, "response_rate") == pytest.approx(rate, rel=SAME)
    assert values(found, "response_difference") == pytest.approx([x - 0.25 for x in rate], rel=SAME)
    gain = [x - 0.25 for x in rate]
    assert values(found, "nnt_furukawa") == pytest.approx([1 / gain[0], 1 / gain[2], 1 / gain[1]], rel=SAME)
    assert values(found, "above_control_mean") == pytest.approx([NORMAL.cdf(x) for x in g], rel=SAME)
    auc = [NORMAL.cdf(x / math.sqrt(2)) for x in g]
    assert values(found, "probability_of_superiority") == pytest.approx(auc, rel=SAME)
    kraemer = [1 / (2 * round(x, 3) - 1) for x in (auc[0], auc[2], auc[1])]
    assert values(found, "nnt_kraemer") == pytest.approx(kraemer, rel=SAME)
    assert values(found, "points_HAM-D") == pytest.approx([7.5 * x for x in g], rel=SAME)


def test_printed_by_the_review_of_2011_and_its_successors() -> None:
    needed = [absolute_effects(fit(g, g, g), sd_points={}).tidy() for g in (0.63, 0.04, -0.19)]
    assert [round(values(t, "nnt_kraemer")[0], 2) for t in needed] == [2.91, 45.45, -9.43]
    later = absolute_effects(fit(0.75, 0.7, 0.8), control_event_rate=0.19, sd_points={}).tidy()
    assert round(values(later, "nnt_furukawa")[0], 2) == 3.86


@given(g=st.floats(-2, 2), half=st.floats(0.01, 1), rate=st.floats(0.02, 0.98))
@settings(max_examples=15)
def test_limits_surround_the_value_and_signs_agree(g: float, half: float, rate: float) -> None:
    found = absolute_effects(fit(g, g - half, g + half), control_event_rate=rate, sd_points={"X": 2.0}).tidy()
    for name in ("response_rate", "response_difference", "above_control_mean", "points_X"):
        value, low, high = values(found, name)
        assert low <= value <= high
    for name in ("nnt_furukawa", "nnt_kraemer"):
        for number, effect in zip(values(found, name), (g, g + half, g - half), strict=True):
            assert math.copysign(1, number) == math.copysign(1, effect)
    difference = values(found, "response_difference")[0]
    assert 1 / values(found, "nnt_furukawa")[0] == pytest.approx(difference, rel=1e-6, abs=1e-15)


def test_an_interval_over_zero_is_said_as_altman_proposed() -> None:
    words = absolute_effects(fit(0.2, -0.1, 0.5), sd_points={}).tidy().set_index("quantity")["in_words"]
    assert words["nnt_furukawa"] == (
        "16.5 to treat for one more good outcome (6.0 for benefit, over infinity, to 37.3 for harm)"
    )
    clear = absolute_effects(fit(-0.5, -0.8, -0.2), sd_points={}).tidy().set_index("quantity")["in_words"]
    assert clear["nnt_furukawa"] == "9.1 to treat for one more bad outcome (19.5 to 6.7)"
    assert clear["response_difference"] == "response rate -11 percentage points (-15 to -5)"
    none = absolute_effects(fit(0.0, -0.1, 0.1), sd_points={}).tidy().set_index("quantity")["in_words"]
    assert none["nnt_furukawa"] == "no difference at any number treated"


def test_control_sds_are_pooled_within_control_arms() -> None:
    rows = ipt.load_dataset("ipt", analysis_set=["primary", "sensitivity"])
    arms = rows[
        (rows["condition"] == "depression")
        & (rows["comparator_class"] == "control")
        & (rows["time"] == "post")
        & (rows["phase"] == "acute")
        & (rows["instrument_family"] == "EPDS")
        & (rows["trial_id"] != "lenze2017")
        & rows["sd_2"].notna()
    ]
    n, sd = arms["n_2"].to_numpy(), arms["sd_2"].to_numpy()
    epds = control_sds().set_index("instrument").loc["EPDS"]
    assert len(arms) == arms["trial_id"].nunique() == epds["k"]
    assert epds["sd"] == pytest.approx(np.sqrt(((n - 1) * sd**2).sum() / (n - 1).sum()), rel=SAME)
    assert "Lenze 2017" not in epds["trials"]


def test_a_table_of_control_sds_belongs_to_who_asked() -> None:
    mine = control_sds()
    before = mine.copy()
    mine.loc[:, "sd"] = -1.0
    mine["k"] = 0
    pd.testing.assert_frame_equal(control_sds(), before)
    some = ipt.load_dataset("ipt", analysis_set=None).query("trial_id == 'elkin1989'")
    assert control_sds(some)["k"].max() == 1


def test_default_points_say_their_source_and_are_for_depression() -> None:
    effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    acute = effects[(effects["contrast"] == "ipt_vs_control") & (effects["phase"] == "acute")]
    fits = ipt.pool_by(acute[acute["condition"].isin(["depression", "anxiety"])], "condition")
    found = absolute_effects(fits)
    table = found.tidy()
    with_points = table.loc[table["quantity"].str.startswith("points_"), ["group", "quantity"]]
    assert with_points.to_numpy().tolist() == [["depression", "points_HAM-D"], ["depression", "points_BDI"]]
    sds = control_sds().set_index("instrument")
    assert values(table[table["group"] == "depression"], "points_BDI")[0] == pytest.approx(
        fits["depression"].estimate * sds.loc["BDI", "sd"], rel=SAME
    )
    assert any("control arms of the shipped trials" in note for note in found.notes)
    assert "<caption>In absolute terms, where 20% respond" in found._repr_html_()


def test_errors() -> None:
    with pytest.raises(OptionError, match=r"needs a standardised mean difference, this fit has 'OR'"):
        absolute_effects(fit(0.5, 0.2, 0.8, "OR"))
    with pytest.raises(OptionError, match="control_event_rate must lie between 0 and 1; received 20"):
        absolute_effects(fit(0.5, 0.2, 0.8), control_event_rate=20)
    with pytest.raises(OptionError, match=r"above 0; received \{'BDI': -1, 'GDS': 'big'\}"):
        absolute_effects(fit(0.5, 0.2, 0.8), sd_points={"BDI": -1, "HAM-D": 7, "GDS": "big"})  # type: ignore[dict-item]
    with pytest.raises(OptionError, match="received float"):
        absolute_effects(0.5)  # type: ignore[arg-type]
    with pytest.raises(NotEstimableError, match="no trial"):
        absolute_effects(replace(fit(0.5, 0.2, 0.8), k=0))
