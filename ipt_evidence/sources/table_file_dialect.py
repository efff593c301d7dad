"""Read a table that others released, whatever its delimiter and encoding, and say what had to be concluded."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path

from ipt_evidence.errors import Problem
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.table_file import (
    DELIMITER_NAMES,
    UTF16_MARKS,
    Header,
    TableScan,
    count_delimiters,
    frame_of,
    read_content,
    source_of,
    to_utf8,
)
from ipt_evidence.sources.table_file_mojibake import repair_mojibake

ROW_NUMBER = "row_number"
SHOWN_LINES = 5


def scan_any_delimiter(path: str | PathLike[str]) -> TableScan:
    """Read a text table with commas, semicolons, tabs or bars, in UTF-8, UTF-16 or Windows-1252.

    Parameters
    ----------
    path : path-like
        File with one header line.

    Returns
    -------
    TableScan
        Every cell as text, as in the file. Columns without a name are called ``row_number`` (the first) or
        ``column_7``; a name used twice gets ``_2``. ``notes`` say which delimiter and encoding were found, and which
        characters were repaired. Rows that do not fit the header are problems.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "data.csv"
    >>> _ = path.write_text('"";"study";"mean_arm1"' + chr(10) + '"1";"A, 2001";11,5', encoding="utf-8")
    >>> scan = scan_any_delimiter(path)
    >>> scan.frame.iloc[0].tolist(), scan.notes
    (['1', 'A, 2001', '11,5'], ('cells are separated by semicolons',))
    >>> folder.cleanup()
    """
    path = place_of(path)
    content, notes, problem = _content(path)
    if problem is not None:
        return TableScan(None, (problem,))
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    content, found = to_utf8(content, path.name)
    if found:
        notes.append(f"{len(found)} lines are not UTF-8 and were read as Windows-1252: {_lines(found)}")
    content, repaired = repair_mojibake(content)
    notes += repaired
    counts = count_delimiters(content)
    delimiter = max(counts, key=lambda mark: counts[mark])
    notes.append(f"cells are separated by {DELIMITER_NAMES[delimiter]}s")
    naming = _Naming(notes)
    frame, problems = frame_of(content, delimiter, path.name, header_rule=naming)
    if frame is not None:
        frame.attrs["source"] = source_of(path, checksum)
    return TableScan(frame, tuple(problems), tuple(notes))


def text_header(header: Header, notes: list[str]) -> Header:
    """Return a name of its own for every column, and note those that had none.

    Parameters
    ----------
    header : list of str
        Names without surrounding blanks.
    notes : list of str
        What was concluded is added here.
    """
    taken = set(header)
    used: set[str] = set()
    names = []
    for place, name in enumerate(header, start=1):
        wanted = name or (ROW_NUMBER if place == 1 else f"column_{place}")
        unique, copy = wanted, 2
        while unique in used or (unique != name and unique in taken):
            unique, copy = f"{wanted}_{copy}", copy + 1
        used.add(unique)
        names.append(unique)
        if not name and place > 1:
            notes.append(f"column {place} has no name, here it is {unique!r}")
        elif name and unique != name:
            notes.append(f"the header names {name!r} more than once, column {place} is {unique!r} here")
    return names


class _Naming:
    """The header rule of tables that others released: nothing is refused, what is renamed is noted."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def __call__(self, header: Header, line: int, file: str) -> tuple[Header, list[Problem]]:
        """Return names that are unique."""
        return text_header(header, self.notes), []


def _content(path: Path) -> tuple[bytes, list[str], Problem | None]:
    """Return the content of a text file; UTF-16 becomes UTF-8."""
    content, problem = read_content(path)
    if problem is None or not path.is_file() or path.stat().st_size == 0:
        return content, [], problem
    with path.open("rb") as file:
        if not file.read(2).startswith(UTF16_MARKS):
            return content, [], problem
    try:
        text = path.read_bytes().decode("utf-16")
    except UnicodeDecodeError as error:
        return b"", [], Problem(f"is UTF-16 that breaks off at byte {error.start}; save it in UTF-8", file=path.name)
    if "\0" in text or not text.strip():
        return b"", [], problem
    return text.encode("utf-8"), ["the file is in UTF-16"], None


def _lines(problems: list[Problem]) -> str:
    """Return the first rows of some problems."""
    shown = ", ".join(str(problem.row) for problem in problems[:SHOWN_LINES])
    return f"line {shown}" + (" and more" if len(problems) > SHOWN_LINES else "")
