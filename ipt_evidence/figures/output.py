"""The Figure that our functions return, and writing it to a file: text stays text, nothing depends on the day."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.style import HINTING, drawing_context
from ipt_evidence.figures.style_fonts import missing_glyphs_said

FORMATS = ("svg", "pdf", "png")
NOTEBOOK_DPI = 192
CSS_DPI = 96
PRINT_DPI = 300
MAX_PIXELS = 65_000
ALT_ATTRIBUTE = "_ipt_evidence_alt_text"


class EvidenceFigure(Figure):
    """A matplotlib Figure outside pyplot: it is freed when it is no longer used, and a notebook shows it with alt text.

    `savefig` keeps text as text in SVG and PDF whatever the rcParams; :func:`save_figure` also writes alt text.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        FigureCanvasAgg(self)

    def draw(self, renderer: Any) -> None:
        """Draw on any renderer; text as wide as it was measured, at every resolution."""
        with mpl.rc_context({"text.hinting": HINTING}), missing_glyphs_said():
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Write the figure as :meth:`matplotlib.figure.Figure.savefig` does, with the package's settings."""
        with drawing_context(), missing_glyphs_said():
            super().savefig(fname, **kwargs)

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, bytes], dict[str, dict[str, Any]]]:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_possible_dpi(self, NOTEBOOK_DPI), metadata={"Software": None})
        width = round(self.get_figwidth() * CSS_DPI)
        return {"image/png": buffer.getvalue()}, {"image/png": {"width": width, "alt": figure_alt_text(self)}}


def remember_alt_text(ax: Any, text: str) -> None:
    """Keep the alt text with the axes it describes."""
    setattr(ax, ALT_ATTRIBUTE, text)


def figure_alt_text(fig: Figure) -> str:
    """Return the alt texts of a figure's axes, one after the other; empty when there is none."""
    return " ".join(text for ax in fig.axes if (text := getattr(ax, ALT_ATTRIBUTE, "")))


def save_figure(
    fig: Figure | Sequence[Figure], path: str | os.PathLike[str], *, title: str = "", dpi: int = PRINT_DPI
) -> Path:
    """Write a figure as SVG, PDF or PNG, with its title and alt text inside the file.

    Parameters
    ----------
    fig : matplotlib.figure.Figure or sequence of them
        A figure, ours or another; several become the pages of one PDF.
    path : path-like
        Where to; the ending says which format. An existing file is replaced, and only when the figure could be drawn.
    title : str, optional
        Title in the metadata. Default: the beginning of the alt text.
    dpi : int, optional
        Resolution of PNG; lower for figures taller than what can be drawn.

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    OptionError
        The ending is not one of the formats, or there are several pages and it is not PDF.

    Notes
    -----
    Text stays text in SVG and is embedded as TrueType in PDF. The same figure gives the same bytes: no date, fixed ids.
    SVG carries the alt text as ``<title>`` and ``<desc>`` with ``role="img"``, which screen readers read.

    Examples
    --------
    >>> import tempfile, pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.figures.output import save_figure
    >>> fit = ipt.pool(pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": 0.04}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(ipt.forest_plot(fit), folder + "/forest.svg").name
    'forest.svg'
    """
    target = Path(path)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OptionError(f"path must end in .svg, .pdf or .png; received {str(target)!r}")
    if not isinstance(fig, Figure):
        return _save_pages(list(fig), target, kind, title)
    alt = figure_alt_text(fig)
    name = title or alt.split(":")[0]
    buffer = io.BytesIO()
    with drawing_context(), missing_glyphs_said():
        Figure.savefig(fig, buffer, format=kind, dpi=_possible_dpi(fig, dpi), metadata=_metadata(kind, name, alt))
    data = buffer.getvalue()
    target.write_bytes(_describe(data, name, alt) if kind == "svg" else data)
    return target


def _save_pages(pages: list[Figure], target: Path, kind: str, title: str) -> Path:
    """Write several figures as the pages of one PDF."""
    from matplotlib.backends.backend_pdf import PdfPages

    if not pages or kind != "pdf":
        raise OptionError(
            f"several pages go into one .pdf; received {len(pages)} pages and {str(target)!r}. For other formats save "
            "each page by itself: for i, page in enumerate(pages, 1): save_figure(page, f'forest-{i}.svg')"
        )
    alt = figure_alt_text(pages[0])
    buffer = io.BytesIO()
    metadata = _metadata("pdf", title or alt.split(":")[0], alt)
    with drawing_context(), missing_glyphs_said(), PdfPages(buffer, metadata=metadata) as book:
        for page in pages:
            book.savefig(page)
    target.write_bytes(buffer.getvalue())
    return target


def _possible_dpi(fig: Figure, dpi: int) -> int:
    """Return the resolution, lower where a very tall figure would exceed what the renderer can draw."""
    return max(1, min(dpi, int(MAX_PIXELS / max(fig.get_size_inches()))))


def _metadata(kind: str, title: str, alt: str) -> dict[str, Any]:
    if kind == "svg":
        return {"Date": None} | ({"Title": title} if title else {})
    if kind == "pdf":
        return {"CreationDate": None} | ({"Title": title, "Subject": alt} if title else {})
    return {"Title": title, "Description": alt} if title else {}


def _describe(svg: bytes, title: str, alt: str) -> bytes:
    """Return the SVG with a description that screen readers find."""
    if not alt:
        return svg
    text = re.sub(r"\n?\s*<title>.*?</title>", "", svg.decode("utf-8"), count=1, flags=re.DOTALL)
    names = f'\n <title id="title">{escape(title)}</title>\n <desc id="description">{escape(alt)}</desc>'
    head = re.sub(r"(<svg\b[^>]*?)>", r'\1 role="img" aria-labelledby="title description">', text, count=1)
    end = re.search(r"<svg\b[^>]*>", head)
    return (head if end is None else head[: end.end()] + names + head[end.end() :]).encode("utf-8")
