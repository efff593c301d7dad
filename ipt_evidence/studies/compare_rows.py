"""Find the same row in two versions of a table of trial results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.studies.compare_cells import (
    ID,
    MATCHED_BY,
    NEW,
    NUMBERS,
    OLD,
    RESULTS,
    TRIAL,
    as_numbers,
    as_text,
    comparable,
)

DESCRIBES = ("arm_1", "arm_2", "outcome", "instrument", "rating", "time", "time_weeks")
SEPARATOR = "\x1f"
FEWEST_EQUAL, FEWEST_COMPARED = 2, 3
"""Numbers that must be there to recognise a row when all of them are equal, and results when most of them are."""
Rows = list[int]
Floats = npt.NDArray[np.float64]
Allowed = npt.NDArray[np.bool_]


class Sign(NamedTuple):
    """How rows are recognised.

    Attributes
    ----------
    words : str
        What agrees.
    columns : list of str
        Columns that must agree; where the first is empty in a row, the row has no such sign.
    may_be_same : callable
        Takes rows of the old and of the new table that agree in these columns and returns which may be one row, shape
        ``(old, new)``. Only a row that may be just one other is paired.
    """

    words: str
    columns: list[str]
    may_be_same: Callable[[Rows, Rows], Allowed]


def match_rows(old: pd.DataFrame, new: pd.DataFrame, compared: Sequence[Any], tolerance: float) -> pd.DataFrame:
    """Pair the rows of two versions.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Tables with ``trial_id``.
    compared : sequence of str
        Columns of both tables whose changes count.
    tolerance : float
        Largest difference between two numbers that is no change.

    Returns
    -------
    pandas.DataFrame
        One row per pair: positions ``old`` and ``new`` counted from 0, ``matched_by``; in the order of the new table.

    Notes
    -----
    From the surest sign to the weakest, each only among the rows that the signs before left over, and only where one
    row of either table comes into question. Key and description of a row (arms, outcome, instrument, rating, time) are
    believed together; either alone only as long as the results do not speak against it, since keys may number the rows
    and descriptions may be shared by several. Rows of other words than before are recognised by their results.
    """
    left, right = list(range(len(old))), list(range(len(new)))
    texts = (_Texts(old), _Texts(new))
    pairs: list[tuple[int, int, str]] = []
    for sign in _signs(old, new, compared, tolerance):
        before, after = texts[0].groups(sign.columns, left), texts[1].groups(sign.columns, right)
        found = [
            pair for key, rows in before.items() if key in after for pair in _paired(rows, after[key], sign.may_be_same)
        ]
        pairs += [(*pair, sign.words) for pair in found]
        left = sorted(set(left).difference(row for row, _ in found))
        right = sorted(set(right).difference(row for _, row in found))
        if not left or not right:
            break
    table = pd.DataFrame(pairs, columns=[OLD, NEW, MATCHED_BY])
    return table.astype({OLD: "int64", NEW: "int64"}).sort_values(NEW, ignore_index=True)


def cannot_be_told_apart(dropped: pd.DataFrame, added: pd.DataFrame) -> tuple[str, ...]:
    """Return the trials that have a row on both sides with the same description."""
    columns = [TRIAL, *(name for name in DESCRIBES if name in dropped and name in added)]
    before, after = (_Texts(table).groups(columns, list(range(len(table)))) for table in (dropped, added))
    rows = [position for key, positions in after.items() if key in before for position in positions]
    return tuple(dict.fromkeys(as_text(added[TRIAL].iloc[sorted(rows)])))


def _signs(old: pd.DataFrame, new: pd.DataFrame, compared: Sequence[Any], tolerance: float) -> Iterator[Sign]:
    """Yield how rows are recognised, from the surest sign to the weakest."""
    shared = [name for name in new.columns if name in old.columns]
    describes = [name for name in DESCRIBES if name in shared]
    contents = [name for name in compared if name not in (ID, TRIAL)]
    numbers = [name for name in NUMBERS if name in shared]
    of_row, of_other = (_numbers(table, numbers) for table in (old, new))
    is_result = np.isin(numbers, RESULTS)
    share = _share_that_agrees(of_row[:, is_result], of_other[:, is_result], tolerance)

    def not_contradicted(rows: Rows, others: Rows) -> Allowed:
        return np.asarray(~(share(rows, others) < 0.5))

    def mostly_equal(rows: Rows, others: Rows, fewest: int = 1) -> Allowed:
        return np.asarray(share(rows, others, fewest) > 0.5)

    def mostly_equal_or_without(rows: Rows, others: Rows) -> Allowed:
        return np.asarray(~(share(rows, others) <= 0.5))

    def fingerprint(rows: Rows, others: Rows) -> Allowed:
        enough = (~np.isnan(of_row[rows])).sum(axis=1, keepdims=True) >= FEWEST_EQUAL
        return np.asarray((share(rows, others) == 1) & enough)

    with_key = ID in shared
    if with_key:
        yield Sign("key and description", [TRIAL, *describes], _only_with_the_same(old[ID], new[ID]))
        yield Sign("key and all contents", [ID, TRIAL, *contents], _in_order)
    else:
        yield Sign("description", [TRIAL, *describes], _only)
    yield Sign("all contents", [TRIAL, *contents], _in_order)
    if with_key:
        yield Sign("key and description", [ID, TRIAL, *describes], not_contradicted)
    yield Sign("description", [TRIAL, *describes], not_contradicted)
    yield Sign("numbers", [TRIAL, *numbers], fingerprint)
    if with_key:
        yield Sign("key", [ID, TRIAL], mostly_equal_or_without)
    yield Sign("most numbers", [TRIAL], partial(mostly_equal, fewest=FEWEST_COMPARED))
    if with_key:
        yield Sign("key, in another trial", [ID], partial(mostly_equal, fewest=FEWEST_EQUAL))


def _in_order(rows: Rows, others: Rows) -> Allowed:
    """Pair rows in their order, as nothing that is compared differs between them."""
    return np.eye(len(rows), len(others), dtype=bool)


def _only(rows: Rows, others: Rows) -> Allowed:
    """Pair a row with another if both are the only ones."""
    return np.full((len(rows), len(others)), len(rows) == len(others) == 1)


def _only_with_the_same(keys: pd.Series, other_keys: pd.Series) -> Callable[[Rows, Rows], Allowed]:
    """Return the rule that pairs the only row with the only other if both have the same key."""
    old, new = (comparable(cells).to_numpy(dtype=object) for cells in (keys, other_keys))

    def rule(rows: Rows, others: Rows) -> Allowed:
        same = old[rows[0]] == new[others[0]] != ""
        return np.asarray(_only(rows, others) & same)

    return rule


def _numbers(table: pd.DataFrame, columns: Sequence[str]) -> Floats:
    """Return the numbers of a table, shape ``(rows, columns)``."""
    return np.array([as_numbers(table[name]).to_numpy() for name in columns]).reshape(len(columns), len(table)).T


def _share_that_agrees(old: Floats, new: Floats, tolerance: float) -> Callable[..., Floats]:
    """Return a function of rows of either table: the share of their results that agree, shape ``(old, new)``.

    Zero where they have fewer results in common than asked for (one), NaN where one of them has no result at all.
    """

    def share(rows: Rows, others: Rows, fewest: int = 1) -> Floats:
        both, equal = np.zeros((2, len(rows), len(others)))
        for x, y in zip(old[rows].T[:, :, None], new[others].T[:, None, :], strict=True):
            both += ~(np.isnan(x) | np.isnan(y))
            with np.errstate(invalid="ignore"):
                equal += (x == y) | (np.abs(x - y) <= tolerance)
        without = np.isnan(old[rows]).all(axis=1, keepdims=True) | np.isnan(new[others]).all(axis=1)
        return np.where(without, np.nan, np.where(both >= fewest, equal / np.maximum(both, 1), 0.0))

    return share


class _Texts:
    """The cells of a table as text to compare, each column made once."""

    def __init__(self, table: pd.DataFrame) -> None:
        self._table = table
        self._known: dict[Any, list[str]] = {}

    def groups(self, columns: Sequence[Any], rows: Rows) -> dict[str, Rows]:
        """Return rows by what the columns say, those without an entry in the first column left out."""
        for name in columns:
            if name not in self._known:
                self._known[name] = comparable(self._table[name]).tolist()
        cells = [self._known[name] for name in columns]
        found: dict[str, Rows] = {}
        for row in rows:
            if cells[0][row]:
                found.setdefault(SEPARATOR.join([column[row] for column in cells]), []).append(row)
        return found


def _paired(rows: Rows, others: Rows, may_be_same: Callable[[Rows, Rows], Allowed]) -> list[tuple[int, int]]:
    """Return the pairs of rows that come into question for each other alone."""
    allowed = may_be_same(rows, others)
    allowed &= (allowed.sum(axis=1, keepdims=True) == 1) & (allowed.sum(axis=0, keepdims=True) == 1)
    return [(rows[i], others[j]) for i, j in np.argwhere(allowed).tolist()]
