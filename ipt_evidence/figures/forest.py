"""The forest plot: draws the rows of :func:`ipt_evidence.forest_rows` and nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.transforms import Affine2D, ScaledTranslation, Transform, blended_transform_factory

from ipt_evidence.errors import EvidenceWarning
from ipt_evidence.figures.alt_text import describe_fit, describe_fits
from ipt_evidence.figures.columns import Columns
from ipt_evidence.figures.forest_marks import draw_marks
from ipt_evidence.figures.forest_rows import SPANNING, ForestTable, RowOptions, build_table
from ipt_evidence.figures.layout import (
    BOTTOM_PAD,
    TICK_LENGTH,
    Layout,
    below_axis,
    favours_texts,
    indent_of,
    line_offset,
    note_step,
    parts_of,
    plan,
    plan_in_box,
    size_of,
    weight_of,
)
from ipt_evidence.figures.measure import Screen
from ipt_evidence.figures.output import EvidenceFigure, remember_alt_text
from ipt_evidence.figures.style import FigureStyle, drawing_context, families, resolve_style
from ipt_evidence.pooling.result import PooledFit, PooledFits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READABLE = 4.5
BASELINE = 0.36


def forest_plot(
    fit_or_fits: PooledFit | PooledFits,
    *,
    style: FigureStyle | str | None = None,
    columns: Columns = None,
    sort: str | Sequence[str] | None = None,
    risk_of_bias: bool = False,
    overall: bool | None = None,
    prediction: bool = True,
    left_out: bool = False,
    favours: tuple[str, str] | None = None,
    xlim: tuple[float, float] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw the trials and what was pooled from them.

    Parameters
    ----------
    fit_or_fits : PooledFit or PooledFits
        From :func:`ipt_evidence.pool` or :func:`ipt_evidence.pool_by`.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    columns, sort, risk_of_bias, overall, prediction, left_out
        What the rows are; see :func:`ipt_evidence.forest_rows`.
    favours : tuple of str, optional
        Who is favoured left and right of no difference. Default: the arms of the column `contrast`; a positive effect
        favours arm 1 and stands to the right. ``("", "")`` writes nothing.
    xlim : tuple of float, optional
        Limits of the effect axis, for ratios on their own scale. Default: from the data. Intervals beyond them end in
        an arrow.
    title : str, optional
        A line over the figure.
    ax : matplotlib.axes.Axes, optional
        Draw into this axes: it becomes the panel, and the columns take the rest of its box. Everything is made smaller
        when the box is too small. Default: a new figure, as large as its content.

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
        The box of `ax` is so small that the text cannot be read.

    Notes
    -----
    The area of a square is proportional to the trial's weight. Ratio measures stand on a logarithmic axis. A group of
    one trial shows the trial without a diamond; a group without a usable trial says which there were and why not.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"study": ["A 1990", "B 2001", "C 2010"], "effect": [0.2, 0.5, 0.9], "variance": 0.04})
    >>> fig = ipt.forest_plot(ipt.pool(table), sort="-effect")
    >>> len(fig.axes)
    1
    """
    look = resolve_style(style)
    options = RowOptions(columns, sort, risk_of_bias, overall, prediction, left_out, favours)
    table = build_table(fit_or_fits, options)
    hinting = mpl.rcParams["text.hinting"]
    with drawing_context():
        if ax is None:
            layout = plan(table, look, title=title, xlim=xlim)
            fig: Figure = EvidenceFigure(figsize=(layout.width / 72, layout.height / 72), dpi=look.dpi)
            ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
        else:
            box = _box_of(ax)
            screen = Screen(float(ax.figure.dpi), hinting)
            layout, look = plan_in_box(table, look, box, title=title, xlim=xlim, screen=screen)
            _warn_small(look, layout, box)
        _Drawing(ax, table, layout, look).draw(title)
    remember_alt_text(ax, _describe(fit_or_fits, table, overall))
    root: Figure = ax.figure.figure
    return root


def _describe(fit_or_fits: PooledFit | PooledFits, table: ForestTable, overall: bool | None) -> str:
    if isinstance(fit_or_fits, PooledFit):
        return describe_fit(fit_or_fits, "Forest plot", table.favours)
    return describe_fits(fit_or_fits, "Forest plot", with_overall=bool(overall), favours=table.favours)


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


