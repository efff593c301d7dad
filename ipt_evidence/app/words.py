"""The words of the page: what each choice is called, and what a result says in plain sentences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ipt_evidence.app.analysis import CONTROL_EVENT_RATE, Result, facts
from ipt_evidence.app.html import interval, number
from ipt_evidence.app.html import words as plain_words
from ipt_evidence.app.view import View
from ipt_evidence.pooling.result import RATIO_MEASURES
from ipt_evidence.pooling.result_text import people_text

if TYPE_CHECKING:
    from ipt_evidence.pooling.result import PooledFit

CONDITION = {
    "depression": "Depression",
    "eating_disorder": "Eating disorders",
    "anxiety": "Anxiety and PTSD",
    "other": "Other conditions",
    "all": "All conditions",
}
CONTRAST = {
    "ipt_vs_control": "IPT vs control",
    "ipt_vs_psychotherapy": "IPT vs other psychotherapy",
    "ipt_vs_pharmacotherapy": "IPT vs medication",
    "combined_vs_pharmacotherapy": "IPT + medication vs medication",
    "ipt_vs_combined": "IPT vs IPT + medication",
    "psychotherapy_vs_control": "Psychotherapy vs control",
    "psychotherapy_vs_psychotherapy": "Psychotherapy vs psychotherapy",
    "other": "Other comparison",
}
ARMS = {
    "ipt_vs_control": ("IPT", "a control condition"),
    "ipt_vs_psychotherapy": ("IPT", "another psychotherapy"),
    "ipt_vs_pharmacotherapy": ("IPT", "medication"),
    "combined_vs_pharmacotherapy": ("IPT with medication", "medication alone"),
    "ipt_vs_combined": ("IPT alone", "IPT with medication"),
    "psychotherapy_vs_control": ("psychotherapy", "a control condition"),
    "psychotherapy_vs_psychotherapy": ("the first psychotherapy", "the second"),
    "other": ("the first treatment", "the second"),
}
SIDES = {
    "ipt_vs_control": ("IPT", "control"),
    "ipt_vs_psychotherapy": ("IPT", "the other therapy"),
    "ipt_vs_pharmacotherapy": ("IPT", "medication"),
    "combined_vs_pharmacotherapy": ("the combination", "medication"),
    "ipt_vs_combined": ("IPT alone", "the combination"),
    "psychotherapy_vs_control": ("psychotherapy", "control"),
    "psychotherapy_vs_psychotherapy": ("the first", "the second"),
    "other": ("the first", "the second"),
}
PHASE = {"acute": "Acute treatment", "maintenance": "Maintenance", "prevention": "Prevention", "all": "All phases"}
INSTRUMENTS = {
    "all": "All, combined per trial",
    "highest": "Highest effect per trial",
    "lowest": "Lowest effect per trial",
    "first": "First listed per trial",
}
OUTLIERS = {"none": "Keep all trials", "outliers": "Remove outliers", "influential": "Remove influential trials"}
RATING = {"": "Any rating", "clinician": "Clinician-rated", "self": "Self-report"}
ROB = {
    "0": "Any, rated or not",
    "1": "At least 1 of 4 items low risk",
    "2": "At least 2 of 4 items low risk",
    "3": "At least 3 of 4 items low risk",
    "4": "All 4 items low risk",
}
GROUP = {
    "": "One group",
    "population_group": "Population",
    "comparator": "Comparator",
    "format": "Format of treatment",
    "condition": "Condition",
    "diagnosis_group": "Diagnosis",
    "phase": "Phase",
    "instrument_family": "Instrument",
    "rating": "Rating",
    "rob_low_risk_count": "Items at low risk of bias",
    "country": "Country",
    "recruitment": "Recruitment",
}
MODERATOR = {
    "year": "Year of publication",
    "n_sessions": "Number of sessions",
    "rob_low_risk_count": "Items at low risk of bias",
    "proportion_women": "Proportion of women",
}
PRESET = {
    "cochrane": "Cochrane (default)",
    "metafor": "metafor (R)",
    "meta": "meta (R)",
    "metapsy": "Metapsy",
    "cma": "CMA",
}
TAU2 = {
    "": "As the preset",
    "REML": "REML",
    "DL": "DerSimonian-Laird",
    "PM": "Paule-Mandel",
    "ML": "Maximum likelihood",
    "EB": "Empirical Bayes",
    "SJ": "Sidik-Jonkman",
    "SJIT": "Sidik-Jonkman, iterated",
    "HE": "Hedges",
    "HS": "Hunter-Schmidt",
    "HSk": "Hunter-Schmidt, small samples",
    "PMM": "Paule-Mandel, median unbiased",
    "DLIT": "DerSimonian-Laird, iterated",
    "EE": "Common effect (no tau²)",
}
CI = {
    "": "As the preset",
    "hksj": "Hartung-Knapp (HKSJ)",
    "hksj-adhoc": "HKSJ, ad hoc correction",
    "wald": "Normal (Wald)",
    "t": "t distribution",
    "kr": "Kenward-Roger (REML)",
    "henmi-copas": "Henmi-Copas (DL)",
    "cr2": "Robust CR2",
    "cr1": "Robust CR1",
    "cr0": "Robust CR0",
}
PREDICTION = {"": "As the preset", "k-1": "k − 1", "k-2": "k − 2", "z": "Normal", "as-ci": "As the interval"}
DEPENDENCE = {
    "": "As the preset",
    "aggregate": "One effect per trial",
    "independent": "Rows as if independent",
    "three_level": "Three-level model",
    "che": "Correlated and hierarchical (CHE)",
}
CONVENTION = {"": "Hedges' g, usual formulas", "metapsy": "As Metapsy", "cma": "As CMA"}
LEVEL = {"0.95": "95%", "0.9": "90%", "0.99": "99%", "0.8": "80%"}


def question(view: View) -> str:
    """Return the question of a view as a headline."""
    return f"{CONDITION[view.condition]}: {CONTRAST[view.contrast]}"


def percent(view: View) -> str:
    """Return the confidence level in words."""
    return f"{100 * view.level:g}%"


def sentence(result: Result) -> str:
    """Return what a result says, in plain sentences."""
    fit = result.fit
    if fit is None:
        return result.problem
    arm, other = ARMS[result.view.contrast]
    who = _who(fit)
    if fit.k == 1:
        return (
            f"One trial{_people(fit)}: {_effect(fit, result.view)}. One trial cannot show how much results vary; "
            "nothing is pooled."
        )
    direction = _direction(fit, arm, other)
    return f"Across {who}, {direction}: {_effect(fit, result.view)}. {_prediction(fit)}"


def participants(fit: PooledFit) -> str:
    """Return the number of participants in words; a lower bound where some trials do not say."""
    if not fit.n_participants:
        return ""
    return f"{people_text(fit)} participants"


def _people(fit: PooledFit) -> str:
    said = participants(fit)
    return f" with {said}" if said else ""


def _who(fit: PooledFit) -> str:
    return f"{fit.k} trials{_people(fit)}"


def _direction(fit: PooledFit, arm: str, other: str) -> str:
    if fit.ci_low > 0:
        return f"people did better with {arm} than with {other}"
    if fit.ci_high < 0:
        return f"people did worse with {arm} than with {other}"
    return f"the difference between {arm} and {other} is not clear"


def symbol(fit: PooledFit) -> str:
    """Return how the effect is called."""
    return "g" if fit.measure == "SMD" else fit.measure or "effect"


def natural(fit: PooledFit, value: float) -> float:
    """Return a value on the scale on which it is shown: ratios are pooled as logarithms."""
    return math.exp(value) if fit.measure in RATIO_MEASURES and not math.isnan(value) else value


def _effect(fit: PooledFit, view: View) -> str:
    low, high = natural(fit, fit.ci_low), natural(fit, fit.ci_high)
    limits = interval(low, high)
    return f"{symbol(fit)} = {number(natural(fit, fit.estimate))} ({percent(view)} CI {limits})"


def _prediction(fit: PooledFit) -> str:
    if math.isnan(fit.pi_low):
        return "With so few trials, no range can be given for a new one."
    low, high = natural(fit, fit.pi_low), natural(fit, fit.pi_high)
    return f"A new trial of the same kind would be expected to find between {number(low)} and {number(high)}."


def meaning(result: Result) -> str:
    """Return what the effect means for people; empty where it is not a standardised mean difference."""
    fit = result.fit
    said = facts(fit) if fit is not None and fit.k else {}
    if fit is None or not said:
        return ""
    arm, other = ARMS[result.view.contrast]
    share = f"About {said['above_average']:.0f}% of people with {arm} do better than the average person with {other}"
    if fit.ci_low <= 0 <= fit.ci_high:
        return f"{share}; 50% would mean no difference, which the interval does not exclude."
    return f"{share} (50% would mean no difference)."


def nnt_note() -> str:
    """Return the assumption behind the number needed to treat."""
    return f"if {100 * CONTROL_EVENT_RATE:.0f}% respond without it"


def values_words(values: tuple[str, ...]) -> str:
    """Return values of a column in words, joined."""
    return ", ".join(plain_words(value) for value in values)


def choices_in_words(view: View) -> list[str]:
    """Return what a view chooses beyond condition and contrast, one phrase each."""
    said: list[str] = []
    if view.phase != "acute":
        said.append(PHASE[view.phase])
    for name in ("population", "comparator", "format"):
        values = getattr(view, name)
        if values:
            said.append(f"{name}: {values_words(values)}")
    if view.rob:
        said.append(ROB[str(view.rob)].lower().replace("at least ", "≥ "))
    if view.year_from or view.year_to:
        said.append(f"years {view.year_from or '…'} to {view.year_to or '…'}")
    said += [view.family] if view.family else []
    said += [RATING[view.rating].lower()] if view.rating else []
    said += [INSTRUMENTS[view.instruments].lower()] if view.instruments != "all" else []
    said += [OUTLIERS[view.outliers].lower()] if view.outliers != "none" else []
    said += [f"{len(view.out)} trial{'s' if len(view.out) > 1 else ''} ticked out"] if view.out else []
    said += [f"preset {PRESET[view.preset]}"] if view.preset != "cochrane" else []
    for name, labels in (("tau2", TAU2), ("ci", CI), ("dependence", DEPENDENCE), ("convention", CONVENTION)):
        value = getattr(view, name)
        said += [labels[value]] if value else []
    said += [f"rho = {view.rho:g}"] if view.rho is not None else []
    said += [f"{percent(view)} level"] if view.level != 0.95 else []
    return said
