"""The posterior of the mean, of tau and of the effect in a new trial, with the priors that went in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.orchard_panel import Array, frame_axes
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, fold, open_panel, round_ticks, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.wording import capitalise, number
from ipt_evidence.pooling.bayes_result import BayesFit, PosteriorSummary, Quantity

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle

NATURAL_MM = 150.0
SIDE_BY_SIDE = 300.0
POINTS = 301
TAIL = 1.6
GAP, STACKED_GAP = 0.07, 0.13
HIGHEST = 1.08


def posterior_plot(
    fit: BayesFit,
    *,
    priors: bool = True,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the posterior densities of a Bayesian fit with their intervals.

    Parameters
    ----------
    fit : BayesFit
        From :func:`ipt_evidence.bayes`.
    priors : bool, optional
        Whether the priors are drawn too; improper ones have no density and are not.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 150 by default. The two panels stand side by side from about 105 mm on, else one above
        the other.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes, which holds both panels.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        The argument is not a Bayesian fit.

    Notes
    -----
    Densities are exact, not smoothed samples; each panel has its own vertical scale. Marks are posterior medians, bars
    the intervals of the fit. The area within an interval is shaded.

    References
    ----------
    Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6):1-51.
    doi:10.18637/jss.v093.i06

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.posterior import posterior_plot
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": [0.04, 0.02, 0.06]})
    >>> ipt.alt_text(posterior_plot(ipt.bayes(table)))[:57]
    'Posterior of the mean effect and of τ in 3 trials: effect'
    """
    if not isinstance(fit, BayesFit):
        raise OptionError(f"posterior_plot needs what bayes() returned; received {type(fit).__name__}")
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM) as panel:
        beside = panel.width >= SIDE_BY_SIDE
        panel.ax.set_axis_off()
        left, right = _two(panel.ax, beside)
        _effects(panel, left, fit, priors)
        _tau(panel, right, fit, priors)
        notes = [f"Method: {capitalise(fit.method.describe())}{_software(fit)}.", words.source_note(fit.studies)]
        aspect = 0.42 if beside else 1.25
        arrange(panel, aspect=aspect, key=_key(panel, fit, priors), notes=[note for note in notes if note])
        remember_alt_text(panel.ax, _alt(fit))
        return panel.figure


def _two(ax: Axes, beside: bool) -> tuple[Axes, Axes]:
    """Return two panels inside the axes."""
    if beside:
        wide = (1 - GAP) / 2
        return ax.inset_axes((0.0, 0.0, wide, 1.0)), ax.inset_axes((wide + GAP, 0.0, wide, 1.0))
    tall = (1 - STACKED_GAP) / 2
    return ax.inset_axes((0.0, 1 - tall, 1.0, tall)), ax.inset_axes((0.0, 0.0, 1.0, tall))


def _software(fit: BayesFit) -> str:
    return f"; {fit.method.software}" if fit.method.software else ""


def _curve(ax: Axes, x: Array, y: Array, ends: tuple[float, float], colour: str, *, label: str) -> None:
    """Draw a density, the part within the interval filled."""
    ax.plot(x, y, color=colour, linewidth=1.4, zorder=4, label=label)
    inside = (x >= ends[0]) & (x <= ends[1])
    ax.fill_between(x[inside], 0.0, y[inside], color=tint(colour, 0.25), linewidth=0, zorder=2)


