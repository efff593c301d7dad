"""Measuring text with the renderer, in points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

from ipt_evidence.figures.style import HINTING, FigureStyle, families

Weight = Literal["normal", "bold"]
DIGITS = str.maketrans("123456789", "000000000")
MEASURED_AT_DPI = 200.0
SLACK = 1.015
MOST_KEPT = 32_768
"""Measured texts that are kept for the next figure; a few megabytes at the most."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Resolution and hinting of a figure of the caller, on which text may be wider than in print."""

    dpi: float
    hinting: Any


class TextMeasure:
    """Measures text in points with matplotlib's own renderer.

    Parameters
    ----------
    style : FigureStyle
        Whose fonts.
    screen : Screen, optional
        Where the text is also shown; the wider of both is returned.

    Notes
    -----
    Where all digits of the font have one width, which is usual, numbers of one pattern are measured once. To be used
    inside :func:`~ipt_evidence.figures.style.drawing_context`, as it sets the hinting.
    """

    def __init__(self, style: FigureStyle, screen: Screen | None = None) -> None:
        from matplotlib import rcParams

        screens = [Screen(MEASURED_AT_DPI, HINTING), *([screen] if screen else [])]
        names = tuple(families(style))

        @cache
        def width(text: str, size: float, weight: Weight) -> float:
            found = 0.0
            for shown in screens if text else ():
                rcParams["text.hinting"] = shown.hinting
                found = max(found, SLACK * _pixels(text, names, size, weight, shown) * 72 / shown.dpi)
            return found

        self._width = width
        widths = {width(10 * digit, style.size, "normal") for digit in "0123456789"}
        self._digits = DIGITS if max(widths) - min(widths) < 0.01 * style.size else {}

    def __call__(self, text: str, size: float, weight: Weight = "normal") -> float:
        """Return the width of the widest line of a text."""
        return max(self._width(line.translate(self._digits), size, weight) for line in text.split("\n"))


@lru_cache(maxsize=MOST_KEPT)
def _pixels(text: str, names: tuple[str, ...], size: float, weight: Weight, screen: Screen) -> float:
    """Return the width of a line in pixels of a screen, whose hinting is set."""
    return float(_renderer(screen.dpi).get_text_width_height_descent(text, _font(names, size, weight), False)[0])


@cache
def _font(names: tuple[str, ...], size: float, weight: Weight) -> Any:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=list(names), size=size, weight=weight)


@lru_cache(maxsize=16)
def _renderer(dpi: float) -> Any:
    from matplotlib.backends.backend_agg import RendererAgg

    return RendererAgg(8, 8, dpi)  # type: ignore[no-untyped-call]
