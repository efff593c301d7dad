"""The forest plot of the page: a table that can be read, ticked and listened to, with the plot in its last column."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from ipt_evidence.app.forest_html_marks import axis_marks, diamond_marks, prediction_marks, trial_marks
from ipt_evidence.figures import wording as w
from ipt_evidence.figures.alt_text import describe_fit, describe_fits
from ipt_evidence.figures.axis import EffectAxis, effect_axis
from ipt_evidence.figures.columns_result import result_columns
from ipt_evidence.figures.footnotes import footnotes
from ipt_evidence.figures.forest_inputs import Branch, FitView, back_from, branches, direction_word, one_measure
from ipt_evidence.figures.forest_lines import between
from ipt_evidence.figures.forest_options import RowOptions, read_options
from ipt_evidence.figures.forest_writer import Row, Writer, make_row
from ipt_evidence.figures.style import resolve_style
from ipt_evidence.pooling.result import PooledFit, PooledFits

MAX_TICKS = 5
NEEDED = (
    *("trial_id", "study", "effect", "ci_low", "ci_high", "weight", "n_effects", "included", "why_not"),
    *("n_1", "n_2", "contrast", "arm_1", "source"),
)
POOLED = ("subtotal", "overall", "common")
FOLDED = ' class="forest-fold forest-number"'
NUMBER = ' class="forest-number"'
COLUMNS = 6
HIDDEN = '<span class="forest-hidden">{}</span>'


@dataclass(frozen=True, slots=True)
class Look:
    """What every row of the table shares.

    Attributes
    ----------
    axis : EffectAxis
        The axis.
    overall : float
        Where the dotted line stands; NaN for none.
    largest : float
        Largest relative weight of a trial.
    """

    axis: EffectAxis
    overall: float
    largest: float


def forest_html(
    fit: PooledFit | PooledFits,
    *,
    ticked: Mapping[str, bool] | None = None,
    everything: PooledFit | PooledFits | None = None,
    axis: tuple[float, float] | None = None,
) -> str:
    """Return a forest plot as an HTML table.

    Parameters
    ----------
    fit : PooledFit or PooledFits
        What was pooled.
    ticked : mapping of str to bool, optional
        Trial and whether it is ticked in; trials that are not named are.
    everything : PooledFit or PooledFits, optional
        The same with every trial ticked in: it says in which order the trials stand, and has the effects of those that
        are ticked out. By default those ticked out are not shown.
    axis : tuple of float, optional
        Limits of the effect axis on the scale that is shown, such as after zooming. Default: from the data.

    Returns
    -------
    str
        A table with ``data-tick`` on checkboxes and ``data-card`` on buttons, both holding the trial's identifier, and
        what was left out and how the numbers were made below it. All texts of the data are escaped.

    Raises
    ------
    OptionError
        It is not a fit, or the limits are not an interval.

    Notes
    -----
    Labels, numbers and footnotes are those of :func:`ipt_evidence.forest_plot`.

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> table = pd.DataFrame({"trial_id": ["a", "b"], "study": ["A 1990", "B <2001>"], "effect": [0.2, 0.5]})
    >>> page = forest_html(ipt.pool(table.assign(variance=0.04), ci_method="wald"))
    >>> "B &lt;2001&gt;" in page, 'data-tick="b"' in page
    (True, True)
    """
    now = _slim(branches(fit, _has_overall(fit)))
    skeleton = now if everything is None else _slim(branches(everything, _has_overall(everything)))
    leaves = list(now.leaves())
    known = leaves if any(leaf.k for leaf in leaves) else list(skeleton.leaves())
    measure = one_measure(known)
    names = w.favours([leaf.studies for leaf in known]) if measure != "PLO" else ("", "")
    options = _options()
    columns, own = result_columns(options, measure, known, ("arm 1", "arm 2"))
    writer = Writer(options, own, (), back_from(measure))
    rows = list(_lines(skeleton, now, writer, dict(ticked or {})))
    look = Look(_axis(rows, measure, axis), _overall(rows), _largest(rows))
    heads = {column.name: column.header for column in columns}
    body = "".join(_row(row, look) for row in rows)
    favoured = _favours(names, direction_word(known))
    notes = footnotes(list(now.fits()), [], _frame(rows), (), columns=columns)
    left_out = _left_out(leaves, {str(row["trial_id"]) for row in rows if row.get("out")})
    return (
        f'<div class="forest"><table class="forest-table"><caption>Forest plot'
        f"{HIDDEN.format('. ' + escape(_said(fit, names)))}</caption>"
        f"{_head(heads, favoured)}<tbody>{body}</tbody>{_foot(look.axis)}</table>"
        f'{left_out}<div class="forest-notes">{"".join(f"<p>{escape(note)}</p>" for note in notes)}</div></div>'
    )


def _said(fit: PooledFit | PooledFits, names: tuple[str, str]) -> str:
    """Return what the plot shows, in words."""
    if isinstance(fit, PooledFit):
        return describe_fit(fit, "Pooled effect", names)
    return describe_fits(fit, "Pooled effects", with_overall=fit.overall is not None, favours=names)


def _slim(branch: Branch) -> Branch:
    """Return the groups with the columns of the trials that a row needs: selecting rows of all of them takes long."""
    children = tuple(_slim(child) for child in branch.children)
    return replace(branch, fit=_needed(branch.fit), total=_needed(branch.total), children=children)


def _needed(view: FitView | None) -> FitView | None:
    if view is None:
        return None
    return replace(view, studies=view.studies[[name for name in NEEDED if name in view.studies.columns]])


def _has_overall(fit: object) -> bool | None:
    return True if isinstance(fit, PooledFits) and fit.overall is not None else None


@cache
def _options() -> RowOptions:
    return read_options(resolve_style(None), {"right": ["n", "effect", "ci", "weight"]})


def _lines(skeleton: Branch, now: Branch | None, writer: Writer, ticked: dict[str, bool]) -> Iterator[Row]:
    """Yield the rows in the order of the skeleton, with the numbers of what was pooled now."""
    if skeleton.fit is not None:
        pooled = now.fit if now is not None else None
        yield from _leaf(skeleton.fit, pooled, writer, ticked, "subtotal" if skeleton.name else "overall")
    inside = {} if now is None else {child.name: child for child in now.children}
    for child in skeleton.children:
        yield make_row("group", w.humanise(child.name), child.name)
        yield from _lines(child, inside.get(child.name), writer, ticked)
    if now is not None and now.total is not None:
        kind = "subtotal" if skeleton.name else "overall"
        name = f"{w.humanise(now.name)}: all" if skeleton.name else "Overall"
        yield from writer.pooled(now.total, kind, _model(now.total, name), 0)
    if now is not None and now.between is not None:
        yield make_row("between", between(now.between, writer.options.house.words), "")


def _leaf(whole: FitView, pooled: FitView | None, writer: Writer, ticked: dict[str, bool], kind: str) -> Iterator[Row]:
    """Yield the trials of a group, those ticked out in their place, and what was pooled from the others."""
    seen: set[str] = set()
    for row, counts in _trials(whole, pooled, writer):
        wanted = ticked.get(str(row["trial_id"]), True)
        out = not (wanted and counts)
        without = {"relative_weight": math.nan} if out else {}
        yield row | without | {"out": out, "ticked": wanted, "first": row["trial_id"] not in seen}
        seen.add(row["trial_id"])
    if pooled is None:
        yield make_row("note", "No trial of this group is ticked in.", whole.group)
    else:
        house = writer.options.house
        yield from writer.pooled(
            pooled, kind, _model(pooled, house.subtotal if kind == "subtotal" else house.overall), 0
        )


def _trials(whole: FitView, pooled: FitView | None, writer: Writer) -> Iterator[tuple[Row, bool]]:
    """Yield the rows of all trials in the order of the whole, and whether each was pooled now."""
    rows = writer.trials(pooled, 0) if pooled is not None else []
    if pooled is whole:
        yield from ((row, True) for row in rows)
        return
    counted: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        counted.setdefault((str(row["trial_id"]), str(row["label"])), []).append(row)
    table = whole.included
    trials = table["trial_id"].astype(str) if "trial_id" in table.columns else [""] * len(table)
    keys = list(zip(trials, table["study"].astype(str), strict=True))
    places = [counted[key].pop(0) if counted.get(key) else None for key in keys]
    others = replace(whole, studies=table.loc[[place is None for place in places]])
    missing = iter(writer.trials(others, 0))
    yield from ((place, True) if place is not None else (next(missing), False) for place in places)
    yield from ((row, True) for rows in counted.values() for row in rows)


def _model(fit: FitView, name: str) -> str:
    return f"{name} (common effect)" if fit.common else name


def _frame(rows: list[Row]) -> pd.DataFrame:
    """Return what footnotes look at."""
    names = ("kind", "text_label", "n_effects")
    return pd.DataFrame({name: [row[name] for row in rows] for name in names}).assign(bracket=0)


def _axis(rows: list[Row], measure: str, limits: tuple[float, float] | None) -> EffectAxis:
    names = ("kind", "effect", "ci_low", "ci_high")
    frame = pd.DataFrame({name: [row[name] for row in rows] for name in names})
    log, has_reference = w.is_ratio(measure), measure != "PLO"
    found = effect_axis(
        frame, log=log, xlim=limits, room=lambda _: MAX_TICKS, reference=has_reference and limits is None
    )
    return replace(found, reference=(1.0 if log else 0.0) if has_reference else math.nan)


def _overall(rows: list[Row]) -> float:
    return next((float(row["effect"]) for row in reversed(rows) if row["kind"] == "overall"), math.nan)


def _largest(rows: list[Row]) -> float:
    weights = [row["relative_weight"] for row in rows if row["kind"] == "study"]
    return float(np.nanmax([*weights, 1e-9]))


def _favours(names: tuple[str, str], word: str) -> tuple[str, str]:
    left, right = (f"{word or 'favours'} {name}" if name else "" for name in names)
    return left, right


def _head(heads: dict[str, str], favoured: tuple[str, str]) -> str:
    left, right = favoured
    sides = (
        f'<span class="forest-favours"><span><span aria-hidden="true">\N{LEFTWARDS ARROW} </span>{escape(left)}</span>'
        f'<span>{escape(right)}<span aria-hidden="true"> \N{RIGHTWARDS ARROW}</span></span></span>'
        if left or right
        else HIDDEN.format("Plot")
    )
    tick = f'<th scope="col" class="forest-tick-cell">{HIDDEN.format("Include")}</th>'
    return (
        f'<thead><tr>{tick}<th scope="col">Trial</th><th scope="col"{FOLDED}>n</th>'
        f'<th scope="col"{NUMBER}>{escape(heads["text_effect"])}</th><th scope="col"{FOLDED}>Weight</th>'
        f'<th scope="col" class="forest-plot">{sides}</th></tr></thead>'
    )


def _foot(axis: EffectAxis) -> str:
    return (
        '<tfoot aria-hidden="true"><tr><td></td><td></td><td class="forest-fold"></td><td></td>'
        f'<td class="forest-fold"></td><td class="forest-plot">{axis_marks(axis)}</td></tr></tfoot>'
    )


def _row(row: Row, look: Look) -> str:
    kind = row["kind"]
    if kind == "study":
        return _trial(row, look)
    if kind in POOLED:
        marks = diamond_marks(look.axis, row["effect"], row["ci_low"], row["ci_high"], open_=kind == "common")
        return _numbers(row, marks, f"forest-{kind}")
    if kind == "prediction":
        return _numbers(row, prediction_marks(look.axis, row["ci_low"], row["ci_high"]), "forest-predicted")
    if kind == "group":
        head = f'<th scope="rowgroup" colspan="{COLUMNS}">{escape(row["text_label"])}</th>'
        return f'<tr class="forest-group">{head}</tr>'
    return f'<tr class="forest-line"><td colspan="{COLUMNS}">{escape(str(row["text_label"]))}</td></tr>'


def _kept(label: str) -> str:
    """Return a label in which ``n ≥ 2,802`` stays on one line."""
    return re.sub(r" ([=≥<]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", label)


def _numbers(row: Row, marks: str, name: str) -> str:
    """Return a row that was pooled."""
    return (
        f'<tr class="{name}"><td></td><th scope="row">{escape(_kept(str(row["text_label"])))}</th>'
        f"<td{FOLDED}>{escape(str(row.get('text_n', '')))}</td><td{NUMBER}>{_effect(row)}</td>"
        f'<td{FOLDED}>{escape(str(row.get("text_weight", "")))}</td><td class="forest-plot">{marks}</td></tr>'
    )


def _trial(row: Row, look: Look) -> str:
    """Return the row of a trial."""
    name, trial, out = escape(str(row["label"])), escape(str(row["trial_id"])), bool(row["out"])
    several = (
        f'<span aria-hidden="true">{w.SEVERAL}</span>{HIDDEN.format(" (several effects, combined)")}'
        if row["n_effects"] > 1
        else ""
    )
    tick, title = "<td></td>", name + several
    if trial:
        checked = " checked" if row["ticked"] else ""
        box = f'<input type="checkbox" data-tick="{trial}" aria-label="Include {name}"{checked}>'
        tick = f'<td class="forest-tick-cell">{box if row["first"] else ""}</td>'
        title = f'<button type="button" class="forest-name" data-card="{trial}">{title}</button>'
    if out and row["ticked"]:
        title += ' <span class="forest-removed">removed by the outlier rule</span>'
    share = 0.1 if out else float(row["relative_weight"]) / look.largest
    marks = trial_marks(look.axis, row["effect"], row["ci_low"], row["ci_high"], share=share, overall=look.overall)
    weight = f'<span aria-hidden="true">–</span>{HIDDEN.format("not included")}' if out else escape(row["text_weight"])
    return (
        f'<tr class="forest-trial{" forest-out" if out else ""}">{tick}<th scope="row">{title}</th>'
        f"<td{FOLDED}>{escape(str(row.get('text_n', '')))}</td><td{NUMBER}>{_effect(row)}</td>"
        f'<td{FOLDED}>{weight}</td><td class="forest-plot">{marks}</td></tr>'
    )


def _effect(row: Row) -> str:
    """Return effect and interval, which may stand on two lines but are never broken inside."""
    parts = [str(row.get(name, "")) for name in ("text_effect", "text_ci")]
    return " ".join(f'<span class="forest-part">{escape(part)}</span>' for part in parts if part)


def _left_out(leaves: list[FitView], out: set[str]) -> str:
    """Return the trials that could not be pooled, with the reason."""
    found: dict[tuple[str, str, str], None] = {}
    for leaf in leaves:
        table = leaf.studies.loc[~leaf.studies["included"].astype(bool)]
        trials: Any = table["trial_id"].astype(str) if "trial_id" in table.columns else [""] * len(table)
        found.update(dict.fromkeys(zip(trials, table["study"].astype(str), table["why_not"].astype(str), strict=True)))
    items = []
    for trial, study, why in found:
        if trial in out:
            continue
        name = escape(study)
        if trial:
            name = f'<button type="button" class="forest-name" data-card="{escape(trial)}">{name}</button>'
        items.append(f"<li>{name}: {escape(why)}</li>")
    if not items:
        return ""
    what = "1 effect" if len(items) == 1 else f"{len(items)} effects"
    return (
        f'<details class="forest-left-out"><summary>{what} could not be pooled, and why</summary>'
        f"<ul>{''.join(items)}</ul></details>"
    )
