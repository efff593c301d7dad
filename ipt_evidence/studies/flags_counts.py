"""Flags on counts, means out of range, arms that are alike, and baselines that are not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ipt_evidence.studies.flags_scales import SCALES, scales_of
from ipt_evidence.studies.flags_table import SIDES, Array, FlagTable, Hit, hits, standardised

LARGE_IMBALANCE = 0.5
COUNTED = ("n", "total")


def count_flags(table: FlagTable) -> list[Hit]:
    """Return the flags events_above_total and n_above_randomised.

    Parameters
    ----------
    table : FlagTable
        The table; randomised participants are ``n_randomised_1`` and ``n_randomised_2``, or ``n_randomised`` for both
        arms together.
    """
    found: list[Hit] = []
    for side in SIDES:
        events, total, randomised = (table[f"{name}_{side}"] for name in ("events", "total", "n_randomised"))
        mask = events > total
        found += hits(mask, "events_above_total", f"events_{side}", events, _above("participants", total[mask]))
        for name in COUNTED:
            n = table[f"{name}_{side}"]
            mask = n > randomised
            found += hits(mask, "n_above_randomised", f"{name}_{side}", n, _above("randomised", randomised[mask]))
    for name in COUNTED:
        both = table.both(name).sum(axis=0)
        mask = (both > table["n_randomised"]) & np.isnan(table.both("n_randomised")).any(axis=0)
        found += hits(mask, "n_above_randomised", f"{name}_1", both, _above("randomised", table["n_randomised"][mask]))
    return found


def _above(what: str, limits: Array) -> list[str]:
    return [f"more than the {limit:g} {what}" for limit in limits]


def range_flags(table: FlagTable) -> list[Hit]:
    """Return the flags mean_outside_range and sd_impossible, for instruments whose range is known.

    Parameters
    ----------
    table : FlagTable
        The table.

    Notes
    -----
    The largest SD of scores between a and b with mean m is ``sqrt((m - a)(b - m) n / (n - 1))``, when everybody has
    one of the two extreme scores.
    """
    place, scales = scales_of(table.instrument)
    low = np.array([*(scale.low for scale in scales), np.nan])[place]
    high = np.array([*(scale.high for scale in scales), np.nan])[place]
    found: list[Hit] = []
    for side in SIDES:
        for kind in ("", "baseline_"):
            mean, sd, n = (table[f"{kind}{name}_{side}"] for name in ("mean", "sd", "n"))
            n = np.where(np.isnan(n), table[f"n_{side}"], n)
            outside = (mean < low) | (mean > high)
            found += hits(outside, "mean_outside_range", f"{kind}mean_{side}", mean, _ranges(table, outside))
            with np.errstate(all="ignore"):
                largest = np.sqrt((mean - low) * (high - mean) * n / (n - 1))
            mask = ~outside & (sd > largest * 1.01 + 0.01)
            why = [
                f"{text}; the largest SD possible is {at:.3g}"
                for text, at in zip(_ranges(table, mask), largest[mask], strict=True)
            ]
            found += hits(mask, "sd_impossible", f"{kind}sd_{side}", sd, why)
        change = table[f"change_mean_{side}"]
        mask = np.abs(change) > high - low
        found += hits(mask, "mean_outside_range", f"change_mean_{side}", change, _ranges(table, mask))
    return found


def _ranges(table: FlagTable, mask: np.ndarray) -> list[str]:
    """Return for each row of `mask` the range of its instrument, in words."""
    place, _ = scales_of(table.instrument[mask])
    scales = [SCALES[at] for at in place]
    return [f"{s.name} runs from {s.low:g} to {s.high:g} ({s.source})" for s in scales]


def likeness_flags(table: FlagTable) -> list[Hit]:
    """Return the flags identical_arms, post_equals_baseline and baseline_imbalance.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    found: list[Hit] = []
    for kind in ("", "change_"):
        mean, sd = table.both(f"{kind}mean"), table.both(f"{kind}sd")
        mask = (mean[0] == mean[1]) & (sd[0] == sd[1])
        why = "both arms have this mean and the same SD: was one arm typed twice?"
        found += hits(mask, "identical_arms", f"{kind}mean_1", mean[0], why)
    for side in SIDES:
        mean, sd = table[f"mean_{side}"], table[f"sd_{side}"]
        mask = (mean == table[f"baseline_mean_{side}"]) & (sd == table[f"baseline_sd_{side}"])
        why = "mean and SD are those of the baseline: were the baseline numbers typed?"
        found += hits(mask, "post_equals_baseline", f"mean_{side}", mean, why)
    return found + _imbalance(table)


def _imbalance(table: FlagTable) -> list[Hit]:
    """Return large differences at baseline, once per trial and baseline, with their z."""
    d = standardised(table, kind="baseline_")
    n = np.where(np.isnan(table.both("baseline_n")), table.both("n"), table.both("baseline_n"))
    with np.errstate(all="ignore"):
        z = d / np.sqrt((1 / n).sum(axis=0) + d**2 / (2 * n.sum(axis=0)))
    mask = np.abs(d) > LARGE_IMBALANCE
    rows = np.flatnonzero(mask)
    first = pd.DataFrame({"trial": table.trial[rows], "d": d[rows]}).drop_duplicates().index.to_numpy()
    rows = rows[first]
    chance = {True: "more than chance", False: "may be chance"}
    return [
        Hit(
            int(at),
            "baseline_imbalance",
            "baseline_mean_1",
            float(table["baseline_mean_1"][at]),
            f"the arms differ by {d[at]:.2f} SD before treatment (arm 2: {table['baseline_mean_2'][at]:g}), "
            f"z = {z[at]:.1f}: {chance[bool(abs(z[at]) > 1.96)]}; is a change or an adjusted difference reported?",
        )
        for at in rows
    ]
