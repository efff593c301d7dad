"""Limits and ticks of the effect axis: chosen so that every point is seen and the scale reads naturally."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.wording import plain

MAX_TICKS = 7
ROOM_FOR_SPREAD = 0.4
ROOM_FOR_INTERVAL = 2.2
NEARLY = 1.5
PADDING = 0.03
LOG_FROM_RATIO = 3.5
TRIALS = ("study", "outcome", "fit", "single", "step")


@dataclass(frozen=True, slots=True)
class EffectAxis:
    """The effect axis on the scale that is shown.

    Attributes
    ----------
    low, high : float
        Limits; what lies beyond is clipped and marked by an arrow.
    log : bool
        Whether the axis is logarithmic (ratio measures).
    ticks : tuple of float
        Where the ticks stand.
    reference : float
        The value of no difference: 0, or 1 for ratios; NaN where there is none.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]
    reference: float

    def labels(self) -> list[str]:
        """Return the texts of the ticks."""
        return [plain(tick) for tick in self.ticks]

    def fraction(self, value: float) -> float:
        """Return where a value lies between the limits: 0 at the left, 1 at the right."""
        if self.log:
            return (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return (value - self.low) / (self.high - self.low)


def effect_axis(
    rows: pd.DataFrame,
    *,
    log: bool,
    xlim: tuple[float, float] | None,
    room: Callable[[list[str]], int],
    reference: bool = True,
) -> EffectAxis:
    """Return the axis for the rows of a forest plot.

    Parameters
    ----------
    rows : pandas.DataFrame
        The rows of the figure.
    log : bool
        Whether effects are ratios.
    xlim : tuple of float or None
        Limits given by the caller.
    room : callable
        Number of ticks with these labels for which the panel has room.
    reference : bool
        Whether there is a value of no difference; there is none for a proportion.

    Raises
    ------
    OptionError
        `xlim` is not an interval that holds the value of no difference, or is not positive for ratios.
    """
    value = (1.0 if log else 0.0) if reference else math.nan
    low, high = _checked(xlim, log, value) if xlim is not None else _limits(rows, log, reference)
    if not reference and xlim is None:
        low, high = max(low, 0.0), min(high, 1.0)
    find = _log_ticks if log and high / low >= LOG_FROM_RATIO else _linear_ticks
    return EffectAxis(low, high, log, tuple(find(low, high, room)), value)


def _checked(xlim: tuple[float, float], log: bool, reference: float) -> tuple[float, float]:
    low, high = float(xlim[0]), float(xlim[1])
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)):
        positive = " above 0, on the scale of the ratio" if log else ""
        raise OptionError(f"xlim must be two numbers (low, high){positive}; received {xlim!r}")
    if low > reference or high < reference:
        raise OptionError(f"xlim must include {plain(reference)}, the value of no difference; received {xlim!r}")
    return low, high


def _limits(rows: pd.DataFrame, log: bool, reference: bool) -> tuple[float, float]:
    """Return limits that hold every point estimate and, up to a bound, every interval.

    An interval may extend the axis by less than half the spread of the points or by about the usual interval, whichever
    is more; one very wide interval is clipped instead of squeezing all others.
    """
    scale = np.log if log else np.positive
    values = scale(rows[["effect", "ci_low", "ci_high"]].to_numpy(dtype=float))
    values = values[~np.isnan(values[:, 1])]
    if values.size == 0:
        return (0.5, 2.0) if log else (-1.0, 1.0)
    points = np.append(values[~np.isnan(values[:, 0]), 0], [0.0] if reference else [])
    trials = rows.loc[rows["ci_low"].notna(), "kind"].isin(TRIALS)
    studies = values[trials.to_numpy()]
    usual = float(np.median((studies[:, 2] - studies[:, 1]) / 2)) if len(studies) else 0.0
    room = max(ROOM_FOR_SPREAD * float(np.ptp(points)), ROOM_FOR_INTERVAL * usual)
    low = float(points.min()) - _extension(float(points.min() - values[:, 1].min()), room)
    high = float(points.max()) + _extension(float(values[:, 2].max() - points.max()), room)
    pad = PADDING * (high - low) or 0.5
    low, high = low - pad, high + pad
    return (math.exp(low), math.exp(high)) if log else (low, high)


def _extension(wanted: float, room: float) -> float:
    """Return how far the axis goes beyond the points: as far as wanted unless that is much more than there is room."""
    if wanted <= NEARLY * room:
        return max(0.0, wanted)
    return room


def _linear_ticks(low: float, high: float, room: Callable[[list[str]], int]) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten, as many as fit."""
    exponent = math.floor(math.log10(high - low)) - 1
    ticks: list[float] = []
    for power in range(exponent, exponent + 3):
        for factor in (1, 2, 5):
            step = factor * 10.0**power
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            ticks = [float(f"{i * step:.10g}") for i in range(first, last + 1)]
            if len(ticks) <= min(MAX_TICKS, room([plain(t) for t in ticks])):
                return ticks
    return ticks


def _log_ticks(low: float, high: float, room: Callable[[list[str]], int]) -> list[float]:
    """Return 0.1, 0.2, 0.5, 1, 2, 5 ...; only powers of ten (or of a power of ten) when these do not fit."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for every, factors in ((1, (1, 2, 5)), *((n, (1,)) for n in range(1, 12))):
        powers = [p for p in range(first, last + 1) if p % every == 0]
        ticks = [float(f"{f}e{p}") for p in powers for f in factors if low <= float(f"{f}e{p}") <= high]
        if len(ticks) <= min(MAX_TICKS, room([plain(t) for t in ticks])):
            return ticks
    return [1.0]
