"""The menu of analyses: each is the fit of the rows it says, whatever their order, and says what it cannot do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.errors import (
    DependenceWarning,
    EvidenceWarning,
    MixedRowsWarning,
    NarrowIntervalWarning,
    NotEstimableError,
    OptionError,
    SchemaError,
)
from ipt_evidence.evidence.menu import AnalysisMenu, analysis_menu
from ipt_evidence.evidence.menu_analyses import ANALYSES

SAME = 1e-12
"""Relative. The same numbers through the same functions."""
REORDERED = 1e-8
"""Relative. Sums in another order, and an iteration that starts from them."""
POOLING = ["overall", "lowest", "highest", "combined", "outliers_removed", "influential_removed", "three_level", "che"]
NUMBERS = ["k", "trials", "estimate", "ci_low", "ci_high", "tau2", "i2", "pi_low", "pi_high"]


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    table = ipt.effect_sizes(ipt.load_dataset("ipt"))
    return table[(table["contrast"] == "ipt_vs_control") & (table["phase"] == "acute")]


@pytest.fixture(scope="module")
def depression(effects: pd.DataFrame) -> pd.DataFrame:
    return effects[effects["condition"] == "depression"]


@pytest.fixture(scope="module")
def menu(depression: pd.DataFrame) -> AnalysisMenu:
    return analysis_menu(depression)


def drawn(seed: int, k: int = 14) -> pd.DataFrame:
    """Trials with one to three effects each."""
    rng = np.random.default_rng(seed)
    trial = np.repeat(np.arange(k), rng.integers(1, 4, k))
    effect = rng.normal(0.4, 0.3, k)[trial] + rng.normal(0, 0.2, trial.size)
    table = {"trial_id": [f"t{i}" for i in trial], "effect": effect, "variance": rng.uniform(0.02, 0.2, trial.size)}
    return pd.DataFrame(table | {"study": [f"Trial {i}" for i in trial], "rob_low_risk_count": trial % 5})


@given(seed=st.integers(0, 10**6), order=st.randoms(use_true_random=False))
@settings(max_examples=3)
def test_order_of_rows_does_not_matter(seed: int, order: object) -> None:
    table = drawn(seed)
    shuffled = table.sample(frac=1, random_state=order.randrange(10**6))  # type: ignore[attr-defined]
    first, second = (analysis_menu(t, analyses=[*POOLING, "low_risk_of_bias"]) for t in (table, shuffled))
    one, two = (menu.tidy()[NUMBERS].to_numpy(dtype=float) for menu in (first, second))
    np.testing.assert_allclose(two, one, rtol=REORDERED, atol=REORDERED)
    rows = [menu.left_out.groupby("analysis")["row"].apply(sorted).to_dict() for menu in (first, second)]
    assert rows[0] == rows[1]


@pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")
def test_each_analysis_is_the_fit_of_the_rows_that_are_left(menu: AnalysisMenu, depression: pd.DataFrame) -> None:
    table = menu.tidy().set_index("analysis")
    for name in ("lowest", "highest", "outliers_removed", "low_risk_of_bias", "without_flagged"):
        gone = menu.left_out.loc[menu.left_out["analysis"] == name, "row"]
        assert len(gone), name
        kind = "independent" if name in ("lowest", "highest") else "aggregate"
        fit = ipt.pool(depression.drop(index=gone), dependence=kind)
        row = table.loc[name]
        assert (row["k"], row["estimate"], row["ci_high"]) == pytest.approx(
            (fit.k, fit.estimate, fit.ci_high), rel=SAME
        )


def test_who_leaves_is_who_the_rule_means(menu: AnalysisMenu, depression: pd.DataFrame) -> None:
    out = menu.left_out
    used = depression[depression["effect"].notna()]
    high = used["trial_id"].isin(used.loc[~(used["rob_low_risk_count"] >= 3), "trial_id"])
    assert set(out.loc[out["analysis"] == "low_risk_of_bias", "row"]) == set(used.index[high])
    fit = menu["combined"]
    apart = fit.studies[(fit.studies["ci_low"] > fit.ci_high) | (fit.studies["ci_high"] < fit.ci_low)]
    assert set(out.loc[out["analysis"] == "outliers_removed", "trial_id"]) == set(apart["trial_id"])
    assert set(out.loc[out["analysis"] == "without_flagged", "trial_id"]) == {"lenze2017"}
    biggest = depression.groupby("trial_id")["effect"].max()
    kept = depression.drop(index=out.loc[out["analysis"] == "highest", "row"]).set_index("trial_id")["effect"]
    pd.testing.assert_series_equal(kept.sort_index(), biggest.sort_index(), check_names=False)


def test_low_risk_of_bias_is_that_of_the_report_by_trial_and_of_metapsytools_by_effect(
    menu: AnalysisMenu, depression: pd.DataFrame
) -> None:
    low = menu.tidy().set_index("analysis").loc["low_risk_of_bias", "k"]
    assert f"{low} of 31 trials with a rating are at low risk" in str(
        ipt.summary_of_findings(menu["combined"]).facts.cells
    )
    by_effect = analysis_menu(depression, unit="rows", analyses=["low_risk_of_bias"])
    out = by_effect.left_out["row"]
    assert set(out) == set(depression.index[~(depression["rob_low_risk_count"] >= 3) & depression["effect"].notna()])
    assert by_effect.tidy()["trials"][0] > low


def test_excluded_names_whole_trials_once_and_single_effects_with_their_instrument(menu: AnalysisMenu) -> None:
    table = menu.tidy().set_index("analysis")["excluded"]
    assert table["without_flagged"] == "Lenze 2017"
    assert "Elkin 1989 (HAM-D-17)" in table["lowest"].split("; ")
    assert table["combined"] == ""


def test_a_missing_name_is_the_trial() -> None:
    table = drawn(2).assign(instrument=[("BDI", None)[i % 2] for i in range(len(drawn(2)))])
    table.loc[table["trial_id"] == "t1", "study"] = None
    excluded = analysis_menu(table, analyses=["low_risk_of_bias", "lowest"]).tidy()["excluded"]
    assert "t1" in excluded[0].split("; ")
    assert "nan" not in " ".join(excluded)
    assert "None" not in " ".join(excluded)


def test_unit_decides_what_is_looked_at(depression: pd.DataFrame) -> None:
    rows = analysis_menu(depression, unit="rows", analyses=["overall", "influential_removed"]).tidy()
    trials = analysis_menu(depression, unit="trials", analyses=["combined", "influential_removed"]).tidy()
    assert rows["k"].tolist() == [52, 51]
    assert trials["k"].tolist() == [35, 35]
    assert trials["notes"][1].startswith("No one to leave out: as the fit of all.")
    metapsy = analysis_menu(depression, preset="metapsy", analyses=["influential_removed"]).tidy()
    assert metapsy["k"].tolist() == [51]


def test_corrections_start_from_one_effect_per_trial_and_say_whether_to_trust_them(menu: AnalysisMenu) -> None:
    table = menu.tidy().set_index("analysis")
    assert table.loc["trim_and_fill", "estimate"] == ipt.trim_and_fill(menu["combined"], side="left").estimate
    assert table.loc["selection_model", "p_value"] == menu["selection_model"].estimate_p_value
    assert table.loc["pet_peese", "k"] == menu["pet_peese"].k
    assert table.loc["trim_and_fill", "notes"].count("Not to be trusted here: I2 = 75%") == 1
    assert "Can be used here." in table.loc["selection_model", "notes"]


def test_groups_are_the_menus_of_their_rows(effects: pd.DataFrame) -> None:
    names = ["combined", "lowest", "selection_model"]
    menu = analysis_menu(effects, by="condition", analyses=names)
    table = menu.tidy()
    assert list(table.columns[:3]) == ["group", "analysis", "k"]
    for group in ("depression", "anxiety"):
        alone = analysis_menu(effects[effects["condition"] == group], analyses=names).tidy()
        mine = table[table["group"] == group].drop(columns="group").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone)
    empty = table[table["group"] == "eating_disorder"]
    assert empty.empty or empty["k"].eq(0).all()
    assert ("other", "combined") in menu


def test_what_cannot_be_made_keeps_its_row_with_the_reason() -> None:
    menu = analysis_menu(pd.DataFrame({"effect": [0.3, 0.6], "variance": [0.1, 0.2]}, index=[7, 7]))
    table = menu.tidy().set_index("analysis")
    assert list(table.index) == list(ANALYSES)
    assert "influential_removed" not in menu
    assert table.loc["influential_removed", "notes"].startswith("Not estimable: influence needs at least 3 trials")
    assert table.loc["low_risk_of_bias", "notes"] == "Not estimable: the table has no column rob_low_risk_count"
    assert table.loc["combined", "k"] == 2
    assert np.isnan(table.loc["combined", "nnt_furukawa"])
    with pytest.raises(KeyError, match="no result 'influential_removed'; there are 'overall'"):
        menu["influential_removed"]


def test_all_left_out_is_said() -> None:
    table = drawn(1).assign(rob_low_risk_count=0)
    menu = analysis_menu(table, analyses=["combined", "low_risk_of_bias"], low_risk_at_least=1).tidy()
    assert (
        menu["notes"][1]
        == "Not estimable: no effect is left: all are left out (fewer than 1 items at low risk of bias)"
    )


def test_the_menu_says_its_cautions_instead_of_warning(depression: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = analysis_menu(depression, analyses=["overall", "three_level"]).tidy()
    assert table["notes"][0].startswith("52 effects of 35 trials as if independent: the interval is too narrow.")
    with pytest.warns(EvidenceWarning) as caught:
        ipt.pool(depression, dependence="independent")
    assert {warning.category for warning in caught} == {DependenceWarning, NarrowIntervalWarning}


def test_mixed_questions_are_warned_of_once() -> None:
    table = drawn(3).assign(contrast=lambda t: np.where(t["trial_id"] == "t0", "a", "b"))
    with pytest.warns(MixedRowsWarning) as caught:
        analysis_menu(table, analyses=POOLING)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_numbers_needed_to_treat_follow_the_rate(depression: pd.DataFrame) -> None:
    row = analysis_menu(depression, analyses=["combined"], control_event_rate=0.3).tidy().iloc[0]
    assert row["nnt_furukawa"] == ipt.nnt(row["estimate"], control_event_rate=0.3)
    assert row["nnt_kraemer"] == ipt.nnt(row["estimate"], method="kraemer")


def test_the_table_that_was_given_is_not_changed(depression: pd.DataFrame) -> None:
    before = depression.copy()
    analysis_menu(depression, preset="metapsy")
    pd.testing.assert_frame_equal(depression, before)


def test_shown_as_html_with_notes(menu: AnalysisMenu) -> None:
    page = menu._repr_html_()
    assert "<caption>Sensitivity analyses: random effects, REML" in page
    assert "Trim and fill: " in page


def test_cma_preset_has_a_che_of_its_own(depression: pd.DataFrame) -> None:
    che = analysis_menu(depression, preset="cma", analyses=["che"])["che"]
    assert che.estimate == ipt.multilevel(depression, rho=0.6).estimate


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dependence": "che"}, "each analysis of the menu sets it for itself"),
        ({"analyses": ["x", "overall", "y"]}, "received 'x', 'y'"),
        ({"analyses": []}, "received none"),
        ({"by": ["season", "year_"]}, "not found: season, year_"),
        ({"flags": "odd"}, "received 'odd'"),
        ({"flags": []}, "flags must name at least one flag"),
        ({"low_risk_at_least": 9}, "0 to 4; received 9"),
        ({"control_event_rate": 2}, "between 0 and 1; received 2"),
        ({"unit": "arm"}, "received 'arm'"),
        ({"alternative": "up"}, "received 'up'"),
        ({"preset": "R"}, "received 'R'"),
    ],
)
def test_options_that_are_none(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        analysis_menu(drawn(1), **options)  # type: ignore[arg-type]


def test_tables_that_cannot_be_used() -> None:
    with pytest.raises(SchemaError, match="received list"):
        analysis_menu([1, 2])  # type: ignore[arg-type]
    with pytest.raises(NotEstimableError, match="has both an effect and a variance"):
        analysis_menu(pd.DataFrame({"effect": [np.nan], "variance": [0.1]}))
    with pytest.raises(NotEstimableError, match="no rows"):
        analysis_menu(drawn(1).iloc[:0])
    bad = drawn(1).astype({"rob_low_risk_count": object})
    bad.loc[[0, 2], "rob_low_risk_count"] = ["low", "?"]
    with pytest.raises(SchemaError, match=r"(?s)row 1.*'low'.*row 3.*'\?'"):
        analysis_menu(bad)


def test_a_slip_of_the_name_of_an_analysis_is_seen() -> None:
    table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": 0.04, "trial_id": ["a", "b", "c"]})
    with pytest.raises(OptionError, match="Did you mean 'overall'"):
        analysis_menu(table, analyses=["overal"])
    menu = analysis_menu(table, analyses=["overall"])
    assert repr(menu) == "<AnalysisMenu 1 analyses: estimates 0.53 to 0.53>"
    assert str(menu).startswith("Sensitivity analyses: ")
