"""What python-docx has no call for: fields, links, alt texts, repeated header rows, the language."""

from __future__ import annotations

from typing import Any


def _element(name: str, **attributes: str) -> Any:
    """Return a WordprocessingML element such as ``w:tblHeader`` with its attributes (``val`` for ``w:val``)."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    element: Any = OxmlElement(name)
    for key, value in attributes.items():
        element.set(qn(f"w:{key}"), value)
    return element


def add_field(paragraph: Any, code: str, shown: str) -> None:
    """Add a field that Word computes, such as a page number, with what is shown until it does."""
    for part in ("begin", "instruction", "separate", "text", "end"):
        run = paragraph.add_run()
        if part == "instruction":
            instruction = _element("w:instrText")
            instruction.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
            instruction.text = f" {code} "
            run._r.append(instruction)
        elif part == "text":
            run.text = shown
        else:
            run._r.append(_element("w:fldChar", fldCharType=part))


def add_link(paragraph: Any, text: str, address: str) -> None:
    """Add a link."""
    from docx.opc.constants import RELATIONSHIP_TYPE
    from docx.oxml.ns import qn
    from docx.shared import RGBColor

    link = _element("w:hyperlink")
    link.set(qn("r:id"), paragraph.part.relate_to(address, RELATIONSHIP_TYPE.HYPERLINK, is_external=True))
    run = paragraph.add_run(text)
    run.font.color.rgb = RGBColor(0x0B, 0x53, 0x94)
    run.font.underline = True
    link.append(run._r)
    paragraph._p.append(link)


def describe_picture(picture: Any, name: str, alt: str) -> None:
    """Set the name and the alternative text of a picture."""
    properties = picture._inline.docPr
    properties.set("name", name)
    properties.set("descr", alt)


def describe_table(table: Any, caption: str) -> None:
    """Set the title of a table that screen readers read, in the place where the schema wants it."""
    properties = table._tbl.tblPr
    properties.append(_element("w:tblCaption", val=caption))


def repeat_header(row: Any) -> None:
    """Mark a row as header: it is repeated on every page."""
    properties = row._tr.get_or_add_trPr()
    properties.append(_element("w:cantSplit"))
    properties.append(_element("w:tblHeader"))


def unsplit(row: Any) -> None:
    """Keep a row on one page."""
    row._tr.get_or_add_trPr().append(_element("w:cantSplit"))


def shade(cell: Any, fill: str) -> None:
    """Colour the background of a cell."""
    cell._tc.get_or_add_tcPr().append(_element("w:shd", val="clear", color="auto", fill=fill))


def set_language(styles: Any, language: str) -> None:
    """Set the language that spelling and screen readers go by."""
    properties = styles["Normal"].element.get_or_add_rPr()
    properties.append(_element("w:lang", val=language))
