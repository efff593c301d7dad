"""A page of boxes, dots, lines and texts in points: a new figure of its own size, or made to fit the caller's axes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from ipt_evidence.errors import EvidenceWarning, OptionError
from ipt_evidence.figures.measure import Screen, TextMeasure
from ipt_evidence.figures.output import EvidenceFigure, remember_alt_text
from ipt_evidence.figures.plotting import NARROWEST, WIDEST, fold
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle, drawing_context, families, resolve_style
from ipt_evidence.figures.style_fonts import missing_glyphs_said, style_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READABLE = 4.5
LEAST = 1.0
LEADING = 1.28
SHRINK = 0.94
BASELINE = 0.36


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text; `y` is the middle of its height."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    align: str = "left"
    bold: bool = False
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle from its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    face: str = "none"
    edge: str = "none"
    line: float = 0.6


@dataclass(frozen=True, slots=True)
class Dot:
    """A circle, square or other marker, `size` points across."""

    x: float
    y: float
    size: float
    face: str
    edge: str
    marker: str = "o"


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line, with an arrow at its end if wanted."""

    x: Sequence[float]
    y: Sequence[float]
    colour: str
    line: float = 0.6
    arrow: bool = False


@dataclass(frozen=True, slots=True)
class Area:
    """A shaded polygon behind everything else; where several lie over each other it is darker."""

    x: Sequence[float]
    y: Sequence[float]
    face: str
    share: float


@dataclass(slots=True)
class Sketch:
    """What will be drawn on a page `width` points wide; `y` counts downward from the top.

    Attributes
    ----------
    width, height : float
        Size; the height grows as things are added.
    style : FigureStyle
        Fonts, sizes and colours.
    measure : TextMeasure
        Measures text.
    """

    width: float
    style: FigureStyle
    measure: TextMeasure
    height: float = 0.0
    words: list[Words] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)

    def write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float | None = None,
        colour: str = "",
        align: str = "left",
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """Write one line whose middle is at `y`, from below upward if `turned`."""
        if text:
            self.words.append(
                Words(x, y, text, size or self.style.size, colour or self.style.text, align, bold, turned)
            )

    def paragraph(self, x: float, top: float, width: float, text: str, **look: Any) -> float:
        """Write text in lines that fit a width, from `top` downward; return where the next line would begin."""
        size = look.get("size") or self.style.size
        for line in self.lines(text, width, size):
            self.write(x, top + LEADING * size / 2, line, **look)
            top += LEADING * size
        return top

    def lines(self, text: str, width: float, size: float) -> list[str]:
        """Return the lines a text is broken into."""
        return [part for line in text.split("\n") for part in fold(line, width, size, self.measure)]

    def trim(self) -> None:
        """Make the page no wider than what is on it."""
        words = [
            w.x + self.measure(w.text, w.size, "bold" if w.bold else "normal") for w in self.words if w.align == "left"
        ]
        strokes = [float(max(s.x)) for s in self.strokes]
        boxes = [b.x + b.width for b in self.boxes]
        self.width = min(self.width, max((*words, *strokes, *boxes), default=0.0) + self.style.margin)

    def notes(self, top: float, notes: Sequence[str]) -> float:
        """Write footnotes from `top` downward; return where they end."""
        width = self.width - 2 * self.style.margin
        for note in notes:
            look = {"size": self.style.small_size, "colour": self.style.muted}
            top = self.paragraph(self.style.margin, top, width, note, **look)
        return top


Build = Callable[[float, FigureStyle, TextMeasure], Sketch]


def draw_page(
    build: Build,
    *,
    style: FigureStyle | str | None,
    width_mm: float | None,
    ax: Axes | None,
    alt: str,
    texts: Sequence[str] = (),
) -> Figure:
    """Draw what `build` sketches on a new figure, or in the box of the caller's axes, made smaller until it fits.

    Parameters
    ----------
    build : callable
        ``(width, style, measure) -> Sketch``.
    style : FigureStyle, str or None
        Fonts, sizes and colours.
    width_mm : float or None
        Width of a new figure; ``None`` for that of the style.
    ax : matplotlib.axes.Axes or None
        Axes of the caller.
    alt : str
        Alt text.
    texts : sequence of str
        Words of the user, for which fonts are looked up.

    Raises
    ------
    OptionError
        The width cannot be drawn, or goes with an axes of the caller.

    Warns
    -----
    EvidenceWarning
        The caller's axes is so small that the text cannot be read.
    """
    look = style_for(resolve_style(style), texts)
    width = page_width(width_mm, look, ax)
    hinting = mpl.rcParams["text.hinting"]
    with drawing_context(), missing_glyphs_said():
        if ax is None:
            sketch = build(width, look, TextMeasure(look))
            fig: Figure = EvidenceFigure(figsize=(sketch.width / 72, sketch.height / 72), dpi=look.dpi)
            ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
            box = (sketch.width, sketch.height)
        else:
            root: Any = ax.figure.figure
            if root.get_layout_engine() is not None:
                root.draw_without_rendering()
                root.set_layout_engine("none")
            unit = 72 / root.dpi
            box = (float(ax.bbox.width) * unit, float(ax.bbox.height) * unit)
            sketch = _fitted(build, look, box, Screen(float(root.dpi), hinting))
            fig = root
        _draw(ax, sketch, box)
    remember_alt_text(ax, alt)
    return fig


