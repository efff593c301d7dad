"""The tables of results inside a report."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from ipt_evidence.diagnostics.showing import p_text
from ipt_evidence.figures.wording import measure_names, number
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.findings_facts import shown
from ipt_evidence.reports.tables import Column, ReportTable, report_table, without_empty

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.diagnostics.bias_table import BiasTable
    from ipt_evidence.evidence.absolute import AbsoluteEffects
    from ipt_evidence.evidence.menu import AnalysisMenu

DASH = "–"
SAID_BEFORE = re.compile(
    r"(?:Participants are known for \d+ of \d+ trials?"
    r"|\d+ rows? without a usable effect(?: or moderator)? (?:were )?left out"
    r"|\d+ trials? with several effects combined \(rho = [\d.]+\))\.\s*"
)


def result_table(fit: PooledFit) -> ReportTable:
    """Return the numbers of a fit, one per row, with what each says."""
    level = f"{100 * fit.method.level:g}%"
    name = measure_names(fit.measure)[1]
    lines = [(name, shown(fit, fit.estimate), "effect of the only trial" if fit.k == 1 else "pooled effect")]
    lines.append((f"{level} confidence interval", _between(fit, fit.ci_low, fit.ci_high), "where the mean effect lies"))
    if fit.k > 1 and fit.method.ci_method != "wald":
        wald = _between(fit, fit.wald_ci_low, fit.wald_ci_high)
        lines.append((f"{level} Wald interval", wald, "by the normal distribution, for comparison"))
    lines.append(("p", p_text(fit.p_value), "of no difference"))
    if not math.isnan(fit.pi_low):
        pi = _between(fit, fit.pi_low, fit.pi_high)
        lines.append((f"{level} prediction interval", pi, "where the true effect in a new trial is expected"))
    if fit.k > 1:
        lines += _spread(fit)
    data = fit.tidy()
    columns = (Column("name", "Quantity"), Column("value", "Value", "right"), Column("says", "What it says", wide=True))
    notes = [note for note in fit.notes if not note.startswith("One trial")]
    return report_table(data, columns, lines, caption="The result in numbers", notes=notes)


def _spread(fit: PooledFit) -> list[tuple[str, str, str]]:
    lines = []
    if fit.method.tau2_method != "EE" and not math.isnan(fit.tau2):
        limits = (fit.tau2_ci_low, fit.tau2_ci_high)
        known = all(map(math.isfinite, limits))
        ends = f" ({number(limits[0], 3)} to {number(limits[1], 3)})" if known else ""
        lines.append(("τ²", f"{number(fit.tau2, 3)}{ends}", "variance of the true effects between trials"))
    if not math.isnan(fit.i2):
        known = math.isfinite(fit.i2_ci_low) and math.isfinite(fit.i2_ci_high)
        ends = f" ({fit.i2_ci_low:.0f}% to {fit.i2_ci_high:.0f}%)" if known else ""
        lines.append(("I²", f"{fit.i2:.0f}%{ends}", "share of the variation that chance does not explain"))
    q = f"{number(fit.q, 1)} (df = {fit.q_df}, p {_equal_p(fit.q_p)})"
    lines.append(("Cochran's Q", q, "test of equal true effects"))
    return lines


def _equal_p(p: float) -> str:
    text = p_text(p)
    return f"< {text[1:]}" if text.startswith("<") else f"= {text}"


def _between(fit: PooledFit, low: float, high: float) -> str:
    return f"{shown(fit, low)} to {shown(fit, high)}"


def absolute_table(found: AbsoluteEffects) -> ReportTable:
    """Return an effect in terms that people can picture."""
    data = found.tidy()
    columns = (Column("in_words", "What it means", wide=True), Column("made_from", "Made from", wide=True))
    cells = data[["in_words", "made_from"]].to_numpy(dtype=object)
    return report_table(data, columns, cells, caption="What the effect means for people", notes=found.notes[:2])


def menu_table(menu: AnalysisMenu) -> ReportTable:
    """Return the sensitivity analyses, one row each."""
    data = menu.tidy()
    columns = (
        Column("label", "Analysis", wide=True),
        Column("k", "Effects", "right"),
        Column("trials", "Trials", "right"),
        Column("estimate", "Effect (CI)", "right"),
        Column("p_value", "p", "right"),
        Column("i2", "I²", "right"),
        Column("prediction", "Prediction interval", "right"),
        Column("notes", "Remarks", wide=True),
        Column("excluded", "Left out", wide=True),
    )
    cells = [_menu_row(row) for row in data.to_dict("records")]
    caption = "The same question under other choices"
    notes = ("The analyses share their trials, so agreement between them is no replication.",)
    return without_empty(report_table(data, columns, cells, caption=caption, notes=notes))


def _menu_row(row: dict[Any, Any]) -> list[str]:
    ratio = PooledShape(str(row.get("measure", "")))
    ends = [row.get(name, math.nan) for name in ("estimate", "ci_low", "ci_high", "pi_low", "pi_high")]
    value, low, high, pi_low, pi_high = (ratio.text(float(x)) for x in ends)
    p, i2 = float(row.get("p_value", math.nan)), float(row.get("i2", math.nan))
    return [
        str(row["label"]),
        _whole(row["k"]),
        _whole(row["trials"]),
        f"{value} ({low} to {high})" if value else DASH,
        p_text(p) if p == p else DASH,
        f"{i2:.0f}%" if i2 == i2 else DASH,
        f"{pi_low} to {pi_high}" if pi_low else DASH,
        SAID_BEFORE.sub("", str(row.get("notes") or "")).strip() or DASH,
        str(row.get("excluded") or DASH),
    ]


class PooledShape:
    """How numbers of a measure are printed: ratios are transformed back."""

    def __init__(self, measure: str) -> None:
        from ipt_evidence.figures.wording import is_ratio

        self.ratio = is_ratio(measure)

    def text(self, value: float) -> str:
        """Return a number; empty when it is missing."""
        if math.isnan(value):
            return ""
        return number(math.exp(value) if self.ratio else value, 2)


def _whole(value: Any) -> str:
    return DASH if value is None or value != value else f"{int(value):,}"


def bias_report_table(found: BiasTable) -> ReportTable:
    """Return the adjustments for small-study effects and selective publication, one row each."""
    data = found.tidy()
    columns = (
        Column("label", "Adjustment", wide=True),
        Column("estimate", "Effect (CI)", "right"),
        Column("trust", "Trust here"),
        Column("why", "Why", wide=True),
        Column("assumes", "Assumes", wide=True),
    )
    shape = PooledShape(found.fit.measure)
    cells = []
    for row in data.to_dict("records"):
        value, low, high = (shape.text(float(row[name])) for name in ("estimate", "ci_low", "ci_high"))
        interval = f" ({low} to {high})" if low else ""
        cells.append([row["label"], f"{value}{interval}" or DASH, row["trust"], row["why"] or DASH, row["assumes"]])
    return report_table(data, columns, cells, caption="Adjusted for what may not have been published")


def tests_table(found: BiasTable) -> ReportTable:
    """Return the tests for small-study effects and selection."""
    data = found.tests.copy()
    columns = (
        Column("test", "Test", wide=True),
        Column("statistic", "Statistic", "right"),
        Column("p_value", "p", "right"),
        Column("says", "Finding"),
        Column("why", "What it asks", wide=True),
    )
    cells = [
        [
            row["test"],
            number(float(row["statistic"]), 2) or DASH,
            p_text(float(row["p_value"])),
            row["says"],
            row["why"],
        ]
        for row in data.to_dict("records")
    ]
    notes = ("With few trials these tests miss most bias; with differing trials they find it where there is none.",)
    return report_table(data, columns, cells, caption="Tests for small-study effects", notes=notes)


def left_out_table(rows: pd.DataFrame) -> ReportTable:
    """Return the rows that were not pooled, each with its reason."""
    columns = (
        Column("comparison_id", "Row of the data"),
        Column("study", "Trial"),
        Column("phase", "Phase"),
        Column("reason", "Reason", wide=True),
    )
    cells = rows[[column.name for column in columns]].replace("", DASH).to_numpy(dtype=object)
    return without_empty(report_table(rows, columns, cells, caption="Rows that were not pooled"))
