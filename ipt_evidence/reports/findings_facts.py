"""The facts that inform each domain of certainty: computed from the trials, judged by people."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from ipt_evidence.diagnostics.showing import p_text
from ipt_evidence.errors import ConvergenceError, EvidenceWarning, NotEstimableError, OptionError
from ipt_evidence.figures.wording import COUNTRIES, capitalise, humanise, number
from ipt_evidence.pooling.result import RATIO_MEASURES, PooledFit
from ipt_evidence.pooling.result_text import people_text
from ipt_evidence.reports.tables_bias import bias_rating
from ipt_evidence.reports.tables_study import POPULATIONS, pooled_rows

if TYPE_CHECKING:
    from ipt_evidence.diagnostics.bias_table import BiasTable

STANDARDISED = ("SMD", "SMDH", "SMD1", "D")
IMPORTANT = 0.24
POWER = 0.80
TRIALS_FOR_BIAS, TRIALS_FOR_EGGER = 3, 10
MIX: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("population_group", "Population", POPULATIONS),
    ("diagnosis_group", "Diagnosis", {}),
    ("comparator", "Comparator", {}),
    ("country", "Country", COUNTRIES),
)


def domain_facts(
    fit: PooledFit, *, important: float = IMPORTANT, bias: BiasTable | None = None
) -> dict[str, tuple[str, ...]]:
    """Return sentences with the facts behind each GRADE domain of one pooled result.

    Parameters
    ----------
    fit : PooledFit
    important : float
        Smallest standardised difference that matters; 0.24 was proposed for depression (Cuijpers et al. 2014,
        doi:10.1002/da.22249).
    bias : BiasTable, optional
        Of the same fit, where it was computed before.

    Returns
    -------
    dict of str to tuple of str
        Keys as in the file of judgements.
    """
    if fit.k == 0:
        none = ("No trial with a usable effect.",)
        return dict.fromkeys(("risk_of_bias", "inconsistency", "indirectness", "imprecision", "publication_bias"), none)
    return {
        "risk_of_bias": _risk_of_bias(fit),
        "inconsistency": _inconsistency(fit),
        "indirectness": _indirectness(pooled_rows(fit)),
        "imprecision": _imprecision(fit, important),
        "publication_bias": _publication_bias(fit, bias),
    }


def information_size(important: float) -> int:
    """Return the participants that one trial of two equal arms needs to see a standardised difference.

    ``4 (z(0.975) + z(0.80))^2 / d^2``, each arm rounded up: two-sided 5% level, 80% power (GRADE's optimal information
    size, Guyatt et al. 2011, doi:10.1016/j.jclinepi.2011.01.012).

    Examples
    --------
    >>> information_size(0.5), information_size(0.24)
    (126, 546)
    """
    from scipy.special import ndtri

    return 2 * math.ceil(2 * (float(ndtri(0.975)) + float(ndtri(POWER))) ** 2 / important**2)


def trial_groups(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of each trial, in order of first appearance."""
    if "trial_id" not in rows.columns:
        return [rows.iloc[[i]] for i in range(len(rows))]
    return [group for _, group in rows.groupby("trial_id", sort=False)]


def _risk_of_bias(fit: PooledFit) -> tuple[str, ...]:
    groups = trial_groups(pooled_rows(fit))
    ratings = [bias_rating(group) for group in groups]
    rated = [rating for rating in ratings if rating.low is not None]
    if not rated:
        return (f"No rating in the data ({_trials(len(groups))}).",)
    low = sum(bool(rating.low) for rating in rated)
    facts = [f"{low} of {_trials(len(rated))} with a rating are at low risk (by the overall judgement, or low on at "
             "least three quarters of the items for every outcome)."]  # fmt: skip
    if len(rated) < len(ratings):
        facts.append(f"{_trials(len(ratings) - len(rated))} without a rating in the data.")
    share = _low_share(fit, groups, [bool(rating.low) for rating in ratings])
    if share is not None:
        facts.append(f"Trials at low risk carry {share:.0f}% of the weight.")
    items = Counter(name for rating in rated for name in rating.not_low)
    if items:
        counted = ", ".join(f"{name} {n}" for name, n in items.most_common())
        facts.append(f"Items without low risk, trials: {counted}.")
    return tuple(facts)


def _low_share(fit: PooledFit, groups: list[pd.DataFrame], low: list[bool]) -> float | None:
    """Return the percent of the weight of trials at low risk; ``None`` where weights belong to no single trial."""
    studies = fit.studies[fit.studies["included"].astype(bool)]
    if len(studies) != len(groups):
        return None
    return float(studies["weight"].to_numpy()[low].sum())


def _inconsistency(fit: PooledFit) -> tuple[str, ...]:
    if fit.k == 1:
        return ("One trial: nothing to be inconsistent with.",)
    effects = fit.studies.loc[fit.studies["included"].astype(bool), "effect"]
    facts = [_heterogeneity(fit)]
    if not math.isnan(fit.pi_low):
        low, high = shown(fit, fit.pi_low), shown(fit, fit.pi_high)
        side = "includes" if fit.pi_low <= 0 <= fit.pi_high else "excludes"
        facts.append(f"Prediction interval {low} to {high}: {side} no difference.")
    facts.append(f"{int((effects > 0).sum())} of {len(effects)} effects favour arm 1.")
    return tuple(facts)


