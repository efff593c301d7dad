"""The funnel plot, which shows whether small trials have other results than large ones.

References
----------
Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Contour-enhanced meta-analysis funnel plots help distinguish
publication bias from other causes of asymmetry. J Clin Epidemiol 2008;61:991-996. doi:10.1016/j.jclinepi.2007.11.010
Sterne JAC, Egger M. Funnel plots for detecting bias in meta-analysis: guidelines on choice of axis. J Clin Epidemiol
2001;54:1046-1055. doi:10.1016/S0895-4356(01)00377-8
Kossmeier M, Tran US, Voracek M. Power-enhanced funnel plots for meta-analysis. Z Psychol 2020;228:43-49.
doi:10.1027/2151-2604/a000392
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.funnel_overlays import Height, Overlays, YScale, build_overlays
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, key_point, point_area, tint
from ipt_evidence.figures.plotting_labels import label_points, strokes
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.figures.wording import number
from ipt_evidence.options import choose

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.diagnostics.pet_peese import PetPeese
    from ipt_evidence.diagnostics.power import Power
    from ipt_evidence.diagnostics.small_study_result import SmallStudyTest
    from ipt_evidence.diagnostics.trim_and_fill import TrimAndFill
    from ipt_evidence.pooling.result import PooledFit

Labels = Literal["outside", "all", "none"]

NATURAL_MM = 120.0
ASPECT = 0.72
USUAL_CONTOURS = (0.90, 0.95, 0.99)
SHADES = (0.30, 0.19, 0.10, 0.05)
FEW = 10
NAMED_PER_MM = 1 / 13


def funnel_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    y: YScale = "std_error",
    contours: Sequence[float] | Literal["usual"] | None = "usual",
    trim_and_fill: TrimAndFill | bool | None = None,
    egger: SmallStudyTest | bool | None = None,
    pet_peese: PetPeese | bool | None = None,
    power: Power | Literal["sunset"] | bool | None = None,
    labels: Labels | Sequence[str] = "outside",
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw each trial's effect against its precision, with what tests and corrections make of it.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    y : {"std_error", "variance", "precision"}
        What stands for precision; the most precise trials are on top. Precision is one over the standard error.
    contours : sequence of float or "usual", optional
        Confidence levels at which shaded regions of significance around no effect begin. ``"usual"``: 0.90, 0.95 and
        0.99, none with `power`. ``None`` for none.
    trim_and_fill : TrimAndFill or bool, optional
        Filled trials as open circles, and the pooled effect with them; ``True`` computes it by its defaults.
    egger : SmallStudyTest or bool, optional
        Line of :func:`ipt_evidence.egger_test`.
    pet_peese : PetPeese or bool, optional
        Both lines of :func:`ipt_evidence.pet_peese`.
    power : Power, "sunset" or bool, optional
        Bands of the power of a trial to find the effect of :func:`ipt_evidence.power`, in steps of ten percent.
    labels : {"outside", "all", "none"} or sequence of str
        Which trials are named: those outside the pseudo confidence limits (the farthest first, as many as there is
        room for), all, none, or these.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 120 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`. It is neither shown nor saved.

    Raises
    ------
    OptionError
        An option is not possible, or a result does not belong to these trials or to this axis.

    Notes
    -----
    Contours are about no effect, the dashed pseudo confidence limits about the pooled effect; without heterogeneity
    they hold the share of trials that the fit's level says. What cannot be computed from so few trials is said in a
    footnote. Asymmetry can have reasons other than publication bias.

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.funnel import funnel_plot
    >>> error = np.linspace(0.1, 0.5, 12)
    >>> table = pd.DataFrame({"effect": 0.2 + error + 0.1 * np.cos(np.arange(12)), "variance": error**2})
    >>> fig = funnel_plot(ipt.pool(table, ci_method="wald"), egger=True)
    >>> ipt.alt_text(fig)[:48]
    'Funnel plot of 12 trials, effect against standar'
    """
    choose("y", y, YScale)
    trials = trials_of(fit, what="funnel_plot", minimum=0)
    levels = _levels(contours, bool(power))
    wanted = _wanted(trials, labels)
    height = Height(y)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=trials.labels) as panel:
        if trials.k == 0:
            words.say_no_effects(panel, trials.fit)
            alt = "Funnel plot: no trial with a usable effect."
        else:
            overlays = build_overlays(
                trials, height, trim_and_fill=trim_and_fill, egger=egger, pet_peese=pet_peese, power=power
            )
            _draw(panel, trials, height, levels, overlays, wanted)
            alt = " ".join([_describe(trials, y), *overlays.said])
        remember_alt_text(panel.ax, alt)
        return panel.figure


