"""Which rows of a trial answer the same question, and the raw numbers of their arms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.studies.arms_keys import arm_keys, check_arm_columns, words_key

QUESTION_WORDS = ("contrast", "phase", "outcome", "instrument", "rating", "time", "analysis_set")
QUESTION_NUMBERS = ("time_weeks", "lower_is_better")
RAW = {
    "arm_means": ("mean", "sd", "n"),
    "change_scores": ("change_mean", "change_sd", "n"),
    "events": ("events", "total"),
}
BASELINE = ("baseline_mean", "baseline_sd", "baseline_n")
COUNTS = ("n_randomised",)
SIDES = (1, 2)
ARM_NUMBERS = tuple(dict.fromkeys((*(name for names in RAW.values() for name in names), *BASELINE, *COUNTS)))
PRINTED = ("effect", "effect_se", "ci_low", "ci_high")
Numbers = dict[str, npt.NDArray[np.float64]]
Words = npt.NDArray[np.object_]


class ArmTable(NamedTuple):
    """A table of studies as the multi-arm rules see it.

    Attributes
    ----------
    keys : pandas.DataFrame
        Keys of both arms.
    question : numpy.ndarray of int
        Rows with one number have trial, contrast, outcome, instrument, rating, time and analysis set in common.
    kind : numpy.ndarray of str
        Raw statistics that are complete for both arms (``arm_means``, ``change_scores``, ``events``), else ``""``.
    route : numpy.ndarray of str
        The same, or what the row offers instead: ``effect_with_n``, ``effect_with_uncertainty``, ``none``.
    numbers : dict of str to numpy.ndarray
        ``mean_1`` and so on; NaN where the table has no such column.
    ids : numpy.ndarray of str
        `comparison_id`, or the row's label in the index.
    """

    keys: pd.DataFrame
    question: npt.NDArray[np.intp]
    kind: Words
    route: Words
    numbers: Numbers
    ids: Words


def read_arms(frame: pd.DataFrame) -> ArmTable:
    """Return the table behind `frame`, which is not changed.

    Raises
    ------
    OptionError
        `frame` is not a DataFrame.
    SchemaError
        Columns are missing, cells hold no number, or the table has effects already.
    """
    check_arm_columns(frame)
    if {"variance", "route", "why_not"} <= set(frame.columns):
        message = "the table has effects already, which would no longer fit; treat the arms first, then effect_sizes()"
        raise SchemaError([Problem(message, column="variance")])
    names = [f"{name}_{side}" for name in ARM_NUMBERS for side in SIDES]
    numbers = _read_numbers(frame, [*names, *PRINTED, *QUESTION_NUMBERS])
    named = frame["statistics"].fillna("").astype(str).to_numpy(dtype=object) if "statistics" in frame.columns else None
    kind = _kinds(named, numbers)
    ids = frame["comparison_id"] if "comparison_id" in frame.columns else frame.index.to_series()
    return ArmTable(
        keys=arm_keys(frame),
        question=_questions(frame, numbers),
        kind=kind,
        route=_routes(named, kind, numbers),
        numbers=numbers,
        ids=ids.astype(str).to_numpy(dtype=object),
    )


def _questions(frame: pd.DataFrame, numbers: Numbers) -> npt.NDArray[np.intp]:
    """Return a number for each group of rows that measure the same thing in a trial."""
    parts: dict[str, object] = {"trial": pd.factorize(frame["trial_id"], use_na_sentinel=False)[0]}
    parts |= {name: words_key(frame[name]) for name in QUESTION_WORDS if name in frame.columns}
    parts |= {name: numbers[name] for name in QUESTION_NUMBERS}
    codes = pd.DataFrame(parts).groupby(list(parts), sort=False, dropna=False).ngroup()
    return np.asarray(codes, dtype=np.intp)


def _kinds(named: Words | None, numbers: Numbers) -> Words:
    """Return the complete raw statistics of each row, those named in `statistics` where it names any."""
    kind = np.full(len(numbers["n_1"]), "", dtype=object)
    for name in reversed(RAW):
        whole = np.logical_and.reduce([~np.isnan(numbers[f"{c}_{side}"]) for c in RAW[name] for side in SIDES])
        kind[whole if named is None else whole & ((named == name) | (named == ""))] = name
    return kind


def _routes(named: Words | None, kind: Words, numbers: Numbers) -> Words:
    printed = ~np.isnan(numbers["effect"])
    spread = ~np.isnan(numbers["effect_se"]) | ~np.isnan(numbers["ci_low"])
    sized = ~np.isnan(numbers["n_1"]) & ~np.isnan(numbers["n_2"])
    choices = [printed & spread, printed & sized]
    found = np.select(choices, ["effect_with_uncertainty", "effect_with_n"], default="none").astype(object)
    if named is not None:
        found = np.where(named == "", found, np.where(np.isin(named, list(RAW)), "none", named))
    return np.where(kind != "", kind, found)


def _read_numbers(frame: pd.DataFrame, names: list[str]) -> Numbers:
    problems: list[Problem] = []
    numbers = {name: np.full(len(frame), np.nan) for name in names}
    for name in names:
        if name not in frame.columns:
            continue
        column = frame[name]
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        blank = column.isna() | (column.astype(str).str.strip() == "")
        wrong = np.isinf(values) | (np.isnan(values) & ~blank.to_numpy(dtype=bool))
        message = "expected a finite number, or an empty cell"
        problems += [
            Problem(message, row=int(i) + 1, column=name, value=str(column.iloc[i])) for i in np.flatnonzero(wrong)
        ]
        numbers[name] = values
    if problems:
        raise SchemaError(problems)
    return numbers
