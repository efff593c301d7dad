"""The two variance components of dependent effects: the global likelihood maximum and profile likelihood intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.pooling.blocks import BlockModel, Derivatives, derivatives, log_likelihood_grid, too_wide
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.sources.showing import readable, table_html

Component = Literal["between", "within"]
POSITION: dict[Component, int] = {"between": 0, "within": 1}
Mask = npt.NDArray[np.bool_]

BOTH = np.array([True, True])
GRID_RATIO = 2.0
GRID_MAX_POINTS = 48
MAX_STARTS = 8
MAX_ITERATIONS = 200
MAX_DOUBLINGS = 200
# The Newton decrement is the squared distance to the maximum in standard errors; one more step follows.
DECREMENT = 1e-14
LOOSE_DECREMENT = 1e-9
SEPARABLE = 1e-9


@dataclass(frozen=True, slots=True)
class Optimum:
    """A maximum of the likelihood.

    Attributes
    ----------
    theta : numpy.ndarray
        Between-trial and within-trial variance.
    log_likelihood : float
        Its height.
    gradient : numpy.ndarray
        Derivatives there: zero inside, not positive where a variance is zero.
    expected : numpy.ndarray
        Expected information, shape ``(2, 2)``.
    """

    theta: Array
    log_likelihood: float
    gradient: Array
    expected: Array


def fit_components(model: BlockModel, *, restricted: bool) -> tuple[Optimum, Mask]:
    """Return the global maximum of the (restricted) likelihood and which components were estimated.

    Raises
    ------
    NotEstimableError
        The data do not determine a component, such as the between-trial variance from one trial.
    ConvergenceError
        The iteration did not reach its tolerance.

    Notes
    -----
    When every trial has one effect only the sum of the components is determined; it is put into the between-trial
    variance and the within-trial variance is held at zero.
    """
    try:
        free = _estimable(model)
        return maximise(model, np.zeros(2), free, restricted=restricted), free
    except np.linalg.LinAlgError:
        raise too_wide(model) from None


def _estimable(model: BlockModel) -> Mask:
    """Return which components can be estimated, judged by the restricted information inside the parameter space."""
    middle = float(np.median(model.d))
    theta = np.array([middle, middle])
    raw = derivatives(model, theta, restricted=False).expected
    left = derivatives(model, theta, restricted=True).expected
    for name, i in POSITION.items():
        if left[i, i] <= SEPARABLE * raw[i, i]:
            what = "trials" if name == "between" else "effects"
            raise NotEstimableError(
                f"the {name}-trial variance cannot be estimated: {model.n_trials} trials with {model.y.size} effects "
                f"and {model.x.shape[1]} coefficients leave nothing to compare between {what}"
            )
    if model.n_trials == model.y.size:
        return np.array([True, False])
    if 1 - left[0, 1] ** 2 / (left[0, 0] * left[1, 1]) <= SEPARABLE:
        raise NotEstimableError(
            "the between-trial and the within-trial variance cannot be told apart: too few trials have several effects"
        )
    return BOTH


def maximise(model: BlockModel, theta: Array, free: Mask, *, restricted: bool) -> Optimum:
    """Return the highest maximum over the free components (not below zero), the others held at `theta`.

    Notes
    -----
    The likelihood is looked at on a geometric grid; from each of its local maxima Newton's method with step halving
    climbs, with the expected in place of the observed information where that is not positive definite, and its diagonal
    where that has no inverse.
    """
    if not free.any():
        return _optimum(theta, derivatives(model, theta, restricted=restricted))
    starts = _starts(model, theta, free, restricted)
    found = [_climb(model, start, free, restricted) for start in starts]
    return max(found, key=lambda optimum: optimum.log_likelihood)


def _axis(model: BlockModel) -> Array:
    """Return variances: zero, a tenth of the smallest sampling variance, up to the squared spread of the effects."""
    residual = model.y - model.x @ (model.x.T @ model.y)
    top = max(4 * float(np.abs(residual).max()) ** 2, 1e3 * float(np.finfo(float).tiny))
    bottom = min(0.1 * float(model.d.min()), top / 16)
    points = int(np.clip(np.ceil(np.log(top / bottom) / np.log(GRID_RATIO)) + 1, 4, GRID_MAX_POINTS))
    return np.concatenate([[0.0], np.geomspace(bottom, top, points)])


def _starts(model: BlockModel, theta: Array, free: Mask, restricted: bool) -> list[Array]:
    """Return the best local maxima of the likelihood on a grid."""
    axis = _axis(model)
    axes = [axis if free[i] else theta[i : i + 1] for i in (0, 1)]
    height = log_likelihood_grid(model, axes[0], axes[1], restricted=restricted)
    padded = np.pad(height, 1, constant_values=-np.inf)
    around = [np.roll(padded, (a, b), (0, 1)) for a in (-1, 0, 1) for b in (-1, 0, 1) if (a, b) != (0, 0)]
    peaks = np.argwhere((padded >= np.max(around, axis=0))[1:-1, 1:-1])
    best = peaks[np.argsort(-height[peaks[:, 0], peaks[:, 1]], kind="stable")][:MAX_STARTS]
    return [np.array([axes[0][i], axes[1][j]]) for i, j in best]


def _climb(model: BlockModel, theta: Array, free: Mask, restricted: bool) -> Optimum:
    """Return the maximum that Newton's method reaches from `theta` without leaving ``theta >= 0``."""
    now = derivatives(model, theta, restricted=restricted)
    for _ in range(MAX_ITERATIONS):
        move, blocked = _newton_step(now, theta, free)
        decrement = float(now.gradient @ move)
        share = _longest(theta, move)
        if decrement <= DECREMENT and not blocked:
            theta = np.maximum(theta + share * move, 0.0)
            return _optimum(theta, derivatives(model, theta, restricted=restricted))
        trial, after = _line_search(model, theta, now, move, share, restricted)
        if after is None:
            if decrement <= LOOSE_DECREMENT:
                return _optimum(theta, now)
            break
        theta, now = trial, after
    raise ConvergenceError(
        f"the variance components did not converge (between {theta[0]:.6g}, within {theta[1]:.6g}, "
        f"gradient {now.gradient[0]:.3g}, {now.gradient[1]:.3g}); please report this data set"
    )


