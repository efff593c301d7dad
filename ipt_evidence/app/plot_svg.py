"""The plots of the page as inline SVG: in the colours of the page, readable aloud, every trial named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ipt_evidence.app.plot_svg_frame import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Plot,
    Scale,
    instead,
    padded,
    scale_of,
    shown,
)
from ipt_evidence.app.plot_svg_influence import influence_svg
from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.diagnostics.leave_out import leave_one_out
from ipt_evidence.errors import OptionError
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.alt_text import alt_text, describe_fit

if TYPE_CHECKING:
    from ipt_evidence.pooling.regression_result import MetaRegression
    from ipt_evidence.pooling.result import PooledFit

__all__ = ["bubble_svg", "difference_svg", "funnel_svg", "influence_svg", "intervals_svg", "leave_one_out_svg"]

CONTOURS = (0.90, 0.95, 0.99)
FEW = 10
FEWEST = 2
TOO_FEW = ("There is no trial with an effect", "There is one trial")
SMALLEST, LARGEST = 2.5, 11.0


def funnel_svg(fit: PooledFit | pd.DataFrame) -> str:
    """Draw each trial's effect against its standard error, with the regions of significance about no effect.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        One effect per trial, as for :func:`ipt_evidence.funnel_plot`.

    Returns
    -------
    str
        A figure of HTML; a sentence instead of the picture where there is no trial.

    Raises
    ------
    OptionError
        The fit keeps several effects per trial.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": [0.04, 0.02, 0.06]})
    >>> funnel_svg(ipt.pool(table, ci_method="wald")).count("<circle")
    3
    """
    trials = trials_of(fit, what="funnel_svg", minimum=0)
    if trials.k == 0:
        return instead("funnel", "Funnel plot", "No trial with a usable effect: there is nothing to draw.")
    pooled, error = trials.fit, trials.std_error
    write = shown(pooled.measure)
    z = _z(pooled.method.level)
    low, high = padded([*trials.effect, 0.0, *_base(trials, z)])
    x = scale_of(low, high, LEFT, WIDTH - RIGHT, measure=pooled.measure)
    deepest = 1.06 * float(error.max())
    y = scale_of(0.0, deepest, TOP, HEIGHT - BOTTOM, most=5)
    plot = Plot("funnel", "Funnel plot", _funnel_said(trials, z), x, y)
    _contours(plot, deepest)
    plot.line([(0.0, 0.0), (0.0, deepest)], "plot-zero")
    if trials.k > 1:
        centre = pooled.estimate
        plot.line([(centre, 0.0), (centre, deepest)], "plot-pooled", "Pooled effect")
        sides = [(centre - z * deepest, deepest), (centre, 0.0), (centre + z * deepest, deepest)]
        plot.line(sides, "plot-dashed", f"{100 * pooled.method.level:g}% pseudo confidence limits")
    for effect, se, name in zip(trials.effect, error, trials.labels, strict=True):
        plot.point(effect, se, f"{name}: {write(effect)}, standard error {w.number(se, 2)}")
    plot.axes(_effect_name(pooled.measure), "Standard error", below=_direction([pooled.studies], pooled.measure))
    return plot.html(_few(trials.k))


def _funnel_said(trials: Trials, z: float) -> str:
    head = describe_fit(trials.fit, "Effects against standard errors; pooled effect")
    if trials.k < 2:
        return head
    away = int((np.abs(trials.effect - trials.fit.estimate) > z * trials.std_error).sum())
    return f"{head} {away} of {trials.k} trials lie outside the pseudo confidence limits."


def _base(trials: Trials, z: float) -> list[float]:
    half = (z if trials.k > 1 else _z(CONTOURS[-1])) * float(trials.std_error.max())
    centre = trials.fit.estimate if trials.k > 1 else 0.0
    return [centre - half, centre + half]


def _contours(plot: Plot, deepest: float) -> None:
    """Shade the regions of significance around no effect, the first the darkest."""
    bounds = [*(_z(level) for level in CONTOURS), math.inf]
    for i, level in enumerate(CONTOURS):
        last = i + 1 == len(CONTOURS)
        name = f"p < {1 - level:.2g}" if last else f"p {1 - CONTOURS[i + 1]:.2g} to {1 - level:.2g}"
        for side in (-1, 1):
            inner, outer = side * bounds[i], side * bounds[i + 1]
            corners = _wedge(plot.x, inner, outer, deepest)
            if corners:
                plot.area(corners, f"plot-shade-{i + 1}", name)


def _wedge(x: Scale, inner: float, outer: float, deepest: float) -> list[tuple[float, float]]:
    """Return the region between two rays from no effect, cut at the sides of the axes."""
    edge = x.high if inner > 0 else x.low
    if not edge * inner > 0:
        return []
    corners = [(0.0, 0.0)]
    for slope in (inner, outer):
        depth = min(edge / slope, deepest)
        if depth == 0:
            corners += [(edge, deepest), (edge, 0.0)] if corners[-1][1] == deepest else [(edge, 0.0)]
            continue
        end = [(slope * depth, depth)] + ([(edge, deepest)] if depth < deepest else [])
        corners += end if slope == inner else end[::-1]
    return corners


def _few(k: int) -> list[str]:
    if k == 1:
        return ["One trial: nothing was pooled, and there is no asymmetry to look for."]
    return [f"{k} trials: below ten, asymmetry can hardly be told from chance."] if k < FEW else []


def bubble_svg(regression: MetaRegression, column: str | None = None) -> str:
    """Draw the trials' effects against a moderator, with the regression line and its bands.

    Parameters
    ----------
    regression : MetaRegression
        From :func:`ipt_evidence.meta_regression`.
    column : str, optional
        Moderator on the horizontal axis; may be left out where there is one.

    Returns
    -------
    str
        A figure of HTML.

    Raises
    ------
    OptionError
        There is no such moderator.
    """
    from ipt_evidence.figures.bubble import read_moderator, spread_sideways

    names = regression.design.variables
    if not names or (column is None and len(names) > 1) or (column is not None and column not in names):
        raise OptionError(f"column must be one of {', '.join(map(repr, names)) or 'no moderator'}; received {column!r}")
    studies = regression.studies
    studies = studies.loc[studies["included"].to_numpy(dtype=bool)].reset_index(drop=True)
    axis = read_moderator(regression, studies, column or names[0], {})
    effect, write = studies["effect"].to_numpy(dtype=float), shown(regression.measure)
    bands = axis.grid[["ci_low", "ci_high"]].to_numpy(dtype=float)
    y = scale_of(*padded([*effect, *bands.ravel(), 0.0]), HEIGHT - BOTTOM, TOP, measure=regression.measure)
    if axis.levels:
        at = tuple(float(i) for i in range(len(axis.levels)))
        labels = tuple(w.humanise(level)[: max(6, 72 // len(at))] for level in axis.levels)
        x = Scale(-0.5, len(at) - 0.5, LEFT, WIDTH - RIGHT, at, labels)
        places = axis.x + spread_sideways(axis.x, effect)
    else:
        x, places = scale_of(*padded(axis.x, 0.05), LEFT, WIDTH - RIGHT), axis.x
    plot = Plot("bubble", f"Effects by {axis.name[:1].lower()}{axis.name[1:]}", alt_text(regression), x, y)
    _bands(plot, axis.grid, wide=0.42 if axis.levels else 0.0)
    plot.line([(x.low, 0.0), (x.high, 0.0)], "plot-zero")
    weight = studies["weight"].to_numpy(dtype=float)
    radius = np.maximum(LARGEST * np.sqrt(weight / weight.max() * min(1.0, (25 / len(weight)) ** 0.5)), SMALLEST)
    for i, name in enumerate(studies["study"].astype(str)):
        value = w.humanise(axis.levels[int(axis.x[i])]) if axis.levels else w.plain(round(float(axis.x[i]), 2))
        plot.point(float(places[i]), effect[i], f"{name}: {write(effect[i])} at {value}", radius=float(radius[i]))
    plot.key('<circle class="plot-trial" cx="10" cy="5" r="4"/>', "Trial (area: weight)")
    plot.axes(axis.name, _effect_name(regression.measure, short=True))
    notes = [_direction([studies], regression.measure).capitalize()]
    left = int((~regression.studies["included"].astype(bool)).sum())
    notes += [f"Expected effects at {axis.others}."] if axis.others else []
    return plot.html([*notes, *([f"{left} row{' is' if left == 1 else 's are'} left out."] if left else [])])


def _bands(plot: Plot, grid: pd.DataFrame, *, wide: float) -> None:
    """Draw the line with its bands; of categories a step each."""
    steps = [grid.iloc[i : i + 1] for i in range(len(grid))] if wide else [grid]
    for step in steps:
        x = [float(v) for v in step["x"]]
        ends = [x[0] - wide, x[0] + wide] if wide else x
        for name, key in (("pi", "Prediction interval"), ("ci", "Confidence interval")):
            low, high = (step[f"{name}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))
            if np.isfinite(low).all() and np.isfinite(high).all():
                top, bottom = (np.repeat(v, 2) if wide else v for v in (high, low))
                corners = [*zip(ends, top, strict=True), *zip(ends[::-1], bottom[::-1], strict=True)]
                plot.area([(float(a), float(b)) for a, b in corners], f"plot-{name}", key)
        line = step["estimate"].to_numpy(dtype=float)
        points = zip(ends, np.repeat(line, 2) if wide else line, strict=True)
        plot.line([(float(a), float(b)) for a, b in points], "plot-pooled", "Expected effect")


def difference_svg(views: Mapping[str, PooledFit], *, title: str = "Comparison of the views") -> str:
    """Draw the pooled effects of several views on one axis, with their prediction intervals.

    Parameters
    ----------
    views : mapping of str to PooledFit
        Name and fit of each.
    title : str
        Name of the picture.

    Returns
    -------
    str
        A figure of HTML. The views share trials as a rule, so that no test of their difference is made.

    Raises
    ------
    OptionError
        Their measures differ.
    """
    drawn = {name: fit for name, fit in views.items() if fit.k}
    measures = {fit.measure for fit in drawn.values()}
    if len(measures) > 1:
        raise OptionError(f"the views have {len(measures)} measures ({', '.join(sorted(measures))})")
    if not drawn:
        return instead("difference", title, "No trial with a usable effect: there is nothing to draw.")
    measure = measures.pop()
    rows = [(name, fit.estimate, fit.ci_low, fit.ci_high, fit.pi_low, fit.pi_high) for name, fit in drawn.items()]
    said = " ".join(describe_fit(fit, name) for name, fit in drawn.items())
    counts = {name: f"k = {fit.k}" for name, fit in drawn.items()}
    below = _direction([fit.studies for fit in drawn.values()], measure)
    return intervals_svg("difference", title, said, rows, measure=measure, counts=counts, below=below)


def intervals_svg(
    name: str,
    title: str,
    said: str,
    rows: Sequence[tuple[str, float, float, float, float, float]],
    *,
    measure: str,
    line: float = math.nan,
    counts: Mapping[str, str] | None = None,
    below: str = "",
) -> str:
    """Draw estimates with intervals below each other.

    Parameters
    ----------
    name, title, said : str
        Kind of figure, its name, what it shows.
    rows : sequence of tuple
        Name, estimate, limits of the confidence and of the prediction interval (NaN for none), on the analysis scale.
    measure : str
        Effect measure.
    line : float
        Where a line stands that all are compared with; NaN for none.
    counts : mapping of str to str, optional
        What stands behind a name.
    below : str
        Under the axis.
    """
    write, left, step = shown(measure), 190.0, 24.0 if len(rows) <= 60 else 18.0
    numbers = np.array([row[1:] for row in rows], dtype=float)
    low, high = padded([*numbers.ravel(), 0.0, *([] if math.isnan(line) else [line])])
    bottom = TOP + step * len(rows)
    x = scale_of(low, high, left, WIDTH - RIGHT, measure=measure, most=5)
    y = Scale(0.0, float(len(rows)), TOP, bottom, (), ())
    plot = Plot(name, title, said, x, y, height=bottom + BOTTOM)
    plot.line([(0.0, 0.0), (0.0, float(len(rows)))], "plot-zero")
    plot.line([(line, 0.0), (line, float(len(rows)))], "plot-dashed", "All trials")
    for i, (label, estimate, ci_low, ci_high, pi_low, pi_high) in enumerate(rows):
        at, text = i + 0.5, f"{label}, {counts[label]}" if counts else label
        words = f"{text}: {write(estimate)} ({write(ci_low)} to {write(ci_high)})"
        if math.isfinite(pi_low):
            plot.area(_bar(pi_low, pi_high, at, 0.12), "plot-pi", "Prediction interval")
            words += f", prediction interval {write(pi_low)} to {write(pi_high)}"
        plot.line([(ci_low, at), (ci_high, at)], "plot-interval", "Confidence interval")
        plot.point(estimate, at, words, name="plot-estimate")
        plot.text(left - 10, plot.y(at) + 4, text if len(text) <= 27 else f"{text[:26]}…", anchor="end")
    plot.axes(_effect_name(measure), "", below=below)
    return plot.html()


def _bar(low: float, high: float, at: float, half: float) -> list[tuple[float, float]]:
    return [(low, at - half), (high, at - half), (high, at + half), (low, at + half)]


def leave_one_out_svg(table: pd.DataFrame | PooledFit) -> str:
    """Draw the pooled effect without each trial.

    Parameters
    ----------
    table : pandas.DataFrame or PooledFit
        From :func:`ipt_evidence.leave_one_out`, or a fit, for which it is computed.

    Returns
    -------
    str
        A figure of HTML; a sentence instead of the picture where there are too few trials.
    """
    title = "Pooled effect without each trial"
    if not isinstance(table, pd.DataFrame):
        if table.k < FEWEST:
            return instead("leave-one-out", title, f"{TOO_FEW[table.k]}; leaving one out leaves nothing to pool.")
        table = leave_one_out(table)
    numbers = table[["estimate", "ci_low", "ci_high"]].to_numpy(dtype=float)
    names = table["left_out"].astype(str)
    rows = [(name, *row, math.nan, math.nan) for name, row in zip(names, numbers.tolist(), strict=True)]
    said = str(table.attrs.get("interpretation", ""))
    return intervals_svg(
        "leave-one-out",
        title,
        said,
        rows,
        measure=str(table.attrs.get("measure", "effect")),
        line=float(table.attrs.get("estimate", math.nan)),
    )


def _effect_name(measure: str, *, short: bool = False) -> str:
    name = w.measure_names(measure)[1 if short else 2]
    return f"{name}, log scale" if w.is_ratio(measure) else name


def _direction(studies: Sequence[pd.DataFrame], measure: str) -> str:
    """Return who is favoured by positive effects."""
    left, right = w.favours(studies)
    side = "above 1" if w.is_ratio(measure) else "positive"
    return f"{side}: favours {right}" + (f" over {left}" if left else "") if right else ""


def _z(level: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))
