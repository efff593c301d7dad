"""Translate the cells of a mapped table: missing markers, decimal commas, words into our words, constants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.mapping_names import NUMBER_COLUMNS
from ipt_evidence.sources.mapping_split import is_composite, split_cells

if TYPE_CHECKING:
    from ipt_evidence.sources.mapping import ColumnMapping

COMMA_NUMBER = re.compile(r"([+-]?)(\d*),(\d+)(\s*%?)")
PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
COMMA_BETWEEN = re.compile(r"(?<=\d),(?=\d)")
GROUPED_NUMBER = re.compile(r"[+-]?\d{1,3}([.\s ]\d{3})+,\d+")


@dataclass(frozen=True)
class MappedCells:
    """A table after the translation of its cells.

    Attributes
    ----------
    frame : pandas.DataFrame
        New table.
    problems : tuple of Problem
        Cells without a translation.
    notes : tuple of str
        What was read as missing or filled in.
    """

    frame: pd.DataFrame
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def map_cells(frame: pd.DataFrame, mapping: ColumnMapping, header_of: Mapping[str, str], file: str) -> MappedCells:
    """Translate cells.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text in our columns.
    mapping : ColumnMapping
        What its cells mean.
    header_of : mapping
        Our column to the header in the file, for messages.
    file : str
        Name for messages.
    """
    columns = {str(name): [_text(cell) for cell in frame[name]] for name in frame.columns}
    lines = [int(line) for line in frame.index]
    problems: list[Problem] = []
    notes = _blank_missing(columns, mapping.missing)
    for name, cells in columns.items():
        shown = header_of.get(name, name)
        if mapping.decimal_comma and name in NUMBER_COLUMNS:
            columns[name] = [_with_point(cell) for cell in cells]
            problems += [
                Problem("has both a decimal comma and thousands separators; write it plainly", file, line, shown, cell)
                for line, cell in zip(lines, cells, strict=True)
                if GROUPED_NUMBER.fullmatch(cell.strip())
            ]
        if mapping.decimal_comma and is_composite(name):
            columns[name] = [COMMA_BETWEEN.sub(".", cell) for cell in cells]
        if name in mapping.values:
            columns[name], found = _translate(columns[name], mapping.values[name], lines, shown, file)
            problems += found
    split = split_cells(columns, lines, dict(header_of), file)
    columns = split.columns
    problems += split.problems
    notes += split.notes
    for name, value in mapping.constants.items():
        cells = columns.get(name, [""] * len(frame))
        empty = sum(not cell.strip() for cell in cells)
        columns[name] = [cell if cell.strip() else value for cell in cells]
        if empty:
            notes.append(f"{name} is {value!r} in {empty} of {len(frame)} rows because the mapping says so")
    return MappedCells(
        pd.DataFrame(columns, index=frame.index.copy(), columns=list(columns), dtype=str), tuple(problems), tuple(notes)
    )


def number_fault(cell: str, *, percent: bool = False) -> str:
    """Return what is wrong with a cell that should be a number, empty when nothing is.

    Examples
    --------
    >>> number_fault("11.5"), number_fault("11,5")
    ('', 'has a decimal comma; write 11.5, or say decimal_comma: true in the mapping')
    """
    text = cell.strip()
    if not text or PLAIN_NUMBER.fullmatch(text.removesuffix("%").rstrip() if percent else text):
        return ""
    if COMMA_NUMBER.fullmatch(text):
        return f"has a decimal comma; write {text.replace(',', '.')}, or say decimal_comma: true in the mapping"
    if text[0] in "\u2212\u2013":
        return f"has a typographic minus sign; write -{text[1:]}"
    if PLAIN_NUMBER.fullmatch(text.rstrip("% ")):
        return "is a percentage; expected a number without the sign"
    return "is not a number; leave the cell empty, or name the word under missing in the mapping, when nothing is known"


def _blank_missing(columns: dict[str, list[str]], markers: tuple[str, ...]) -> list[str]:
    """Empty the cells that hold a marker, in place, and say how many there were."""
    words = {marker.strip().lower() for marker in markers} - {""}
    counts: dict[str, int] = {}
    for name, cells in columns.items():
        hits = [cell.strip().lower() in words for cell in cells] if words else []
        if any(hits):
            counts[name] = sum(hits)
            columns[name] = ["" if hit else cell for cell, hit in zip(cells, hits, strict=True)]
    if not counts:
        return []
    listed = ", ".join(f"{name} ({count})" for name, count in counts.items())
    return [f"read as missing because they hold {' or '.join(map(repr, markers))}: {listed}"]


def _translate(
    cells: list[str], pairs: Mapping[str, str], lines: list[int], shown: str, file: str
) -> tuple[list[str], list[Problem]]:
    """Return translated cells; a filled cell that is neither a word of the list nor a result of it is a fault."""
    words = {word.strip().lower(): value for word, value in pairs.items()}
    results = set(pairs.values())
    translated, problems = [], []
    for line, cell in zip(lines, cells, strict=True):
        key = cell.strip().lower()
        translated.append(words.get(key, cell))
        if key and key not in words and cell.strip() not in results:
            message = f"has no translation; the mapping knows {', '.join(map(repr, pairs))}: add it under values"
            problems.append(Problem(message, file=file, row=line, column=shown, value=cell))
    return translated, problems


def _with_point(cell: str) -> str:
    """Return a number with a decimal point; other cells stay."""
    found = COMMA_NUMBER.fullmatch(cell.strip())
    return f"{found[1]}{found[2] or '0'}.{found[3]}{found[4]}" if found else cell


def _text(cell: object) -> str:
    """Return a cell as text, missing as an empty text, a float with every digit."""
    if cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and cell != cell):
        return ""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(float(cell))
    return str(cell)
