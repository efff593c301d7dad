"""The record every effect size formula returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimates:
    """Effects and their sampling variances.

    Attributes
    ----------
    effect : ndarray of float
        On the analysis scale (ratios as logarithms). NaN where the formula is not defined.
    variance : ndarray of float
        Sampling variance of `effect`, same shape.
    """

    effect: FloatArray
    variance: FloatArray


def as_floats(*values: ArrayLike) -> tuple[FloatArray, ...]:
    """Return the values as float arrays of one common shape."""
    return tuple(np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in values)))


def estimates(effect: FloatArray, variance: FloatArray) -> Estimates:
    """Return the pair as :class:`Estimates`, NaN in both where either is not finite."""
    usable = np.isfinite(effect) & np.isfinite(variance)
    return Estimates(np.where(usable, effect, np.nan), np.where(usable, variance, np.nan))
