"""Combine the arms of a trial that are compared with one other arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.options import choose
from ipt_evidence.studies.arms_table import ARM_NUMBERS, BASELINE, PRINTED, RAW, ArmTable, read_arms
from ipt_evidence.studies.contract import COLUMN_OF

Side = Literal["auto", "arm_1", "arm_2"]
NO_RAW = "only raw statistics can be combined; this row offers {}"
OTHER_KIND = "its statistics ({}) are of another kind than those of the comparison it shares an arm with"
OTHER_NUMBERS = "the shared arm has other numbers in {}: the rows are not of the same participants"
TWICE = "the same two arms occur twice ({}): keep one of these rows first"
NO_SINGLE = "no single arm is shared by all comparisons ({}): choose side='arm_1' or side='arm_2'"
SURENESS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows (positions) to become one, the side (1 or 2) that is combined, and the kind of their statistics."""

    rows: npt.NDArray[np.intp]
    side: int
    kind: str


def combine_arms(frame: pd.DataFrame, *, side: Side = "auto") -> pd.DataFrame:
    """Combine arms that are compared with the same other arm, so that nobody is counted twice.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies, before :func:`effect_sizes`.
    side : {"auto", "arm_1", "arm_2"}
        The side whose arms are combined; ``"auto"``: the side on which the comparisons differ.

    Returns
    -------
    pandas.DataFrame
        The rows of `frame` in their order; comparisons of one trial and contrast that share an arm and measure the same
        outcome with the same instrument at the same time are one row, at the place of the first. Added columns:
        ``combined_from`` (the comparison_ids behind a combined row, else empty) and ``why_not_combined`` (why a row
        that shares an arm was left as it is, else empty).

    Raises
    ------
    OptionError
        `side` is not among its choices, or `frame` is not a DataFrame.
    SchemaError
        Columns are missing, cells hold no number, or the table has effects already.

    Notes
    -----
    Means and SDs by the formulas of the Cochrane Handbook [1]_, 6.5.2.10, taken over all arms at once: they are the
    mean and SD of the participants pooled; events, totals and ``n_randomised`` are added; baselines and change scores
    like means, and empty unless every arm has them. Printed effects belong to single comparisons and are emptied. Texts
    that differ are joined by semicolons, other cells that differ are emptied, `confidence` is the lowest.
    Only complete raw statistics of one kind are combined, and only when the shared arm has the same numbers in all
    rows; different outcomes, instruments, times, contrasts and analysis sets never.

    References
    ----------
    .. [1] Higgins JPT, Li T, Deeks JJ. Choosing effect measures and computing estimates of effect. Cochrane Handbook
       for Systematic Reviews of Interventions, version 6.5, chapter 6, 2024, www.cochrane.org/handbook

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"comparison_id": ["a", "b"], "trial_id": "t", "arm_1": "ipt", "mean_1": 10.0, "sd_1": 4.0,
    ...                      "n_1": 30, "arm_2": ["cbt", "waitlist"], "mean_2": [12.0, 16.0], "sd_2": 4.0, "n_2": 20})
    >>> row = combine_arms(rows).iloc[0]
    >>> row["comparison_id"], row["arm_2"], float(row["mean_2"]), float(row["sd_2"].round(3)), float(row["n_2"])
    ('a+b', 'cbt; waitlist', 14.0, 4.438, 40.0)
    """
    choose("side", side, Side)
    table = read_arms(frame)
    reasons = np.full(len(frame), "", dtype=object)
    groups: list[_Group] = []
    for rows in multi_arm_rows(table):
        groups += _groups(table, rows, side, reasons)
    result = frame.copy()
    result["combined_from"] = ""
    result["why_not_combined"] = reasons.astype(str)
    for name, cells in _new_cells(result, table, groups).items():
        result[name] = _with_cells(result[name], [group.rows[0] for group in groups], cells)
    gone = [at for group in groups for at in group.rows[1:]]
    return result.iloc[np.setdiff1d(np.arange(len(frame)), gone)].copy()


