"""All statistics of one data set, from two arrays and the settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import chdtri

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.henmi_copas import henmi_copas
from ipt_evidence.pooling.intervals import (
    Heterogeneity,
    MeanInterval,
    common_moments,
    heterogeneity,
    kenward_roger,
    mean_interval,
    prediction_interval,
    q_p_value,
)
from ipt_evidence.pooling.moments import Array, Moments, moments
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.single import tau2_and_limits
from ipt_evidence.pooling.tau2 import (
    QUADRATIC,
    tau2_error_of,
    tau2_std_error,
)
from ipt_evidence.pooling.tau2_intervals import generalised_q, profile_likelihood

NAN = float("nan")
LOG_2PI = math.log(2 * math.pi)
NO_LIMITS = (NAN, NAN)
NOTHING = MeanInterval(NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN)
NO_HETEROGENEITY = Heterogeneity(NAN, NAN, NAN, NAN)


@dataclass(frozen=True, slots=True)
class Numbers:
    """All statistics of one fit, before they are put into a record; plain numbers except the weights.

    Attributes
    ----------
    k : int
        Number of studies.
    mean : MeanInterval
        Pooled mean with its interval.
    tau2, tau2_se, tau2_ci : float, float, tuple of float
        Between-study variance, its standard error and limits.
    het : Heterogeneity
        I2 and H2.
    prediction : tuple of float
        Limits of the prediction interval.
    q, q_df, q_p, log_likelihood : float
        Cochran's Q with its degrees of freedom and p-value; (restricted) log-likelihood at the estimates.
    weights, weights_common : numpy.ndarray
        Weights in percent of the pooled mean and of the common-effect mean, shape ``(k,)``.
    """

    k: int
    mean: MeanInterval
    tau2: float
    tau2_se: float
    tau2_ci: tuple[float, float]
    het: Heterogeneity
    prediction: tuple[float, float]
    q: float
    q_df: int
    q_p: float
    log_likelihood: float
    weights: Array
    weights_common: Array


def compute(y: Array, v: Array, method: PoolMethod, tau2: float | None = None) -> Numbers:
    """Return the statistics of one data set.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances, shape ``(k,)``; `k` may be zero or one.
    method : PoolMethod
        The settings.
    tau2 : float, optional
        A between-study variance to use instead of estimating one; it then has no standard error and no interval.
    """
    if y.size < 2:
        return _without_heterogeneity(y, v, method)
    k, level = float(y.size), method.level
    common = common_moments(y, v)
    heterogeneous = method.tau2_method != "EE"
    estimated = heterogeneous and tau2 is None
    t, limits = _tau2(y, v, method) if estimated else (tau2 or 0.0, NO_LIMITS)
    sums = moments(y, v, t, third=True)
    mean = _mean(y, v, sums, k, method)
    het = heterogeneity(common, k, t, limits, method.i2_method if heterogeneous else "q", level)
    error = mean.std_error if method.prediction_se == "ci" else mean.wald_std_error
    rule = method.prediction_df
    prediction = prediction_interval(mean.estimate, error, t, k, mean.df, rule, level) if heterogeneous else NO_LIMITS
    se = _tau2_error(y, v, t, sums, method.tau2_method) if estimated else NAN
    q_p = float(q_p_value(common.q, k))
    total = v + t
    height = _height(total, sums, restricted=method.tau2_method == "REML")
    own = (100 / common.s1) / v
    weights = own if method.ci_method == "henmi-copas" else (100 / sums.s1) / total
    ends = (float(prediction[0]), float(prediction[1]))
    return Numbers(y.size, mean, t, se, limits, het, ends, float(common.q), y.size - 1, q_p, height, weights, own)


def _without_heterogeneity(y: Array, v: Array, method: PoolMethod) -> Numbers:
    """Return what one study, or none, has to say: nothing about heterogeneity."""
    weights = np.full(y.size, 100.0)
    mean = mean_interval(moments(y, v, 0.0), 1.0, "wald", method.level) if y.size else NOTHING
    return Numbers(y.size, mean, NAN, NAN, NO_LIMITS, NO_HETEROGENEITY, NO_LIMITS, NAN, 0, NAN, NAN, weights, weights)


def _tau2_error(y: Array, v: Array, t: float, sums: Moments, method: Tau2Method) -> float:
    """Return the standard error of tau2."""
    if method in QUADRATIC:
        return float(tau2_std_error(y[None], v[None], np.array([t]), method)[0])
    return float(tau2_error_of(sums, float(y.size), method))


def _height(total: Array, sums: Moments, *, restricted: bool) -> float:
    """Return the (restricted) log-likelihood from the total variances and the sums at tau2.

    As :func:`ipt_evidence.pooling.kernel.log_likelihood`.
    """
    k = total.size
    value = -0.5 * (float(np.add.reduce(np.log(total))) + float(sums.q) + k * LOG_2PI)
    return value - 0.5 * (math.log(sums.s1) - math.log(k) - LOG_2PI) if restricted else value


def _mean(y: Array, v: Array, sums: Moments, k: float, method: PoolMethod) -> MeanInterval:
    """Return the pooled mean with the interval asked for."""
    if method.ci_method == "henmi-copas":
        fit = henmi_copas(y, v, level=method.level)
        z = fit.estimate / fit.std_error
        return MeanInterval(
            fit.estimate, fit.std_error, fit.ci_low, fit.ci_high, z, fit.p_value, float("inf"), fit.std_error
        )
    if method.ci_method == "kr":
        return kenward_roger(sums, method.level)
    return mean_interval(sums, k, method.ci_method, method.level)


def _tau2(y: Array, v: Array, method: PoolMethod) -> tuple[float, tuple[float, float]]:
    """Return tau2 and its interval, by the methods asked for."""
    kind, level = method.tau2_ci_method, method.level
    if kind == "qprofile":
        tau2, limits = tau2_and_limits(y, v, method.tau2_method, q_profile_targets(level, y.size))
        return tau2, (limits[0], limits[1])
    tau2 = tau2_and_limits(y, v, method.tau2_method)[0]
    if kind == "none":
        return tau2, NO_LIMITS
    if kind == "profile":
        return tau2, profile_likelihood(y, v, tau2, restricted=method.tau2_method == "REML", level=level)
    weights = 1 / v if kind == "biggerstaff-jackson" else 1 / np.sqrt(v)
    return tau2, generalised_q(y, v, weights, level=level)


@lru_cache(maxsize=256)
def q_profile_targets(level: float, k: int) -> tuple[float, float]:
    """Return the values of Q at the limits of the Q-profile interval of tau2 (Viechtbauer 2007)."""
    tail = (1 - level) / 2
    return float(chdtri(k - 1.0, tail)), float(chdtri(k - 1.0, 1 - tail))
