"""The forest plot: draws the rows of :func:`ipt_evidence.forest_rows` and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import matplotlib as mpl
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform, blended_transform_factory

from ipt_evidence.errors import EvidenceWarning
from ipt_evidence.figures.columns import Columns
from ipt_evidence.figures.forest_alt import describe_forest
from ipt_evidence.figures.forest_marks import draw_marks
from ipt_evidence.figures.forest_options import ForestOptions, RowOptions, read_options
from ipt_evidence.figures.forest_rows import ForestInput, ForestTable, build_table
from ipt_evidence.figures.forest_text import TextDrawing
from ipt_evidence.figures.forest_widths import favours_texts
from ipt_evidence.figures.layout import BOTTOM_PAD, TICK_LENGTH, Layout, plan_in_box, plan_page
from ipt_evidence.figures.measure import Screen
from ipt_evidence.figures.output import EvidenceFigure, remember_alt_text
from ipt_evidence.figures.style import FigureStyle, drawing_context, families, resolve_style
from ipt_evidence.figures.style_fonts import missing_glyphs_said, style_for
from ipt_evidence.options import names_options

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READABLE = 4.5


@names_options(ForestOptions, defaults=RowOptions())
def forest_plot(
    fit_or_fits: ForestInput,
    *,
    style: FigureStyle | str | None = None,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
    ax: Axes | None = None,
    **options: Unpack[ForestOptions],
) -> Figure:
    """Draw the trials and what was pooled from them.

    Parameters
    ----------
    fit_or_fits : PooledFit, BinaryFit, BayesFit, PooledFits, mapping or DataFrame
        From :func:`ipt_evidence.pool`, :func:`ipt_evidence.pool_by` (two grouping columns give groups inside groups),
        :func:`ipt_evidence.pool_binary`, :func:`ipt_evidence.bayes`; a dictionary of such fits; or a table of
        cumulative or leave-one-out refits.
    style : FigureStyle or str, optional
        Fonts, sizes, colours, columns and words: ``"plain"``, or after a house ``"cochrane"``, ``"jama"``, ``"bmj"``,
        ``"apa"``. A record with another `width_mm` fits the figure to that width.
    columns, sort, risk_of_bias
        What the rows are; see :func:`ipt_evidence.forest_rows`.
    ax : matplotlib.axes.Axes, optional
        Draw into this axes: it becomes the panel, and the columns take the rest of its box. Everything is made smaller
        when the box is too small. Default: a new figure, as large as its content.
    **options
        See :class:`~ipt_evidence.figures.forest_options.ForestOptions`: `rows`, `right`, `overall`, `common_effect`,
        `prediction`, `left_out`, `equivalence`, `favours`, `xlim`, `title`, `digits`, `thin`.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`. It is neither shown nor saved.

    Raises
    ------
    OptionError
        The argument is not a fit, or an option is not possible.

    Warns
    -----
    EvidenceWarning
        The box of `ax` is so small that the text cannot be read, or no installed font has the characters of a name.

    Notes
    -----
    The area of a square is proportional to the trial's weight. Ratio measures stand on a logarithmic axis. A group of
    one trial shows the trial without a diamond; a group without a usable trial says which there were and why not. Above
    250 trials each is a thin line without a label, unless ``thin=False``; :func:`ipt_evidence.forest_pages` spreads the
    labelled rows over pages.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"study": ["A 1990", "B 2001", "C 2010"], "effect": [0.2, 0.5, 0.9], "variance": 0.04})
    >>> fig = ipt.forest_plot(ipt.pool(table), sort="-effect", equivalence=0.24)
    >>> len(fig.axes)
    1
    """
    look = resolve_style(style)
    asked = read_options(look, options, columns=columns, sort=sort, risk_of_bias=risk_of_bias)
    table = build_table(fit_or_fits, asked)
    look = style_for(look, written(table, look))
    hinting = mpl.rcParams["text.hinting"]
    with drawing_context(), missing_glyphs_said():
        if ax is None:
            layout, look = plan_page(table, look, title=asked.title, xlim=asked.xlim)
            ax = new_page(layout, look)
        else:
            box = _box_of(ax)
            screen = Screen(float(ax.figure.dpi), hinting)
            layout, look = plan_in_box(table, look, box, title=asked.title, xlim=asked.xlim, screen=screen)
            _warn_small(look, layout, box)
        draw_table(ax, table, layout, look, asked.title)
    remember_alt_text(ax, describe_forest(fit_or_fits, table))
    root: Figure = ax.figure.figure
    return root


def new_page(layout: Layout, look: FigureStyle) -> Axes:
    """Return the axes of a new figure as large as the layout."""
    fig = EvidenceFigure(figsize=(layout.width / 72, layout.height / 72), dpi=look.dpi)
    return fig.add_axes((0.0, 0.0, 1.0, 1.0))


def draw_table(ax: Axes, table: ForestTable, layout: Layout, look: FigureStyle, title: str) -> None:
    """Draw the rows of a table where the layout says."""
    place = _prepare_axes(ax, layout, look)
    TextDrawing(ax, table, layout, look, place).draw(title)
    draw_marks(ax, table, layout, look, place)


def written(table: ForestTable, look: FigureStyle) -> list[str]:
    """Return every text that the figure will have."""
    texts = [name for name in table.rows.columns if str(name).startswith("text_")]
    cells = table.rows[texts].to_numpy(dtype=object).ravel()
    words = [*table.notes, *favours_texts(table, look), table.options.title, table.panel_header]
    return [*(str(cell) for cell in cells), *words]


def _box_of(ax: Axes) -> tuple[float, float]:
    """Return width and height of the caller's axes in points, after the figure's own layout engine has run."""
    root: Any = ax.figure.figure
    if root.get_layout_engine() is not None:
        root.draw_without_rendering()
    return float(ax.bbox.width) * 72 / root.dpi, float(ax.bbox.height) * 72 / root.dpi


def _warn_small(look: FigureStyle, layout: Layout, box: tuple[float, float]) -> None:
    if look.size >= READABLE:
        return
    width, height = (side * READABLE / look.size / 72 for side in (layout.width, layout.height))
    warnings.warn(
        f"the axes are too small for this forest plot: its text is {look.size:.1f} points high; it needs about "
        f"{width:.1f} x {height:.1f} inches, the box has {box[0] / 72:.1f} x {box[1] / 72:.1f}",
        EvidenceWarning,
        stacklevel=3,
    )


def _prepare_axes(ax: Axes, layout: Layout, style: FigureStyle) -> Transform:
    """Make the axes the plotting panel and return the transform of (points from the left, row position)."""
    root: Any = ax.figure.figure
    box = ax.get_position(original=False)
    parent: Any = ax.figure
    width, height = (float(side) * 72 / root.dpi for side in (parent.bbox.width, parent.bbox.height))
    panel_height = (layout.n_lines + BOTTOM_PAD * layout.line) * layout.unit / height
    ax.set_position(
        (
            box.x0 + layout.panel_left / width,
            box.y1 - layout.top / height - panel_height,
            (layout.panel_right - layout.panel_left) / width,
            panel_height,
        )
    )
    ax.set_yscale("linear")
    ax.set_xscale("log" if layout.axis.log else "linear")
    ax.set_xlim(layout.axis.low, layout.axis.high)
    ax.set_ylim(layout.bottom, -0.5)
    _style_axis(ax, layout, style)
    left_edge = ScaledTranslation(box.x0, 0, parent.transSubfigure)
    points = Affine2D().scale(1 / 72) + root.dpi_scale_trans + left_edge
    return blended_transform_factory(points, ax.transData)


def _style_axis(ax: Axes, layout: Layout, style: FigureStyle) -> None:
    """Keep the lower axis only, with the ticks of the layout."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    ax.patch.set_visible(False)
    ax.grid(visible=False)
    for side, spine in ax.spines.items():
        spine.set_visible(side == "bottom")
    ax.spines["bottom"].set(color=style.interval, linewidth=0.7)
    ax.yaxis.set_major_locator(NullLocator())
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_locator(FixedLocator(list(layout.axis.ticks)))
    ax.xaxis.set_major_formatter(FixedFormatter(layout.axis.labels()))
    ax.tick_params(
        axis="x",
        which="major",
        bottom=True,
        top=False,
        labelbottom=True,
        direction="out",
        length=TICK_LENGTH,
        width=0.7,
        pad=1.5,
        color=style.interval,
        labelcolor=style.text,
        labelsize=style.small_size,
        labelfontfamily=families(style),
    )
