"""The specifications behind a multiverse plot: read, checked, and sorted by their estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError, Problem, SchemaError

if TYPE_CHECKING:
    import pandas as pd

Array = npt.NDArray[np.float64]
NUMBERS = ("estimate", "ci_low", "ci_high")
NOT_CHOICES = (
    "k",
    "n_participants",
    "std_error",
    "p_value",
    "tau2",
    "i2",
    "pi_low",
    "pi_high",
    "statistic",
    "df",
    "measure",
    "notes",
    "group",
    "specification",
    "why_not",
    "excluded",
    "analysis",
    "trials",
    "data_set",
)
MOST_LEVELS = 40


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision: its name, its options, and which of them each specification took."""

    name: str
    options: tuple[str, ...]
    taken: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Multiverse:
    """Specifications sorted by their estimates.

    Attributes
    ----------
    estimate, low, high : numpy.ndarray
        Shape ``(n,)``.
    choices : tuple of Choice
        Those with more than one option.
    fixed : tuple of str
        Choices that are the same in all, with what was chosen.
    left_out : int
        Specifications without an estimate.
    """

    estimate: Array
    low: Array
    high: Array
    choices: tuple[Choice, ...]
    fixed: tuple[tuple[str, str], ...]
    left_out: int

    @property
    def side(self) -> npt.NDArray[np.intp]:
        """1 where the interval lies above zero, -1 below, 0 where it holds zero or is not known."""
        return np.asarray((self.low > 0).astype(int) - (self.high < 0).astype(int))


def read_multiverse(table: pd.DataFrame, choices: Sequence[str] | None) -> Multiverse:
    """Return the specifications that have an estimate.

    Raises
    ------
    OptionError
        Columns are missing, or no specification has an estimate.
    SchemaError
        Cells are not numbers, or an interval does not hold its estimate; all are named.
    """
    import pandas as pd

    if not isinstance(table, pd.DataFrame):
        kind = type(table).__name__
        raise OptionError(f"multiverse_plot needs what multiverse() returned, or a table of it; received {kind}")
    names = _choice_names(table, choices)
    missing = [c for c in (*NUMBERS, *names) if c not in table.columns]
    if missing:
        raise OptionError(
            f"multiverse_plot needs the columns {', '.join(NUMBERS)} and one per choice; missing: {', '.join(missing)}"
        )
    numbers = _numbers(table)
    known = np.isfinite(numbers[:, 0])
    if not known.any():
        raise OptionError("multiverse_plot: no specification has an estimate; there is nothing to draw")
    order = np.flatnonzero(known)[np.argsort(numbers[known, 0], kind="stable")]
    found = [_choice(table, name, order) for name in names]
    estimate, low, high = numbers[order].T
    return Multiverse(
        estimate,
        low,
        high,
        tuple(c for c in found if len(c.options) > 1),
        tuple((c.name, c.options[0]) for c in found if len(c.options) == 1),
        int((~known).sum()),
    )


def _choice_names(table: pd.DataFrame, choices: Sequence[str] | None) -> list[str]:
    """Return the columns of choices: those named, else all that hold words and are not results."""
    if choices is not None:
        return [choices] if isinstance(choices, str) else [str(c) for c in choices]
    left = [c for c in table.columns if c not in (*NUMBERS, *NOT_CHOICES)]
    return [str(c) for c in left if table[c].dtype.kind not in "f" and table[c].nunique() <= MOST_LEVELS]


def _numbers(table: pd.DataFrame) -> Array:
    """Return estimates and limits, shape ``(rows, 3)``."""
    import pandas as pd

    problems: list[Problem] = []
    columns = []
    for name in NUMBERS:
        values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=float, na_value=math.nan)
        for i in np.flatnonzero(np.isnan(values) & table[name].notna().to_numpy(dtype=bool)):
            problems.append(Problem("expected a number", row=int(i) + 1, column=name, value=str(table[name].iloc[i])))
        columns.append(values)
    found = np.column_stack(columns)
    slack = 1e-9 * (1 + np.abs(found[:, 0]))
    for i in np.flatnonzero((found[:, 1] > found[:, 0] + slack) | (found[:, 2] < found[:, 0] - slack)):
        value = f"{found[i, 0]:g} in {found[i, 1]:g} to {found[i, 2]:g}"
        problems.append(
            Problem("the interval does not hold the estimate", row=int(i) + 1, column="estimate", value=value)
        )
    if problems:
        raise SchemaError(problems, "the table of the multiverse")
    return found


def _choice(table: pd.DataFrame, name: str, order: npt.NDArray[np.intp]) -> Choice:
    """Return a choice with its options in order of first appearance."""
    import pandas as pd

    words = ["none" if pd.isna(v) else str(v) for v in table[name].tolist()]
    kept = [words[i] for i in sorted(order)]
    options = tuple(dict.fromkeys(kept))
    place = {word: i for i, word in enumerate(options)}
    return Choice(name, options, np.array([place[words[i]] for i in order], dtype=np.intp))
