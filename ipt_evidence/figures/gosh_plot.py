"""The GOSH plot: the pooled effect and heterogeneity of every subset of the trials.

References
----------
Olkin I, Dahabreh IJ, Trikalinos TA. GOSH: a graphical display of study heterogeneity. Res Synth Methods
2012;3:214-223. doi:10.1002/jrsm.1053
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ipt_evidence.diagnostics.gosh import Gosh
from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, key_point, readable, tint
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.figures.wording import number
from ipt_evidence.options import choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Spread = Literal["i2", "tau2"]
Mask = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]

NATURAL_MM = 120.0
ASPECT = 0.75
SINGLE_POINTS = 2000
BINS = (150, 110)
FINE_FROM = 100_000
COARSEST = 0.55
MARGIN_BINS = 60
MARGIN = 0.17
FAINTEST = 0.22
GREY = "#767676"
"""For styles in which both have one colour; its contrast to white is 4.5."""
NAMES = {"i2": "I², percent", "tau2": "Between-study variance τ²"}


@dataclass(frozen=True, slots=True)
class Cells:
    """Subsets counted in cells of the plane.

    Attributes
    ----------
    x_edges, y_edges : numpy.ndarray
    all, marked : numpy.ndarray
        Subsets in each cell, and those of them that hold the highlighted trials, shape ``(x cells, y cells)``.
    """

    x_edges: Array
    y_edges: Array
    all: Array
    marked: Array


def gosh_plot(
    gosh: Gosh,
    *,
    highlight: str | int | Sequence[str | int] | None = None,
    y: Spread = "i2",
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the pooled effect of subsets of the trials against their heterogeneity, with the distribution of each.

    Parameters
    ----------
    gosh : Gosh
        From :func:`ipt_evidence.diagnostics.gosh.gosh`.
    highlight : str, int or sequence, optional
        A trial by its name or position: subsets that hold it are shown apart. Of several, subsets that hold all.
    y : {"i2", "tau2"}
        Which measure of heterogeneity.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 120 mm wide by default.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`.

    Raises
    ------
    OptionError
        It is not such a result, or there is no such trial.

    Notes
    -----
    The darker a cell, the more subsets fall into it, on a logarithmic scale; with `highlight` its hue says how many of
    them hold the trial. Up to 2,000 subsets are drawn one by one. Every subset is counted, none lies beyond the axes.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.gosh import gosh
    >>> from ipt_evidence.figures.gosh_plot import gosh_plot
    >>> table = pd.DataFrame({"study": list("ABC"), "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> ipt.alt_text(gosh_plot(gosh(table, tau2_method="DL"), highlight="C"))[:56]
    'GOSH plot. Over all 7 subsets of 3 trials the middle 95%'
    """
    if not isinstance(gosh, Gosh):
        raise OptionError(f"gosh_plot needs the result of gosh(); received {type(gosh).__name__}")
    choose("y", y, Spread)
    marked, names = _marked(gosh, highlight)
    spread = (gosh.i2 if y == "i2" else gosh.tau2).astype(float)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=names) as panel:
        _draw(panel, gosh, spread, y, marked, names)
        remember_alt_text(panel.ax, describe_gosh(gosh, marked, names))
        return panel.figure


def _marked(gosh: Gosh, highlight: str | int | Sequence[str | int] | None) -> tuple[Mask | None, list[str]]:
    """Return which subsets hold the trials to highlight, and their names."""
    if highlight is None:
        return None, []
    wanted = [highlight] if isinstance(highlight, str | int) else list(highlight)
    if not wanted:
        return None, []
    masks = [gosh.including(study) for study in wanted]
    return np.logical_and.reduce(masks), [s if isinstance(s, str) else gosh.studies[s] for s in wanted]


