"""The bubble plot of a meta-regression: effects against a moderator, with the line and its uncertainty.

References
----------
Thompson SG, Higgins JPT. How should meta-regression analyses be undertaken and interpreted? Stat Med 2002;21:1559-1573.
doi:10.1002/sim.1187
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures import plotting_words as words
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.output import remember_alt_text
from ipt_evidence.figures.plotting import Panel, arrange, open_panel, padded, set_axis
from ipt_evidence.figures.plotting_colours import draw_points, key_point, tint
from ipt_evidence.figures.plotting_labels import label_points, shorten, strokes
from ipt_evidence.figures.style import FigureStyle
from ipt_evidence.pooling.regression_result import MetaRegression, describe_method

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NATURAL_MM = 120.0
ASPECT = 0.68
STEPS = 101
LEAST_AREA, MOST_AREA = 6.0, 130.0
NAMED = 6
JITTER = 0.5
CI_SHADE, PI_SHADE = 0.22, 0.08


@dataclass(frozen=True, slots=True)
class Moderator:
    """The moderator on the axis: its values in the trials, and the rows at which the regression is drawn.

    Attributes
    ----------
    name : str
    x : numpy.ndarray
        Position of each trial.
    levels : tuple of str
        Names of the positions 0, 1, ... of a categorical moderator; empty for a number.
    grid : pandas.DataFrame
        Predictions with `x`.
    others : str
        At what the other moderators are held, for the footnote.
    """

    name: str
    x: np.ndarray[Any, np.dtype[np.float64]]
    levels: tuple[str, ...]
    grid: pd.DataFrame
    others: str


def bubble_plot(
    regression: MetaRegression,
    moderator: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    name: str | None = None,
    style: FigureStyle | str | None = None,
    width_mm: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the trials' effects against a moderator, with the regression and its confidence and prediction bands.

    Parameters
    ----------
    regression : MetaRegression
        From :func:`ipt_evidence.meta_regression`.
    moderator : str, optional
        Column on the horizontal axis; may be left out where the formula has one.
    at : mapping, optional
        Values at which other moderators are held. Default: the mean of numbers, the most frequent category.
    labels : sequence of str, optional
        Trials to name. Default: those outside the prediction band, the farthest first, at most six.
    name : str, optional
        Name of the moderator on the axis. Default: the column's name as words.
    style, width_mm, ax
        As in :func:`ipt_evidence.funnel_plot`; 120 mm wide by default.

    Returns
    -------
    matplotlib.figure.Figure
        The new figure, outside pyplot, or the figure of `ax`.

    Raises
    ------
    OptionError
        It is not a meta-regression with this moderator, or there is no such trial.

    Notes
    -----
    The area of a bubble is proportional to the trial's weight in the regression. Points are effects as they are, not
    adjusted for other moderators. The line ends where the trials end. A categorical moderator gets one place per
    category, with the expected effect and its intervals; bubbles are spread sideways without meaning.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> from ipt_evidence.figures.bubble import bubble_plot
    >>> table = pd.DataFrame(
    ...     {"effect": [0.2, 0.5, 0.9, 0.7], "variance": [0.04, 0.02, 0.06, 0.03], "weeks": [4, 8, 16, 12]}
    ... )
    >>> ipt.alt_text(bubble_plot(ipt.meta_regression(table, "~ weeks", ci_method="wald")))[:68]
    'Bubble plot of 4 trials, effect against weeks from 4 to 16: expected'
    """
    if not isinstance(regression, MetaRegression):
        raise OptionError(f"bubble_plot needs a result of meta_regression(); received {type(regression).__name__}")
    column = _moderator_name(regression, moderator)
    studies = regression.studies
    studies = studies.loc[studies["included"].to_numpy(dtype=bool)].reset_index(drop=True)
    axis = read_moderator(regression, studies, column, dict(at or {}))
    axis = axis if name is None else replace(axis, name=name)
    wanted = _wanted(studies, labels)
    texts = [*studies.get("study", ()), axis.name, *axis.levels]
    with open_panel(ax, style=style, width_mm=width_mm, natural_mm=NATURAL_MM, texts=texts) as panel:
        _draw(panel, regression, studies, axis, wanted)
        remember_alt_text(panel.ax, _describe(regression, axis))
        return panel.figure