def _levels(contours: Sequence[float] | Literal["usual"] | None, shaded: bool) -> tuple[float, ...]:
    if contours is None:
        return ()
    if isinstance(contours, str):
        if contours != "usual":
            raise OptionError(
                f"contours must be 'usual', None or levels such as (0.9, 0.95, 0.99); received {contours!r}"
            )
        return () if shaded else USUAL_CONTOURS
    levels = tuple(sorted({float(x) for x in contours}))
    if shaded and levels:
        raise OptionError("contours and power both shade the plot; give one of them")
    if not all(0 < level < 1 for level in levels) or not 1 <= len(levels) <= len(SHADES):
        raise OptionError(
            f"contours must be one to {len(SHADES)} levels between 0 and 1, such as (0.9, 0.95, 0.99); "
            f"received {contours!r}"
        )
    return levels


def _wanted(trials: Trials, labels: Labels | Sequence[str]) -> list[int] | None:
    """Return the positions of the trials to name, the most important first; ``None`` for those outside the limits."""
    if isinstance(labels, str):
        choose("labels", labels, Labels)
        return {"outside": None, "all": list(range(trials.k)), "none": []}[labels]
    unknown = [name for name in labels if name not in trials.labels]
    if unknown:
        raise OptionError(f"labels: no trial is called {', '.join(map(repr, unknown))}")
    return [i for i, name in enumerate(trials.labels) if name in set(labels)]


def _draw(
    panel: Panel, trials: Trials, height: Height, levels: Sequence[float], overlays: Overlays, wanted: list[int] | None
) -> None:
    fit, ax, style = trials.fit, panel.ax, panel.style
    at = height.of(trials.std_error)
    xlim = padded([*trials.effect, *overlays.effects, 0.0, *_base(trials)])
    ylim = height.limits(np.array([*trials.std_error, *overlays.std_errors]))
    words.set_effect_axis(panel, "x", fit.measure, xlim, favours=words.favours_line([fit.studies], fit.measure))
    set_axis(panel, "y", height.name, ylim)
    key = [*_shade(panel, height, levels, ylim, xlim), *overlays.draw_behind(panel, ylim)]
    lines = [*_limits(panel, trials, height, ylim), *overlays.draw_lines(panel, ylim)]
    draw_points(ax, trials.effect, at, "trial", style, label="trials", area=point_area(trials.k))
    if len(overlays.effects):
        draw_points(
            ax,
            overlays.effects,
            height.of(overlays.std_errors),
            "filled",
            style,
            label="filled trials",
            area=point_area(trials.k),
        )
    points = [key_point("trial", style, "Trial")]
    points += [key_point("filled", style, "Filled trial")] if len(overlays.effects) else []
    notes = [*overlays.notes, *_few(trials.k), *words.standing_notes(fit)]
    arrange(panel, aspect=ASPECT, key=[*points, *lines, *key], notes=notes)
    named = _outside(trials)[: max(3, int(panel.width / 2.83 * NAMED_PER_MM))] if wanted is None else wanted
    drawn = np.column_stack([[*trials.effect, *overlays.effects], [*at, *height.of(overlays.std_errors)]])
    spots = np.column_stack([trials.effect, at])[named]
    label_points(panel, spots, [trials.labels[i] for i in named], others=drawn, lines=strokes(ax))


