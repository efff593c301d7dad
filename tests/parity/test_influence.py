"""Influence, leave-one-out, cumulative, Baujat, shrunken effects and GOSH against R's metafor."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.gosh import gosh
from ipt_evidence.diagnostics.influence import baujat, blup, influence
from ipt_evidence.diagnostics.leave_out import cumulative, leave_one_out

FOLDER = Path(__file__).parent
DATASETS = ("bcg_logrr", "normand1999_smd", "hackshaw1998", "raudenbush1985")

CONVERGED = 1e-7
"""Relative. Leave-one-out refits of the reference iterate tau2 until it moves by less than 1e-12 (absolute)."""
NEAR_ZERO = 1e-9
"""Absolute, for differences between two fits that are nearly equal, and for tau2 at zero."""
CLOSED_FORM = 1e-11
"""Relative. DL needs no iteration."""

INFLUENCE = {
    "rstudent": "rstudent",
    "dffits": "dffits",
    "cook_d": "cooks_distance",
    "cov_r": "cov_ratio",
    "tau2_del": "tau2_deleted",
    "QE_del": "q_deleted",
    "hat": "hat",
    "weight": "weight",
    "dfbs": "dfbetas",
    "is_influential": "is_influential",
}
REFITS = {
    "estimate": "estimate",
    "se": "std_error",
    "ci_lb": "ci_low",
    "ci_ub": "ci_high",
    "tau2": "tau2",
    "I2": "i2",
    "Q": "q",
}
BLUP = {"pred": "estimate", "se": "std_error", "pi_lb": "ci_low", "pi_ub": "ci_high"}
NUMBERS = 78 * (10 + 7 + 5 + 2 + 4)


@cache
def reference(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def table(name: str) -> pd.DataFrame:
    r = reference(name)
    return pd.DataFrame({"study": r["label"], "effect": r["yi"], "variance": r["vi"], "position": range(len(r["yi"]))})


def fit(name: str, **options: Any) -> ipt.PooledFit:
    return ipt.pool(table(name), preset="metafor", **options)


def expected(name: str, block: str, names: dict[str, str]) -> pd.DataFrame:
    """A block of the reference under our names; columns that it does not have are left out."""
    numbers = {
        ours: reference(name)[block][theirs] for theirs, ours in names.items() if theirs in reference(name)[block]
    }
    return pd.DataFrame(numbers).astype(float)


def assert_close(found: pd.DataFrame, numbers: pd.DataFrame) -> None:
    ours = pd.DataFrame(found)[list(numbers.columns)].astype(float)
    pd.testing.assert_frame_equal(ours, numbers, rtol=CONVERGED, atol=NEAR_ZERO)


@pytest.mark.parametrize("name", DATASETS)
def test_influence(name: str) -> None:
    found = influence(fit(name))
    assert found["study"].tolist() == reference(name)["label"]
    assert_close(found, expected(name, "influence", INFLUENCE))


@pytest.mark.parametrize("name", DATASETS)
def test_leave_one_out(name: str) -> None:
    found = leave_one_out(fit(name))
    assert found["left_out"].tolist() == reference(name)["label"]
    assert_close(found, expected(name, "leave1out", REFITS))


@pytest.mark.parametrize("name", DATASETS)
def test_cumulative(name: str) -> None:
    found = cumulative(fit(name), order="position")
    assert found["added"].tolist() == reference(name)["label"]
    numbers = expected(name, "cumulative", REFITS)
    assert numbers.loc[0, "tau2"] == 0, "the reference calls the tau2 of one study zero; ours is not estimable"
    numbers.loc[0, "tau2"] = np.nan
    assert_close(found, numbers)


@pytest.mark.parametrize("name", DATASETS)
def test_baujat(name: str) -> None:
    assert_close(baujat(fit(name)), expected(name, "baujat", {"x": "x", "y": "y"}))


@pytest.mark.parametrize("name", DATASETS)
def test_blup(name: str) -> None:
    assert_close(blup(fit(name)), expected(name, "blup", BLUP))


@pytest.mark.parametrize("name", DATASETS)
def test_gosh(name: str) -> None:
    r = reference(name)
    found = gosh(table(name).iloc[: r["gosh_first_k"]], tau2_method="DL")
    numbers = r["gosh_DL"]
    assert found.estimate.size == numbers["n"]
    quantiles = np.quantile(found.estimate, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])
    assert quantiles == pytest.approx(numbers["beta_quantiles"], rel=CLOSED_FORM, abs=1e-13)
    assert found.estimate.mean() == pytest.approx(numbers["beta_mean"], rel=CLOSED_FORM)
    assert found.i2.mean() == pytest.approx(numbers["I2_mean"], rel=CLOSED_FORM)


def test_influence_of_a_hartung_knapp_fit() -> None:
    """metafor 3.8: ``influence(rma(yi, vi, method="REML", test="knha"))`` on dat.bcg, first trials, threshold 1e-12."""
    found = influence(fit("bcg_logrr", ci_method="hksj")).head(3)
    assert found["rstudent"].to_numpy() == pytest.approx([-0.213597850, -1.286829637, -0.742764119], rel=1e-7)
    assert found["dffits"].to_numpy() == pytest.approx([-0.039859474, -0.342268313, -0.157821190], rel=1e-7)
    assert found["cooks_distance"].to_numpy() == pytest.approx([0.001697412, 0.111987604, 0.025690796], abs=6e-10)
    assert found["cov_ratio"].to_numpy() == pytest.approx([1.151485654, 1.006650679, 1.089344434], rel=1e-8)
    assert found["dfbetas"].to_numpy() == pytest.approx([-0.039427016, -0.344534179, -0.157126150], rel=1e-7)
    assert baujat(fit("bcg_logrr", ci_method="hksj"))["y"].head(3).to_numpy() == pytest.approx(
        [0.0014741057, 0.1112477313, 0.0235837222], rel=1e-7
    )
    shrunken = blup(fit("bcg_logrr", ci_method="hksj")).head(2)
    assert shrunken["std_error"].to_numpy() == pytest.approx([0.410045839, 0.353302995], rel=1e-8)
    assert shrunken["ci_low"].to_numpy() == pytest.approx([-1.69364670, -2.02148708], rel=1e-8)


def test_the_grid_has_not_shrunk() -> None:
    blocks = (("influence", INFLUENCE), ("leave1out", REFITS), ("cumulative", REFITS), ("baujat", {"x": "", "y": ""}))
    names = (*blocks, ("blup", BLUP))
    found = sum(
        len(reference(d)[block][theirs])
        for d in DATASETS
        for block, of in names
        for theirs in of
        if theirs in reference(d)[block]
    )
    assert found == NUMBERS
