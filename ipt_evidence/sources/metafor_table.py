"""Read tables with the column names of metafor: raw statistics, events, or effects with their sampling variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import pandas as pd

from ipt_evidence.errors import Problem
from ipt_evidence.sources.export_cells import unprotect_cells
from ipt_evidence.sources.metafor_table_write import FAVOURS_ARM_1, NAMES, is_metafor_header, to_metafor
from ipt_evidence.sources.revman_rows import RATIOS, number, with_decimal_points, year_of
from ipt_evidence.sources.table_file import TableScan
from ipt_evidence.sources.table_file_dialect import scan_any_delimiter

__all__ = ["is_metafor_header", "scan_metafor", "to_metafor"]

NA = {"NA", "NaN", "NULL"}
# What escalc calls a measure -> what our contract calls it.
MEASURES = {"SMD": "g", "D": "d"} | {name: name for name in ("MD", "RD", *RATIOS)}
CONTRACT_MEASURES = set(MEASURES.values())
PRINTED = ("effect", "effect_se", "ci_low", "ci_high")
# Columns with a list of allowed values in our contract: of a foreign table they mean something else.
CONTROLLED = (
    *("condition", "contrast", "population_group", "phase", "comparator_class", "comparator", "rating", "time"),
    *("analysis_set", "statistics", "confidence", "effect", "effect_se", "ci_low", "ci_high", "effect_measure"),
)
KEPT = (
    *("comparison_id", "trial_id", "study", "year", "condition", "contrast", "statistics", "lower_is_better"),
    *("favours_ipt_sign", "effect_measure"),
)
RAW = (
    *("mean_1", "sd_1", "n_1", "mean_2", "sd_2", "n_2"),
    *("change_mean_1", "change_sd_1", "change_mean_2", "change_sd_2"),
    *("events_1", "total_1", "events_2", "total_2"),
)
ALWAYS = ("comparison_id", "trial_id", "study", "condition", "contrast", "read_notes")
COLUMNS = (*KEPT, *RAW, *PRINTED, "read_notes")


def scan_metafor(path: str | PathLike[str]) -> TableScan:
    """Read a table with metafor's column names into the columns of our contract.

    Parameters
    ----------
    path : path-like
        CSV file, also as R's ``write.csv`` and ``write.csv2`` write it: row names in an unnamed first column, ``NA``,
        semicolons with decimal commas.

    Returns
    -------
    TableScan
        One row per row of the file, indexed by line: our columns as text, then the file's own. What a row lacks is
        empty, and its ``read_notes`` says why.

    Notes
    -----
    Arm 1 is metafor's group 1 (``m1i``, ``ai``). ``m1i sd1i n1i`` become means, SDs and sizes (change scores where a
    column ``statistics`` says so), ``ai bi ci di n1i n2i`` events and totals, ``ti`` or a lone ``di`` with ``n1i n2i``
    Cohen's d. ``yi`` with ``vi`` or ``sei`` becomes the printed effect where a column ``measure`` names it (SMD, D, MD,
    RD, and OR, RR, HR, IRR, ROM, PETO, whose ``yi`` is a logarithm). metafor does not say which direction is better:
    unless ``yi_direction``, ``lower_is_better`` or ``favours_ipt_sign`` tell it, it is missing. Correlations and rates
    keep their own columns.

    References
    ----------
    Viechtbauer W. Conducting meta-analyses in R with the metafor package. J Stat Softw 2010;36(3):1-48.
    doi:10.18637/jss.v036.i03

    Examples
    --------
    >>> import tempfile
    >>> lines = ["slab,m1i,sd1i,n1i,m2i,sd2i,n2i", "A 2001,11.5,9.5,34,19.1,9.9,37"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "dat.csv"
    ...     _ = path.write_text(chr(10).join(lines), encoding="utf-8")
    ...     scan_metafor(path).frame[["study", "mean_1", "sd_1", "n_1"]]
           study mean_1 sd_1 n_1
    line
    2     A 2001   11.5  9.5  34
    """
    scan = scan_any_delimiter(path)
    if scan.frame is None:
        return scan
    frame = with_decimal_points(unprotect_cells(scan.frame), scan.notes)
    frame = frame.rename(columns={name: _known(str(name)) for name in frame.columns})
    names = [str(name) for name in frame.columns]
    renamed = [name for name in names if name.rpartition("_")[0] in NAMES and name.rpartition("_")[2].isdecimal()]
    if renamed or len(set(names)) < len(names) or not is_metafor_header(names):
        return TableScan(None, (*scan.problems, _not_metafor(names, Path(path).name)))
    ours = {"trial_id", "comparison_id"} <= set(names)
    if not ours:
        frame = frame.rename(columns={name: f"{name}_in_file" for name in CONTROLLED})
    records = _records(frame)
    table = pd.DataFrame(records, index=frame.index, dtype=str)
    table = pd.concat([table, _beside(frame, table)], axis=1)
    table.attrs = dict(scan.frame.attrs)
    return TableScan(table, scan.problems, (*scan.notes, *_notes(table)))


def _known(name: str) -> str:
    """Return a column name as metafor writes it."""
    plain = name.strip()
    return plain.lower() if plain.lower() in NAMES else plain


def _not_metafor(names: list[str], file: str) -> Problem:
    """Return why a table cannot be read as one of metafor's."""
    message = (
        "is not a table for metafor; expected yi with vi or sei, m1i sd1i n1i m2i sd2i n2i, or ai n1i ci n2i, each "
        f"once; found {', '.join(names[:12])}"
    )
    return Problem(message, file=file, row=1)


def _notes(table: pd.DataFrame) -> tuple[str, ...]:
    """Return what a user should know of the whole file."""
    notes = ["arm 1 is metafor's group 1"]
    for column in ("lower_is_better", "favours_ipt_sign"):
        unknown = int(table["read_notes"].str.contains(f"{column} unknown").sum())
        if unknown:
            notes.append(f"{unknown} rows do not tell which direction is better: fill {column}")
    return tuple(notes)


def _beside(frame: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """Return the file's own columns; one that has the name of ours but other cells is kept under another name."""
    restored = {f"reported_{name}" for name in PRINTED} if "reported_effect" in frame else set()
    plain = {str(name): [_cell(cell) for cell in frame[name]] for name in frame if name in ours}
    same = [name for name, cells in plain.items() if cells == ours[name].to_list()]
    rest = frame.drop(columns=[*same, *(name for name in restored if name in frame)])
    return rest.rename(columns={name: f"{name}_in_file" for name in rest if name in ours})


def _cell(text: str) -> str:
    """Return a cell without blanks around it, empty where R writes NA."""
    text = text.strip()
    return "" if text in NA else text


def _records(frame: pd.DataFrame) -> list[dict[str, str]]:
    """Return the contract columns of every row; columns that no row fills are left out."""
    columns = {str(name): frame[name].to_list() for name in frame.columns}
    used: dict[str, int] = {}
    records = []
    for at, line in enumerate(frame.index):
        record = _record({name: _cell(cells[at]) for name, cells in columns.items()}, int(line))
        key = record["comparison_id"]
        used[key] = used.get(key, 0) + 1
        if used[key] > 1 and not columns.get("comparison_id", [""] * len(frame))[at]:
            record["comparison_id"] = f"{key}-{used[key]}"
        records.append(record)
    wanted = [name for name in COLUMNS if name in ALWAYS or any(record.get(name) for record in records)]
    return [{name: record.get(name, "") for name in wanted} for record in records]


def _record(cells: Mapping[str, str], line: int) -> dict[str, str]:
    """Return the contract columns of one row."""
    notes: list[str] = []
    label = cells.get("slab", "")
    names = (cells.get(name, "") for name in ("trial_id", "study", "trial", "author"))
    trial = next((name for name in names if name), "") or label or f"line {line}"
    record = {name: cells[name] for name in KEPT if cells.get(name)}
    record |= {
        "trial_id": trial,
        "comparison_id": cells.get("comparison_id") or label or trial,
        "study": cells.get("study") or label or trial,
        "year": year_of(cells.get("year", ""), notes),
        "condition": cells.get("condition") or "other",
        "contrast": cells.get("contrast") or "other",
    }
    record |= _raw(cells, notes)
    record |= _printed(cells, record, notes)
    if (cells.get("ri") and cells.get("ni")) or (cells.get("x1i") and cells.get("t1i")):
        notes.append("correlations and rates are kept in the file's own columns: they compare no two arms' scores")
    raw = any(record.get(name) for name in ("mean_1", "change_mean_1", "events_1"))
    if raw and not record.get("lower_is_better"):
        notes.append("lower_is_better unknown: the table does not say which direction is better")
    if record.get("effect") and not record.get("favours_ipt_sign"):
        notes.append("favours_ipt_sign unknown: the table does not say whom a positive effect favours")
    record["read_notes"] = "; ".join(notes)
    return record


def _raw(cells: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Return means, SDs, events and sizes; our own names fill what metafor's cannot hold."""
    route = cells.get("statistics", "")
    found = {name: cells[name] for name in RAW if cells.get(name)}
    prefix = "change_" if route == "change_scores" else ""
    counted = route == "events" or (not route and bool(cells.get("ai") or cells.get("bi")))
    for arm in (1, 2):
        for theirs, ours in ((f"m{arm}i", f"{prefix}mean_{arm}"), (f"sd{arm}i", f"{prefix}sd_{arm}")):
            above = 0 if theirs.startswith("sd") else -math.inf
            found[ours] = number(cells.get(theirs, ""), ours, notes, above=above) or found.get(ours, "")
        size = number(cells.get(f"n{arm}i", ""), f"n_{arm}", notes, above=0, whole=True)
        if not counted or (not route and cells.get("m1i")):
            found[f"n_{arm}"] = size or found.get(f"n_{arm}", "")
        events, total = _events(cells, arm, size if counted else "", notes)
        found[f"events_{arm}"] = events or found.get(f"events_{arm}", "")
        found[f"total_{arm}"] = total or found.get(f"total_{arm}", "")
    return {name: cell for name, cell in found.items() if cell}


def _events(cells: Mapping[str, str], arm: int, size: str, notes: list[str]) -> tuple[str, str]:
    """Return events and total of an arm from two of: events, non-events, total."""
    names = ("ai", "bi") if arm == 1 else ("ci", "di")
    if not cells.get("ai") and not cells.get("ci") and not cells.get("bi"):
        return "", ""
    with_it, without = (number(cells.get(name, ""), name, notes, above=-1, whole=True) for name in names)
    if with_it and without:
        total = f"{float(with_it) + float(without):.0f}"
        if size and float(size) != float(total):
            notes.append(f"total_{arm} missing: {names[0]} + {names[1]} = {total}, but n{arm}i = {size}")
            return with_it, ""
        return with_it, size or total
    if without and size and not with_it:
        with_it = f"{float(size) - float(without):.0f}"
    if with_it and size and not 0 <= float(with_it) <= float(size):
        notes.append(f"events_{arm} missing: they would be {with_it} of {size}")
        return "", size
    return with_it, size


def _printed(cells: Mapping[str, str], record: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Return the printed effect: our own columns as they are, else what yi, ti or di give."""
    for prefix in ("reported_", ""):
        if f"{prefix}effect" in cells:
            return {name: cells[prefix + name] for name in PRINTED if cells.get(prefix + name)}
    effect = number(cells.get("yi", ""), "effect", notes)
    if effect:
        return _from_yi(effect, cells, record, notes)
    n1, n2 = record.get("n_1", ""), record.get("n_2", "")
    lone = "" if cells.get("ai") or cells.get("ci") or cells.get("bi") else cells.get("di", "")
    d, t = number(lone, "effect", notes), number(cells.get("ti", ""), "effect", notes)
    if not (n1 and n2 and (d or t)):
        return {}
    if not d:
        d = repr(float(t) * math.sqrt(1 / float(n1) + 1 / float(n2)))
        notes.append("effect = ti x sqrt(1 / n1i + 1 / n2i), Cohen's d")
    return {"effect": d, "effect_measure": "d"}


def _from_yi(effect: str, cells: Mapping[str, str], record: Mapping[str, str], notes: list[str]) -> dict[str, str]:
    """Return yi on the scale of our contract, with its SE and direction."""
    named = record.get("effect_measure") or cells.get("measure", "")
    measure = MEASURES.get(named.upper() if named not in CONTRACT_MEASURES else named, "")
    measure = named if named in CONTRACT_MEASURES else measure
    if not measure:
        said = f"{named!r} is not one this table can hold" if named else "there is no column measure"
        notes.append(f"effect missing: the measure of yi is unknown ({said}); fill effect_measure and effect")
        return {}
    if measure in RATIOS:
        if abs(float(effect)) > math.log(1e300):
            notes.append(f"effect missing: yi = {effect} is no logarithm of a ratio")
            return {}
        effect = repr(math.exp(float(effect)))
    std_error = number(cells.get("sei", ""), "effect_se", notes, above=0)
    variance = number(cells.get("vi", ""), "effect_se", notes, above=0)
    if not std_error and variance:
        std_error = repr(math.sqrt(float(variance)))
    sign = {"favours_ipt_sign": "1"} if cells.get("yi_direction") == FAVOURS_ARM_1 else {}
    return {"effect": effect, "effect_se": std_error, "effect_measure": measure} | sign
