"""Turn what trials print instead of a mean and SD (SE, interval, median, quartiles, range) into a mean and SD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from ipt_evidence.errors import OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.sources.showing import readable, table_html

if TYPE_CHECKING:
    import pandas as pd

FloatArray: TypeAlias = NDArray[np.float64]
QuantileMethod = Literal["luo-wan-shi", "qe"]
MIN_N = 5


@readable
@dataclass(frozen=True, slots=True)
class MeanSd:
    """Means and standard deviations estimated from quantiles.

    Attributes
    ----------
    mean, sd : ndarray
        Estimates; NaN where the numbers given do not allow one.
    method : tuple of str
        For each entry the papers whose formulas gave it, or an empty text.
    """

    mean: FloatArray
    sd: FloatArray
    method: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per entry: ``mean sd method``."""
        import pandas as pd

        mean, sd = np.atleast_1d(self.mean), np.atleast_1d(self.sd)
        return pd.DataFrame({"mean": mean.ravel(), "sd": sd.ravel(), "method": list(self.method)})

    def _repr_html_(self) -> str:
        return table_html(self.to_frame(), "Means and standard deviations estimated from quantiles")


@readable
@dataclass(frozen=True, slots=True)
class SkewnessTest:
    """Test of symmetry on printed quantiles.

    Attributes
    ----------
    statistic, critical : ndarray
        Statistic and its critical value at the 5 % level; NaN where the numbers do not allow the test.
    skewed : ndarray of bool
        Whether the statistic is above the critical value.
    """

    statistic: FloatArray
    critical: FloatArray
    skewed: NDArray[np.bool_]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per entry: ``statistic critical skewed``."""
        import pandas as pd

        names = ("statistic", "critical", "skewed")
        return pd.DataFrame({name: np.atleast_1d(getattr(self, name)).ravel() for name in names})

    def _repr_html_(self) -> str:
        return table_html(self.to_frame(), "Test of symmetry on printed quantiles, 5% level")


def sd_from_se(std_error: ArrayLike, *, n: ArrayLike) -> FloatArray:
    """Return the SD behind the standard error of a mean: SE x sqrt(n).

    Parameters
    ----------
    std_error : array_like
        Standard error of the mean of one arm.
    n : array_like
        Persons in that arm.

    Returns
    -------
    numpy.ndarray
        Standard deviations; NaN where an input is missing or not positive.

    References
    ----------
    Cochrane Handbook for Systematic Reviews of Interventions, version 6.5, section 6.5.2.2.

    Examples
    --------
    >>> float(sd_from_se(1.2, n=25))
    6.0
    """
    se, size = _floats(std_error, n)
    return np.where((se > 0) & (size > 0), se * np.sqrt(np.where(size > 0, size, np.nan)), np.nan)


def sd_from_ci(ci_low: ArrayLike, *, ci_high: ArrayLike, n: ArrayLike, level: float = 0.95) -> FloatArray:
    """Return the SD behind the confidence interval of a mean: sqrt(n) x width / (2 t), with n - 1 degrees of freedom.

    Parameters
    ----------
    ci_low, ci_high : array_like
        Limits of the interval of the mean of one arm.
    n : array_like
        Persons in that arm, at least 2.
    level : float
        Confidence level of the interval.

    Returns
    -------
    numpy.ndarray
        Standard deviations; NaN where an input is missing or the interval has no width.

    Raises
    ------
    OptionError
        `level` does not lie between 0 and 1.

    Notes
    -----
    The Handbook divides by 3.92 above 60 persons and by twice the t quantile below; t is used here for every n, which
    is the interval that statistics programs print.

    References
    ----------
    Cochrane Handbook for Systematic Reviews of Interventions, version 6.5, section 6.5.2.2.

    Examples
    --------
    >>> round(float(sd_from_ci(30.0, ci_high=34.2, n=25)), 2)
    5.09
    """
    check_level(level)
    low, high, size = _floats(ci_low, ci_high, n)
    usable = (high > low) & (size >= 2)
    size = np.where(usable, size, np.nan)
    sd: FloatArray = np.sqrt(size) * (high - low) / (2 * stdtrit(size - 1, 0.5 + level / 2))
    return sd


def change_sd(sd_baseline: ArrayLike, *, sd_followup: ArrayLike, correlation: ArrayLike) -> FloatArray:
    """Return the SD of the change from the SDs at baseline and follow-up: sqrt(a^2 + b^2 - 2 r a b).

    Parameters
    ----------
    sd_baseline, sd_followup : array_like
        Standard deviations of the same arm at the two times.
    correlation : array_like
        Correlation of the two measurements, usually assumed: report it, and repeat the analysis with other values.

    Returns
    -------
    numpy.ndarray
        Standard deviations of the change.

    References
    ----------
    Cochrane Handbook for Systematic Reviews of Interventions, version 6.5, section 6.5.2.8.

    Examples
    --------
    >>> round(float(change_sd(4.0, sd_followup=4.4, correlation=0.78)), 2)
    2.81
    """
    a, b, r = _floats(sd_baseline, sd_followup, correlation)
    if np.any(np.abs(r) > 1):
        raise OptionError(f"correlation must lie between -1 and 1; received {correlation!r}")
    return np.sqrt(np.maximum(a**2 + b**2 - 2 * r * a * b, 0.0))


def sd_from_range(minimum: ArrayLike, *, maximum: ArrayLike, n: ArrayLike) -> FloatArray:
    """Return the SD of a normal sample from its range (Wan et al. 2014, equation 9); n of at least 5.

    References
    ----------
    Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the sample size, median, range
    and/or interquartile range. BMC Med Res Methodol 2014;14:135. doi:10.1186/1471-2288-14-135

    Examples
    --------
    >>> round(float(sd_from_range(2, maximum=14, n=20)), 3)
    3.212
    """
    low, high, size = _checked_size(minimum, maximum, n)
    sd: FloatArray = (high - low) / (2 * _z_range(size))
    return sd


def sd_from_iqr(width: ArrayLike, *, n: ArrayLike) -> FloatArray:
    """Return the SD of a normal sample from its interquartile range (Wan et al. 2014, equation 16); n of at least 5.

    Parameters
    ----------
    width : array_like
        Third minus first quartile.
    n : array_like
        Sample size.

    References
    ----------
    Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the sample size, median, range
    and/or interquartile range. BMC Med Res Methodol 2014;14:135. doi:10.1186/1471-2288-14-135

    Examples
    --------
    >>> round(float(sd_from_iqr(6, n=20)), 3)
    4.787
    """
    spread, size = _floats(width, n)
    sd: FloatArray = spread / (2 * _z_quartile(np.where(size >= MIN_N, size, np.nan)))
    return sd


def mean_sd_from_quantiles(
    *,
    n: ArrayLike,
    median: ArrayLike,
    q1: ArrayLike = np.nan,
    q3: ArrayLike = np.nan,
    minimum: ArrayLike = np.nan,
    maximum: ArrayLike = np.nan,
    method: QuantileMethod = "luo-wan-shi",
) -> MeanSd:
    """Estimate mean and SD of a sample from its median with quartiles, range, or both.

    Parameters
    ----------
    n, median : array_like
        Sample size (at least 5) and median.
    q1, q3, minimum, maximum : array_like
        Quartiles and extremes; NaN where they are not printed.
    method : {"luo-wan-shi", "qe"}
        ``"luo-wan-shi"``: for data near the normal distribution; the optimal means of Luo et al. with the SD of Wan et
        al. (range, or quartiles) or of Shi et al. (both). ``"qe"``: quantile estimation of McGrath et al., which also
        fits skewed distributions.

    Returns
    -------
    MeanSd
        Entries broadcast over the inputs; NaN with an empty method where neither pair is complete, n is below 5, or
        the quantiles are out of order.

    Raises
    ------
    OptionError
        `method` is not one of the choices.

    Notes
    -----
    The closed approximations in n that the papers recommend are used, not the tables for n <= 50. Check
    :func:`skewness_test` before trusting ``"luo-wan-shi"``.

    References
    ----------
    Wan X, Wang W, Liu J, Tong T. Estimating the sample mean and standard deviation from the sample size, median, range
    and/or interquartile range. BMC Med Res Methodol 2014;14:135. doi:10.1186/1471-2288-14-135
    Luo D, Wan X, Liu J, Tong T. Optimally estimating the sample mean from the sample size, median, mid-range, and/or
    mid-quartile range. Stat Methods Med Res 2018;27:1785-1805. doi:10.1177/0962280216669183
    Shi J, Luo D, Weng H, et al. Optimally estimating the sample standard deviation from the five-number summary. Res
    Synth Methods 2020;11:641-654. doi:10.1002/jrsm.1429
    McGrath S, Zhao X, Steele R, et al. Estimating the sample mean and standard deviation from commonly reported
    quantiles in meta-analysis. Stat Methods Med Res 2020;29:2520-2537. doi:10.1177/0962280219889080

    Examples
    --------
    >>> e = mean_sd_from_quantiles(n=20, median=6, q1=4, q3=10, minimum=2, maximum=14)
    >>> round(float(e.mean[0]), 3), round(float(e.sd[0]), 3), e.method[0]
    (6.939, 3.679, 'Luo 2018 and Shi 2020')
    """
    choose("method", method, QuantileMethod)
    size, mid, lower, upper, low, high = _quantiles(n, median, q1, q3, minimum, maximum)
    if method == "qe":
        from ipt_evidence.sources.summaries_fit import quantile_estimation

        return quantile_estimation(size, mid, lower, upper, low, high)
    mean = np.full(size.shape, np.nan)
    sd = np.full(size.shape, np.nan)
    names = np.full(size.shape, "", dtype=object)
    centre_range, centre_quartiles = (low + high) / 2, (lower + upper) / 2
    has_range, has_quartiles = ~np.isnan(centre_range), ~np.isnan(centre_quartiles)
    usable = ~np.isnan(size) & ~np.isnan(mid)
    with np.errstate(invalid="ignore"):
        weight = 4 / (4 + size**0.75)
        s1 = weight * centre_range + (1 - weight) * mid, (high - low) / (2 * _z_range(size))
        weight = 0.7 + 0.39 / size
        s2 = weight * centre_quartiles + (1 - weight) * mid, (upper - lower) / (2 * _z_quartile(size))
        w1, w2 = 2.2 / (2.2 + size**0.75), 0.7 - 0.72 / size**0.55
        theta_1 = (2 + 0.14 * size**0.6) * _z_range(size)
        theta_2 = (2 + 2 / (0.07 * size**0.6)) * _z_quartile(size)
        s3_sd = (high - low) / theta_1 + (upper - lower) / theta_2
        s3 = w1 * centre_range + w2 * centre_quartiles + (1 - w1 - w2) * mid, s3_sd
    cases: tuple[tuple[NDArray[np.bool_], tuple[Any, Any], str], ...] = (
        (has_range & ~has_quartiles, s1, "Luo 2018 and Wan 2014, range"),
        (has_quartiles & ~has_range, s2, "Luo 2018 and Wan 2014, quartiles"),
        (has_range & has_quartiles, s3, "Luo 2018 and Shi 2020"),
    )
    for where, (means, sds), name in cases:
        rows = where & usable
        mean[rows], sd[rows], names[rows] = means[rows], sds[rows], name
    return MeanSd(mean, sd, tuple(str(name) for name in names))


def skewness_test(
    *,
    n: ArrayLike,
    median: ArrayLike,
    q1: ArrayLike = np.nan,
    q3: ArrayLike = np.nan,
    minimum: ArrayLike = np.nan,
    maximum: ArrayLike = np.nan,
) -> SkewnessTest:
    """Test at the 5 % level whether printed quantiles speak against a symmetric, normal sample.

    Parameters
    ----------
    n, median, q1, q3, minimum, maximum : array_like
        As for :func:`mean_sd_from_quantiles`.

    Returns
    -------
    SkewnessTest
        Statistic, critical value, and whether the first exceeds the second, one of each per sample.

    References
    ----------
    Shi J, Luo D, Wan X, et al. Detecting the skewness of data from the five-number summary and its application in
    meta-analysis. Stat Methods Med Res 2023;32:1338-1360. doi:10.1177/09622802231172043

    Examples
    --------
    >>> bool(skewness_test(n=20, median=6, q1=4, q3=14, minimum=2, maximum=20).skewed[0])
    True
    """
    size, mid, lower, upper, low, high = _quantiles(n, median, q1, q3, minimum, maximum)
    root = np.sqrt(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_range = np.abs(low + high - 2 * mid) / (high - low)
        of_quartiles = np.abs(lower + upper - 2 * mid) / (upper - lower)
        of_both = np.maximum(2.65 * np.log(0.6 * size) / root * of_range, of_quartiles)
        statistic = np.where(np.isnan(of_quartiles), of_range, np.where(np.isnan(of_range), of_quartiles, of_both))
        limit_range = 1.01 / np.log(size + 9) + 2.43 / (size + 1)
        limit_quartiles = 2.65 / root - 6 / size**2
        limit_both = 2.97 / root - 39.1 / size**3
    critical = np.where(np.isnan(of_quartiles), limit_range, np.where(np.isnan(of_range), limit_quartiles, limit_both))
    impossible = np.isnan(statistic) | np.isnan(size)
    statistic, critical = np.where(impossible, np.nan, statistic), np.where(impossible, np.nan, critical)
    return SkewnessTest(statistic, critical, ~impossible & (statistic > critical))


def _floats(*values: ArrayLike) -> tuple[FloatArray, ...]:
    """Return arrays of one shape."""
    return tuple(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def _checked_size(minimum: ArrayLike, maximum: ArrayLike, n: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return limits and sample size, the size NaN where it is below 5 or the limits are reversed."""
    low, high, size = _floats(minimum, maximum, n)
    return low, high, np.where((size >= MIN_N) & (high >= low), size, np.nan)


