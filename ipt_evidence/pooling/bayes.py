"""Bayesian random-effects meta-analysis without sampling: :func:`bayes` turns effects into a :class:`BayesFit`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.options import Aggregation, check_level, check_rho, choose
from ipt_evidence.pooling.bayes_result import BayesDependence, BayesFit, BayesMethod, PosteriorSummary
from ipt_evidence.pooling.credible import shortest_mixture, shortest_tau, tau_mode
from ipt_evidence.pooling.effect_rows import Rows, read_effects, trial_codes
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.notes import counted, nothing_to_pool, one_measure, warn_mixed, warn_repeated
from ipt_evidence.pooling.posterior import Mixtures, Model, TauPosterior, posterior_of_tau
from ipt_evidence.pooling.priors import read_mu_prior, read_tau_prior
from ipt_evidence.pooling.result_text import people_known
from ipt_evidence.pooling.settings import SOFTWARE
from ipt_evidence.pooling.studies_table import StudiesSource
from ipt_evidence.pooling.units import People, Units, aggregate, one_per_unit, participants

CredibleInterval = Literal["shortest", "equal-tailed"]
ROWS_AT_ONCE = 500


def bayes(
    effects: pd.DataFrame,
    *,
    mu_prior: Sequence[float] | None = (0, 4),
    tau_prior: str | Sequence[object] = ("half-normal", 0.5),
    level: float = 0.95,
    interval: CredibleInterval = "shortest",
    dependence: BayesDependence = "aggregate",
    rho: float = 0.6,
    aggregation: Aggregation = "weighted",
) -> BayesFit:
    """Pool effects in the Bayesian normal-normal hierarchical model, by exact integration instead of sampling.

    Parameters
    ----------
    effects : pandas.DataFrame
        As for :func:`ipt_evidence.pool`: `effect` and `variance` (or `std_error`), `trial_id` for rows of one trial.
    mu_prior : (float, float) or None, optional
        Mean and standard deviation of the normal prior of the mean effect; ``None`` for the improper flat prior.
    tau_prior : sequence, optional
        Prior of the between-study standard deviation: ``("half-normal", scale)``, ``("half-cauchy", scale)``,
        ``("uniform", upper)``, ``"uniform"`` (improper) or ``("log-normal", mean, sd)`` of ``log tau``. On the scale of
        the effects: 0.5 is weakly informative for standardised mean differences and log odds ratios.
    level : float, optional
        Probability of all intervals; default 0.95.
    interval : {"shortest", "equal-tailed"}, optional
        Which credible interval is `ci_low` to `ci_high`. Both are in the summaries `mu`, `tau` and `prediction`.
    dependence : {"aggregate", "independent"}, optional
        What happens to several effects of one trial. Default: one effect per trial.
    rho : float, optional
        Correlation between the sampling errors of one trial; default 0.6.
    aggregation : {"weighted", "mean"}, optional
        Minimum-variance combination, or the plain mean.

    Returns
    -------
    BayesFit
        Posterior of the mean, of tau, of the effect in a new trial, and of each trial's own effect (`shrinkage`).

    Raises
    ------
    NotEstimableError
        No row has both effect and variance, or the posterior is improper: too few trials for improper priors.
    OptionError
        A prior or another option is not among its choices.
    SchemaError
        A variance is zero or negative, or a cell is not a number; all are named.

    Notes
    -----
    ``y_i ~ N(theta_i, v_i)``, ``theta_i ~ N(mu, tau^2)``, the ``v_i`` known. Given tau all posteriors are normal; tau
    is integrated out by adaptive Gauss-Legendre quadrature (error about 1e-12), so results do not depend on a seed or
    on convergence. R's bayesmeta merges values of tau into a few bins for the posteriors of the mean and of new
    effects, which moves its limits by up to about half a percent of the posterior SD (with its defaults delta = 0.01,
    epsilon = 0.0001); its posterior of tau is exact too.

    References
    ----------
    Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6):1-51.
    doi:10.18637/jss.v093.i06
    Röver C, Bender R, Dias S, et al. On weakly informative prior distributions for the heterogeneity parameter in
    Bayesian random-effects meta-analysis. Res Synth Methods 2021;12:448-474. doi:10.1002/jrsm.1475

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.pooling.bayes import bayes
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": [0.04, 0.02, 0.06]})
    >>> fit = bayes(table)
    >>> round(fit.estimate, 3), round(fit.tau, 3), round(fit.p_positive, 3)
    (0.505, 0.279, 0.975)
    """
    method = BayesMethod(
        mu_prior=read_mu_prior(mu_prior),
        tau_prior=read_tau_prior(tau_prior),
        interval=choose("interval", interval, CredibleInterval),
        level=check_level(level),
        dependence=choose("dependence", dependence, BayesDependence),
        rho=check_rho(rho),
        aggregation=choose("aggregation", aggregation, Aggregation),
        software=SOFTWARE,
    )
    rows = Rows.of(effects)
    y, v, why_not = read_effects(rows)
    measure = one_measure(rows, y)
    trial = trial_codes(rows, ~np.isnan(y))
    if method.dependence == "aggregate":
        units = aggregate(y, v, why_not, trial, method.rho, method.aggregation)
    else:
        units = one_per_unit(y, v, why_not)
        warn_repeated(rows, trial, units)
    if units.y.size == 0:
        raise NotEstimableError(nothing_to_pool(rows, why_not))
    warn_mixed(rows, units)
    posterior = posterior_of_tau(_proper(Model(units.y, units.v, method.mu_prior, method.tau_prior)))
    each, prior_share = _weights(posterior)
    source = StudiesSource.of(effects, units, method.level, weight=each)
    people = participants(rows, units, trial)
    return _assemble(posterior, method, source, prior_share, measure, people.n, _notes(method, units, people))


def _proper(model: Model) -> Model:
    """Return the model when its posterior can be normalised."""
    if model.tail_power <= 1:
        flat = " and a flat prior of mu" if not model.mu.proper else ""
        raise NotEstimableError(
            f"k = {model.y.size} is too few for an improper uniform prior of tau{flat}: the posterior is improper; "
            "give tau a proper prior such as ('half-normal', 0.5)"
        )
    return model


def _assemble(
    posterior: TauPosterior,
    method: BayesMethod,
    source: StudiesSource,
    prior_share: float,
    measure: str,
    n: int | None,
    notes: tuple[str, ...],
) -> BayesFit:
    """Return the record."""
    model = posterior.model
    mu, prediction, *thetas = _all_summaries(posterior, method)
    mu, prediction = _without_moments(mu, model, flat_only=True), _without_moments(prediction, model)
    tau = tau_summary(posterior, method)
    return BayesFit(
        estimate=mu.median,
        std_error=mu.sd,
        ci_low=mu.ci_low,
        ci_high=mu.ci_high,
        pi_low=prediction.ci_low,
        pi_high=prediction.ci_high,
        tau=tau.median,
        tau_ci_low=tau.ci_low,
        tau_ci_high=tau.ci_high,
        log_evidence=posterior.log_evidence if model.mu.proper and model.tau.proper else math.nan,
        k=model.y.size,
        n_participants=n,
        measure=measure,
        method=method,
        mu=mu,
        tau_summary=tau,
        prediction=prediction,
        prior_weight=prior_share,
        source=source,
        thetas=tuple(thetas),
        posterior=posterior,
        notes=notes,
    )


def _all_summaries(posterior: TauPosterior, method: BayesMethod) -> list[PosteriorSummary]:
    """Return the summaries of mu, of a new effect, and of the effect of each trial.

    Notes
    -----
    Given tau, ``theta_i`` is normal with mean ``(1 - B) y_i + B m`` and variance ``(1 - B) v_i + B^2 / W``, ``B = v_i /
    (v_i + tau^2)``, ``m`` and ``1 / W`` mean and variance of mu.
    """
    model = posterior.model
    found: list[PosteriorSummary] = []
    for start in range(0, model.y.size, ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        y, v = model.y[part, None], model.v[part, None]
        b = v / (v + posterior.tau**2)
        mean, sd = y + b * (posterior.mean - y), np.sqrt((1 - b) * v + b**2 / posterior.precision)
        if start == 0:
            mix = posterior.mixtures()
            mean, sd = np.concatenate([mix.mean, mean]), np.concatenate([mix.sd, sd])
        found += summaries(Mixtures(mean, sd, posterior.weight), method)
    return found


def summaries(mix: Mixtures, method: BayesMethod) -> list[PosteriorSummary]:
    """Return the summary of each row of a set of normal mixtures."""
    tail = (1 - method.level) / 2
    p = np.repeat([0.5, tail, 1 - tail], len(mix.mean))
    median, low, high = mix.repeated(3).quantile(p).reshape(3, -1)
    (short_low, short_high), mode = shortest_mixture(mix, method.level, low, high)
    mean, sd = mix.moments()
    columns = np.stack([mode, median, mean, sd, low, high, short_low, short_high])
    return [PosteriorSummary.chosen(*row, interval=method.interval) for row in columns.T.tolist()]


def tau_summary(posterior: TauPosterior, method: BayesMethod) -> PosteriorSummary:
    """Return the summary of tau; moments that do not exist under a heavy tail are infinite."""
    tail = (1 - method.level) / 2
    low, median, high, *one_sided = posterior.quantile(np.array([tail, 0.5, 1 - tail, method.level, 1 - method.level]))
    mode = tau_mode(posterior)
    short = shortest_tau(posterior, method.level, (low[None], high[None]), np.array(one_sided), mode)
    mean = float(posterior.weight @ posterior.tau)
    sd = math.sqrt(float(posterior.weight @ (posterior.tau - mean) ** 2))
    power = posterior.model.tail_power
    mean, sd = (mean if power > 2 else math.inf), (sd if power > 3 else math.inf)
    return PosteriorSummary.chosen(
        mode, float(median), mean, sd, float(low), float(high), *short, interval=method.interval
    )


def _without_moments(summary: PosteriorSummary, model: Model, *, flat_only: bool = False) -> PosteriorSummary:
    """Return the summary without the moments that do not exist: those of tau decide, as the spread grows with tau."""
    if flat_only and model.mu.proper:
        return summary
    return summary.with_moments(
        summary.mean if model.tail_power > 2 else math.nan, summary.sd if model.tail_power > 3 else math.inf
    )


def _weights(posterior: TauPosterior) -> tuple[Array, float]:
    """Return the weight of each trial in the posterior mean of mu, in percent, and that of the prior."""
    model = posterior.model
    share = posterior.weight / posterior.precision
    each = np.zeros(model.y.size)
    for start in range(0, posterior.tau.size, 64):
        part = slice(start, start + 64)
        each += share[part] @ (1 / (model.v + posterior.tau[part, None] ** 2))
    return 100 * each, float(100 * model.mu.precision * share.sum())


def _notes(method: BayesMethod, units: Units, people: People) -> tuple[str, ...]:
    """Return what a reader should know before quoting the fit."""
    notes = []
    k = units.y.size
    if k == 1:
        notes.append("One trial: tau is known from its prior alone.")
    elif k < 5:
        notes.append(f"{k} trials: the posterior of tau, and with it every interval, depends much on the prior of tau.")
    if units.n_combined:
        notes.append(f"{counted(units.n_combined, 'trial')} with several effects combined (rho = {method.rho:g}).")
    if units.n_left_out:
        notes.append(f"{counted(units.n_left_out, 'row')} without a usable effect left out.")
    if people.n is not None and people.known < people.trials:
        notes.append(people_known(people.known, people.trials))
    return tuple(notes)
