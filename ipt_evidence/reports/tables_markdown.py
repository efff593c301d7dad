"""Tables and texts as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipt_evidence.reports.tables import ReportTable

SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$&#])")


def escape_markdown(text: str) -> str:
    r"""Return a text in which nothing is markup.

    Examples
    --------
    >>> print(escape_markdown("a_b | <i>"))
    a\_b \| \<i\>
    """
    return SPECIAL.sub(r"\\\1", text)


def markdown_table(table: ReportTable) -> str:
    """Return a pipe table with its caption above and its notes below."""
    heads = [escape_markdown(column.header) for column in table.columns]
    rule = ["---:" if column.align == "right" else ":---" for column in table.columns]
    rows = [[escape_markdown(cell) for cell in row] for row in table.cells]
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)]
    notes = [escape_markdown(note) for note in table.notes]
    return "\n\n".join([f"**{escape_markdown(table.caption)}**", "\n".join(lines), *notes]) + "\n"
