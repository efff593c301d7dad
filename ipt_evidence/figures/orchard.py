"""The orchard plot: every effect sized by its precision, with mean and intervals; the caterpillar: effects sorted.

References
----------
Nakagawa S, Lagisz M, O'Dea RE, et al. The orchard plot: cultivating a forest plot for use in ecology, evolution, and
beyond. Res Synth Methods 2021;12:4-12. doi:10.1002/jrsm.1424
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.alt_text import describe_fit, describe_fits
from ipt_evidence.figures.orchard_panel import (
    Array,
    aspect_of,
    beside,
    draw_interval,
    effect_limits,
    measure_of,
    shown_fits,
    swarm,
)
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, fold, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.wording import humanise
from ipt_evidence.options import choose
from ipt_evidence.pooling.result import PooledFit, PooledFits

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle

OrchardKind = Literal["orchard", "caterpillar"]
NATURAL_MM = 120.0
ROW, LEAST = 46.0, 62.0
SMALLEST, LARGEST = 8.0, 110.0
SWARM, FRUITS, TRUNK = 0.23, -0.13, 0.3
STEP, TALLEST = 6.0, 460.0
POOLED_ROWS, BLOCKS = 3.0, 1.3
NAME_SHARE = 0.26


def orchard_plot(
    fit_or_fits: PooledFit | PooledFits,
    *,
    kind: OrchardKind = "orchard",
    overall: bool = False,
    favours: tuple[str, str] | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the effects of each group with their mean, its interval and the prediction interval.

    Parameters
    ----------
    fit_or_fits : PooledFit or PooledFits
        From :func:`ipt_evidence.pool` or :func:`ipt_evidence.pool_by`.
    kind : {"orchard", "caterpillar"}, optional
        Points sized by precision, or all effects sorted with their intervals.
    overall : bool, optional
        A row for all groups together.
    favours : tuple of str, optional
        Who is favoured left and right of no difference. Default: the arms of the column `contrast`.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 120 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        The argument is not a fit, or groups are in different measures.

    Notes
    -----
    The area of a point is proportional to its precision, one over the standard error. A group of one trial has no mean.
    Heights within a row only keep points apart.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.orchard import orchard_plot
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9, 0.4], "variance": [0.04, 0.02, 0.09, 0.03]})
    >>> ipt.alt_text(orchard_plot(ipt.pool(table)))[:32]
    'Orchard plot of 4 trials: effect'
    """
    choose("kind", kind, OrchardKind)
    fits = shown_fits(fit_or_fits, what="orchard_plot", overall=overall)
    texts = [fit.group for fit in fits]
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        if not any(fit.k for fit in fits):
            words.say_no_effects(panel, fits[0])
        elif kind == "orchard":
            _orchard(panel, fits, favours)
        else:
            _caterpillar(panel, fits, favours)
        remember_alt_text(panel.ax, _alt(fit_or_fits, kind, overall, favours))
        return panel.figure


def _names(panel: Panel, fits: Sequence[PooledFit]) -> list[str]:
    """Return the label of each row: the group and its number of trials."""
    size, room = panel.style.small_size, NAME_SHARE * panel.width
    labels = []
    for i, fit in enumerate(fits):
        name = humanise(fit.group) if fit.group else "Overall" if len(fits) > 1 and i == len(fits) - 1 else ""
        lines = fold(name, room, size, panel.measure) if name else []
        labels.append("\n".join([*lines, f"k = {fit.k}"]))
    return labels


def _shared(
    panel: Panel, fits: Sequence[PooledFit], favours: tuple[str, str] | None, *, intervals: bool = False
) -> tuple[float, float]:
    """Give the effect axis its limits and name, with the line of no difference; return the limits."""
    measure = measure_of(fits)
    points = np.concatenate([words.included(fit)["effect"].to_numpy(dtype=float) for fit in fits])
    ends = [x for fit in fits for x in (fit.ci_low, fit.ci_high, fit.pi_low, fit.pi_high)]
    if intervals:
        ends += [x for fit in fits for x in words.included(fit)[["ci_low", "ci_high"]].to_numpy(dtype=float).ravel()]
    limits = effect_limits(points, np.array(ends, dtype=float))
    line = words.favours_line([fit.studies for fit in fits], measure) if favours is None else _said(favours)
    words.set_effect_axis(panel, "x", measure, limits, favours=line)
    panel.ax.axvline(0.0, color=panel.style.rule, linewidth=0.7, zorder=0, label="no difference")
    panel.ax.spines["left"].set_visible(False)
    panel.ax.tick_params(axis="y", length=0)
    return limits


