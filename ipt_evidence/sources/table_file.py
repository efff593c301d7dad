"""Read a CSV or TSV file strictly: every cell as text, every row with its line in the file, every fault by name."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from ipt_evidence.errors import Problem, SchemaError

LINE_INDEX = "line"
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
TAB_SUFFIXES = {".tsv", ".tab"}
WORKBOOK_SUFFIXES = {".xlsx", ".xls", ".xlsm", ".ods"}
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
ZIP_MARK = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class TableScan:
    """A table file as far as it could be read, with everything that is wrong with the file.

    Attributes
    ----------
    frame : pandas.DataFrame or None
        Cells as text, indexed by line in the file (index name ``"line"``); ``None`` when no table could be made out.
    problems : tuple of Problem
        Faults of the file itself: encoding, delimiter, header, rows of the wrong length.
    notes : tuple of str
        What the reader concluded or converted and a user should know, such as the direction of the effects.
    """

    frame: pd.DataFrame | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...] = ()


def read_table(path: str | PathLike[str]) -> pd.DataFrame:
    """Read a CSV or TSV file into a table of text.

    Parameters
    ----------
    path : path-like
        UTF-8 file (a byte-order mark is accepted) with one header line. Cells are separated by commas, or by tabs when
        the name ends in ``.tsv`` or ``.tab``.

    Returns
    -------
    pandas.DataFrame
        Every cell as text, empty cells as ``""``, rows in file order without empty lines. The index, named ``line``,
        is the line of the file on which the row begins (the header is line 1). ``attrs["source"]`` holds name, file,
        sha256 and an empty version.

    Raises
    ------
    SchemaError
        The file is missing, empty, binary, not UTF-8, separated by another character, or its header or rows do not
        fit together. Every fault is listed.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "trials.csv"
    >>> lines = ["trial_id,n_1", "a2001,34"]
    >>> _ = path.write_text(chr(10).join(lines), encoding="utf-8")
    >>> read_table(path)
         trial_id n_1
    line
    2       a2001  34
    >>> folder.cleanup()
    """
    scan = scan_table(path)
    if scan.problems or scan.frame is None:
        raise SchemaError(scan.problems, title=f"{Path(path).name} cannot be read")
    return scan.frame


def scan_table(path: str | PathLike[str]) -> TableScan:
    """Read a CSV or TSV file as far as possible and collect its faults instead of raising.

    Parameters
    ----------
    path : path-like
        As for :func:`read_table`.

    Returns
    -------
    TableScan
        A wrong byte or a wrong delimiter is reported and the table is read on, so that its contents can be checked
        in the same go; rows of the wrong length are reported and left out.
    """
    path = Path(path)
    content, problem = _read_bytes(path)
    if problem is not None:
        return TableScan(None, (problem,))
    text, problems = _decode(content, path.name)
    delimiter, found = _delimiter(text, path)
    problems += found
    header, rows, found = _records(text, delimiter, path.name)
    problems += found
    if not rows or len(set(header)) < len(header):
        return TableScan(None, tuple(problems))
    frame = _to_frame(header, rows)
    checksum = hashlib.sha256(content).hexdigest()
    frame.attrs["source"] = {"name": path.stem, "file": path.name, "sha256": checksum, "version": ""}
    return TableScan(frame, tuple(problems))


def _read_bytes(path: Path) -> tuple[bytes, Problem | None]:
    """Return the content of a file, or why it cannot be a table."""
    if path.is_dir():
        return b"", Problem("is a folder; expected a CSV file", file=str(path))
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", Problem("does not exist; check the name and the folder", file=str(path))
    except OSError as error:
        return b"", Problem(f"cannot be opened ({error.strerror}); check its permissions", file=str(path))
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        return b"", Problem("is empty; expected a header line and at least one row", file=path.name)
    if content.startswith(UTF16_MARKS):
        return b"", Problem("is in UTF-16; save it as CSV in UTF-8", file=path.name)
    if content.startswith(ZIP_MARK) or path.suffix.lower() in WORKBOOK_SUFFIXES:
        return b"", Problem("is a spreadsheet workbook; save its sheet as CSV in UTF-8", file=path.name)
    if (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        message = f"is not a text file: it holds a NUL byte at offset {at}; expected CSV in UTF-8"
        return b"", Problem(message, file=path.name, row=line)
    return content, None


def _decode(content: bytes, file: str) -> tuple[str, list[Problem]]:
    """Return the text of a file and one problem per line that is not UTF-8; such lines are read as Windows-1252."""
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        pass
    body = content.removeprefix(b"\xef\xbb\xbf")
    problems, lines, offset = [], [], len(content) - len(body)
    for number, line in enumerate(body.splitlines(keepends=True), start=1):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            guess = line.decode("cp1252", errors="replace")
            shown = f"byte 0x{line[error.start]:02x} at offset {offset + error.start}"
            around = line[max(0, error.start - 12) : error.start + 12].decode("cp1252", errors="replace").strip()
            message = f"wrong encoding: {shown} is not UTF-8; save the file as CSV in UTF-8"
            problems.append(Problem(message, file=file, row=number, value=around))
            lines.append(guess)
        offset += len(line)
    return "".join(lines), problems


def _delimiter(text: str, path: Path) -> tuple[str, list[Problem]]:
    """Return the delimiter of a file and a problem when it is not the one expected."""
    expected = "\t" if path.suffix.lower() in TAB_SUFFIXES else ","
    header = text.lstrip("\r\n").split("\n", 1)[0]
    counts = {mark: header.count(mark) for mark in DELIMITER_NAMES}
    likely = max(counts, key=lambda mark: (counts[mark], mark == expected))
    if counts[likely] <= counts[expected]:
        return expected, []
    found, wanted = DELIMITER_NAMES[likely], DELIMITER_NAMES[expected]
    message = f"wrong delimiter: the header is separated by {found}s, expected {wanted}s; save the file with {wanted}s"
    return likely, [Problem(message, file=path.name, row=1)]


def _records(text: str, delimiter: str, file: str) -> tuple[list[str], dict[int, list[str]], list[Problem]]:
    """Return the header, the rows by line of the file, and what is wrong with them."""
    header: list[str] = []
    rows: dict[int, list[str]] = {}
    problems: list[Problem] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    advice = f"a cell that holds a {DELIMITER_NAMES[delimiter]} needs quotation marks"
    begin = 1
    try:
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                problems += _header_problems(header, line, file)
            elif len(cells) == len(header):
                rows[line] = cells
            else:
                message = f"has {len(cells)} cells, the header has {len(header)}; {advice}"
                problems.append(Problem(message, file=file, row=line))
    except csv.Error as error:
        message = f"cannot be read as CSV ({error}); check the quotation marks from here on"
        problems.append(Problem(message, file=file, row=begin))
    if not rows and not problems:
        problems.append(Problem("has a header but no rows; expected at least one row", file=file))
    return header, rows, problems


def _header_problems(header: list[str], line: int, file: str) -> list[Problem]:
    """Return what is wrong with the names of the columns."""
    problems = [
        Problem(f"column {number} has no name; name it or remove it", file=file, row=line)
        for number, name in enumerate(header, start=1)
        if not name
    ]
    for name, count in Counter(header).items():
        if name and count > 1:
            message = f"the header names this column {count} times; keep one"
            problems.append(Problem(message, file=file, row=line, column=name))
    return problems


def _to_frame(header: list[str], rows: dict[int, list[str]]) -> pd.DataFrame:
    """Return rows of text as a frame indexed by line."""
    return pd.DataFrame(list(rows.values()), columns=header, index=pd.Index(list(rows), name=LINE_INDEX), dtype=str)
