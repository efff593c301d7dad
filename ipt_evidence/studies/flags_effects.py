"""Flags on effects: large ones, and printed ones that do not agree with their own interval, p value or raw numbers."""

from __future__ import annotations

import numpy as np

from ipt_evidence.studies.contract import RATIO_MEASURES
from ipt_evidence.studies.flags_table import (
    Array,
    FlagTable,
    Hit,
    Mask,
    decimals_of,
    hits,
    log_odds_ratio,
    standardised,
)

LARGE_G = 2.0
DIFFERENCE = 0.1
"""More than rounding, the form of J and d against g explain."""
UNEVEN = 0.15
"""Intervals of exact and profile methods are uneven by less than this part of their half-width."""
TOO_NARROW, TOO_WIDE = 0.85, 1.25
"""Half-width over 1.96 SE: a t quantile with 10 degrees of freedom gives 1.14."""
NORMAL_95 = 1.959963984540054
ODDS_TO_D = np.sqrt(3) / np.pi


def effect_flags(table: FlagTable) -> list[Hit]:
    """Return the flags large_effect, inconsistent_effect, inconsistent_ci and inconsistent_p.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    return [*_large(table), *_against_raw(table), *_against_interval(table), *_against_p(table)]


def raw_effect(table: FlagTable, *, corrected: bool = True) -> Array:
    """Return the standardised difference of arm 1 minus arm 2 from means, else changes; NaN without either."""
    final = standardised(table, corrected=corrected)
    return np.where(np.isnan(final), standardised(table, kind="change_", corrected=corrected), final)


def _large(table: FlagTable) -> list[Hit]:
    """Return standardised effects above 2."""
    printed = np.where(
        _is(table, "g", "d"), table["effect"] * np.nan_to_num(table["favours_ipt_sign"], nan=1.0), np.nan
    )
    direction = np.nan_to_num(1 - 2 * table["lower_is_better"], nan=1.0)
    g = table.computed
    a, b = table.both("events"), table.both("total") - table.both("events")
    # An empty cell makes any odds ratio large.
    odds = np.where((np.fmin(a, b) > 0).all(axis=0), log_odds_ratio(table), np.nan)
    for source in (raw_effect(table) * direction, odds * ODDS_TO_D * direction, printed):
        g = np.where(np.isnan(g), source, g)
    mask = np.abs(g) > LARGE_G
    column = "effect" if "route" in table.frame.columns else ""
    why = [f"g = {at:.2f} (positive favours arm 1): check SDs, units and direction" for at in g[mask]]
    rows = hits(mask, "large_effect", column, g, why)
    return [hit if hit.column else _of_cell(table, hit, _source(table, hit.at)) for hit in rows]


def _of_cell(table: FlagTable, hit: Hit, column: str) -> Hit:
    return hit._replace(column=column, value=float(table[column][hit.at]))


def _source(table: FlagTable, at: int) -> str:
    for name in ("mean_1", "change_mean_1", "events_1"):
        if not np.isnan(table[name][at]):
            return name
    return "effect"


def _against_raw(table: FlagTable) -> list[Hit]:
    """Return printed effects that differ from the effect of the raw numbers of their row."""
    printed, sign = table["effect"], table["favours_ipt_sign"]
    direction = 1 - 2 * table["lower_is_better"]
    g, d = raw_effect(table), raw_effect(table, corrected=False)
    raw = np.where(_is(table, "d"), d, g)
    turned, shown = raw * direction, printed * sign
    known = ~np.isnan(turned + shown)
    turned, shown = np.where(known, turned, np.abs(raw)), np.where(known, shown, np.abs(printed))
    standard = _is(table, "g", "d")
    with np.errstate(all="ignore"):
        odds = np.where(_is(table, "OR"), log_odds_ratio(table), np.nan)
        log_printed = np.log(np.where(printed > 0, printed, np.nan))
        off_odds = np.minimum(np.abs(odds - log_printed), np.abs(odds + log_printed))
        gap = np.where(standard, np.abs(turned - shown), off_odds - _log_rounding(printed))
        opposite = standard & known & (turned * shown < 0) & (np.minimum(np.abs(turned), np.abs(shown)) > 0.02)
    mask = (gap > DIFFERENCE) | opposite
    recomputed = np.where(standard, turned * np.where(known, sign, 1), np.exp(odds))
    words = np.where(opposite, "has the opposite sign of", "differs from")
    why = [
        f"the printed effect {words[at]} the one computed from the raw numbers of the row, {recomputed[at]:.3f}"
        for at in np.flatnonzero(mask)
    ]
    return hits(mask, "inconsistent_effect", _printed(table, "effect"), printed, why)


def _against_interval(table: FlagTable) -> list[Hit]:
    """Return printed effects that do not fit their interval or standard error."""
    ratio = _is(table, *RATIO_MEASURES)
    columns = [table[name] for name in ("effect", "ci_low", "ci_high")]
    # The three are printed with the same decimals; a float has lost the zeros at the end of some.
    half_unit = 0.5 * 10.0 ** -np.max([decimals_of(np.nan_to_num(x)) for x in columns], axis=0).astype(float)
    with np.errstate(all="ignore"):
        moved = [np.where(ratio, half_unit / np.abs(x), half_unit) for x in columns]
        effect, low, high = (np.where(ratio, np.log(np.where(x > 0, x, np.nan)), x) for x in columns)
        half, off = (high - low) / 2, np.abs(effect - (low + high) / 2)
        of_half = (moved[1] + moved[2]) / 2
        uneven = off > UNEVEN * half + moved[0] + of_half
        se, of_se = table["effect_se"], 0.5 * 10.0 ** -decimals_of(table["effect_se"]).astype(float)
        loose = of_half / NORMAL_95 + np.minimum(of_se, half_unit)
        unlike = (half / NORMAL_95 < TOO_NARROW * se - loose) | (half / NORMAL_95 > TOO_WIDE * se + loose)
        reversed_ = low > high
    scale = np.where(ratio, " (log scale)", "")
    found: list[Hit] = []
    for mask, text in (
        (reversed_, "the limits {low:g} and {high:g} are in the wrong order"),
        (
            uneven & ~reversed_,
            "the interval {low:g} to {high:g} is not even around the effect{scale}: typing or scale?",
        ),
        (
            unlike & ~uneven & ~reversed_,
            "the interval {low:g} to {high:g} belongs to a standard error of {se:.3g}{scale}, not {own:.3g}",
        ),
    ):
        why = [
            text.format(low=columns[1][i], high=columns[2][i], scale=scale[i], se=half[i] / NORMAL_95, own=se[i])
            for i in np.flatnonzero(mask)
        ]
        found += hits(mask, "inconsistent_ci", _printed(table, "effect"), columns[0], why)
    return found


def _against_p(table: FlagTable) -> list[Hit]:
    """Return printed p values that the printed effect and its standard error (or interval) do not give."""
    if "p_value" not in table.frame.columns:
        return []
    from scipy.special import ndtr, ndtri

    ratio = _is(table, *RATIO_MEASURES)
    p, low, high = table["p_value"], table["ci_low"], table["ci_high"]
    with np.errstate(all="ignore"):
        effect, low, high = (
            np.where(ratio, np.log(np.where(x > 0, x, np.nan)), x) for x in (table["effect"], low, high)
        )
        se = np.where(np.isnan(table["effect_se"]), (high - low) / (2 * NORMAL_95), table["effect_se"])
        z = np.abs(effect / se)
        rounding = 0.5 * 10.0 ** -decimals_of(p, most=6).astype(float)
        z_low = -ndtri(np.clip(p + rounding, 0, 1) / 2)
        z_high = -ndtri(np.clip(p - rounding, 0, 1) / 2)
        gap = np.maximum(z_low - z, z - z_high)
        mask = gap > np.maximum(0.5, 0.25 * z)
    why = [f"the effect and its uncertainty give p = {2 * ndtr(-at):.2g}" for at in z[mask]]
    return hits(mask, "inconsistent_p", "p_value", p, why)


def _log_rounding(values: Array) -> Array:
    """Return how far rounding can move the logarithm of a printed number."""
    with np.errstate(all="ignore"):
        return 0.5 * 10.0 ** -decimals_of(values).astype(float) / np.abs(values)


def _is(table: FlagTable, *measures: str) -> Mask:
    return np.isin(table.measure, measures)


def _printed(table: FlagTable, name: str) -> str:
    return f"reported_{name}" if f"reported_{name}" in table.frame.columns else name
