"""An effects table as pooling reads it: its columns, the cells that can be used, and which rows belong together."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.pooling.kernel import LARGEST_EFFECT, VARIANCE_RANGE, Array

FLOAT = np.dtype(float)


class Rows:
    """A table as pooling reads it: the names of its columns at hand, and each column looked up once.

    Looking up a column costs pandas ten times what pooling does with it in a table of the usual size.

    Attributes
    ----------
    frame : pandas.DataFrame
        The table, without its notes on where it comes from, which pandas copies at every look at a column.
    names : frozenset
        Of the columns.
    """

    __slots__ = ("_known", "frame", "names")

    def __init__(self, effects: pd.DataFrame) -> None:
        if not isinstance(effects, pd.DataFrame):
            kind = type(effects).__name__
            raise SchemaError(
                [Problem(f"expected a pandas DataFrame with the columns effect and variance, received {kind}")],
                "cannot pool this table",
            )
        self.frame = without_attrs(effects)
        self.names = frozenset(effects.columns.tolist())
        self._known: dict[str, pd.Series[Any]] = {}

    @classmethod
    def of(cls, effects: pd.DataFrame | Rows) -> Rows:
        """Return the rows of a table; rows stay as they are."""
        return effects if isinstance(effects, Rows) else cls(effects)

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.frame)

    def __getitem__(self, name: str) -> pd.Series[Any]:
        """Return a column."""
        if name not in self._known:
            self._known[name] = self.frame[name]
        return self._known[name]


def without_attrs(effects: pd.DataFrame) -> pd.DataFrame:
    """Return the table without its notes on where it comes from, which pandas copies at every look at a column."""
    if not effects.attrs:
        return effects
    plain = effects.copy(deep=False)
    plain.attrs = {}
    return plain


@lru_cache(maxsize=16)
def no_reasons(n: int) -> npt.NDArray[np.object_]:
    """Return the reasons of rows none of which is left out: empty, not to be written to."""
    return np.broadcast_to(np.array("", dtype=object), n)


def read_effects(effects: pd.DataFrame | Rows) -> tuple[Array, Array, npt.NDArray[np.object_]]:
    """Return effect and variance of each row, NaN where not usable, and the reason.

    Raises
    ------
    SchemaError
        A column is missing or not numeric, or a variance is zero, negative or infinite (every such row is named).
    """
    rows = Rows.of(effects)
    spread = _check_columns(rows)
    columns = {name: _numbers(rows[name], name) for name in ("effect", spread)}
    problems = [problem for _, found in columns.values() for problem in found]
    y, v = columns["effect"][0], columns[spread][0]
    if spread == "std_error":
        v = np.sign(v) * v**2
    why = no_reasons(y.size)
    if not problems and _all_usable(y, v):
        return y, v, why
    problems += _impossible_values(rows.frame, y, v, spread)
    if problems:
        raise SchemaError(sorted(problems, key=lambda x: x.row or 0), "cannot pool this table")
    unusable = np.isnan(y) | np.isnan(v)
    given = rows["why_not"].fillna("").astype(str).to_numpy(dtype=object) if "why_not" in rows.names else why
    lacking = np.where(np.isnan(y), "no effect", "no variance").astype(object)
    why = np.where(unusable, np.where(given != "", given, lacking), why)
    return np.where(unusable, np.nan, y), np.where(unusable, np.nan, v), why


def _all_usable(y: Array, v: Array) -> bool:
    """Return whether no cell is missing or impossible, so that nothing needs a closer look.

    `argmin` takes a third of the time of `min`, and finds a NaN too.
    """
    low, high = VARIANCE_RANGE
    if not y.size:
        return False
    known = low <= v[v.argmin()] and v[v.argmax()] <= high
    return bool(known and y[y.argmin()] >= -LARGEST_EFFECT and y[y.argmax()] <= LARGEST_EFFECT)


def _check_columns(rows: Rows) -> str:
    """Return the column that holds the uncertainty; raise when the table lacks a column."""
    if len(rows.names) < rows.frame.shape[1]:
        columns = rows.frame.columns
        twice = list(dict.fromkeys(columns[columns.duplicated()]))
        raise SchemaError(
            [Problem("the column appears more than once; keep one of them", column=str(name)) for name in twice],
            "cannot pool this table",
        )
    missing = [] if "effect" in rows.names else ["effect"]
    if "variance" not in rows.names and "std_error" not in rows.names:
        missing.append("variance (or std_error)")
    if missing:
        raise SchemaError(
            [Problem(f"no column {', '.join(missing)}; effect_sizes() makes them from a studies table")],
            "cannot pool this table",
        )
    return "variance" if "variance" in rows.names else "std_error"


def _numbers(column: pd.Series[Any], name: str) -> tuple[Array, list[Problem]]:
    """Return a column as floats, and a problem for each cell that is not a number."""
    if column.dtype == FLOAT:
        return column.to_numpy(), []
    if pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype):
        return np.full(len(column), np.nan), [Problem("expected numbers, the column holds dates", column=name)]
    try:
        return column.to_numpy(dtype=float, na_value=np.nan), []
    except (TypeError, ValueError):
        parsed = pd.to_numeric(column, errors="coerce")
        bad = np.flatnonzero((parsed.isna() & column.notna()).to_numpy())
        problems = [
            Problem("expected a number", row=i + 1, column=name, value=str(column.iloc[i])) for i in map(int, bad)
        ]
        problems = problems or [Problem(f"expected numbers, the column holds {column.dtype}", column=name)]
        return parsed.to_numpy(dtype=float, na_value=np.nan), problems


def _impossible_values(effects: pd.DataFrame, y: Array, v: Array, name: str) -> list[Problem]:
    """Return a problem for every variance (or standard error) that cannot be one, and every infinite effect.

    Variances so small or large that squared weights leave the range of numbers are refused too.
    """
    low, high = VARIANCE_RANGE
    bounds = f" (a variance from {low:g} to {high:g})"
    problems = [
        Problem(
            f"{_name_of_row(effects, i)}: expected a positive, finite {name}"
            f"{bounds if 0 < v[i] < np.inf else ''}; correct it or set it to missing",
            row=i + 1,
            column=name,
            value=str(effects[name].iloc[i]),
        )
        for i in map(int, np.flatnonzero((v < low) | (v > high)))
    ]
    return problems + [
        Problem(
            f"{_name_of_row(effects, i)}: expected a finite effect up to {LARGEST_EFFECT:g} in size",
            row=i + 1,
            column="effect",
            value=str(y[i]),
        )
        for i in map(int, np.flatnonzero(np.abs(y) > LARGEST_EFFECT))
    ]


def _name_of_row(effects: pd.DataFrame, i: int) -> str:
    for name in ("comparison_id", "study", "trial_id"):
        if name in effects.columns:
            return str(effects[name].iloc[i])
    return f"index {effects.index[i]}"


def trial_codes(effects: pd.DataFrame | Rows, used: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """Return an integer per row that is equal for rows of one trial; every row its own without a `trial_id`.

    Raises
    ------
    SchemaError
        Some rows in use have no `trial_id`: whether they share participants is then unknown.
    """
    rows = Rows.of(effects)
    if "trial_id" not in rows.names:
        return np.arange(len(rows))
    codes = _codes(rows["trial_id"])
    if codes.min(initial=0) >= 0:
        return codes
    unknown = codes < 0
    if (unknown & used).any():
        hint = "expected a trial_id; fill it in, or drop the column to take every row as a trial of its own"
        raise SchemaError(
            [Problem(hint, row=i + 1, column="trial_id") for i in map(int, np.flatnonzero(unknown & used))],
            "cannot tell which rows share participants",
        )
    codes[unknown] = codes.max(initial=-1) + 1 + np.arange(int(unknown.sum()))
    return codes


def comparison_codes(rows: Rows, trial: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return the trial of each row, the comparisons among which a shared arm was split being trials of their own.

    Parameters
    ----------
    rows : Rows
        Of an effects table; `split_1` and `split_2` of :func:`ipt_evidence.split_shared_control` say which those are.
    trial : numpy.ndarray
        From :func:`trial_codes`.
    """
    if rows.names.isdisjoint(("split_1", "split_2")):
        return trial
    divided = parts(rows, 1) * parts(rows, 2) > 1
    if not divided.any():
        return trial
    arms = zip(*(rows[name].astype(str) for name in ("arm_1", "arm_2")), strict=True)
    keys = [(t, *arm) if own else (t,) for t, arm, own in zip(trial.tolist(), arms, divided, strict=True)]
    number = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    return np.array([number[key] for key in keys], dtype=np.intp)


