"""Read the data rows that RevMan Web exports as CSV, with the settings file beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.revman_rows import AnalysisRow, DataType, contract_records, with_decimal_points
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.sources.table_file_dialect import scan_any_delimiter

DATA_ROWS, SETTINGS = "data-rows", "overall-estimates-and-settings"
NAMES = {
    "group": ("analysisgroup",),
    "analysis": ("analysisnumber",),
    "outcome": ("analysisname",),
    "subgroup": ("subgroup",),
    "study": ("study",),
    "year": ("studyyear", "year"),
    "estimate": ("givmean",),
    "std_error": ("givse",),
    "events_1": ("experimentalcases", "experimentalevents"),
    "events_2": ("controlcases", "controlevents"),
    "size_1": ("experimentaln", "experimentaltotal"),
    "size_2": ("controln", "controltotal"),
    "mean_1": ("experimentalmean",),
    "mean_2": ("controlmean",),
    "sd_1": ("experimentalsd",),
    "sd_2": ("controlsd",),
    "o_e": ("oe",),
    "variance": ("variance",),
    "natural": ("mean",),
    "ci_low": ("cistart",),
    "ci_high": ("ciend",),
    "data_type": ("datatype",),
    "measure": ("effectmeasure",),
    "log": ("logscaledata",),
    "arm_1": ("experimentalgrouplabel",),
    "arm_2": ("controlgrouplabel",),
    "left": ("graphlabelleft",),
    "right": ("graphlabelright",),
    "swapped": ("swapeventandnonevent",),
}
FROM_SETTINGS = ("data_type", "measure", "log", "arm_1", "arm_2", "left", "right", "swapped")
STATISTICS = ("estimate", "events_1", "mean_1", "o_e")
# Columns of our own that the writer adds to the table, because RevMan has no place for them.
GIVEN = (
    *("comparison_id", "trial_id", "condition", "contrast", "statistics", "lower_is_better"),
    *("effect_measure", "favours_ipt_sign"),
)
TYPES: dict[str, DataType] = {
    "dichotomous": "dichotomous",
    "continuous": "continuous",
    "contrast level": "generic",
    "generic inverse variance": "generic",
    "o-e and variance": "o_e",
}
YES, NO = {"true", "yes", "1"}, {"false", "no", "0"}
OLD_EXPORT = {"comparisonnumber", "outcomenumber"}


def is_revman_header(names: Iterable[str]) -> bool:
    """Return whether column names are those of RevMan Web's data rows.

    Parameters
    ----------
    names : iterable of str
        Header of a table.

    Examples
    --------
    >>> is_revman_header(["Analysis group", "Analysis number", "Study", "Experimental cases", "Experimental N"])
    True
    """
    found = find_columns(names)
    return {"group", "analysis", "study"} <= set(found) and any(name in found for name in STATISTICS)


def scan_revman_csv(path: Path) -> TableScan:
    """Read RevMan Web's data rows.

    Parameters
    ----------
    path : pathlib.Path
        The CSV file.

    Returns
    -------
    TableScan
        As :func:`ipt_evidence.sources.revman.scan_revman` describes it.
    """
    scan = scan_any_delimiter(path)
    if scan.frame is None:
        return scan
    frame = with_decimal_points(unprotect_cells(scan.frame), scan.notes)
    names = [str(name) for name in frame.columns]
    if not is_revman_header(names):
        return TableScan(None, (*scan.problems, _not_revman(names, path.name)))
    problems, notes = list(scan.problems), list(scan.notes)
    frame = _with_settings(frame, path, problems, notes)
    columns = find_columns(str(name) for name in frame.columns)
    cells = {key: frame[name].to_list() for key, name in columns.items()}
    given = {name: frame[name].to_list() for name in GIVEN if name in frame}
    rows = [_analysis_row(cells, given, at, int(line)) for at, line in enumerate(frame.index)]
    ours = pd.DataFrame(contract_records(rows), index=frame.index, dtype=str)
    table = pd.concat([ours, _beside(frame, ours)], axis=1)
    table.attrs = dict(scan.frame.attrs)
    unnamed = int(ours["read_notes"].str.contains("measure is unknown").sum())
    if unnamed:
        notes.append(f"{unnamed} rows print an effect without its measure: put the {SETTINGS} file beside this one")
    return TableScan(table, tuple(problems), tuple(notes))


def _beside(frame: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the file's own columns; one that has the name of ours but other cells is kept under another name."""
    same = [name for name in frame if name in ours and bool((frame[name] == ours[name]).all())]
    rest = frame.drop(columns=same)
    taken = {name: f"{name}_in_file" for name in rest if name in ours}
    return rest.rename(columns=taken)


