"""The numbers of a multilevel fit: arrays in, records out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import chdtrc, fdtrc

from ipt_evidence.pooling.blocks import BlockModel, Weighted, weigh
from ipt_evidence.pooling.cluster_robust import Batch, ClusterRobust, JointTest, RobustKind, cluster_robust
from ipt_evidence.pooling.components import Mask, Optimum, fit_components
from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.multilevel_result import MultilevelCi, MultilevelEstimator

ROBUST = ("cr2", "cr1", "cr0")
NOT_TESTED = JointTest(float("nan"), float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class Criteria:
    """Information criteria of a likelihood with `n_parameters` coefficients and variances."""

    n_parameters: int
    aic: float
    aicc: float
    bic: float


@dataclass(frozen=True, slots=True, eq=False)
class Estimates:
    """Numbers of one multilevel fit; arrays have one value per coefficient, `weight` one per row (percent)."""

    optimum: Optimum
    free: Mask
    beta: Array
    vcov: Array
    model_vcov: Array
    std_error: Array
    statistic: Array
    df: Array
    p_value: Array
    ci_low: Array
    ci_high: Array
    prediction: tuple[float, float]
    i2: tuple[float, float]
    qe: JointTest
    qm: JointTest
    criteria: Criteria
    weight: Array


def estimate_model(
    model: BlockModel, estimator: MultilevelEstimator, ci_method: MultilevelCi, level: float, v: Array, x: Array
) -> Estimates:
    """Return all numbers of a model of dependent effects.

    Parameters
    ----------
    model : BlockModel
        The data, rotated.
    estimator, ci_method, level
        As in :func:`~ipt_evidence.pooling.dependence.multilevel`.
    v, x : numpy.ndarray
        Sampling variances and design in the caller's coordinates, for I2 and the tests of moderators.
    """
    restricted = estimator == "REML"
    optimum, free = fit_components(model, restricted=restricted)
    k = weigh(model, float(optimum.theta[0]), float(optimum.theta[1]), restricted=restricted)
    beta, model_vcov = model.basis @ k.beta, model.basis @ k.m @ model.basis.T
    n, p = model.x.shape
    robust = _robust(model, k, optimum.theta, ci_method) if ci_method in ROBUST else None
    vcov = model_vcov if robust is None else robust.vcov
    df = _degrees(model, ci_method, robust)
    std_error = np.sqrt(np.diag(vcov)) if robust is None else robust.std_error
    half = np.asarray(quantile(level, df)) * std_error
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = beta / std_error
    alone = _intercept_only(x)
    reach = float(quantile(level, df[0])) * float(np.sqrt(vcov[0, 0] + optimum.theta.sum())) if alone else np.nan
    return Estimates(
        optimum=optimum,
        free=free,
        beta=beta,
        vcov=vcov,
        model_vcov=model_vcov,
        std_error=std_error,
        statistic=statistic,
        df=df,
        p_value=np.asarray(two_sided_p(statistic, df)),
        ci_low=beta - half,
        ci_high=beta + half,
        prediction=(float(beta[0] - reach), float(beta[0] + reach)),
        i2=_i2(v, x, optimum.theta),
        qe=_residual_heterogeneity(model),
        qm=_moderators(beta, vcov, df, robust, x, ci_method),
        criteria=_criteria(optimum, free, n, p, restricted),
        weight=_weights(model, k) if alone else np.full(n, np.nan),
    )


def _degrees(model: BlockModel, ci_method: MultilevelCi, robust: ClusterRobust | None) -> Array:
    """Return the degrees of freedom of each coefficient."""
    if robust is not None:
        return robust.df
    n, p = model.x.shape
    return np.full(p, np.inf if ci_method == "wald" else float(n - p))


def _intercept_only(x: Array) -> bool:
    return x.shape[1] == 1 and bool((x == 1).all())


def _robust(model: BlockModel, k: Weighted, theta: Array, ci_method: MultilevelCi) -> ClusterRobust:
    """Return the cluster-robust covariance; it does not depend on the rotation of the blocks."""
    clusters = []
    for g in model.groups:
        shape = (-1, g.size)
        z = model.z[g.rows].reshape(shape)
        covariance = theta[0] * z[:, :, None] * z[:, None, :]
        diagonal = np.arange(g.size)
        covariance[:, diagonal, diagonal] += (model.d[g.rows] + theta[1]).reshape(shape)
        x = model.x[g.rows].reshape(*shape, model.x.shape[1])
        clusters.append(Batch(x, k.residual[g.rows].reshape(shape), covariance))
    kind = cast(RobustKind, ci_method.upper())
    return cluster_robust(clusters, kind=kind, contrasts=model.basis)


def _i2(v: Array, x: Array, theta: Array) -> tuple[float, float]:
    """Return the percent of the variance between and within trials."""
    q = np.linalg.qr(x / np.sqrt(v)[:, None])[0]
    typical = (x.shape[0] - x.shape[1]) / float(((1 - (q**2).sum(axis=1)) / v).sum())
    total = float(theta.sum()) + typical
    return 100 * float(theta[0]) / total, 100 * float(theta[1]) / total


def _residual_heterogeneity(model: BlockModel) -> JointTest:
    """Return the Q test of the model without heterogeneity."""
    k = weigh(model, 0.0, 0.0)
    q, df = float(k.residual @ k.solved_r), float(model.y.size - model.x.shape[1])
    return JointTest(q, df, float("inf"), float(chdtrc(df, q)))


def _moderators(
    beta: Array, vcov: Array, df: Array, robust: ClusterRobust | None, x: Array, ci_method: MultilevelCi
) -> JointTest:
    """Return the test that all coefficients but the intercept are zero: chi-square, F or the Hotelling form."""
    constant = np.flatnonzero((x == 1).all(axis=0))
    rows = [j for j in range(beta.size) if j not in constant]
    if not rows:
        return NOT_TESTED
    if robust is not None:
        return robust.joint_test(beta, np.eye(beta.size)[rows])
    b, count = beta[rows], float(len(rows))
    wald = float(b @ np.linalg.solve(vcov[np.ix_(rows, rows)], b))
    if ci_method == "wald":
        return JointTest(wald, count, float("inf"), float(chdtrc(count, wald)))
    return JointTest(wald / count, count, float(df[0]), float(fdtrc(count, df[0], wald / count)))


def _criteria(optimum: Optimum, free: Mask, n: int, p: int, restricted: bool) -> Criteria:
    """Return AIC, AICc and BIC; the restricted likelihood counts ``n - p`` observations."""
    parameters = p + int(free.sum())
    observations = n - p if restricted else n
    deviance = -2 * optimum.log_likelihood
    large = max(observations, parameters + 2)
    return Criteria(
        parameters,
        deviance + 2 * parameters,
        deviance + 2 * parameters * large / (large - parameters - 1),
        deviance + parameters * float(np.log(observations)),
    )


def _weights(model: BlockModel, k: Weighted) -> Array:
    """Return what one unit of each effect adds to the pooled effect, in percent."""
    return 100 * model.restore(k.solved_x @ k.m @ model.basis[0])
