"""A weighted straight line through the trials: the arithmetic of the regression tests for small-study effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from ipt_evidence.diagnostics.inputs import Array
from ipt_evidence.errors import NotEstimableError

SAME_PRECISION = 1e-10
"""Relative spread of the predictor below which a line cannot be told from a level."""
NO_SCATTER = 1e-12
"""Weighted root mean square of the residuals, relative to the largest effect, that is rounding alone."""


@dataclass(frozen=True, slots=True)
class Line:
    """``y = intercept + slope x`` by weighted least squares, residual variance estimated.

    Attributes
    ----------
    intercept, slope : float
    intercept_se, slope_se : float
    covariance : float
        Of intercept and slope.
    residual_variance : float
        Factor by which the variances are larger (or smaller) than their inverse weights.
    df : int
        Trials minus two.
    """

    intercept: float
    slope: float
    intercept_se: float
    slope_se: float
    covariance: float
    residual_variance: float
    df: int

    @property
    def slope_t(self) -> float:
        """Slope over its standard error."""
        return self.slope / self.slope_se

    def intercept_interval(self, level: float) -> tuple[float, float]:
        """Return the t interval of the intercept."""
        half = self.intercept_se * float(stdtrit(self.df, 0.5 + level / 2))
        return self.intercept - half, self.intercept + half


def fit_line(y: Array, x: Array, weight: Array, what: str) -> Line:
    """Return the weighted least-squares line.

    Parameters
    ----------
    y, x, weight : numpy.ndarray
        Shape ``(k,)``.
    what : str
        Name of the test, for messages.

    Raises
    ------
    NotEstimableError
        Fewer than three trials, a predictor that is the same in all, or effects exactly on a line.
    """
    k = len(y)
    if k < 3:
        raise NotEstimableError(f"{what} needs at least 3 trials; there are {k}")
    total = weight.sum()
    x_mean, y_mean = (weight @ x) / total, (weight @ y) / total
    dx, dy = x - x_mean, y - y_mean
    sxx = weight @ dx**2
    if sxx <= total * (SAME_PRECISION * np.abs(x).max()) ** 2:
        raise NotEstimableError(f"{what} compares small with large trials, but all have the same precision")
    slope = (weight @ (dx * dy)) / sxx
    residual = dy - slope * dx
    spread = float(weight @ residual**2) / (k - 2)
    if spread * (k - 2) <= total * (NO_SCATTER * np.abs(y).max()) ** 2:
        raise NotEstimableError(f"{what} needs scatter around the line to test against; the effects have none")
    intercept = y_mean - slope * x_mean
    return Line(
        intercept=float(intercept),
        slope=float(slope),
        intercept_se=float(np.sqrt(spread * (1 / total + x_mean**2 / sxx))),
        slope_se=float(np.sqrt(spread / sxx)),
        covariance=float(-spread * x_mean / sxx),
        residual_variance=spread,
        df=k - 2,
    )
