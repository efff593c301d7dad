"""From rows as they were written to the table: positions, broken lines, brackets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.columns import TEXT_WIDTH, Column
from ipt_evidence.figures.forest_options import RowOptions
from ipt_evidence.figures.forest_writer import Row, make_row
from ipt_evidence.figures.risk_of_bias import letter

SPANNING = ("group", "left_out", "heterogeneity", "between", "note", "continued")
NUMBERS = ("effect", "ci_low", "ci_high", "pi_low", "pi_high", "weight", "weight_common", "relative_weight")
COUNTS = ("level", "n_effects")
KEPT = "\N{NO-BREAK SPACE}"


def header_rows(columns: Sequence[Column], rob: Sequence[str], options: RowOptions) -> list[Row]:
    """Return the header row, under a row with the headers over several columns where there are any."""
    header = make_row("header", options.house.study, "") | {c.name: c.header for c in columns}
    header |= {name: letter(i) for i, name in enumerate(rob)}
    if not any(c.span for c in columns):
        return [header]
    spans = make_row("span", "", "")
    for before, column in zip((None, *columns), columns, strict=False):
        new = before is None or before.span != column.span
        spans[column.name] = column.span if new else ""
    return [spans, header]


def row_table(
    lines: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    rob: Sequence[str],
    options: RowOptions,
    line: int,
) -> pd.DataFrame:
    """Return the rows as a table with positions; long labels and cells are broken into lines."""
    texts = ["text_label", *(c.name for c in columns)]
    names = ["kind", "group", "trial_id", "label", *NUMBERS, "n_effects", "note", *texts, *rob]
    table = pd.DataFrame({name: _cells(lines, name) for name in ["level", *names]})
    spanning = table["kind"].isin(SPANNING)
    widths = np.where(spanning, options.span_width, options.label_width)
    table["text_label"] = [_broken(t, int(n)) for t, n in zip(table["text_label"], widths, strict=True)]
    for column in columns:
        if column.align == "left":
            table[column.name] = [_broken(text, TEXT_WIDTH) for text in table[column.name]]
    written = zip(*(table[name] for name in texts), strict=True)
    lines_of = pd.Series([1 + max(text.count("\n") for text in row) for row in written], index=table.index)
    if options.house.favours_at == "above" and (options.favours or ("x",))[0] != "":
        lines_of = lines_of.where(table["kind"] != "header", lines_of.clip(lower=2))
    if options.prediction == "density":
        lines_of = lines_of.where(table["kind"] != "prediction", lines_of + 1)
    bare = (line > 1) & (table["kind"] == "study")
    lines_of = lines_of.where(bare, lines_of * line)
    table.insert(0, "position", (lines_of.cumsum() - lines_of).astype(int))
    table.insert(1, "lines", lines_of)
    table.insert(5, "bracket", _brackets(table))
    return table


def _cells(lines: Sequence[Mapping[str, Any]], name: str) -> pd.Series[Any]:
    """Return one column of the rows: numbers, counts, or else texts that are empty where a row says nothing."""
    values = [line.get(name) for line in lines]
    if name in NUMBERS:
        return pd.Series(values, dtype=float)
    if name in COUNTS:
        return pd.Series(values, dtype=int)
    return pd.Series(["" if value is None or value != value else str(value) for value in values], dtype=str)


def _brackets(table: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a number for each run of neighbouring rows of one trial, 0 for a row alone."""
    trial = table["trial_id"].where(table["kind"].isin(["study", "outcome"]), "")
    run = (trial != trial.shift()).cumsum()
    several = (trial != "") & (run.map(run.value_counts()) > 1)
    return np.where(several, run.where(several).rank(method="dense").fillna(0), 0).astype(np.int64)


def _broken(text: str, width: int) -> str:
    """Return the text in lines; ``n = 12`` and what stands in short brackets stay on one line."""
    kept = re.sub(r"\([^()]{1,24}\)", lambda m: m[0].replace(" ", KEPT), re.sub(r" ([=≥<]) ", rf"{KEPT}\1{KEPT}", text))
    return "\n".join(part for line in kept.split("\n") for part in w.wrap(line, width)).replace(KEPT, " ")
