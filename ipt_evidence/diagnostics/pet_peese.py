"""PET, PEESE and the rule that chooses between them: the effect of a trial of unlimited size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import stdtr

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Direction, trials_of
from ipt_evidence.diagnostics.line import Line, fit_line
from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.diagnostics.small_study import UNKNOWN_SIZE, arm_sizes
from ipt_evidence.errors import OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.intervals import two_sided_p
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

StandardError = Literal["reported", "pustejovsky-rodgers"]


@readable
@dataclass(frozen=True, slots=True)
class PetPeese:
    """Effects adjusted for small-study effects by regression.

    Attributes
    ----------
    chosen : {"PET", "PEESE"}
        What the rule takes: PEESE when PET finds an effect in the expected direction, else PET.
    estimate, std_error, ci_low, ci_high, p_value : float
        Adjusted effect of the chosen model.
    df : int
    pet, peese : Line
        Both lines; their intercepts are the adjusted effects.
    pet_p_value : float
        One-sided p-value of PET's intercept, on which the rule rests.
    alpha : float
        One-sided level of the rule.
    k : int
    measure : str
    level : float
    standard_error : {"reported", "pustejovsky-rodgers"}
        What the lines stand over.
    notes : tuple of str
    """

    chosen: Literal["PET", "PEESE"]
    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    p_value: float
    df: int
    pet: Line
    peese: Line
    pet_p_value: float
    alpha: float
    k: int
    measure: str
    level: float
    standard_error: StandardError = "reported"
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        why = "finds" if self.chosen == "PEESE" else "does not find"
        return (
            f"Extrapolated to a trial without sampling error, the effect is {self.estimate:.2f} ({self.ci_low:.2f} to "
            f"{self.ci_high:.2f}) by {self.chosen}, which the rule takes because PET {why} an effect (one-sided p = "
            f"{self.pet_p_value:.3f}); this is an adjustment for small-study effects, whatever their reason."
        )

    def tidy(self) -> pd.DataFrame:
        """Return one row per model; `chosen` marks the one the rule takes."""
        import pandas as pd

        rows = []
        for model, line in (("PET", self.pet), ("PEESE", self.peese)):
            low, high = line.intercept_interval(self.level)
            t = line.intercept / line.intercept_se
            numbers = {"estimate": line.intercept, "std_error": line.intercept_se, "ci_low": low, "ci_high": high}
            tests = {"p_value": float(two_sided_p(t, float(line.df))), "df": line.df, "slope": line.slope}
            slope = {
                "slope_std_error": line.slope_se,
                "p_value_slope": float(two_sided_p(line.slope_t, float(line.df))),
            }
            rows.append({"model": model} | numbers | tests | slope | {"chosen": model == self.chosen})
        return pd.DataFrame(rows)

    def _repr_html_(self) -> str:
        caption = f"PET and PEESE, k = {self.k}, {100 * self.level:g}% intervals"
        return html_table(self.tidy(), caption, (self.interpretation, *self.notes))


def pet_peese(
    effects: PooledFit | pd.DataFrame,
    *,
    standard_error: StandardError = "reported",
    alternative: Direction = "greater",
    alpha: float = 0.05,
    level: float = 0.95,
) -> PetPeese:
    """Adjust the pooled effect for small-study effects by PET, PEESE and the conditional rule.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    standard_error : {"reported", "pustejovsky-rodgers"}
        Predictor: the standard error, or ``sqrt(1/n_1 + 1/n_2)``, which a standardised mean difference does not
        influence.
    alternative : {"greater", "less"}
        Direction in which an effect is expected.
    alpha : float
        One-sided level at which PET must find an effect for PEESE to be taken.
    level : float
        Level of the intervals.

    Returns
    -------
    PetPeese

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
    Weighted least squares with inverse variances and multiplicative dispersion: PET on the standard error, PEESE on its
    square. With large heterogeneity or fewer than 20 trials both are unreliable (Stanley 2017,
    doi:10.1177/1948550617693062).

    References
    ----------
    Stanley TD, Doucouliagos H. Meta-regression approximations to reduce publication selection bias. Res Synth Methods
    2014;5:60-78. doi:10.1002/jrsm.1095

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> error = np.linspace(0.1, 0.5, 12)
    >>> table = pd.DataFrame({"effect": 0.3 + error + 0.05 * np.cos(np.arange(12)), "variance": error**2})
    >>> adjusted = ipt.pet_peese(table)
    >>> adjusted.chosen, round(adjusted.estimate, 2)
    ('PEESE', 0.43)
    """
    choose("standard_error", standard_error, StandardError)
    choose("alternative", alternative, Direction)
    check_level(level)
    if not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, such as 0.05; received {alpha!r}")
    trials = trials_of(effects, what="PET-PEESE", minimum=3)
    x = trials.std_error
    left_out: tuple[str, ...] = ()
    if standard_error == "pustejovsky-rodgers":
        n_1, n_2 = arm_sizes(trials.studies, f"standard_error={standard_error!r}")
        x = np.sqrt(1 / n_1 + 1 / n_2)
        trials, left_out = trials.keep(~np.isnan(x), UNKNOWN_SIZE)
        x = x[~np.isnan(x)]
    weight = 1 / trials.variance
    pet, peese = (fit_line(trials.effect, predictor, weight, "PET-PEESE") for predictor in (x, x**2))
    t = pet.intercept / pet.intercept_se * (1 if alternative == "greater" else -1)
    one_sided = float(stdtr(pet.df, -t))
    warned = cautions(trials, what="PET-PEESE", standard_errors=standard_error == "reported", events=True)
    chosen = peese if one_sided < alpha else pet
    low, high = chosen.intercept_interval(level)
    return PetPeese(
        chosen="PEESE" if chosen is peese else "PET",
        estimate=chosen.intercept,
        std_error=chosen.intercept_se,
        ci_low=low,
        ci_high=high,
        p_value=float(two_sided_p(chosen.intercept / chosen.intercept_se, float(chosen.df))),
        df=chosen.df,
        pet=pet,
        peese=peese,
        pet_p_value=one_sided,
        alpha=alpha,
        k=trials.k,
        measure=trials.fit.measure,
        level=level,
        standard_error=standard_error,
        notes=(*left_out, *warned),
    )
