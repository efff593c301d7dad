"""From rows to units: aggregation against dense matrices, the table of studies, participants, refused data."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.pooling.studies_table import labels
from ipt_evidence.pooling.units import aggregate

DENSE = 1e-9
"""Relative. A matrix inverse against its closed form."""

law = settings(max_examples=40, derandomize=True, deadline=None)
rows = st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 2), st.floats(0.05, 1.5)), min_size=1, max_size=14)


def unpack(drawn: list[tuple[int, float, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    trial, y, s = (np.array(x) for x in zip(*drawn, strict=True))
    return y, s * s, np.full(len(drawn), "", dtype=object), trial


@given(drawn=rows, rho=st.floats(0, 0.95))
@law
def test_weighted_aggregation_equals_generalised_least_squares(drawn: list[Any], rho: float) -> None:
    y, v, why, trial = unpack(drawn)
    units = aggregate(y, v, why, trial, rho, "weighted")
    for position, code in enumerate(dict.fromkeys(trial.tolist())):
        own = trial == code
        s = np.sqrt(v[own])
        inverse = np.linalg.inv(np.outer(s, s) * (rho + (1 - rho) * np.eye(own.sum())))
        assert units.v[position] == pytest.approx(1 / inverse.sum(), rel=DENSE)
        assert units.y[position] == pytest.approx((inverse @ y[own]).sum() / inverse.sum(), rel=DENSE, abs=1e-9)


@given(drawn=rows, rho=st.floats(0, 1))
@law
def test_mean_aggregation_equals_the_variance_of_a_mean(drawn: list[Any], rho: float) -> None:
    y, v, why, trial = unpack(drawn)
    units = aggregate(y, v, why, trial, rho, "mean")
    for position, code in enumerate(dict.fromkeys(trial.tolist())):
        own = trial == code
        s = np.sqrt(v[own])
        covariance = np.outer(s, s) * (rho + (1 - rho) * np.eye(own.sum()))
        assert units.v[position] == pytest.approx(covariance.sum() / own.sum() ** 2, rel=DENSE)
        assert units.y[position] == pytest.approx(y[own].mean(), rel=DENSE, abs=1e-12)


@given(drawn=rows)
@law
def test_without_correlation_it_is_the_common_effect(drawn: list[Any]) -> None:
    y, v, why, trial = unpack(drawn)
    units = aggregate(y, v, why, trial, 0.0, "weighted")
    for position, code in enumerate(dict.fromkeys(trial.tolist())):
        table = pd.DataFrame({"effect": y[trial == code], "variance": v[trial == code]})
        fit = ipt.pool(table, tau2_method="EE", ci_method="wald")
        assert (units.y[position], units.v[position]) == pytest.approx((fit.estimate, fit.std_error**2), abs=1e-12)


@given(drawn=rows)
@law
def test_full_correlation_averages_standard_errors(drawn: list[Any]) -> None:
    y, v, why, trial = unpack(drawn)
    units = aggregate(y, v, why, trial, 1.0, "mean")
    for position, code in enumerate(dict.fromkeys(trial.tolist())):
        assert np.sqrt(units.v[position]) == pytest.approx(np.sqrt(v[trial == code]).mean(), rel=DENSE)


def test_full_correlation_has_no_weighted_mean(spread: pd.DataFrame, three: pd.DataFrame) -> None:
    with pytest.raises(OptionError, match="rho = 1"):
        ipt.pool(spread, rho=1.0)
    assert ipt.pool(three, rho=1.0, ci_method="wald").k == 3


def test_single_effects_stay_as_they_are_at_any_rho(spread: pd.DataFrame) -> None:
    for rho in (0.0, 0.5, 0.9):
        studies = ipt.pool(spread, rho=rho, ci_method="wald").studies.set_index("trial_id")
        assert studies.loc["a", "effect"] == 0.1
        assert studies.loc["a", "variance"] == pytest.approx(0.02, rel=1e-15)


def test_studies_table(spread: pd.DataFrame) -> None:
    spread.loc[8] = [np.nan, 0.1, "g", "BDI", "x"]
    spread.loc[9] = [0.3, np.nan, "a", "PHQ-9", "y"]
    fit = ipt.pool(spread, ci_method="wald", level=0.9)
    studies = fit.studies
    assert studies.columns.tolist() == [
        "trial_id",
        "instrument",
        "part",
        "study",
        "effect",
        "variance",
        "std_error",
        "ci_low",
        "ci_high",
        "n_effects",
        "combined",
        "included",
        "why_not",
        "weight",
        "weight_common",
    ]
    assert studies["trial_id"].tolist() == ["a", "b", "c", "d", "e", "f", "g", "a"]
    assert studies["n_effects"].tolist() == [1, 1, 2, 2, 1, 1, 0, 0]
    assert studies["combined"].tolist() == ["", "", "BDI; HAM-D", "BDI; EPDS", "", "", "", ""]
    assert studies["included"].tolist() == [True] * 6 + [False] * 2
    assert studies["why_not"].tolist() == [""] * 6 + ["no effect", "no variance"]
    assert studies["weight"].sum() == pytest.approx(100)
    assert studies["weight_common"].sum() == pytest.approx(100)
    assert studies.loc[6:, ["weight", "effect", "variance", "ci_low"]].isna().all(axis=None)
    half = 1.6448536269514722 * studies["std_error"]
    assert (studies["effect"] - half)[:6].tolist() == pytest.approx(studies["ci_low"][:6].tolist())
    assert fit.k == 6
    assert "2 rows without a usable effect left out." in fit.notes


def test_rows_left_out_keep_the_reason_they_came_with() -> None:
    table = pd.DataFrame(
        {"effect": [0.1, np.nan, 0.4], "variance": [0.1, np.nan, 0.2], "why_not": ["", "no SD printed", ""]}
    )
    fit = ipt.pool(table, ci_method="wald")
    assert fit.studies["why_not"].tolist() == ["", "no SD printed", ""]
    assert fit.studies["included"].tolist() == [True, False, True]


@pytest.mark.parametrize("dependence", ["aggregate", "independent"])
def test_no_row_vanishes(dependence: str) -> None:
    table = pd.DataFrame({"effect": [0.1, np.nan, 0.3, np.nan], "variance": [0.1] * 4, "trial_id": list("aabc")})
    studies = ipt.pool(table, ci_method="wald", dependence=dependence).studies  # type: ignore[arg-type]
    assert studies[["trial_id", "included"]].to_numpy().tolist() == [
        ["a", True],
        ["a", False],
        ["b", True],
        ["c", False],
    ]


COLUMNS: dict[str, tuple[Any, Any]] = {
    "text": (["p", "q", "r"], "p; q"),
    "text equal": (["p", "p", "r"], "p"),
    "text missing first": ([None, "q", "r"], "q"),
    "integer": ([1, 2, 3], None),
    "integer equal": ([2, 2, 3], 2),
    "number": ([1.5, 2.5, 3.5], None),
    "nullable": (pd.array([None, 2, 3], dtype="Int64"), 2),
    "nullable differs": (pd.array([1, 2, 3], dtype="Int64"), None),
    "boolean": ([True, False, True], "True; False"),
    "category": (pd.Categorical(["p", "q", "r"]), "p; q"),
    "category equal": (pd.Categorical(["p", "p", "r"]), "p"),
    "date": (pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]), "2020-01-01 00:00:00; 2020-01-02 00:00:00"),
    "mixed": (["p", 7, None], "p; 7"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_of_combined_rows(kind: str) -> None:
    values, expected = COLUMNS[kind]
    table = pd.DataFrame({"effect": [0.1, 0.2, 0.3], "variance": [0.1] * 3, "trial_id": list("aab"), "x": values})
    before = table.copy(deep=True)
    merged = ipt.pool(table, ci_method="wald").studies["x"].tolist()
    assert pd.isna(merged[0]) if expected is None else merged[0] == expected
    assert pd.isna(merged[1]) if pd.isna(table["x"].iloc[2]) else merged[1] == table["x"].iloc[2]
    pd.testing.assert_frame_equal(table, before)


def test_arm_sizes_of_combined_rows_keep_the_largest() -> None:
    table = pd.DataFrame(
        {"effect": [0.1, 0.2], "variance": [0.1] * 2, "trial_id": ["a", "a"], "n_1": [20, 24], "n_2": [30.0, np.nan]}
    )
    studies = ipt.pool(table, ci_method="wald").studies
    assert studies[["n_1", "n_2"]].to_numpy().tolist() == [[24, 30]]


def people(**columns: Any) -> int | None:
    n = len(next(iter(columns.values())))
    table = pd.DataFrame({"effect": np.linspace(0.1, 0.9, n), "variance": [0.1] * n, **columns})
    return ipt.pool(table, ci_method="wald", dependence="aggregate").n_participants


def test_participants() -> None:
    assert people(trial_id=["a", "b"], n_1=[20, 30], n_2=[21, 31]) == 102
    assert people(trial_id=["a", "a"], n_1=[20, 24], n_2=[21, 19]) == 45, "two instruments: the same people"
    shared = {"arm_1": ["IPT", "IPT"], "arm_2": ["CBT", "waiting list"]}
    assert people(trial_id=["a", "a"], n_1=[20, 20], n_2=[30, 40], **shared) == 90, "the IPT arm counts once"
    assert people(trial_id=["a", "b"], n_1=[20, 20], n_2=[30, 40], **shared) == 110, "two trials share nobody"
    crossed = {"arm_1": ["IPT", "IPT + drug"], "arm_2": ["drug", "IPT"]}
    assert people(trial_id=["a", "a"], n_1=[20, 25], n_2=[30, 20], **crossed) == 75, "an arm may change sides"
    assert people(trial_id=["a"], n_1=[20], n_2=[30], arm_1=["IPT"], arm_2=["IPT"]) == 50, "two arms of one name"
    unnamed = {"arm_1": ["IPT", None], "arm_2": [None, None]}
    assert people(trial_id=["a", "b"], n_1=[20, 20], n_2=[30, 40], **unnamed) == 110
    assert people(trial_id=["a", "b"], n_1=[20, np.nan], n_2=[30, 40], total_1=[np.nan, 7]) == 97
    assert people(trial_id=["a"], n_1=[15.5], n_2=[15.5]) == 31, "halved control groups"
    assert people(trial_id=["a", "b"]) is None
    assert people(trial_id=["a"], n_1=[20], n_2=[np.nan]) is None


def test_participants_known_for_some_trials_are_said() -> None:
    table = pd.DataFrame(
        {
            "effect": [0.1, 0.2, 0.4],
            "variance": [0.1] * 3,
            "trial_id": ["a", "a", "b"],
            "n_1": [10, 10, np.nan],
            "n_2": [10, 10, 12],
        }
    )
    fit = ipt.pool(table, ci_method="wald", dependence="aggregate")
    assert fit.n_participants == 20
    assert "Participants are known for 1 of 2 trials." in fit.notes
    complete = ipt.pool(table.iloc[:2], ci_method="wald", dependence="aggregate")
    assert not any("Participants" in note for note in complete.notes)


def test_repeated_index_labels_do_no_harm(spread: pd.DataFrame) -> None:
    spread["n_1"], spread["n_2"], spread["total_2"] = 10, [5, np.nan] * 4, 9
    plain = ipt.pool(spread, ci_method="wald")
    same = ipt.pool(spread.set_index(pd.Index([0, 0, 1, 1, 2, 2, 3, 3])), ci_method="wald")
    assert same.estimate == plain.estimate
    assert same.n_participants == plain.n_participants
    pd.testing.assert_frame_equal(same.studies, plain.studies)


def test_labels() -> None:
    assert labels(pd.DataFrame({"study": ["A 1999", None], "trial_id": ["a", "b"]})) == ["A 1999", "b"]
    assert labels(pd.DataFrame({"author": ["A", "B", None], "year": [1999, None, 2000]})) == ["A 1999", "B", "Study 3"]
    assert labels(pd.DataFrame({"author": ["A"], "year": ["2003b"]})) == ["A 2003b"]
    assert labels(pd.DataFrame({"trial_id": [1, 2]})) == ["1", "2"]
    assert labels(pd.DataFrame({"effect": [1, 2]})) == ["Study 1", "Study 2"]


REFUSED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "no columns": ({"x": [1]}, ["effect, variance"]),
    "no effect": ({"variance": [1]}, ["no column effect"]),
    "no variance": ({"effect": [1]}, ["variance (or std_error)"]),
    "zero and negative variance": (
        {"effect": [0.1, 0.2, 0.3], "variance": [0.0, 0.1, -0.2], "study": ["A", "B", "C"]},
        ["row 1", "'0.0'", "A:", "row 3", "'-0.2'", "C:"],
    ),
    "infinite": (
        {"effect": [np.inf, 0.2], "variance": [0.1, np.inf]},
        ["row 1, column 'effect'", "row 2, column 'varia"],
    ),
    "negative standard error": ({"effect": [0.1], "std_error": [-0.1]}, ["row 1, column 'std_error', value '-0.1'"]),
    "vanishing": ({"effect": [0.1], "variance": [1e-300]}, ["row 1", "'1e-300'", "a variance from 1e-60 to 1e+60"]),
    "huge": ({"effect": [0.1, 1e150], "variance": [0.1, 0.1]}, ["row 2, column 'effect'", "up to 1e+40 in size"]),
    "text": (
        {"effect": ["0.5", "n.s."], "variance": ["0,1", 0.1]},
        ["row 2, column 'effect', value 'n.s.'", "row 1, column 'variance', value '0,1'"],
    ),
    "dates": ({"effect": pd.to_datetime(["2020-01-01"]), "variance": [0.1]}, ["the column holds dates"]),
    "lists": ({"effect": [[1, 2]], "variance": [0.1]}, ["row 1, column 'effect', value '[1, 2]'"]),
    "missing trial": (
        {"effect": [0.1, 0.2], "variance": [0.1, 0.1], "trial_id": ["a", None]},
        ["row 2, column 'trial_id'", "drop the column"],
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_tables_name_every_cell(kind: str) -> None:
    columns, parts = REFUSED[kind]
    with pytest.raises(SchemaError) as caught:
        ipt.pool(pd.DataFrame(columns))
    for part in parts:
        assert part in str(caught.value)
    assert len(caught.value.problems) == sum("row" in p for p in parts) or "row" not in "".join(parts)


def test_a_column_given_twice_is_refused() -> None:
    table = pd.DataFrame([[0.1, 0.1, 1, 2]], columns=["effect", "variance", "x", "x"])
    with pytest.raises(SchemaError, match="column 'x': the column appears more than once"):
        ipt.pool(table)


def test_something_else_than_a_frame_is_refused() -> None:
    with pytest.raises(SchemaError, match="expected a pandas DataFrame"):
        ipt.pool([0.1, 0.2])  # type: ignore[arg-type]


def test_numbers_typed_as_text_and_missing_cells_are_read() -> None:
    table = pd.DataFrame({"effect": ["0.2", None, "0.6"], "std_error": pd.array([0.1, 0.2, 0.1], dtype="Float64")})
    fit = ipt.pool(table, ci_method="wald")
    assert fit.estimate == pytest.approx(0.4)
    assert fit.studies["why_not"].tolist() == ["", "no effect", ""]


def test_a_row_left_out_may_lack_its_trial() -> None:
    table = pd.DataFrame({"effect": [0.1, np.nan, 0.3], "variance": [0.1] * 3, "trial_id": ["a", None, "b"]})
    assert ipt.pool(table, ci_method="wald").k == 2
