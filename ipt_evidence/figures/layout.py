"""Where everything of a forest plot stands: text is measured with the renderer and the page is sized from it.

All lengths are points. Horizontal positions count from the left edge of the page (or of the caller's axes); vertical
ones are row positions of the table, so that one row is one unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pandas as pd

from ipt_evidence.figures.axis import EffectAxis, effect_axis
from ipt_evidence.figures.columns import Column
from ipt_evidence.figures.forest_rows import SPANNING, ForestTable
from ipt_evidence.figures.measure import Screen, TextMeasure, Weight
from ipt_evidence.figures.placing import PlacedColumn, Span, place_columns
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle
from ipt_evidence.figures.wording import is_ratio, measure_names

BOLD = ("span", "header", "group", "subtotal", "overall")
SMALL = ("heterogeneity", "between", "note", "left_out")
INDENTED = ("study", "subtotal", "prediction", "heterogeneity", "note", "left_out")
RUNNING_ON = ("subtotal", "overall", "prediction")
TICK_LENGTH = 3.0
TICK_GAP = 0.6
ROB_STEP = 1.55
BOTTOM_PAD = 0.25
CONTINUED = 0.8


def line_offset(i: int) -> float:
    """Return how far below its row the i-th line of a broken text stands; nearer than the next row."""
    return CONTINUED * i


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything stands.

    Attributes
    ----------
    width, height : float
        Size of the page.
    top : float
        Distance from the top of the page to the upper edge of the first row.
    label : float
        Left edge of the labels.
    right : float
        Right edge of the content.
    panel_left, panel_right : float
        Edges of the plotting panel.
    columns : tuple of PlacedColumn
        The text columns.
    spans : tuple of Span
        Headers over several columns.
    name : str
        Name of the measure over the panel: the long one when it fits.
    domains : tuple of float
        Centres of the risk-of-bias columns.
    notes : tuple of str
        Footnotes, broken to the width.
    axis : EffectAxis
        Limits and ticks.
    n_lines : int
        Rows of text between the top of the table and the axis.
    text_reach : float
        Right end of the longest line of text that may run into the panel.
    """

    width: float
    height: float
    top: float
    label: float
    right: float
    panel_left: float
    panel_right: float
    columns: tuple[PlacedColumn, ...]
    spans: tuple[Span, ...]
    name: str
    domains: tuple[float, ...]
    notes: tuple[str, ...]
    axis: EffectAxis
    n_lines: int
    text_reach: float

    def x(self, value: float) -> float:
        """Return where a value of the effect axis stands."""
        return self.panel_left + self.axis.fraction(value) * (self.panel_right - self.panel_left)


def weight_of(kind: str) -> Weight:
    """Return the font weight of a kind of row."""
    return "bold" if kind in BOLD else "normal"


def size_of(kind: str, style: FigureStyle) -> float:
    """Return the font size of a kind of row."""
    return style.small_size if kind in SMALL else style.size


def indent_of(kind: str, grouped: bool, style: FigureStyle) -> float:
    """Return how far a row's label is set in: rows of a group stand under its name."""
    return 0.8 * style.size if grouped and kind in INDENTED else 0.0


def favours_texts(favours: tuple[str, str]) -> tuple[str, str]:
    """Return what stands under the axis left and right of no difference; empty names give no text."""
    left, right = favours
    return (f"← Favours {left}" if left else "", f"Favours {right} →" if right else "")


