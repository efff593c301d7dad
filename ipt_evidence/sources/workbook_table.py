"""Find the table in a sheet: title rows, header, merged cells, and every cell that cannot be taken as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.table_file import LINE_INDEX, TableScan
from ipt_evidence.sources.workbook_cells import SheetCells, address, letters

AREA = re.compile(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})")
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?\s*%?")
MAX_NAMED = 8
MAX_CELL_PROBLEMS = 500

Rows = dict[int, dict[int, str]]


@dataclass(frozen=True, slots=True)
class MergedArea:
    """A merged area: first and last row and column, counted from 1."""

    first_row: int
    last_row: int
    first_column: int
    last_column: int

    @classmethod
    def parse(cls, text: str) -> MergedArea | None:
        """Return the area that a text such as ``A2:A4`` names."""
        if (found := AREA.fullmatch(text)) is None:
            return None
        rows, columns = sorted((int(found[2]), int(found[4]))), sorted((_number(found[1]), _number(found[3])))
        return cls(rows[0], rows[1], columns[0], columns[1])

    def __str__(self) -> str:
        """Return the area as Excel writes it."""
        return f"{address(self.first_row, self.first_column)}:{address(self.last_row, self.last_column)}"


def find_table(
    cells: SheetCells, *, merged: tuple[str, ...], uncomputed: Mapping[tuple[int, int], str], file: str
) -> TableScan:
    """Return the table of a sheet.

    Parameters
    ----------
    cells : SheetCells
        Filled cells.
    merged : tuple of str
        Merged areas.
    uncomputed : mapping of (int, int) to str
        Cells with a formula that was never computed.
    file : str
        File and sheet, for messages.

    Returns
    -------
    TableScan
        Text cells indexed by the row of the sheet.
    """
    areas = [area for text in merged if (area := MergedArea.parse(text)) is not None]
    numbers = sorted(row for row, texts in cells.rows.items() if texts)
    if not numbers:
        return TableScan(None, (Problem("the sheet is empty; expected a header row and at least one row", file=file),))
    header_row, notes = _header_row(cells.rows, numbers)
    body = [row for row in sorted(cells.rows) if row > header_row]
    last = max(numbers)
    problems, filled = _unmerge(cells.rows, [a for a in areas if a.first_row <= last], header_row, file)
    two_rows = _second_header(cells.rows, header_row, body, file)
    columns = sorted({column for row in (header_row, *body) for column in cells.rows[row]})
    names = {column: " ".join(cells.rows[header_row].get(column, "").split()) for column in columns}
    problems += two_rows or _header_problems(names, header_row, file)
    problems += _cell_problems(cells, uncomputed, names, header_row, body, file, notes)
    header = {column: text.lower() for column, text in names.items() if text}
    rows = {}
    for row in body:
        texts = cells.rows[row]
        if {column: " ".join(text.split()).lower() for column, text in texts.items()} == header:
            problems.append(Problem("repeats the header; delete this row or split the sheet", file=file, row=row))
        else:
            rows[row] = [texts.get(column, "") for column in columns]
    if not rows and not problems:
        problems.append(Problem("has a header but no rows; expected at least one row", file=file, row=header_row))
    kept = list(names.values())
    if not rows or len(set(kept)) < len(kept) or "" in kept:
        return TableScan(None, tuple(problems), tuple(notes))
    index = pd.Index(list(rows), name=LINE_INDEX)
    frame = pd.DataFrame(list(rows.values()), columns=kept, index=index, dtype=str)
    if filled:
        notes.append(f"merged cells were filled down, as in every row they span: {_named(filled)}")
    return TableScan(frame, tuple(problems), tuple(notes))


def _header_row(rows: Rows, numbers: list[int]) -> tuple[int, list[str]]:
    """Return the row of the header: the first with two filled cells, where the table has two columns at all."""
    wide = [row for row in numbers if len(rows[row]) >= 2]
    if not wide or wide[0] == numbers[0]:
        return numbers[0], []
    titles = [row for row in numbers if row < wide[0]]
    shown = "; ".join(next(iter(rows[row].values()))[:60] for row in titles[:3])
    return wide[0], [f"{len(titles)} title row(s) above the header in row {wide[0]} were passed over: {shown}"]


def _unmerge(rows: Rows, areas: list[MergedArea], header_row: int, file: str) -> tuple[list[Problem], list[str]]:
    """Fill merged cells of one column down, in place, and name the merged areas that cannot be read."""
    problems, filled = [], []
    for area in areas:
        value = rows.get(area.first_row, {}).get(area.first_column, "")
        if area.last_row < header_row or not value:
            continue
        if area.first_row <= header_row:
            if area.first_column != area.last_column or area.last_row > header_row:
                message = f"cells {area} are merged in the header; give every column one header cell of its own"
                problems.append(
                    Problem(message, file=file, row=header_row, column=letters(area.first_column), value=value)
                )
        elif area.first_column != area.last_column:
            message = f"cells {area} are merged across columns; split them and fill in every cell"
            problems.append(
                Problem(message, file=file, row=area.first_row, column=letters(area.first_column), value=value)
            )
        else:
            for row in range(area.first_row + 1, area.last_row + 1):
                if rows.get(row):
                    rows[row][area.first_column] = value
            filled.append(str(area))
    return problems, filled


def _second_header(rows: Rows, header_row: int, body: list[int], file: str) -> list[Problem]:
    """Return the problem of a header in two rows: words below a header that has gaps or repeats itself."""
    below = [row for row in body if rows[row]]
    if len(below) < 2:
        return []
    first, second = rows[header_row], rows[below[0]]
    names = [text.strip().lower() for text in first.values()]
    gaps = set(second) - set(first)
    numbers_later = any(NUMBER.fullmatch(text.strip()) for row in below[1:20] for text in rows[row].values())
    words_only = not any(NUMBER.fullmatch(text.strip()) for text in second.values())
    if not words_only or not numbers_later or not (gaps or len(set(names)) < len(names)):
        return []
    label, example = "", ""
    for column in range(1, max(max(first), max(second)) + 1):
        label = first.get(column, label).strip()
        if column in second and label and column in gaps | set(first) and not example and second[column].strip():
            example = f"{label} {second[column].strip()}".strip()
    message = (
        f"rows {header_row} and {below[0]} together look like a header in two rows; write one, such as {example!r}"
    )
    return [Problem(message, file=file, row=header_row)]


def _header_problems(names: dict[int, str], row: int, file: str) -> list[Problem]:
    """Return the columns without a name and the names that are there twice."""
    problems = [
        Problem(f"column {letters(column)} has cells but no name; name it or empty it", file=file, row=row)
        for column, name in names.items()
        if not name
    ]
    for name, count in Counter(names.values()).items():
        if name and count > 1:
            where = ", ".join(letters(column) for column, text in names.items() if text == name)
            message = f"the header names this column {count} times ({where}); give each its own name"
            problems.append(Problem(message, file=file, row=row, column=name))
    return problems


def _cell_problems(
    cells: SheetCells,
    uncomputed: Mapping[tuple[int, int], str],
    names: dict[int, str],
    header_row: int,
    body: list[int],
    file: str,
    notes: list[str],
) -> list[Problem]:
    """Return the cells that cannot be taken as they are: errors, formulas without a value, dates."""
    found: dict[tuple[int, int], Problem] = {}

    def report(place: tuple[int, int], message: str, value: str) -> None:
        column = names.get(place[1]) or letters(place[1])
        found[place] = Problem(f"cell {address(*place)} {message}", file=file, row=place[0], column=column, value=value)

    for place, text in cells.errors.items():
        if place[0] >= header_row:
            report(place, "holds an error; repair its formula or empty it", text)
    for place, formula in uncomputed.items():
        message = "holds a formula without a stored value; open the file in Excel and save it, or type the value"
        report(place, message, formula[:60])
    dated: dict[int, list[tuple[int, int]]] = {}
    for place in cells.dates:
        dated.setdefault(place[1], []).append(place)
    for column, places in dated.items():
        in_body = [place for place in places if place[0] > header_row]
        others = any(column in cells.rows[row] and (row, column) not in cells.dates for row in body)
        if in_body and others:
            message = (
                "is a date among other values (Excel turns 3/5 or 5-12 into dates); type it again as text or number"
            )
            for place in in_body:
                report(place, message, cells.dates[place])
        elif in_body:
            notes.append(f"column {names.get(column) or letters(column)!r} holds dates, read as year-month-day")
    if percents := sorted({names.get(column) or letters(column) for row, column in cells.percents if row > header_row}):
        notes.append(f"shown as percentages and read with their sign: {', '.join(percents)}")
    ordered = [found[place] for place in sorted(found)]
    if len(ordered) > MAX_CELL_PROBLEMS:
        message = f"and {len(ordered) - MAX_CELL_PROBLEMS} more cells with errors, dates or formulas without a value"
        return [*ordered[:MAX_CELL_PROBLEMS], Problem(message, file=file)]
    return ordered


def _named(texts: list[str]) -> str:
    """Return a list in words, cut where it is long."""
    rest = f" and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""
    return ", ".join(texts[:MAX_NAMED]) + rest


def _number(text: str) -> int:
    """Return the number of a column from its letters."""
    number = 0
    for letter in text:
        number = number * 26 + ord(letter) - 64
    return number