def _moderator_name(regression: MetaRegression, moderator: str | None) -> str:
    names = regression.design.variables
    if not names:
        raise OptionError("the meta-regression has no moderator: there is nothing to draw effects against")
    if moderator is None and len(names) == 1:
        return names[0]
    if moderator not in names:
        received = "none was given" if moderator is None else f"received {moderator!r}"
        raise OptionError(f"moderator must be one of {', '.join(map(repr, names))}; {received}")
    return moderator


def _wanted(studies: pd.DataFrame, labels: Sequence[str] | None) -> list[int] | None:
    if labels is None:
        return None
    names = studies["study"].astype(str).tolist()
    unknown = [name for name in labels if name not in names]
    if unknown:
        raise OptionError(f"labels: no trial is called {', '.join(map(repr, unknown))}")
    return [i for i, name in enumerate(names) if name in set(labels)]


def _is_categorical(regression: MetaRegression, values: pd.Series) -> bool:
    word = re.compile(rf"\b{re.escape(str(values.name))}\b")
    return not pd.api.types.is_numeric_dtype(values) or any(word.search(factor) for factor in regression.design.levels)


def read_moderator(regression: MetaRegression, studies: pd.DataFrame, name: str, at: Mapping[str, Any]) -> Moderator:
    """Return the moderator of an axis with the predictions along it."""
    others = [v for v in regression.design.variables if v != name]
    unknown = [v for v in at if v not in others]
    if unknown:
        raise OptionError(f"at: {', '.join(map(repr, unknown))} is not another moderator of {regression.formula!r}")
    held = {v: at.get(v, _typical(regression, studies[v])) for v in others}
    values = studies[name]
    levels: list[Any] = []
    if _is_categorical(regression, values):
        levels = sorted(values.unique(), key=str)
        x = values.map({level: i for i, level in enumerate(levels)}).to_numpy(dtype=float)
        steps: Any = levels
    else:
        x = values.to_numpy(dtype=float)
        steps = np.linspace(x.min(), x.max(), STEPS)
    rows = pd.DataFrame({name: steps, **{v: [value] * len(steps) for v, value in held.items()}})
    grid = regression.predict(rows).assign(x=np.arange(len(levels)) if levels else steps)
    shown = ", ".join(f"{column_name(v)} = {_value(value)}" for v, value in held.items())
    return Moderator(column_name(name), x, tuple(str(level) for level in levels), grid, shown)


def column_name(column: str) -> str:
    """Return a column as words.

    Examples
    --------
    >>> column_name("n_sessions"), column_name("proportion_women")
    ('Sessions', 'Proportion women')
    """
    return w.COLUMN_NAMES[column] if column in ("n_sessions", "time_weeks") else w.humanise(column)


def _typical(regression: MetaRegression, values: pd.Series) -> Any:
    return values.mode().iloc[0] if _is_categorical(regression, values) else float(values.astype(float).mean())


def _value(value: Any) -> str:
    return w.plain(round(float(value), 2)) if isinstance(value, int | float) else str(value)


