"""The arithmetic of network meta-analysis: every trial becomes independent rows, the network a weighted regression.

Notation: trial ``i`` compares ``m`` treatments; ``V`` holds the variances of all its comparisons and ``u`` its
effects per treatment (``u_a - u_b`` is the effect of a versus b), both up to a constant. ``G = -CVC/2`` with ``C``
the centring matrix is the covariance of the centred ``u``, and its inverse on the centred space is the weighted
Laplacian of the trial (Rücker 2012). Heterogeneity adds tau2 to every variance of ``V``, so ``tau2/2 C`` to ``G``: the
eigenvectors stay the same. So ``sqrt(2) U'u``, ``U`` the eigenvectors of ``G``, are ``m - 1`` independent numbers with
variances ``2 lambda + tau2``, and the common tau2 of a network is the residual tau2 of a regression on them. A trial of
two arms gives its own effect and variance. The likelihood is that of the multivariate model with a covariance of
``tau2/2`` between the effects of a trial that share an arm (Salanti 2008).

References
----------
Rücker G. Network meta-analysis, electrical networks and graph theory. Res Synth Methods 2012;3:312-324.
doi:10.1002/jrsm.1058
Rücker G, Schwarzer G. Reduce dimension or reduce weights? Comparing two approaches to multi-arm studies in network
meta-analysis. Stat Med 2014;33:4353-4369. doi:10.1002/sim.6236
Salanti G, Higgins JPT, Ades AE, Ioannidis JPA. Evaluation of networks of randomized trials. Stat Methods Med Res
2008;17:279-301. doi:10.1177/0962280207080643
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, ndtr

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.design import orthonormal_basis
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.regression_kernel import coefficients, estimate_residual_tau2, project, residual_q_profile

Ints = npt.NDArray[np.intp]
NAN = float("nan")
SMALLEST_PART = 1e-9


class Rows(NamedTuple):
    """Independent numbers of all trials: value, sampling variance, treatments ``(N, n)``, position of the trial."""

    y: Array
    v: Array
    x: Array
    trial: Ints

    def of(self, keep: npt.NDArray[np.bool_]) -> Rows:
        """Return the rows of some trials; `keep` has one entry per trial."""
        used = keep[self.trial]
        return Rows(self.y[used], self.v[used], self.x[used], self.trial[used])


class Solution(NamedTuple):
    """Weighted least squares: effects ``(n,)`` up to a constant, a factor F of their covariance ``FF'``, and Q."""

    effect: Array
    factor: Array
    q: float


def two_arm_rows(a: Ints, b: Ints, y: Array, v: Array, trial: Ints, n: int) -> Rows:
    """Return the rows of trials with one comparison each: the comparison itself."""
    x = np.zeros((y.size, n))
    at = np.arange(y.size)
    x[at, a], x[at, b] = 1.0, -1.0
    return Rows(y, v, x, trial)


def multi_arm_rows(arms: Ints, difference: Array, variance: Array, trial: int, n: int) -> Rows | None:
    """Return the ``m - 1`` rows of a trial with m arms; ``None`` when its variances cannot belong to m arms.

    Parameters
    ----------
    arms : numpy.ndarray
        Treatments of the trial.
    difference, variance : numpy.ndarray
        Effects (antisymmetric) and variances (symmetric) of all its comparisons, ``(m, m)``.
    trial, n : int
        Position of the trial, and number of treatments in the network.
    """
    m = arms.size
    centred = np.linalg.qr(np.eye(m) - 1.0 / m)[0][:, : m - 1]
    parts, turn = np.linalg.eigh(-0.5 * centred.T @ variance @ centred)
    if parts[0] <= SMALLEST_PART * parts[-1]:
        return None
    vectors = np.sqrt(2.0) * (centred @ turn).T
    x = np.zeros((m - 1, n))
    x[:, arms] = vectors
    return Rows(vectors @ difference.mean(axis=1), 2 * parts, x, np.full(m - 1, trial))


