"""Outliers by both rules and the fit without them, on the shipped trials and at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.influence import influence
from ipt_evidence.diagnostics.outliers import outliers
from ipt_evidence.errors import NotEstimableError, OptionError

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")

PRINTED = 5.001e-4
"""Half a unit of the third decimal, in which the orientation values of the data were noted."""


def metapsy_depression() -> pd.DataFrame:
    rows = ipt.load_dataset("ipt")
    rows = rows[(rows["condition"] == "depression") & (rows["contrast"] == "ipt_vs_control")]
    return ipt.effect_sizes(rows[rows["source"].str.startswith("metapsy")], convention="metapsy")


def table(effects: list[float], variance: float = 0.01) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "study": [f"t{i}" for i in range(len(effects))],
            "effect": effects,
            "variance": np.full(len(effects), variance),
        }
    )


def test_the_five_outliers_of_the_ipt_trials() -> None:
    """/evidence: DerSimonian-Laird, normal interval, one plain mean per trial."""
    fit = ipt.pool(metapsy_depression(), tau2_method="DL", ci_method="wald", aggregation="mean", rho=1.0, i2_method="q")
    found = outliers(fit)
    assert fit.k == 31
    assert [name.split(",")[0].split(" ")[0] for name in found.outliers["study"]] == [
        "Bolton",
        "Dennis",
        "Lenze",
        "O'Hara",
        "Saloheimo",
    ]
    assert found.fit.k == 26
    assert [found.fit.estimate, found.fit.ci_low, found.fit.ci_high] == pytest.approx(
        [0.405, 0.274, 0.536], abs=PRINTED
    )
    assert found.original is fit
    assert found.fit.method == fit.method
    tidy = found.tidy()
    assert tidy["k"].tolist() == [31, 26]
    assert tidy["excluded"].tolist()[1].count(";") == 4


def test_the_refit_is_the_pool_of_the_other_rows() -> None:
    rows = metapsy_depression()
    found = outliers(ipt.pool(rows, tau2_method="PM"))
    gone = found.outliers["study"]
    trials = found.original.studies.set_index("study").loc[gone, "trial_id"]
    again = ipt.pool(rows[~rows["trial_id"].isin(trials)], tau2_method="PM")
    assert found.fit.tidy().drop(columns="notes").equals(again.tidy().drop(columns="notes"))
    low, high = found.original.ci_low, found.original.ci_high
    kept = found.fit.studies[found.fit.studies["included"]]
    assert ((kept["ci_low"] <= high) & (kept["ci_high"] >= low)).all()
    assert ((found.outliers["ci_low"] > high) | (found.outliers["ci_high"] < low)).all()
    assert found.outliers["why"].str.contains("above|below").all()


def test_residuals_beyond_the_threshold() -> None:
    rows = table([0.1, 0.2, 0.15, 0.1, 0.2, 3.0])
    fit = ipt.pool(rows, ci_method="wald")
    found = outliers(fit, rule="rstudent")
    assert found.outliers["study"].tolist() == ["t5"]
    assert found.outliers["rstudent"].tolist() == [influence(fit)["rstudent"][5]]
    assert found.fit.k == 5
    assert "beyond 1.96" in found.outliers["why"][0]
    none = outliers(fit, rule="rstudent", threshold=1e6)
    assert none.outliers.empty
    assert none.fit is fit
    assert "None of the 6" in none.interpretation
    assert none.notes == ()


def test_rows_without_an_effect_stay_listed_in_the_refit() -> None:
    rows = table([0.1, 0.2, 0.15, np.nan, 3.0])
    found = outliers(ipt.pool(rows, tau2_method="EE", ci_method="wald"))
    assert "t4" in found.outliers["study"].tolist()
    assert "t3" in found.fit.studies.loc[~found.fit.studies["included"], "study"].tolist()
    assert "t3" not in found.outliers["study"].tolist()


def test_when_every_trial_lies_apart_nothing_is_left() -> None:
    found = outliers(ipt.pool(table([-5.0, -5.0, 5.0, 5.0]), tau2_method="EE", ci_method="wald"))
    assert len(found.outliers) == 4
    assert found.fit.k == 0
    assert np.isnan(found.fit.estimate)
    assert "none is left" in found.interpretation
    assert "too small" in found._repr_html_()


def test_few_and_equal_trials() -> None:
    with pytest.raises(NotEstimableError, match="at least 2 trials"):
        outliers(ipt.pool(table([0.1])))
    with pytest.raises(NotEstimableError, match="at least 3 trials"):
        outliers(ipt.pool(table([0.1, 0.3])), rule="rstudent")
    assert outliers(ipt.pool(table([0.1, 0.3]))).outliers.empty
    assert outliers(ipt.pool(table([0.3, 0.3, 0.3]))).outliers.empty
    with pytest.raises(NotEstimableError, match="wald"):
        outliers(ipt.pool(table([0.3, 0.3, 0.3])), rule="rstudent")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "iqr"}, "rule must be one of 'ci', 'rstudent'"),
        ({"rule": "ci", "threshold": 2.0}, "threshold goes with rule='rstudent'"),
        ({"rule": "rstudent", "threshold": 0}, "positive number"),
        ({"rule": "rstudent", "threshold": True}, "positive number"),
        ({"rule": "rstudent", "threshold": "2"}, "positive number"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        outliers(ipt.pool(table([0.1, 0.2, 0.5])), **options)


def test_a_fit_with_a_tau2_from_outside_is_refused() -> None:
    rows = table([0.0, 0.1, 0.0, 0.1, 0.05, 3.0, 0.2, 0.9, -1.0, 0.2]).assign(half=["a"] * 6 + ["b"] * 4)
    alone, shared = (ipt.pool_by(rows, "half", common_tau2=common, ci_method="wald")["a"] for common in (False, True))
    assert outliers(alone).fit.k == 5
    with pytest.raises(OptionError, match="tau2 from outside"):
        outliers(shared)


def test_shown_with_method_and_care() -> None:
    found = outliers(ipt.pool(table([0.1, 0.2, 0.15, 0.1, 0.2, 3.0]), ci_method="wald"))
    html = found._repr_html_()
    assert found.original.method.describe() in html
    assert "Trials removed" in html
    assert "does not make a trial wrong" in found.interpretation
