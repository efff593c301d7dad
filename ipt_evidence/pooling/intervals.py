"""Intervals around a pooled effect: mean, prediction, tau2, I2. Arrays in, arrays out, many data sets at once.

References
----------
Hartung J, Knapp G. A refined method for the meta-analysis of controlled clinical trials with binary outcome. Stat Med
2001;20:3875-3889. doi:10.1002/sim.1009
Röver C, Knapp G, Friede T. Hartung-Knapp-Sidik-Jonkman approach and its modification for random-effects meta-analysis
with few studies. BMC Med Res Methodol 2015;15:99. doi:10.1186/s12874-015-0091-1
Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum likelihood. Biometrics
1997;53:983-997. doi:10.2307/2533558
Viechtbauer W. Confidence intervals for the amount of heterogeneity in meta-analysis. Stat Med 2007;26:37-52.
doi:10.1002/sim.2514
Higgins JPT, Thompson SG. Quantifying heterogeneity in a meta-analysis. Stat Med 2002;21:1539-1558. doi:10.1002/sim.1186
Higgins JPT, Thompson SG, Spiegelhalter DJ. A re-evaluation of random-effects meta-analysis. J R Stat Soc A
2009;172:137-159. doi:10.1111/j.1467-985X.2008.00552.x
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

import numpy as np
from scipy.special import chdtrc, ndtr, ndtri, stdtr, stdtrit

from ipt_evidence.options import CiMethod, I2Method, PredictionDf
from ipt_evidence.pooling.kernel import Array, Values
from ipt_evidence.pooling.moments import Moments, moments


class MeanSums(Protocol):
    """What the interval of the mean needs: ``sum w``, the weighted mean and ``Q = sum w r^2`` at tau2."""

    @property
    def s1(self) -> Values: ...  # noqa: D102
    @property
    def mean(self) -> Values: ...  # noqa: D102
    @property
    def q(self) -> Values: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """Pooled means and their intervals; every field is a number, or has one value per data set.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, statistic, p_value : float or numpy.ndarray
        On the analysis scale, by the chosen method.
    df : float or numpy.ndarray
        Degrees of freedom of the t distribution; infinite for the normal one.
    wald_std_error : float or numpy.ndarray
        ``1 / sqrt(sum w)``.
    """

    estimate: Values
    std_error: Values
    ci_low: Values
    ci_high: Values
    statistic: Values
    p_value: Values
    df: Values
    wald_std_error: Values


def pick(condition: object, yes: Values, no: Values) -> Values:
    """Return `yes` where the condition holds, else `no`: for numbers as for arrays."""
    if isinstance(condition, (bool, np.bool_)):
        return yes if condition else no
    return np.where(cast("Array", condition), yes, no)


def everywhere(value: float, like: Values) -> Values:
    """Return a value in the shape of another: a number, or an array full of it."""
    return np.full(like.shape, value) if isinstance(like, np.ndarray) else value


def root(x: Values) -> Values:
    """Return the square root: for numbers as for arrays."""
    return cast("Array", np.sqrt(x)) if isinstance(x, np.ndarray) else math.sqrt(x)


def divide(above: Values, below: Values) -> Values:
    """Return the quotient, without complaint where a standard error is zero."""
    if isinstance(below, float) and below:
        return above / below
    with np.errstate(divide="ignore", invalid="ignore"):
        return cast("Values", np.divide(above, below))


def quantile(level: float, df: Values) -> Values:
    """Return the two-sided critical value of the t distribution; of the normal one where ``df`` is infinite."""
    if isinstance(df, float):
        return _quantile(level, df)
    distinct, which = np.unique(df, return_inverse=True)
    finite, upper = np.isfinite(distinct), 0.5 + level / 2
    values: Array = np.where(finite, stdtrit(np.where(finite, distinct, 1.0), upper), ndtri(upper))
    return values[which]


@lru_cache(maxsize=1024)
def _quantile(level: float, df: float) -> float:
    upper = 0.5 + level / 2
    return float(ndtri(upper) if df == np.inf else stdtrit(df, upper))


def two_sided_p(statistic: Values, df: Values) -> Values:
    """Return the two-sided p-value of a t statistic; of a z statistic where ``df`` is infinite."""
    below = -np.abs(statistic)
    if isinstance(df, float):
        return 2 * float(ndtr(below) if df == np.inf else stdtr(df, below))
    return pick(np.isfinite(df), 2 * stdtr(np.where(np.isfinite(df), df, 1.0), below), 2 * ndtr(below))


def mean_interval(s: MeanSums, k: Values, method: CiMethod, level: float) -> MeanInterval:
    """Return the pooled mean with its confidence interval.

    Parameters
    ----------
    s : MeanSums
        Sums at the estimated tau2.
    k : float or numpy.ndarray
        Number of studies. A data set of one study gets its own Wald interval whatever the method.
    method : {"wald", "t", "hksj", "hksj-adhoc"}
        ``"wald"``: normal quantile; ``"t"``: the same error with ``t(k - 1)``; ``"hksj"``: Hartung-Knapp-Sidik-Jonkman;
        ``"hksj-adhoc"``: the same, never narrower in standard error than Wald (Röver 2015).
    level : float
        Confidence level.
    """
    wald = 1.0 / root(s.s1)
    several = k > 1
    df = pick(several, k - 1, np.inf) if method != "wald" else everywhere(np.inf, k)
    std_error = wald
    if method in ("hksj", "hksj-adhoc"):
        factor = pick(several, s.q / pick(several, k - 1, 1.0), 1.0)
        if method == "hksj-adhoc":
            factor = pick(factor > 1, factor, 1.0)
        std_error = wald * root(factor)
    half = quantile(level, df) * std_error
    statistic = divide(s.mean, std_error)
    return MeanInterval(
        s.mean, std_error, s.mean - half, s.mean + half, statistic, two_sided_p(statistic, df), df, wald
    )


def kenward_roger(s: Moments, level: float) -> MeanInterval:
    """Return the interval of Kenward and Roger for a REML fit.

    Parameters
    ----------
    s : Moments
        Sums at the REML estimate, third order included.
    level : float
        Confidence level.

    Notes
    -----
    Kenward & Roger 1997 for one mean and one variance component with expected information ``tr(PP) / 2``, so that
    ``var(tau2) = 2 / tr(PP)``: with ``A = sum(w^2) / sum(w)`` the variance of the mean becomes
    ``1 / sum(w) + 2 var(tau2) (sum(w^3) - sum(w^2) A) / sum(w)^2`` and the degrees of freedom ``2 / (var(tau2) A^2)``;
    the scale factor of the F statistic is one for a single mean. ``sum(w^3)`` is taken from ``tr(PP)``.
    """
    ratio = s.s2 / s.s1
    variance = 2.0 / s.tr_pp
    cubes = 0.5 * s.s1 * (s.s2 + ratio**2 - s.tr_pp)
    wald = 1.0 / np.sqrt(s.s1)
    std_error = np.sqrt(1.0 / s.s1 + 2 * variance * (cubes - s.s2 * ratio) / s.s1**2)
    df = 2.0 / (variance * ratio**2)
    half = quantile(level, df) * std_error
    statistic = s.mean / std_error
    return MeanInterval(
        s.mean, std_error, s.mean - half, s.mean + half, statistic, two_sided_p(statistic, df), df, wald
    )


def prediction_interval(
    estimate: Values, std_error: Values, tau2: Values, k: Values, ci_df: Values, rule: PredictionDf, level: float
) -> tuple[Values, Values]:
    """Return the limits of the effect in a new trial; NaN below three studies.

    Notes
    -----
    ``estimate +- q sqrt(tau2 + std_error^2)`` (Higgins 2009). `rule` names the degrees of freedom of ``q``: ``"k-1"``,
    ``"k-2"``, ``"z"`` (normal) or ``"as-ci"`` (those of the confidence interval, as metafor does).
    """
    df = {"k-1": k - 1, "k-2": k - 2, "z": everywhere(np.inf, k), "as-ci": ci_df}[rule]
    enough = k >= 3
    half = quantile(level, pick(enough, df, 1.0)) * root(tau2 + std_error**2)
    return pick(enough, estimate - half, np.nan), pick(enough, estimate + half, np.nan)


def typical_variance(s: Moments, k: Values) -> Values:
    """Return the 'typical' sampling variance of Higgins & Thompson 2002, eq. 9, from the sums at tau2 = 0.

    Notes
    -----
    ``(k - 1) / (sum(w) - sum(w^2) / sum(w))``, free of cancellation where one weight dwarfs the others.
    """
    return divide(k - 1, s.tr_p)


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """I2 in percent with its interval, and H2; numbers, or one value per data set."""

    i2: Values
    i2_ci_low: Values
    i2_ci_high: Values
    h2: Values


def heterogeneity(
    common: Moments, k: Values, tau2: Values, tau2_ci: tuple[Values, Values], method: I2Method, level: float
) -> Heterogeneity:
    """Return I2 and H2 from tau2 (``"tau2"``) or from Cochran's Q (``"q"``); at least two studies.

    Parameters
    ----------
    common : Moments
        Sums at tau2 = 0.
    tau2, tau2_ci : float or numpy.ndarray, and a tuple of two
        Estimate and limits; the interval of the tau2 form is that of tau2, transformed.
    method : {"tau2", "q"}
        ``"q"``: ``(Q - df) / Q`` with the test-based interval of Higgins & Thompson 2002.
    """
    if method == "q":
        return _from_q(common.q, k, level)
    typical = typical_variance(common, k)
    i2, low, high = (divide(100 * t, t + typical) for t in (tau2, *tau2_ci))
    return Heterogeneity(i2, low, high, divide(tau2, typical) + 1)


def _from_q(q: Values, k: Values, level: float) -> Heterogeneity:
    """Return the Q form; its interval is built on log H (Higgins & Thompson 2002, section 4.2)."""
    df = np.asarray(k, dtype=float) - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        i2 = np.where(q > df, 100 * (q - df) / q, 0.0)
        log_h = 0.5 * np.log(np.maximum(q / df, 1.0))
        large = 0.5 * (np.log(q) - np.log(df)) / (np.sqrt(2 * np.asarray(q)) - np.sqrt(2 * df - 1))
        small = np.sqrt(1 / (2 * (df - 1)) * (1 - 1 / (3 * (df - 1) ** 2)))
        half = ndtri(0.5 + level / 2) * np.where(q > k, large, small)
        low, high = (100 * (1 - np.exp(-2 * np.maximum(x, 0.0))) for x in (log_h - half, log_h + half))
        defined, h2 = df > 1, q / df
    return Heterogeneity(
        np.where(df > 0, i2, np.nan), np.where(defined, low, np.nan), np.where(defined, high, np.nan), h2
    )


def q_p_value(q: Values, k: Values) -> Values:
    """Return the p-value of Cochran's Q; NaN for one study."""
    several = k > 1
    return pick(several, chdtrc(pick(several, k - 1, 1.0), q), np.nan)


def common_moments(y: Array, v: Array) -> Moments:
    """Return the sums of the common-effect model."""
    return moments(y, v, 0.0 if v.ndim == 1 else np.zeros(v.shape[0]))
