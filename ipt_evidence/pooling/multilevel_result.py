"""What a fit of dependent effects returns: frozen records with the numbers, the method and the rows behind them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.pooling.blocks import BlockModel
from ipt_evidence.pooling.components import Component, Mask, Optimum, ProfileInterval, profile_interval
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

MultilevelCi = Literal["cr2", "cr1", "cr0", "t", "wald"]
MultilevelEstimator = Literal["REML", "ML"]
Variances = Literal["own", "trial_mean"]

GLANCE = (
    *("k_effects", "k_trials", "sigma2_between", "sigma2_within", "tau2", "i2_between", "i2_within", "i2"),
    *("pi_low", "pi_high", "log_likelihood", "n_parameters", "aic", "aicc", "bic"),
    *("qe", "qe_df", "qe_p", "qm", "qm_df", "qm_df2", "qm_p", "measure"),
)
CI_TEXT = {
    "cr2": "cluster-robust (CR2) interval with Satterthwaite degrees of freedom",
    "cr1": "cluster-robust (CR1) t interval",
    "cr0": "cluster-robust (CR0) t interval",
    "t": "t interval",
    "wald": "Wald (normal) interval",
}


@dataclass(frozen=True, slots=True)
class MultilevelMethod:
    """How a fit of dependent effects was made.

    Attributes
    ----------
    estimator, ci_method, rho, cluster, variances, formula, level
        The options of :func:`~ipt_evidence.pooling.dependence.multilevel` as resolved; `formula` is ``"~ 1"`` when
        none was given.
    sampling_covariance : str
        ``"independent"``, ``"constant correlation"`` or ``"given"``.
    software : str
        Name and version of this package.
    """

    estimator: MultilevelEstimator
    ci_method: MultilevelCi
    rho: float
    cluster: str
    variances: Variances
    sampling_covariance: str
    formula: str
    level: float
    software: str

    def describe(self) -> str:
        """Return the settings in one sentence."""
        errors = {
            "independent": "independent sampling errors",
            "constant correlation": f"sampling errors correlated {self.rho:g} within a trial (CHE)",
            "given": "given sampling covariances",
        }[self.sampling_covariance]
        mean = ", variances averaged within trials" if self.variances == "trial_mean" else ""
        return (
            f"three-level model, {self.estimator}, {errors}{mean}, {CI_TEXT[self.ci_method]}, "
            f"{100 * self.level:g}% level, effects {self.formula} nested in {self.cluster}"
        )


@readable
@dataclass(frozen=True, slots=True, eq=False)
class MultilevelFit:
    """A three-level (or correlated and hierarchical) model of effects nested in trials.

    Attributes
    ----------
    coefficients : pandas.DataFrame
        `term, estimate, std_error, statistic, df, p_value, ci_low, ci_high`; `df` is infinite for a normal interval.
    vcov : numpy.ndarray
        Covariance of the coefficients that the intervals use (robust for the ``cr`` methods).
    sigma2_between, sigma2_within : float
        Variance of the trials' true effects, and of the true effects inside a trial.
    i2_between, i2_within : float
        Percent of the variance of an observed effect that lies between and within trials; the rest is sampling error.
    pi_low, pi_high : float
        Prediction interval of the true effect of one outcome in a new trial; NaN for a model with moderators.
    log_likelihood, aic, aicc, bic : float
        (Restricted) log-likelihood with all constants, and the information criteria from it.
    n_parameters : int
        Coefficients and variance components.
    qe, qe_df, qe_p : float, int, float
        Test of residual heterogeneity.
    qm, qm_df, qm_df2, qm_p : float
        Test of all moderators: chi-square for ``"wald"`` (`qm_df2` infinite), else F; NaN without moderators.
    k_effects, k_trials : int
        Rows and trials used.
    measure : str
        Effect measure.
    method : MultilevelMethod
        How the numbers were made.
    rows : pandas.DataFrame
        One row per row of the table: `trial, effect, variance, weight` (percent of the pooled effect; NaN with
        moderators), `fitted, included, why_not`; index of the table.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    effects : pandas.DataFrame
        The table as it was when the model was fitted.
    """

    coefficients: pd.DataFrame
    vcov: Array = field(repr=False)
    sigma2_between: float
    sigma2_within: float
    i2_between: float
    i2_within: float
    pi_low: float
    pi_high: float
    log_likelihood: float
    n_parameters: int
    aic: float
    aicc: float
    bic: float
    qe: float
    qe_df: int
    qe_p: float
    qm: float
    qm_df: float
    qm_df2: float
    qm_p: float
    k_effects: int
    k_trials: int
    measure: str
    method: MultilevelMethod
    rows: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]
    model: BlockModel = field(repr=False)
    optimum: Optimum = field(repr=False)
    free: Mask = field(repr=False)
    effects: pd.DataFrame = field(repr=False)

    def _single(self, column: str) -> float:
        if len(self.coefficients) != 1:
            terms = ", ".join(self.coefficients["term"])
            raise OptionError(f"the model has several coefficients ({terms}); read {column} from tidy()")
        return float(self.coefficients[column].iloc[0])

    @property
    def estimate(self) -> float:
        """The only coefficient; an error when there are several."""
        return self._single("estimate")

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return self._single("std_error")

    @property
    def statistic(self) -> float:
        """Its test statistic."""
        return self._single("statistic")

    @property
    def df(self) -> float:
        """Its degrees of freedom."""
        return self._single("df")

    @property
    def p_value(self) -> float:
        """Its two-sided p-value."""
        return self._single("p_value")

    @property
    def ci_low(self) -> float:
        """Lower limit of its confidence interval."""
        return self._single("ci_low")

    @property
    def ci_high(self) -> float:
        """Upper limit of its confidence interval."""
        return self._single("ci_high")

    @property
    def tau2(self) -> float:
        """Total heterogeneity: the sum of the two variance components."""
        return self.sigma2_between + self.sigma2_within

    @property
    def i2(self) -> float:
        """Total I2 in percent."""
        return self.i2_between + self.i2_within

    def profile_ci(self, component: Component = "between", *, level: float | None = None) -> ProfileInterval:
        """Return the profile likelihood interval of a variance component.

        Parameters
        ----------
        component : {"between", "within"}
            The variance of trials, or of effects inside a trial.
        level : float, optional
            Confidence level; that of the fit by default.

        Raises
        ------
        NotEstimableError
            The component was not estimated.
        """
        from ipt_evidence.options import check_level

        choose("component", component, Component)
        level = check_level(self.method.level if level is None else level)
        restricted = self.method.estimator == "REML"
        return profile_interval(self.model, self.optimum, self.free, component, level, restricted=restricted)

    def tidy(self) -> pd.DataFrame:
        """Return one row per coefficient, the intercept first."""
        return self.coefficients.copy()

    def glance(self) -> pd.DataFrame:
        """Return heterogeneity, fit and settings as a table of one row."""
        import pandas as pd

        row = {name: getattr(self, name) for name in GLANCE} | asdict(self.method)
        return pd.DataFrame([row | {"notes": " ".join(self.notes)}])

    def summary(self) -> str:
        """Return the fit as text."""
        pct = f"{100 * self.method.level:g}%"
        lines = [f"Dependent effects: {self.measure}, {self.k_effects} effects of {self.k_trials} trials"]
        for c in self.coefficients.itertuples(index=False):
            lines.append(
                f"  {c.term:<20} {c.estimate:.4f} (SE {c.std_error:.4f}, df {c.df:.1f}, p = {c.p_value:.4g}), "
                f"{pct} interval {c.ci_low:.4f} to {c.ci_high:.4f}"
            )
        if self.pi_low == self.pi_low:
            lines.append(f"  {pct} prediction       {self.pi_low:.4f} to {self.pi_high:.4f}")
        lines.append(f"  between trials       {self.sigma2_between:.4f} (I2 {self.i2_between:.1f}%)")
        lines.append(f"  within trials        {self.sigma2_within:.4f} (I2 {self.i2_within:.1f}%)")
        lines.append(f"  residual Q           {self.qe:.2f}, df = {self.qe_df}, p = {self.qe_p:.4g}")
        if self.qm == self.qm:
            lines.append(
                f"  moderators           {self.qm:.3f}, df = {self.qm_df:g}, {self.qm_df2:.1f}, p = {self.qm_p:.4g}"
            )
        lines.append(f"  method               {self.method.describe()}")
        lines.extend(f"  note                 {note}" for note in self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return _html(self.coefficients, self.method.describe(), (*_heterogeneity_text(self), *self.notes))


def _heterogeneity_text(fit: MultilevelFit) -> tuple[str]:
    return (
        f"{fit.k_effects} effects of {fit.k_trials} trials; variance between trials {fit.sigma2_between:.3f} "
        f"(I2 {fit.i2_between:.1f}%), within trials {fit.sigma2_within:.3f} (I2 {fit.i2_within:.1f}%).",
    )


@readable
@dataclass(frozen=True, slots=True, eq=False)
class RhoSensitivity(Mapping[float, MultilevelFit]):
    """The same model at several working correlations: a mapping from rho to :class:`MultilevelFit`."""

    fits: Mapping[float, MultilevelFit]

    def __post_init__(self) -> None:
        object.__setattr__(self, "fits", MappingProxyType(dict(self.fits)))

    def __getitem__(self, rho: float) -> MultilevelFit:
        """Return the fit at one correlation; the error lists those there are."""
        try:
            return self.fits[rho]
        except KeyError:
            raise KeyError(f"no fit at rho = {rho!r}; there are {', '.join(map(str, self.fits))}") from None

    def __iter__(self) -> Iterator[float]:
        """Iterate over the correlations."""
        return iter(self.fits)

    def __len__(self) -> int:
        """Return the number of correlations."""
        return len(self.fits)

    def tidy(self) -> pd.DataFrame:
        """Return one row per correlation and coefficient, `rho` first, the variance components last."""
        import pandas as pd

        parts = []
        for rho, fit in self.fits.items():
            part = fit.tidy()
            part.insert(0, "rho", rho)
            for name in ("sigma2_between", "sigma2_within", "pi_low", "pi_high", "log_likelihood"):
                part[name] = getattr(fit, name)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> str:
        """Return the table of :meth:`tidy` as text, with the method of the first fit."""
        table = self.tidy().to_string(index=False, float_format="{:.4f}".format, line_width=110)
        return f"{table}\n{_without_rho(self)}"

    def _repr_html_(self) -> str:
        return _html(self.tidy(), _without_rho(self), ())


def _without_rho(fits: RhoSensitivity) -> str:
    method = next(iter(fits.values())).method
    text = f"three-level model over working correlations, {method.estimator}, {CI_TEXT[method.ci_method]}"
    return f"{text}, {100 * method.level:g}% level"


def _html(table: pd.DataFrame, caption: str, notes: tuple[str, ...]) -> str:
    body = table.to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
    body = body.replace("<thead>", f"<caption>{html.escape(caption)}</caption>\n  <thead>", 1)
    return body + "".join(f"<p>{html.escape(note)}</p>" for note in notes)
