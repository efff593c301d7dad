"""The reader of each layout, and the options that reach it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.export_package import DESCRIPTOR, is_package, scan_package
from ipt_evidence.sources.mapping_names import TWO_ARM_COMPOSITES, TWO_ARM_NUMBERS
from ipt_evidence.sources.metapsy import MetapsyOptions, database_name, metapsy_table, scan_metapsy
from ipt_evidence.sources.table_file import TableScan, scan_table
from ipt_evidence.studies.contract import COLUMN_OF

if TYPE_CHECKING:
    from ipt_evidence.sources.mapping import ColumnMapping
    from ipt_evidence.sources.summaries import QuantileMethod

StudiesFormat = Literal["auto", "comparisons", "metapsy", "revman", "arms", "metafor"]
MappingLike: TypeAlias = "ColumnMapping | Mapping[str, Any] | str | PathLike[str] | None"
FOREIGN = frozenset({"metapsy", "revman", "metafor"})
MAPPED = frozenset({"comparisons", "arms"})
WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xltx"})
SUMMARIES = frozenset((*TWO_ARM_NUMBERS, *TWO_ARM_COMPOSITES)) - set(COLUMN_OF)
# One letter more, less or swapped in seven.
NEARLY_THE_SAME = 0.85
DEFAULT_METHOD: QuantileMethod = "luo-wan-shi"


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """What a user says about a file.

    Attributes
    ----------
    mapping : mapping, path-like, "guess" or None
        Names of its columns.
    sheet : str, int or None
        Sheet of a workbook.
    method : {"luo-wan-shi", "qe"}
        How medians become means.
    correlation : float or None
        Assumed correlation of baseline and follow-up, with which changes are filled.
    database : MetapsyOptions
        Condition and direction, where the file does not say them.
    """

    mapping: MappingLike = None
    sheet: str | int | None = None
    method: QuantileMethod = DEFAULT_METHOD
    correlation: float | None = None
    database: MetapsyOptions = field(default_factory=MetapsyOptions)

    def for_spreadsheets(self) -> dict[str, Any]:
        """Return what the readers of typed tables take."""
        return {
            "mapping": self.mapping,
            "sheet": self.sheet,
            "method": self.method,
            "correlation": self.correlation,
        }


def check_choices(format: str, path: Path, options: ReadingOptions) -> None:
    """Refuse options that would not act.

    Raises
    ------
    OptionError
        A mapping or a conversion is asked for in a layout that fixes its columns, a sheet of a file without sheets,
        or a foreign layout of a data package.
    """
    if options.method != DEFAULT_METHOD:
        from ipt_evidence.sources.summaries import QuantileMethod

        choose("method", options.method, QuantileMethod)
    acting = {
        "mapping": options.mapping is not None,
        "method": options.method != DEFAULT_METHOD,
        "correlation": options.correlation is not None,
    }
    for name, is_given in acting.items():
        if is_given and format not in MAPPED | {"auto"}:
            why = f"{format!r} names its columns itself" if name == "mapping" else f"{format!r} holds no summaries"
            raise OptionError(f"{name} acts on the formats 'comparisons' and 'arms'; {why}")
    if options.sheet is not None and path.suffix.lower() not in WORKBOOKS:
        raise OptionError(f"sheet = {options.sheet!r} applies to workbooks only; {path.name} is none")
    if format not in ("auto", "comparisons") and is_package(path):
        raise OptionError(f"{path.name} is a data package, whose format is 'comparisons'; received {format!r}")


def scan(detected: str, path: Path, options: ReadingOptions) -> TableScan:
    """Read a file in a layout.

    Parameters
    ----------
    detected : str
        Layout.
    path : Path
        File, or folder of a data package.
    options : ReadingOptions
        What the user says about it.
    """
    if detected == "metapsy":
        if is_workbook(path):
            return metapsy_table(sheet_of(path, options.sheet), name=database_name(path), options=options.database)
        return scan_metapsy(path, options=options.database)
    if detected == "revman":
        from ipt_evidence.sources.revman import scan_revman

        return scan_revman(path)
    if detected == "metafor":
        from ipt_evidence.sources.metafor_table import scan_metafor

        return scan_metafor(path)
    if detected == "arms":
        from ipt_evidence.sources.arm_rows import scan_arms

        return scan_arms(path, **options.for_spreadsheets())
    return _scan_comparisons(path, options)


def _scan_comparisons(path: Path, options: ReadingOptions) -> TableScan:
    """Read a table in our own layout, or in one that a mapping or a conversion brings to it."""
    from ipt_evidence.sources.arm_rows import scan_comparisons

    given = options.for_spreadsheets()
    is_text = not (is_packaged(path) or is_workbook(path))
    if is_text and options.mapping is not None:
        return scan_comparisons(path, **given)
    read = scan_package(path) if is_packaged(path) else scan_own(path) if is_text else sheet_of(path, options.sheet)
    if read.frame is None or not _needs_conversion(read.frame, options, is_text=is_text):
        return read
    if is_text and read.problems:
        return scan_comparisons(path, **given)
    converted = scan_comparisons(read.frame, **given)
    return replace(converted, problems=(*read.problems, *converted.problems), notes=(*read.notes, *converted.notes))


def _needs_conversion(frame: pd.DataFrame, options: ReadingOptions, *, is_text: bool) -> bool:
    """Return whether a table is to be converted: as asked for, as its columns show, or because it has no keys."""
    asked = options.mapping is not None or options.correlation is not None
    return asked or holds_summaries(frame) or _lacks_keys(frame, is_text=is_text)


def _lacks_keys(frame: pd.DataFrame, *, is_text: bool) -> bool:
    """Return whether keys are to be made for a table: not where a column of it looks like one that is misspelt."""
    names = [str(name) for name in frame.columns]
    lacking = [name for name in ("comparison_id", "trial_id") if name not in names]
    if not lacking or any(_looks_like(name, key) for name in names for key in lacking):
        return False
    return not is_text or "trial_id" in names or "study" in names


def _looks_like(name: str, key: str) -> bool:
    """Return whether a column is a key that is spelt in another way; ``comparison`` and ``trial`` are none."""
    mine, theirs = ("".join(filter(str.isalnum, text.lower())) for text in (name, key))
    return abs(len(mine) - len(theirs)) <= 1 and SequenceMatcher(None, mine, theirs).ratio() >= NEARLY_THE_SAME


def scan_own(path: str | PathLike[str]) -> TableScan:
    """Read a CSV file in our own layout, as :func:`ipt_evidence.write_studies` writes it.

    Parameters
    ----------
    path : path-like
        File; cells that were protected against spreadsheets lose their apostrophe.
    """
    read = scan_table(path)
    return read if read.frame is None else replace(read, frame=unprotect_cells(read.frame))


def holds_summaries(frame: pd.DataFrame) -> bool:
    """Return whether a table prints something from which its means, sizes or proportions can be filled.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table of text in our columns.
    """
    names = set(map(str, frame.columns))
    if names & SUMMARIES or ("percent_women" in names and "proportion_women" not in names):
        return True
    sizes = [frame[name].str.strip() == "" for name in ("n_1", "n_2") if name in names]
    return "n_total" in names and (len(sizes) < 2 or bool((sizes[0] | sizes[1]).any()))


def is_packaged(path: Path) -> bool:
    """Return whether a path can only be meant as a data package.

    Parameters
    ----------
    path : Path
        Any path.
    """
    return path.suffix.lower() == ".zip" or path.name == DESCRIPTOR or is_package(path)


def is_workbook(path: Path) -> bool:
    """Return whether a file is named as a workbook that can be read.

    Parameters
    ----------
    path : Path
        Any path.
    """
    return path.suffix.lower() in WORKBOOKS


def sheet_of(path: Path, sheet: str | int | None) -> TableScan:
    """Read a sheet of a workbook as it is.

    Parameters
    ----------
    path : Path
        Workbook.
    sheet : str, int or None
        Sheet, by name or counted from 1.
    """
    from ipt_evidence.sources.workbook import scan_workbook

    return scan_workbook(path, sheet=sheet)
