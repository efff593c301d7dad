"""Power: of the pooled test, of each trial for the pooled effect, and how many trials would be needed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from ipt_evidence.diagnostics.excess_significance import power_of
from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.diagnostics.showing import html_row, one_row
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

ENOUGH = 0.8
OWN = "The power is for the estimate itself and says no more than its p-value; give the smallest effect that matters."


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Power:
    """Power of a meta-analysis and of its trials to find an effect.

    Attributes
    ----------
    effect : float
        True mean effect assumed.
    power : float
        Chance that the pooled two-sided normal test finds it, with the trials and tau2 as they are.
    median_power, low_power_share : float
        Median power of the single trials, and the share of them below 80%.
    minimal_effect : float
        Smallest mean effect that the meta-analysis finds with 80% power.
    d33, d66 : float
        Effects that the median trial would find with 33% and 66% power.
    r_index : float
        Median observed power, less its excess of significant results (Schimmack's R-index), between 0 and 1.
    trials_needed : int or None
        Trials like the typical one that would give 80% power for `effect`; ``None`` where the effect is zero.
    typical_variance : float
        Harmonic mean of the sampling variances.
    tau2, alpha : float
    k : int
    studies : pandas.DataFrame
        `study effect std_error power`, power of each trial for `effect` (as in a sunset plot).
    notes : tuple of str
    """

    effect: float
    power: float
    median_power: float
    low_power_share: float
    minimal_effect: float
    d33: float
    d66: float
    r_index: float
    trials_needed: int | None
    typical_variance: float
    tau2: float
    alpha: float
    k: int
    studies: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        return (
            f"If the mean effect is {self.effect:.2f}, the {self.k} trials together find it with a power of "
            f"{100 * self.power:.0f}%, the median trial alone with {100 * self.median_power:.0f}%; with 80% power "
            f"they find mean effects from {self.minimal_effect:.2f} on."
        )

    def trials_for(self, power: float = ENOUGH, *, effect: float | None = None) -> int:
        """Return how many trials like the typical one give a power for an effect, by default the assumed one.

        Parameters
        ----------
        power : float
            Wanted power, above `alpha` and below 1.
        effect : float, optional
            True mean effect.

        Raises
        ------
        OptionError
            The power cannot be reached, or the effect is zero.
        """
        return trials_for_power(
            self.effect if effect is None else effect, self.typical_variance + self.tau2, power, self.alpha
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("effect", "power", "median_power", "low_power_share", "minimal_effect", "d33", "d66", "r_index")
        return one_row(self, (*names, "trials_needed", "tau2", "alpha", "k"))

    def _repr_html_(self) -> str:
        caption = f"Power at a two-sided level of {self.alpha:g}"
        return html_row(self, caption)


def power(fit: PooledFit | pd.DataFrame, *, effect: float | None = None, alpha: float = 0.05) -> Power:
    """Compute the power of a meta-analysis and of its trials.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    effect : float, optional
        True mean effect; the pooled estimate by default. Power for one's own estimate says no more than its p-value:
        give the smallest effect that matters instead, such as 0.24 for g.
    alpha : float
        Two-sided level of the tests.

    Returns
    -------
    Power

    Raises
    ------
    NotEstimableError
        No trial.
    OptionError
        An option is out of range.

    Notes
    -----
    The pooled test is normal with variance ``1 / sum(1 / (v_i + tau2))``, tau2 being that of the fit (0 for one trial).
    The number of trials needed takes ``(v + tau2) / m`` for m trials with the harmonic mean v of the variances.

    References
    ----------
    Hedges LV, Pigott TD. The power of statistical tests in meta-analysis. Psychol Methods 2001;6:203-217.
    doi:10.1037/1082-989X.6.3.203
    Kossmeier M, Tran US, Voracek M. Power-enhanced funnel plots for meta-analysis. Z Psychol 2020;228:43-49.
    doi:10.1027/2151-2604/a000392

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9, 0.3], "variance": [0.04, 0.02, 0.06, 0.03]})
    >>> found = ipt.power(ipt.pool(table, tau2_method="EE", ci_method="wald"), effect=0.24)
    >>> round(found.power, 3), found.trials_needed
    (0.765, 5)
    """
    import pandas as pd

    if not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, such as 0.05; received {alpha!r}")
    trials = trials_of(fit, what="Power")
    own = effect is None
    mean = trials.fit.estimate if effect is None else float(effect)
    if not math.isfinite(mean):
        raise NotEstimableError("power needs a mean effect; the fit has none, give effect=")
    tau2 = 0.0 if math.isnan(trials.fit.tau2) else trials.fit.tau2
    std_error = 1 / math.sqrt(float((1 / (trials.variance + tau2)).sum()))
    each = power_of(mean, trials.std_error, alpha)
    median_error = float(np.median(trials.std_error))
    typical = trials.k / float((1 / trials.variance).sum())
    table = {"study": trials.labels, "effect": trials.effect, "std_error": trials.std_error, "power": each}
    significant = np.abs(trials.effect) / trials.std_error > -ndtri(alpha / 2)
    observed = float(significant.mean())
    return Power(
        effect=mean,
        power=float(power_of(mean, np.array(std_error), alpha)),
        median_power=float(np.median(each)),
        low_power_share=float((each < ENOUGH).mean()),
        minimal_effect=effect_for_power(std_error, ENOUGH, alpha),
        d33=effect_for_power(median_error, 0.33, alpha),
        d66=effect_for_power(median_error, 0.66, alpha),
        r_index=float(np.clip(2 * np.median(each) - observed, 0, 1)),
        trials_needed=None if mean == 0 else trials_for_power(mean, typical + tau2, ENOUGH, alpha),
        typical_variance=typical,
        tau2=tau2,
        alpha=alpha,
        k=trials.k,
        studies=pd.DataFrame(table),
        notes=(OWN,) if own else (),
    )


def effect_for_power(std_error: float, power: float, alpha: float) -> float:
    """Return the positive effect that a two-sided normal test finds with a power.

    Raises
    ------
    OptionError
        The power does not lie between `alpha` and 1.
    """
    from scipy.optimize import brentq

    if not alpha < power < 1:
        raise OptionError(f"power must lie between alpha = {alpha:g} and 1; received {power!r}")
    top = float(ndtri(power) - ndtri(alpha / 2)) + 1
    unit = np.array(1.0)
    return std_error * float(brentq(lambda z: float(power_of(z, unit, alpha)) - power, 0.0, top, xtol=1e-13))


def trials_for_power(effect: float, variance: float, power: float, alpha: float) -> int:
    """Return the fewest trials, each with a variance in all of `variance`, that give a power for an effect.

    Raises
    ------
    OptionError
        The effect is zero, or the power does not lie between `alpha` and 1.
    """
    if effect == 0:
        raise OptionError("no number of trials finds an effect of zero; give another effect")
    needed = effect_for_power(1.0, power, alpha)
    return max(1, math.ceil((needed / effect) ** 2 * variance * (1 - 1e-12)))
