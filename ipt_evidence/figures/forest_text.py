"""The texts of a forest plot: labels, cells, headers, what stands under the axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Transform

from ipt_evidence.figures.forest_frame import SPANNING
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.forest_widths import (
    favours_font,
    favours_texts,
    indent_of,
    parts_of,
    size_of,
    weight_of,
)
from ipt_evidence.figures.layout import TICK_LENGTH, Layout, below_axis, note_step
from ipt_evidence.figures.style import FigureStyle, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE = 0.36
NO_CELLS = (*SPANNING, "spacer", "span", "header")


@cache
def _font(names: tuple[str, ...], size: float, weight: str) -> FontProperties:
    return FontProperties(family=list(names), size=size, weight=weight)


@dataclass(frozen=True, slots=True)
class TextDrawing:
    """The axes, what is written into it, and where."""

    ax: Axes
    table: ForestTable
    layout: Layout
    style: FigureStyle
    place: Transform

    def draw(self, title: str) -> None:
        """Write everything."""
        if title:
            y = -1.3 * self.layout.line
            self._text(self.layout.label, y, title, self.style.size + 0.5, "bold")
        records: list[dict[str, Any]] = [{str(k): v for k, v in r.items()} for r in self.table.rows.to_dict("records")]
        for row in records:
            if row["kind"] not in ("header", "span"):
                self._label(row)
                self._cells(row)
        self._headers()
        self._rules()
        self._under_axis()

    def _text(
        self, x: float, y: float, text: str, size: float, weight: str = "normal", ha: str = "left", color: str = ""
    ) -> None:
        """Write one line whose height is centred on a position."""
        if not text:
            return
        self.ax.text(
            x,
            y + BASELINE * size / self.layout.unit,
            text,
            transform=self.place,
            fontproperties=_font(tuple(families(self.style)), size, weight),
            ha=ha,
            va="baseline",
            color=color or self.style.text,
            clip_on=False,
            parse_math=False,
        )

    def _label(self, row: dict[str, Any]) -> None:
        kind = row["kind"]
        size = size_of(kind, self.style)
        x = self.layout.text + indent_of(row["level"], self.style)
        quiet = kind == "outcome" or (kind in SPANNING and kind != "group")
        color = self.style.muted if quiet else self.style.text
        for i, line in enumerate(str(row["text_label"]).split("\n")):
            self._text(x, self.layout.middle(row["position"], i), line, size, weight_of(kind), color=color)

    def _cells(self, row: dict[str, Any]) -> None:
        if row["kind"] in NO_CELLS:
            return
        color = self.style.muted if row["kind"] == "outcome" else self.style.text
        weight = weight_of(row["kind"])
        for placed in self.layout.columns:
            for i, line in enumerate(str(row[placed.column.name]).split("\n")):
                for anchor, part in zip(placed.anchors, parts_of(line, placed.column), strict=False):
                    y = self.layout.middle(row["position"], i)
                    self._text(anchor, y, part, self.style.size, weight, placed.column.align, color)

    def _headers(self) -> None:
        rows, layout = self.table.rows, self.layout
        row = rows.loc[rows["kind"] == "header"].iloc[0]
        self._header(row, layout.text, str(row["text_label"]), "left")
        for placed in layout.columns:
            if not placed.column.joined:
                self._header(row, placed.header_x, placed.column.header, placed.header_align)
        for x, name in zip(layout.domains, self.table.domains, strict=True):
            self._header(row, x, str(row[name]), "center")
        self._header(row, (layout.panel_left + layout.panel_right) / 2, layout.name, "center")
        if self.style.house.favours_at == "above":
            self._favours(row)
        above = layout.middle(float(row["position"])) - layout.line
        for span in layout.spans:
            self._text((span.left + span.right) / 2, above, span.name, self.style.size, "bold", "center")
            self._rule(span.left, span.right, float(row["position"]) - 0.5)

    def _header(self, row: Any, x: float, text: str, ha: str) -> None:
        """Write a header; its last line stands on the last line of the header row."""
        lines = text.split("\n")
        last = float(row["position"]) + float(row["lines"]) - self.layout.line
        for i, line in enumerate(lines):
            y = self.layout.middle(last) - self.layout.line * (len(lines) - 1 - i)
            self._text(x, y, line, self.style.size, "bold", ha)

    def _favours(self, row: Any) -> None:
        """Write over the panel who is favoured on which side."""
        if math.isnan(self.layout.axis.reference):
            return
        reference, gap = self.layout.x(self.layout.axis.reference), 0.8 * self.style.small_size
        for text, x, ha in zip(
            favours_texts(self.table, self.style), (reference - gap, reference + gap), ("right", "left"), strict=True
        ):
            self._header(row, x, text, ha)

    def _rules(self) -> None:
        """Draw the lines of the table, and the band behind its headers."""
        rows, layout, house = self.table.rows, self.layout, self.style.house
        row = rows.loc[rows["kind"] == "header"].iloc[0]
        top, under = -0.5, float(row["position"]) + float(row["lines"]) - 0.5
        if house.stripe:
            x = [layout.label, layout.right]
            self.ax.fill_between(
                x, top, under, transform=self.place, color=house.stripe, linewidth=0, clip_on=False, zorder=-1
            )
        self._rule(layout.label, layout.right, under)
        if house.rules == "booktabs":
            self._rule(layout.label, layout.right, top, 0.9)

    def _rule(self, left: float, right: float, y: float, width: float = 0.5) -> None:
        self.ax.plot([left, right], [y, y], transform=self.place, color=self.style.rule, linewidth=width, clip_on=False)

    def _under_axis(self) -> None:
        """Write who is favoured, and the footnotes."""
        style, layout = self.style, self.layout
        axis = layout.bottom + TICK_LENGTH / layout.unit
        if style.house.favours_at == "below" and not math.isnan(layout.axis.reference):
            reference, gap = layout.x(layout.axis.reference), 0.8 * style.small_size
            left, right = favours_texts(self.table, style)
            size, weight = favours_font(style)
            y = axis + 2.1 * style.small_size / layout.unit
            self._text(reference - gap, y, left, size, weight, "right")
            self._text(reference + gap, y, right, size, weight)
        y = axis + (below_axis(style, self.table.favours) - TICK_LENGTH + 0.5 * style.small_size) / layout.unit
        for i, note in enumerate(layout.notes):
            at = y + i * note_step(style) / layout.unit
            self._text(layout.label, at, note, style.small_size, color=style.muted)