def _newton_step(now: Derivatives, theta: Array, free: Mask) -> tuple[Array, bool]:
    """Return the step, zero for components held at zero, and whether one was held against its gradient."""
    up = free & ~((theta == 0) & (now.gradient <= 0))
    move = _solve(now, up)
    against = up & (theta == 0) & (move < 0)
    if against.any():
        move = _solve(now, up & ~against)
    return move, bool(against.any())


def _solve(now: Derivatives, up: Mask) -> Array:
    """Return the inverse information times the gradient over the components in `up`."""
    move = np.zeros(2)
    if up.any():
        pick = np.flatnonzero(up)
        information = now.observed[np.ix_(pick, pick)]
        if not _positive_definite(information):
            information = now.expected[np.ix_(pick, pick)]
        try:
            move[pick] = np.linalg.solve(information, now.gradient[pick])
        except np.linalg.LinAlgError:
            known = np.diag(information)
            move[pick] = np.divide(now.gradient[pick], known, out=np.zeros(pick.size), where=known > 0)
    return move


def _positive_definite(a: Array) -> bool:
    if a.shape == (1, 1):
        return bool(a[0, 0] > 0)
    return bool(a[0, 0] > 0 and a[1, 1] > 0 and a[0, 0] * a[1, 1] - a[0, 1] ** 2 > 1e-10 * a[0, 0] * a[1, 1])


def _longest(theta: Array, move: Array) -> float:
    """Return the largest share of the step, at most all of it, that keeps both variances at or above zero."""
    falling = move < 0
    return float(np.min(theta[falling] / -move[falling], initial=1.0))


def _line_search(
    model: BlockModel, theta: Array, now: Derivatives, move: Array, share: float, restricted: bool
) -> tuple[Array, Derivatives | None]:
    """Return the first point along the step, halved as often as needed, that is higher."""
    slope = float(now.gradient @ move)
    noise = 1e-13 * (1 + abs(now.log_likelihood))
    hit = theta + share * move <= 4 * np.finfo(float).eps * theta
    for halving in range(60):
        t = share * 0.5**halving
        trial = np.maximum(theta + t * move, 0.0)
        if halving == 0:
            trial[hit] = 0.0
        after = derivatives(model, trial, restricted=restricted)
        if after.log_likelihood >= now.log_likelihood + 1e-4 * t * slope - noise:
            return trial, after
    return theta, None


def _optimum(theta: Array, at: Derivatives) -> Optimum:
    return Optimum(theta, at.log_likelihood, at.gradient, at.expected)


@readable
@dataclass(frozen=True, slots=True)
class ProfileInterval:
    """Profile likelihood interval of one variance component.

    Attributes
    ----------
    component : {"between", "within"}
        Which variance.
    estimate, ci_low, ci_high : float
        Variance and limits; a lower limit of zero means that zero is not rejected, an infinite upper limit that no
        variance is.
    level : float
        Confidence level.
    """

    component: Component
    estimate: float
    ci_low: float
    ci_high: float
    level: float

    def _repr_html_(self) -> str:
        import pandas as pd

        names = ("estimate", "ci_low", "ci_high")
        caption = f"Variance {self.component} trials, {100 * self.level:g}% profile likelihood interval"
        return table_html(pd.DataFrame([{name: getattr(self, name) for name in names}]), caption)


def profile_interval(
    model: BlockModel, optimum: Optimum, free: Mask, component: Component, level: float, *, restricted: bool
) -> ProfileInterval:
    """Return the values of a component that a likelihood ratio test at `level` does not reject.

    Raises
    ------
    NotEstimableError
        The component was not estimated.

    Notes
    -----
    For each value the other component is estimated anew (globally). The limits are the crossings next to the estimate,
    bracketed by doubling and found by Brent's method on the root of the likelihood ratio, nearly a straight line.
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    at = POSITION[component]
    if not free[at]:
        raise NotEstimableError(f"the {component}-trial variance was not estimated: every trial has one effect")
    critical = float(np.sqrt(chdtri(1, 1 - level)))
    others = free & (np.arange(2) != at)
    estimate = float(optimum.theta[at])

    def excess(value: float) -> float:
        theta = optimum.theta.copy()
        theta[at] = value
        height = maximise(model, theta, others, restricted=restricted).log_likelihood
        return float(np.sqrt(max(2 * (optimum.log_likelihood - height), 0.0))) - critical

    def crossing(low: float, high: float) -> float:
        return float(brentq(excess, low, high, xtol=1e-13 * high, rtol=1e-11))

    low = crossing(0.0, estimate) if estimate > 0 and excess(0.0) > 0 else 0.0
    inside, outside = estimate, max(2 * estimate, estimate + 1 / np.sqrt(float(optimum.expected[at, at])))
    for _ in range(MAX_DOUBLINGS):
        if excess(outside) > 0:
            return ProfileInterval(component, estimate, low, crossing(inside, outside), level)
        inside, outside = outside, 2 * outside
    return ProfileInterval(component, estimate, low, float("inf"), level)
