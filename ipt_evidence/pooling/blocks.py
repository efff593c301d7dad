"""Block algebra of dependent effects: likelihood, generalised least squares and derivatives, linear in the trials.

The model is ``y = X beta + u_trial + w_effect + e`` with ``Var(u) = between``, ``Var(w) = within`` and a known sampling
covariance ``V_j`` of the effects of trial j, so the covariance of one trial is ``V_j + within I + between 1 1'``.

Each ``V_j`` is diagonalised once, ``V_j = Q D Q'``; in the coordinates ``Q'y``, ``Q'X`` and ``z = Q'1`` the covariance
is ``D + within I + between z z'``: a diagonal plus one rank-one term for every value of the two variances. Its inverse
and determinant are those of Sherman and Morrison, so an evaluation costs a few passes over the rows.

References
----------
Harville DA. Maximum likelihood approaches to variance component estimation and to related problems. J Am Stat Assoc
1977;72:320-338. doi:10.1080/01621459.1977.10480998
Konstantopoulos S. Fixed effects and variance components estimation in three-level meta-analysis. Res Synth Methods
2011;2:61-76. doi:10.1002/jrsm.35
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.pooling.kernel import Array

Ints = npt.NDArray[np.intp]
NEARLY_SINGULAR = 1e-10


class SizeGroup(NamedTuple):
    """Trials that have the same number of effects: where their rows and blocks are, and the rotation of each."""

    rows: slice
    blocks: slice
    size: int
    rotation: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class BlockModel:
    """Data of a model of dependent effects in rotated coordinates, rows ordered by size of the trial, then trial.

    Attributes
    ----------
    y, x, z, d : numpy.ndarray
        Rotated effects ``(n,)``, design ``(n, p)`` with orthonormal columns, ones ``(n,)``, and the eigenvalues of the
        sampling covariance ``(n,)``.
    basis : numpy.ndarray
        Shape ``(p, p)``: the coefficients of the original design are ``basis @ beta``.
    order : numpy.ndarray
        Position of each row in the original order.
    block : numpy.ndarray
        Block of each row, 0 to the number of trials less one.
    starts : numpy.ndarray
        First row of each block.
    trial : numpy.ndarray
        Trial of each block, as numbered by the caller.
    groups : tuple of SizeGroup
        Blocks of equal size.
    """

    y: Array
    x: Array
    z: Array
    d: Array
    basis: Array
    order: Ints
    block: Ints
    starts: Ints
    trial: Ints
    groups: tuple[SizeGroup, ...]

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return self.starts.size

    def total(self, values: Array) -> Array:
        """Return the sums over the rows of each trial."""
        return np.add.reduceat(values, self.starts, axis=0)

    def restore(self, values: Array) -> Array:
        """Return a rotated vector in the original coordinates and order of rows."""
        back = values.copy()
        for g in self.groups:
            if g.rotation is not None:
                stacked = values[g.rows].reshape(-1, g.size)
                back[g.rows] = np.einsum("bij,bj->bi", g.rotation, stacked).ravel()
        result = np.empty_like(back)
        result[self.order] = back
        return result


def block_model(
    y: Array, x: Array, trial: Ints, v: Array, *, rho: float = 0.0, blocks: Sequence[Array] | None = None
) -> BlockModel:
    """Return the model of effects `y` with design `x`, rotated block by block.

    Parameters
    ----------
    y, x, v : numpy.ndarray
        Effects ``(n,)``, design of full column rank ``(n, p)``, sampling variances ``(n,)``.
    trial : numpy.ndarray
        Trial of each row, 0 to the number of trials less one.
    rho : float
        Correlation between the sampling errors of one trial.
    blocks : sequence of numpy.ndarray, optional
        Sampling covariance of each trial, its rows in the order of the table; replaces `v` and `rho`.

    Notes
    -----
    A sampling covariance that is not positive definite shows as a value of ``d`` that is not positive; callers check it
    with :func:`singular_trials`.
    """
    size = np.bincount(trial)
    order = np.lexsort((trial, size[trial]))
    basis_q, r = np.linalg.qr(x)
    stacked = np.column_stack([basis_q, y, np.ones(y.size)])[order]
    d = v[order].astype(float)
    groups, trials = [], []
    row = block = 0
    for m, count in zip(*np.unique(size[size > 0], return_counts=True), strict=True):
        rows, members = slice(row, row + m * count), slice(block, block + count)
        names = trial[order[rows]].reshape(count, m)[:, 0]
        covariance = _covariance(d[rows].reshape(count, m), rho, blocks, names)
        rotation = None
        if covariance is not None:
            values, rotation = np.linalg.eigh(covariance)
            d[rows] = values.ravel()
            part = stacked[rows].reshape(count, m, -1)
            stacked[rows] = np.einsum("bij,bic->bjc", rotation, part).reshape(m * count, -1)
        groups.append(SizeGroup(rows, members, int(m), rotation))
        trials.append(names)
        row, block = rows.stop, members.stop
    sizes = np.concatenate([np.full(g.blocks.stop - g.blocks.start, g.size) for g in groups])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    p = x.shape[1]
    columns = np.ascontiguousarray(stacked[:, p]), np.ascontiguousarray(stacked[:, :p]), stacked[:, p + 1].copy()
    return BlockModel(
        *columns,
        d=d,
        basis=np.linalg.inv(r),
        order=order,
        block=np.repeat(np.arange(sizes.size), sizes),
        starts=starts,
        trial=np.concatenate(trials),
        groups=tuple(groups),
    )


def _covariance(v: Array, rho: float, blocks: Sequence[Array] | None, names: Ints) -> Array | None:
    """Return the stacked sampling covariances of trials of one size; ``None`` when they are diagonal."""
    if blocks is not None:
        return np.stack([np.asarray(blocks[j], dtype=float) for j in names])
    if rho == 0 or v.shape[1] == 1:
        return None
    s = np.sqrt(v)
    covariance = rho * s[:, :, None] * s[:, None, :]
    diagonal = np.arange(v.shape[1])
    covariance[:, diagonal, diagonal] = v
    return covariance


def singular_trials(model: BlockModel) -> Ints:
    """Return the trials whose sampling covariance is not positive definite, or too near it to be inverted exactly."""
    low, high = np.minimum.reduceat(model.d, model.starts), np.maximum.reduceat(model.d, model.starts)
    rotated = np.concatenate([np.full(g.blocks.stop - g.blocks.start, g.rotation is not None) for g in model.groups])
    bad: Ints = model.trial[(low <= NEARLY_SINGULAR * high * rotated) | (low <= 0)]
    return bad


class Split(NamedTuple):
    """Columns split by the ones of each trial, in the metric of the weights: ``columns = inner + z mean``."""

    inner: Array
    mean: Array


class Weighted(NamedTuple):
    """Generalised least squares at one pair of variances.

    ``w = 1 / (d + within)``, ``wz = w z``, ``s = z'Wz`` and ``g = 1 / (1 + between s)`` per trial, ``m`` the inverse of
    ``X' Omega^-1 X``; ``solved_x`` and ``solved_r`` are the inverse covariance times design and residuals, ``zx`` and
    ``zr`` the sums of these over the ones of each trial.
    """

    w: Array
    wz: Array
    s: Array
    g: Array
    beta: Array
    m: Array
    residual: Array
    solved_x: Array
    solved_r: Array
    zx: Array
    zr: Array
    log_likelihood: float


def _split(model: BlockModel, columns: Array, wz: Array, s: Array) -> Split:
    """Return the columns split so that ``z'W inner = 0`` in each trial.

    Then ``a' Omega^-1 b = a_inner'W b_inner + sum g s a_mean b_mean``: a sum without the cancellation that Sherman and
    Morrison's difference suffers when the between-trial variance is large.
    """
    mean = model.total(wz[:, None] * columns) / s[:, None]
    return Split(columns - model.z[:, None] * mean[model.block], mean)


def weigh(model: BlockModel, between: float, within: float, *, restricted: bool = True) -> Weighted:
    """Return estimates, residuals and the (restricted) log-likelihood at given variances, all constants included.

    Notes
    -----
    The design is orthonormal, so the restricted likelihood carries the usual constant ``log|X'X| / 2``.
    """
    n, p = model.x.shape
    w = 1.0 / (model.d + within)
    wz = w * model.z
    s = model.total(wz * model.z)
    g = 1.0 / (1.0 + between * s)
    inner, mean = _split(model, np.column_stack([model.x, model.y]), wz, s)
    shared = (s * g)[:, None] * mean
    weighted = w[:, None] * inner
    gram = inner[:, :p].T @ weighted + mean[:, :p].T @ shared
    try:
        m = np.asarray(np.linalg.inv(gram[:, :p]), dtype=np.float64)
    except np.linalg.LinAlgError:
        raise too_wide(model) from None
    beta = m @ gram[:, p]
    turn = np.eye(p + 1, dtype=np.float64)
    turn[:p, p] = -beta
    solved = (weighted + wz[:, None] * (g[:, None] * mean)[model.block]) @ turn
    z_solved = shared @ turn
    residual = model.y - model.x @ beta
    inner_r, mean_r = inner @ turn[:, p], mean @ turn[:, p]
    value = float(np.log1p(between * s).sum() - np.log(w).sum())
    value += float((w * inner_r) @ inner_r + (s * g * mean_r) @ mean_r)
    if restricted:
        value += float(np.linalg.slogdet(gram[:, :p])[1]) + (n - p) * np.log(2 * np.pi)
    else:
        value += n * np.log(2 * np.pi)
    halves = solved[:, :p], solved[:, p], z_solved[:, :p], z_solved[:, p]
    return Weighted(w, wz, s, g, beta, m, residual, *halves, -0.5 * value)


class Derivatives(NamedTuple):
    """Log-likelihood, its gradient in (between, within), and the observed and the expected information."""

    log_likelihood: float
    gradient: Array
    observed: Array
    expected: Array


def derivatives(model: BlockModel, theta: Array, *, restricted: bool) -> Derivatives:
    """Return the log-likelihood and its derivatives at ``theta = (between, within)``.

    Notes
    -----
    With ``P = Omega^-1 - Omega^-1 X M X' Omega^-1`` and ``D_a`` the derivative of the covariance (Harville 1977):
    gradient ``(y'P D_a P y - tr(P D_a)) / 2``, expected information ``tr(P D_a P D_b) / 2``, observed information
    ``y'P D_a P D_b P y`` less the expected one; for ML the traces hold ``Omega^-1`` in place of ``P``.
    """
    k = weigh(model, float(theta[0]), float(theta[1]), restricted=restricted)
    sg = k.s * k.g
    f = np.column_stack([k.solved_x, k.solved_r])
    zf = np.column_stack([k.zx, k.zr])
    inner, mean = _split(model, f, k.wz, k.s)
    once = np.stack([zf.T @ zf, f.T @ f])
    cross = (sg[:, None] * mean).T @ zf
    within = inner.T @ (k.w[:, None] * inner) + mean.T @ (sg[:, None] * mean)
    twice = np.stack([np.stack([zf.T @ (sg[:, None] * zf), cross.T]), np.stack([cross, within])])
    trace, squares = _traces(model, k)
    p = k.beta.size
    if restricted:
        mk = np.einsum("ij,ajk->aik", k.m, once[:, :p, :p])
        trace = trace - np.einsum("aii->a", mk)
        squares = squares - 2 * np.einsum("ij,abji->ab", k.m, twice[:, :, :p, :p]) + np.einsum("aij,bji->ab", mk, mk)
    to_x = once[:, p, :p]
    quadratic = twice[:, :, p, p] - to_x @ k.m @ to_x.T
    expected = 0.5 * squares
    return Derivatives(k.log_likelihood, 0.5 * (once[:, p, p] - trace), quadratic - expected, expected)


def _traces(model: BlockModel, k: Weighted) -> tuple[Array, Array]:
    """Return ``tr(Omega^-1 D_a)`` and ``tr(Omega^-1 D_a Omega^-1 D_b)`` over (between, within).

    Notes
    -----
    ``Omega^-1 = A + g B`` with ``B = Wzz'W / s`` and ``A = W - B``; ``h = w z^2 / s`` sums to one over a trial and is
    one exactly for a trial of one effect, so nothing cancels.
    """
    h = k.wz * model.z / k.s[model.block]
    wh = k.w * h
    typical = model.total(wh)
    spread = model.total(h * (k.w - typical[model.block]) ** 2)
    sg = k.s * k.g
    cross = float((k.g * sg * typical).sum())
    within = (k.w * (k.w - wh)).sum() + float((-spread + 2 * k.g * spread + (k.g * typical) ** 2).sum())
    trace = np.array([sg.sum(), (k.w - wh).sum() + (k.g * typical).sum()])
    return trace, np.array([[(sg**2).sum(), cross], [cross, within]])


def too_wide(model: BlockModel) -> NotEstimableError:
    """Return the error that says that the weights of a model have no digits in common."""
    return NotEstimableError(
        f"the sampling variances span too many orders of magnitude ({model.d.min():.3g} to {model.d.max():.3g}) for a "
        "model of dependent effects; look at the extreme ones"
    )


def log_likelihood_grid(model: BlockModel, between: Array, within: Array, *, restricted: bool) -> Array:
    """Return the log-likelihood at every pair of variances, shape ``(between.size, within.size)``."""
    n, p = model.x.shape
    columns = np.column_stack([model.x, model.y])
    result = np.empty((between.size, within.size))
    for j, t in enumerate(within):
        w = 1.0 / (model.d + t)
        wz = w * model.z
        s = model.total(wz * model.z)
        inner, mean = _split(model, columns, wz, s)
        growth = 1.0 + between[:, None] * s
        products = (mean[:, :, None] * mean[:, None, :]).reshape(s.size, -1)
        gram = inner.T @ (w[:, None] * inner) + ((s / growth) @ products).reshape(-1, p + 1, p + 1)
        fixed, rhs = gram[:, :p, :p], gram[:, :p, p]
        q = gram[:, p, p] - np.einsum("bi,bi->b", rhs, np.linalg.solve(fixed, rhs[..., None])[..., 0])
        value = np.log(growth).sum(axis=1) - np.log(w).sum() + q
        result[:, j] = value + (np.linalg.slogdet(fixed)[1] if restricted else 0.0)
    result += (n - p if restricted else n) * np.log(2 * np.pi)
    return np.multiply(result, -0.5)
