"""Fail-safe N: how many unpublished trials without effect would overturn the result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtr, ndtri

from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.diagnostics.showing import html_row, one_row
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

FailsafeMethod = Literal["rosenthal", "orwin", "rosenberg", "general"]
CAP = 1 << 17
"""Most trials that the general method adds."""


@readable
@dataclass(frozen=True, slots=True)
class FailsafeN:
    """A fail-safe number.

    Attributes
    ----------
    n : int
        Trials without effect that would be needed; 0 when the result is not beyond the target as it stands.
    method : {"rosenthal", "orwin", "rosenberg", "general"}
    k : int
    estimate, p_value : float
        What the method starts from: the mean effect (NaN for Rosenthal) and its p-value (NaN for Orwin).
    alpha : float
        Level to be lost (NaN for Orwin).
    target : float
        Effect to be reached (NaN where a level is to be lost).
    notes : tuple of str
    """

    n: int
    method: FailsafeMethod
    k: int
    estimate: float
    p_value: float
    alpha: float
    target: float
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        goal = f"lift p above {self.alpha:g}"
        if math.isnan(self.alpha):
            goal = f"lower the mean effect to {self.target:.2f}"
        return (
            f"{self.n} unpublished trials with a mean effect of zero would {goal} (fail-safe N, {self.method}, "
            f"k = {self.k}); the number says nothing of whether such trials exist and is no evidence against bias."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("method", "n", "k", "estimate", "p_value", "alpha", "target")
        return one_row(self, names)

    def _repr_html_(self) -> str:
        return html_row(self, f"Fail-safe N ({self.method})")


def failsafe_n(
    effects: PooledFit | pd.DataFrame,
    *,
    method: FailsafeMethod = "rosenthal",
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = True,
) -> FailsafeN:
    """Count the trials without effect that would overturn a result.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    method : {"rosenthal", "orwin", "rosenberg", "general"}
        ``"rosenthal"``: Stouffer's combined one-sided p rises above `alpha`. ``"orwin"``: the mean effect falls to
        `target`. ``"rosenberg"``: the two-sided p of the common-effect mean rises above `alpha`, added trials having
        the mean weight. ``"general"``: the same for the random-effects mean, with normal p, added trials having effect
        zero, the harmonic mean of the variances, and tau2 estimated anew by the fit's estimator.
    alpha : float
        Level to be lost.
    target : float, optional
        For ``"orwin"``: smallest effect that matters; half the mean by default.
    weighted : bool
        For ``"orwin"``: whether the mean is weighted by inverse variances.

    Returns
    -------
    FailsafeN

    Raises
    ------
    OptionError
        An option is not among its choices, `target` is zero or goes with another method.

    Notes
    -----
    Becker BJ (2005, doi:10.1002/0470870168.ch7) advises against the number; it is here because readers ask for it.

    References
    ----------
    Rosenthal R. The file drawer problem and tolerance for null results. Psychol Bull 1979;86:638-641.
    doi:10.1037/0033-2909.86.3.638
    Orwin RG. A fail-safe N for effect size in meta-analysis. J Educ Stat 1983;8:157-159. doi:10.3102/10769986008002157
    Rosenberg MS. The file-drawer problem revisited: a general weighted method for calculating fail-safe numbers in
    meta-analysis. Evolution 2005;59:464-468. doi:10.1111/j.0014-3820.2005.tb01004.x

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.9, 0.7, 0.8, 0.1, 0.6], "variance": 0.04})
    >>> ipt.failsafe_n(table).n, ipt.failsafe_n(table, method="orwin", target=0.2).n
    (84, 11)
    """
    choose("method", method, FailsafeMethod)
    if not 0 < alpha < 0.5:
        raise OptionError(f"alpha must lie between 0 and 0.5, such as 0.05; received {alpha!r}")
    if target is not None and (method != "orwin" or target == 0):
        raise OptionError("target is the smallest effect that matters; it goes with method='orwin' and is not zero")
    trials = trials_of(effects, what="Fail-safe N")
    if method == "rosenthal":
        return _rosenthal(trials, alpha)
    if method == "orwin":
        return _orwin(trials, target, weighted)
    return _rosenberg(trials, alpha) if method == "rosenberg" else _general(trials, alpha)


def _rosenthal(trials: Trials, alpha: float) -> FailsafeN:
    total = abs(float((trials.effect / trials.std_error).sum()))
    p = float(ndtr(-total / math.sqrt(trials.k)))
    n = 0 if p > alpha else math.ceil((total / ndtri(alpha)) ** 2 - trials.k)
    return FailsafeN(max(n, 0), "rosenthal", trials.k, math.nan, p, alpha, math.nan)


def _orwin(trials: Trials, target: float | None, weighted: bool) -> FailsafeN:
    mean = float(np.average(trials.effect, weights=1 / trials.variance if weighted else None))
    goal = mean / 2 if target is None else math.copysign(target, mean)
    n = 0 if mean == 0 else math.ceil(trials.k * (abs(mean) - abs(goal)) / abs(goal))
    return FailsafeN(max(n, 0), "orwin", trials.k, mean, math.nan, math.nan, goal)


def _rosenberg(trials: Trials, alpha: float) -> FailsafeN:
    weight = 1 / trials.variance
    total = float(weight.sum())
    mean = float(weight @ trials.effect) / total
    p = float(2 * ndtr(-abs(mean) * math.sqrt(total)))
    needed = trials.k * ((mean / ndtri(alpha / 2)) ** 2 * total - 1)
    return FailsafeN(0 if p > alpha else max(math.ceil(needed), 0), "rosenberg", trials.k, mean, p, alpha, math.nan)


def _general(trials: Trials, alpha: float) -> FailsafeN:
    """Return the number by doubling and bisection: p rises with every trial without effect."""
    from ipt_evidence.pooling.tau2 import estimate_tau2

    added = trials.k / float((1 / trials.variance).sum())
    method = trials.fit.method.tau2_method

    def mean_and_p(n: int) -> tuple[float, float]:
        y = np.append(trials.effect, np.zeros(min(n, CAP)))
        v = np.append(trials.variance, np.full(min(n, CAP), added))
        tau2 = float(estimate_tau2(y[None], v[None], method)[0]) if y.size > 1 else 0.0
        weight = 1 / (v + tau2)
        mean = float(weight @ y) / float(weight.sum())
        return mean, float(2 * ndtr(-abs(mean) * math.sqrt(float(weight.sum()))))

    mean, p = mean_and_p(0)
    if p > alpha:
        return FailsafeN(0, "general", trials.k, mean, p, alpha, math.nan)
    high = 1
    while mean_and_p(high)[1] <= alpha and high < CAP:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mean_and_p(middle)[1] <= alpha else (low, middle)
    notes = ("More than the method looks for; the number is a lower bound.",) if high >= CAP else ()
    return FailsafeN(high, "general", trials.k, mean, p, alpha, math.nan, notes)