def _draw(
    panel: Panel, regression: MetaRegression, studies: pd.DataFrame, axis: Moderator, wanted: list[int] | None
) -> None:
    style, ax = panel.style, panel.ax
    effect = studies["effect"].to_numpy(dtype=float)
    shown = words.finite(effect, axis.grid[["ci_low", "ci_high"]].to_numpy(), [0.0])
    ylim = padded([*shown, *_reach(axis.grid, effect)], 0.05)
    favours = words.favours_line([studies], regression.measure)
    words.set_effect_axis(panel, "y", regression.measure, ylim, favours=favours)
    if axis.levels:
        ends = (-0.5, len(axis.levels) - 0.5)
        room = 0.8 * panel.width / len(axis.levels)
        texts = [_fitting(panel, w.humanise(level), room) for level in axis.levels]
        set_axis(panel, "x", axis.name, ends, list(range(len(axis.levels))), labels=texts)
        x = axis.x + spread_sideways(axis.x, effect)
    else:
        set_axis(panel, "x", axis.name, padded(axis.x, 0.05))
        x = axis.x
    ax.axhline(0.0, color=style.muted, linewidth=0.6, zorder=1.5)
    bands = _bars(panel, axis.grid) if axis.levels else _bands(panel, axis.grid)
    weight = studies["weight"].to_numpy(dtype=float)
    area = np.maximum(MOST_AREA * weight / weight.max() * min(1.0, (25 / len(weight)) ** 0.5), LEAST_AREA)
    draw_points(ax, x, effect, "trial", style, label="trials", area=area, zorder=5)
    key = [key_point("trial", style, "Trial (area: weight)"), *bands]
    arrange(panel, aspect=ASPECT, key=key, notes=_notes(regression, axis))
    chosen = _outside(axis, effect)[:NAMED] if wanted is None else wanted
    spots = np.column_stack([x, effect])
    names = studies["study"].astype(str).tolist()
    radius = float(np.sqrt(area[chosen].mean()) / 2) if len(chosen) else 2.0
    label_points(
        panel, spots[chosen], [names[i] for i in chosen], others=spots, lines=_edges(panel, axis), radius=radius
    )


def _edges(panel: Panel, axis: Moderator) -> Any:
    """Return points along the line and the edges of its bands, which names avoid."""
    grid = axis.grid[["x", "pi_low", "pi_high", "ci_low", "ci_high"]].to_numpy(dtype=float)
    edges = [strokes(panel.ax), *([] if axis.levels else [grid[:, [0, i]] for i in range(1, 5)])]
    points = np.vstack(edges)
    return points[np.isfinite(points).all(axis=1)]


def _fitting(panel: Panel, text: str, room: float) -> str:
    """Return a category, shortened until it fits below its place."""
    size = panel.style.small_size
    for length in range(len(text), 3, -1):
        if panel.measure(shorten(text, length), size) <= room - 0.6 * size:
            return shorten(text, length)
    return shorten(text, 3)


def _reach(grid: pd.DataFrame, effect: Any) -> Any:
    """Return the ends of the prediction band, as far as half the spread of the effects beyond them."""
    limits = words.finite(grid[["pi_low", "pi_high"]].to_numpy())
    room = 0.5 * float(np.ptp(effect)) if len(effect) > 1 else 1.0
    return np.clip(limits, float(effect.min()) - room, float(effect.max()) + room)


def spread_sideways(x: Any, effect: Any) -> Any:
    """Return sideways shifts for the points of each category, in the order of their effects, without chance."""
    shift = np.zeros(len(x))
    for place in np.unique(x):
        members = np.flatnonzero(x == place)
        order = np.argsort(np.argsort(effect[members], kind="stable"), kind="stable")
        golden = (order * 0.6180339887498949) % 1.0
        shift[members] = JITTER * (golden - 0.5) if len(members) > 1 else 0.0
    return shift