def _said(favours: tuple[str, str]) -> str:
    left, right = favours
    return "   ".join(x for x in (f"← favours {left}" if left else "", f"favours {right} →" if right else "") if x)


def _orchard(panel: Panel, fits: Sequence[PooledFit], favours: tuple[str, str] | None) -> None:
    limits = _shared(panel, fits, favours)
    rows = len(fits)
    most = max(float((1 / words.included(fit)["std_error"]).max()) for fit in fits if fit.k)
    set_axis(panel, "y", "", (rows - 0.5, -0.5), range(rows), labels=_names(panel, fits))
    for i, fit in enumerate(fits):
        studies = words.included(fit)
        x = studies["effect"].to_numpy(dtype=float)
        precision = 1 / studies["std_error"].to_numpy(dtype=float)
        _fruits(panel, x, i + FRUITS + swarm(x, SWARM), precision / most)
        _trunk(panel, fit, i + (TRUNK if fit.k > 1 else FRUITS), limits)
        beside(panel, i, _said_of(fit))
    aspect = aspect_of(panel, max(LEAST, ROW * rows))
    arrange(panel, aspect=aspect, key=_key(panel, fits, trials=True), notes=words.standing_notes(fits[0]))


def _fruits(panel: Panel, x: Array, y: Array, relative: Array) -> None:
    """Draw the effects; small ones over large ones."""
    order = np.argsort(-relative)
    area = np.maximum(SMALLEST, LARGEST * min(1.0, panel.width / 340) * relative)
    colour = readable(panel.style.study)
    panel.ax.scatter(
        x[order],
        y[order],
        s=area[order],
        facecolors=tint(colour, 0.45),
        edgecolors=colour,
        linewidths=0.6,
        alpha=0.85,
        zorder=3,
        label="trials",
    )


def _trunk(panel: Panel, fit: PooledFit, y: float, limits: tuple[float, float]) -> None:
    """Draw mean, interval and prediction interval; of one trial its interval only."""
    style, ax = panel.style, panel.ax
    if fit.k == 0:
        return
    if fit.k == 1:
        draw_interval(ax, y, (fit.ci_low, fit.ci_high), limits, label="one trial", color=style.interval, linewidth=0.8)
        return
    if not math.isnan(fit.pi_low):
        ends = [x for x in (fit.pi_low, fit.pi_high) if limits[0] <= x <= limits[1]]
        ax.scatter(ends, [y] * len(ends), s=40, marker="|", color=style.text, linewidths=0.9, zorder=4, label="ends")
    dark = readable(style.pooled)
    draw_interval(
        ax, y, (fit.pi_low, fit.pi_high), limits, label="prediction", color=style.text, linewidth=0.9, zorder=4
    )
    draw_interval(ax, y, (fit.ci_low, fit.ci_high), limits, label="interval", color=style.text, linewidth=3.4, zorder=4)
    ax.scatter(
        [fit.estimate],
        [y],
        s=46,
        marker="D",
        facecolors=dark,
        edgecolors="#FFFFFF",
        linewidths=0.8,
        zorder=6,
        label="mean",
    )


def _said_of(fit: PooledFit) -> list[str]:
    """Return what stands beside a row: the effect and its interval."""
    if fit.k == 0:
        return ["no usable", "trial"]
    estimate = words.shown(fit.estimate, fit.measure)
    limits = [words.shown(x, fit.measure) for x in (fit.ci_low, fit.ci_high)]
    return [estimate, f"[{limits[0]}, {limits[1]}]"]


