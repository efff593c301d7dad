"""Split the arm that several comparisons of a trial share."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.options import choose
from ipt_evidence.studies.arms_table import SIDES, ArmTable, read_arms

Rounding = Literal["none", "down"]
Within = Literal["contrast", "trial"]
DIVIDED = ("n", "events", "total", "baseline_n", "n_randomised")
PRINTED_EFFECT = "its printed effect and standard error hold the whole shared arm: fill in raw statistics to split it"
TOO_SMALL = "the shared arm is too small: a part would have {:.3g} participants, at least {} needed"


def split_shared_control(
    frame: pd.DataFrame, *, rounding: Rounding = "none", within: Within = "contrast"
) -> pd.DataFrame:
    """Divide a shared arm among the comparisons that share it, so that nobody is counted twice.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies, before :func:`effect_sizes`.
    rounding : {"none", "down"}
        ``"none"``: 41 participants shared by two comparisons are 20.5 in each, so that none is lost; effect sizes take
        fractions, but :func:`validate_studies` and exact models of counts do not. ``"down"``: 20 in each, as RevMan
        does.
    within : {"contrast", "trial"}
        Whether an arm is divided among the comparisons of one contrast, which are pooled together, or among all of the
        trial; ``"trial"`` is for a pool over several contrasts.

    Returns
    -------
    pandas.DataFrame
        The same rows with smaller ``n``, ``events``, ``total`` (and ``baseline_n``, ``n_randomised``) of shared arms;
        means and SDs stay. Added columns: ``split_1`` and ``split_2`` (into how many parts the arm was divided, 1 for
        not at all) and ``why_not_split``.

    Raises
    ------
    OptionError
        An option is not among its choices, or `frame` is not a DataFrame.
    SchemaError
        Columns are missing, cells hold no number, or the table has effects already.

    Notes
    -----
    Cochrane Handbook [1]_, 23.3.4: it "only partially overcomes the unit-of-analysis error, because the resulting
    comparisons remain correlated"; combining the arms, or carrying the covariance (:func:`sampling_covariance`), does
    so fully. An arm is divided by the number of arms it is compared with for one outcome, instrument, time and
    analysis set, counting rows with statistics only. It may be on either side: a shared IPT arm is divided as well.

    References
    ----------
    .. [1] Higgins JPT, Eldridge S, Li T. Including variants on randomized trials. Cochrane Handbook for Systematic
       Reviews of Interventions, version 6.5, chapter 23, 2024, www.cochrane.org/handbook

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"trial_id": "t", "arm_1": ["ipt", "cbt"], "arm_2": "waitlist", "mean_1": [10.0, 11.0],
    ...                      "sd_1": 4.0, "n_1": 30, "mean_2": 16.0, "sd_2": 5.0, "n_2": 41})
    >>> split_shared_control(rows)[["arm_1", "n_1", "n_2", "split_2"]]
      arm_1  n_1   n_2  split_2
    0   ipt   30  20.5        2
    1   cbt   30  20.5        2
    """
    choose("rounding", rounding, Rounding)
    choose("within", within, Within)
    table = read_arms(frame if within == "contrast" else frame.drop(columns="contrast", errors="ignore"))
    parts = [_parts(table, side) for side in SIDES]
    reasons = _reasons(table, parts)
    result = frame.copy()
    for side, part in zip(SIDES, parts, strict=True):
        part[reasons != ""] = 1
        for name in DIVIDED:
            column = f"{name}_{side}"
            if column in frame.columns and (part > 1).any():
                new = table.numbers[column] / part
                result[column] = np.where((part > 1) & (rounding == "down"), np.floor(new), new)
    result["split_1"], result["split_2"] = parts
    result["why_not_split"] = reasons.astype(str)
    return result


def _parts(table: ArmTable, side: int) -> npt.NDArray[np.int64]:
    """Return for each row with how many arms its arm on one side is compared, at least 1."""
    n = len(table.question)
    usable = np.tile(table.route != "none", 2)
    links = pd.DataFrame(
        {
            "question": np.tile(table.question, 2),
            "arm": np.concatenate([table.keys["arm_1"], table.keys["arm_2"]]),
            "other": np.concatenate([table.keys["arm_2"], table.keys["arm_1"]]),
        }
    )
    links.loc[~usable | (links["arm"] == "") | (links["other"] == ""), "other"] = None
    count = links.groupby(["question", "arm"], sort=False)["other"].transform("nunique").to_numpy()
    count = np.asarray(np.where(links["other"].isna(), 1, count), dtype=np.int64)
    part: npt.NDArray[np.int64] = count[:n] if side == 1 else count[n:]
    return np.maximum(part, 1)


def _reasons(table: ArmTable, parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.object_]:
    """Return why the shared arms of a row were not divided; empty for rows that share none."""
    shared = np.maximum(*parts) > 1
    reasons = np.full(len(shared), "", dtype=object)
    reasons[shared & (table.route == "effect_with_uncertainty")] = PRINTED_EFFECT
    for side, part in zip(SIDES, parts, strict=True):
        events = table.kind == "events"
        size = np.where(events, table.numbers[f"total_{side}"], table.numbers[f"n_{side}"]) / part
        for at in np.flatnonzero((part > 1) & (size < np.where(events, 1, 2)) & (reasons == "")):
            reasons[at] = TOO_SMALL.format(size[at], "1 is" if events[at] else "2 are")
    return reasons
