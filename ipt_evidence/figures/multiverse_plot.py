"""The multiverse as a specification curve: all estimates sorted above, the choices behind each below.

References
----------
Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav 2020;4:1208-1214.
doi:10.1038/s41562-020-0912-z
Voracek M, Kossmeier M, Tran US. Which data to meta-analyze, and how? A specification-curve and multiverse-analysis
approach to meta-analysis. Z Psychol 2019;227:64-82. doi:10.1027/2151-2604/a000357
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.multiverse_plot_table import Array, Multiverse, read_multiverse
from ipt_evidence.figures.orchard_panel import aspect_of, effect_limits, frame_axes
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.wording import capitalise, number

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.evidence.multiverse import Multiverse as EveryWay
    from ipt_evidence.figures.style import FigureStyle

NATURAL_MM = 180.0
CURVE, ROW, HEAD, GAP = 130.0, 9.5, 11.5, 8.0
GUIDE = "#E6E6E6"
DENSE = 300
RASTER = 1500
TICK = 0.36
LONGEST = 30
HEADS = {
    "tau2_method": "τ² estimator",
    "ci_method": "Confidence interval",
    "rho": "Correlation (rho)",
    "dependence": "Effects of one trial",
}


def multiverse_plot(
    table: pd.DataFrame | EveryWay,
    *,
    choices: Sequence[str] | None = None,
    measure: str | None = None,
    reference: float | None = None,
    favours: tuple[str, str] | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the estimates of all specifications, sorted, with the choices that led to each.

    Parameters
    ----------
    table : Multiverse or pandas.DataFrame
        From :func:`ipt_evidence.multiverse`, or one row per specification: `estimate`, `ci_low`, `ci_high` (on the
        analysis scale) and one column per choice.
    choices : sequence of str, optional
        Columns of choices, in the order they are drawn. Default: those of the multiverse; of a table every column that
        holds words or whole numbers and is not a result of pooling.
    measure : str, optional
        Code of the effect measure, such as ``"SMD"``. Default: that of the multiverse, or the column `measure` when it
        says one thing.
    reference : float, optional
        An estimate to compare with, such as that of the main analysis.
    favours : tuple of str, optional
        Who is favoured by effects below and above no difference.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 180 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes, which holds both panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        Columns are missing or there is nothing to draw.
    SchemaError
        Cells are not numbers, or intervals do not hold their estimates; all are named.

    Notes
    -----
    Specifications stand at the same place above and below. From 300 on their intervals are a band; from 1,500 on the
    marks of the choices are stored as an image in SVG and PDF, text stays text. Neighbours share data: the curve
    describes how much the choices matter and is no distribution of independent estimates.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.multiverse_plot import multiverse_plot
    >>> table = pd.DataFrame({"estimate": [0.5, 0.3], "ci_low": [0.2, -0.1], "ci_high": [0.8, 0.7],
    ...     "tau2_method": ["REML", "DL"]})
    >>> ipt.alt_text(multiverse_plot(table))[:64]
    'Multiverse of 2 specifications: estimates from 0.30 to 0.50, med'
    """
    from ipt_evidence.evidence.multiverse import Multiverse as EveryWay

    if isinstance(table, EveryWay):
        choices, measure = choices or table.choices, measure or table.measure
        table = table.table
    found = read_multiverse(table, choices)
    code = _measure(table) if measure is None else measure
    if reference is not None and (isinstance(reference, bool) or not isinstance(reference, int | float)):
        raise OptionError(f"reference must be a number on the analysis scale; received {reference!r}")
    texts = [text for choice in found.choices for text in (choice.name, *choice.options)]
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        _draw(panel, found, code, reference, favours)
        remember_alt_text(panel.ax, _alt(found, code))
        return panel.figure


