"""Text columns of a forest plot: which there are, how they are written and how they are aligned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.wording import COLUMN_NAMES, capitalise, humanise, number

ColumnSet = Literal["auto", "means", "events", "n"]
Align = Literal["left", "right", "center"]
Side = Literal["left", "right"]
Writer = Callable[[pd.Series], list[str]]
Header = str | tuple[str, str]
Columns = ColumnSet | Sequence[str] | Mapping[str, Header] | None

SETS: dict[str, tuple[str, ...]] = {"means": ("mean", "sd", "n"), "n": ("n",)}
TEXT_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Column:
    """One text column.

    Attributes
    ----------
    name : str
        Column of the rows table that holds the text.
    header, span : str
        Header of the column, and the header over several neighbouring columns that share it.
    align : {"left", "right", "center"}
        How its cells are aligned; numbers to the right with equal decimals, so that the points stand in line.
    side : {"left", "right"}
        On which side of the plotting panel it stands.
    parts : int
        A cell is split at its spaces into so many parts that are aligned each by itself.
    joined : bool
        Whether it stands close to the column before it, under that column's header.
    """

    name: str
    header: str
    span: str = ""
    align: Align = "right"
    side: Side = "left"
    parts: int = 1
    joined: bool = False


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A :class:`Column` of the caller's data, what writes its cells, and what writes the sum under the trials."""

    column: Column
    write: Callable[[pd.DataFrame], list[str]]
    total: Callable[[pd.DataFrame], str] | None = None


def raw_columns(
    columns: Columns, studies: Sequence[pd.DataFrame], arms: tuple[str, str], side: Side = "left"
) -> tuple[RawColumn, ...]:
    """Return the columns asked for.

    Parameters
    ----------
    columns : str, sequence or mapping
        A set (``"means"``: mean, SD and n of each arm; ``"events"``: events/total; ``"n"``; ``"auto"``: the first of
        them that half of the trials have), names of columns of the studies, or a mapping from name to header;
        a header of two texts stands over the column and over its neighbours with the same first text.
    studies : sequence of pandas.DataFrame
        The studies of all fits of the figure.
    arms : tuple of str
        Names of arm 1 and arm 2, written over their columns.
    side : {"left", "right"}
        Where columns named by the caller stand.

    Raises
    ------
    OptionError
        A column does not exist; all that are missing are named.
    """
    if columns is None:
        return ()
    everything = pd.concat([s for s in studies if len(s)], ignore_index=True) if any(map(len, studies)) else studies[0]
    if isinstance(columns, str):
        if columns not in ("auto", "means", "events", "n"):
            raise OptionError(
                f"columns must be 'auto', 'means', 'events', 'n', a list of column names or a mapping from name to "
                f"header; received {columns!r}"
            )
        return _column_set(columns, everything, arms)
    names = dict(columns) if isinstance(columns, Mapping) else {c: COLUMN_NAMES.get(c, humanise(c)) for c in columns}
    _check_present(list(names), everything)
    return tuple(_own_column(name, header, everything[name], side) for name, header in names.items())


def _column_set(which: str, everything: pd.DataFrame, arms: tuple[str, str]) -> tuple[RawColumn, ...]:
    if which == "auto":
        which = _best_set(everything)
        if not which:
            return ()
    if which == "events":
        _check_present([f"{name}_{side}" for side in (1, 2) for name in ("events", "total")], everything)
        return tuple(_events_column(side, arm) for side, arm in enumerate(arms, start=1))
    names = [f"{name}_{side}" for side in (1, 2) for name in SETS[which]]
    _check_present(names, everything)
    built = []
    for name in names:
        arm = arms[int(name[-1]) - 1]
        column = Column(f"text_{name}", COLUMN_NAMES[name], span=capitalise(arm))
        write = _write_numbers if name.startswith("n_") else _write_single
        total = partial(_sum, name=name) if name.startswith("n_") else None
        built.append(RawColumn(column, partial(write, name=name, digits=_digits(everything[name])), total))
    return tuple(built)


def _events_column(side: int, arm: str) -> RawColumn:
    column = Column(f"text_events_{side}", "Events/n", span=capitalise(arm))
    return RawColumn(column, partial(_write_events, side=side), partial(_sum_events, side=side))


