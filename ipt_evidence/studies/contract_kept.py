"""Say quickly of a table that it keeps the row contract, so that only a table with faults needs a closer look."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ipt_evidence.studies.contract import COLUMNS, ROUTES, ROW_RULES, ColumnRule
from ipt_evidence.studies.schema import route_complete

UNCERTAINTY = ("effect_se", "ci_low", "ci_high")


def keeps_contract(frame: pd.DataFrame) -> bool:
    """Return whether a table surely keeps every rule of the contract.

    Parameters
    ----------
    frame : pandas.DataFrame
        Typed table: numbers as float64 with ``NaN`` for missing, text with ``""`` for missing.

    Returns
    -------
    bool
        False as soon as one cell breaks a rule or is of another type than expected: then the schema finds all faults
        (:func:`ipt_evidence.studies.schema.studies_schema`) and has the last word.

    Examples
    --------
    >>> trial = {"comparison_id": "a-1", "trial_id": "a2001", "condition": "depression", "contrast": "ipt_vs_control"}
    >>> keeps_contract(pd.DataFrame([trial])), keeps_contract(pd.DataFrame([trial | {"condition": "?"}]))
    (True, False)
    """
    return (
        all(_column_kept(frame, rule) for rule in COLUMNS)
        and not any(
            bool(rule.broken(frame).any()) for rule in ROW_RULES if all(column in frame for column in rule.needs)
        )
        and _routes_kept(frame)
    )


def _column_kept(frame: pd.DataFrame, rule: ColumnRule) -> bool:
    """Return whether a column keeps its rule."""
    if rule.name not in frame:
        return not rule.required
    cells = frame[rule.name]
    if rule.kind == "text":
        return _text_kept(cells.tolist(), rule)
    return cells.dtype == np.float64 and not rule.unique and _numbers_kept(cells.to_numpy(), rule)


def _text_kept(texts: list[object], rule: ColumnRule) -> bool:
    """Return whether texts keep their rule."""
    if not all(type(text) is str for text in texts):
        return False
    distinct = set(texts)
    if rule.required and "" in distinct:
        return False
    if rule.choices and not distinct <= {*rule.choices, ""}:
        return False
    return not rule.unique or len(distinct) == len(texts)


def _numbers_kept(values: np.ndarray, rule: ColumnRule) -> bool:
    """Return whether the numbers that are there keep their rule."""
    known = values[~np.isnan(values)]
    if not known.size:
        return True
    if not np.isfinite(known).all() or (rule.choices and not set(known.tolist()) <= set(rule.choices)):
        return False
    low, high = known.min(), known.max()
    return bool(
        (rule.kind != "whole" or (known % 1 == 0).all())
        and (rule.above is None or low > rule.above)
        and (rule.minimum is None or low >= rule.minimum)
        and (rule.maximum is None or high <= rule.maximum)
    )


def _routes_kept(frame: pd.DataFrame) -> bool:
    """Return whether every row has the numbers that its `statistics` promises."""
    if "statistics" not in frame:
        return True
    named = frame["statistics"]
    for route in named.unique():
        needed = [column for column in (*ROUTES.get(route, ()), *UNCERTAINTY) if column in frame]
        if route != "" and not route_complete(frame.loc[named == route, needed], route).all():
            return False
    return True
