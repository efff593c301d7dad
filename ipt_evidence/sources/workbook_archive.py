"""Look at a workbook file before it is opened: is it one, is it safe, which parts of a sheet need care."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ipt_evidence.errors import Problem
from ipt_evidence.sources.table_file import ZIP_MARK, place_problem

OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_FILE = 256 * 2**20
MAX_UNPACKED = 2**30
MAX_PARTS = 5_000
MAX_RATIO = 400
SMALL_PART = 2**20
CHUNK = 2**20
OVERLAP = 512
MERGE = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]{0,200}?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
FORMULA = re.compile(rb"<(?:\w+:)?f[\s>/]")
HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\s[^>]{0,300}?hidden="(?:1|true)"')
DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
MAX_MERGES = 100_000


@dataclass(frozen=True, slots=True)
class SheetFacts:
    """What the text of a sheet says that its cells do not.

    Attributes
    ----------
    merged : tuple of str
        Merged areas, such as ``A2:A4``.
    has_formulas : bool
        Whether any cell holds a formula.
    hidden_rows : int
        Rows that Excel does not show.
    """

    merged: tuple[str, ...]
    has_formulas: bool
    hidden_rows: int


def file_problem(path: Path) -> Problem | None:
    """Return why a file cannot be a workbook that is read here, or ``None``."""
    if (problem := place_problem(path, expected="an XLSX file")) is not None:
        return problem
    try:
        size = path.stat().st_size
        with path.open("rb") as handle:
            begin = handle.read(8)
    except OSError as error:
        return Problem(f"cannot be opened ({error.strerror}); check its permissions", file=str(path))
    if not size:
        return Problem("is empty; expected an XLSX workbook", file=path.name)
    if begin == OLE_MARK:
        message = "is an old .xls workbook or is protected by a password; save it as XLSX without a password"
        return Problem(message, file=path.name)
    if not begin.startswith(ZIP_MARK):
        return Problem("is no XLSX workbook; save it as XLSX, or give it the ending of what it is", file=path.name)
    if size > MAX_FILE:
        return Problem(f"has {size // 2**20} MiB; expected at most {MAX_FILE // 2**20} MiB", file=path.name)
    return _archive_problem(path)


def _archive_problem(path: Path) -> Problem | None:
    """Return why an archive is no workbook or no safe one."""
    try:
        with path.open("rb") as handle, zipfile.ZipFile(handle) as archive:
            parts = archive.infolist()
            return _parts_problem(parts, path.name) or _kind_problem(archive, path.name) or _xml_problem(archive, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        message = f"is damaged or cut off ({error}); get the file again, or save it again as XLSX"
        return Problem(message, file=path.name)


def _parts_problem(parts: list[zipfile.ZipInfo], file: str) -> Problem | None:
    """Return what is unsafe about the parts of an archive: names, number, sizes, encryption."""
    if len(parts) > MAX_PARTS:
        return Problem(f"holds {len(parts)} parts, a workbook has far fewer; it is not read", file=file)
    unsafe = [part.filename for part in parts if _leaves_folder(part.filename)]
    if unsafe:
        return Problem("holds a part whose name leaves the archive; it is not read", file=file, value=unsafe[0][:100])
    names = [part.filename for part in parts]
    if len(set(names)) < len(names):
        return Problem("holds two parts of one name; it is not read, save it again as XLSX", file=file)
    if any(part.flag_bits & 1 for part in parts):
        return Problem("is protected by a password; save it without one", file=file)
    total = sum(part.file_size for part in parts)
    swollen = [p for p in parts if p.file_size > SMALL_PART and p.file_size > MAX_RATIO * max(p.compress_size, 1)]
    if total > MAX_UNPACKED or swollen:
        message = (
            f"unpacks to {total // 2**20} MiB from {sum(part.compress_size for part in parts) // 2**10} KiB, "
            f"as a zip bomb does (at most {MAX_UNPACKED // 2**20} MiB and {MAX_RATIO} times are read); "
            "copy the table into a new workbook"
        )
        return Problem(message, file=file)
    return None


def _leaves_folder(name: str) -> bool:
    """Return whether a name points outside the folder it is unpacked in."""
    pieces = re.split(r"[\\/]", name)
    return name.startswith(("/", "\\")) or ".." in pieces or (bool(pieces) and ":" in pieces[0])


def _kind_problem(archive: zipfile.ZipFile, file: str) -> Problem | None:
    """Return what an archive is when it is no XLSX workbook."""
    names = set(archive.namelist())
    if "mimetype" in names:
        kind = archive.open("mimetype").read(200)
        if b"opendocument" in kind:
            return Problem("is an OpenDocument file (.ods); save it as XLSX or CSV", file=file)
    if "xl/workbook.bin" in names:
        return Problem("is a binary workbook (.xlsb); save it as XLSX", file=file)
    if "[Content_Types].xml" not in names or not any(name.endswith("workbook.xml") for name in names):
        return Problem("is an archive, but no XLSX workbook; give the table inside it", file=file)
    return None


def _xml_problem(archive: zipfile.ZipFile, path: Path) -> Problem | None:
    """Return the part that declares entities, which no workbook program writes."""
    for part in archive.infolist():
        if not part.filename.lower().endswith((".xml", ".rels", ".vml")):
            continue
        for window in _windows(archive, part.filename):
            if DOCTYPE.search(window.replace(b"\0", b"")):
                message = "holds XML with a document type or entities, as an XML bomb does; it is not read"
                return Problem(message, file=path.name, value=part.filename)
    return None


def sheet_facts(path: Path, part: str) -> SheetFacts:
    """Return what the text of one sheet says about merged cells, formulas and hidden rows."""
    merged: dict[str, None] = {}
    formulas, hidden, carry = False, 0, b""
    with path.open("rb") as handle, zipfile.ZipFile(handle) as archive, archive.open(part) as stream:
        while chunk := stream.read(CHUNK):
            text = carry + chunk
            cut = text.rfind(b"<", max(len(text) - OVERLAP, 0)) if len(chunk) == CHUNK else len(text)
            cut = len(text) if cut < 0 else cut
            body, carry = text[:cut], text[cut:]
            formulas = formulas or FORMULA.search(body) is not None
            hidden += sum(1 for _ in HIDDEN_ROW.finditer(body))
            for found in MERGE.finditer(body):
                if len(merged) < MAX_MERGES:
                    merged[found[1].decode("ascii")] = None
    for found in MERGE.finditer(carry):
        merged[found[1].decode("ascii")] = None
    return SheetFacts(tuple(merged), formulas or FORMULA.search(carry) is not None, hidden)


def _windows(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield the content of a part in pieces that overlap."""
    tail = b""
    with archive.open(part) as stream:
        while chunk := stream.read(CHUNK):
            yield tail + chunk
            tail = chunk[-32:]
