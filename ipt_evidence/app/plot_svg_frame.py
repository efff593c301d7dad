"""The frame of the page's plots: axes with natural ticks, marks that name their trial, a key, a description."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.figures import wording as w
from ipt_evidence.figures.axis import effect_axis

WIDTH, HEIGHT = 560.0, 400.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 12.0, 62.0
LETTER = 6.6
Points = Sequence[tuple[float, float]]
NO_ROWS = pd.DataFrame({"kind": [], "effect": [], "ci_low": [], "ci_high": []})


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: its limits on the analysis scale, where it is drawn, its ticks with their texts.

    Attributes
    ----------
    low, high : float
        Limits.
    start, end : float
        Where they are drawn.
    ticks : tuple of float
        On the analysis scale.
    labels : tuple of str
        As read: ratios for logarithms.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]

    def __call__(self, value: float) -> float:
        """Return where a value is drawn."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Return whether a value is inside the limits."""
        return bool(min(self.low, self.high) <= value <= max(self.low, self.high))

    def clip(self, value: float) -> float:
        """Return the nearest value inside the limits."""
        return min(max(value, min(self.low, self.high)), max(self.low, self.high))


def scale_of(low: float, high: float, start: float, end: float, *, measure: str = "", most: int = 6) -> Scale:
    """Return a scale with natural ticks; `measure` says whether they are ratios.

    Examples
    --------
    >>> scale_of(-0.1, 1.1, 0, 100).labels, scale_of(-0.8, 0.8, 0, 100, measure="OR").labels
    (('0', '0.2', '0.4', '0.6', '0.8', '1'), ('0.5', '1', '2'))
    """
    log = bool(measure) and w.is_ratio(measure)
    ends = (math.exp(min(low, high)), math.exp(max(low, high))) if log else (min(low, high), max(low, high))
    axis = effect_axis(NO_ROWS, log=log, xlim=ends, room=lambda _: most, reference=False)
    ticks = tuple(math.log(tick) if log else tick for tick in axis.ticks)
    return Scale(low, high, start, end, ticks, tuple(axis.labels()))


