"""Read a Frictionless data package of studies: a folder or ZIP archive with datapackage.json and a CSV file."""

from __future__ import annotations

import json
import tempfile
import zipfile
import zlib
from dataclasses import replace
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from ipt_evidence.errors import Problem
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.table_file import TableScan, place_problem, scan_table

DESCRIPTOR = "datapackage.json"
RESOURCE = "studies"
MAX_DESCRIPTOR = 4 * 2**20
MAX_TABLE = 1 << 30
PIECE = 2**20
SHOWN = 4


def is_package(path: str | PathLike[str]) -> bool:
    """Return whether a path is a data package: a folder, descriptor or ZIP archive with ``datapackage.json``.

    Parameters
    ----------
    path : path-like
        Any path.
    """
    path = place_of(path)
    try:
        if path.is_dir():
            return (path / DESCRIPTOR).is_file()
        if path.name == DESCRIPTOR:
            return path.is_file()
        if path.suffix.lower() != ".zip" or not path.is_file():
            return False
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            return DESCRIPTOR in archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def scan_package(path: str | PathLike[str]) -> TableScan:
    """Read the studies of a data package.

    Parameters
    ----------
    path : path-like
        Folder, its ``datapackage.json``, or a ZIP archive, as :func:`ipt_evidence.studies.export.write_studies`
        writes them. Of several resources, the one named ``studies`` or ``comparisons`` is read, else the first.

    Returns
    -------
    TableScan
        Every cell as text, indexed by line of the CSV file.

    Notes
    -----
    Only the table that the descriptor names is read, only from inside the package, and no more of it than it may be
    large; nothing is unpacked beside the package.
    """
    path = place_of(path)
    is_archive = path.suffix.lower() == ".zip"
    folder = path.parent if path.name == DESCRIPTOR else path
    problem = place_problem(path if is_archive else folder / DESCRIPTOR, expected="a data package")
    if problem is not None:
        return TableScan(None, (problem,))
    try:
        return _scan_archive(path) if is_archive else _scan_folder(folder)
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"cannot be read as a data package ({reason}); expected a folder or ZIP archive with {DESCRIPTOR}"
        return TableScan(None, (Problem(message, file=str(path)),))


def _scan_folder(folder: Path) -> TableScan:
    descriptor = folder / DESCRIPTOR
    if descriptor.stat().st_size > MAX_DESCRIPTOR:
        return _refused(f"is larger than {MAX_DESCRIPTOR // 2**20} MiB", DESCRIPTOR)
    name, problem = _table_name(descriptor.read_bytes())
    if problem is not None:
        return TableScan(None, (problem,))
    table = folder / name
    if not table.resolve().is_relative_to(folder.resolve()):
        return _refused("leads out of the package; a package holds its own files only", name)
    return _finish(scan_table(table))


def _scan_archive(path: Path) -> TableScan:
    with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        if DESCRIPTOR not in archive.namelist():
            listed = ", ".join(archive.namelist()[:SHOWN]) or "nothing"
            advice = "expected a data package, or one of RevMan Web; unpack it and read the table you mean"
            return _refused(f"holds no {DESCRIPTOR}, but {listed}; {advice}", path.name)
        content = _bounded(archive, DESCRIPTOR, MAX_DESCRIPTOR)
        name, problem = _table_name(content) if content is not None else ("", _too_large(DESCRIPTOR, MAX_DESCRIPTOR))
        if problem is not None:
            return TableScan(None, (problem,))
        if name not in archive.namelist():
            return _refused(f"is not in the archive, though {DESCRIPTOR} names it", name)
        with tempfile.TemporaryDirectory() as folder:
            table = Path(folder) / PurePosixPath(name).name
            if not unpack(archive, name, table):
                return TableScan(None, (_too_large(name, MAX_TABLE),))
            return _finish(scan_table(table))


def _bounded(archive: zipfile.ZipFile, name: str, limit: int) -> bytes | None:
    """Return a small part of an archive, nothing when it is larger than it may be."""
    with archive.open(name) as stream:
        content = stream.read(limit + 1)
    return content if len(content) <= limit else None


def unpack(archive: zipfile.ZipFile, name: str, target: Path) -> bool:
    """Copy a part of an archive piece by piece; false when it is larger than it may be.

    Parameters
    ----------
    archive : zipfile.ZipFile
        Open archive.
    name : str
        Part of it.
    target : pathlib.Path
        File to write.
    """
    left = MAX_TABLE
    if archive.getinfo(name).file_size > left:
        return False
    with archive.open(name) as stream, target.open("wb") as copy:
        while piece := stream.read(PIECE):
            left -= len(piece)
            if left < 0:
                return False
            copy.write(piece)
    return True


def _table_name(content: bytes) -> tuple[str, Problem | None]:
    """Return the path of the table that a descriptor names, or why there is none that may be read."""
    try:
        descriptor: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        return "", Problem(f"is not JSON ({str(error)[:80]}); write the package again", file=DESCRIPTOR)
    resources = descriptor.get("resources") if isinstance(descriptor, dict) else None
    tables = [r for r in resources if isinstance(r, dict)] if isinstance(resources, list) else []
    wanted = [r for r in tables if r.get("name") in (RESOURCE, "comparisons")] or tables
    if not wanted or not isinstance(wanted[0].get("path"), str):
        return "", Problem("names no table; expected resources with a name and a path", file=DESCRIPTOR)
    name: str = wanted[0]["path"]
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or ".." in parts or name.startswith(("/", "\\")) or ":" in name:
        message = "the path of the table leads out of the package; expected a file name such as studies.csv"
        return "", Problem(message, file=DESCRIPTOR, value=name[:80])
    return name, None


def _finish(scan: TableScan) -> TableScan:
    return scan if scan.frame is None else replace(scan, frame=unprotect_cells(scan.frame))


def _too_large(name: str, limit: int) -> Problem:
    return Problem(f"unpacks to more than {limit // 2**20} MiB, more than is read", file=name)


def _refused(message: str, file: str) -> TableScan:
    return TableScan(None, (Problem(message, file=file),))
