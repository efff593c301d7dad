"""What pooling returns: frozen records that carry the numbers, the method and the studies behind them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ipt_evidence.options import (
    Aggregation,
    CiMethod,
    Dependence,
    I2Method,
    PredictionDf,
    PredictionSe,
    Preset,
    Tau2CiMethod,
    Tau2Method,
)
from ipt_evidence.pooling.result_text import fits_html, how_pooled, n_equals, p_text

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.studies_table import StudiesSource

__all__ = ["BetweenGroups", "PoolMethod", "PooledFit", "PooledFits", "p_text"]
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
    "df",
    "wald_ci_low",
    "wald_ci_high",
    "tau2_ci_low",
    "tau2_ci_high",
    "i2_ci_low",
    "i2_ci_high",
    "q",
    "q_df",
    "q_p",
)
RATIO_MEASURES = ("OR", "RR", "PETO", "ROM", "ROMC", "CVR", "VR", "IRR", "HR")


@dataclass(frozen=True, slots=True)
class PoolMethod:
    """How a fit was made; travels with every fit so that no number is shown without it.

    Attributes
    ----------
    tau2_method, ci_method, prediction_df, prediction_se, tau2_ci_method, i2_method : str
        See :func:`ipt_evidence.pool`.
    level : float
        Confidence level of all intervals, between 0 and 1.
    dependence, rho, aggregation : str, float, str
        How several effects of one trial were brought to one.
    preset : str
        The set of defaults it started from.
    software : str
        Name and version of this package.
    """

    tau2_method: Tau2Method = "REML"
    ci_method: CiMethod = "hksj"
    prediction_df: PredictionDf = "k-1"
    prediction_se: PredictionSe = "ci"
    tau2_ci_method: Tau2CiMethod = "qprofile"
    i2_method: I2Method = "tau2"
    level: float = 0.95
    dependence: Dependence = "aggregate"
    rho: float = 0.6
    aggregation: Aggregation = "weighted"
    preset: Preset = "cochrane"
    software: str = ""

    def describe(self) -> str:
        """Return the settings in one sentence."""
        ci = {
            "wald": "Wald (normal) interval",
            "t": "t interval",
            "hksj": "Hartung-Knapp-Sidik-Jonkman interval",
            "hksj-adhoc": "Hartung-Knapp-Sidik-Jonkman interval with the ad hoc correction",
            "kr": "Kenward-Roger interval",
            "cr0": "cluster-robust interval (CR0)",
            "cr1": "cluster-robust interval (CR1)",
            "cr2": "cluster-robust interval (CR2, Satterthwaite degrees of freedom)",
            "henmi-copas": "Henmi-Copas interval",
        }[self.ci_method]
        model = "common-effect model" if self.tau2_method == "EE" else f"random effects, {self.tau2_method}"
        several = "rows taken as independent"
        if self.dependence == "aggregate":
            how = "weighted by inverse covariance" if self.aggregation == "weighted" else "plain mean"
            several = f"one effect per trial ({how}, rho = {self.rho:g})"
        elif self.dependence == "three_level":
            several = "all effects in a three-level model"
        elif self.dependence == "che":
            several = f"all effects in a model of correlated and hierarchical effects (rho = {self.rho:g})"
        return f"{model}, {ci}, {100 * self.level:g}% level, {several}"


@dataclass(frozen=True, slots=True, eq=False)
class PooledFit:
    """One pooled effect with everything a reviewer may ask about it.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, statistic, df, p_value : float
        Pooled effect on the analysis scale (logarithms for ratio measures); `df` is infinite for a normal interval.
    wald_ci_low, wald_ci_high : float
        The Wald interval, to hold the chosen one against.
    pi_low, pi_high : float
        Prediction interval: where the effect of a new trial is expected. NaN below three trials.
    tau2, tau2_std_error, tau2_ci_low, tau2_ci_high, tau : float
        Between-study variance, its standard error and interval, and its root; NaN for one trial.
    i2, i2_ci_low, i2_ci_high, h2 : float
        I2 in percent with its interval, and H2.
    q, q_df, q_p : float
        Cochran's test of homogeneity.
    log_likelihood : float
        At the estimates; restricted where tau2 is estimated by REML.
    k : int
        Number of trials pooled.
    n_participants : int or None
        Participants analysed in them, where the table has the numbers; `notes` say when some trials have none, the
        number is then the least there can be.
    measure : str
        Effect measure, such as ``"SMD"``.
    method : PoolMethod
        How the numbers were made.
    studies : pandas.DataFrame
        One row per trial: effect, weight in percent, which rows were combined, and for those left out the reason.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    group : str
        Name of the subgroup; empty for a fit of all rows.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    statistic: float
    df: float
    p_value: float
    wald_ci_low: float
    wald_ci_high: float
    pi_low: float
    pi_high: float
    tau2: float
    tau2_std_error: float
    tau2_ci_low: float
    tau2_ci_high: float
    tau: float
    i2: float
    i2_ci_low: float
    i2_ci_high: float
    h2: float
    q: float
    q_df: int
    q_p: float
    log_likelihood: float
    k: int
    n_participants: int | None
    measure: str
    method: PoolMethod
    source: StudiesSource = field(repr=False)
    notes: tuple[str, ...] = ()
    group: str = ""

    @property
    def studies(self) -> pd.DataFrame:
        """One row per trial pooled or row left out, in order of first appearance (see the class)."""
        return self.source.table()

    @property
    def aic(self) -> float:
        """Akaike's information criterion; compare fits of the same method and rows only."""
        return 2 * self._parameters - 2 * self.log_likelihood

    @property
    def aicc(self) -> float:
        """Akaike's criterion corrected for few studies; NaN where the correction is not defined."""
        n = self.k - 1 if self.method.tau2_method == "REML" else self.k
        room = n - self._parameters - 1
        return self.aic + 2 * self._parameters * (self._parameters + 1) / room if room > 0 else math.nan

    @property
    def _parameters(self) -> int:
        return 1 if self.method.tau2_method == "EE" else 2

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row, the group first."""
        import pandas as pd

        row: dict[str, Any] = {"group": self.group}
        row.update((name, getattr(self, name)) for name in NUMBERS)
        row["measure"] = self.measure
        row["notes"] = " ".join(self.notes)
        return pd.DataFrame([row]).astype({"n_participants": "Int64"})

    def glance(self) -> pd.DataFrame:
        """Return the heterogeneity and the settings as a table of one row."""
        import pandas as pd

        names = ("k", "tau2", "tau2_std_error", "tau", "i2", "h2", "q", "q_df", "q_p")
        return pd.DataFrame([{name: getattr(self, name) for name in names} | asdict(self.method)])

    def summary(self) -> str:
        """Return the fit as text: the numbers, how they were made, what to mind."""
        group = f" ({self.group})" if self.group else ""
        lines = [f"Pooled effect{group}: {_scale(self.measure)}, k = {self.k}, {n_equals(self)}"]
        if self.k:
            lines += self._effect_lines()
        if not math.isnan(self.tau2):
            lines.append(f"  tau2                 {self.tau2:.4f}{_limits(self.tau2_ci_low, self.tau2_ci_high, '.4f')}")
            lines.append(f"  I2                   {self.i2:.1f}%{_limits(self.i2_ci_low, self.i2_ci_high, '.1f')}")
            lines.append(f"  Q                    {self.q:.2f}, df = {self.q_df}, p = {self.q_p:.4g}")
        lines.append(f"  method               {how_pooled(self)}")
        lines.extend(f"  note                 {note}" for note in self.notes)
        return "\n".join(lines)

    def _effect_lines(self) -> list[str]:
        """Return the lines of the summary about the mean effect."""
        pct = f"{100 * self.method.level:g}%"
        lines = [f"  estimate             {self.estimate:.4f} (SE {self.std_error:.4f}, p = {self.p_value:.4g})"]
        lines.append(f"  {pct} interval         {self.ci_low:.4f} to {self.ci_high:.4f}")
        if self.method.ci_method != "wald":
            lines.append(f"  {pct} Wald interval    {self.wald_ci_low:.4f} to {self.wald_ci_high:.4f}")
        if not math.isnan(self.pi_low):
            lines.append(f"  {pct} prediction       {self.pi_low:.4f} to {self.pi_high:.4f}")
        if self.measure in RATIO_MEASURES:
            ratio, low, high = (math.exp(x) for x in (self.estimate, self.ci_low, self.ci_high))
            lines.append(f"  as a ratio           {ratio:.4f} ({low:.4f} to {high:.4f})")
        return lines

    def _repr_html_(self) -> str:
        return fits_html(self.tidy(), how_pooled(self), _scale(self.measure), self.notes)

    def __repr__(self) -> str:
        """Return the pooled effect in one line; ``print(fit)`` shows the whole summary."""
        group = f" {self.group}" if self.group else ""
        return f"<PooledFit{group} {_scale(self.measure)}: {_in_short(self)}>"

    def __str__(self) -> str:
        """Return :meth:`summary`."""
        return self.summary()


@dataclass(frozen=True, slots=True)
class BetweenGroups:
    """Test of differences between subgroups: ``q`` on ``df`` degrees of freedom."""

    q: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class PooledFits(Mapping[Any, PooledFit]):
    """Fits by group: a mapping from group to :class:`PooledFit`, in order of first appearance.

    Attributes
    ----------
    by : tuple of str
        The grouping columns. With one column the keys are its values, with several they are tuples.
    overall : PooledFit or None
        All groups together.
    between : BetweenGroups or None
        Test of differences between the groups that have an estimate; ``None`` with fewer than two.
    common_tau2 : bool
        Whether the groups share one tau2.
    """

    fits: Mapping[Any, PooledFit]
    by: tuple[str, ...]
    overall: PooledFit | None
    between: BetweenGroups | None
    common_tau2: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "fits", MappingProxyType(dict(self.fits)))

    def __getitem__(self, key: Any) -> PooledFit:
        """Return the fit of one group; the error lists the groups there are."""
        try:
            return self.fits[key]
        except KeyError:
            raise KeyError(f"no group {key!r}; the groups are {', '.join(map(repr, self.fits))}") from None

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the groups."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.fits)

    @property
    def method(self) -> PoolMethod:
        """How the fits were made."""
        return next(iter(self.fits.values())).method

    def tidy(self) -> pd.DataFrame:
        """Return one row per group; with several grouping columns each has its own column after `group`.

        A grouping column whose name is taken, such as `measure`, is called ``by_measure``.
        """
        import pandas as pd

        table = pd.concat([fit.tidy() for fit in self.fits.values()], ignore_index=True)
        if len(self.by) > 1:
            for position, name in enumerate(self.by):
                label = f"by_{name}" if name in table.columns else name
                table.insert(position + 1, label, [key[position] for key in self.fits])
        return table

    def summary(self) -> str:
        """Return all fits and the test between the groups as text."""
        parts = [fit.summary() for fit in self.fits.values()]
        if self.overall is not None:
            parts.append(self.overall.summary())
        if self.between is not None:
            b = self.between
            parts.append(f"Test between groups: Q = {b.q:.2f}, df = {b.df}, p = {b.p_value:.4g}")
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        import pandas as pd

        shown = [*self.fits.values(), *([self.overall] if self.overall is not None else [])]
        notes = [f"{fit.group}: {note}" for fit in shown for note in fit.notes]
        if self.between is not None:
            b = self.between
            notes.insert(0, f"Test between groups: Q = {b.q:.2f}, df = {b.df}, p = {b.p_value:.4g}.")
        table = pd.concat([fit.tidy() for fit in shown], ignore_index=True)
        measures = dict.fromkeys(_scale(fit.measure) for fit in shown if fit.k)
        return fits_html(table, self.method.describe(), ", ".join(measures), tuple(notes))

    def __repr__(self) -> str:
        """Return the pooled effects in one line; ``print(fits)`` shows the whole summary."""
        groups = "; ".join(f"{fit.group} {_in_short(fit)}" for fit in self.fits.values())
        return f"<PooledFits by {', '.join(self.by)}: {groups}>"

    def __str__(self) -> str:
        """Return :meth:`summary`."""
        return self.summary()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what pickle needs; a mapping proxy cannot be pickled."""
        return PooledFits, (dict(self.fits), self.by, self.overall, self.between, self.common_tau2)


def _in_short(fit: PooledFit) -> str:
    return f"{fit.estimate:.2f} ({fit.ci_low:.2f} to {fit.ci_high:.2f}), k = {fit.k}" if fit.k else "k = 0"


def _scale(measure: str) -> str:
    """Return the name of the analysis scale: ratios are analysed as logarithms."""
    return f"log {measure}" if measure in RATIO_MEASURES else measure


def _limits(low: float, high: float, form: str) -> str:
    """Return limits in brackets; nothing where there is no interval."""
    return "" if math.isnan(low) else f" ({low:{form}} to {high:{form}})"
