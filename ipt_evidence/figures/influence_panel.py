"""The influence plot: what leaving out each trial does, one column per measure, one row per trial.

References
----------
Viechtbauer W, Cheung MW-L. Outlier and influence diagnostics for meta-analysis. Res Synth Methods 2010;1:112-125.
doi:10.1002/jrsm.11
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.influence import cutoffs_of, influence
from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.errors import NotEstimableError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, round_ticks, say_instead
from ipt_evidence.figures.plotting_colours import MarkName, draw_points, key_point, tint
from ipt_evidence.figures.plotting_labels import shorten, spread
from ipt_evidence.figures.style import POINTS_PER_MM, FigureStyle, families
from ipt_evidence.figures.wording import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.pooling.result import PooledFit

NATURAL_MM = 180.0
TALLEST_MM = 215.0
ROW, LEAST_ROW, NAMED_ROW = 10.0, 2.4, 7.8
GAP = 7.0
TICK_ROOM = 3.0
HEAD = 20.0
FOOT = 14.0
LONGEST = 22


@dataclass(frozen=True, slots=True)
class Measure:
    """One column: what it shows, where it rests, and beyond what a trial stands out.

    Attributes
    ----------
    column : str
        Of the table of :func:`~ipt_evidence.diagnostics.influence.influence`.
    name : str
        Over the column.
    reference : float
        Value from which the lines start.
    limits : tuple of float
        Cut-offs, drawn as dashed lines.
    """

    column: str
    name: str
    reference: float
    limits: tuple[float, ...] = ()


def measures(fit: PooledFit) -> tuple[Measure, ...]:
    """Return the columns of the influence plot of a fit with their references and cut-offs."""
    cut = cutoffs_of(fit.k)
    return (
        Measure("rstudent", "Studentised\nresidual", 0.0, (-1.96, 1.96)),
        Measure("dffits", "DFFITS", 0.0, (-cut["dffits"], cut["dffits"])),
        Measure("cooks_distance", "Cook's\ndistance", 0.0, (cut["cooks_distance"],)),
        Measure("dfbetas", "DFBETAS", 0.0, (-cut["dfbetas"], cut["dfbetas"])),
        Measure("cov_ratio", "Covariance\nratio", 1.0),
        Measure("tau2_deleted", "τ² without\nthe trial", fit.tau2),
        Measure("q_deleted", "Q without\nthe trial", fit.q),
        Measure("weight", "Weight\n(percent)", 100 / fit.k, (cut["weight"],)),
    )


def influence_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw how much each trial moves the pooled effect and its heterogeneity.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 180 mm wide by default. Below 120 mm the eight columns stand in two rows
        of four.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`.

    Raises
    ------
    OptionError
        An option is not possible, or the fit has no such table.

    Notes
    -----
    The numbers are those of :func:`ipt_evidence.diagnostics.influence.influence`; the weight is the hat value. Lines
    start at the value of all trials together (at the mean weight for the weights), dashed lines are the cut-offs, which
    are conventions; one far beyond all values is left out. Trials that pass a cut-off other than that of the residual
    are marked by a diamond, a shaded row and their name; the others are named where there is room. Below three trials
    there is nothing to leave out, and the figure says so.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.influence_panel import influence_plot
    >>> table = pd.DataFrame(
    ...     {"study": list("ABCD"), "effect": [0.2, 0.5, 0.4, 2.1], "variance": [0.04, 0.02, 0.05, 0.06]}
    ... )
    >>> ipt.alt_text(influence_plot(ipt.pool(table, ci_method="wald")))[:82]
    'Influence plot of 4 trials, eight measures each: 1 of 4 trials passes a cut-off fo'
    """
    trials = trials_of(fit, what="influence_plot", minimum=0)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=trials.labels) as panel:
        notes = list(words.standing_notes(trials.fit))
        try:
            table = influence(trials.fit)
        except NotEstimableError as error:
            text = str(error)
            say_instead(panel, f"{text[:1].upper()}{text[1:]}: leaving one out leaves nothing to pool.", notes)
            alt = f"Influence plot: {words.trials_text(trials.k)}, too few to leave one out."
        else:
            _draw(panel, table, trials.fit, [*table.notes, *notes])
            alt = f"Influence plot of {trials.k} trials, eight measures each: {table.interpretation}"
        remember_alt_text(panel.ax, alt)
        return panel.figure


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the small axes stand, in points of a main area; rows of columns from the top.

    Attributes
    ----------
    blocks : int
        Rows of small axes.
    label : float
        Width for the names on the left.
    width, height : float
        Of the main area.
    row : float
        Distance between two trials.
    """

    blocks: int
    label: float
    width: float
    height: float
    row: float
    k: int

    @property
    def columns(self) -> int:
        """Small axes in a row."""
        return 8 // self.blocks

    def box(self, i: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a small axes as shares of the main area."""
        block, column = divmod(i, self.columns)
        room = (self.width - self.label - GAP * (self.columns - 1)) / self.columns
        height = self.height / self.blocks - HEAD - FOOT
        bottom = self.height - (block + 1) * self.height / self.blocks + FOOT
        left = self.label + column * (room + GAP)
        return left / self.width, bottom / self.height, room / self.width, height / self.height


