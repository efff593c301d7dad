"""Standard deviations of instruments after treatment in the control arms of the shipped trials."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

CONTROL_SD_SOURCE = "pooled within the control arms of the shipped trials of depression, after treatment"
LONGER_VERSIONS = "24|25|28|29|31"


def control_sds(studies: pd.DataFrame | None = None) -> pd.DataFrame:
    """Pool the standard deviation of each depression instrument within control arms after treatment.

    Parameters
    ----------
    studies : pandas.DataFrame, optional
        Rows as in the shipped data, which are the default.

    Returns
    -------
    pandas.DataFrame
        One row per instrument family: `instrument sd k n trials`, most people first. `sd` is
        ``sqrt(sum((n - 1) sd^2) / sum(n - 1))``, `k` and `n` the trials and people behind it, `trials` their names.

    Notes
    -----
    Counted are arms 2 of primary and sensitivity rows: acute comparisons of depression with a control, after treatment,
    one per trial and instrument; trials flagged ``"se_as_sd"`` and versions of the HAM-D with more than 21 items are
    not. People in control arms are less alike than at admission, so these SDs are larger than baseline SDs. The table
    of the shipped trials is computed once per session; each call returns a copy of its own.

    Examples
    --------
    >>> sds = control_sds().set_index("instrument")
    >>> sds.loc[["BDI", "HAM-D"], ["sd", "k", "n"]].round(1).astype(object).to_numpy().tolist()
    [[10.3, 8, 217], [8.0, 11, 379]]
    """
    return _shipped_sds().copy() if studies is None else _pooled_sds(studies)


@cache
def _shipped_sds() -> pd.DataFrame:
    """Return the table of the shipped trials, made once; who hands it on hands on a copy."""
    from ipt_evidence.sources.registry import load_dataset

    return _pooled_sds(load_dataset("ipt", analysis_set=None))


def _pooled_sds(rows: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    from ipt_evidence.studies.quality import without_flagged

    arms = rows[
        (rows["condition"] == "depression")
        & (rows["phase"] == "acute")
        & (rows["comparator_class"] == "control")
        & (rows["time"] == "post")
        & rows["analysis_set"].isin(["primary", "sensitivity"])
        & ~rows["instrument"].astype(str).str.contains(LONGER_VERSIONS, na=False)
        & (rows["sd_2"] > 0)
        & (rows["n_2"] > 1)
    ]
    arms = without_flagged(arms, flags="se_as_sd").drop_duplicates(["trial_id", "instrument_family"])
    found = []
    for name, group in arms.groupby("instrument_family", sort=False):
        df = group["n_2"].to_numpy(dtype=float) - 1
        sd = float(np.sqrt((df * group["sd_2"].to_numpy(dtype=float) ** 2).sum() / df.sum()))
        people, trials = int(group["n_2"].sum()), "; ".join(group["study"].astype(str))
        found.append({"instrument": str(name), "sd": sd, "k": len(group), "n": people, "trials": trials})
    table = pd.DataFrame(found, columns=["instrument", "sd", "k", "n", "trials"])
    return table.sort_values("n", ascending=False, kind="stable", ignore_index=True)
