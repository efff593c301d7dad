"""Tables as HTML: header cells with their scope, a caption, notes below; every value escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipt_evidence.reports.tables import ReportTable


def html_report_table(table: ReportTable, *, number: str = "") -> str:
    """Return a table that scrolls sideways by itself where the screen is narrow.

    Parameters
    ----------
    table : ReportTable
    number : str, optional
        Such as ``"Table 1"``; stands before the caption.
    """
    caption = (f"<b>{escape(number)}.</b> " if number else "") + escape(table.caption)
    heads = "".join(f'<th scope="col"{_class(column)}>{escape(column.header)}</th>' for column in table.columns)
    rows = "\n".join(f"<tr>{_row(table, row)}</tr>" for row in table.cells)
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    name = escape(f"{number}. {table.caption}" if number else table.caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}">\n<table>\n<caption>{caption}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>\n</div>\n"
        + (f'<div class="notes">{notes}</div>\n' if notes else "")
    )


def _row(table: ReportTable, row: tuple[str, ...]) -> str:
    first, *rest = zip(table.columns, row, strict=True)
    cells = [f'<th scope="row"{_class(first[0])}>{escape(first[1])}</th>']
    cells += [f"<td{_class(column)}>{escape(cell)}</td>" for column, cell in rest]
    return "".join(cells)


def _class(column: object) -> str:
    names = [name for name in (getattr(column, "align", ""), "wide" if getattr(column, "wide", False) else "") if name]
    return f' class="{" ".join(names)}"'
