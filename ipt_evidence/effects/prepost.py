"""Effect sizes of one group measured twice: occasion 1 minus occasion 2, with their correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ipt_evidence.effects.continuous import hedges_j
from ipt_evidence.effects.estimates import Estimates, as_floats, estimates


def mc(
    *, mean_1: ArrayLike, sd_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n: ArrayLike, cor: ArrayLike
) -> Estimates:
    """Return the mean change in the unit of the instrument.

    Parameters
    ----------
    mean_1, sd_1, mean_2, sd_2 : array_like
        Mean and standard deviation at the two occasions.
    n : array_like
        Persons measured at both.
    cor : array_like
        Correlation of the two occasions.

    Examples
    --------
    >>> e = mc(mean_1=10.2, sd_1=4.1, mean_2=14.9, sd_2=5, n=25, cor=0.5)
    >>> float(e.effect.round(4)), float(e.variance.round(4))
    (-4.7, 0.8524)
    """
    m1, s1, m2, s2, size, r = as_floats(mean_1, sd_1, mean_2, sd_2, n, cor)
    with np.errstate(divide="ignore", invalid="ignore"):
        return estimates(m1 - m2, (s1**2 + s2**2 - 2 * r * s1 * s2) / size)


def smcc_from_change(change_mean: ArrayLike, *, change_sd: ArrayLike, n: ArrayLike) -> Estimates:
    """Return the mean change over the standard deviation of the change, bias corrected.

    Examples
    --------
    >>> float(smcc_from_change(-4.7, change_sd=4.61627, n=25).effect.round(4))
    -0.9859
    """
    mean, sd, size = as_floats(change_mean, change_sd, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = hedges_j(size - 1) * mean / sd
        return estimates(g, 1 / size + g**2 / (2 * size))


def smcc(
    *, mean_1: ArrayLike, sd_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n: ArrayLike, cor: ArrayLike
) -> Estimates:
    """Return the standardised mean change with change score standardisation; arguments as in :func:`mc`.

    References
    ----------
    Gibbons RD, Hedeker DR, Davis JM. Estimation of effect size from a series of experiments involving paired
    comparisons. J Educ Stat 1993;18:271-279. doi:10.3102/10769986018003271
    """
    change = mc(mean_1=mean_1, sd_1=sd_1, mean_2=mean_2, sd_2=sd_2, n=n, cor=cor)
    (size,) = as_floats(n)
    return smcc_from_change(change.effect, change_sd=np.sqrt(change.variance * size), n=size)


def smcr(*, mean_1: ArrayLike, sd_1: ArrayLike, mean_2: ArrayLike, n: ArrayLike, cor: ArrayLike) -> Estimates:
    """Return the mean change over `sd_1` (raw score standardisation), bias corrected.

    Notes
    -----
    To standardise by the baseline, give its standard deviation as `sd_1` with the later mean as `mean_1`.

    References
    ----------
    Becker BJ. Synthesizing standardized mean-change measures. Br J Math Stat Psychol 1988;41:257-278.
    doi:10.1111/j.2044-8317.1988.tb00901.x
    """
    m1, s1, m2, size, r = as_floats(mean_1, sd_1, mean_2, n, cor)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = hedges_j(size - 1) * (m1 - m2) / s1
        return estimates(g, 2 * (1 - r) / size + g**2 / (2 * size))


def smcrh(
    *, mean_1: ArrayLike, sd_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n: ArrayLike, cor: ArrayLike
) -> Estimates:
    """Return :func:`smcr` with a variance that allows the two occasions to differ in theirs.

    References
    ----------
    Bonett DG. Confidence intervals for standardized linear contrasts of means. Psychol Methods 2008;13:99-109.
    doi:10.1037/1082-989X.13.2.99
    """
    m1, s1, m2, s2, size, r = as_floats(mean_1, sd_1, mean_2, sd_2, n, cor)
    with np.errstate(divide="ignore", invalid="ignore"):
        g = hedges_j(size - 1) * (m1 - m2) / s1
        of_change = (s1**2 + s2**2 - 2 * r * s1 * s2) / (s1**2 * (size - 1))
        return estimates(g, of_change + g**2 / (2 * (size - 1)))


def romc(
    *, mean_1: ArrayLike, sd_1: ArrayLike, mean_2: ArrayLike, sd_2: ArrayLike, n: ArrayLike, cor: ArrayLike
) -> Estimates:
    """Return the log ratio of the two means, bias corrected to second order.

    References
    ----------
    Lajeunesse MJ. Bias and correction for the log response ratio in ecological meta-analysis. Ecology
    2015;96:2056-2063. doi:10.1890/14-2402.1
    """
    m1, s1, m2, s2, size, r = as_floats(mean_1, sd_1, mean_2, sd_2, n, cor)
    with np.errstate(divide="ignore", invalid="ignore"):
        part_1, part_2 = s1**2 / (size * m1**2), s2**2 / (size * m2**2)
        shared = 2 * r * s1 * s2 / (size * m1 * m2)
        return estimates(np.log(m1 / m2) + (part_1 - part_2) / 2, part_1 + part_2 - shared)
