"""What selection models return."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.diagnostics.showing import html_table, p_equals, p_text
from ipt_evidence.diagnostics.weight_functions import Alternative, Array, SelectionShape, relative_weight
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

SUSPICIOUS = 0.1
DESCRIPTIONS = {
    "step": "step function",
    "beta": "beta weights",
    "halfnormal": "half-normal weights",
    "negexp": "negative-exponential weights",
    "logistic": "logistic weights",
    "power": "power weights",
}
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "statistic", "estimate_p_value", "tau2", "tau2_std_error")
TESTS = ("lrt", "lrt_df", "p_value", "log_likelihood", "null_log_likelihood", "unadjusted", "converged", "k")


@readable
@dataclass(frozen=True, slots=True, eq=False)
class SelectionModel:
    """A pooled effect corrected for selective publication, if trials were selected as the model says.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, statistic, estimate_p_value : float
        Corrected mean effect with its Wald interval and test. With moderators the intercept: the effect where all
        moderators are zero; NaN without an intercept. No standard error where the likelihood has no proper maximum.
    tau2, tau2_std_error : float
        Between-study variance before selection.
    lrt, lrt_df, p_value : float
        Likelihood-ratio test that there is no selection; NaN when the weights are fixed.
    log_likelihood, null_log_likelihood : float
        With selection, and of the same model without (maximum likelihood, all constants included).
    unadjusted : float
        The mean effect without correction, by maximum likelihood.
    converged : bool
        Whether the maximum of the likelihood was found; if not, none of the numbers should be used.
    k : int
        Number of trials.
    model, alternative : str
        Weight function, and which results publication favours.
    steps : tuple of float
        Cut points of a step function.
    parameters : tuple of float
        Parameters of the weight function; for a step function the weight of every interval.
    measure : str
    level : float
        Level of the intervals.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    statistic: float
    estimate_p_value: float
    tau2: float
    tau2_std_error: float
    lrt: float
    lrt_df: int
    p_value: float
    log_likelihood: float
    null_log_likelihood: float
    unadjusted: float
    converged: bool
    k: int
    model: SelectionShape
    alternative: Alternative
    steps: tuple[float, ...]
    parameters: tuple[float, ...]
    measure: str
    level: float
    weight_table: pd.DataFrame = field(repr=False)
    coefficient_table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def weights(self) -> pd.DataFrame:
        """How likely publication is: one row per interval of p-values (step function) or parameter of the function.

        Intervals and standard errors belong to estimated values only (Wald on logarithms; for the functions with one
        parameter, which can be 0, on the parameter itself); `n_trials` counts
        the trials of an interval.
        """
        return self.weight_table.copy()

    @property
    def coefficients(self) -> pd.DataFrame:
        """Coefficients of the moderators, the intercept first."""
        return self.coefficient_table.copy()

    @property
    def n_per_interval(self) -> tuple[int, ...]:
        """Number of trials in each interval of p-values of a step function; empty for the other models."""
        return tuple(int(n) for n in self.weight_table["n_trials"]) if self.model == "step" else ()

    def weight_at(self, p: npt.ArrayLike) -> Array:
        """Return how likely publication is at these p-values, relative to the most likely ones of a step function.

        Parameters
        ----------
        p : array_like
            p-values between 0 and 1, of the side that `alternative` names.
        """
        return relative_weight(self.model, self.steps, self.parameters, np.asarray(p, dtype=float))

    @property
    def interpretation(self) -> str:
        """One sentence that says what the model found, and no more."""
        if not self.converged:
            return (
                f"The selection model ({self._name()}) has no proper maximum of the likelihood with these {self.k} "
                "trials; its numbers should not be used."
            )
        effect = f"the mean effect would be {self.estimate:.2f} ({100 * self.level:g}% CI {self.ci_low:.2f} to "
        effect += f"{self.ci_high:.2f}), against {self.unadjusted:.2f} without correction"
        if len(self.coefficient_table) > 1:
            effect = "the coefficients of the moderators would be those of the table"
        if math.isnan(self.p_value):
            return f"If trials had been published with these weights, {effect}."
        test = f"likelihood-ratio test {p_equals(self.p_value)}"
        if self.p_value >= SUSPICIOUS:
            return (
                f"No selection by p-value was detected ({test}, k = {self.k}), which is not evidence that there was "
                f"none; corrected for the selection estimated, {effect}."
            )
        return (
            f"Publication seems to depend on the p-value ({test}, k = {self.k}); corrected for it, and if this is how "
            f"trials were selected, {effect}."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        import pandas as pd

        row = {"model": self._name(), "alternative": self.alternative}
        row |= {name: getattr(self, name) for name in (*NUMBERS, *TESTS, "measure")}
        return pd.DataFrame([row | {"notes": " ".join(self.notes)}])

    def summary(self) -> str:
        """Return the model as text: the effect, the weights, the test, what to mind."""
        pct = f"{100 * self.level:g}%"
        lines = [f"Selection model: {self._name()}, selection favours {self._favours()}, k = {self.k}"]
        lines.append(f"  corrected effect     {self.estimate:.4f} (SE {self.std_error:.4f})")
        lines.append(f"  {pct} interval         {self.ci_low:.4f} to {self.ci_high:.4f}")
        lines.append(f"  without correction   {self.unadjusted:.4f}")
        lines.append(f"  tau2                 {self.tau2:.4f}")
        lines += [self._weight_line(row) for row in self.weight_table.to_dict("records")]
        if not math.isnan(self.p_value):
            lines.append(f"  no selection         LR = {self.lrt:.3f}, df = {self.lrt_df}, p = {p_text(self.p_value)}")
        lines.extend(f"  note                 {note}" for note in self.notes)
        return "\n".join(lines)

    @staticmethod
    def _weight_line(row: dict[Hashable, Any]) -> str:
        line = f"  {row['term']:<20} {row['estimate']:.4f}"
        if not math.isnan(row["std_error"]):
            line += f" (SE {row['std_error']:.4f}, {row['ci_low']:.4f} to {row['ci_high']:.4f})"
        return line if math.isnan(row["p_low"]) else f"{line}, {row['n_trials']} trials"

    def _name(self) -> str:
        name = DESCRIPTIONS[self.model]
        if self.model == "step":
            name += f" with cut points {', '.join(f'{step:g}' for step in self.steps)}"
        return name

    def _favours(self) -> str:
        return {"greater": "high effects", "less": "low effects", "two-sided": "effects far from zero"}[
            self.alternative
        ]

    def _repr_html_(self) -> str:
        main = self.tidy()[["estimate", "std_error", "ci_low", "ci_high", "tau2", "unadjusted", "lrt", "p_value", "k"]]
        caption = f"Selection model: {self._name()}, selection favours {self._favours()}"
        shown = html_table(main, caption) + html_table(self.weights, "How likely publication is")
        return shown + html_table(self.tidy()[[]], "", (self.interpretation, *self.notes)).split("</table>")[-1]


@readable
@dataclass(frozen=True, slots=True, eq=False)
class WeightSensitivity:
    """Corrected effects under weights that were fixed beforehand.

    Attributes
    ----------
    models : mapping of str to SelectionModel
        One model per pattern of weights, in the order given.
    """

    models: dict[str, SelectionModel]

    @property
    def interpretation(self) -> str:
        """One sentence that says how far the mean effect moves, and no more."""
        usable = [m for m in self.models.values() if m.converged]
        if not usable:
            return "Under none of these weights does the likelihood have a proper maximum."
        low, high = min(m.estimate for m in usable), max(m.estimate for m in usable)
        return (
            f"If trials had been published with these weights, the mean effect would lie between {low:.2f} and "
            f"{high:.2f}, "
            f"against {usable[0].unadjusted:.2f} without correction; the weights are examples, not estimates."
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know before quoting the numbers, each said once."""
        return tuple(dict.fromkeys(note for model in self.models.values() for note in model.notes))

    def tidy(self) -> pd.DataFrame:
        """Return one row per pattern, after a row without correction."""
        import pandas as pd

        rows = [{"pattern": name, **model.tidy().iloc[0].to_dict()} for name, model in self.models.items()]
        names = ["pattern", *NUMBERS, "log_likelihood", "converged", "k"]
        return pd.DataFrame(rows)[names]

    def _repr_html_(self) -> str:
        table = self.tidy()[["pattern", "estimate", "std_error", "ci_low", "ci_high", "tau2"]]
        return html_table(table, "Selection models with fixed weights", (self.interpretation, *self.notes))