def _draw(panel: Panel, gosh: Gosh, spread: Array, y: Spread, marked: Mask | None, names: list[str]) -> None:
    fit, style = gosh.fit, panel.style
    xlim = padded(gosh.estimate, 0.03)
    top = 100.0 if y == "i2" else max(1.04 * float(spread.max()), 1e-3)
    ylim = (-0.02 * top, 1.02 * top)
    words.set_effect_axis(panel, "x", fit.measure, xlim, favours=words.favours_line([fit.studies], fit.measure))
    set_axis(panel, "y", NAMES[y], ylim, [0, 20, 40, 60, 80, 100] if y == "i2" else None)
    if len(gosh) <= SINGLE_POINTS:
        key = _single_points(panel, gosh, spread, marked, names)
    else:
        key = _cells(panel, count_cells(gosh.estimate, spread, marked, xlim, ylim), marked, names)
    _margins(panel, gosh.estimate, spread, marked, xlim, ylim)
    whole = _whole(gosh, y)
    if whole is not None:
        draw_points(panel.ax, [whole[0]], [whole[1]], "pooled", style, label="all trials", area=44.0, zorder=6)
        key.append(key_point("pooled", style, "All trials pooled"))
    arrange(panel, aspect=ASPECT, key=key, notes=_notes(gosh))


def count_cells(x: Array, y: Array, marked: Mask | None, xlim: tuple[float, float], ylim: tuple[float, float]) -> Cells:
    """Return how many subsets fall into each cell of the plane, and how many of them are marked."""
    limits = [xlim, ylim]
    share = max(COARSEST, min(1.0, (len(x) / FINE_FROM) ** 0.5))
    bins = [round(share * n) for n in BINS]
    every, x_edges, y_edges = np.histogram2d(x, y, bins=bins, range=limits)
    if marked is None:
        return Cells(x_edges, y_edges, every, np.zeros_like(every))
    some, _, _ = np.histogram2d(x[marked], y[marked], bins=bins, range=limits)
    return Cells(x_edges, y_edges, every, some)


def _hues(panel: Panel) -> tuple[str, str]:
    """Return the colours of subsets with and without the highlighted trials."""
    first, second = readable(panel.style.pooled), readable(panel.style.study)
    return (first, second) if first != second else (first, GREY)


