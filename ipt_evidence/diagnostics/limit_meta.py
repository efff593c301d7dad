"""Limit meta-analysis: the mean effect of trials whose precision has no limit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.line import fit_line
from ipt_evidence.diagnostics.showing import html_row, one_row
from ipt_evidence.options import check_level
from ipt_evidence.pooling.intervals import two_sided_p
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit


@readable
@dataclass(frozen=True, slots=True, eq=False)
class LimitMeta:
    """The mean of a limit meta-analysis.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, p_value : float
        Mean effect of trials of unlimited precision, with a normal interval.
    slope, slope_std_error : float
        Small-study effect alpha, per unit of ``sqrt(variance + tau2)``.
    g2 : float
        Share of the variation that small-study effects do not explain, in percent.
    tau2 : float
        Between-study variance of the ordinary random-effects model.
    original : PooledFit
    studies : pandas.DataFrame
        `study effect std_error limit_effect`: each trial drawn towards the mean as its precision grows.
    k : int
    level : float
    notes : tuple of str
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    p_value: float
    slope: float
    slope_std_error: float
    g2: float
    tau2: float
    original: PooledFit = field(repr=False)
    studies: pd.DataFrame = field(repr=False)
    k: int = 0
    level: float = 0.95
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        return (
            f"Allowing for small-study effects, trials of unlimited precision would have a mean effect of "
            f"{self.estimate:.2f} ({self.ci_low:.2f} to {self.ci_high:.2f}) instead of {self.original.estimate:.2f}; "
            f"{self.g2:.0f}% of the differences between trials are not explained by such effects (G2)."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("estimate", "std_error", "ci_low", "ci_high", "p_value", "slope", "slope_std_error", "g2", "tau2", "k")
        return one_row(self, names)

    def _repr_html_(self) -> str:
        caption = f"Limit meta-analysis, {100 * self.level:g}% interval"
        return html_row(self, caption)


def limit_meta(effects: PooledFit | pd.DataFrame, *, level: float = 0.95) -> LimitMeta:
    """Adjust the pooled effect for small-study effects by a limit meta-analysis.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, whose tau2 is taken, or effects as for :func:`ipt_evidence.pool`.
    level : float
        Level of the interval.

    Returns
    -------
    LimitMeta

    Raises
    ------
    NotEstimableError
        Fewer than three trials, or all of the same precision.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    In ``y_i = beta + sqrt(v_i + tau2) (alpha + e_i)`` the mean of trials with ``v_i`` near zero is
    ``beta + tau alpha``; that is the adjusted effect (metasens' ``"beta0"``). Its variance takes the errors ``e_i`` to
    have variance one.
    G2 is one minus the squared correlation of ``l_i/s_i`` and ``1/s_i``, with s the standard error and l the limit of
    the trial, ``beta + (y_i - beta) tau/sqrt(v_i + tau2)``. With tau2 = 0 all limits are equal and G2 is zero.

    References
    ----------
    Rücker G, Schwarzer G, Carpenter JR, Binder H, Schumacher M. Treatment-effect estimates adjusted for small-study
    effects via a limit meta-analysis. Biostatistics 2011;12:122-142. doi:10.1093/biostatistics/kxq046

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> error = np.linspace(0.1, 0.5, 12)
    >>> table = pd.DataFrame({"effect": 0.3 + error + 0.3 * np.cos(np.arange(12)), "variance": error**2})
    >>> round(ipt.limit_meta(table).estimate, 2)
    0.56
    """
    check_level(level)
    what = "Limit meta-analysis"
    trials = trials_of(effects, what=what, minimum=3)
    tau2 = trials.fit.tau2
    total = np.sqrt(trials.variance + tau2)
    line = fit_line(trials.effect, total, total**-2, what)
    estimate = line.intercept + tau2**0.5 * line.slope
    variance = line.intercept_se**2 + tau2 * line.slope_se**2 + 2 * tau2**0.5 * line.covariance
    std_error = float(np.sqrt(variance / line.residual_variance))
    half = std_error * float(ndtri(0.5 + level / 2))
    limits = line.intercept + tau2**0.5 / total * (trials.effect - line.intercept)
    return LimitMeta(
        estimate=estimate,
        std_error=std_error,
        ci_low=estimate - half,
        ci_high=estimate + half,
        p_value=float(two_sided_p(estimate / std_error, np.inf)),
        slope=line.slope,
        slope_std_error=float(line.slope_se / np.sqrt(line.residual_variance)),
        g2=_unexplained(limits, trials.std_error) if tau2 > 0 else 0.0,
        tau2=tau2,
        original=trials.fit,
        studies=_limits_table(trials, limits + tau2**0.5 * line.slope),
        k=trials.k,
        level=level,
        notes=cautions(trials, what=what, standard_errors=True, events=True),
    )


def _unexplained(limits: Array, std_error: Array) -> float:
    """Return G2 in percent."""
    return 100 * (1 - float(np.corrcoef(limits / std_error, 1 / std_error)[0, 1]) ** 2)


def _limits_table(trials: Trials, limits: Array) -> pd.DataFrame:
    import pandas as pd

    own = {"study": trials.labels, "effect": trials.effect, "std_error": trials.std_error}
    return pd.DataFrame(own | {"limit_effect": limits})
