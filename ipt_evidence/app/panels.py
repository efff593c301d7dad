"""What stands behind each tab, as HTML; what takes long is asked of a worker and put in later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Analyst, Result, usable
from ipt_evidence.app.code import python_code
from ipt_evidence.app.compare import compare_html
from ipt_evidence.app.html import bullets, esc, interval, number, options_html, paragraphs, table
from ipt_evidence.app.html import words as plain
from ipt_evidence.app.moderators import DEFAULT_GROUP
from ipt_evidence.app.view import View
from ipt_evidence.errors import EvidenceError

LATER = '<div class="later" id="later-{job}" data-job="{job}" aria-busy="true"><p class="waiting">{text}</p></div>'
DOWNLOADS = (
    ("figure.svg", "Forest plot, SVG"),
    ("figure.png", "Forest plot, PNG"),
    ("figure.pdf", "Forest plot, PDF"),
    ("results.csv", "Results, CSV"),
    ("results.xlsx", "Results and trials, Excel"),
    ("trials.csv", "Trials with effects, CSV"),
    ("report.html", "Full report, web page"),
    ("report.docx", "Full report, Word"),
    ("code.py", "Python code"),
)
MOST_DRAWN = 400
MOST_AT_ONCE = 80
MOST_LISTED = 600
TOO_FEW = "This needs at least {n} trials; there {are} {k}."


def panel(analyst: Analyst, view: View) -> str:
    """Return the HTML of the tab that a view shows; remembered, since many people look at the same views."""
    key = (view.question, view.tab, view.axis, view.moderator, view.vs)
    return analyst.pages.get(key, lambda: _PANELS[view.tab](analyst, view))


def jobs_in(html: str) -> tuple[str, ...]:
    """Return the jobs that a panel waits for.

    Examples
    --------
    >>> jobs_in(later("menu", "Computing"))
    ('menu',)
    """
    return tuple(part.split('"', 1)[0] for part in html.split('data-job="')[1:])


def later(job: str, text: str) -> str:
    """Return the place of something that a worker computes."""
    return LATER.format(job=job, text=esc(text))


def too_few(k: int, needed: int) -> str:
    """Return that there are not enough trials."""
    return paragraphs([TOO_FEW.format(n=needed, are="is" if k == 1 else "are", k=k or "none")], "empty")


def too_many(k: int) -> str:
    """Return that there are more trials than a page can show."""
    return paragraphs(
        [f"{k} trials are too many to draw one by one: narrow the choices, or use the Python code."], "empty"
    )


def forest_panel(analyst: Analyst, view: View) -> str:
    """Return the forest plot, with the trials that can be ticked."""
    from ipt_evidence.app.forest_html import forest_html

    result = analyst.result(view)
    tools = (
        '<div class="panel-tools">'
        f'<div class="field"><label for="group">Group by</label><select id="group" name="group" form="choices">'
        f"{options_html(_groups(analyst), view.group)}</select></div>"
        f'<div class="field"><label for="axis">Axis</label><select id="axis" name="axis" form="choices">'
        f"{options_html(AXIS, view.axis)}</select></div>"
        f'<button type="button" id="tick-all" class="quiet"{"" if view.out else " disabled"}>Tick all trials</button>'
        "</div>"
        '<p class="hint">Untick a trial to leave it out. Choose its name to see its numbers and its source.</p>'
    )
    everything = result.everything
    if everything is None:
        return tools + paragraphs([result.problem], "empty") + _narrowing(result)
    axis = _axis(view, everything.measure)
    if result.fit is None:
        return tools + paragraphs([result.problem], "empty") + forest_html(everything, ticked=result.ticked, axis=axis)
    if everything.k > MOST_DRAWN:
        return tools + _removed(result) + too_many(everything.k)
    if everything.k > MOST_AT_ONCE or view.group in analyst.data.studies.columns:
        return tools + _removed(result) + later("groups", "Drawing the forest plot…")
    return tools + _removed(result) + forest_html(result.fit, ticked=result.ticked, everything=everything, axis=axis)


def grouped_forest(analyst: Analyst, view: View) -> str:
    """Return the forest plot of a view with groups or with many trials."""
    from ipt_evidence.app.forest_html import forest_html

    result = analyst.result(view)
    if result.fit is None or result.everything is None:
        return paragraphs([result.problem], "empty")
    fits = analyst.by_group(view) or result.fit
    everything = analyst.by_group(replace(view.untouched, group=view.group)) or result.everything
    axis = _axis(view, result.everything.measure)
    said = paragraphs(analyst.group_cautions(view), "note")
    return said + forest_html(fits, ticked=result.ticked, everything=everything, axis=axis)


AXIS = {"": "All intervals", "3": "−3 to 3", "2": "−2 to 2", "1": "−1 to 1", "0.5": "−0.5 to 0.5"}


def _axis(view: View, measure: str) -> tuple[float, float] | None:
    from ipt_evidence.pooling.result import RATIO_MEASURES

    if not view.axis:
        return None
    end = float(view.axis)
    return (math.exp(-end), math.exp(end)) if measure in RATIO_MEASURES else (-end, end)


def _groups(analyst: Analyst) -> dict[str, str]:
    there = set(analyst.data.studies.columns)
    return {name: label for name, label in w.GROUP.items() if not name or name in there}


def _removed(result: Result) -> str:
    if not result.removed or result.everything is None:
        return ""
    names = dict(zip(result.selection.rows["trial_id"], result.selection.rows["study"], strict=True))
    listed = ", ".join(str(names.get(trial, trial)) for trial in result.removed)
    rule = "outliers" if result.view.outliers == "outliers" else "influential trials"
    return paragraphs([f"Removed as {rule}: {listed}. What is left looks more alike than the trials are."], "note")


def _narrowing(result: Result) -> str:
    """Return how the choices narrowed the trials, where none is left."""
    steps = result.selection.steps
    if len(steps) < 2:
        return ""
    rows = [(step.label, step.trials) for step in steps]
    return table(rows, ("Choice", "Trials left"), "How the choices narrow the trials", numbers=(1,), kind="narrow")


def trials_panel(analyst: Analyst, view: View) -> str:
    """Return every row of the question: those pooled, and those that are not, each with its reason."""
    result = analyst.result(view)
    status = _statuses(result)
    rows = [*_trial_rows(result.selection.rows, status)]
    rows += [*_trial_rows(result.selection.left_out, None)]
    if not rows:
        return paragraphs(["The data hold no row of this condition with this contrast."], "empty")
    pooled = sum(1 for row in rows if row[-1] == "pooled")
    heads = ("Trial", "Compared", "Instrument", "Effect (95% CI)", "Status")
    caption = f"{len(rows)} rows of this question: {pooled} pooled, {len(rows) - pooled} not, with the reason"
    caption += f"; the first {MOST_LISTED} are shown" if len(rows) > MOST_LISTED else ""
    body = "".join(
        f'<tr class="{"in" if row[-1] == "pooled" else "out"}"><th scope="row"><button type="button" class="link" '
        f'data-card="{esc(row[0])}">{esc(row[1])}</button></th>'
        + "".join(f"<td>{esc(cell)}</td>" for cell in row[2:])
        + "</tr>"
        for row in rows[:MOST_LISTED]
    )
    top = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Trials"><table class="data trials">'
        f"<caption>{esc(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _statuses(result: Result) -> dict[str, str]:
    removed = {trial: "removed by the outlier rule" for trial in result.removed}
    return removed | {trial: "ticked out" for trial in result.view.out}


def _trial_rows(rows: Any, status: Mapping[str, str] | None) -> list[tuple[str, ...]]:
    """Return for each row its trial, name, arms, instrument, effect, and whether or why not it is pooled."""
    wanted = ("trial_id", "study", "arm_1", "arm_2", "instrument", "outcome", "effect", "ci_low", "ci_high", "why_not")
    columns: dict[str, list[Any]] = {
        name: rows[name].tolist() if name in rows.columns else [""] * len(rows) for name in wanted
    }
    reasons = rows["reason"].tolist() if "reason" in rows.columns else [""] * len(rows)
    made: list[tuple[str, ...]] = []
    for i, trial in enumerate(columns["trial_id"]):
        effect = columns["effect"][i]
        known = isinstance(effect, float) and not math.isnan(effect)
        shown = f"{number(effect)} ({interval(columns['ci_low'][i], columns['ci_high'][i])})" if known else "–"
        if status is None:
            said = str(reasons[i])
        else:
            said = status.get(str(trial), "pooled" if known else f"no usable effect: {columns['why_not'][i]}")
        arms = " vs ".join(plain(columns[name][i]) for name in ("arm_1", "arm_2"))
        instrument = columns["instrument"][i] or columns["outcome"][i] or ""
        made.append((str(trial), str(columns["study"][i]), arms, str(instrument), shown, said))
    return made


def subgroups_panel(analyst: Analyst, view: View) -> str:
    """Return the effects of subgroups, and the regression of the effect on a moderator."""
    result = analyst.result(view)
    if not usable(result.fit):
        return paragraphs([result.problem], "empty")
    groups = {name: label for name, label in _groups(analyst).items() if name}
    there = set(analyst.data.studies.columns)
    moderators = {name: label for name, label in w.MODERATOR.items() if name in there}
    return (
        f"<h3>Subgroups</h3>{_pick('group', 'Groups', groups, view.group or DEFAULT_GROUP)}"
        f"{later('subgroups', 'Pooling each group…')}"
        f"<h3>Meta-regression</h3>{_pick('moderator', 'Moderator', moderators, view.moderator)}"
        f"{later('regression', 'Fitting the regression…')}"
    )


def _pick(name: str, label: str, choices: Mapping[str, str], chosen: str) -> str:
    return (
        f'<div class="panel-tools"><div class="field"><label for="{name}">{label}</label><select id="{name}" '
        f'name="{name}" form="choices">{options_html(choices, chosen)}</select></div></div>'
    )


def robustness_panel(analyst: Analyst, view: View) -> str:
    """Return what each trial does to the result, and the usual sensitivity analyses."""
    from ipt_evidence.app.plot_svg import influence_svg
    from ipt_evidence.diagnostics.outliers import outliers

    base = one_effect_fit(analyst, view)
    if why_not := _not_drawn(base):
        return why_not
    apart = _interpretation(outliers, base)
    return (
        f'<h3>Without each trial</h3><div class="figure">{influence_svg(base)}</div>'
        f"<h3>Trials that lie apart</h3>{paragraphs([apart], 'text')}"
        f"<h3>The usual sensitivity analyses</h3>{later('menu', 'Computing fourteen analyses…')}"
    )


def _not_drawn(base: Any) -> str:
    """Return why a fit has too few trials or too many for figures of each; empty where it has not."""
    if base is None or base.k < 3:
        return too_few(0 if base is None else base.k, 3)
    return too_many(base.k) if base.k > MOST_DRAWN else ""


def _interpretation(diagnostic: Callable[[Any], Any], base: Any) -> str:
    """Return what a diagnostic says of a fit, or why it says nothing."""
    try:
        return str(diagnostic(base).interpretation)
    except EvidenceError as error:
        return str(error)


def one_effect_fit(analyst: Analyst, view: View) -> Any:
    """Return the fit of a view with one effect per trial, which figures and diagnostics need; ``None`` without one."""
    result = analyst.result(view)
    if not usable(result.fit):
        return None
    assert result.fit is not None
    if result.fit.method.dependence == "aggregate":
        return result.fit
    again = analyst.one_effect_result(view)
    return again.fit if usable(again.fit) else None


def small_panel(analyst: Analyst, view: View) -> str:
    """Return the funnel plot and what tests and adjustments say about selective publication."""
    from ipt_evidence.app.plot_svg import funnel_svg
    from ipt_evidence.diagnostics.small_study import egger_test

    base = one_effect_fit(analyst, view)
    if why_not := _not_drawn(base):
        return why_not
    said = _interpretation(egger_test, base)
    few = "Below ten trials, tests of small-study effects have little power." if base.k < 10 else ""
    return (
        f'<h3>Funnel plot</h3><div class="figure">{funnel_svg(base)}</div>'
        f"{paragraphs([f'Egger’s test: {said}', few], 'text')}"
        f"<h3>Adjustments for selective publication</h3>{later('bias', 'Computing nine methods…')}"
    )


def claims_panel(analyst: Analyst, view: View) -> str:
    """Return what health articles say about the condition, held against the trials."""
    return later("claims", "Holding each claim against the trials…")


def compare_panel(analyst: Analyst, view: View) -> str:
    """Return two views side by side."""
    return compare_html(analyst, view)


def code_panel(analyst: Analyst, view: View) -> str:
    """Return the Python code of the view and everything that can be downloaded."""
    code = python_code(view, analyst.data)
    unpooled = not usable(analyst.result(view).fit)
    buttons = "".join(
        f'<li><button type="button" class="quiet" data-download="{name}"'
        f"{' disabled' if unpooled and name.startswith('figure') else ''}>{label}</button></li>"
        for name, label in DOWNLOADS
    )
    hint = "The report is about this condition and contrast, with the statistics chosen and the trials shown."
    return (
        '<h3>The Python code of this view</h3><p class="hint">It prints the same number. Install the package with '
        '<code>pip install ipt-evidence</code>.</p><div class="code"><button type="button" id="copy-code" '
        f'class="quiet">Copy</button><span id="copy-status" role="status"></span>'
        f'<pre id="code" tabindex="0">{esc(code)}</pre></div>'
        f'<h3>Downloads</h3><ul class="downloads">{buttons}</ul><p class="hint">{hint}</p>'
        '<p id="download-status" role="status"></p>'
    )


_PANELS: Mapping[str, Callable[[Analyst, View], str]] = {
    "forest": forest_panel,
    "trials": trials_panel,
    "robustness": robustness_panel,
    "small": small_panel,
    "subgroups": subgroups_panel,
    "claims": claims_panel,
    "compare": compare_panel,
    "code": code_panel,
}


def failed(sentence: str) -> str:
    """Return that a part of the page could not be made."""
    return f'<div class="failed" role="alert">{bullets([sentence])}</div>'
