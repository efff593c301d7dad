"""How :func:`~ipt_evidence.pooling.fit.pool` keeps several effects of a trial instead of combining them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.pooling.blocks import BlockModel, Ints, block_model, singular_trials
from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.multilevel import Estimates, estimate_model
from ipt_evidence.pooling.multilevel_result import MultilevelCi, MultilevelEstimator
from ipt_evidence.pooling.result import PoolMethod

POOL_CI = ("cr2", "cr1", "cr0", "t", "wald")


@dataclass(frozen=True, slots=True, eq=False)
class PooledDependent:
    """A pooled effect of dependent effects, as :class:`~ipt_evidence.pooling.result.PooledFit` needs it.

    Attributes
    ----------
    estimate, std_error, ci_low, ci_high, statistic, df, p_value, wald_std_error : float
        Pooled effect; `wald_std_error` is that of the model.
    pi_low, pi_high : float
        Prediction interval of one effect in a new trial, by the rule of the method; NaN below three trials.
    tau2, tau2_std_error : float
        Sum of the two components and its standard error from the expected information; NaN for one trial.
    sigma2_between, sigma2_within : float
        The components.
    i2, h2, q, q_df, q_p : float
        Heterogeneity; `q` is the test over all effects.
    log_likelihood : float
        At the estimates.
    k, n_effects : int
        Trials and effects.
    unit_of_row : numpy.ndarray
        Position in `effect` and `variance` of each row; -1 for a row left out.
    effect, variance, weight : numpy.ndarray
        One value per trial, in order of first appearance: its weighted mean effect, the variance of that mean with
        sampling error and within-trial variance, and its weight in percent; `estimate` is their weighted mean with
        weights ``1 / (variance + sigma2_between)``.
    notes : tuple of str
        What a reader should know.
    """

    estimate: float
    std_error: float
    ci_low: float
    ci_high: float
    statistic: float
    df: float
    p_value: float
    wald_std_error: float
    pi_low: float
    pi_high: float
    tau2: float
    tau2_std_error: float
    sigma2_between: float
    sigma2_within: float
    i2: float
    h2: float
    q: float
    q_df: int
    q_p: float
    log_likelihood: float
    k: int
    n_effects: int
    unit_of_row: npt.NDArray[np.intp]
    effect: Array
    variance: Array
    weight: Array
    notes: tuple[str, ...]


def pool_dependent(y: Array, v: Array, trial: Ints, method: PoolMethod) -> PooledDependent:
    """Pool effects of which several come from one trial, keeping every effect.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances of the rows, NaN for rows left out.
    trial : numpy.ndarray
        Trial of each row, any integers.
    method : PoolMethod
        Its `dependence` is ``"three_level"`` (independent sampling errors) or ``"che"`` (correlated by `rho`).

    Raises
    ------
    OptionError
        The method asks for what these models do not have.
    NotEstimableError
        No row has both effect and variance.
    """
    ci_method = _check(method)
    used = ~(np.isnan(y) | np.isnan(v))
    if not used.any():
        raise NotEstimableError("no row has both an effect and a variance")
    unit, n_trials = _by_appearance(trial[used])
    rho = method.rho if str(method.dependence) == "che" else 0.0
    x = np.ones((unit.size, 1))
    model = block_model(y[used], x, unit, v[used], rho=rho)
    if singular_trials(model).size:
        raise NotEstimableError(
            f"with rho = {rho:g} the sampling covariance of a trial cannot be inverted: its variances span too many "
            "orders of magnitude; lower rho"
        )
    if n_trials == 1:
        return _one_trial(model, used, method)
    e = estimate_model(model, cast(MultilevelEstimator, method.tau2_method), ci_method, method.level, v[used], x)
    return _pooled(e, model, method, _spread(unit, used))


def _pooled(e: Estimates, model: BlockModel, method: PoolMethod, unit_of_row: Ints) -> PooledDependent:
    """Return the record, every number a plain float."""
    between, within = (float(t) for t in e.optimum.theta)
    effect, variance = _trial_means(model, within)
    weight = 1 / (variance + between)
    wald = float(np.sqrt(e.model_vcov[0, 0]))
    low, high = _prediction(e, method, wald, between + within, model.n_trials)
    i2, h2 = _heterogeneity(e, method)
    counts = f"{model.y.size} effects of {model.n_trials} trials"
    return PooledDependent(
        estimate=float(e.beta[0]),
        std_error=float(e.std_error[0]),
        ci_low=float(e.ci_low[0]),
        ci_high=float(e.ci_high[0]),
        statistic=float(e.statistic[0]),
        df=float(e.df[0]),
        p_value=float(e.p_value[0]),
        wald_std_error=wald,
        pi_low=low,
        pi_high=high,
        tau2=between + within,
        tau2_std_error=_total_error(e),
        sigma2_between=between,
        sigma2_within=within,
        i2=i2,
        h2=h2,
        q=e.qe.statistic,
        q_df=int(e.qe.df1),
        q_p=e.qe.p_value,
        log_likelihood=float(e.optimum.log_likelihood),
        k=model.n_trials,
        n_effects=model.y.size,
        unit_of_row=unit_of_row,
        effect=effect,
        variance=variance,
        weight=100 * weight / weight.sum(),
        notes=(f"{counts}; tau2 is the sum of {between:.4g} between trials and {within:.4g} within.",),
    )


def _heterogeneity(e: Estimates, method: PoolMethod) -> tuple[float, float]:
    """Return I2 and H2 from the variances or from Q."""
    if method.i2_method == "q":
        h2 = e.qe.statistic / e.qe.df1
        return max(0.0, 100 * (1 - 1 / h2)) if h2 > 0 else 0.0, h2
    i2 = sum(e.i2)
    return i2, 1 / (1 - i2 / 100)


def _check(method: PoolMethod) -> MultilevelCi:
    """Return the interval method after checking that the settings exist for these models."""
    problems = []
    if method.tau2_method not in ("REML", "ML"):
        problems.append(f"tau2_method must be 'REML' or 'ML'; received {method.tau2_method!r}")
    if str(method.ci_method) not in POOL_CI:
        problems.append(f"ci_method must be one of {', '.join(map(repr, POOL_CI))}; received {method.ci_method!r}")
    if str(method.dependence) == "che" and method.rho >= 1:
        problems.append(f"rho must be below 1; received {method.rho!r}")
    if problems:
        raise OptionError(f"with dependence={str(method.dependence)!r}, {'; '.join(problems)}")
    return cast(MultilevelCi, str(method.ci_method))


def _by_appearance(trial: Ints) -> tuple[Ints, int]:
    """Return the trials numbered from 0 in order of first appearance, and how many there are."""
    _, first, inverse = np.unique(trial, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.intp)
    rank[np.argsort(first)] = np.arange(first.size)
    return rank[inverse], first.size


def _spread(unit: Ints, used: npt.NDArray[np.bool_]) -> Ints:
    full = np.full(used.size, -1, dtype=np.intp)
    full[used] = unit
    return full


def _trial_means(model: BlockModel, within: float) -> tuple[Array, Array]:
    """Return each trial's mean effect, weighted by the inverse of its own covariance, and the variance of that mean."""
    wz = model.z / (model.d + within)
    information = model.total(wz * model.z)
    effect, variance = np.empty(model.n_trials), np.empty(model.n_trials)
    effect[model.trial] = model.total(wz * model.y) / information
    variance[model.trial] = 1 / information
    return effect, variance


