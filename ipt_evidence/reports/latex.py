"""Tables and texts as LaTeX."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ipt_evidence.reports.tables import Column, ReportTable

SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u2212": r"$-$",
    "\u2013": "--",
    "\u2014": "---",
    "\u2018": "`",
    "\u2019": "'",
    "\u201c": "``",
    "\u201d": "''",
    "\u00d7": r"$\times$",
    "\u00b1": r"$\pm$",
    "\u2264": r"$\leq$",
    "\u2265": r"$\geq$",
    "\u00b2": r"\textsuperscript{2}",
    "\u03c4": r"$\tau$",
    "\u03c1": r"$\rho$",
    "\u2020": r"\textdagger{}",
    "\u00a0": "~",
}
TABLE = str.maketrans(SPECIAL)


def escape_latex(text: str) -> str:
    r"""Return a text in which nothing is a command, with the signs of this package as LaTeX knows them.

    Examples
    --------
    >>> print(escape_latex("I² = 50% & a_b"))
    I\textsuperscript{2} = 50\% \& a\_b
    """
    return text.translate(TABLE)


def latex_table(table: ReportTable, *, label: str = "") -> str:
    """Return a ``longtable`` with repeated headings; cells that are sentences get room to break."""
    columns = "".join(_column(column, table) for column in table.columns)
    heads = _row([rf"\textbf{{{escape_latex(column.header)}}}" for column in table.columns])
    mark = rf"\label{{{label}}}" if label else ""
    lines = [
        rf"\begin{{longtable}}{{{columns}}}",
        rf"\caption{{{escape_latex(table.caption)}}}{mark}\\",
        r"\toprule",
        heads,
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        heads,
        r"\midrule",
        r"\endhead",
        r"\bottomrule",
        r"\endfoot",
        *(_row([_protected(escape_latex(cell)) for cell in row]) for row in table.cells),
        r"\end{longtable}",
    ]
    if table.notes:
        notes = " ".join(escape_latex(note) for note in table.notes)
        lines.append(rf"{{\footnotesize\noindent {notes}\par}}")
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _protected(cell: str) -> str:
    """Return a cell that the line break before it cannot take for its own argument."""
    return "{}" + cell if cell.startswith(("[", "*")) else cell


def _column(column: Column, table: ReportTable) -> str:
    """Return the type of a column: a paragraph where the cells are sentences, else as wide as they are."""
    wide = sum(c.wide for c in table.columns)
    if column.wide:
        share = max(0.1, round(0.75 / wide - 0.02 * (len(table.columns) - wide) / wide, 2))
        return rf">{{\raggedright\arraybackslash}}p{{{share:g}\linewidth}}"
    return "r" if column.align == "right" else "l"
