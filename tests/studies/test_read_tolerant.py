"""Tables that others released: rows stay, cells that cannot be used are missing with a reason."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.studies.read_tolerant import tolerate
from ipt_evidence.studies.table import validate_studies

KEYS = {"comparison_id": "r1", "trial_id": "t1", "condition": "depression", "contrast": "ipt_vs_control"}
MEANS = {"mean_1": "11.5", "sd_1": "9.5", "n_1": "34", "mean_2": "19.1", "sd_2": "9.9", "n_2": "37"}
PRINTED = {"effect": "0.5", "effect_se": "0.2", "effect_measure": "g", "favours_ipt_sign": "1"}


def table(*rows, **changes):
    frames = [KEYS | MEANS | {"lower_is_better": "1"} | changes | row for row in rows or ({},)]
    frame = pd.DataFrame([row | {"comparison_id": f"r{at}"} for at, row in enumerate(frames)], dtype=str)
    frame.index = pd.Index(range(2, len(frame) + 2), name="line")
    return frame


def test_a_good_table_stays_as_it_is():
    found = tolerate(table())
    assert found.problems == found.left_out == ()
    assert found.frame["statistics"].tolist() == ["arm_means"]
    assert found.frame["read_notes"].tolist() == [""]


@pytest.mark.parametrize(
    ("changes", "note", "route"),
    [
        ({"sd_1": "0"}, "sd_1: '0' left out, expected a number above 0", "none"),
        ({"sd_1": "0", **PRINTED}, "sd_1: '0' left out", "effect_with_uncertainty"),
        ({"n_2": "12.5"}, "n_2: '12.5' left out, expected a whole number", "none"),
        ({"mean_1": "x"}, "mean_1: 'x' left out, is not a number", "none"),
        ({"year": "n.d."}, "year: 'n.d.' left out, is not a number", "arm_means"),
        ({"rating": "mixed"}, "rating: 'mixed' left out, expected one of self, clinician", "arm_means"),
        ({"condition": "sadness"}, "condition: 'sadness' left out, expected one of", "arm_means"),
        ({"ci_low": "0.2", "ci_high": ""}, "ci_low: '0.2' left out, the interval has one limit only", "arm_means"),
        ({"ci_low": "0.4", "ci_high": "0.2"}, "ci_high: '0.2' left out, is above ci_high = 0.2", "arm_means"),
        (
            {**PRINTED, "effect_se": "", "ci_low": "0.6", "ci_high": "0.9"},
            "effect: '0.5' left out, lies outside its interval",
            "arm_means",
        ),
        ({"events_1": "5", "total_1": "3"}, "events_1: '5' left out, is above total_1 = 3", "arm_means"),
        ({"statistics": "events"}, "", "arm_means"),
        ({"statistics": "nonsense"}, "", "arm_means"),
    ],
)
def test_each_fault_costs_its_cells_only(changes, note, route):
    found = tolerate(table(changes), name="x.csv")
    assert found.problems == ()
    row = found.frame.iloc[0]
    assert note in row["read_notes"]
    assert row["statistics"] == route
    assert bool(found.left_out) == bool(note)
    assert all((problem.file, problem.row) == ("x.csv", 2) for problem in found.left_out)
    validate_studies(found.frame)
    assert (row["condition"] == "other") == ("condition" in changes)


def test_what_a_column_said_is_kept():
    found = tolerate(table({"sd_1": "0", "year": "n.d."}, {"year": "2001"}))
    assert found.frame["year_in_file"].tolist() == ["n.d.", "2001"]
    frame = table({"sd_1": "0"})
    frame.attrs["file_columns"] = ("sd_arm1",)
    assert "sd_1_in_file" not in tolerate(frame).frame


def test_notes_of_the_reader_stay_in_front():
    found = tolerate(table({"sd_1": "0", "read_notes": "label is odd"}))
    assert found.frame["read_notes"].iloc[0].startswith("label is odd; sd_1: '0' left out")


def test_keys_cannot_be_left_out():
    frame = table({}, {})
    frame["comparison_id"] = "same"
    found = tolerate(frame)
    assert [(problem.row, problem.column) for problem in found.problems] == [(3, "comparison_id")]
    assert [problem.column for problem in tolerate(table().drop(columns="contrast")).problems] == ["contrast"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"sd_1": "", "n_1": ""}, "arm_means lacks sd_1, n_1"),
        ({"lower_is_better": ""}, "arm_means lacks lower_is_better"),
        (dict.fromkeys(MEANS, "") | {"effect": "0.5"}, "effect_with_uncertainty lacks effect_measure, effect_se or an"),
        (dict.fromkeys(MEANS, ""), "neither arm statistics nor a printed effect"),
        (
            dict.fromkeys(MEANS, "") | {"n_1": "9", "n_2": "9"} | PRINTED | {"effect_measure": "MD", "effect_se": ""},
            "no effect size",
        ),
    ],
)
def test_a_row_without_a_route_says_what_it_lacks(row, reason):
    found = tolerate(table(row))
    assert found.frame["statistics"].tolist() == ["none"]
    assert reason in found.frame["read_notes"].iloc[0]


def test_the_callers_table_is_not_changed():
    frame = table({"sd_1": "0"})
    before = frame.copy(deep=True)
    tolerate(frame)
    pd.testing.assert_frame_equal(frame, before)


CELLS = st.sampled_from(["", "0", "-1", "1", "3", "2.5", "1e3", "x", "NA", "9" * 400, "1,5", "inf"])
COLUMNS = ["mean_1", "sd_1", "n_1", "events_1", "total_1", "events_2", "total_2", "effect", "effect_se", "ci_low"]


@settings(derandomize=True, deadline=None, max_examples=4)
@given(st.lists(st.tuples(st.sampled_from([*COLUMNS, "ci_high", "year", "rating"]), CELLS), max_size=8))
def test_whatever_a_row_says_it_stays_and_can_be_used_or_not_with_a_reason(changes):
    found = tolerate(table(dict(changes), {}))
    assert found.problems == ()
    assert len(found.frame) == 2
    validate_studies(found.frame)
    effects = effect_sizes(found.frame)
    assert ((effects["effect"].notna()) | (effects["why_not"] != "")).all()
    assert effects["effect"].notna().iloc[1]
