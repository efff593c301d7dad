"""Write studies for other programs: CSV, Excel, RevMan, metafor, Frictionless."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import choose
from ipt_evidence.sources.export_cells import plain_cells, protect_cells, unwritable
from ipt_evidence.sources.export_files import write_whole
from ipt_evidence.sources.export_workbook import write_workbook
from ipt_evidence.sources.metafor_table import to_metafor
from ipt_evidence.sources.revman_write import to_revman
from ipt_evidence.studies.export_package import write_package

ExportFormat = Literal["auto", "csv", "xlsx", "revman", "metafor", "frictionless"]
FORMAT_OF: dict[str, ExportFormat] = {
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".zip": "frictionless",
    ".json": "frictionless",
    "": "frictionless",
}
SUFFIXES = {"csv": (".csv",), "xlsx": (".xlsx",), "revman": (".csv",), "metafor": (".csv",)}
OUTPUTS = ("effect", "variance", "std_error", "ci_low", "ci_high", "measure", "route", "why_not")
REPORTED = ("reported_effect", "reported_effect_se", "reported_ci_low", "reported_ci_high")


def write_studies(
    frame: pd.DataFrame, path: str | PathLike[str], *, format: ExportFormat = "auto", overwrite: bool = False
) -> Path:
    r"""Write studies to a file that other programs read, and that gives the same effects when it is read back.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies, or an effects table made from them; not changed. The index is not written.
    path : path-like
        Where to. The folder must exist.
    format : {"auto", "csv", "xlsx", "revman", "metafor", "frictionless"}
        ``"auto"`` goes by the ending: ``.csv`` our own columns, ``.xlsx`` an Excel workbook, ``.zip`` or no ending a
        Frictionless data package. ``"revman"``: the layout of RevMan Web's analysis data rows; ``"metafor"``: the
        column names of R's metafor, see :func:`ipt_evidence.to_metafor`; both are CSV.
    overwrite : bool, optional
        Whether an existing file is replaced.

    Returns
    -------
    pathlib.Path
        The file, or the folder of the package.

    Raises
    ------
    OptionError
        The format is unknown or does not fit the ending, the file exists, or there is no such folder.
    SchemaError
        Cells that the format cannot hold: every one is named. For Frictionless also what breaks the row contract.
    EvidenceError
        The system refuses to write. Whatever goes wrong, no part of a file is left behind.

    Notes
    -----
    Text that a spreadsheet would run as a formula is written so that it does not: in CSV with an apostrophe before it,
    which reading takes off again, in XLSX as a string. Numbers stay numbers, with every digit.

    CSV, XLSX and Frictionless hold everything; in XLSX line breaks inside a cell become ``\n``. metafor's table keeps
    our other columns beside its own. RevMan's holds the numbers of one route per row and no provenance, moderators,
    instruments or risk of bias. Of an effects table the printed effects get their names back, and what was computed is
    written as ``computed_effect`` and so on; metafor's table has it as ``yi`` and ``vi``.

    Examples
    --------
    >>> import tempfile
    >>> from ipt_evidence.sources.registry import load_dataset
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_studies(load_dataset("ipt"), Path(folder) / "ipt.csv").name
    'ipt.csv'
    """
    choose("format", format, ExportFormat)
    if not isinstance(frame, pd.DataFrame):
        raise OptionError(f"frame must be a pandas DataFrame; received {type(frame).__name__}")
    target = Path(path)
    kind = _kind(target, format)
    if kind == "metafor":
        to_metafor(frame, path=target, overwrite=overwrite)
        return target
    _check_columns(frame, target.name)
    plain = plain_cells(_as_studies(frame))
    if problems := unwritable(plain, file=target.name):
        raise SchemaError(problems, title=f"{target.name} was not written")
    if kind == "frictionless":
        return write_package(plain, target, source=frame.attrs.get("source", {}), overwrite=overwrite)
    if kind == "xlsx":
        return write_whole(target, lambda part: write_workbook(plain, part), overwrite=overwrite)
    table = protect_cells(plain_cells(to_revman(plain)) if kind == "revman" else plain)
    return write_whole(
        target,
        lambda part: table.to_csv(part, index=False, lineterminator="\r\n", encoding="utf-8"),
        overwrite=overwrite,
    )


def _kind(path: Path, format: ExportFormat) -> ExportFormat:
    """Return the format to write, which must fit the ending of the file."""
    suffix = path.suffix.lower()
    if format == "auto":
        if suffix not in FORMAT_OF:
            listed = ", ".join(repr(ending) for ending in FORMAT_OF if ending)
            raise OptionError(f"path must end in {listed} or nothing (a folder), or name a format; received {path}")
        return FORMAT_OF[suffix]
    wanted = SUFFIXES.get(format)
    if wanted is not None and suffix not in wanted:
        raise OptionError(f"format {format!r} is written to a file ending in {wanted[0]!r}; received {path}")
    return format


def _check_columns(frame: pd.DataFrame, file: str) -> None:
    """Refuse a table whose columns cannot be told apart or that has none."""
    names = pd.Index([str(name) for name in frame.columns])
    repeated = names[names.duplicated()].unique()
    problems = [Problem("the table has this column twice; keep one", file=file, column=name) for name in repeated]
    problems += [Problem("a column has no name; name it", file=file) for name in names if not name.strip()]
    if not len(names):
        problems.append(Problem("the table has no columns", file=file))
    if problems:
        raise SchemaError(problems, title=f"{file} was not written")


def _as_studies(frame: pd.DataFrame) -> pd.DataFrame:
    """Return studies; of an effects table, what was computed under names of its own."""
    columns = set(frame.columns)
    if not columns.issuperset(OUTPUTS):
        return frame
    back = {name: name.removeprefix("reported_") for name in REPORTED if name in columns}
    renamed = frame.rename(columns={name: f"computed_{name}" for name in OUTPUTS} | back)
    return renamed.loc[:, ~renamed.columns.duplicated(keep="last")]
