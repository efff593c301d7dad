"""Write tables for metafor and other R packages with the column names they expect."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.sources.export_cells import plain_cells, protect_cells, unwritable
from ipt_evidence.sources.export_files import write_whole

# Their name -> our column by route; a row of another route keeps our column under its own name.
MOMENTS = {f"m{arm}i": f"mean_{arm}" for arm in (1, 2)} | {f"sd{arm}i": f"sd_{arm}" for arm in (1, 2)}
COUNTS = {"ai": "events_1", "ci": "events_2"}
SIZES = {"n1i": ("n_1", "total_1"), "n2i": ("n_2", "total_2")}
REST = {"bi": ("total_1", "events_1"), "di": ("total_2", "events_2")}
FAVOURS_ARM_1 = "positive favours arm 1"
AS_GIVEN = "arm 1 minus arm 2, or as printed"
NO_BETTER_SIDE = ("CVR", "VR")
OUTPUTS = ("effect", "variance", "std_error", "ci_low", "ci_high", "measure", "route", "why_not")
NAMES = {
    *("yi", "vi", "sei", "ai", "bi", "ci", "di", "n1i", "n2i", "m1i", "m2i", "sd1i", "sd2i", "ti", "ni", "ri"),
    *("x1i", "x2i", "t1i", "t2i", "slab"),
}
ESCALC = ({"yi", "vi"}, {"yi", "sei"}, {"ai", "ci"}, {"m1i", "m2i"}, {"ti", "n1i"}, {"ri", "ni"}, {"x1i", "t1i"})


def is_metafor_header(names: Iterable[str]) -> bool:
    """Return whether column names are those that metafor's ``escalc`` takes or gives.

    Parameters
    ----------
    names : iterable of str
        Header of a table.

    Examples
    --------
    >>> is_metafor_header(["study", "yi", "vi"]), is_metafor_header(["study", "effect", "variance"])
    (True, False)
    """
    found = {name.strip() for name in names}
    return any(pair <= found for pair in ESCALC)


def to_metafor(
    frame: pd.DataFrame, *, path: str | PathLike[str] | None = None, overwrite: bool = False
) -> pd.DataFrame:
    """Return studies or effects with the column names of metafor, and write them as CSV if a path is given.

    Parameters
    ----------
    frame : pandas.DataFrame
        Studies, or the table that :func:`ipt_evidence.effect_sizes` makes of them; not changed.
    path : path-like, optional
        CSV file to write.
    overwrite : bool, optional
        Whether an existing file is replaced.

    Returns
    -------
    pandas.DataFrame
        Same rows in the same order: ``slab``, the raw statistics as ``m1i sd1i n1i m2i sd2i n2i`` (change scores too)
        and ``ai bi ci di n1i n2i``, for effects ``yi vi sei measure yi_direction``, then every other column.

    Raises
    ------
    OptionError
        `frame` is no table or has columns of the same name, or the file exists.
    SchemaError
        Cells that no file can hold.

    Notes
    -----
    The raw statistics stay raw: for ``escalc(measure = "SMD", m1i, ...)`` a negative value means a lower mean in arm 1.
    ``yi`` is turned so that **positive favours arm 1**, whatever the instrument; ``yi_direction`` says so in every row,
    or that the table gave no direction. Columns of `frame` that have metafor's names already, such as those of a table
    read from R, are replaced where ours say the same. ``yi`` of a ratio is a logarithm. Reading the table back with
    :func:`ipt_evidence.sources.metafor_table_read.scan_metafor` gives the same effects.

    References
    ----------
    Viechtbauer W. Conducting meta-analyses in R with the metafor package. J Stat Softw 2010;36(3):1-48.
    doi:10.18637/jss.v036.i03

    Examples
    --------
    >>> row = {"trial_id": "a2001", "study": "A 2001", "statistics": "events", "lower_is_better": 0}
    >>> counts = {"events_1": 12, "total_1": 30, "events_2": 7, "total_2": 31}
    >>> to_metafor(pd.DataFrame([row | counts]))[["slab", "ai", "bi", "n1i", "ci", "di", "n2i"]].to_numpy().tolist()
    [['A 2001', 12.0, 18.0, 30.0, 7.0, 24.0, 31.0]]
    """
    if not isinstance(frame, pd.DataFrame):
        raise OptionError(f"frame must be a pandas DataFrame; received {type(frame).__name__}")
    repeated = frame.columns[frame.columns.duplicated()].unique()
    if len(repeated):
        raise OptionError(f"frame has columns named twice: {', '.join(repr(str(name)) for name in repeated)}; keep one")
    table = _table(frame.reset_index(drop=True))
    if path is not None:
        target = Path(path)
        plain = plain_cells(table)
        if problems := unwritable(plain, file=target.name):
            raise SchemaError(problems, title=f"{target.name} was not written")
        safe = protect_cells(plain)
        write_whole(
            target,
            lambda part: safe.to_csv(part, index=False, lineterminator="\r\n", encoding="utf-8"),
            overwrite=overwrite,
        )
    return table


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the metafor table."""
    numbers = {name: _numbers(frame, name) for name in _sources()}
    route = frame["statistics"].astype(str) if "statistics" in frame else pd.Series("", index=frame.index)
    unnamed = (route == "").to_numpy() & ~np.isnan(numbers["events_1"]) & np.isnan(numbers["mean_1"])
    events = (route == "events").to_numpy() | unnamed
    changes = (route == "change_scores").to_numpy()
    columns: dict[str, Any] = {"slab": _labels(frame)}
    columns |= {ours: frame[ours] for ours in ("trial_id", "comparison_id") if ours in frame}
    carried: dict[str, np.ndarray[Any, Any]] = {}
    for theirs, ours in MOMENTS.items():
        columns[theirs] = np.where(changes, numbers[f"change_{ours}"], numbers[ours])
        carried |= {ours: ~changes, f"change_{ours}": changes}
    for theirs, (size, total) in SIZES.items():
        columns[theirs] = np.where(events, numbers[total], numbers[size])
        carried |= {size: ~events, total: events}
    for theirs, ours in COUNTS.items():
        columns[theirs] = numbers[ours]
        carried[ours] = np.full(len(frame), True)
    for theirs, (total, ours) in REST.items():
        columns[theirs] = np.where(events, numbers[total] - numbers[ours], np.nan)
    table = {name: cells for name, cells in columns.items() if name in frame or name == "slab" or _any(cells)}
    table |= _effects(frame)
    done = {name for name in numbers if name in frame and not np.any(~np.isnan(numbers[name]) & ~carried[name])}
    skipped = done | set(table) | (set(OUTPUTS) if "yi" in table else set())
    rest = {str(name): frame[name] for name in frame.columns if name not in skipped}
    return pd.DataFrame(table | rest, index=frame.index)


