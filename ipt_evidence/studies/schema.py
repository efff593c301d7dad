"""The row contract as a pandera schema."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd

from ipt_evidence.studies.contract import COLUMNS, ROUTES, ROW_RULES, ColumnRule

if TYPE_CHECKING:
    import pandera.pandas as pa


@cache
def studies_schema() -> pa.DataFrameSchema:
    """Return the row contract as a pandera schema.

    Returns
    -------
    pandera.DataFrameSchema
        For a table whose numbers are float64 with ``NaN`` for missing and whose text is ``""`` where it is missing,
        which is what :func:`ipt_evidence.validate_studies` makes before it checks.

    Notes
    -----
    Columns that the contract does not know are allowed. The required ones are ``comparison_id``, ``trial_id``,
    ``condition`` and ``contrast``. The numbers a row needs follow from its ``statistics`` (see ``ROUTES``).

    Examples
    --------
    >>> schema = studies_schema()
    >>> [name for name, column in schema.columns.items() if column.required]
    ['comparison_id', 'trial_id', 'condition', 'contrast']
    """
    import pandera.pandas as pa

    row_checks = [
        pa.Check(_holds(rule.needs, rule.broken), name=rule.name, error=rule.name, ignore_na=False)
        for rule in ROW_RULES
    ]
    route = pa.Check(_holds(("statistics",), _route_incomplete), name="route", error="route", ignore_na=False)
    return pa.DataFrameSchema(
        {rule.name: _pandera_column(pa, rule) for rule in COLUMNS},
        checks=[*row_checks, route],
        name="studies",
        strict=False,
    )


def _pandera_column(pa: Any, rule: ColumnRule) -> Any:
    """Return the pandera column of a rule; the error text of each check is its key."""
    is_text = rule.kind == "text"
    checks = []
    if rule.required:
        checks.append(pa.Check(lambda cells: cells != "", name="filled", error="filled"))
    if rule.choices:
        allowed = [*rule.choices, ""] if is_text else list(rule.choices)
        if rule.required and is_text:
            allowed = list(rule.choices)
        checks.append(pa.Check.isin(allowed, error="range"))
    if rule.kind == "whole":
        checks.append(pa.Check(lambda cells: cells % 1 == 0, name="whole", error="range"))
    if rule.above is not None:
        checks.append(pa.Check.gt(rule.above, error="range"))
    if rule.minimum is not None:
        checks.append(pa.Check.ge(rule.minimum, error="range"))
    if rule.maximum is not None:
        checks.append(pa.Check.le(rule.maximum, error="range"))
    dtype = None if is_text else "float64"
    return pa.Column(dtype, checks, nullable=True, required=rule.required, unique=rule.unique)


def _holds(
    needs: tuple[str, ...], broken: Callable[[pd.DataFrame], pd.Series[bool]]
) -> Callable[[pd.DataFrame], pd.Series[bool]]:
    """Return the check that a row rule is kept; a table without the columns it reads keeps it."""

    def holds(table: pd.DataFrame) -> pd.Series[bool]:
        if not set(needs) <= set(table.columns):
            return pd.Series(True, index=table.index)
        return ~broken(table).astype(bool)

    return holds


def _route_incomplete(table: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows lack a number that their `statistics` promises."""
    incomplete = pd.Series(False, index=table.index)
    for route in ROUTES:
        rows = table["statistics"] == route
        if rows.any():
            incomplete |= rows & ~route_complete(table, route)
    return incomplete


def filled(table: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Return in which rows a column holds something; nowhere when the table lacks it.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed table.
    column : str
        Column name.

    Returns
    -------
    pandas.Series
        One truth value per row.
    """
    if column not in table:
        return pd.Series(False, index=table.index)
    cells = table[column]
    there = cells.notna()
    return there if pd.api.types.is_numeric_dtype(cells.dtype) else there & (cells != "")


def route_complete(table: pd.DataFrame, route: str) -> pd.Series[bool]:
    """Return in which rows everything is filled that a route to the effect size needs.

    Parameters
    ----------
    table : pandas.DataFrame
        Typed table.
    route : str
        A value of ``statistics``.

    Returns
    -------
    pandas.Series
        One truth value per row.
    """
    complete = pd.Series(True, index=table.index)
    for column in ROUTES[route]:
        complete &= filled(table, column)
    if route == "effect_with_uncertainty":
        complete &= filled(table, "effect_se") | (filled(table, "ci_low") & filled(table, "ci_high"))
    return complete
