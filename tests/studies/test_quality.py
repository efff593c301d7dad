"""Every flag finds the fault planted for it, and leaves its near miss alone."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.studies.flags_scales import SCALE_OF, SCALES
from ipt_evidence.studies.flags_spread import leave_one_out_median
from ipt_evidence.studies.quality import FLAGS, MEANING, flags_summary, quality_flags, severity, without_flagged

SECONDS_FOR_2000_ROWS = 3.0
"""About 0.2 s on a free core; ten times that on a busy one is still linear."""
SPREADS = (5.1, 4.6, 5.8, 4.9, 5.4, 4.4)


def ordinary() -> pd.DataFrame:
    """Return six trials of the EPDS in which nothing is wrong."""
    rows = [
        {
            "comparison_id": f"c{i}",
            "trial_id": f"t{i}",
            "study": f"{name} {2001 + 2 * i}",
            "year": 2001 + 2 * i,
            "arm_1": "ipt",
            "arm_2": "waitlist",
            "contrast": "ipt_vs_control",
            "outcome": "depression",
            "instrument": "EPDS",
            "time": "post",
            "lower_is_better": 1,
            "mean_1": 9.1 + i / 10,
            "sd_1": sd,
            "n_1": 20 + i,
            "mean_2": 12.2 - i / 10,
            "sd_2": sd + 0.3,
            "n_2": 22 + i,
            "baseline_mean_1": 15.3,
            "baseline_sd_1": 4.2 + i / 10,
            "baseline_mean_2": 15.1 + i / 10,
            "baseline_sd_2": 4.3 + i / 10,
        }
        for i, (sd, name) in enumerate(
            zip(SPREADS, ("Adams", "Baker", "Clark", "Davis", "Evans", "Frank"), strict=True)
        )
    ]
    return pd.DataFrame(rows).round(6).astype({"n_1": float, "n_2": float})


def with_cells(row=2, **cells) -> pd.DataFrame:
    """Return the ordinary table with other cells in one row."""
    frame = ordinary()
    for name, value in cells.items():
        if name not in frame.columns:
            frame[name] = "" if isinstance(value, str) else np.nan
        if isinstance(value, float) and frame[name].dtype.kind == "i":
            frame[name] = frame[name].astype(float)
        frame.loc[row, name] = value
    return frame


def added(**cells) -> pd.DataFrame:
    """Return the ordinary table with its third row once more, with other cells."""
    frame = ordinary()
    return pd.concat([frame, frame.iloc[[2]].assign(**({"comparison_id": "new"} | cells))], ignore_index=True)


def flags_of(frame: pd.DataFrame) -> set[tuple[object, str, str]]:
    found = quality_flags(frame)
    return set(zip(found["row"], found["flag"], found["column"], strict=True))


PRINTED = {"effect_measure": "g", "favours_ipt_sign": 1.0}
NO_MEANS = dict.fromkeys([f"{c}_{s}" for c in ("mean", "sd") for s in (1, 2)], np.nan)
EVENTS = NO_MEANS | {"events_1": 10.0, "total_1": 20.0, "events_2": 6.0, "total_2": 20.0}

PLANTED = {
    "se, both arms": (with_cells(sd_1=1.2, sd_2=1.1), {(2, "se_as_sd", "sd_1"), (2, "se_as_sd", "sd_2")}),
    "se, one arm": (with_cells(sd_1=0.8, n_1=44.0), {(2, "se_as_sd", "sd_1")}),
    "sd too large": (with_cells(sd_1=15.1), {(2, "sd_outlier", "sd_1")}),
    "sd of zero": (with_cells(sd_1=0.0), {(2, "sd_not_positive", "sd_1")}),
    "large effect": (with_cells(mean_1=1.5, mean_2=16.0), {(2, "large_effect", "mean_1")}),
    "large printed effect": (
        with_cells(**NO_MEANS, **PRINTED, effect=2.4, effect_se=0.3),
        {(2, "large_effect", "effect")},
    ),
    "n above randomised": (with_cells(n_randomised_1=21.0), {(2, "n_above_randomised", "n_1")}),
    "n above randomised as metapsy calls it": (with_cells(rand_arm2=21.0), {(2, "n_above_randomised", "n_2")}),
    "large effect of events": (
        with_cells(**(EVENTS | {"events_1": 19.0, "events_2": 1.0})),
        {(2, "large_effect", "events_1")},
    ),
    "n of both above randomised": (with_cells(n_randomised=40.0), {(2, "n_above_randomised", "n_1")}),
    "events above total": (with_cells(**(EVENTS | {"events_1": 21.0})), {(2, "events_above_total", "events_1")}),
    "mean above the range": (
        with_cells(mean_1=33.1, mean_2=33.2),
        {(2, "mean_outside_range", c) for c in ("mean_1", "mean_2")},
    ),
    "sd above what the range allows": (with_cells(mean_1=0.8, sd_1=6.1), {(2, "sd_impossible", "sd_1")}),
    "row twice": (added(), {(6, "duplicate_comparison", "mean_1")}),
    "row copied to another instrument": (added(instrument="BDI"), {(6, "duplicate_comparison", "mean_1")}),
    "same numbers in another trial": (
        added(trial_id="u", study="Miller 2016"),
        {(6, "same_trial_two_names", "mean_1")},
    ),
    "same author, year and n": (
        added(trial_id="u", study="Clark 2006", year=2006, mean_1=8.1, mean_2=9.4),
        {(6, "same_trial_two_names", "mean_1")},
    ),
    "interval not around the effect": (
        with_cells(**NO_MEANS, **PRINTED, effect=0.5, ci_low=0.3, ci_high=1.1),
        {(2, "inconsistent_ci", "effect")},
    ),
    "interval too wide for the se": (
        with_cells(**NO_MEANS, **PRINTED, effect=0.5, effect_se=0.1, ci_low=0.0, ci_high=1.0),
        {(2, "inconsistent_ci", "effect")},
    ),
    "ratio with a log interval": (
        with_cells(**NO_MEANS, effect_measure="OR", favours_ipt_sign=1.0, effect=2.5, ci_low=0.41, ci_high=1.42),
        {(2, "inconsistent_ci", "effect")},
    ),
    "p of another effect": (
        with_cells(**NO_MEANS, **PRINTED, effect=0.5, effect_se=0.2, p_value=0.3),
        {(2, "inconsistent_p", "p_value")},
    ),
    "sign turned": (with_cells(**PRINTED, effect=-0.51), {(2, "inconsistent_effect", "effect")}),
    "effect of other numbers": (with_cells(**PRINTED, effect=0.9), {(2, "inconsistent_effect", "effect")}),
    "direction": (with_cells(lower_is_better=0), {(2, "direction_differs", "lower_is_better")}),
    "arms alike": (with_cells(mean_2=9.3, sd_2=5.8), {(2, "identical_arms", "mean_1")}),
    "baseline typed": (with_cells(mean_1=15.3, sd_1=4.4), {(2, "post_equals_baseline", "mean_1")}),
    "baselines differ": (with_cells(baseline_mean_1=19.1), {(2, "baseline_imbalance", "baseline_mean_1")}),
    "grim": (with_cells(mean_1=9.33, n_1=22.0), {(2, "grim", "mean_1")}),
    "grimmer": (with_cells(mean_1=9.4, sd_1=4.13, n_1=5.0), {(2, "grimmer", "sd_1")}),
}
NEAR = {
    "a small sd that is no se": with_cells(sd_1=3.1, sd_2=2.9),
    "another unit": with_cells(
        mean_1=1.5,
        sd_1=1.0,
        mean_2=2.1,
        sd_2=1.1,
        baseline_sd_1=0.42,
        baseline_mean_1=1.53,
        baseline_sd_2=0.43,
        baseline_mean_2=1.53,
    ),
    "a large sd": with_cells(sd_1=9.9),
    "effect below 2": with_cells(mean_1=2.9, mean_2=12.9),
    "n as randomised": with_cells(n_randomised_1=22.0, n_randomised_2=24.0, n_randomised=46.0),
    "everybody with the event": with_cells(**(EVENTS | {"events_1": 20.0, "events_2": 17.0})),
    "an empty cell": with_cells(**(EVENTS | {"events_1": 15.0, "events_2": 0.0})),
    "events alike by chance": added(**EVENTS, instrument="BDI"),
    "mean at the edge": with_cells(mean_1=29.5, sd_1=2.2, mean_2=27.0, sd_2=3.0),
    "unknown instrument": ordinary().assign(instrument="local scale", mean_1=200.3, mean_2=203.2),
    "another time": added(time="followup", mean_1=8.8, mean_2=9.9),
    "same author, other n": added(trial_id="u", study="Clark 2006", year=2006, n_1=31.0, mean_1=8.1, mean_2=9.4),
    "same author, years later": added(trial_id="u", study="Clark 2012", year=2012, mean_1=8.1, mean_2=9.4),
    "interval rounded": with_cells(**NO_MEANS, **PRINTED, effect=0.5, effect_se=0.2, ci_low=0.1, ci_high=0.9),
    "interval with t": with_cells(**NO_MEANS, **PRINTED, effect=0.5, effect_se=0.2, ci_low=0.07, ci_high=0.93),
    "ratio": with_cells(**NO_MEANS, effect_measure="OR", favours_ipt_sign=1.0, effect=2.5, ci_low=1.1, ci_high=5.7),
    "p rounded": with_cells(**NO_MEANS, **PRINTED, effect=0.5, effect_se=0.2, p_value=0.01),
    "printed effect agrees": with_cells(**PRINTED, effect=0.44, effect_se=0.3),
    "d for g": with_cells(effect_measure="d", favours_ipt_sign=-1.0, effect=-0.45),
    "same mean, other sd": with_cells(mean_2=9.3),
    "baselines near": with_cells(baseline_mean_1=17.0),
    "grim possible": with_cells(mean_1=9.32, n_1=22.0),
    "grimmer possible": with_cells(mean_1=9.4, sd_1=4.16, n_1=5.0),
    "grim without power": with_cells(mean_1=9.33, n_1=122.0),
}
SILENT_OF = {
    "another unit": {"sd_outlier"},
    "unknown instrument": {"sd_outlier"},
    "same author, other n": set(),
}


def test_the_ordinary_table_has_no_flags():
    found = quality_flags(ordinary())
    assert found.empty, found.to_string()
    assert found.attrs["summary"] == flags_summary(found) == "No flags."


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_found(name):
    frame, expected = PLANTED[name]
    before = frame.copy(deep=True)
    assert expected <= flags_of(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("name", NEAR)
def test_near_misses_are_left_alone(name):
    found = {hit for hit in flags_of(NEAR[name]) if hit[1] not in SILENT_OF.get(name, set())}
    assert not found


def test_every_flag_is_planted_once():
    assert {flag for _, expected in PLANTED.values() for _, flag, _ in expected} == set(FLAGS) == set(MEANING)
    assert {severity(flag) for flag in FLAGS} == {"impossible", "suspicious", "note"}


def test_another_unit_is_called_so():
    found = quality_flags(NEAR["another unit"])
    assert set(found["flag"]) == {"sd_outlier"}
    assert found.loc[found["column"] == "sd_1", "why"].str.contains("unit").all()


def test_without_other_trials_the_baseline_is_the_measure():
    lone = ordinary().iloc[[0]].assign(sd_1=0.95, sd_2=0.99, mean_2=10.2)
    found = quality_flags(lone)
    assert set(found["flag"]) == {"se_as_sd"}
    assert found["why"].str.contains("at baseline").all()


def test_without_baseline_the_other_arm_is_the_measure():
    lone = ordinary().iloc[[0]].assign(sd_1=0.9, sd_2=5.1, n_1=44.0).drop(columns=["baseline_sd_1", "baseline_sd_2"])
    found = quality_flags(lone)
    assert set(zip(found["flag"], found["column"], strict=True)) >= {("se_as_sd", "sd_1")}
    assert "other arm" in found["why"].iloc[0]


def test_the_shipped_trial_with_standard_errors_is_found_and_no_other():
    frame = ipt.load_dataset("ipt", analysis_set=None)
    found = quality_flags(frame)
    assert set(found.loc[found["flag"] == "se_as_sd", "trial_id"]) == {"lenze2017"}
    suspicious = found[found["severity"] != "note"]
    assert set(suspicious["trial_id"]) == {"lenze2017", "meffert2014"}
    assert "Lenze 2017" in found.attrs["summary"]
    assert set(found.loc[found["severity"] == "impossible", "trial_id"]) == set()


def test_flags_of_effects_are_those_of_studies():
    frame = ipt.load_dataset("ipt")
    studies, effects = quality_flags(frame), quality_flags(ipt.effect_sizes(frame))
    assert len(studies)
    assert effects[["row", "flag", "value"]].equals(studies[["row", "flag", "value"]])


def test_the_order_and_the_index_of_rows_do_not_matter():
    frame, expected = with_cells(sd_1=1.2, sd_2=1.1, mean_2=10.0), PLANTED["se, both arms"][1]
    named = frame.sample(frac=1, random_state=1).set_axis(list("uvwxyz"))
    label = named.index[named["comparison_id"] == "c2"][0]
    assert flags_of(named) == {(label, flag, column) for _, flag, column in expected}


def test_text_cells_and_missing_columns_are_no_obstacle():
    text = ordinary().astype(object).astype(str).assign(sd_1=["1.1", "x", "", "5", "5.2", "5.3"])
    assert "flag" in quality_flags(text).columns
    bare = pd.DataFrame({"trial_id": ["a"], "events_1": [5], "total_1": [4]})
    assert flags_of(bare) == {(0, "events_above_total", "events_1")}
    assert quality_flags(ordinary().iloc[:0]).empty


def test_wrong_input_is_named():
    with pytest.raises(OptionError, match="DataFrame"):
        quality_flags([1, 2])
    with pytest.raises(SchemaError) as caught:
        quality_flags(pd.DataFrame([[1, 2]], columns=["n_1", "n_1"]))
    assert [p.column for p in caught.value.problems] == ["n_1", "trial_id"]


def test_leaving_flagged_trials_out_changes_the_pool():
    effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    control = effects[(effects["contrast"] == "ipt_vs_control") & (effects["condition"] == "depression")]
    less = without_flagged(control, flags="se_as_sd")
    assert less.attrs["left_out"] == ("lenze2017: se_as_sd",)
    assert set(control["trial_id"]) - set(less["trial_id"]) == {"lenze2017"}
    assert less.index.isin(control.index).all()


def test_rows_or_trials_are_left_out():
    frame = added(instrument="HAM-D", sd_1=5.5, mean_1=9.9)
    frame.loc[2, ["sd_1", "sd_2"]] = [1.2, 1.1]
    assert without_flagged(frame).index.tolist() == [0, 1, 3, 4, 5]
    assert without_flagged(frame, whole="rows").index.tolist() == [0, 1, 3, 4, 5, 6]
    assert len(without_flagged(frame, flags=["grim", "large_effect"])) == 5
    assert len(without_flagged(frame, flags="grim")) == 7


@pytest.mark.parametrize("bad", [{"flags": "se"}, {"flags": []}, {"whole": "studies"}])
def test_options_of_leaving_out(bad):
    with pytest.raises(OptionError):
        without_flagged(ordinary(), **bad)


def test_the_summary_names_the_worst_first_and_does_not_run_on():
    frame = pd.concat([ordinary().assign(trial_id=f"x{i}", comparison_id=f"x{i}") for i in range(2)])
    frame = frame.assign(events_1=3, total_1=2, trial_id=[f"t{i}" for i in range(12)], study="")
    text = flags_summary(quality_flags(frame)).splitlines()
    assert text[1].startswith("impossible  events_above_total")
    assert "t0, t1, t2, t3, t4, t5 and 6 more" in text[1]


def test_leave_one_out_medians():
    rng = np.random.default_rng(3)
    group = rng.integers(0, 9, 200)
    values = rng.normal(size=200)
    median, count = leave_one_out_median(group, values)
    for i in range(200):
        others = np.delete(values, i)[np.delete(group, i) == group[i]]
        assert count[i] == len(others)
        assert median[i] == pytest.approx(np.median(others))


def test_scales_are_ordered_and_named_once():
    assert all(scale.low < scale.high and scale.source for scale in SCALES)
    assert len(SCALE_OF) == sum(len(scale.names) for scale in SCALES)


def test_two_thousand_rows_take_a_moment():
    frame = pd.concat([ordinary()] * 340, ignore_index=True)
    frame["trial_id"] = [f"t{i}" for i in range(len(frame))]
    frame["study"] = [f"A{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(len(frame))]
    frame["mean_1"] += np.arange(len(frame)) / 1e4
    start = time.perf_counter()
    quality_flags(frame)
    assert time.perf_counter() - start < SECONDS_FOR_2000_ROWS


def test_the_value_of_a_large_effect_is_that_of_its_cell() -> None:
    flag = quality_flags(with_cells(mean_1=1.5, mean_2=16.0)).query("flag == 'large_effect'").iloc[0]
    assert (flag["column"], flag["value"]) == ("mean_1", 1.5)
    assert "g = " in flag["why"]