def _bar(ax: Axes, y: float, summary: PosteriorSummary, colour: str, marker: str) -> None:
    """Draw the interval with the median under the curves."""
    low, high = summary.ci_low, summary.ci_high
    ax.plot([low, high], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt", zorder=4, label="interval")
    ax.scatter(
        [summary.median],
        [y],
        s=30,
        marker=marker,
        color=colour,
        edgecolors="#FFFFFF",
        linewidths=0.7,
        zorder=5,
        label="median",
    )


def _look(panel: Panel) -> dict[Quantity, tuple[str, str]]:
    """Return colour and marker of each quantity."""
    style = panel.style
    return {"mu": (readable(style.study), "o"), "prediction": (readable(style.pooled), "D"), "tau": (style.text, "s")}


def _span(summaries: list[PosteriorSummary]) -> tuple[float, float]:
    """Return limits that hold zero and the intervals with their tails."""
    low = min(0.0, *(s.median - TAIL * (s.median - s.equal_tailed_low) for s in summaries))
    high = max(0.0, *(s.median + TAIL * (s.equal_tailed_high - s.median) for s in summaries))
    return low, high


def _effects(panel: Panel, ax: Axes, fit: BayesFit, priors: bool) -> None:
    """Draw the mean effect and the effect in a new trial."""
    low, high = _span([fit.mu, fit.prediction])
    x = np.unique(np.concatenate([np.linspace(low, high, POINTS), np.linspace(fit.ci_low, fit.ci_high, POINTS)]))
    look, top = _look(panel), 0.0
    curves: tuple[tuple[Quantity, tuple[float, float]], ...] = (
        ("prediction", (fit.pi_low, fit.pi_high)),
        ("mu", (fit.ci_low, fit.ci_high)),
    )
    for of, ends in curves:
        y = fit.density(x, of=of)
        _curve(ax, x, y, ends, look[of][0], label=of)
        top = max(top, float(y.max()))
    prior = fit.method.mu_prior
    if priors and prior.proper:
        z = (x - prior.mean) / prior.sd
        _prior(panel, ax, x, np.exp(-0.5 * z * z) / (prior.sd * math.sqrt(2 * math.pi)))
    _bar(ax, -0.07 * top, fit.mu, *look["mu"])
    _bar(ax, -0.15 * top, fit.prediction, *look["prediction"])
    ax.axvline(0.0, color=panel.style.rule, linewidth=0.7, zorder=1, label="no difference")
    _finish(panel, ax, (low, high), top)
    room = 0.45 * panel.width if panel.width >= SIDE_BY_SIDE else 0.9 * panel.width
    ticks, labels = words.effect_ticks(low, high, fit.measure, max(3, min(6, int(room / 42))))
    name = words.measure_name(fit.measure)
    lines = fold(name, room, panel.style.small_size, panel.measure)
    set_axis(panel, "x", "\n".join(lines), (low, high), ticks, labels=labels, ax=ax)


def _tau(panel: Panel, ax: Axes, fit: BayesFit, priors: bool) -> None:
    """Draw the between-study standard deviation."""
    high = TAIL * fit.tau_summary.equal_tailed_high
    x = np.linspace(0.0, high, POINTS)
    y = fit.density(x, of="tau")
    colour, marker = _look(panel)["tau"]
    _curve(ax, x, y, (fit.tau_ci_low, fit.tau_ci_high), colour, label="tau")
    prior = fit.method.tau_prior
    top = float(y.max())
    if priors and prior.proper:
        density = np.exp(prior.log_density(x))
        _prior(panel, ax, x, density)
        top = max(top, float(density.max()))
    _bar(ax, -0.11 * top, fit.tau_summary, colour, marker)
    _finish(panel, ax, (0.0, high), top)
    ticks = round_ticks(0.0, high, 5)
    set_axis(panel, "x", "τ (SD between trials)", (-0.01 * high, high), ticks, ax=ax)


def _prior(panel: Panel, ax: Axes, x: Array, y: Array) -> None:
    ax.plot(x, y, color=panel.style.muted, linewidth=1.0, linestyle=(0, (4, 2)), zorder=3, label="prior")


def _finish(panel: Panel, ax: Axes, limits: tuple[float, float], top: float) -> None:
    """Leave only the lower axis."""
    frame_axes(panel, ax, sides=("bottom",))
    ax.set(xlim=limits, ylim=(-0.22 * top, HIGHEST * top))
    ax.set_yticks([])


def _key(panel: Panel, fit: BayesFit, priors: bool) -> list[Artist]:
    from matplotlib.lines import Line2D

    look = _look(panel)
    names: tuple[tuple[Quantity, str], ...] = (
        ("mu", f"Mean effect, {_said(fit, fit.mu)}"),
        ("prediction", f"Effect in a new trial, {_said(fit, fit.prediction)}"),
        ("tau", f"τ, {number(fit.tau, 2)} ({number(fit.tau_ci_low, 2)} to {number(fit.tau_ci_high, 2)})"),
    )
    key: list[Artist] = []
    for of, name in names:
        colour, marker = look[of]
        face: dict[str, Any] = {"markerfacecolor": colour, "markeredgecolor": "#FFFFFF", "markeredgewidth": 0.6}
        key.append(Line2D([], [], color=colour, linewidth=2.0, marker=marker, markersize=5.5, label=name, **face))
    if priors and (fit.method.mu_prior.proper or fit.method.tau_prior.proper):
        look_of_prior: dict[str, Any] = {"color": panel.style.muted, "linewidth": 1.0, "linestyle": (0, (4, 2))}
        key.append(Line2D([], [], label="Prior", **look_of_prior))
    return key


def _said(fit: BayesFit, summary: PosteriorSummary) -> str:
    median = words.shown(summary.median, fit.measure)
    return f"{median} ({words.shown_interval(summary.ci_low, summary.ci_high, fit.measure)})"


def _alt(fit: BayesFit) -> str:
    """Return medians, intervals and the probability of a positive mean."""
    name = w.measure_names(fit.measure)[1]
    trials = words.trials_text(fit.k)
    short = name if name[:2].isupper() or "'" in name else name[:1].lower() + name[1:]
    level = f"{100 * fit.method.level:g}%"
    side = "above 1" if w.is_ratio(fit.measure) else "positive"
    chance = fit.p_positive
    said = "> 99.9%" if chance > 0.999 else "< 0.1%" if chance < 0.001 else f"{100 * chance:.1f}%"
    return (
        f"Posterior of the mean effect and of τ in {trials}: {short} {_said(fit, fit.mu)} with its {level} interval, "
        f"{side} with a probability of {said}; effect in a new trial {_said(fit, fit.prediction)}. "
        f"τ {number(fit.tau, 2)} ({number(fit.tau_ci_low, 2)} to {number(fit.tau_ci_high, 2)})."
    )
