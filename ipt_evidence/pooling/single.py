"""One data set: tau2 and the limits of its Q-profile interval, found together from sums that all searches share.

A single fit spends its time on calls, not on arithmetic. The points between which all maxima lie are therefore looked
at in one matrix product, their values give the starting points of all searches, and every step evaluates all searches
at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import cast

import numpy as np
from scipy.special import chdtri

from ipt_evidence.errors import ConvergenceError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.certain_maxima import MAX_HALVINGS, n_steps
from ipt_evidence.pooling.kernel import (
    BISECT_AFTER,
    LAST_STEP,
    MAX_ITERATIONS,
    STEP_TOLERANCE,
    log_likelihood,
    one_zero_at_most,
    q_excess_of,
    score_excess_of,
)
from ipt_evidence.pooling.moments import DOMINATED, Array, Moments, exact_traces
from ipt_evidence.pooling.tau2 import LIKELIHOOD, ROOT_METHODS, estimate_tau2, last_positive

Curve = Callable[[Moments], tuple[float, float]]
Node = tuple[float, float, float]
"""A value of tau2 with the value and the slope of a curve there."""

BEYOND: Node = (math.inf, -math.inf, 0.0)
CACHED_WEIGHTS = 32_768
LAST_TERM = 1e-11
"""Relative: when the last two of the six terms of :func:`_inverse` are below it, what is left is a tenth of it."""


@dataclass(slots=True)
class Search:
    """The root of a curve that is positive at `low` and negative at `high`; `t` is the best value so far.

    Without an upper end `high` is infinite, and the curve is not known there.
    """

    curve: Curve
    low: Node
    high: Node
    t: float

    def step(self, m: Moments, *, bisect: bool) -> bool:
        """Move towards the root; return whether it is reached.

        The next value is that of :func:`_inverse`, or of Newton's step, or the middle, the first inside the bracket.
        """
        t = self.t
        value, slope = self.curve(m)
        if value == 0:
            return True
        here, ends = (t, value, slope), (self.low, self.high)
        if value > 0:
            self.low = here
        else:
            self.high = here
        low, high = self.low[0], self.high[0]
        if not bisect:
            new, error = _inverse(here, *ends)
            if low < new < high:
                self.t = new
                return error <= LAST_TERM * new or abs(new - t) <= LAST_STEP * new
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
    rows = powers(y, v)
    wanted = list(targets)
    if method in ROOT_METHODS:
        wanted.insert(0, float(chdtri(y.size - 1, 0.5)) if method == "PMM" else y.size - 1.0)
    likelihood = method in LIKELIHOOD
    points = scan_points(y, v, smallest * unit**-2) if likelihood else [0.0]
    sums = sums_at(rows, points)
    if likelihood:
        points, sums = _until_certain(points, sums, rows, smallest * unit**-2, method == "REML")
    maxima = _maxima(points, sums, method == "REML") if likelihood else []
    crossings = [_crossing(points, sums, target) for target in wanted]
    _solve([*maxima, *(x for x in crossings if x is not None)], rows)
    roots = [0.0 if x is None else x.t * unit**2 for x in crossings]
    if method in ROOT_METHODS:
        return roots[0], roots[1:]
    if not likelihood:
        return float(estimate_tau2(y[None], v[None], method)[0]) * unit**2, roots
    return _highest([x.t for x in maxima], y, v, sums[0], method == "REML") * unit**2, roots


def powers(y: Array, v: Array) -> Array:
    """Return the rows ``v, 1, y, y^2``, from which :func:`sums_at` makes all sums; center `y` first."""
    found = np.empty((4, y.size))
    found[0] = v
    found[1] = 1.0
    found[2] = y
    np.square(y, found[3])
    return found


def scan_points(y: Array, v: Array, smallest: float) -> list[float]:
    """Return the values of tau2 at which the likelihood is looked at first; only zero where it cannot rise.

    As :func:`ipt_evidence.pooling.tau2.tau2_grid`.
    """
    total, squares = float(np.add.reduce(y)), float(y.dot(y))
    variance = (squares - total * total / y.size) / (y.size - 1)
    spread, mean = float(y[y.argmax()] - y[y.argmin()]), float(np.add.reduce(v)) / v.size
    top = float(last_positive(spread, variance, smallest, mean))
    if top <= 0:
        return [0.0]
    growth = math.log1p(top / smallest)
    n = n_steps(growth)
    return [0.0, *(smallest * math.expm1(growth * i / n) for i in range(1, n + 1))]


def sums_at(rows: Array, points: Sequence[float]) -> list[Moments]:
    """Return the sums of one data set at several values of tau2, from two matrix products.

    Parameters
    ----------
    rows : numpy.ndarray
        From :func:`powers`, shape ``(4, k)``.
    points : sequence of float
        Values of tau2.

    Notes
    -----
    Sums of ``w r^2`` are put together from sums of ``w``, ``w y`` and ``w y^2``. The most precise study, whose weight
    is the largest whatever tau2, lies at zero; so the square of the mean is at most ``k`` times the weighted spread,
    and this loses at most the digits of ``k``. It serves the steps of an iteration; what is reported comes from
    :func:`ipt_evidence.pooling.moments.moments`.
    """
    k = rows.shape[1]
    room = max(1, CACHED_WEIGHTS // k)
    if len(points) > room:
        parts = [points[i : i + room] for i in range(0, len(points), room)]
        return [m for part in parts for m in sums_at(rows, part)]
    w, values = np.empty((3, len(points), k)), np.empty((len(points), 2))
    first, second, third = w
    values[:, 0], values[:, 1] = 1.0, points
    np.matmul(values, rows[:2], first)
    np.reciprocal(first, first)
    np.square(first, second)
    np.multiply(first, second, third)
    products = (w.reshape(-1, k) @ rows[1:].T).reshape(3, len(points), 3)
    found = [_put_together(*x) for x in zip(*products.tolist(), strict=True)]
    dominated = [i for i, m in enumerate(found) if m.s2 > DOMINATED * m.s1 * m.s1]
    if dominated:
        traces = exact_traces(first[dominated])
        for i, tr_p, tr_pp in zip(dominated, traces[0].tolist(), traces[1].tolist(), strict=True):
            found[i] = found[i]._replace(tr_p=tr_p, tr_pp=tr_pp)
    return found


def _put_together(first: list[float], second: list[float], third: list[float]) -> Moments:
    """Return the sums from those of ``w``, ``w^2`` and ``w^3`` with ``1, y, y^2``."""
    (s1, y1, z1), (s2, y2, z2), (s3, y3, z3) = first, second, third
    mean, ratio = y1 / s1, s2 / s1
    q, q2, q3 = z1 - mean * y1, z2 - mean * (2 * y2 - mean * s2), z3 - mean * (2 * y3 - mean * s3)
    return Moments(s1, s2, s1 - ratio, s2 - 2 * s3 / s1 + ratio * ratio, mean, q, q2, q3, y2 - mean * s2)


def _until_certain(
    points: list[float], sums: list[Moments], rows: Array, smallest: float, restricted: bool
) -> tuple[list[float], list[Moments]]:
    """Return the points and others between them, so close that the score changes its sign once at most in between.

    So no maximum of the likelihood is missed; the argument stands in
    :func:`ipt_evidence.pooling.kernel.one_zero_at_most`.
    """
    for _ in range(MAX_HALVINGS):
        wide = [i for i, (a, b) in enumerate(pairwise(sums)) if not one_zero_at_most(a, b, restricted)]
        if not wide:
            break
        new = [math.sqrt((smallest + points[i]) * (smallest + points[i + 1])) - smallest for i in wide]
        both = sorted(zip([*points, *new], [*sums, *sums_at(rows, new)], strict=True), key=lambda x: x[0])
        points, sums = [x[0] for x in both], [x[1] for x in both]
    return points, sums


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
    """Return a search between point `i` and the next, started on a polynomial (on a tangent after the last point)."""
    low, f, slope = a = (points[i], *curve(sums[i]))
    if i + 1 == len(points):
        newton = low - f / slope if slope < 0 else 2 * low
        return Search(curve, a, BEYOND, newton if newton > low else 2 * low)
    high, g, _ = b = (points[i + 1], *curve(sums[i + 1]))
    for other in (i + 2, i - 1):
        if 0 <= other < len(points):
            t, _ = _inverse(a, b, (points[other], *curve(sums[other])))
            if low < t < high:
                return Search(curve, a, b, t)
    return Search(curve, a, b, low + f / (f - g) * (high - low))


def _inverse(a: Node, b: Node, c: Node) -> tuple[float, float]:
    """Return where a curve that falls through three points is zero, and the size of the last two terms.

    Hermite's interpolation of tau2 as a polynomial of the curve's value, by divided differences; NaN where the curve
    does not fall, so that there is no such function.
    """
    (ta, fa, sa), (tb, fb, sb), (tc, fc, sc) = a, b, c
    ab, bc, ac = fb - fa, fc - fb, fc - fa
    if not (sa < 0 and sb < 0 and sc < 0 and (tb - ta) * ab < 0 and (tc - tb) * bc < 0 and (tc - ta) * ac < 0):
        return math.nan, math.nan
    a1, b1, c1, ab1, bc1 = 1 / sa, 1 / sb, 1 / sc, (tb - ta) / ab, (tc - tb) / bc
    aab, abb, bbc, bcc = (ab1 - a1) / ab, (b1 - ab1) / ab, (bc1 - b1) / bc, (c1 - bc1) / bc
    aabb, abbc, bbcc = (abb - aab) / ab, (bbc - abb) / ac, (bcc - bbc) / bc
    fifth, sixth = (abbc - aabb) / ac, (bbcc - abbc) / ac
    sixth = (sixth - fifth) / ac
    squares = fa * fa * fb * fb
    last, very_last = squares * fifth, -squares * fc * sixth
    return ta - fa * a1 + fa * fa * (aab - fb * aabb) + last + very_last, max(abs(last), abs(very_last))


def _solve(searches: list[Search], rows: Array) -> None:
    """Move all searches to their roots, those that are done leaving the work."""
    for iteration in range(MAX_ITERATIONS):
        if not searches:
            return
        sums = sums_at(rows, [x.t for x in searches])
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
