"""The rainforest plot: each trial as a raindrop whose shape is its likelihood and whose height is its weight.

References
----------
Schild AHE, Voracek M. Finding your way out of the forest without a trail of bread crumbs: development and evaluation of
two novel displays of forest plots. Res Synth Methods 2015;6:74-86. doi:10.1002/jrsm.1125
Barrowman NJ, Myers RA. Raindrop plots: a new way to display collections of likelihoods and distributions. Am Stat
2003;57:268-274. doi:10.1198/0003130032369
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import ndtri

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.alt_text import describe_fit
from ipt_evidence.figures.orchard_panel import Array, aspect_of, draw_interval, effect_limits
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.plotting_labels import shorten
from ipt_evidence.options import choose
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle

RainforestOrder = Literal["effect", "weight", "table"]
NATURAL_MM = 120.0
PITCH, CLOSER, MANY = 11.0, 8.5, 60
LEAST = 60.0
STEPS = 41
HALF = 0.47
FLATTEST = 0.12
INNER, OUTER = 0.75, 0.35
SPARED = 2.2


def rainforest_plot(
    fit: PooledFit,
    *,
    order: RainforestOrder = "effect",
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each trial as a raindrop: where it is thick the trial's effect is likely, and high drops weigh much.

    Parameters
    ----------
    fit : PooledFit
        From :func:`ipt_evidence.pool`.
    order : {"effect", "weight", "table"}, optional
        Largest effect first, largest weight first, or the order of the studies.
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
        The argument is not a fit, or the order is not one.

    Notes
    -----
    A drop ends at the limits of the trial's interval. Its height is the normal likelihood of each effect relative to
    the largest, times the root of the trial's weight relative to the largest weight; the dark core is the 50% interval.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.rainforest import rainforest_plot
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9, 0.4], "variance": [0.04, 0.02, 0.09, 0.03]})
    >>> ipt.alt_text(rainforest_plot(ipt.pool(table)))[:36]
    'Rainforest plot of 4 trials: effect '
    """
    choose("order", order, RainforestOrder)
    if not isinstance(fit, PooledFit):
        raise OptionError(f"rainforest_plot needs what pool() returned; received {type(fit).__name__}")
    texts = fit.studies.get("study", ())
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        if fit.k == 0:
            words.say_no_effects(panel, fit)
        else:
            _draw(panel, fit, _ordered(fit, order))
        remember_alt_text(panel.ax, describe_fit(fit, "Rainforest plot"))
        return panel.figure


def _ordered(fit: PooledFit, order: RainforestOrder) -> pd.DataFrame:
    studies = words.included(fit)
    if order == "table":
        return studies
    return studies.sort_values(order, ascending=False, kind="stable").reset_index(drop=True)


def _draw(panel: Panel, fit: PooledFit, studies: pd.DataFrame) -> None:
    pitch = PITCH if fit.k <= MANY else CLOSER
    effect, low, high = (studies[c].to_numpy(dtype=float) for c in ("effect", "ci_low", "ci_high"))
    ends = np.array([*low, *high, fit.ci_low, fit.ci_high, fit.pi_low, fit.pi_high])
    limits = effect_limits(effect, ends)
    favours = words.favours_line([fit.studies], fit.measure)
    words.set_effect_axis(panel, "x", fit.measure, limits, favours=favours)
    rows = fit.k + (SPARED if fit.k > 1 else 0.0)
    labels = [shorten(str(name), 28) for name in studies["study"]]
    at = [float(i) for i in range(fit.k)]
    if fit.k > 1:
        labels, at = [*labels, f"Mean of {fit.k} trials"], [*at, fit.k + 0.5]
    every = _every(panel, len(labels), rows)
    set_axis(panel, "y", "", (rows - 0.5, -0.7), at[::every], labels=labels[::every])
    ax = panel.ax
    ax.axvline(0.0, color=panel.style.rule, linewidth=0.7, zorder=0, label="no difference")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    _drops(panel, studies, limits, fit.method.level)
    if fit.k > 1:
        _mean(panel, fit, limits)
    aspect = aspect_of(panel, max(LEAST, pitch * (rows + 0.2)))
    notes = (*_thinned(every), *words.standing_notes(fit))
    arrange(panel, aspect=aspect, key=_key(panel, fit), notes=notes)


def _every(panel: Panel, labels: int, rows: float) -> int:
    """Return that only every n-th trial is named in a box of the caller that is too small for all."""
    if panel.height is None:
        return 1
    room = 0.7 * panel.height / (rows + 0.2)
    return max(1, math.ceil(1.2 * panel.style.small_size / max(room, 0.1))) if labels > 1 else 1


def _thinned(every: int) -> tuple[str, ...]:
    return (f"One in {every} trials is named.",) if every > 1 else ()


