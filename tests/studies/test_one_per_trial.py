"""One effect per trial by choice."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.sources.registry import load_dataset
from ipt_evidence.studies.one_per_trial import one_per_trial

# The database's own g and SE are printed with 15 digits; the pooled values are given to 4 decimals.
FOUR_DECIMALS = 5e-5


def dersimonian_laird(effect, std_error):
    weight = 1 / std_error**2
    mean = (weight * effect).sum() / weight.sum()
    excess = (weight * (effect - mean) ** 2).sum() - (len(effect) - 1)
    tau2 = max(0.0, excess / (weight.sum() - (weight**2).sum() / weight.sum()))
    weight = 1 / (std_error**2 + tau2)
    return (weight * effect).sum() / weight.sum()


@pytest.mark.parametrize(("rule", "pooled"), [("highest", 0.5130), ("lowest", 0.4504)])
def test_metapsy_trials_agree_with_the_published_menu(rule, pooled):
    studies = load_dataset("ipt")
    metapsy = studies[studies["source"].str.startswith("metapsy")]
    chosen = one_per_trial(metapsy, rule=rule)
    assert len(chosen) == 31
    assert abs(dersimonian_laird(chosen["effect"], chosen["effect_se"]) - pooled) < FOUR_DECIMALS


def test_missing_effects_are_never_chosen_but_their_trial_stays():
    effects = pd.DataFrame(
        {"trial_id": ["b", "b", "a", "c", "c", "a"], "effect": [np.nan, -1.0, 0.3, np.nan, np.nan, 0.3]},
        index=[10, 11, 12, 13, 14, 15],
    )
    for rule in ("highest", "lowest", "first"):
        assert list(one_per_trial(effects, rule=rule).index) == [11, 12, 13]


def test_units_of_several_columns():
    effects = pd.DataFrame({"trial_id": ["a"] * 4, "contrast": ["x", "x", "y", "y"], "effect": [1.0, 2.0, 4.0, 3.0]})
    chosen = one_per_trial(effects, rule="highest", by=["trial_id", "contrast"])
    assert chosen["effect"].tolist() == [2.0, 4.0]


def test_faults_are_named():
    effects = pd.DataFrame({"trial_id": ["a"]})
    with pytest.raises(OptionError, match="'highest', 'lowest', 'first'; received 'best'"):
        one_per_trial(effects, rule="best")
    with pytest.raises(SchemaError, match="effect_sizes first"):
        one_per_trial(effects)
    with pytest.raises(OptionError, match="at least one column"):
        one_per_trial(effects.assign(effect=1.0), by=[])


@settings(derandomize=True, deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.floats(-5, 5))),
        min_size=1,
        max_size=12,
    )
)
def test_one_row_per_trial_in_table_order_with_the_extreme_effect(rows):
    effects = pd.DataFrame(rows, columns=["trial_id", "effect"]).astype({"effect": "float64"})
    before = effects.copy()
    for rule, extreme in (("highest", "max"), ("lowest", "min")):
        chosen = one_per_trial(effects, rule=rule)
        assert chosen.index.is_monotonic_increasing
        assert set(chosen["trial_id"]) == set(effects["trial_id"])
        assert chosen["trial_id"].is_unique
        wanted = effects.groupby("trial_id")["effect"].agg(extreme)
        pd.testing.assert_series_equal(chosen.set_index("trial_id")["effect"].sort_index(), wanted)
    pd.testing.assert_frame_equal(effects, before)
