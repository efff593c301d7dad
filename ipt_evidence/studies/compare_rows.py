"""Find the same row in two versions of a table of trial results, and say which of its cells differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.studies.contract import COLUMN_OF

DESCRIBES = ("arm_1", "arm_2", "outcome", "instrument", "rating", "time", "time_weeks")
ARMS_AND_INSTRUMENT = ("arm_1", "arm_2", "instrument")
ID = "comparison_id"
TRIAL = "trial_id"
SEPARATOR = "\x1f"
OLD, NEW, MATCHED_BY = "old", "new", "matched_by"
Texts = dict[str, npt.NDArray[np.object_]]


def match_rows(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Pair the rows of two versions.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Tables with ``trial_id``.

    Returns
    -------
    pandas.DataFrame
        One row per pair: positions ``old`` and ``new`` counted from 0, ``matched_by``; in the order of the new table.

    Notes
    -----
    From the surest sign to the weakest, each step only among the rows that the steps before left over and only where
    the sign occurs once in either table: key and description of the row (arms, outcome, instrument, rating, time);
    description; key within the trial; arms and instrument; key alone (the trial was renamed). Rows with the same
    description in one trial are paired by their contents, then in their order.
    """
    pairs: list[pd.DataFrame] = []
    texts: tuple[Texts, Texts] = ({}, {})
    left, right = np.arange(len(old)), np.arange(len(new))
    for words, columns in _signs(old, new):
        unique = words != "same description, in order"
        sides = zip((old, new), texts, (left, right), strict=True)
        keys = [_keys(frame, known, columns, rows, unique=unique) for frame, known, rows in sides]
        found = keys[0].rename(OLD).reset_index().merge(keys[1].rename(NEW).reset_index(), on="key")
        pairs.append(found[[OLD, NEW]].assign(**{MATCHED_BY: words}))
        left, right = np.setdiff1d(left, found[OLD]), np.setdiff1d(right, found[NEW])
        if not left.size or not right.size:
            break
    together = pd.concat(pairs, ignore_index=True)
    return together.astype({OLD: "int64", NEW: "int64"}).sort_values(NEW, ignore_index=True)


def _signs(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """Yield how rows are recognised: in words, and the columns that must agree."""
    shared = [name for name in new.columns if name in old.columns]
    describes = [name for name in DESCRIBES if name in shared]
    has_id = ID in shared
    if has_id:
        yield "key and description", [ID, TRIAL, *describes]
    yield "description", [TRIAL, *describes]
    if has_id:
        yield "key", [ID, TRIAL]
    yield "all contents", [TRIAL, *[name for name in shared if name not in (ID, TRIAL)]]
    yield "same description, in order", [TRIAL, *describes]
    if set(ARMS_AND_INSTRUMENT) <= set(shared):
        yield "arms and instrument", [TRIAL, *ARMS_AND_INSTRUMENT]
    if has_id:
        yield "key, in another trial", [ID]


def _keys(
    frame: pd.DataFrame, known: Texts, columns: Sequence[str], rows: npt.NDArray[np.int64], *, unique: bool
) -> pd.Series[int]:
    """Return positions of rows by what the columns say; ambiguous ones are left out, or numbered in their order."""
    known.update({name: comparable(frame[name]).to_numpy(dtype=object) for name in columns if name not in known})
    parts = [known[name][rows] for name in columns]
    joined = np.array([SEPARATOR.join(cells) for cells in zip(*parts, strict=True)], dtype=object)
    usable = np.asarray(parts[0] != "", dtype=bool)
    keys = pd.Series(rows[usable], index=pd.Index(joined[usable], name="key", dtype=object))
    if unique:
        return keys[~keys.index.duplicated(keep=False)]
    place = keys.groupby(level=0).cumcount().astype(str).to_numpy(dtype=object)
    keys.index = pd.Index(keys.index.to_numpy(dtype=object) + SEPARATOR + place, name="key")
    return keys


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