def _quantiles(*values: ArrayLike) -> tuple[FloatArray, ...]:
    """Return n, median, q1, q3, minimum and maximum as vectors; n is NaN where they cannot be used.

    A pair with one missing member counts as not printed.
    """
    size, mid, q1, q3, minimum, maximum = (np.atleast_1d(array) for array in _floats(*values))
    no_quartiles, no_range = np.isnan(q1) | np.isnan(q3), np.isnan(minimum) | np.isnan(maximum)
    q1, q3 = np.where(no_quartiles, np.nan, q1), np.where(no_quartiles, np.nan, q3)
    minimum, maximum = np.where(no_range, np.nan, minimum), np.where(no_range, np.nan, maximum)
    ordered = np.ones(size.shape, dtype=bool)
    for a, b in ((minimum, q1), (minimum, mid), (q1, mid), (mid, q3), (mid, maximum), (q3, maximum)):
        ordered &= ~(a > b)
    ordered &= ~(minimum >= maximum) & ~(q1 >= q3)
    return np.where(ordered & (size >= MIN_N), size, np.nan), mid, q1, q3, minimum, maximum


def _z_range(n: FloatArray) -> Any:
    """Return the expected standard normal maximum of n, approximated (Wan et al. 2014, equation 9)."""
    return ndtri((n - 0.375) / (n + 0.25))


def _z_quartile(n: FloatArray) -> Any:
    """Return the expected standard normal third quartile of n, approximated (Wan et al. 2014, equation 16)."""
    return ndtri((0.75 * n - 0.125) / (n + 0.25))
