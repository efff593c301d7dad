"""Read tables that people typed, one row per arm or one per comparison, into comparison rows in our columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from ipt_evidence.errors import OptionError, Problem
from ipt_evidence.sources.arm_rows_pairs import joined_row, pair_rows
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.header_guess import guess_mapping
from ipt_evidence.sources.mapping import ColumnMapping, apply_mapping, as_mapping, file_label, header_label
from ipt_evidence.sources.mapping_cells import number_fault
from ipt_evidence.sources.mapping_names import ARM_STATISTICS, COMPOSITES, NUMBER_COLUMNS, TWO_ARM_NUMBERS
from ipt_evidence.sources.summaries import QuantileMethod
from ipt_evidence.sources.summaries_table import convert_summaries
from ipt_evidence.sources.table_file import LINE_INDEX, TableScan
from ipt_evidence.sources.table_file_dialect import scan_any_delimiter
from ipt_evidence.sources.workbook import Sheet, scan_workbook

Layout = Literal["arms", "comparisons"]
MappingLike = ColumnMapping | Mapping[str, Any] | str | PathLike[str] | None
WORKBOOKS = {".xlsx", ".xlsm", ".xltx", ".xls", ".xlsb", ".ods"}
LACKING = "the columns that are needed are not there"
TRIAL_ID_MADE = "trial_id was made from study: rows of one label are one trial"
NOT_IN_A_KEY = re.compile(r"[^a-z0-9]+")


def scan_arms(
    source: str | PathLike[str] | pd.DataFrame,
    *,
    mapping: MappingLike = None,
    sheet: Sheet = None,
    method: QuantileMethod = "luo-wan-shi",
    correlation: float | None = None,
    level: float = 0.95,
) -> TableScan:
    """Read a table with one row per arm into one row per comparison.

    Parameters
    ----------
    source : path-like or DataFrame
        XLSX file, text file with commas, semicolons or tabs, or a table.
    mapping : ColumnMapping, mapping, path-like, "guess" or None
        Which column is which of ours; ``"guess"`` takes what :func:`guess_mapping` finds and says so; ``None`` expects
        our names (``trial_id`` or ``study``, ``arm`` or ``role``, ``mean``, ``sd``, ``n``, ``events``, ``total``, ...).
    sheet : str, int or None
        Sheet of a workbook, as for :func:`ipt_evidence.sources.workbook.scan_workbook`.
    method, correlation, level
        As for :func:`ipt_evidence.sources.summaries_table.convert_summaries`.

    Returns
    -------
    TableScan
        Comparisons within each trial, outcome, instrument, rating and time: arm 1 is the arm whose ``role`` is
        treatment or IPT (without a column ``role``, the only arm whose label names IPT), arm 2 each other arm.
        ``arm_rows`` holds the lines used, such as ``5,6``; the index is the line of the first of them. A row without
        a partner stays, with ``statistics`` none and the reason in ``why_none``.

    Raises
    ------
    OptionError, MissingExtraError
        `source` is neither a path nor a table, an option has no such value, or openpyxl is needed and absent.

    Examples
    --------
    >>> import pandas as pd
    >>> arms = pd.DataFrame({"study": ["A 2001", "A 2001"], "arm": ["IPT", "waitlist"], "mean": [9, 12.5],
    ...                      "sd": [4, 5], "n": [20, 21]})
    >>> row = scan_arms(arms).frame.iloc[0]
    >>> row["trial_id"], row["arm_2"], row["mean_1"], row["mean_2"], row["arm_rows"]
    ('a2001', 'waitlist', '9', '12.5', '1,2')
    """
    scan = _mapped(scan_typed(source, sheet=sheet), mapping, "arms")
    if scan.frame is None:
        return scan
    return convert_summaries(_paired(scan), method=method, correlation=correlation, level=level)


def scan_comparisons(
    source: str | PathLike[str] | pd.DataFrame,
    *,
    mapping: MappingLike = None,
    sheet: Sheet = None,
    method: QuantileMethod = "luo-wan-shi",
    correlation: float | None = None,
    level: float = 0.95,
) -> TableScan:
    """Read a table with one row per comparison; parameters as for :func:`scan_arms`, columns end in _1 and _2.

    Examples
    --------
    >>> import pandas as pd
    >>> typed = pd.DataFrame({"Trial": ["A 2001"], "Mean IPT": [9], "SE IPT": [0.8], "N IPT": [25]})
    >>> scan = scan_comparisons(typed, mapping="guess")
    >>> scan.frame["sd_1"].iloc[0], scan.frame["converted"].iloc[0]
    ('4', 'sd_1: from SE 0.8 and n 25')
    """
    scan = _mapped(scan_typed(source, sheet=sheet), mapping, "comparisons")
    if scan.frame is None:
        return scan
    frame, notes, problems = _with_keys(scan.frame)
    scan = TableScan(frame, (*scan.problems, *problems), (*scan.notes, *notes))
    return convert_summaries(scan, method=method, correlation=correlation, level=level)


def scan_typed(source: str | PathLike[str] | pd.DataFrame, *, sheet: Sheet = None) -> TableScan:
    """Read the table of a file or frame as text, in its own columns.

    Parameters
    ----------
    source, sheet
        As for :func:`scan_arms`.
    """
    if isinstance(source, pd.DataFrame):
        return _frame_scan(source)
    if not isinstance(source, (str, PathLike)):
        raise OptionError(f"source must be a path or a DataFrame; received {type(source).__name__}")
    if Path(source).suffix.lower() in WORKBOOKS:
        return scan_workbook(source, sheet=sheet)
    if sheet is not None:
        raise OptionError(f"sheet = {sheet!r} applies to workbooks only; {Path(source).name} is a text file")
    scan = scan_any_delimiter(source)
    return scan if scan.frame is None else replace(scan, frame=unprotect_cells(scan.frame))


def _frame_scan(frame: pd.DataFrame) -> TableScan:
    """Return a table in memory as text, its rows numbered from 1 unless it was read from a file."""
    headers = [" ".join(str(name).split()) for name in frame.columns]
    repeated = sorted({name for name in headers if headers.count(name) > 1})
    if repeated or not len(frame):
        problems = [Problem("the table has this column twice; keep one", column=name) for name in repeated]
        return TableScan(None, tuple(problems or [Problem("has no rows; expected at least one")]))
    result = frame.copy()
    result.columns = pd.Index(headers)
    if frame.index.name != LINE_INDEX:
        result.index = pd.Index(range(1, len(frame) + 1), name=LINE_INDEX)
    result.attrs = dict(frame.attrs)
    return TableScan(result, ())


def _mapped(scan: TableScan, mapping: MappingLike, layout: Layout) -> TableScan:
    """Return a table in our columns; without a mapping its names must be ours."""
    if scan.frame is None:
        return scan
    if isinstance(mapping, str) and mapping.strip().lower() == "guess":
        guess = guess_mapping(scan.frame, layout=layout)
        mapped = apply_mapping(scan, guess.mapping)
        note = f"columns were guessed, check them: {guess.in_one_line()}"
        scan = TableScan(mapped.frame, mapped.problems, (*mapped.notes, note))
    else:
        scan = apply_mapping(scan, as_mapping(mapping) if mapping is not None else ColumnMapping())
    assert scan.frame is not None
    lacking = _lacking(scan.frame, layout)
    if not lacking:
        return scan
    guess = guess_mapping(scan.frame, layout=layout)
    message = (
        f"{LACKING}: {'; '.join(lacking)}. "
        f"Give a mapping; this is a guess to correct and save as YAML:\n{guess.to_yaml()}"
    )
    return TableScan(None, (*scan.problems, Problem(message, file=file_label(scan.frame))), scan.notes)


def _lacking(frame: pd.DataFrame, layout: Layout) -> list[str]:
    """Return in words which of the columns are absent without which a table says nothing."""
    names = set(map(str, frame.columns))
    lacking = [] if names & {"trial_id", "study"} else ["trial_id or study"]
    if layout == "arms":
        lacking += [] if names & {"arm", "role"} else ["arm or role"]
        lacking += (
            [] if names & {*ARM_STATISTICS, *COMPOSITES} - {"n"} else ["mean, median, events or another statistic"]
        )
    else:
        statistics = ({*TWO_ARM_NUMBERS, "effect"} - {"n_1", "n_2"}) & names
        lacking += [] if statistics else ["mean_1, median_1, events_1, effect or another statistic"]
    return lacking


def _paired(scan: TableScan) -> TableScan:
    """Return arm rows as comparison rows."""
    assert scan.frame is not None
    frame, notes, problems = _with_trial_id(scan.frame)
    frame, faults = _without_faulty_numbers(frame)
    problems += faults
    file = file_label(frame)
    names = [str(name) for name in frame.columns]
    rows = {
        int(line): dict(zip(names, map(str, cells), strict=True))
        for line, cells in zip(frame.index, frame.itertuples(index=False, name=None), strict=True)
    }
    pairing = pair_rows(rows, file)
    problems += pairing.problems
    table, lines = [], []
    for pair in pairing.pairs:
        first = rows[pair.first] if pair.first is not None else None
        second = rows[pair.second] if pair.second is not None else None
        row, found = joined_row(first, second, pair, file)
        table.append(row)
        lines.append(pair.first if pair.first is not None else pair.second)
        problems += found
    if not table:
        return TableScan(None, (*scan.problems, *problems), (*scan.notes, *notes))
    result = pd.DataFrame(table, index=pd.Index(lines, name=LINE_INDEX)).fillna("").astype(str)
    result = result.loc[:, [name for name in result.columns if name in names or (result[name] != "").any()]]
    result.attrs = dict(frame.attrs)
    alone = sum(1 for pair in pairing.pairs if pair.why_none)
    notes += [f"{len(rows)} arm rows gave {len(table)} comparisons", *pairing.notes]
    notes += [f"{alone} arm row(s) have no partner and stay with statistics none, see why_none"] if alone else []
    result, more = _with_comparison_id(result, made_from_arms=True)
    return TableScan(result, (*scan.problems, *problems), (*scan.notes, *notes, *more))


def _without_faulty_numbers(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Problem]]:
    """Return arm rows without the cells that should be numbers and are none, and these as problems of their rows."""
    problems: list[Problem] = []
    result = frame.copy()
    for name in NUMBER_COLUMNS & set(map(str, frame.columns)):
        percent = name in {"event_percent", "percent_women"}
        faults = [number_fault(str(cell), percent=percent) for cell in frame[name]]
        if not any(faults):
            continue
        shown = header_label(frame, name)
        for line, cell, fault in zip(frame.index, frame[name], faults, strict=True):
            if fault:
                problems.append(Problem(fault, file_label(frame), int(line), shown, str(cell)))
        result[name] = ["" if fault else cell for cell, fault in zip(frame[name], faults, strict=True)]
    result.attrs = dict(frame.attrs)
    return result, sorted(problems, key=lambda problem: (problem.row or 0, problem.column))


def _with_keys(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[Problem]]:
    """Return a table with trial_id and comparison_id, made where they are absent."""
    frame, notes, problems = _with_trial_id(frame)
    frame, more = _with_comparison_id(frame)
    return frame, [*notes, *more], problems


def _with_trial_id(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str], list[Problem]]:
    """Return a table with trial_id, made from the study labels where it is absent; labels that collide are named."""
    if "trial_id" in frame.columns:
        return frame, [], []
    keys: list[str] = []
    label_of: dict[str, str] = {}
    problems: list[Problem] = []
    for line, label in zip(frame.index, frame["study"], strict=True):
        text = " ".join(str(label).split())
        key = NOT_IN_A_KEY.sub("", text.lower())
        if text and not key:
            key = text
        if key and label_of.setdefault(key, text).lower() != text.lower():
            message = f"and {label_of[key]!r} would be one trial; write both the same, or add a column trial_id"
            problems.append(Problem(message, file_label(frame), int(line), "study", text))
        keys.append(key)
    result = frame.copy()
    result.insert(0, "trial_id", pd.Series(keys, index=frame.index, dtype=str))
    result.attrs = dict(frame.attrs)
    return result, [TRIAL_ID_MADE], problems


def _with_comparison_id(frame: pd.DataFrame, *, made_from_arms: bool = False) -> tuple[pd.DataFrame, list[str]]:
    """Return a table with comparison_id, made from trial and row order where it is absent."""
    if "comparison_id" in frame.columns:
        given = frame["comparison_id"].str.strip()
        if not made_from_arms or (given.is_unique and (given != "").all()):
            return frame, []
        frame = frame.drop(columns="comparison_id")
    keys = [f"{trial}-{number:03d}" for number, trial in enumerate(frame["trial_id"], start=1)]
    result = frame.copy()
    result.insert(0, "comparison_id", pd.Series(keys, index=frame.index, dtype=str))
    result.attrs = dict(frame.attrs)
    return result, ["comparison_id was made from trial_id and the order of the rows"]
