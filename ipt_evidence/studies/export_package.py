"""Write studies as a Frictionless data package that says of every column what may stand in it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import pandas as pd

from ipt_evidence.errors import EvidenceError, OptionError, SchemaError
from ipt_evidence.sources.export_cells import is_number_column, protect_cells
from ipt_evidence.sources.export_files import write_whole
from ipt_evidence.sources.export_package import DESCRIPTOR, RESOURCE
from ipt_evidence.studies.contract import COLUMN_OF, ColumnRule
from ipt_evidence.studies.table import check_studies

TABLE = f"{RESOURCE}.csv"
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
PROTECTED = "Text that begins like a formula (= + - @) has an apostrophe before it, so that spreadsheets do not run it."
TYPE_OF = {"text": "string", "number": "number", "whole": "integer"}


def write_package(frame: pd.DataFrame, path: Path, *, source: dict[str, Any], overwrite: bool) -> Path:
    """Write a data package.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies as :func:`ipt_evidence.sources.export_cells.plain_cells` makes them.
    path : pathlib.Path
        A ZIP archive when it ends in ``.zip``, else a folder.
    source : dict
        What the table remembers of its origin: name, file, sha256, version.
    overwrite : bool
        Whether a package that is there is replaced; other files in the folder stay.

    Returns
    -------
    pathlib.Path
        The archive or folder.

    Raises
    ------
    OptionError
        It exists and may not be replaced.
    SchemaError
        The studies break the row contract, which the package would promise.
    """
    if problems := check_studies(frame, name=path.name).problems:
        raise SchemaError(problems, title=f"{path.name} was not written: the package would promise what does not hold")
    table = protect_cells(frame).to_csv(index=False, lineterminator="\r\n").encode("utf-8")
    descriptor = json.dumps(_descriptor(frame, table, source), ensure_ascii=False, indent=2).encode("utf-8") + b"\n"
    parts = {DESCRIPTOR: descriptor, TABLE: table}
    if path.suffix.lower() == ".zip":
        return write_whole(path, lambda part: _archive(part, parts), overwrite=overwrite)
    return _folder(path.parent if path.name == DESCRIPTOR else path, parts, overwrite=overwrite)


def _archive(path: Path, parts: dict[str, bytes]) -> None:
    """Write an archive that has the same bytes for the same studies."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, FIXED_DATE), content, zipfile.ZIP_DEFLATED)


def _put(path: Path, *, content: bytes) -> None:
    """Write the whole content of a file."""
    path.write_bytes(content)


def _folder(folder: Path, parts: dict[str, bytes], *, overwrite: bool) -> Path:
    """Write a folder: a new one appears complete, in one that exists the files are replaced one by one."""
    if folder.is_dir():
        there = [name for name in parts if (folder / name).exists()]
        if there and not overwrite:
            raise OptionError(
                f"{folder} holds {' and '.join(there)} already; choose another folder, or pass overwrite=True"
            )
        for name in (TABLE, DESCRIPTOR):
            write_whole(folder / name, partial(_put, content=parts[name]), overwrite=overwrite)
        return folder
    if folder.exists():
        raise OptionError(f"{folder} is a file; a package is a folder, or a ZIP archive with a name ending in .zip")
    if not folder.parent.is_dir():
        raise OptionError(f"{folder} cannot be written: there is no folder {str(folder.parent)!r}; create it first")
    part = folder.with_name(f".{token_hex(4)}-part")
    try:
        part.mkdir()
        for name, content in parts.items():
            (part / name).write_bytes(content)
        part.rename(folder)
    except OSError as error:
        raise EvidenceError(f"{folder} cannot be written ({error.strerror}); check permissions and space") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _descriptor(frame: pd.DataFrame, table: bytes, source: dict[str, Any]) -> dict[str, Any]:
    """Return the descriptor of a package with one table."""
    resource = {
        "name": RESOURCE,
        "profile": "tabular-data-resource",
        "title": "Results of trials",
        "description": f"One row = one comparison x outcome x time point of one trial. {PROTECTED}",
        "path": TABLE,
        "scheme": "file",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": len(table),
        "hash": f"sha256:{hashlib.sha256(table).hexdigest()}",
        "dialect": {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True},
        "schema": {"fields": [_field(name, frame[name]) for name in frame.columns], "missingValues": [""]},
    }
    package: dict[str, Any] = {"profile": "tabular-data-package", "name": RESOURCE, "resources": [resource]}
    if source.get("name"):
        known = {key: str(source[key]) for key in ("version", "sha256") if source.get(key)}
        package["sources"] = [{"title": str(source["name"]), **known}]
    return package


def _field(name: str, cells: pd.Series[Any]) -> dict[str, Any]:
    """Return what may stand in a column: by the contract, else by what stands there."""
    rule = COLUMN_OF.get(name)
    if rule is None:
        whole = str(cells.dtype) == "Int64"
        kind = ("integer" if whole else "number") if is_number_column(cells) else "string"
        return {"name": name, "type": kind}
    field: dict[str, Any] = {"name": name, "type": TYPE_OF[rule.kind]}
    if rule.advice:
        field["description"] = rule.advice
    if constraints := _constraints(rule):
        field["constraints"] = constraints
    return field


def _constraints(rule: ColumnRule) -> dict[str, Any]:
    """Return the limits of a column as Table Schema words them."""
    found: dict[str, Any] = {}
    if rule.required:
        found["required"] = True
    if rule.unique:
        found["unique"] = True
    if rule.choices:
        found["enum"] = list(rule.choices)
    if rule.minimum is not None:
        found["minimum"] = int(rule.minimum) if rule.kind == "whole" else rule.minimum
    if rule.maximum is not None:
        found["maximum"] = int(rule.maximum) if rule.kind == "whole" else rule.maximum
    return found
