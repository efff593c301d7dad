"""Laws that a pooled effect obeys whatever the data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ipt_evidence as ipt
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.kernel import LARGEST_EFFECT
from ipt_evidence.pooling.settings import resolve_method
from ipt_evidence.pooling.statistics import compute

METHODS = get_args(Tau2Method)
ROUNDING = 1e-7
"""Relative. Sums in another order or scale differ by rounding, which a flat likelihood magnifies in tau2."""

law = settings(max_examples=8, derandomize=True, deadline=None)
effects = st.floats(-3, 3).map(lambda x: round(x, 3))
variances = st.floats(-3, 1).map(lambda x: round(10.0**x, 6))
trials = st.lists(st.tuples(effects, variances), min_size=3, max_size=12)


def fit(y: Any, v: Any, method: str) -> SimpleNamespace:
    """The numbers of a fit, without the tables around them."""
    settings = resolve_method({"tau2_method": method, "ci_method": "wald"})  # type: ignore[typeddict-item]
    numbers = compute(np.asarray(y, dtype=float), np.asarray(v, dtype=float), settings)
    mean, low, high = numbers.mean, *numbers.tau2_ci
    return SimpleNamespace(
        estimate=mean.estimate,
        std_error=mean.std_error,
        ci=(mean.ci_low, mean.ci_high),
        prediction=numbers.prediction,
        tau2=numbers.tau2,
        tau2_ci=(low, high),
        i2=numbers.het.i2,
        q=numbers.q,
        weights=numbers.weights,
    )


def near(value: float, *, scale: float = 1.0) -> Any:
    return pytest.approx(value, rel=ROUNDING, abs=1e-9 * scale)


@pytest.mark.parametrize("method", METHODS)
@given(rows=trials, seed=st.integers(0, 99))
@law
def test_order_of_rows_does_not_matter(method: str, rows: list[tuple[float, float]], seed: int) -> None:
    y, v = np.array(rows).T
    order = np.random.default_rng(seed).permutation(len(rows))
    one, other = fit(y, v, method), fit(y[order], v[order], method)
    assert other.tau2 == near(one.tau2)
    assert other.estimate == near(one.estimate)
    assert other.tau2_ci == pytest.approx(one.tau2_ci, rel=ROUNDING, abs=1e-9, nan_ok=True)
    assert other.weights == pytest.approx(one.weights[order], rel=ROUNDING)


@pytest.mark.parametrize("method", METHODS)
@given(rows=trials, shift=st.floats(-5, 5))
@law
def test_sign_and_origin_are_conventions(method: str, rows: list[tuple[float, float]], shift: float) -> None:
    y, v = np.array(rows).T
    one, flipped, moved = fit(y, v, method), fit(-y, v, method), fit(y + shift, v, method)
    assert (flipped.estimate, flipped.tau2) == (near(-one.estimate), near(one.tau2))
    assert flipped.ci == (near(-one.ci[1]), near(-one.ci[0]))
    assert (moved.estimate, moved.tau2) == (near(one.estimate + shift), near(one.tau2))


@pytest.mark.parametrize("method", METHODS)
@given(rows=trials, exponent=st.integers(-8, 8))
@law
def test_scale_is_a_convention(method: str, rows: list[tuple[float, float]], exponent: int) -> None:
    y, v = np.array(rows).T
    c = 10.0**exponent
    one, scaled = fit(y, v, method), fit(c * y, c * c * v, method)
    assert scaled.estimate == near(c * one.estimate, scale=c)
    assert scaled.std_error == near(c * one.std_error, scale=c)
    assert scaled.tau2 == near(c * c * one.tau2, scale=c * c)
    assert scaled.i2 == near(one.i2, scale=100)
    assert scaled.q == near(one.q)


@pytest.mark.parametrize("method", ["EE", "ML", "HS"])
@given(rows=trials)
@law
def test_every_study_twice(method: str, rows: list[tuple[float, float]]) -> None:
    """Likelihood and Hunter-Schmidt's equation double, so tau2 stays and the variance of the mean halves."""
    y, v = np.array(rows).T
    one, twice = fit(y, v, method), fit(np.tile(y, 2), np.tile(v, 2), method)
    assert twice.tau2 == near(one.tau2)
    assert twice.estimate == near(one.estimate)
    assert twice.std_error == near(one.std_error / np.sqrt(2))
    assert twice.q == near(2 * one.q)


@pytest.mark.parametrize("method", METHODS)
@given(rows=trials)
@law
def test_what_always_holds(method: str, rows: list[tuple[float, float]]) -> None:
    y, v = np.array(rows).T
    one = fit(y, v, method)
    assert one.tau2 >= 0
    assert min(y) - 1e-12 <= one.estimate <= max(y) + 1e-12
    assert 0 <= one.i2 <= 100
    assert one.ci[0] < one.estimate < one.ci[1]
    if method != "EE":
        assert 0 <= one.tau2_ci[0] <= one.tau2_ci[1]
        assert one.prediction[0] < one.ci[0]
        assert one.ci[1] < one.prediction[1]


