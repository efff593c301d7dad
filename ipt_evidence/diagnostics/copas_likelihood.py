"""The likelihood of the Copas selection model for a given probability of publication of every trial.

Trial i has ``y_i = mu + beta s_i + sigma_i e_i + tau t_i`` and is published when ``u_i + d_i > 0`` with
``u_i = gamma_0 + gamma_1 / s_i`` and ``corr(e_i, d_i) = rho``; ``sigma_i^2 = s_i^2 / (1 - c_i^2 rho^2)`` is the
variance before selection, ``c_i^2 = lambda(u_i) (u_i + lambda(u_i))``, ``lambda = phi / Phi`` (Copas & Shi 2001, eq. 2
to 4).

References
----------
Copas J, Shi JQ. Meta-analysis, funnel plots and sensitivity analysis. Biostatistics 2000;1:247-262.
doi:10.1093/biostatistics/1.3.247
Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat Methods Med Res
2001;10:251-265. doi:10.1177/096228020101000402
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr

from ipt_evidence.diagnostics.selection_likelihood import HALF_LOG_2PI, Flags, hessian, maximise

Array = npt.NDArray[np.float64]
RHO_BOUND = 0.9999


@dataclass(frozen=True, slots=True)
class CopasNumbers:
    """The fit for one pair of selection parameters.

    Attributes
    ----------
    mu, std_error, rho, tau2 : float
        Mean effect, its standard error, correlation with publication, between-study variance.
    log_likelihood : float
        With all constants.
    converged : bool
        Whether the maximum was found.
    """

    mu: float
    std_error: float
    rho: float
    tau2: float
    log_likelihood: float
    converged: bool


def copas_log_likelihood(y: Array, s: Array, u: Array, theta: Array) -> tuple[float, Array]:
    """Return the log-likelihood and its gradient at ``theta = (mu, rho, tau2[, beta])``.

    Parameters
    ----------
    y, s, u : numpy.ndarray
        Effects, standard errors and probits of publication, shape ``(k,)``.
    theta : numpy.ndarray
        Shape ``(3,)``, or ``(4,)`` with the slope by the standard error.
    """
    mu, rho, tau2 = theta[:3]
    e = y - mu - (theta[3] * s if theta.size > 3 else 0.0)
    mills = _mills(u)
    c2 = mills * (u + mills)
    left = 1 - c2 * rho**2
    sigma2 = s**2 / left
    sigma, total = np.sqrt(sigma2), sigma2 + tau2
    a = rho * sigma
    top, bottom = u * total + a * e, total * (total - a**2)
    root = np.sqrt(bottom)
    v = top / root
    value = -0.5 * np.log(total) - e**2 / (2 * total) - log_ndtr(u) + log_ndtr(v) - HALF_LOG_2PI
    pull = _mills(v) / root
    by_total = (e**2 / total - 1) / (2 * total)
    by_mu = e / total - pull * a
    by_tau2 = by_total + pull * (u - 0.5 * top * (2 * total - a**2) / bottom)
    d_total = 2 * c2 * rho * sigma2 / left
    d_a = sigma + rho * d_total / (2 * sigma)
    d_top = u * d_total + e * d_a
    d_bottom = d_total * (2 * total - a**2) - 2 * total * a * d_a
    by_rho = by_total * d_total + pull * (d_top - 0.5 * top * d_bottom / bottom)
    slopes = [by_mu.sum(), by_rho.sum(), by_tau2.sum()] + ([by_mu @ s] if theta.size > 3 else [])
    return float(value.sum()), np.array(slopes, dtype=float)


def _mills(x: Array) -> Array:
    """Return phi / Phi."""
    return np.asarray(np.exp(-0.5 * x**2 - HALF_LOG_2PI - log_ndtr(x)))


def fit_copas(
    y: Array,
    s: Array,
    u: Array,
    starts: Sequence[tuple[float, float, float, float]],
    *,
    sign: float,
    slope: bool = False,
) -> CopasNumbers:
    """Return the maximum-likelihood fit for given probits of publication.

    Parameters
    ----------
    y, s, u : numpy.ndarray
        Effects, standard errors and probits of publication, shape ``(k,)``.
    starts : list of tuple
        Where to begin: ``(mu, rho, tau2, beta)``.
    sign : float
        1 when publication favours high effects (``rho >= 0``), -1 when low ones.
    slope : bool
        Estimate `beta`, which tests for selection that is left over; else it is 0.

    Notes
    -----
    `rho` is kept within 0.9999 of zero and searched as its hyperbolic arctangent. At that bound, or at a tau2 of zero,
    the standard error takes the parameter as known. With both, publication depends on nothing but the result and the
    likelihood has a spike there instead of a regular maximum: `converged` is false and there is no standard error.
    """
    unit = float(np.median(s))
    y, s = y / unit, s / unit
    end, smallest, size = math.atanh(RHO_BOUND), float(s.min()) ** 2, 4 if slope else 3

    def scale(theta: Array) -> Array:
        return np.array([1.0, 1.0, min(1.0, 20 * (smallest + float(theta[2]))), 1.0])[:size]

    def objective(theta: Array) -> tuple[float, Array]:
        natural = theta.copy()
        natural[1] = math.tanh(theta[1])
        with np.errstate(all="ignore"):
            value, gradient = copas_log_likelihood(y, s, u, natural)
        gradient[1] *= 1 - natural[1] ** 2
        return value, gradient

    low = np.array([-np.inf, 0.0 if sign > 0 else -end, 0.0, -np.inf])[:size]
    high = np.array([np.inf, end if sign > 0 else 0.0, np.inf, np.inf])[:size]
    begin = [
        np.array([mu / unit, math.atanh(min(max(rho, -RHO_BOUND), RHO_BOUND)), tau2 / unit**2, beta])[:size]
        for mu, rho, tau2, beta in starts
    ]
    found = maximise(objective, begin, low, high, scale)
    theta = found.theta.copy()
    theta[1] = math.tanh(theta[1])
    spike = bool(found.at_bound[2]) and abs(theta[1]) > RHO_BOUND - 1e-9
    error = math.nan
    if not slope and not spike:
        steps = scale(theta)
        steps[1] = 0.2 * (1 - abs(theta[1])) + 1e-3
        error = _error_of_mean(y, s, u, theta, steps, ~found.at_bound)
    return CopasNumbers(
        mu=float(theta[0]) * unit,
        std_error=error * unit,
        rho=float(theta[1]),
        tau2=float(theta[2]) * unit**2,
        log_likelihood=found.value - y.size * math.log(unit),
        converged=found.converged and math.isfinite(error),
    )


def _error_of_mean(y: Array, s: Array, u: Array, theta: Array, scale: Array, free: Flags) -> float:
    """Return the standard error of the mean from the observed information of the free parameters."""
    with np.errstate(all="ignore"):
        information = -hessian(lambda at: copas_log_likelihood(y, s, u, at), theta, scale, free)
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= 0:
        return math.nan
    return math.sqrt(float(np.linalg.inv(information)[0, 0]))
