"""What :func:`ipt_evidence.pool_binary` returns."""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ipt_evidence.pooling.result_text import n_equals
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

BinaryMethodName = Literal["MH", "peto", "glmm"]
BinaryMeasure = Literal["OR", "RR", "RD", "PLO"]
NUMBERS = (
    "k",
    "n_participants",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "tau2",
    "i2",
    "pi_low",
    "pi_high",
    "statistic",
    "q",
    "q_df",
    "q_p",
    "log_likelihood",
)
MEASURE_NAMES = {
    "OR": "odds ratio",
    "RR": "risk ratio",
    "RD": "risk difference",
    "PLO": "proportion",
}
MODEL_NAMES = {
    "UM.FS": "unconditional, fixed trial effects",
    "UM.RS": "unconditional, random trial effects",
    "CM.AL": "conditional, approximate likelihood",
    "CM.EL": "conditional, exact likelihood",
}


@dataclass(frozen=True, slots=True)
class BinaryTest:
    """A test that belongs to a fit: its name, statistic, degrees of freedom (chi-square) and p-value."""

    name: str
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True)
class BinaryMethod:
    """How a fit of events was made.

    Attributes
    ----------
    method : str
        ``"MH"``, ``"peto"`` or ``"glmm"``.
    measure : str
        Effect measure.
    model : str
        The GLMM; empty for the closed forms.
    level : float
        Confidence level.
    zero_cells, add : str, float
        Rule for the trials' own effects in `studies`; it does not touch the pooled effect.
    pooled_add : float
        Added to the cells of trials with an empty one before pooling.
    quadrature_points : int
        Per random effect; zero for the closed forms.
    favours : str
        What a positive effect means.
    """

    method: BinaryMethodName
    measure: BinaryMeasure
    model: str
    level: float
    zero_cells: str
    add: float
    pooled_add: float
    quadrature_points: int
    favours: str
    software: str = ""

    @property
    def ci_method(self) -> str:
        """Kind of the confidence interval, as in :class:`ipt_evidence.pooling.result.PoolMethod`."""
        return "wald"

    def describe(self) -> str:
        """Return the settings in one sentence."""
        if self.method == "glmm":
            rule = f"{self.quadrature_points}-point adaptive quadrature"
            rule = "Laplace approximation" if self.quadrature_points == 1 else rule
            kind = f" ({MODEL_NAMES[self.model]}, {self.model})" if self.model else ""
            made = f"binomial-normal model{kind}, maximum likelihood, {rule}"
        else:
            name = "Mantel-Haenszel" if self.method == "MH" else "Peto"
            rule = f", {self.pooled_add:g} added to tables with an empty cell" if self.pooled_add else ""
            made = f"{name} (common effect){rule}"
        return f"{MEASURE_NAMES[self.measure]}, {made}, Wald (normal) {100 * self.level:g}% interval, {self.favours}"


@readable
@dataclass(frozen=True, slots=True, eq=False)
class BinaryFit:
    """A pooled effect of events.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, statistic, p_value : float
        Pooled effect on the analysis scale (logarithm of ratios, log odds of proportions) with a Wald interval.
        :meth:`natural` gives the ratio, difference or proportion itself.
    pi_low, pi_high : float
        Prediction interval of a GLMM (normal quantile); NaN for common-effect methods and below three trials.
    tau2, tau : float
        Between-study variance of a GLMM and its root; zero for the common-effect methods.
    i2, h2 : float
        From Q, for the common-effect methods; NaN for a GLMM.
    q, q_df, q_p : float
        Test of homogeneity: inverse-variance form around the Mantel-Haenszel effect, Peto's own, or the likelihood
        ratio of a GLMM.
    k : int
        Number of trials that carry information on the effect.
    n_participants : int or None
        Participants in them.
    log_likelihood : float
        Of the GLMM; for the closed forms that of a normal model of the trials' own effects.
    measure : str
        ``"OR"``, ``"RR"``, ``"RD"`` or ``"PLO"`` (log odds of a proportion).
    tests : tuple of BinaryTest
        Further tests: Cochran-Mantel-Haenszel and Breslow-Day-Tarone for odds ratios, the Wald test of a GLMM.
    method : BinaryMethod
        How the numbers were made.
    studies : pandas.DataFrame
        One row per trial; `weight` in percent (NaN for a GLMM, which has none).
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    statistic: float
    p_value: float
    pi_low: float
    pi_high: float
    tau2: float
    i2: float
    h2: float
    q: float
    q_df: int
    q_p: float
    k: int
    n_participants: int | None
    log_likelihood: float
    measure: BinaryMeasure
    tests: tuple[BinaryTest, ...]
    method: BinaryMethod
    studies: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()
    group: str = ""

    @property
    def tau(self) -> float:
        """Between-study standard deviation."""
        return math.sqrt(self.tau2)

    @property
    def df(self) -> float:
        """Degrees of freedom of the interval: infinite, it is a normal one."""
        return math.inf

    def natural(self) -> tuple[float, float, float]:
        """Return estimate and limits as a ratio, a difference or a proportion."""
        low, middle, high = (_back(x, self.measure) for x in (self.ci_low, self.estimate, self.ci_high))
        return middle, low, high

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row, the group first."""
        import pandas as pd

        row: dict[str, Any] = {"group": self.group}
        row.update((name, getattr(self, name)) for name in NUMBERS)
        row |= {"measure": self.measure, "notes": " ".join(self.notes)}
        return pd.DataFrame([row]).astype({"n_participants": "Int64"})

    def glance(self) -> pd.DataFrame:
        """Return the heterogeneity and the settings as a table of one row."""
        import pandas as pd

        names = ("k", "tau2", "tau", "i2", "h2", "q", "q_df", "q_p", "log_likelihood")
        return pd.DataFrame([{name: getattr(self, name) for name in names} | asdict(self.method)])

    def summary(self) -> str:
        """Return the fit as text: the numbers, how they were made, what to mind."""
        pct = f"{100 * self.method.level:g}%"
        group = f" ({self.group})" if self.group else ""
        lines = [
            f"Pooled {MEASURE_NAMES[self.measure]}{group}: k = {self.k}, {n_equals(self)}",
            f"  estimate             {self.estimate:.4f} (SE {self.std_error:.4f}, p = {self.p_value:.4g})",
            f"  {pct} interval         {self.ci_low:.4f} to {self.ci_high:.4f}",
        ]
        if self.measure != "RD":
            value, low, high = self.natural()
            lines.append(f"  {MEASURE_NAMES[self.measure]:<20} {value:.4f} ({low:.4f} to {high:.4f})")
        if self.method.method == "glmm":
            lines.append(f"  tau2                 {self.tau2:.4f}")
        if self.q_df > 0:
            lines.append(f"  Q                    {self.q:.2f}, df = {self.q_df}, p = {self.q_p:.4g}")
        lines.extend(
            f"  test                 {t.name}: {t.statistic:.4g}, df = {t.df}, p = {t.p_value:.4g}" for t in self.tests
        )
        lines.append(f"  method               {self.method.describe()}")
        lines.extend(f"  note                 {note}" for note in self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        columns = ["k", "n_participants", "estimate", "ci_low", "ci_high", "p_value", "tau2", "q", "q_p"]
        body = self.tidy()[columns].to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
        caption = html.escape(self.method.describe())
        body = body.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1)
        return body + "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)


def _back(value: float, measure: str) -> float:
    if measure == "RD":
        return value
    return math.exp(value) if measure != "PLO" else 1 / (1 + math.exp(-value))
