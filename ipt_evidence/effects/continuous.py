"""Effect sizes of means and standard deviations of two independent groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, ndtr

from ipt_evidence.effects.choices import Correction, VarianceType
from ipt_evidence.effects.estimates import Estimates, FloatArray, as_floats, estimates
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose

# Above this many degrees of freedom the difference of two log-gammas loses digits by cancellation, while the
# series is exact to 1e-15 from here on.
SERIES_FROM_DF = 200.0


def hedges_j(df: ArrayLike, *, correction: Correction = "exact") -> FloatArray:
    """Return the factor J that removes the small-sample bias of a standardised mean difference.

    Parameters
    ----------
    df : array_like
        Degrees of freedom of the standard deviation; the result is NaN at or below 1.
    correction : {"exact", "approximate", "none"}
        Ratio of gamma functions, ``1 - 3 / (4 df - 1)``, or 1.

    Raises
    ------
    OptionError
        `correction` is not among its choices.

    References
    ----------
    Hedges LV. Distribution theory for Glass's estimator of effect size and related estimators. J Educ Stat
    1981;6:107-128. doi:10.3102/10769986006002107

    Examples
    --------
    >>> float(hedges_j(10).round(6)), float(hedges_j(10, correction="approximate").round(6))
    (0.922746, 0.923077)
    """
    choose("correction", correction, Correction)
    (m,) = as_floats(df)
    if correction == "none":
        return np.ones_like(m)
    m = np.where(m > 1, m, np.nan)
    if correction == "approximate":
        return 1 - 3 / (4 * m - 1)
    z = (m - 1) / 2
    with np.errstate(over="ignore", invalid="ignore"):
        gammas = np.exp(gammaln(m / 2) - gammaln(z)) / np.sqrt(m / 2)
    series = 1 - 1 / (8 * z) + 1 / (128 * z**2) + 5 / (1024 * z**3) - 21 / (32768 * z**4) - 399 / (262144 * z**5)
    return np.where(m < SERIES_FROM_DF, gammas, np.sqrt((m - 1) / m) * series)


def cohen_d(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> FloatArray:
    """Return (mean_1 - mean_2) / pooled standard deviation, without bias correction.

    Examples
    --------
    >>> float(cohen_d(mean_1=12, sd_1=2, n_1=10, mean_2=10, sd_2=2, n_2=10))
    1.0
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (m1 - m2) / np.sqrt(((n1 - 1) * s1**2 + (n2 - 1) * s2**2) / (n1 + n2 - 2))


