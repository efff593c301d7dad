"""Subgroups and moderators: whether the effect differs between kinds of trials."""

from __future__ import annotations

import math
from dataclasses import replace

from ipt_evidence.app import words as w
from ipt_evidence.app.analysis import Analyst, one_effect_options
from ipt_evidence.app.html import interval, number, p_value, paragraphs, table
from ipt_evidence.app.view import View
from ipt_evidence.errors import EvidenceError

DEFAULT_GROUP = "population_group"


def subgroups_html(analyst: Analyst, view: View) -> str:
    """Return the effects of the groups of a view (by population where it has none) as a table, and their test."""
    group = view.group or DEFAULT_GROUP
    grouped = replace(view, group=group)
    fits = analyst.by_group(grouped)
    if fits is None:
        return paragraphs([analyst.result(view).problem or f"These data have no column “{group}”."], "empty")
    lines = []
    for name, fit in fits.items():
        limits = (w.natural(fit, fit.ci_low), w.natural(fit, fit.ci_high))
        lines.append(
            (
                name,
                fit.k,
                number(w.natural(fit, fit.estimate)),
                interval(*limits),
                interval(w.natural(fit, fit.pi_low), w.natural(fit, fit.pi_high)),
                "–" if math.isnan(fit.i2) else f"{fit.i2:.0f}%",
            )
        )
    heads = ("Group", "Trials", "Effect", f"{w.percent(view)} CI", f"{w.percent(view)} prediction", "I²")
    shown = table(lines, heads, f"Effect by {w.GROUP[group].lower()}", numbers=(1, 2, 3, 4, 5))
    said = "Fewer than two groups have an estimate: there is nothing to compare."
    if fits.between is not None:
        b = fits.between
        said = (
            f"Test of differences between groups: Q = {number(b.q)}, df = {b.df}, p {_equals(b.p_value)}. "
            "Trials were not randomised to groups: a difference may have other reasons."
        )
    return shown + paragraphs([said, *analyst.group_cautions(grouped)], "text")


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def regression_html(analyst: Analyst, view: View) -> str:
    """Return the regression of the effect on the moderator of a view, as a figure and a sentence."""
    from ipt_evidence.app.plot_svg import bubble_svg
    from ipt_evidence.pooling.regression import meta_regression

    name = view.moderator
    rows, _ = analyst.without_outliers(view, name)
    label = w.MODERATOR[name].lower()
    if name not in rows.columns or rows[name].notna().sum() == 0:
        return paragraphs([f"None of these trials has a value for {label}."], "empty")
    known = rows[rows[name].notna() & rows["effect"].notna()]
    k = known["trial_id"].nunique()
    if k < 4 or known[name].nunique() < 2:
        return paragraphs(
            [f"A regression on {label} needs at least four trials with different values; {k} have one."], "empty"
        )
    options = one_effect_options(view)
    try:
        fit = meta_regression(known, f"~ {name}", **options)
    except EvidenceError as error:
        return paragraphs([str(error)], "empty")
    line = fit.tidy().iloc[1]
    low, high = float(line["ci_low"]), float(line["ci_high"])
    unit = {"year": "per 10 years", "proportion_women": "per 10 percentage points"}.get(name, "per unit")
    by = {"year": 10.0, "proportion_women": 0.1}.get(name, 1.0)
    said = (
        f"Slope {unit}: {number(by * float(line['estimate']), 3)} "
        f"({w.percent(view)} CI {interval(by * low, by * high, 3)}, "
        f"p {_equals(float(line['p_value']))}), {k} trials. {_reading(low, high)}"
    )
    return f'<div class="figure">{bubble_svg(fit, name)}</div>{paragraphs([said], "text")}'


def _reading(low: float, high: float) -> str:
    if low <= 0 <= high:
        return "The trials do not show that the effect changes with it."
    return "The effect goes along with it across trials; within trials it may not."
