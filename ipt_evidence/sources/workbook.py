"""Read one sheet of an XLSX workbook strictly: values as text, every row with its number, every fault by name."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from ipt_evidence.errors import MissingExtraError, OptionError, Problem
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.sources.workbook_archive import file_problem, sheet_facts
from ipt_evidence.sources.workbook_cells import SheetCells, TooLargeError, read_cells
from ipt_evidence.sources.workbook_table import find_table

Sheet = str | int | None


def scan_workbook(path: str | PathLike[str], *, sheet: Sheet = None) -> TableScan:
    """Read a sheet of an XLSX workbook as far as possible and collect its faults instead of raising.

    Parameters
    ----------
    path : path-like
        XLSX or XLSM file.
    sheet : str, int or None
        Name of the sheet, or its number counted from 1; ``None`` takes the only visible sheet that holds cells.

    Returns
    -------
    TableScan
        Every cell as text, numbers with every digit, numbers shown as percentages with their sign (``45%``); the
        index, named ``line``, is the row of the sheet. Formulas give their stored values and are never computed.
        Rows above the header with one filled cell, empty rows and empty columns are passed over; merged cells of
        one column are filled down and noted. ``attrs["source"]`` holds name, file, sheet, sha256, version.

    Raises
    ------
    MissingExtraError
        openpyxl is not installed.
    OptionError
        `sheet` is neither a name nor a number.

    Notes
    -----
    The archive is checked before it is opened: size unpacked, rate of compression, names of its parts, entities in
    its XML. What a sheet claims about its dimensions is not believed.
    """
    if isinstance(sheet, bool) or not (sheet is None or isinstance(sheet, (str, int))):
        raise OptionError(f"sheet must be a name or a number counted from 1; received {sheet!r}")
    path = place_of(path)
    if (problem := file_problem(path)) is not None:
        return TableScan(None, (problem,))
    openpyxl = _openpyxl()
    try:
        with _opened(openpyxl, path, data_only=True) as book:
            worksheet, found = _choose_sheet(book, sheet, path.name)
            if isinstance(found, Problem):
                return TableScan(None, (found,))
            return _scan_sheet(openpyxl, path, worksheet, found)
    except TooLargeError as error:
        message = f"{error}, which no table of trials has; delete the cells outside the table, or save it as CSV"
        return TableScan(None, (Problem(message, file=path.name),))
    except MemoryError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().split("\n", 1)[0][:200]
        message = f"cannot be read as XLSX ({reason}); open it in a spreadsheet program and save it again, or as CSV"
        return TableScan(None, (Problem(message, file=path.name),))


def _openpyxl() -> Any:
    """Return the library that reads workbooks."""
    try:
        import openpyxl
    except ImportError as error:
        message = 'reading XLSX needs openpyxl: pip install "ipt-evidence[excel]", or save the sheet as CSV'
        raise MissingExtraError(message) from error
    return openpyxl


@contextmanager
def _opened(openpyxl: Any, path: Path, *, data_only: bool) -> Iterator[Any]:
    """Open a workbook without its warnings about styles and extensions, which do not touch values."""
    with warnings.catch_warnings(), path.open("rb") as stream:
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(stream, read_only=True, data_only=data_only, keep_links=False)
        try:
            yield book
        finally:
            book.close()


def _choose_sheet(book: Any, sheet: Sheet, file: str) -> tuple[Any, str | Problem]:
    """Return the sheet to read with a note on the others, or a problem that lists the sheets."""
    names = list(book.sheetnames)
    listed = ", ".join(f"{number} {name!r}" for number, name in enumerate(names, start=1))
    if isinstance(sheet, int):
        if not 1 <= sheet <= len(names):
            return None, Problem(f"has no sheet number {sheet}; the sheets are {listed}", file=file)
        sheet = names[sheet - 1]
    if sheet is not None:
        if sheet not in names:
            return None, Problem(f"has no sheet {sheet!r}; the sheets are {listed}", file=file)
        chosen = book[sheet]
        if not hasattr(chosen, "iter_rows"):
            return None, Problem(f"the sheet {sheet!r} holds a chart; the sheets are {listed}", file=file)
        return chosen, ""
    tables = [book[name] for name in names if hasattr(book[name], "iter_rows")]
    visible = [one for one in tables if one.sheet_state == "visible"]
    with_data = [one for one in visible if _holds_data(one)]
    if not with_data:
        return None, Problem(f"no visible sheet holds any cells; the sheets are {listed}", file=file)
    if len(with_data) > 1:
        filled = ", ".join(repr(one.title) for one in with_data)
        message = f"has {len(with_data)} sheets with data ({filled}); choose one, such as sheet={with_data[0].title!r}"
        return None, Problem(message, file=file)
    hidden = [one.title for one in tables if one.sheet_state != "visible" and _holds_data(one)]
    note = f"hidden sheets were not read: {', '.join(map(repr, hidden))}" if hidden else ""
    return with_data[0], note


def _holds_data(worksheet: Any) -> bool:
    """Return whether a sheet has a filled cell."""
    worksheet.reset_dimensions()
    for number, row in enumerate(worksheet.iter_rows(values_only=True)):
        if any(value is not None for value in row):
            return True
        if number > 100_000:
            return False
    return False


def _scan_sheet(openpyxl: Any, path: Path, worksheet: Any, note: str) -> TableScan:
    """Read one sheet of an open workbook."""
    label = f"{path.name}, sheet {worksheet.title!r}"
    facts = sheet_facts(path, worksheet._worksheet_path)
    worksheet.reset_dimensions()
    cells = read_cells(worksheet.iter_rows())
    uncomputed = _uncomputed(openpyxl, path, worksheet.title, cells) if facts.has_formulas else {}
    scan = find_table(cells, merged=facts.merged, uncomputed=uncomputed, file=label)
    notes = [*scan.notes, *([note] if note else [])]
    if facts.hidden_rows:
        notes.append(f"{facts.hidden_rows} hidden row(s) of the sheet were read like the others")
    if scan.frame is not None:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
        source = {"name": path.stem, "file": path.name, "sheet": worksheet.title, "sha256": checksum, "version": ""}
        scan.frame.attrs["source"] = source
    return TableScan(scan.frame, scan.problems, tuple(notes))


def _uncomputed(openpyxl: Any, path: Path, title: str, cells: SheetCells) -> dict[tuple[int, int], str]:
    """Return the cells that hold a formula for which the file stores no value."""
    found: dict[tuple[int, int], str] = {}
    with _opened(openpyxl, path, data_only=False) as book:
        worksheet = book[title]
        worksheet.reset_dimensions()
        for row in worksheet.iter_rows():
            for cell in row:
                if cell.data_type != "f":
                    continue
                place = (cell.row, cell.column)
                if place[1] not in cells.rows.get(place[0], {}) and place not in cells.errors:
                    found[place] = str(getattr(cell.value, "text", cell.value))
    return found
