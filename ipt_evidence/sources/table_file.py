"""Read a CSV or TSV file strictly: every cell as text, every row with its line in the file, every fault by name."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.table_file_layout import MAX_CELL, regular_frame

LINE_INDEX = "line"
DELIMITER_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
TAB_SUFFIXES = {".tsv", ".tab"}
WORKBOOK_SUFFIXES = {".xlsx", ".xls", ".xlsm", ".ods"}
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
ZIP_MARK = b"PK\x03\x04"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MAX_BYTES = 1 << 31
MAX_COLUMNS = 10_000
HEADER_BYTES = 1 << 20
TOO_LONG = f"a cell holds more than {MAX_CELL:,} characters; check the quotation marks from here on"

Header = list[str]
HeaderRule = Callable[[Header, int, str], tuple[Header, list[Problem]]]


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
    path = place_of(path)
    content, problem = read_content(path)
    if problem is not None:
        return TableScan(None, (problem,))
    checksum = hashlib.sha256(content).hexdigest()
    content, problems = to_utf8(content, path.name)
    delimiter, found = _delimiter(content, path)
    problems += found
    frame, found = frame_of(content, delimiter, path.name, header_rule=strict_header)
    problems += found
    if frame is not None:
        frame.attrs["source"] = source_of(path, checksum)
    return TableScan(frame, tuple(problems))


def source_of(path: Path, checksum: str) -> dict[str, str]:
    """Return what a table remembers of its file."""
    return {"name": path.stem, "file": path.name, "sha256": checksum, "version": ""}


def read_content(path: Path) -> tuple[bytes, Problem | None]:
    """Return the content of a file, or why it cannot be a table.

    Parameters
    ----------
    path : Path
        File of any kind; what is no ordinary file of text is refused before it is read.
    """
    problem = place_problem(path)
    if problem is not None:
        return b"", problem
    try:
        content = path.read_bytes()
    except OSError as error:
        return b"", Problem(f"cannot be opened ({error.strerror}); check its permissions", file=str(path))
    if not content.strip(b"\xef\xbb\xbf \t\r\n"):
        return b"", Problem("is empty; expected a header line and at least one row", file=path.name)
    if content.startswith(UTF16_MARKS):
        return b"", Problem("is in UTF-16; save it as CSV in UTF-8", file=path.name)
    if path.suffix.lower() in WORKBOOK_SUFFIXES:
        return b"", Problem("is a spreadsheet workbook; save its sheet as CSV in UTF-8", file=path.name)
    if content.startswith(ZIP_MARK):
        message = "is an archive or a workbook; give a workbook the ending .xlsx, unpack an archive and read its table"
        return b"", Problem(message, file=path.name)
    if (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        message = f"is not a text file: it holds a NUL byte at offset {at}; expected CSV in UTF-8"
        return b"", Problem(message, file=path.name, row=line)
    return content, None


def place_problem(path: Path, *, expected: str = "a CSV file") -> Problem | None:
    """Return why a path cannot be read, before it is opened: reading a pipe or a device might never end.

    Parameters
    ----------
    path : Path
        Any path.
    expected : str
        What it should be, for the message.
    """
    try:
        if path.is_dir():
            return Problem(f"is a folder; expected {expected}", file=str(path))
        if not path.exists():
            return Problem("does not exist; check the name and the folder", file=str(path))
        if not path.is_file():
            return Problem(f"is no ordinary file; expected {expected}", file=str(path))
        if (size := path.stat().st_size) > MAX_BYTES:
            message = f"has {size / 1e9:.1f} GB; expected at most {MAX_BYTES / 1e9:.1f} GB, split the file"
            return Problem(message, file=path.name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Problem(f"cannot be opened ({reason}); check the name and its permissions", file=str(path))
    return None


def to_utf8(content: bytes, file: str) -> tuple[bytes, list[Problem]]:
    """Return content as UTF-8 without a byte-order mark, and one problem per line that was not.

    Parameters
    ----------
    content : bytes
        Content of a text file; lines that are not UTF-8 are read as Windows-1252.
    file : str
        Name for messages.
    """
    body = content.removeprefix(BYTE_ORDER_MARK)
    if body.isascii():
        return body, []
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return body, []
    problems, lines, offset = [], [], len(content) - len(body)
    for number, line in enumerate(body.splitlines(keepends=True), start=1):
        try:
            line.decode("utf-8")
            lines.append(line)
        except UnicodeDecodeError as error:
            guess = line.decode("cp1252", errors="replace")
            shown = f"byte 0x{line[error.start]:02x} at offset {offset + error.start}"
            around = line[max(0, error.start - 12) : error.start + 12].decode("cp1252", errors="replace").strip()
            message = f"wrong encoding: {shown} is not UTF-8; save the file as CSV in UTF-8"
            problems.append(Problem(message, file=file, row=number, value=around))
            lines.append(guess.encode("utf-8"))
        offset += len(line)
    return b"".join(lines), problems


def count_delimiters(content: bytes) -> dict[str, int]:
    """Return how often each delimiter stands in the header, quoted cells left out.

    Parameters
    ----------
    content : bytes
        UTF-8 without a byte-order mark.
    """
    start = content[:HEADER_BYTES].lstrip(b"\r\n")
    header = re.sub(rb'"[^"]*"', b"", start)
    header = re.split(rb"[\r\n]", header, maxsplit=1)[0]
    return {mark: header.count(mark.encode()) for mark in DELIMITER_NAMES}


def _delimiter(content: bytes, path: Path) -> tuple[str, list[Problem]]:
    """Return the delimiter of a file and a problem when it is not the one expected."""
    expected = "\t" if path.suffix.lower() in TAB_SUFFIXES else ","
    counts = count_delimiters(content)
    likely = max(counts, key=lambda mark: (counts[mark], mark == expected))
    if counts[likely] <= counts[expected]:
        return expected, []
    found, wanted = DELIMITER_NAMES[likely], DELIMITER_NAMES[expected]
    message = f"wrong delimiter: the header is separated by {found}s, expected {wanted}s; save the file with {wanted}s"
    return likely, [Problem(message, file=path.name, row=1)]


def frame_of(
    content: bytes, delimiter: str, file: str, *, header_rule: HeaderRule
) -> tuple[pd.DataFrame | None, list[Problem]]:
    """Return the table in a text, as far as it can be made out, and what is wrong with it.

    Parameters
    ----------
    content : bytes
        UTF-8 without a byte-order mark.
    delimiter : str
        Character between cells.
    file : str
        Name for messages.
    header_rule : callable
        Takes the header, its line and the name of the file, returns the names to use and what is wrong with them.
    """
    if (n_columns := count_delimiters(content)[delimiter] + 1) > MAX_COLUMNS:
        message = f"has {n_columns:,} columns; expected at most {MAX_COLUMNS:,}, check the delimiter and the line ends"
        return None, [Problem(message, file=file, row=1)]
    if (frame := regular_frame(content, delimiter, index_name=LINE_INDEX)) is not None:
        return frame, []
    header, rows, problems = _records(content, delimiter, file, header_rule)
    if not rows or len(set(header)) < len(header):
        return None, problems
    return _to_frame(header, rows), problems


def _records(
    content: bytes, delimiter: str, file: str, header_rule: HeaderRule
) -> tuple[Header, dict[int, list[str]], list[Problem]]:
    """Return the header, the rows by line of the file, and what is wrong with them."""
    header: Header = []
    rows: dict[int, list[str]] = {}
    problems: list[Problem] = []
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    advice = f"a cell that holds a {DELIMITER_NAMES[delimiter]} needs quotation marks"
    begin = 1
    try:
        for cells in reader:
            line, begin = begin, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header and max(map(len, cells)) > MAX_CELL:
                problems.append(Problem(TOO_LONG, file=file, row=line))
                break
            if not header:
                header, found = header_rule([cell.strip() for cell in cells], line, file)
                problems += found
            elif max(map(len, cells)) > MAX_CELL:
                problems.append(Problem(TOO_LONG, file=file, row=line))
            elif len(cells) == len(header):
                rows[line] = cells
            else:
                message = f"has {len(cells)} cells, the header has {len(header)}; {advice}"
                problems.append(Problem(message, file=file, row=line))
    except csv.Error as error:
        problems.append(Problem(_csv_fault(error), file=file, row=begin))
    if not rows and not problems:
        problems.append(Problem("has a header but no rows; expected at least one row", file=file))
    return header, rows, problems


def _csv_fault(error: csv.Error) -> str:
    """Return a fault of the CSV itself in words."""
    if "field limit" in str(error):
        return TOO_LONG
    return f"cannot be read as CSV ({error}); check the quotation marks from here on"


def strict_header(header: Header, line: int, file: str) -> tuple[Header, list[Problem]]:
    """Return the names of the columns as they are and what is wrong with them.

    Parameters
    ----------
    header : list of str
        Names without surrounding blanks.
    line : int
        Line of the header.
    file : str
        Name for messages.
    """
    problems = [
        Problem(f"column {number} has no name; name it or remove it", file=file, row=line)
        for number, name in enumerate(header, start=1)
        if not name
    ]
    for name, count in Counter(header).items():
        if name and count > 1:
            message = f"the header names this column {count} times; keep one"
            problems.append(Problem(message, file=file, row=line, column=name))
    return header, problems


def _to_frame(header: Header, rows: dict[int, list[str]]) -> pd.DataFrame:
    """Return rows of text as a frame indexed by line."""
    return pd.DataFrame(list(rows.values()), columns=header, index=pd.Index(list(rows), name=LINE_INDEX), dtype=str)
