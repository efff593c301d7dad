"""Quantile estimation: fit candidate distributions to printed quantiles and take mean and SD of the nearest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ipt_evidence.sources.summaries import FloatArray, MeanSd

SHAPE_BOUNDS = (-7.0, 7.0)


@dataclass(frozen=True, slots=True)
class FittedDistribution:
    """One candidate distribution fitted to the quantiles of one sample.

    Attributes
    ----------
    name : str
        Family.
    mean, sd : float
        Of the fitted distribution.
    distance : float
        Sum of squared differences between printed and fitted quantiles.
    """

    name: str
    mean: float
    sd: float
    distance: float


def quantile_estimation(
    n: FloatArray, median: FloatArray, q1: FloatArray, q3: FloatArray, minimum: FloatArray, maximum: FloatArray
) -> MeanSd:
    """Estimate mean and SD by the QE method; arguments are vectors of one length, NaN where not printed.

    Notes
    -----
    The extremes are taken as the quantiles 1/n and 1 - 1/n. The candidates are normal, log-normal, gamma and Weibull,
    with a beta distribution when every quantile lies between 0 and 1; only the normal when a quantile is not positive.
    The fit does not depend on the unit of measurement: quantiles are divided by the largest before the search, and the
    shape is bounded between exp(-7) and exp(7).

    References
    ----------
    McGrath S, Zhao X, Steele R, et al. Estimating the sample mean and standard deviation from commonly reported
    quantiles in meta-analysis. Stat Methods Med Res 2020;29:2520-2537. doi:10.1177/0962280219889080
    """
    mean, sd = np.full(n.shape, np.nan), np.full(n.shape, np.nan)
    names = [""] * n.size
    for at in range(n.size):
        values = np.array([minimum[at], q1[at], median[at], q3[at], maximum[at]])
        if math.isnan(n[at]) or math.isnan(median[at]) or np.isnan(values).sum() > 2:
            continue
        levels = np.array([1 / n[at], 0.25, 0.5, 0.75, 1 - 1 / n[at]])
        best = nearest_distribution(values[~np.isnan(values)], levels[~np.isnan(values)])
        mean[at], sd[at], names[at] = best.mean, best.sd, f"McGrath 2020, QE, {best.name}"
    return MeanSd(mean, sd, tuple(names))


def nearest_distribution(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Return the candidate whose quantiles at `levels` come nearest to `values`."""
    fits = [_normal(values, levels)]
    if np.all(values > 0):
        fits += [_log_normal(values, levels), _gamma(values, levels), _weibull(values, levels)]
        if np.all(values < 1):
            fits.append(_beta(values, levels))
    return min(fits, key=lambda fit: fit.distance)


def _normal(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Fit the normal distribution: a straight line through the normal scores."""
    from scipy.special import ndtri

    z = ndtri(levels)
    slope, intercept = np.polyfit(z, values, 1)
    return FittedDistribution("normal", float(intercept), float(slope), _distance(intercept + slope * z, values))


def _log_normal(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Fit the log-normal distribution on its natural scale; the scale follows from the shape in closed form."""
    from scipy.special import ndtri

    z = ndtri(levels)
    sigma, scale, distance = _fit_scale(lambda log_sigma: np.exp(np.exp(log_sigma) * z), values, (-6.0, 1.5))
    variance = sigma**2
    mean = scale * math.exp(variance / 2)
    return FittedDistribution("log-normal", mean, mean * math.sqrt(math.expm1(variance)), distance)


def _gamma(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Fit the gamma distribution."""
    from scipy.special import gammaincinv

    shape, scale, distance = _fit_scale(lambda log_shape: gammaincinv(np.exp(log_shape), levels), values, SHAPE_BOUNDS)
    return FittedDistribution("gamma", shape * scale, math.sqrt(shape) * scale, distance)


def _weibull(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Fit the Weibull distribution."""
    base = -np.log1p(-levels)
    shape, scale, distance = _fit_scale(lambda log_shape: base ** np.exp(-log_shape), values, (-2.0, 5.0))
    mean = math.gamma(1 + 1 / shape)
    variance = math.gamma(1 + 2 / shape) - mean**2
    return FittedDistribution("Weibull", scale * mean, scale * math.sqrt(max(variance, 0.0)), distance)


def _beta(values: FloatArray, levels: FloatArray) -> FittedDistribution:
    """Fit the beta distribution on the unit interval."""
    from scipy.optimize import minimize
    from scipy.special import betaincinv

    def objective(log_shapes: FloatArray) -> float:
        a, b = np.exp(np.clip(log_shapes, *SHAPE_BOUNDS))
        return _distance(betaincinv(a, b, levels), values)

    centre = float(np.clip(values[len(values) // 2], 0.01, 0.99))
    starts = [np.log([size * centre, size * (1 - centre)]) for size in (2.0, 10.0, 50.0)]
    found = min((minimize(objective, start, method="Nelder-Mead") for start in starts), key=lambda fit: float(fit.fun))
    a, b = np.exp(np.clip(found.x, *SHAPE_BOUNDS))
    sd = math.sqrt(a * b / ((a + b) ** 2 * (a + b + 1)))
    return FittedDistribution("beta", float(a / (a + b)), sd, float(found.fun))


def _fit_scale(quantiles, values: FloatArray, bounds: tuple[float, float]) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    """Return shape, scale and distance: the best scale of each shape is a projection, the shape is searched on a grid.

    The grid finds the basin of the global minimum, which a bounded search then refines.
    """
    from scipy.optimize import minimize_scalar

    unit = float(np.max(np.abs(values)))
    target = values / unit

    def best(log_shape: float) -> tuple[float, float]:
        curve: NDArray[np.float64] = quantiles(log_shape)
        norm = float(curve @ curve)
        if not math.isfinite(norm) or norm <= 0:
            return math.nan, math.inf
        scale = float(curve @ target) / norm
        return scale, _distance(scale * curve, target)

    grid = np.linspace(*bounds, 61)
    at = int(np.argmin([best(float(point))[1] for point in grid]))
    inner = float(grid[max(at - 1, 0)]), float(grid[min(at + 1, len(grid) - 1)])
    found = minimize_scalar(
        lambda point: best(float(point))[1], bounds=inner, method="bounded", options={"xatol": 1e-9}
    )
    scale, distance = best(float(found.x))
    return math.exp(float(found.x)), scale * unit, distance * unit**2


def _distance(fitted: FloatArray, values: FloatArray) -> float:
    """Return the sum of squared differences."""
    difference = fitted - values
    return float(difference @ difference)