def _base(trials: Trials) -> list[float]:
    """Return the pseudo confidence limits at the least precise trial; those of no effect for one trial."""
    if trials.k < 2:
        half = _z(0.99) * float(trials.std_error.max())
        return [-half, half]
    half = _z(trials.fit.method.level) * float(trials.std_error.max())
    return [trials.fit.estimate - half, trials.fit.estimate + half]


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def _outside(trials: Trials) -> list[int]:
    """Return the trials outside the pseudo confidence limits, the farthest first."""
    if trials.k < 2:
        return list(range(trials.k))
    away = np.abs(trials.effect - trials.fit.estimate) / trials.std_error
    return [int(i) for i in np.argsort(-away, kind="stable") if away[i] > _z(trials.fit.method.level)]


def _shade(
    panel: Panel, height: Height, levels: Sequence[float], ylim: tuple[float, float], xlim: tuple[float, float]
) -> list[Any]:
    """Shade the regions of significance around no effect, the first the darkest; return the entries of the key."""
    from matplotlib.patches import Patch

    error = height.errors(ylim)
    beyond = 10 * max(map(abs, xlim)) + 10 * _z(0.99) * float(error.max())
    bounds = [_z(level) * error for level in levels] + [np.full_like(error, beyond)]
    key: list[Any] = []
    for i, shade in enumerate(SHADES[: len(levels)]):
        colour = tint(panel.style.text, shade)
        for side in (-1, 1):
            panel.ax.fill_betweenx(
                height.of(error),
                side * bounds[i],
                side * bounds[i + 1],
                facecolor=colour,
                edgecolor="none",
                linewidth=0,
                zorder=0.5,
                label=f"contour {levels[i]:g}",
            )
        last = i + 1 == len(levels)
        name = f"p < {1 - levels[i]:.2g}" if last else f"p {1 - levels[i + 1]:.2g} to {1 - levels[i]:.2g}"
        key.append(Patch(facecolor=colour, edgecolor=panel.style.rule, linewidth=0.4, label=name))
    return key


def _limits(panel: Panel, trials: Trials, height: Height, ylim: tuple[float, float]) -> list[Any]:
    """Draw no effect, the pooled effect and the pseudo confidence limits about it; return the entries of the key."""
    ax, style = panel.ax, panel.style
    ax.axvline(0.0, color=style.muted, linewidth=0.6, zorder=1.5)
    if trials.k < 2:
        return []
    fit, error = trials.fit, height.errors(ylim)
    pooled = ax.axvline(fit.estimate, color=style.overall, linewidth=1.1, zorder=2, label="Pooled effect")
    level = f"{100 * fit.method.level:g}% pseudo confidence limits"
    half = _z(fit.method.level) * error
    (low,) = ax.plot(
        fit.estimate - half, height.of(error), color=style.overall, linewidth=0.9, dashes=(5, 3), label=level
    )
    ax.plot(
        fit.estimate + half, height.of(error), color=style.overall, linewidth=0.9, dashes=(5, 3), label="upper limits"
    )
    return [pooled, low]


def _few(k: int) -> list[str]:
    if k == 1:
        return ["One trial: nothing was pooled, and there is no asymmetry to look for."]
    if k < FEW:
        return [f"{k} trials: below ten, asymmetry can hardly be told from chance."]
    return []


def _describe(trials: Trials, y: YScale) -> str:
    fit = trials.fit
    name = {"std_error": "standard error", "variance": "variance", "precision": "precision"}[y]
    errors = f"standard errors {number(trials.std_error.min(), 2)} to {number(trials.std_error.max(), 2)}"
    head = f"Funnel plot of {words.trials_text(trials.k)}, effect against {name} ({errors})"
    if trials.k < 2:
        return f"{head}: {trials.labels[0]}, {words.estimate_text(fit)}; nothing was pooled."
    out = _outside(trials)
    right = sum(trials.effect[i] > fit.estimate for i in out)
    sides = f", {right} to the right and {len(out) - right} to the left" if out else ""
    level = f"{100 * fit.method.level:g}%"
    return (
        f"{head}: pooled {words.estimate_text(fit)}; {len(out)} of {trials.k} trials lie outside the {level} pseudo "
        f"confidence limits{sides}."
    )
