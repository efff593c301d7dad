"""Turn the cells of a column into the type that the contract asks for, and say which of them cannot be turned."""

from __future__ import annotations

import math
import re
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ipt_evidence.studies.contract import ColumnRule

PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
PLAIN_CHARACTERS = frozenset("0123456789+-.eE ")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
MISSING_WORDS = {"na", "n/a", "nan", "null", "none", "nr", "-", "--", ".", "?", "not reported", "missing"}
TYPOGRAPHIC_MINUS = "−–"


def typed_column(cells: pd.Series[Any], rule: ColumnRule) -> tuple[pd.Series[Any], dict[int, str]]:
    """Return a column in the type of its rule.

    Parameters
    ----------
    cells : pandas.Series
        Text or typed cells.
    rule : ColumnRule
        What the column holds.

    Returns
    -------
    pandas.Series
        float64 with ``NaN`` for missing, or text with ``""`` for missing.
    dict
        Position of each cell that cannot be read as a number, with what is wrong with it.
    """
    if rule.kind == "text":
        return _text_column(cells, is_key=rule.required or bool(rule.choices)), {}
    return _number_column(cells, rule)


def _text_column(cells: pd.Series[Any], is_key: bool) -> pd.Series[Any]:
    """Return a column of text; keys and controlled values lose surrounding blanks, free text stays as it is."""
    values = cells.tolist()
    try:
        stripped = list(map(str.strip, values))
    except TypeError:
        values = [cell if isinstance(cell, str) else _plain_text(cell) for cell in values]
        stripped = list(map(str.strip, values))
    texts = stripped if is_key else [cell if kept else "" for cell, kept in zip(values, stripped, strict=True)]
    if texts == values and isinstance(cells.dtype, pd.StringDtype):
        return cells.astype(str)
    return pd.Series(texts, index=cells.index, dtype=str, name=cells.name)


def _plain_text(cell: object) -> str:
    """Return a cell that is not text as text."""
    return "" if is_missing(cell) else _as_text(cell)


def _number_column(cells: pd.Series[Any], rule: ColumnRule) -> tuple[pd.Series[Any], dict[int, str]]:
    """Return a column of numbers and what is wrong with the cells that are none."""
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_complex_dtype(cells.dtype):
        values = cells.to_numpy(dtype="float64", na_value=math.nan)
        infinite = {int(at): f"is not a finite number; {rule.expectation()}" for at in np.flatnonzero(np.isinf(values))}
        finite = np.where(np.isinf(values), math.nan, values)
        return pd.Series(finite, index=cells.index, dtype="float64", name=cells.name), infinite
    texts = cells.tolist()
    plain = _plain_numbers(texts)
    if plain is not None:
        return pd.Series(plain, index=cells.index, dtype="float64", name=cells.name), {}
    numbers: list[float] = []
    faults: dict[int, str] = {}
    for position, cell in enumerate(texts):
        number, fault = _as_number(cell)
        numbers.append(number)
        if fault:
            faults[position] = f"{fault}; {rule.expectation()}"
    return pd.Series(numbers, index=cells.index, dtype="float64", name=cells.name), faults


def _plain_numbers(values: list[Any]) -> NDArray[np.float64] | None:
    """Return cells of text as numbers when all are plainly numbers or empty; ``None`` when one needs a closer look."""
    try:
        if not set("".join(values)) <= PLAIN_CHARACTERS:
            return None
        texts = [text or "nan" for text in values] if "" in values else values
        numbers = np.array(list(map(float, texts)), dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return None if np.isinf(numbers).any() else numbers


def is_missing(cell: object) -> bool:
    """Return whether a cell holds nothing: a blank text, ``None``, ``NaN``, ``NaT`` or ``pandas.NA``.

    Parameters
    ----------
    cell : object
        A single cell.
    """
    if isinstance(cell, str):
        return not cell.strip()
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, Real) and math.isnan(cell))


def _as_text(cell: object) -> str:
    """Return a cell that is not text as text: 2001.0 becomes 2001."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _as_number(cell: object) -> tuple[float, str]:
    """Return a cell as a number, or NaN and what is wrong with it."""
    if is_missing(cell):
        return math.nan, ""
    if isinstance(cell, str):
        text = cell.strip()
        if not PLAIN_NUMBER.fullmatch(text):
            return math.nan, _why_not_a_number(text)
        number = float(text)
    elif isinstance(cell, Real):
        number = float(cell)
    else:
        return math.nan, "is not a number"
    return (number, "") if math.isfinite(number) else (math.nan, "is not a finite number")


def _why_not_a_number(text: str) -> str:
    """Return what is wrong with a text that should be a number, and what to do."""
    if DECIMAL_COMMA.fullmatch(text):
        return f"has a decimal comma; write {text.replace(',', '.')}"
    if text.lower() in MISSING_WORDS:
        return "is not a number; leave the cell empty when the value is missing"
    if text[0] in TYPOGRAPHIC_MINUS:
        return f"has a typographic minus sign; write -{text[1:]}"
    if text.endswith("%"):
        return "is a percentage; write the number without the sign"
    return "is not a number"
