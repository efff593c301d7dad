"""The L'Abbe plot: how many had the event in one arm against how many in the other.

References
----------
L'Abbé KA, Detsky AS, O'Rourke K. Meta-analysis in clinical research. Ann Intern Med 1987;107:224-233.
doi:10.7326/0003-4819-107-2-224
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, say_instead, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, key_point
from ipt_evidence.figures.plotting_labels import label_points, strokes
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.pooling.binary_result import BinaryFit
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NATURAL_MM = 110.0
COUNTS = ("events_1", "total_1", "events_2", "total_2")
CURVED = {"OR": "OR", "PETO": "OR", "RR": "RR", "RD": "RD"}
LEAST_AREA, MOST_AREA = 8.0, 110.0
NAMED = 6
"""Trials named at most: those whose arms differ most."""


@dataclass(frozen=True, slots=True)
class Events:
    """Shares of participants with the event, one value per row.

    Attributes
    ----------
    names : list of str
    share_1, share_2 : numpy.ndarray
    people : numpy.ndarray
        Participants of both arms.
    left_out : int
        Rows without numbers of events.
    """

    names: list[str]
    share_1: np.ndarray[Any, np.dtype[np.float64]]
    share_2: np.ndarray[Any, np.dtype[np.float64]]
    people: np.ndarray[Any, np.dtype[np.float64]]
    left_out: int


def labbe_plot(
    studies: pd.DataFrame | PooledFit | BinaryFit,
    *,
    event: str = "event",
    pooled: PooledFit | BinaryFit | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the share of participants with the event in one arm against that in the other.

    Parameters
    ----------
    studies : pandas.DataFrame, PooledFit or BinaryFit
        Rows with `events_1`, `total_1`, `events_2`, `total_2`: studies, effects, or the studies of a fit.
    event : str
        What is counted, for the names of the axes, such as ``"response"``.
    pooled : PooledFit or BinaryFit, optional
        A pooled odds ratio, risk ratio or risk difference of arm 1 against arm 2 for the same event, drawn as a curve.
        Default: `studies`, where that is such a fit.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 110 mm wide by default. The plotting area is square.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`.

    Raises
    ------
    SchemaError
        The columns are missing, or more participants had the event than there were.
    OptionError
        The pooled effect has no curve in this plot.

    Notes
    -----
    The area of a point is proportional to the participants of the trial. On the diagonal both arms have the same share.
    Effects of this package favour arm 1 when positive: where events are bad news (`lower_is_better` is 1), effects were
    turned, and the curve is drawn for the effect turned back. Where trials differ in that, there is no curve.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.labbe import labbe_plot
    >>> table = pd.DataFrame(
    ...     {"study": ["A", "B"], "events_1": [14, 13], "total_1": [20, 31], "events_2": [10, 13], "total_2": [20, 36]}
    ... )
    >>> ipt.alt_text(labbe_plot(table, event="response"))
    "L'Abbe plot of 2 trials: response in 42% to 70% of intervention and 36% to 50% of comparator; the share is ..."
    """
    table, fit = _read(studies, pooled)
    events = read_events(table)
    texts = [*table.get("study", ()), event]
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        if not events.names:
            say_instead(panel, "No trial with numbers of events: there is nothing to draw.")
            alt = "L'Abbe plot: no trial with numbers of events."
        else:
            arms = _arms(table)
            _draw(panel, events, arms, event, fit, table)
            alt = _describe(events, arms, event)
        remember_alt_text(panel.ax, alt)
        return panel.figure


def _read(
    studies: pd.DataFrame | PooledFit | BinaryFit, pooled: PooledFit | BinaryFit | None
) -> tuple[pd.DataFrame, PooledFit | BinaryFit | None]:
    """Return the rows with events, and the fit whose curve is drawn."""
    import pandas as pd

    fit = pooled
    if isinstance(studies, PooledFit | BinaryFit):
        fit = pooled if pooled is not None else (studies if studies.measure in CURVED else None)
        table = studies.studies
    elif isinstance(studies, pd.DataFrame):
        table = studies
    else:
        raise OptionError(f"labbe_plot needs a table with events or a fit; received {type(studies).__name__}")
    if fit is not None and (not isinstance(fit, PooledFit | BinaryFit) or fit.measure not in CURVED):
        raise OptionError(
            f"pooled must be a fit of an odds ratio, risk ratio or risk difference; received "
            f"{getattr(fit, 'measure', type(fit).__name__)!r}"
        )
    if "included" in table.columns:
        table = table.loc[table["included"].to_numpy(dtype=bool)]
    return table, fit


def read_events(table: pd.DataFrame) -> Events:
    """Return the shares of a table's rows that have numbers of events.

    Raises
    ------
    SchemaError
        Columns are missing, or numbers are impossible; all are named.
    """
    missing = [name for name in COUNTS if name not in table.columns]
    if missing:
        raise SchemaError(
            [Problem("expected numbers of participants", column=name) for name in missing], "labbe_plot needs events"
        )
    numbers = table[list(COUNTS)].to_numpy(dtype=float)
    known = np.isfinite(numbers).all(axis=1)
    problems = [
        Problem(f"expected 0 to {n:g} events, found {r:g}", row=int(i) + 1, column=f"events_{arm}")
        for i in np.flatnonzero(known)
        for arm, r, n in ((1, *numbers[i, :2]), (2, *numbers[i, 2:]))
        if not 0 <= r <= n or n <= 0
    ]
    if problems:
        raise SchemaError(problems, "labbe_plot cannot use these numbers")
    names = (
        table["study"].astype(str).to_numpy() if "study" in table.columns else np.arange(1, len(table) + 1).astype(str)
    )
    n = numbers[known]
    return Events(list(names[known]), n[:, 0] / n[:, 1], n[:, 2] / n[:, 3], n[:, 1] + n[:, 3], int((~known).sum()))