def _total_error(e: Estimates) -> float:
    pick = np.flatnonzero(e.free)
    covariance = np.linalg.inv(e.optimum.expected[np.ix_(pick, pick)])
    return float(np.sqrt(covariance.sum()))


def _prediction(e: Estimates, method: PoolMethod, wald: float, total: float, k: int) -> tuple[float, float]:
    """Return the prediction interval by the rules of the method; NaN below three trials."""
    df = {"k-1": k - 1.0, "k-2": k - 2.0, "z": np.inf, "as-ci": float(e.df[0])}[method.prediction_df]
    if k < 3 or df <= 0:
        return float("nan"), float("nan")
    error = float(e.std_error[0]) if method.prediction_se == "ci" else wald
    half = float(quantile(method.level, df)) * float(np.sqrt(total + error**2))
    return float(e.beta[0]) - half, float(e.beta[0]) + half


def _one_trial(model: BlockModel, used: npt.NDArray[np.bool_], method: PoolMethod) -> PooledDependent:
    """Return the trial's own effect with its Wald interval: nothing between trials can be estimated."""
    nan = float("nan")
    effect, variance = _trial_means(model, 0.0)
    estimate, error = float(effect[0]), float(np.sqrt(variance[0]))
    half = float(quantile(method.level, np.inf)) * error
    numbers = ("pi_low", "pi_high", "tau2", "tau2_std_error", "sigma2_between", "sigma2_within", "i2", "h2", "q", "q_p")
    unknown = (*numbers, "log_likelihood")
    return PooledDependent(
        estimate=estimate,
        std_error=error,
        ci_low=estimate - half,
        ci_high=estimate + half,
        statistic=estimate / error,
        df=float("inf"),
        p_value=float(two_sided_p(estimate / error, np.inf)),
        wald_std_error=error,
        **dict.fromkeys(unknown, nan),
        q_df=0,
        k=1,
        n_effects=model.y.size,
        unit_of_row=_spread(np.zeros(model.y.size, dtype=np.intp), used),
        effect=effect,
        variance=variance,
        weight=np.array([100.0]),
        notes=("One trial: its own effect and Wald interval, nothing was pooled; tau2 is not estimable.",),
    )
