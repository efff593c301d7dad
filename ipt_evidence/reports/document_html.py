"""A report as one HTML file: figures inline, no script, no address that is fetched, every value escaped."""

from __future__ import annotations

import re
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from ipt_evidence.reports.document_blocks import (
    Block,
    FigureBlock,
    Heading,
    Items,
    Paragraph,
    Report,
    TableBlock,
    spreads,
    with_links,
)
from ipt_evidence.reports.tables import printable
from ipt_evidence.reports.tables_html import html_report_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IDS = re.compile(r'(\sid="|url\(#|href="#)')
LABELS = re.compile(r'aria-labelledby="([^"]*)"')
PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
METADATA = re.compile(r"<metadata>.*?</metadata>\s*", re.DOTALL)
ANY_STYLE = re.compile(r'(<style type="text/css">)\*\{')


def html_document(report: Report) -> str:
    """Return the page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    writer = _Writer()
    environment = Environment(
        loader=PackageLoader("ipt_evidence.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("report.html").render(
        title=report.title,
        description=printable(report.description),
        body=Markup("".join(_run(writer, turned, run) for turned, run in spreads(report.blocks))),
        contents=[(_slug(b.text), b.text) for b in report.blocks if isinstance(b, Heading) and b.level == 1],
    )


def _run(writer: _Writer, turned: bool, blocks: list[Block]) -> str:
    """Return blocks that are printed on pages of one kind."""
    body = "".join(map(writer.write, blocks))
    return f'<div class="turned">\n{body}</div>\n' if turned else body


class _Writer:
    """Writes blocks one after the other, counting tables and figures."""

    def __init__(self) -> None:
        self.tables = 0
        self.figures = 0

    def write(self, block: Block) -> str:
        """Return one block as HTML."""
        if isinstance(block, Heading):
            level = block.level + 1
            return f'<h{level} id="{_slug(block.text)}">{escape(printable(block.text))}</h{level}>\n'
        if isinstance(block, Paragraph):
            kind = "" if block.kind == "plain" else f' class="{block.kind}"'
            return f"<p{kind}>{linked(block.text)}</p>\n"
        if isinstance(block, Items):
            tag = "ol" if block.numbered else "ul"
            return f"<{tag}>\n" + "".join(f"<li>{linked(text)}</li>\n" for text in block.texts) + f"</{tag}>\n"
        return self._table(block) if isinstance(block, TableBlock) else self._figure(block)

    def _table(self, block: TableBlock) -> str:
        self.tables += 1
        table = html_report_table(block.table, number=f"Table {self.tables}")
        return f'<div class="{"table broad" if block.broad else "table"}">\n{table}</div>\n'

    def _figure(self, block: FigureBlock) -> str:
        self.figures += 1
        svg = inline_svg(block.figure, prefix=f"figure{self.figures}-")
        name = f"Figure {self.figures}"
        return (
            f'<figure>\n<div class="scroll" tabindex="0" role="region" aria-label="{name}">\n{svg}</div>\n'
            f"<figcaption><b>{name}.</b> {linked(block.caption)}</figcaption>\n</figure>\n"
        )


def linked(text: str) -> str:
    """Return a text as HTML with its addresses as links.

    Examples
    --------
    >>> linked("a < b, doi:10.1136/bmj.n71")
    'a &lt; b, <a href="https://doi.org/10.1136/bmj.n71">doi:10.1136/bmj.n71</a>'
    """
    pieces = with_links(printable(text))
    return "".join(f'<a href="{escape(to)}">{escape(said)}</a>' if to else escape(said) for said, to in pieces)


def inline_svg(figure: Figure, *, prefix: str) -> str:
    """Return a figure as an ``svg`` element with ``role="img"``, title and description; ids begin with `prefix`.

    Several drawings in one page must not share ids: a clip path of one would cut the other.
    """
    from ipt_evidence.figures.output import save_figure

    with tempfile.TemporaryDirectory() as folder:
        text = save_figure(figure, Path(folder) / "figure.svg").read_text(encoding="utf-8")
    text = METADATA.sub("", PROLOGUE.sub("", text, count=1), count=1)
    text = IDS.sub(rf"\g<1>{prefix}", text)
    text = LABELS.sub(lambda found: f'aria-labelledby="{" ".join(prefix + x for x in found[1].split())}"', text)
    return ANY_STYLE.sub(r"\1svg *{", text)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
