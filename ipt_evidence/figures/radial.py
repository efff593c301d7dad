"""The radial plot (Galbraith): every trial as a line from the origin whose slope is its effect.

References
----------
Galbraith RF. Graphical display of estimates having differing standard errors. Technometrics 1988;30:271-281.
doi:10.1080/00401706.1988.10488400
Galbraith RF. Some applications of radial plots. J Am Stat Assoc 1994;89:1232-1242. doi:10.1080/01621459.1994.10476864
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, round_ticks, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, key_point, point_area, tint
from ipt_evidence.figures.plotting_labels import label_points, strokes
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.pooling.intervals import quantile

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.pooling.result import PooledFit

NATURAL_MM = 120.0
ASPECT = 0.8
BAND_TO = 1.04
CLEAR = 1.06
BEYOND_ARC = 1.03
INSIDE = 0.94
ARC_TICKS = 6
MOST_ANGLE = math.radians(55)
BAND = 0.16
NAMED = 6


@dataclass(frozen=True, slots=True)
class Arc:
    """The arc on which effects are read: where the ray of an effect meets it, in the units of the axes.

    Attributes
    ----------
    radius : float
        On the horizontal axis.
    stretch : float
        How much longer a unit of the vertical axis is drawn than one of the horizontal axis.
    """

    radius: float
    stretch: float

    def at(self, effect: Array | float, radius: float = 1.0) -> tuple[Array, Array]:
        """Return the coordinates of effects on the arc, `radius` times as far from the origin."""
        slope = np.asarray(effect, dtype=float)
        x = radius * self.radius / np.sqrt(1 + (self.stretch * slope) ** 2)
        return x, slope * x

    def reach(self, zlim: tuple[float, float]) -> tuple[float, float]:
        """Return the smallest and largest effect whose ray meets the arc inside vertical limits."""
        low, high = (self._effect(z) for z in zlim)
        return low, high

    def _effect(self, z: float) -> float:
        share = min(1.0, abs(z) * self.stretch / self.radius)
        angle = min(math.asin(share), MOST_ANGLE)
        return math.copysign(math.tan(angle) / self.stretch, z)


def radial_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each trial's standardised effect against its precision, with effects read from an arc.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 120 mm wide by default.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`.

    Raises
    ------
    OptionError
        An option is not possible, or the fit keeps several effects per trial.

    Notes
    -----
    Precision is ``1 / sqrt(variance + tau2)``, the standardised effect ``effect / sqrt(variance + tau2)``; in a
    common-effect fit tau2 is zero, which is Galbraith's own plot. The line from the origin through a trial meets the
    arc at its effect. The band holds the trials that differ from the pooled effect by less than the normal quantile of
    the fit's level; those outside are named (of up to six trials, all).

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.radial import radial_plot
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> ipt.alt_text(radial_plot(ipt.pool(table, tau2_method="EE", ci_method="wald")))
    'Radial plot of 3 trials: pooled effect 0.67 (95% CI 0.47 to 0.88); outside the 95% band: C and A.'
    """
    trials = trials_of(fit, what="radial_plot", minimum=0)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=trials.labels) as panel:
        if trials.k == 0:
            words.say_no_effects(panel, trials.fit)
            alt = "Radial plot: no trial with a usable effect."
        else:
            _draw(panel, trials)
            alt = _describe(trials)
        remember_alt_text(panel.ax, alt)
        return panel.figure


def _coordinates(trials: Trials) -> tuple[Array, Array]:
    tau2 = 0.0 if math.isnan(trials.fit.tau2) else trials.fit.tau2
    precision = 1 / np.sqrt(trials.variance + tau2)
    return precision, trials.effect * precision


def _draw(panel: Panel, trials: Trials) -> None:
    fit, ax, style = trials.fit, panel.ax, panel.style
    x, z = _coordinates(trials)
    right = BAND_TO * float(x.max())
    width = float(quantile(fit.method.level, math.inf))
    centre = fit.estimate * right
    zlim = padded([*z, -width, width, *((centre - width, centre + width) if trials.k > 1 else ())], 0.04)
    error = "standard error" if fit.method.tau2_method == "EE" or trials.k < 2 else "√(variance + τ²)"
    set_axis(panel, "y", f"Effect / {error}", zlim)
    arc = _arc(x, z, zlim)
    set_axis(panel, "x", f"Precision: 1 / {error}", (0.0, arc.radius * BEYOND_ARC), _ticks(right, panel))
    ax.spines["bottom"].set_bounds(0.0, right)
    key = [key_point("trial", style, "Trial"), *_band(panel, trials, right, width)]
    draw_points(ax, x, z, "trial", style, label="trials", area=point_area(trials.k))
    key += _draw_arc(panel, arc, trials, zlim)
    notes = ["One trial: nothing was pooled."] if trials.k == 1 else []
    arrange(panel, aspect=ASPECT, key=key, notes=[*notes, *words.standing_notes(fit)], square=True)
    out = _outside(trials)[:NAMED] if trials.k > NAMED else list(range(trials.k))
    spots = np.column_stack([x, z])
    label_points(panel, spots[out], [trials.labels[i] for i in out], others=spots, lines=strokes(ax))


