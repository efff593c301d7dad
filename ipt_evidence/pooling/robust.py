"""Cluster-robust errors of a meta-regression with a small-sample correction and Satterthwaite degrees of freedom.

Notation of Pustejovsky & Tipton 2018: clusters ``j``, working covariance ``Phi = diag(v + tau2) = W^-1``,
``M = (X'WX)^-1``, hat matrix ``H``, adjustment matrices ``A_j``. All sums run over clusters once: the cost is linear.

References
----------
Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
effects models. J Bus Econ Stat 2018;36:672-683. doi:10.1080/07350015.2016.1247004
Tipton E, Pustejovsky JE. Small-sample adjustments for tests of moderators and model fit using robust variance
estimation in meta-regression. J Educ Behav Stat 2015;40:604-634. doi:10.3102/1076998615606099
Hedges LV, Tipton E, Johnson MC. Robust variance estimation in meta-regression with dependent effect size estimates. Res
Synth Methods 2010;1:39-65. doi:10.1002/jrsm.5
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.pooling.kernel import Array

ClusterMethod = Literal["CR2", "CR1", "CR0"]
ZERO_EIGENVALUE = 1e-12
SINGULAR = 1e-10
LEAST_SHARE = 0.9
"""CR2 expects to find the whole variance of the model; less means that single clusters hide it from the residuals."""


class WaldTest(NamedTuple):
    """An F test of several coefficients: statistic, degrees of freedom, p-value."""

    statistic: float
    df: float
    df_denominator: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class RobustErrors:
    """Cluster-robust covariance of the coefficients and what its degrees of freedom need.

    Attributes
    ----------
    vcov : numpy.ndarray
        Shape ``(p, p)``.
    method : {"CR2", "CR1", "CR0"}
        ``"CR2"``: bias-reduced linearisation with Satterthwaite degrees of freedom; ``"CR1"``: residuals scaled by
        ``sqrt(J / (J - p))``; ``"CR0"``: as they are; the last two with ``J - p`` degrees of freedom.
    n_clusters : int
        ``J``.
    """

    vcov: Array
    method: ClusterMethod
    n_clusters: int
    n_coefficients: int
    blocks: Array = field(repr=False)
    scatter: Array = field(repr=False)
    bread: Array = field(repr=False)
    expected: Array = field(repr=False)

    def contrast_error(self, contrasts: Array) -> Array:
        """Return the standard error of each row of `contrasts`, shape ``(n, p)``; NaN where there is none.

        A coefficient that one cluster alone determines has residuals that sum to zero within it: the formula would give
        zero, which is not its error.
        """
        variance = np.einsum("np,pq,nq->n", contrasts, self.vcov, contrasts)
        return np.where(self.is_defined(contrasts), np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def is_defined(self, contrasts: Array) -> npt.NDArray[np.bool_]:
        """Return for each row of `contrasts` whether the residuals can show its variance."""
        model, found = (np.einsum("np,pq,nq->n", contrasts, m, contrasts) for m in (self.bread, self.expected))
        return np.asarray(found > LEAST_SHARE * model)

    def contrast_df(self, contrasts: Array) -> Array:
        """Return the degrees of freedom of each row of `contrasts`, shape ``(n, p)``; NaN where there is no error."""
        df = np.full(len(contrasts), float(self.n_clusters - self.n_coefficients))
        if self.method == "CR2":
            df = np.array([self._satterthwaite(c) for c in contrasts])
        return np.where(self.is_defined(contrasts), df, np.nan)

    def _satterthwaite(self, contrast: Array) -> float:
        """Return ``(tr G)^2 / tr(GG)`` for the matrix G of the quadratic form (eq. 11)."""
        diagonal, z = self._parts(contrast[None])
        own, along = diagonal[:, 0, 0], z[:, 0]
        square = np.einsum("jp,jp->j", along, along)
        gram = along.T @ along
        trace = float((own - square).sum())
        total = float(((own - square) ** 2).sum() + (gram**2).sum() - (square**2).sum())
        return trace**2 / total if total > 0 else float("nan")

    def _parts(self, contrasts: Array) -> tuple[Array, Array]:
        """Return for each cluster ``g_s'Phi g_t``, ``(J, q, q)``, and ``M^(1/2)' X'g_s``, ``(J, q, p)``."""
        diagonal = np.einsum("sa,jab,tb->jst", contrasts, self.scatter, contrasts)
        half = np.linalg.cholesky(self.bread)
        return diagonal, np.einsum("jab,sb,ac->jsc", self.blocks, contrasts, half)

    def wald_test(self, beta: Array, contrasts: Array) -> WaldTest:
        """Return the test that all `contrasts` of `beta` are zero.

        Notes
        -----
        ``"CR2"``: the approximate Hotelling test (AHT or HTZ) of Tipton & Pustejovsky 2015; the denominator's degrees
        of freedom match the total variance of the matrix. The others: F with ``J - p``. All are NaN where a contrast
        has no error, where the clusters are too few for the covariance to have an inverse, or where the degrees of
        freedom would not be positive.
        """
        q = len(contrasts)
        none = WaldTest(float("nan"), q, float("nan"), float("nan"))
        error = self.contrast_error(contrasts)
        if not (error > 0).all():
            return none
        value = contrasts @ beta / error
        correlation = contrasts @ self.vcov @ contrasts.T / np.outer(error, error)
        if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
            return none
        quadratic = float(value @ np.linalg.solve(correlation, value))
        if self.method != "CR2":
            df = float(self.n_clusters - self.n_coefficients)
            return WaldTest(quadratic / q, q, df, float(fdtrc(q, df, quadratic / q)))
        eta = self._eta(contrasts)
        df = eta - q + 1
        if not df > 0:
            return none
        statistic = df / (eta * q) * quadratic
        return WaldTest(statistic, q, df, float(fdtrc(q, df, statistic)))

    def _eta(self, contrasts: Array) -> float:
        """Return the degrees of freedom of the Wishart that matches the total variance (2015, eq. 17)."""
        diagonal, z = self._parts(contrasts)
        omega = (diagonal - np.einsum("jsc,jtc->jst", z, z)).sum(axis=0)
        values, vectors = np.linalg.eigh(omega)
        turn = vectors / np.sqrt(values) @ vectors.T
        diagonal = np.einsum("sa,jab,bt->jst", turn, diagonal, turn)
        z = np.einsum("sa,jac->jsc", turn, z)
        cross = np.einsum("jsc,jtd->stcd", z, z)
        square = np.einsum("jsc,jtc->jst", z, z)
        own = np.einsum("jss->js", diagonal)
        length = np.einsum("jss->js", square)
        product = own.T @ own - own.T @ length - length.T @ own + np.einsum("stcd,stcd->st", cross, cross)
        mixed = (diagonal**2 - 2 * diagonal * square).sum(axis=0) + np.einsum("stcd,stdc->st", cross, cross)
        q = len(contrasts)
        return q * (q + 1) / float((product + mixed).sum())


