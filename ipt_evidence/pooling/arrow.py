"""Maximise a sum of log-likelihoods, one per trial, over shared parameters and at most one of each trial's own.

The matrix of second derivatives is an arrow (a small block for what is shared, a diagonal for what is not), so a Newton
step costs one small system. Derivatives are central differences of order four (mixed ones of order two), which the
quadrature's smooth values give to about nine digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ipt_evidence.pooling.kernel import Array

STEP = 1e-3
DECREMENT = 1e-20
# Below this a step gains less than rounding takes from the likelihood, so it is taken unseen, while steps shrink.
CLOSE = 1e-11
MAX_STEPS = 100
LONGEST = 2.0
Function = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True)
class Slopes:
    """Value and derivatives: ``shared`` by the free shared parameters, ``own`` by the trials' own (``k`` or none)."""

    value: float
    shared: Array
    own: Array
    shared_shared: Array
    shared_own: Array
    own_own: Array


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where the likelihood is highest.

    Attributes
    ----------
    shared, own : numpy.ndarray
        Shared parameters (all, also those held fixed) and the trials' own.
    log_likelihood : float
        At the maximum.
    slopes : Slopes
        Derivatives there.
    converged : bool
        Whether the Newton decrement fell below its tolerance and the point is a maximum.
    """

    shared: Array
    own: Array
    log_likelihood: float
    slopes: Slopes
    converged: bool

    @property
    def covariance(self) -> Array:
        """Covariance of the free shared parameters: inverse observed information, the trials' own profiled out."""
        return np.asarray(np.linalg.inv(-_reduced(self.slopes)))

    @property
    def own_covariance(self) -> Array:
        """Covariance of the trials' own parameters."""
        s = self.slopes
        slope = s.shared_own / s.own_own
        return np.asarray(np.diag(-1 / s.own_own) + slope.T @ self.covariance @ slope)


def _reduced(s: Slopes) -> Array:
    """Return the Hessian of the profile likelihood of the shared parameters."""
    if s.own.size == 0:
        return s.shared_shared
    return np.asarray(s.shared_shared - (s.shared_own / s.own_own) @ s.shared_own.T)


def maximise(function: Function, shared: Array, own: Array, *, free: tuple[int, ...], with_own: bool) -> Maximum:
    """Return a local maximum, by Newton's method with step halving.

    Parameters
    ----------
    function : callable
        ``(shared (B, s), own (B, k)) -> (B, k)`` log-likelihoods of the trials.
    shared, own : numpy.ndarray
        Start, shape ``(s,)`` and ``(k,)``.
    free : tuple of int
        Which shared parameters move.
    with_own : bool
        Whether the trials' own parameters move.
    """
    now = _derivatives(function, shared, own, free, with_own)
    converged, before = False, np.inf
    for _ in range(MAX_STEPS):
        move_shared, move_own, decrement, concave = _newton(now)
        close = decrement <= CLOSE * (1 + abs(now.value))
        if decrement <= DECREMENT * (1 + abs(now.value)) or (close and decrement >= before):
            converged = concave
            break
        before = decrement
        step = np.zeros(shared.size)
        step[list(free)] = move_shared
        longest = max(float(np.abs(move_shared).max(initial=0.0)), float(np.abs(move_own).max(initial=0.0)))
        length = min(1.0, LONGEST / longest)
        for _ in range(40):
            tried = (shared + length * step, own + length * move_own if with_own else own)
            value = float(function(tried[0][None], tried[1][None]).sum())
            if value > now.value or close:
                break
            length *= 0.5
        else:
            break
        shared, own = tried
        now = _derivatives(function, shared, own, free, with_own)
    return Maximum(shared, own, now.value, now, converged)


def _newton(s: Slopes) -> tuple[Array, Array, float, bool]:
    """Return an ascent step, the Newton decrement, and whether the likelihood is concave here."""
    own_own = -np.maximum(np.abs(s.own_own), 1e-12)
    concave = bool((s.own_own < 0).all())
    slope = s.shared_own / own_own
    gradient = s.shared - slope @ s.own
    values, vectors = np.linalg.eigh(s.shared_shared - slope @ s.shared_own.T)
    concave = concave and bool((values < 0).all())
    curvature = np.maximum(np.abs(values), 1e-8 * max(1.0, float(np.abs(values).max(initial=0.0))))
    along = vectors.T @ gradient
    move = vectors @ (along / curvature)
    move_own = -(s.own / own_own) - slope.T @ move
    decrement = float((along**2 / curvature).sum() + (s.own**2 / -own_own).sum())
    return move, move_own, decrement, concave


def _derivatives(function: Function, shared: Array, own: Array, free: tuple[int, ...], with_own: bool) -> Slopes:
    """Return value, gradient and Hessian at a point by finite differences."""
    s, d = len(free), len(free) + int(with_own)
    pairs = list(combinations(range(d), 2))
    unit = np.eye(d) * STEP
    offsets = [np.zeros(d)]
    for axis in range(d):
        offsets += [m * unit[axis] for m in (-2, -1, 1, 2)]
    for i, j in pairs:
        offsets += [p * unit[i] + q * unit[j] for p, q in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
    moves = np.array(offsets)
    points = np.repeat(shared[None], len(moves), axis=0)
    points[:, list(free)] += moves[:, :s]
    owns = own[None] + (moves[:, s:] if with_own else np.zeros((len(moves), 1)))
    f = function(points, owns)
    axes = f[1 : 1 + 4 * d].reshape(d, 4, -1)
    first = (axes[:, 0] - 8 * axes[:, 1] + 8 * axes[:, 2] - axes[:, 3]) / (12 * STEP)
    second = np.zeros((d, d, f.shape[1]))
    for axis in range(d):
        m2, m1, p1, p2 = axes[axis]
        second[axis, axis] = (-m2 + 16 * m1 - 30 * f[0] + 16 * p1 - p2) / (12 * STEP**2)
    for (i, j), four in zip(pairs, f[1 + 4 * d :].reshape(-1, 4, f.shape[1]), strict=True):
        second[i, j] = second[j, i] = (four[0] - four[1] - four[2] + four[3]) / (4 * STEP**2)
    none = np.zeros(0)
    return Slopes(
        float(f[0].sum()),
        first[:s].sum(axis=1),
        first[s] if with_own else none,
        second[:s, :s].sum(axis=-1),
        second[:s, s] if with_own else np.zeros((s, 0)),
        second[s, s] if with_own else none,
    )
