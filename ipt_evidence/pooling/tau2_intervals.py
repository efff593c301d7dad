"""Confidence intervals for the between-study variance beyond the Q-profile: profile likelihood, generalised Q.

References
----------
Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat Med 1996;15:619-629.
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A
Biggerstaff BJ, Jackson D. The exact distribution of Cochran's heterogeneity statistic in one-way random effects
meta-analysis. Stat Med 2008;27:6093-6110. doi:10.1002/sim.3428
Jackson D. Confidence intervals for the between-study variance in random effects meta-analysis using generalised Cochran
heterogeneity statistics. Res Synth Methods 2013;4:220-229. doi:10.1002/jrsm.1081
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import chdtri

from ipt_evidence.pooling.kernel import log_likelihood
from ipt_evidence.pooling.moments import Array
from ipt_evidence.pooling.weighted_chi2 import tail_probability

ROOT_TOLERANCE = 1e-13


def profile_likelihood(y: Array, v: Array, tau2: float, *, restricted: bool, level: float) -> tuple[float, float]:
    """Return the profile likelihood interval of tau2 around its (restricted) maximum-likelihood estimate.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances, shape ``(k,)``.
    tau2 : float
        The maximum of the likelihood.
    restricted : bool
        REML or ML.
    level : float
        Confidence level.

    Notes
    -----
    All tau2 whose log-likelihood lies within half the chi-square quantile of the maximum (Hardy & Thompson 1996); the
    lower limit is zero when zero belongs to them.
    """

    def height(t: float) -> float:
        return float(log_likelihood(y, v, t, restricted=restricted))

    floor = height(tau2) - 0.5 * float(chdtri(1, 1 - level))
    low = 0.0 if height(0.0) >= floor else _root(lambda t: height(t) - floor, 0.0, tau2)
    top = _above(lambda t: floor - height(t), max(tau2, float(np.min(v))))
    return low, _root(lambda t: floor - height(t), tau2, top)


def generalised_q(y: Array, v: Array, weights: Array, *, level: float) -> tuple[float, float]:
    """Return the interval of tau2 from a Cochran-type statistic with fixed weights, by its exact distribution.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances, shape ``(k,)``.
    weights : numpy.ndarray
        ``1 / v`` for Biggerstaff & Jackson 2008, ``1 / sqrt(v)`` for Jackson 2013.
    level : float
        Confidence level.

    Notes
    -----
    The statistic is a positive combination of independent chi-square variables whose coefficients are the
    eigenvalues of ``S^1/2 A S^1/2``. A limit is zero where even tau2 = 0 leaves the statistic too likely; both are
    zero when the set is empty.
    """
    form = np.diag(weights) - np.outer(weights, weights) / weights.sum()
    observed = float(y @ form @ y)
    tail = (1 - level) / 2

    def above(t: float) -> float:
        root = np.sqrt(v + t)
        return tail_probability(np.linalg.eigvalsh(root[:, None] * form * root)[1:], observed)

    return _limit(above, tail, v), _limit(above, 1 - tail, v)


def _limit(above: Callable[[float], float], target: float, v: Array) -> float:
    """Return the tau2 at which the tail probability, which rises with tau2, reaches `target`."""
    if above(0.0) >= target:
        return 0.0
    return _root(lambda t: above(t) - target, 0.0, _above(lambda t: above(t) - target, float(np.median(v))))


def _above(function: Callable[[float], float], start: float) -> float:
    """Return a point at which the rising function is positive, by doubling."""
    top = start
    for _ in range(2000):
        if function(top) > 0:
            return top
        top *= 2
    return top


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(function, low, high, xtol=ROOT_TOLERANCE * high, rtol=8.9e-16, maxiter=500))
