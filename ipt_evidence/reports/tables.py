"""The table of a report: the numbers as computed, the cells as printed, and the table in each format people need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ipt_evidence.errors import OptionError
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

Align = Literal["left", "right"]
NOT_PRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
SUFFIXES = (".md", ".tex", ".html", ".csv")


@dataclass(frozen=True, slots=True)
class Column:
    """How one column is printed.

    Attributes
    ----------
    name : str
        Its name in the data.
    header : str
        Its heading.
    align : {"left", "right"}
        Text to the left, numbers to the right.
    wide : bool
        Whether its cells are sentences that need room and may break.
    """

    name: str
    header: str
    align: Align = "left"
    wide: bool = False


@readable
@dataclass(frozen=True, slots=True, eq=False)
class ReportTable:
    """A table as it stands in a report: the first column names the rows.

    Attributes
    ----------
    data : pandas.DataFrame
        The values behind it, under machine-readable names.
    columns : tuple of Column
        What is printed, in this order.
    cells : tuple of tuple of str
        The printed text, row by row.
    caption : str
        What the table shows.
    notes : tuple of str
        What a reader must know to read it.
    """

    data: pd.DataFrame = field(repr=False)
    columns: tuple[Column, ...]
    cells: tuple[tuple[str, ...], ...] = field(repr=False)
    caption: str
    notes: tuple[str, ...] = ()

    def tidy(self) -> pd.DataFrame:
        """Return the values behind the table."""
        return self.data.copy()

    def to_markdown(self) -> str:
        """Return the table as a Markdown (pipe) table with its caption and notes; markup in the cells is escaped."""
        from ipt_evidence.reports.tables_markdown import markdown_table

        return markdown_table(self)

    def to_latex(self, *, label: str = "") -> str:
        r"""Return the table as LaTeX; special characters are escaped.

        Parameters
        ----------
        label : str, optional
            For ``\ref``; none by default.

        Returns
        -------
        str
            A ``longtable``, which breaks across pages; the preamble needs ``\usepackage{booktabs,longtable,array}``.
        """
        from ipt_evidence.reports.latex import latex_table

        return latex_table(self, label=label)

    def to_html(self) -> str:
        """Return the table as HTML with header cells, caption and notes; every value is escaped."""
        from ipt_evidence.reports.tables_html import html_report_table

        return html_report_table(self)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the table to a file; the ending says how: ``.md``, ``.tex``, ``.html``, ``.csv`` (the values).

        Raises
        ------
        OptionError
            The ending is another one.
        """
        target = Path(path)
        if target.suffix.lower() not in SUFFIXES:
            raise OptionError(f"path must end in {', '.join(SUFFIXES)}; received {str(target)!r}")
        kind = target.suffix.lower()
        if kind == ".csv":
            text = self.data.to_csv(index=False)
        else:
            text = {".md": self.to_markdown, ".tex": self.to_latex, ".html": self.to_html}[kind]()
        target.write_text(text, encoding="utf-8")
        return target

    def _repr_html_(self) -> str:
        return self.to_html()


def printable(text: object) -> str:
    r"""Return a text on one line without the characters that no document may hold.

    Examples
    --------
    >>> printable("two\nlines\x0b")
    'two lines'
    """
    return " ".join(NOT_PRINTABLE.sub("", str(text)).split())


def report_table(
    data: pd.DataFrame,
    columns: Sequence[Column],
    cells: Iterable[Sequence[object]],
    *,
    caption: str,
    notes: Sequence[str] = (),
) -> ReportTable:
    """Return a table of printable cells."""
    rows = tuple(tuple(printable(cell) for cell in row) for row in cells)
    return ReportTable(data, tuple(columns), rows, printable(caption), tuple(printable(n) for n in notes if n))


def without_empty(table: ReportTable, *, empty: Sequence[str] = ("", "–")) -> ReportTable:
    """Return the table without the columns in which no row has anything; the values stay."""
    if not table.cells:
        return table
    used = [j for j in range(len(table.columns)) if j == 0 or any(row[j] not in empty for row in table.cells)]
    columns = tuple(table.columns[j] for j in used)
    cells = tuple(tuple(row[j] for j in used) for row in table.cells)
    return ReportTable(table.data, columns, cells, table.caption, table.notes)
