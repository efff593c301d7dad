"""Cluster-robust standard errors: CR0, CR1, CR2 with Satterthwaite degrees of freedom, linear in the clusters.

The working covariance is block-diagonal with blocks ``S_i``, diagonal in a meta-regression and full in a model of
dependent effects. The estimates are those of generalised least squares under it: ``b = M sum X_i' S_i^-1 y_i`` with
``M = (sum X_i' S_i^-1 X_i)^-1``. The robust covariance is ``M (sum X_i' S_i^-1 A_i e_i e_i' A_i S_i^-1 X_i) M``;
``A_i`` is the identity for CR0 and CR1 (which multiplies by ``J / (J - p)``, J clusters and p coefficients) and makes
the estimate unbiased under the working model for CR2.

References
----------
Bell RM, McCaffrey DF. Bias reduction in standard errors for linear regression with multi-stage samples. Survey
Methodology 2002;28:169-181.
Hedges LV, Tipton E, Johnson MC. Robust variance estimation in meta-regression with dependent effect size estimates. Res
Synth Methods 2010;1:39-65. doi:10.1002/jrsm.5
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
from scipy.special import fdtrc

from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.options import choose
from ipt_evidence.pooling.kernel import Array

RobustKind = Literal["CR2", "CR1", "CR0"]
ABSORBED = 1e-9
GRADED = 1e-10
SINGULAR = 1e-10
MOST_HIDDEN = 0.1
"""Largest share of a contrast's variance under the model that single clusters may hide from the residuals."""
MAX_MEANS = 500
LARGEST_SUM = 1_000_000


class Batch(NamedTuple):
    """Clusters of one size m: designs ``(J, m, p)``, residuals ``(J, m)``, working covariances ``(J, m, m)``."""

    x: Array
    residual: Array
    covariance: Array