def smd_from_d(
    d: ArrayLike,
    *,
    n_1: ArrayLike,
    n_2: ArrayLike,
    variance: VarianceType = "LS",
    correction: Correction = "exact",
) -> Estimates:
    """Return g = J d and its sampling variance from Cohen's d and the group sizes.

    Parameters
    ----------
    d : array_like
        Standardised mean difference without bias correction.
    n_1, n_2 : array_like
        Persons in each group, at least 2.
    variance : {"LS", "LS2", "UB", "AV", "H0"}
        ``LS``: 1/n1 + 1/n2 + g^2 / (2N). ``LS2``: J^2 (1/n1 + 1/n2 + d^2 / (2N)). ``UB``: unbiased. ``AV``: as LS with
        the average of all g, weighted by N, so that it depends on the other entries. ``H0``: 1/n1 + 1/n2.
    correction : {"exact", "approximate", "none"}
        Form of J; ``none`` leaves d as it is (then ``LS2`` and ``UB`` have no meaning).

    Raises
    ------
    OptionError
        An option is not among its choices, or ``LS2`` or ``UB`` with ``correction="none"``.

    References
    ----------
    Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Academic Press, 1985, chapter 5.
    Viechtbauer W. Approximate confidence intervals for standardized effect sizes in the two-independent and
    two-dependent samples design. J Educ Behav Stat 2007;32:39-60. doi:10.3102/1076998606298034

    Examples
    --------
    >>> e = smd_from_d(0.5, n_1=20, n_2=22)
    >>> float(e.effect.round(6)), float(e.variance.round(6))
    (0.490556, 0.098319)
    """
    choose("variance", variance, VarianceType)
    if correction == "none" and variance in ("LS2", "UB"):
        raise OptionError(
            f"variance={variance!r} needs correction='exact' or 'approximate'; with 'none' use LS, AV or H0"
        )
    d, n1, n2 = as_floats(d, n_1, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        df, total, null = n1 + n2 - 2, n1 + n2, 1 / n1 + 1 / n2
        j = hedges_j(df, correction=correction)
        g = j * d
        if variance == "H0":
            return estimates(g, null + 0 * g)
        if variance == "LS2":
            return estimates(g, j**2 * (null + d**2 / (2 * total)))
        if variance == "UB":
            return estimates(g, null + (1 - (df - 2) / (df * j**2)) * g**2)
        if variance == "AV":
            used = np.isfinite(g) & np.isfinite(total)
            average = np.sum(total[used] * g[used]) / np.sum(total[used])
            return estimates(g, null + average**2 / (2 * total))
        return estimates(g, null + g**2 / (2 * total))


def smd(
    *,
    mean_1: ArrayLike,
    sd_1: ArrayLike,
    n_1: ArrayLike,
    mean_2: ArrayLike,
    sd_2: ArrayLike,
    n_2: ArrayLike,
    variance: VarianceType = "LS",
    correction: Correction = "exact",
) -> Estimates:
    """Return the standardised mean difference (Hedges' g): :func:`cohen_d`, then :func:`smd_from_d`.

    Examples
    --------
    >>> e = smd(mean_1=10.2, sd_1=4.1, n_1=25, mean_2=14.9, sd_2=5, n_2=28)
    >>> float(e.effect.round(6)), float(e.variance.round(6))
    (-1.006963, 0.08528)
    """
    d = cohen_d(mean_1=mean_1, sd_1=sd_1, n_1=n_1, mean_2=mean_2, sd_2=sd_2, n_2=n_2)
    return smd_from_d(d, n_1=n_1, n_2=n_2, variance=variance, correction=correction)


def smdh(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Estimates:
    """Return the mean difference over the root mean variance, for groups of unequal variance.

    References
    ----------
    Bonett DG. Confidence intervals for standardized linear contrasts of means. Psychol Methods 2008;13:99-109.
    doi:10.1037/1082-989X.13.2.99
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = (s1**2 + s2**2) / 2
        g = hedges_j(n1 + n2 - 2) * (m1 - m2) / np.sqrt(square)
        of_sd = g**2 * (s1**4 / (n1 - 1) + s2**4 / (n2 - 1)) / (8 * square**2)
        return estimates(g, of_sd + (s1**2 / (n1 - 1) + s2**2 / (n2 - 1)) / square)


def smd1(*, mean_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike) -> Estimates:
    """Return Glass' delta: the mean difference over the standard deviation of group 2, bias corrected.

    References
    ----------
    Glass GV. Primary, secondary, and meta-analysis of research. Educ Res 1976;5(10):3-8. doi:10.3102/0013189X005010003
    """
    m1, n1, m2, s2, n2 = as_floats(mean_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = hedges_j(n2 - 1) * (m1 - m2) / s2
        return estimates(g, 1 / n1 + 1 / n2 + g**2 / (2 * n2))


def md(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Estimates:
    """Return the mean difference in the unit of the instrument; variances are not assumed equal.

    Examples
    --------
    >>> e = md(mean_1=12, sd_1=2, n_1=10, mean_2=10, sd_2=2, n_2=10)
    >>> float(e.effect), float(e.variance)
    (2.0, 0.8)
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimates(m1 - m2, s1**2 / n1 + s2**2 / n2)


def rom(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Estimates:
    """Return the log ratio of means, bias corrected to second order; NaN unless both means have one sign.

    References
    ----------
    Lajeunesse MJ. Bias and correction for the log response ratio in ecological meta-analysis. Ecology
    2015;96:2056-2063. doi:10.1890/14-2402.1
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        part_1, part_2 = s1**2 / (n1 * m1**2), s2**2 / (n2 * m2**2)
        return estimates(np.log(m1 / m2) + (part_1 - part_2) / 2, part_1 + part_2)


def cvr(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Estimates:
    """Return the log ratio of coefficients of variation; NaN unless both means are positive.

    Notes
    -----
    The effect carries the bias terms of both the standard deviations and the means (Senior 2020); the variance is the
    first-order one (Nakagawa 2015), for scores whose mean and standard deviation are unrelated. metafor does the same.

    References
    ----------
    Nakagawa S, Poulin R, Mengersen K, et al. Meta-analysis of variation: ecological and evolutionary applications and
    beyond. Methods Ecol Evol 2015;6:143-152. doi:10.1111/2041-210X.12309
    Senior AM, Viechtbauer W, Nakagawa S. Revisiting and expanding the meta-analysis of variation: the log coefficient
    of variation ratio. Res Synth Methods 2020;11:553-567. doi:10.1002/jrsm.1423
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    m1, m2 = np.where(m1 > 0, m1, np.nan), np.where(m2 > 0, m2, np.nan)
    spread = vr(sd_1=s1, n_1=n1, sd_2=s2, n_2=n2)
    means = rom(mean_1=m1, sd_1=s1, n_1=n1, mean_2=m2, sd_2=s2, n_2=n2)
    return estimates(spread.effect - means.effect, spread.variance + means.variance)


def vr(*, sd_1: ArrayLike, n_1: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike) -> Estimates:
    """Return the log ratio of standard deviations, bias corrected.

    References
    ----------
    Nakagawa S, Poulin R, Mengersen K, et al. Meta-analysis of variation: ecological and evolutionary applications and
    beyond. Methods Ecol Evol 2015;6:143-152. doi:10.1111/2041-210X.12309
    """
    s1, n1, s2, n2 = as_floats(sd_1, n_1, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        half_1, half_2 = 1 / (2 * (n1 - 1)), 1 / (2 * (n2 - 1))
        return estimates(np.log(s1 / s2) + half_1 - half_2, half_1 + half_2)


def cles(
    *, mean_1: ArrayLike, sd_1: ArrayLike, n_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n_2: ArrayLike
) -> Estimates:
    """Return the common language effect size: the probability that a person of group 1 scores above one of group 2.

    Notes
    -----
    Phi((mean_1 - mean_2) / S) with S^2 = sd_1^2 + sd_2^2, for normal scores of unequal variance. The variance is the
    delta method: with z the argument of Phi, phi(z)^2 [ (sd_1^2/n_1 + sd_2^2/n_2) / S^2 + z^2 (sd_1^4/(n_1 - 1) +
    sd_2^4/(n_2 - 1)) / (2 S^4) ]. metafor computes its CLES from ranks, never from means.

    References
    ----------
    McGraw KO, Wong SP. A common language effect size statistic. Psychol Bull 1992;111:361-365.
    doi:10.1037/0033-2909.111.2.361

    Examples
    --------
    >>> float(cles(mean_1=69.7, sd_1=2.8, n_1=50, mean_2=64.3, sd_2=2.6, n_2=50).effect.round(2))
    0.92
    """
    m1, s1, n1, m2, s2, n2 = as_floats(mean_1, sd_1, n_1, mean_2, sd_2, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        square = s1**2 + s2**2
        z = (m1 - m2) / np.sqrt(square)
        of_z = (s1**2 / n1 + s2**2 / n2) / square
        of_z += z**2 * (s1**4 / (n1 - 1) + s2**4 / (n2 - 1)) / (2 * square**2)
        return estimates(ndtr(z), np.exp(-(z**2)) / (2 * np.pi) * of_z)
