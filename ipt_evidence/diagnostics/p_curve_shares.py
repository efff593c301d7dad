"""How significant p-values are spread over five bands: as observed, and as tests of a given power let expect."""

from __future__ import annotations

import numpy as np

from ipt_evidence.diagnostics.excess_significance import power_of
from ipt_evidence.diagnostics.inputs import Array
from ipt_evidence.diagnostics.p_curve import ALPHA, PCurve

BINS = 5


def observed_shares(result: PCurve) -> Array:
    """Return the share of the significant results in each of five bands of p-values up to 0.05."""
    table = result.table
    p = table.loc[table["significant"].to_numpy(dtype=bool), "p_value"].to_numpy(dtype=float)
    band = np.clip(np.ceil(p / ALPHA * BINS).astype(int) - 1, 0, BINS - 1)
    return np.asarray(np.bincount(band, minlength=BINS) / p.size)


def expected_shares(power: float) -> Array:
    """Return the share in each band that tests of a given power have.

    Examples
    --------
    >>> [round(100 * float(x)) for x in expected_shares(1 / 3)]
    [44, 20, 14, 12, 10]
    """
    from scipy.optimize import brentq

    shift = float(brentq(lambda d: float(power_of(d, np.ones(1), ALPHA)[0]) - power, 0.0, 40.0, xtol=1e-12))
    below = [float(power_of(shift, np.ones(1), ALPHA * i / BINS)[0]) for i in range(1, BINS + 1)]
    return np.asarray(np.diff([0.0, *below]) / below[-1])
