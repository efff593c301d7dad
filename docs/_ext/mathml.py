"""Formulas as MathML, which browsers draw themselves: no script is fetched and nothing is drawn late."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def formula(self: Any, node: nodes.Element, *, as_block: bool) -> str:
    """Return the markup of one formula; what cannot be drawn is a warning."""
    tex = node.astext().strip()
    try:
        return str(tex2mathml(tex, as_block=as_block))
    except MathError as error:
        logger.warning("formula %r cannot be drawn: %s", tex, error, location=node, type="mathml")
        return f"<code>{self.encode(tex)}</code>"


def inline(self: Any, node: nodes.math) -> None:
    """Write a formula inside a sentence."""
    self.body.append(formula(self, node, as_block=False))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="formula">{formula(self, node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Make the renderer known as ``mathml``."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
