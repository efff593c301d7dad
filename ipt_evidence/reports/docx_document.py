"""A report as a Word document: real headings, tables with header rows and captions, figures with alt text, A4."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from ipt_evidence.reports.docx_package import require_docx
from ipt_evidence.reports.docx_parts import (
    add_field,
    add_link,
    describe_picture,
    describe_table,
    repeat_header,
    set_language,
    shade,
    unsplit,
)
from ipt_evidence.reports.tables import ReportTable, printable

if TYPE_CHECKING:
    from docx.document import Document

PORTRAIT_CM, LANDSCAPE_CM = (21.0, 29.7), (29.7, 21.0)
MARGIN_CM = 2.0
FIGURE_DPI = 200
TALLEST_CM = 21.5
HEADER_FILL = "E7ECF0"
LEADING, SMALL, BODY = 13.0, 9.0, 10.5
TABLE_POINTS, BROAD_POINTS = 9.0, 7.0
CM_PER_CHARACTER_POINT = 0.0194  # half the height of a letter: 0.55 x 2.54 / 72
LONGEST_WORD, CELL_PADDING, WIDEST = 20, 4, 90


def write_docx(report: Report, path: Path) -> None:
    """Write a report as a Word document.

    Raises
    ------
    MissingExtraError
        python-docx is not installed.
    """
    require_docx()
    import docx

    document = docx.Document()
    _prepare(document, report)
    document.add_heading(printable(report.title), level=0)
    writer = _Writer(document)
    for turned, blocks in spreads(report.blocks):
        writer.turn(broad=turned)
        for block in blocks:
            writer.write(block)
    document.save(str(path))


def _prepare(document: Document, report: Report) -> None:
    """Set page, fonts, language, page numbers and file properties."""
    from docx.shared import Pt

    _size(document.sections[0], PORTRAIT_CM)
    styles: Any = document.styles
    styles["Normal"].font.name = "Calibri"
    styles["Normal"].font.size = Pt(BODY)
    styles["Caption"].font.size = Pt(SMALL + 0.5)
    styles["Caption"].paragraph_format.keep_with_next = True
    set_language(styles, "en-GB")
    properties = document.core_properties
    properties.title = printable(report.title)
    properties.subject = printable(report.description)[:255]
    properties.author, properties.comments, properties.language = "ipt_evidence", "", "en-GB"
    footer = document.sections[0].footer.paragraphs[0]
    footer.add_run("Page ")
    add_field(footer, "PAGE", "1")


def _size(section: Any, size: tuple[float, float]) -> None:
    from docx.enum.section import WD_ORIENT
    from docx.shared import Cm

    section.page_width, section.page_height = Cm(size[0]), Cm(size[1])
    section.orientation = WD_ORIENT.LANDSCAPE if size[0] > size[1] else WD_ORIENT.PORTRAIT
    for side in ("left_margin", "right_margin", "top_margin", "bottom_margin"):
        setattr(section, side, Cm(MARGIN_CM))


class _Writer:
    """Writes blocks one after the other; counts tables and figures, turns pages for broad tables."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.broad = False
        self.numbers = {"Table": 0, "Figure": 0}

    def write(self, block: Block) -> None:
        """Write one block."""
        if isinstance(block, Heading):
            self.document.add_heading(printable(block.text), level=block.level)
        elif isinstance(block, Paragraph):
            self._paragraph(block)
        elif isinstance(block, Items):
            for text in block.texts:
                style = "List Number" if block.numbered else "List Bullet"
                self._linked(self.document.add_paragraph(style=style), text)
        elif isinstance(block, TableBlock):
            self._table(block.table, BROAD_POINTS if block.broad else TABLE_POINTS)
        else:
            self._figure(block)

    def turn(self, *, broad: bool) -> None:
        """Begin a new section when the page has to be turned."""
        if broad == self.broad:
            return
        from docx.enum.section import WD_SECTION

        _size(self.document.add_section(WD_SECTION.NEW_PAGE), LANDSCAPE_CM if broad else PORTRAIT_CM)
        self.broad = broad

    def _paragraph(self, block: Paragraph) -> None:
        from docx.shared import Pt

        paragraph = self.document.add_paragraph()
        self._linked(paragraph, block.text)
        size = {"lead": LEADING, "note": SMALL}.get(block.kind)
        if size is not None:
            for run in paragraph.runs:
                run.font.size = Pt(size)

    def _linked(self, paragraph: Any, text: str) -> None:
        for said, address in with_links(printable(text)):
            if address:
                add_link(paragraph, said, address)
            else:
                paragraph.add_run(said)

    def _caption(self, kind: str, text: str, *, above: bool) -> str:
        """Add a caption with a number that Word keeps up to date; return it as text."""
        self.numbers[kind] += 1
        paragraph: Any = self.document.add_paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = above
        paragraph.add_run(f"{kind} ")
        add_field(paragraph, f"SEQ {kind} \\* ARABIC", str(self.numbers[kind]))
        self._linked(paragraph, f". {text}")
        return f"{kind} {self.numbers[kind]}. {text}"

    def _table(self, content: ReportTable, points: float) -> None:
        from docx.shared import Pt

        caption = self._caption("Table", content.caption, above=True)
        table = self.document.add_table(rows=1, cols=len(content.columns), style="Table Grid")
        table.autofit = False
        describe_table(table, caption)
        widths = _widths(content, self.broad, points)
        for column, width in zip(table.columns, widths, strict=True):
            column.width = width
        _fill(table.rows[0], [c.header for c in content.columns], content, points, widths, bold=True)
        repeat_header(table.rows[0])
        for row in content.cells:
            added = table.add_row()
            _fill(added, row, content, points, widths)
            unsplit(added)
        for note in content.notes:
            paragraph = self.document.add_paragraph()
            self._linked(paragraph, note)
            for run in paragraph.runs:
                run.font.size = Pt(SMALL - 1)
        if not content.notes:
            self.document.add_paragraph()

    def _figure(self, block: FigureBlock) -> None:
        from docx.shared import Cm

        from ipt_evidence.figures.output import save_figure

        across, tall = block.figure.get_size_inches()
        widest = PORTRAIT_CM[0] - 2 * MARGIN_CM
        scale = min(widest / across, TALLEST_CM / tall)
        with tempfile.TemporaryDirectory() as folder:
            file = save_figure(block.figure, Path(folder) / "figure.png", dpi=FIGURE_DPI)
            picture = self.document.add_picture(str(file), width=Cm(scale * across))
        self.document.paragraphs[-1].paragraph_format.keep_with_next = True
        describe_picture(picture, f"Figure {self.numbers['Figure'] + 1}", printable(block.alt))
        self._caption("Figure", block.caption, above=False)