def plan(
    table: ForestTable,
    style: FigureStyle,
    *,
    title: str = "",
    xlim: tuple[float, float] | None = None,
    fill: float | None = None,
    screen: Screen | None = None,
) -> Layout:
    """Return the layout of a forest plot at its natural size.

    Parameters
    ----------
    table : ForestTable
        What is drawn.
    style : FigureStyle
        Fonts and sizes.
    title : str
        Line over the figure.
    xlim : tuple of float, optional
        Limits of the effect axis.
    fill : float, optional
        Width that the panel grows to fill, however wide it then is. Default: the width of the style, with the panel
        within its bounds.
    screen : Screen, optional
        See :class:`TextMeasure`.
    """
    measure = TextMeasure(style, screen)
    widths = {c.name: _part_widths(table.rows, c, style, measure) for c in table.columns}
    sides = [[c for c in table.columns if c.side == side] for side in ("left", "right")]
    before, after = (place_columns(side, widths, 0.0, style, measure).end for side in sides)
    label = style.margin + _label_width(table.rows, style, measure, before)
    step = ROB_STEP * style.size
    rob = step * len(table.domains) + (style.column_gap if table.domains else 0)
    fixed = label + before + after + rob + 2 * style.column_gap + style.margin
    panel = _panel_width(table, style, measure, fixed, title, fill)
    axis = _axis(table, xlim, panel, style, measure)
    start = label + before + 1.5 * style.column_gap
    push, pull = _favours_overhang(table.favours, axis, start, panel, fixed + panel, style, measure)
    left = place_columns(sides[0], widths, label + push, style, measure)
    right = place_columns(sides[1], widths, start + push + panel + 0.5 * style.column_gap, style, measure)
    first = right.end + (style.column_gap if table.domains else 0) + 0.5 * step
    width = fixed + panel + push + pull
    top = style.margin + (1.8 * style.size if title else 0)
    notes = tuple(line for note in table.notes for line in _fold(note, width - 2 * style.margin, style, measure))
    n_lines = int(table.rows["lines"].sum())
    below = below_axis(style, table.favours) + len(notes) * note_step(style) + style.margin
    return Layout(
        width=width,
        height=top + (n_lines + BOTTOM_PAD) * style.row_height + below,
        top=top,
        label=style.margin,
        right=width - pull - style.margin,
        panel_left=start + push,
        panel_right=start + push + panel,
        columns=(*left.columns, *right.columns),
        spans=(*left.spans, *right.spans),
        name=_fitting_name(table.measure, panel, style, measure),
        domains=tuple(first + step * i for i in range(len(table.domains))),
        notes=notes,
        axis=axis,
        n_lines=n_lines,
        text_reach=style.margin + _spanning_width(table.rows, style, measure) + 3,
    )


def plan_in_box(
    table: ForestTable,
    style: FigureStyle,
    box: tuple[float, float],
    *,
    title: str = "",
    xlim: tuple[float, float] | None = None,
    screen: Screen | None = None,
) -> tuple[Layout, FigureStyle]:
    """Return the layout that fits a box of given width and height, and the style, made smaller when it must be."""
    style = replace(style, margin=0.0)
    factor = 1.0
    for _ in range(8):
        fitted = style.scaled(factor)
        compact = replace(fitted, panel_max=fitted.panel_min)
        natural = plan(table, compact, title=title, xlim=xlim, screen=screen)
        if natural.width <= box[0] and natural.height <= box[1]:
            filled = plan(table, compact, title=title, xlim=xlim, fill=box[0], screen=screen)
            over = max(0.0, filled.width - box[0])
            return plan(
                table, compact, title=title, xlim=xlim, fill=box[0] - over, screen=screen
            ) if over else filled, compact
        factor *= 0.995 * min(1.0, box[0] / natural.width, box[1] / natural.height)
    return natural, compact


def below_axis(style: FigureStyle, favours: tuple[str, str]) -> float:
    """Return the height of ticks, tick labels and the favours line."""
    return TICK_LENGTH + (3.4 if any(favours) else 1.8) * style.small_size


def note_step(style: FigureStyle) -> float:
    """Return the distance between two lines of the footnotes."""
    return 1.3 * style.small_size


def parts_of(cell: str, column: Column) -> list[str]:
    """Return the parts of a cell that are aligned each by itself."""
    return cell.split(" ", column.parts - 1) if cell and column.parts > 1 else [cell]