@dataclass(frozen=True, slots=True)
class JointTest:
    """F test that several coefficients are zero: ``statistic`` on ``df1`` and ``df2`` degrees of freedom."""

    statistic: float
    df1: float
    df2: float
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class ClusterRobust:
    """Robust covariance of q linear combinations of the coefficients, and what tests of contrasts of these need.

    Attributes
    ----------
    vcov : numpy.ndarray
        Shape ``(q, q)``.
    kind : {"CR2", "CR1", "CR0"}
        Which estimator: ``"CR2"`` has Satterthwaite degrees of freedom, the others ``J - p``.
    n_clusters, n_coefficients : int
        ``J`` and ``p``.
    model, hidden : numpy.ndarray
        Covariance under the working model, and the part of it that no residual can show, ``(q, q)``.
    own, shared : numpy.ndarray
        ``g_i' S_i g_i`` of each cluster, ``(J, q, q)``, and ``N' X_i' g_i`` with ``N N' = M``, ``(J, p, q)``.
    """

    vcov: Array
    kind: RobustKind
    n_clusters: int
    n_coefficients: int
    model: Array = field(repr=False)
    hidden: Array = field(repr=False)
    own: Array = field(repr=False)
    shared: Array = field(repr=False)

    @property
    def std_error(self) -> Array:
        """Standard error of each of the q combinations."""
        return self.contrast_error(np.eye(len(self.vcov)))

    @property
    def df(self) -> Array:
        """Degrees of freedom of each of the q combinations."""
        return self.contrast_df(np.eye(len(self.vcov)))

    def is_defined(self, contrasts: Array) -> npt.NDArray[np.bool_]:
        """Return for each row of `contrasts` whether the residuals can show its variance."""
        return np.asarray(_variance(contrasts, self.hidden) < MOST_HIDDEN * _variance(contrasts, self.model))

    def contrast_error(self, contrasts: Array) -> Array:
        """Return the standard error of each row of `contrasts`, shape ``(n, q)``; NaN where there is none.

        A coefficient that one cluster alone determines has residuals that sum to zero within it: the formula would give
        zero, which is not its error.
        """
        variance = _variance(contrasts, self.vcov)
        return np.where(self.is_defined(contrasts), np.sqrt(np.maximum(variance, 0.0)), np.nan)

    def contrast_df(self, contrasts: Array) -> Array:
        """Return the degrees of freedom of each row of `contrasts`, shape ``(n, q)``; NaN where there is no error."""
        defined = self.is_defined(contrasts)
        df = np.where(defined, float(self.n_clusters - self.n_coefficients), np.nan)
        if self.kind == "CR2":
            df[defined] = [self._wishart_df(c[None]) for c in contrasts[defined]]
        return df

    def joint_test(self, estimate: Array, contrasts: Array) -> JointTest:
        """Return the test that all `contrasts` of `estimate` are zero.

        Parameters
        ----------
        estimate : numpy.ndarray
            Values of the q combinations.
        contrasts : numpy.ndarray
            Shape ``(n, q)``.

        Notes
        -----
        CR2: the approximate Hotelling test (HTZ) of Tipton & Pustejovsky 2015. With ``D = W^-1/2 V W^-1/2``, V the
        robust covariance and W its expectation under the working model, ``eta = n (n + 1) / sum Var(D_st)`` and
        ``F = (eta - n + 1) / (eta n) Q`` on ``n`` and ``eta - n + 1`` degrees of freedom. The others: F with
        ``J - p``. NaN where a contrast has no error, where the clusters are too few for V to have an inverse, or where
        the degrees of freedom would not be positive.
        """
        n = len(contrasts)
        none = JointTest(float("nan"), float(n), float("nan"), float("nan"))
        error = self.contrast_error(contrasts)
        if not (error > 0).all():
            return none
        scaled = contrasts / error[:, None]
        value, correlation = scaled @ estimate, scaled @ self.vcov @ scaled.T
        if np.linalg.eigvalsh(correlation)[0] < SINGULAR:
            return none
        wald = float(value @ np.linalg.solve(correlation, value))
        df, statistic = float(self.n_clusters - self.n_coefficients), wald / n
        if self.kind == "CR2":
            eta = self._wishart_df(scaled)
            df = eta - n + 1
            if not df > 0:
                return none
            statistic = df / (eta * n) * wald
        return JointTest(statistic, float(n), df, float(fdtrc(n, df, statistic)))

    def _wishart_df(self, contrasts: Array) -> float:
        return _wishart_df(contrasts @ self.own @ contrasts.T, self.shared @ contrasts.T)


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
        There is one cluster, or for CR0 and CR1 no more clusters than coefficients.

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
    p = clusters[0].x.shape[-1]
    least = 2 if kind == "CR2" else p + 1
    if n_clusters < least:
        raise NotEstimableError(f"{kind} with {p} coefficients needs at least {least} clusters; there are {n_clusters}")
    roots = [_floats(np.linalg.cholesky(batch.covariance)) for batch in clusters]
    halves = [_floats(np.linalg.solve(root, batch.x)) for root, batch in zip(roots, clusters, strict=True)]
    rows = np.concatenate([half.reshape(-1, p) for half in halves])
    inverse = _floats(np.linalg.inv(np.linalg.qr(rows, mode="r")))
    basis = inverse if contrasts is None else contrasts @ inverse
    scores, own, shared, taken = [], [], [], np.zeros((p, p))
    for batch, root, half in zip(clusters, roots, halves, strict=True):
        spread, design = half @ inverse, batch.x @ inverse
        absorbed, lost = _absorbed(root, spread)
        taken += lost
        if kind == "CR2":
            g = _bias_reduced(batch.covariance, root, design, spread, absorbed) @ basis.T
        else:
            g = _floats(np.linalg.solve(np.swapaxes(root, -1, -2), spread)) @ basis.T
        turned = np.swapaxes(g, -1, -2)
        scores.append((turned @ batch.residual[..., None])[..., 0])
        own.append(turned @ batch.covariance @ g)
        shared.append(np.swapaxes(design, -1, -2) @ g)
    total = np.concatenate(scores)
    factor = n_clusters / (n_clusters - p) if kind == "CR1" else 1.0
    return ClusterRobust(
        vcov=factor * total.T @ total,
        kind=kind,
        n_clusters=n_clusters,
        n_coefficients=p,
        model=basis @ basis.T,
        hidden=basis @ taken @ basis.T,
        own=np.concatenate(own),
        shared=np.concatenate(shared),
    )


def _floats(values: npt.ArrayLike) -> Array:
    """Return the values as float64, which the stubs of numpy.linalg do not promise."""
    return np.asarray(values, dtype=np.float64)


