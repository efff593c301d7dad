"""z-curve and caliper test: the distribution of z-values around and beyond significance."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtrc, ndtr, ndtri

from ipt_evidence.diagnostics.cautions import few_trials
from ipt_evidence.diagnostics.inputs import Array, trials_of
from ipt_evidence.diagnostics.showing import html_row, html_table, one_row, p_equals
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import check_level
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

ALPHA = 0.05
CRITICAL = float(-ndtri(ALPHA / 2))
MEANS = np.arange(7.0)
EXTREME = 6.0
"""z-values beyond have power one for all purposes and are set aside (Bartos & Schimmack 2022)."""
FEWEST = 10
ROUNDS = 2000
STOP = 1e-7


@readable
@dataclass(frozen=True, slots=True)
class ZCurve:
    """Power of the trials, estimated from their significant z-values.

    Attributes
    ----------
    k, k_significant : int
    odr : float
        Observed discovery rate: share of significant results.
    err, err_low, err_high : float
        Expected replication rate: mean power of the significant trials, with a bootstrap interval.
    edr, edr_low, edr_high : float
        Expected discovery rate: mean power of all trials, published or not, with a bootstrap interval.
    file_drawer : float
        Results without significance per significant one that `edr` implies.
    level : float
    notes : tuple of str
    """

    k: int
    k_significant: int
    odr: float
    err: float
    err_low: float
    err_high: float
    edr: float
    edr_low: float
    edr_high: float
    file_drawer: float
    level: float
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        inside = self.edr_low <= self.odr <= self.edr_high
        against = "lies within" if inside else "lies outside"
        rate = f"{100 * self.edr:.0f}%, {100 * self.edr_low:.0f} to {100 * self.edr_high:.0f}"
        return (
            f"Of {self.k} results {100 * self.odr:.0f}% are significant, which {against} the interval of the rate that "
            f"the significant ones let expect ({rate}); the mean power of significant trials is estimated at "
            f"{100 * self.err:.0f}%."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the rates as a table of one row."""
        names = ("k", "k_significant", "odr", "err", "err_low", "err_high", "edr", "edr_low", "edr_high", "file_drawer")
        return one_row(self, names)

    def _repr_html_(self) -> str:
        caption = f"z-curve, {100 * self.level:g}% bootstrap intervals"
        return html_row(self, caption)


