"""The table of studies behind a fit: which rows of the data each pooled effect stands for, and who was left out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri

from ipt_evidence.pooling.effect_rows import without_attrs
from ipt_evidence.pooling.moments import Array
from ipt_evidence.pooling.units import SIZE_COLUMNS, Units

LABEL_COLUMNS = ("study", "author", "year", "trial_id")
COPIES_ON_WRITE = int(pd.__version__.split(".")[0]) >= 3


@dataclass(slots=True)
class StudiesSource:
    """What the table of studies is made from; it is made when first asked for, since most fits never are.

    Attributes
    ----------
    effects : pandas.DataFrame
        The rows as they were when the fit was made.
    units : Units
        Which rows were pooled into what.
    level : float
        Confidence level of the intervals in the table.
    weights : dict of str to numpy.ndarray
        Columns of weights in percent, shape ``(k,)``.
    """

    effects: pd.DataFrame
    units: Units
    level: float
    weights: dict[str, Array]
    _table: pd.DataFrame | None = field(default=None, repr=False)

    @classmethod
    def of(cls, effects: pd.DataFrame, units: Units, level: float, **weights: Array) -> StudiesSource:
        """Return a source that later changes of the caller's table do not reach."""
        return cls(effects.copy(deep=not COPIES_ON_WRITE), units, level, weights)

    def table(self) -> pd.DataFrame:
        """Return the table of studies, one row per unit pooled or left out."""
        if self._table is None:
            table = studies_table(self.effects, self.units, self.level)
            included = table["included"].to_numpy(dtype=bool)
            for name, values in self.weights.items():
                column = np.full(len(table), np.nan)
                column[included] = values
                table[name] = column
            self._table = table
        return self._table


def studies_table(effects: pd.DataFrame, units: Units, level: float) -> pd.DataFrame:
    """Return one row per unit pooled and per row left out, in order of first appearance, with the columns behind it.

    A column that differs between the combined rows becomes missing when it is a number, otherwise it keeps its distinct
    values joined by ``"; "``; arm sizes keep their maximum.
    """
    effects = without_attrs(effects)
    used = units.unit_of_row >= 0
    codes, uniques = pd.factorize(np.where(used, units.unit_of_row, units.y.size + np.arange(len(effects))))
    size = np.bincount(codes, minlength=len(uniques))
    order = np.argsort(codes, kind="stable")
    members = np.split(order, np.cumsum(size)[:-1]) if size.size else []
    first = order[np.cumsum(size) - size]
    table = _merge_differing(effects, first, members)
    pooled = uniques < units.y.size
    position = np.where(pooled, uniques, 0)
    y = np.where(pooled, units.y[position] if units.y.size else np.nan, np.nan)
    v = np.where(pooled, units.v[position] if units.v.size else np.nan, np.nan)
    half = ndtri(0.5 + level / 2) * np.sqrt(v)
    made = {
        "study": labels(table),
        "effect": y,
        "variance": v,
        "std_error": np.sqrt(v),
        "ci_low": y - half,
        "ci_high": y + half,
        "n_effects": np.where(pooled, size, 0),
        "combined": _combined(effects, members),
        "included": pooled,
        "why_not": units.why_not[first],
    }
    return pd.concat([table.drop(columns=[c for c in made if c in table.columns]), pd.DataFrame(made)], axis=1)


def _merge_differing(
    effects: pd.DataFrame, first: npt.NDArray[np.intp], members: list[npt.NDArray[np.intp]]
) -> pd.DataFrame:
    """Return the first row of each unit, with the values that differ between its rows merged."""
    table = effects.iloc[first].reset_index(drop=True)
    several = [unit for unit, rows in enumerate(members) if rows.size > 1]
    if not several:
        return table.copy()
    blocks = [members[unit] for unit in several]
    rows = np.concatenate(blocks)
    heads = np.repeat(first[several], [block.size for block in blocks])
    merged = {
        name: _merge_column(column, table[name], several, blocks)
        for name, column in effects.items()
        if _differs(column, rows, heads)
    }
    table = table.copy()
    for name, column in merged.items():
        table[name] = column
    return table


def _differs(column: pd.Series[Any], rows: npt.NDArray[np.intp], heads: npt.NDArray[np.intp]) -> bool:
    """Return whether a row has another value than the first row of its unit; two missing values are the same."""
    values = column.to_numpy()
    if values.dtype.kind in "fiub":
        one, other = values[rows], values[heads]
        return bool(((one != other) & ((one == one) | (other == other))).any())
    cells = column.to_numpy(dtype=object)
    return any(
        one is not other and (type(one) is not type(other) or not isinstance(one, str) or one != other)
        for one, other in zip(cells[rows].tolist(), cells[heads].tolist(), strict=True)
    )


def _merge_column(
    column: pd.Series[Any], firsts: pd.Series[Any], several: list[int], blocks: list[npt.NDArray[np.intp]]
) -> pd.Series[Any]:
    """Return one column of the merged table (see :func:`studies_table`)."""
    values, present = column.to_numpy(dtype=object), column.notna().to_numpy()
    distinct = [list(dict.fromkeys(values[rows[present[rows]]])) for rows in blocks]
    differing = any(len(found) > 1 for found in distinct)
    if not differing and all(present[rows[0]] or not present[rows].any() for rows in blocks):
        return firsts
    dtype = column.dtype
    numeric = pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)
    result = firsts.to_numpy(dtype=object, copy=True)
    for unit, found in zip(several, distinct, strict=True):
        if len(found) == 1:
            result[unit] = found[0]
        elif len(found) > 1 and column.name in SIZE_COLUMNS:
            result[unit] = max(found)
        elif len(found) > 1:
            result[unit] = np.nan if numeric else "; ".join(str(x) for x in found if str(x))
    if numeric and differing and isinstance(dtype, np.dtype):
        return pd.Series(result.astype(float), index=firsts.index)
    keep = numeric or not differing or pd.api.types.is_string_dtype(dtype)
    return pd.Series(result, index=firsts.index, dtype=dtype if keep else object)


def _combined(effects: pd.DataFrame, members: list[npt.NDArray[np.intp]]) -> list[str]:
    """Return for each unit which instruments (or outcomes) were combined; empty for a single effect."""
    name = next((c for c in ("instrument", "outcome", "comparison_id") if c in effects.columns), None)
    if name is None:
        return [""] * len(members)
    values = effects[name].astype(object).where(effects[name].notna(), "").astype(str).to_numpy(dtype=object)
    return ["; ".join(x for x in values[rows] if x) if rows.size > 1 else "" for rows in members]


def labels(table: pd.DataFrame) -> list[str]:
    """Return how each trial is named in tables and figures: `study`, else author and year, else `trial_id`."""
    columns = {name: table[name].to_numpy(dtype=object) for name in LABEL_COLUMNS if name in table.columns}
    return [_label({name: column[i] for name, column in columns.items()}, i) for i in range(len(table))]


def _label(row: dict[str, object], position: int) -> str:
    given = {name: value for name, value in row.items() if not pd.isna(value)}  # type: ignore[call-overload]
    if "study" in given:
        return str(given["study"])
    if "author" in given and "year" in row:
        year = given.get("year", "")
        return f"{given['author']} {int(year) if isinstance(year, float) else year}".strip()
    return str(given.get("trial_id", f"Study {position + 1}"))