def _absorbed(root: Array, spread: Array) -> tuple[npt.NDArray[np.intp], Array]:
    """Return how many directions of each cluster the coefficients absorb, and the information that is lost with them.

    With ``spread = L^-1 X_i N`` the eigenvalues of ``spread' spread`` are the leverages of the cluster. A direction of
    leverage one has no residual; with ``u`` such a direction, CR2 leaves out ``(L'L)^-1 u``, which has no ``B_i``.
    """
    count = np.zeros(len(spread), dtype=np.intp)
    lost = np.zeros((spread.shape[-1], spread.shape[-1]))
    for i in np.flatnonzero(np.einsum("jia,jia->j", spread, spread) > 1 - ABSORBED):
        leverage, vectors = np.linalg.eigh(spread[i].T @ spread[i])
        u = spread[i] @ vectors[:, leverage > 1 - ABSORBED]
        count[i] = u.shape[1]
        left_out = np.linalg.qr(np.linalg.solve(root[i].T @ root[i], u))[0].T @ spread[i]
        lost += left_out.T @ left_out
    return count, lost


def _bias_reduced(
    covariance: Array, root: Array, design: Array, spread: Array, absorbed: npt.NDArray[np.intp]
) -> Array:
    """Return ``A_i S_i^-1 X_i N`` of each cluster, where ``design`` is ``X_i N`` and ``spread`` is ``L^-1 X_i N``."""
    transposed = np.swapaxes(root, -1, -2)
    left = covariance - design @ np.swapaxes(design, -1, -2)
    values, vectors = np.linalg.eigh(transposed @ left @ root)
    lost = np.arange(values.shape[1]) < absorbed[:, None]
    graded = np.any(np.where(lost, np.inf, values) <= GRADED * values[:, -1:], axis=-1)
    if (graded & (absorbed > 0)).any():
        raise NotEstimableError(
            "CR2 cannot be computed: a coefficient absorbs a cluster whose variances differ by many orders of "
            "magnitude; use CR1, or a model-based interval"
        )
    none = lost | graded[:, None]
    power = np.where(none, 0.0, 1 / np.sqrt(np.where(none, 1.0, values)))
    result = root @ (vectors @ (power[:, :, None] * (np.swapaxes(vectors, -1, -2) @ spread)))
    for i in np.flatnonzero(graded):
        adjustment = _geometric_mean(covariance[i], _inverse(left[i]))
        result[i] = adjustment @ np.linalg.solve(transposed[i], spread[i])
    return _floats(result)


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


def _variance(contrasts: Array, covariance: Array) -> Array:
    """Return the variance of each row of `contrasts`."""
    return _floats(np.einsum("np,pq,nq->n", contrasts, covariance, contrasts))


def _wishart_df(own: Array, shared: Array) -> float:
    """Return the degrees of freedom of the Wishart with the total variance of D (2015, eq. 17), of n contrasts.

    With one contrast these are Satterthwaite's, ``(tr G)^2 / tr(GG)`` (2018, eq. 11). Shapes ``(J, n, n)`` and
    ``(J, p, n)``. Pairs of clusters are summed as the running sum before each, not as the total less the cluster's own
    part: with a leverage near one this difference would have no digits left.
    """
    n_clusters, p, n = shared.shape
    inner = own - np.swapaxes(shared, -1, -2) @ shared
    values, vectors = np.linalg.eigh(inner.sum(axis=0))
    if not values[0] > 0:
        return float("nan")
    whiten = vectors / np.sqrt(values) @ vectors.T
    inner, flat = whiten @ inner @ whiten, (shared @ whiten).reshape(n_clusters, p * n)
    total = float((np.einsum("jss->j", inner) ** 2).sum() + (inner**2).sum())
    running, step = np.zeros((1, p * n, p * n)), max(1, LARGEST_SUM // (p * n) ** 2)
    for start in range(0, n_clusters, step):
        outer = flat[start : start + step, :, None] * flat[start : start + step, None, :]
        sums = np.cumsum(np.concatenate([running, outer]), axis=0)
        before, running = sums[:-1], sums[-1:]
        crossed = before.reshape(-1, p, n, p, n).transpose(0, 1, 4, 3, 2).reshape(before.shape)
        total += 2 * float(np.vdot(outer, before + crossed))
    return float(n * (n + 1) / total)