def _best_set(everything: pd.DataFrame) -> str:
    used = everything.loc[everything["included"].astype(bool)]
    shares = {
        which: used[name].notna().mean()
        for which, name in (("means", "mean_1"), ("events", "events_1"), ("n", "n_1"))
        if name in used.columns
    }
    return next((which for which, share in shares.items() if share >= 0.5), "")


def _check_present(names: list[str], everything: pd.DataFrame) -> None:
    missing = [name for name in names if name not in everything.columns]
    if missing:
        raise OptionError(
            f"columns names {', '.join(map(repr, missing))}, not found among the columns of the studies: "
            f"{', '.join(map(str, everything.columns))}"
        )


def _own_column(name: str, header: Header, values: pd.Series, side: Side) -> RawColumn:
    span, text = header if isinstance(header, tuple) else ("", header)
    numeric = pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype)
    column = Column(f"text_{name}", text, span=span, side=side, align="right" if numeric else "left")
    if numeric:
        write = partial(_write_numbers, name=name, digits=_digits(values))
        return RawColumn(column, write, partial(_sum, name=name) if name in ("n_1", "n_2") else None)
    return RawColumn(column, partial(_write_text, name=name))


def _digits(values: pd.Series) -> int:
    """Return the decimals of a column: none for whole numbers, one for values around 3 and above, else two."""
    known = pd.to_numeric(values, errors="coerce").dropna().astype(float)
    if known.empty or (known == known.round()).all():
        return 0
    return 1 if known.abs().median() >= 3 else 2


def _values(table: pd.DataFrame, name: str) -> pd.Series:
    values = pd.to_numeric(table[name], errors="coerce")
    total = name.replace("n_", "total_")
    if name in ("n_1", "n_2") and total in table.columns:
        values = values.fillna(pd.to_numeric(table[total], errors="coerce"))
    return values


def _sum(table: pd.DataFrame, *, name: str) -> str:
    """Return the sum of a column of counts; nothing where a trial does not say, as the sum would be too small."""
    values = _values(table, name)
    return "" if values.isna().any() else number(float(values.sum()), 0)


def _sum_events(table: pd.DataFrame, *, side: int) -> str:
    if (table["n_effects"] != 1).any():
        return ""
    events, totals = (_sum(table, name=f"{name}_{side}") for name in ("events", "total"))
    return f"{events}/{totals}" if events and totals else ""


def _write_numbers(table: pd.DataFrame, *, name: str, digits: int) -> list[str]:
    return [number(float(x), digits) for x in _values(table, name).to_numpy(dtype=float, na_value=math.nan)]


def _write_text(table: pd.DataFrame, *, name: str) -> list[str]:
    return ["" if pd.isna(x) else str(x) for x in table[name]]


def _write_single(table: pd.DataFrame, *, name: str, digits: int) -> list[str]:
    """Return the numbers of trials with one effect: those of one outcome do not stand for several combined."""
    texts = _write_numbers(table, name=name, digits=digits)
    return [text if n == 1 else "" for text, n in zip(texts, table["n_effects"], strict=True)]


def _write_events(table: pd.DataFrame, *, side: int) -> list[str]:
    events = _write_single(table, name=f"events_{side}", digits=0)
    totals = _write_single(table, name=f"total_{side}", digits=0)
    return [f"{e}/{n}" if e and n else "" for e, n in zip(events, totals, strict=True)]


def participants(table: pd.DataFrame) -> list[str]:
    """Return the participants of each trial, both arms together; nothing where an arm is not known."""
    return [number(float(x), 0) for x in _participants(table).to_numpy(dtype=float, na_value=math.nan)]


def participants_sum(table: pd.DataFrame) -> str:
    """Return the participants of all trials; nothing where one is not known."""
    values = _participants(table)
    return "" if values.isna().any() else number(float(values.sum()), 0)


def _participants(table: pd.DataFrame) -> pd.Series:
    if not {"n_1", "n_2"} <= set(table.columns):
        return pd.Series(math.nan, index=table.index)
    return _values(table, "n_1") + _values(table, "n_2")
