"""Check a table of trial results against the row contract, and select rows of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.sources.table_file import LINE_INDEX
from ipt_evidence.studies.cells import is_missing, typed_column
from ipt_evidence.studies.contract import COLUMN_OF, ROUTES
from ipt_evidence.studies.findings import Cells, Finding, TypedTable, contract_findings, did_you_mean
from ipt_evidence.studies.schema import route_complete

BESIDE = ("effect_se", "ci_low", "ci_high")
NO_ROUTE = (
    "offers no complete set of numbers for an effect size; fill mean, SD and n, or events and totals, of both arms "
    "with lower_is_better, or an effect with effect_measure, favours_ipt_sign and its SE, interval or n; "
    "or add a column statistics that says none"
)


@dataclass(frozen=True, slots=True)
class StudiesCheck:
    """A table with everything in it that breaks the row contract.

    Attributes
    ----------
    frame : pandas.DataFrame
        Typed copy; cells that could not be read as numbers are ``NaN``.
    problems : tuple of Problem
        Violations, those of whole columns first, then by row and column.
    """

    frame: pd.DataFrame
    problems: tuple[Problem, ...]


def validate_studies(frame: pd.DataFrame, *, name: str = "") -> pd.DataFrame:
    """Check a table of trial results and return a clean, typed copy.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per comparison x outcome x time point, as text (from a file) or already typed. Needed are the columns
        ``comparison_id`` (unique), ``trial_id``, ``condition`` and ``contrast``, and the numbers of at least one route
        to an effect size. The others of the contract may be absent or empty; unknown columns are kept.
    name : str, optional
        Name of the file or table, quoted in messages; by default the file that :func:`read_table` read.

    Returns
    -------
    pandas.DataFrame
        Same rows in the same order, numbered from 0. Numbers are float64 with ``NaN`` for missing (``year`` int64 when
        every row has one), text is ``""`` where it is missing, keys and controlled values lose surrounding blanks;
        columns that the contract does not know stay as they are. Where ``statistics`` is absent or empty, it is
        the first route whose numbers the row has filled.

    Raises
    ------
    SchemaError
        The table breaks the contract; its ``problems`` hold *every* violation with file, row, column and value.

    Notes
    -----
    The row in a message is the line of the file when the table was read from one, else the position counted from 1.
    The contract is :func:`ipt_evidence.studies.schema.studies_schema`.

    Examples
    --------
    >>> import pandas as pd
    >>> row = {"comparison_id": "a", "trial_id": "t", "condition": "depresion", "contrast": "ipt_vs_control"}
    >>> numbers = {"mean_1": "11,5", "sd_1": 9, "n_1": 34, "mean_2": 19, "sd_2": -1, "n_2": 37, "lower_is_better": 1}
    >>> try:
    ...     validate_studies(pd.DataFrame([row | numbers]), name="mine")
    ... except ValueError as error:
    ...     for problem in error.problems:
    ...         print(problem.column, "|", problem.value, "|", problem.message[:40])
    condition | depresion | is unknown; did you mean 'depression'? e
    mean_1 | 11,5 | has a decimal comma; write 11.5; expecte
    sd_2 | -1 | expected a number above 0; an SD is neve
    """
    check = check_studies(frame, name=name)
    if check.problems:
        raise SchemaError(check.problems)
    return check.frame


def check_studies(frame: pd.DataFrame, *, name: str = "") -> StudiesCheck:
    """Check a table of trial results and return the violations instead of raising them.

    Parameters
    ----------
    frame, name
        As for :func:`validate_studies`.

    Returns
    -------
    StudiesCheck
        The typed copy and all violations.
    """
    from_file = frame.index.name == LINE_INDEX
    if from_file and not name:
        name = str(frame.attrs.get("source", {}).get("file", ""))
    repeated = [str(column) for column in frame.columns[frame.columns.duplicated()].unique()]
    if repeated or not len(frame):
        problems = [Problem("the table has this column twice; keep one", file=name, column=c) for c in repeated]
        return StudiesCheck(frame, tuple(problems or [Problem("has no rows; expected at least one", file=name)]))
    lines = [int(line) for line in frame.index] if from_file else list(range(1, len(frame) + 1))
    original = frame.reset_index(drop=True)
    original.attrs = {}
    typed, findings = find_faults(original, lines)
    findings += _misspelt(original.columns)
    cells = Cells(original)
    problems = [problem_of(cells, lines, name, finding) for finding in sorted(findings, key=Finding.place)]
    clean = _whole_years(typed)
    clean.attrs = dict(frame.attrs)
    return StudiesCheck(clean, tuple(problems))


def find_faults(original: pd.DataFrame, lines: list[int], *, infer: bool = True) -> tuple[pd.DataFrame, list[Finding]]:
    """Return a table typed, with its routes, and everything in it that breaks the contract.

    Parameters
    ----------
    original : pandas.DataFrame
        Text or typed cells, rows numbered from 0, no column twice.
    lines : list of int
        Row numbers for messages.
    infer : bool, optional
        Whether rows without ``statistics`` get their route, and those that have none are faults.

    Returns
    -------
    pandas.DataFrame
        Typed copy; cells that could not be read as numbers are ``NaN``.
    list of Finding
        Violations in no particular order.
    """
    typed, findings = _typed(original)
    unreadable = frozenset((finding.at, finding.column) for finding in findings if finding.at is not None)
    findings += contract_findings(TypedTable(typed, unreadable, lines))
    named = typed["statistics"] if "statistics" in typed else pd.Series("", index=typed.index, dtype=str)
    unnamed = named == ""
    if infer and unnamed.any():
        typed = typed.assign(statistics=named.mask(unnamed, infer_routes(typed)))
        findings += _without_route(typed[unnamed], unreadable)
    return typed, findings


def select(frame: pd.DataFrame, **criteria: object) -> pd.DataFrame:
    """Keep the rows that meet every criterion.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies or effects.
    **criteria
        Column name and a value, several values, or a function of the column that returns one truth value per row.

    Returns
    -------
    pandas.DataFrame
        The rows that are left, with their index.

    Raises
    ------
    OptionError
        A column does not exist, or a value does not occur in it: the values that do are listed.

    Examples
    --------
    >>> import pandas as pd
    >>> trials = pd.DataFrame({"instrument_family": ["HAM-D", "BDI", "BDI-II"], "year": [1979, 2001, 2012]})
    >>> select(trials, instrument_family=["BDI", "BDI-II"], year=lambda year: year <= 2010)
      instrument_family  year
    1               BDI  2001
    """
    keep = pd.Series(True, index=frame.index)
    for column, wanted in criteria.items():
        if column not in frame:
            near = did_you_mean(column, list(frame.columns))
            raise OptionError(
                f"there is no column {column!r}{near}; the columns are {', '.join(map(str, frame.columns))}"
            )
        keep &= wanted(frame[column]) if callable(wanted) else _is_among(frame[column], wanted)
    return frame[keep]


def _is_among(cells: pd.Series[Any], wanted: object) -> pd.Series[bool]:
    """Return which cells hold one of the values wanted, each of which must occur."""
    values = list(wanted) if isinstance(wanted, Collection) and not isinstance(wanted, str) else [wanted]
    present = list(cells.dropna().unique())
    for value in values:
        if value not in present:
            listed = ", ".join(repr(choice) for choice in sorted(map(str, present))[:30])
            raise OptionError(f"no row has {cells.name} = {value!r}; there is {listed}")
    return cells.isin(values)


def _typed(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table with the columns of the contract typed, and the cells that cannot be read."""
    columns: dict[str, pd.Series[Any]] = {}
    findings: list[Finding] = []
    for column in frame.columns:
        if (rule := COLUMN_OF.get(column)) is None:
            columns[column] = frame[column].copy()
            continue
        columns[column], faults = typed_column(frame[column], rule)
        findings += [Finding(at, column, message) for at, message in faults.items()]
    return pd.DataFrame(columns, columns=frame.columns), findings