def _widths(content: ReportTable, broad: bool, points: float) -> list[Any]:
    """Return the width of each column: its longest word first, then the rest of the room by how much text it has."""
    from docx.shared import Cm

    room = (LANDSCAPE_CM if broad else PORTRAIT_CM)[0] - 2 * MARGIN_CM
    characters = room / (points * CM_PER_CHARACTER_POINT)
    least, most = [], []
    for position, column in enumerate(content.columns):
        cells = [row[position] for row in content.cells]
        parts = cells if column.align == "right" else [word for text in cells for word in text.split()]
        words = map(len, (*column.header.split(), *parts))
        least.append(min(max(words, default=1), LONGEST_WORD) + CELL_PADDING)
        most.append(min(max(map(len, cells), default=1), WIDEST) + CELL_PADDING)
    wish = [max(m - n, 0) for m, n in zip(most, least, strict=True)]
    spare = max(characters - sum(least), 0.0) / max(sum(wish), 1)
    shares = [n + spare * w for n, w in zip(least, wish, strict=True)]
    return [Cm(room * share / sum(shares)) for share in shares]


def _fill(row: Any, texts: Any, content: ReportTable, points: float, widths: list[Any], *, bold: bool = False) -> None:
    """Write the cells of a row; the first cell names it."""
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    for position, (cell, text, column) in enumerate(zip(row.cells, texts, content.columns, strict=True)):
        cell.width = widths[position]
        paragraph = cell.paragraphs[0]
        paragraph.paragraph_format.space_after = Pt(0)
        paragraph.paragraph_format.keep_with_next = bold
        if column.align == "right":
            paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        run = paragraph.add_run(text)
        run.font.size = Pt(points)
        run.bold = bold or position == 0
        if bold:
            shade(cell, HEADER_FILL)
