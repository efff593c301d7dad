"""What every analysis of the menu starts from: the effects of one group, their names, and the two basic fits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.errors import DependenceWarning, NarrowIntervalWarning, SmallKWarning
from ipt_evidence.pooling.fit import pool
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.settings import PoolOptions

if TYPE_CHECKING:
    import pandas as pd

Mask = npt.NDArray[np.bool_]
Unit = Literal["rows", "trials"]
Direction = Literal["greater", "less"]
SAID_IN_NOTES: tuple[type[Warning], ...] = (SmallKWarning, NarrowIntervalWarning, DependenceWarning)
TELLS_APART = ("instrument", "arm_2", "arm_1", "time", "rating", "outcome", "time_weeks")


@contextmanager
def quietly(*also: type[Warning]) -> Iterator[None]:
    """Silence the warnings whose text the notes of a table carry."""
    with warnings.catch_warnings():
        for kind in (*SAID_IN_NOTES, *also):
            warnings.simplefilter("ignore", kind)
        yield


@contextmanager
def at_the_callers_line() -> Iterator[None]:
    """Let warnings from within point at the line that called the function which uses this, each text once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for category, text in dict.fromkeys((w.category, str(w.message)) for w in caught):
        warnings.warn(text, category, stacklevel=4)


def without_blanks(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table to be shown, with a dash where a count is missing."""
    counts = [name for name in table.columns if str(table[name].dtype) == "Int64"]
    return table.assign(**{name: table[name].astype(object).where(table[name].notna(), "-") for name in counts})


@dataclass(frozen=True)
class MenuSettings:
    """How the menu is made.

    Attributes
    ----------
    pooling : PoolOptions
        Options of :func:`ipt_evidence.pool` without `dependence`, which each analysis sets for itself.
    unit : {"rows", "trials"}
        What outliers, influence, risk of bias and flags look at.
    low_risk_at_least : int
        Fewest items of risk of bias at low risk.
    flags : tuple of str
        Quality flags whose trials leave.
    alternative : {"greater", "less"}
        Direction of the results that publication is thought to favour.
    """

    pooling: PoolOptions
    unit: Unit
    low_risk_at_least: int
    flags: tuple[str, ...]
    alternative: Direction

    @property
    def metapsy(self) -> bool:
        """Whether the menu follows metapsyTools."""
        return self.pooling.get("preset") == "metapsy"


@dataclass(frozen=True)
class MenuData:
    """The effects of one group, numbered from 0, each with a `trial_id`."""

    effects: pd.DataFrame
    settings: MenuSettings

    def pool(self, rows: pd.DataFrame, unit: Unit) -> PooledFit:
        """Return the fit of some rows, each for itself or one effect per trial."""
        options: PoolOptions = {**self.settings.pooling, "dependence": "independent"}
        if unit == "trials":
            options = {**options, "dependence": "aggregate"}
        return pool(rows, **options)

    @cached_property
    def overall(self) -> PooledFit:
        """All rows as if independent."""
        return self.pool(self.effects, "rows")

    @cached_property
    def combined(self) -> PooledFit:
        """One effect per trial."""
        return self.pool(self.effects, "trials")

    @property
    def base(self) -> PooledFit:
        """The fit that outliers and influence are judged against."""
        return self.overall if self.settings.unit == "rows" else self.combined

    @cached_property
    def trials(self) -> Trials:
        """The trials, one effect each, as the corrections for bias take them."""
        return trials_of(self.combined, what="The menu")

    @cached_property
    def used(self) -> Mask:
        """Rows that have an effect and a variance, shape ``(rows,)``."""
        mask: Mask = self.overall.source.units.unit_of_row >= 0
        return mask

    @cached_property
    def trial_of_row(self) -> list[str]:
        """Trial of each row, as text."""
        return _texts(self.effects["trial_id"])

    def n_trials(self, rows: Mask) -> int:
        """Return how many trials stand behind some rows."""
        return len({trial for trial, use in zip(self.trial_of_row, rows, strict=True) if use})

    def rows_of_units(self, units: Mask) -> Mask:
        """Return the rows behind some units of the base fit."""
        unit = self.base.source.units.unit_of_row
        rows: Mask = (unit >= 0) & units[unit]
        return rows

    def rows_of_their_trials(self, rows: Mask) -> Mask:
        """Return all rows in use of the trials that have one of some rows."""
        named = {trial for trial, use in zip(self.trial_of_row, rows, strict=True) if use}
        found: Mask = self.used & np.array([trial in named for trial in self.trial_of_row], dtype=bool)
        return found

    @cached_property
    def _names(self) -> list[str]:
        for column in ("study", "author"):
            if column in self.effects.columns:
                names = _texts(self.effects[column])
                return [name or trial for name, trial in zip(names, self.trial_of_row, strict=True)]
        return self.trial_of_row

    @cached_property
    def row_names(self) -> list[str]:
        """Name of each row: the study, with what tells it from other rows of its trial."""
        position: dict[str, list[int]] = {}
        for i, trial in enumerate(self.trial_of_row):
            position.setdefault(trial, []).append(i)
        names = list(self._names)
        for rows in position.values():
            if len(rows) > 1:
                for row, detail in zip(rows, self._details(rows), strict=True):
                    names[row] = f"{names[row]} ({detail})" if detail else names[row]
        return names

    def _details(self, rows: Sequence[int]) -> list[str]:
        """Return what tells the rows of one trial apart; empty where nothing does."""
        details = [""] * len(rows)
        for name in TELLS_APART:
            if name not in self.effects.columns or len(set(details)) == len(rows):
                continue
            cells = _texts(self.effects[name].iloc[list(rows)])
            if len(set(cells)) > 1:
                details = [", ".join(filter(None, pair)) for pair in zip(details, cells, strict=True)]
        return details

    def listed(self, out: Mask) -> str:
        """Return the names of rows that were left out; a trial that left as a whole is named once."""
        whole = {trial: True for trial in self.trial_of_row}
        for trial, gone, used in zip(self.trial_of_row, out, self.used, strict=True):
            whole[trial] = whole[trial] and bool(gone or not used)
        names = [
            self._names[i] if whole[self.trial_of_row[i]] else self.row_names[i] for i in map(int, np.flatnonzero(out))
        ]
        return "; ".join(dict.fromkeys(names))


def _texts(column: pd.Series[Any]) -> list[str]:
    """Return cells as text, empty where there is nothing."""
    return column.astype(object).where(column.notna(), "").astype(str).tolist()
