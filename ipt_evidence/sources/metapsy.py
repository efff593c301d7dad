"""Read a released Metapsy database: one row per comparison of two arms, in the wide format of its data standard."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from ipt_evidence.sources.metapsy_direction import as_numbers, find_direction, raw_statistics
from ipt_evidence.sources.metapsy_keys import trial_ids, unique_ids
from ipt_evidence.sources.metapsy_names import name_columns, number_text, uses_decimal_comma, word_text
from ipt_evidence.sources.metapsy_table import contract_columns, printed_effects
from ipt_evidence.sources.metapsy_words import disorder_of, event_is_good
from ipt_evidence.sources.table_file import LINE_INDEX, TableScan
from ipt_evidence.sources.table_file_dialect import scan_any_delimiter

VERSION = re.compile(r"v?(\d+(?:\.\d+)+)")
VERSIONED = re.compile(rf"(.+)[-_ ]{VERSION.pattern}")
GENERIC_NAMES = frozenset({"data", "dataset", "database", "metapsy", "table", "sheet1"})
NUMBERS = (
    *(f"{name}_{arm}" for name in ("mean", "sd", "n", "change_mean", "change_sd", "change_n") for arm in "12"),
    *(f"{name}_{arm}" for name in ("events", "total", "baseline_mean", "baseline_sd", "baseline_n") for arm in "12"),
    *("year", "time_weeks", "g", "g_se", "precalc_g", "precalc_g_se", "precalc_log_rr", "precalc_log_rr_se"),
    *("women", "mean_age", "n_sessions", "rob", "n_randomised_1", "n_randomised_2"),
)
TELLING = (
    *("arm_1", "arm_2", "label_1", "mean_1", "mean_2", "change_mean_1", "events_1", "events_2", "g", "precalc_g"),
)
ID_PARTS = (
    *("study", "outcome_type", "instrument", "time", "time_weeks", "rating", "arm_1", "arm_2", "label_1", "label_2"),
)


@dataclass(frozen=True, slots=True)
class MetapsyOptions:
    """What a user can say about a database that the file does not.

    Attributes
    ----------
    condition : str or None
        Condition treated; ``None`` takes it from a column or the name of the file.
    lower_is_better : int or None
        For rows of raw statistics whose direction the file does not show.
    positive_is_better : bool or None
        Whether positive printed effects favour arm 1; ``None`` has it detected.
    contrast : str or None
        Contrast of the rows whose arms do not tell it.
    """

    condition: str | None = None
    lower_is_better: int | None = None
    positive_is_better: bool | None = None
    contrast: str | None = None


def metapsy_evidence(columns: Iterable[str]) -> list[str]:
    """Return the columns that only a Metapsy database has.

    Parameters
    ----------
    columns : iterable of str
        Names of the columns of a file.

    Examples
    --------
    >>> metapsy_evidence(["study", "condition_arm1", "condition_arm2", ".g"])
    ['condition_arm1', 'condition_arm2', '.g']
    >>> metapsy_evidence(["study", "mean_1", "sd_1"])
    []
    """
    named = name_columns(columns)
    found = [named[name] for name in TELLING if name in named]
    return found if "study" in named and len(found) >= 2 else []


def scan_metapsy(path: str | PathLike[str], *, options: MetapsyOptions | None = None) -> TableScan:
    """Read a Metapsy database.

    Parameters
    ----------
    path : path-like
        The ``data.csv`` of a release, or a file in the same layout.
    options : MetapsyOptions, optional
        What the file does not say.

    Returns
    -------
    TableScan
        As :func:`metapsy_table` makes it.
    """
    scan = scan_any_delimiter(path)
    return metapsy_table(scan, name=database_name(path), options=options)


def database_name(path: str | PathLike[str]) -> str:
    """Return the name of a database, with its version: that of its file, or of its folders when that is ``data``.

    Examples
    --------
    >>> database_name("downloads/ptsd-psyctr/data.csv"), database_name("sad-psyctr.csv")
    ('ptsd-psyctr', 'sad-psyctr')
    >>> database_name("depression-psyctr-24.0.2.csv"), database_name("depression-psyctr/24.0.2/data.csv")
    ('depression-psyctr-24.0.2', 'depression-psyctr-24.0.2')
    """
    path = Path(path)
    if path.stem.lower() not in GENERIC_NAMES:
        return path.stem
    folder = path.parent
    return f"{folder.parent.name}-{folder.name}" if VERSION.fullmatch(folder.name) else folder.name


def metapsy_table(scan: TableScan, *, name: str = "", options: MetapsyOptions | None = None) -> TableScan:
    """Bring a table in the Metapsy layout into the row contract.

    Parameters
    ----------
    scan : TableScan
        Text cells as in the file.
    name : str
        Name of the database, such as ``depression-psyctr``; a version behind it goes to ``attrs["source"]``.
    options : MetapsyOptions, optional
        What the file does not say.

    Returns
    -------
    TableScan
        Every row of the file in its order: the columns of the contract as text, then all columns of the file under
        their own names (``<name>_in_file`` where one of ours has the name and another content), and ``read_notes``.
        The notes say what was detected: delimiter, decimals, condition, sign convention.
    """
    if scan.frame is None:
        return scan
    options = options or MetapsyOptions()
    name, version = named.groups() if (named := VERSIONED.fullmatch(name)) else (name, "")
    frame, notes = scan.frame, list(scan.notes)
    columns = _with_totals(name_columns(frame.columns))
    decimal_comma = uses_decimal_comma(frame)
    if decimal_comma:
        notes.append("decimals are written with a comma")
    cells = _quantities(frame, columns, decimal_comma)
    numbers = as_numbers(cells[[column for column in cells if column in NUMBERS]])
    outcomes = _outcomes(cells, columns)
    instruments = cells["instrument"].tolist() if "instrument" in cells else [""] * len(cells)
    effects, found = printed_effects(cells, numbers)
    notes += found
    direction = find_direction(
        raw_statistics(numbers, len(cells)),
        effects.values,
        instruments=instruments,
        outcomes=outcomes,
        positive_is_better=options.positive_is_better,
        lower_is_better=options.lower_is_better,
    )
    notes += direction.notes
    ours, found, remarks = contract_columns(cells, effects, direction, outcomes)
    notes += found
    ours = ours.assign(**_condition(cells, name, options, notes), contrast=_contrast(ours, options, notes))
    ours = _with_keys(ours, cells, notes)
    if name and "source" not in frame:
        ours["source"] = f"metapsy {name}"
    remarks = ["; ".join(filter(None, pair)) for pair in zip(direction.remarks, remarks, strict=True)]
    table = _beside_the_file(ours.assign(read_notes=remarks), frame, decimal_comma)
    source = frame.attrs.get("source", {})
    table.attrs = dict(frame.attrs) | {
        "source": source | {"version": version or source.get("version", "")},
        "file_columns": tuple(frame.columns),
        "assumed_direction": direction.assumed,
    }
    return TableScan(table, scan.problems, tuple(notes))


def _with_totals(columns: dict[str, str]) -> dict[str, str]:
    """Return the columns with the totals of events: where none is named, those randomised, else the size of the arm."""
    totals: dict[str, str] = {}
    for arm in "12":
        if f"events_{arm}" in columns and f"total_{arm}" not in columns:
            names = (f"n_randomised_{arm}", f"n_{arm}")
            totals |= {f"total_{arm}": columns[name] for name in reversed(names) if name in columns}
    return columns | totals


def _quantities(frame: pd.DataFrame, columns: dict[str, str], decimal_comma: bool) -> pd.DataFrame:
    """Return the quantities of a file as text: numbers with a point, missing ones empty."""
    cells: dict[str, list[str]] = {}
    for quantity, column in columns.items():
        values = frame[column].tolist()
        if quantity in NUMBERS:
            cells[quantity] = [number_text(cell, decimal_comma=decimal_comma) for cell in values]
        else:
            cells[quantity] = [word_text(cell) for cell in values]
    return pd.DataFrame(cells, index=frame.index, dtype=str)


def _outcomes(cells: pd.DataFrame, columns: dict[str, str]) -> list[str]:
    """Return what the event of each row is, in the words of the file."""
    n_rows = len(cells)
    types = cells["outcome_type"].tolist() if "outcome_type" in cells else [""] * n_rows
    details = cells["dich"].tolist() if "dich" in cells else [""] * n_rows
    column = columns.get("events_1", "")
    of_column = column if event_is_good(column) is not None else ""
    outcomes = []
    for kind, detail in zip(types, details, strict=True):
        told = event_is_good(kind) is not None
        outcomes.append(kind if told else f"{kind} {detail}".strip() or of_column)
    return outcomes


def _contrast(ours: pd.DataFrame, options: MetapsyOptions, notes: list[str]) -> pd.Series[str]:
    """Return the contrast of each row: what its arms tell, else what the user says."""
    untold = ours["contrast"].isin(["", "other"])
    if options.contrast is None or not untold.any():
        return ours["contrast"]
    notes.append(f"contrast {options.contrast!r} in {int(untold.sum())} row(s) whose arms do not tell it, as told")
    return ours["contrast"].mask(untold, options.contrast)


def _condition(cells: pd.DataFrame, name: str, options: MetapsyOptions, notes: list[str]) -> dict[str, list[str] | str]:
    """Return the condition of each row, and the disorder where a column names one."""
    if options.condition is not None:
        notes.append(f"condition {options.condition!r}, as told")
        return {"condition": options.condition}
    if "disorder" in cells:
        of_word = {word: disorder_of(word) or "other" for word in cells["disorder"].unique()}
        listed = ", ".join(f"{word or 'empty'} is {condition}" for word, condition in of_word.items())
        notes.append(f"condition from the column of disorders: {listed}")
        return {"condition": cells["disorder"].map(of_word).tolist(), "diagnosis": cells["disorder"].tolist()}
    condition = disorder_of(name)
    if condition:
        notes.append(f"condition {condition!r} from the name {name!r}")
        return {"condition": condition}
    notes.append(f"the name {name!r} tells no condition: it is 'other'; give condition= to say which")
    return {"condition": "other"}


def _with_keys(ours: pd.DataFrame, cells: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Return the table with its keys in front."""
    lines = [int(line) for line in ours.index] if ours.index.name == LINE_INDEX else list(range(1, len(ours) + 1))
    labels = cells["study"].tolist() if "study" in cells else [""] * len(cells)
    trials, found = trial_ids(labels, lines, apart=_apart(cells))
    notes += found
    built = _built_ids(cells, trials)
    given = cells["id"].tolist() if "id" in cells else [""] * len(cells)
    n_given = sum(1 for key in given if key)
    wanted = [key or other for key, other in zip(given, built, strict=True)]
    keys, repeated = unique_ids(wanted)
    if 0 < n_given < len(given):
        notes.append(f"{len(given) - n_given} rows have no id in the file; theirs is made of study, outcome and arms")
    if repeated:
        notes.append(f"{repeated} ids occur more than once; from the second on they end in _2, _3 ...")
    ours.insert(0, "trial_id", trials)
    ours.insert(0, "comparison_id", keys)
    return ours


