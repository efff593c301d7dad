"""One data set: tau2 and the limits of its Q-profile interval, found together from sums that all searches share.

A single fit spends its time on calls, not on arithmetic. The scan for the global maximum is therefore one matrix
product, its values give the starting points of all searches, and every step evaluates all searches at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np
from scipy.special import chdtri

from ipt_evidence.errors import ConvergenceError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.kernel import (
    BISECT_AFTER,
    LAST_STEP,
    MAX_ITERATIONS,
    STEP_TOLERANCE,
    log_likelihood,
    q_excess_of,
    score_excess_of,
)
from ipt_evidence.pooling.moments import DOMINATED, Array, Moments, exact_traces
from ipt_evidence.pooling.tau2 import (
    GRID_MAX_POINTS,
    GRID_RATIO,
    LIKELIHOOD,
    ROOT_METHODS,
    estimate_tau2,
    last_positive,
)

Curve = Callable[[Moments], tuple[float, float]]

CACHED_WEIGHTS = 32_768


@dataclass(slots=True)
class Search:
    """The root of a curve that is positive at `low` and negative at `high`; `t` is the best value so far."""

    curve: Curve
    low: float
    high: float
    t: float

    def step(self, m: Moments, *, bisect: bool) -> bool:
        """Move by Newton's step, or to the middle when it leaves the bracket; return whether the root is reached."""
        t = self.t
        value, slope = self.curve(m)
        if value == 0:
            return True
        if value > 0:
            self.low = t
        else:
            self.high = t
        low, high = self.low, self.high
        new, tolerance = t - value / slope if slope and not bisect else low, LAST_STEP
        if not low < new < high:
            new, tolerance = 0.5 * (low + high) if high < math.inf else 2 * max(t, low), STEP_TOLERANCE
        self.t = new
        return bool(abs(new - t) <= tolerance * new or high - low <= STEP_TOLERANCE * min(high, 2 * t))


