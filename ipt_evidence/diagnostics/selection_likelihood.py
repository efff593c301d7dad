"""The likelihood of a selection model, its slopes, and its maximum.

A trial with effect ``y`` and standard error ``s`` is seen with a density proportional to ``w(p) phi((y - mu) / eta)``,
``eta^2 = s^2 + tau2``; the integral that makes it a density is exact for step functions and a fixed quadrature over
``z = y / s`` for the others (Hedges 1992, eq. 2; Vevea & Hedges 1995, eq. 4).

References
----------
Hedges LV. Modeling publication selection effects in meta-analysis. Stat Sci 1992;7:246-255.
doi:10.1214/ss/1177011364
Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of publication bias.
Psychometrika 1995;60:419-435. doi:10.1007/BF02294384
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ipt_evidence.diagnostics.weight_functions import Array, Grid, WeightModel

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
Flags = npt.NDArray[np.bool_]
ROOT_2PI = math.sqrt(2 * math.pi)
TINY = 1e-300
FRESH = 12
MOST_STEPS = 150


@dataclass(frozen=True, slots=True, eq=False)
class SelectionData:
    """Effects ``(k,)``, standard errors ``(k,)``, design ``(k, p)`` and the weight function of their p-values."""

    y: Array
    s: Array
    x: Array
    model: WeightModel


def log_likelihood(data: SelectionData, theta: Array) -> tuple[float, Array]:
    """Return the log-likelihood and its gradient at ``theta = (beta, tau2, delta)``."""
    p = data.x.shape[1]
    mu, eta2, delta = data.x @ theta[:p], data.s**2 + theta[p], theta[p + 1 :]
    residual = data.y - mu
    own, own_slopes = data.model.at_trials(delta)
    weight, weight_slopes = data.model.at_grid(delta)
    mass, by_mu, by_tau2 = _mass(mu, eta2, data.s, data.model.grid)
    total = np.maximum(mass @ weight, TINY)
    square = residual**2 / eta2
    value = float(np.sum(own - 0.5 * np.log(eta2) - 0.5 * square - np.log(total)) - data.y.size * HALF_LOG_2PI)
    slope_mu = residual / eta2 - (by_mu @ weight) / total
    slope_tau2 = (square - 1) / (2 * eta2) - (by_tau2 @ weight) / total
    slope_delta = own_slopes - (mass @ weight_slopes) / total[:, None]
    return value, np.concatenate([data.x.T @ slope_mu, [slope_tau2.sum()], slope_delta.sum(axis=0)])


def _mass(mu: Array, eta2: Array, s: Array, grid: Grid) -> tuple[Array, Array, Array]:
    """Return the probability of each piece and node for each trial, with slopes by mu and tau2; shapes ``(k, m + n)``.

    Tails are taken from the side on which they are small.
    """
    eta, s = np.sqrt(eta2)[:, None], s[:, None]
    mu, k = mu[:, None], mu.size
    u = (grid.edges * s - mu) / eta
    none, one = np.zeros((k, 1)), np.ones((k, 1))
    below, above = np.hstack([none, ndtr(u), one]), np.hstack([one, ndtr(-u), none])
    upper = np.hstack([np.zeros((k, 1), dtype=bool), u > 0])
    mass = np.where(upper, above[:, :-1] - above[:, 1:], below[:, 1:] - below[:, :-1])
    density = np.exp(-0.5 * u**2) / ROOT_2PI
    by_mu = -np.diff(density, axis=1, prepend=none, append=none) / eta
    by_tau2 = -np.diff(u * density, axis=1, prepend=none, append=none) / (2 * eta**2)
    if not grid.nodes.size:
        return mass, by_mu, by_tau2
    outer = [0, -1]
    u = (grid.nodes * s - mu) / eta
    square = u**2
    node = np.exp(-0.5 * square) * (s / eta) * (grid.node_weights / ROOT_2PI)
    return (
        np.hstack([mass[:, outer], node]),
        np.hstack([by_mu[:, outer], node * u / eta]),
        np.hstack([by_tau2[:, outer], node * (square - 1) / (2 * eta**2)]),
    )


Objective = Callable[[Array], tuple[float, Array]]
Scale = Callable[[Array], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Maximum:
    """Where a log-likelihood is highest.

    Attributes
    ----------
    theta : numpy.ndarray
        The parameters.
    value : float
        The log-likelihood.
    at_bound : numpy.ndarray
        Which parameters end at a bound that the likelihood pushes against.
    converged : bool
        The slopes of the others are zero within rounding and the curvature is that of a maximum.
    others : tuple of float
        Log-likelihoods of further local maxima.
    """

    theta: Array
    value: float
    at_bound: Flags
    converged: bool
    others: tuple[float, ...] = ()


def maximise(objective: Objective, starts: list[Array], low: Array, high: Array, scale: Scale) -> Maximum:
    """Return the highest of the maxima reached from several starts.

    Parameters
    ----------
    objective : callable
        Gives the log-likelihood and its gradient; smooth a little beyond the bounds.
    starts : list of numpy.ndarray
        Where to begin.
    low, high : numpy.ndarray
        Bounds.
    scale : callable
        Gives the sizes of the parameters near a point, for differences and for the longest step.
    """
    if len(starts) == 1:
        return polish(objective, np.clip(starts[0], low, high), low, high, scale)
    ends = [climb(objective, np.clip(start, low, high), low, high, scale) for start in starts]
    ends.sort(key=lambda end: -end[1])
    best = polish(objective, ends[0][0], low, high, scale)
    distinct = [value for theta, value in ends[1:] if np.any(np.abs(theta - best.theta) > 0.1 * scale(theta))]
    return Maximum(best.theta, best.value, best.at_bound, best.converged, tuple(distinct))


def climb(objective: Objective, theta: Array, low: Array, high: Array, scale: Scale) -> tuple[Array, float]:
    """Return where a quasi-Newton ascent with bounds ends, and the value there.

    It begins, and begins again where a parameter meets or leaves its bound, with the curvature from differences;
    between it learns the curvature from its steps (BFGS).
    """
    value, slope = objective(theta)
    memory, before = np.empty((0, 0)), np.zeros(0, dtype=bool)
    for n in range(MOST_STEPS):
        free = _off_bounds(theta, slope, low, high)
        if not np.array_equal(free, before) or n % FRESH == 0:
            memory = _inverse_curvature(objective, theta, slope, scale(theta), free)
        step = memory @ slope
        outward = free & (((theta <= low) & (step < 0)) | ((theta >= high) & (step > 0)))
        if outward.any():
            free = free & ~outward
            memory = _inverse_curvature(objective, theta, slope, scale(theta), free)
            step = memory @ slope
        before = free
        if float(step @ slope) < 1e-9:
            break
        step = step * min(1.0, _room(theta, step, low, high), 1 / max(1.0, float(np.max(np.abs(step) / scale(theta)))))
        moved, new_value, new_slope = _shorten(objective, theta, step, low, high, value, slope)
        change, bend = moved - theta, np.where(free, slope - new_slope, 0.0)
        if not change.any():
            break
        curve = float(change @ bend)
        if curve > 1e-12 * float(np.linalg.norm(change) * np.linalg.norm(bend)):
            left = np.eye(theta.size) - np.outer(change, bend) / curve
            memory = left @ memory @ left.T + np.outer(change, change) / curve
        theta, value, slope = moved, new_value, new_slope
    return theta, value


def _room(theta: Array, step: Array, low: Array, high: Array) -> float:
    """Return how many steps there are to the nearest bound."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        room = np.where(step > 0, (high - theta) / step, np.where(step < 0, (low - theta) / step, np.inf))
    return float(np.min(np.where(room > 0, room, np.inf)))


