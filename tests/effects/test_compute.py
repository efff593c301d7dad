"""The front door: routes, directions, conventions, conversions, and rows that cannot be computed."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.columns import OUTPUTS
from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import DirectionWarning, OptionError
from ipt_evidence.sources.registry import load_dataset

FAST = settings(derandomize=True, deadline=None, max_examples=25)
# The database prints its g and SE with 15 digits.
METAPSY_MEANS = 1e-9
METAPSY_EVENTS = 1e-4
SAME_FORMULA = 1e-12
MEANS = {"mean_1": 8.3, "sd_1": 5.3, "n_1": 48, "mean_2": 16.8, "sd_2": 8.4, "n_2": 51, "lower_is_better": 1}
CHANGES = {"change_mean_1": -9, "change_sd_1": 6, "n_1": 20, "change_mean_2": -5, "change_sd_2": 7, "n_2": 22} | {
    "lower_is_better": 1
}
EVENTS = {"events_1": 14, "total_1": 17, "events_2": 10, "total_2": 21, "lower_is_better": 0}
PRINTED = {"effect_measure": "g", "effect": 0.5, "effect_se": 0.2, "favours_ipt_sign": 1}


def one(row: dict[str, object], **options: object) -> pd.Series:
    return effect_sizes(pd.DataFrame([row]), **options).iloc[0]


@pytest.fixture(scope="module")
def comparisons() -> pd.DataFrame:
    return load_dataset("ipt", analysis_set=None)


@pytest.fixture(scope="module")
def metapsy(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons[comparisons["source"] == "metapsy depression-psyctr 24.0.2"]


def test_metapsy_convention_reproduces_the_database(metapsy: pd.DataFrame) -> None:
    raw = metapsy[metapsy["statistics"] != "effect_with_uncertainty"]
    effects = effect_sizes(raw, convention="metapsy")
    assert len(effects) == 46
    for rows, tolerance in ((raw["statistics"] != "events", METAPSY_MEANS), (slice(None), METAPSY_EVENTS)):
        np.testing.assert_allclose(effects["effect"][rows], raw["effect"][rows], rtol=0, atol=tolerance)
        np.testing.assert_allclose(effects["std_error"][rows], raw["effect_se"][rows], rtol=0, atol=tolerance)


def test_reported_effects_of_the_database_come_through_unchanged(metapsy: pd.DataFrame) -> None:
    effects = effect_sizes(metapsy, prefer="reported")
    np.testing.assert_array_equal(effects["effect"], metapsy["effect"])
    np.testing.assert_allclose(effects["std_error"], metapsy["effect_se"], rtol=SAME_FORMULA)


@pytest.mark.parametrize(
    ("trial", "g", "low", "high"),
    [("weissman1979", 0.88, 0.07, 1.70), ("swartz2008", 0.85, 0.21, 1.48), ("ohara2000", 1.14, 0.72, 1.56)],
)
def test_cma_convention_as_printed_in_driessen_2015(
    metapsy: pd.DataFrame, trial: str, g: float, low: float, high: float
) -> None:
    effects = effect_sizes(metapsy[metapsy["trial_id"] == trial], convention="cma")
    estimate, error = effects["effect"].mean(), effects["std_error"].mean()
    assert [round(estimate + z * error, 2) for z in (0, -1.959964, 1.959964)] == [g, low, high]


def test_every_row_of_the_data_has_an_effect_or_a_reason(comparisons: pd.DataFrame) -> None:
    effects = effect_sizes(comparisons)
    done = effects["effect"].notna()
    assert len(effects) == len(comparisons)
    assert ((effects["why_not"] == "") == done).all()
    assert ((effects["route"] != "") == done).all()
    assert (effects.loc[done, "variance"] > 0).all()
    assert not done[comparisons["statistics"] == "none"].any()
    assert done.sum() == 175


def test_the_table_keeps_rows_columns_index_and_the_callers_frame(comparisons: pd.DataFrame) -> None:
    frame = comparisons.assign(mine=range(len(comparisons))).set_index("trial_id", drop=False)
    before = frame.copy()
    effects = effect_sizes(frame)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_index_equal(effects.index, frame.index)
    printed = {"effect", "effect_se", "ci_low", "ci_high"}
    kept = [f"reported_{name}" if name in printed else name for name in frame.columns]
    assert list(effects.columns) == [*kept, *OUTPUTS]
    assert effects["mine"].tolist() == frame["mine"].tolist()
    np.testing.assert_array_equal(effects["reported_effect"], frame["effect"])


@pytest.mark.parametrize("options", [{}, {"prefer": "reported"}, {"measure": "OR"}])
def test_an_effects_table_can_be_computed_again(comparisons: pd.DataFrame, options: dict[str, str]) -> None:
    pd.testing.assert_frame_equal(
        effect_sizes(effect_sizes(comparisons), **options), effect_sizes(comparisons, **options)
    )


def test_order_of_rows_does_not_matter(comparisons: pd.DataFrame) -> None:
    effects, mixed = effect_sizes(comparisons), comparisons.sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(effect_sizes(mixed).loc[effects.index], effects)


def test_an_empty_table_gives_an_empty_table() -> None:
    effects = effect_sizes(pd.DataFrame([MEANS]).iloc[:0])
    assert len(effects) == 0
    assert list(effects.columns)[-8:] == list(OUTPUTS)


def test_columns_of_a_foreign_table_that_share_our_names_are_kept() -> None:
    effects = effect_sizes(pd.DataFrame([MEANS | {"variance": 7.0, "route": "post"}]))
    assert effects["reported_variance"][0] == 7.0
    assert effects["reported_route"][0] == "post"
    assert effects["variance"][0] < 1


def test_interval_has_the_level_asked_for() -> None:
    for level, z in ((0.95, 1.959964), (0.9, 1.644854)):
        row = one(MEANS, level=level)
        assert (row["ci_high"] - row["effect"]) / row["std_error"] == pytest.approx(z, abs=1e-6)


@pytest.mark.parametrize(
    ("row", "route"),
    [
        (MEANS, "SMD (Hedges' g, exact J) from mean_1 sd_1 n_1 mean_2 sd_2 n_2"),
        (CHANGES, "SMD (Hedges' g, exact J) from change_mean_1 change_sd_1 n_1 change_mean_2 change_sd_2 n_2"),
        (EVENTS, "log OR x sqrt(3)/pi from events_1 total_1 events_2 total_2"),
        (
            EVENTS | {"events_2": 0},
            "log OR x sqrt(3)/pi from events_1 total_1 events_2 total_2; 0.5 added to all cells (zero cell)",
        ),
        (PRINTED, "SMD as printed from reported_effect reported_effect_se"),
        (
            {"effect_measure": "d", "effect": 0.5, "n_1": 20, "n_2": 20, "favours_ipt_sign": 1},
            "SMD (Hedges' g, exact J) from d as printed: reported_effect and the group sizes",
        ),
    ],
)
def test_route_is_inferred_and_said(row: dict[str, object], route: str) -> None:
    assert one(row)["route"] == route
    assert one(row | {"statistics": ""})["route"] == route


def test_statistics_names_the_route() -> None:
    both = MEANS | EVENTS | PRINTED | {"lower_is_better": 0}
    starts = {"arm_means": "SMD (", "events": "log OR x", "effect_with_uncertainty": "SMD as printed"}
    for name, start in starts.items():
        assert one(both | {"statistics": name})["route"].startswith(start)
    assert one(both | {"statistics": "none"})["why_not"].startswith("statistics says 'none'")
    assert one(both)["route"].startswith("SMD (")
    assert one(both, measure="OR")["route"].startswith("log odds ratio from events_1")


def test_a_row_without_statistics_does_not_enter_the_average_variance() -> None:
    frame = pd.DataFrame([MEANS, CHANGES, MEANS | {"mean_1": 90.0, "statistics": "none"}])
    average = effect_sizes(frame, variance="AV")
    pd.testing.assert_series_equal(average["variance"][:2], effect_sizes(frame[:2], variance="AV")["variance"])


def test_direction_of_raw_statistics() -> None:
    assert one(MEANS)["effect"] > 0
    assert one(CHANGES)["effect"] > 0
    assert one(EVENTS)["effect"] > 0
    for row in (MEANS, CHANGES, EVENTS):
        turned = one(row | {"lower_is_better": 1 - row["lower_is_better"]})
        assert turned["effect"] == -one(row)["effect"]
        assert turned["variance"] == one(row)["variance"]


@pytest.mark.parametrize(("sign", "expected"), [(1, 0.5), (-1, -0.5)])
def test_direction_of_printed_effects(sign: int, expected: float) -> None:
    assert one(PRINTED | {"favours_ipt_sign": sign})["effect"] == expected
    ratio = {"effect_measure": "OR", "effect": 2.0, "ci_low": 1.0, "ci_high": 4.0, "favours_ipt_sign": sign}
    assert one(ratio, measure="OR")["effect"] == pytest.approx(2 * expected * np.log(2), rel=SAME_FORMULA)


def test_direction_column_missing_warns_and_gives_arm_1_minus_arm_2() -> None:
    frame = pd.DataFrame([MEANS]).drop(columns="lower_is_better")
    with pytest.warns(DirectionWarning, match="no column lower_is_better: 1 effects"):
        effects = effect_sizes(frame)
    assert effects["effect"][0] == -one(MEANS)["effect"]
    with pytest.warns(DirectionWarning, match="no column favours_ipt_sign: 1 printed"):
        effect_sizes(pd.DataFrame([PRINTED]).drop(columns="favours_ipt_sign"))


def test_spread_has_no_better_side() -> None:
    assert one(MEANS, measure="VR")["effect"] == one(MEANS | {"lower_is_better": 0}, measure="VR")["effect"]
    effect_sizes(pd.DataFrame([MEANS]).drop(columns="lower_is_better"), measure="CVR")


def test_ratio_se_beside_the_effect_is_of_the_logarithm() -> None:
    row = {"effect_measure": "RR", "effect": 1.5, "effect_se": 0.2, "favours_ipt_sign": 1}
    assert one(row, measure="RR")[["effect", "std_error"]].tolist() == pytest.approx([np.log(1.5), 0.2])
    assert one(row | {"effect_measure": "logRR"}, measure="RR")["effect"] == 1.5


def test_se_from_a_95_interval_on_the_analysis_scale() -> None:
    row = {"effect_measure": "OR", "effect": 0.35, "ci_low": 0.14, "ci_high": 0.86, "favours_ipt_sign": -1}
    error = np.log(0.86 / 0.14) / (2 * 1.959963984540054)
    assert one(row, measure="OR")["std_error"] == pytest.approx(error, rel=SAME_FORMULA)
    assert one(row)["std_error"] == pytest.approx(error * np.sqrt(3) / np.pi, rel=SAME_FORMULA)


REFUSED = [
    (MEANS | {"sd_1": np.nan, "sd_2": np.nan}, "missing sd_1, sd_2 (needed for mean_1"),
    (MEANS | {"sd_1": 0}, "sd_1 is not above 0"),
    (MEANS | {"sd_2": -3}, "sd_2 is not above 0"),
    (MEANS | {"n_2": 1}, "n_2 is below 2"),
    (MEANS | {"lower_is_better": np.nan}, "direction not given: lower_is_better"),
    (EVENTS | {"total_2": np.nan}, "missing total_2"),
    (EVENTS | {"events_1": 18}, "events_1 is above total_1"),
    (EVENTS | {"events_1": -1}, "events_1 is below 0"),
    (EVENTS | {"total_2": 0, "events_2": 0}, "total_2 is not above 0"),
    (EVENTS | {"events_1": 0, "events_2": 0}, "no events in either arm"),
    (EVENTS | {"events_1": 17, "events_2": 21}, "nobody without the event in either arm"),
    (EVENTS | {"lower_is_better": np.nan}, "direction not given"),
    (PRINTED | {"effect_se": np.nan}, "no SE and no interval"),
    (PRINTED | {"effect_se": 0}, "the printed SE is not above 0"),
    (PRINTED | {"favours_ipt_sign": np.nan}, "direction not given: favours_ipt_sign"),
    (PRINTED | {"effect_measure": "beta"}, "effect_measure 'beta' is not known"),
    (PRINTED | {"effect_measure": None}, "effect_measure is empty"),
    (PRINTED | {"effect_se": np.nan, "ci_low": 0.1, "statistics": "effect_with_uncertainty"}, "only one end"),
    (PRINTED | {"effect_se": np.nan, "ci_low": 0.9, "ci_high": 0.1}, "the interval is reversed"),
    (PRINTED | {"effect_se": np.nan, "ci_low": 0.6, "ci_high": 0.9}, "does not contain the effect"),
    (PRINTED | {"effect_se": np.nan, "ci_low": 0.4, "ci_high": 2.5}, "not symmetric"),
    (PRINTED | {"ci_low": -1.5, "ci_high": 2.5}, "contradict each other"),
    (PRINTED | {"effect_measure": "HR"}, "a hazard ratio is not converted"),
    (PRINTED | {"effect_measure": "RR"}, "a risk ratio without the event rates cannot become an SMD"),
    (PRINTED | {"effect_measure": "MD"}, "a mean difference needs an SD to become an SMD"),
    (PRINTED | {"effect_measure": "t"}, "a t statistic needs n_1 and n_2"),
    (PRINTED | {"effect_measure": "OR", "effect": -0.5}, "a ratio must be above 0"),
    (
        {"effect_measure": "OR", "effect": 0.5, "ci_low": 0, "ci_high": 2, "favours_ipt_sign": 1},
        "the interval of a ratio must lie above 0",
    ),
    (
        {"effect_measure": "OR", "effect": 2, "n_1": 20, "n_2": 20, "favours_ipt_sign": 1},
        "group sizes give a variance to g, d, t and p only",
    ),
    ({"effect_measure": "p", "effect": 1.5, "n_1": 20, "n_2": 20, "favours_ipt_sign": 1}, "a p value must lie"),
    ({"effect_measure": "d", "effect": 1.5, "n_1": 1, "n_2": 20, "favours_ipt_sign": 1}, "n_1 or n_2 is below 2"),
    ({"mean_1": np.nan, "n_1": 20, "lower_is_better": 1}, "no arm statistics and no printed effect"),
]


@pytest.mark.parametrize(("row", "reason"), REFUSED)
def test_a_row_that_cannot_be_computed_says_why(row: dict[str, object], reason: str) -> None:
    effects = effect_sizes(pd.DataFrame([row, MEANS | {"favours_ipt_sign": 1}]))
    first = effects.iloc[0]
    assert reason in first["why_not"]
    assert first["route"] == ""
    assert first[["effect", "variance", "std_error", "ci_low", "ci_high"]].isna().all()
    assert effects["effect"][1] == one(MEANS)["effect"]


@pytest.mark.parametrize(
    ("row", "measure", "reason"),
    [
        (MEANS, "RR", "RR cannot be computed from means"),
        (CHANGES, "ROM", "ROM cannot be computed from change scores"),
        (CHANGES, "SMCR", "SMCR cannot be computed from change scores"),
        (EVENTS, "MD", "MD cannot be computed from events"),
        (PRINTED, "MD", "a printed SMD is not converted to MD"),
        (MEANS | {"mean_1": -1}, "ROM", "ROM needs means above 0"),
        (EVENTS | {"events_1": 0}, "OR", None),
        (
            {"effect_measure": "d", "effect": 1, "n_1": 9, "n_2": 9, "favours_ipt_sign": 1},
            "MD",
            "with group sizes only",
        ),
    ],
)
def test_a_row_of_another_measure_says_so(row: dict[str, object], measure: str, reason: str | None) -> None:
    found = one(row, measure=measure)
    assert found["measure"] == measure
    assert (reason or "") in found["why_not"]
    assert np.isnan(found["effect"]) == (reason is not None)


def test_tables_that_do_not_vary_are_computed_for_event_measures_and_say_so() -> None:
    row = EVENTS | {"events_1": 0, "events_2": 0}
    assert one(row, measure="OR")["route"].endswith("so the constant decides")
    for measure in ("OR", "RD"):
        assert "(zero_cells='none')" in one(row, measure=measure, zero_cells="none")["why_not"]


def test_printed_d_becomes_g_where_the_group_sizes_are_known() -> None:
    row = {"effect_measure": "d", "effect": 1.0, "effect_se": 0.3, "n_1": 6, "n_2": 6, "favours_ipt_sign": 1}
    exact, approximate = 0.9227456, 1 - 3 / 39
    assert one(row)[["effect", "std_error"]].tolist() == pytest.approx([exact, 0.3], abs=1e-7)
    assert one(row, convention="metapsy")[["effect", "std_error"]].tolist() == pytest.approx([approximate, 0.3])
    assert one(row, convention="cma")[["effect", "std_error"]].tolist() == pytest.approx(
        [approximate, 0.3 * approximate]
    )
    unknown = one({name: value for name, value in row.items() if not name.startswith("n_")})
    assert unknown["effect"] == 1.0
    assert "no J (group sizes unknown)" in unknown["route"]
    assert one(row, measure="D")["effect"] == 1.0
    assert one(row | {"effect_measure": "g", "effect": exact}, measure="D")["effect"] == pytest.approx(1, abs=1e-7)


def test_mean_difference_with_sds_becomes_an_smd() -> None:
    sized = {"sd_1": 5.3, "n_1": 48, "sd_2": 8.4, "n_2": 51, "favours_ipt_sign": -1}
    row = {"effect_measure": "MD", "effect": -8.5, "effect_se": 1.4, "statistics": "effect_with_uncertainty"} | sized
    assert one(row)["effect"] == pytest.approx(one(MEANS)["effect"], rel=SAME_FORMULA)
    assert one(row, measure="MD")[["effect", "std_error"]].tolist() == [8.5, 1.4]


def test_odds_ratios_and_smds_convert_without_j() -> None:
    d = one(MEANS, measure="D")
    assert one(MEANS, measure="OR")["effect"] == pytest.approx(d["effect"] * np.pi / np.sqrt(3), rel=SAME_FORMULA)
    assert one(MEANS, measure="OR")["variance"] == pytest.approx(d["variance"] * np.pi**2 / 3, rel=SAME_FORMULA)
    assert one(PRINTED, measure="OR")["effect"] == pytest.approx(0.5 * np.pi / np.sqrt(3), rel=SAME_FORMULA)
    assert one(EVENTS)["effect"] == pytest.approx(one(EVENTS, measure="OR")["effect"] * np.sqrt(3) / np.pi)


def test_before_after_measures_compare_the_changes_of_two_arms() -> None:
    baseline = {"baseline_mean_1": 19.4, "baseline_sd_1": 4.6, "baseline_mean_2": 19.8, "baseline_sd_2": 5.3}
    row = MEANS | baseline
    assert one(row, measure="MC")["effect"] == pytest.approx((19.4 - 8.3) - (19.8 - 16.8))
    wide, narrow = (one(row, measure="SMCR", cor=cor)["variance"] for cor in (0.1, 0.9))
    assert wide > narrow
    swapped = {f"{name[:-1]}{3 - int(name[-1])}": value for name, value in row.items() if name[-1] in "12"}
    for measure in ("MC", "SMCC", "SMCR", "SMCRH", "ROMC"):
        first, second = one(row, measure=measure), one(swapped | {"lower_is_better": 1}, measure=measure)
        assert first["effect"] == pytest.approx(-second["effect"], rel=SAME_FORMULA)
        assert first["variance"] == pytest.approx(second["variance"], rel=SAME_FORMULA)
    assert "missing baseline_sd_2" in one(row | {"baseline_sd_2": np.nan}, measure="SMCR")["why_not"]
    assert one(CHANGES, measure="MC")["variance"] == pytest.approx(36 / 20 + 49 / 22)
    assert one(CHANGES, measure="SMCC")["effect"] > 0


def test_two_groups_are_not_read_as_one_measured_twice() -> None:
    assert "these are two groups" in one(MEANS, measure="SMCC")["why_not"]
    assert "measured twice" in one(MEANS | {"n_2": np.nan}, measure="SMCC")["route"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "smd"}, "Did you mean 'SMD'"),
        ({"variance": "HO"}, "variance must be one of"),
        ({"convention": "revman"}, "convention must be one of"),
        ({"zero_cells": "some"}, "zero_cells must be one of"),
        ({"prefer": "best"}, "prefer must be one of"),
        ({"level": 95}, "level must lie between 0 and 1"),
        ({"add": 0}, "add must be a number above 0"),
        ({"cor": 1.0, "measure": "SMCC"}, "cor must lie between -1 and 1"),
        ({"convention": "cma", "variance": "UB"}, "fixes the variance"),
        ({"convention": "cma", "measure": "OR"}, "acts on measure='SMD' only"),
        ({"variance": "UB", "measure": "MD"}, "acts on measure='SMD'"),
        ({"variance": "UB", "measure": "D"}, "belongs to the corrected SMD"),
        ({"cor": 0.7}, "cor acts on"),
        ({"zero_cells": "all", "measure": "MD"}, "zero_cells and add act on"),
        ({"zero_cells": "none", "add": 1.0}, "adds nothing"),
        ({"prefer": "reported", "measure": "VR"}, "no source prints 'VR'"),
        ({"cor": 0.7, "convention": "cma", "variance": "AV"}, "fixes the variance.*; cor acts on"),
    ],
)
def test_options_that_would_not_act_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        one(MEANS, **options)


def test_every_variance_type_acts() -> None:
    frame = pd.DataFrame([MEANS, CHANGES])
    found = {effect_sizes(frame, variance=name)["variance"][0] for name in ("LS", "LS2", "UB", "AV", "H0")}
    found |= {effect_sizes(frame, convention=name)["variance"][0] for name in ("metapsy", "cma")}
    assert len(found) == 7


@given(factor=st.floats(0.1, 10), shift=st.floats(-5, 5))
@FAST
def test_unit_change_leaves_the_smd_and_scales_the_md(factor: float, shift: float) -> None:
    row = {name: value * factor if name[0] in "ms" else value for name, value in MEANS.items()}
    row |= {name: row[name] + shift for name in ("mean_1", "mean_2")}
    assert one(row)["effect"] == pytest.approx(one(MEANS)["effect"], rel=1e-9)
    assert one(row, measure="MD")["effect"] == pytest.approx(8.5 * factor, rel=1e-9)


def test_two_hundred_thousand_rows_take_seconds(comparisons: pd.DataFrame) -> None:
    many = pd.concat([comparisons] * 920, ignore_index=True)
    start = time.perf_counter()
    effects = effect_sizes(many)
    # 0.5 s on one core; the limit leaves room for a busy machine and still fails a loop over rows.
    assert time.perf_counter() - start < 6
    assert effects["effect"].notna().sum() == 175 * 920
