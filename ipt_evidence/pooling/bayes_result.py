"""What :func:`ipt_evidence.bayes` returns."""

from __future__ import annotations

import html
import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ipt_evidence.options import Aggregation, choose
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.posterior import TauPosterior, bayes_factor_mu, bayes_factor_tau
from ipt_evidence.pooling.priors import MuPrior, TauPrior
from ipt_evidence.pooling.result_text import n_equals
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.studies_table import StudiesSource

Quantity = Literal["mu", "tau", "prediction"]
BayesDependence = Literal["aggregate", "independent"]
NUMBERS = (
    "k",
    "n_participants",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_positive",
    "tau",
    "tau_ci_low",
    "tau_ci_high",
    "pi_low",
    "pi_high",
    "bayes_factor_mu",
    "bayes_factor_tau",
    "log_evidence",
)


@dataclass(frozen=True, slots=True)
class BayesMethod:
    """How a Bayesian fit was made: priors, interval, level, and what happened to several effects of a trial."""

    mu_prior: MuPrior
    tau_prior: TauPrior
    interval: Literal["shortest", "equal-tailed"]
    level: float
    dependence: BayesDependence
    rho: float
    aggregation: Aggregation
    software: str = ""

    def describe(self) -> str:
        """Return the settings in one sentence."""
        several = "rows taken as independent"
        if self.dependence == "aggregate":
            how = "weighted by inverse covariance" if self.aggregation == "weighted" else "plain mean"
            several = f"one effect per trial ({how}, rho = {self.rho:g})"
        priors = f"{self.mu_prior.describe()}, {self.tau_prior.describe()}"
        return f"Bayesian random effects, {priors}, {self.interval} {100 * self.level:g}% intervals, {several}"


@dataclass(frozen=True, slots=True)
class PosteriorSummary:
    """A posterior in numbers: location, spread, the chosen interval, and both kinds of interval."""

    mode: float
    median: float
    mean: float
    sd: float
    ci_low: float
    ci_high: float
    equal_tailed_low: float
    equal_tailed_high: float
    shortest_low: float
    shortest_high: float

    @classmethod
    def chosen(
        cls,
        mode: float,
        median: float,
        mean: float,
        sd: float,
        low: float,
        high: float,
        short_low: float,
        short_high: float,
        *,
        interval: str,
    ) -> PosteriorSummary:
        """Return a summary whose `ci_low` and `ci_high` are those of the chosen interval."""
        ci = (short_low, short_high) if interval == "shortest" else (low, high)
        return cls(mode, median, mean, sd, *ci, low, high, short_low, short_high)

    def with_moments(self, mean: float, sd: float) -> PosteriorSummary:
        """Return the summary with another mean and standard deviation."""
        return replace(self, mean=mean, sd=sd)


