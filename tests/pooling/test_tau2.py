"""The estimators of tau2 against dense matrices, fine grids and their own equations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2

import ipt_evidence as ipt
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling import certain_maxima, single
from ipt_evidence.pooling.batch_sums import Engine
from ipt_evidence.pooling.common_tau2 import estimate_common_tau2
from ipt_evidence.pooling.kernel import one_zero_at_most
from ipt_evidence.pooling.moments import moments
from ipt_evidence.pooling.tau2 import estimate_tau2, last_positive, tau2_std_error

Array = npt.NDArray[np.float64]
Estimate = Callable[[Array, Array, Tau2Method], float]
METHODS = get_args(Tau2Method)
GRID_ERROR = 1e-9
"""On the log-likelihood: rounding of two ways to write it."""
DENSE = 1e-8
"""Relative. Dense matrix products against weighted sums."""


def draw(seed: int, *, decades: float) -> tuple[Array, Array]:
    """Draw 3 to 20 studies; variances spread over so many decades."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(3, 21))
    v = 10.0 ** rng.uniform(-decades, 0.5, k)
    return rng.normal(0, np.sqrt(v + rng.choice([0.0, 0.05, 0.5]))), v


def draw_discordant(seed: int) -> tuple[Array, Array]:
    """Draw precise studies that agree and rough ones that do not: likelihoods with several maxima are common."""
    rng = np.random.default_rng(seed)
    n_precise, n_rough = (int(n) for n in rng.integers(2, 8, 2))
    v = np.concatenate([10.0 ** rng.uniform(-4, -2.5, n_precise), 10.0 ** rng.uniform(-1, 0.5, n_rough)])
    return rng.normal(0, np.sqrt(v)) * np.where(v > 0.05, rng.uniform(1, 4), 1.0), v


def one_of_a_batch(y: Array, v: Array, method: Tau2Method) -> float:
    """The estimate as pool_many makes it."""
    return float(estimate_tau2(y[None], v[None], method)[0])


def alone(y: Array, v: Array, method: Tau2Method) -> float:
    """The estimate as pool makes it."""
    table = pd.DataFrame({"effect": y, "variance": v})
    return ipt.pool(table, tau2_method=method, ci_method="wald", tau2_ci_method="none").tau2


def log_likelihood(y: Array, v: Array, t: Array, *, restricted: bool) -> Array:
    """Up to a constant, one value per tau2."""
    w = 1 / (v + t[:, None])
    total = w.sum(axis=1)
    r = y - (w @ y / total)[:, None]
    value = 0.5 * np.log(w).sum(axis=1) - 0.5 * (w * r * r).sum(axis=1)
    return value - 0.5 * np.log(total) if restricted else value


def fine_grid(y: Array, v: Array) -> Array:
    top = 4 * (np.ptp(y) ** 2 + v.max())
    return np.concatenate([[0.0], np.geomspace(1e-4 * v.min(), top, 1000)])


def n_maxima(height: Array) -> int:
    padded = np.concatenate([[-np.inf], height, [-np.inf]])
    return int(((padded[1:-1] > padded[:-2] + 1e-9) & (padded[1:-1] > padded[2:] + 1e-9)).sum())


@cache
def heights(seed: int, method: Tau2Method) -> tuple[Array, Array, Array]:
    """Draw studies and return them with their likelihood along a fine grid."""
    y, v = draw_discordant(seed) if seed % 2 else draw(seed, decades=4 if seed % 4 else 1)
    return y, v, log_likelihood(y, v, fine_grid(y, v), restricted=method == "REML")


@pytest.mark.parametrize("estimate", [one_of_a_batch, alone])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_likelihood_methods_find_the_highest_maximum(method: Tau2Method, estimate: Estimate) -> None:
    several = 0
    for seed in range(300):
        y, v, height = heights(seed, method)
        several += n_maxima(height) > 1
        ours = np.array([estimate(y, v, method)])
        reached = log_likelihood(y, v, ours, restricted=method == "REML")[0]
        assert reached >= height.max() - GRID_ERROR, seed
    assert several >= 10, "the draws must hold likelihoods with several maxima, or this test shows little"


def two_maxima(gap: float, precise: float) -> tuple[Array, Array]:
    """Several precise studies that agree and rough ones far away: near zero and at the spread the likelihood peaks."""
    y = np.array([0.0, 0.01, -0.01, 0.005, gap, -gap, gap, -gap])
    return y, np.array([precise] * 4 + [0.5] * 4)


