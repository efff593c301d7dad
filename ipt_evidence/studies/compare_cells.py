"""Cells of two versions of a table of trial results: when they are equal, and what it concerns when they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.studies.contract import CHANGES, COLUMN_OF, COUNTS, MEANS

ID = "comparison_id"
TRIAL = "trial_id"
OLD, NEW, MATCHED_BY = "old", "new", "matched_by"

Concerns = Literal["statistics", "selection", "description"]

STATISTICS = (
    *dict.fromkeys((*MEANS, *CHANGES, *COUNTS)),
    *(f"baseline_{what}_{arm}" for what in ("mean", "sd", "n") for arm in (1, 2)),
    *(
        "effect",
        "effect_se",
        "ci_low",
        "ci_high",
        "effect_measure",
        "favours_ipt_sign",
        "lower_is_better",
        "statistics",
    ),
)
NUMBERS = tuple(
    x for x in STATISTICS if x not in ("effect_measure", "favours_ipt_sign", "lower_is_better", "statistics")
)
RESULTS = tuple(x for x in NUMBERS if not x.startswith(("n_", "total_", "baseline_n_")))
"""Numbers that tell one row of a trial from another; those of participants are often the same in all of them."""
SELECTION = (
    *("trial_id", "condition", "contrast", "phase", "analysis_set", "population_group", "comparator_class"),
    *("comparator", "outcome", "instrument", "rating", "time", "time_weeks", "arm_1", "arm_2"),
)
CHANGED = ("trial_id", "study", "comparison_id", "column", "concerns", "old", "new", "old_row", "new_row", "matched_by")


def changed_cells(
    old: pd.DataFrame, new: pd.DataFrame, pairs: pd.DataFrame, columns: Sequence[Any], tolerance: float
) -> pd.DataFrame:
    """Return one row per cell that differs, in the order of the new table."""
    before, after = old.iloc[pairs[OLD]], new.iloc[pairs[NEW]]
    parts = []
    for place, name in enumerate(columns):
        was, now = before[name], after[name]
        at = np.flatnonzero(differs(was, now, tolerance))
        if not at.size:
            continue
        picked = {"old": was.iloc[at], "new": now.iloc[at]}
        part = pd.DataFrame({x: list(cells.astype(object)) for x, cells in picked.items()}, dtype=object)
        parts.append(part.assign(pair=at, column=str(name), concerns=_concerns(str(name)), place=place))
    empty = pd.DataFrame(columns=["old", "new", "pair", "column", "concerns", "place"])
    cells_changed = pd.concat(parts, ignore_index=True) if parts else empty
    at = cells_changed["pair"].to_numpy(dtype="int64")
    found = cells_changed.assign(
        trial_id=as_text(after[TRIAL]).to_numpy()[at],
        study=column_as_text(after, "study")[at],
        comparison_id=column_as_text(after, ID)[at],
        old_row=before.index.to_numpy()[at],
        new_row=after.index.to_numpy()[at],
        matched_by=pairs[MATCHED_BY].to_numpy()[at],
    )
    found = found[~_repeats(found)].sort_values(["pair", "place"], ignore_index=True)
    return found[[*CHANGED, "pair"]]


def _concerns(column: str) -> Concerns:
    """Return what a change in a column concerns."""
    return "statistics" if column in STATISTICS else "selection" if column in SELECTION else "description"


def _repeats(found: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which changes of further columns repeat that of a column of the contract in the same row."""
    texts = [as_text(found[what]).str.replace(",", ".", regex=False) for what in ("old", "new")]
    said = found["pair"].map(str) + "\x1f" + texts[0].map(plain_number) + "\x1f" + texts[1].map(plain_number)
    known = found["column"].isin(list(COLUMN_OF))
    return np.asarray(~known & said.isin(said[known]), dtype=bool)


def plain_number(text: str) -> str:
    """Return a number in one spelling; other text as it is."""
    try:
        return repr(float(text))
    except ValueError:
        return text


def comparable(cells: pd.Series) -> pd.Series[str]:
    """Return cells as text that is equal when they mean the same: 8 and ``"8.0"``, ``"BDI "`` and ``"bdi"``.

    Examples
    --------
    >>> comparable(pd.Series(["8.0", "8,0", "BDI ", None])).tolist()
    ['8.0', '8.0', 'bdi', '']
    """
    texts, numbers = _texts(cells), as_numbers(cells).tolist()
    same = [text.lower() if x != x else repr(x + 0.0) for text, x in zip(texts, numbers, strict=True)]
    return pd.Series(same, index=cells.index, name=cells.name, dtype=object)


def as_text(cells: pd.Series) -> pd.Series[str]:
    """Return cells as text without surrounding blanks; missing ones are empty."""
    return pd.Series(_texts(cells), index=cells.index, name=cells.name, dtype=str)


def _texts(cells: pd.Series) -> list[str]:
    """Return cells as text without surrounding blanks; missing ones are empty."""
    absent = cells.isna().tolist()
    return ["" if gone else str(cell).strip() for cell, gone in zip(cells.tolist(), absent, strict=True)]


def as_numbers(cells: pd.Series) -> pd.Series[float]:
    """Return cells as numbers, also with a decimal comma; what is no number is missing."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.astype("float64")
    points = np.array([text.replace(",", ".") for text in _texts(cells)], dtype=object)
    numbers = np.asarray(pd.to_numeric(points, errors="coerce"), dtype="float64")
    return pd.Series(numbers, index=cells.index, name=cells.name)


def differs(old: pd.Series, new: pd.Series, tolerance: float) -> npt.NDArray[np.bool_]:
    """Return which cells of two columns of equal length differ.

    Parameters
    ----------
    old, new : pandas.Series
        Cells of the same rows.
    tolerance : float
        Largest difference between numbers that is no change.

    Notes
    -----
    Empty is equal to empty, whatever stands for it. Columns that the row contract calls text are compared as text,
    others as numbers where both cells are one.
    """
    if all(pd.api.types.is_numeric_dtype(cells.dtype) for cells in (old, new)):
        different = np.asarray(~(old.isna().to_numpy() & new.isna().to_numpy()))
    else:
        different = np.array(
            [before != after for before, after in zip(_texts(old), _texts(new), strict=True)], dtype=bool
        )
    if not different.any():
        return different
    rule = COLUMN_OF.get(str(new.name))
    if rule is not None and rule.kind == "text":
        return different
    x, y = as_numbers(old).to_numpy(), as_numbers(new).to_numpy()
    with np.errstate(invalid="ignore"):
        equal = (x == y) | (np.abs(x - y) <= tolerance)
    return np.asarray(different & ~equal)


def counts_rows(cells: pd.Series) -> bool:
    """Return whether a column only numbers the rows of its file."""
    numbers = as_numbers(cells).to_numpy()
    return len(numbers) > 1 and any(np.array_equal(numbers, np.arange(len(numbers)) + start) for start in (0, 1))


def column_as_text(table: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """Return a column as text; empty where the table lacks it."""
    return as_text(table[name]).to_numpy() if name in table.columns else np.full(len(table), "", dtype=object)