@readable
@dataclass(frozen=True, slots=True, eq=False)
class BayesFit:
    """Posterior of a Bayesian random-effects meta-analysis.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high : float
        Posterior median, standard deviation and credible interval of the mean effect, on the analysis scale.
    pi_low, pi_high : float
        Interval of the effect in a new trial.
    tau, tau_ci_low, tau_ci_high : float
        Posterior median and interval of the between-study standard deviation.
    log_evidence : float
        Log marginal likelihood; NaN where a prior is improper.
    k : int
        Number of trials.
    n_participants : int or None
        Participants analysed in them, where known.
    measure : str
        Effect measure.
    method : BayesMethod
        Priors and settings.
    mu, tau_summary, prediction : PosteriorSummary
        Mode, median, mean, SD and both intervals of the mean effect, of tau, and of the effect in a new trial. Moments
        that do not exist under the priors are NaN or infinite.
    prior_weight : float
        Weight of the prior in the posterior mean, in percent; those of the trials are in `studies`.
    source : StudiesSource
        What :attr:`studies` is made from when it is first asked for.
    thetas : tuple of PosteriorSummary
        Posterior of the own effect of each pooled trial; :attr:`shrinkage` shows them.
    posterior : TauPosterior
        Nodes and weights behind all numbers.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    pi_low: float
    pi_high: float
    tau: float
    tau_ci_low: float
    tau_ci_high: float
    log_evidence: float
    k: int
    n_participants: int | None
    measure: str
    method: BayesMethod
    mu: PosteriorSummary
    tau_summary: PosteriorSummary
    prediction: PosteriorSummary
    prior_weight: float
    source: StudiesSource = field(repr=False)
    thetas: tuple[PosteriorSummary, ...] = field(repr=False)
    posterior: TauPosterior = field(repr=False)
    notes: tuple[str, ...] = ()
    group: str = ""

    @property
    def studies(self) -> pd.DataFrame:
        """One row per trial pooled or row left out, with its `weight` in the posterior mean in percent."""
        return self.source.table()

    @property
    def shrinkage(self) -> pd.DataFrame:
        """Posterior of each pooled trial's own effect, one row per trial.

        The column `shrinkage` is the posterior mean of ``v_i / (v_i + tau^2)``: 0 is the trial's own estimate, 1 the
        pooled one.
        """
        import pandas as pd

        studies = self.studies[self.studies["included"].astype(bool)]
        variance, tau = self.posterior.model.v, self.posterior.tau
        shrinkage = [float((v / (v + tau**2)) @ self.posterior.weight) for v in variance]
        names = [c for c in ("trial_id", "study", "effect", "std_error") if c in studies.columns]
        columns: dict[str, Any] = {name: studies[name].array for name in names}
        columns |= {f"theta_{name}": [getattr(s, name) for s in self.thetas] for name in ("median", "mean", "sd")}
        columns |= {name: [getattr(s, name) for s in self.thetas] for name in ("ci_low", "ci_high")}
        return pd.DataFrame(columns | {"shrinkage": shrinkage})

    @property
    def tau2(self) -> float:
        """Square of the posterior median of tau, which is the posterior median of tau2."""
        return self.tau**2

    @property
    def p_positive(self) -> float:
        """Posterior probability that the mean effect is above zero (favours arm 1)."""
        return self.probability_above(0.0)

    @property
    def bayes_factor_mu(self) -> float:
        """Evidence for a mean of zero over the model; above one speaks for zero, NaN if the prior of mu is improper."""
        return bayes_factor_mu(self.posterior)

    @property
    def bayes_factor_tau(self) -> float:
        """Evidence for tau = 0 over the model; above one speaks for zero, NaN if the prior of tau is improper."""
        return bayes_factor_tau(self.posterior)

    def probability_above(self, value: float, *, of: Quantity = "mu") -> float:
        """Return the posterior probability that the mean, tau or the effect in a new trial exceeds `value`."""
        if choose("of", of, Quantity) == "tau":
            return float(1 - self.posterior.cdf(np.array([max(value, 0.0)]))[0])
        above = self.posterior.mixtures().mirrored().cdf(np.full(2, -float(value)))
        return float(above[0 if of == "mu" else 1])

    def density(self, x: Array, *, of: Quantity = "mu") -> Array:
        """Return the posterior density of the mean, of tau or of the effect in a new trial at each `x`."""
        points = np.atleast_1d(np.asarray(x, dtype=float))
        if choose("of", of, Quantity) == "tau":
            return self.posterior.density(points)
        mix = self.posterior.mixtures().row(0 if of == "mu" else 1)
        return np.concatenate([mix.density(point) for point in points[:, None]])

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row, the group first."""
        import pandas as pd

        row: dict[str, Any] = {"group": self.group}
        row.update((name, getattr(self, name)) for name in NUMBERS)
        row |= {"tau2": self.tau2, "measure": self.measure, "notes": " ".join(self.notes)}
        return pd.DataFrame([row]).astype({"n_participants": "Int64"})

    def posteriors(self) -> pd.DataFrame:
        """Return the summaries of the mean, of tau and of a new effect as a table of three rows."""
        import pandas as pd

        found = {"mu": self.mu, "tau": self.tau_summary, "prediction": self.prediction}
        return pd.DataFrame([{"quantity": name} | asdict(s) for name, s in found.items()])

    def summary(self) -> str:
        """Return the fit as text: the numbers, how they were made, what to mind."""
        pct = f"{100 * self.method.level:g}%"
        lines = [
            f"Bayesian pooled effect: {self.measure}, k = {self.k}, {n_equals(self)}",
            f"  posterior median     {self.estimate:.4f} (SD {self.std_error:.4f}, P(> 0) = {self.p_positive:.4g})",
            f"  {pct} interval         {self.ci_low:.4f} to {self.ci_high:.4f}",
            f"  {pct} prediction       {self.pi_low:.4f} to {self.pi_high:.4f}",
            f"  tau                  {self.tau:.4f} ({self.tau_ci_low:.4f} to {self.tau_ci_high:.4f})",
        ]
        for name, value in (("mu = 0", self.bayes_factor_mu), ("tau = 0", self.bayes_factor_tau)):
            if not math.isnan(value):
                lines.append(f"  {f'Bayes factor {name}':<20} {value:.4g} (above 1 speaks for zero)")
        lines.append(f"  method               {self.method.describe()}")
        lines.extend(f"  note                 {note}" for note in self.notes)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        columns = ["quantity", "median", "mean", "sd", "ci_low", "ci_high"]
        body = self.posteriors()[columns].to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
        caption = html.escape(self.method.describe())
        body = body.replace("<thead>", f"<caption>{caption}</caption>\n  <thead>", 1)
        return body + "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
