"""What every figure but the forest plot is drawn on: a panel that is measured, with its key and footnotes below it.

A figure is made in three steps: open a panel, draw into ``panel.ax`` in the numbers of a table, and arrange it. Only
then do labels of points have their place (:mod:`ipt_evidence.figures.plotting_labels`). All lengths are points.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import EvidenceWarning, OptionError
from ipt_evidence.figures.measure import Screen, TextMeasure
from ipt_evidence.figures.output import EvidenceFigure
from ipt_evidence.figures.plotting_key import LEADING, add_key, note_lines, place_key, write_notes
from ipt_evidence.figures.plotting_text import fold as fold
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle, drawing_context, families, resolve_style
from ipt_evidence.figures.style_fonts import missing_glyphs_said, style_for
from ipt_evidence.figures.wording import plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

NARROWEST, WIDEST = 50.0, 1000.0
LEAST_PANEL = 40.0
TICK = 3.0
TICKS_PER_POINT = 1 / 42
MOST_ROUNDS = 3
STABLE = 0.5
LOW = 0.3
"""Height of a figure in which there is nothing to draw, in widths."""
Sides = tuple[float, float, float, float]
SIDES = ("left", "right", "top", "bottom")


@dataclass(frozen=True, slots=True)
class Panel:
    """An axes to draw into and the page around it.

    Attributes
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    style : FigureStyle
        Fonts, sizes and colours.
    width : float
        Width of the page, or of the box of the caller's axes.
    height : float or None
        Height of the caller's box; ``None`` for a page that grows with its content.
    measure : TextMeasure
        Measures text.
    """

    ax: Axes
    style: FigureStyle
    width: float
    height: float | None
    measure: TextMeasure

    @property
    def figure(self) -> Figure:
        """The figure at the root."""
        root: Figure = self.ax.figure.figure
        return root

    @property
    def points(self) -> float:
        """How many points a pixel has."""
        return 72 / float(self.figure.dpi)

    @property
    def renderer(self) -> Any:
        """What texts and marks are measured with."""
        return _renderer(float(self.figure.dpi))

    def font(self, *, small: bool = True, bold: bool = False, color: str = "") -> dict[str, Any]:
        """Return the settings of a text; study names are never read as mathematics."""
        size = self.style.small_size if small else self.style.size
        weight = "bold" if bold else "normal"
        look = {"fontsize": size, "fontweight": weight, "family": families(self.style)}
        return look | {"color": color or self.style.text, "parse_math": False}


@lru_cache(maxsize=8)
def _renderer(dpi: float) -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(8, 8, dpi)  # type: ignore[no-untyped-call]


@contextmanager
def open_panel(
    ax: Axes | None,
    *,
    style: FigureStyle | str | None,
    width_mm: float | None,
    natural_mm: float,
    texts: Iterable[object] = (),
) -> Iterator[Panel]:
    """Give a panel to draw into: the caller's axes, or that of a new figure outside pyplot.

    Parameters
    ----------
    ax : matplotlib.axes.Axes or None
        Axes of the caller; its box holds everything.
    style : FigureStyle, str or None
        Fonts, sizes and colours.
    width_mm : float or None
        Width of a new figure.
    natural_mm : float
        Width for ``None``.
    texts : iterable
        Names and other words of the user, for which fonts are looked up.

    Raises
    ------
    OptionError
        The width cannot be drawn, or goes with an axes of the caller.
    """
    look = style_for(resolve_style(style), map(str, texts))
    width = _checked_width(width_mm, natural_mm, ax)
    hinting = mpl.rcParams["text.hinting"]
    with drawing_context(), missing_glyphs_said():
        if ax is None:
            side = width * POINTS_PER_MM
            fig = EvidenceFigure(figsize=(side / 72, side / 72), dpi=look.dpi)
            panel = Panel(fig.add_axes((0.1, 0.1, 0.8, 0.8)), look, side, None, _measure(look, None))
        else:
            root: Any = ax.figure.figure
            if root.get_layout_engine() is not None:
                root.draw_without_rendering()
                root.set_layout_engine("none")
            unit = 72 / root.dpi
            measure = _measure(look, Screen(float(root.dpi), hinting))
            panel = Panel(ax, look, float(ax.bbox.width) * unit, float(ax.bbox.height) * unit, measure)
        _frame(panel)
        yield panel


def _checked_width(width_mm: float | None, natural_mm: float, ax: Axes | None) -> float:
    if width_mm is None:
        return natural_mm
    if isinstance(width_mm, bool) or not isinstance(width_mm, int | float) or not NARROWEST <= width_mm <= WIDEST:
        raise OptionError(f"width_mm must be a number from {NARROWEST:g} to {WIDEST:g}; received {width_mm!r}")
    if ax is not None:
        raise OptionError("width_mm is the width of a new figure; with ax= the axes has its width already")
    return float(width_mm)


@lru_cache(maxsize=8)
def _measure(style: FigureStyle, screen: Screen | None) -> TextMeasure:
    return TextMeasure(style, screen)


def _frame(panel: Panel) -> None:
    """Keep the lower and the left axis, thin, with ticks outside."""
    ax, style = panel.ax, panel.style
    ax.patch.set_visible(False)
    ax.grid(visible=False)
    for side in SIDES:
        ax.spines[side].set(visible=side in ("left", "bottom"), color=style.interval, linewidth=0.7)
    ax.tick_params(
        which="major",
        top=False,
        right=False,
        direction="out",
        length=TICK,
        width=0.7,
        pad=2.0,
        color=style.interval,
        labelcolor=style.text,
        labelsize=style.small_size,
        labelfontfamily=families(style),
    )


def set_axis(
    panel: Panel,
    which: str,
    name: str,
    limits: tuple[float, float],
    ticks: Sequence[float] | None = None,
    *,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> None:
    """Give one axis its name, limits and ticks.

    Parameters
    ----------
    panel : Panel
        Whose look it has.
    which : {"x", "y"}
        The axis.
    name : str
        Its name; lines too long for the panel are broken.
    limits : tuple of float
        First and last value; the first may be the larger one.
    ticks : sequence of float, optional
        Default: round numbers, as many as have room.
    labels : sequence of str, optional
        Default: the ticks as numbers.
    ax : matplotlib.axes.Axes, optional
        A smaller axes of the same figure.
    """
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    target = panel.ax if ax is None else ax
    axis = target.xaxis if which == "x" else target.yaxis
    (target.set_xlim if which == "x" else target.set_ylim)(*limits)
    if ticks is None:
        room = panel.width if which == "x" else panel.width * 1.05
        most = max(3, min(8, int(room * TICKS_PER_POINT))) if ax is None else 3
        ticks = round_ticks(min(limits), max(limits), most)
    axis.set_major_locator(FixedLocator(list(ticks)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FixedFormatter([plain(t) for t in ticks] if labels is None else list(labels)))
    room = 0.85 * panel.width if which == "x" else 0.5 * panel.width if panel.height is None else 0.7 * panel.height
    lines = [part for line in name.split("\n") for part in fold(line, room, panel.style.small_size, panel.measure)]
    axis.set_label_text("\n".join(lines), **panel.font())
    axis.labelpad = 3.0


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most about `most` round numbers between two limits.

    Examples
    --------
    >>> round_ticks(-0.13, 1.2, 5)
    [0.0, 0.5, 1.0]
    """
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(nbins=most, steps=[1, 2, 5, 10]).tick_values(low, high)
    slack = 1e-9 * (high - low)
    return [float(f"{v:.10g}") + 0.0 for v in values if low - slack <= v <= high + slack]