def page_width(width_mm: float | None, style: FigureStyle, ax: Axes | None) -> float:
    """Return the width of a new page in points."""
    if width_mm is None:
        return style.width_mm * POINTS_PER_MM
    if isinstance(width_mm, bool) or not isinstance(width_mm, int | float) or not NARROWEST <= width_mm <= WIDEST:
        raise OptionError(f"width_mm must be a number from {NARROWEST:g} to {WIDEST:g}; received {width_mm!r}")
    if ax is not None:
        raise OptionError("width_mm is the width of a new figure; with ax= the axes has its width already")
    return float(width_mm) * POINTS_PER_MM


def _fitted(build: Build, style: FigureStyle, box: tuple[float, float], screen: Screen) -> Sketch:
    """Return the sketch at the largest size that fits the box."""
    base, factor = replace(style, margin=1.0), 1.0
    while True:
        look = base.scaled(factor)
        sketch = build(box[0], look, TextMeasure(look, screen))
        over = max(sketch.width / box[0], sketch.height / box[1])
        if over <= 1.0005 or look.small_size < LEAST:
            break
        factor *= min(SHRINK, over**-0.5)
    if look.small_size < READABLE:
        need = READABLE / look.small_size / 72
        warnings.warn(
            f"the axes are too small for this figure: its text is {look.small_size:.1f} points high; it needs about "
            f"{box[0] * need:.1f} x {box[1] * need:.1f} inches, the box has {box[0] / 72:.1f} x {box[1] / 72:.1f}",
            EvidenceWarning,
            stacklevel=4,
        )
    return sketch


def _draw(ax: Axes, sketch: Sketch, box: tuple[float, float]) -> None:
    """Draw a sketch from the upper left corner of the axes, one point of the page to one unit of the data."""
    from matplotlib.patches import Polygon, Rectangle

    ax.set_axis_off()
    ax.set_aspect("auto")
    ax.set(xscale="linear", yscale="linear", xlim=(0.0, box[0]), ylim=(box[1], 0.0))
    for area in sketch.areas:
        corners = list(zip(area.x, area.y, strict=True))
        ax.add_patch(Polygon(corners, facecolor=area.face, alpha=area.share, linewidth=0, clip_on=False, zorder=0.5))
    for b in sketch.boxes:
        look: dict[str, Any] = {"facecolor": b.face, "edgecolor": b.edge, "linewidth": b.line}
        ax.add_patch(Rectangle((b.x, b.y), b.width, b.height, clip_on=False, zorder=1, **look))
    for s in sketch.strokes:
        ax.plot(s.x, s.y, color=s.colour, linewidth=s.line, clip_on=False, zorder=2, solid_capstyle="butt")
        if s.arrow:
            _arrow_head(ax, s, sketch.style)
    _draw_dots(ax, sketch.dots)
    names = families(sketch.style)
    for w in sketch.words:
        ax.text(
            w.x,
            w.y if w.turned else w.y + BASELINE * w.size,
            w.text,
            fontsize=w.size,
            fontweight="bold" if w.bold else "normal",
            family=names,
            ha=w.align,
            va="center" if w.turned else "baseline",
            rotation=90 if w.turned else 0,
            color=w.colour,
            parse_math=False,
            clip_on=False,
            zorder=5,
        )


def _arrow_head(ax: Axes, stroke: Stroke, style: FigureStyle) -> None:
    """Draw a filled head at the end of a line that runs along an axis."""
    from matplotlib.patches import Polygon

    (x0, x1), (y0, y1) = stroke.x[-2:], stroke.y[-2:]
    length = 0.55 * style.size
    dx, dy = (float((b > a) - (b < a)) for a, b in ((x0, x1), (y0, y1)))
    back, half = (x1 - length * dx, y1 - length * dy), 0.4 * length
    corners = [(x1, y1), (back[0] + half * dy, back[1] + half * dx), (back[0] - half * dy, back[1] - half * dx)]
    ax.add_patch(Polygon(corners, closed=True, facecolor=stroke.colour, edgecolor="none", clip_on=False, zorder=2))


def _draw_dots(ax: Axes, dots: Sequence[Dot]) -> None:
    """Draw dots, those of one look in one collection."""
    looks = dict.fromkeys((d.face, d.edge, d.marker) for d in dots)
    for face, edge, marker in looks:
        found = [d for d in dots if (d.face, d.edge, d.marker) == (face, edge, marker)]
        ax.scatter(
            [d.x for d in found],
            [d.y for d in found],
            s=[d.size**2 for d in found],
            marker=marker,
            facecolors=face,
            edgecolors=edge,
            linewidths=0.5,
            clip_on=False,
            zorder=3,
        )