def _grid(panel: Panel, names: list[str], flagged: Any, k: int) -> Grid:
    margin = panel.style.margin if panel.height is None else 0.0
    width = panel.width - 2 * margin
    blocks = 1 if panel.width >= 120 * POINTS_PER_MM else 2
    tallest = TALLEST_MM * POINTS_PER_MM if panel.height is None else 0.8 * panel.height
    row = min(ROW, max(LEAST_ROW, (tallest / blocks - HEAD - FOOT) / k))
    named = [name for name, flag in zip(names, flagged, strict=True) if flag or row >= NAMED_ROW]
    longest = max((panel.measure(name, panel.style.small_size, "bold") for name in named), default=0.0)
    height = blocks * (row * k + HEAD + FOOT) if panel.height is None else tallest
    return Grid(blocks, longest + 6.0, width, height, row, k)


def _draw(panel: Panel, table: pd.DataFrame, fit: PooledFit, notes: list[str]) -> None:
    names = [shorten(str(name), LONGEST) for name in table["study"]]
    flagged = table["is_influential"].to_numpy(dtype=bool)
    grid = _grid(panel, names, flagged, fit.k)
    panel.ax.set_axis_off()
    panel.ax.set(xlim=(0, 1), ylim=(0, 1))
    for i, measure in enumerate(measures(fit)):
        small = panel.ax.inset_axes(grid.box(i), label=measure.column)
        _column(panel, small, measure, table, flagged, grid.box(i)[2] * grid.width)
        if i % grid.columns == 0:
            _names(panel, small, names, flagged, grid.row)
    from matplotlib.lines import Line2D

    cut = Line2D([], [], color=panel.style.text, linewidth=0.8, dashes=(4, 2.5), label="Cut-off (a convention)")
    rest = Line2D([], [], color=panel.style.rule, linewidth=0.8, label="All trials (weight: mean)")
    key = [key_point("trial", panel.style, "Trial"), key_point("notable", panel.style, "Influential trial"), rest, cut]
    arrange(panel, aspect=grid.height / grid.width, key=key, notes=notes)


def _column(panel: Panel, ax: Axes, measure: Measure, table: pd.DataFrame, flagged: Any, width: float) -> None:
    """Draw one measure of all trials."""
    style = panel.style
    values = table[measure.column].to_numpy(dtype=float)
    rows = np.arange(len(values))
    limits, shown = _limits(measure, values)
    _small_frame(panel, ax, measure.name, limits, len(values), width)
    for row in rows[flagged]:
        ax.axhspan(row - 0.5, row + 0.5, facecolor=tint(style.pooled, 0.16), edgecolor="none", zorder=0.2)
    ax.axvline(measure.reference, color=style.rule, linewidth=0.8, zorder=1)
    for limit in shown:
        ax.axvline(limit, color=style.text, linewidth=0.8, dashes=(4, 2.5), zorder=1.5, label="cut-off")
    known = np.isfinite(values)
    ax.hlines(rows[known], measure.reference, values[known], color=style.interval, linewidth=0.6, zorder=2)
    area = 9.0 if len(values) <= 60 else 5.0
    kinds: tuple[tuple[MarkName, Any], ...] = (("trial", known & ~flagged), ("notable", known & flagged))
    for kind, chosen in kinds:
        size = area if kind == "trial" else 2 * area
        draw_points(ax, values[chosen], rows[chosen], kind, style, label=kind, area=size, zorder=4).set_clip_on(False)


