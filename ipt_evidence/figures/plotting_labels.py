"""Names beside points: each is put where it hides neither another name nor a point, or it is left out and reported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ipt_evidence.figures.plotting import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
LONGEST = 30
DISTANCES = (0.0, 4.0, 9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0)
ANGLES = tuple(math.radians(a) for a in (0, 180, 90, 270, 35, 145, 325, 215, 60, 120, 300, 240))
POINT_COST, LINE_COST, STEP_COST, TURN_COST = 6.0, 0.8, 0.16, 0.05
CROSSING_COST = 20.0
LEADER_FROM = 4.0
HEIGHT = 1.25


def shorten(name: str, longest: int = LONGEST) -> str:
    """Return a name that is at most so many characters long, with an ellipsis for what is cut.

    Examples
    --------
    >>> shorten("A name that is longer than there is room for", 16)
    'A name that is…'
    """
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


def label_points(
    panel: Panel,
    points: Array,
    names: Sequence[str],
    *,
    others: Array | None = None,
    lines: Array | None = None,
    radius: float = 2.8,
) -> list[int]:
    """Write names beside points, after the panel was arranged.

    Parameters
    ----------
    panel : Panel
        An arranged panel.
    points : numpy.ndarray
        Shape ``(n, 2)``, in data units; the most important first.
    names : sequence of str
        Their names.
    others : numpy.ndarray, optional
        Points that are not to be hidden, shape ``(m, 2)``; default: `points`.
    lines : numpy.ndarray, optional
        Points along lines that are better not crossed, shape ``(l, 2)``.
    radius : float
        Of the marks.

    Returns
    -------
    list of int
        Positions of the names for which there was no room.
    """
    ax, size, unit = panel.ax, panel.style.small_size, panel.points
    here: Array = ax.transData.transform(points) * unit if len(points) else np.empty((0, 2))
    marks: Array = here if others is None else ax.transData.transform(others) * unit
    crossed: Array = np.empty((0, 2)) if lines is None or not len(lines) else ax.transData.transform(lines) * unit
    frame = unit * np.array([*ax.bbox.min, *ax.bbox.max])
    taken = _texts_in_the_way(panel)
    left_out = []
    for i, name in enumerate(names):
        text = shorten(name)
        box = panel.measure(text, size), HEIGHT * size
        boxes, angle_of, reach = _candidates(here[i], box, radius)
        cost = STEP_COST * reach + TURN_COST * angle_of
        cost = cost + POINT_COST * _hits(boxes, marks, radius) + LINE_COST * np.minimum(_hits(boxes, crossed, 0.5), 8)
        cost = cost + CROSSING_COST * _crossings(here[i], boxes, reach, taken)
        cost[_outside(boxes, frame) | _overlaps(boxes, taken)] = np.inf
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            left_out.append(i)
            continue
        taken = np.vstack([taken, boxes[best]])
        if reach[best] >= LEADER_FROM:
            crossed = np.vstack([crossed, _leader(here[i], boxes[best])])
        _write(panel, here[i], boxes[best], text, float(reach[best]), radius)
    return left_out


def strokes(ax: Axes) -> Array:
    """Return points along the lines drawn in the units of the data, which names had better not cross."""
    found = [np.empty((0, 2))]
    for line in ax.lines:
        if not line.get_transform().contains_branch(ax.transData):
            continue
        xy = np.asarray(line.get_xydata(), dtype=float)
        steps = np.linspace(0, len(xy) - 1, 120)
        found.append(np.column_stack([np.interp(steps, np.arange(len(xy)), xy[:, i]) for i in (0, 1)]))
    points = np.vstack(found)
    return points[np.isfinite(points).all(axis=1)]


def _candidates(point: Array, box: tuple[float, float], radius: float) -> tuple[Array, Array, Array]:
    """Return boxes around a point, ``(c, 4)``, the rank of their direction and their distance."""
    boxes, ranks, reaches = [], [], []
    for distance in DISTANCES:
        for rank, angle in enumerate(ANGLES):
            dx, dy = math.cos(angle), math.sin(angle)
            away = radius + 1.5 + distance
            cx = point[0] + dx * away + (box[0] / 2) * (round(dx, 6) > 0.3) - (box[0] / 2) * (round(dx, 6) < -0.3)
            cy = point[1] + dy * away + (box[1] / 2) * math.copysign(min(1.0, abs(dy) * 1.2), dy)
            boxes.append((cx - box[0] / 2, cy - box[1] / 2, cx + box[0] / 2, cy + box[1] / 2))
            ranks.append(float(rank))
            reaches.append(distance)
    return np.array(boxes), np.array(ranks), np.array(reaches)


def _inside(boxes: Array, points: Array, radius: float) -> npt.NDArray[np.bool_]:
    """Return which points lie in which boxes, shape ``(boxes, points)``."""
    x, y = points[None, :, 0], points[None, :, 1]
    left, low, right, high = (boxes[:, i, None] for i in range(4))
    sides = [x > left - radius, x < right + radius, y > low - radius, y < high + radius]
    found: npt.NDArray[np.bool_] = np.logical_and.reduce(sides)
    return found


def _hits(boxes: Array, points: Array, radius: float) -> Array:
    """Return how many points each box covers."""
    found: Array = _inside(boxes, points, radius).sum(axis=1).astype(float)
    return found


def _outside(boxes: Array, frame: Array) -> npt.NDArray[np.bool_]:
    below, above = boxes[:, :2] < frame[:2] + 1.0, boxes[:, 2:] > frame[2:] - 1.0
    found: npt.NDArray[np.bool_] = np.asarray(np.hstack([below, above]).any(axis=1))
    return found


def _overlaps(boxes: Array, taken: Array) -> npt.NDArray[np.bool_]:
    x = np.minimum(boxes[:, None, 2], taken[None, :, 2]) > np.maximum(boxes[:, None, 0], taken[None, :, 0])
    y = np.minimum(boxes[:, None, 3], taken[None, :, 3]) > np.maximum(boxes[:, None, 1], taken[None, :, 1])
    found: npt.NDArray[np.bool_] = np.asarray(np.logical_and(x, y).any(axis=1))
    return found


def _leader(point: Array, box: Array) -> Array:
    """Return points along the line from a point to the nearest point of a box, shape ``(9, 2)``."""
    end = np.clip(point, box[:2], box[2:])
    return point + np.linspace(0, 1, 9)[:, None] * (end - point)


def _crossings(point: Array, boxes: Array, reach: Array, taken: Array) -> Array:
    """Return whether the line from the point to each box would cross a text that is there already."""
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    along = point + np.linspace(0, 1, 9)[None, :, None] * (ends - point)[:, None, :]
    covered = _inside(taken, along.reshape(-1, 2), 0.0).any(axis=0).reshape(len(boxes), 9)
    return covered.any(axis=1).astype(float) * (reach >= LEADER_FROM)


def _texts_in_the_way(panel: Panel) -> Array:
    """Return the boxes of the texts that are there already."""
    shown = [t for t in panel.ax.texts if t.get_text()]
    boxes = [np.asarray(t.get_window_extent(panel.renderer).extents, dtype=float) for t in shown]
    return panel.points * np.array(boxes).reshape(-1, 4)


def _write(panel: Panel, point: Array, box: Array, text: str, reach: float, radius: float) -> None:
    """Write one name, with a thin line to its point when it stands away from it."""
    back = panel.ax.transData.inverted()
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    if reach >= LEADER_FROM:
        end = np.clip(point, box[:2], box[2:])
        away = end - point
        start = point + away * min(1.0, radius / max(1e-9, float(np.hypot(*away))))
        (x0, y0), (x1, y1) = (back.transform(p / panel.points) for p in (start, end))
        panel.ax.plot([x0, x1], [y0, y1], color=panel.style.muted, linewidth=0.4, zorder=6, scalex=False, scaley=False)
    x, y = back.transform(middle / panel.points)
    written = panel.ax.text(x, y, text, ha="center", va="center", zorder=7, **panel.font())
    written.set_in_layout(False)


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions at least `gap` apart, near those wanted, between two limits where they all fit.

    Examples
    --------
    >>> spread([1.0, 1.2, 5.0], 1.0, 0.0, 10.0)
    [0.6, 1.6, 5.0]
    """
    order = np.argsort(np.asarray(wanted, dtype=float), kind="stable")
    groups: list[list[float]] = []
    for i in order:
        groups.append([float(wanted[i]), float(wanted[i]), 1])
        groups[-1][0] = min(max(groups[-1][0], low), high)
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][2] + groups[-2][2]) / 2 - 1e-12:
            last, before = groups.pop(), groups.pop()
            n = last[2] + before[2]
            middle = (last[0] * last[2] + before[0] * before[2]) / n
            half = gap * (n - 1) / 2
            middle = min(max(middle, low + half), max(high - half, low + half))
            groups.append([middle, middle, n])
    placed = [middle + gap * (j - (n - 1) / 2) for middle, _, n in groups for j in range(int(n))]
    found = [0.0] * len(placed)
    for i, position in zip(order, placed, strict=True):
        found[int(i)] = float(f"{position:.12g}")
    return found