def robust_errors(
    x: Array, residual: Array, phi: Array, cluster: npt.NDArray[np.intp], method: ClusterMethod
) -> RobustErrors:
    """Return cluster-robust errors of weighted least squares with weights ``1 / phi``.

    Parameters
    ----------
    x : numpy.ndarray
        Design, ``(k, p)``.
    residual, phi : numpy.ndarray
        ``y - X beta`` and marginal variances, ``(k,)``.
    cluster : numpy.ndarray
        Cluster of each row, integers from 0.
    method : {"CR2", "CR1", "CR0"}
        See :class:`RobustErrors`.

    Raises
    ------
    NotEstimableError
        Too few clusters.
    """
    p = x.shape[1]
    n = int(cluster.max()) + 1
    least = 2 if method == "CR2" else p + 1
    if n < least:
        raise NotEstimableError(f"{method} with {p} coefficients needs at least {least} clusters; there are {n}")
    triangle = np.linalg.qr(x / np.sqrt(phi)[:, None], mode="r")
    inverse = np.linalg.inv(triangle)
    bread = inverse @ inverse.T
    plain = x @ bread / phi[:, None]
    reduced = _bias_reduced(x, phi, bread, plain, cluster)
    influence = {"CR2": reduced, "CR1": plain * np.sqrt(n / max(n - p, 1)), "CR0": plain}[method]
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(n))
    scores = np.add.reduceat((influence * residual[:, None])[order], starts)
    blocks, scatter = _block_sums(x, phi, influence, order, starts)
    own, shared = (scatter, blocks) if method == "CR2" else _block_sums(x, phi, reduced, order, starts)[::-1]
    expected = own.sum(axis=0) - np.einsum("jab,ac,jcd->bd", shared, bread, shared)
    return RobustErrors(scores.T @ scores, method, n, p, blocks, scatter, bread, expected)


def _block_sums(
    x: Array, phi: Array, influence: Array, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]
) -> tuple[Array, Array]:
    """Return for each cluster ``X_j'G_j`` and ``G_j'Phi_j G_j``, ``(J, p, p)``, of its influence ``G_j``."""
    blocks = np.add.reduceat((x[:, :, None] * influence[:, None, :])[order], starts)
    scatter = np.add.reduceat((influence[:, :, None] * (influence * phi[:, None])[:, None, :])[order], starts)
    return blocks, scatter


def _bias_reduced(x: Array, phi: Array, bread: Array, influence: Array, cluster: npt.NDArray[np.intp]) -> Array:
    """Return ``A_j W_j X_j M`` with ``A_j = D (D (Phi_j - X_j M X_j') D)^(-1/2) D`` and ``D = Phi_j^(1/2)`` (eq. 9)."""
    result = influence.copy()
    order = np.argsort(cluster, kind="stable")
    size = np.bincount(cluster)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    for m in np.unique(size):
        rows = order[start[size == m][:, None] + np.arange(m)]
        xs, f = x[rows], phi[rows]
        root = np.sqrt(f)
        inner = -np.einsum("jia,ab,jlb->jil", xs, bread, xs)
        inner[:, np.arange(m), np.arange(m)] += f
        values, vectors = np.linalg.eigh(root[:, :, None] * inner * root[:, None, :])
        keep = values > ZERO_EIGENVALUE * np.maximum(
            values.max(axis=-1, keepdims=True), (f**2).max(axis=-1, keepdims=True)
        )
        power = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1.0)), 0.0)
        turned = np.einsum("jil,jla->jia", vectors.transpose(0, 2, 1), root[:, :, None] * influence[rows])
        result[rows] = root[:, :, None] * np.einsum("jil,jla->jia", vectors, power[:, :, None] * turned)
    return result