def _limits(measure: Measure, values: Any) -> tuple[tuple[float, float], list[float]]:
    """Return the limits of a column, and those cut-offs that are not far beyond all values."""
    points = words.finite(values, [measure.reference])
    spread_of = float(np.ptp(points)) or 1.0
    shown = [c for c in measure.limits if points.min() - 1.5 * spread_of <= c <= points.max() + 1.5 * spread_of]
    both = np.array([*points, *shown])
    room = 0.07 * float(np.ptp(both)) or 0.5
    return (float(both.min()) - room, float(both.max()) + room), shown


def _small_frame(panel: Panel, ax: Axes, name: str, limits: tuple[float, float], k: int, width: float) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
    from matplotlib.transforms import ScaledTranslation

    style = panel.style
    ax.patch.set_visible(False)
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set(color=style.interval, linewidth=0.7)
    ax.set(xlim=limits, ylim=(k - 0.5, -0.5))
    ax.yaxis.set_major_locator(NullLocator())
    ticks = _few_ticks(panel, limits, width)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FixedFormatter([plain(t) for t in ticks]))
    ax.tick_params(
        axis="x",
        length=2.5,
        width=0.7,
        pad=1.5,
        color=style.interval,
        labelcolor=style.text,
        labelsize=style.small_size,
        labelfontfamily=families(style),
    )
    place = ax.transAxes + ScaledTranslation(0, 2 / 72, panel.figure.dpi_scale_trans)
    ax.text(0.5, 1.0, name, transform=place, ha="center", va="bottom", linespacing=1.0, **panel.font())


def _few_ticks(panel: Panel, limits: tuple[float, float], width: float) -> list[float]:
    """Return the round numbers whose texts meet neither each other nor those of the next column; at least one."""
    for most in (4, 3, 2, 1):
        ticks = round_ticks(*limits, most)
        for chosen in (ticks, [ticks[0], ticks[-1]], ticks[1:], ticks[:-1]):
            if chosen and _has_room(panel, chosen, limits, width):
                return chosen
    middle = round_ticks(*limits, 3)
    return [min(middle, key=lambda t: abs(t - sum(limits) / 2))]


def _has_room(panel: Panel, ticks: list[float], limits: tuple[float, float], width: float) -> bool:
    at = [(t - limits[0]) / (limits[1] - limits[0]) * width for t in ticks]
    half = [panel.measure(plain(t), panel.style.small_size) / 2 for t in ticks]
    edges = min(a - h for a, h in zip(at, half, strict=True)), max(a + h for a, h in zip(at, half, strict=True))
    pairs = range(len(ticks) - 1)
    apart = all(at[i] + half[i] + TICK_ROOM <= at[i + 1] - half[i + 1] for i in pairs)
    return apart and edges[0] >= -GAP / 2 + 1 and edges[1] <= width + GAP / 2 - 1


def _names(panel: Panel, ax: Axes, names: list[str], flagged: Any, row: float) -> None:
    """Write the names left of the first column: all where the rows leave room, else the influential ones."""
    from matplotlib.transforms import ScaledTranslation

    place = ax.get_yaxis_transform() + ScaledTranslation(-4 / 72, 0, panel.figure.dpi_scale_trans)
    every = row >= NAMED_ROW
    chosen = [i for i in range(len(names)) if every or flagged[i]]
    gap = 1.0 if every else 1.15 * panel.style.small_size / row
    at = [float(i) for i in chosen] if every else spread([float(i) for i in chosen], gap, 0.0, float(len(names)))
    for i, y in zip(chosen, at, strict=True):
        ax.text(0.0, y, names[i], transform=place, ha="right", va="center", **panel.font(bold=bool(flagged[i])))
