"""What changed between two versions of a table of trial results: the question of every living review."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.sources.showing import readable, table_html
from ipt_evidence.studies.compare_cells import (
    ID,
    NEW,
    OLD,
    STATISTICS,
    TRIAL,
    Concerns,
    as_text,
    changed_cells,
    column_as_text,
    counts_rows,
    plain_number,
)
from ipt_evidence.studies.compare_rows import cannot_be_told_apart, match_rows
from ipt_evidence.studies.contract import COLUMN_OF

TIDY = ("change", "trial_id", "study", "comparison_id", "rows", "column", "concerns", "old", "new")
SHOWN = 10
MOST_SHOWN = 200


@readable
@dataclass(frozen=True, slots=True, eq=False)
class VersionDiff:
    """What differs between two versions of a table.

    Attributes
    ----------
    added, dropped : pandas.DataFrame
        Rows that only the new, only the old version has, as they stand there; ``whole_trial`` in front says whether
        the other version has no row of the trial at all.
    changed : pandas.DataFrame
        One row per cell that differs: ``trial_id``, ``study``, ``comparison_id`` (of the new version), ``column``,
        ``concerns``, ``old``, ``new``, ``old_row`` and ``new_row`` (index of the row in either table), ``matched_by``
        (how the row was recognised). ``concerns`` is ``"statistics"`` (numbers an effect size is made from: pooled
        effects can change), ``"selection"`` (what decides which rows are pooled together) or ``"description"``.
    trials_added, trials_dropped : tuple of str
        Trials that only one version has.
    columns_added, columns_dropped : tuple of str
        Columns that only one version has.
    rows_old, rows_new, rows_unchanged : int
        Rows of either version; rows that are in both without any difference.
    names : tuple of str
        What the old and the new table are called.
    notes : tuple of str
        What a reader should know, such as columns that were not compared or a trial that was probably renamed.
    """

    added: pd.DataFrame
    dropped: pd.DataFrame
    changed: pd.DataFrame
    trials_added: tuple[str, ...]
    trials_dropped: tuple[str, ...]
    columns_added: tuple[str, ...]
    columns_dropped: tuple[str, ...]
    rows_old: int
    rows_new: int
    rows_unchanged: int
    names: tuple[str, str]
    notes: tuple[str, ...]

    @property
    def trials_changed(self) -> tuple[str, ...]:
        """Trials of both versions whose numbers or selection changed, or that gained or lost rows."""
        cells = self.changed.loc[self.changed["concerns"] != "description", "trial_id"]
        rows = [table.loc[~table["whole_trial"].astype(bool), TRIAL] for table in (self.added, self.dropped)]
        return tuple(dict.fromkeys(as_text(pd.concat([*rows, cells]))))

    def tidy(self) -> pd.DataFrame:
        """Return all differences as one table.

        Returns
        -------
        pandas.DataFrame
            One row per trial added or dropped (``rows`` tells how many rows it has), per row added to or dropped from a
            trial of both versions, and per changed cell: ``change``, ``trial_id``, ``study``, ``comparison_id``,
            ``rows``, ``column``, ``concerns``, ``old``, ``new``.
        """
        parts = [
            *(_whole_trials(table, word) for table, word in ((self.added, "added"), (self.dropped, "dropped"))),
            *(_single_rows(table, word) for table, word in ((self.added, "added"), (self.dropped, "dropped"))),
            self.changed.assign(change="value changed", rows=1),
        ]
        filled = [part.reindex(columns=list(TIDY)).astype(object) for part in parts if len(part)]
        table = pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(TIDY))
        texts = [name for name in TIDY if name not in ("rows", "old", "new")]
        return table.assign(**{name: as_text(table[name]) for name in texts}).astype({"rows": "int64"})

    def __str__(self) -> str:
        """Return the summary that a change log needs."""
        lines = [f"{self.names[0]}: {self.rows_old} rows; {self.names[1]}: {self.rows_new} rows"]
        lines += [_listed(self.trials_added, "trial", "added"), _listed(self.trials_dropped, "trial", "dropped")]
        single = [int((~table["whole_trial"].astype(bool)).sum()) for table in (self.added, self.dropped)]
        lines.append(f"rows of trials in both versions: {single[0]} added, {single[1]} dropped")
        lines += [self._cells("statistics"), self._cells("selection"), self._cells("description")]
        lines.append(f"rows without any difference: {self.rows_unchanged}")
        lines += [_listed(self.columns_added, "column", "added"), _listed(self.columns_dropped, "column", "dropped")]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(line for line in lines if line)

    def _cells(self, concerns: Concerns) -> str:
        """Return one kind of changed cells in words."""
        cells = self.changed[self.changed["concerns"] == concerns]
        meaning = {
            "statistics": "numbers behind effects (pooled effects can change)",
            "selection": "cells that decide what is pooled together",
            "description": "descriptive cells",
        }[concerns]
        trials = list(dict.fromkeys(as_text(cells["trial_id"])))
        line = f"{meaning}: {len(cells)} changed"
        if not trials or concerns == "description":
            return line
        shown = [
            f"\n  {row.trial_id} {row.comparison_id} {row.column}: {_cell(row.old)} -> {_cell(row.new)}"
            for row in cells.head(SHOWN).itertuples()
        ]
        more = f"\n  and {len(cells) - SHOWN} more: see .changed" if len(cells) > SHOWN else ""
        return f"{line} in {len(trials)} trial{'s' if len(trials) > 1 else ''}{''.join(shown)}{more}"

    def _repr_html_(self) -> str:
        """Return the summary and the table of differences for a notebook."""
        table = self.tidy()
        more = [f"{len(table) - MOST_SHOWN} more: see tidy()."] if len(table) > MOST_SHOWN else []
        caption = f"Differences between {self.names[0]} and {self.names[1]}"
        body = table_html(table.head(MOST_SHOWN).fillna(""), caption, more)
        return f"<pre>{html.escape(str(self))}</pre>{body}"


def diff_studies(
    old: pd.DataFrame, new: pd.DataFrame, *, tolerance: float = 0.0, ignore: Collection[str] = ()
) -> VersionDiff:
    """Compare two versions of a table of trial results.

    Parameters
    ----------
    old, new : pandas.DataFrame
        Tables with a column ``trial_id``, such as :func:`ipt_evidence.read_studies` returns; rows may stand in another
        order.
    tolerance : float, default 0
        Largest difference between two numbers that does not count as a change; 0 compares exactly.
    ignore : collection of str
        Columns not to compare.

    Returns
    -------
    VersionDiff
        Trials and rows added and dropped, cells changed.

    Raises
    ------
    SchemaError
        A table has no column ``trial_id``, an unnamed trial, or two columns of one name.
    OptionError
        The tolerance is not a number of at least 0, or a column to ignore is in neither table.

    Notes
    -----
    A row is recognised by its key ``comparison_id`` together with its description (arms, outcome, instrument, rating,
    time) within its trial, else by its contents, else by the key or the description as long as at least half of the
    results that both rows have agree; ``matched_by`` tells which. A key is never trusted alone, because keys that
    number the rows shift when a row is added, and rows are never paired by their order: a row for which there is no
    partner, or more than one, counts as dropped and added. A column that only counts the rows of its file is not
    compared. A further column of the file that repeats a changed column of the contract is not listed
    twice.

    Examples
    --------
    >>> old = pd.DataFrame({"trial_id": ["a2001", "b2002"], "instrument": "BDI", "mean_1": [10.0, 12.0]})
    >>> new = pd.DataFrame({"trial_id": ["c2003", "a2001"], "instrument": "BDI", "mean_1": [9.0, 10.5]})
    >>> print(diff_studies(old, new))
    old: 2 rows; new: 2 rows
    1 trial added: c2003
    1 trial dropped: b2002
    rows of trials in both versions: 0 added, 0 dropped
    numbers behind effects (pooled effects can change): 1 changed in 1 trial
      a2001  mean_1: 10.0 -> 10.5
    cells that decide what is pooled together: 0 changed
    descriptive cells: 0 changed
    rows without any difference: 0
    """
    _check(old, new, tolerance, ignore)
    names = _names(old, new)
    old, new = _bare(old), _bare(new)
    shared = [name for name in new.columns if name in old.columns and name not in ignore]
    counters = [x for x in shared if x not in COLUMN_OF and counts_rows(old[x]) and counts_rows(new[x])]
    compared = [name for name in shared if name not in counters]
    pairs = match_rows(old, new, compared, tolerance)
    changed = changed_cells(old, new, pairs, compared, tolerance)
    added = _left_over(new, pairs[NEW], as_text(old[TRIAL]))
    dropped = _left_over(old, pairs[OLD], as_text(new[TRIAL]))
    trials_added, trials_dropped = _whole(added), _whole(dropped)
    return VersionDiff(
        added=added,
        dropped=dropped,
        changed=changed.drop(columns="pair"),
        trials_added=trials_added,
        trials_dropped=trials_dropped,
        columns_added=tuple(str(name) for name in new.columns if name not in old.columns),
        columns_dropped=tuple(str(name) for name in old.columns if name not in new.columns),
        rows_old=len(old),
        rows_new=len(new),
        rows_unchanged=len(pairs) - changed["pair"].nunique(),
        names=names,
        notes=(*_unmatched(old, new, pairs), *_alike(dropped, added), *_notes(counters, _renamed(dropped, added))),
    )


def _check(old: pd.DataFrame, new: pd.DataFrame, tolerance: float, ignore: Collection[str]) -> None:
    """Raise when the tables or the options cannot be used."""
    problems = []
    for name, table in (("old", old), ("new", new)):
        twice = table.columns[table.columns.duplicated()].unique()
        problems += [
            Problem("there are several columns of this name; keep one", file=name, column=str(c)) for c in twice
        ]
        if TRIAL not in table.columns:
            problems.append(Problem("the column is missing; expected in every table", file=name, column=TRIAL))
        elif TRIAL not in twice:
            nameless = np.flatnonzero((as_text(table[TRIAL]) == "").to_numpy())
            advice = "is empty; a row without a trial cannot be compared"
            problems += [Problem(advice, file=name, row=int(at) + 1, column=TRIAL) for at in nameless]
    if problems:
        raise SchemaError(problems, title="the tables cannot be compared")
    if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)) or not 0 <= tolerance < float("inf"):
        raise OptionError(f"tolerance must be a number of at least 0; received {tolerance!r}")
    unknown = [name for name in ignore if name not in old.columns and name not in new.columns]
    if isinstance(ignore, str) or unknown:
        raise OptionError(f"ignore must be a list of columns of the tables; received {ignore!r}")


def _bare(table: pd.DataFrame) -> pd.DataFrame:
    """Return a view of a table without its attributes, which pandas would copy at every step."""
    bare = table.copy(deep=False)
    bare.attrs = {}
    return bare


def _left_over(table: pd.DataFrame, matched: pd.Series[int], others: pd.Series[str]) -> pd.DataFrame:
    """Return the rows without a partner, with whether the other version lacks the whole trial."""
    rows = table.drop(columns="whole_trial", errors="ignore").iloc[np.setdiff1d(np.arange(len(table)), matched)].copy()
    rows.insert(0, "whole_trial", ~as_text(rows[TRIAL]).isin(set(others)))
    return rows


def _whole(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the trials that only one version has."""
    return tuple(dict.fromkeys(as_text(rows.loc[rows["whole_trial"].astype(bool), TRIAL])))