def _ticks(right: float, panel: Panel) -> list[float]:
    return [t for t in round_ticks(0.0, right, 5 if panel.width > 300 else 4) if t <= right]


def _arc(x: Array, z: Array, zlim: tuple[float, float]) -> Arc:
    """Return the arc about the origin, on the page, that leaves every trial inside.

    With radius r a vertical unit is drawn ``a r`` times as long as a horizontal one, a being that ratio for radius 1;
    a trial lies inside when ``x^2 + (a r z)^2 <= r^2``.
    """
    ratio = ASPECT * BEYOND_ARC / (zlim[1] - zlim[0])
    room = np.maximum(1 - (CLEAR * ratio * z) ** 2, 0.05)
    radius = CLEAR * float(np.max(x / np.sqrt(room)))
    return Arc(radius, ratio * radius)


def _band(panel: Panel, trials: Trials, right: float, width: float) -> list[Any]:
    """Draw the ray of no effect, that of the pooled effect and the band about it; return entries of the key."""
    from matplotlib.patches import Patch

    ax, style, fit = panel.ax, panel.style, trials.fit
    ends = np.array([0.0, right])
    ax.plot(ends, 0 * ends, color=style.muted, linewidth=0.6, zorder=1.5, label="no effect")
    if trials.k < 2:
        return []
    (pooled,) = ax.plot(ends, fit.estimate * ends, color=style.overall, linewidth=1.1, zorder=2, label="Pooled effect")
    level = f"{100 * fit.method.level:g}%"
    ax.fill_between(
        ends,
        fit.estimate * ends - width,
        fit.estimate * ends + width,
        facecolor=tint(style.text, BAND / 2),
        edgecolor=style.rule,
        linewidth=0.5,
        zorder=0.5,
        label="band",
    )
    patch = Patch(
        facecolor=tint(style.text, BAND / 2), edgecolor=style.rule, linewidth=0.5, label=f"{level} band of the trials"
    )
    return [pooled, patch]


def _draw_arc(panel: Panel, arc: Arc, trials: Trials, zlim: tuple[float, float]) -> list[Any]:
    """Draw the arc with ticks, and the interval of the pooled effect on it; return entries of the key."""
    ax, style, fit = panel.ax, panel.style, trials.fit
    low, high = arc.reach((zlim[0] * INSIDE, zlim[1] * INSIDE))
    first, last = _range(trials, low, high)
    x, z = arc.at(np.linspace(first, last, 100))
    ax.plot(x, z, color=style.interval, linewidth=0.7, clip_on=False, zorder=3, label="arc")
    ticks, labels = words.effect_ticks(first, last, fit.measure, ARC_TICKS)
    for value, label in zip(ticks, labels, strict=True):
        start, end, text = (arc.at(value, r) for r in (1.0, 1.012, 1.03))
        ax.plot([start[0], end[0]], [start[1], end[1]], color=style.interval, linewidth=0.7, clip_on=False)
        ax.text(float(text[0]), float(text[1]), label, ha="left", va="center", **panel.font())
    name = words.measure_name(fit.measure)
    if panel.measure(name, style.small_size) > 0.55 * panel.width:
        name = words.measure_name(fit.measure, short=True)
    ax.text(1.0, 1.02, name, transform=ax.transAxes, ha="right", va="bottom", **panel.font())
    if trials.k < 2:
        return []
    x, z = arc.at(np.linspace(np.clip(fit.ci_low, first, last), np.clip(fit.ci_high, first, last), 30))
    cut = " (goes beyond the arc)" if fit.ci_low < first or fit.ci_high > last else ""
    label = f"{100 * fit.method.level:g}% confidence interval{cut}"
    look: dict[str, Any] = {"color": style.overall, "linewidth": 3.0, "solid_capstyle": "butt"}
    return list(ax.plot(x, z, clip_on=False, zorder=4, label=label, **look))


def _range(trials: Trials, low: float, high: float) -> tuple[float, float]:
    """Return the effects that the arc covers: those of trials and of no effect, as far as the panel reaches."""
    values = [*trials.effect, 0.0, trials.fit.ci_low, trials.fit.ci_high]
    first, last = padded([v for v in values if math.isfinite(v)], 0.03)
    return max(first, low), min(last, high)


def _outside(trials: Trials) -> list[int]:
    """Return the trials outside the band, the farthest first."""
    if trials.k < 2:
        return list(range(trials.k))
    x, z = _coordinates(trials)
    away = np.abs(z - trials.fit.estimate * x)
    width = quantile(trials.fit.method.level, math.inf)
    return [int(i) for i in np.argsort(-away, kind="stable") if away[i] > width]


def _describe(trials: Trials) -> str:
    fit = trials.fit
    if trials.k == 1:
        return f"Radial plot of one trial, {trials.labels[0]}: {words.estimate_text(fit)}; nothing was pooled."
    level = f"{100 * fit.method.level:g}%"
    names = [trials.labels[i] for i in _outside(trials)]
    limits = words.shown_interval(fit.ci_low, fit.ci_high, fit.measure)
    head = f"Radial plot of {trials.k} trials: pooled effect {words.shown(fit.estimate, fit.measure)}"
    return f"{head} ({level} CI {limits}); outside the {level} band: {words.names_text(names)}."
