"""Read the cells of a sheet as text: numbers with every digit, and the cells that need a word said about them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MAX_ROWS = 1_048_576
MAX_COLUMNS = 1_000
MAX_CELLS = 5_000_000

Place = tuple[int, int]


class TooLargeError(Exception):
    """The sheet is larger than what is read; the text says how."""


@dataclass(slots=True)
class SheetCells:
    """Filled cells of a sheet.

    Attributes
    ----------
    rows : dict of int to dict of int to str
        Text by row and column, both counted from 1; empty cells are left out.
    dates : dict of (int, int) to str
        Cells that hold a date or a time.
    errors : dict of (int, int) to str
        Cells that hold an error such as ``#DIV/0!``; they are empty in `rows`.
    percents : set of (int, int)
        Numbers that are shown as percentages; their text ends with ``%``.
    """

    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    dates: dict[Place, str] = field(default_factory=dict)
    errors: dict[Place, str] = field(default_factory=dict)
    percents: set[Place] = field(default_factory=set)


def read_cells(rows: Iterable[tuple[Any, ...]]) -> SheetCells:
    """Return the filled cells of a sheet.

    Parameters
    ----------
    rows : iterable of tuple
        Cells of each row from the first one on, as openpyxl reads them.

    Raises
    ------
    TooLargeError
        There are more rows, columns or cells than any table of trials has.
    """
    sheet = SheetCells()
    budget = MAX_CELLS
    for number, cells in enumerate(rows, start=1):
        budget -= len(cells)
        if number > MAX_ROWS or budget < 0:
            raise TooLargeError(f"has more than {MAX_ROWS} rows or {MAX_CELLS} cells")
        texts: dict[int, str] = {}
        errors = len(sheet.errors)
        for column, cell in enumerate(cells, start=1):
            if cell.value is None:
                continue
            text = _read_cell(cell, (number, column), sheet)
            if text.strip():
                texts[column] = text
        if texts and max(texts) > MAX_COLUMNS:
            raise TooLargeError(f"has a filled cell in column {letters(max(texts))}, more than {MAX_COLUMNS} columns")
        if texts or len(sheet.errors) > errors:
            sheet.rows[number] = texts
    return sheet


def _read_cell(cell: Any, place: Place, sheet: SheetCells) -> str:
    """Return the text of a cell and note what is special about it."""
    value = cell.value
    if cell.data_type == "e":
        sheet.errors[place] = str(value)
        return ""
    if isinstance(value, (dt.datetime, dt.date, dt.time, dt.timedelta)):
        text = _date_text(value)
        sheet.dates[place] = text
        return text
    if isinstance(value, (int, float)) and not isinstance(value, bool) and "%" in str(cell.number_format or ""):
        sheet.percents.add(place)
        return f"{_plain(Decimal(repr(value)) * 100)}%"
    return cell_text(value)


def cell_text(value: object) -> str:
    """Return a value as text: numbers with every digit, 34.0 as 34.

    Examples
    --------
    >>> cell_text(34.0), cell_text(0.1 + 0.2), cell_text(True)
    ('34', '0.30000000000000004', 'TRUE')
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)


def letters(column: int) -> str:
    """Return the letters of a column counted from 1.

    Examples
    --------
    >>> letters(1), letters(28)
    ('A', 'AB')
    """
    text = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def address(row: int, column: int) -> str:
    """Return the address of a cell, such as ``C5``."""
    return f"{letters(column)}{row}"


def _date_text(value: Any) -> str:
    """Return a date, with its time where it has one."""
    if isinstance(value, dt.datetime) and value.time() == dt.time(0):
        return value.date().isoformat()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _plain(number: Decimal) -> str:
    """Return a decimal number without exponent and trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
