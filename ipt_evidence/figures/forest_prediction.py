"""Prediction intervals in a forest plot: a line with end strokes, a bar, or the density of a new trial's effect."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb

from ipt_evidence.figures.axis import EffectAxis
from ipt_evidence.figures.forest_inputs import FitView
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.layout import Layout
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.figures.wording import is_ratio
from ipt_evidence.pooling.bayes_result import BayesFit
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray[Any, np.dtype[np.float64]]
CAP = 0.2
BAR = 0.22
POINTS = 201
HIGH = 1.45
BASE = 1.2


def draw_predictions(ax: Axes, table: ForestTable, layout: Layout, style: FigureStyle, label: str) -> None:
    """Draw the prediction rows in the shape asked for."""
    rows = table.rows.loc[table.rows["kind"] == "prediction"]
    shape = table.options.prediction
    if rows.empty:
        ax.add_collection(LineCollection([], label=label), autolim=False)
        return
    if shape == "density":
        _densities(ax, rows, table, layout, style, label)
        return
    if shape == "bar":
        _bars(ax, rows, layout, style, label)
        return
    _lines(ax, rows, layout, style, label)


def _clipped(rows: pd.DataFrame, axis: EffectAxis) -> Array:
    return np.asarray(np.clip(rows[["ci_low", "ci_high"]].to_numpy(dtype=float), axis.low, axis.high))


def _lines(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle, label: str) -> None:
    """Draw a line from limit to limit, with a short stroke at each end that is inside the panel."""
    y = [layout.middle(float(p)) for p in rows["position"]]
    segments = [[(a, at), (b, at)] for (a, b), at in zip(_clipped(rows, layout.axis), y, strict=True)]
    cap = CAP * layout.line
    for name in ("ci_low", "ci_high"):
        for x, at in zip(rows[name], y, strict=True):
            if layout.axis.low <= x <= layout.axis.high:
                segments.append([(x, at - cap), (x, at + cap)])
    lines = LineCollection(segments, colors=style.prediction, linewidths=1.1, label=label, zorder=2, capstyle="butt")
    ax.add_collection(lines, autolim=False)


def _bars(ax: Axes, rows: pd.DataFrame, layout: Layout, style: FigureStyle, label: str) -> None:
    half = BAR * layout.line
    boxes = []
    for (a, b), position in zip(_clipped(rows, layout.axis), rows["position"], strict=True):
        y = layout.middle(float(position))
        boxes.append([(a, y - half), (b, y - half), (b, y + half), (a, y + half)])
    ax.add_collection(
        PolyCollection(
            boxes,
            facecolors=lighter(style.prediction),
            edgecolors=style.prediction,
            linewidths=0.7,
            label=label,
            zorder=2,
        ),
        autolim=False,
    )


def _densities(
    ax: Axes, rows: pd.DataFrame, table: ForestTable, layout: Layout, style: FigureStyle, label: str
) -> None:
    """Draw the density of the effect in a new trial, darker between the limits of the interval."""
    whole: list[list[tuple[float, float]]] = []
    inside: list[list[tuple[float, float]]] = []
    for position, limits in zip(rows["position"], _clipped(rows, layout.axis), strict=True):
        fit = table.predicted[int(position)]
        base = layout.middle(float(position)) + BASE * layout.line
        for found, (low, high) in ((whole, (layout.axis.low, layout.axis.high)), (inside, limits)):
            x = _between(low, high, layout.axis.log)
            height = density(fit, np.log(x) if is_ratio(fit.measure) else x)
            top = density(fit, np.array([fit.number("estimate")]))[0]
            y = base - HIGH * layout.line * height / max(top, float(height.max()))
            found.append([(low, base), *zip(x, y, strict=True), (high, base)])
    pale, dark = lighter(style.prediction, 0.85), lighter(style.prediction, 0.5)
    for shapes, color, edge, name in ((whole, pale, "none", "_density"), (inside, dark, style.prediction, label)):
        look: dict[str, Any] = {"facecolors": color, "edgecolors": edge, "linewidths": 0.6}
        ax.add_collection(PolyCollection(shapes, zorder=2, label=name, **look), autolim=False)


def _between(low: float, high: float, log: bool) -> Array:
    return np.geomspace(low, high, POINTS) if log else np.linspace(low, high, POINTS)


def density(fit: FitView, x: Array) -> Array:
    """Return the density of the effect in a new trial, on the analysis scale, up to a constant.

    The t distribution (or the normal one) whose quantiles are the prediction interval of the fit; the posterior
    predictive density of a Bayesian fit.
    """
    from scipy.stats import t

    if isinstance(fit.fit, BayesFit):
        return np.asarray(fit.fit.density(x, of="prediction"), dtype=float)
    df = _degrees(fit)
    half = (fit.number("pi_high") - fit.number("pi_low")) / 2
    scale = half / float(t.ppf(0.5 + fit.level / 2, df))
    return np.asarray(t.pdf((x - fit.number("estimate")) / scale, df), dtype=float)


def _degrees(fit: FitView) -> float:
    """Return the degrees of freedom of the prediction interval."""
    if not isinstance(fit.fit, PooledFit):
        return math.inf
    rule = fit.fit.method.prediction_df
    return {"k-1": fit.k - 1.0, "k-2": fit.k - 2.0, "z": math.inf, "as-ci": fit.fit.df}[rule]


def lighter(color: str, share: float = 0.7) -> str:
    """Return a colour mixed with white: paint that needs no transparency looks the same in every format."""
    red, green, blue = (share + (1 - share) * part for part in to_rgb(color))
    return to_hex((red, green, blue))
