"""Effect sizes of correlations, proportions and rates, and standardised mean differences from test statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import hyp2f1, stdtrit

from ipt_evidence.effects.choices import DEFAULT_ADD, Correction, VarianceType, ZeroCells
from ipt_evidence.effects.continuous import smd_from_d
from ipt_evidence.effects.estimates import Estimates, FloatArray, as_floats, estimates
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose


def correlation(r: ArrayLike, *, n: ArrayLike, measure: str = "ZCOR") -> Estimates:
    """Return a correlation ready for pooling.

    Parameters
    ----------
    r : array_like
        Correlation coefficient.
    n : array_like
        Persons; above 3.
    measure : {"ZCOR", "COR", "UCOR"}
        Fisher's z, the coefficient itself, or the coefficient without its small-sample bias (Olkin and Pratt).

    Raises
    ------
    OptionError
        `measure` is none of these.

    References
    ----------
    Olkin I, Pratt JW. Unbiased estimation of certain correlation coefficients. Ann Math Stat 1958;29:201-211.
    doi:10.1214/aoms/1177706717

    Examples
    --------
    >>> e = correlation(0.5, n=50)
    >>> float(e.effect.round(6)), float(e.variance.round(6))
    (0.549306, 0.021277)
    """
    _one_of(measure, ("ZCOR", "COR", "UCOR"))
    value, size = as_floats(r, n)
    size = np.where(size > 3, size, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "ZCOR":
            return estimates(np.arctanh(value), 1 / (size - 3))
        if measure == "UCOR":
            value = value * hyp2f1(0.5, 0.5, (size - 2) / 2, 1 - value**2)
        return estimates(value, (1 - value**2) ** 2 / (size - 1))


def proportion(
    events: ArrayLike,
    *,
    total: ArrayLike,
    measure: str = "PLO",
    zero_cells: ZeroCells = "only0",
    add: float = DEFAULT_ADD,
) -> Estimates:
    """Return the proportion of one group ready for pooling.

    Parameters
    ----------
    events, total : array_like
        Events and persons.
    measure : {"PLO", "PR", "PLN", "PFT", "PAS"}
        Logit, raw proportion, logarithm, Freeman-Tukey double arcsine, arcsine root.
    zero_cells, add
        As in :func:`~ipt_evidence.effects.binary.cells`; they do not act on the arcsine measures, which are defined at
        0 and 1.

    Raises
    ------
    OptionError
        An option is not among its choices, or would not act on `measure`.

    References
    ----------
    Freeman MF, Tukey JW. Transformations related to the angular and the square root. Ann Math Stat 1950;21:607-611.
    doi:10.1214/aoms/1177729756

    Examples
    --------
    >>> float(proportion(3, total=20).effect.round(6))
    -1.734601
    """
    _one_of(measure, ("PLO", "PR", "PLN", "PFT", "PAS"))
    choose("zero_cells", zero_cells, ZeroCells)
    x, size = as_floats(events, total)
    if measure in ("PFT", "PAS"):
        if zero_cells != "only0" or add != DEFAULT_ADD:
            raise OptionError(f"zero_cells and add do not act on {measure!r}, which is defined at 0 and at 1")
        if measure == "PAS":
            return estimates(np.arcsin(np.sqrt(x / size)), 1 / (4 * size))
        double = np.arcsin(np.sqrt(x / (size + 1))) + np.arcsin(np.sqrt((x + 1) / (size + 1)))
        return estimates(double / 2, 1 / (4 * size + 2))
    rest = size - x
    extra = _extra((x == 0) | (rest == 0), zero_cells, add)
    x, rest = x + extra, rest + extra
    size = x + rest
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "PLO":
            return estimates(np.log(x / rest), 1 / x + 1 / rest)
        if measure == "PLN":
            return estimates(np.log(x / size), 1 / x - 1 / size)
        return estimates(x / size, x * rest / size**3)


def incidence(
    *,
    events_1: ArrayLike,
    time_1: ArrayLike,
    events_2: ArrayLike,
    time_2: ArrayLike,
    measure: str = "IRR",
    zero_cells: ZeroCells = "only0",
    add: float = DEFAULT_ADD,
) -> Estimates:
    """Return the comparison of two incidence rates.

    Parameters
    ----------
    events_1, events_2 : array_like
        Events per group.
    time_1, time_2 : array_like
        Person-time per group.
    measure : {"IRR", "IRD"}
        Log rate ratio or rate difference.
    zero_cells, add
        The constant is added to the events of both groups.

    Raises
    ------
    OptionError
        An option is not among its choices.

    Examples
    --------
    >>> e = incidence(events_1=3, time_1=100, events_2=7, time_2=98)
    >>> float(e.effect.round(6)), float(e.variance.round(6))
    (-0.867501, 0.47619)
    """
    _one_of(measure, ("IRR", "IRD"))
    choose("zero_cells", zero_cells, ZeroCells)
    x1, t1, x2, t2 = as_floats(events_1, time_1, events_2, time_2)
    extra = _extra((x1 == 0) | (x2 == 0), zero_cells, add)
    x1, x2 = x1 + extra, x2 + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        if measure == "IRR":
            return estimates(np.log(x1 / t1) - np.log(x2 / t2), 1 / x1 + 1 / x2)
        return estimates(x1 / t1 - x2 / t2, x1 / t1**2 + x2 / t2**2)


def d_from_t(t: ArrayLike, *, n_1: ArrayLike, n_2: ArrayLike) -> FloatArray:
    """Return Cohen's d from the t statistic of two independent groups.

    Examples
    --------
    >>> float(d_from_t(2.0, n_1=8, n_2=8))
    1.0
    """
    value, n1, n2 = as_floats(t, n_1, n_2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return value * np.sqrt(1 / n1 + 1 / n2)


def d_from_p(p: ArrayLike, *, n_1: ArrayLike, n_2: ArrayLike) -> FloatArray:
    """Return Cohen's d from the two-sided p value of a t test; the sign of `p` is the sign of the effect.

    Examples
    --------
    >>> float(d_from_p(-0.5, n_1=33, n_2=30).round(4))
    -0.1712
    """
    value, n1, n2 = as_floats(p, n_1, n_2)
    size = np.where((np.abs(value) > 0) & (np.abs(value) <= 1), np.abs(value), np.nan)
    t = -stdtrit(n1 + n2 - 2, size / 2)
    return d_from_t(np.copysign(t, value), n_1=n1, n_2=n2)


def smd_from_t(
    t: ArrayLike,
    *,
    n_1: ArrayLike,
    n_2: ArrayLike,
    variance: VarianceType = "LS",
    correction: Correction = "exact",
) -> Estimates:
    """Return g from the t statistic of two independent groups; options as in ``smd_from_d``."""
    return smd_from_d(d_from_t(t, n_1=n_1, n_2=n_2), n_1=n_1, n_2=n_2, variance=variance, correction=correction)


def smd_from_p(
    p: ArrayLike,
    *,
    n_1: ArrayLike,
    n_2: ArrayLike,
    variance: VarianceType = "LS",
    correction: Correction = "exact",
) -> Estimates:
    """Return g from a two-sided p value that carries the sign of the effect; options as in ``smd_from_d``."""
    return smd_from_d(d_from_p(p, n_1=n_1, n_2=n_2), n_1=n_1, n_2=n_2, variance=variance, correction=correction)


def _one_of(measure: str, allowed: tuple[str, ...]) -> None:
    if measure not in allowed:
        raise OptionError(f"measure must be one of {', '.join(map(repr, allowed))}; received {measure!r}")


def _extra(has_zero: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], rule: ZeroCells, add: float) -> FloatArray:
    everywhere = rule == "all" or (rule == "if0all" and bool(has_zero.any()))
    return np.where(has_zero & (rule == "only0") | everywhere, add, 0.0)
