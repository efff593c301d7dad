"""The p-curve: how the significant p-values are spread, beside what no effect and a low power would give.

References
----------
Simonsohn U, Nelson LD, Simmons JP. P-curve: a key to the file-drawer. J Exp Psychol Gen 2014;143:534-547.
doi:10.1037/a0033242
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.diagnostics.p_curve import ALPHA, PCurve
from ipt_evidence.diagnostics.p_curve_shares import BINS, expected_shares, observed_shares
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.wording import p_value

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle

Array = npt.NDArray[np.float64]
NATURAL_MM = 100.0
ASPECT = 0.68
LOW_POWER = 1 / 3


def p_curve_plot(
    result: PCurve,
    *,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of significant results in each band of p-values, with two curves to compare.

    Parameters
    ----------
    result : PCurve
        From :func:`ipt_evidence.p_curve`.
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
    OptionError
        The argument is not a p-curve.

    Notes
    -----
    Without any effect each band holds a fifth of the significant results. The curve of 33% power is that of normal
    two-sided tests.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.p_curve_plot import p_curve_plot
    >>> table = pd.DataFrame({"effect": [0.9, 0.7, 0.8, 0.1, 0.6, 1.0, 0.5, 0.7, 0.2, 0.9], "variance": 0.04})
    >>> ipt.alt_text(p_curve_plot(ipt.p_curve(table)))[:64]
    'p-curve of 8 significant results of 10 trials: 88% have p < 0.01'
    """
    if not isinstance(result, PCurve):
        raise OptionError(f"p_curve_plot needs what p_curve() returned; received {type(result).__name__}")
    observed = observed_shares(result)
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM) as panel:
        _draw(panel, result, observed)
        remember_alt_text(panel.ax, _alt(result, observed))
        return panel.figure


def _draw(panel: Panel, result: PCurve, observed: Array) -> None:
    ax, style = panel.ax, panel.style
    x = np.array([ALPHA * (i + 1) / BINS for i in range(BINS)])
    low_power = expected_shares(LOW_POWER)
    top = 100 * max(float(observed.max()), float(low_power.max()))
    set_axis(
        panel,
        "x",
        "p-value (two-sided)",
        (0.4 * ALPHA / BINS, ALPHA * 1.12),
        x.tolist(),
        labels=[f"{v:.2f}" for v in x],
    )
    set_axis(panel, "y", "Share of significant results (%)", (0.0, 1.16 * top))
    blue, dark = readable(style.study), readable(style.pooled)
    ax.plot(
        x,
        100 * low_power,
        color=dark,
        linewidth=1.1,
        dashes=(4, 2),
        marker="D",
        markersize=3.5,
        zorder=3,
        label="power 33%",
    )
    ax.plot(
        x, np.full(BINS, 100 / BINS), color=style.muted, linewidth=1.1, dashes=(1, 1.5), zorder=2, label="no effect"
    )
    ax.plot(x, 100 * observed, color=blue, linewidth=1.8, marker="o", markersize=5, zorder=5, label="observed")
    _percentages(panel, x, 100 * observed)
    arrange(panel, aspect=ASPECT, key=_key(panel, result), notes=(_tests(result), result.interpretation, *result.notes))


def _percentages(panel: Panel, x: Array, y: Array) -> None:
    """Write the shares over the points."""
    from matplotlib.transforms import ScaledTranslation

    place = panel.ax.transData + ScaledTranslation(0, 4.5 / 72, panel.figure.dpi_scale_trans)
    behind = {"facecolor": "#FFFFFF", "edgecolor": "none", "pad": 0.6}
    look: dict[str, Any] = {"ha": "center", "va": "bottom", "zorder": 4, "bbox": behind} | panel.font(bold=True)
    for at, share in zip(x, y, strict=True):
        panel.ax.text(at, share, f"{share:.0f}%", transform=place, **look)


def _key(panel: Panel, result: PCurve) -> list[Artist]:
    from matplotlib.lines import Line2D

    style = panel.style
    blue, dark = readable(style.study), readable(style.pooled)
    name = f"Observed, {result.k_significant} significant results"
    return [
        Line2D([], [], color=blue, linewidth=1.8, marker="o", markersize=5, label=name),
        Line2D([], [], color=style.muted, linewidth=1.1, dashes=(1, 1.5), label="No effect"),
        Line2D([], [], color=dark, linewidth=1.1, dashes=(4, 2), marker="D", markersize=3.5, label="Power of 33%"),
    ]


def _tests(result: PCurve) -> str:
    """Return both tests and the estimate of power."""
    said = [
        f"{name}: full curve {_p(row['p_full'])}, half curve {_p(row['p_half']) or 'not possible'}"
        for name, (_, row) in zip(("Right skew", "Flatter than 33% power"), result.tests.iterrows(), strict=True)
    ]
    power = f"Average power {100 * result.power:.0f}% (90% interval {100 * result.power_low:.0f}% to"
    return f"{'. '.join(said)}. {power} {100 * result.power_high:.0f}%)."


def _p(value: Any) -> str:
    """Return a p-value; that of a test far on the other side is not said to be 1."""
    return "p > 0.999" if value > 0.9995 else p_value(float(value))


def _alt(result: PCurve, observed: Array) -> str:
    return (
        f"p-curve of {result.k_significant} significant results of {result.k} trials: {100 * observed[0]:.0f}% have "
        f"p < 0.01 and {100 * observed[-1]:.0f}% p above 0.04; without an effect 20% would lie in each band. "
        f"{result.interpretation}"
    )