def _key(panel: Panel, fits: Sequence[PooledFit], *, trials: bool) -> list[Artist]:
    from matplotlib.lines import Line2D

    style, colour = panel.style, readable(panel.style.study)
    level = f"{100 * fits[0].method.level:g}%"
    look: dict[str, Any] = {"markeredgewidth": 0.6, "markeredgecolor": colour, "markerfacecolor": tint(colour, 0.45)}
    name = "Trial, area by precision" if trials else f"Trial with its {level} interval"
    key: list[Artist] = [
        Line2D([], [], linestyle="none" if trials else "-", color=colour, marker="o", markersize=5, label=name, **look)
    ]
    if any(fit.k > 1 for fit in fits):
        mean: dict[str, Any] = {
            "marker": "D",
            "markersize": 5,
            "markerfacecolor": readable(style.pooled),
            "markeredgecolor": "#FFFFFF",
        }
        key.append(
            Line2D([], [], color=style.text, linewidth=2.6, label=f"Mean and {level} confidence interval", **mean)
        )
    if any(not math.isnan(fit.pi_low) for fit in fits):
        key.append(Line2D([], [], color=style.text, linewidth=0.9, label=f"{level} prediction interval"))
    return key


def _caterpillar(panel: Panel, fits: Sequence[PooledFit], favours: tuple[str, str] | None) -> None:
    from matplotlib.collections import LineCollection

    limits = _shared(panel, fits, favours, intervals=True)
    k = sum(fit.k for fit in fits)
    pitch = min(STEP, TALLEST / max(1, k))
    gap = POOLED_ROWS * STEP / pitch
    colour, top, middles = readable(panel.style.study), 0.0, []
    for fit in fits:
        studies = words.included(fit).sort_values("effect", ascending=False, kind="stable")
        x, low, high = (studies[c].to_numpy(dtype=float) for c in ("effect", "ci_low", "ci_high"))
        y = top + np.arange(fit.k, dtype=np.float64)
        segments = np.stack([np.column_stack([low, y]), np.column_stack([high, y])], axis=1)
        width = min(0.8, 0.45 * pitch)
        panel.ax.add_collection(LineCollection(list(segments), colors=colour, linewidths=width, label="intervals"))
        _arrows(panel, low, high, y, limits, colour, pitch)
        panel.ax.scatter(x, y, s=min(9.0, (0.8 * pitch) ** 2), color=colour, linewidths=0, zorder=3, label="trials")
        pooled = top + fit.k - 1 + 0.62 * gap if fit.k > 1 else top
        _trunk(panel, fit, pooled, limits) if fit.k != 1 else None
        beside(panel, pooled, _said_of(fit))
        middles.append((top + pooled) / 2)
        top = pooled + BLOCKS * gap
    end = top - 0.7 * BLOCKS * gap
    set_axis(panel, "y", "", (end, -0.5 * gap), middles, labels=_names(panel, fits))
    panel.ax.set_xlim(*limits)
    aspect = aspect_of(panel, max(LEAST, pitch * (end + 0.5 * gap)))
    arrange(panel, aspect=aspect, key=_key(panel, fits, trials=False), notes=words.standing_notes(fits[0]))


def _arrows(
    panel: Panel, low: Array, high: Array, y: Array, limits: tuple[float, float], colour: str, pitch: float
) -> None:
    """Mark the intervals that leave the axis."""
    size = min(14.0, (0.9 * pitch) ** 2)
    for out, x, marker in ((low < limits[0], limits[0], "<"), (high > limits[1], limits[1], ">")):
        if out.any():
            at = np.full(int(out.sum()), x)
            look: dict[str, Any] = {
                "marker": marker,
                "color": colour,
                "linewidths": 0,
                "clip_on": False,
                "label": "beyond",
            }
            panel.ax.scatter(at, y[out], s=size, **look)


def _alt(fit_or_fits: PooledFit | PooledFits, kind: OrchardKind, overall: bool, favours: tuple[str, str] | None) -> str:
    name = f"{kind.capitalize()} plot"
    if isinstance(fit_or_fits, PooledFit):
        return describe_fit(fit_or_fits, name, favours)
    return describe_fits(fit_or_fits, name, with_overall=overall, favours=favours)
