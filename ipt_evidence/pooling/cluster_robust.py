"""Cluster-robust standard errors: CR0, CR1, CR2 with Satterthwaite degrees of freedom, linear in the clusters.

The working covariance is block-diagonal with blocks ``S_i`` and the estimates are those of generalised least squares
under it: ``b = M sum X_i' S_i^-1 y_i`` with ``M = (sum X_i' S_i^-1 X_i)^-1``. The robust covariance is
``M (sum X_i' S_i^-1 A_i e_i e_i' A_i S_i^-1 X_i) M``; ``A_i`` is the identity for CR0 and CR1 (which multiplies by
``J / (J - p)``, J clusters and p coefficients) and makes the estimate unbiased under the working model for CR2.

References
----------
Bell RM, McCaffrey DF. Bias reduction in standard errors for linear regression with multi-stage samples. Survey
Methodology 2002;28:169-181.
Tipton E. Small sample adjustments for robust variance estimation with meta-regression. Psychol Methods 2015;20:375-393.
doi:10.1037/met0000011
Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
effects models. J Bus Econ Stat 2018;36:672-683. doi:10.1080/07350015.2016.1247004
Tipton E, Pustejovsky JE. Small-sample adjustments for tests of moderators and model fit using robust variance
estimation in meta-regression. J Educ Behav Stat 2015;40:604-634. doi:10.3102/1076998615606099
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.options import choose
from ipt_evidence.pooling.kernel import Array

RobustKind = Literal["CR0", "CR1", "CR2"]
ABSORBED = 1e-9
GRADED = 1e-10
MAX_MEANS = 500


class Batch(NamedTuple):
    """Clusters of one size m: designs ``(J, m, p)``, residuals ``(J, m)``, working covariances ``(J, m, m)``."""

    x: Array
    residual: Array
    covariance: Array


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRobust:
    """Robust covariance of linear combinations of the coefficients.

    Attributes
    ----------
    vcov : numpy.ndarray
        Shape ``(q, q)``.
    std_error, df : numpy.ndarray
        Standard errors and Satterthwaite degrees of freedom, shape ``(q,)``.
    n_clusters : int
        Number of clusters.
    kind : str
        Which estimator.
    """

    vcov: Array
    std_error: Array
    df: Array
    n_clusters: int
    kind: RobustKind
    own: Array = field(repr=False)
    shared: Array = field(repr=False)


@dataclass(frozen=True, slots=True)
class JointTest:
    """F test that several coefficients are zero: ``statistic`` on ``df1`` and ``df2`` degrees of freedom."""

    statistic: float
    df1: float
    df2: float
    p_value: float


def batches(
    x: Array,
    residual: Array,
    cluster: npt.NDArray[np.intp],
    *,
    variance: Array | None = None,
    blocks: Sequence[Array] | None = None,
) -> list[Batch]:
    """Return the rows of a regression as clusters batched by size.

    Parameters
    ----------
    x, residual : numpy.ndarray
        Design ``(n, p)`` and residuals ``(n,)`` of the generalised least squares fit.
    cluster : numpy.ndarray
        Cluster of each row, 0 to the number of clusters less one.
    variance : numpy.ndarray, optional
        Working variances ``(n,)`` when the working covariance is diagonal (such as ``v + tau2``).
    blocks : sequence of numpy.ndarray, optional
        Working covariance of each cluster, rows in the order of the table.
    """
    size = np.bincount(cluster)
    order = np.lexsort((cluster, size[cluster]))
    result, row = [], 0
    for m, count in zip(*np.unique(size[size > 0], return_counts=True), strict=True):
        pick = order[row : row + m * count].reshape(count, m)
        if blocks is not None:
            covariance = np.stack([np.asarray(blocks[j], dtype=float) for j in cluster[pick[:, 0]]])
        else:
            covariance = np.zeros((count, m, m))
            covariance[:, np.arange(m), np.arange(m)] = np.asarray(variance)[pick]
        result.append(Batch(x[pick], residual[pick], covariance))
        row += m * count
    return result


def cluster_robust(
    clusters: Sequence[Batch], *, kind: RobustKind = "CR2", contrasts: Array | None = None
) -> ClusterRobust:
    """Return the cluster-robust covariance of ``contrasts @ beta``.

    Parameters
    ----------
    clusters : sequence of Batch
        From :func:`batches`.
    kind : {"CR2", "CR1", "CR0"}
        Bias-reduced linearisation (default), the factor ``J / (J - p)``, or no correction.
    contrasts : numpy.ndarray, optional
        Shape ``(q, p)``; the coefficients themselves by default.

    Raises
    ------
    NotEstimableError
        There is one cluster, or for CR1 no more clusters than coefficients.

    Notes
    -----
    ``A_i = L B_i^(-1/2) L'`` with ``L L' = S_i`` and ``B_i = L' (S_i - X_i M X_i') L`` (Pustejovsky & Tipton 2018,
    eq. 9); directions in which a coefficient absorbs the cluster have no inverse and are left out. The variance of a
    contrast c is a quadratic form in the data; under the working model its matrix has the elements
    ``delta_ij g_i'S_i g_i - (X_i'g_i)' M (X_j'g_j)``, ``g_i = A_i S_i^-1 X_i M c``. Its trace and the sum of its
    squares give the degrees of freedom, which the low rank of the second term makes linear in the clusters.
    """
    choose("kind", kind, RobustKind)
    n_clusters = sum(batch.x.shape[0] for batch in clusters)
    if n_clusters < 2:
        raise NotEstimableError("cluster-robust standard errors need at least two clusters; there is one")
    p = clusters[0].x.shape[-1]
    if kind == "CR1" and n_clusters <= p:
        raise NotEstimableError(f"CR1 with {p} coefficients needs at least {p + 1} clusters; there are {n_clusters}")
    roots = [_floats(np.linalg.cholesky(batch.covariance)) for batch in clusters]
    halves = [_floats(np.linalg.solve(root, batch.x)) for root, batch in zip(roots, clusters, strict=True)]
    rows = np.concatenate([half.reshape(-1, p) for half in halves])
    m = _floats(np.linalg.inv(rows.T @ rows))
    to = m if contrasts is None else m @ contrasts.T
    scores: list[Array] = []
    own: list[Array] = []
    shared: list[Array] = []
    m_root = _floats(np.linalg.cholesky(m))
    for batch, root, half in zip(clusters, roots, halves, strict=True):
        g = _influence(batch, root, half, m, m_root, kind) @ to
        turned = np.swapaxes(g, -1, -2)
        scores.append((turned @ batch.residual[..., None])[..., 0])
        own.append(turned @ batch.covariance @ g)
        shared.append(m_root.T @ np.swapaxes(batch.x, -1, -2) @ g)
    total = np.concatenate(scores)
    factor = n_clusters / (n_clusters - p) if kind == "CR1" else 1.0
    vcov: Array = factor * total.T @ total
    a, u = np.concatenate(own), np.concatenate(shared)
    return ClusterRobust(vcov, np.sqrt(vcov.diagonal()), _satterthwaite(a, u), n_clusters, kind, a, u)


def _floats(values: npt.ArrayLike) -> Array:
    """Return the values as float64, which the stubs of numpy.linalg do not promise."""
    return np.asarray(values, dtype=np.float64)


def _influence(batch: Batch, root: Array, half: Array, m: Array, m_root: Array, kind: RobustKind) -> Array:
    """Return ``A_i S_i^-1 X_i`` of each cluster."""
    transposed = np.swapaxes(root, -1, -2)
    if kind != "CR2":
        return _floats(np.linalg.solve(transposed, half))
    left = batch.covariance - batch.x @ m @ np.swapaxes(batch.x, -1, -2)
    values, vectors = np.linalg.eigh(transposed @ left @ root)
    spread = half @ m_root
    leverage = np.linalg.eigvalsh(np.swapaxes(spread, -1, -2) @ spread)
    absorbed = (leverage > 1 - ABSORBED).sum(axis=-1)
    lost = np.arange(values.shape[1]) < absorbed[:, None]
    graded = np.any(np.where(lost, np.inf, values) <= GRADED * values[:, -1:], axis=-1)
    if (graded & (absorbed > 0)).any():
        raise NotEstimableError(
            "CR2 cannot be computed: a coefficient absorbs a cluster whose variances differ by many orders of "
            "magnitude; use CR1, or a model-based interval"
        )
    power = np.where(lost | graded[:, None], 0.0, 1 / np.sqrt(np.where(lost | graded[:, None], 1.0, values)))
    rotated = np.swapaxes(vectors, -1, -2) @ half
    result = root @ (vectors @ (power[:, :, None] * rotated))
    for i in np.flatnonzero(graded):
        adjustment = _geometric_mean(batch.covariance[i], _inverse(left[i]))
        result[i] = adjustment @ np.linalg.solve(transposed[i], half[i])
    return result


def _geometric_mean(a: Array, b: Array) -> Array:
    """Return the geometric mean of two positive definite matrices, the limit of arithmetic and harmonic means.

    ``A_i`` is the geometric mean of ``S_i`` and ``(S_i - X_i M X_i')^-1``. The eigenvalues of ``B_i`` are squares of
    working variances, so that a wide range of these uses up all digits; the sums here keep them.
    """
    for _ in range(MAX_MEANS):
        arithmetic, harmonic = (a + b) / 2, 2 * _inverse(_inverse(a) + _inverse(b))
        scale = np.sqrt(np.diag(arithmetic))
        change = np.abs(arithmetic - harmonic) / scale / scale[:, None]
        a, b = arithmetic, harmonic
        if change.max() <= 1e-12:
            return (a + b) / 2
    raise ConvergenceError(f"CR2: no convergence in {MAX_MEANS} steps; please report this data set")


def _inverse(a: Array) -> Array:
    """Return the inverse of a positive definite matrix whose diagonal may span many orders of magnitude."""
    scale = 1 / np.sqrt(np.diag(a))
    inverse: Array = scale[:, None] * np.linalg.inv(a * scale * scale[:, None]) * scale
    return (inverse + inverse.T) / 2


def _satterthwaite(own: Array, shared: Array) -> Array:
    """Return the degrees of freedom of each contrast (Bell & McCaffrey 2002; Tipton 2015)."""
    df = []
    for q in range(own.shape[1]):
        a, u = own[:, q, q], shared[:, :, q]
        length = np.einsum("jk,jk->j", u, u)
        trace = (a - length).sum()
        squares = (a * (a - 2 * length)).sum() + ((u.T @ u) ** 2).sum()
        df.append(trace**2 / squares)
    return np.array(df)


def joint_test(robust: ClusterRobust, estimate: Array, rows: Sequence[int]) -> JointTest:
    """Return the approximate Hotelling test (HTZ) that several of the contrasts are zero.

    Parameters
    ----------
    robust : ClusterRobust
        Covariance of the contrasts.
    estimate : numpy.ndarray
        Their values, shape ``(q,)``.
    rows : sequence of int
        Which of them are tested together.

    Notes
    -----
    Tipton & Pustejovsky 2015: with ``D = W^-1/2 V W^-1/2``, V the robust covariance and W its expectation under the
    working model, ``eta = q (q + 1) / sum Var(D_st)`` and ``F = (eta - q + 1) / (eta q) Q`` on ``q`` and
    ``eta - q + 1`` degrees of freedom. NaN when the latter is not positive.
    """
    from scipy.special import fdtrc

    pick = np.asarray(rows)
    q = pick.size
    a, u = robust.own[:, pick[:, None], pick], robust.shared[:, :, pick]
    values, vectors = np.linalg.eigh((a - np.einsum("jks,jkt->jst", u, u)).sum(axis=0))
    whiten = vectors / np.sqrt(values) @ vectors.T
    a, u = whiten @ a @ whiten, u @ whiten
    eta = q * (q + 1) / _variance_sum(a, u)
    b, v = estimate[pick], robust.vcov[np.ix_(pick, pick)]
    wald, df2 = float(b @ np.linalg.solve(v, b)), eta - q + 1
    if df2 <= 0:
        return JointTest(float("nan"), float(q), float("nan"), float("nan"))
    statistic = df2 / (eta * q) * wald
    return JointTest(statistic, float(q), df2, float(fdtrc(q, df2, statistic)))


def _variance_sum(a: Array, u: Array) -> float:
    """Return the sum over s and t of the variances of ``D_st`` under the working model."""
    inner = np.einsum("jks,jkt->jst", u, u)
    cross = np.einsum("jks,jlt->stkl", u, u)
    diag_a, diag_i = np.einsum("jss->js", a), np.einsum("jss->js", inner)
    first = np.einsum("js,jt->st", diag_a, diag_a - diag_i) - np.einsum("js,jt->st", diag_i, diag_a)
    first += np.einsum("stkl,stkl->st", cross, cross)
    second = np.einsum("jst,jst->st", a, a - 2 * inner) + np.einsum("stkl,stlk->st", cross, cross)
    return float((first + second).sum())
