"""The profile likelihood of tau2: how well the data tell the between-study variance.

References
----------
Hardy RJ, Thompson SG. A likelihood approach to meta-analysis with random effects. Stat Med 1996;15:619-629.
doi:10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable, tint
from ipt_evidence.figures.wording import small
from ipt_evidence.pooling.tau2_profile import Tau2Profile, profile_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle
    from ipt_evidence.pooling.result import PooledFit

NATURAL_MM = 100.0
ASPECT = 0.62
SAME = 1e-6
DEEPEST = 2.6


def tau2_profile_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the profile likelihood of the between-study variance with its interval.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial of at least two trials, or effects as for :func:`ipt_evidence.pool`.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 100 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    NotEstimableError
        There are fewer than two trials.
    OptionError
        The fit took tau2 to be zero (a common-effect model).

    Notes
    -----
    The restricted likelihood, or the full one where the fit is by ML. The interval holds all values whose
    log-likelihood lies within half a chi-square quantile of the maximum. The estimate and the interval of the fit are
    drawn beside it when they are others.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.tau2_profile import tau2_profile_plot
    >>> table = pd.DataFrame({"effect": [0.1, 0.5, 0.9, 0.4], "variance": [0.02, 0.02, 0.03, 0.03]})
    >>> ipt.alt_text(tau2_profile_plot(ipt.pool(table)))
    'Profile likelihood of τ² in 4 trials (restricted): maximum at 0.083, 95% interval 0.005 to 0.92. Zero ...'
    """
    trials = trials_of(fit, what="tau2_profile_plot", minimum=2)
    if trials.fit.method.tau2_method == "EE":
        raise OptionError(
            "tau2_profile_plot: this is a common-effect fit (tau2_method='EE'), which takes tau2 to be zero"
        )
    profile = profile_of(trials.effect, trials.variance, trials.fit.method)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM) as panel:
        _draw(panel, profile, trials.fit)
        remember_alt_text(panel.ax, _alt(profile, trials.fit))
        return panel.figure


def _draw(panel: Panel, profile: Tau2Profile, fit: PooledFit) -> None:
    ax, style = panel.ax, panel.style
    bottom = max(float(profile.height.min()), DEEPEST * profile.cut)
    top = -0.06 * bottom
    right = float(profile.tau2[-1])
    kind = "Restricted log-likelihood" if profile.restricted else "Log-likelihood"
    set_axis(panel, "x", "τ² (between-study variance)", (-0.02 * right, right))
    set_axis(panel, "y", f"{kind} below its maximum", (bottom, top))
    blue, dark = readable(style.study), readable(style.pooled)
    inside = (profile.tau2 >= profile.low) & (profile.tau2 <= profile.high)
    floor = np.full(int(inside.sum()), bottom)
    ax.fill_between(profile.tau2[inside], floor, profile.height[inside], color=tint(blue, 0.22), linewidth=0, zorder=1)
    ax.axhline(profile.cut, color=style.text, linewidth=0.8, linestyle=(0, (4, 2)), zorder=2, label="cut")
    ax.plot(profile.tau2, profile.height, color=blue, linewidth=1.5, zorder=3, label="profile")
    ax.scatter([profile.maximum], [0.0], s=34, marker="D", color=dark, edgecolors="#FFFFFF", zorder=6, label="maximum")
    estimate = _other_estimate(profile, fit)
    if estimate:
        ax.axvline(fit.tau2, color=style.text, linewidth=0.9, linestyle=(0, (1, 1.5)), zorder=4, label="estimate")
    arrange(panel, aspect=ASPECT, key=_key(panel, profile, fit), notes=(*_notes(fit), *words.standing_notes(fit)))


def _other_estimate(profile: Tau2Profile, fit: PooledFit) -> bool:
    """Return whether the fit's own tau2 is another and lies on the axis."""
    return abs(fit.tau2 - profile.maximum) > SAME * (1 + profile.maximum) and fit.tau2 <= profile.tau2[-1]


def _interval(profile: Tau2Profile) -> str:
    return f"{small(profile.low)} to {small(profile.high)}"


def _key(panel: Panel, profile: Tau2Profile, fit: PooledFit) -> list[Artist]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    style = panel.style
    level = f"{100 * profile.level:g}%"
    dark = readable(style.pooled)
    mark = {"marker": "D", "markersize": 5.0, "markerfacecolor": dark, "markeredgecolor": "#FFFFFF"}
    key: list[Artist] = [
        Line2D([], [], linestyle="none", label=f"Maximum, τ² = {small(profile.maximum)}".replace("= <", "<"), **mark),  # type: ignore[arg-type]
        Patch(facecolor=tint(readable(style.study), 0.22), label=f"{level} interval, {_interval(profile)}"),
    ]
    cut = f"{-profile.cut:.2f} below the maximum"
    key.append(Line2D([], [], color=style.text, linewidth=0.8, linestyle=(0, (4, 2)), label=cut))
    if _other_estimate(profile, fit):
        name = f"{fit.method.tau2_method} estimate of the fit, τ² = {small(fit.tau2)}".replace("= <", "<")
        key.append(Line2D([], [], color=style.text, linewidth=0.9, linestyle=(0, (1, 1.5)), label=name))
    return key


def _notes(fit: PooledFit) -> tuple[str, ...]:
    low, high = fit.tau2_ci_low, fit.tau2_ci_high
    if math.isnan(low) or fit.method.tau2_ci_method == "profile":
        return ()
    name = {
        "qprofile": "Q-profile",
        "jackson": "Jackson",
        "biggerstaff-jackson": "Biggerstaff-Jackson",
    }.get(fit.method.tau2_ci_method, fit.method.tau2_ci_method)
    return (f"The fit reports the {name} interval, {small(low)} to {small(high)}.",)


def _alt(profile: Tau2Profile, fit: PooledFit) -> str:
    kind = "restricted" if profile.restricted else "maximum likelihood"
    text = (
        f"Profile likelihood of τ² in {fit.k} trials ({kind}): maximum at {small(profile.maximum)}, "
        f"{100 * profile.level:g}% interval {_interval(profile)}."
    )
    zero = "Zero belongs to it" if profile.low == 0 else "Zero does not belong to it"
    return f"{text} {zero}; the log-likelihood at zero is {-profile.at_zero:.1f} below its maximum."