def _bands(panel: Panel, grid: pd.DataFrame) -> list[Any]:
    """Draw the line with its bands; return entries of the key."""
    ax, style = panel.ax, panel.style
    x = grid["x"].to_numpy(dtype=float)
    (line,) = ax.plot(x, grid["estimate"], color=style.overall, linewidth=1.3, zorder=4, label="Expected effect")
    key: list[Any] = [line]
    for name, label, shade, dashes, depth in (
        ("ci", "Confidence band", CI_SHADE, "-", 0.9),
        ("pi", "Prediction band", PI_SHADE, (0, (4, 2.5)), 0.5),
    ):
        low, high = (grid[f"{name}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
        if np.isfinite(low).all():
            look: dict[str, Any] = {"facecolor": tint(style.text, shade), "edgecolor": style.interval, "linewidth": 0.5}
            key.append(ax.fill_between(x, low, high, linestyle=dashes, zorder=depth, label=label, **look))
    return key


def _bars(panel: Panel, grid: pd.DataFrame) -> list[Any]:
    """Draw the expected effect of each category with its intervals; return entries of the key."""
    ax, style = panel.ax, panel.style
    key: list[Any] = []
    half = 0.42
    for row in grid.to_dict("records"):
        x, key = float(row["x"]), []
        ends = [x - half, x + half]
        if np.isfinite(row["pi_low"]):
            look: dict[str, Any] = {
                "facecolor": tint(style.text, PI_SHADE),
                "edgecolor": style.interval,
                "linewidth": 0.5,
            }
            band = ax.fill_between(ends, row["pi_low"], row["pi_high"], linestyle=(0, (4, 2.5)), zorder=0.5, **look)
            band.set_label("Prediction interval")
            key.append(band)
        look = {"facecolor": tint(style.text, CI_SHADE), "edgecolor": style.interval, "linewidth": 0.5}
        key.append(
            ax.fill_between(ends, row["ci_low"], row["ci_high"], zorder=0.9, label="Confidence interval", **look)
        )
        height = [row["estimate"], row["estimate"]]
        key += ax.plot(ends, height, color=style.overall, linewidth=1.3, zorder=4, label="Expected effect")
    return key[::-1]


def _outside(axis: Moderator, effect: Any) -> list[int]:
    """Return the trials outside the prediction band where they stand, the farthest first."""
    x = axis.grid["x"].to_numpy(dtype=float)
    low, high = (np.interp(axis.x, x, axis.grid[f"pi_{end}"].to_numpy(dtype=float)) for end in ("low", "high"))
    away = np.maximum(effect - high, low - effect)
    return [int(i) for i in np.argsort(-away, kind="stable") if away[i] > 0]


def _notes(regression: MetaRegression, axis: Moderator) -> list[str]:
    parts = [f"Formula: {regression.formula}"]
    if regression.omnibus is not None:
        parts.append(f"moderators: {regression.omnibus.describe()}")
    if np.isfinite(regression.r2):
        parts.append(f"R² = {regression.r2:.0f}%")
    if np.isfinite(regression.i2):
        parts.append(f"residual I² = {regression.i2:.0f}%")
    notes = ["; ".join(parts) + "."]
    if axis.others:
        notes.append(f"Expected effects at {axis.others}.")
    left = int((~regression.studies["included"].astype(bool)).sum())
    if left:
        notes.append(f"{left} row{' is' if left == 1 else 's are'} left out.")
    software = f"; {regression.method.software}" if regression.method.software else ""
    notes.append(f"Method: {describe_method(regression)}{software}.")
    source = words.source_note(regression.studies)
    return [*notes, source] if source else notes


def _describe(regression: MetaRegression, axis: Moderator) -> str:
    measure, grid = regression.measure, axis.grid
    name = axis.name if axis.name[:2].isupper() else axis.name[:1].lower() + axis.name[1:]
    head = f"Bubble plot of {words.trials_text(regression.k)}, effect against {name}"

    def expected(row: Any) -> str:
        return (
            f"{words.shown(row['estimate'], measure)} ({words.shown_interval(row['ci_low'], row['ci_high'], measure)})"
        )

    level = f"{100 * regression.method.level:g}% CI"
    rows = grid.to_dict("records")
    if axis.levels:
        shown = [f"{w.humanise(n)} {expected(r)}" for n, r in zip(axis.levels, rows, strict=True)]
        text = f"{head}: expected effect ({level}) {words.names_text(shown, 8)}."
    else:
        first, last = (w.plain(round(float(grid["x"].iloc[i]), 2)) for i in (0, -1))
        text = (
            f"{head} from {first} to {last}: expected effect {expected(rows[0])} at {first} and {expected(rows[-1])} "
        )
        text += f"at {last} ({level})."
    if regression.omnibus is not None:
        text += f" Test of the moderators: {w.p_value(regression.omnibus.p_value)}."
    return text


def describe_regression(regression: MetaRegression) -> str:
    """Return the sentences for a meta-regression by itself: its test and what it leaves unexplained."""
    head = f"Meta-regression of {words.trials_text(regression.k)}, {regression.formula}"
    parts = []
    if regression.omnibus is not None:
        parts.append(f"test of the moderators {regression.omnibus.describe()}")
    if np.isfinite(regression.r2):
        parts.append(f"R² = {regression.r2:.0f}%")
    if np.isfinite(regression.i2):
        parts.append(f"residual I² = {regression.i2:.0f}%")
    return f"{head}: {'; '.join(parts)}." if parts else f"{head}."