@readable
@dataclass(frozen=True, slots=True, eq=False)
class CaliperTest:
    """Counts of results just above and just below significance.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per width: `width z_low z_high below above share_above p_value`; one-sided binomial test of more above
        than below.
    k : int
    notes : tuple of str
    """

    table: pd.DataFrame = field(repr=False)
    k: int = 0
    notes: tuple[str, ...] = ()

    @property
    def p_value(self) -> float:
        """p-value of the widest caliper."""
        return float(self.table["p_value"].iloc[-1])

    @property
    def statistic(self) -> float:
        """Share of results above the critical value in the widest caliper."""
        return float(self.table["share_above"].iloc[-1])

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        row = self.table.iloc[-1]
        counts = f"{row['above']:.0f} results lie just above significance and {row['below']:.0f} just below"
        where = f"(z from {row['z_low']:.2f} to {row['z_high']:.2f}, {p_equals(self.p_value)})"
        return f"{counts} {where}; an excess above would suggest that results were pushed over the threshold."

    def tidy(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def _repr_html_(self) -> str:
        return html_table(self.table, "Caliper test at p = 0.05 (two-sided)", (self.interpretation, *self.notes))


def z_curve(effects: PooledFit | pd.DataFrame, *, bootstraps: int = 500, level: float = 0.95, seed: int = 1) -> ZCurve:
    """Estimate the power of the trials from their significant z-values.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    bootstraps : int
        Samples for the intervals.
    level : float
        Level of the intervals.
    seed : int
        For the bootstrap.

    Returns
    -------
    ZCurve

    Raises
    ------
    NotEstimableError
        Fewer than ten results are significant.

    Notes
    -----
    The absolute z-values beyond 1.96 are taken as a mixture of folded normals with means 0 to 6, truncated there,
    fitted by expectation-maximisation (z-curve 2.0). As the authors advise, the bootstrap limits are widened by 3
    percentage points for the replication rate and 5 for the discovery rate. With the few trials of one meta-analysis
    the rates are rough; the method is made for hundreds of results.

    References
    ----------
    Bartoš F, Schimmack U. Z-curve 2.0: estimating replication rates and discovery rates. Meta-Psychology 2022;6.
    doi:10.15626/MP.2021.2720

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> z = np.random.default_rng(1).normal(2.8, 1, 300)
    >>> rates = ipt.z_curve(pd.DataFrame({"effect": z, "variance": 1.0}), bootstraps=20)
    >>> rates.k_significant, bool(0.6 < rates.err < 0.9)
    (236, True)
    """
    check_level(level)
    if bootstraps < 1:
        raise OptionError(f"bootstraps must be at least 1; received {bootstraps!r}")
    trials = trials_of(effects, what="The z-curve")
    z = np.abs(trials.effect / trials.std_error)
    found = z[z > CRITICAL]
    if found.size < FEWEST:
        raise NotEstimableError(f"a z-curve needs at least {FEWEST} significant results; there are {found.size}")
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(found.size, np.full(found.size, 1 / found.size), size=bootstraps)
    rates = _rates(found, np.vstack([np.ones(found.size), drawn]))
    tails = (0.5 - level / 2, 0.5 + level / 2)
    low, high = np.quantile(rates[1:], tails, axis=0) + np.array([[-1.0], [1.0]]) * np.array([0.03, 0.05])
    low, high = np.maximum(low, [ALPHA / 2, ALPHA]), np.minimum(high, 1)
    err, edr = (float(rate) for rate in rates[0])
    return ZCurve(
        k=trials.k,
        k_significant=found.size,
        odr=found.size / trials.k,
        err=err,
        err_low=float(low[0]),
        err_high=float(high[0]),
        edr=edr,
        edr_low=float(low[1]),
        edr_high=float(high[1]),
        file_drawer=(1 - edr) / edr,
        level=level,
        notes=("Made for hundreds of results; with those of one meta-analysis the rates are rough.",),
    )


def caliper_test(effects: PooledFit | pd.DataFrame, *, widths: tuple[float, ...] = (0.1, 0.15, 0.2)) -> CaliperTest:
    """Compare the numbers of results just above and just below significance.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    widths : tuple of float
        Half-widths of the caliper as shares of the critical value 1.96.

    Returns
    -------
    CaliperTest

    Raises
    ------
    OptionError
        A width does not lie between 0 and 1.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    References
    ----------
    Gerber AS, Malhotra N. Publication bias in empirical sociological research. Sociol Methods Res 2008;37:3-30.
    doi:10.1177/0049124108318973

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> z = [1.5, 1.8, 1.9, 2.0, 2.02, 2.05, 2.1, 2.1, 2.15, 3.0]
    >>> ipt.caliper_test(pd.DataFrame({"effect": z, "variance": 1.0})).tidy()[["below", "above"]].to_numpy().tolist()
    [[2, 6], [2, 6], [2, 6]]
    """
    import pandas as pd

    if not widths or not all(0 < width < 1 for width in widths):
        raise OptionError(f"widths must be shares between 0 and 1, such as (0.1, 0.2); received {widths!r}")
    trials = trials_of(effects, what="The caliper test")
    z = np.abs(trials.effect / trials.std_error)
    rows = [_caliper(z, width) for width in sorted(widths)]
    return CaliperTest(pd.DataFrame(rows), trials.k, few_trials(trials.k, "The caliper test"))


def _caliper(z: Array, width: float) -> dict[str, float]:
    low, high = CRITICAL * (1 - width), CRITICAL * (1 + width)
    above, below = int(((z > CRITICAL) & (z <= high)).sum()), int(((z > low) & (z <= CRITICAL)).sum())
    n = above + below
    share = above / n if n else math.nan
    p = math.nan if n == 0 else float(bdtrc(above - 1, n, 0.5)) if above else 1.0
    counts = {"below": below, "above": above, "share_above": share, "p_value": p}
    return {"width": width, "z_low": low, "z_high": high} | counts


def _rates(z: Array, counts: Array) -> Array:
    """Return expected replication and discovery rates, shape ``(samples, 2)``.

    Parameters
    ----------
    z : numpy.ndarray
        Significant absolute z-values, shape ``(n,)``.
    counts : numpy.ndarray
        How often each occurs in each sample, shape ``(samples, n)``.
    """
    extreme = z > EXTREME
    beyond = counts[:, extreme].sum(axis=1) / counts.sum(axis=1)
    right = ndtr(MEANS - CRITICAL)
    left = ndtr(-MEANS - CRITICAL)
    weight = np.zeros((counts.shape[0], MEANS.size))
    some = beyond < 1
    if some.any():
        weight[some] = _mixture(z[~extreme], counts[some][:, ~extreme]) * (1 - beyond[some, None])
    replication = weight @ ((right**2 + left**2) / (right + left)) + beyond
    discovery = (weight.sum(axis=1) + beyond) / (weight @ (1 / (right + left)) + beyond)
    return np.column_stack([replication, discovery])


def _mixture(z: Array, counts: Array) -> Array:
    """Return the weights of the truncated folded normals in each sample, by expectation-maximisation."""
    shape = np.exp(-0.5 * (z[:, None] - MEANS) ** 2) + np.exp(-0.5 * (z[:, None] + MEANS) ** 2)
    room = ndtr(EXTREME - MEANS) - ndtr(CRITICAL - MEANS) + ndtr(EXTREME + MEANS) - ndtr(CRITICAL + MEANS)
    density = shape / room
    total = counts.sum(axis=1, keepdims=True)
    weight: Array = np.full((counts.shape[0], MEANS.size), 1 / MEANS.size)
    for _ in range(ROUNDS):
        new: Array = weight * ((counts / (weight @ density.T)) @ density) / total
        if np.abs(new - weight).max() < STOP:
            return new
        weight = new
    return weight
