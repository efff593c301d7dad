"""p-value functions: the two-sided p-value of every hypothetical effect, for a trial, a fit and a new trial.

References
----------
Infanger D, Schmidt-Trucksäss A. P value functions: an underused method to present research results and to promote
quantitative reasoning. Stat Med 2019;38:4189-4197. doi:10.1002/sim.8293
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtr

from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.kernel import Array

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit

SAME = 1e-6


def p_value_function(theta: Array, estimate: float, std_error: float, df: float = math.inf) -> Array:
    """Return the two-sided p-value of each hypothetical effect, by a t distribution (normal for infinite `df`).

    Examples
    --------
    >>> p_value_function(np.array([0.0, 0.5, 1.0]), 0.5, 0.25).round(4).tolist()
    [0.0455, 1.0, 0.0455]
    """
    distance = -np.abs(np.asarray(theta, dtype=float) - estimate) / std_error
    found: Array = 2 * (ndtr(distance) if math.isinf(df) else stdtr(df, distance))
    return found


def has_p_value_function(fit: PooledFit) -> bool:
    """Return whether the interval of a fit is its estimate plus and minus a quantile times the standard error."""
    half = quantile(fit.method.level, float(fit.df)) * fit.std_error
    wanted = np.array([fit.estimate - half, fit.estimate + half])
    return bool(np.allclose(wanted, [fit.ci_low, fit.ci_high], rtol=SAME, atol=SAME * max(half, 1e-12)))


def prediction_scale(fit: PooledFit) -> tuple[float, float] | None:
    """Return standard error and degrees of freedom behind the prediction interval; ``None`` without one."""
    if math.isnan(fit.pi_low):
        return None
    df = {"k-1": fit.k - 1.0, "k-2": fit.k - 2.0, "z": math.inf, "as-ci": float(fit.df)}[fit.method.prediction_df]
    half = (fit.pi_high - fit.pi_low) / 2
    return half / float(quantile(fit.method.level, df)), df
