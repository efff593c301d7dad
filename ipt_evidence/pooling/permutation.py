"""Permutation tests of a meta-regression: every fit of every reordering, many at once.

The rows of moderators are reassigned to the pairs of effect and variance; tau2 is estimated anew each time.

References
----------
Higgins JPT, Thompson SG. Controlling the risk of spurious findings from meta-regression. Stat Med 2004;23:1663-1682.
doi:10.1002/sim.1752
Follmann DA, Proschan MA. Valid inference in random effects meta-analysis. Biometrics 1999;55:732-737.
doi:10.1111/j.0006-341X.1999.00732.x
Phipson B, Smyth GK. Permutation p-values should never be zero: calculating exact p-values when permutations are
randomly drawn. Stat Appl Genet Mol Biol 2010;9:39. doi:10.2202/1544-6115.1585
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial, prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError
from ipt_evidence.options import CiMethod, Tau2Method
from ipt_evidence.pooling.design import orthonormal_basis
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.regression_kernel import coefficients, estimate_residual_tau2, project

EXACT_LIMIT = 5_000_000
CHUNK_VALUES = 40_000
TIE_TOLERANCE = 1e-8
"""Two statistics closer than this, relative to one plus the observed, count as equal (rounding must not break ties)."""


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """Permutation p-values of a meta-regression.

    Attributes
    ----------
    p_values : tuple of float
        Two-sided, one for each coefficient, in the order of the terms: the share of reorderings whose absolute test
        statistic is at least the observed one.
    omnibus_p : float
        The same for the test of all moderators together.
    n : int
        Reorderings looked at; the observed order is among them.
    exact : bool
        Whether these are all distinct reorderings, or a random sample.
    """

    p_values: tuple[float, ...]
    omnibus_p: float
    n: int
    exact: bool


class Settings(NamedTuple):
    """How each reordering is analysed: coefficients per coefficient of the basis, tested columns, estimators."""

    turn: Array
    tested: tuple[int, ...]
    tau2_method: Tau2Method
    ci_method: CiMethod


def permutation_test(
    y: Array,
    v: Array,
    x: Array,
    tested: tuple[int, ...],
    *,
    permutations: int | str,
    tau2_method: Tau2Method,
    ci_method: CiMethod,
    seed: int | np.random.Generator | None = None,
) -> PermutationTest:
    """Return permutation p-values for each coefficient and for the moderators together.

    Parameters
    ----------
    y, v, x : numpy.ndarray
        Effects, variances ``(k,)`` and design ``(k, p)``, an intercept first where there is one.
    tested : tuple of int
        Columns of the omnibus test.
    permutations : int or "exact"
        How many random reorderings to draw; all distinct ones are used instead when they are not more than that.
    tau2_method, ci_method : str
        As in the fit: the test statistics are made the same way.
    seed : int or numpy.random.Generator, optional
        Where randomness comes from.

    Raises
    ------
    OptionError
        ``"exact"`` with more than ``EXACT_LIMIT`` distinct reorderings, or not a positive number.
    """
    kind = np.unique(x, axis=0, return_inverse=True)[1].ravel()
    counts = np.bincount(kind)
    total = factorial(kind.size) // prod(factorial(int(m)) for m in counts)
    exact = _is_exact(permutations, total)
    basis = orthonormal_basis(x)
    turn = np.linalg.inv(basis @ x)
    settings = Settings(np.asarray(turn, dtype=float), tested, tau2_method, ci_method)
    observed = _statistics(y[None], v[None], basis, settings)
    if exact:
        sorted_x = np.argsort(kind, kind="stable")
        orders = _all_orders(counts, total)
        basis = np.ascontiguousarray(basis[:, sorted_x])
    else:
        orders = _random_orders(y.size, int(permutations), np.random.default_rng(seed))
    bar = observed[0] - TIE_TOLERANCE * (1 + observed[0])
    beyond = np.zeros(bar.size)
    for order in orders:
        beyond += (_statistics(y[order], v[order], basis, settings) >= bar).sum(axis=0)
    n = total if exact else int(permutations) + 1
    p = (beyond if exact else beyond + 1) / n
    return PermutationTest(tuple(map(float, p[:-1])), float(p[-1]), n, exact)


def _is_exact(permutations: int | str, total: int) -> bool:
    if permutations == "exact":
        if total > EXACT_LIMIT:
            raise OptionError(
                f"permutations='exact' would need {total:,} reorderings (the limit is {EXACT_LIMIT:,}); give a number "
                "to draw a sample, such as permutations=10000"
            )
        return True
    if isinstance(permutations, bool) or not isinstance(permutations, int | np.integer) or permutations < 1:
        raise OptionError(f"permutations must be 'exact' or a positive whole number; received {permutations!r}")
    return total <= min(int(permutations), EXACT_LIMIT)


def _statistics(y: Array, v: Array, basis: Array, settings: Settings) -> Array:
    """Return absolute test statistics, the coefficients' and then the omnibus one's, ``(batch, p + 1)``."""
    tau2 = estimate_residual_tau2(y, v, basis, settings.tau2_method)
    s = project(y, v, basis, tau2)
    p, k = basis.shape
    beta, root = coefficients(s, settings.turn)
    error = np.sqrt(np.einsum("bpm,bpm->bp", root, root))
    omnibus = inner_square(s.c[:, 1:] if len(settings.tested) < p else s.c)
    factor = np.ones_like(omnibus)
    if settings.ci_method in ("hksj", "hksj-adhoc"):
        factor = s.qe / (k - p)
        factor = np.maximum(factor, 1.0) if settings.ci_method == "hksj-adhoc" else factor
    with np.errstate(divide="ignore", invalid="ignore"):
        single = np.abs(beta / error) / np.sqrt(factor)[:, None]
        values = np.concatenate([single, (omnibus / factor)[:, None]], axis=1)
    return np.where(np.isnan(values), 0.0, values)


def inner_square(c: Array) -> Array:
    """Return the sum of squares over the last axis."""
    return np.einsum("bp,bp->b", c, c)  # type: ignore[no-any-return]


Orders = Iterator[npt.NDArray[np.intp]]


def _random_orders(k: int, n: int, rng: np.random.Generator) -> Orders:
    """Yield random orders in blocks of bounded memory."""
    block = max(1, CHUNK_VALUES // k)
    for start in range(0, n, block):
        yield rng.random((min(block, n - start), k)).argsort(axis=1)


def _all_orders(counts: npt.NDArray[np.intp], total: int) -> Orders:
    """Yield every distinct assignment of rows to kinds, in blocks, as orders of the rows that sort them by kind."""
    block = max(1, CHUNK_VALUES // int(counts.sum()))
    for start in range(0, total, block):
        arrangement = unrank(np.arange(start, min(start + block, total)), counts, total)
        yield arrangement.argsort(axis=1, kind="stable")


def unrank(ranks: npt.NDArray[np.intp], counts: npt.NDArray[np.intp], total: int) -> npt.NDArray[np.intp]:
    """Return the arrangements of a multiset at the given positions of their lexicographic list, ``(n, k)``.

    Examples
    --------
    >>> import numpy as np
    >>> unrank(np.arange(3), np.array([2, 1]), 3)
    array([[0, 0, 1],
           [0, 1, 0],
           [1, 0, 0]])
    """
    k = int(counts.sum())
    left = np.tile(counts, (ranks.size, 1))
    ways = np.full(ranks.size, total)
    rank = ranks.copy()
    member = np.arange(ranks.size)
    result = np.empty((ranks.size, k), dtype=np.intp)
    for position in range(k):
        share = ways[:, None] * left // (k - position)
        upto = np.cumsum(share, axis=1)
        chosen = (rank[:, None] >= upto).sum(axis=1)
        result[:, position] = chosen
        rank -= upto[member, chosen] - share[member, chosen]
        ways = share[member, chosen]
        left[member, chosen] -= 1
    return result