def _renamed(dropped: pd.DataFrame, added: pd.DataFrame) -> list[tuple[str, str]]:
    """Return trials dropped and added that hold exactly the same numbers."""
    numbers = [name for name in STATISTICS if name in dropped and name in added and name != "statistics"]
    prints = [_fingerprints(rows[rows["whole_trial"].astype(bool)], numbers) for rows in (dropped, added)]
    return [(prints[0][numbers_of], trial) for numbers_of, trial in prints[1].items() if numbers_of in prints[0]]


def _fingerprints(rows: pd.DataFrame, columns: list[str]) -> dict[tuple[str, ...], str]:
    """Return the trials by the numbers that they hold; trials without numbers are left out."""
    if rows.empty or not columns:
        return {}
    texts = [[plain_number(text) for text in as_text(rows[name])] for name in columns]
    cells = zip(*texts, strict=True)
    joined = pd.Series(["|".join(row) if sum(map(bool, row)) > 2 else "" for row in cells], index=rows.index)
    trials = as_text(rows[TRIAL])
    return {tuple(sorted(group)): str(trial) for trial, group in joined.groupby(trials) if (group != "").all()}


def _unmatched(old: pd.DataFrame, new: pd.DataFrame, pairs: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on the trials that both tables have and of which no row could be matched."""
    trials = as_text(new[TRIAL])
    both = trials[trials.isin(set(as_text(old[TRIAL])))]
    without = list(dict.fromkeys(both[~both.isin(set(trials.iloc[pairs[NEW]]))]))
    if not without:
        return ()
    listed = ", ".join(without[:SHOWN]) + (f" and {len(without) - SHOWN} more" if len(without) > SHOWN else "")
    return (
        f"{len(without)} trial(s) are in both tables, but none of their rows could be recognised: arms, instruments or "
        "times are named differently or the numbers are others, so that each row counts as dropped and added "
        f"({listed}). To compare their numbers, give both tables the same comparison_id, arm_1, arm_2 and instrument",
    )


def _alike(dropped: pd.DataFrame, added: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on rows that could not be matched although one with the same description is left over."""
    trials = cannot_be_told_apart(dropped, added)
    if not trials:
        return ()
    return (
        "rows that have a partner with the same arms, outcome, instrument and time, but not one with the same key or "
        f"mostly the same numbers, count as dropped and added: {', '.join(trials)}",
    )


def _notes(counters: Sequence[Any], renamed: list[tuple[str, str]]) -> tuple[str, ...]:
    """Return what a reader of the differences should know."""
    notes = [f"{old} was dropped and {new} added with the same numbers: probably renamed" for old, new in renamed]
    if counters:
        notes.append(f"not compared because it only counts rows: {', '.join(repr(str(name)) for name in counters)}")
    return tuple(notes)


def _names(old: pd.DataFrame, new: pd.DataFrame) -> tuple[str, str]:
    """Return what the tables are called, by the files they came from."""
    files = [str(table.attrs.get("source", {}).get("file", "")) for table in (old, new)]
    return (files[0], files[1]) if all(files) and files[0] != files[1] else ("old", "new")


def _whole_trials(table: pd.DataFrame, word: str) -> pd.DataFrame:
    """Return one row per trial that only one version has."""
    rows = table[table["whole_trial"].astype(bool)]
    trials = as_text(rows[TRIAL])
    found = pd.DataFrame({TRIAL: trials.to_numpy(), "study": column_as_text(rows, "study")})
    grouped = found.groupby(TRIAL, sort=False).agg(study=("study", "first"), rows=("study", "size")).reset_index()
    return grouped.assign(change=f"trial {word}")


def _single_rows(table: pd.DataFrame, word: str) -> pd.DataFrame:
    """Return the rows that only one version has, of trials that both have."""
    rows = table[~table["whole_trial"].astype(bool)]
    columns = {name: column_as_text(rows, name) for name in (TRIAL, "study", ID)}
    return pd.DataFrame(columns).assign(rows=1, change=f"row {word}")


def _listed(names: Sequence[str], what: str, word: str) -> str:
    """Return names in words; empty when there are none."""
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what}{'s' if len(names) > 1 else ''} {word}: {', '.join(names[:SHOWN])}{more}"


def _cell(value: object) -> str:
    """Return a cell as it is shown in a summary."""
    text = "" if value is None or value is pd.NA or value != value else str(value)
    return "(empty)" if not text else text if len(text) <= 60 else f"{text[:57]}..."
