"""The points of the profile likelihood of tau2, from the functions that fit it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri

from ipt_evidence.pooling.kernel import Array, log_likelihood
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.tau2 import estimate_tau2
from ipt_evidence.pooling.tau2_intervals import profile_likelihood

POINTS = 401
BEYOND = 1.25


@dataclass(frozen=True, slots=True)
class Tau2Profile:
    """The profile likelihood of tau2.

    Attributes
    ----------
    tau2, height : numpy.ndarray
        Values from zero to beyond the interval, and the log-likelihood minus its maximum.
    maximum, low, high : float
        Where it is largest, and its interval.
    cut : float
        Height at the limits of the interval: minus half a chi-square quantile.
    at_zero : float
        Height at tau2 = 0.
    restricted : bool
        REML or ML.
    level : float
    """

    tau2: Array
    height: Array
    maximum: float
    low: float
    high: float
    cut: float
    at_zero: float
    restricted: bool
    level: float


def profile_of(effect: Array, variance: Array, method: PoolMethod) -> Tau2Profile:
    """Return the profile likelihood of trials: the full one where the fit is by ML, else the restricted one."""
    restricted = method.tau2_method != "ML"
    maximum = float(estimate_tau2(effect[None], variance[None], "REML" if restricted else "ML")[0])
    low, high = profile_likelihood(effect, variance, maximum, restricted=restricted, level=method.level)
    points = np.unique(np.concatenate([np.linspace(0.0, BEYOND * high, POINTS), [maximum, low, high]]))
    batch = np.broadcast_to(effect, (points.size, effect.size))
    heights = np.asarray(log_likelihood(batch, np.broadcast_to(variance, batch.shape), points, restricted=restricted))
    best = float(heights[np.searchsorted(points, maximum)])
    cut = -0.5 * float(chdtri(1, 1 - method.level))
    at_zero = float(heights[0]) - best
    return Tau2Profile(points, heights - best, maximum, low, high, cut, at_zero, restricted, method.level)