def padded(values: Sequence[float] | npt.NDArray[np.float64], share: float = 0.06) -> tuple[float, float]:
    """Return limits that hold finite values with some room on both sides."""
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = share * (high - low) or 0.1 * abs(low) or 0.5
    return low - room, high + room


def arrange(
    panel: Panel,
    *,
    aspect: float,
    key: Sequence[Artist] = (),
    notes: Sequence[str] = (),
    square: bool = False,
) -> None:
    """Put panel, key and footnotes on the page: nothing overlaps, nothing leaves it.

    Parameters
    ----------
    panel : Panel
        With everything drawn but the labels of points.
    aspect : float
        Height of the plotting area over its width; in the caller's box the height that is left is used.
    key : sequence of matplotlib artists
        With their labels; the key stands below the axis, where it hides no point.
    notes : sequence of str
        Footnotes, broken into lines, the most important first: a caller's box that is too low for all of them and a
        plotting area of half its height gets the first ones only.
    square : bool
        Keep the aspect in the caller's box too.
    """
    margin = panel.style.margin if panel.height is None else 0.0
    box = panel.ax.get_position(original=False)
    sides = _decorations(panel)
    legend = add_key(panel, key, panel.width - 2 * margin)
    lines = note_lines(panel, notes, panel.width - 2 * margin, sides[2] + legend)
    text = LEADING * panel.style.small_size * len(lines) + (0.6 * panel.style.small_size if lines else 0.0)
    for _ in range(MOST_ROUNDS):
        _fit(panel, aspect, margin, legend + text, box, sides, square=square)
        before, sides = sides, _decorations(panel) if panel.ax.child_axes else sides
        if max(abs(a - b) for a, b in zip(before, sides, strict=True)) < STABLE:
            break
    left, _, bottom, _ = sides
    place_key(panel, left, bottom)
    write_notes(panel, lines, left, bottom + legend)