@dataclass(frozen=True, slots=True)
class _Drawing:
    """The axes, what is drawn into it, and where."""

    ax: Axes
    table: ForestTable
    layout: Layout
    style: FigureStyle

    def draw(self, title: str) -> None:
        """Draw everything."""
        place = _prepare_axes(self.ax, self.layout, self.style)
        rows = self.table.rows
        grouped = bool((rows["kind"] == "group").any())
        if title:
            self._text(place, self.layout.label, -1.3, title, self.style.size + 0.5, "bold")
        records: list[dict[str, Any]] = [{str(k): v for k, v in r.items()} for r in rows.to_dict("records")]
        for row in records:
            self._label(place, row, grouped)
            self._cells(place, row)
        self._headers(place)
        draw_marks(self.ax, self.table, self.layout, self.style, place)
        self._under_axis(place)

    def _text(
        self,
        place: Transform,
        x: float,
        y: float,
        text: str,
        size: float,
        weight: str = "normal",
        ha: str = "left",
        color: str = "",
    ) -> None:
        """Write one line whose height is centred on a row position."""
        if not text:
            return
        baseline = y + BASELINE * size / self.style.row_height
        self.ax.text(
            x,
            baseline,
            text,
            transform=place,
            fontsize=size,
            fontweight=weight,
            family=families(self.style),
            ha=ha,
            va="baseline",
            color=color or self.style.text,
            clip_on=False,
            parse_math=False,
        )

    def _label(self, place: Transform, row: dict[str, Any], grouped: bool) -> None:
        kind = row["kind"]
        size = size_of(kind, self.style)
        x = self.layout.label + indent_of(kind, grouped, self.style)
        color = self.style.muted if kind in SPANNING and kind != "group" else self.style.text
        for i, line in enumerate(str(row["text_label"]).split("\n")):
            self._text(place, x, row["position"] + line_offset(i), line, size, weight_of(kind), color=color)

    def _cells(self, place: Transform, row: dict[str, Any]) -> None:
        if row["kind"] in (*SPANNING, "spacer", "span", "header"):
            return
        for placed in self.layout.columns:
            for i, line in enumerate(str(row[placed.column.name]).split("\n")):
                for anchor, part in zip(placed.anchors, parts_of(line, placed.column), strict=False):
                    weight = weight_of(row["kind"])
                    y = row["position"] + line_offset(i)
                    self._text(place, anchor, y, part, self.style.size, weight, placed.column.align)

    def _headers(self, place: Transform) -> None:
        rows = self.table.rows
        position = float(rows.loc[rows["kind"] == "header", "position"].iloc[0])
        size = self.style.size
        for placed in self.layout.columns:
            if not placed.column.joined:
                header = placed.column.header
                self._text(place, placed.header_x, position, header, size, "bold", placed.header_align)
        for x, name in zip(self.layout.domains, self.table.domains, strict=True):
            header = str(rows.loc[rows["kind"] == "header", name].iloc[0])
            self._text(place, x, position, header, size, "bold", "center")
        middle = (self.layout.panel_left + self.layout.panel_right) / 2
        self._text(place, middle, position, self.layout.name, size, "bold", "center")
        for span in self.layout.spans:
            self._text(place, (span.left + span.right) / 2, position - 1, span.name, size, "bold", "center")
            self._rule(place, span.left, span.right, position - 0.5)
        self._rule(place, self.layout.label, self.layout.right, position + 0.5)

    def _rule(self, place: Transform, left: float, right: float, y: float) -> None:
        self.ax.plot([left, right], [y, y], transform=place, color=self.style.rule, linewidth=0.5, clip_on=False)

    def _under_axis(self, place: Transform) -> None:
        """Write who is favoured, and the footnotes."""
        style, layout = self.style, self.layout
        unit = style.row_height
        axis = layout.n_lines - 0.5 + BOTTOM_PAD + TICK_LENGTH / unit
        reference, gap = layout.x(layout.axis.reference), 0.8 * style.small_size
        left, right = favours_texts(self.table.favours)
        y = axis + 2.1 * style.small_size / unit
        self._text(place, reference - gap, y, left, style.small_size, ha="right")
        self._text(place, reference + gap, y, right, style.small_size)
        y = axis + (below_axis(style, self.table.favours) - TICK_LENGTH + 0.5 * style.small_size) / unit
        for i, note in enumerate(layout.notes):
            at = y + i * note_step(style) / unit
            self._text(place, layout.label, at, note, style.small_size, color=style.muted)


def _prepare_axes(ax: Axes, layout: Layout, style: FigureStyle) -> Transform:
    """Make the axes the plotting panel and return the transform of (points from the left, row position)."""
    root: Any = ax.figure.figure
    box = ax.get_position(original=False)
    parent: Any = ax.figure
    width, height = (float(side) * 72 / root.dpi for side in (parent.bbox.width, parent.bbox.height))
    panel_height = (layout.n_lines + BOTTOM_PAD) * style.row_height / height
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
    ax.set_ylim(layout.n_lines - 0.5 + BOTTOM_PAD, -0.5)
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
