"""Conversions in a table: each said, none over a filled cell, every row kept, faults by row and column."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from ipt_evidence.errors import OptionError
from ipt_evidence.sources.summaries_table import convert_summaries
from ipt_evidence.sources.table_file import TableScan

EXACT = 1e-12


def converted(*rows: dict[str, str], **options: object) -> TableScan:
    frame = pd.DataFrame(list(rows)).fillna("").astype(str)
    frame.index = pd.Index(range(2, len(rows) + 2), name="line")
    frame.attrs["source"] = {"file": "typed.csv"}
    before = frame.copy()
    scan = convert_summaries(TableScan(frame, ()), **options)
    pd.testing.assert_frame_equal(frame, before)
    assert len(scan.frame) == len(rows)
    return scan


def faults(scan: TableScan) -> list[str]:
    return [str(problem) for problem in scan.problems]


def test_se_and_interval_become_sds():
    scan = converted(
        {"mean_1": "11.5", "se_1": "1.2", "n_1": "25", "mean_ci_low_2": "30.0", "mean_ci_high_2": "34.2", "n_2": "25"}
    )
    row = scan.frame.iloc[0]
    assert float(row["sd_1"]) == pytest.approx(6.0, abs=EXACT)
    assert float(row["sd_2"]) == pytest.approx(5.09, abs=0.005)
    assert float(row["mean_2"]) == pytest.approx(32.1, abs=EXACT)
    assert "sd_1: from SE 1.2 and n 25" in row["converted"]
    assert "sd_2: from 95 % CI 30 to 34.2 and n 25" in row["converted"]
    assert "with t for every n" in row["conversion_method"]
    assert any("1 of 1 rows" in note for note in scan.notes)


def test_baseline_and_change_have_their_own_errors():
    row = converted({"baseline_se_1": "1", "n_1": "25", "baseline_n_1": "36", "change_se_1": "2"}).frame.iloc[0]
    assert (row["baseline_sd_1"], row["change_sd_1"]) == ("6", "10")


def test_nothing_is_written_over():
    scan = converted(
        {"mean_1": "11", "sd_1": "9", "se_1": "1.2", "n_1": "25", "median_1": "8", "q1_1": "4", "q3_1": "12"}
    )
    assert scan.frame["sd_1"].tolist() == ["9"]
    assert scan.frame["mean_1"].tolist() == ["11"]
    assert "converted" not in scan.frame


def test_medians_name_their_method_and_their_skewness():
    scan = converted(
        {"median_1": "6", "q1_1": "4", "q3_1": "10", "n_1": "20"},
        {"median_1": "6", "q1_1": "4", "q3_1": "14", "min_1": "2", "max_1": "20", "n_1": "20"},
        {"mean_1": "6", "iqr_1": "6", "n_1": "20"},
        {"median_1": "6", "iqr_1": "6", "n_1": "20"},
        {"mean_1": "6", "min_1": "2", "max_1": "14", "n_1": "20"},
    )
    frame = scan.frame
    assert float(frame["mean_1"].iloc[0]) == pytest.approx(0.7195 * 7 + 0.2805 * 6)
    assert frame["conversion_method"].iloc[0] == "Luo 2018 and Wan 2014, quartiles"
    assert "skewed by the test" in frame["converted"].iloc[1]
    assert any("row 3 median_1" in note for note in scan.notes)
    assert frame["sd_1"].iloc[2] == frame["sd_1"].iloc[0]
    assert frame["mean_1"].iloc[3] == "6"
    assert "as if the data were symmetric" in frame["converted"].iloc[3]
    assert float(frame["sd_1"].iloc[4]) == pytest.approx(3.2116, abs=1e-4)
    by_fit = converted({"median_1": "4", "min_1": "2", "max_1": "9", "n_1": "100"}, method="qe").frame.iloc[0]
    assert by_fit["conversion_method"] == "McGrath 2020, QE, log-normal"


def test_change_needs_a_correlation():
    row = {"mean_1": "10", "sd_1": "4.4", "baseline_mean_1": "20", "baseline_sd_1": "4.0"}
    assert "change_mean_1" not in converted(row).frame
    changed = converted(row, correlation=0.78).frame.iloc[0]
    assert changed["change_mean_1"] == "-10"
    assert float(changed["change_sd_1"]) == pytest.approx(2.81, abs=0.005)
    assert "with assumed correlation 0.78" in changed["converted"]


def test_counts():
    frame = converted(
        {"event_percent_1": "45%", "n_1": "20", "event_percent_2": "33", "total_2": "20", "percent_women": "62.5"},
        {"n_total": "50", "n_1": "26"},
        {"n_total": "51", "allocation": "2:1"},
    ).frame
    first = frame.iloc[0]
    assert (first["events_1"], first["total_1"], first["events_2"]) == ("9", "20", "7")
    assert first["proportion_women"] == "0.625"
    assert "no whole number gives it, 7 of 20 is 35 %" in first["converted"]
    assert frame["n_2"].iloc[1] == "24"
    assert (frame["n_1"].iloc[2], frame["n_2"].iloc[2]) == ("34", "17")


def test_median_survival_is_left_out_with_a_reason():
    frame = converted(
        {"median_survival_1": "12", "median_survival_2": "9", "effect": ""},
        {"median_survival_1": "12", "median_survival_2": "9", "effect": "0.7"},
    ).frame
    assert frame["statistics"].tolist() == ["none", ""]
    assert "median survival (12 and 9)" in frame["why_none"].iloc[0]


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"se_1": "x", "n_1": "9"}, "column 'se_1', value 'x': is not a number"),
        ({"se_1": "-1", "n_1": "9"}, "above 0"),
        ({"se_1": "1"}, "cannot become sd_1 without the group size"),
        ({"mean_ci_low_1": "3", "mean_ci_high_1": "2", "n_1": "9"}, "is not below mean_ci_high_1 = 2"),
        ({"mean_ci_low_1": "3", "n_1": "9"}, "one limit only"),
        ({"mean_1": "9", "mean_ci_low_1": "1", "mean_ci_high_1": "2", "n_1": "9"}, "lies outside its interval"),
        ({"median_1": "3", "q1_1": "4", "q3_1": "9", "n_1": "9"}, "out of order (q1 4, median 3, q3 9)"),
        ({"median_1": "5", "q1_1": "4", "q3_1": "9", "n_1": "4"}, "n of at least 5"),
        ({"median_1": "5", "iqr_1": "0", "n_1": "9"}, "width of the interquartile range"),
        ({"event_percent_1": "140", "n_1": "9"}, "from 0 to 100"),
        ({"event_percent_1": "0.45", "n_1": "9"}, "lies between 0 and 1"),
        ({"event_percent_1": "45"}, "without the group size"),
        ({"n_total": "50"}, "allocation such as 1:1"),
        ({"n_total": "20", "n_2": "30"}, "is not above n_2 = 30"),
    ],
)
def test_faults_are_named(row, part):
    scan = converted({"trial_id": "fine"}, row)
    assert len(scan.problems) == 1
    assert scan.problems[0].row == 3
    assert scan.problems[0].file == "typed.csv"
    assert part in faults(scan)[0]


def test_good_events_with_the_direction_of_scales_are_a_fault():
    row = {"events_1": "9", "total_1": "20", "events_2": "5", "total_2": "20", "lower_is_better": "1"}
    frame = pd.DataFrame([row], index=pd.Index([2], name="line"), dtype=str)
    frame.attrs["headers"] = {"events_1": "Responders IPT"}
    scan = convert_summaries(TableScan(frame, ()))
    assert "'Responders IPT' counts good news" in faults(scan)[0]
    means = {"mean_1": "1", "sd_1": "1", "mean_2": "1", "sd_2": "1"}
    fine = pd.DataFrame([row | means], index=pd.Index([2], name="line"), dtype=str)
    fine.attrs["headers"] = {"events_1": "Responders IPT"}
    assert not convert_summaries(TableScan(fine, ())).problems


def test_options():
    with pytest.raises(OptionError, match="correlation"):
        converted({"n_1": "3"}, correlation=1.0)
    with pytest.raises(OptionError, match="level"):
        converted({"n_1": "3"}, level=95)
    with pytest.raises(OptionError, match="method"):
        converted({"n_1": "3"}, method="wan")


def test_full_precision_is_kept():
    value = converted({"se_1": "0.1", "n_1": "7"}).frame["sd_1"].iloc[0]
    assert float(value) == 0.1 * math.sqrt(7)
