"""Dependent effects: three-level models, correlated and hierarchical effects, cluster-robust intervals.

References
----------
Konstantopoulos S. Fixed effects and variance components estimation in three-level meta-analysis. Res Synth Methods
2011;2:61-76. doi:10.1002/jrsm.35
Pustejovsky JE, Tipton E. Meta-analysis with robust variance estimation: expanding the range of working models. Prev Sci
2022;23:425-438. doi:10.1007/s11121-021-01246-3
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.options import check_level, check_rho, choose
from ipt_evidence.pooling.blocks import BlockModel, Ints, block_model, singular_trials
from ipt_evidence.pooling.design import build_design, formula_variables, missing_moderators
from ipt_evidence.pooling.effect_rows import read_effects
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.multilevel import Estimates, estimate_model
from ipt_evidence.pooling.multilevel_result import (
    MultilevelCi,
    MultilevelEstimator,
    MultilevelFit,
    MultilevelMethod,
    RhoSensitivity,
    Variances,
)
from ipt_evidence.pooling.notes import one_measure
from ipt_evidence.pooling.sampling_covariance import SamplingCovariance
from ipt_evidence.pooling.settings import SOFTWARE
from ipt_evidence.pooling.studies_table import COPIES_ON_WRITE

Vcov: TypeAlias = SamplingCovariance | Sequence[Array] | Array
FEW_DF = 4.0
SAME_VARIANCE = 1e-6


@overload
def multilevel(
    effects: pd.DataFrame,
    *,
    formula: str | None = ...,
    rho: float = ...,
    cluster: str = ...,
    method: MultilevelEstimator = ...,
    ci_method: MultilevelCi = ...,
    level: float = ...,
    vcov: Vcov | None = ...,
    variances: Variances = ...,
) -> MultilevelFit: ...
@overload
def multilevel(
    effects: pd.DataFrame,
    *,
    formula: str | None = ...,
    rho: Sequence[float],
    cluster: str = ...,
    method: MultilevelEstimator = ...,
    ci_method: MultilevelCi = ...,
    level: float = ...,
    vcov: None = ...,
    variances: Variances = ...,
) -> RhoSensitivity: ...
def multilevel(
    effects: pd.DataFrame,
    *,
    formula: str | None = None,
    rho: float | Sequence[float] = 0.0,
    cluster: str = "trial_id",
    method: MultilevelEstimator = "REML",
    ci_method: MultilevelCi = "cr2",
    level: float = 0.95,
    vcov: Vcov | None = None,
    variances: Variances = "own",
) -> MultilevelFit | RhoSensitivity:
    """Fit a model of effects nested in trials, keeping every effect.

    Parameters
    ----------
    effects : pandas.DataFrame
        One row per effect with `effect` and `variance` (or `std_error`). A row without effect, variance or moderator is
        left out and listed with its reason.
    formula : str, optional
        Moderators, such as ``"~ n_sessions + C(format)"``; none by default.
    rho : float or sequence of float
        Correlation between the sampling errors of one trial, at least 0 and below 1. Zero (default): the three-level
        model; above zero: correlated and hierarchical effects (CHE); several values: one fit for each.
    cluster : str
        Column that marks the rows of one trial.
    method : {"REML", "ML"}
        Estimator of the variance components.
    ci_method : {"cr2", "cr1", "cr0", "t", "wald"}
        Interval of the coefficients: cluster-robust with bias reduction and Satterthwaite degrees of freedom (default);
        cluster-robust with the factor ``J / (J - p)`` or none and ``J - p`` degrees of freedom (J trials, p
        coefficients); model-based with ``n - p`` (n effects) or infinitely many.
    level : float
        Confidence level of all intervals.
    vcov : SamplingCovariance, list of numpy.ndarray or numpy.ndarray, optional
        Sampling covariance: from :func:`~ipt_evidence.pooling.sampling_covariance.sampling_covariance`, one block per
        trial in order of first appearance, or a full matrix over the rows of the table. Replaces `rho`.
    variances : {"own", "trial_mean"}
        ``"trial_mean"``: each sampling variance is replaced by the mean of its trial, as metapsyTools' CHE does.

    Returns
    -------
    MultilevelFit or RhoSensitivity
        The latter for several values of `rho`.

    Raises
    ------
    SchemaError
        A column is missing, a cell is not usable, or `vcov` does not fit the table.
    OptionError
        An option is not among its choices, or options exclude each other.
    NotEstimableError
        The data do not determine the model, such as the between-trial variance of one trial.
    ConvergenceError
        The variance components did not converge.

    Notes
    -----
    The components are the global maximum of the (restricted) likelihood over values at or above zero. When every trial
    has one effect, they cannot be told apart and their sum is shown as the between-trial variance.
    The prediction interval uses the quantile and the standard error of the confidence interval. I2 divides each
    component by the sum of both and the typical sampling variance ``(n - p) / tr(W - WX(X'WX)^-1X'W)``, ``W`` the
    inverse sampling variances without their correlations.

    Examples
    --------
    >>> table = pd.DataFrame({"trial_id": list("aabbccd"), "effect": [0.2, 0.4, 0.9, 0.7, 0.1, 0.0, 0.5],
    ...                       "variance": [0.04, 0.05, 0.06, 0.05, 0.03, 0.03, 0.08]})
    >>> fit = multilevel(table, rho=0.6)
    >>> round(fit.estimate, 3), round(fit.sigma2_between, 3), round(fit.df, 2)
    (0.373, 0.069, 2.9)
    """
    choose("method", method, MultilevelEstimator)
    choose("ci_method", ci_method, MultilevelCi)
    choose("variances", variances, Variances)
    level = check_level(level)
    rhos = _rhos(rho, vcov, variances)
    data = _read(effects, formula, cluster)
    settings = MultilevelMethod(
        estimator=method,
        ci_method=ci_method,
        rho=rhos[0],
        cluster=cluster,
        variances=variances,
        sampling_covariance="given" if vcov is not None else "independent",
        formula=formula if formula is not None else "~ 1",
        level=level,
        software=SOFTWARE,
    )
    if vcov is not None:
        return _fit(data, settings, _given_blocks(data, vcov))
    kinds = {r: "constant correlation" if r > 0 else "independent" for r in rhos}
    fits = {r: _fit(data, replace(settings, rho=r, sampling_covariance=kinds[r]), None) for r in rhos}
    return fits[rhos[0]] if isinstance(rho, (int, float, np.number)) else RhoSensitivity(fits)


def _rhos(rho: float | Sequence[float], vcov: Vcov | None, variances: Variances) -> list[float]:
    """Return the working correlations, all checked."""
    rhos = [float(rho)] if isinstance(rho, (int, float, np.number)) else [float(r) for r in rho]
    if not rhos:
        raise OptionError("rho must be a correlation or a list of them; received an empty list")
    for r in rhos:
        check_rho(r)
    if max(rhos) >= 1:
        raise OptionError("rho must be below 1: effects of a trial would share one sampling error; try 0.9 or less")
    if vcov is not None and (len(rhos) > 1 or rhos[0] != 0):
        raise OptionError("vcov holds the covariances already, so rho would not act: give one of the two")
    if vcov is not None and variances != "own":
        raise OptionError("vcov holds the variances, so variances='trial_mean' would not act: give one of the two")
    return rhos


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """The usable rows of a table: effects, variances, trials from 0, design; and the whole table for the result."""

    effects: pd.DataFrame
    y: Array
    v: Array
    trial: Ints
    x: Array
    terms: tuple[str, ...]
    used: npt.NDArray[np.bool_]
    why_not: npt.NDArray[np.object_]
    names: npt.NDArray[np.object_]


def _read(effects: pd.DataFrame, formula: str | None, cluster: str) -> _Data:
    """Return the rows that can be used, with their design."""
    y, v, why = read_effects(effects)
    names = _cluster_names(effects, cluster)
    used = ~np.isnan(y)
    frame = effects.assign(effect=y, variance=v, std_error=np.sqrt(v))
    variables: tuple[str, ...] = ()
    if formula is not None:
        variables = formula_variables(formula, frame)
        missing = missing_moderators(frame, variables)
        why = np.where(used & (missing != ""), missing, why)
        used = used & (missing == "")
    if not used.any():
        reasons = ", ".join(dict.fromkeys(map(str, why))) or "the table is empty"
        raise NotEstimableError(f"none of the {len(effects)} rows can be used: {reasons}")
    x = np.ones((int(used.sum()), 1))
    terms: tuple[str, ...] = ("Intercept",)
    if formula is not None:
        design = build_design(formula, frame.loc[used], variables)
        x, terms = design.x, design.names
    if x.shape[0] - x.shape[1] < 1:
        raise NotEstimableError(
            f"{x.shape[0]} effects and {x.shape[1]} coefficients: no effect is left to estimate heterogeneity from"
        )
    trial = pd.factorize(names[used])[0]
    return _Data(effects, y[used], v[used], trial, x, terms, used, why, names)


def _cluster_names(effects: pd.DataFrame, cluster: str) -> npt.NDArray[np.object_]:
    """Return the trial of each row; an error names the rows that have none."""
    if cluster not in effects.columns:
        raise SchemaError([Problem(f"no column {cluster}; name the column that marks the rows of one trial")])
    empty = np.flatnonzero(effects[cluster].isna().to_numpy(dtype=bool))
    if empty.size:
        problems = [Problem(f"expected a {cluster}", row=int(i) + 1, column=cluster) for i in empty]
        raise SchemaError(problems, "cannot tell which rows share participants")
    return effects[cluster].to_numpy(dtype=object)


def _given_blocks(data: _Data, vcov: Vcov) -> list[Array]:
    """Return the covariance of the usable rows of each trial, after checking that it belongs to this table.

    Raises
    ------
    SchemaError
        The shape is wrong, a diagonal differs from the variances, or rows of different trials covary.
    """
    codes, trials = pd.factorize(data.names)
    rows = [np.flatnonzero(codes == j) for j in range(len(trials))]
    blocks = _as_blocks(vcov, rows, len(data.names))
    position = np.cumsum(data.used) - 1
    problems, kept = [], {}
    for name, at, block in zip(trials, rows, blocks, strict=True):
        if block.shape != (at.size, at.size):
            problems.append(Problem(f"trial {name}: expected a block of {at.size} x {at.size}, received {block.shape}"))
            continue
        inside = data.used[at]
        part = block[np.ix_(inside, inside)]
        own = np.allclose(np.diag(part), data.v[position[at[inside]]], rtol=SAME_VARIANCE, atol=0)
        if not (own and np.allclose(part, part.T, rtol=1e-9, atol=0)):
            problems.append(Problem(f"trial {name}: expected a symmetric block, the table's variances on its diagonal"))
        if inside.any():
            kept[data.trial[position[at[inside][0]]]] = part
    if problems:
        raise SchemaError(problems, "vcov does not fit the table")
    return [kept[j] for j in range(len(kept))]


def _as_blocks(vcov: Vcov, rows: list[Ints], n: int) -> list[Array]:
    """Return one array per trial."""
    if isinstance(vcov, SamplingCovariance):
        vcov = list(vcov.blocks)
    if isinstance(vcov, np.ndarray) and vcov.ndim == 2:
        if vcov.shape != (n, n):
            raise SchemaError([Problem(f"expected {n} x {n}, received {vcov.shape}")], "vcov does not fit the table")
        blocks = [vcov[np.ix_(at, at)] for at in rows]
        inside = sum(int(np.count_nonzero(block)) for block in blocks)
        if int(np.count_nonzero(vcov)) != inside:
            raise SchemaError([Problem("rows of different trials covary; merge them in the cluster column")], "vcov")
        return blocks
    blocks = [np.atleast_2d(np.asarray(block, dtype=float)) for block in vcov]
    if len(blocks) != len(rows):
        message = f"expected one block for each of {len(rows)} trials, received {len(blocks)}"
        raise SchemaError([Problem(message)], "vcov does not fit the table")
    return blocks


def _fit(data: _Data, method: MultilevelMethod, blocks: list[Array] | None) -> MultilevelFit:
    """Return the fit at one working correlation or one given covariance."""
    v = data.v
    if method.variances == "trial_mean":
        v = (np.bincount(data.trial, weights=v) / np.bincount(data.trial))[data.trial]
    model = block_model(data.y, data.x, data.trial, v, rho=method.rho, blocks=blocks)
    _refuse_singular(model, data)
    e = estimate_model(model, method.estimator, method.ci_method, method.level, v, data.x)
    return MultilevelFit(
        coefficients=_coefficients(data.terms, e),
        vcov=e.vcov,
        sigma2_between=float(e.optimum.theta[0]),
        sigma2_within=float(e.optimum.theta[1]),
        i2_between=e.i2[0],
        i2_within=e.i2[1],
        pi_low=e.prediction[0],
        pi_high=e.prediction[1],
        log_likelihood=e.optimum.log_likelihood,
        n_parameters=e.criteria.n_parameters,
        aic=e.criteria.aic,
        aicc=e.criteria.aicc,
        bic=e.criteria.bic,
        qe=e.qe.statistic,
        qe_df=int(e.qe.df1),
        qe_p=e.qe.p_value,
        qm=e.qm.statistic,
        qm_df=e.qm.df1,
        qm_df2=e.qm.df2,
        qm_p=e.qm.p_value,
        k_effects=data.y.size,
        k_trials=model.n_trials,
        measure=one_measure(data.effects, np.where(data.used, 0.0, np.nan)),
        method=method,
        rows=_rows(data, v, e),
        notes=_notes(data, e, method),
        model=model,
        optimum=e.optimum,
        free=e.free,
        effects=data.effects.copy(deep=not COPIES_ON_WRITE),
    )


def _refuse_singular(model: BlockModel, data: _Data) -> None:
    singular = singular_trials(model)
    if singular.size:
        first = {t: str(data.names[data.used][np.flatnonzero(data.trial == t)[0]]) for t in singular}
        raise SchemaError(
            [Problem(f"trial {name}: expected a positive definite sampling covariance") for name in first.values()],
            "cannot invert the sampling covariance: rho is too high, or the variances of a trial span too many orders "
            "of magnitude",
        )


def _coefficients(terms: tuple[str, ...], e: Estimates) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term": terms,
            "estimate": e.beta,
            "std_error": e.std_error,
            "statistic": e.statistic,
            "df": e.df,
            "p_value": e.p_value,
            "ci_low": e.ci_low,
            "ci_high": e.ci_high,
        }
    )


def _rows(data: _Data, v: Array, e: Estimates) -> pd.DataFrame:
    """Return one row per row of the table: what was used, its weight and its fitted value."""

    def spread(values: Array) -> Array:
        full = np.full(data.used.size, np.nan)
        full[data.used] = values
        return full

    columns = {
        "trial": data.names,
        "effect": spread(data.y),
        "variance": spread(v),
        "weight": spread(e.weight),
        "fitted": spread(data.x @ e.beta),
        "included": data.used,
        "why_not": data.why_not,
    }
    return pd.DataFrame(columns, index=data.effects.index)


def _notes(data: _Data, e: Estimates, method: MultilevelMethod) -> tuple[str, ...]:
    """Return what a reader should know before quoting the fit."""
    notes = []
    if not e.free[1]:
        notes.append("Every trial has one effect: the variances cannot be told apart; their sum is the between one.")
    alone = np.isnan(e.std_error)
    if alone.any():
        listed = ", ".join(term for term, none in zip(data.terms, alone, strict=True) if none)
        notes.append(f"No cluster-robust error, because a single trial determines it or its reference: {listed}.")
    if method.ci_method == "cr2" and bool((e.df < FEW_DF).any()):
        notes.append("Fewer than 4 Satterthwaite degrees of freedom: the robust interval may be too narrow.")
    if method.ci_method.startswith("cr") and bool((e.std_error < np.sqrt(np.diag(e.model_vcov)) / 2).any()):
        notes.append("A robust standard error is less than half the model-based one; report both (ci_method='t').")
    left_out = int((~data.used).sum())
    if left_out:
        notes.append(f"{left_out} rows without a usable effect or moderator were left out.")
    return tuple(notes)
