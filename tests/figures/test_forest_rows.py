import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError

from .helpers import LONG, make_effects, make_groups

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


def test_one_fit_gives_header_studies_and_what_was_pooled():
    rows = ipt.forest_rows(ipt.pool(make_effects(6)))
    assert rows["kind"].tolist() == ["header", *["study"] * 6, "overall", "prediction", "heterogeneity"]
    assert rows["position"].tolist() == list(range(10))
    assert pd.api.types.is_integer_dtype(rows["position"])


def test_numbers_are_those_of_the_fit():
    fit = ipt.pool(make_effects(8))
    rows = ipt.forest_rows(fit).set_index("kind")
    names = ["effect", "ci_low", "ci_high", "weight"]
    np.testing.assert_array_equal(rows.loc["study", names], fit.studies[names])
    assert rows.loc["overall", ["effect", "ci_low", "ci_high"]].tolist() == [fit.estimate, fit.ci_low, fit.ci_high]
    assert rows.loc["prediction", ["ci_low", "ci_high"]].tolist() == [fit.pi_low, fit.pi_high]
    assert f"I² = {fit.i2:.0f}%" in rows.loc["heterogeneity", "text_label"]
    assert f"df = {fit.q_df}" in rows.loc["heterogeneity", "text_label"]


def test_texts_round_the_numbers_of_their_row():
    rows = ipt.forest_rows(ipt.pool(make_effects(8)))
    for row in rows.loc[rows["text_effect"].str.fullmatch(r"−?\d+\.\d\d")].itertuples():
        assert float(row.text_effect.replace("−", "-")) == pytest.approx(row.effect, abs=0.005001)
    assert "-" not in "".join(rows["text_effect"] + rows["text_ci"])


def test_ratios_are_transformed_back_once():
    fit = ipt.pool(make_effects(8, measure="OR"))
    rows = ipt.forest_rows(fit).set_index("kind")
    np.testing.assert_allclose(rows.loc["study", "effect"].astype(float), np.exp(fit.studies["effect"]))
    assert rows.loc["overall", "effect"] == pytest.approx(math.exp(fit.estimate))
    assert rows.loc["prediction", "ci_high"] == pytest.approx(math.exp(fit.pi_high))


def test_two_trials_have_no_prediction_interval():
    kinds = ipt.forest_rows(ipt.pool(make_effects(2), ci_method="wald"))["kind"].tolist()
    assert kinds == ["header", "study", "study", "overall", "heterogeneity"]


def test_prediction_interval_only_on_request():
    assert "prediction" not in ipt.forest_rows(ipt.pool(make_effects(5)), prediction=False)["kind"].tolist()


def test_one_trial_is_shown_without_a_pooled_row():
    rows = ipt.forest_rows(ipt.pool(make_effects(1)))
    assert rows["kind"].tolist() == ["header", "study", "note"]
    assert "One trial" in rows["text_label"].iloc[-1]


def test_groups(fits):
    rows = ipt.forest_rows(fits)
    groups = rows.loc[rows["kind"] == "group"]
    assert groups["text_label"].tolist() == ["Depression", "Eating disorder", "Anxiety", "Other"]
    assert (rows.loc[rows["kind"] == "subtotal", "group"]).tolist() == ["depression", "anxiety"]
    assert rows["kind"].iloc[-1] == "between"
    assert f"df = {fits.between.df}" in rows["text_label"].iloc[-1]
    assert "overall" not in rows["kind"].tolist()


def test_a_group_without_usable_trials_says_which_and_why(fits):
    rows = ipt.forest_rows(fits)
    other = rows.loc[rows["group"] == "other"]
    assert other["kind"].tolist() == ["group", "note", "left_out", "left_out", "left_out", "spacer"]
    assert other.loc[other["kind"] == "left_out", "note"].tolist() == [
        "means without standard deviations",
        "no numbers",
        "no numbers",
    ]


def test_left_out_trials_are_listed_on_request(fits):
    rows = ipt.forest_rows(fits, left_out=True)
    depression = rows.loc[(rows["group"] == "depression") & (rows["kind"] == "left_out")]
    assert depression["text_label"].tolist() == ["Author 1 1981, not pooled: means without standard deviations"]


