"""Where everything of a forest plot stands: text is measured with the renderer and the page is sized from it.

All lengths are points. Horizontal positions count from the left edge of the page (or of the caller's axes); vertical
ones are row positions of the table, so that one line of text is one unit, or several in a thin plot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ipt_evidence.figures.axis import EffectAxis, effect_axis
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.forest_widths import (
    BRACKET,
    favours_overhang,
    fold,
    label_width,
    panel_header,
    panel_headers,
    part_widths,
    reach_of,
    spanning_width,
)
from ipt_evidence.figures.measure import Screen, TextMeasure
from ipt_evidence.figures.placing import PlacedColumn, Span, place_columns
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle
from ipt_evidence.figures.wording import is_ratio

TICK_LENGTH = 3.0
TICK_GAP = 0.6
ROB_STEP = 1.55
BOTTOM_PAD = 0.25
CONTINUED = 0.8
LEAST_SIZE = 5.5
LEAST_PANEL = 66.0


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
        Left edge of the content; the brackets of trials with several effects stand here.
    text : float
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
        Text over the panel, such as the name of the measure: the long one when it fits.
    domains : tuple of float
        Centres of the risk-of-bias columns.
    notes : tuple of str
        Footnotes, broken to the width.
    axis : EffectAxis
        Limits and ticks.
    n_lines : int
        Positions between the top of the table and the axis.
    text_reach : float
        Right end of the longest line of text that may run into the panel.
    line : int
        Positions that a line of text is high.
    unit : float
        Height of one position.
    """

    width: float
    height: float
    top: float
    label: float
    text: float
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
    line: int
    unit: float

    def middle(self, position: float, i: int = 0) -> float:
        """Return the height of the i-th line of text of a row; continued lines stand nearer than the next row."""
        return position + (self.line - 1) / 2 + CONTINUED * self.line * i

    @property
    def bottom(self) -> float:
        """Position of the axis."""
        return self.n_lines - 0.5 + BOTTOM_PAD * self.line

    def x(self, value: float) -> float:
        """Return where a value of the effect axis stands."""
        return self.panel_left + self.axis.fraction(value) * (self.panel_right - self.panel_left)


def plan(
    table: ForestTable,
    style: FigureStyle,
    *,
    title: str = "",
    xlim: tuple[float, float] | None = None,
    fill: float | None = None,
    screen: Screen | None = None,
    measure: TextMeasure | None = None,
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
    measure : TextMeasure, optional
        One that has measured texts in these fonts and sizes before.
    """
    measure = measure or TextMeasure(style, screen)
    widths = {c.name: part_widths(table.rows, c, style, measure) for c in table.columns}
    sides = [[c for c in table.columns if c.side == side] for side in ("left", "right")]
    before, after = (place_columns(side, widths, 0.0, style, measure) for side in sides)
    bracket = BRACKET * style.size if (table.rows["bracket"] > 0).any() else 0.0
    label = style.margin + bracket + label_width(table.rows, style, measure, reach_of(table, before))
    step = ROB_STEP * style.size
    rob = step * len(table.domains) + (style.column_gap if table.domains else 0)
    fixed = label + before.end + after.end + rob + 2 * style.column_gap + style.margin
    panel = _panel_width(table, style, measure, fixed, title, fill)
    axis = _axis(table, xlim, panel, style, measure)
    start = label + before.end + 1.5 * style.column_gap
    push, pull = favours_overhang(table, axis, start, panel, fixed + panel, style, measure)
    above = style.house.favours_at == "above"
    left = place_columns(sides[0], widths, label + (0.0 if above else push), style, measure)
    behind = start + push + panel + (pull if above else 0.0)
    right = place_columns(sides[1], widths, behind + 0.5 * style.column_gap, style, measure)
    first = right.end + (style.column_gap if table.domains else 0) + 0.5 * step
    width = fixed + panel + push + pull
    top = style.margin + (1.8 * style.size if title else 0)
    notes = tuple(line for note in table.notes for line in fold(note, width - 2 * style.margin, style, measure))
    return Layout(
        width=width,
        height=page_height(table, style, top, len(notes)),
        top=top,
        label=style.margin,
        text=style.margin + bracket,
        right=width - style.margin - (0.0 if above else pull),
        panel_left=start + push,
        panel_right=start + push + panel,
        columns=(*left.columns, *right.columns),
        spans=(*left.spans, *right.spans),
        name=panel_header(table, panel, style, measure),
        domains=tuple(first + step * i for i in range(len(table.domains))),
        notes=notes,
        axis=axis,
        n_lines=int(table.rows["lines"].sum()),
        text_reach=style.margin + spanning_width(table.rows, style, measure) + 3,
        line=table.line,
        unit=style.row_height / table.line,
    )


def page_height(table: ForestTable, style: FigureStyle, top: float, n_notes: int) -> float:
    """Return the height of the page."""
    lines = int(table.rows["lines"].sum()) / table.line + BOTTOM_PAD
    below = below_axis(style, table.favours) + n_notes * note_step(style) + style.margin
    return top + lines * style.row_height + below


def plan_page(
    table: ForestTable, style: FigureStyle, *, title: str = "", xlim: tuple[float, float] | None = None
) -> tuple[Layout, FigureStyle]:
    """Return the layout of a page of the style's width, and the style, with a narrower panel and smaller text at need.

    Text does not become smaller than can be read: then the page is wider.
    """
    target = style.width_mm * POINTS_PER_MM
    measure = TextMeasure(style)
    layout = plan(table, style, title=title, xlim=xlim, measure=measure)
    if layout.width <= target + 0.5:
        return layout, style
    compact = replace(style, panel_min=min(style.panel_min, LEAST_PANEL), column_gap=0.75 * style.column_gap)
    layout = plan(table, compact, title=title, xlim=xlim, measure=measure)
    for _ in range(4):
        if layout.width <= target + 0.5 or compact.size <= LEAST_SIZE + 1e-9:
            break
        factor = max(LEAST_SIZE / compact.size, 0.99 * target / layout.width)
        compact = replace(compact.scaled(factor), margin=style.margin, panel_min=compact.panel_min)
        layout = plan(table, compact, title=title, xlim=xlim)
    return layout, compact


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
    said = any(favours) and style.house.favours_at == "below"
    return TICK_LENGTH + (3.4 if said else 2.0) * style.small_size


def note_step(style: FigureStyle) -> float:
    """Return the distance between two lines of the footnotes."""
    return 1.3 * style.small_size


def _panel_width(
    table: ForestTable, style: FigureStyle, measure: TextMeasure, fixed: float, title: str, fill: float | None
) -> float:
    """Return the width of the panel: what the page leaves, and what the lines across the page need."""
    needed = spanning_width(table.rows, style, measure)
    needed = max(needed, measure(title, style.size + 0.5, "bold")) + 2 * style.margin - fixed
    name = min((measure(text, style.size, "bold") for text in panel_headers(table)), default=0.0)
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

    proportion = table.measure == "PLO"
    return effect_axis(table.rows, log=is_ratio(table.measure), xlim=xlim, room=room, reference=not proportion)