@pytest.mark.parametrize("estimate", [one_of_a_batch, alone])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_constructed_likelihoods_with_two_maxima(method: Tau2Method, estimate: Estimate) -> None:
    chosen = []
    for gap in np.linspace(1.5, 6, 40):
        y, v = two_maxima(gap, 1e-4)
        grid = fine_grid(y, v)
        height = log_likelihood(y, v, grid, restricted=method == "REML")
        tau2 = np.array([estimate(y, v, method)])
        assert log_likelihood(y, v, tau2, restricted=method == "REML")[0] >= height.max() - GRID_ERROR
        if n_maxima(height) > 1:
            chosen.append(float(tau2[0]))
    assert min(chosen) < 0.01, "the peak near zero is the higher one for small gaps"
    assert max(chosen) > 0.1, "the peak at the spread is the higher one for large gaps"


def levels(seed: int) -> tuple[Array, Array]:
    """Draw studies of a few levels of precision, whose likelihoods may have maxima close to each other."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(6, 15))
    v = 10.0 ** rng.choice([-4.0, -3.0, -2.0, -1.0, 0.0], k)
    return rng.normal(0, 1, k) * np.sqrt(v) * rng.uniform(0.5, 3), v


@pytest.mark.parametrize("restricted", [True, False])
def test_where_one_zero_at_most_is_claimed_there_is_no_second(restricted: bool) -> None:
    claimed, refused = 0, {"falls, rises": 0, "rises, falls": 0}
    for seed in range(200):
        y, v = levels(seed) if seed % 2 else draw_discordant(seed)
        t = np.geomspace(1e-7, 10, 400)
        sums = moments(np.broadcast_to(y, (t.size, y.size)), np.broadcast_to(v, (t.size, v.size)), t, third=True)
        rising = np.asarray(sums.q2) > np.asarray(sums.tr_p if restricted else sums.s1)
        at = [moments(y, v, float(x), third=True) for x in t]
        changes = np.flatnonzero(rising[1:] != rising[:-1])
        for i, j in pairwise(changes.tolist()):
            for beside in (0, 3, 15, 60):
                low, high = max(i - beside, 0), min(j + 1 + beside, t.size - 1)
                assert not one_zero_at_most(at[low], at[high], restricted), (seed, low, high)
            refused["falls, rises" if rising[i] else "rises, falls"] += 1
        claimed += sum(bool(one_zero_at_most(at[i], at[i + 8], restricted)) for i in range(0, t.size - 8, 8))
    assert min(refused.values()) >= 10, "some sets must have two zeros close by, or this test shows little"
    assert claimed >= 7_000, "and most short intervals must be claimed, or the proof is of no use"


@pytest.mark.parametrize("engine", ["auto", "numpy", "compiled"])
def test_a_maximum_between_the_first_points_is_found(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    y, v = levels(777)
    grid = np.concatenate([[0.0], np.geomspace(1e-7, 1, 4000)])
    best = float(grid[log_likelihood(y, v, grid, restricted=True).argmax()])

    def estimate() -> float:
        if engine == "auto":
            return alone(y, v, "REML")
        return float(ipt.pool_many(y[None], v[None], engine=engine)["tau2"].iloc[0])

    if engine == "compiled":
        pytest.importorskip("numba")
    assert estimate() == pytest.approx(best, rel=0.01)
    if engine != "compiled":
        monkeypatch.setattr(certain_maxima if engine == "numpy" else single, "MAX_HALVINGS", 0)
        assert estimate() == 0, "without halving the first points miss it, which is why these studies are the example"


@pytest.mark.parametrize("restricted", [True, False])
def test_the_score_is_negative_above_the_last_value_looked_at(restricted: bool) -> None:
    near = 0
    for seed in range(300):
        y, v = draw_discordant(seed) if seed % 2 else draw(seed, decades=4 if seed % 4 else 0.1)
        top = float(last_positive(float(np.ptp(y)), float(y.var(ddof=1)), float(v.min()), float(v.mean())))
        t = np.maximum(top, 0.0) + v.min() * np.array([1e-9, 0.01, 1.0, 100.0, 1e6])
        w = 1 / (v + t[:, None])
        s = w.sum(axis=1)
        r = y - (w @ y / s)[:, None]
        trace = s - (w * w).sum(axis=1) / s if restricted else s
        ratio = (w * w * r * r).sum(axis=1) / trace
        assert (ratio < 1).all(), seed
        near += ratio[0] > 0.5
    assert near >= 20, "a bound far above the last root would show little"


@pytest.mark.parametrize("estimate", [one_of_a_batch, alone])
@pytest.mark.parametrize("method", ["PM", "EB", "SJIT", "DLIT", "PMM"])
def test_root_methods_solve_their_equation(method: Tau2Method, estimate: Estimate) -> None:
    zeros = 0
    for seed in range(200):
        y, v = draw(seed, decades=3)
        target = chi2.median(y.size - 1) if method == "PMM" else y.size - 1
        tau2 = estimate(y, v, method)
        q = dense_q([y], [v], tau2)
        if tau2 == 0:
            zeros += 1
            assert q <= target * (1 + 1e-12)
        else:
            assert q == pytest.approx(target, rel=1e-9)
    assert 0 < zeros < 200


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_equals_its_members(method: Tau2Method) -> None:
    sets = [draw(seed, decades=2) for seed in range(30)]
    width = max(y.size for y, _ in sets)
    y, v = np.zeros((30, width)), np.full((30, width), np.inf)
    for i, (a, b) in enumerate(sets):
        y[i, : a.size], v[i, : a.size] = a, b
    together = estimate_tau2(y, v, method)
    alone = np.array([estimate_tau2(a[None], b[None], method)[0] for a, b in sets])
    assert together == pytest.approx(alone, rel=1e-9, abs=1e-12)
    errors = tau2_std_error(y, v, together, method)
    assert errors == pytest.approx(
        np.array(
            [tau2_std_error(a[None], b[None], t[None], method)[0] for (a, b), t in zip(sets, together, strict=True)]
        ),
        rel=1e-9,
        nan_ok=True,
    )


@pytest.mark.parametrize("method", METHODS)
def test_one_study_or_none_has_no_tau2(method: Tau2Method) -> None:
    y, v = np.zeros((2, 3)), np.full((2, 3), np.inf)
    v[0, 1] = 0.1
    tau2 = estimate_tau2(y, v, method)
    assert (tau2 == 0).all() if method == "EE" else np.isnan(tau2).all()


def design(groups: list[Array]) -> Array:
    x = np.zeros((sum(g.size for g in groups), len(groups)))
    start = 0
    for column, g in enumerate(groups):
        x[start : start + g.size, column] = 1
        start += g.size
    return x


def projection(v: list[Array], tau2: float, *, weights: Array | None = None) -> Array:
    w = np.diag(1 / (np.concatenate(v) + tau2) if weights is None else weights)
    x = design(v)
    return w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w


def dense_q(y: list[Array], v: list[Array], tau2: float) -> float:
    all_y = np.concatenate(y)
    return float(all_y @ projection(v, tau2) @ all_y)


def dense_tau2(y: list[Array], v: list[Array], method: str) -> float:
    """Textbook matrix forms (Viechtbauer 2005; Veroniki 2016), with a mean for each group."""
    all_y, all_v = np.concatenate(y), np.concatenate(v)
    k, p = all_y.size, len(y)
    plain = projection(v, 0.0)
    q = float(all_y @ plain @ all_y)
    if method == "EE":
        return 0.0
    if method == "HE":
        unweighted = projection(v, 0.0, weights=np.ones(k))
        return max(0.0, float(all_y @ unweighted @ all_y - np.trace(unweighted @ np.diag(all_v))) / (k - p))
    if method == "DL":
        return max(0.0, (q - (k - p)) / float(np.trace(plain)))
    if method in ("HS", "HSk"):
        return max(0.0, ((k / (k - p) if method == "HSk" else 1.0) * q - k) / float((1 / all_v).sum()))
    if method == "SJ":
        start = float(all_y.var())
        return start * dense_q(y, v, start) / (k - p)
    if method in ("REML", "ML"):
        return dense_maximum(y, v, restricted=method == "REML")
    target = chi2.median(k - p) if method == "PMM" else k - p
    if q <= target:
        return 0.0
    return float(brentq(lambda t: dense_q(y, v, t) - target, 0, 1e4, xtol=1e-14, rtol=1e-14))


def dense_maximum(y: list[Array], v: list[Array], *, restricted: bool) -> float:
    all_y, all_v = np.concatenate(y), np.concatenate(v)

    def slope(t: float) -> float:
        p = projection(v, t)
        trace = np.trace(p) if restricted else (1 / (all_v + t)).sum()
        return float(all_y @ p @ p @ all_y - trace)

    def height(t: float) -> float:
        value = -0.5 * np.log(all_v + t).sum() - 0.5 * dense_q(y, v, t)
        if restricted:
            x = design(v)
            value -= 0.5 * np.linalg.slogdet(x.T @ np.diag(1 / (all_v + t)) @ x)[1]
        return float(value)

    grid = np.concatenate([[0.0], np.geomspace(1e-6, 50, 200)])
    slopes = np.array([slope(t) for t in grid])
    cells = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    roots = [0.0, *(float(brentq(slope, grid[i], grid[i + 1], xtol=1e-14)) for i in cells)]
    return max(roots, key=height)


def draw_groups(seed: int) -> tuple[list[Array], list[Array]]:
    rng = np.random.default_rng(seed)
    v = [10.0 ** rng.uniform(-2, 0, size) for size in (1, 4, 7)[seed % 2 :]]
    return [rng.normal(mean, np.sqrt(x + 0.2)) for mean, x in zip((0, 1, 2), v, strict=False)], v


@pytest.mark.parametrize("method", METHODS)
def test_common_tau2_equals_dense_matrices(method: Tau2Method) -> None:
    for seed in range(8):
        y, v = draw_groups(seed)
        ours = estimate_common_tau2(y, v, method)
        assert ours == pytest.approx(dense_tau2(y, v, method), rel=DENSE, abs=1e-10), seed


@pytest.mark.parametrize("method", METHODS)
def test_one_group_equals_dense_matrices(method: Tau2Method) -> None:
    for seed in range(12):
        y, v = draw(seed, decades=2)
        expected = pytest.approx(dense_tau2([y], [v], method), rel=DENSE, abs=1e-10)
        assert estimate_tau2(y[None], v[None], method)[0] == expected
        assert estimate_common_tau2([y], [v], method) == expected


@pytest.mark.parametrize("method", METHODS)
def test_common_tau2_of_single_studies_is_unknown(method: Tau2Method) -> None:
    one = [np.array([0.3]), np.array([0.9])]
    assert np.isnan(estimate_common_tau2(one, one, method))


@pytest.mark.parametrize("method", METHODS)
def test_standard_error_equals_dense_matrices(method: Tau2Method) -> None:
    for seed in range(12):
        y, v = draw(seed, decades=2)
        k = y.size
        tau2 = estimate_tau2(y[None], v[None], method)
        ours = tau2_std_error(y[None], v[None], tau2, method)[0]
        sigma = np.diag(v + tau2)
        p = projection([v], float(tau2[0]))
        w = 1 / (v + tau2)
        start = float(y.var())
        a, divisor = {
            "HE": (projection([v], 0.0, weights=np.ones(k)), k - 1.0),
            "DL": (projection([v], 0.0), float(np.trace(projection([v], 0.0)))),
            "HS": (projection([v], 0.0), (1 / v).sum()),
            "HSk": (projection([v], 0.0), (1 / v).sum() * (k - 1) / k),
            "SJ": (projection([v], start), (k - 1) / start),
        }.get(method, (p, w.sum() * (k - 1) / k))
        expected = np.sqrt(2 * np.trace(a @ sigma @ a @ sigma)) / divisor
        if method == "EE":
            expected = np.nan
        if method == "REML":
            expected = np.sqrt(2 / np.trace(p @ p))
        if method == "ML":
            expected = np.sqrt(2 / (w * w).sum())
        assert ours == pytest.approx(expected, rel=DENSE, nan_ok=True), seed


def test_ten_thousand_studies() -> None:
    rng = np.random.default_rng(1)
    v = rng.uniform(0.01, 1, 10_000)
    y = rng.normal(0.3, np.sqrt(v + 0.04))
    for method in (m for m in METHODS if m not in ("EE", "SJ")):  # SJ is biased upwards, whatever k
        assert estimate_tau2(y[None], v[None], method)[0] == pytest.approx(0.04, abs=0.015)