def combined_mean_sd(mean: npt.ArrayLike, sd: npt.ArrayLike, n: npt.ArrayLike) -> tuple[float, float, float]:
    """Return mean, SD and number of participants of groups taken together.

    Parameters
    ----------
    mean, sd, n : array_like
        One value per group; an SD of a group of one does not count.

    References
    ----------
    Cochrane Handbook for Systematic Reviews of Interventions, version 6.5, section 6.5.2.10.

    Examples
    --------
    >>> mean, sd, n = combined_mean_sd([12, 16], [4, 4], [20, 20])
    >>> mean, round(sd, 4), n
    (14.0, 4.4376, 40.0)
    """
    m, s, k = (np.asarray(values, dtype=np.float64) for values in (mean, sd, n))
    total = float(k.sum())
    centre = float((k * m).sum() / total)
    squares = float(((k - 1) * s**2).sum() + (k * (m - centre) ** 2).sum())
    return centre, float(np.sqrt(squares / (total - 1))), total


def multi_arm_rows(table: ArmTable) -> list[npt.NDArray[np.intp]]:
    """Return the rows that answer one question in one trial and have an arm in common with another of them."""
    links = pd.DataFrame(
        {
            "question": np.tile(table.question, 2),
            "arm": np.concatenate([table.keys["arm_1"], table.keys["arm_2"]]),
            "other": np.concatenate([table.keys["arm_2"], table.keys["arm_1"]]),
        }
    )
    partners = links.groupby(["question", "arm"], sort=False)["other"].transform("nunique").to_numpy() > 1
    partners &= (links["arm"] != "").to_numpy() & (links["other"] != "").to_numpy()
    n = len(table.question)
    rows = np.flatnonzero(partners[:n] | partners[n:])
    order = pd.Series(table.question[rows]).groupby(table.question[rows], sort=False).indices
    return [rows[np.sort(at)] for at in order.values()]


def _groups(table: ArmTable, rows: npt.NDArray[np.intp], side: Side, reasons: npt.NDArray[np.object_]) -> list[_Group]:
    """Return what can be combined among rows that answer one question, and enter why the others cannot."""
    arms = table.keys.to_numpy(dtype=object)[rows]
    if side == "auto":
        single = [s for s in (0, 1) if len(set(arms[:, s])) == 1]
        if not single:
            reasons[rows] = NO_SINGLE.format(", ".join(table.ids[rows]))
            return []
        shared = single[0]
    else:
        shared = 1 if side == "arm_1" else 0
    found = []
    for arm in dict.fromkeys(arms[:, shared]):
        at = rows[arms[:, shared] == arm]
        others = table.keys.iloc[at, 1 - shared]
        if others.nunique() > 1:
            found += _checked(table, at, shared + 1, reasons)
    return found


def _checked(
    table: ArmTable, rows: npt.NDArray[np.intp], shared: int, reasons: npt.NDArray[np.object_]
) -> list[_Group]:
    """Return the group that rows with one shared arm make, if they can be combined."""
    raw = rows[table.kind[rows] != ""]
    for at in rows[table.kind[rows] == ""]:
        reasons[at] = NO_RAW.format(str(table.route[at]).replace("none", "no statistics"))
    found = []
    kinds = list(dict.fromkeys(table.kind[raw]))
    for kind in kinds:
        at = raw[table.kind[raw] == kind]
        if len(at) == 1:
            reasons[at] = OTHER_KIND.format(kind) if len(raw) > 1 else "no other row with raw statistics shares its arm"
        elif reason := _obstacle(table, at, shared, kind):
            reasons[at] = reason
        else:
            found.append(_Group(at, 3 - shared, kind))
    return found


def _obstacle(table: ArmTable, rows: npt.NDArray[np.intp], shared: int, kind: str) -> str:
    """Return why rows of one kind cannot be combined; empty when they can."""
    others = table.keys.iloc[rows, 2 - shared]
    if others.duplicated().any():
        return TWICE.format(", ".join(table.ids[rows[others.duplicated(keep=False).to_numpy()]]))
    values = np.array([table.numbers[f"{name}_{shared}"][rows] for name in RAW[kind]])
    differ = (values != values[:, :1]).any(axis=0)
    return OTHER_NUMBERS.format(", ".join(table.ids[rows])) if differ.any() else ""


