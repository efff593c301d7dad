"""What a worst-case meta-analysis returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipt_evidence.diagnostics.showing import html_table, one_row
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value", "s_value", "s_value_ci", "target")
REST = (
    "uncorrected",
    "uncorrected_ci_low",
    "uncorrected_ci_high",
    "k",
    "k_affirmative",
    "model",
    "alternative",
    "measure",
)


@readable
@dataclass(frozen=True, slots=True, eq=False)
class WorstCase:
    """The pooled effect of the trials that publication did not favour, and how much selection would explain the result.

    Attributes
    ----------
    estimate, std_error, df, ci_low, ci_high, p_value : float
        Mean effect of the nonaffirmative trials alone: the worst case, in which nothing but favour brought the others
        to print.
    s_value, s_value_ci : float
        How many times more likely affirmative trials must be to be published for the corrected effect, or its interval,
        to reach `target`; 1 when it does so without selection, infinite when no selection is enough.
    target : float
        The effect that the s-values aim at.
    uncorrected, uncorrected_ci_low, uncorrected_ci_high : float
        All trials, without correction.
    k, k_affirmative : int
        Number of trials, and of those significant in the favoured direction.
    model, alternative, alpha : str, str, float
        How the mean was formed and which results count as affirmative.
    measure : str
    level : float
        Level of the intervals.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float
    s_value: float
    s_value_ci: float
    target: float
    uncorrected: float
    uncorrected_ci_low: float
    uncorrected_ci_high: float
    k: int
    k_affirmative: int
    model: str
    alternative: str
    alpha: float
    measure: str
    level: float
    corrected_table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def k_nonaffirmative(self) -> int:
        """Number of trials that are not significant in the favoured direction."""
        return self.k - self.k_affirmative

    @property
    def corrected(self) -> pd.DataFrame:
        """Corrected effect by selection ratio, from 1 (no selection) to infinity (the worst case)."""
        return self.corrected_table.copy()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        worst = f"{self.estimate:.2f}"
        if not math.isnan(self.ci_low):
            worst += f" ({100 * self.level:g}% CI {self.ci_low:.2f} to {self.ci_high:.2f})"
        head = (
            f"The {self.k_nonaffirmative} of {self.k} trials that are not significant in the favoured direction have a "
            f"mean effect of {worst}, against {self.uncorrected:.2f} of all"
        )
        if self.k_affirmative == 0:
            return f"{head}: no trial is affirmative, so there is nothing for this kind of selection to explain."
        return f"{head}; {self._ratio('effect', self.s_value)}, and {self._ratio('interval', self.s_value_ci)}."

    def _ratio(self, what: str, s: float) -> str:
        if math.isnan(s):
            return f"for the {what} nothing can be said"
        if math.isinf(s):
            return f"no such selection, however strong, would shift the {what} to {self.target:.3g}"
        if s == 1:
            return f"the {what} reaches {self.target:.3g} without any selection"
        often = f"affirmative trials would have to be {s:.1f} times as likely to be published"
        return f"{often} to shift the {what} to {self.target:.3g}"

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        return one_row(self, (*NUMBERS, *REST))

    def summary(self) -> str:
        """Return the result as text: what it says, the corrected effects, what to mind."""
        shown = self.corrected_table.to_string(index=False, float_format="{:.3f}".format, na_rep="-")
        return "\n".join(["Worst-case meta-analysis", self.interpretation, shown, *self.notes])

    def _repr_html_(self) -> str:
        caption = f"Effect if significant trials are so many times more likely to be published ({self.model} model)"
        return html_table(self.corrected_table, caption, (self.interpretation, *self.notes))
