"""What is pooled: several effects of one trial brought to one, and how many people stand behind them.

References
----------
Borenstein M, Hedges LV, Higgins JPT, Rothstein HR. Introduction to Meta-Analysis. Wiley, 2009, chapter 24 (the plain
mean of several outcomes and its variance). doi:10.1002/9780470743386
Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: Cooper H, Hedges LV, Valentine JC, eds. The Handbook of
Research Synthesis and Meta-Analysis. 2nd ed. Russell Sage Foundation, 2009, pp. 357-376 (the weighted mean under a
known correlation).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.options import Aggregation
from ipt_evidence.pooling.effect_rows import Rows, counts, parts
from ipt_evidence.pooling.kernel import Array

ARM_SIZES = ((1, "n_1", "total_1"), (2, "n_2", "total_2"))
SIZE_COLUMNS = ("n_1", "n_2", "total_1", "total_2")
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Units:
    """What enters a fit: one effect per unit, and which rows of the table stand behind it.

    Attributes
    ----------
    y, v : numpy.ndarray
        Effect and variance of each unit that has both, shape ``(k,)``.
    unit_of_row : numpy.ndarray
        For each row of the table the position of its unit, -1 for a row left out.
    why_not : numpy.ndarray
        For each row why it was left out; empty for the rows used.
    n_left_out, n_combined : int
        How many rows were left out, and how many units stand for several rows.
    """

    y: Array
    v: Array
    unit_of_row: npt.NDArray[np.intp]
    why_not: npt.NDArray[np.object_]
    n_left_out: int = field(init=False)
    n_combined: int = field(init=False)

    def __post_init__(self) -> None:
        """Count the rows left out and the units that stand for several rows."""
        combined, left_out = 0, int(np.count_nonzero(self.unit_of_row < 0))
        if self.unit_of_row.size - left_out != self.y.size:
            combined = int(np.count_nonzero(np.bincount(self.unit_of_row[self.unit_of_row >= 0]) > 1))
        object.__setattr__(self, "n_left_out", left_out)
        object.__setattr__(self, "n_combined", combined)

    def of_used(self, values: npt.NDArray[T]) -> npt.NDArray[T]:
        """Return the values of the rows that were used."""
        return values[self.unit_of_row >= 0] if self.n_left_out else values


def one_per_unit(y: Array, v: Array, why_not: npt.NDArray[np.object_]) -> Units:
    """Return every usable row as a unit of its own."""
    used = ~np.isnan(y)
    if used.all():
        return Units(y.copy(), v.copy(), np.arange(y.size), why_not)
    unit = np.where(used, np.cumsum(used) - 1, -1)
    return Units(y[used], v[used], unit, why_not)


def aggregate(
    y: Array, v: Array, why_not: npt.NDArray[np.object_], trial: npt.NDArray[np.intp], rho: float, how: Aggregation
) -> Units:
    """Return one effect per trial from effects whose sampling errors correlate `rho`.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and variances of the rows, NaN for rows left out.
    trial : numpy.ndarray
        Trial of each row.
    rho : float
        Correlation between the sampling errors of one trial, 0 to 1.
    how : {"weighted", "mean"}
        ``"weighted"``: the minimum-variance combination ``1'V^-1 y / 1'V^-1 1`` (Gleser & Olkin 2009); ``"mean"``: the
        plain mean with its variance (Borenstein 2009, ch. 24), which with ``rho = 1`` averages the standard errors.

    Raises
    ------
    OptionError
        ``how="weighted"`` with ``rho = 1``: the covariance matrix has no inverse.

    Notes
    -----
    For equal correlations the inverse is known, so the cost is linear in the rows: with ``z = 1/s``, ``x = y/s`` and
    ``c = rho / (1 + (m - 1) rho)``, ``1'V^-1 y = (sum z x - c sum z sum x) / (1 - rho)``.
    """
    used = ~np.isnan(y)
    if np.bincount(trial if used.all() else trial[used], minlength=1).max() <= 1:
        return one_per_unit(y, v, why_not)
    codes, first = np.unique(trial[used], return_inverse=True, return_index=True)[1:][::-1]
    order = np.argsort(np.argsort(first))
    unit = order[codes]
    size = np.bincount(unit)
    if how == "weighted" and rho >= 1:
        raise OptionError(
            "rho = 1 with aggregation='weighted' has no solution (the covariance matrix is singular); "
            "use a smaller rho, or aggregation='mean', which averages the standard errors"
        )
    yu, su = y[used], np.sqrt(v[used])
    combine = _weighted if how == "weighted" else _mean
    effect, variance = combine(yu, su, unit, size, rho)
    where = np.full(y.size, -1)
    where[used] = unit
    return Units(effect, variance, where, why_not)


def _weighted(
    y: Array, s: Array, unit: npt.NDArray[np.intp], size: npt.NDArray[np.intp], rho: float
) -> tuple[Array, Array]:
    z, x = 1 / s, y / s
    c = rho / (1 + (size - 1) * rho)
    sums = [np.bincount(unit, weights=a) for a in (z * z, z * x, z, x)]
    information = (sums[0] - c * sums[2] ** 2) / (1 - rho)
    single = size == 1
    effect = (sums[1] - c * sums[2] * sums[3]) / (1 - rho) / information
    return np.where(single, sums[3] / sums[2], effect), np.where(single, 1 / sums[0], 1 / information)


def _mean(
    y: Array, s: Array, unit: npt.NDArray[np.intp], size: npt.NDArray[np.intp], rho: float
) -> tuple[Array, Array]:
    total, squares = np.bincount(unit, weights=s), np.bincount(unit, weights=s * s)
    return np.bincount(unit, weights=y) / size, ((1 - rho) * squares + rho * total**2) / size**2


@dataclass(frozen=True, slots=True)
class People:
    """Participants behind the pooled rows.

    Attributes
    ----------
    n : int or None
        Their number, over the trials where it is known.
    known, trials : int
        For how many trials it is known, and how many there are; both zero in a table without arm sizes.
    """

    n: int | None
    known: int
    trials: int


def participants(effects: pd.DataFrame | Rows, units: Units, trial: npt.NDArray[np.intp]) -> People:
    """Return how many participants stand behind the pooled rows.

    An arm that appears in several rows of a trial counts once, with its largest number; one that was divided among
    comparisons counts whole.
    """
    table = Rows.of(effects)
    if table.names.isdisjoint(SIZE_COLUMNS):
        return People(None, 0, 0)
    codes = units.of_used(trial)
    rows = np.bincount(codes, minlength=1)
    sizes = [units.of_used(_sizes(table, side, *names)) for side, *names in ARM_SIZES]
    sums = sizes[0] + sizes[1]
    if rows.max() > 1:
        several = rows[codes] > 1
        arms = [_arm_names(table, units, f"arm_{side}")[several].tolist() for side, *_ in ARM_SIZES]
        merged = _people_of_repeated(codes[several].tolist(), arms, [x[several].tolist() for x in sizes])
        sums = np.concatenate([sums[~several], merged])
    known = sums[~np.isnan(sums)]
    return People(round(float(known.sum())) if known.size else None, known.size, sums.size)


def _sizes(table: Rows, side: int, *columns: str) -> Array:
    """Return the sizes of one side of all comparisons, of divided arms the whole."""
    present = [name for name in columns if name in table.names]
    sizes = counts(table[present[0]]) if present else np.full(len(table), np.nan)
    for name in present[1:]:
        unknown = np.isnan(sizes)
        if unknown.any():
            sizes = np.where(unknown, counts(table[name]), sizes)
    return sizes * parts(table, side) if f"split_{side}" in table.names else sizes


def _arm_names(table: Rows, units: Units, arm: str) -> npt.NDArray[np.object_]:
    """Return the names of one side of the comparisons in use; an unnamed arm is called by its side."""
    if arm not in table.names:
        return units.of_used(np.full(len(table), arm, dtype=object))
    column = table[arm]
    return units.of_used(column.astype(object).where(column.notna(), arm).astype(str).to_numpy(dtype=object))


def _people_of_repeated(codes: list[int], names: list[list[str]], sizes: list[list[float]]) -> list[float]:
    """Return for each trial of several rows the sum over its arms of their largest size; NaN where one is unknown."""
    arms: dict[int, dict[str, float]] = {}
    for trial, name_1, name_2, n_1, n_2 in zip(codes, *names, *sizes, strict=True):
        largest = arms.setdefault(trial, {})
        for name, n in ((name_1, n_1), (f"{name_2} (arm 2)" if name_1 == name_2 else name_2, n_2)):
            before = largest.get(name, float("nan"))
            largest[name] = before if before >= n or n != n else n
    return [sum(largest.values()) for largest in arms.values()]
