"""The influence plot of the page: one line per trial, four measures beside each other, those that stand out named."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ipt_evidence.app.plot_svg_frame import Plot, Scale, instead, padded, scale_of
from ipt_evidence.diagnostics.influence import cutoffs_of, influence
from ipt_evidence.figures import wording as w
from ipt_evidence.pooling.result import PooledFit

FEWEST = 3
TITLE = "Influence of each trial"
NAMES, TOP, BOTTOM, STEP, GAP, ROOM = 150.0, 46.0, 34.0, 20.0, 12.0, 410.0


@dataclass(frozen=True, slots=True)
class Column:
    """One measure: where its lines start, and beyond what a trial stands out."""

    name: str
    head: str
    start: float
    limits: tuple[float, ...]


def influence_svg(table: pd.DataFrame | PooledFit) -> str:
    """Draw how much each trial moves the pooled effect.

    Parameters
    ----------
    table : pandas.DataFrame or PooledFit
        From :func:`ipt_evidence.influence`, or a fit, for which it is computed.

    Returns
    -------
    str
        A figure of HTML: studentised residuals, DFFITS, Cook's distances and weights, with the cut-offs of
        :func:`ipt_evidence.influence_plot`; influential trials are marked by a diamond and by bold names. A sentence
        instead of the picture where there are too few trials.
    """
    if not isinstance(table, pd.DataFrame):
        if table.k < FEWEST:
            why = f"It takes three trials to see the influence of one; this view has {table.k}."
            return instead("influence", TITLE, why)
        table = influence(table)
    k = len(table)
    bottom = TOP + STEP * k
    width = (ROOM - GAP * 3) / 4
    y = Scale(0.0, float(k), TOP, bottom, (), ())
    whole = Scale(0.0, 1.0, 0.0, NAMES + ROOM, (), ())
    plot = Plot("influence", TITLE, str(table.attrs.get("interpretation", "")), whole, y)
    plot.height = bottom + BOTTOM
    marked = table["is_influential"].to_numpy(dtype=bool)
    names = table["study"].astype(str).tolist()
    for i, name in enumerate(names):
        label = name if len(name) <= 20 else f"{name[:19]}…"
        plot.text(NAMES - 10, plot.y(i + 0.5) + 4, label, anchor="end", name="plot-strong" if marked[i] else "")
    for j, column in enumerate(_columns(k)):
        start = NAMES + j * (width + GAP)
        values = table[column.name].to_numpy(dtype=float)
        near = [x for x in column.limits if abs(x) <= 3 * max(np.nanmax(np.abs([*values, 0.0])), 1e-9)]
        x = scale_of(*padded([*values, column.start, *near]), start, start + width, most=3)
        _panel(plot, column, x, near, bottom)
        for i, value in enumerate(values):
            if not np.isfinite(value):
                continue
            said = f"{names[i]}: {column.head} {w.number(float(value), 2)}"
            _mark(plot, x, (column.start, float(value)), plot.y(i + 0.5), said, marked=bool(marked[i]))
    plot.key('<path class="plot-influential" d="M10 0L15 5L10 10L5 5Z"/>', "Influential trial")
    plot.key('<path class="plot-line plot-dashed" d="M0 5H20"/>', "Cut-off")
    return plot.html([str(note) for note in table.attrs.get("notes", ())])


def _columns(k: int) -> tuple[Column, ...]:
    cut = cutoffs_of(k)
    dffits = cut["dffits"]
    return (
        Column("rstudent", "Studentised residual", 0.0, (-1.96, 1.96)),
        Column("dffits", "DFFITS", 0.0, (-dffits, dffits)),
        Column("cooks_distance", "Cook's distance", 0.0, (cut["cooks_distance"],)),
        Column("weight", "Weight (percent)", 100 / k, (cut["weight"],)),
    )


def _panel(plot: Plot, column: Column, x: Scale, limits: list[float], bottom: float) -> None:
    """Draw the axis of a measure, its name over it, where its lines start, and its cut-offs."""
    first, _, rest = column.head.partition(" ")
    middle = (x.start + x.end) / 2
    for line, text in enumerate(part for part in (first, rest) if part):
        plot.text(middle, TOP - 24 + 15 * line, text, anchor="middle", name="plot-strong")
    plot.add(f'<path class="plot-axis" d="M{x.start:.1f} {bottom:g}H{x.end:.1f}"/>')
    for tick, label in zip(x.ticks, x.labels, strict=True):
        plot.add(f'<path class="plot-axis" d="M{x(tick):.1f} {bottom:g}v4"/>')
        plot.text(x(tick), bottom + 17, label, anchor="middle")
    plot.add(f'<path class="plot-line plot-zero" d="M{x(column.start):.1f} {TOP:g}V{bottom:g}"/>')
    for limit in limits:
        plot.add(f'<path class="plot-line plot-dashed" d="M{x(limit):.1f} {TOP:g}V{bottom:g}"/>')


def _mark(plot: Plot, x: Scale, values: tuple[float, float], y: float, said: str, *, marked: bool) -> None:
    start, at = x(values[0]), x(values[1])
    plot.add(f'<path class="plot-line plot-interval" d="M{start:.1f} {y:.1f}H{at:.1f}"/>')
    shape = f"M{at:.1f} {y - 5:.1f}l5 5l-5 5l-5-5Z" if marked else f"M{at - 3:.1f} {y - 3:.1f}h6v6h-6Z"
    name = "plot-influential" if marked else "plot-trial"
    plot.add(f'<path class="{name}" d="{shape}" {plot.reached(said)}</path>')