def _sources() -> list[str]:
    """Return our columns that get another name."""
    names = [*MOMENTS.values(), *(f"change_{name}" for name in MOMENTS.values()), *COUNTS.values()]
    return [*names, *(name for pair in SIZES.values() for name in pair)]


def _effects(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the computed effects, if the table has them."""
    if not set(OUTPUTS) <= set(frame.columns):
        return {}
    return {
        "yi": frame["effect"],
        "vi": frame["variance"],
        "sei": frame["std_error"],
        "measure": frame["measure"],
        "yi_direction": _direction(frame),
        "yi_route": frame["route"],
        "yi_why_not": frame["why_not"],
    }


def _direction(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return in words what a positive effect means in each row that has one."""
    turned = np.where(frame["route"].str.contains("reported_"), "favours_ipt_sign" in frame, "lower_is_better" in frame)
    turned &= ~frame["measure"].isin(NO_BETTER_SIDE).to_numpy(dtype=bool)
    words = np.where(turned, FAVOURS_ARM_1, AS_GIVEN)
    return pd.Series(words, index=frame.index).where(frame["effect"].notna(), "")


def _labels(frame: pd.DataFrame) -> pd.Series[Any]:
    """Return the labels of the studies."""
    name = next((name for name in ("slab", "study", "trial_id") if name in frame), "")
    return frame[name] if name else pd.Series([f"row {at + 1}" for at in range(len(frame))], index=frame.index)


def _any(cells: Any) -> bool:
    return bool(pd.Series(cells).notna().any())


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """Return a column as numbers, NaN where it is empty; every cell that is none is named."""
    if name not in frame:
        return np.full(len(frame), np.nan)
    cells = frame[name]
    numbers = np.array(pd.to_numeric(cells, errors="coerce").to_numpy(dtype="float64", na_value=np.nan))
    blank = cells.isna().to_numpy(dtype=bool) | (cells.astype(str).str.strip() == "").to_numpy(dtype=bool)
    if (wrong := np.flatnonzero(np.isnan(numbers) & ~blank)).size:
        message = "expected a number"
        raise SchemaError([Problem(message, row=int(at) + 1, column=name, value=str(cells.iloc[at])) for at in wrong])
    return numbers