def drop(low: float, high: float, height: float, *, level: float = 0.95) -> tuple[Array, Array]:
    """Return effects between the limits of a normal interval of a level, and half the height of the drop at each.

    Examples
    --------
    >>> x, half = drop(0.0, 1.0, 0.4)
    >>> float(x[20]), float(half[20]), round(float(half[0] / half[20]), 3)
    (0.5, 0.4, 0.147)
    """
    x = np.linspace(low, high, STEPS)
    z = float(ndtri((1 + level) / 2)) * (x - (low + high) / 2) / ((high - low) / 2)
    return x, height * np.exp(-0.5 * z * z)


def _drops(panel: Panel, studies: pd.DataFrame, limits: tuple[float, float], level: float) -> None:
    """Draw the drops, their cores, the effects, and arrows where a drop leaves the axis."""
    from matplotlib.collections import PolyCollection

    colour = readable(panel.style.study)
    weight = studies["weight"].to_numpy(dtype=float)
    heights = HALF * np.maximum(FLATTEST, np.sqrt(weight / weight.max()))
    outer, inner = [], []
    middle = float(ndtri(0.75) / ndtri((1 + level) / 2))
    bounds = studies[["effect", "ci_low", "ci_high"]].to_numpy(dtype=float)
    for row, ((effect, low, high), height) in enumerate(zip(bounds, heights, strict=True)):
        x, half = drop(low, high, float(height), level=level)
        outer.append(_outline(x, half, row))
        core = np.abs(x - effect) <= middle * (high - low) / 2
        inner.append(_outline(x[core], half[core], row))
    look: dict[str, Any] = {"edgecolors": colour, "linewidths": 0.5}
    panel.ax.add_collection(PolyCollection(outer, facecolors=tint(colour, OUTER), label="drops", zorder=2, **look))
    panel.ax.add_collection(
        PolyCollection(inner, facecolors=tint(colour, INNER), linewidths=0, label="cores", zorder=3)
    )
    rows = np.arange(len(studies))
    panel.ax.scatter(
        bounds[:, 0], rows, s=9, color="#FFFFFF", edgecolors=panel.style.text, linewidths=0.6, zorder=5, label="trials"
    )
    for beyond, edge, marker in (
        (bounds[:, 1] < limits[0], limits[0], "<"),
        (bounds[:, 2] > limits[1], limits[1], ">"),
    ):
        if beyond.any():
            at = np.full(int(beyond.sum()), edge)
            panel.ax.scatter(
                at, rows[beyond], s=14, marker=marker, color=colour, linewidths=0, clip_on=False, label="beyond"
            )


def _outline(x: Array, half: Array, row: int) -> Array:
    return np.column_stack([np.concatenate([x, x[::-1]]), row + np.concatenate([-half, half[::-1]])])


def _mean(panel: Panel, fit: PooledFit, limits: tuple[float, float]) -> None:
    """Draw the mean as a diamond with its prediction interval."""
    style, ax, y = panel.style, panel.ax, fit.k + 0.5
    ax.axhline(fit.k - 0.3, color=style.rule, linewidth=0.5, label="rule")
    pi = (fit.pi_low, fit.pi_high)
    draw_interval(ax, y, pi, limits, label="prediction", color=style.text, linewidth=0.9, zorder=4)
    dark = readable(style.pooled)
    ax.axvline(fit.estimate, color=dark, linewidth=0.7, linestyle=(0, (3, 2)), zorder=1, label="mean")
    low, high = max(fit.ci_low, limits[0]), min(fit.ci_high, limits[1])
    corners = [(low, y), (fit.estimate, y - 0.42), (high, y), (fit.estimate, y + 0.42)]
    ax.fill(
        *zip(*corners, strict=True), facecolor=dark, edgecolor=style.text, linewidth=0.5, zorder=5, label="interval"
    )


def _key(panel: Panel, fit: PooledFit) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    style, colour = panel.style, readable(panel.style.study)
    level = f"{100 * fit.method.level:g}%"
    face: dict[str, Any] = {"edgecolor": colour, "linewidth": 0.5}
    key: list[Artist] = [
        Patch(
            facecolor=tint(colour, OUTER),
            label=f"Trial: likelihood within its {level} interval, height by weight",
            **face,
        ),
        Patch(facecolor=tint(colour, INNER), label="Its middle 50%", **face),
    ]
    if fit.k > 1:
        key.append(Patch(facecolor=readable(style.pooled), label=f"Mean with {level} confidence interval", linewidth=0))
    if not math.isnan(fit.pi_low):
        key.append(Line2D([], [], color=style.text, linewidth=0.9, label=f"{level} prediction interval"))
    return key
