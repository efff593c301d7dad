"""The table on its way through the conversions: cells that can be read, filled and accounted for."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ipt_evidence.errors import Problem
from ipt_evidence.sources.mapping import file_label, header_label

NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(%?)")


class Work:
    """Text cells by column, their numbers, and what was done to which row.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text in our columns; it is not changed.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.file = file_label(frame)
        self.lines = [int(line) for line in frame.index]
        self.rows = len(frame)
        self.said: dict[int, list[str]] = {}
        self.methods: dict[int, list[str]] = {}
        self.problems: list[Problem] = []
        self.skewed: list[str] = []
        self._cells: dict[str, list[str]] = {}
        self._numbers: dict[str, list[float]] = {}
        self._touched: dict[str, None] = {}

    def has(self, *names: str) -> bool:
        """Return whether the table has one of some columns, or got it by a conversion."""
        return any(name in self.frame.columns or name in self._touched for name in names)

    def text(self, name: str, at: int) -> str:
        """Return a cell without surrounding blanks."""
        return self._column(name)[at].strip()

    def empty(self, name: str, at: int) -> bool:
        """Return whether a cell holds nothing."""
        return not self.text(name, at)

    def number(self, name: str, at: int) -> float:
        """Return a cell as a number; NaN when it is empty or none."""
        if name not in self._numbers:
            self._numbers[name] = [_parse(cell)[0] for cell in self._column(name)]
        return self._numbers[name][at]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers; NaN where a cell is empty or none, or where there is no such column."""
        return np.array([self.number(name, at) for at in range(self.rows)], dtype=np.float64)

    def fill(self, name: str, at: int, value: float | str, how: str, method: str = "") -> None:
        """Write an empty cell and say how the value came about."""
        text = value if isinstance(value, str) else _number_text(value)
        self._column(name)[at] = text
        self._touched[name] = None
        if name in self._numbers:
            self._numbers[name][at] = _parse(text)[0]
        self.said.setdefault(at, []).append(f"{name}: {how}")
        if method and method not in self.methods.setdefault(at, []):
            self.methods[at].append(method)

    def blame(self, name: str, at: int, message: str) -> None:
        """Note a fault of one cell."""
        place = self.arm_line(name, at)
        shown = header_label(self.frame, name)
        self.problems.append(Problem(message, self.file, place, shown, self.text(name, at)))

    def arm_line(self, name: str, at: int) -> int:
        """Return the line of a cell: that of its arm when the row was made from arm rows."""
        if "arm_rows" in self.frame.columns and name.endswith(("_1", "_2")):
            lines = self.text("arm_rows", at).split(",")
            if len(lines) == 2 and all(line.strip().isdigit() for line in lines):
                return int(lines[0 if name.endswith("_1") else 1])
        return self.lines[at]

    def check_numbers(self, names: tuple[str, ...], *, percent: bool = False) -> None:
        """Blame the filled cells of some columns that are no numbers."""
        for name in names:
            if name not in self.frame.columns:
                continue
            for at in range(self.rows):
                value, sign = _parse(self._column(name)[at])
                if self.text(name, at) and (math.isnan(value) or (sign and not percent)):
                    advice = "write it without the sign" if sign else "leave it empty when it is not reported"
                    self.blame(name, at, f"is not a number; expected a plain number such as 11.5, {advice}")

    def result(self) -> pd.DataFrame:
        """Return the table with what was filled in; columns that are new come last."""
        columns = {str(name): self.frame[name] for name in self.frame.columns}
        for name in self._touched:
            columns[name] = pd.Series(self._cells[name], index=self.frame.index, dtype=str)
        if self.said:
            columns["converted"] = self._joined("converted", self.said)
            columns["conversion_method"] = self._joined("conversion_method", self.methods)
        result = pd.DataFrame(columns, index=self.frame.index.copy(), columns=list(columns))
        result.attrs = dict(self.frame.attrs)
        return result

    def _joined(self, name: str, texts: dict[int, list[str]]) -> pd.Series[str]:
        """Return what was done to each row, behind what the table says of earlier conversions."""
        joined = ["; ".join(filter(None, [self.text(name, at), *texts.get(at, [])])) for at in range(self.rows)]
        return pd.Series(joined, index=self.frame.index, dtype=str)

    def _column(self, name: str) -> list[str]:
        if name not in self._cells:
            cells = self.frame[name] if name in self.frame.columns else [""] * self.rows
            self._cells[name] = [
                "" if pd.isna(cell) else cell if isinstance(cell, str) else str(cell) for cell in cells
            ]
        return self._cells[name]


def _parse(cell: str) -> tuple[float, str]:
    """Return the number of a cell and its percent sign; NaN when it is none."""
    found = NUMBER.fullmatch(cell.strip())
    if found is None:
        return math.nan, ""
    value = float(found[1])
    return (value, found[2]) if math.isfinite(value) else (math.nan, "")


def _number_text(value: float) -> str:
    """Return a number as text with every digit; whole numbers without a point."""
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
