"""Flags on means and SDs that whole scores cannot have."""

from __future__ import annotations

import numpy as np

from ipt_evidence.studies.flags_scales import scales_of
from ipt_evidence.studies.flags_table import SIDES, FlagTable, Hit, decimals_of, hits
from ipt_evidence.studies.grim import grim, grimmer

MOST_DECIMALS = 2
"""Means with more decimals were computed or read off a figure, not printed."""
WHY = "no {what} of whole scores of {n:g} persons is {value:g} (to {places} decimals); typing, n, or imputed scores?"


def grim_flags(table: FlagTable) -> list[Hit]:
    """Return the flags grim and grimmer, for instruments whose scores are whole numbers.

    Parameters
    ----------
    table : FlagTable
        The table.
    """
    place, scales = scales_of(table.instrument)
    whole = np.array([*(scale.whole for scale in scales), False])[place]
    found: list[Hit] = []
    for side in SIDES:
        for kind in ("", "baseline_"):
            mean, sd, n = (table[f"{kind}{name}_{side}"] for name in ("mean", "sd", "n"))
            places, sd_places = decimals_of(mean), decimals_of(sd)
            with np.errstate(invalid="ignore"):
                usable = whole & (places <= MOST_DECIMALS) & (n % 1 == 0) & (n < 10.0**places)
            possible = grim(mean, n, decimals=places)
            mask = usable & ~possible
            why = [WHY.format(what="mean", n=n[i], value=mean[i], places=places[i]) for i in np.flatnonzero(mask)]
            found += hits(mask, "grim", f"{kind}mean_{side}", mean, why)
            mask = usable & possible & (sd_places <= MOST_DECIMALS)
            mask &= ~grimmer(mean, sd, n, decimals=places, sd_decimals=sd_places)
            why = [WHY.format(what="SD", n=n[i], value=sd[i], places=sd_places[i]) for i in np.flatnonzero(mask)]
            found += hits(mask, "grimmer", f"{kind}sd_{side}", sd, why)
    return found
