"""The simulation repeats itself, draws what it says and reports what `bias_table()` reports."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln, stdtr

import ipt_evidence as ipt

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bias_methods.py"
SETS = 3
# Three standard errors of a share among 2000 trials.
SAMPLING = 0.03


@pytest.fixture(scope="module")
def script() -> ModuleType:
    before = os.environ.copy()
    spec = importlib.util.spec_from_file_location("bias_methods", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    os.environ.clear()
    os.environ.update(before)
    return module


@pytest.fixture(scope="module")
def rows(script: ModuleType) -> pd.DataFrame:
    return script.simulate((script.Cell(0.5, 0.3, 10, "significance"),), sets=SETS)


def published(script: ModuleType, selection: str, **truth: Any) -> pd.DataFrame:
    cell = script.Cell(**{"mu": 0.2, "tau": 0.1, "k": 2000} | truth, selection=selection)
    return script.draw(cell, np.random.default_rng(1))


def test_the_same_seed_gives_the_same_rows(script: ModuleType, rows: pd.DataFrame) -> None:
    again = script.simulate((script.Cell(0.5, 0.3, 10, "significance"),), sets=SETS)
    pd.testing.assert_frame_equal(rows, again)


def test_it_reports_what_the_bias_table_reports(script: ModuleType, rows: pd.DataFrame) -> None:
    cell = script.Cell(0.5, 0.3, 10, "significance")
    drawn = script.draw(cell, script.generator(cell, 0))
    table = ipt.bias_table(drawn).table.set_index("method")
    found = rows[(rows["set"] == 0) & (rows["kind"] == "estimate")].set_index("method")
    assert list(found.index) == list(table.index)
    for name in ("estimate", "ci_low", "ci_high"):
        np.testing.assert_array_equal(found[name].astype(float), table[name])
    assert list(found["trust"]) == list(table["trust"])


def test_slow_methods_see_their_share(script: ModuleType, rows: pd.DataFrame) -> None:
    seen = rows[rows["kind"] == "estimate"].groupby("method")["set"].nunique()
    assert seen["unadjusted"] == SETS
    assert seen["copas"] == 1


def shares(trials: pd.DataFrame) -> np.ndarray:
    """Return the shares of trials that are significant (t-test), positive without being so, and negative."""
    df = trials["n_1"] + trials["n_2"] - 2
    d = trials["effect"] / np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - 0.5 * np.log(df / 2))
    significant = stdtr(df, -d * np.sqrt(trials["n_1"] / 2)) <= 0.025
    return np.array([significant.mean(), (~significant & (d >= 0)).mean(), (d < 0).mean()])


@pytest.mark.parametrize(
    ("selection", "published_share"), [("significance", (1, 0.2, 0.2)), ("significance and sign", (1, 0.2, 0.05))]
)
def test_selection_hides_what_it_should(
    script: ModuleType, selection: str, published_share: tuple[float, float, float]
) -> None:
    everything = published(script, "none")
    assert abs(everything["effect"].mean() - 0.2) < SAMPLING
    expected = shares(everything) * published_share
    np.testing.assert_allclose(shares(published(script, selection)), expected / expected.sum(), atol=SAMPLING)


def test_small_trials_differ_in_truth_but_all_are_published(script: ModuleType) -> None:
    trials = published(script, "none, small trials differ")
    slope = np.polyfit(np.log(trials["n_1"]), trials["effect"], 1)[0]
    assert abs(slope + script.TREND) < 0.05
    assert abs(trials["effect"].mean() - 0.2) < SAMPLING


def test_measures_of_known_errors(script: ModuleType) -> None:
    known = pd.DataFrame({"mu": 0.5, "estimate": [0.4, 0.8, np.nan], "ci_low": [0.3, 0.6, np.nan], "ci_high": 0.9})
    measures = {name: (value, n) for name, value, _, n in script.of_estimate(known)}
    assert measures["failed"] == (pytest.approx(1 / 3), 3)
    assert measures["bias"] == (pytest.approx(0.1), 2)
    assert measures["rmse"] == (pytest.approx(np.sqrt(0.05)), 2)
    assert measures["coverage"] == (0.5, 2)
    tests = {name: (value, n) for name, value, _, n in script.of_test(pd.DataFrame({"p_value": [0.04, 0.08, np.nan]}))}
    assert tests["detected at 0.05"] == (0.5, 2)
    assert tests["detected at 0.1"] == (1.0, 2)
