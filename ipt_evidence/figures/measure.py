"""Measuring text with the renderer, in points."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ipt_evidence.figures.style import HINTING, FigureStyle, families

Weight = Literal["normal", "bold"]
DIGITS = str.maketrans("123456789", "000000000")
MEASURED_AT_DPI = 200.0
SLACK = 1.015


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
        from matplotlib.backends.backend_agg import RendererAgg
        from matplotlib.font_manager import FontProperties

        screens = [Screen(MEASURED_AT_DPI, HINTING), *([screen] if screen else [])]
        renderers: list[Any] = [RendererAgg(8, 8, s.dpi) for s in screens]  # type: ignore[no-untyped-call]
        names = families(style)

        @cache
        def properties(size: float, weight: Weight) -> FontProperties:
            return FontProperties(family=names, size=size, weight=weight)

        @cache
        def width(text: str, size: float, weight: Weight) -> float:
            found = 0.0
            for renderer, shown in zip(renderers, screens if text else (), strict=False):
                rcParams["text.hinting"] = shown.hinting
                pixels = renderer.get_text_width_height_descent(text, properties(size, weight), False)[0]
                found = max(found, SLACK * float(pixels) * 72 / shown.dpi)
            return found

        self._width = width
        widths = {width(10 * digit, style.size, "normal") for digit in "0123456789"}
        self._digits = DIGITS if max(widths) - min(widths) < 0.01 * style.size else {}

    def __call__(self, text: str, size: float, weight: Weight = "normal") -> float:
        """Return the width of the widest line of a text."""
        return max(self._width(line.translate(self._digits), size, weight) for line in text.split("\n"))