def test_same_reason_twice_is_one_row():
    table = make_effects(4)
    table = pd.concat([table, table.iloc[[3]]], ignore_index=True)
    table.loc[3:, "effect"] = np.nan
    rows = ipt.forest_rows(ipt.pool(table), left_out=True)
    assert rows.loc[rows["kind"] == "left_out", "text_label"].tolist() == [
        "Author 3 1983, not pooled: no effect (2 rows)"
    ]


def test_overall_on_request(fits):
    rows = ipt.forest_rows(fits, overall=True)
    overall = rows.loc[rows["kind"] == "overall"].iloc[0]
    assert overall["effect"] == fits.overall.estimate
    with pytest.raises(OptionError, match="overall=True"):
        ipt.forest_rows(ipt.pool_by(make_groups(), "condition", tau2_method="DL", overall=False), overall=True)


def test_squares_are_relative_to_the_average_trial_of_the_group(fits):
    rows = ipt.forest_rows(fits)
    means = rows.loc[rows["kind"] == "study"].groupby("group")["relative_weight"].mean()
    np.testing.assert_allclose(means, 1.0)


@pytest.mark.parametrize("sort", ["effect", "-effect", "study", "-weight", ["year", "-effect"]])
def test_sorting_moves_whole_rows(sort):
    fit = ipt.pool(make_effects(20))
    names = ["label", "trial_id", "effect", "ci_low", "ci_high", "weight", "text_effect", "text_ci", "text_mean_1"]
    plain = ipt.forest_rows(fit, columns="means")
    moved = ipt.forest_rows(fit, columns="means", sort=sort)
    by_trial = {t: row for t, row in plain[names].set_index("trial_id").iterrows() if t}
    for trial, row in moved.loc[moved["kind"] == "study", names].set_index("trial_id").iterrows():
        pd.testing.assert_series_equal(row, by_trial[trial])
    key = (sort if isinstance(sort, str) else sort[0]).removeprefix("-")
    values = fit.studies.set_index("trial_id")[key].loc[moved.loc[moved["kind"] == "study", "trial_id"]]
    ordered = values if not str(sort).startswith("-") else values.iloc[::-1]
    assert ordered.is_monotonic_increasing


@given(order=st.permutations(range(7)))
@settings(derandomize=True, deadline=None, max_examples=6)
def test_order_of_the_data_does_not_change_a_row(order):
    table = make_effects(7)
    one = ipt.forest_rows(ipt.pool(table), sort="trial_id").drop(columns="weight")
    other = ipt.forest_rows(ipt.pool(table.iloc[order]), sort="trial_id").drop(columns="weight")
    assert_frame_equal(one, other, check_exact=False, rtol=1e-9)


def test_repeated_labels_keep_their_rows():
    table = make_effects(5)
    table["study"] = "Same 1999"
    rows = ipt.forest_rows(ipt.pool(table))
    studies = rows.loc[rows["kind"] == "study"]
    assert studies["label"].tolist() == ["Same 1999"] * 5
    np.testing.assert_array_equal(studies["effect"], table["effect"])
    assert studies["position"].is_unique


def test_long_labels_are_broken_and_the_next_row_moves_down():
    table = make_effects(3)
    table.loc[1, "study"] = LONG
    rows = ipt.forest_rows(ipt.pool(table))
    assert rows.loc[rows["label"] == LONG, "lines"].tolist() == [3]
    assert rows["position"].tolist()[:5] == [0, 1, 2, 5, 6]
    assert rows.loc[rows["label"] == LONG, "text_label"].iloc[0].replace("\n", " ") == LONG


def test_several_outcomes_of_a_trial_are_marked():
    table = make_effects(4)
    table = pd.concat([table, table.iloc[[0]]], ignore_index=True)
    rows = ipt.forest_rows(ipt.pool(table))
    assert rows.loc[rows["n_effects"] > 1, "text_label"].tolist() == ["Author 0 1980†"]
    assert rows.loc[rows["n_effects"] > 1, "label"].tolist() == ["Author 0 1980"]


