"""What the quality flags look at, and how they are written down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.studies.arms_keys import arm_keys, words_key

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.intp]
Words = npt.NDArray[np.object_]
SIDES = (1, 2)
RAW = ("mean", "sd", "n", "change_mean", "change_sd", "events", "total", "baseline_mean", "baseline_sd", "baseline_n")
PRINTED = ("effect", "effect_se", "ci_low", "ci_high")
OTHERS = ("lower_is_better", "favours_ipt_sign", "year", "time_weeks", "p_value", "n_randomised")
ALSO_CALLED = {
    "n_randomised_1": ("rand_arm1", "n_randomized_arm1"),
    "n_randomised_2": ("rand_arm2", "n_randomized_arm2"),
    "n_randomised": ("n_randomized", "total_n_randomized"),
}
"""How the Metapsy databases call them."""


class Hit(NamedTuple):
    """One flag: position of the row, flag, column, value found, and why it is suspicious."""

    at: int
    flag: str
    column: str
    value: float
    why: str


@dataclass(frozen=True)
class FlagTable:
    """A table as the flags see it.

    Attributes
    ----------
    frame : pandas.DataFrame
        The caller's table.
    numbers : dict of str to numpy.ndarray
        Columns of the contract; NaN where missing or not a number. Printed effects of an effects table are under their
        names in the studies.
    trial : numpy.ndarray of int
        Number of the trial of each row.
    arms : pandas.DataFrame
        Keys of both arms, empty texts where the table does not name them.
    instrument, family : numpy.ndarray of str
        Keys of instrument and instrument family; empty where unknown.
    measure : numpy.ndarray of str
        Measure of the printed effect.
    computed : numpy.ndarray
        Standardised effects of an effects table; NaN for a table of studies.
    """

    frame: pd.DataFrame
    numbers: dict[str, Array]
    trial: Codes
    arms: pd.DataFrame
    instrument: Words
    family: Words
    measure: Words
    computed: Array

    def __getitem__(self, name: str) -> Array:
        """Return one column of numbers."""
        return self.numbers[name]

    def both(self, name: str) -> Array:
        """Return a column of both arms, shape ``(2, rows)``."""
        return np.array([self.numbers[f"{name}_1"], self.numbers[f"{name}_2"]])

    def text(self, name: str) -> Words:
        """Return a column of keys; empty where the table lacks it."""
        return words_key(self.frame[name]) if name in self.frame.columns else np.full(len(self.trial), "", dtype=object)

    def label(self, at: int) -> str:
        """Return how a row is called in a message."""
        if "comparison_id" in self.frame.columns and pd.notna(self.frame["comparison_id"].iloc[at]):
            return str(self.frame["comparison_id"].iloc[at])
        return f"row {self.frame.index[at]}"


def read_flag_table(frame: pd.DataFrame) -> FlagTable:
    """Return what the flags look at; cells that hold no number count as missing.

    Raises
    ------
    OptionError
        `frame` is not a DataFrame.
    SchemaError
        A column is there twice, or ``trial_id`` is missing.
    """
    if not isinstance(frame, pd.DataFrame):
        raise OptionError(f"frame must be a pandas DataFrame; received {type(frame).__name__}")
    repeated = frame.columns[frame.columns.duplicated()].unique()
    problems = [Problem("this column is there more than once", column=str(name)) for name in repeated]
    if "trial_id" not in frame.columns:
        problems.append(Problem("the column is missing; flags compare a trial with the others", column="trial_id"))
    if problems:
        raise SchemaError(problems)
    n = len(frame)
    of_effects = {"variance", "std_error", "route"} <= set(frame.columns)
    names = [f"{name}_{side}" for name in (*RAW, "n_randomised") for side in SIDES] + list(OTHERS)
    numbers = {name: _numbers(frame, _found_as(frame, name)) for name in names}
    numbers |= {name: _numbers(frame, f"reported_{name}" if of_effects else name) for name in PRINTED}
    arms = frame.reindex(columns=["trial_id", "arm_1", "arm_2"])
    family = "instrument_family" if "instrument_family" in frame.columns else "instrument"
    empty = np.full(n, "", dtype=object)
    measure = frame["effect_measure"].astype(str).to_numpy(dtype=object) if "effect_measure" in frame.columns else empty
    standardised = frame["measure"].isin(("SMD", "D")).to_numpy() if of_effects and "measure" in frame else False
    return FlagTable(
        frame=frame,
        numbers=numbers,
        trial=pd.factorize(frame["trial_id"], use_na_sentinel=False)[0],
        arms=arm_keys(arms),
        instrument=words_key(frame["instrument"]) if "instrument" in frame.columns else empty,
        family=words_key(frame[family]) if family in frame.columns else empty,
        measure=measure,
        computed=np.where(standardised, _numbers(frame, "effect"), np.nan) if of_effects else np.full(n, np.nan),
    )


def hits(mask: Mask, flag: str, column: str, values: Array, why: Iterable[str] | str) -> list[Hit]:
    """Return one hit per row of `mask`; `why` is one text, or one per hit."""
    rows = np.flatnonzero(mask)
    texts = [why] * len(rows) if isinstance(why, str) else list(why)
    return [Hit(int(at), flag, column, float(values[at]), text) for at, text in zip(rows, texts, strict=True)]


def decimals_of(values: Array, *, most: int = 3) -> npt.NDArray[np.int64]:
    """Return how many decimals a number shows, `most` + 1 for more; trailing zeros are not known to a float."""
    shown = np.full(values.shape, most + 1, dtype=np.int64)
    for places in range(most, -1, -1):
        scaled = values * 10.0**places
        with np.errstate(invalid="ignore"):
            shown[np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1.0, np.abs(scaled))] = places
    return shown


def standardised(table: FlagTable, *, kind: str = "", corrected: bool = True) -> Array:
    """Return arm 1 minus arm 2 over the pooled SD, with or without the small-sample factor.

    Parameters
    ----------
    table : FlagTable
        The table.
    kind : {"", "change_", "baseline_"}
        Which means and SDs.
    corrected : bool
        Whether to multiply by ``1 - 3 / (4 df - 1)``.
    """
    mean, sd, n = table.both(f"{kind}mean"), table.both(f"{kind}sd"), table.both("n")
    if kind == "baseline_":
        n = np.where(np.isnan(table.both("baseline_n")), n, table.both("baseline_n"))
    with np.errstate(all="ignore"):
        df = n.sum(axis=0) - 2
        pooled = np.sqrt(((n - 1) * sd**2).sum(axis=0) / df)
        d = np.where((df > 0) & (pooled > 0), (mean[0] - mean[1]) / pooled, np.nan)
        return np.asarray(d * (1 - 3 / (4 * df - 1)) if corrected else d)


def log_odds_ratio(table: FlagTable) -> Array:
    """Return the log odds ratio of arm 1 against arm 2; one half is added to the cells of a row with a zero."""
    a, total = table.both("events"), table.both("total")
    b = total - a
    with np.errstate(all="ignore"):
        half = np.where((a == 0).any(axis=0) | (b == 0).any(axis=0), 0.5, 0.0)
        return np.asarray(np.log((a[0] + half) * (b[1] + half) / ((b[0] + half) * (a[1] + half))))


def _found_as(frame: pd.DataFrame, name: str) -> str:
    """Return the column of the table that holds `name`."""
    return next((other for other in (name, *ALSO_CALLED.get(name, ())) if other in frame.columns), name)


def _numbers(frame: pd.DataFrame, name: str) -> Array:
    if name not in frame.columns:
        return np.full(len(frame), np.nan)
    column = frame[name]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        column = pd.to_numeric(column, errors="coerce")
    values = np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    values[np.isinf(values)] = np.nan
    return values