def _inverse_curvature(objective: Objective, theta: Array, slope: Array, scale: Array, free: Flags) -> Array:
    """Return a positive definite inverse of the negative second derivatives by the free parameters; zero elsewhere."""
    inverse = np.zeros((theta.size, theta.size))
    index = np.flatnonzero(free)
    columns = []
    for j in index:
        moved = theta.copy()
        moved[j] += 1e-5 * scale[j]
        columns.append((slope - objective(moved)[1])[index] / (1e-5 * scale[j]))
    if not columns:
        return inverse
    matrix = np.column_stack(columns)
    if not np.isfinite(matrix).all():
        inverse[index, index] = scale[index] ** 2
        return inverse
    root, axes = np.linalg.eigh((matrix + matrix.T) / 2)
    bent = np.maximum(np.abs(root), 1e-6 * max(float(np.abs(root).max()), TINY))
    inverse[np.ix_(index, index)] = (axes / bent) @ axes.T
    return inverse


def _off_bounds(theta: Array, slope: Array, low: Array, high: Array) -> Flags:
    return ~(((theta <= low) & (slope <= 0)) | ((theta >= high) & (slope >= 0)))


def polish(objective: Objective, theta: Array, low: Array, high: Array, scale: Scale, steps: int = 12) -> Maximum:
    """Return the maximum near `theta` to the last digits, by Newton steps among the parameters off their bounds."""
    value, slope = objective(theta)
    decrement, definite = math.inf, False
    free = _off_bounds(theta, slope, low, high)
    for _ in range(steps):
        free = _off_bounds(theta, slope, low, high)
        if not free.any():
            return Maximum(theta, value, ~free, True)
        information = -hessian(objective, theta, scale(theta), free)
        if not np.isfinite(information).all():
            break
        step, decrement, definite = _newton_step(information, slope[free])
        if decrement < 1e-19:
            break
        whole = np.zeros_like(theta)
        whole[free] = step
        moved, new_value, new_slope = _shorten(objective, theta, whole, low, high, value, slope)
        if not np.any(moved != theta):
            break
        theta, value, slope = moved, new_value, new_slope
    return Maximum(theta, value, ~free, definite and decrement < 1e-8)