def _plain(name: str) -> str:
    """Return a column name without case, blanks and punctuation."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_columns(names: Iterable[str]) -> dict[str, str]:
    """Return which column of a file holds what; the first of several candidates.

    Parameters
    ----------
    names : iterable of str
        Header of a table.
    """
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(_plain(name), name)
    return {key: plain[form] for key, forms in NAMES.items() for form in reversed(forms) if form in plain}


def _not_revman(names: list[str], file: str) -> Problem:
    """Return why a table is not an export of RevMan Web."""
    if {_plain(name) for name in names} >= OLD_EXPORT:
        message = "is RevMan 5's CSV export, which mixes results with data; read the .rm5 file itself"
        return Problem(message, file=file, row=1)
    message = (
        "is not an export of RevMan Web; expected the columns Analysis group, Analysis number, Study and those of "
        f"its statistics, found {', '.join(names[:12])}"
    )
    return Problem(message, file=file, row=1)


def _with_settings(frame: pd.DataFrame, path: Path, problems: list[Problem], notes: list[str]) -> pd.DataFrame:
    """Return the data rows with the settings of their analyses, if the file with them lies beside."""
    beside = path.with_name(path.name.replace(DATA_ROWS, SETTINGS))
    if beside == path or not beside.is_file():
        return frame
    scan = scan_any_delimiter(beside)
    problems += scan.problems
    columns = find_columns(str(name) for name in scan.frame.columns) if scan.frame is not None else {}
    if scan.frame is None or not {"group", "analysis"} <= set(columns):
        problems.append(Problem("has no columns Analysis group and Analysis number", file=beside.name, row=1))
        return frame
    settings = scan.frame
    keys = _keys(settings, columns)
    if len(set(keys)) < len(keys):
        problems.append(Problem("names an analysis twice; its settings are not clear", file=beside.name))
        return frame
    mine = _keys(frame, find_columns(str(name) for name in frame.columns))
    present = set(find_columns(str(name) for name in frame.columns))
    wanted = [columns[key] for key in FROM_SETTINGS if key in columns and key not in present]
    found = settings.set_axis(pd.Index(keys, tupleize_cols=False))[wanted]
    added = {name: [dict_of.get(key, "") for key in mine] for name, dict_of in _dicts(found).items()}
    lost = sorted({key for key in mine if key not in set(keys)})
    problems += [Problem(f"analysis {group}.{number} is not listed", file=beside.name) for group, number in lost]
    notes.append(f"measures, scales and labels are taken from {beside.name}")
    return frame.assign(**added)


def _dicts(frame: pd.DataFrame) -> dict[str, dict[object, str]]:
    """Return each column as a mapping from row key to cell."""
    return {str(name): dict(zip(frame.index, frame[name], strict=True)) for name in frame}


def _keys(frame: pd.DataFrame, columns: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return group and number of the analysis of each row."""
    return [
        (group.strip(), number.strip())
        for group, number in zip(frame[columns["group"]], frame[columns["analysis"]], strict=True)
    ]


def _analysis_row(cells: Mapping[str, list[str]], given: Mapping[str, list[str]], at: int, line: int) -> AnalysisRow:
    """Return a row of the table in the form that both kinds of file share."""

    def cell(name: str) -> str:
        return cells[name][at].strip() if name in cells else ""

    own = {name: column[at].strip() for name, column in given.items()}
    study = cell("study") or f"line {line}"
    subgroup = f" [{cell('subgroup')}]" if cell("subgroup") else ""
    log = cell("log").lower()
    return AnalysisRow(
        key=f"{cell('group')}.{cell('analysis')}{subgroup} {study}",
        trial=own.get("trial_id") or study,
        study=study,
        year=cell("year"),
        outcome=cell("outcome"),
        data_type=_data_type(cell("data_type"), own.get("statistics", ""), cell),
        arm_1=cell("arm_1"),
        arm_2=cell("arm_2"),
        left=cell("left"),
        right=cell("right"),
        swapped=cell("swapped").lower() in YES,
        measure=cell("measure"),
        log_scale="yes" if log in YES else "no" if log in NO else "",
        events=(cell("events_1"), cell("events_2")),
        means=(cell("mean_1"), cell("mean_2")),
        sds=(cell("sd_1"), cell("sd_2")),
        sizes=(cell("size_1"), cell("size_2")),
        estimate=cell("estimate"),
        std_error=cell("std_error"),
        natural=cell("natural"),
        interval=(cell("ci_low"), cell("ci_high")),
        o_e=cell("o_e"),
        variance=cell("variance"),
        given=tuple(own.items()),
    )


def _data_type(named: str, statistics: str, cell: object) -> DataType:
    """Return the kind of a row: as named, else by the columns that are filled."""
    if named.lower() in TYPES:
        return TYPES[named.lower()]
    filled = cell if callable(cell) else str
    if filled("events_1") or filled("events_2"):
        return "dichotomous"
    if filled("mean_1") or filled("mean_2") or filled("sd_1"):
        return "continuous"
    if filled("o_e"):
        return "o_e"
    return "generic" if filled("estimate") or filled("natural") or statistics.startswith("effect") else "other"
