"""Put into words what breaks the row contract: position, column, and what was expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache, partial
from typing import Any

import pandas as pd

from ipt_evidence.studies.cells import is_missing
from ipt_evidence.studies.contract import COLUMN_OF, COLUMNS, ROUTES, ROW_RULE_OF, ColumnRule, RowRule
from ipt_evidence.studies.contract_kept import keeps_contract
from ipt_evidence.studies.schema import filled, studies_schema

LONGEST_COMPARED = 200
PLACE = {rule.name: place for place, rule in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation of the contract.

    Attributes
    ----------
    at : int or None
        Position of the row counted from 0; ``None`` for a whole column.
    column : str
        Column name; empty when the whole row is meant.
    message : str
        What is wrong, what was expected and what to do.
    """

    at: int | None
    column: str
    message: str

    def place(self) -> tuple[int, int]:
        """Return the sort key: whole columns first, then by row, in the order of the contract."""
        return (-1 if self.at is None else self.at, PLACE.get(self.column, len(PLACE)))


class Cells:
    """Single cells of a table, many times faster than through its own indexer."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._columns: dict[str, list[Any]] = {}

    def __call__(self, at: int, column: str) -> Any:
        """Return the cell in a row, counted from 0, and a column."""
        if column not in self._columns:
            self._columns[column] = self._frame[column].tolist()
        return self._columns[column][at]

    def __contains__(self, column: object) -> bool:
        """Return whether the table has a column."""
        return column in self._frame


@dataclass(frozen=True)
class TypedTable:
    """A typed table on its way through the check.

    Attributes
    ----------
    frame : pandas.DataFrame
        Typed cells, rows numbered from 0; cells that could not be read are missing.
    unreadable : set of (int, str)
        Position and column of the cells that could not be read.
    lines : list of int
        Row numbers for messages.
    """

    frame: pd.DataFrame
    unreadable: frozenset[tuple[int, str]]
    lines: list[int]

    @cached_property
    def cells(self) -> Cells:
        """Return quick access to single cells."""
        return Cells(self.frame)

    @cached_property
    def first_use(self) -> dict[str, dict[object, int]]:
        """Return for each column of unique values the position where a value first occurs."""
        unique = [rule.name for rule in COLUMNS if rule.unique and rule.name in self.frame]
        return {name: {v: at for at, v in reversed(list(enumerate(self.frame[name])))} for name in unique}

    @cached_property
    def filled(self) -> pd.DataFrame:
        """Return which cells of the columns that routes need are filled or hold something unreadable."""
        needed = {column for columns in ROUTES.values() for column in columns} | {"effect_se", "ci_low", "ci_high"}
        table = pd.DataFrame({column: filled(self.frame, column) for column in needed})
        unreadable: dict[str, list[int]] = {}
        for at, column in self.unreadable:
            unreadable.setdefault(column, []).append(at)
        for name in table:
            if rows := unreadable.get(str(name)):
                table.loc[rows, name] = True
        return table

    @cached_property
    def filled_cells(self) -> Cells:
        """Return quick access to the cells of `filled`."""
        return Cells(self.filled)


def contract_findings(table: TypedTable) -> Iterator[Finding]:
    """Check a typed table against the pandera schema and put each failure into words.

    Parameters
    ----------
    table : TypedTable
        Table to check.

    Yields
    ------
    Finding
        One per broken rule and row; a failure that only repeats another one is left out.
    """
    if keeps_contract(table.frame):
        return
    from pandera.errors import SchemaErrors

    try:
        studies_schema().validate(table.frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
    else:
        return
    of_a_row = cases["check"].isin([*ROW_RULE_OF, "route"])
    absent = cases["check"] == "column_in_dataframe"
    column_of = cases["column"].mask(of_a_row, "").mask(absent, cases["failure_case"])
    cases = cases.assign(column=column_of).drop_duplicates(["column", "check", "index"])
    for column, check, at in zip(cases["column"], cases["check"], cases["index"], strict=True):
        if check == "column_in_dataframe":
            near = did_you_mean(str(column), list(table.frame.columns))
            yield Finding(None, str(column), f"the column is missing{near}; expected in every table")
        elif is_missing(at):
            yield Finding(None, str(column), f"the column breaks the rule {check!r}")
        elif (finding := _row_finding(table, int(at), str(column), str(check))) is not None:
            yield finding


def _row_finding(table: TypedTable, at: int, column: str, check: str) -> Finding | None:
    """Return one failed check of one row in words; ``None`` when it only repeats another."""
    if check == "route":
        return _route_finding(table, at)
    if check in ROW_RULE_OF:
        return _row_rule_finding(table, at, ROW_RULE_OF[check])
    rule, value = COLUMN_OF[column], table.cells(at, column)
    if check == "filled":
        return Finding(at, column, f"is empty; {expected(rule)}")
    if value == "":
        return None
    if check == "field_uniqueness":
        first = table.first_use[column][value]
        message = f"is in row {table.lines[first]} already, expected a unique value; {rule.advice}"
        return None if first == at else Finding(at, column, message)
    if rule.choices and rule.kind == "text":
        close = _nearest(str(value).lower(), tuple(map(str, rule.choices)))
        hint = f"; did you mean {close!r}?" if close else ";"
        return Finding(at, column, f"is unknown{hint} {expected(rule)}")
    return Finding(at, column, expected(rule))


@lru_cache(maxsize=1024)
def _nearest(value: str, choices: tuple[str, ...]) -> str:
    """Return the choice that is most like a value, empty when none is."""
    return next(iter(get_close_matches(value[:LONGEST_COMPARED], choices, n=1)), "")


def _row_rule_finding(table: TypedTable, at: int, rule: RowRule) -> Finding | None:
    """Return a broken row rule in words, unless one of its cells could not be read anyway."""
    if any((at, column) in table.unreadable for column in rule.needs):
        return None
    shown = {column: _shown(table.cells(at, column)) for column in rule.needs}
    return Finding(at, rule.column, rule.message.format(**shown))


def _route_finding(table: TypedTable, at: int) -> Finding | None:
    """Return which numbers a row lacks that its `statistics` promises, except those that could not be read."""
    route = str(table.cells(at, "statistics"))
    has = partial(table.filled_cells, at)
    lacking = [column for column in ROUTES[route] if not has(column)]
    if route == "effect_with_uncertainty" and not (has("effect_se") or (has("ci_low") and has("ci_high"))):
        lacking.append("effect_se or both of ci_low and ci_high")
    if not lacking:
        return None
    message = f"needs {', '.join(lacking)}, not filled in this row; fill in or choose another route"
    return Finding(at, "statistics", message)


def expected(rule: ColumnRule) -> str:
    """Return what a cell must be and what to do.

    Parameters
    ----------
    rule : ColumnRule
        Rule of the column.
    """
    return f"{rule.expectation()}; {rule.advice}" if rule.advice else rule.expectation()


def did_you_mean(name: str, choices: list[str]) -> str:
    """Return a hint at the nearest of some names, or an empty text when none is near.

    Parameters
    ----------
    name : str
        Name that was looked for.
    choices : list of str
        Names there are.
    """
    plain = {_plain(choice): choice for choice in choices}
    near = get_close_matches(_plain(name), list(plain), n=1, cutoff=0.8)
    return f"; did you mean {plain[near[0]]!r}?" if near else ""


def _plain(name: str) -> str:
    """Return a name without case, blanks and underscores."""
    return name.lower().replace(" ", "").replace("_", "")


def _shown(value: object) -> str:
    """Return a value for a message, without a trailing .0."""
    if is_missing(value):
        return "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)
