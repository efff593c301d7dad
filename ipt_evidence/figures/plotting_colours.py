"""Colours that can be read: an Okabe-Ito hue, darkened until it stands out from what is behind it; and marks of points.

References
----------
W3C. Web Content Accessibility Guidelines 2.2, relative luminance and contrast ratio. https://www.w3.org/TR/WCAG22/
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ipt_evidence.figures.style import OKABE_ITO, FigureStyle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D

MarkName = Literal["trial", "notable", "filled", "pooled"]
ENOUGH = 4.5
WHITE = "#FFFFFF"
POINT_AREA = 20.0


@dataclass(frozen=True, slots=True)
class Mark:
    """How one kind of point looks: a shape and a colour, so that either alone tells it."""

    marker: str
    face: str
    edge: str


def marks(style: FigureStyle) -> dict[MarkName, Mark]:
    """Return the marks of trials, of notable ones, of filled (imputed) ones and of the pooled effect."""
    return {
        "trial": Mark("o", readable(style.study), style.text),
        "notable": Mark("D", readable(style.pooled), style.text),
        "filled": Mark("o", WHITE, style.text),
        "pooled": Mark("X", style.overall, WHITE),
    }


def draw_points(
    ax: Axes,
    x: Any,
    y: Any,
    kind: MarkName,
    style: FigureStyle,
    *,
    label: str,
    area: Any = POINT_AREA,
    zorder: float = 5,
) -> PathCollection:
    """Draw points of one kind; `area` in square points, one or one per point."""
    mark = marks(style)[kind]
    size = np.asarray(area, dtype=float) * (0.8 if mark.marker == "D" else 1.0)
    drawn: PathCollection = ax.scatter(
        x, y, s=size, marker=mark.marker, c=mark.face, edgecolors=mark.edge, linewidths=0.6, label=label, zorder=zorder
    )
    return drawn


def point_area(k: int) -> float:
    """Return the area of a point where `k` of them are drawn: smaller where they would cover each other."""
    return POINT_AREA * min(1.0, max(0.45, math.sqrt(40 / max(k, 1))))


def key_point(kind: MarkName, style: FigureStyle, label: str) -> Line2D:
    """Return the entry of a key for a kind of point."""
    from matplotlib.lines import Line2D

    mark = marks(style)[kind]
    look: dict[str, Any] = {"markerfacecolor": mark.face, "markeredgecolor": mark.edge, "markeredgewidth": 0.6}
    return Line2D([], [], linestyle="none", marker=mark.marker, markersize=4.5, label=label, **look)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, 0 for black and 1 for white."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21.

    Examples
    --------
    >>> round(contrast("#000000", "#FFFFFF"), 1), round(contrast("#D55E00", "#FFFFFF"), 1)
    (21.0, 3.9)
    """
    a, b = sorted((luminance(one), luminance(other)))
    return float((b + 0.05) / (a + 0.05))


@cache
def readable(colour: str) -> str:
    """Return the colour, darkened in its own hue until its contrast to a light background is at least 4.5.

    Examples
    --------
    >>> readable("#0072B2"), contrast(readable("#D55E00"), "#FFFFFF") >= 4.5
    ('#0072B2', True)
    """
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    for factor in np.arange(1.0, 0.0, -0.01):
        found = str(to_hex(tuple(factor * rgb))).upper()
        if contrast(found, WHITE) >= ENOUGH:
            return found
    return OKABE_ITO["black"]


def tint(colour: str, share: float) -> str:
    """Return the colour mixed with white: `share` of it, the rest white."""
    from matplotlib.colors import to_hex, to_rgb

    rgb = np.array(to_rgb(colour))
    return str(to_hex(tuple(share * rgb + (1 - share)))).upper()
