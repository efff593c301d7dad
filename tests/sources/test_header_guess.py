"""Guessed columns: usual headers are understood, doubts are shown, two headers never share a column."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError
from ipt_evidence.sources.header_guess import guess_mapping
from ipt_evidence.sources.header_words import FILLERS, STATISTICS
from ipt_evidence.sources.mapping import ColumnMapping
from ipt_evidence.sources.mapping_names import ARM_COLUMNS, COMPARISON_COLUMNS

SIX = ["study", "mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"]


def guessed(headers: list[str], layout: str = "auto") -> dict[str, str]:
    guess = guess_mapping(pd.DataFrame(columns=headers), layout=layout)
    return {one.header: one.column for one in guess.columns}


@pytest.mark.parametrize(
    "headers",
    [
        ["Study", "Mean IPT", "SD IPT", "N IPT", "Mean (control)", "SD (control)", "N (control)"],
        ["Trial", "Treatment mean", "Treatment Std dev", "N treatment", "Control mean", "Control SD", "N control"],
        ["Study name", "Exp. M", "Exp. SD", "Exp. n", "Contr. M", "Contr. SD", "Contr. n"],
        ["study", "m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"],
        ["study", "mean_arm1", "sd_arm1", "n_arm1", "mean_arm2", "sd_arm2", "n_arm2"],
        ["Study", "mean.e", "sd.e", "n.e", "mean.c", "sd.c", "n.c"],
        ["Study", *(f"Group-{g} {what}" for g in "AB" for what in ("Mean", "Std-Dev", "Sample size"))],
        ["Study", *(f"{arm} {what}" for arm in ("Experimental", "Control") for what in ("Mean", "SD", "Total"))],
        ["Study ID", "meanIPT", "sdIPT", "nIPT", "meanTAU", "sdTAU", "nTAU"],
        ["Author, year", "Post M (IPT)", "Post SD (IPT)", "n (IPT)", "Post M (WL)", "Post SD (WL)", "n (WL)"],
    ],
)
def test_headers_of_programs_and_people(headers):
    assert list(guessed(headers).values()) == SIX
    assert list(guessed(headers)) == headers


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("Baseline mean IPT", "baseline_mean_1"),
        ("TAU pre SD", "baseline_sd_2"),
        ("Mean change IPT", "change_mean_1"),
        ("IPT mean 95% CI lower", "mean_ci_low_1"),
        ("Median (control)", "median_2"),
        ("Q1 IPT", "q1_1"),
        ("Events TAU", "events_2"),
        ("% responders IPT", "event_percent_1"),
        ("Mean (SD) IPT", "mean_sd_1"),
        ("Control mean ± SE", "mean_se_2"),
        ("Median [IQR] IPT", "median_iqr_1"),
        ("% female", "percent_women"),
        ("95% CI lower", "ci_low"),
        ("Hedges' g", "effect"),
        ("Scale", "instrument"),
        ("Median survival IPT", "median_survival_1"),
    ],
)
def test_single_headers(header, column):
    assert guessed([header, "Mean control"])[header] == column


@pytest.mark.parametrize(
    "header", ["Mean IPT follow-up", "Mean IPT vs control", "Colour", "SD of something", "vi", "%"]
)
def test_what_is_not_understood_is_left_alone(header):
    assert header not in guessed([header], "comparisons")


def test_arm_rows_are_recognised():
    guess = guess_mapping(pd.DataFrame(columns=["Study", "Arm", "M", "SD", "n", "Pre M", "M at follow-up"]))
    assert guess.layout == "arms"
    assert [one.column for one in guess.columns] == ["study", "arm", "mean", "sd", "n", "baseline_mean"]
    assert guess.unmapped == ("M at follow-up",)
    cells = pd.DataFrame({"Study": ["a"], "Condition": ["IPT"], "Mean": ["1"]})
    assert {one.header: one.column for one in guess_mapping(cells).columns}["Condition"] == "arm"
    assert guessed(["Study", "Condition", "Mean IPT"])["Condition"] == "condition"


def test_two_headers_for_one_column_are_shown_and_neither_taken():
    guess = guess_mapping(pd.DataFrame(columns=["Study", "HAMD mean IPT", "BDI mean IPT", "Mean control"]))
    assert guess.ambiguous == (("mean_1", ("HAMD mean IPT", "BDI mean IPT")),)
    assert "mean_1" not in guess.mapping.columns.values()
    assert "# 'BDI mean IPT' left out: could be mean_1" in guess.to_yaml()
    assert "several headers could be mean_1" in str(guess)
    own = guess_mapping(pd.DataFrame(columns=["mean_1", "Mean IPT"]))
    assert [one.header for one in own.columns] == ["mean_1"]
    assert own.ambiguous == (("mean_1", ("Mean IPT",)),)


def test_the_guess_is_shown_and_can_be_pasted():
    frame = pd.DataFrame({"Study": ["a <b>"], "Mean IPT": ["11,5"], "SD (HAMD) IPT": ["n.r."], "X & Y": [""]})
    guess = guess_mapping(frame)
    assert ColumnMapping.from_yaml(guess.to_yaml()) == guess.mapping
    assert guess.mapping.decimal_comma
    assert guess.mapping.missing == ("n.r.",)
    assert "'hamd' was not understood" in guess.to_yaml()
    assert "X &amp; Y" in guess._repr_html_()
    assert guess.lacking == ("condition", "contrast", "lower_is_better")
    uncommented = guess.to_yaml().replace("# constants:", "constants:").replace("#   ", "  ")
    assert ColumnMapping.from_yaml(uncommented).constants["condition"] == "depression"


def test_words_for_the_direction_are_translated():
    frame = pd.DataFrame({"Mean IPT": ["1", "2"], "Direction": ["Lower is better", "higher"]})
    assert dict(guess_mapping(frame).mapping.values["lower_is_better"]) == {"Lower is better": "1", "higher": "0"}


def test_options():
    with pytest.raises(OptionError, match="DataFrame"):
        guess_mapping([1])
    with pytest.raises(OptionError, match="layout"):
        guess_mapping(pd.DataFrame(), layout="wide")


HEADERS = st.lists(
    st.lists(st.sampled_from([*STATISTICS, *sorted(FILLERS), "IPT", "control", "x", "1", "2", "change"]), max_size=4),
    max_size=12,
)


@settings(derandomize=True, deadline=None, max_examples=10)
@given(headers=HEADERS, layout=st.sampled_from(["auto", "arms", "comparisons"]))
def test_no_column_is_given_twice_and_no_header_is_lost(headers, layout):
    frame = pd.DataFrame(columns=list(dict.fromkeys(" ".join(words) for words in headers)))
    guess = guess_mapping(frame, layout=layout)
    columns = [one.column for one in guess.columns]
    assert len(set(columns)) == len(columns)
    assert set(columns) <= set(ARM_COLUMNS if guess.layout == "arms" else COMPARISON_COLUMNS)
    doubtful = {header for _, names in guess.ambiguous for header in names}
    shown = [one.header for one in guess.columns] + sorted(doubtful) + list(guess.unmapped)
    assert sorted(shown) == sorted(frame.columns)
    assert sorted(guess.to_frame()["header"]) == sorted(frame.columns)
    ColumnMapping.from_yaml(guess.to_yaml())
