"""A forest plot of many rows on several pages: the same columns and the same axis on each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.columns import Columns
from ipt_evidence.figures.forest import draw_table, new_page, written
from ipt_evidence.figures.forest_alt import describe_forest
from ipt_evidence.figures.forest_options import ForestOptions, RowOptions, read_options
from ipt_evidence.figures.forest_rows import ForestInput, ForestTable, build_table
from ipt_evidence.figures.layout import Layout, page_height, plan_page
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.style import FigureStyle, drawing_context, resolve_style
from ipt_evidence.figures.style_fonts import missing_glyphs_said, style_for
from ipt_evidence.options import names_options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST_ROWS = 10
STAYS_WITH_ROW_BEFORE = (
    "subtotal",
    "overall",
    "common",
    "prediction",
    "heterogeneity",
    "between",
    "note",
    "outcome",
    "spacer",
)
STAYS_WITH_ROW_AFTER = ("group", "common")
LOOK_BACK = 12


@names_options(ForestOptions, defaults=RowOptions())
def forest_pages(
    fit_or_fits: ForestInput,
    *,
    rows_per_page: int = 60,
    style: FigureStyle | str | None = None,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
    **options: Unpack[ForestOptions],
) -> list[Figure]:
    """Draw a forest plot on as many pages as it needs.

    Parameters
    ----------
    fit_or_fits, style, columns, sort, risk_of_bias
        As for :func:`ipt_evidence.forest_plot`.
    rows_per_page : int, optional
        Most lines of text on a page, headers included, at least 10.
    **options
        As for :func:`ipt_evidence.forest_plot`; every trial has a label unless ``thin=True``.

    Returns
    -------
    list of matplotlib.figure.Figure
        The pages. ``save_figure(pages, "forest.pdf")`` writes them into one file.

    Raises
    ------
    OptionError
        `rows_per_page` is not a whole number of at least 10, or as for :func:`ipt_evidence.forest_plot`.

    Notes
    -----
    Every page has the headers and the same axis, and squares of one weight have one size on all of them. A group that
    goes on says so. What was pooled and its statistics stay with the last trials; footnotes stand on the last page.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.figures.forest_pages import forest_pages
    >>> table = pd.DataFrame({"study": [f"Trial {i}" for i in range(90)], "effect": 0.3, "variance": 0.04})
    >>> len(forest_pages(ipt.pool(table, ci_method="wald"), rows_per_page=40))
    3
    """
    if not isinstance(rows_per_page, int) or isinstance(rows_per_page, bool) or rows_per_page < LEAST_ROWS:
        raise OptionError(f"rows_per_page must be a whole number of at least {LEAST_ROWS}; received {rows_per_page!r}")
    look = resolve_style(style)
    asked = read_options(look, options, columns=columns, sort=sort, risk_of_bias=risk_of_bias)
    asked = asked if asked.thin is not None else replace(asked, thin=False)
    table = build_table(fit_or_fits, asked)
    look = style_for(look, written(table, look))
    text = describe_forest(fit_or_fits, table)
    with drawing_context(), missing_glyphs_said():
        whole, look = plan_page(table, look, title=asked.title, xlim=asked.xlim)
        parts = _split(table, rows_per_page)
        return [_page(part, i, len(parts), whole, look, text) for i, part in enumerate(parts, start=1)]


def _page(part: ForestTable, i: int, n: int, whole: Layout, look: FigureStyle, text: str) -> Figure:
    """Return one page, drawn with the columns and the axis of the whole."""
    title = part.options.title
    told = f"Page {i} of {n}." if n > 1 else ""
    notes = (*(whole.notes if i == n else ()), *((told,) if told else ()))
    height = page_height(part, look, whole.top, len(notes))
    layout = replace(whole, notes=notes, height=height, n_lines=int(part.rows["lines"].sum()))
    ax = new_page(layout, look)
    draw_table(ax, part, layout, look, title if not title or i == 1 else f"{title} (continued)")
    remember_alt_text(ax, f"{text} {told}".strip())
    page: Figure = ax.figure.figure
    return page


def _split(table: ForestTable, most: int) -> list[ForestTable]:
    """Return the table in pages, each with the headers; a group that goes on is named again."""
    rows = table.rows
    heads = rows.loc[rows["kind"].isin(["span", "header"])]
    body = rows.loc[~rows["kind"].isin(["span", "header"])].reset_index(drop=True)
    room = most * table.line - int(heads["lines"].sum())
    pages = []
    start = 0
    while start < len(body):
        again = _continued(body, start, table.line) if start else body.iloc[:0]
        end = _page_end(body, start, room - int(again["lines"].sum()))
        pages.append(_numbered(table, pd.concat([heads, again, body.iloc[start:end]], ignore_index=True)))
        start = end
    return pages


def _page_end(body: pd.DataFrame, start: int, room: int) -> int:
    """Return where a page that begins at a row ends: what belongs together stays together where it can."""
    height = body["lines"].iloc[start:].cumsum().to_numpy()
    last = start + max(1, int((height <= room).sum()))
    if last >= len(body):
        return len(body)
    kinds = body["kind"].tolist()
    for end in range(last, max(start, last - LOOK_BACK), -1):
        together = kinds[end] in STAYS_WITH_ROW_BEFORE or kinds[end - 1] in STAYS_WITH_ROW_AFTER
        if not together or kinds[end] == "spacer":
            return end
    return last


def _continued(body: pd.DataFrame, start: int, line: int) -> pd.DataFrame:
    """Return the headings of the groups that go on at a row; none where a new group begins."""
    level = int(body["level"].iloc[start])
    kind = body["kind"].iloc[start]
    if level == 0 or (kind == "group" and level == 0):
        return body.iloc[:0]
    found = []
    wanted = level - 1
    for i in range(start - 1, -1, -1):
        row = body.iloc[i]
        if row["kind"] == "group" and row["level"] == wanted:
            found.append(i)
            wanted -= 1
        if wanted < 0:
            break
    again = body.iloc[found[::-1]].copy()
    again["text_label"] = [f"{text} (continued)" for text in again["text_label"]]
    again["lines"] = line
    return again


def _numbered(table: ForestTable, rows: pd.DataFrame) -> ForestTable:
    """Return a page with its own positions; the fits of prediction intervals move with their rows."""
    old = rows["position"].tolist()
    rows = rows.assign(position=(rows["lines"].cumsum() - rows["lines"]).astype(int))
    moved = {
        int(new): table.predicted[int(before)]
        for before, new, kind in zip(old, rows["position"], rows["kind"], strict=True)
        if kind == "prediction"
    }
    return replace(table, rows=rows, predicted=moved)
