"""Make cells safe for spreadsheets, and take the protection off again without a trace."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import Problem

MAX_TEXT = 131_072
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_RISKY = r"[=+\-@\t\r\n＝＋－＠]"
RUNS_IN_A_SPREADSHEET = re.compile(rf"(?!{_NUMBER}\Z)'*{_RISKY}")
PROTECTED = re.compile(rf"'+{_RISKY}")
FIRST = frozenset("'=+-@\t\r\n＝＋－＠")
NOT_TEXT = re.compile("[\0\ud800-\udfff]")


def protect_text(text: str) -> str:
    """Return a text with an apostrophe before it when a spreadsheet could take it for a formula.

    Parameters
    ----------
    text : str
        Content of a cell.

    Notes
    -----
    A cell is a formula when it begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break. A text that is nothing
    but a number, such as ``-0.5``, is left alone. :func:`unprotect_text` gives back every text exactly.

    References
    ----------
    OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection

    Examples
    --------
    >>> [protect_text(text) for text in ("=1+1", "-0.5", "- 0.5", "'=1", "IPT")]
    ["'=1+1", '-0.5', "'- 0.5", "''=1", 'IPT']
    """
    return f"'{text}" if RUNS_IN_A_SPREADSHEET.match(text) else text


def unprotect_text(text: str) -> str:
    """Return a text without the apostrophe that :func:`protect_text` put before it.

    Parameters
    ----------
    text : str
        Content of a cell.

    Examples
    --------
    >>> [unprotect_text(text) for text in ("'=1+1", "''=1", "'quoted'")]
    ['=1+1', "'=1", "'quoted'"]
    """
    return text[1:] if PROTECTED.match(text) else text


def unprotect_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of text without protective apostrophes, in cells and column names.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text as read from a file; it is not changed.
    """
    columns = {}
    for place in range(frame.shape[1]):
        cells = frame.iloc[:, place]
        begun = [isinstance(cell, str) and cell.startswith("'") for cell in cells]
        if any(begun):
            plain = [unprotect_text(cell) if here else cell for cell, here in zip(cells, begun, strict=True)]
            cells = pd.Series(plain, index=frame.index, dtype=frame.dtypes.iloc[place])
        columns[place] = cells
    plain_frame = pd.DataFrame(columns, index=frame.index)
    plain_frame.columns = pd.Index([unprotect_text(str(name)) for name in frame.columns])
    plain_frame.attrs = dict(frame.attrs)
    return plain_frame


def cell_text(value: object) -> str:
    """Return a single value as text: empty for missing, numbers exactly, whole numbers without a decimal point.

    Parameters
    ----------
    value : object
        Content of a cell.

    Examples
    --------
    >>> [cell_text(value) for value in (34.0, 0.1, None, True)]
    ['34', '0.1', '', 'true']
    """
    if isinstance(value, str):
        return value
    if value is None or value is pd.NA or value is pd.NaT:
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float | np.floating):
        number = float(value)
        if np.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
    return str(value)


def plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which every column is text or numbers: missing text is ``""``, missing numbers are missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        Any table with distinct column names; it is not changed.
    """
    plain = {str(name): _plain_column(frame[name]) for name in frame.columns}
    return pd.DataFrame(plain, index=range(len(frame)), columns=list(plain))


def _plain_column(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column as text or numbers; a column of whole numbers as integers that may be missing."""
    cells = cells.reset_index(drop=True)
    dtype = cells.dtype
    if pd.api.types.is_bool_dtype(dtype) or not pd.api.types.is_numeric_dtype(dtype):
        values = cells.tolist()
        try:
            "".join(values)
        except TypeError:
            values = [cell_text(cell) for cell in cells]
        return pd.Series(values, dtype=object)
    if pd.api.types.is_complex_dtype(dtype):
        return pd.Series([cell_text(cell) for cell in cells], dtype=object)
    numbers = cells.to_numpy(dtype="float64", na_value=np.nan)
    known = numbers[~np.isnan(numbers)]
    whole = bool(np.all(np.isfinite(known)) and np.all(known % 1 == 0) and np.all(np.abs(known) < 2**53))
    return pd.Series(numbers, dtype="float64").astype("Int64") if whole else pd.Series(numbers, dtype="float64")


def protect_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table of :func:`plain_cells` with texts and column names protected; numbers stay numbers.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text and numbers; it is not changed.
    """
    safe = {
        protect_text(str(name)): frame[name] if is_number_column(frame[name]) else _protected(frame[name])
        for name in frame.columns
    }
    return pd.DataFrame(safe, index=frame.index, columns=list(safe))


def _protected(cells: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of text protected; most cells need a look at their first character only."""
    return pd.Series([protect_text(text) if text[:1] in FIRST else text for text in cells], dtype=object)


def is_number_column(cells: pd.Series[Any]) -> bool:
    """Return whether a column of :func:`plain_cells` holds numbers.

    Parameters
    ----------
    cells : pandas.Series
        One column.
    """
    return pd.api.types.is_numeric_dtype(cells.dtype)


def unwritable(frame: pd.DataFrame, *, file: str) -> list[Problem]:
    """Return what no file can hold: infinite numbers, texts with a NUL or half a character, texts without end.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of :func:`plain_cells`.
    file : str
        File name for the messages.
    """
    problems = []
    for name in frame.columns:
        cells = frame[name]
        if is_number_column(cells):
            numbers = cells.to_numpy(dtype="float64", na_value=np.nan)
            for at in np.flatnonzero(np.isinf(numbers)):
                message = "is not a finite number; correct it or leave it empty"
                problems.append(Problem(message, file=file, row=int(at) + 1, column=name, value=str(numbers[at])))
            continue
        if not NOT_TEXT.search("".join(cells)) and max(map(len, cells), default=0) <= MAX_TEXT:
            continue
        for row, text in enumerate(cells, start=1):
            if NOT_TEXT.search(text):
                message = "holds a NUL or half of a surrogate pair, which no text file can hold; remove it"
                problems.append(Problem(message, file=file, row=row, column=name, value=ascii(text[:40])))
            elif len(text) > MAX_TEXT:
                message = f"has {len(text):,} characters; a cell can hold {MAX_TEXT:,}, shorten it"
                problems.append(Problem(message, file=file, row=row, column=name, value=text[:40]))
    return problems