def test_raw_columns_are_written_with_equal_decimals():
    rows = ipt.forest_rows(ipt.pool(make_effects(4)), columns="auto")
    assert rows["kind"].tolist()[:2] == ["span", "header"]
    assert rows.loc[0, "text_mean_1"] == "IPT"
    assert rows.loc[0, "text_mean_2"] == "Control"
    written = rows.loc[rows["kind"] == "study", "text_mean_1"]
    assert written.str.fullmatch(r"\d+\.\d").all()


def test_events_columns():
    table = make_effects(3, measure="OR").assign(events_1=[1.0, 2.0, np.nan], total_1=[10.0, 20.0, 30.0])
    table = table.assign(events_2=[3.0, 4.0, 5.0], total_2=[10.0, 20.0, 30.0])
    rows = ipt.forest_rows(ipt.pool(table), columns="events")
    assert rows.loc[rows["kind"] == "study", "text_events_1"].tolist() == ["1/10", "2/20", ""]


def test_means_of_one_outcome_do_not_stand_for_a_combination():
    table = make_effects(4)
    table = pd.concat([table, table.iloc[[0]]], ignore_index=True)
    rows = ipt.forest_rows(ipt.pool(table), columns="means")
    first = rows.loc[rows["n_effects"] > 1].iloc[0]
    assert [first["text_mean_1"], first["text_sd_2"]] == ["", ""]
    assert first["text_n_1"] == str(int(table.loc[0, "n_1"]))


def test_own_columns_and_headers():
    rows = ipt.forest_rows(ipt.pool(make_effects(3)), columns={"year": "Published", "contrast": "Comparison"})
    header = rows.loc[rows["kind"] == "header"].iloc[0]
    assert [header["text_year"], header["text_contrast"]] == ["Published", "Comparison"]
    assert rows.loc[1, "text_year"] == "1980"


def test_risk_of_bias_columns():
    table = make_effects(4).assign(
        rob_sequence_generation=[1.0, 0.0, np.nan, 1.0],
        rob_assessor_blinding=["sr", "1", "0", None],
        rob_low_risk_count=1,
    )
    rows = ipt.forest_rows(ipt.pool(table), risk_of_bias=True)
    studies = rows.loc[rows["kind"] == "study"]
    assert studies["rob_sequence_generation"].tolist() == ["low", "high", "no information", "low"]
    assert studies["rob_assessor_blinding"].tolist() == ["self-report", "low", "high", "no information"]
    assert "rob_low_risk_count" not in rows.columns


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sort": "nothing"}, "sort names 'nothing'"),
        ({"columns": ["nothing", "neither"]}, "'nothing', 'neither'"),
        ({"columns": "everything"}, "received 'everything'"),
        ({"columns": "events"}, "events_1"),
        ({"risk_of_bias": True}, "rob_"),
    ],
)
def test_impossible_options_are_named(options, message):
    with pytest.raises(OptionError, match=message):
        ipt.forest_rows(ipt.pool(make_effects(3)), **options)


def test_something_that_is_not_a_fit_is_refused():
    with pytest.raises(OptionError, match="received DataFrame"):
        ipt.forest_rows(make_effects(3))


def test_unknown_judgement_is_refused():
    table = make_effects(3).assign(rob_domain=["1", "maybe", "0"])
    with pytest.raises(OptionError, match="'maybe'"):
        ipt.forest_rows(ipt.pool(table), risk_of_bias=True)


def test_the_fit_is_not_changed(fits):
    before = {key: fit.studies.copy() for key, fit in fits.items()}
    rows = ipt.forest_rows(fits, sort="-effect", columns="means", overall=True, left_out=True)
    rows["label"] = "changed"
    for key, fit in fits.items():
        assert_frame_equal(fit.studies, before[key])


def test_group_sizes_of_trials_with_events_are_their_totals() -> None:
    table = pd.DataFrame(
        {
            "study": ["Means 2001", "Events 2002"],
            "effect": [0.3, 0.5],
            "variance": [0.02, 0.03],
            "n_1": [20.0, None],
            "n_2": [21.0, None],
            "total_1": [None, 30.0],
            "total_2": [None, 31.0],
        }
    )
    rows = ipt.forest_rows(ipt.pool(table, ci_method="wald"), columns="n")
    studies = rows[rows["kind"] == "study"]
    assert studies["text_n_1"].tolist() == ["20", "30"]
    assert studies["text_n_2"].tolist() == ["21", "31"]
