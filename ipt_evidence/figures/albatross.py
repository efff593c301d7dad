"""The albatross plot: p-values against the number of participants, with contours of the effect they would mean.

References
----------
Harrison S, Jones HE, Martin RM, Lewis SJ, Higgins JPT. The albatross plot: a novel graphical tool for presenting
results of diversely reported studies in a systematic review. Res Synth Methods 2017;8:281-289. doi:10.1002/jrsm.1239
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.albatross_table import LEAST_P, AlbatrossTable, Array, albatross_table, contour, effect_of
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, set_axis
from ipt_evidence.figures.plotting_colours import readable
from ipt_evidence.figures.plotting_words import trials_text
from ipt_evidence.figures.style import OKABE_ITO
from ipt_evidence.figures.wording import humanise, number, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ipt_evidence.figures.style import FigureStyle

NATURAL_MM = 140.0
LEAST_WIDE = 2.2
ASPECT = 0.66
P_TICKS = (0.2, 0.05, 0.01, 0.001, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
N_TICKS = tuple(f * 10.0**p for p in range(0, 7) for f in (1, 2, 5))
DASHES = ((1, 1.5), (3, 2), (7, 2.5), (7, 2, 1, 2))
LOOKS = (("blue", "o"), ("vermillion", "D"), ("green", "s"), ("purple", "^"), ("orange", "v"), ("black", "P"))


def albatross_plot(
    table: pd.DataFrame,
    *,
    by: str | None = None,
    contours: Sequence[float] = (0.2, 0.5, 0.8),
    ratio: float = 1.0,
    favours: tuple[str, str] | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw p-values against the number of participants, for trials of which no more is known.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `p_value` (two-sided), `n` (participants of both arms) and `direction`: positive or ``"+"`` for a result
        that favours arm 1, negative or ``"-"`` for the other arm (0 counts as none, and stands in the middle with p = 1
        only). Optional `study` for the messages.
    by : str, optional
        A column whose values get colours and shapes of their own; at most six.
    contours : sequence of float, optional
        Standardised mean differences whose contours are drawn; at most four.
    ratio : float, optional
        Participants of arm 1 for one of arm 2, for the contours.
    favours : tuple of str, optional
        Who is favoured on the left and on the right.
    style : FigureStyle or str, optional
        Fonts, sizes and colours.
    width_mm : float, optional
        Width of a new figure; 140 by default.
    ax : matplotlib.axes.Axes, optional
        Draw into the box of this axes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    OptionError
        A column is missing, or contours or ratio are not possible.
    SchemaError
        Cells are not p-values, numbers of participants or directions; all are named.

    Notes
    -----
    On a contour of d the two-sided p is that of ``z = d / sqrt((r + 1)^2 / (r N) + d^2 / (2 N))``, with r the ratio of
    the arms: the usual large-sample variance of a standardised mean difference. The horizontal axis is the logarithm of
    p on both sides of p = 1, the vertical one that of N. A trial with p below 1e-8
    stands at 1e-8 as an arrow.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.albatross import albatross_plot
    >>> table = pd.DataFrame({"p_value": [0.03, 0.4, 0.001], "n": [60, 40, 150], "direction": ["+", "-", "+"]})
    >>> ipt.alt_text(albatross_plot(table))[:58]
    'Albatross plot of 3 trials with 40 to 150 participants: 2 '
    """
    found = albatross_table(table, by)
    lines = _checked_contours(contours)
    if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio < math.inf:
        raise OptionError(
            f"ratio must be a positive number of participants of arm 1 for one of arm 2; received {ratio!r}"
        )
    texts: list[object] = [] if by is None else list(table[by].unique())
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        _draw(panel, found, lines, float(ratio), favours or ("", ""))
        remember_alt_text(panel.ax, _alt(found, favours or ("arm 2", "arm 1"), float(ratio)))
        return panel.figure


def _checked_contours(contours: Sequence[float]) -> list[float]:
    lines = sorted({float(d) for d in contours})
    if len(lines) > len(DASHES) or any(not 0 < d < math.inf for d in lines):
        raise OptionError(f"contours must be at most {len(DASHES)} positive effects such as 0.2; received {contours!r}")
    return lines


def signed(p: Array, side: Array) -> Array:
    """Return where p-values stand: minus their decimal logarithm, to the right for positive directions."""
    return -np.log10(np.maximum(p, LEAST_P)) * side