def _fit(panel: Panel, aspect: float, margin: float, below: float, box: Bbox, sides: Sides, *, square: bool) -> None:
    """Give the plotting area the room that its own texts, the key and the footnotes leave.

    Small axes beside it grow with it, so what they take is only known after another round.
    """
    left, right, bottom, top = sides
    width, below = panel.width - left - right - 2 * margin, below + bottom
    if panel.height is None:
        height = aspect * width
        panel.figure.set_size_inches(panel.width / 72, (height + top + below + 2 * margin) / 72)
        x, y = margin + left, margin + below
    else:
        height, x, y = panel.height - top - below, left, below
        if square:
            side = min(height / aspect, width)
            x, y = x + (width - side) / 2, y + (height - aspect * side) / 2
            width, height = side, aspect * side
    if min(width, height) < LEAST_PANEL:
        _warn_small(width, height)
        width, height = max(width, LEAST_PANEL), max(height, LEAST_PANEL)
    _place(panel, box, x, y, width, height)


def _warn_small(width: float, height: float) -> None:
    import warnings

    warnings.warn(
        f"the box is too small for this figure: {max(width, 0):.0f} x {max(height, 0):.0f} points are left for the "
        "plotting area beside axis names, key and footnotes; make it larger",
        EvidenceWarning,
        stacklevel=6,
    )


def _place(panel: Panel, box: Bbox, x: float, y: float, width: float, height: float) -> None:
    """Set the position of the plotting area, in points from the lower left corner of the page or of the box."""
    parent: Any = panel.ax.figure
    unit = panel.points
    page = float(parent.bbox.width) * unit, float(parent.bbox.height) * unit
    origin = (0.0, 0.0) if panel.height is None else (box.x0 * page[0], box.y0 * page[1])
    panel.ax.set_aspect("auto")
    panel.ax.set_position(
        ((origin[0] + x) / page[0], (origin[1] + y) / page[1], max(width, 1.0) / page[0], max(height, 1.0) / page[1])
    )


def _decorations(panel: Panel) -> Sides:
    """Return how far ticks, names and texts beside the plotting area reach: left, right, bottom, top."""
    whole = panel.ax.get_tightbbox(panel.renderer)
    own, unit = panel.ax.bbox, panel.points
    if whole is None:
        return 0.0, 0.0, 0.0, 0.0
    sides = (own.x0 - whole.x0, whole.x1 - own.x1, own.y0 - whole.y0, whole.y1 - own.y1)
    left, right, bottom, top = (max(0.0, float(side)) * unit + 1.0 for side in sides)
    return left, right, bottom, top


def say_instead(panel: Panel, text: str, notes: Sequence[str] = ()) -> None:
    """Write a sentence where there is nothing to draw, on a figure that is low."""
    ax = panel.ax
    ax.set_axis_off()
    room = 0.8 * panel.width
    ax.text(
        0.5,
        0.5,
        "\n".join(fold(text, room, panel.style.size, panel.measure)),
        transform=ax.transAxes,
        ha="center",
        va="center",
        **panel.font(small=False),
    )
    arrange(panel, aspect=LOW, notes=notes)
