"""The sensitivity analyses of a menu as a forest: one row per analysis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from ipt_evidence.figures.forest import draw_table, new_page, written
from ipt_evidence.figures.forest_marks import DIAMOND, LABELS
from ipt_evidence.figures.forest_options import read_options
from ipt_evidence.figures.forest_rows import ForestTable
from ipt_evidence.figures.layout import LEAST_PANEL, Layout, plan, plan_in_box, plan_page
from ipt_evidence.figures.measure import Screen, TextMeasure
from ipt_evidence.figures.menu_plot_table import (
    MARKED,
    NARROWER,
    MenuFigure,
    describe_menu,
    menu_figure,
    notes_of,
)
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle, drawing_context, resolve_style
from ipt_evidence.figures.style_fonts import missing_glyphs_said, style_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.evidence.menu import AnalysisMenu

LABEL = "_reference analysis"
DASHES = (0, (1.5, 2))
ONE_ROW = 0.5


def menu_plot(
    menu: AnalysisMenu,
    *,
    columns: Sequence[str] | None = None,
    reference: str | None = "overall",
    favours: tuple[str, str] | None = None,
    xlim: tuple[float, float] | None = None,
    title: str = "",
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the sensitivity analyses of a menu: one row each, with effect, intervals and number needed to treat.

    Parameters
    ----------
    menu : AnalysisMenu
        From :func:`ipt_evidence.analysis_menu`; with groups each has its own rows and its own dotted line.
    columns : sequence of str, optional
        Text columns, among ``"k"`` (effects in the model), ``"trials"``, ``"effect"`` (with its interval), ``"pi"``,
        ``"i2"`` and ``"nnt"``. Default: all that have something to show and room on the page; where a page is narrow
        the number needed to treat goes first, then the numbers of the prediction interval, which is drawn in any case.
    reference : str, optional
        The analysis whose effect a dotted line marks. Default: ``"overall"``; ``None`` draws none.
    favours : tuple of str, optional
        Who is favoured left and right of no difference. Default: the arms of the column `contrast`.
    xlim : tuple of float, optional
        Limits of the effect axis; intervals beyond them end in an arrow. Default: from the data.
    title : str
        A line over the figure.
    style : FigureStyle or str, optional
        Fonts, sizes and colours; see :func:`ipt_evidence.forest_plot`.
    width_mm : float, optional
        Width of a new figure. Default: that of the style, 180.
    ax : matplotlib.axes.Axes, optional
        Draw into this axes: it becomes the panel, and the columns take the rest of its box.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        It is no menu, or an option is not possible.

    Notes
    -----
    An analysis that could not be made keeps its row and says why. A correction for selective publication which
    :func:`ipt_evidence.bias_table` would not trust with these trials has a white diamond.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.figures.menu_plot import menu_plot
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    >>> mine = effects[(effects["contrast"] == "ipt_vs_control") & (effects["condition"] == "anxiety")]
    >>> fig = menu_plot(ipt.analysis_menu(mine, analyses=["overall", "combined", "low_risk_of_bias"]))
    >>> ipt.alt_text(fig)[:76]
    "Sensitivity analyses. 2 analyses of up to 3 trials, Hedges' g 0.52 (All effe"
    """
    look = resolve_style(style)
    look = look if width_mm is None else replace(look, width_mm=float(width_mm))
    options: dict[str, Any] = {"favours": favours, "xlim": xlim, "title": title}
    asked = read_options(look, options)  # type: ignore[arg-type]
    found = menu_figure(menu, asked, columns, reference)
    look = style_for(look, written(found.table, look))
    hinting = mpl.rcParams["text.hinting"]
    with drawing_context(), missing_glyphs_said():
        if ax is None:
            table, layout, look = _on_a_page(menu, found, look, reference, droppable=columns is None)
            ax = new_page(layout, look)
        else:
            table = found.table
            layout, look = _in_a_box(found, look, ax, hinting)
        draw_table(ax, table, layout, look, title)
        _whiten(ax, found, layout)
        _dotted(ax, found, layout, look)
    remember_alt_text(ax, describe_menu(menu))
    root: Figure = ax.figure.figure
    return root


def _on_a_page(
    menu: AnalysisMenu, found: MenuFigure, look: FigureStyle, reference: str | None, *, droppable: bool
) -> tuple[ForestTable, Layout, FigureStyle]:
    """Return the table without the columns for which there is no room, its layout and its style."""
    table, target = found.table, look.width_mm * POINTS_PER_MM + 0.5
    narrow = replace(look, panel_min=min(look.panel_min, LEAST_PANEL), column_gap=0.75 * look.column_gap)
    measure = TextMeasure(look)
    for name in (None, *(f"text_{name}" for name in NARROWER)) if droppable else ():
        table = replace(table, columns=tuple(column for column in table.columns if column.name != name))
        if plan(table, narrow, title=table.options.title, xlim=found.xlim, measure=measure).width <= target:
            break
    table = replace(table, notes=notes_of(menu, replace(found, table=table), reference))
    layout, look = plan_page(table, look, title=table.options.title, xlim=found.xlim)
    return table, layout, look


def _in_a_box(found: MenuFigure, look: FigureStyle, ax: Axes, hinting: Any) -> tuple[Layout, FigureStyle]:
    """Return layout and style for the box of the caller's axes, after the figure's own layout engine has run."""
    root: Any = ax.figure.figure
    if root.get_layout_engine() is not None:
        root.draw_without_rendering()
    box = (float(ax.bbox.width) * 72 / root.dpi, float(ax.bbox.height) * 72 / root.dpi)
    screen = Screen(float(root.dpi), hinting)
    return plan_in_box(found.table, look, box, title=found.table.options.title, xlim=found.xlim, screen=screen)


def _whiten(ax: Axes, found: MenuFigure, layout: Layout) -> None:
    """Draw the diamonds of doubtful corrections without their colour."""
    rows = found.table.rows
    named = [pair in found.doubtful for pair in zip(rows["group"], rows["label"], strict=True)]
    heights = [layout.middle(float(y)) for y in rows.loc[named, "position"]]
    for patch in ax.patches:
        middle = float(np.asarray(patch.get_path().vertices)[:, 1].min()) + DIAMOND
        if patch.get_label() == LABELS["diamond"] and any(abs(middle - y) < ONE_ROW for y in heights):
            patch.set_facecolor("#FFFFFF")
            patch.set_linewidth(0.9)


def _dotted(ax: Axes, found: MenuFigure, layout: Layout, look: FigureStyle) -> None:
    """Draw the line of the reference analysis beside the marks of each group."""
    from matplotlib.collections import LineCollection

    rows = found.table.rows
    lines = []
    for group, value in found.references.items():
        if not layout.axis.low <= value <= layout.axis.high:
            continue
        mine = rows[(rows["group"] == group) & rows["kind"].isin(MARKED)]
        for start, n in zip(mine["position"], mine["lines"], strict=True):
            lines.append([(value, start - 0.5), (value, start + n - 0.5)])
    style: dict[str, Any] = {"colors": look.rule, "linewidths": 0.7, "linestyles": [DASHES], "zorder": 1}
    ax.add_collection(LineCollection(lines, label=LABEL, **style), autolim=False)