@pytest.mark.parametrize("method", METHODS)
@given(effect=effects, v=st.lists(variances, min_size=2, max_size=10))
@law
def test_equal_effects_leave_nothing_between_studies(method: str, effect: float, v: list[float]) -> None:
    one, common = fit([effect] * len(v), v, method), fit([effect] * len(v), v, "EE")
    assert one.tau2 == pytest.approx(0, abs=1e-20)
    assert one.estimate == pytest.approx(effect, abs=1e-12)
    assert one.std_error == pytest.approx(common.std_error, rel=1e-12)
    assert one.q == pytest.approx(0, abs=1e-20 / min(v))


@given(rows=trials, copies=st.integers(2, 5), at=st.integers(0, 11))
@law
def test_identical_studies_are_one_larger_study(rows: list[tuple[float, float]], copies: int, at: int) -> None:
    """Common effect: precisions add, so m studies of one effect and variance v are one study of variance v / m."""
    y, v = np.array(rows).T
    i = at % y.size
    several = fit(np.append(y, [y[i]] * (copies - 1)), np.append(v, [v[i]] * (copies - 1)), "EE")
    smaller = v.copy()
    smaller[i] /= copies
    merged = fit(y, smaller, "EE")
    assert merged.estimate == near(several.estimate)
    assert merged.std_error == near(several.std_error)
    assert merged.q == near(several.q)
    assert merged.weights[i] == near(several.weights[i] * copies)


@given(rows=trials, copies=st.integers(2, 5), at=st.integers(0, 11), rho=st.sampled_from([0.0, 0.3, 1.0]))
@law
def test_identical_rows_of_one_trial(rows: list[tuple[float, float]], copies: int, at: int, rho: float) -> None:
    """Combined, m rows of variance v with correlation rho are one of ``v (1 + (m - 1) rho) / m``, whatever the model.

    With rho = 0 they are the larger study of the law above, with rho = 1 they say nothing that one row does not.
    """
    table = pd.DataFrame(rows, columns=["effect", "variance"])
    table["trial_id"] = np.arange(len(table))
    again = table.iloc[[at % len(table)] * (copies - 1)]
    one = table.copy()
    one.loc[at % len(table), "variance"] *= (1 + (copies - 1) * rho) / copies
    together, expected = (
        ipt.pool(x, rho=rho, aggregation="mean", ci_method="wald", dependence="aggregate")
        for x in (pd.concat([table, again], ignore_index=True), one)
    )
    assert together.k == len(table)
    for name in ("estimate", "std_error", "tau2", "q", "pi_low", "i2"):
        assert getattr(together, name) == near(getattr(expected, name)), name


@pytest.mark.parametrize("method", METHODS)
@given(rows=trials, factors=st.lists(st.floats(1.0, 2.0), min_size=1, max_size=4))
@law
def test_tau2_grows_with_the_spread_of_the_effects(
    method: str, rows: list[tuple[float, float]], factors: list[float]
) -> None:
    """Effects stretched away from any point: Q and the score rise at every tau2, so no estimator can fall."""
    y, v = np.array(rows).T
    c, before = 1.0, fit(y, v, method)
    for factor in factors:
        c *= factor
        after = fit(0.5 + c * (y - 0.5), v, method)
        assert after.tau2 >= before.tau2 * (1 - ROUNDING)
        if method != "EE":
            assert after.tau2_ci[0] >= before.tau2_ci[0] * (1 - ROUNDING)
            assert after.tau2_ci[1] >= before.tau2_ci[1] * (1 - ROUNDING)
        before = after


@pytest.mark.parametrize("method", METHODS)
def test_whatever_is_accepted_gives_numbers(method: str) -> None:
    """Variances over a hundred decades, effects of any size: at the ends of what can be pooled nothing overflows."""
    ends = [(-60, 60), (-60, -30), (30, 60), (-12, 12)]
    for seed in range(40):
        rng = np.random.default_rng(seed)
        v = 10.0 ** rng.uniform(*ends[seed % 4], int(rng.integers(2, 8)))
        y = (
            rng.normal(size=v.size) * np.sqrt(v)
            if seed % 3
            else rng.uniform(-1, 1, v.size) * 10.0 ** rng.uniform(-40, 40)
        )
        found = fit(np.clip(y, -LARGEST_EFFECT, LARGEST_EFFECT), v, method)
        assert np.isfinite([found.estimate, found.std_error, *found.ci, found.tau2, found.i2, found.q]).all(), seed
        assert found.tau2 >= 0
        assert method == "EE" or 0 <= found.tau2_ci[0] <= found.tau2_ci[1] < np.inf, seed
