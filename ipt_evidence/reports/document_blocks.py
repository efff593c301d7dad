"""What a report consists of, whatever it is written as: headings, paragraphs, lists, tables, figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from ipt_evidence.reports.tables import ReportTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINK = re.compile(r"\bdoi:(10\.\S+)|\bhttps?://[^\s<>\"]+")
TRAILING = ".,;:)]"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the title of the report is level 0."""

    text: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `lead` is the answer in large type, `note` is small."""

    text: str
    kind: Literal["plain", "lead", "note"] = "plain"


@dataclass(frozen=True, slots=True)
class Items:
    """A list, numbered or not."""

    texts: tuple[str, ...]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table; a broad one stands on a page of its own, turned."""

    table: ReportTable
    broad: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FigureBlock:
    """A figure with its caption and the text for people who cannot see it."""

    figure: Figure = field(repr=False)
    caption: str
    alt: str


Block = Heading | Paragraph | Items | TableBlock | FigureBlock


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A report before it is written.

    Attributes
    ----------
    title : str
    description : str
        One sentence for search engines and file properties.
    blocks : tuple of Heading, Paragraph, Items, TableBlock, FigureBlock
        In reading order, the title not among them.
    """

    title: str
    description: str
    blocks: tuple[Block, ...] = field(repr=False)


def spreads(blocks: Iterable[Block]) -> Iterator[tuple[bool, list[Block]]]:
    """Yield the blocks in runs that stand on pages of one kind, each with whether these are turned.

    Headings and the paragraphs after them go with what they introduce, so that none stays alone on a page.
    """
    turned, run, introduction = False, list[Block](), list[Block]()
    for block in blocks:
        if isinstance(block, Heading) or (introduction and isinstance(block, Paragraph)):
            introduction.append(block)
            continue
        broad = isinstance(block, TableBlock) and block.broad
        if broad != turned:
            if run:
                yield turned, run
            turned, run = broad, []
        run += [*introduction, block]
        introduction = []
    if run or introduction:
        yield turned, [*run, *introduction]


def with_links(text: str) -> list[tuple[str, str]]:
    """Return a text in pieces, each with the address it leads to; empty for plain text.

    Examples
    --------
    >>> with_links("See doi:10.1136/bmj.n71.")
    [('See ', ''), ('doi:10.1136/bmj.n71', 'https://doi.org/10.1136/bmj.n71'), ('.', '')]
    """
    pieces, start = [], 0
    for found in LINK.finditer(text):
        whole = found[0].rstrip(TRAILING)
        if whole.count("(") > whole.count(")"):
            whole = found[0][: len(whole) + 1]
        if found.start() > start:
            pieces.append((text[start : found.start()], ""))
        doi = whole.removeprefix("doi:")
        pieces.append((whole, f"https://doi.org/{quote(doi, safe='/():;.-_')}" if found[1] else whole))
        start = found.start() + len(whole)
    if start < len(text):
        pieces.append((text[start:], ""))
    return pieces
