"""The look of every figure: one frozen record of fonts, sizes and colours, and the context it is drawn in.

References
----------
Okabe M, Ito K. Color Universal Design: how to make figures and presentations that are friendly to colorblind people.
2008. https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, get_args

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.forest_house import APA, BMJ, COCHRANE, JAMA, PLAIN, House

StyleName = Literal["plain", "cochrane", "jama", "bmj", "apa"]

OKABE_ITO = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "purple": "#CC79A7",
}
DEEP_VERMILLION = "#B34F00"
"""The vermillion of Okabe and Ito, darkened in its hue: 3.9 to 1 on white becomes 5.1, and 4.5 on the shaded region."""
POINTS_PER_MM = 72 / 25.4
SVG_SALT = "ipt_evidence"
HINTING = "none"


@dataclass(frozen=True, slots=True)
class FigureStyle:
    """Fonts, sizes and colours of a figure; lengths in points unless the name says otherwise.

    Attributes
    ----------
    fonts : tuple of str
        Families in order of preference; the first that is installed is used. DejaVu Sans comes with matplotlib, so the
        default figure is the same on every machine, and it is wider than what a viewer may put in its place, so text
        never collides.
    size, small_size : float
        Font size of the rows, and of the axis, heterogeneity lines and footnotes.
    row_height : float
        Distance between two rows.
    width_mm : float
        Width to fill when the content leaves room; content that needs more gets more.
    panel_min, panel_max : float
        Width of the plotting panel.
    column_gap : float
        Space between two columns.
    margin : float
        Empty border of the page.
    dpi : int
        Resolution of PNG files.
    text, muted, study, interval, pooled, overall, prediction, rule : str
        Colours; those of the presets have a contrast of 4.5 to white and to `equivalence`.
    equivalence : str
        Colour of the region of practical equivalence.
    label_width : int
        Characters after which a label is broken; narrower figures break sooner.
    house : House
        Columns, separators and words of a forest plot.
    """

    fonts: tuple[str, ...] = ("DejaVu Sans",)
    size: float = 7.5
    small_size: float = 6.5
    row_height: float = 12.0
    width_mm: float = 180.0
    panel_min: float = 130.0
    panel_max: float = 235.0
    column_gap: float = 9.0
    margin: float = 6.0
    dpi: int = 200
    text: str = "#1A1A1A"
    muted: str = "#5F5F5F"
    study: str = OKABE_ITO["blue"]
    interval: str = "#3C3C3C"
    pooled: str = DEEP_VERMILLION
    overall: str = "#1A1A1A"
    prediction: str = DEEP_VERMILLION
    rule: str = "#6D6D6D"
    equivalence: str = "#F0F0F0"
    label_width: int = 46
    house: House = PLAIN

    @property
    def broken_at(self) -> int:
        """Characters after which a label is broken at the style's width of the page."""
        return max(16, min(self.label_width, round(self.label_width * self.width_mm / 170)))

    def scaled(self, factor: float) -> FigureStyle:
        """Return the style with every length of the page multiplied by `factor`."""
        names = ("size", "small_size", "row_height", "panel_min", "panel_max", "column_gap", "margin")
        return replace(self, **{name: getattr(self, name) * factor for name in names})


SANS = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
STYLES: dict[str, FigureStyle] = {
    "plain": FigureStyle(),
    "cochrane": FigureStyle(
        fonts=SANS,
        size=7.5,
        row_height=11.0,
        panel_max=190.0,
        study="#297C4D",
        interval="#000000",
        pooled="#000000",
        overall="#000000",
        prediction="#444444",
        text="#000000",
        house=COCHRANE,
    ),
    "jama": FigureStyle(
        fonts=SANS,
        size=8.0,
        small_size=7.0,
        row_height=13.0,
        panel_max=200.0,
        study="#00467F",
        interval="#00467F",
        pooled="#00467F",
        overall="#00467F",
        prediction="#4F7091",
        rule="#606F7E",
        house=JAMA,
    ),
    "bmj": FigureStyle(
        fonts=SANS,
        size=7.5,
        row_height=12.0,
        panel_max=190.0,
        study="#2A6EBB",
        interval="#1A1A1A",
        pooled="#2A6EBB",
        overall="#1B4F8A",
        prediction="#B44B48",
        rule="#2A6EBB",
        house=BMJ,
    ),
    "apa": FigureStyle(
        fonts=SANS,
        size=8.0,
        small_size=7.0,
        row_height=13.0,
        text="#000000",
        muted="#404040",
        study="#000000",
        interval="#000000",
        pooled="#000000",
        overall="#000000",
        prediction="#000000",
        rule="#000000",
        house=APA,
    ),
}


def resolve_style(style: FigureStyle | str | None) -> FigureStyle:
    """Return a style from its name, from a record, or the default for ``None``.

    Raises
    ------
    OptionError
        There is no style of that name.
    """
    if isinstance(style, FigureStyle):
        return style
    name = "plain" if style is None else style
    if not isinstance(name, str) or name not in STYLES:
        choices = ", ".join(repr(c) for c in get_args(StyleName))
        raise OptionError(f"style must be a FigureStyle or one of {choices}; received {style!r}")
    return STYLES[name]


def families(style: FigureStyle) -> list[str]:
    """Return the families to draw with: the installed ones of the style, then the generic name for viewers of SVG."""
    return list(_installed(style.fonts))


@cache
def _installed(fonts: tuple[str, ...]) -> tuple[str, ...]:
    from matplotlib.font_manager import fontManager

    names = {font.name for font in fontManager.ttflist}
    return (*[name for name in fonts if name in names], "sans-serif")


@contextmanager
def drawing_context() -> Iterator[None]:
    """Draw with matplotlib's own defaults and text kept as text, whatever the caller's rcParams; they are restored.

    Without hinting text has the same width at every resolution, so what was measured once holds on screen and in print.
    """
    import matplotlib as mpl

    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": SVG_SALT,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "text.hinting": HINTING,
    }
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(settings)  # type: ignore[arg-type]
        yield
