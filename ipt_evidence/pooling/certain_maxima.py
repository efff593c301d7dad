"""The highest maximum of a likelihood of tau2, for many data sets at once and with proof that none is missed.

The model enters as a function that returns the sums of each data set at a value of tau2, so that a mean and a
regression share the search; see :func:`ipt_evidence.pooling.kernel.one_zero_at_most` for the proof.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ipt_evidence.pooling.kernel import newton, one_zero_at_most, score_excess_of
from ipt_evidence.pooling.moments import Array, Moments, Values

FACTOR = math.log(1.75)
MAX_STEPS = 48
MAX_HALVINGS = 40
FEW_VALUES = 4096

Integers = npt.NDArray[np.intp]
Booleans = npt.NDArray[np.bool_]


class Likelihood(NamedTuple):
    """What the search asks of a model; `y` and `v` are ``(batch, k)``, `t` and what returns are ``(batch,)``.

    Attributes
    ----------
    sums : callable
        ``(y, v, t) -> Moments``, all of them arrays, those of third order too.
    height : callable
        ``(y, v, t) -> log-likelihood``.
    restricted : bool
        Of the restricted likelihood.
    """

    sums: Callable[[Array, Array, Array], Moments]
    height: Callable[[Array, Array, Array], Values]
    restricted: bool


class Cells(NamedTuple):
    """Intervals of tau2: of which data set, both ends, and the sums there, ``(sums, intervals)``."""

    member: Integers
    low: Array
    high: Array
    at_low: Array
    at_high: Array

    def only(self, which: Booleans) -> Cells:
        """Return some of them."""
        return Cells(self.member[which], self.low[which], self.high[which], *(x[:, which] for x in self[3:]))


class Brackets(NamedTuple):
    """An interval around each maximum above zero, ordered by data set, with a first guess; `high` may be infinite."""

    member: Integers
    low: Array
    high: Array
    start: Array


def n_steps(growth: float) -> int:
    """Return in how many steps the smallest total variance grows to its last value; `growth`: log of their ratio."""
    return min(max(math.ceil(growth / FACTOR), 1), MAX_STEPS)


def first_values(top: Array, smallest: Array) -> Array:
    """Return the values of tau2 that are looked at first, from zero to `top`, shape ``(batch, points)``.

    The smallest total variance grows by equal factors.

    Parameters
    ----------
    top : numpy.ndarray
        The last value, above which the score is negative; where it is not above zero all values are zero.
    smallest : numpy.ndarray
        The smallest sampling variance; infinite where there is none.
    """
    with np.errstate(invalid="ignore"):
        growth = np.where(np.isfinite(smallest), np.log1p(np.maximum(top, 0.0) / smallest), 0.0)
        points = n_steps(float(growth.max(initial=0.0))) + 1
        return np.where(growth[:, None] > 0, smallest[:, None], 0.0) * np.expm1(
            growth[:, None] * np.linspace(0, 1, points)
        )


def highest_maximum(y: Array, v: Array, grid: Array, likelihood: Likelihood) -> Array:
    """Return the tau2 of the highest likelihood over ``tau2 >= 0``, shape ``(batch,)``.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(batch, k)``.
    grid : numpy.ndarray
        From :func:`first_values`.
    likelihood : Likelihood
        The model.
    """
    found, rising = _brackets(y, v, grid, likelihood)
    member, result = found.member, np.zeros(v.shape[0])
    if member.size == 0:
        return result

    def excess(a: Array, b: Array, t: Array) -> tuple[Array, Array]:
        value, slope = score_excess_of(likelihood.sums(a, b, t), likelihood.restricted)
        return np.asarray(value), np.asarray(slope)

    one_each = v.shape[0] == member.size and bool((np.diff(member) == 1).all())
    ys, vs = (y, v) if one_each else (y[member], v[member])
    root = newton(excess, ys, vs, low=found.low, high=found.high, start=found.start)
    result[member] = root
    several = np.bincount(member, minlength=v.shape[0]) + ~rising > 1
    if several.any():
        at_zero, above = np.flatnonzero(several), np.flatnonzero(several[member])
        member, t = np.append(at_zero, member[above]), np.append(np.zeros(at_zero.size), root[above])
        best = _highest(member, np.asarray(likelihood.height(y[member], v[member], t)))
        result[member[best]] = t[best]
    return result


def _highest(member: Integers, height: Array) -> Integers:
    """Return where the highest value of each data set stands, the first of several."""
    order = np.lexsort((-height, member))
    return order[np.flatnonzero(np.diff(member[order], prepend=-1))]


def _brackets(y: Array, v: Array, grid: Array, likelihood: Likelihood) -> tuple[Brackets, Booleans]:
    """Return an interval around each maximum of the likelihood above zero, and whether each likelihood rises at zero.

    Intervals in which the score might change its sign twice are halved, so that no maximum is missed. What rises at
    the last value can do so by rounding alone and is followed beyond it.
    """
    usable = grid[:, -1] > 0
    sums = _at_first_values(y, v, grid, likelihood)
    rises = _rises(sums, likelihood.restricted) & usable[:, None]
    at_last = np.flatnonzero(rises[:, -1])
    last = grid[at_last, -1]
    found = [Brackets(at_last, last, np.full(at_last.size, np.inf), 2 * last)]
    member, cell = np.nonzero(usable[:, None] & (grid[:, :-1] < grid[:, 1:]))
    here, next_one = (member, cell), (member, cell + 1)
    cells = Cells(member, grid[here], grid[next_one], sums[:, *here], sums[:, *next_one])
    for halvings in range(MAX_HALVINGS + 1):
        ends = Moments(*cells.at_low), Moments(*cells.at_high)
        certain = np.asarray(one_zero_at_most(*ends, likelihood.restricted)) | (halvings == MAX_HALVINGS)
        risen, rising = (_rises(x, likelihood.restricted) for x in (cells.at_low, cells.at_high))
        found.append(_around(cells.only(certain & risen & ~rising), likelihood.restricted))
        if certain.all():
            break
        cells = _halves(cells.only(~certain), y, v, likelihood)
    member = np.concatenate([x.member for x in found])
    order = np.argsort(member, kind="stable")
    low, high, start = (np.concatenate(x)[order] for x in zip(*(x[1:] for x in found), strict=True))
    return Brackets(member[order], low, high, start), rises[:, 0]


def _at_first_values(y: Array, v: Array, grid: Array, likelihood: Likelihood) -> Array:
    """Return the sums at the first values, ``(sums, batch, points)``, in one call where that is little work."""
    points = grid.shape[1]
    if grid.size * v.shape[1] <= FEW_VALUES:
        many = np.repeat(y, points, axis=0), np.repeat(v, points, axis=0)
        sums = np.array(likelihood.sums(*many, grid.ravel()))
        return sums.reshape(-1, *grid.shape)
    return np.stack([np.array(likelihood.sums(y, v, t)) for t in grid.T], axis=2)


def _rises(sums: Array, restricted: bool) -> Booleans:
    """Return where the likelihood rises."""
    m = Moments(*sums)
    return np.asarray(m.q2 > (m.tr_p if restricted else m.s1))


def _around(cells: Cells, restricted: bool) -> Brackets:
    """Return intervals with a first guess: where a straight line through both ends of the searched curve is zero."""
    f, g = (np.asarray(score_excess_of(Moments(*x), restricted)[0]) for x in (cells.at_low, cells.at_high))
    return Brackets(cells.member, cells.low, cells.high, cells.low + f / (f - g) * (cells.high - cells.low))


def _halves(cells: Cells, y: Array, v: Array, likelihood: Likelihood) -> Cells:
    """Return both halves of each interval, parted where the smallest total variance is at its geometric mean."""
    y, v = y[cells.member], v[cells.member]
    smallest = v.min(axis=-1)
    middle = np.sqrt((smallest + cells.low) * (smallest + cells.high)) - smallest
    sums = np.array(likelihood.sums(y, v, middle))
    return Cells(
        np.tile(cells.member, 2),
        np.concatenate([cells.low, middle]),
        np.concatenate([middle, cells.high]),
        np.concatenate([cells.at_low, sums], axis=1),
        np.concatenate([sums, cells.at_high], axis=1),
    )
