"""Forest plots whose rows are fits: a summary of many, a pooled effect as trials are added, or without each of them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import Column
from ipt_evidence.figures.forest_inputs import Branch, FitView
from ipt_evidence.figures.forest_writer import Row, Writer, interval, make_row

SERIES = {"added": "Added", "left_out": "Left out"}


def summary_rows(root: Branch, writer: Writer) -> list[Row]:
    """Return one row per fit, under the names of the groups they belong to."""
    rows: list[Row] = []
    if root.fit is not None:
        rows.append(_fit_row(root.fit, writer, w.humanise(root.fit.group) or "All trials", 0))
    for child in root.children:
        rows += _branch(child, writer, 0)
    if root.total is not None:
        rows.append(make_row("spacer", "", ""))
        rows.append(_fit_row(root.total, writer, "Overall", 0) | {"kind": "overall"})
    return rows


def _branch(branch: Branch, writer: Writer, level: int) -> list[Row]:
    if branch.fit is not None:
        return [_fit_row(branch.fit, writer, w.humanise(branch.name), level)]
    rows = [make_row("group", branch.name, branch.name, level=level) | {"text_label": w.humanise(branch.name)}]
    for child in branch.children:
        rows += _branch(child, writer, level + 1)
    if branch.total is not None:
        rows.append(_fit_row(branch.total, writer, "All of them", level + 1) | {"kind": "subtotal"})
    return [*rows, make_row("spacer", "", branch.name)] if level == 0 else rows


def _fit_row(fit: FitView, writer: Writer, name: str, level: int) -> Row:
    """Return the row of a fit; one without a usable trial says so."""
    if fit.k == 0:
        return make_row("note", f"{name}: no usable trial", fit.group, level=level)
    numbers = writer.shown(*(fit.number(x) for x in ("estimate", "ci_low", "ci_high")))
    row = writer.texts(make_row("fit" if fit.k > 1 else "single", name, fit.group, *numbers, level=level))
    low, high = writer.shown(fit.number("pi_low"), fit.number("pi_high"))
    row |= {"pi_low": low, "pi_high": high, "text_k": str(fit.k)}
    house, digits = writer.options.house, writer.options.digits
    row["text_n"] = fit.people.removeprefix("n = ").removeprefix("n ")
    row["text_i2"] = "" if math.isnan(fit.number("i2")) or fit.k < 2 else f"{fit.number('i2'):.0f}%"
    row["text_pi"] = interval(low, high, digits, house.brackets, house.separator)
    row["relative_weight"] = 1.0
    return row


def is_series(obj: object) -> bool:
    """Return whether this is a table of cumulative() or leave_one_out()."""
    needed = {"estimate", "ci_low", "ci_high"}
    return isinstance(obj, pd.DataFrame) and needed <= set(obj.columns) and bool(set(SERIES) & set(obj.columns))


def series_rows(table: pd.DataFrame, writer: Writer) -> list[Row]:
    """Return one row per refit of a table of cumulative() or leave_one_out().

    Raises
    ------
    OptionError
        The table has no rows, or is to be sorted by what it does not have.
    """
    name = next(x for x in SERIES if x in table.columns)
    if table.empty:
        raise OptionError("the table of refits has no rows")
    rows: list[Row] = []
    for one in table.to_dict("records"):
        numbers = writer.shown(*(float(one[x]) for x in ("estimate", "ci_low", "ci_high")))
        row = make_row("step", str(one[name]), "", *numbers)
        row["text_label"] = f"+ {one[name]}" if name == "added" and rows else str(one[name])
        tau2, i2 = (float(one.get(x, math.nan)) for x in ("tau2", "i2"))
        row["text_tau2"] = "" if math.isnan(tau2) else w.small(tau2)
        row["text_i2"] = "" if math.isnan(i2) else f"{i2:.0f}%"
        row["relative_weight"] = 1.0
        rows.append(writer.texts(row))
    rows += _all_together(table, writer)
    return rows


def _all_together(table: pd.DataFrame, writer: Writer) -> list[Row]:
    """Return the row of all trials under those without each, where the table says what it is."""
    found = [table.attrs.get(x) for x in ("estimate", "ci_low", "ci_high")]
    if "left_out" not in table.columns or any(x is None for x in found):
        return []
    numbers = writer.shown(*(float(x) for x in found if x is not None))
    return [writer.texts(make_row("overall", "All trials", "", *numbers))]


def summary_columns(right: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of a figure of fits."""
    before = (Column("text_k", "k"), Column("text_n", "n"))
    after = (
        Column("text_pi", "Prediction interval", side="right", parts=right[1].parts if len(right) > 1 else 2),
        Column("text_i2", "I²", side="right"),
    )
    return (*before, *right, *after)


def series_columns(right: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of a figure of refits."""
    return (*right, Column("text_tau2", "τ²", side="right"), Column("text_i2", "I²", side="right"))


def series_notes(table: pd.DataFrame) -> tuple[str, ...]:
    """Return what the table says of itself."""
    attrs: dict[Any, Any] = table.attrs
    notes = [str(x) for x in (attrs.get("interpretation"), *attrs.get("notes", ())) if x]
    method = attrs.get("method")
    return (*notes, *([f"Method: {method}."] if method else []))
