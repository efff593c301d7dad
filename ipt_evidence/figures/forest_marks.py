"""What is drawn inside the panel of a forest plot: lines, squares, diamonds, arrows and circles, never text columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.patches import Polygon

from ipt_evidence.figures.forest_rows import POOLED, ForestTable
from ipt_evidence.figures.layout import BOTTOM_PAD, Layout
from ipt_evidence.figures.risk_of_bias import JUDGEMENTS
from ipt_evidence.figures.style import FigureStyle, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

SQUARE = 0.68
DIAMOND = 0.34
CIRCLE = 0.82
ARROW = 0.5
CAP = 0.2
LIMITS = ("effect", "ci_low", "ci_high")
LABELS = {
    "study": "_study intervals",
    "prediction": "_prediction intervals",
    "squares": "_study squares",
    "arrows": "_clipped",
    "reference": "_reference",
    "pooled": "_pooled line",
    "diamond": "_diamond",
    "judgements": "_judgements",
}


def draw_marks(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle, place: Transform) -> None:
    """Draw every mark of the rows into the panel."""
    rows = table.rows
    _reference_lines(ax, table, layout, style)
    _intervals(ax, rows.loc[rows["kind"] == "study"], layout, style.interval, 0.8, LABELS["study"])
    _intervals(ax, rows.loc[rows["kind"] == "prediction"], layout, style.prediction, 1.1, LABELS["prediction"], CAP)
    _squares(ax, rows.loc[rows["kind"] == "study"], layout, style)
    pooled = rows.loc[rows["kind"].isin(POOLED)]
    for kind, y, values in zip(pooled["kind"], pooled["position"], pooled[list(LIMITS)].to_numpy(float), strict=True):
        color = style.overall if kind == "overall" else style.pooled
        _diamond(ax, float(y), tuple(map(float, values)), layout, color)
    _arrows(ax, rows, layout, style)
    _judgements(ax, table, layout, style, place)


def _reference_lines(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle) -> None:
    """Draw the line of no difference, and the pooled effect down to the overall diamond.

    Both run the whole height, unless a line of text reaches into the panel: then they stand beside the marks only.
    """
    rows = table.rows
    header = rows.loc[rows["kind"] == "header"].iloc[0]
    start = float(header["position"]) + 0.5
    lines: list[tuple[float, float, Any, str]] = [
        (layout.axis.reference, layout.n_lines - 0.5 + BOTTOM_PAD, "-", LABELS["reference"])
    ]
    overall = rows.loc[(rows["kind"] == "overall") & rows["effect"].between(layout.axis.low, layout.axis.high)]
    if not overall.empty:
        effect, position = (float(overall[name].iloc[-1]) for name in ("effect", "position"))
        lines.append((effect, position - DIAMOND, (0, (1.5, 2)), LABELS["pooled"]))
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


def _intervals(
    ax: Axes, rows: pd.DataFrame, layout: Layout, color: str, width: float, label: str, cap: float = 0.0
) -> None:
    """Draw a line from limit to limit; with `cap`, a short stroke at each end that is inside the panel."""
    low = rows["ci_low"].clip(layout.axis.low, layout.axis.high)
    high = rows["ci_high"].clip(layout.axis.low, layout.axis.high)
    shown = (rows["ci_low"] <= layout.axis.high) & (rows["ci_high"] >= layout.axis.low)
    segments = [[(a, y), (b, y)] for a, b, y in zip(low[shown], high[shown], rows.loc[shown, "position"], strict=True)]
    if cap:
        for name in ("ci_low", "ci_high"):
            ends = rows.loc[rows[name].between(layout.axis.low, layout.axis.high)]
            segments += [[(x, y - cap), (x, y + cap)] for x, y in zip(ends[name], ends["position"], strict=True)]
    lines = LineCollection(segments, colors=color, linewidths=width, label=label, zorder=2, capstyle="butt")
    ax.add_collection(lines, autolim=False)


def _squares(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle) -> None:
    """Draw squares with an area in proportion to the weight; the largest nearly fills its row."""
    inside = rows.loc[rows["effect"].between(layout.axis.low, layout.axis.high)]
    largest = float(rows["relative_weight"].max()) if len(rows) else 1.0
    area = (SQUARE * style.row_height) ** 2 * inside["relative_weight"].to_numpy(dtype=float) / largest
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


def _diamond(ax: Axes, y: float, values: tuple[float, ...], layout: Layout, color: str) -> None:
    effect, low, high = values
    if high < layout.axis.low or low > layout.axis.high:
        return
    corners = [(low, y), (effect, y - DIAMOND), (high, y), (effect, y + DIAMOND)]
    ax.add_patch(
        Polygon(
            corners, closed=True, facecolor=color, edgecolor=color, linewidth=0.4, zorder=4, label=LABELS["diamond"]
        )
    )


def _arrows(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle) -> None:
    """Mark with an arrow every interval that goes on beyond the axis."""
    colors = {
        "study": style.interval,
        "prediction": style.prediction,
        "subtotal": style.pooled,
        "overall": style.overall,
    }
    for side, marker in (("low", "<"), ("high", ">")):
        limit = layout.axis.low if side == "low" else layout.axis.high
        beyond = rows["ci_low"] < limit if side == "low" else rows["ci_high"] > limit
        clipped = rows.loc[beyond & rows["kind"].isin(colors)]
        if clipped.empty:
            continue
        ax.scatter(
            np.full(len(clipped), limit),
            clipped["position"],
            s=(ARROW * style.row_height) ** 2,
            marker=marker,
            c=[colors[kind] for kind in clipped["kind"]],
            linewidths=0,
            zorder=5,
            clip_on=False,
            label=f"{LABELS['arrows']} {side}",
        )


def _judgements(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle, place: Transform) -> None:
    """Draw a circle with a sign for each judgement of risk of bias."""
    studies = table.rows.loc[table.rows["kind"] == "study"]
    size = 0.8 * style.small_size
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
            baseline = float(y) + 0.36 * size / style.row_height
            ax.text(
                x,
                baseline,
                j.sign,
                transform=place,
                fontsize=size,
                family=families(style),
                ha="center",
                color="#000000",
            )
