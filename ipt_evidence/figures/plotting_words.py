"""What stands on the axes of effects and under a figure: names of measures, directions, method and source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.plotting import Panel, round_ticks, say_instead, set_axis
from ipt_evidence.pooling.result import PooledFit

LOG_FROM = 3.5
FACTORS = ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))


def effect_ticks(low: float, high: float, measure: str, most: int) -> tuple[list[float], list[str]]:
    """Return ticks between two limits of the analysis scale, and their texts: ratios for logarithms.

    Examples
    --------
    >>> effect_ticks(-1.0, 1.0, "OR", 5)[1]
    ['0.5', '0.7', '1', '1.5', '2']
    """
    if not w.is_ratio(measure):
        ticks = round_ticks(low, high, most)
        return ticks, [w.plain(t) for t in ticks]
    first, last = math.exp(low), math.exp(high)
    if last / first < LOG_FROM:
        values = [x for x in round_ticks(first, last, most) if x > 0]
    else:
        values = _log_values(first, last, most)
    return [math.log(x) for x in values], [w.plain(x) for x in values]


def _log_values(first: float, last: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(first)), math.ceil(math.log10(last)) + 1)
    values: list[float] = []
    for every in range(1, 12):
        for factors in FACTORS if every == 1 else FACTORS[-1:]:
            values = [float(f"{f}e{p}") for p in powers if p % every == 0 for f in factors]
            values = [x for x in values if first <= x <= last]
            if len(values) <= most + 1:
                return values
    return values


def set_effect_axis(panel: Panel, which: str, measure: str, limits: tuple[float, float], *, favours: str = "") -> None:
    """Give an axis of effects its name, limits and ticks.

    Parameters
    ----------
    panel : Panel
        Where.
    which : {"x", "y"}
        The axis.
    measure : str
        Code of the measure.
    limits : tuple of float
        On the analysis scale.
    favours : str
        Second line of the name, such as from :func:`favours_line`.
    """
    room = panel.width if which == "x" else 1.05 * panel.width
    ticks, labels = effect_ticks(min(limits), max(limits), measure, max(3, min(7, int(room / 42))))
    name = measure_name(measure, short=which == "y")
    set_axis(panel, which, f"{name}\n{favours}" if favours else name, limits, ticks, labels=labels)


def measure_name(measure: str, *, short: bool = False) -> str:
    """Return the name of a measure, with its scale for ratios."""
    name = w.measure_names(measure)[1 if short else 2]
    return f"{name}, log scale" if w.is_ratio(measure) else name


def favours_line(studies: Iterable[pd.DataFrame], measure: str) -> str:
    """Return who is favoured by positive effects (ratios above 1); empty when the arms have no name."""
    left, right = w.favours(studies)
    if not right:
        return ""
    side = "above 1" if w.is_ratio(measure) else "positive"
    return f"{side}: favours {right}" + (f" over {left}" if left else "")


def shown(value: float, measure: str, digits: int = 2) -> str:
    """Return an effect of the analysis scale as it is read: a ratio for a logarithm."""
    return w.number(math.exp(value) if w.is_ratio(measure) else value, digits)


def shown_interval(low: float, high: float, measure: str) -> str:
    """Return ``0.14 to 0.93``."""
    return f"{shown(low, measure)} to {shown(high, measure)}"


def estimate_text(fit: PooledFit) -> str:
    """Return ``Hedges' g 0.53 (95% CI 0.14 to 0.93)``."""
    name = w.measure_names(fit.measure)[1]
    limits = shown_interval(fit.ci_low, fit.ci_high, fit.measure)
    return f"{name} {shown(fit.estimate, fit.measure)} ({100 * fit.method.level:g}% CI {limits})"


def trials_text(k: int) -> str:
    """Return ``1 trial`` or ``6 trials``."""
    return f"{k} trial{'' if k == 1 else 's'}"


def method_note(fit: PooledFit) -> str:
    """Return how a fit was made; of a single trial only the software."""
    software = f"; {fit.method.software}" if fit.method.software else ""
    if fit.k < 2:
        return f"Method: nothing was pooled{software}."
    return f"Method: {fit.method.describe()}{software}."


def source_note(studies: pd.DataFrame) -> str:
    """Return where the data come from, by the column `source`; empty without it."""
    if "source" not in studies.columns:
        return ""
    used = studies.loc[studies["included"].astype(bool)] if "included" in studies.columns else studies
    values = used["source"].dropna().astype(str)
    found = dict.fromkeys(part for value in values for part in value.split("; ") if part)
    return f"Data: {w.listed(list(found), 6)}." if found else ""


def standing_notes(fit: PooledFit) -> tuple[str, ...]:
    """Return the footnotes that every figure of a fit has: method and source."""
    return tuple(note for note in (method_note(fit), source_note(fit.studies)) if note)


def say_no_effects(panel: Panel, fit: PooledFit) -> None:
    """Write that no trial has a usable effect, where a fit would be drawn."""
    say_instead(panel, "No trial with a usable effect: there is nothing to draw.", standing_notes(fit))


def names_text(names: Sequence[str], limit: int = 5) -> str:
    """Return names for a sentence: ``A, B and C``, those beyond the limit counted."""
    names = [str(n) for n in names]
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def included(fit: PooledFit) -> pd.DataFrame:
    """Return the trials that were pooled, numbered from 0."""
    studies = fit.studies
    return studies.loc[studies["included"].to_numpy(dtype=bool)].reset_index(drop=True)


def finite(*arrays: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return all finite values of several sequences."""
    values = np.concatenate([np.asarray(a, dtype=float).ravel() for a in arrays])
    found: npt.NDArray[np.float64] = values[np.isfinite(values)]
    return found