def padded(values: npt.ArrayLike, share: float = 0.06) -> tuple[float, float]:
    """Return limits that hold finite values with room on both sides."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = share * (high - low) or 0.1 * abs(low) or 0.5
    return low - room, high + room


@dataclass(slots=True)
class Plot:
    """A plot that is being put together.

    Attributes
    ----------
    name : str
        Kind of figure; makes the class of its element.
    title, said : str
        Name of the picture, and what it shows in words.
    x, y : Scale
        Axes.
    width, height : float
        Of the picture.
    """

    name: str
    title: str
    said: str
    x: Scale
    y: Scale
    width: float = WIDTH
    height: float = HEIGHT
    _marks: list[str] = field(default_factory=list)
    _key: list[tuple[str, str]] = field(default_factory=list)
    _reached: bool = False

    def add(self, mark: str) -> None:
        """Add a mark."""
        self._marks.append(mark)

    def axes(self, x_name: str, y_name: str, *, below: str = "") -> None:
        """Draw both axes with ticks, labels and names; `below` stands under the name of the horizontal one."""
        left, right = sorted((self.x.start, self.x.end))
        top, bottom = sorted((self.y.start, self.y.end))
        self.add(f'<path class="plot-axis" d="M{left:g} {top:g}V{bottom:g}H{right:g}"/>')
        for tick, label in zip(self.x.ticks, self.x.labels, strict=True):
            at = self.x(tick)
            self.add(f'<path class="plot-axis" d="M{at:.1f} {bottom:g}v5"/>')
            self.text(at, bottom + 19, label, anchor="middle")
        for tick, label in zip(self.y.ticks, self.y.labels, strict=True):
            at = self.y(tick)
            self.add(f'<path class="plot-axis" d="M{left:g} {at:.1f}h-5"/>')
            self.text(left - 8, at + 4, label, anchor="end")
        middle = (left + right) / 2
        self.text(middle, bottom + 37, x_name, anchor="middle")
        self.text(middle, bottom + 53, below, anchor="middle", name="plot-muted")
        turned = f' transform="rotate(-90 14 {(top + bottom) / 2:g})"'
        self.text(14, (top + bottom) / 2, y_name, anchor="middle", more=turned)

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", name: str = "", more: str = "") -> None:
        """Write a text."""
        if text:
            look = f' class="{name}"' if name else ""
            self.add(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{look}{more}>{escape(text)}</text>')

    def line(self, points: Points, name: str, key: str = "") -> None:
        """Draw a line through points of the data; what lies beyond the axes is not drawn."""
        drawn = _inside(points, self.x, self.y) if np.isfinite(points).all() else []
        if len(drawn) > 1:
            path = "L".join(f"{self.x(a):.1f} {self.y(b):.1f}" for a, b in drawn)
            self.add(f'<path class="plot-line {name}" d="M{path}"/>')
            self._remember(f'<path class="plot-line {name}" d="M0 5H20"/>', key)

    def area(self, points: Points, name: str, key: str = "") -> None:
        """Fill an area between points of the data, cut off at the axes."""
        path = "L".join(f"{self.x(self.x.clip(a)):.1f} {self.y(self.y.clip(b)):.1f}" for a, b in points)
        self.add(f'<path class="plot-area {name}" d="M{path}Z"/>')
        self._remember(f'<rect class="plot-area {name}" x="0" y="0" width="20" height="10"/>', key)

    def point(self, x: float, y: float, said: str, *, radius: float = 4.0, name: str = "plot-trial") -> None:
        """Draw a trial, which can be reached by the keyboard and says what it is."""
        place = f'cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="{radius:.2f}"'
        self.add(f'<circle class="{name}" {place} {self.reached(said)}</circle>')

    def reached(self, said: str) -> str:
        """Return the attributes and the title of a mark that can be reached: the first by Tab, the next by arrows."""
        text, index = escape(said), -1 if self._reached else 0
        self._reached = True
        return f'data-mark="" tabindex="{index}" role="img" aria-label="{text}"><title>{text}</title>'

    def key(self, sample: str, text: str) -> None:
        """Add an entry to the key: a sample 20 wide and 10 high, and its text."""
        self._remember(sample, text)

    def html(self, notes: Sequence[str] = ()) -> str:
        """Return the figure, with notes below it."""
        key, lines = self._key_marks()
        height = self.height + 18 * lines
        return figure(
            self.name, self.title, self.said, "".join(self._marks) + key, size=(self.width, height), notes=notes
        )

    def _remember(self, sample: str, text: str) -> None:
        if text and all(text != known for _, known in self._key):
            self._key.append((sample, text))

    def _key_marks(self) -> tuple[str, int]:
        """Return the key under the plot and the number of its lines."""
        x, line, marks = 8.0, 0, []
        for sample, text in self._key:
            wide = 28 + LETTER * len(text) + 14
            if x + wide > self.width and x > 8:
                x, line = 8.0, line + 1
            y = self.height + 18 * line
            marks.append(
                f'<g transform="translate({x:g} {y:g})">{sample}<text x="28" y="9.5">{escape(text)}</text></g>'
            )
            x += wide
        return "".join(marks), (line + 1 if self._key else 0)


def figure(
    name: str, title: str, said: str, marks: str, *, size: tuple[float, float], notes: Sequence[str] = ()
) -> str:
    """Return a figure: the picture with its name and description, and notes.

    The picture is a group and not one image, whose parts no screen reader would reach.
    """
    below = "".join(f"<p>{escape(note)}</p>" for note in notes if note)
    return (
        f'<figure class="plot plot-of-{name}"><svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="group" '
        f'aria-label="{escape(title)}"><desc>{escape(said)}</desc>{marks}</svg>'
        + (f'<figcaption class="plot-notes">{below}</figcaption>' if below else "")
        + "</figure>"
    )


def instead(name: str, title: str, sentence: str) -> str:
    """Return what stands in the place of a plot that cannot be drawn."""
    return (
        f'<figure class="plot plot-of-{name}"><p class="plot-instead"><strong>{escape(title)}.</strong> '
        f"{escape(sentence)}</p></figure>"
    )


def shown(measure: str, digits: int = 2) -> Callable[[float], str]:
    """Return the function that writes a number of the analysis scale as it is read."""
    ratio = w.is_ratio(measure)
    return lambda value: w.number(math.exp(value) if ratio else value, digits)


def _inside(points: Points, x: Scale, y: Scale) -> list[tuple[float, float]]:
    """Return the points of a line inside the axes, with points where it crosses them."""
    drawn: list[tuple[float, float]] = []
    for (a, b), (c, d) in pairwise(points):
        part = _clipped((a, b), (c, d), x, y)
        if part is not None:
            drawn += [p for p in part if not drawn or p != drawn[-1]]
    return drawn


def _clipped(
    first: tuple[float, float], last: tuple[float, float], x: Scale, y: Scale
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Return the part of a line between two points that is inside the axes (Liang and Barsky)."""
    begin, end = 0.0, 1.0
    for scale, start, step in ((x, first[0], last[0] - first[0]), (y, first[1], last[1] - first[1])):
        low, high = min(scale.low, scale.high), max(scale.low, scale.high)
        if step == 0:
            if not low <= start <= high:
                return None
            continue
        near, far = sorted(((low - start) / step, (high - start) / step))
        begin, end = max(begin, near), min(end, far)
    if begin > end:
        return None

    def at(t: float) -> tuple[float, float]:
        return first[0] + t * (last[0] - first[0]), first[1] + t * (last[1] - first[1])

    return at(begin), at(end)
