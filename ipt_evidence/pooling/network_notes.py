"""What a reader should know before quoting a network, and what it says in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ipt_evidence.pooling.result_text import people_known

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.network_result import NetworkFit

TRANSITIVITY = (
    "Indirect comparisons assume transitivity: that the trials of different comparisons could have included the same "
    "people and differ in nothing else that changes the effect (severity, age, dose, setting, blinding, year). The "
    "numbers cannot prove it."
)
SUSPICIOUS = 0.10
SHOWN = 6


def network_notes(fit: NetworkFit, effects: pd.DataFrame) -> tuple[str, ...]:
    """Return the notes of a fit."""
    return (TRANSITIVITY, *_model_notes(fit), *_data_notes(fit, effects))


def _model_notes(fit: NetworkFit) -> Iterator[str]:
    test = fit.inconsistency
    if fit.q_df == 0:
        yield (
            "Nothing is left to estimate the between-study variance from (one trial per comparison, no loop): tau2 is "
            "unknown, effects and intervals are those of the common-effect model and too narrow if trials differ."
        )
    elif fit.method.tau2_method == "EE":
        yield "Common effects: differences between trials are taken as chance."
    else:
        yield "One between-study variance (tau2) is assumed for all comparisons."
    if test.df_between == 0:
        yield "No loop of independent trials: direct and indirect evidence never meet, so consistency cannot be tested."
    elif test.df_between and test.p_value < SUSPICIOUS:
        yield (
            f"Designs disagree more than chance explains (p = {test.p_value:.3g}): see designs() and split() before "
            "using indirect evidence."
        )


def _data_notes(fit: NetworkFit, effects: pd.DataFrame) -> Iterator[str]:
    edges = fit.edges()
    thin = edges[edges["k"] == 1]
    if len(thin):
        listed = [f"{a} versus {b}" for a, b in zip(thin["treatment_1"], thin["treatment_2"], strict=True)]
        more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
        yield f"Direct evidence from one trial only: {'; '.join(listed[:SHOWN])}{more}."
    left_out = int((~fit.studies["included"]).sum())
    if left_out:
        yield f"{left_out} row{'s' if left_out > 1 else ''} without a usable effect left out."
    unknown = sum(
        bool(np.isnan(fit.people[t, list(fit.network.designs[d])]).any())
        for t, d in enumerate(fit.network.design_of.tolist())
    )
    if unknown and fit.n_participants is not None:
        yield people_known(fit.k - unknown, fit.k)
    if "caution" in effects.columns:
        given = effects["caution"].iloc[fit.network.position].fillna("").astype(str)
        yield from dict.fromkeys(text for text in given if text)


def interpretation(fit: NetworkFit) -> str:
    """Return the result in sentences."""
    people = "" if fit.n_participants is None else f" of {fit.n_participants} participants"
    noun = "trial" if fit.k == 1 else "trials"
    parts = [f"{fit.k} {noun}{people} compare {len(fit.treatments)} treatments."]
    ranks = fit.ranking()
    against = fit.tidy().set_index("treatment")
    clear = [name for name in against.index if (against.loc[name, ["ci_low", "ci_high"]].astype(float) > 0).all()]
    worse = [name for name in against.index if (against.loc[name, ["ci_low", "ci_high"]].astype(float) < 0).all()]
    pct = f"{100 * fit.method.level:g}%"
    for found, side in ((clear, "above"), (worse, "below")):
        if found:
            parts.append(f"The {pct} interval against {fit.reference} lies {side} zero for {_listed(found)}.")
    if not clear and not worse:
        parts.append(f"No treatment differs from {fit.reference} with its {pct} interval clear of zero.")
    if fit.q_df:
        parts.append(f"tau2 = {fit.tau2:.3f}, I2 = {fit.i2:.0f}%.")
    test = fit.inconsistency
    if test.df_between:
        verdict = "disagree" if test.p_value < SUSPICIOUS else "show no clear disagreement"
        parts.append(f"Direct and indirect evidence {verdict} (design by treatment, p = {test.p_value:.3g}).")
    best, good = ranks.iloc[0], "large" if fit.method.small_values == "undesirable" else "small"
    parts.append(
        f"Highest P-score ({good} values taken as good): {best['treatment']} ({best['p_score']:.2f}); it "
        "ranks by effect and precision and says nothing of the size of differences or the quality of the trials."
    )
    return " ".join(parts)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def summary(fit: NetworkFit) -> str:
    """Return the fit as text."""
    people = "unknown" if fit.n_participants is None else str(fit.n_participants)
    head = f"Network of {len(fit.treatments)} treatments: k = {fit.k}, {fit.n_comparisons} comparisons, n = {people}"
    lines = [head, f"  versus {fit.reference}"]
    width = max(map(len, fit.treatments))
    for row in fit.tidy().to_dict("records"):
        ends = f"{row['ci_low']:.3f} to {row['ci_high']:.3f}, p = {row['p_value']:.3g}"
        lines.append(f"    {row['treatment']:<{width}}  {row['estimate']:+.3f} ({ends}; {row['k_direct']} direct)")
    test = fit.inconsistency
    if fit.q_df:
        lines.append(
            f"  heterogeneity        tau2 = {fit.tau2:.4f}, I2 = {fit.i2:.1f}%, Q = {fit.q:.2f}, df = {fit.q_df}"
        )
    if test.df_within:
        lines.append(f"  within designs       Q = {test.q_within:.2f}, df = {test.df_within}, p = {test.p_within:.3g}")
    if test.df_between:
        lines.append(
            f"  between designs      Q = {test.statistic:.2f}, df = {test.df}, p = {test.p_value:.3g} (inconsistency)"
        )
    lines.append(f"  method               {fit.method.describe()}")
    lines.extend(f"  note                 {note}" for note in fit.notes)
    return "\n".join(lines)