def _newton_step(information: Array, slope: Array) -> tuple[Array, float, bool]:
    """Return the step uphill, the gain it promises, and whether the information matrix is positive definite."""
    root, axes = np.linalg.eigh(information)
    along = axes.T @ slope
    bent = np.maximum(np.abs(root), 1e-8 * max(float(np.abs(root).max()), TINY))
    return axes @ (along / bent), float(np.sum(along**2 / bent)), bool(root[0] > 0)


def _shorten(
    objective: Objective, theta: Array, step: Array, low: Array, high: Array, value: float, slope: Array
) -> tuple[Array, float, Array]:
    """Return the first point along the step, halved as often as needed, that is high enough; else stay."""
    slack = 1e-13 * max(1.0, abs(value))
    for _ in range(25):
        trial = np.clip(theta + step, low, high)
        new_value, new_slope = objective(trial)
        if math.isfinite(new_value) and new_value >= value + 1e-4 * float(slope @ (trial - theta)) - slack:
            return trial, new_value, new_slope
        step = step / 2
    return theta, value, slope


def hessian(objective: Objective, theta: Array, scale: Array, free: Flags | None = None) -> Array:
    """Return the second derivatives by fourth-order differences of the gradient, for the parameters that are free."""
    index = np.arange(theta.size) if free is None else np.flatnonzero(free)
    columns = []
    for j in index:
        h = 1e-3 * scale[j]
        slopes = {}
        for n in (-2, -1, 1, 2):
            moved = theta.copy()
            moved[j] += n * h
            slopes[n] = objective(moved)[1]
        columns.append((8 * (slopes[1] - slopes[-1]) - (slopes[2] - slopes[-2]))[index] / (12 * h))
    matrix = np.column_stack(columns)
    return np.asarray((matrix + matrix.T) / 2)
