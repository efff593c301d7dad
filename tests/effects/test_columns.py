"""Reading a table: faults are named together, foreign types are understood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ipt_evidence.effects.columns import read_table
from ipt_evidence.effects.compute import effect_sizes
from ipt_evidence.errors import OptionError, SchemaError

MEANS = {"mean_1": 8.3, "sd_1": 5.3, "n_1": 48, "mean_2": 16.8, "sd_2": 8.4, "n_2": 51, "lower_is_better": 1}


def test_all_faults_are_named_at_once() -> None:
    frame = pd.DataFrame([MEANS, MEANS, MEANS]).astype(object)
    frame["statistics"] = ["arm_means", "", "means"]
    frame["effect"] = [None, "0,5", None]
    frame.loc[1, "sd_1"] = "n/a"
    frame.loc[2, "lower_is_better"] = 2
    frame.loc[0, "mean_2"] = np.inf
    with pytest.raises(SchemaError) as caught:
        effect_sizes(frame)
    found = {(problem.row, problem.column, problem.value) for problem in caught.value.problems}
    assert found == {
        (2, "sd_1", "n/a"),
        (2, "effect", "0,5"),
        (1, "mean_2", "inf"),
        (3, "lower_is_better", "2"),
        (3, "statistics", "means"),
    }


def test_favours_ipt_sign_is_a_sign() -> None:
    frame = pd.DataFrame([MEANS | {"favours_ipt_sign": 0}])
    with pytest.raises(SchemaError, match="expected 1 \\(positive favours arm 1\\) or -1"):
        effect_sizes(frame)


def test_text_numbers_blanks_and_nullable_types_are_read() -> None:
    expected = effect_sizes(pd.DataFrame([MEANS]))["effect"][0]
    text = pd.DataFrame([{name: str(value) for name, value in MEANS.items()}, dict.fromkeys(MEANS, " ")])
    assert effect_sizes(text)["effect"][0] == expected
    assert effect_sizes(text)["why_not"][1] == "no arm statistics and no printed effect"
    nullable = pd.DataFrame([MEANS, dict.fromkeys(MEANS)]).convert_dtypes()
    assert effect_sizes(nullable)["effect"][0] == expected
    assert effect_sizes(pd.DataFrame([MEANS]).assign(lower_is_better=True))["effect"][0] == expected


def test_a_table_without_any_statistics_is_refused() -> None:
    with pytest.raises(SchemaError, match="none of the columns an effect can come from"):
        effect_sizes(pd.DataFrame({"trial_id": ["a"], "n_1": [20]}))


def test_repeated_and_clashing_columns_are_refused() -> None:
    frame = pd.DataFrame([MEANS])
    with pytest.raises(SchemaError, match="'n_1': this column is there more than once"):
        effect_sizes(pd.concat([frame, frame[["n_1"]]], axis=1))
    with pytest.raises(SchemaError, match="'variance' needs this name"):
        effect_sizes(frame.assign(variance=1.0, reported_variance=2.0))


def test_only_frames_and_known_columns_of_correlations() -> None:
    with pytest.raises(OptionError, match="studies must be a pandas DataFrame; received list"):
        read_table([MEANS])
    with pytest.raises(SchemaError, match="'r': the table has no such column"):
        effect_sizes(pd.DataFrame([MEANS]), measure="SMCC", cor="r")
