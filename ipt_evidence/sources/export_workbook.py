"""Write a table as an XLSX workbook in which text stays text and numbers keep every digit."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.sources.export_cells import is_number_column
from ipt_evidence.sources.workbook_cells import letters

SHEET = "studies"
MAX_ROWS = 1_048_576
MAX_COLUMNS = 16_384
MAX_CHARACTERS = 32_767
CHUNK = 2_000
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
NOT_IN_XML = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# Excel reads _x000D_ as a carriage return and _x005F_ as the underscore before such a code.
ESCAPE_OF_EXCEL = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
ESCAPED_UNDERSCORE = "x005F_"
LINE_BREAK = re.compile(r"\r\n?")

HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{KIND}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{KIND}.styles+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{KIND}.sharedStrings+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">'
        f'<sheets><sheet name="{SHEET}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{OFFICE}/styles" Target="styles.xml"/>'
        f'<Relationship Id="rId3" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    ),
    "xl/styles.xml": (
        f'<styleSheet xmlns="{MAIN}"><fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0" quotePrefix="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}
SHEET_BEGIN = (
    f'<worksheet xmlns="{MAIN}"><sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews><sheetData>'
)
SHEET_END = "</sheetData></worksheet>"


def write_workbook(frame: pd.DataFrame, path: Path) -> None:
    r"""Write a table of text and numbers as the only sheet of a workbook.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table as :func:`ipt_evidence.sources.export_cells.plain_cells` makes it; not changed.
    path : pathlib.Path
        File to write; the same table gives the same bytes.

    Raises
    ------
    SchemaError
        Cells or a size that XLSX cannot hold; all are listed.

    Notes
    -----
    Every text is stored as a string, and one that does not begin with a letter or digit with the quote prefix, so that
    no program takes ``=1+1`` or ``#N/A`` for anything else, even when the cell is edited. Numbers have the 17 digits
    of a double; the libraries that write workbooks stop at 16 and take several times as long. Line breaks inside a
    cell become those of the format (``\n``).

    References
    ----------
    ECMA-376, Office Open XML file formats, part 1, SpreadsheetML: https://ecma-international.org/publications-and-standards/standards/ecma-376/
    """
    if problems := _problems(frame):
        raise SchemaError(problems, title=f"{SHEET} cannot be written as XLSX")
    strings: dict[str, int] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in PARTS.items():
            archive.writestr(_part(name), HEAD + content)
        with archive.open(_part("xl/worksheets/sheet1.xml"), "w", force_zip64=True) as sheet:
            sheet.write((HEAD + SHEET_BEGIN).encode())
            for rows in _rows(frame, strings):
                sheet.write(rows.encode())
            sheet.write(SHEET_END.encode())
        archive.writestr(_part("xl/sharedStrings.xml"), HEAD + _shared(strings))


def _part(name: str) -> zipfile.ZipInfo:
    """Return the entry of a part, with a date that is always the same."""
    entry = zipfile.ZipInfo(name, FIXED_DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _rows(frame: pd.DataFrame, strings: dict[str, int]) -> Iterator[str]:
    """Yield the rows of the sheet in pieces; texts become numbers of `strings`, to which new ones are added."""
    columns = [letters(number) for number in range(1, frame.shape[1] + 1)]
    names = [_text_cells([str(name)], column, 1, strings)[0] for name, column in zip(frame, columns, strict=True)]
    yield f'<row r="1">{"".join(names)}</row>'
    for start in range(0, len(frame), CHUNK):
        part = frame.iloc[start : start + CHUNK]
        first = start + 2
        cells = [
            _number_cells(part[name].tolist(), column, first)
            if is_number_column(part[name])
            else _text_cells(part[name].tolist(), column, first, strings)
            for name, column in zip(part, columns, strict=True)
        ]
        yield "".join(f'<row r="{at}">{"".join(row)}</row>' for at, row in enumerate(zip(*cells, strict=True), first))


def _number_cells(values: list[Any], column: str, first: int) -> list[str]:
    """Return the cells of a column of numbers, with every digit; missing ones are left out."""
    return [
        "" if value is pd.NA or value != value else f'<c r="{column}{row}"><v>{value!r}</v></c>'
        for row, value in enumerate(values, first)
    ]


def _text_cells(texts: list[str], column: str, first: int, strings: dict[str, int]) -> list[str]:
    """Return the cells of a column of text; empty ones are left out."""
    cells = []
    for row, text in enumerate(texts, first):
        if not text:
            cells.append("")
            continue
        style = "" if text[0].isalnum() else ' s="1"'
        cells.append(f'<c r="{column}{row}"{style} t="s"><v>{strings.setdefault(text, len(strings))}</v></c>')
    return cells


def _shared(strings: dict[str, int]) -> str:
    """Return the part that holds the texts."""
    items = [f'<si><t xml:space="preserve">{_xml_text(text)}</t></si>' for text in strings]
    return f'<sst xmlns="{MAIN}" uniqueCount="{len(items)}">{"".join(items)}</sst>'


def _xml_text(text: str) -> str:
    """Return a text as XML and Excel read it back."""
    if "\r" in text:
        text = LINE_BREAK.sub("\n", text)
    return escape(ESCAPE_OF_EXCEL.sub("_x005F_", text) if "_x" in text else text)


def _problems(frame: pd.DataFrame) -> list[Problem]:
    """Return what XLSX cannot hold."""
    problems = []
    if len(frame) >= MAX_ROWS or frame.shape[1] > MAX_COLUMNS:
        message = f"has {len(frame):,} rows and {frame.shape[1]:,} columns, more than a sheet holds; write CSV"
        problems.append(Problem(message))
    for name in frame.columns:
        texts = [str(name)] if is_number_column(frame[name]) else [str(name), *frame[name]]
        whole = "\n".join(texts)
        if max(map(len, texts)) <= MAX_CHARACTERS and not NOT_IN_XML.search(whole) and ESCAPED_UNDERSCORE not in whole:
            continue
        for row, text in enumerate(texts):
            if reason := _reason(text):
                problems.append(Problem(reason, row=row or None, column=str(name), value=ascii(text[:40])))
    return problems


def _reason(text: str) -> str:
    """Return why XLSX cannot hold a text, or nothing."""
    if NOT_IN_XML.search(text):
        return "holds a control character, which XLSX cannot; remove it or write CSV"
    if len(text) > MAX_CHARACTERS:
        return f"has {len(text):,} characters, a cell of XLSX holds {MAX_CHARACTERS:,}; shorten it or write CSV"
    if ESCAPED_UNDERSCORE in text:
        return (
            f"holds {ESCAPED_UNDERSCORE}, which readers of XLSX take for an escaped character; change it or write CSV"
        )
    return ""