def tau2_and_limits(y: Array, v: Array, method: Tau2Method, targets: Sequence[float] = ()) -> tuple[float, list[float]]:
    """Return tau2 of one data set, and for each target the tau2 at which the generalised Q statistic equals it.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances of at least two studies, shape ``(k,)``.
    method : str
        One of the estimators of :data:`ipt_evidence.options.Tau2Method`.
    targets : sequence of float
        Positive; where ``Q(0)`` is not above a target its tau2 is zero.

    Notes
    -----
    As :func:`ipt_evidence.pooling.tau2.estimate_tau2`. Effects are taken from that of the most precise study and both
    are scaled (by a power of two, so without rounding) to make its variance about one: no sum overflows.
    """
    precise = int(v.argmin())
    smallest = float(v[precise])
    unit = 2.0 ** (math.frexp(smallest)[1] // 2)
    y, v = (y - y[precise]) * (1 / unit), v * unit**-2
    columns = powers(y)
    wanted = list(targets)
    if method in ROOT_METHODS:
        wanted.insert(0, float(chdtri(y.size - 1, 0.5)) if method == "PMM" else y.size - 1.0)
    points = scan_points(y, v, smallest * unit**-2) if method in LIKELIHOOD else [0.0]
    sums = sums_at(columns, v, points)
    maxima = _maxima(points, sums, method == "REML") if method in LIKELIHOOD else []
    crossings = [_crossing(points, sums, target) for target in wanted]
    _solve([*maxima, *(x for x in crossings if x is not None)], columns, v)
    roots = [0.0 if x is None else x.t * unit**2 for x in crossings]
    if method in ROOT_METHODS:
        return roots[0], roots[1:]
    if method not in LIKELIHOOD:
        return float(estimate_tau2(y[None], v[None], method)[0]) * unit**2, roots
    return _highest([x.t for x in maxima], y, v, sums[0], method == "REML") * unit**2, roots


def powers(y: Array) -> Array:
    """Return the columns ``1, y, y^2``, from which :func:`sums_at` reads all sums; center `y` first."""
    columns = np.empty((y.size, 3))
    columns[:, 0] = 1.0
    columns[:, 1] = y
    np.multiply(y, y, out=columns[:, 2])
    return columns


def scan_points(y: Array, v: Array, smallest: float) -> list[float]:
    """Return the values of tau2 at which the likelihood is looked at; see :func:`ipt_evidence.pooling.tau2.tau2_grid`.

    Only zero where the score cannot be positive.
    """
    total, squares = float(np.add.reduce(y)), float(y.dot(y))
    variance = (squares - total * total / y.size) / (y.size - 1)
    top = float(last_positive(float(y.max()) - float(y.min()), variance, smallest, float(v.max())))
    if top <= 0:
        return [0.0]
    bottom = min(0.1 * smallest, top / 16)
    steps = math.log(top / bottom)
    n = min(max(math.ceil(steps / math.log(GRID_RATIO)) + 1, 6), GRID_MAX_POINTS)
    return [0.0, *(bottom * math.exp(steps * i / (n - 1)) for i in range(n))]


def sums_at(columns: Array, v: Array, points: Sequence[float]) -> list[Moments]:
    """Return the sums of one data set at several values of tau2, from matrix products with the powers of `y`.

    Parameters
    ----------
    columns : numpy.ndarray
        From :func:`powers`, shape ``(k, 3)``.
    v : numpy.ndarray
        Variances, shape ``(k,)``.
    points : sequence of float
        Values of tau2.

    Notes
    -----
    Sums of ``w r^2`` are put together from sums of ``w``, ``w y`` and ``w y^2``. The most precise study, whose weight
    is the largest whatever tau2, lies at zero; so the square of the mean is at most ``k`` times the weighted spread,
    and this loses at most the digits of ``k``. It serves the steps of an iteration; what is reported comes from
    :func:`ipt_evidence.pooling.moments.moments`.
    """
    room = max(1, CACHED_WEIGHTS // v.size)
    if len(points) > room:
        parts = [points[i : i + room] for i in range(0, len(points), room)]
        return [m for part in parts for m in sums_at(columns, v, part)]
    w = np.empty((3, len(points), v.size))
    np.add(v, np.array(points)[:, None], out=w[0])
    np.divide(1.0, w[0], out=w[0])
    np.multiply(w[0], w[0], out=w[1])
    np.multiply(w[1], w[0], out=w[2])
    products = (w.reshape(-1, v.size) @ columns).reshape(3, len(points), 3)
    found = [_put_together(first, second, third) for first, second, third in zip(*products.tolist(), strict=True)]
    dominated = [i for i, m in enumerate(found) if m.s2 > DOMINATED * m.s1 * m.s1]
    if dominated:
        traces = exact_traces(w[0, dominated])
        for i, tr_p, tr_pp in zip(dominated, traces[0].tolist(), traces[1].tolist(), strict=True):
            found[i] = found[i]._replace(tr_p=tr_p, tr_pp=tr_pp)
    return found


def _put_together(first: list[float], second: list[float], third: list[float]) -> Moments:
    """Return the sums from those of ``w``, ``w^2`` and ``w^3`` with ``1, y, y^2``."""
    (s1, y1, z1), (s2, y2, z2), (s3, y3, z3) = first, second, third
    mean, ratio = y1 / s1, s2 / s1
    q, q2, q3 = z1 - mean * y1, z2 - mean * (2 * y2 - mean * s2), z3 - mean * (2 * y3 - mean * s3)
    return Moments(s1, s2, s1 - ratio, s2 - 2 * s3 / s1 + ratio * ratio, mean, q, q2, q3, y2 - mean * s2)


def _maxima(points: list[float], sums: list[Moments], restricted: bool) -> list[Search]:
    """Return a search for each maximum of the likelihood above zero."""
    curve = cast("Curve", partial(score_excess_of, restricted=restricted))
    signs = [m.q2 > (m.tr_p if restricted else m.s1) for m in sums]
    last = len(points) - 1
    return [_start(curve, i, points, sums) for i, up in enumerate(signs) if up and (i == last or not signs[i + 1])]


def _crossing(points: list[float], sums: list[Moments], target: float) -> Search | None:
    """Return a search for the tau2 at which Q equals the target; None where Q is not above it at zero."""
    below = next((i for i, m in enumerate(sums) if m.q <= target), len(points))
    curve = cast("Curve", partial(q_excess_of, target=target))
    return _start(curve, below - 1, points, sums) if below else None


def _start(curve: Curve, i: int, points: list[float], sums: list[Moments]) -> Search:
    """Return a search between point `i` and the next, started on a cubic through both (on a tangent after the last)."""
    low, (f, slope) = points[i], curve(sums[i])
    if i + 1 == len(points):
        newton = low - f / slope if slope < 0 else 2 * low
        return Search(curve, low, math.inf, newton if newton > low else 2 * low)
    high, (g, slope_g) = points[i + 1], curve(sums[i + 1])
    s, rise = f / (f - g), g - f
    t = low + s * (high - low)
    if slope < 0 and slope_g < 0:
        ends = low * (1 + 2 * s) * (1 - s) ** 2 + high * s * s * (3 - 2 * s)
        cubic = ends + rise * s * (1 - s) * ((1 - s) / slope - s / slope_g)
        t = cubic if low < cubic < high else t
    return Search(curve, low, high, t)


def _solve(searches: list[Search], columns: Array, v: Array) -> None:
    """Move all searches to their roots, those that are done leaving the work."""
    for iteration in range(MAX_ITERATIONS):
        if not searches:
            return
        sums = sums_at(columns, v, [x.t for x in searches])
        bisect = iteration >= BISECT_AFTER
        searches = [x for x, m in zip(searches, sums, strict=True) if not x.step(m, bisect=bisect)]
    raise ConvergenceError(f"one fit did not converge in {MAX_ITERATIONS} steps; please report this data set")


def _highest(roots: list[float], y: Array, v: Array, at_zero: Moments, restricted: bool) -> float:
    """Return the highest of the maxima, zero being one when the likelihood falls there."""
    rising = at_zero.q2 > (at_zero.tr_p if restricted else at_zero.s1)
    candidates = roots if rising else [0.0, *roots]
    if len(candidates) == 1:
        return candidates[0]
    return max(candidates, key=lambda t: float(log_likelihood(y, v, t, restricted=restricted)))