def _new_cells(frame: pd.DataFrame, table: ArmTable, groups: Sequence[_Group]) -> dict[str, list[Any]]:
    """Return for each column the cells of the combined rows."""
    if not groups:
        return {}
    cells = {str(name): _common_cells(frame[name], groups) for name in frame.columns}
    for at, group in enumerate(groups):
        for name, value in _arm_cells(table, group).items():
            if name in cells:
                cells[name][at] = value
        ids = list(table.ids[group.rows])
        cells["combined_from"][at] = "; ".join(ids)
        new = {"comparison_id": "+".join(ids), "statistics": group.kind, "why_not_combined": ""}
        for name, text in new.items():
            if name in cells:
                cells[name][at] = text
    if "comparison_id" in cells:
        cells["comparison_id"] = _unique(cells["comparison_id"], taken=set(table.ids))
    return cells


def _arm_cells(table: ArmTable, group: _Group) -> dict[str, float]:
    """Return the numbers of the combined arm; the printed effects of its comparisons are gone."""
    side, numbers = group.side, {name: table.numbers[f"{name}_{group.side}"][group.rows] for name in ARM_NUMBERS}
    new = {name: float(numbers[name].sum()) for name in ("events", "total", "n", "n_randomised", "baseline_n")}
    for mean, sd, n in (RAW["arm_means"], RAW["change_scores"], BASELINE):
        size = numbers[n] if not np.isnan(numbers[n]).any() else numbers["n"]
        new[mean], new[sd], _ = combined_mean_sd(numbers[mean], numbers[sd], size)
    return {f"{name}_{side}": value for name, value in new.items()} | dict.fromkeys(PRINTED, float("nan"))


def _common_cells(column: pd.Series, groups: Sequence[_Group]) -> list[Any]:
    """Return for each group what its cells of a column have in common, or how they are joined."""
    codes = pd.factorize(column, use_na_sentinel=False)[0]
    same = [bool((codes[group.rows] == codes[group.rows[0]]).all()) for group in groups]
    first = column.iloc[[int(group.rows[0]) for group in groups]].tolist()
    return [
        cell if agree else _agreed(column.iloc[group.rows], str(column.name))
        for cell, agree, group in zip(first, same, groups, strict=True)
    ]


def _agreed(cells: pd.Series, name: str) -> Any:
    """Return what the cells of a column have in common, or how they are joined."""
    filled = cells[cells.notna() & (cells.astype(str) != "")]
    different = list(dict.fromkeys(filled))
    text = not (pd.api.types.is_numeric_dtype(cells.dtype) or pd.api.types.is_bool_dtype(cells.dtype))
    if not text:
        return different[0] if len(different) == 1 else float("nan")
    if name == "confidence":
        known = [word for word in SURENESS if word in different]
        return known[0] if known else ""
    rule = COLUMN_OF.get(name)
    if rule is not None and (rule.choices or rule.kind != "text"):
        return "" if len(different) != 1 else different[0]
    return "; ".join(map(str, different))


def _unique(ids: list[Any], *, taken: set[str]) -> list[Any]:
    """Return ids of which none occurs twice or is taken."""
    used = set(taken)
    for at, name in enumerate(ids):
        number, new = 2, name
        while new in used:
            new, number = f"{name} ({number})", number + 1
        ids[at] = new
        used.add(new)
    return ids


def _with_cells(column: pd.Series, rows: list[int], cells: list[Any]) -> pd.Series:
    """Return a column with new cells; whole numbers become floats where a cell is empty or a fraction."""
    old = column.iloc[rows].tolist()
    if all(a is b or (a is not pd.NA and a == b) for a, b in zip(old, cells, strict=True)):
        return column
    if pd.api.types.is_numeric_dtype(column.dtype):
        column = column.astype("float64")
    elif isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    else:
        column = column.copy()
    new: Any = pd.Series(cells, dtype=column.dtype).to_numpy()
    column.iloc[rows] = new
    return column
