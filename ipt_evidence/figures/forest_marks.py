"""What is drawn inside the panel of a forest plot: lines, squares, diamonds, arrows and circles, never text columns."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon, Rectangle

from ipt_evidence.figures.axis import EffectAxis
from ipt_evidence.figures.forest_prediction import draw_predictions, lighter
from ipt_evidence.figures.forest_rows import POOLED, ForestTable
from ipt_evidence.figures.layout import Layout
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS
from ipt_evidence.figures.style import FigureStyle, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

SQUARE = 0.68
SMALL = 0.34
DIAMOND = 0.34
NECK = 0.3
CIRCLE = 0.82
ARROW = 0.5
THIN = 0.28
LIMITS = ("effect", "ci_low", "ci_high")
LABELS = {
    "study": "_study intervals",
    "outcome": "_outcome intervals",
    "step": "_refit intervals",
    "single": "_single intervals",
    "fit": "_intervals of new trials",
    "prediction": "_prediction intervals",
    "squares": "_study squares",
    "outcome marks": "_outcome marks",
    "step marks": "_refit marks",
    "single marks": "_single marks",
    "arrows": "_clipped",
    "reference": "_reference",
    "pooled": "_pooled line",
    "diamond": "_diamond",
    "common": "_common diamond",
    "region": "_equivalence",
    "brackets": "_brackets",
    "judgements": "_judgements",
}


def draw_marks(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle, place: Transform) -> None:
    """Draw every mark of the rows into the panel."""
    rows = table.rows
    _region(ax, table, layout, style)
    _reference_lines(ax, table, layout, style)
    thin = layout.line > 1
    width = max(0.25, min(0.8, 0.7 * layout.unit)) if thin else 0.8
    color = lighter(style.interval, THIN) if thin else style.interval
    _intervals(ax, rows.loc[rows["kind"] == "study"], layout, color, width, LABELS["study"])
    for kind in ("outcome", "step", "single"):
        few = rows.loc[rows["kind"] == kind]
        if not few.empty:
            color = style.rule if kind == "outcome" else style.interval
            _intervals(ax, few, layout, color, 0.6 if kind == "outcome" else 0.8, LABELS[kind])
            _marks(ax, few, layout, style, kind)
    new = rows.loc[rows["pi_low"].notna(), ["position", "pi_low", "pi_high", "kind"]]
    if not new.empty:
        new = new.rename(columns={"pi_low": "ci_low", "pi_high": "ci_high"})
        _intervals(ax, new, layout, style.prediction, 0.9, LABELS["fit"])
        _arrows(ax, new.assign(kind="prediction"), layout, style)
    draw_predictions(ax, table, layout, style, LABELS["prediction"])
    _squares(ax, rows.loc[rows["kind"] == "study"], table, layout, style)
    pooled = rows.loc[rows["kind"].isin(POOLED)]
    for kind, y, values in zip(pooled["kind"], pooled["position"], pooled[list(LIMITS)].to_numpy(float), strict=True):
        _diamond(ax, layout.middle(float(y)), values, layout, style, kind)
    _arrows(ax, rows, layout, style)
    _brackets(ax, rows, layout, style, place)
    _judgements(ax, table, layout, style, place)


def _header_end(table: ForestTable) -> float:
    """Return the position of the rule under the headers."""
    header = table.rows.loc[table.rows["kind"] == "header"].iloc[0]
    return float(header["position"]) + float(header["lines"]) - 0.5


def _region(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle) -> None:
    """Draw the region of practical equivalence as a band behind everything."""
    if table.equivalence is None:
        return
    low, high = (min(max(x, layout.axis.low), layout.axis.high) for x in table.equivalence)
    start = _header_end(table)
    box = Rectangle(
        (low, start),
        high - low,
        layout.bottom - start,
        facecolor=style.equivalence,
        linewidth=0,
        zorder=0,
        label=LABELS["region"],
    )
    ax.add_patch(box)


def _reference_lines(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle) -> None:
    """Draw the line of no difference, and the pooled effect down to the overall diamond.

    Both run the whole height, unless a line of text reaches into the panel: then they stand beside the marks only.
    """
    rows = table.rows
    start = _header_end(table)
    lines: list[tuple[float, float, Any, str]] = []
    if not math.isnan(layout.axis.reference):
        lines.append((layout.axis.reference, layout.bottom, "-", LABELS["reference"]))
    if table.overall is not None and layout.axis.low <= table.overall <= layout.axis.high:
        overall = rows.loc[rows["kind"] == "overall", "position"]
        end = layout.middle(float(overall.iloc[-1])) - DIAMOND * layout.line if len(overall) else layout.bottom
        lines.append((table.overall, end, (0, (1.5, 2)), LABELS["pooled"]))
    if not lines:
        return
    crossed = layout.text_reach >= min(layout.x(line[0]) for line in lines)
    for value, end, dashes, label in lines:
        pieces = _beside_marks(rows, end) if crossed else [(start, end)]
        segments = [[(value, a), (value, b)] for a, b in pieces]
        ax.add_collection(
            LineCollection(segments, colors=style.rule, linewidths=0.7, linestyles=[dashes], label=label, zorder=1),
            autolim=False,
        )


def _beside_marks(rows: pd.DataFrame, end: float) -> list[tuple[float, float]]:
    """Return the vertical extents of neighbouring rows that have marks, down to `end`."""
    pieces: list[tuple[float, float]] = []
    for position, n in rows.loc[rows["ci_low"].notna(), ["position", "lines"]].itertuples(index=False, name=None):
        low, high = position - 0.5, position + n - 0.5
        if pieces and pieces[-1][1] >= low:
            pieces[-1] = (pieces[-1][0], high)
        else:
            pieces.append((low, high))
    return [(low, min(high, end)) for low, high in pieces if low < end]


def _heights(rows: pd.DataFrame, layout: Layout) -> Any:
    """Return where the marks of rows stand: trials at their position, in a thin plot too; others amid their line."""
    positions = rows["position"].to_numpy(dtype=float)
    return np.where(rows["kind"] == "study", positions, positions + (layout.line - 1) / 2)


def _intervals(ax: Axes, rows: pd.DataFrame, layout: Layout, color: str, width: float, label: str) -> None:
    """Draw a line from limit to limit."""
    limits = rows[["ci_low", "ci_high"]].to_numpy(dtype=float)
    shown = (limits[:, 0] <= layout.axis.high) & (limits[:, 1] >= layout.axis.low)
    x = np.clip(limits[shown], layout.axis.low, layout.axis.high)
    y = np.repeat(_heights(rows, layout)[shown][:, None], 2, axis=1)
    lines = LineCollection(
        list(np.stack([x, y], axis=2)), colors=color, linewidths=width, label=label, zorder=2, capstyle="butt"
    )
    ax.add_collection(lines, autolim=False)


def _squares(ax: Axes, rows: pd.DataFrame, table: ForestTable, layout: Layout, style: FigureStyle) -> None:
    """Draw squares with an area in proportion to the weight; the largest nearly fills its row."""
    inside = rows.loc[rows["effect"].between(layout.axis.low, layout.axis.high)]
    area = (SQUARE * style.row_height) ** 2 * inside["relative_weight"].to_numpy(dtype=float) / table.largest
    if layout.line > 1:
        area = np.full(len(inside), max(0.8, min(2.2, layout.unit)) ** 2)
    ax.scatter(
        inside["effect"],
        inside["position"],
        s=area,
        marker="s",
        color=style.study,
        linewidths=0,
        zorder=3,
        clip_on=False,
        label=LABELS["squares"],
    )


def _marks(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle, kind: str) -> None:
    """Draw marks of one size: an outcome's is open, so that it is not taken for a trial's."""
    inside = rows.loc[rows["effect"].between(layout.axis.low, layout.axis.high)]
    ax.scatter(
        inside["effect"],
        inside["position"],
        s=(SMALL * style.row_height) ** 2,
        marker="o" if kind == "outcome" else "s",
        facecolors="#FFFFFF" if kind == "outcome" else style.study,
        edgecolors=style.study,
        linewidths=0.7,
        zorder=3,
        clip_on=False,
        label=LABELS[f"{kind} marks"],
    )


def _diamond(ax: Axes, y: float, values: Iterable[float], layout: Layout, style: FigureStyle, kind: str) -> None:
    effect, low, high = map(float, values)
    axis = layout.axis
    if high < axis.low or low > axis.high or not axis.low <= effect <= axis.high:
        return
    color = style.overall if kind in ("overall", "common") else style.pooled
    common = kind == "common"
    clipped = low < axis.low or high > axis.high
    ax.add_patch(
        Polygon(
            diamond(effect, low, high, y, DIAMOND * layout.line, axis),
            closed=True,
            facecolor="#FFFFFF" if common else lighter(color) if clipped else color,
            edgecolor=color,
            linewidth=0.8 if common or clipped else 0.4,
            zorder=4,
            label=LABELS["common" if common else "diamond"],
        )
    )


def diamond(
    effect: float, low: float, high: float, y: float, half: float, axis: EffectAxis
) -> list[tuple[float, float]]:
    """Return the corners of a diamond, from its left tip clockwise.

    A side that goes on beyond the axis narrows to a neck at the edge, from which an arrow goes on; cut off where it is
    nearly as high as in the middle it would look like a bar.
    """
    left: list[tuple[float, float]] = [(low, y)]
    right: list[tuple[float, float]] = [(high, y)]
    if low < axis.low:
        left = [(axis.low, y + NECK * half), (axis.low, y - NECK * half)]
    if high > axis.high:
        right = [(axis.high, y - NECK * half), (axis.high, y + NECK * half)]
    return [*left, (effect, y - half), *right, (effect, y + half)]


def _arrows(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle) -> None:
    """Mark with an arrow every interval that goes on beyond the axis."""
    colors = {
        "study": style.interval,
        "outcome": style.rule,
        "single": style.interval,
        "step": style.interval,
        "fit": style.pooled,
        "prediction": style.prediction,
        "subtotal": style.pooled,
        "overall": style.overall,
        "common": style.overall,
    }
    size = ARROW * style.row_height if layout.line == 1 else max(2.0, min(4.0, 1.5 * layout.unit))
    for side, marker in (("low", "<"), ("high", ">")):
        limit = layout.axis.low if side == "low" else layout.axis.high
        beyond = rows["ci_low"] < limit if side == "low" else rows["ci_high"] > limit
        clipped = rows.loc[beyond & rows["kind"].isin(colors)]
        if clipped.empty:
            continue
        ax.scatter(
            np.full(len(clipped), limit),
            _heights(clipped, layout),
            s=size**2,
            marker=marker,
            c=[colors[kind] for kind in clipped["kind"]],
            linewidths=0,
            zorder=5,
            clip_on=False,
            label=f"{LABELS['arrows']} {side}",
        )


def _brackets(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle, place: Transform) -> None:
    """Draw a bracket left of the labels of rows that belong to one trial."""
    found = rows.loc[rows["bracket"] > 0].groupby("bracket", sort=True)
    x, tick = layout.label + 0.5, 0.3 * style.size
    paths = []
    for _, one in found:
        top = layout.middle(float(one["position"].iloc[0])) - 0.3
        bottom = float(one["position"].iloc[-1]) + float(one["lines"].iloc[-1]) - 1 + 0.3
        paths.append([(x + tick, top), (x, top), (x, bottom), (x + tick, bottom)])
    if paths:
        lines = LineCollection(paths, colors=style.muted, linewidths=0.7, label=LABELS["brackets"], clip_on=False)
        lines.set_transform(place)
        ax.add_collection(lines, autolim=False)


def _judgements(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle, place: Transform) -> None:
    """Draw a circle with a sign for each judgement of risk of bias."""
    studies = table.rows.loc[table.rows["kind"] == "study"]
    size = 0.9 * style.small_size
    for x, name in zip(layout.domains, table.domains, strict=True):
        shown = [JUDGEMENTS[key] for key in studies[name]]
        ax.scatter(
            np.full(len(studies), x),
            studies["position"],
            s=(CIRCLE * style.row_height) ** 2,
            marker="o",
            c=[j.colour for j in shown],
            edgecolors=style.rule,
            linewidths=0.4,
            transform=place,
            clip_on=False,
            zorder=2,
            label=f"{LABELS['judgements']} {name}",
        )
        for y, j in zip(studies["position"], shown, strict=True):
            if j.sign:
                baseline = float(y) + 0.36 * size / style.row_height
                font: dict[str, Any] = {"fontsize": size, "family": families(style), "fontweight": "bold"}
                ax.text(x, baseline, j.sign, transform=place, ha="center", color="#000000", **font)
