"""Where the treatments of a network stand on the page: on a ring, ordered so that few lines cross, names outside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ipt_evidence.figures.plotting_labels import spread

Array = npt.NDArray[np.float64]
Edge = tuple[int, int]
MOST_SWEEPS = 10
MOST_WORK = 4e6
SHORTER = 1e-4
FAR = 1e6
ALONG = (0.5, 0.42, 0.58, 0.35, 0.65, 0.29, 0.71, 0.24, 0.76, 0.2, 0.8)


def crossings(order: Sequence[int], edges: Sequence[Edge]) -> int:
    """Return how many pairs of lines cross when treatments stand on a circle in this order.

    Examples
    --------
    >>> crossings([0, 1, 2, 3], [(0, 2), (1, 3)]), crossings([0, 2, 1, 3], [(0, 2), (1, 3)])
    (1, 0)
    """
    place = np.argsort(np.asarray(order))
    ends = np.sort(place[np.asarray(edges, dtype=int).reshape(-1, 2)], axis=1)
    a, b = ends[:, 0][:, None], ends[:, 1][:, None]
    c, d = ends[:, 0][None, :], ends[:, 1][None, :]
    return int(((a < c) & (c < b) & (b < d)).sum())


def circle_order(n: int, edges: Sequence[Edge]) -> list[int]:
    """Return the treatments in an order around the circle with few crossings and short lines.

    The best connected comes first; each other one is put where it adds least, and moved as long as that helps. The same
    network always has the same order.
    """
    linked = np.zeros((n, n), dtype=bool)
    for i, j in edges:
        linked[i, j] = linked[j, i] = True
    order = [int(linked.sum(axis=1).argmax())]
    while len(order) < n:
        rest = [i for i in range(n) if i not in order]
        new = max(rest, key=lambda i: (int(linked[i, order].sum()), int(linked[i].sum()), -i))
        order = _best_place(order, new, edges)
    sweeps = MOST_SWEEPS if (n * len(edges)) ** 2 <= MOST_WORK else 0
    for _ in range(sweeps):
        before = _cost(order, edges)
        for i in range(n):
            moved = _best_place([j for j in order if j != i], i, edges)
            order = moved if _cost(moved, edges) < _cost(order, edges) else order
        if _cost(order, edges) >= before:
            break
    start = order.index(int(linked.sum(axis=1).argmax()))
    return order[start:] + order[:start]


def _best_place(order: list[int], new: int, edges: Sequence[Edge]) -> list[int]:
    tried = [[*order[:at], new, *order[at:]] for at in range(1, len(order) + 1)]
    return min(tried, key=lambda found: _cost(found, edges))


def _cost(order: Sequence[int], edges: Sequence[Edge]) -> float:
    """Return crossings, and a little for long lines, of the lines between treatments that have their place."""
    at = {node: place for place, node in enumerate(order)}
    shown = [(at[i], at[j]) for i, j in edges if i in at and j in at]
    apart = [abs(i - j) for i, j in shown]
    length = sum(min(d, len(order) - d) for d in apart)
    return crossings(range(len(order)), shown) + SHORTER * length if shown else 0.0


@dataclass(frozen=True, slots=True)
class Ring:
    """Where the treatments and their names stand, in points from the centre; `y` counts downward.

    Attributes
    ----------
    x, y : numpy.ndarray
        Middle of each treatment, shape ``(n,)``.
    radius : numpy.ndarray
        Of its circle.
    label_x, label_y : numpy.ndarray
        Where its name begins (on the right) or ends (on the left), and the middle of its height.
    right : numpy.ndarray
        Whether its name stands on the right.
    top, bottom : float
        What is highest and lowest.
    """

    x: Array
    y: Array
    radius: Array
    label_x: Array
    label_y: Array
    right: npt.NDArray[np.bool_]
    top: float
    bottom: float


def make_ring(order: Sequence[int], across: float, radius: Array, heights: Array, gap: float) -> Ring:
    """Return the places of treatments on a ring, drawn out downward where names need more height.

    Parameters
    ----------
    order : sequence of int
        Treatments, clockwise.
    across : float
        Half the width of the ring.
    radius, heights : numpy.ndarray
        Of the circle of each treatment, and of its name.
    gap : float
        Between a circle and its name.
    """
    n = len(order)
    turn = 2 * math.pi * (np.arange(n) + (0.5 if n % 2 == 0 else n / 4)) / n
    angle = np.empty(n)
    angle[np.asarray(order)] = turn
    right = np.sin(angle) > 0
    room = heights + gap / 2
    need = max(float(room[side].sum()) for side in (right, ~right) if side.any())
    tall = max(across, 0.45 * need)
    x, y = across * np.sin(angle), -tall * np.cos(angle)
    wanted = -(tall + radius + gap) * np.cos(angle)
    label_x, label_y = np.empty(n), np.empty(n)
    for side, sign in ((right, 1.0), (~right, -1.0)):
        members = np.flatnonzero(side)
        if not members.size:
            continue
        label_y[members] = _stack(wanted[members], room[members])
        for i in members.tolist():
            label_x[i] = sign * _clear(i, members, sign * x, y, radius, label_y[i], heights[i], gap)
    ends = np.concatenate([y - radius, y + radius, label_y - heights / 2, label_y + heights / 2])
    return Ring(x, y, radius, label_x, label_y, right, float(ends.min()), float(ends.max()))


def _stack(wanted: Array, room: Array) -> list[float]:
    """Return positions near those wanted, each with its own room around it."""
    if np.ptp(room) < 1e-9 or len(wanted) == 1:
        return spread(wanted.tolist(), float(room.max()), -FAR, FAR)
    order = np.argsort(wanted, kind="stable")
    above = np.concatenate([[0.0], np.cumsum((room[order][:-1] + room[order][1:]) / 2)])
    moved = spread((wanted[order] - above).tolist(), 0.0, -FAR, FAR)
    found = np.empty(len(wanted))
    found[order] = np.maximum.accumulate(np.asarray(moved)) + above
    return [float(value) for value in found - float(np.mean(found - wanted))]


def _clear(
    i: int, members: npt.NDArray[np.intp], x: Array, y: Array, radius: Array, at: float, height: float, gap: float
) -> float:
    """Return how far out a name must begin to stay clear of all circles on its side, and of the lines between them."""
    off = np.maximum(0.0, np.abs(at - y[members]) - height / 2)
    reach = (radius[members] + gap) ** 2 - off**2
    sides = np.where(reach > 0, x[members] + np.sqrt(np.maximum(reach, 0.0)), -np.inf)
    down = members[np.argsort(y[members], kind="stable")]
    ends = np.array([at - height / 2, at + height / 2])
    ends = ends[(ends >= y[down[0]]) & (ends <= y[down[-1]])]
    between = np.interp(ends, y[down], x[down]) + gap
    return float(max(sides.max(), x[i], *between))


def number_places(
    ring: Ring, edges: Sequence[Edge], widths: Sequence[float], reach: Sequence[float]
) -> list[tuple[float, float] | None]:
    """Return where the number of each line stands, on the line; ``None`` where there is no room.

    Parameters
    ----------
    ring : Ring
        The treatments.
    edges : sequence of tuple of int
        Which of them each line joins.
    widths : sequence of float
        Of the lines.
    reach : sequence of float
        Radius of the room each number needs.
    """
    nodes = np.column_stack([ring.x, ring.y])
    starts, ends = (nodes[[edge[side] for edge in edges]] for side in (0, 1))
    taken: list[tuple[float, float, float]] = []
    found: list[tuple[float, float] | None] = [None] * len(edges)
    for e in np.argsort(np.hypot(*(ends - starts).T), kind="stable").tolist():
        best, least = None, math.inf
        for t in ALONG:
            point = starts[e] + t * (ends[e] - starts[e])
            if (np.hypot(*(nodes - point).T) < ring.radius + reach[e] + 1).any():
                continue
            if any(math.hypot(point[0] - x, point[1] - y) < reach[e] + other for x, y, other in taken):
                continue
            near = _distances(point, starts, ends) < reach[e] + np.asarray(widths) / 2
            cost = float(near.sum()) + abs(t - 0.5)
            if cost < least:
                best, least = (float(point[0]), float(point[1])), cost
        if best is not None:
            found[e] = best
            taken.append((*best, reach[e]))
    return found


def _distances(point: Array, starts: Array, ends: Array) -> Array:
    """Return the distance of a point from each piece of line, shape ``(lines,)``."""
    along = ends - starts
    share = np.clip(((point - starts) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0.0, 1.0)
    return np.asarray(np.hypot(*(starts + share[:, None] * along - point).T))
