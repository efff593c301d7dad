"""How much room the parts of a forest plot need: text is measured with the renderer, in points."""

from __future__ import annotations

import math
import re

import pandas as pd

from ipt_evidence.figures.axis import EffectAxis
from ipt_evidence.figures.columns import Column
from ipt_evidence.figures.forest_frame import SPANNING
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.measure import TextMeasure, Weight
from ipt_evidence.figures.placing import PlacedColumns
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.figures.wording import measure_names

BOLD = ("span", "header", "group", "subtotal", "overall", "common")
SMALL = ("heterogeneity", "between", "note", "left_out", "continued")
RUNNING_ON = ("subtotal", "overall", "common", "prediction")
INDENT = 0.8
BRACKET = 0.9
CELL_GAP = 4.0


def weight_of(kind: str) -> Weight:
    """Return the font weight of a kind of row."""
    return "bold" if kind in BOLD else "normal"


def size_of(kind: str, style: FigureStyle) -> float:
    """Return the font size of a kind of row."""
    return style.small_size if kind in SMALL else style.size


def indent_of(level: int, style: FigureStyle) -> float:
    """Return how far a row's label is set in: rows of a group stand under its name."""
    return INDENT * style.size * level


def parts_of(cell: str, column: Column) -> list[str]:
    """Return the parts of a cell that are aligned each by itself."""
    return cell.split(" ", column.parts - 1) if cell and column.parts > 1 else [cell]


def favours_texts(table: ForestTable, style: FigureStyle) -> tuple[str, str]:
    """Return what stands left and right of no difference, over the panel in two lines each; no text for no name."""
    word, (left, right) = table.word or style.house.favours, table.favours
    if style.house.favours_at == "above":
        return (f"{word}\n{left}" if left else "", f"{word}\n{right}" if right else "")
    return (f"← {word} {left}" if left else "", f"{word} {right} →" if right else "")


def reach_of(table: ForestTable, left: PlacedColumns) -> float:
    """Return how far labels of pooled rows may run on: to the first column in which such a row has a cell."""
    pooled = table.rows.loc[table.rows["kind"].isin(RUNNING_ON)]
    for placed in left.columns:
        if pooled[placed.column.name].ne("").any():
            return max(0.0, placed.left - CELL_GAP)
    return left.end


def label_width(rows: pd.DataFrame, style: FigureStyle, measure: TextMeasure, reach: float) -> float:
    """Return the width of the label column; labels of pooled rows run on, as they have no cells right beside them."""
    own = rows.loc[~rows["kind"].isin(SPANNING)]
    return max(
        measure(text, style.size, weight_of(kind)) + indent_of(level, style) - (reach if kind in RUNNING_ON else 0.0)
        for text, kind, level in zip(own["text_label"], own["kind"], own["level"], strict=True)
    )


def part_widths(rows: pd.DataFrame, column: Column, style: FigureStyle, measure: TextMeasure) -> list[float]:
    """Return the width of each part of a column's cells."""
    widths = [0.0] * column.parts
    body = rows.loc[~rows["kind"].isin((*SPANNING, "spacer", "span", "header"))]
    for cell, kind in set(zip(body[column.name], body["kind"], strict=True)):
        for i, part in enumerate(parts_of(cell, column)):
            widths[i] = max(widths[i], measure(part, style.size, weight_of(kind)))
    return widths


def spanning_width(rows: pd.DataFrame, style: FigureStyle, measure: TextMeasure) -> float:
    """Return the width of the longest line of text that runs across the figure."""
    spanning = rows.loc[rows["kind"].isin(SPANNING)]
    extra = BRACKET * style.size if (rows["bracket"] > 0).any() else 0.0
    widths = [
        measure(text, size_of(kind, style), weight_of(kind)) + indent_of(level, style) + extra
        for text, kind, level in zip(spanning["text_label"], spanning["kind"], spanning["level"], strict=True)
    ]
    return max(widths, default=0.0)


def panel_headers(table: ForestTable) -> list[str]:
    """Return the texts that may stand over the panel, the longest first."""
    names = reversed(measure_names(table.measure))
    return [text for name in names if (text := table.panel_header.replace("{name}", name))]


def panel_header(table: ForestTable, panel: float, style: FigureStyle, measure: TextMeasure) -> str:
    """Return the longest name of the measure that fits over the panel."""
    texts = panel_headers(table)
    return next((text for text in texts if measure(text, style.size, "bold") <= panel), texts[-1] if texts else "")


def favours_overhang(
    table: ForestTable,
    axis: EffectAxis,
    start: float,
    panel: float,
    width: float,
    style: FigureStyle,
    measure: TextMeasure,
) -> tuple[float, float]:
    """Return how much room the favours texts need left and right of what there is.

    Under the axis they may reach to the edges of the page; over the panel they keep off the headers beside it.
    """
    if math.isnan(axis.reference):
        return 0.0, 0.0
    above = style.house.favours_at == "above"
    size, weight = favours_font(style)
    left, right = (measure(text, size, weight) for text in favours_texts(table, style))
    reference = start + axis.fraction(axis.reference) * panel
    gap = 0.8 * style.small_size
    if above:
        return max(0.0, left + gap - (reference - start)), max(0.0, reference + gap + right - start - panel)
    push = max(0.0, style.margin + left + gap - reference)
    return push, max(0.0, reference + gap + right + style.margin - width)


def favours_font(style: FigureStyle) -> tuple[float, Weight]:
    """Return size and weight of the favours texts."""
    return (style.size, "bold") if style.house.favours_at == "above" else (style.small_size, "normal")


def fold(note: str, width: float, style: FigureStyle, measure: TextMeasure) -> list[str]:
    """Return a footnote in lines that fit the page; ``rho = 0.6`` and ``k − 1`` stay together."""
    space = measure("n n", style.small_size) - measure("nn", style.small_size)
    lines: list[str] = []
    used = width
    for word in re.split(r" (?![=<−]) *(?<![=<−○+!*?] )", note):
        size = measure(word, style.small_size)
        if lines and used + space + size <= width:
            lines[-1] += f" {word}"
            used += space + size
        else:
            lines.append(word)
            used = size
    return lines