def infer_routes(typed: pd.DataFrame) -> pd.Series[Any]:
    """Return for each row the first route whose numbers it has filled, ``"none"`` when there is none.

    Parameters
    ----------
    typed : pandas.DataFrame
        Typed table.
    """
    routes = pd.Series("none", index=typed.index, dtype=str)
    for route in reversed([route for route in ROUTES if route != "none"]):
        routes = routes.mask(route_complete(typed, route), route)
    return routes


def _without_route(typed: pd.DataFrame, unreadable: frozenset[tuple[int, str]]) -> list[Finding]:
    """Return the rows that offer no route to an effect size, even if every cell could be read."""
    rows = typed.index[typed["statistics"] == "none"]
    places: dict[str, list[int]] = {}
    open_rows = set(rows)
    for at, column in unreadable:
        if at in open_rows:
            places.setdefault(column, []).append(at)
    if places:
        mended = {column: typed.loc[rows, column].astype(object) for column in places}
        for column, faulty in places.items():
            mended[column].loc[faulty] = 1.0
        rows = rows[(infer_routes(typed.loc[rows].assign(**mended)) == "none").to_numpy()]
    return [Finding(int(at), "", NO_ROUTE) for at in rows]


def _misspelt(columns: pd.Index[Any]) -> list[Finding]:
    """Return columns whose names are those of numbers we know but for capitals, blanks or invisible characters."""
    named = [str(column) for column in columns]
    needed = {name.replace("_", ""): name for columns in ROUTES.values() for name in (*columns, *BESIDE)}
    found = {name: needed.get("".join(filter(str.isalnum, name.lower())), name) for name in named}
    return [
        Finding(None, name, f"is no column of ours; did you mean {ours!r}? Rename it, or its numbers are not used")
        for name, ours in found.items()
        if ours != name and ours not in named
    ]


def _whole_years(typed: pd.DataFrame) -> pd.DataFrame:
    """Return the table with `year` as whole numbers when every row has one."""
    if "year" in typed and typed["year"].notna().all() and (typed["year"] % 1 == 0).all():
        return typed.assign(year=typed["year"].astype("int64"))
    return typed


def problem_of(cells: Cells, lines: list[int], name: str, finding: Finding) -> Problem:
    """Return a finding with the row number and the value as it was typed.

    Parameters
    ----------
    cells : Cells
        The table as it was given.
    lines : list of int
        Row numbers for messages.
    name : str
        File or table.
    finding : Finding
        What breaks the contract.
    """
    at, column = finding.at, finding.column
    value = cells(at, column) if at is not None and column and column in cells else ""
    shown = "" if is_missing(value) else str(value)
    return Problem(finding.message, file=name, row=None if at is None else lines[at], column=column, value=shown)
