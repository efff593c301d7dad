"""The row contract, rule by rule, on a table that keeps it and is then broken in one place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.sources.registry import load_dataset
from ipt_evidence.studies.contract import COLUMNS, ROUTES
from ipt_evidence.studies.table import check_studies, select, validate_studies

KEYS = {"comparison_id": "r1", "trial_id": "t1", "condition": "depression", "contrast": "ipt_vs_control"}
MEANS = {"lower_is_better": 1, "mean_1": 11.5, "sd_1": 9.5, "n_1": 34, "mean_2": 19.1, "sd_2": 9.9, "n_2": 37}
CHANGES = {
    "lower_is_better": 1,
    "change_mean_1": -9.1,
    "change_sd_1": 10.4,
    "n_1": 19,
    "change_mean_2": -9.4,
    "change_sd_2": 9.6,
    "n_2": 14,
}
EVENTS = {"lower_is_better": 0, "events_1": 0, "total_1": 10, "events_2": 10, "total_2": 10}
PRINTED = {"effect_measure": "OR", "effect": 0.5, "ci_low": 0.2, "ci_high": 1.3, "favours_ipt_sign": -1}
WITH_SE = {"effect_measure": "g", "effect": -0.5, "effect_se": 0.2, "favours_ipt_sign": 1}
WITH_N = {"effect_measure": "d", "effect": 0.5, "n_1": 20, "n_2": 22, "favours_ipt_sign": 1}
NUMBERS = {
    "arm_means": MEANS,
    "change_scores": CHANGES,
    "events": EVENTS,
    "effect_with_uncertainty": PRINTED,
    "effect_with_n": WITH_N,
    "none": {},
}


def table(numbers=None, **changes):
    return pd.DataFrame([KEYS | (MEANS if numbers is None else numbers) | changes])


def problems_of(frame):
    with pytest.raises(SchemaError) as caught:
        validate_studies(frame)
    return [(p.row, p.column, p.value) for p in caught.value.problems], str(caught.value)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_with_its_numbers_is_accepted(route):
    validate_studies(table(NUMBERS[route], statistics=route))


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "none"])
def test_every_route_is_inferred_when_statistics_is_absent(route):
    assert validate_studies(table(NUMBERS[route]))["statistics"].tolist() == [route]


@pytest.mark.parametrize("route", [route for route in ROUTES if route != "none"])
def test_every_number_of_a_route_is_needed(route):
    for column in NUMBERS[route]:
        if column in {"ci_low", "ci_high"}:
            continue
        for broken in (
            table(NUMBERS[route], statistics=route, **{column: None}),
            table(NUMBERS[route], statistics=route).drop(columns=column),
        ):
            found, message = problems_of(broken)
            assert found == [(1, "statistics", route)]
            assert f"needs {column}, not filled" in message


def test_an_effect_needs_its_uncertainty():
    validate_studies(table(WITH_SE, statistics="effect_with_uncertainty"))
    _, message = problems_of(table(WITH_SE, statistics="effect_with_uncertainty", effect_se=None))
    assert "needs effect_se or both of ci_low and ci_high" in message


def test_a_row_without_any_route_says_what_would_do():
    found, message = problems_of(table({"mean_1": 3.0}))
    assert found == [(1, "", "")]
    assert "offers no complete set of numbers" in message


@pytest.mark.parametrize(
    ("changes", "column", "words"),
    [
        ({"comparison_id": " "}, "comparison_id", "is empty"),
        ({"trial_id": None}, "trial_id", "is empty"),
        ({"condition": ""}, "condition", "is empty"),
        ({"condition": "Depression"}, "condition", "did you mean 'depression'?"),
        ({"condition": "zzz"}, "condition", "is unknown; expected one of depression, eating_disorder"),
        ({"contrast": "ipt_vs_contol"}, "contrast", "did you mean 'ipt_vs_control'?"),
        ({"phase": "cute"}, "phase", "did you mean 'acute'?"),
        ({"population_group": "adult"}, "population_group", "did you mean 'adults'?"),
        ({"comparator": "wait-list"}, "comparator", "did you mean 'waitlist'?"),
        ({"analysis_set": "main"}, "analysis_set", "expected one of primary"),
        ({"lower_is_better": 2}, "lower_is_better", "expected one of 0, 1"),
        ({"lower_is_better": "yes"}, "lower_is_better", "is not a number; expected one of 0, 1"),
        ({"favours_ipt_sign": 0}, "favours_ipt_sign", "expected one of -1, 1"),
        ({"rob_assessor_blinding": "low"}, "rob_assessor_blinding", "expected one of 0, 1, sr"),
        ({"rob_sequence_generation": 3}, "rob_sequence_generation", "expected one of 0, 1"),
        ({"sd_1": 0}, "sd_1", "above 0"),
        ({"sd_2": -2}, "sd_2", "above 0"),
        ({"n_1": 0}, "n_1", "of at least 1"),
        ({"n_1": 3.5}, "n_1", "a whole number"),
        ({"n_1": np.inf}, "n_1", "not a finite number"),
        ({"n_1": "inf"}, "n_1", "is not a number"),
        ({"n_1": "1_000"}, "n_1", "is not a number"),
        ({"mean_1": "−3.1"}, "mean_1", "typographic minus sign; write -3.1"),
        ({"mean_1": "NA"}, "mean_1", "leave the cell empty"),
        ({"mean_1": "11,5"}, "mean_1", "decimal comma; write 11.5"),
        ({"proportion_women": 35}, "proportion_women", "divide a percentage by 100"),
        ({"proportion_women": "35%"}, "proportion_women", "is a percentage"),
        ({"effect_se": 0}, "effect_se", "above 0"),
        ({"events_1": -1, "total_1": 3}, "events_1", "of at least 0"),
        ({"events_2": 4, "total_2": 3}, "events_2", "is above total_2 = 3"),
        ({"total_2": 0}, "total_2", "of at least 1"),
        ({"year": 19790}, "year", "from 1950 to 2100"),
        ({"ci_low": 0.2}, "ci_low", "one limit only (ci_low = 0.2, ci_high = empty)"),
        ({"ci_low": 0.4, "ci_high": 0.2}, "ci_low", "is above ci_high = 0.2: the interval is reversed"),
        ({"effect": 3.0, "ci_low": 0.1, "ci_high": 0.2}, "effect", "outside its interval 0.1 to 0.2"),
        ({"effect": -0.6, "effect_measure": "OR"}, "effect", "not its logarithm"),
        ({"ci_low": 0.0, "ci_high": 2.0, "effect_measure": "RR"}, "ci_low", "is not above 0"),
        ({"statistics": "none", "analysis_set": "primary"}, "analysis_set", "offers no statistics"),
        ({"effect_measure": "SMD"}, "effect_measure", "expected one of g, d, MD, OR, RR, HR"),
    ],
)
def test_each_rule_names_row_column_value_and_expectation(changes, column, words):
    broken = table(**({"ci_high": np.nan} if "ci_low" in changes else {}) | changes)
    found, message = problems_of(broken)
    value = changes[column]
    shown = "" if value is None or value == " " else str(value)
    assert [(1, column, shown)] == found
    assert words in message


def test_effect_with_n_must_be_standardised():
    _, message = problems_of(table(WITH_N, statistics="effect_with_n", effect_measure="MD"))
    assert "does not fit statistics = effect_with_n" in message


def test_duplicate_ids_point_at_the_first_use():
    frame = pd.concat([table(), table(comparison_id="r2"), table(), table()], ignore_index=True)
    found, message = problems_of(frame)
    assert found == [(3, "comparison_id", "r1"), (4, "comparison_id", "r1")]
    assert message.count("is in row 1 already") == 2


def test_missing_column_hints_at_the_near_name():
    _, message = problems_of(table().rename(columns={"trial_id": "TrialID"}))
    assert "column 'trial_id': the column is missing; did you mean 'TrialID'?" in message


def test_missing_columns_and_broken_cells_come_together():
    frame = table(sd_1=-1).drop(columns=["condition", "contrast"])
    found, _ = problems_of(frame)
    assert found == [(None, "condition", ""), (None, "contrast", ""), (1, "sd_1", "-1")]


def test_unreadable_cells_are_reported_once():
    found, _ = problems_of(table(PRINTED, statistics="effect_with_uncertainty", ci_low="abc"))
    assert found == [(1, "ci_low", "abc")]


def test_empty_and_repeated_columns():
    assert problems_of(table().iloc[:0])[1].endswith("has no rows; expected at least one")
    twice = pd.concat([table(), table()[["n_1"]]], axis=1)
    assert "column twice" in problems_of(twice)[1]


def test_text_and_typed_tables_give_the_same():
    typed = load_dataset("ipt", analysis_set=None)
    text = typed.map(lambda cell: "" if cell != cell else str(cell))
    pd.testing.assert_frame_equal(validate_studies(text), typed)
    pd.testing.assert_frame_equal(validate_studies(typed), typed)
    nullable = typed.astype({"n_1": "Int64", "mean_1": "Float64", "condition": "category"})
    pd.testing.assert_frame_equal(validate_studies(nullable), typed)
    missing = typed.astype(object).where(typed != "", None)
    pd.testing.assert_frame_equal(validate_studies(missing), typed)


def test_the_callers_table_is_not_changed():
    frame = table(condition=" depression ", n_1="34", extra=1)
    before = frame.copy(deep=True)
    clean = validate_studies(frame)
    pd.testing.assert_frame_equal(frame, before)
    clean.loc[0, "extra"] = 7
    assert frame.loc[0, "extra"] == 1
    assert clean.loc[0, "condition"] == "depression"
    assert clean.loc[0, "n_1"] == 34.0


def test_rows_of_a_filtered_frame_are_counted_from_one():
    frame = load_dataset("ipt").iloc[5:8].assign(sd_1=-1.0)
    found, _ = problems_of(frame)
    assert {row for row, _, _ in found} <= {1, 2, 3}


def test_check_studies_returns_instead_of_raising():
    check = check_studies(table(sd_1="-1"), name="mine")
    assert check.frame["sd_1"].tolist() == [-1.0]
    assert [problem.file for problem in check.problems] == ["mine"]


BREAK = st.sampled_from(
    [
        ("sd_1", -1.0),
        ("n_2", 0),
        ("condition", "nonsense"),
        ("mean_1", "x"),
        ("lower_is_better", 7),
        ("proportion_women", 2),
    ]
)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 9), BREAK), max_size=12))
def test_every_fault_is_found_and_no_other(faults):
    base = pd.concat([table(comparison_id=f"r{i}", proportion_women=0.5) for i in range(10)], ignore_index=True)
    frame = base.astype(object)
    for row, (column, value) in faults:
        frame.loc[row, column] = value
    expected = {(row + 1, column) for row, (column, _) in faults}
    found = [(p.row, p.column) for p in check_studies(frame).problems]
    assert sorted(found) == sorted(expected)


def test_select_by_value_values_and_function():
    metapsy = select(load_dataset("ipt"), source="metapsy depression-psyctr 24.0.2")
    assert select(metapsy, instrument_family="HAM-D")["trial_id"].nunique() == 17
    assert select(metapsy, instrument_family=["BDI", "BDI-II"])["trial_id"].nunique() == 14
    assert select(metapsy, year=lambda year: year <= 2010)["trial_id"].nunique() == 15
    assert select(metapsy, population_group="perinatal")["trial_id"].nunique() == 9
    assert select(metapsy, population_group="older_adults")["trial_id"].nunique() == 3
    pd.testing.assert_frame_equal(select(metapsy), metapsy)


def test_select_names_what_there_is():
    trials = load_dataset("ipt")
    with pytest.raises(OptionError, match=r"there is no column 'Contrast'; did you mean 'contrast'\?"):
        select(trials, Contrast="ipt_vs_control")
    with pytest.raises(OptionError, match=r"no row has condition = 'Depression'; there is 'anxiety', 'depression'"):
        select(trials, condition=["anxiety", "Depression"])


def test_contract_names_each_column_once():
    names = [rule.name for rule in COLUMNS]
    assert len(names) == len(set(names))
