"""Take a table that others released as it is: every row stays, a cell that cannot be used is missing with a reason."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ipt_evidence.errors import DirectionWarning, Problem, ReadingWarning
from ipt_evidence.sources.table_file import LINE_INDEX
from ipt_evidence.studies.cells import is_missing
from ipt_evidence.studies.contract import ROUTES, STANDARDISED_MEASURES
from ipt_evidence.studies.findings import Cells, Finding
from ipt_evidence.studies.schema import filled
from ipt_evidence.studies.table import find_faults, infer_routes, problem_of

NOTES = "read_notes"
KEYS = ("comparison_id", "trial_id")
GENERAL = ("condition", "contrast")
INTERVAL = ("ci_low", "ci_high")
DIRECTIONS = ("lower_is_better", "favours_ipt_sign")
MAX_ROUNDS = 6
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Tolerated:
    """A table that others released, in the row contract.

    Attributes
    ----------
    frame : pandas.DataFrame
        Typed; ``read_notes`` says what is missing and why, ``<name>_in_file`` keeps what a column of ours said.
    problems : tuple of Problem
        What no reader can leave out: missing columns, keys that are empty or repeated.
    left_out : tuple of Problem
        The cells that are missing now.
    """

    frame: pd.DataFrame
    problems: tuple[Problem, ...]
    left_out: tuple[Problem, ...]


def tolerate(frame: pd.DataFrame, *, name: str = "") -> Tolerated:
    """Type a table and turn every cell that breaks the contract into a missing one with a reason.

    Parameters
    ----------
    frame : pandas.DataFrame
        Text cells in the columns of the contract, beside any others.
    name : str
        File for messages.
    """
    from_file = frame.index.name == LINE_INDEX
    lines = [int(line) for line in frame.index] if from_file else list(range(1, len(frame) + 1))
    cells = frame.reset_index(drop=True)
    attrs, cells.attrs = dict(frame.attrs), {}
    of_file = set(attrs.pop("file_columns", frame.columns))
    notes = cells[NOTES].astype(str).tolist() if NOTES in cells else [""] * len(cells)
    cells = cells.drop(columns=[NOTES], errors="ignore")
    original, given, left_out = cells, Cells(cells), []
    if "statistics" not in cells:
        cells = cells.assign(statistics="")
    for _ in range(MAX_ROUNDS):
        typed, findings = find_faults(cells, lines, infer=False)
        removable = [one for one in findings if one.at is not None and one.column not in KEYS and one.column]
        if not removable:
            break
        cells, removed = _without_faults(cells, removable)
        left_out += removed
    problems = [problem_of(given, lines, name, one) for one in findings if one not in removable]
    problems += [problem_of(given, lines, name, one) for one in removable]
    typed = typed.assign(statistics=_routes(typed))
    shown = [problem_of(given, lines, name, one) for one in left_out if one.column != "statistics"]
    _note_cells(notes, given, left_out)
    _note_routes(notes, typed)
    kept = {f"{one.column}_in_file" for one in left_out if one.column in of_file and one.column in original}
    for column in sorted(kept - set(typed.columns)):
        typed[column] = original[column.removesuffix("_in_file")]
    typed[NOTES] = pd.Series(notes, index=typed.index, dtype=str)
    typed.attrs = attrs
    return Tolerated(typed, tuple(problems), tuple(shown))


def _without_faults(cells: pd.DataFrame, findings: list[Finding]) -> tuple[pd.DataFrame, list[Finding]]:
    """Return the table without the cells that break a rule, and the findings of cells that held something."""
    places: dict[str, set[int]] = {}
    removed = []
    given = Cells(cells)
    for finding in findings:
        assert finding.at is not None
        for column in _cells_of(finding):
            if column in cells and finding.at not in places.get(column, set()):
                places.setdefault(column, set()).add(finding.at)
                if not is_missing(given(finding.at, column)):
                    removed.append(Finding(finding.at, column, finding.message))
    changed: dict[str, Any] = {}
    for column, rows in places.items():
        mask = pd.Series(False, index=cells.index)
        mask.iloc[sorted(rows)] = True
        changed[column] = cells[column].astype(object).mask(mask, "other" if column in GENERAL else "")
    return cells.assign(**changed), removed


def _cells_of(finding: Finding) -> tuple[str, ...]:
    """Return the cells that cannot stand when a rule is broken: of a contradiction, all that contradict each other."""
    if finding.column in INTERVAL and "interval" in finding.message:
        return INTERVAL
    if finding.column == "effect" and "outside its interval" in finding.message:
        return ("effect", *INTERVAL)
    return (finding.column,)


def _routes(typed: pd.DataFrame) -> pd.Series[Any]:
    """Return the route of each row: the one it names if its numbers are there, else the first that is complete."""
    inferred = infer_routes(typed)
    named = typed["statistics"]
    routes = named.where(named != "", inferred)
    if "effect_measure" in typed:
        measured = typed["effect_measure"].isin(STANDARDISED_MEASURES)
        routes = routes.mask((routes == "effect_with_n") & ~measured, "none")
    return routes


def _note_cells(notes: list[str], given: Cells, left_out: list[Finding]) -> None:
    """Add to the notes of each row which of its cells are missing, and why."""
    for finding in left_out:
        assert finding.at is not None
        if finding.column == "statistics" or finding.column not in given:
            continue
        value = str(given(finding.at, finding.column))
        _add(notes, finding.at, f"{finding.column}: {value!r} left out, {_brief(finding.message)}")


def _brief(message: str) -> str:
    """Return the first part of a message that says what is wrong."""
    first, *rest = message.split("; ")
    return rest[-1] if first == "is unknown" and rest else first


def _note_routes(notes: list[str], typed: pd.DataFrame) -> None:
    """Add to the notes of rows without a route what the nearest one lacks."""
    rows = typed.index[typed["statistics"] == "none"]
    if not len(rows):
        return
    some = typed.loc[rows]
    lacking: dict[int, str] = {}
    fewest = pd.Series(99, index=rows)
    for route, columns in ROUTES.items():
        if route == "none":
            continue
        has = {column: filled(some, column) for column in columns}
        if route == "effect_with_uncertainty":
            interval = filled(some, "ci_low") & filled(some, "ci_high")
            has["effect_se or an interval"] = filled(some, "effect_se") | interval
        count = sum((~present).astype(int) for present in has.values())
        begun = pd.Series(False, index=rows)
        for column in columns:
            if column not in ("n_1", "n_2", "lower_is_better", "favours_ipt_sign", "effect_measure"):
                begun |= has[column]
        for at in rows[(count < fewest) & begun]:
            missing = [name for name, present in has.items() if not present[at]]
            numbers = [name for name in missing if name not in DIRECTIONS]
            lacking[at] = f"{route} lacks {', '.join(numbers or missing)}"
        fewest = fewest.mask((count < fewest) & begun, count)
    for at in rows:
        if at in lacking and lacking[at].endswith("lacks "):
            lacking[at] = "the printed effect is of another kind than g or d and has no SE"
        _add(notes, int(at), f"no effect size: {lacking.get(at, 'neither arm statistics nor a printed effect')}")


def _add(notes: list[str], at: int, text: str) -> None:
    """Add a note to a row."""
    notes[at] = f"{notes[at]}; {text}" if notes[at] else text


def warn_of_reading(tolerated: Tolerated, *, name: str, undecided: int, assumed: bool, stacklevel: int) -> None:
    """Say which cells are missing and which rows have no direction.

    Parameters
    ----------
    tolerated : Tolerated
        What was read.
    name : str
        File for messages.
    undecided : int
        Rows whose direction is not known.
    assumed : bool
        Whether the direction of all rows rests on scales that nobody knows.
    stacklevel : int
        Frames up to the caller.
    """
    if tolerated.left_out:
        n_cells, rows = len(tolerated.left_out), {problem.row for problem in tolerated.left_out}
        first = "; ".join(
            f"row {problem.row} {problem.column} {problem.value!r} ({_brief(problem.message)})"
            for problem in tolerated.left_out[:SHOWN]
        )
        more = f"; and {n_cells - SHOWN} more" if n_cells > SHOWN else ""
        message = (
            f"{name}: {n_cells} cell(s) in {len(rows)} row(s) cannot be used and are missing, the column {NOTES} says "
            f"why: {first}{more}"
        )
        warnings.warn(message, ReadingWarning, stacklevel=stacklevel + 1)
    if assumed:
        message = (
            f"{name}: no scale in it is known to measure symptoms, so lower scores were assumed to be better on most; "
            "if that is wrong all effects are reversed. Say positive_is_better= to settle it"
        )
        warnings.warn(message, DirectionWarning, stacklevel=stacklevel + 1)
    if undecided:
        message = (
            f"{name} does not tell which direction is better in {undecided} row(s): raw statistics without "
            "lower_is_better and printed effects without favours_ipt_sign give no effect size; say lower_is_better= or "
            "positive_is_better="
        )
        warnings.warn(message, DirectionWarning, stacklevel=stacklevel + 1)