def parts(rows: Rows, side: int) -> Array:
    """Return among how many comparisons the arm on one side was divided; one where it was not."""
    name = f"split_{side}"
    return np.fmax(counts(rows[name]), 1.0) if name in rows.names else np.ones(len(rows))


def _codes(column: pd.Series[Any]) -> npt.NDArray[np.intp]:
    """Return an integer per distinct value in order of first appearance, -1 for a missing one.

    Texts are told apart by a set or a dictionary, which for tables of the usual size is much quicker than pandas.
    """
    values = column.to_numpy(dtype=object).tolist()
    if not _only_texts(values):
        return np.asarray(pd.factorize(column)[0], dtype=np.intp)
    if len(set(values)) == len(values):
        return np.arange(len(values))
    number = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return np.array([number[value] for value in values], dtype=np.intp)


def _only_texts(values: list[Any]) -> bool:
    """Return whether every value is a text, none missing; joining is the quickest way to ask."""
    try:
        "".join(values)
    except TypeError:
        return False
    return True


def distinct(column: pd.Series[Any], used: npt.NDArray[np.bool_] | None = None) -> list[Any]:
    """Return the different values of a column (among some rows), in order of first appearance."""
    values = column.to_numpy(dtype=object)
    found = (values if used is None else values[used]).tolist()
    return found[:1] if found and found.count(found[0]) == len(found) else list(dict.fromkeys(found))


def counts(column: pd.Series[Any]) -> Array:
    """Return a column of arm sizes as floats, NaN where there is no number."""
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return column.to_numpy().astype(float)
    return pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
