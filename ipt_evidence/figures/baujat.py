"""The Baujat plot: which trials add to heterogeneity, and which move the pooled effect.

References
----------
Baujat B, Mahé C, Pignon J-P, Hill C. A graphical method for exploring heterogeneity in meta-analyses: application to a
meta-analysis of 65 trials. Stat Med 2002;21:2641-2652. doi:10.1002/sim.1221
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ipt_evidence.diagnostics.influence import baujat
from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, say_instead, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, point_area
from ipt_evidence.figures.plotting_labels import label_points
from ipt_evidence.figures.style import FigureStyle

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.pooling.result import PooledFit

NATURAL_MM = 120.0
ASPECT = 0.72
NAMED = 8
APART = 0.25
MEANING = (
    "Horizontal: squared Pearson residual. Vertical: squared change of the pooled effect without the trial, over its "
    "variance."
)


def baujat_plot(
    fit: PooledFit | pd.DataFrame,
    *,
    named: int = NAMED,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw what each trial adds to heterogeneity against how much it moves the pooled effect.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit with one effect per trial, or effects as for :func:`ipt_evidence.pool`.
    named : int
        How many trials are named at most: those farthest from the origin, if they stand apart from the rest.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 120 mm wide by default.

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
    The coordinates are those of :func:`ipt_evidence.diagnostics.influence.baujat`: the squared Pearson residual and the
    squared change of the mean over its variance. One trial has neither; the figure says so.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.baujat import baujat_plot
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> ipt.alt_text(baujat_plot(ipt.pool(table, ci_method="wald")))
    'Baujat plot of 3 trials: C adds most to the differences between trials (66% of the sum) and also moves the ...'
    """
    if isinstance(named, bool) or not isinstance(named, int) or named < 0:
        raise OptionError(f"named must be a whole number of at least 0; received {named!r}")
    trials = trials_of(fit, what="baujat_plot", minimum=0)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=trials.labels) as panel:
        notes = list(words.standing_notes(trials.fit))
        if trials.k < 2:
            who = f"One trial, {trials.labels[0]}" if trials.k else "No trial with a usable effect"
            say_instead(panel, f"{who}: there are no differences between trials to show.", notes)
            alt = f"Baujat plot: {who[0].lower()}{who[1:]}, no differences between trials."
        else:
            table = baujat(trials.fit)
            _draw(panel, table, named, [*table.notes, MEANING, *notes])
            alt = f"Baujat plot of {trials.k} trials: {table.interpretation}"
        remember_alt_text(panel.ax, alt)
        return panel.figure


def _draw(panel: Panel, table: pd.DataFrame, named: int, notes: list[str]) -> None:
    x, y = (table[name].to_numpy(dtype=float) for name in ("x", "y"))
    drawn = np.isfinite(x) & np.isfinite(y)
    if not drawn.all():
        left = ", ".join(table["study"][~drawn])
        notes = [f"Not drawn, their influence is not defined: {left}.", *notes]
    limits = [(0.0, max(padded([0.0, *values[drawn]], 0.08)[1], 1e-6)) for values in (x, y)]
    set_axis(panel, "x", "Contribution to heterogeneity", limits[0])
    set_axis(panel, "y", "Influence on the pooled effect", limits[1])
    points = draw_points(
        panel.ax, x[drawn], y[drawn], "trial", panel.style, label="trials", area=point_area(int(drawn.sum()))
    )
    points.set_clip_on(False)
    arrange(panel, aspect=ASPECT, notes=notes)
    far = np.hypot(x / limits[0][1], y / limits[1][1])
    order = [int(i) for i in np.argsort(-far, kind="stable") if drawn[i] and far[i] >= APART * np.nanmax(far)][:named]
    spots = np.column_stack([x, y])
    label_points(panel, spots[order], [str(table["study"].iloc[i]) for i in order], others=spots[drawn])
