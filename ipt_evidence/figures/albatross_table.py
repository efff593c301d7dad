"""What an albatross plot needs, read and checked, and the effects that p-values and numbers of participants imply."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ipt_evidence.errors import OptionError, Problem, SchemaError

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
COLUMNS = ("p_value", "n", "direction")
LEAST_P = 1e-8
MOST_GROUPS = 6
SIDES = {"+": 1.0, "positive": 1.0, "-": -1.0, "\u2212": -1.0, "negative": -1.0}


@dataclass(frozen=True, slots=True)
class AlbatrossTable:
    """Trials with a p-value, a number of participants and a direction; how many were left out for lack of one."""

    p: Array
    n: Array
    side: Array
    group: tuple[str, ...]
    left_out: int


def albatross_table(table: pd.DataFrame, by: str | None) -> AlbatrossTable:
    """Return the trials that can be drawn.

    Raises
    ------
    OptionError
        Columns are missing, there are too many groups, or no trial has all three.
    SchemaError
        Cells are not what they should be.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        raise OptionError(f"albatross_plot needs a table; received {type(table).__name__}")
    missing = [c for c in (*COLUMNS, *([by] if by else [])) if c not in table.columns]
    if missing:
        raise OptionError(f"albatross_plot needs the columns {', '.join(COLUMNS)}; missing: {', '.join(missing)}")
    problems: list[Problem] = []
    p = _numbers(table, "p_value", "expected a two-sided p-value above 0, at most 1", problems)
    n = _numbers(table, "n", "expected the number of participants of both arms, at least 4", problems)
    side = _sides(table, problems)
    if problems:
        raise SchemaError(problems, "the table of the albatross plot")
    known = np.isfinite(p) & np.isfinite(n) & np.isfinite(side)
    if not known.any():
        raise OptionError("albatross_plot: no row has p_value, n and direction; there is nothing to draw")
    values = [""] * len(table) if by is None else ["not said" if pd.isna(v) else str(v) for v in table[by]]
    group = tuple(v for v, use in zip(values, known, strict=True) if use)
    if len(set(group)) > MOST_GROUPS:
        raise OptionError(f"by={by!r} has {len(set(group))} groups; at most {MOST_GROUPS} can be told apart")
    return AlbatrossTable(p[known], n[known], side[known], group, int((~known).sum()))


def _numbers(table: pd.DataFrame, column: str, expected: str, problems: list[Problem]) -> Array:
    """Return a column as numbers; cells outside the range are named."""
    import pandas as pd

    numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float, na_value=math.nan)
    there = table[column].notna().to_numpy(dtype=bool)
    inside = (numbers > 0) & (numbers <= 1) if column == "p_value" else (numbers >= 4) & np.isfinite(numbers)
    for i in np.flatnonzero(there & ~inside):
        problems.append(Problem(expected, row=int(i) + 1, column=column, value=str(table[column].iloc[i])))
    return numbers


def _sides(table: pd.DataFrame, problems: list[Problem]) -> Array:
    """Return 1 or -1 for each row, NaN for nothing."""
    import pandas as pd

    sides = np.full(len(table), math.nan)
    for i, value in enumerate(table["direction"].tolist()):
        if pd.isna(value) or value == "":
            continue
        text = str(value).strip().lower()
        try:
            number = SIDES[text] if text in SIDES else float(text)
        except ValueError:
            number = math.nan
        if math.isnan(number) or (number == 0 and _p_of(table, i) != 1):
            message = "expected a number above or below 0, '+' or '-' (0 only with p = 1)"
            problems.append(Problem(message, row=i + 1, column="direction", value=str(value)))
            continue
        sides[i] = math.copysign(1.0, number)
    return sides


def _p_of(table: pd.DataFrame, row: int) -> float:
    try:
        return float(table["p_value"].iloc[row])
    except (TypeError, ValueError):
        return math.nan


def contour(p: Array, d: float, ratio: float) -> Array:
    """Return the number of participants at which an effect has a given two-sided p-value.

    Examples
    --------
    >>> round(float(contour(np.array([0.05]), 0.5, 1.0)[0]), 1)
    63.4
    """
    z = ndtri(p / 2)
    return np.asarray(z**2 * ((ratio + 1) ** 2 / ratio + d**2 / 2) / d**2)


def effect_of(table: AlbatrossTable, ratio: float) -> Array:
    """Return the standardised mean difference on whose contour each trial lies; infinite beyond all contours."""
    z2 = ndtri(table.p / 2) ** 2
    room = table.n - z2 / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        d = np.sqrt(np.where(room > 0, z2 * (ratio + 1) ** 2 / ratio / room, np.inf))
    return np.asarray(table.side * d)
