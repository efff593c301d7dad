"""The drapery plot: p-value functions of the trials and of the pooled effect.

References
----------
Rücker G, Schwarzer G. Beyond the forest plot: the drapery plot. Res Synth Methods 2021;12:13-19. doi:10.1002/jrsm.1410
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.plotting_labels import shorten, spread
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.figures.wording import p_value
from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.p_value_function import has_p_value_function, p_value_function, prediction_scale

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.pooling.result import PooledFit

NATURAL_MM = 140.0
ASPECT = 0.64
STEPS = 801
LEVELS = (0.99, 0.95, 0.9, 0.8, 0.5)
NAME_LONGEST = 22
NAMED = 20
BESIDE = 4.2


def drapery_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    prediction: bool = True,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the p-value of every hypothetical effect, for each trial and for the pooled effect.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    prediction : bool
        Shade where the effect of a new trial is expected, at every level.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 140 mm wide by default.

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
    Where a curve is at p, it bounds the interval of level ``1 - p``; its peak is the estimate. Trials have normal
    intervals, the pooled effect those of the fit. An interval that is not the estimate plus and minus a quantile times
    its standard error (Henmi-Copas) has no such curve; a footnote says so. Up to twenty trials are named above their
    peaks.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.drapery import drapery_plot
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> ipt.alt_text(drapery_plot(ipt.pool(table, tau2_method="EE", ci_method="wald")))
    'Drapery plot of 3 trials: p-value functions of each and of the pooled effect, effect 0.67 (95% CI 0.47 to ...'
    """
    trials = trials_of(fit, what="drapery_plot", minimum=0)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=trials.labels) as panel:
        if trials.k == 0:
            words.say_no_effects(panel, trials.fit)
            alt = "Drapery plot: no trial with a usable effect."
        else:
            _draw(panel, trials, prediction=prediction)
            alt = _describe(trials)
        remember_alt_text(panel.ax, alt)
        return panel.figure


