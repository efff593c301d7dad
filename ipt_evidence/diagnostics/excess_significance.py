"""Count significant results, and how many the power of the trials lets expect."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import bdtrc, ndtr, ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, trials_of
from ipt_evidence.diagnostics.showing import html_row, one_row, p_equals
from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

ExcessTest = Literal["exact", "chi2", "binomial"]
SUSPICIOUS = 0.1


@readable
@dataclass(frozen=True, slots=True, eq=False)
class ExcessSignificance:
    """Significant results observed and expected.

    Attributes
    ----------
    observed : int
        Trials with a significant result.
    expected : float
        Sum of the powers of the trials to find `effect`.
    statistic : float
        Chi-square for ``test="chi2"``; else the ratio of observed to expected.
    p_value : float
        One-sided: as many significant results or more.
    effect : float
        Effect that the power is computed for.
    test : {"exact", "chi2", "binomial"}
    alpha : float
        Two-sided level of significance in the trials.
    k : int
    studies : pandas.DataFrame
        `study power p_value significant`.
    notes : tuple of str
    """

    observed: int
    expected: float
    statistic: float
    p_value: float
    effect: float
    test: ExcessTest
    alpha: float
    k: int
    studies: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        counts = (
            f"{self.observed} of {self.k} results are significant, {self.expected:.1f} are expected if the effect is "
            f"{self.effect:.2f} in all trials ({p_equals(self.p_value)})"
        )
        if self.p_value >= SUSPICIOUS:
            return f"{counts}; an excess was not detected, which is not evidence that there is none."
        return f"{counts}; selective publication is one possible reason, differences between the trials are another."

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("observed", "expected", "statistic", "p_value", "effect", "test", "alpha", "k")
        return one_row(self, names)

    def _repr_html_(self) -> str:
        caption = f"Test of excess significance ({self.test})"
        return html_row(self, caption)


def excess_significance(
    effects: PooledFit | pd.DataFrame,
    *,
    effect: float | None = None,
    alpha: float = 0.05,
    test: ExcessTest = "exact",
) -> ExcessSignificance:
    """Test whether more results are significant than the power of the trials lets expect.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    effect : float, optional
        True effect in all trials; the common-effect (inverse-variance) mean by default, as the authors advise.
    alpha : float
        Two-sided level of significance in the trials.
    test : {"exact", "chi2", "binomial"}
        Distribution of the number of significant results: that of independent trials with their own powers
        (Poisson-binomial), chi-square on one degree of freedom, or binomial with the mean power.

    Returns
    -------
    ExcessSignificance

    Raises
    ------
    OptionError
        An option is not among its choices.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    The power is that of a two-sided normal test with the standard error of the trial; differences between the trials
    are not allowed for, so heterogeneity makes an excess likely.

    References
    ----------
    Ioannidis JPA, Trikalinos TA. An exploratory test for an excess of significant findings. Clin Trials 2007;4:245-253.
    doi:10.1177/1740774507079441

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> effect = [0.9, 0.7, 0.8, 0.1, 0.6, 1.0, 0.5, 0.7, 0.2, 0.9]
    >>> found = ipt.excess_significance(pd.DataFrame({"effect": effect, "variance": 0.04}), effect=0.3)
    >>> found.observed, round(found.expected, 2), round(found.p_value, 4)
    (8, 3.23, 0.0027)
    """
    import pandas as pd

    choose("test", test, ExcessTest)
    if not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, such as 0.05; received {alpha!r}")
    what = "The test of excess significance"
    trials = trials_of(effects, what=what)
    theta = float(np.average(trials.effect, weights=1 / trials.variance)) if effect is None else float(effect)
    p = 2 * ndtr(-np.abs(trials.effect) / trials.std_error)
    power = power_of(theta, trials.std_error, alpha)
    observed, expected = int((p <= alpha).sum()), float(power.sum())
    statistic, p_value = _tail(observed, power, test)
    table = {"study": trials.labels, "power": power, "p_value": p, "significant": p <= alpha}
    return ExcessSignificance(
        observed=observed,
        expected=expected,
        statistic=statistic,
        p_value=p_value,
        effect=theta,
        test=test,
        alpha=alpha,
        k=trials.k,
        studies=pd.DataFrame(table),
        notes=cautions(trials, what=what),
    )


def power_of(effect: float, std_error: Array, alpha: float) -> Array:
    """Return the chance that a two-sided normal test finds an effect, for each standard error.

    Parameters
    ----------
    effect : float
        True effect.
    std_error : numpy.ndarray
        Any shape.
    alpha : float
        Two-sided level.

    Examples
    --------
    >>> float(power_of(0.0, np.array(1.0), 0.05).round(6))
    0.05
    """
    critical = -ndtri(alpha / 2)
    shift = effect / std_error
    return np.asarray(ndtr(shift - critical) + ndtr(-shift - critical))


def _tail(observed: int, power: Array, test: ExcessTest) -> tuple[float, float]:
    """Return the statistic and the chance of as many significant results or more."""
    k, expected = power.size, float(power.sum())
    ratio = observed / expected
    if test == "binomial":
        return ratio, float(bdtrc(observed - 1, k, expected / k)) if observed else 1.0
    if test == "exact":
        return ratio, float(number_of_successes(power)[observed:].sum())
    room = k - expected
    chi2 = (observed - expected) ** 2 * (1 / expected + 1 / room) if room > 0 else math.nan
    return chi2, float(ndtr(math.copysign(math.sqrt(chi2), expected - observed)))


def number_of_successes(chance: Array) -> Array:
    """Return the distribution of the number of successes of independent trials, shape ``(k + 1,)``.

    Parameters
    ----------
    chance : numpy.ndarray
        Shape ``(k,)``, chance of success of each.

    Examples
    --------
    >>> number_of_successes(np.array([0.5, 0.5])).tolist()
    [0.25, 0.5, 0.25]
    """
    distribution = np.ones(1)
    for p in chance:
        distribution = np.convolve(distribution, [1 - p, p])
    return distribution
