"""Trials with more than two arms: recognised, combined, split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.studies.arms import arm_key, arm_keys, combine_arms, shared_arms, split_shared_control
from ipt_evidence.studies.arms_combine import combined_mean_sd

ROUNDING = 1e-10
"""Sums of a few hundred floats in another order."""
law = settings(max_examples=30, derandomize=True, deadline=None)
few = settings(max_examples=6, derandomize=True, deadline=None)
scores = st.lists(st.integers(0, 40), min_size=3, max_size=30).filter(lambda x: len(set(x)) > 1)


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    return ipt.load_dataset("ipt", analysis_set=None)


def comparison(arm_1, arm_2, first, second, **more):
    """Return one row from the scores of two groups."""
    row = {"trial_id": "t", "contrast": "ipt_vs_control", "arm_1": arm_1, "arm_2": arm_2, "outcome": "depression"}
    row |= {"instrument": "BDI", "time": "post", "lower_is_better": 1}
    for side, values in ((1, first), (2, second)):
        row |= {f"mean_{side}": np.mean(values), f"sd_{side}": np.std(values, ddof=1), f"n_{side}": len(values)}
    return row | more


def table(rows):
    return pd.DataFrame(rows).assign(comparison_id=[f"c{i}" for i in range(len(rows))])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ipt (individual)", "IPT"),
        ("group ipt", "ipt"),
        ("ipt + sertraline", "Sertraline+IPT"),
        ("ipt plus placebo", "placebo & IPT"),
        ("treatment as usual", "usual care"),
        ("Wait-list", "waiting list control"),
        ("m-itg (coded other psychotherapy)", "M-ITG"),
        ("internet cbt (guided)", "guided internet CBT"),
        ("Cognitive behavioural therapy", "cbt"),
    ],
)
def test_one_arm_in_two_wordings(one, other):
    assert arm_key(one) == arm_key(other) != ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ipt", "ipt + placebo"),
        ("internet cbt (MoodGYM)", "internet cbt (e-couch)"),
        ("usual care", "enhanced usual care"),
        ("ipt", "telephone ipt"),
        ("ipt", "ipt-a"),
    ],
)
def test_two_arms_stay_two(one, other):
    assert arm_key(one) != arm_key(other)


def test_an_empty_label_has_an_empty_key_and_a_format_alone_stays():
    assert arm_key("") == arm_key("  ") == ""
    assert arm_key("Group") == "group"


def test_formats_tell_arms_apart_where_the_trial_has_both():
    frame = pd.DataFrame(
        {
            "trial_id": ["a", "a", "b", "b", "c"],
            "arm_1": ["group ipt", "individual ipt", "group ipt", "ipt", "group cbt"],
            "arm_2": ["waitlist", "waitlist", "cbt", "waitlist", "cbt"],
        }
    )
    keys = arm_keys(frame)
    assert keys["arm_1"].tolist() == ["ipt (group)", "ipt (individual)", "ipt", "ipt", "cbt (group)"]
    assert keys["arm_2"].tolist() == ["waitlist", "waitlist", "cbt", "waitlist", "cbt"]


def test_shared_arms_of_the_shipped_data(shipped):
    found = shared_arms(shipped).set_index(["trial_id", "arm"])
    double = found[found["shared_in"] == "contrast"]
    assert set(double.index.get_level_values(0)) == {"markowitz2015", "donker2013", "wilson2010", "talbot2011"}
    elkin = found.loc[("elkin1989", "ipt")]
    assert elkin["labels"] == "ipt (individual); ipt"
    assert elkin["n_comparisons"] == 3
    assert shipped.loc[list(elkin["rows"]), "trial_id"].eq("elkin1989").all()


def test_rows_are_labels_of_the_index_whatever_the_order(shipped):
    turned = shared_arms(shipped.iloc[::-1]).set_index(["trial_id", "arm"])
    straight = shared_arms(shipped).set_index(["trial_id", "arm"])
    at = ("donker2013", "internet ipt (unguided)")
    assert set(turned.loc[at, "rows"]) == set(straight.loc[at, "rows"]) == {202, 203, 204, 205}


def test_two_arm_trials_share_nothing():
    assert shared_arms(table([comparison("ipt", "wl", [1, 2], [3, 4])] * 2)).empty


@law
@given(groups=st.lists(scores, min_size=2, max_size=4))
def test_combined_arms_are_the_participants_pooled(groups):
    pooled = np.concatenate(groups)
    parts = [np.array(g, dtype=float) for g in groups]
    found = combined_mean_sd([p.mean() for p in parts], [p.std(ddof=1) for p in parts], [len(p) for p in parts])
    assert found == pytest.approx((pooled.mean(), pooled.std(ddof=1), len(pooled)), rel=ROUNDING)


@few
@given(groups=st.lists(scores, min_size=2, max_size=4), shared=scores)
def test_the_effect_of_combined_arms_is_that_of_the_participants_pooled(groups, shared):
    pooled = np.concatenate(groups)
    rows = table([comparison(f"ipt {i}", "wl", g, shared) for i, g in enumerate(groups)])
    combined = combine_arms(rows)
    assert len(combined) == 1
    direct = table([comparison("all", "wl", pooled, shared)])
    got, expected = ipt.effect_sizes(combined).iloc[0], ipt.effect_sizes(direct).iloc[0]
    assert got["effect"] == pytest.approx(expected["effect"], rel=ROUNDING, abs=ROUNDING)
    assert got["variance"] == pytest.approx(expected["variance"], rel=ROUNDING)


def test_combining_says_where_the_row_comes_from():
    rows = table([comparison("ipt", "wl", [5, 7, 9], [10, 12]), comparison("ipt", "cbt", [5, 7, 9], [6, 8, 9, 11])])
    rows = rows.assign(
        effect=[0.5, 0.4], effect_se=0.2, notes=["a", "b"], confidence=["high", "low"], n_randomised_2=[3, 5], year=1999
    )
    before = rows.copy(deep=True)
    combined = combine_arms(rows)
    pd.testing.assert_frame_equal(rows, before)
    row = combined.iloc[0]
    assert (row["comparison_id"], row["combined_from"], row["arm_2"]) == ("c0+c1", "c0; c1", "wl; cbt")
    assert (row["n_1"], row["n_2"], row["n_randomised_2"], row["year"]) == (3, 6, 8, 1999)
    assert (row["notes"], row["confidence"], row["why_not_combined"]) == ("a; b", "low", "")
    assert np.isnan(row["effect"])
    assert np.isnan(row["effect_se"])


def test_events_and_baselines_are_combined():
    common = {"trial_id": "t", "arm_1": "ipt", "events_1": 9, "total_1": 20, "baseline_n_2": 20}
    rows = table(
        [
            common | {"arm_2": "a", "events_2": 3, "total_2": 20, "baseline_mean_2": 10.0, "baseline_sd_2": 4.0},
            common | {"arm_2": "b", "events_2": 5, "total_2": 30, "baseline_mean_2": 14.0, "baseline_sd_2": 4.0},
        ]
    )
    row = combine_arms(rows).iloc[0]
    assert (row["events_1"], row["total_1"], row["events_2"], row["total_2"]) == (9, 20, 8, 50)
    assert (row["baseline_mean_2"], row["baseline_n_2"]) == (12, 40)
    missing = combine_arms(rows.assign(baseline_sd_2=[4.0, np.nan])).iloc[0]
    assert np.isnan(missing["baseline_sd_2"])


def test_outcomes_times_and_contrasts_stay_apart():
    rows = []
    for more in ({}, {"instrument": "HAM-D"}, {"time": "followup"}, {"contrast": "ipt_vs_psychotherapy"}):
        rows += [comparison("ipt", arm, [5, 7, 9], [6, 8, 12], **more) for arm in ("cbt", "wl")]
    combined = combine_arms(table(rows))
    assert combined["combined_from"].tolist() == ["c0; c1", "c2; c3", "c4; c5", "c6; c7"]


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"arm_2": "cbt", "n_1": 99}, "other numbers"),
        ({"arm_2": "cbt", "mean_2": np.nan, "effect": 0.4, "effect_se": 0.2}, "effect_with_uncertainty"),
        ({"arm_2": "cbt", "sd_2": np.nan}, "no statistics"),
    ],
)
def test_what_cannot_be_combined_stays_with_a_reason(second, why):
    first = comparison("ipt", "wl", [5, 7, 9], [10, 12])
    rows = table([first, first | second])
    combined = combine_arms(rows)
    assert len(combined) == 2
    assert why in " ".join(combined["why_not_combined"])
    assert (combined["combined_from"] == "").all()


def test_the_same_two_arms_twice_are_not_combined():
    rows = [comparison("ipt", arm, [5, 7, 9], [10, 12]) for arm in ("wl", "wl", "cbt")]
    combined = combine_arms(table(rows))
    assert len(combined) == 3
    assert combined["why_not_combined"].str.contains("twice").all()


def test_other_kinds_of_statistics_are_not_combined():
    first = comparison("ipt", "wl", [5, 7, 9], [10, 12])
    events = {key: value for key, value in first.items() if not key.startswith(("mean", "sd", "n_"))}
    rows = table([first, events | {"arm_2": "cbt", "events_1": 1, "total_1": 3, "events_2": 1, "total_2": 3}])
    assert combine_arms(rows)["why_not_combined"].str.contains("another kind").all()


def test_a_ring_of_arms_needs_a_side():
    rows = table([comparison(*arms, [5, 7, 9], [10, 12, 15]) for arms in (("a", "c"), ("a", "d"), ("b", "c"))])
    assert combine_arms(rows)["why_not_combined"].str.contains("choose side").all()
    chosen = combine_arms(rows, side="arm_2")
    assert chosen["arm_2"].tolist() == ["c; d", "c"]


def test_shipped_trials_are_combined_and_stay_valid(shipped):
    combined = combine_arms(shipped)
    ipt.validate_studies(combined)
    done = combined[combined["combined_from"] != ""]
    assert set(done["trial_id"]) == {"donker2013", "markowitz2015"}
    donker = done[done["trial_id"] == "donker2013"].iloc[0]
    assert donker["n_2"] == 181 + 162
    assert donker["mean_2"] == pytest.approx((181 * 23.68 + 162 * 24.3) / 343)
    assert combined["comparison_id"].is_unique
    untouched = combined.index[combined["combined_from"] == ""]
    kept = combined.loc[untouched, shipped.columns]
    pd.testing.assert_frame_equal(kept, shipped.loc[untouched])


def test_a_new_id_is_not_one_that_exists():
    rows = table([comparison("ipt", arm, [5, 7, 9], [10, 12]) for arm in ("wl", "cbt")])
    rows = pd.concat([rows, rows.iloc[:1].assign(comparison_id="c0+c1", trial_id="u")])
    assert combine_arms(rows)["comparison_id"].tolist() == ["c0+c1 (2)", "c0+c1"]


@few
@given(shared=st.lists(st.integers(0, 40), min_size=10, max_size=40), groups=st.lists(scores, min_size=2, max_size=5))
def test_splitting_keeps_every_participant_once(shared, groups):
    rows = table([comparison(f"ipt {i}", "wl", g, shared) for i, g in enumerate(groups)])
    parts = split_shared_control(rows)
    assert parts["n_2"].sum() == pytest.approx(len(shared))
    assert (parts["split_2"] == len(groups)).all()
    assert (parts["split_1"] == 1).all()
    pd.testing.assert_frame_equal(parts[["mean_2", "sd_2", "n_1"]], rows[["mean_2", "sd_2", "n_1"]])
    if len(set(shared)) > 1:
        whole, split = ipt.effect_sizes(rows, variance="H0"), ipt.effect_sizes(parts, variance="H0")
        of_shared = split["variance"] - 1 / rows["n_1"]
        assert (1 / of_shared).sum() == pytest.approx(len(shared))
        assert (split["variance"] > whole["variance"]).all()


def test_splitting_events_and_rounding_down():
    common = {"trial_id": "t", "arm_1": "ipt", "events_1": 25, "total_1": 41, "events_2": 3, "total_2": 20}
    rows = table([common | {"arm_2": arm} for arm in ("pe", "relaxation")])
    exact = split_shared_control(rows)
    assert (exact["events_1"].tolist(), exact["total_1"].tolist()) == ([12.5] * 2, [20.5] * 2)
    assert np.isfinite(ipt.effect_sizes(exact.assign(lower_is_better=0))["effect"]).all()
    down = split_shared_control(rows, rounding="down")
    assert (down["events_1"].tolist(), down["total_1"].tolist()) == ([12] * 2, [20] * 2)
    assert down["total_2"].tolist() == [20, 20]


def test_a_printed_effect_cannot_be_split():
    row = {"trial_id": "t", "arm_2": "wl", "effect": 0.5, "effect_se": 0.2, "n_2": 30}
    parts = split_shared_control(table([row | {"arm_1": "ipt"}, row | {"arm_1": "cbt"}]))
    assert parts["why_not_split"].str.contains("printed effect").all()
    assert parts["n_2"].tolist() == [30, 30]


def test_an_arm_too_small_to_split_is_left_with_a_reason():
    rows = table([comparison(f"ipt {i}", "wl", [5, 7, 9], [10, 12, 13]) for i in range(2)])
    parts = split_shared_control(rows)
    assert parts["why_not_split"].str.contains("too small").all()
    assert parts["n_2"].tolist() == [3, 3]


def test_rows_without_statistics_do_not_take_a_part():
    rows = table([comparison("ipt", arm, [5, 7, 9, 8], [10, 12, 11]) for arm in ("wl", "cbt")])
    rows.loc[1, ["mean_2", "sd_2"]] = np.nan
    assert split_shared_control(rows)["n_1"].tolist() == [4, 4]


def test_within_the_trial_all_contrasts_share(shipped):
    elkin = shipped[(shipped["trial_id"] == "elkin1989") & (shipped["analysis_set"] == "primary")]
    assert (split_shared_control(elkin)["n_1"] == 61).all()
    parts = split_shared_control(elkin, within="trial")
    assert parts["n_1"].to_numpy() == pytest.approx(61 / 3)


@pytest.mark.parametrize("function", [combine_arms, split_shared_control, shared_arms])
def test_missing_columns_and_wrong_input(function):
    with pytest.raises(SchemaError, match="arm_2"):
        function(pd.DataFrame({"trial_id": ["a"], "arm_1": ["b"]}))
    with pytest.raises(OptionError, match="DataFrame"):
        function([1])


def test_effects_and_text_in_numbers_are_refused():
    rows = table([comparison("ipt", arm, [5, 7, 9], [10, 12]) for arm in ("wl", "cbt")])
    with pytest.raises(SchemaError, match=r"treat the arms first"):
        combine_arms(ipt.effect_sizes(rows))
    with pytest.raises(SchemaError) as caught:
        combine_arms(rows.astype(object).assign(n_1=["3", "three"], mean_2=[1, "x"]))
    assert [(p.row, p.column, p.value) for p in caught.value.problems] == [(2, "mean_2", "x"), (2, "n_1", "three")]


def test_options():
    rows = table([comparison("ipt", "wl", [5, 7], [10, 12])])
    with pytest.raises(OptionError, match="side"):
        combine_arms(rows, side="both")
    with pytest.raises(OptionError, match="rounding"):
        split_shared_control(rows, rounding="up")
    with pytest.raises(OptionError, match="within"):
        split_shared_control(rows, within="all")


def test_an_empty_table_stays_empty():
    empty = table([comparison("ipt", "wl", [5, 7], [10, 12])]).iloc[:0]
    assert shared_arms(empty).empty
    assert combine_arms(empty).empty
    assert split_shared_control(empty).empty