def _draw(panel: Panel, table: AlbatrossTable, lines: Sequence[float], ratio: float, favours: tuple[str, str]) -> None:
    ax, style = panel.ax, panel.style
    x = signed(table.p, table.side)
    left, right = (max(LEAST_WIDE, 1.06 * float((side * x).max(initial=0.0))) for side in (-1, 1))
    low, high = float(table.n.min()) / 1.4, float(table.n.max()) * 1.5
    ticks, labels = _p_ticks(panel, left, right)
    name = "p-value (two-sided)"
    if any(favours):
        name += f"\n← favours {favours[0]} | favours {favours[1]} →"
    ax.set_yscale("log")
    set_axis(panel, "x", name, (-left, right), ticks, labels=labels)
    at = [n for n in N_TICKS if low <= n <= high]
    set_axis(panel, "y", "Participants", (low, high), at, labels=[f"{n:,.0f}" for n in at])
    ax.axvline(0.0, color=style.rule, linewidth=0.8, zorder=1, label="p = 1")
    for edge in (-1, 1):
        ax.axvline(-edge * math.log10(0.05), color=style.rule, linewidth=0.6, dashes=(2, 2), zorder=1, label="p = 0.05")
    for d, dashes in zip(lines, DASHES, strict=False):
        for side, wide in ((-1.0, left), (1.0, right)):
            p = np.geomspace(10.0**-wide, 0.9999, 200)
            n = contour(p, d, ratio)
            ax.plot(
                -side * np.log10(p),
                n,
                color=style.text,
                linewidth=0.9,
                dashes=dashes,
                zorder=2,
                label=f"d = {plain(d)}",
            )
    for group, colour, marker in _groups(table):
        own = np.array([g == group for g in table.group]) & (table.p >= LEAST_P)
        ax.scatter(
            x[own],
            table.n[own],
            s=22,
            marker=marker,
            color=colour,
            edgecolors="#FFFFFF",
            linewidths=0.5,
            zorder=4,
            label="trials",
        )
        _beyond(panel, table, np.array([g == group for g in table.group]), colour)
    arrange(panel, aspect=ASPECT, key=_key(panel, table, lines), notes=_notes(table, lines, ratio))


def _beyond(panel: Panel, table: AlbatrossTable, group: npt.NDArray[np.bool_], colour: str) -> None:
    """Draw trials with a p-value beyond the axis as arrows."""
    x = signed(table.p, table.side)
    for side, marker in ((-1, "<"), (1, ">")):
        out = group & (table.p < LEAST_P) & (table.side == side)
        if out.any():
            panel.ax.scatter(
                x[out], table.n[out], s=26, marker=marker, color=colour, linewidths=0, zorder=4, label="beyond"
            )


def _p_ticks(panel: Panel, left: float, right: float) -> tuple[list[float], list[str]]:
    """Return the ticks of both sides with their p-values, as many as have room."""
    room = 0.8 * panel.width / (left + right)
    ticks, labels = [0.0], ["1"]
    for side, wide in ((-1, left), (1, right)):
        last = 0.0
        for p in P_TICKS:
            at = -math.log10(p)
            gap = 1.25 * panel.measure(_p_text(p), panel.style.small_size)
            if at <= wide and (at - last) * room >= gap:
                last = at
                ticks.append(side * at)
                labels.append(_p_text(p))
    return ticks, labels


def _p_text(p: float) -> str:
    exponent = round(math.log10(p))
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if p < 1e-3 else plain(p)


def _groups(table: AlbatrossTable) -> list[tuple[str, str, str]]:
    """Return each group with its colour and marker."""
    names = dict.fromkeys(table.group)
    return [(name, readable(OKABE_ITO[colour]), marker) for name, (colour, marker) in zip(names, LOOKS, strict=False)]


def _key(panel: Panel, table: AlbatrossTable, lines: Sequence[float]) -> list[Artist]:
    from matplotlib.lines import Line2D

    key: list[Artist] = []
    for group, colour, marker in _groups(table):
        look: dict[str, Any] = {
            "marker": marker,
            "markersize": 5,
            "markerfacecolor": colour,
            "markeredgecolor": "#FFFFFF",
        }
        key.append(Line2D([], [], linestyle="none", label=humanise(group) or "Trial", **look))
    for d, dashes in zip(lines, DASHES, strict=False):
        name = f"SMD {plain(d)}"
        key.append(Line2D([], [], color=panel.style.text, linewidth=0.9, dashes=dashes, label=name))
    return key


def _notes(table: AlbatrossTable, lines: Sequence[float], ratio: float) -> tuple[str, ...]:
    arms = "arms of equal size" if ratio == 1 else f"{plain(ratio)} participants of arm 1 for one of arm 2"
    notes = [f"Contours: standardised mean difference (SMD), {arms}."] if lines else []
    notes.append("Vertical lines: p = 1 and p = 0.05.")
    if table.left_out:
        notes.append(f"Left out, p-value, n or direction missing: {trials_text(table.left_out)}.")
    tiny = int((table.p < LEAST_P).sum())
    if tiny:
        notes.append(f"An arrow: p below 10⁻⁸ ({trials_text(tiny)}).")
    return (" ".join(notes),)


def _alt(table: AlbatrossTable, favours: tuple[str, str], ratio: float) -> str:
    significant = table.p < 0.05
    right, left = int((significant & (table.side > 0)).sum()), int((significant & (table.side < 0)).sum())
    middle = float(np.median(effect_of(table, ratio)))
    trials = trials_text(len(table.p))
    people = f"{table.n.min():,.0f} to {table.n.max():,.0f} participants"
    return (
        f"Albatross plot of {trials} with {people}: {right} with p < 0.05 favouring {favours[1]} and "
        f"{left} favouring {favours[0]}. The median of the standardised mean differences that p and n imply is "
        f"{number(middle, 2)}."
    )