def _body(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.loc[~rows["kind"].isin((*SPANNING, "spacer", "span", "header"))]


def _label_width(rows: pd.DataFrame, style: FigureStyle, measure: TextMeasure, before: float) -> float:
    """Return the width of the label column; labels of pooled rows run on, as they have no cells before the panel."""
    grouped = bool((rows["kind"] == "group").any())
    own = rows.loc[~rows["kind"].isin(SPANNING)]
    return max(
        measure(text, style.size, weight_of(kind))
        + indent_of(kind, grouped, style)
        - (before if kind in RUNNING_ON else 0.0)
        for text, kind in zip(own["text_label"], own["kind"], strict=True)
    )


def _part_widths(rows: pd.DataFrame, column: Column, style: FigureStyle, measure: TextMeasure) -> list[float]:
    widths = [0.0] * column.parts
    body = _body(rows)
    for cell, kind in set(zip(body[column.name], body["kind"], strict=True)):
        for i, part in enumerate(parts_of(cell, column)):
            widths[i] = max(widths[i], measure(part, style.size, weight_of(kind)))
    return widths


def _spanning_width(rows: pd.DataFrame, style: FigureStyle, measure: TextMeasure) -> float:
    """Return the width of the longest line of text that runs across the figure."""
    grouped = bool((rows["kind"] == "group").any())
    spanning = rows.loc[rows["kind"].isin(SPANNING)]
    widths = [
        measure(text, size_of(kind, style), weight_of(kind)) + indent_of(kind, grouped, style)
        for text, kind in zip(spanning["text_label"], spanning["kind"], strict=True)
    ]
    return max(widths, default=0.0)


def _panel_width(
    table: ForestTable, style: FigureStyle, measure: TextMeasure, fixed: float, title: str, fill: float | None
) -> float:
    """Return the width of the panel: what the page leaves, and what the lines across the page need."""
    needed = _spanning_width(table.rows, style, measure)
    needed = max(needed, measure(title, style.size, "bold")) + 2 * style.margin - fixed
    name = measure(measure_names(table.measure)[1], style.size, "bold")
    least = max(style.panel_min, needed, name)
    if fill is not None:
        return max(least, fill - fixed)
    return max(least, min(style.panel_max, style.width_mm * POINTS_PER_MM - fixed))


def _axis(
    table: ForestTable, xlim: tuple[float, float] | None, panel: float, style: FigureStyle, measure: TextMeasure
) -> EffectAxis:
    """Return the effect axis with as many ticks as have room beside each other."""

    def room(ticks: list[str]) -> int:
        widest = max((measure(t, style.small_size) for t in ticks), default=1.0)
        return int(panel / (widest + TICK_GAP * style.small_size))

    return effect_axis(table.rows, log=is_ratio(table.measure), xlim=xlim, room=room)


def _fitting_name(measure_code: str, panel: float, style: FigureStyle, measure: TextMeasure) -> str:
    _, name, long = measure_names(measure_code)
    return long if measure(long, style.size, "bold") <= panel else name


def _favours_overhang(
    favours: tuple[str, str],
    axis: EffectAxis,
    start: float,
    panel: float,
    width: float,
    style: FigureStyle,
    measure: TextMeasure,
) -> tuple[float, float]:
    """Return how much wider the page must be on the left and on the right to hold the favours line."""
    left, right = (measure(text, style.small_size) for text in favours_texts(favours))
    reference = start + axis.fraction(axis.reference) * panel
    gap = 0.8 * style.small_size
    push = max(0.0, style.margin + left + gap - reference)
    return push, max(0.0, reference + gap + right + style.margin - width)


def _fold(note: str, width: float, style: FigureStyle, measure: TextMeasure) -> list[str]:
    """Return a footnote in lines that fit the page; ``rho = 0.6`` and ``k − 1`` stay together."""
    space = measure("n n", style.small_size) - measure("nn", style.small_size)
    lines: list[str] = []
    used = width
    for word in re.split(r" (?![=<−]) *(?<![=<−] )", note):
        size = measure(word, style.small_size)
        if lines and used + space + size <= width:
            lines[-1] += f" {word}"
            used += space + size
        else:
            lines.append(word)
            used = size
    return lines
