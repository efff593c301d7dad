"""A prediction interval that does not act as if tau2 were known: the confidence-distribution bootstrap.

References
----------
Nagashima K, Noma H, Furukawa TA. Prediction intervals for random-effects meta-analysis: a confidence distribution
approach. Stat Methods Med Res 2019;28:1689-1702. doi:10.1177/0962280218773520
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import check_level
from ipt_evidence.pooling.moments import Array, moments
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.weighted_chi2 import tail_probability
from ipt_evidence.sources.showing import readable, table_html

if TYPE_CHECKING:
    import pandas as pd

GRID = 100
TOP = 1 - 1e-5


@readable
@dataclass(frozen=True, slots=True)
class BootstrapPrediction:
    """Prediction interval by bootstrap, beside the one of the fit.

    Attributes
    ----------
    pi_low, pi_high : float
        Limits on the analysis scale.
    level : float
        Their level.
    draws : int
        Bootstrap draws.
    tau2_zero : float
        Share of draws in which tau2 is zero.
    """

    pi_low: float
    pi_high: float
    level: float
    draws: int
    tau2_zero: float

    def tidy(self) -> pd.DataFrame:
        """Return the interval as a table of one row."""
        import pandas as pd

        return pd.DataFrame([asdict(self)])

    def _repr_html_(self) -> str:
        caption = f"{100 * self.level:g}% prediction interval by bootstrap, {self.draws} draws"
        note = f"tau2 was zero in {100 * self.tau2_zero:.1f}% of the draws."
        return table_html(self.tidy()[["pi_low", "pi_high"]], caption, (note,))


def bootstrap_prediction(
    fit: PooledFit,
    *,
    draws: int = 25_000,
    level: float | None = None,
    seed: int | np.random.Generator | None = None,
) -> BootstrapPrediction:
    """Return the prediction interval of Nagashima, Noma and Furukawa for the effect in a new trial.

    Parameters
    ----------
    fit : PooledFit
        A random-effects fit; its trials and variances are used, not its tau2.
    draws : int, optional
        Bootstrap draws.
    level : float, optional
        Level of the interval; that of the fit when not given.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same interval.

    Returns
    -------
    BootstrapPrediction

    Raises
    ------
    NotEstimableError
        Fewer than three trials.
    OptionError
        A common-effect fit, which has no new trials, or too few draws.

    Notes
    -----
    tau2 is drawn from its confidence distribution, ``1 - F(Q; tau2)`` with the exact distribution of Cochran's Q
    (Nagashima 2019, eq. 9); given tau2 the new effect is the weighted mean plus ``z tau - t SE``, ``z`` normal, ``t``
    with ``k - 1`` degrees of freedom and ``SE`` that of Hartung. The limits are quantiles of the draws.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.1, 0.4, 0.9, 0.2], "variance": [0.04, 0.02, 0.05, 0.03]})
    >>> interval = ipt.bootstrap_prediction(ipt.pool(table), draws=2000, seed=1)
    >>> interval.pi_low < 0.3 < interval.pi_high
    True
    """
    if fit.method.tau2_method == "EE":
        raise OptionError("a common-effect fit has one true effect and no new trials to predict; use random effects")
    if fit.k < 3:
        raise NotEstimableError(f"a prediction interval needs at least three trials; the fit has {fit.k}")
    if draws < 100:
        raise OptionError(f"draws must be at least 100; received {draws}")
    level = check_level(fit.method.level if level is None else level)
    used = fit.studies[fit.studies["included"].astype(bool)]
    y, v = used["effect"].to_numpy(dtype=float), used["variance"].to_numpy(dtype=float)
    rng = np.random.default_rng(seed)
    tau2 = _draw_tau2(y, v, rng.random(draws))
    m = moments(y[None], v[None], tau2)
    error = np.sqrt(np.asarray(m.q) / (y.size - 1) / np.asarray(m.s1))
    new = m.mean + rng.standard_normal(draws) * np.sqrt(tau2) - rng.standard_t(y.size - 1, draws) * error
    tail = (1 - level) / 2
    low, high = np.quantile(new, [tail, 1 - tail])
    return BootstrapPrediction(float(low), float(high), level, draws, float((tau2 == 0).mean()))


def _draw_tau2(y: Array, v: Array, uniform: Array) -> Array:
    """Return draws from the confidence distribution of tau2, by inverting it on a grid."""
    w = 1 / v
    form = np.diag(w) - np.outer(w, w) / w.sum()
    observed = float(moments(y, v, 0.0).q)

    def distribution(t: float) -> float:
        root = np.sqrt(v + t)
        return tail_probability(np.linalg.eigvalsh(root[:, None] * form * root)[1:], observed)

    top = float(np.median(v))
    while distribution(top) < TOP:
        top *= 2
    grid = np.concatenate([[0.0], np.geomspace(1e-4 * float(v.min()), top, GRID)])
    heights = np.maximum.accumulate([distribution(t) for t in grid])
    return np.where(uniform <= heights[0], 0.0, np.interp(uniform, heights, grid))