def _apart(cells: pd.DataFrame) -> list[str] | None:
    """Return what tells trials of the same label apart: another disorder with another reference."""
    if not {"study", "disorder", "source_citation"} <= set(cells):
        return None
    table = cells[["study", "disorder", "source_citation"]]
    group_of: dict[tuple[str, str], str] = {}
    apart = []
    for study, disorder, reference in table.itertuples(index=False, name=None):
        known = group_of.get((study, f"of {disorder}")) or group_of.get((study, reference))
        group = known or f"{disorder} {reference}"
        group_of[study, f"of {disorder}"] = group_of[study, reference] = group
        apart.append(group)
    return apart


def _built_ids(cells: pd.DataFrame, trials: list[str]) -> list[str]:
    """Return keys made of trial, outcome, time and arms."""
    parts = [trials] + [cells[name].tolist() for name in ID_PARTS[1:] if name in cells]
    return ["_".join(part.replace(" ", "") for part in row if part) for row in zip(*parts, strict=True)]


def _beside_the_file(ours: pd.DataFrame, frame: pd.DataFrame, decimal_comma: bool) -> pd.DataFrame:
    """Return our columns and those of the file; one of the same name but other content is kept as ``_in_file``."""
    columns: dict[str, object] = {str(name): ours[name] for name in ours if name != "read_notes"}
    for name in frame:
        if name not in ours:
            columns[str(name)] = frame[name]
            continue
        theirs = [number_text(cell, decimal_comma=decimal_comma) for cell in frame[name]]
        if theirs != ours[name].tolist():
            columns[f"{name}_in_file"] = frame[name]
    columns["read_notes"] = ours["read_notes"]
    return pd.DataFrame(columns, index=frame.index)
