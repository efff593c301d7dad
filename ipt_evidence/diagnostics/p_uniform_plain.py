"""p-uniform: one effect for all trials, from the significant results alone."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import comb, log_ndtr, ndtr, ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Direction, sign_of, trials_of
from ipt_evidence.diagnostics.showing import html_row, one_row, p_text
from ipt_evidence.errors import NotEstimableError
from ipt_evidence.options import check_level
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

EXACT_UP_TO = 20
"""Above, the alternating sum of the Irwin-Hall distribution loses digits; the approximation is within 1e-4."""
FARTHEST = 40.0
"""Search range below and above the effects, in standard errors."""


@readable
@dataclass(frozen=True, slots=True, eq=False)
class PUniform:
    """The effect of p-uniform.

    Attributes
    ----------
    estimate, ci_low, ci_high : float
        Effect at which the conditional p-values are uniform, with its interval; infinite where no effect in reach is.
    statistic, p_value : float
        Sum of the conditional p-values under no effect, and the one-sided test of no effect.
    bias_p_value : float
        One-sided test whether the common-effect mean of all trials is too large for the significant results.
    k, k_significant : int
    original : PooledFit
    level : float
    notes : tuple of str
    """

    estimate: float
    ci_low: float
    ci_high: float
    statistic: float
    p_value: float
    bias_p_value: float
    k: int
    k_significant: int
    level: float
    original: PooledFit = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        return (
            f"From the {self.k_significant} significant of {self.k} results alone the effect is {self.estimate:.2f} "
            f"({self.ci_low:.2f} to {self.ci_high:.2f}) by p-uniform instead of {self.original.estimate:.2f}, if it is "
            "the same in all trials; where effects differ the method overestimates, and p-uniform* should be used."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("estimate", "ci_low", "ci_high", "statistic", "p_value", "bias_p_value", "k", "k_significant")
        return one_row(self, names)

    def _repr_html_(self) -> str:
        caption = f"p-uniform, {100 * self.level:g}% interval, p = {p_text(self.p_value)}"
        return html_row(self, caption)


def p_uniform(
    effects: PooledFit | pd.DataFrame, *, alternative: Direction = "greater", alpha: float = 0.025, level: float = 0.95
) -> PUniform:
    """Estimate one effect for all trials from the significant results alone (p-uniform, method P).

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    alternative : {"greater", "less"}
        Direction of the significant results.
    alpha : float
        One-sided level of significance in the trials; 0.025 where they tested two-sided at 0.05.
    level : float
        Level of the interval.

    Returns
    -------
    PUniform

    Raises
    ------
    NotEstimableError
        No result is significant in this direction.
    OptionError
        An option is out of range.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    Given significance, the chance of a result at least as large is uniform at the true effect. Their sum has an
    Irwin-Hall distribution: its median, half the number of results, gives the estimate, its quantiles the interval.

    References
    ----------
    van Assen MALM, van Aert RCM, Wicherts JM. Meta-analysis using effect size distributions of only statistically
    significant studies. Psychol Methods 2015;20:293-309. doi:10.1037/met0000025

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> effect = [0.9, 0.7, 0.8, 0.1, 0.6, 1.0, 0.5, 0.7, 0.2, 0.9]
    >>> found = ipt.p_uniform(pd.DataFrame({"effect": effect, "variance": 0.04}))
    >>> found.k_significant, found.ci_low < found.estimate < found.ci_high
    (8, True)
    """
    sign = sign_of(alternative, alpha)
    check_level(level)
    what = "p-uniform"
    trials = trials_of(effects, what=what)
    y, s = sign * trials.effect, trials.std_error
    cut = -ndtri(alpha) * s
    chosen = y > cut
    n = int(chosen.sum())
    if not n:
        raise NotEstimableError(f"{what} needs significant results; none of {trials.k} is significant")
    y, s, cut = y[chosen], s[chosen], cut[chosen]
    tail = 0.5 - level / 2
    ends = [_where(y, s, cut, n, share) for share in (tail, 0.5, 1 - tail)]
    weight = 1 / trials.variance
    mean = sign * float(weight @ trials.effect / weight.sum())
    at_zero = float(conditional_p(0.0, y, s, cut).sum())
    low, estimate, high = ends if sign > 0 else [-end for end in reversed(ends)]
    return PUniform(
        estimate=estimate,
        ci_low=low,
        ci_high=high,
        statistic=at_zero,
        p_value=irwin_hall(at_zero, n),
        bias_p_value=1 - irwin_hall(float(conditional_p(mean, y, s, cut).sum()), n),
        k=trials.k,
        k_significant=n,
        level=level,
        original=trials.fit,
        notes=cautions(trials, what=what),
    )


def conditional_p(effect: float, y: Array, std_error: Array, cut: Array) -> Array:
    """Return the chance of results at least as large as observed, given that they are significant.

    Parameters
    ----------
    effect : float
        True effect.
    y, std_error, cut : numpy.ndarray
        Results, standard errors and critical values, shape ``(k,)``.
    """
    shares: Array = np.exp(log_ndtr((effect - y) / std_error) - log_ndtr((effect - cut) / std_error))
    return shares


def irwin_hall(total: float, n: int) -> float:
    """Return the chance that the sum of `n` uniform numbers is at most `total`.

    Examples
    --------
    >>> irwin_hall(1.0, 2), irwin_hall(0.5, 1)
    (0.5, 0.5)
    """
    if total <= 0 or total >= n:
        return float(total > 0)
    if n > EXACT_UP_TO:
        return approximate_irwin_hall(total, n)
    j = np.arange(math.floor(total) + 1)
    terms = (-1.0) ** j * comb(n, j, exact=False) * (total - j) ** n
    return float(min(max(terms.sum() / math.factorial(n), 0.0), 1.0))


def approximate_irwin_hall(total: float, n: int) -> float:
    """Return the same by the normal distribution, corrected for the kurtosis -1.2/n of the sum (Edgeworth)."""
    x = (total - n / 2) / math.sqrt(n / 12)
    density = math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return float(min(max(ndtr(x) + density * 0.05 / n * (x**3 - 3 * x), 0.0), 1.0))


def _where(y: Array, s: Array, cut: Array, n: int, share: float) -> float:
    """Return the effect at which the sum of conditional p-values is at a quantile of its distribution."""
    from scipy.optimize import brentq

    def excess(effect: float) -> float:
        return irwin_hall(float(conditional_p(effect, y, s, cut).sum()), n) - share

    unit = float(np.median(s))
    low, high = float(cut.min()) - FARTHEST * unit, float(y.max()) + FARTHEST * unit
    if excess(low) >= 0:
        return -math.inf
    return float(brentq(excess, low, high, xtol=1e-12 * unit)) if excess(high) > 0 else math.inf
