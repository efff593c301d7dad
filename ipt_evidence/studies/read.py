"""Read a table of trial results from a file and check it against the row contract."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.options import choose
from ipt_evidence.sources.file_in_memory import place_of
from ipt_evidence.sources.mapping import file_label
from ipt_evidence.sources.metapsy import MetapsyOptions
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.studies.contract import CHANGES, COLUMN_OF, COUNTS, MEANS
from ipt_evidence.studies.read_detect import Detection, detect_format
from ipt_evidence.studies.read_formats import (
    DEFAULT_METHOD,
    FOREIGN,
    MappingLike,
    ReadingOptions,
    StudiesFormat,
    check_choices,
    scan,
)
from ipt_evidence.studies.read_mapping import Understood, understand
from ipt_evidence.studies.read_reasons import true_reasons
from ipt_evidence.studies.read_tolerant import GENERAL, tolerate, warn_of_reading
from ipt_evidence.studies.schema import filled
from ipt_evidence.studies.table import check_studies

if TYPE_CHECKING:
    from ipt_evidence.sources.summaries import QuantileMethod


def read_studies(
    path: str | PathLike[str],
    *,
    format: StudiesFormat = "auto",
    mapping: MappingLike = None,
    sheet: str | int | None = None,
    condition: str | None = None,
    contrast: str | None = None,
    lower_is_better: int | None = None,
    positive_is_better: bool | None = None,
    method: QuantileMethod = DEFAULT_METHOD,
    correlation: float | None = None,
) -> pd.DataFrame:
    """Read trial results from a file, whatever its layout.

    Parameters
    ----------
    path : path-like
        CSV, TSV, XLSX or RM5 file, a Frictionless data package (its folder, ``datapackage.json`` or ZIP archive), or
        the ZIP archive of a RevMan Web data package.
    format : {"auto", "comparisons", "arms", "metapsy", "revman", "metafor"}
        Layout: ``"comparisons"`` is this project's own, one row per comparison x outcome x time; ``"arms"`` has one
        row per arm; ``"metapsy"`` a database of the Metapsy data standard; ``"revman"`` a RevMan 5 review or a data
        package of RevMan Web; ``"metafor"`` the column names of R's metafor. ``"auto"`` takes the only one that the
        columns fit.
    mapping : mapping, path-like or "guess", optional
        For comparisons and arms in columns of other names: the file's name to ours, or a YAML file that says it.
        ``"guess"`` takes what :func:`ipt_evidence.guess_mapping` finds, and ``attrs["source"]["notes"]`` says what.
    sheet : str or int, optional
        Sheet of a workbook, by name or counted from 1.
    condition : str, optional
        Condition treated, where the file does not name it row by row.
    contrast : str, optional
        What arm 1 and arm 2 are, such as ``"ipt_vs_control"``, where the file does not say it row by row.
    lower_is_better : {0, 1}, optional
        Direction of raw statistics, where the file does not show it.
    positive_is_better : bool, optional
        Whether positive printed effects favour arm 1, where the file does not show it. ``metapsy`` detects it.
    method : {"luo-wan-shi", "qe"}, optional
        How medians of comparisons and arms become means and SDs.
    correlation : float, optional
        Assumed correlation of baseline and follow-up scores, with which change scores of comparisons and arms are
        filled from both; by default none are.

    Returns
    -------
    pandas.DataFrame
        The rows of the file in their order, typed as :func:`ipt_evidence.validate_studies` does it; columns that the
        contract does not know are kept as text. ``attrs["source"]`` holds the file, its checksum, its ``format``, and
        ``notes`` on what was detected or converted.

    Raises
    ------
    SchemaError
        The file cannot be read, or one of the user's own layouts breaks the contract: one message with *every* fault,
        its row, column and value.
    OptionError
        The format is unknown, fits no better than another, or an option would not act.
    MissingExtraError
        A workbook is to be read and openpyxl is not installed.

    Warns
    -----
    ReadingWarning
        Cells of a file in a foreign layout (metapsy, revman, metafor) cannot be used: the row stays, the cell is
        missing, ``read_notes`` says why, and ``<name>_in_file`` or the file's own column keeps what it said.
    DirectionWarning
        A foreign file does not tell which direction is better.

    Examples
    --------
    >>> from ipt_evidence.sources.registry import data_directory
    >>> studies = read_studies(data_directory() / "comparisons.csv")
    >>> len(studies), studies.attrs["source"]["format"]
    (218, 'comparisons')
    """
    choose("format", format, StudiesFormat)
    path = place_of(path)
    said = _said(condition, contrast, lower_is_better, positive_is_better)
    told = understand(mapping)
    options = ReadingOptions(told.mapping, sheet, method, correlation, said)
    check_choices(format, path, options)
    detected = Detection(format, "as told") if format != "auto" else detect_format(path, options)
    if format == "auto":
        check_choices(detected.format, path, options)
    read = scan(detected.format, path, options)
    if read.frame is None:
        raise SchemaError(true_reasons(read, (), told), title=f"{path.name} cannot be used")
    notes = (f"format {detected.format!r}: {detected.why}", *read.notes)
    if detected.format != "metapsy":
        read = _told(read, said, is_foreign=detected.format in FOREIGN)
    frame = _tolerant(read, path) if detected.format in FOREIGN else _strict(read, path, told)
    source = dict(frame.attrs.get("source", {}))
    frame.attrs["source"] = source | {"format": detected.format, "notes": notes}
    return frame


def _said(
    condition: str | None, contrast: str | None, lower_is_better: int | None, positive_is_better: bool | None
) -> MetapsyOptions:
    """Return what the user says of the file, checked."""
    for name, value in (("condition", condition), ("contrast", contrast)):
        choices = COLUMN_OF[name].choices
        if value is not None and value not in choices:
            raise OptionError(f"{name} must be one of {', '.join(map(repr, choices))}; received {value!r}")
    if lower_is_better is not None and (isinstance(lower_is_better, float) or lower_is_better not in (0, 1)):
        raise OptionError(f"lower_is_better must be 0 or 1; received {lower_is_better!r}")
    if positive_is_better is not None and not isinstance(positive_is_better, bool):
        raise OptionError(f"positive_is_better must be True, False or None; received {positive_is_better!r}")
    lower = None if lower_is_better is None else int(lower_is_better)
    return MetapsyOptions(condition, lower, positive_is_better, contrast)


def _told(read: TableScan, options: MetapsyOptions, *, is_foreign: bool) -> TableScan:
    """Return a table with what the user says where the file says nothing; foreign readers write that as ``other``."""
    assert read.frame is not None
    said: dict[str, str] = {}
    if options.contrast is not None:
        said["contrast"] = options.contrast
    if options.condition is not None:
        said["condition"] = options.condition
    if options.lower_is_better is not None:
        said["lower_is_better"] = str(options.lower_is_better)
    if options.positive_is_better is not None:
        said["favours_ipt_sign"] = "1" if options.positive_is_better else "-1"
    if not said:
        return read
    frame = read.frame.copy()
    for column, value in said.items():
        cells = frame[column].astype(str) if column in frame else pd.Series("", index=frame.index, dtype=str)
        empty = cells.str.strip().isin(["", "other"] if is_foreign and column in GENERAL else [""])
        frame[column] = cells.mask(empty, value)
    return TableScan(frame, read.problems, read.notes)


def _strict(read: TableScan, path: Path, told: Understood) -> pd.DataFrame:
    """Return a table of the user's own, in which every fault is theirs to correct."""
    assert read.frame is not None
    check = check_studies(read.frame, name=file_label(read.frame) or path.name)
    if told.problems or read.problems or check.problems:
        raise SchemaError(true_reasons(read, check.problems, told), title=f"{path.name} cannot be used")
    return check.frame


def _tolerant(read: TableScan, path: Path) -> pd.DataFrame:
    """Return a table that others released, whose faults are missing cells with a reason."""
    assert read.frame is not None
    tolerated = tolerate(read.frame, name=path.name)
    if read.problems or tolerated.problems:
        raise SchemaError([*read.problems, *tolerated.problems], title=f"{path.name} cannot be used")
    assumed = bool(tolerated.frame.attrs.pop("assumed_direction", False))
    undecided = _without_direction(tolerated.frame)
    warn_of_reading(tolerated, name=path.name, undecided=undecided, assumed=assumed, stacklevel=3)
    return tolerated.frame


def _without_direction(frame: pd.DataFrame) -> int:
    """Return how many rows have raw statistics or a printed effect that nobody can turn."""
    raw = pd.Series(False, index=frame.index)
    for columns in (MEANS, CHANGES, COUNTS):
        raw |= pd.concat([filled(frame, column) for column in columns], axis=1).all(axis=1)
    printed, sign = filled(frame, "effect"), filled(frame, "favours_ipt_sign")
    lower = filled(frame, "lower_is_better")
    return int(((raw & ~lower & ~(printed & sign)) | (printed & ~sign)).sum())
