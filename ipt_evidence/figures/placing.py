"""Placing text columns side by side under their headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ipt_evidence.figures.columns import Align, Column
from ipt_evidence.figures.measure import TextMeasure
from ipt_evidence.figures.style import FigureStyle

PART_GAP = 0.3


@dataclass(frozen=True, slots=True)
class PlacedColumn:
    """A column with its edges, the anchor of each part of its cells, and where its header stands."""

    column: Column
    left: float
    right: float
    anchors: tuple[float, ...]
    header_x: float
    header_align: Align
    header_right: float


@dataclass(frozen=True, slots=True)
class Span:
    """A header over several columns, with the edges of what it covers."""

    name: str
    left: float
    right: float


@dataclass(frozen=True, slots=True)
class PlacedColumns:
    """Columns of one side of the panel, the headers over several of them, and where they end."""

    columns: tuple[PlacedColumn, ...]
    spans: tuple[Span, ...]
    end: float


def _blocks(columns: Sequence[Column]) -> list[list[Column]]:
    """Return the columns with those that share a header together."""
    blocks: list[list[Column]] = []
    for column in columns:
        if column.joined and blocks:
            blocks[-1].append(column)
        else:
            blocks.append([column])
    return blocks


def place_columns(
    columns: Sequence[Column], widths: dict[str, list[float]], start: float, style: FigureStyle, measure: TextMeasure
) -> PlacedColumns:
    """Return the columns from left to right; headers, and headers over several columns, get the room they need."""
    placed: list[PlacedColumn] = []
    spans: list[Span] = []
    x = start
    for name, group in groupby(_blocks(columns), key=lambda block: block[0].span):
        blocks = list(group)
        left = x + style.column_gap
        made, end = _place_blocks(blocks, widths, x, style, measure)
        spare = left + measure(name, style.size, "bold") - end
        if spare > 0:
            made, end = _place_blocks(blocks, widths, x + spare / 2, style, measure)
            end += spare / 2
        placed += made
        x = end
        if name:
            spans.append(Span(name, left, x))
    return PlacedColumns(tuple(placed), tuple(spans), x)


def _place_blocks(
    blocks: Sequence[Sequence[Column]],
    widths: dict[str, list[float]],
    start: float,
    style: FigureStyle,
    measure: TextMeasure,
) -> tuple[list[PlacedColumn], float]:
    """Return columns side by side and where they end."""
    placed: list[PlacedColumn] = []
    x = start
    for block in blocks:
        made = _place_block(block, widths, x + style.column_gap, style, measure)
        placed += made
        x = max(made[0].header_right, made[-1].right)
    return placed, x


def _place_block(
    block: Sequence[Column], widths: dict[str, list[float]], start: float, style: FigureStyle, measure: TextMeasure
) -> list[PlacedColumn]:
    """Return the columns under one header: numbers flush right under it, several columns centred, text flush left."""
    gap = PART_GAP * style.size
    natural = sum(sum(widths[c.name]) + gap * c.parts for c in block) - gap
    header = measure(block[0].header, style.size, "bold")
    width = max(natural, header)
    several = len(block) > 1
    share = 0.5 if several else {"left": 0.0, "center": 0.5, "right": 1.0}[block[0].align]
    align: Align = "center" if several else block[0].align
    header_x = start + share * width
    x = start + share * (width - natural)
    placed = []
    for column in block:
        anchors = []
        left = x
        for part in widths[column.name]:
            anchors.append(x + {"left": 0.0, "center": 0.5, "right": 1.0}[column.align] * part)
            x += part + gap
        placed.append(PlacedColumn(column, left, x - gap, tuple(anchors), header_x, align, start + width))
    return placed
