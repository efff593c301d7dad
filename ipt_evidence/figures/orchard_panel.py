"""What figures with one row per group or trial share: limits, clipped intervals, and a height in points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.plotting import Panel
from ipt_evidence.figures.style import families
from ipt_evidence.pooling.result import PooledFit, PooledFits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]
BEYOND = 0.7
MARGIN = 0.04
ARROW = 4.0


def shown_fits(fit_or_fits: PooledFit | PooledFits, *, what: str, overall: bool | None = None) -> list[PooledFit]:
    """Return the fits to draw, one row each.

    Raises
    ------
    OptionError
        The argument is not a fit, or an overall effect is wanted that was not pooled.
    """
    if isinstance(fit_or_fits, PooledFit):
        if overall:
            raise OptionError(f"{what}: overall=True needs fits by group from pool_by(); received one fit")
        return [fit_or_fits]
    if not isinstance(fit_or_fits, PooledFits):
        raise OptionError(f"{what} needs what pool() or pool_by() returned; received {type(fit_or_fits).__name__}")
    fits = list(fit_or_fits.values())
    if overall:
        if fit_or_fits.overall is None:
            raise OptionError(f"{what}: overall=True, but these groups were not pooled together")
        fits.append(fit_or_fits.overall)
    measures = sorted({fit.measure for fit in fits if fit.k})
    if len(measures) > 1:
        raise OptionError(f"{what} has one axis, but the groups are in {', '.join(measures)}; draw them apart")
    return fits


def measure_of(fits: Sequence[PooledFit]) -> str:
    """Return the measure of the fits that have trials."""
    return next((fit.measure for fit in fits if fit.k), fits[0].measure)


def effect_limits(points: Array, ends: Array) -> tuple[float, float]:
    """Return limits that hold zero, all points, and intervals up to a share of the spread of the points.

    Examples
    --------
    >>> [round(x, 2) for x in effect_limits(np.array([0.2, 0.6]), np.array([-9.0, 0.8]))]
    [-0.47, 0.85]
    """
    points = np.append(points[np.isfinite(points)], 0.0)
    ends = ends[np.isfinite(ends)]
    low, high = float(points.min()), float(points.max())
    room = BEYOND * (high - low) or 1.0
    first = max(float(ends.min(initial=low)), low - room)
    last = min(float(ends.max(initial=high)), high + room)
    pad = MARGIN * (last - first) or 0.5
    return first - pad, last + pad


def draw_interval(
    ax: Axes, y: float, ends: tuple[float, float], limits: tuple[float, float], *, label: str, **look: Any
) -> None:
    """Draw an interval, with an arrow where it leaves the axis; nothing of one that is not known."""
    low, high = ends
    if math.isnan(low) or math.isnan(high):
        return
    inside = max(low, limits[0]), min(high, limits[1])
    ax.plot(inside, (y, y), solid_capstyle="butt", label=label, **look)
    for end, limit, marker in ((low, limits[0], "<"), (-high, -limits[1], ">")):
        if end < limit:
            x = limits[0] if marker == "<" else limits[1]
            size = max(ARROW, 2 * float(look.get("linewidth", 1.0)))
            ax.plot([x], [y], marker=marker, markersize=size, color=look.get("color"), clip_on=False, label="beyond")


def aspect_of(panel: Panel, height: float) -> float:
    """Return height over width for a plotting area `height` points high, once everything beside it is there."""
    whole = panel.ax.get_tightbbox()
    beside = 0.0 if whole is None else sum(max(0.0, float(x)) for x in _sides(whole, panel.ax.bbox)) * panel.points
    return height / max(1.0, panel.width - beside - 2 - 2 * panel.style.margin)


def _sides(whole: Any, own: Any) -> tuple[float, float]:
    return own.x0 - whole.x0, whole.x1 - own.x1


def beside(panel: Panel, y: float, lines: Sequence[str]) -> None:
    """Write lines of text right of the plotting area, centred on a row."""
    from matplotlib.transforms import ScaledTranslation

    if not any(lines):
        return
    place = panel.ax.get_yaxis_transform() + ScaledTranslation(4 / 72, 0, panel.figure.dpi_scale_trans)
    look: dict[str, Any] = {"va": "center", "ha": "left", "clip_on": False, "linespacing": 1.15} | panel.font()
    panel.ax.text(1.0, y, "\n".join(lines), transform=place, **look)


def swarm(x: Array, width: float) -> Array:
    """Return heights within plus or minus `width` that keep points of similar `x` apart; the same at every run.

    Notes
    -----
    A van der Corput sequence in the order of x, as wide as the points are dense there.
    """
    n = x.size
    if n < 2:
        return np.zeros(n)
    order = np.argsort(x, kind="stable")
    spread = float(np.ptp(x)) or 1.0
    near = np.searchsorted(x[order], x[order] + spread / 24) - np.searchsorted(x[order], x[order] - spread / 24)
    dense = np.sqrt(near / near.max()) * (near > 1)
    heights = np.empty(n)
    heights[order] = width * dense * (2 * _van_der_corput(n) - 1)
    return heights


def _van_der_corput(n: int) -> Array:
    found = np.zeros(n)
    index, fraction = np.arange(1, n + 1), 0.5
    while index.any():
        found += fraction * (index % 2)
        index, fraction = index // 2, fraction / 2
    return found


def frame_axes(panel: Panel, ax: Axes, *, sides: Sequence[str] = ("left", "bottom")) -> None:
    """Give a smaller axes of the figure the look of the panel."""
    style = panel.style
    ax.patch.set_visible(False)
    for side, spine in ax.spines.items():
        spine.set(visible=side in sides, color=style.interval, linewidth=0.7)
    look: dict[str, Any] = {"direction": "out", "length": 3.0, "width": 0.7, "pad": 2.0, "color": style.interval}
    text: dict[str, Any] = {"labelcolor": style.text, "labelsize": style.small_size, "labelfontfamily": families(style)}
    ax.tick_params(which="major", top=False, right=False, **look, **text)
