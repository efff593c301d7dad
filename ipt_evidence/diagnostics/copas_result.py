"""What the Copas selection model returns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ipt_evidence.diagnostics.showing import html_table, one_row, p_equals
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "tau2", "rho", "probability", "n_unpublished", "p_residual")


@readable
@dataclass(frozen=True, slots=True, eq=False)
class CopasModel:
    """A pooled effect corrected for selection by size and result, and the path on which it lies.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high : float
        Mean effect under the least selection that leaves none over, with its Wald interval; NaN when no selection on
        the path is enough. Equal to `unadjusted` when the trials show no selection to begin with.
    tau2, rho : float
        Between-study variance, and the correlation of a result with its publication, at the same point; `rho` is NaN
        without selection.
    probability : float
        Probability of publication of the least precise trial at the same point.
    n_unpublished : float
        Number of trials that would be unpublished.
    p_residual : float
        p-value of the test of residual selection bias at the same point.
    log_likelihood : float
    p_value : float
        p-value of the test of residual selection bias without any correction: does the trials' asymmetry ask for one?
    unadjusted : float
        The mean effect without correction, by maximum likelihood.
    converged : bool
        Whether there is a corrected effect and the maximum of its likelihood was found.
    k : int
        Number of trials.
    largest : float
        Probability of publication of the most precise trial when that of the least precise is 0.5.
    alternative : str
        Which results publication favours.
    residual_level, level : float
        Levels of the test and of the interval.
    measure : str
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    tau2: float
    rho: float
    probability: float
    n_unpublished: float
    p_residual: float
    log_likelihood: float
    p_value: float
    unadjusted: float
    converged: bool
    k: int
    largest: float
    alternative: str
    residual_level: float
    measure: str
    level: float
    path_table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> pd.DataFrame:
        """One row per probability of publication of the least precise trial, beginning without selection."""
        return self.path_table.copy()

    @property
    def interpretation(self) -> str:
        """One sentence that says what the model found, and no more."""
        test = f"test of residual selection {p_equals(self.p_value)}, k = {self.k}"
        if math.isnan(self.estimate):
            return f"The trials are asymmetric ({test}) in a way that this model cannot explain: no corrected effect."
        if self.probability == 1:
            return (
                f"The trials do not ask for a correction ({test}), which is not evidence that none is needed; the mean "
                f"effect is {self.unadjusted:.2f}, and the path shows where selection would take it."
            )
        interval = f"{100 * self.level:g}% CI {self.ci_low:.2f} to {self.ci_high:.2f}"
        if not self.converged:
            interval = "without an interval, because the likelihood has no regular maximum there"
        return (
            f"The trials are asymmetric ({test}); selection that publishes the least precise trial with a probability "
            f"of {self.probability:.2f} would explain it, and the mean effect would be {self.estimate:.2f} ({interval}"
            f"), against {self.unadjusted:.2f} without correction."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        return one_row(self, (*NUMBERS, "p_value", "unadjusted", "converged", "k", "measure"))

    def summary(self) -> str:
        """Return the model as text: the corrected effect, the path, what to mind."""
        columns = ["probability", "estimate", "std_error", "rho", "tau2", "p_residual", "n_unpublished"]
        shown = self.path_table[columns].to_string(index=False, float_format="{:.3f}".format, na_rep="-")
        return "\n".join(["Copas selection model", self.interpretation, shown, *self.notes])

    def _repr_html_(self) -> str:
        columns = ["probability", "estimate", "std_error", "rho", "tau2", "n_unpublished", "p_residual"]
        shown = self.path_table[columns].rename(columns={"p_residual": "p_value_residual"})
        caption = f"Copas selection model, by the probability that the least precise of {self.k} trials is published"
        return html_table(shown, caption, (self.interpretation, *self.notes))
