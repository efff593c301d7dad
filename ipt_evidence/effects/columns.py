"""Read the columns of a table of studies: numbers as arrays, printed effects set aside, all faults at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ipt_evidence.effects.estimates import FloatArray
from ipt_evidence.errors import OptionError, Problem, SchemaError

OUTPUTS = ("effect", "variance", "std_error", "ci_low", "ci_high", "measure", "route", "why_not")
PRINTED = ("effect", "effect_se", "ci_low", "ci_high")
MEANS = ("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2")
CHANGES = ("change_mean_1", "change_sd_1", "n_1", "change_mean_2", "change_sd_2", "n_2")
BASELINES = ("baseline_mean_1", "baseline_sd_1", "baseline_mean_2", "baseline_sd_2")
EVENTS = ("events_1", "total_1", "events_2", "total_2")
REPORTED = ("reported_effect", "reported_effect_se", "reported_ci_low", "reported_ci_high")
DIRECTIONS = ("lower_is_better", "favours_ipt_sign")
ROUTES = ("none", "arm_means", "change_scores", "events", "effect_with_uncertainty", "effect_with_n")
NUMBERS = tuple(dict.fromkeys((*MEANS, *CHANGES, *BASELINES, *EVENTS, *REPORTED, *DIRECTIONS)))


@dataclass(frozen=True, slots=True)
class Table:
    """What the formulas read.

    Attributes
    ----------
    frame : DataFrame
        The caller's columns, printed effects renamed to ``reported_*``, effects of an earlier run left out.
    numbers : dict of str to ndarray
        One float array per known column, all NaN where the table has no such column.
    present : frozenset of str
        Known columns that the table has.
    statistics : ndarray of int
        Index into ``ROUTES`` of the route the row names, -1 where it names none.
    kinds : ndarray of int, kind_names : tuple of str
        Index into `kind_names` of the ``effect_measure``, -1 where it is empty.
    """

    frame: pd.DataFrame
    numbers: dict[str, FloatArray]
    present: frozenset[str]
    statistics: NDArray[np.intp]
    kinds: NDArray[np.intp]
    kind_names: tuple[str, ...]

    def __getitem__(self, column: str) -> FloatArray:
        """Return the numbers of one column."""
        return self.numbers[column]


def read_table(studies: pd.DataFrame, *, also: tuple[str, ...] = ()) -> Table:
    """Return the table behind `studies`, which is not changed.

    Parameters
    ----------
    studies : DataFrame
        Studies, or an effects table made from them.
    also : tuple of str
        Further columns to read as numbers.

    Raises
    ------
    OptionError
        `studies` is not a DataFrame.
    SchemaError
        Columns are repeated or missing, or cells hold no number or a value outside its list.
    """
    if not isinstance(studies, pd.DataFrame):
        raise OptionError(f"studies must be a pandas DataFrame; received {type(studies).__name__}")
    repeated = studies.columns[studies.columns.duplicated()].unique()
    if len(repeated):
        raise SchemaError([Problem("this column is there more than once", column=str(name)) for name in repeated])
    frame, names = _set_printed_aside(studies)
    problems: list[Problem] = []
    present = frozenset(name for name in (*NUMBERS, *also) if name in frame.columns)
    problems += [Problem("the table has no such column", column=name) for name in also if name not in present]
    numbers = {name: np.full(len(frame), np.nan) for name in (*NUMBERS, *also)}
    for name in sorted(present):
        numbers[name] = _read_numbers(frame[name], names.get(name, name), problems)
    _check_values(numbers, problems)
    statistics, kinds, kind_names = _read_words(frame, problems)
    if not present & ({*MEANS, *CHANGES, *EVENTS, "reported_effect"} - {"n_1", "n_2"}):
        message = (
            "the table has none of the columns an effect can come from: {}; {}; {}; or effect with effect_se or ci"
        )
        problems.append(Problem(message.format(*(" ".join(group) for group in (MEANS, CHANGES, EVENTS)))))
    if problems:
        raise SchemaError(problems)
    return Table(frame, numbers, present, statistics, kinds, kind_names)


def _set_printed_aside(studies: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    columns = set(studies.columns)
    if "reported_effect" in columns or columns.issuperset(OUTPUTS):
        return studies.drop(columns=[name for name in OUTPUTS if name in columns]), {}
    renamed = {name: f"reported_{name}" for name in (*PRINTED, *OUTPUTS) if name in columns}
    taken = sorted(set(renamed.values()) & columns)
    if taken:
        raise SchemaError(
            [Problem(f"{name[9:]!r} needs this name; rename one of the two", column=name) for name in taken]
        )
    return studies.rename(columns=renamed), {new: old for old, new in renamed.items()}


def _read_numbers(column: pd.Series, name: str, problems: list[Problem]) -> FloatArray:
    values = np.array(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan))
    wrong = np.isinf(values)
    if not pd.api.types.is_numeric_dtype(column):
        blank = column.isna() | (column.astype("string").str.strip() == "").fillna(True)
        wrong |= np.isnan(values) & ~blank.to_numpy(dtype=bool)
    for row in np.flatnonzero(wrong):
        problems.append(Problem("expected a finite number", row=int(row) + 1, column=name, value=str(column.iloc[row])))
    return values


def _check_values(numbers: dict[str, FloatArray], problems: list[Problem]) -> None:
    checks: tuple[tuple[str, Callable[[FloatArray], NDArray[np.bool_]], str], ...] = (
        ("lower_is_better", lambda x: (x == 0) | (x == 1), "expected 1 (a lower score or an event is bad news) or 0"),
        ("favours_ipt_sign", lambda x: np.abs(x) == 1, "expected 1 (positive favours arm 1) or -1 (the opposite)"),
    )
    for name, holds, message in checks:
        values = numbers[name]
        for row in np.flatnonzero(~np.isnan(values) & ~holds(values)):
            problems.append(Problem(message, row=int(row) + 1, column=name, value=f"{values[row]:g}"))


def _read_words(
    frame: pd.DataFrame, problems: list[Problem]
) -> tuple[NDArray[np.intp], NDArray[np.intp], tuple[str, ...]]:
    codes, words = _factorize(frame, "statistics")
    index = {name: place for place, name in enumerate(ROUTES)}
    lookup = np.array([index.get(word, -1) for word in words] + [-1], dtype=np.intp)
    message = f"expected one of {', '.join(ROUTES)}, or an empty cell to have the route inferred"
    unknown = np.isin(codes, [place for place, word in enumerate(words) if word and word not in index])
    for row in np.flatnonzero(unknown):
        problems.append(Problem(message, row=int(row) + 1, column="statistics", value=words[codes[row]]))
    kinds, kind_names = _factorize(frame, "effect_measure")
    empty = np.array([word == "" for word in kind_names] + [True])
    return lookup[codes], np.where(empty[kinds], -1, kinds), kind_names


def _factorize(frame: pd.DataFrame, name: str) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    if name not in frame.columns:
        return np.full(len(frame), -1, dtype=np.intp), ()
    codes, words = pd.factorize(frame[name])
    return codes, tuple(str(word).strip() for word in words)