def _arms(table: pd.DataFrame) -> tuple[str, str]:
    used = table.assign(included=True)
    left, right = w.favours([used])
    return right, left


def _draw(
    panel: Panel,
    events: Events,
    arms: tuple[str, str],
    event: str,
    fit: PooledFit | BinaryFit | None,
    table: pd.DataFrame,
) -> None:
    ax, style = panel.ax, panel.style
    top = min(1.0, 1.08 * float(max(events.share_1.max(), events.share_2.max())) + 0.02)
    ticks = [t for t in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if t <= top]
    ticks = ticks if len(ticks) <= 6 else ticks[::2]
    labels = [f"{100 * t:.0f}%" for t in ticks]
    set_axis(panel, "x", f"{w.capitalise(event)} in {arms[1]}", (0.0, top), ticks, labels=labels)
    set_axis(panel, "y", f"{w.capitalise(event)} in {arms[0]}", (0.0, top), ticks, labels=labels)
    (same,) = ax.plot([0, 1], [0, 1], color=style.muted, linewidth=0.7, label="Same share in both arms", zorder=1)
    key = [key_point("trial", style, "Trial (area: participants)"), same, *_curve(panel, fit, table)]
    area = np.maximum(MOST_AREA * events.people / events.people.max(), LEAST_AREA)
    points = draw_points(ax, events.share_2, events.share_1, "trial", style, label="trials", area=area)
    points.set(clip_on=False, alpha=None)
    arrange(panel, aspect=1.0, square=True, key=key, notes=_notes(events, fit, table))
    gap = np.abs(events.share_1 - events.share_2)
    order = [int(i) for i in np.argsort(-gap, kind="stable")][:NAMED]
    spots = np.column_stack([events.share_2, events.share_1])
    names = [events.names[i] for i in order]
    label_points(panel, spots[order], names, others=spots, lines=strokes(ax), radius=float(np.sqrt(area.mean())) / 2)


def _notes(events: Events, fit: PooledFit | BinaryFit | None, table: pd.DataFrame) -> list[str]:
    rows = f"{events.left_out} row{' has' if events.left_out == 1 else 's have'} no numbers of events."
    notes = [rows] if events.left_out else []
    direction = _direction(table)
    if direction == 0:
        notes.append("Events are good news in some trials and bad news in others, so no curve is drawn.")
    elif fit is not None:
        turned = "; above 1 or positive means fewer events in arm 1" if direction < 0 else ""
        notes.append(f"Curve: {_estimate(fit)}{turned}.")
    return [*notes, *([words.source_note(table)] if words.source_note(table) else [])]


def _estimate(fit: PooledFit | BinaryFit) -> str:
    limits = words.shown_interval(fit.ci_low, fit.ci_high, fit.measure)
    made = "pooled " if fit.k > 1 else ""
    return f"{made}{w.measure_names(fit.measure)[2].lower()} {words.shown(fit.estimate, fit.measure)} ({limits})"


def _direction(table: pd.DataFrame) -> int:
    """Return -1 where events are unwanted, so that effects were turned, 1 where not, and 0 where rows differ."""
    if "lower_is_better" not in table.columns:
        return 1
    turned = table["lower_is_better"].astype(float) == 1
    return 0 if turned.any() and not turned.all() else -1 if turned.any() else 1


def _curve(panel: Panel, fit: PooledFit | BinaryFit | None, table: pd.DataFrame) -> list[Any]:
    """Draw the share in arm 1 that the pooled effect gives for each share in arm 2."""
    direction = _direction(table)
    if fit is None or direction == 0:
        return []
    x = np.linspace(0.0, 1.0, 200)
    y = expected_share(x, direction * fit.estimate, CURVED[fit.measure])
    look: dict[str, Any] = {"color": panel.style.overall, "linewidth": 1.1, "dashes": (5, 2)}
    return list(panel.ax.plot(x, y, label="Pooled effect" if fit.k > 1 else "Effect of the trial", zorder=2, **look))


def expected_share(share_2: Any, effect: float, kind: str) -> Any:
    """Return the share with the event in arm 1 for shares in arm 2, under an effect of arm 1 against arm 2.

    Parameters
    ----------
    share_2 : numpy.ndarray
        Shares in arm 2.
    effect : float
        Logarithm of the odds ratio or of the risk ratio, or the risk difference.
    kind : {"OR", "RR", "RD"}
        Which of them; shares beyond 0 and 1 are NaN.

    Examples
    --------
    >>> import math
    >>> float(expected_share(0.25, math.log(2), "RR")), round(float(expected_share(0.25, math.log(2), "OR")), 3)
    (0.5, 0.4)
    """
    base = np.asarray(share_2, dtype=float)
    if kind == "RD":
        found = base + effect
    elif kind == "RR":
        found = base * np.exp(effect)
    else:
        odds = np.exp(effect)
        found = odds * base / (1 - base + odds * base)
    return np.where((found >= 0) & (found <= 1), found, np.nan)


def _describe(events: Events, arms: tuple[str, str], event: str) -> str:
    ranges = [f"{100 * s.min():.0f}% to {100 * s.max():.0f}%" for s in (events.share_1, events.share_2)]
    more = int((events.share_1 > events.share_2).sum())
    k = len(events.names)
    return (
        f"L'Abbe plot of {words.trials_text(k)}: {event} in {ranges[0]} of {arms[0]} and {ranges[1]} of {arms[1]}; the "
        f"share is higher with {arms[0]} in {more} of {k}."
    )