def _measure(table: pd.DataFrame) -> str:
    values: Sequence[Any] = (
        table["measure"].dropna().astype(str).unique().tolist() if "measure" in table.columns else []
    )
    return str(values[0]) if len(values) == 1 else "effect"


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines below the curve: heads of choices and their options, from top to bottom.

    Attributes
    ----------
    heads : tuple of (float, str)
        Middle of each head, counted in points from the top, and its text.
    options : tuple of (float, str, int, int)
        Middle of each option, its text, and the positions of choice and option.
    height : float
        Of all lines.
    """

    heads: tuple[tuple[float, str], ...]
    options: tuple[tuple[float, str, int, int], ...]
    height: float


def head_of(name: str) -> str:
    """Return what a choice is called.

    Examples
    --------
    >>> head_of("tau2_method"), head_of("which_trials")
    ('τ² estimator', 'Which trials')
    """
    return HEADS.get(name, capitalise(name.replace("_", " ")))


def _rows(found: Multiverse, scale: float) -> Rows:
    heads, options, top = [], [], 0.0
    for c, choice in enumerate(found.choices):
        heads.append((top + 0.5 * HEAD * scale, head_of(choice.name)))
        top += HEAD * scale
        for o, option in enumerate(choice.options):
            name = option.replace("_", " ")
            name = name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"
            options.append((top + 0.5 * ROW * scale, name, c, o))
            top += ROW * scale
        top += 0.2 * HEAD * scale
    return Rows(tuple(heads), tuple(options), top)


def _draw(
    panel: Panel, found: Multiverse, measure: str, reference: float | None, favours: tuple[str, str] | None
) -> None:
    rows = _rows(found, panel.style.small_size / 6.5)
    total = CURVE + (GAP + rows.height if found.choices else 0.0)
    below = rows.height / total
    panel.ax.set_axis_off()
    curve = panel.ax.inset_axes((0.0, 1 - CURVE / total, 1.0, CURVE / total))
    limits = (-0.5 - 0.01 * found.estimate.size, found.estimate.size - 0.5 + 0.01 * found.estimate.size)
    curve.set_xlim(*limits)
    _curve(panel, curve, found, measure, reference)
    if found.choices:
        matrix = panel.ax.inset_axes((0.0, 0.0, 1.0, below))
        matrix.set_xlim(*limits)
        _matrix(panel, matrix, found, rows)
    _name(panel, curve, measure, favours)
    aspect = aspect_of(panel, total)
    arrange(panel, aspect=aspect, key=_key(panel, found, reference), notes=_notes(found))


def _colours(panel: Panel) -> dict[int, tuple[str, str]]:
    """Return colour and marker of estimates whose interval lies above, around and below no difference."""
    style = panel.style
    return {1: (readable(style.study), "o"), 0: (style.muted, "s"), -1: (readable(style.pooled), "D")}


def _curve(panel: Panel, ax: Axes, found: Multiverse, measure: str, reference: float | None) -> None:
    """Draw the sorted estimates with their intervals."""
    from matplotlib.collections import LineCollection

    x = np.arange(found.estimate.size, dtype=np.float64)
    limits = effect_limits(found.estimate, np.concatenate([found.low, found.high]))
    frame_axes(panel, ax, sides=("left",))
    ticks, labels = words.effect_ticks(*limits, measure, 7)
    set_axis(panel, "y", "", limits, ticks, labels=labels, ax=ax)
    ax.set_xticks([])
    if limits[0] <= 0 <= limits[1]:
        ax.axhline(0.0, color=panel.style.rule, linewidth=0.7, zorder=1, label="no difference")
    if reference is not None:
        ax.axhline(reference, color=panel.style.text, linewidth=0.8, dashes=(4, 2), zorder=2, label="reference")
    width = _stroke(panel, found)
    for side, (colour, marker) in _colours(panel).items():
        own = found.side == side
        if not own.any():
            continue
        if x.size < DENSE:
            ends = np.stack([np.column_stack([x, found.low]), np.column_stack([x, found.high])], axis=1)[own]
            known = np.isfinite(ends).all(axis=(1, 2))
            look: dict[str, Any] = {"colors": colour, "linewidths": max(0.3, 0.3 * width)}
            ax.add_collection(LineCollection(list(ends[known]), label="intervals", zorder=2, **look))
            _arrows(ax, x[own], found.low[own] < limits[0], limits[0], "v", colour)
            _arrows(ax, x[own], found.high[own] > limits[1], limits[1], "^", colour)
        area = min(16.0, max(2.0, width**2 * 4))
        look = {"s": area, "marker": marker, "color": colour, "linewidths": 0, "rasterized": x.size >= RASTER}
        ax.scatter(x[own], found.estimate[own], zorder=3, label="estimates", **look)
    if x.size >= DENSE:
        band: dict[str, Any] = {"color": tint(panel.style.muted, 0.3), "linewidth": 0, "zorder": 1.5, "step": "mid"}
        ax.fill_between(x, np.maximum(found.low, limits[0]), np.minimum(found.high, limits[1]), label="band", **band)


def _arrows(ax: Axes, x: Array, beyond: npt.NDArray[np.bool_], edge: float, marker: str, colour: str) -> None:
    """Mark the intervals that leave the axis."""
    if beyond.any():
        look: dict[str, Any] = {"s": 6.0, "marker": marker, "color": colour, "linewidths": 0, "clip_on": False}
        ax.scatter(x[beyond], np.full(int(beyond.sum()), edge), label="beyond", zorder=2, **look)


def _stroke(panel: Panel, found: Multiverse) -> float:
    """Return how wide the mark of one specification can be, in points."""
    return min(2.4, max(0.25, 0.55 * panel.width / found.estimate.size))


def _matrix(panel: Panel, ax: Axes, found: Multiverse, rows: Rows) -> None:
    """Draw a mark for each specification at the option it took."""
    from matplotlib.collections import LineCollection

    frame_axes(panel, ax, sides=())
    ax.set_ylim(rows.height, 0.0)
    ax.set_xticks([])
    half = TICK * ROW * panel.style.small_size / 6.5
    x = np.arange(found.estimate.size, dtype=np.float64)
    width = _stroke(panel, found)
    colours = _colours(panel)
    for middle, _, c, o in rows.options:
        ax.axhline(middle, color=GUIDE, linewidth=0.5, zorder=0, label="guide")
        taken = found.choices[c].taken == o
        for side, (colour, _) in colours.items():
            own = x[taken & (found.side == side)]
            if own.size:
                look: dict[str, Any] = {"colors": colour, "linewidths": width, "rasterized": x.size >= RASTER}
                segments = list(np.stack([_points(own, middle - half), _points(own, middle + half)], axis=1))
                ax.add_collection(LineCollection(segments, label=f"{c} {o}", zorder=2, **look))
    ax.set_yticks([y for y, *_ in rows.options], labels=[name for _, name, *_ in rows.options])
    ax.tick_params(axis="y", length=0, pad=3)
    for y, name in rows.heads:
        head: dict[str, Any] = {"ha": "right", "va": "center", "clip_on": False} | panel.font(bold=True)
        ax.text(-0.006, y, name, transform=ax.get_yaxis_transform(), **head)


def _points(x: Array, y: float) -> Array:
    return np.column_stack([x, np.full(x.size, y)])


def _name(panel: Panel, ax: Axes, measure: str, favours: tuple[str, str] | None) -> None:
    """Write the name of the effect beside its axis."""
    from matplotlib.ticker import FixedLocator

    name = words.measure_name(measure)
    short = words.measure_name(measure).split(" (")[0] if panel.measure(name, panel.style.small_size) > CURVE else name
    if favours and any(favours):
        short += f"\n← {favours[0]} | {favours[1]} →"
    ax.set_ylabel(short, **panel.font())
    ax.xaxis.set_major_locator(FixedLocator([]))


def _key(panel: Panel, found: Multiverse, reference: float | None) -> list[Artist]:
    from matplotlib.lines import Line2D

    names = {
        1: "Interval above no difference",
        0: "Interval includes no difference",
        -1: "Interval below no difference",
    }
    key: list[Artist] = []
    for side, (colour, marker) in _colours(panel).items():
        n = int((found.side == side).sum())
        if n:
            look: dict[str, Any] = {"linestyle": "none", "marker": marker, "markersize": 4.5, "color": colour}
            key.append(Line2D([], [], label=f"{names[side]} ({n:,})", **look))
    if reference is not None:
        key.append(Line2D([], [], color=panel.style.text, linewidth=0.8, dashes=(4, 2), label="Main analysis"))
    return key


def _notes(found: Multiverse) -> list[str]:
    notes = [f"{found.estimate.size:,} specifications, sorted by their estimate."]
    if found.left_out:
        notes[0] += f" Without an estimate and not shown: {found.left_out:,}."
    if found.fixed:
        notes.append(f"The same in all: {'; '.join(f'{head_of(c)}: {o}' for c, o in found.fixed)}.")
    return notes


def _alt(found: Multiverse, measure: str) -> str:
    """Return range, median and how many intervals exclude no difference."""
    low, middle, high = (
        words.shown(float(x), measure) for x in (found.estimate[0], np.median(found.estimate), found.estimate[-1])
    )
    n = found.estimate.size
    above, below = int((found.side > 0).sum()), int((found.side < 0).sum())
    of = f"{n:,} specification{'' if n == 1 else 's'}"
    text = f"Multiverse of {of}: estimates from {low} to {high}, median {middle}."
    share = number(100 * (above + below) / n, 0)
    text += f" {above:,} intervals lie above no difference and {below:,} below it ({share}% together)."
    if found.choices:
        names = [f"{head_of(c.name)} ({len(c.options)})" for c in found.choices]
        text += f" Choices and their options: {', '.join(names)}."
    return text
