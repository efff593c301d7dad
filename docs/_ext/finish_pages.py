"""Last look at the built pages: names for the folding marks of the sidebar, and nothing fetched from another host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

FETCHED = re.compile(
    r"""<(?:script|img|iframe|video|audio|source|embed)\b[^>]*?\ssrc\s*=\s*["']?\s*((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\srel\s*=\s*["']?(?:stylesheet|preload|icon|preconnect|modulepreload))"""
    r"""[^>]*?\shref\s*=\s*["']?((?:https?:)?//[^"'\s>]+)""",
    re.IGNORECASE,
)
IN_STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)
NAMELESS = '<summary><span class="toctree-toggle"'
NAMED = '<summary aria-label="Pages of this section"><span class="toctree-toggle"'


def addresses(text: str, *, style: bool = False) -> list[str]:
    """Return what a page (or a style sheet) makes a browser fetch from another host.

    Examples
    --------
    >>> addresses('<a href="https://a.org">a</a> <script src="//b.org/x.js"></script>')
    ['//b.org/x.js']
    """
    if style:
        return IN_STYLE.findall(text)
    return [one or other for one, other in FETCHED.findall(text)]


def finish(app: Sphinx, error: Exception | None) -> None:
    """Name the folding marks, which the theme leaves without a name, and look for foreign addresses."""
    from sphinx.util import logging

    logger = logging.getLogger(__name__)
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for path in sorted([*out.rglob("*.html"), *out.rglob("*.css")]):
        text = path.read_text(encoding="utf-8")
        if NAMELESS in text:
            path.write_text(text.replace(NAMELESS, NAMED), encoding="utf-8")
        for address in addresses(text, style=path.suffix == ".css"):
            logger.warning("%s would be fetched by %s", address, path.relative_to(out), type="outside")


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at the pages when all are written."""
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
