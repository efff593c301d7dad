"""Read a table of trial results from a file and check it against the row contract."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Literal

import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import choose
from ipt_evidence.sources.table_file import scan_table
from ipt_evidence.studies.table import check_studies

StudiesFormat = Literal["auto", "comparisons", "metapsy", "revman", "arms"]
READABLE = ("auto", "comparisons")


def read_studies(path: str | PathLike[str], *, format: StudiesFormat = "auto") -> pd.DataFrame:
    """Read trial results from a CSV or TSV file.

    Parameters
    ----------
    path : path-like
        UTF-8 file with one row per comparison x outcome x time point, columns as in the codebook of the shipped data.
    format : {"auto", "comparisons"}
        Layout of the file. Only this project's own, ``"comparisons"``, can be read so far; ``"metapsy"``,
        ``"revman"`` and ``"arms"`` will follow.

    Returns
    -------
    pandas.DataFrame
        The rows of the file in their order, typed as :func:`ipt_evidence.validate_studies` does it; columns that the
        contract does not know are kept as text.

    Raises
    ------
    SchemaError
        The file cannot be read or breaks the contract: one message with *every* fault, its row, column and value.
    OptionError
        The format is unknown or cannot be read yet.

    Examples
    --------
    >>> from ipt_evidence.sources.registry import data_directory
    >>> len(read_studies(data_directory() / "comparisons.csv"))
    218
    """
    choose("format", format, StudiesFormat)
    if format not in READABLE:
        raise OptionError(
            f"format {format!r} cannot be read yet, it comes with a later version; "
            "bring the table into the format 'comparisons' (see the codebook) for now"
        )
    frame, problems = _checked(path)
    if problems or frame is None:
        raise SchemaError(problems, title=f"{Path(path).name} cannot be used")
    return frame


def read_all_studies(paths: Iterable[str | PathLike[str]]) -> dict[str, pd.DataFrame]:
    """Read several files, and name the faults of all of them in one message.

    Parameters
    ----------
    paths : iterable of path-like
        Files as for :func:`read_studies`.

    Returns
    -------
    dict of str to pandas.DataFrame
        Path as given and its table.

    Raises
    ------
    SchemaError
        At least one file has a fault; every fault of every file is listed.
    """
    frames: dict[str, pd.DataFrame] = {}
    problems: list[Problem] = []
    for path in paths:
        frame, found = _checked(path)
        problems += found
        if frame is not None:
            frames[str(path)] = frame
    if problems:
        raise SchemaError(problems)
    return frames


def _checked(path: str | PathLike[str]) -> tuple[pd.DataFrame | None, list[Problem]]:
    """Return the typed table of a file and all faults of file and contents."""
    scan = scan_table(path)
    if scan.frame is None:
        return None, list(scan.problems)
    check = check_studies(scan.frame)
    return check.frame, [*scan.problems, *check.problems]