def _cells(panel: Panel, cells: Cells, marked: Mask | None, names: list[str]) -> list[Any]:
    """Draw the cells as one image; return entries of the key."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    with_it, without = (np.array(to_rgb(colour)) for colour in _hues(panel))
    share = (cells.marked / np.maximum(cells.all, 1))[..., None]
    hue = share * with_it + (1 - share) * without
    depth = FAINTEST + (1 - FAINTEST) * np.log1p(cells.all) / np.log1p(cells.all.max())
    image = np.ones((*cells.all.shape, 4))
    image[..., :3] = 1 - depth[..., None] * (1 - hue)
    image[..., 3] = cells.all > 0
    extent = (cells.x_edges[0], cells.x_edges[-1], cells.y_edges[0], cells.y_edges[-1])
    panel.ax.imshow(
        image.transpose(1, 0, 2), extent=extent, origin="lower", aspect="auto", interpolation="nearest", zorder=2
    )
    if marked is None:
        return [Patch(facecolor=_hues(panel)[1], label="Subsets (darker: more, log scale)")]
    return _key_of_two(panel, names)


def _key_of_two(panel: Panel, names: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    with_it, without = _hues(panel)
    label = words.names_text(names, 2)
    return [
        Line2D([], [], color=with_it, linewidth=2.2, label=f"With {label}"),
        Line2D([], [], color=without, linewidth=2.2, dashes=(2.2, 0.9), label=f"Without {label}"),
    ]


def _single_points(panel: Panel, gosh: Gosh, spread: Array, marked: Mask | None, names: list[str]) -> list[Any]:
    style, label = panel.style, words.names_text(names, 2)
    some = np.zeros(len(gosh), dtype=bool) if marked is None else marked
    area = 9.0 if len(gosh) <= 300 else 5.0
    draw_points(panel.ax, gosh.estimate[~some], spread[~some], "trial", style, label="subsets", area=area)
    if marked is None:
        return [key_point("trial", style, "Subset")]
    draw_points(panel.ax, gosh.estimate[some], spread[some], "notable", style, label="subsets with", area=1.3 * area)
    return [
        key_point("notable", style, f"Subset with {label}"),
        key_point("trial", style, f"Subset without {label}"),
    ]


def _margins(
    panel: Panel, x: Array, y: Array, marked: Mask | None, xlim: tuple[float, float], ylim: tuple[float, float]
) -> None:
    """Draw the distributions above and to the right."""
    above = panel.ax.inset_axes((0.0, 1.02, 1.0, MARGIN), label="distribution of estimates")
    beside = panel.ax.inset_axes((1.02, 0.0, MARGIN, 1.0), label="distribution of heterogeneity")
    for ax, values, limits, orientation in ((above, x, xlim, "vertical"), (beside, y, ylim, "horizontal")):
        ax.set_axis_off()
        edges = np.linspace(*limits, MARGIN_BINS + 1)
        (ax.set_xlim if orientation == "vertical" else ax.set_ylim)(*limits)
        _histogram(panel, ax, values, edges, orientation, marked)


def _histogram(panel: Panel, ax: Axes, values: Array, edges: Array, orientation: Any, marked: Mask | None) -> None:
    style = panel.style
    counts = np.histogram(values, edges)[0]
    ax.stairs(
        counts,
        edges,
        orientation=orientation,
        fill=True,
        facecolor=tint(style.text, 0.12),
        edgecolor="none",
        label="all",
    )
    ax.stairs(counts, edges, orientation=orientation, color=style.interval, linewidth=0.6, label="all, outline")
    top = float(counts.max()) * 1.05
    (ax.set_ylim if orientation == "vertical" else ax.set_xlim)(0.0, top)
    if marked is None:
        return
    with_it, without = _hues(panel)
    for mask, colour, line, label in ((marked, with_it, "-", "with"), (~marked, without, (0, (2.2, 0.9)), "without")):
        part = np.histogram(values[mask], edges)[0]
        ax.stairs(part, edges, orientation=orientation, color=colour, linewidth=1.1, linestyle=line, label=label)


def _whole(gosh: Gosh, y: Spread) -> tuple[float, float] | None:
    """Return effect and heterogeneity of all trials together, by the method of the subsets."""
    if gosh.exhaustive:
        last = int(np.argmax(gosh.k))
        return float(gosh.estimate[last]), float(gosh.i2[last] if y == "i2" else gosh.tau2[last])
    if gosh.method.tau2_method != gosh.fit.method.tau2_method:
        return None
    return gosh.fit.estimate, gosh.fit.i2 if y == "i2" else gosh.fit.tau2


def _notes(gosh: Gosh) -> list[str]:
    kind = "All" if gosh.exhaustive else "Random:"
    model = "common-effect model" if gosh.method.tau2_method == "EE" else f"random effects, {gosh.method.tau2_method}"
    drawn = "" if gosh.exhaustive else f" (seed {gosh.seed})"
    software = f"; {gosh.method.software}" if gosh.method.software else ""
    note = f"{kind} {len(gosh):,} subsets of {len(gosh.studies)} trials{drawn}; {model}{software}."
    source = words.source_note(gosh.fit.studies)
    return [note, *([source] if source else [])]


def describe_gosh(gosh: Gosh, marked: Mask | None = None, names: Sequence[str] = ()) -> str:
    """Return the sentences that say what the subsets show."""
    text = f"GOSH plot. {gosh.interpretation}"
    if marked is None or not marked.any() or marked.all():
        return text
    measure = gosh.fit.measure
    means = [words.shown(float(gosh.estimate[m].mean()), measure) for m in (marked, ~marked)]
    i2 = [number(float(gosh.i2[m].mean()), 0) for m in (marked, ~marked)]
    return (
        f"{text} Subsets with {words.names_text(names)}: mean effect {means[0]}, mean I² {i2[0]}%; the others: "
        f"{means[1]}, {i2[1]}%."
    )
