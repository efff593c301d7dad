"""Selections of trials as people write them in a declaration: columns with the values that stay, leave or limit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Select: TypeAlias = Mapping[str, tuple[str, ...]]
LIMITS = ("_from", "_to")
DEFAULT_SET = {"analysis_set": ("primary",)}
SHOWN = 12


def select_rows(studies: pd.DataFrame, select: Select) -> pd.DataFrame:
    """Return the rows that a selection names; `analysis_set` is ``"primary"`` unless the selection says otherwise.

    Parameters
    ----------
    studies : pandas.DataFrame
        Rows as in the shipped data.
    select : mapping of str to tuple of str
        Column to the values that stay; ``column_not`` to those that leave; ``column_from`` and ``column_to`` to limits
        of a number, both included. A missing number is within no limits.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial_id": ["a", "b", "c"], "year": [1999, 2010, 2011], "analysis_set": "primary"})
    >>> select_rows(table, {"year_to": ("2010",), "trial_id_not": ("a",)})["trial_id"].tolist()
    ['b']
    """
    return studies[select_mask(studies, select)]


def select_mask(studies: pd.DataFrame, select: Select) -> npt.NDArray[np.bool_]:
    """Return which rows :func:`select_rows` keeps, shape ``(rows,)``."""
    return mask_of(studies, {**DEFAULT_SET, **select})


def mask_of(studies: pd.DataFrame, select: Select) -> npt.NDArray[np.bool_]:
    """Return which rows a selection keeps as it stands, whatever their `analysis_set`, shape ``(rows,)``."""
    keep: npt.NDArray[np.bool_] = np.ones(len(studies), dtype=bool)
    for key, values in select.items():
        column, kind = _column(key, studies)
        cells = studies[column]
        if kind in LIMITS:
            limit = float(values[0])
            number = cells.to_numpy(dtype=float, na_value=np.nan)
            keep &= number >= limit if kind == "_from" else number <= limit
        else:
            there = cells.astype(str).isin(values).to_numpy()
            keep &= ~there if kind == "_not" else there
    return keep


def problems_of(studies: pd.DataFrame, select: Select) -> list[str]:
    """Return what is wrong with a selection: columns that do not exist, values that no row has, limits of no number."""
    found = []
    for key, values in select.items():
        column, kind = _column(key, studies)
        if column not in studies.columns:
            found.append(f"select has {key!r}, and the data have no such column")
        elif kind in LIMITS:
            found += _limit_problems(studies, key, column, values)
        else:
            there = list(dict.fromkeys(studies[column].astype(str)))
            missing = [value for value in values if value not in there]
            if missing:
                shown = ", ".join(repr(value) for value in there[:SHOWN]) + (", ..." if len(there) > SHOWN else "")
                found.append(f"no row has {column} {', '.join(map(repr, missing))}; there are {shown}")
    return found


def in_words(select: Select) -> str:
    """Return a selection as one line of text."""
    words = {"_not": "not ", "_from": "at least ", "_to": "at most "}
    parts = []
    for key, values in select.items():
        kind = next((ending for ending in words if key.endswith(ending)), "")
        parts.append(f"{key.removesuffix(kind)}: {words.get(kind, '')}{' or '.join(values)}")
    return "; ".join(parts)


def _column(key: str, studies: pd.DataFrame) -> tuple[str, str]:
    """Return the column a key is about, and what its values do."""
    if key not in studies.columns:
        for ending in ("_not", *LIMITS):
            if key.endswith(ending):
                return key.removesuffix(ending), ending
    return key, ""


def _limit_problems(studies: pd.DataFrame, key: str, column: str, values: tuple[str, ...]) -> list[str]:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(studies[column]):
        return [f"{key!r} limits a number, and {column} holds text"]
    if len(values) == 1 and is_number(values[0]):
        return []
    return [f"{key!r} needs one number; received {', '.join(values)}"]


def is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
