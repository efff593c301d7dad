"""Modes and shortest credible intervals of the posteriors in :mod:`ipt_evidence.pooling.posterior`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.posterior import MAX_STEPS, STEP, Mixtures, TauPosterior, log_joint_slope

GRID_POINTS = 25
SOLVED = 1e-11
Slopes = Callable[[Array], tuple[Array, Array]]
Pair = tuple[Array, Array]


def mixture_modes(mix: Mixtures, low: Array, high: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the mode of each row, and whether the row has a single mode.

    Parameters
    ----------
    mix : Mixtures
        The rows.
    low, high : numpy.ndarray
        An interval of each row that holds most of its probability.
    """
    reach = 0.5 * (high - low)
    fractions = np.linspace(0.0, 1.0, GRID_POINTS)
    grid = (low - reach)[:, None] + (high - low + 2 * reach)[:, None] * fractions
    height = np.stack([mix.density(x) for x in grid.T], axis=1)
    rising = np.diff(height, axis=1) > 0
    single = (rising[:, :-1] & ~rising[:, 1:]).sum(axis=1) <= 1
    best = np.clip(height.argmax(axis=1), 1, GRID_POINTS - 2)
    rows = np.arange(best.size)
    return _zero_slope(lambda x: mix.slopes(x)[1], grid[rows, best - 1], grid[rows, best + 1]), single


def _zero_slope(slope: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Return where a slope falls through zero between `low` and `high`, by the Illinois form of regula falsi."""
    left, right = slope(low), slope(high)
    x, side = low, np.zeros(low.shape, dtype=int)
    for step in range(MAX_STEPS):
        before = x
        with np.errstate(divide="ignore", invalid="ignore"):
            x = (low * right - high * left) / (right - left)
        x = np.where((x > low) & (x < high) & (step < MAX_STEPS // 2), x, 0.5 * (low + high))
        value = slope(x)
        up = value > 0
        low, high = np.where(up, x, low), np.where(up, high, x)
        left = np.where(up, value, np.where(side == -1, 0.5 * left, left))
        right = np.where(up, np.where(side == 1, 0.5 * right, right), value)
        side = np.where(up, 1, -1)
        if ((np.abs(x - before) <= SOLVED * np.abs(x)) | (value == 0)).all():
            break
    return x


def shortest_mixture(mix: Mixtures, level: float, low: Array, high: Array) -> tuple[Pair, Array]:
    """Return the shortest interval of probability `level` of each row, and the modes.

    Parameters
    ----------
    mix : Mixtures
        The rows.
    level : float
        Probability.
    low, high : numpy.ndarray
        The equal-tailed interval.
    """
    mode, single = mixture_modes(mix, low, high)
    twice = mix.repeated(2)
    left, right, solved = _equal_heights(twice.cdf, twice.slopes, level, low, high, mode)
    for i in np.flatnonzero(~(solved & single)):
        row = mix.row(int(i))
        left[i], right[i] = _search(lambda p, row=row: float(row.quantile(p)[0]), level)  # type: ignore[misc]
    return (left, right), mode


def _equal_heights(
    cdf: Callable[[Array], Array], slopes: Slopes, level: float, low: Array, high: Array, mode: Array
) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """Return limits around the mode with equal density and probability `level`, and where they were found.

    Newton's method in both limits; a step may not cross the mode nor exceed half the interval. The two functions are
    called with all lower limits followed by all upper ones.
    """
    low, high = np.minimum(low, mode), np.maximum(high, mode)
    solved = np.zeros(low.shape, dtype=bool)
    for _ in range(MAX_STEPS):
        both = np.concatenate([low, high])
        (f_low, f_high), (d_low, d_high) = (x.reshape(2, -1) for x in slopes(both))
        below, above = cdf(both).reshape(2, -1)
        excess, unequal = above - below - level, f_high - f_low
        with np.errstate(divide="ignore", invalid="ignore"):
            determinant = f_high * d_low - f_low * d_high
            steps = np.stack([f_high * unequal - d_high * excess, f_low * unequal - d_low * excess]) / determinant
        reach = 0.5 * (high - low)
        steps = np.clip(np.where(np.isfinite(steps), steps, 0.0), -reach, reach)
        solved = (np.abs(steps).max(axis=0) <= STEP * reach) & (determinant > 0)
        low = np.minimum(low + steps[0], 0.5 * (low + mode))
        high = np.maximum(high + steps[1], 0.5 * (high + mode))
        if solved.all():
            break
    return low, high, solved


def _search(quantile: Callable[[float], float], level: float) -> tuple[float, float]:
    """Return the shortest interval by searching over the probability below it (posteriors with several modes)."""
    from scipy.optimize import minimize_scalar

    def width(p: float) -> float:
        return quantile(p + level) - quantile(p)

    grid = (1 - level) * np.linspace(1e-6, 1 - 1e-6, 65)
    best = int(np.argmin([width(float(p)) for p in grid]))
    bounds = (grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)])
    p = float(minimize_scalar(width, bounds=bounds, method="bounded", options={"xatol": 1e-10}).x)
    return quantile(p), quantile(p + level)


def tau_mode(posterior: TauPosterior) -> float:
    """Return the tau of the highest posterior density, which may be zero or the upper limit of the prior."""
    model, upper = posterior.model, posterior.model.tau.upper
    ends = np.array([0.0, upper] if np.isfinite(upper) else [0.0])
    points = np.concatenate([ends, posterior.tau])
    points.sort()
    best = int(np.argmax(posterior.density(points)))
    low, high = points[max(best - 1, 0)], points[min(best + 1, points.size - 1)]
    slope = log_joint_slope(model, np.array([max(low, 1e-9 * high), high]))
    if not slope[0] > 0 > slope[1]:
        return float(points[best])
    return float(_zero_slope(lambda x: log_joint_slope(model, x), np.array([max(low, 1e-9 * high)]), high[None])[0])


def shortest_tau(
    posterior: TauPosterior, level: float, equal_tailed: Pair, one_sided: Array, mode: float
) -> tuple[float, float]:
    """Return the shortest interval of tau; it starts at zero where the density falls from there.

    Parameters
    ----------
    posterior : TauPosterior
        The posterior.
    level : float
        Probability.
    equal_tailed : tuple of numpy.ndarray
        Limits of the equal-tailed interval, shape ``(1,)`` each.
    one_sided : numpy.ndarray
        Quantiles of probability `level` and ``1 - level``.
    mode : float
        See :func:`tau_mode`.
    """
    height = posterior.density(np.append(one_sided, 0.0))
    upper = posterior.model.tau.upper
    rising = np.diff(posterior.density(posterior.tau)) > 0
    if (rising[:-1] & ~rising[1:]).sum() + (not rising[0]) <= 1:
        if height[2] >= height[0]:
            return 0.0, float(one_sided[0])
        if np.isfinite(upper) and posterior.density(np.array([upper]))[0] >= height[1]:
            return float(one_sided[1]), float(upper)
        low, high, solved = _equal_heights(posterior.cdf, posterior.slopes, level, *equal_tailed, mode=np.array([mode]))
        if solved[0]:
            return float(low[0]), float(high[0])
    return _search(lambda p: float(posterior.quantile(np.array([p]))[0]), level)
