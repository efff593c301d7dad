"""The result of a report in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ipt_evidence.evidence.conditions import CONDITION_NAMES, CONTRAST_NAMES
from ipt_evidence.figures.wording import capitalise, favours, humanise, listed, measure_names, number
from ipt_evidence.pooling.result import RATIO_MEASURES, PooledFit
from ipt_evidence.pooling.result_text import people_text
from ipt_evidence.reports.findings_facts import IMPORTANT, STANDARDISED, shown

if TYPE_CHECKING:
    import pandas as pd

PHASES = {
    "acute": "acute treatment",
    "maintenance": "maintenance treatment",
    "prevention": "prevention",
}


def condition_name(condition: str) -> str:
    """Return a condition as it stands in a sentence."""
    name = CONDITION_NAMES.get(condition, humanise(condition))
    return name if name[:2].isupper() else name[:1].lower() + name[1:]


def contrast_name(contrast: str) -> str:
    """Return a contrast as it stands in a title."""
    return CONTRAST_NAMES.get(contrast, humanise(contrast))


def title(condition: str, contrast: str) -> str:
    """Return the title of a report."""
    return f"{contrast_name(contrast)}: {condition_name(condition)}"


def answer(fit: PooledFit | None) -> str:
    """Return the answer in one or two sentences that need no statistics."""
    if fit is None or fit.k == 0:
        return (
            "No trial in these data allows an estimate for this question. That is a gap in the evidence, not a result."
        )
    worse, better = favours([fit.studies])
    zero = fit.ci_low <= 0 <= fit.ci_high
    people = "" if fit.n_participants is None else f" with {people_text(fit)} participants"
    if fit.k == 1:
        trial = str(fit.studies.loc[fit.studies["included"].astype(bool), "study"].iloc[0])
        start = f"One randomised trial ({trial}{people}) "
        end = "does not show which did better." if zero else f"found better results with {_winner(fit)}."
        return f"{start}{end} One trial is thin evidence."
    start = f"Across {fit.k} randomised trials{people}, "
    if zero:
        return f"{start}it is not clear whether {better} or {worse} does better: the interval includes no difference."
    loser = worse if fit.estimate > 0 else better
    said = f"{start}people did better on average with {_winner(fit)} than with {loser}."
    return said if fit.k >= 10 else f"{said} {fit.k} trials are thin evidence."


def _winner(fit: PooledFit) -> str:
    worse, better = favours([fit.studies])
    return better if fit.estimate > 0 else worse


def in_numbers(fit: PooledFit, rate: float) -> list[str]:
    """Return what the answer rests on, a sentence per number."""
    level = f"{100 * fit.method.level:g}%"
    name = measure_names(fit.measure)[1]
    name = name if name[:2].isupper() or "'" in name else name[:1].lower() + name[1:]
    value, low, high = (shown(fit, x) for x in (fit.estimate, fit.ci_low, fit.ci_high))
    kind = "effect of the trial" if fit.k == 1 else "pooled effect"
    lines = [f"The {kind} is {name} = {value}, {level} confidence interval {low} to {high}."]
    lines += _meaning(fit, rate)
    if not math.isnan(fit.pi_low):
        low, high = shown(fit, fit.pi_low), shown(fit, fit.pi_high)
        other = "worse" if fit.estimate > 0 else "better"
        tail = f"so in some settings {favours([fit.studies])[1]} may make no difference or be {other}"
        if fit.pi_low >= 0 or fit.pi_high <= 0:
            tail = "so a new trial is expected to point the same way"
        lines.append(f"The true effect in a new trial is expected between {low} and {high}, {tail}.")
    if fit.k > 1 and fit.ci_low > wald(fit)[0] + 0.005 and fit.method.ci_method.startswith("hksj"):
        low, high = (shown(fit, x) for x in wald(fit))
        lines.append(f"The Wald interval, {low} to {high}, is wider here and should be read beside it.")
    return lines


def wald(fit: PooledFit) -> tuple[float, float]:
    """Return the Wald interval."""
    return fit.wald_ci_low, fit.wald_ci_high


def _meaning(fit: PooledFit, rate: float) -> list[str]:
    if fit.measure not in STANDARDISED:
        return []
    from ipt_evidence.evidence.absolute import absolute_effects

    table = absolute_effects(fit, control_event_rate=rate, sd_points={}).tidy().set_index("quantity")
    row = {name: 100 * float(str(table.at["response_rate", name])) for name in ("value", "ci_low", "ci_high")}
    value, low, high = (number(row[name], 0) for name in ("value", "ci_low", "ci_high"))
    worse, better = favours([fit.studies])
    return [
        f"In people: if {100 * rate:.0f} of 100 responded with {worse}, about {value} of 100 ({low} to {high}) would "
        f"with {better}. The {100 * rate:.0f} are an assumption.",
        f"For comparison: {IMPORTANT:g} was proposed as the smallest difference that matters to people with depression "
        "(Cuijpers et al. 2014, doi:10.1002/da.22249).",
    ]


def question(rows: pd.DataFrame, condition: str, contrast: str, phase: str | None) -> list[str]:
    """Return the question a report answers: people, treatment, comparison, outcome, phase."""
    lines = [f"People: treated for {condition_name(condition)}{_mixed(rows, 'population_group')}."]
    lines.append(f"Comparison: {contrast_name(contrast)}{_mixed(rows, 'comparator')}.")
    if contrast in CONTRAST_NAMES and "combined" in contrast.split("_vs_"):
        lines.append("Combined means IPT together with pharmacotherapy.")
    lines.append(f"Outcome: as the trials measured it{_mixed(rows, 'instrument_family', limit=6)}.")
    if phase is not None:
        lines.append(f"Phase: {PHASES.get(phase, phase)}. Trials of other phases are listed as left out.")
    return lines


def _mixed(rows: pd.DataFrame, name: str, *, limit: int = 8) -> str:
    """Return the values of a column in brackets, most frequent first."""
    if name not in rows.columns:
        return ""
    counted = rows.loc[rows[name].notna() & rows[name].astype(str).ne(""), name].astype(str).value_counts()
    words = [_word(value) if value.islower() else value for value in counted.index]
    return f" ({listed(words, limit)})" if words else ""


def _word(identifier: str) -> str:
    text = humanise(identifier)
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def heterogeneity_words(fit: PooledFit) -> str:
    """Return how different the trials are, for a reader who has not met I2."""
    if math.isnan(fit.i2):
        return ""
    if fit.i2 == 0:
        return "The results differ no more than chance explains (I² = 0%)."
    text = f"About {fit.i2:.0f}% of the variation between the results is more than chance explains (I²)"
    if fit.measure in RATIO_MEASURES or math.isnan(fit.tau) or fit.method.tau2_method == "EE":
        return f"{text}."
    return f"{text}; true effects differ with a standard deviation of {number(fit.tau, 2)} (τ)."


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital and one full stop."""
    text = capitalise(text.strip())
    return text if not text or text[-1] in ".!?" else f"{text}."