def _heterogeneity(fit: PooledFit) -> str:
    """Return tau2 and I2 with their intervals, and Cochran's Q."""
    parts = []
    if fit.method.tau2_method != "EE" and not math.isnan(fit.tau2):
        ends = f" ({number(fit.tau2_ci_low, 3)} to {number(fit.tau2_ci_high, 3)})"
        parts.append(f"τ² = {number(fit.tau2, 3)}{ends if math.isfinite(fit.tau2_ci_high) else ''}")
    if not math.isnan(fit.i2):
        ends = f" ({fit.i2_ci_low:.0f}% to {fit.i2_ci_high:.0f}%)"
        parts.append(f"I² = {fit.i2:.0f}%{ends if math.isfinite(fit.i2_ci_high) else ''}")
    p = p_text(fit.q_p)
    parts.append(
        f"Q = {number(fit.q, 1)}, df = {fit.q_df}, p {p.replace('<', '< ') if p.startswith('<') else f'= {p}'}"
    )
    return f"Heterogeneity: {', '.join(parts)}."


def _indirectness(rows: pd.DataFrame) -> tuple[str, ...]:
    facts = [mix for name, title, words in MIX if (mix := _mix(rows, name, title, words))]
    return tuple(facts) or ("The data do not say who was treated against what.",)


def _mix(rows: pd.DataFrame, name: str, title: str, words: dict[str, str]) -> str:
    """Return how many trials have which value, such as ``Population: adults 12, perinatal 9``."""
    if name not in rows.columns:
        return ""
    trials = rows["trial_id"] if "trial_id" in rows.columns else pd.Series(range(len(rows)), index=rows.index)
    values: dict[object, dict[str, None]] = {trial: {} for trial in trials[trials.notna()]}
    known = trials.notna() & rows[name].notna()
    for trial, value in zip(trials[known], rows.loc[known, name], strict=True):
        if str(value):
            values[trial][str(value)] = None
    counts = Counter(value for of_trial in values.values() for value in of_trial)
    unknown = sum(not of_trial for of_trial in values.values())
    if not counts:
        return ""
    said = ", ".join(f"{_word(value, words)} {n}" for value, n in counts.most_common())
    return f"{title} (trials): {said}{f', not known {unknown}' if unknown else ''}."


def _word(value: str, words: dict[str, str]) -> str:
    if value in words:
        return words[value]
    text = humanise(value)
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _imprecision(fit: PooledFit, important: float) -> tuple[str, ...]:
    level = f"{100 * fit.method.level:g}%"
    side = "includes" if fit.ci_low <= 0 <= fit.ci_high else "excludes"
    facts = [f"{level} CI {shown(fit, fit.ci_low)} to {shown(fit, fit.ci_high)}: {side} no difference."]
    people = people_text(fit) or "unknown"
    if fit.measure not in STANDARDISED:
        return (*facts, f"Participants: {people}.")
    facts.append(_against(fit, important))
    needed = information_size(important)
    if fit.n_participants is None:
        facts.append(f"Participants unknown; one trial able to see {important:g} needs {needed:,}.")
    else:
        reached = "reached" if fit.n_participants >= needed else "not reached"
        if people.startswith("at least") and reached == "not reached":
            reached = "not reached by those that are known"
        facts.append(
            f"{capitalise(people)} participants; optimal information size for {important:g} ({POWER:.0%} power): "
            f"{needed:,}, {reached}."
        )
    return tuple(facts)


def _against(fit: PooledFit, important: float) -> str:
    """Return where the interval lies with regard to the smallest difference that matters, on either side."""
    said = f"the smallest difference that was proposed to matter in depression ({important:g})"
    if abs(important - IMPORTANT) > 1e-12:
        said = f"the smallest difference that matters ({important:g})"
    if fit.ci_low >= important or fit.ci_high <= -important:
        return f"The interval lies beyond {said}, {'for' if fit.ci_low > 0 else 'against'} arm 1."
    beyond = [side for side, out in (("for", fit.ci_high >= important), ("against", fit.ci_low <= -important)) if out]
    if beyond:
        return f"The interval reaches from below to beyond {said}, {' and '.join(beyond)} arm 1."
    return f"The interval lies within {said} on both sides."


def _publication_bias(fit: PooledFit, bias: BiasTable | None) -> tuple[str, ...]:
    from ipt_evidence.diagnostics.bias_table import bias_table

    if fit.k < TRIALS_FOR_BIAS:
        return (f"{_trials(fit.k)}: too few for any statistical assessment.",)
    if bias is None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", EvidenceWarning)
            try:
                bias = bias_table(fit)
            except (NotEstimableError, ConvergenceError, OptionError) as error:
                return (f"No statistical assessment: {error}",)
    facts = [bias.interpretation]
    if fit.k >= TRIALS_FOR_EGGER:
        for test, p in zip(bias.tests["test"], bias.tests["p_value"].astype(float), strict=True):
            if "Egger" in str(test) and not math.isnan(p):
                facts.append(f"{test}: p {'< 0.001' if p < 0.0005 else f'= {p:.3f}'}.")
    return tuple(facts)


def shown(fit: PooledFit, value: float) -> str:
    """Return an effect as it is printed: ratios transformed back."""
    return number(math.exp(value) if fit.measure in RATIO_MEASURES else value, 2)


def _trials(n: int) -> str:
    return f"{n} trial{'' if n == 1 else 's'}"