def stack(parts: list[Rows]) -> Rows:
    """Return several sets of rows as one."""
    return Rows(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def solve(rows: Rows, tau2: float) -> Solution:
    """Return the treatment effects of a connected network at a between-study variance."""
    design = rows.x[:, 1:]
    basis = orthonormal_basis(design)
    fit = project(rows.y[None], rows.v[None], basis, np.array([tau2]))
    beta, factor = coefficients(fit, np.asarray(np.linalg.inv(basis @ design), dtype=float))
    p = design.shape[1]
    q = float(fit.qe[0]) if rows.y.size > p else 0.0
    return Solution(np.concatenate([[0.0], beta[0]]), np.vstack([np.zeros(p), factor[0]]), q)


def differences(solution: Solution) -> tuple[Array, Array]:
    """Return effects and standard errors of every treatment (row) versus every other (column), ``(n, n)``."""
    effect = solution.effect[:, None] - solution.effect[None]
    apart = solution.factor[:, None] - solution.factor[None]
    return effect, np.sqrt(np.einsum("ijk,ijk->ij", apart, apart))


def residual_q(rows: Rows, design: Array, tau2: float) -> float:
    """Return the weighted residual sum of squares around any design of full column rank."""
    if rows.y.size <= design.shape[1]:
        return 0.0
    return float(project(rows.y[None], rows.v[None], orthonormal_basis(design), np.array([tau2])).qe[0])


def between_trial_variance(
    rows: Rows, design: Array, method: Tau2Method, level: float
) -> tuple[float, tuple[float, float]]:
    """Return tau2 around a design and its Q-profile interval; NaN where no row is left to estimate it from."""
    if method == "EE":
        return 0.0, (NAN, NAN)
    if rows.y.size <= design.shape[1]:
        return NAN, (NAN, NAN)
    basis, y, v = orthonormal_basis(design), rows.y[None], rows.v[None]
    low, high = residual_q_profile(y, v, basis, level)
    return float(estimate_residual_tau2(y, v, basis, method)[0]), (float(low[0]), float(high[0]))


def design_columns(rows: Rows, designs: list[tuple[int, ...]], of_trial: Ints) -> list[Array]:
    """Return for each design the columns that give its trials effects of their own, ``(N, m - 1)``."""
    own = of_trial[rows.trial]
    return [rows.x[:, list(arms[1:])] * (own == d)[:, None] for d, arms in enumerate(designs)]


def chi2_p(q: float, df: int) -> float:
    """Return the p-value of a chi-square statistic; NaN without degrees of freedom."""
    return float(chdtrc(df, q)) if df > 0 else NAN


def p_scores(effect: Array, std_error: Array, *, larger_is_better: bool) -> Array:
    """Return the P-score of each treatment: the mean certainty that it beats another one (Rücker & Schwarzer 2015)."""
    n = effect.shape[0]
    sign = 1.0 if larger_is_better else -1.0
    certainty = ndtr(sign * effect / (std_error + np.eye(n)))
    np.fill_diagonal(certainty, 0.0)
    return np.asarray(certainty.sum(axis=1) / (n - 1))


def edge_weights(rows: Rows, tau2: float) -> Array:
    """Return the weights of the comparisons: minus the off-diagonal of the network's Laplacian, ``(n, n)``."""
    laplacian = rows.x.T @ (rows.x / (rows.v + tau2)[:, None])
    return np.asarray(np.diag(np.diag(laplacian)) - laplacian)


def components(n: int, edges: list[tuple[int, int]]) -> list[list[int]]:
    """Return the connected parts of a graph, each in ascending order, in order of their first member."""
    part = list(range(n))
    for a, b in edges:
        old, new = max(part[a], part[b]), min(part[a], part[b])
        part = [new if p == old else p for p in part]
    return [[i for i in range(n) if part[i] == p] for p in dict.fromkeys(part)]
