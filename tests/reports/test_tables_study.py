"""The table of trials: one row each, arms with their sizes, risk of bias counted."""

from __future__ import annotations

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.tables_bias import bias_rating
from ipt_evidence.reports.tables_study import study_table


def test_one_row_per_pooled_trial_in_the_order_of_the_fit(depression_fit: PooledFit) -> None:
    table = study_table(depression_fit)
    included = depression_fit.studies[depression_fit.studies["included"]]
    assert table.tidy()["trial_id"].tolist() == included["trial_id"].tolist()
    assert len(table.cells) == depression_fit.k


def test_sizes_add_up_to_the_participants_of_the_fit(depression_fit: PooledFit) -> None:
    table = study_table(depression_fit).tidy()
    known = table[(table["n_1"] != "") & (table["n_2"] != "")]
    assert len(known) == len(table) - 1, "Johnson 2019 has no sizes in the data"
    assert known[["n_1", "n_2"]].astype(int).to_numpy().sum() == depression_fit.n_participants


def test_two_comparators_of_one_trial_stand_side_by_side(effects: pd.DataFrame) -> None:
    row = study_table(effects[effects["trial_id"] == "markowitz2015"]).tidy().iloc[0]
    assert row["arm_2"] == "prolonged exposure; relaxation therapy"
    assert (row["n_1"], row["n_2"]) == ("40", "38; 32")
    assert row["arm_1"] == "IPT"


def test_codes_are_words_and_missing_is_a_dash(depression_fit: PooledFit) -> None:
    table = study_table(depression_fit)
    values = table.tidy().set_index("trial_id")
    assert values.at["power2012", "country"] == "United Kingdom"
    assert values.at["mufson1999", "country"] == ""
    names = [column.name for column in table.columns]
    shown = table.cells[values.index.get_loc("mufson1999")]
    assert shown[names.index("country")] == "–"
    assert "year" not in names, "every name has its year"


def test_rows_that_share_their_source_say_it_once(depression_fit: PooledFit) -> None:
    place = study_table(depression_fit).tidy().set_index("trial_id").at["elkin1989", "data_from"]
    assert place.endswith("data.csv row id 175; 177")


def test_risk_of_bias_counts_items_and_says_where_outcomes_differ() -> None:
    items = ["rob_sequence_generation", "rob_allocation_concealment", "rob_assessor_blinding", "rob_intention_to_treat"]
    rows = pd.DataFrame([[1, 0, "sr", 1], [1, 0, "0", 1]], columns=items)
    rating = bias_rating(rows)
    assert (rating.low_at_least, rating.low_at_most, rating.items) == (2, 3, 4)
    assert rating.low is False
    assert bias_rating(rows.iloc[[0]]).low is True
    assert "allocation concealment" in rating.describe()
    assert bias_rating(rows[[]]).low is None


def test_the_database_count_is_the_count_of_the_items(effects: pd.DataFrame) -> None:
    rated = effects[effects["rob_low_risk_count"].notna()]
    for i in range(len(rated)):
        assert bias_rating(rated.iloc[[i]]).low_at_least == rated["rob_low_risk_count"].iloc[i]


def test_an_overall_judgement_decides_and_remarks_are_no_judgement() -> None:
    rows = pd.DataFrame({"rob_overall": ["some concerns"], "rob_selection": ["low"], "rob_notes": ["see paper"]})
    assert bias_rating(rows).low is False
    assert bias_rating(rows).items == 1


def test_a_users_table_needs_only_names() -> None:
    rows = pd.DataFrame({"author": ["A", "B"], "year": [1990, 2001], "effect": [0.1, 0.2], "n_1": [10, None]})
    table = study_table(rows).tidy()
    assert table["study"].tolist() == ["A 1990", "B 2001"]
    assert table["n_1"].tolist() == ["10", ""]


def test_what_cannot_be_listed_is_said() -> None:
    with pytest.raises(OptionError, match="trial_id, study"):
        study_table(pd.DataFrame({"effect": [1.0]}))
    with pytest.raises(OptionError, match="at least one row"):
        study_table(ipt.load_dataset("ipt").head(0))
    with pytest.raises(OptionError, match="'colour'"):
        study_table(ipt.load_dataset("ipt").head(1), columns=["study", "colour"])


def test_arms_are_called_what_the_contrast_says(depression: pd.DataFrame) -> None:
    def header(rows: pd.DataFrame) -> str:
        return study_table(rows, columns=["study", "arm_1"]).columns[1].header

    rows = depression.head(3)
    assert header(rows) == "Arm 1 (IPT)"
    assert header(rows.assign(contrast="psychotherapy_vs_control")) == "Arm 1"
    assert header(rows.drop(columns="contrast")) == "Arm 1 (IPT)", "the arms themselves say so"
    nameless = rows.drop(columns=["contrast", "arm_1", "arm_2"])
    assert header(nameless) == "Arm 1"
    assert study_table(nameless).tidy()[["arm_1", "arm_2"]].iloc[0].tolist() == ["arm 1", "arm 2"]