def _draw(panel: Panel, trials: Trials, *, prediction: bool) -> None:
    fit, ax, style = trials.fit, panel.ax, panel.style
    xlim = _limits(trials)
    theta = np.unique(np.concatenate([np.linspace(*xlim, STEPS), trials.effect, [fit.estimate]]))
    words.set_effect_axis(panel, "x", fit.measure, xlim, favours=words.favours_line([fit.studies], fit.measure))
    set_axis(panel, "y", "p-value", (0.0, 1.0), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    _levels(panel)
    ax.axvline(0.0, color=style.muted, linewidth=0.6, zorder=1.5)
    key = _new_trial(panel, trials, theta) if prediction else []
    key = [*_trial_curves(panel, trials, theta), *_pooled_curve(panel, trials, theta), *key]
    _names(panel, trials, xlim)
    arrange(panel, aspect=ASPECT, key=key, notes=[*_notes(trials), *words.standing_notes(fit)])


def _limits(trials: Trials) -> tuple[float, float]:
    """Return limits that hold all estimates and most of the trials' intervals."""
    half = quantile(0.95, math.inf) * trials.std_error
    low, high = np.quantile(trials.effect - half, 0.1), np.quantile(trials.effect + half, 0.9)
    return padded(words.finite(trials.effect, [low, high, 0.0]), 0.03)


def _levels(panel: Panel) -> None:
    """Draw lines at the customary levels, named on the right where there is room."""
    from matplotlib.transforms import ScaledTranslation

    ax, style = panel.ax, panel.style
    height = ASPECT * 0.8 * panel.width if panel.height is None else 0.6 * panel.height
    last = -1.0
    for level in LEVELS:
        at = 1 - level
        ax.axhline(at, color=style.rule, linewidth=0.5, linestyle=(0, (1, 2)), zorder=0.8)
        if (at - last) * height >= 1.15 * style.small_size:
            ax.text(1.01, at, f"{100 * level:g}%", transform=ax.get_yaxis_transform(), va="center", **panel.font())
            last = at
    beside = ax.transAxes + ScaledTranslation(BESIDE * style.small_size / 72, 0, panel.figure.dpi_scale_trans)
    ax.text(1.0, 0.5, "Confidence level", transform=beside, rotation=270, va="center", **panel.font())


def _trial_curves(panel: Panel, trials: Trials, theta: Array) -> list[Any]:
    thin = 0.8 if trials.k <= 20 else 0.5 if trials.k <= 60 else 0.35
    look: dict[str, Any] = {"color": readable(panel.style.study), "linewidth": thin, "zorder": 2}
    lines = [
        panel.ax.plot(theta, p_value_function(theta, effect, error), label="Trial", **look)[0]
        for effect, error in zip(trials.effect, trials.std_error, strict=True)
    ]
    return lines[:1]


def _pooled_curve(panel: Panel, trials: Trials, theta: Array) -> list[Any]:
    fit = trials.fit
    if fit.k < 2 or not has_p_value_function(fit) or fit.std_error <= 0:
        return []
    p = p_value_function(theta, fit.estimate, fit.std_error, float(fit.df))
    return list(panel.ax.plot(theta, p, color=panel.style.overall, linewidth=2.0, label="Pooled effect", zorder=4))


def _new_trial(panel: Panel, trials: Trials, theta: Array) -> list[Any]:
    """Shade the p-value function of the effect of a new trial, whose interval is the prediction interval."""
    scale = prediction_scale(trials.fit)
    if scale is None:
        return []
    p = p_value_function(theta, trials.fit.estimate, *scale)
    colour = tint(panel.style.prediction, 0.16)
    edge = readable(panel.style.prediction)
    panel.ax.fill_between(theta, 0.0, p, facecolor=colour, edgecolor="none", zorder=0.5, label="prediction area")
    look: dict[str, Any] = {"color": edge, "linewidth": 1.2, "dashes": (4, 2)}
    return list(panel.ax.plot(theta, p, label="Prediction for a new trial", zorder=3, **look))


def _names(panel: Panel, trials: Trials, xlim: tuple[float, float]) -> None:
    """Write the trials above their peaks, upright lines of text side by side, where there is room."""
    size = panel.style.small_size
    gap = 1.3 * size / (0.78 * panel.width) * (xlim[1] - xlim[0])
    if trials.k > NAMED or trials.k * gap > xlim[1] - xlim[0]:
        return
    ax, place = panel.ax, panel.ax.get_xaxis_transform()
    at = spread(trials.effect.tolist(), gap, xlim[0] + gap / 2, xlim[1] - gap / 2)
    for name, peak, x in zip(trials.labels, trials.effect, at, strict=True):
        ax.plot(
            [peak, x],
            [1.0, 1.04],
            transform=place,
            color=panel.style.muted,
            linewidth=0.4,
            clip_on=False,
            label="leader",
        )
        ax.text(
            x, 1.05, shorten(name, NAME_LONGEST), transform=place, rotation=90, ha="center", va="bottom", **panel.font()
        )


def _notes(trials: Trials) -> list[str]:
    fit = trials.fit
    if trials.k == 1:
        return ["One trial: nothing was pooled."]
    if not has_p_value_function(fit):
        return ["The interval of the pooled effect is not symmetric in this sense, so it has no curve here."]
    if math.isnan(fit.pi_low):
        return ["No prediction interval: it needs at least three trials and random effects."]
    return []


def _describe(trials: Trials) -> str:
    fit = trials.fit
    if trials.k == 1:
        return f"Drapery plot of one trial, {trials.labels[0]}: {words.estimate_text(fit)}; nothing was pooled."
    name = words.estimate_text(fit)
    name = name if name[:1] == "H" else name[:1].lower() + name[1:]
    parts = [f"p-value functions of each and of the pooled effect, {name}, {p_value(fit.p_value)} for no effect"]
    if not math.isnan(fit.pi_low):
        parts.append(f"prediction interval {words.shown_interval(fit.pi_low, fit.pi_high, fit.measure)}")
    return f"Drapery plot of {trials.k} trials: {'; '.join(parts)}."
