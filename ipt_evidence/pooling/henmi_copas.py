"""The interval of Henmi and Copas: the common-effect estimate with an interval that allows for heterogeneity.

References
----------
Henmi M, Copas JB. Confidence intervals for random effects meta-analysis and robustness to publication bias. Stat Med
2010;29:2969-2983. doi:10.1002/sim.4029
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammainc

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.pooling.moments import Array, Moments, moments

REACH = 12.0
_points, _weights = np.polynomial.legendre.leggauss(200)
NODES, WEIGHTS = 0.5 * (_points + 1), 0.5 * _weights


@dataclass(frozen=True, slots=True)
class HenmiCopas:
    """Estimate with common-effect weights, standard error under heterogeneity, interval, p-value of no effect."""

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    critical: float
    p_value: float


def henmi_copas(y: Array, v: Array, *, level: float) -> HenmiCopas:
    """Return the Henmi-Copas estimate and interval.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances, shape ``(k,)``, at least two studies.
    level : float
        Confidence level.

    Raises
    ------
    NotEstimableError
        Effects and variances leave the range of numbers.

    Notes
    -----
    With weights ``w = 1/v`` and ``W_r = sum w^r``, the pivot is ``U = R / sqrt(1 + t W_2 / W_1)``, where
    ``R = sqrt(W_1) (estimate - mu)`` has variance ``1 + tau2 W_2 / W_1`` and ``t`` is DerSimonian and Laird's estimate,
    a function of Cochran's Q. Given ``R = r`` the effects are normal, so Q is a quadratic form with known mean and
    variance; as in the paper it is taken as gamma with these moments. The critical value solves
    ``P(|U| > c) = 1 - level`` with tau2 at its estimate.
    """
    common = moments(y, v, 0.0, third=True)
    w, df = 1 / v, y.size - 1
    w1, w2, estimate, divisor = (float(x) for x in (common.s1, common.s2, common.mean, common.tr_p))
    tau2 = max(0.0, (float(common.q) - df) / divisor)
    spread = 1 + tau2 * w2 / w1
    q = _q_given_r(w, common, tau2)

    def outside(critical: float) -> float:
        # beyond |r| = critical the pivot exceeds it only if Q is too small to widen the interval enough
        r = critical + NODES * REACH * np.sqrt(spread)
        limit = df + divisor * ((r / critical) ** 2 - 1) * w1 / w2
        mean, variance = q.mean_0 + q.mean_2 * r**2, q.variance_0 + q.variance_2 * r**2
        small = gammainc(mean**2 / variance, limit * mean / variance)
        density = np.exp(-0.5 * r**2 / spread) / np.sqrt(2 * np.pi * spread)
        return 2 * REACH * float(np.sqrt(spread)) * float(WEIGHTS @ (small * density))

    critical = _critical(outside, 1 - level)
    std_error = float(np.sqrt(spread / w1))
    half = critical * std_error
    p_value = outside(abs(estimate) / std_error) if estimate else 1.0
    return HenmiCopas(estimate, std_error, estimate - half, estimate + half, critical, p_value)


class Conditional(NamedTuple):
    """Moments of Q given ``R = r``: ``mean_0 + mean_2 r^2`` and ``variance_0 + variance_2 r^2``."""

    mean_0: float
    mean_2: float
    variance_0: float
    variance_2: float


def _q_given_r(w: Array, common: Moments, tau2: float) -> Conditional:
    """Return the moments of ``Q = y'Ay``, ``A = diag(w) - w w' / sum(w)``, given the linear form R.

    Parameters
    ----------
    w : numpy.ndarray
        ``1 / v``.
    common : Moments
        Sums at tau2 = 0, of third order too.
    tau2 : float
        Between-study variance.

    Notes
    -----
    Given ``R = r`` the effects are normal with mean ``a r / spread`` and covariance ``C = S - a a' / spread``, where
    ``S = V + tau2 I`` and ``a = cov(y, R)``; then ``E Q = m'Am + tr(A C)`` and ``Var Q = 2 tr(ACAC) + 4 m'ACAm``. As
    ``A 1 = 0`` and ``AVA = A``, with ``u = tau2 w`` these are sums of positive terms: ``tr(AS) = k - 1 + tau2 tr(A)``,
    ``tr(ASAS) = k - 1 + 2 tau2 tr(A) + tau2^2 tr(AA)``, and ``a'Aa`` and ``a'ASAa`` are sums over ``u - mean(u)``,
    which for the largest weight is taken from the others, since it loses its digits where one weight dwarfs them.
    """
    s1, s2, tr_a, tr_aa = (float(x) for x in (common.s1, common.s2, common.tr_p, common.tr_pp))
    at = int(w.argmax())
    away = w - s2 / s1
    away[at] = float(w @ (w[at] - w)) / s1
    u, away, spread = tau2 * w, tau2 * away, 1 + tau2 * s2 / s1
    form = float((w / s1) @ (away * away))
    sigma_form = form + float((w / s1 * u) @ (away * away))
    trace = w.size - 1 + tau2 * tr_a
    trace_2 = w.size - 1 + 2 * tau2 * tr_a + tau2**2 * tr_aa
    return Conditional(
        trace - form / spread,
        form / spread**2,
        2 * (trace_2 - 2 * sigma_form / spread + (form / spread) ** 2),
        4 * max(sigma_form - form**2 / spread, 0.0) / spread**2,
    )


def _critical(outside: Callable[[float], float], alpha: float) -> float:
    """Return the point beyond which the pivot lies with probability `alpha`."""
    from scipy.optimize import brentq

    low, high = 0.1, 2.0
    if not np.isfinite([outside(low), outside(high)]).all():
        raise NotEstimableError(
            "the Henmi-Copas interval leaves the range of numbers here; choose another ci_method, such as 'hksj'"
        )
    while outside(high) > alpha:
        high *= 2
    while outside(low) < alpha:
        low /= 2
    return float(brentq(lambda c: outside(c) - alpha, low, high, xtol=1e-14, rtol=8.9e-16))
