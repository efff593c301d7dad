"""How results are shown: a captioned HTML table in a notebook, and the same words and numbers in a terminal."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Result = TypeVar("Result")
WIDTH = 110
"""Characters of a line in a terminal; wider tables are continued below."""
MOST_ROWS = 40
WIDEST_CELL = 45
MOST_ROWS_CONTINUED = 20
WIDEST_CELL_CONTINUED = 28


def table_html(table: pd.DataFrame, caption: str, notes: Sequence[str] = ()) -> str:
    """Return a table as HTML with a caption above and notes below; no colours, so it suits light and dark pages.

    Parameters
    ----------
    table : pandas.DataFrame
        What to show; numbers get three decimals.
    caption : str
        What the table shows and how it was made.
    notes : sequence of str
        What to mind.
    """
    body = table.to_html(index=False, na_rep="-", float_format="{:.3f}".format, border=0)
    body = body.replace("<thead>", f"<caption>{html.escape(caption)}</caption>\n  <thead>", 1)
    return body + "".join(f"<p>{html.escape(note)}</p>" for note in notes)


def readable(cls: type[Result]) -> type[Result]:
    """Give a result class a `repr` to read in a terminal: its text or summary, else what its HTML says.

    Parameters
    ----------
    cls : type
        A class with a ``__str__`` of its own, with a method ``summary`` that returns text, or with ``_repr_html_``.

    Examples
    --------
    >>> @readable
    ... class Answer:
    ...     def _repr_html_(self):
    ...         import pandas as pd
    ...
    ...         return table_html(pd.DataFrame({"k": [3], "estimate": [0.5]}), "Three trials", ("Few trials.",))
    >>> Answer()
    Three trials
      k estimate
      3    0.500
    Few trials.
    """
    cls.__repr__ = _as_text  # type: ignore[method-assign]
    return cls


def _as_text(result: object) -> str:
    if type(result).__str__ is not object.__str__:
        return str(result)
    summary = getattr(result, "summary", None)
    said = summary() if callable(summary) else None
    if isinstance(said, str):
        return said
    return text_of(result._repr_html_())  # type: ignore[attr-defined]


def text_of(page: str) -> str:
    """Return the captions, tables and paragraphs of a piece of HTML as text."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return "\n".join(reader.parts)


class _Reader(HTMLParser):
    """Collects captions, the cells of tables, and the texts around them."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._text: list[str] = []
        self._rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("table", "caption", "p", "pre", "li", "th", "td"):
            self._text = []
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag == "br":
            self._text.append(" ")

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        text = "".join(self._text)
        if tag in ("th", "td") and self._rows:
            self._rows[-1].append(" ".join(text.split()))
        elif tag in ("caption", "p", "li"):
            self.parts.append(textwrap.fill(" ".join(text.split()), WIDTH))
        elif tag == "pre":
            self.parts.append(text.rstrip())
        elif tag == "table":
            self.parts.append(_table_text(self._rows))
        else:
            return
        self._text = []


def _table_text(rows: list[list[str]]) -> str:
    """Return rows of cells, the headers first, as an indented table."""
    import pandas as pd

    if len(rows) < 2:
        return "  (no rows)"
    columns = max(map(len, rows))
    for most, widest in ((MOST_ROWS, WIDEST_CELL), (MOST_ROWS_CONTINUED, WIDEST_CELL_CONTINUED)):
        cells = [[_cut(cell, widest) for cell in row] + [""] * (columns - len(row)) for row in rows[: most + 1]]
        table = pd.DataFrame(cells[1:], columns=cells[0])
        if len(table.to_string(index=False).split("\n", 1)[0]) <= WIDTH:
            break
    text = textwrap.indent(table.to_string(index=False, line_width=WIDTH), " ")
    more = len(rows) - 1 - most
    return text + (f"\n  ... and {more} more rows" if more > 0 else "")


def _cut(cell: str, widest: int) -> str:
    return cell if len(cell) <= widest else cell[: widest - 1].rstrip() + "…"
