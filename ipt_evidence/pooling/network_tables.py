"""The tables of a network: pairs of treatments, league, ranking, nodes and edges."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.network_evidence import direct_evidence, edge_pairs
from ipt_evidence.pooling.network_kernel import p_scores
from ipt_evidence.pooling.result import RATIO_MEASURES

if TYPE_CHECKING:
    from ipt_evidence.pooling.network_result import NetworkFit

UNKNOWN = "-"


def pairs_table(
    fit: NetworkFit, pairs: Iterable[tuple[int, int]], names: tuple[str, str], *, random: bool
) -> pd.DataFrame:
    """Return the network effects of some pairs with intervals, and how much of each is direct evidence."""
    estimate, error = (fit.estimate, fit.std_error) if random else (fit.common_estimate, fit.common_std_error)
    wald, tau2 = (fit.wald_std_error, fit.tau2_used) if random else (fit.common_std_error, 0.0)
    df = fit.df if random else math.inf
    rows = []
    for i, j in pairs:
        value, se = float(estimate[i, j]), float(error[i, j])
        half = float(quantile(fit.method.level, df)) * se
        statistic = value / se if se > 0 else math.nan
        wide = _prediction_half_width(fit, se) if random else math.nan
        direct = direct_evidence(fit.network, i, j, tau2)
        rows.append(
            {
                names[0]: fit.treatments[i],
                names[1]: fit.treatments[j],
                "k_direct": direct.k,
                "estimate": value,
                "std_error": se,
                "ci_low": value - half,
                "ci_high": value + half,
                "statistic": statistic,
                "p_value": float(two_sided_p(statistic, df)),
                "pi_low": value - wide,
                "pi_high": value + wide,
                "direct_share": min((float(wald[i, j]) / direct.std_error) ** 2, 1.0) if direct.k else 0.0,
            }
        )
    return pd.DataFrame(rows)


def _prediction_half_width(fit: NetworkFit, std_error: float) -> float:
    """Return half the width of a prediction interval; NaN below two degrees of freedom or without random effects."""
    if fit.q_df < 2 or fit.method.tau2_method == "EE":
        return math.nan
    return float(quantile(fit.method.level, float(fit.q_df))) * math.sqrt(fit.tau2 + std_error**2)


def ranking_table(fit: NetworkFit, *, larger_is_better: bool, random: bool) -> pd.DataFrame:
    """Return the treatments by P-score, the best first."""
    estimate, error = (fit.estimate, fit.wald_std_error) if random else (fit.common_estimate, fit.common_std_error)
    scores = p_scores(estimate, error, larger_is_better=larger_is_better)
    n = len(fit.treatments)
    table = pd.DataFrame(
        {"treatment": list(fit.treatments), "p_score": scores, "mean_rank": 1 + (n - 1) * (1 - scores)}
    )
    table = table.sort_values("p_score", ascending=False, kind="stable", ignore_index=True)
    table.insert(0, "rank", range(1, n + 1))
    return table


def league_table(fit: NetworkFit, *, digits: int, order: list[int], random: bool) -> pd.DataFrame:
    """Return the league: network effects of column versus row below the diagonal, direct ones above it as text."""
    tau2 = fit.tau2_used if random else 0.0
    names = [fit.treatments[i] for i in order]
    cells = [["" for _ in order] for _ in order]
    z = float(quantile(fit.method.level, math.inf))
    table = pairs_table(fit, [(j, i) for r, i in enumerate(order) for j in order[:r]], ("a", "b"), random=random)
    network = iter(zip(table["estimate"], table["ci_low"], table["ci_high"], strict=True))
    for r, i in enumerate(order):
        cells[r][r] = names[r]
        for c, j in enumerate(order[:r]):
            cells[r][c] = _cell(next(network), fit.measure, digits)
            direct = direct_evidence(fit.network, j, i, tau2)
            half = z * direct.std_error
            ends = (direct.estimate, direct.estimate - half, direct.estimate + half)
            cells[c][r] = _cell(ends, fit.measure, digits) if direct.k else UNKNOWN
    return pd.DataFrame(cells, index=names, columns=names)


def _cell(numbers: tuple[float, float, float], measure: str, digits: int) -> str:
    """Return an effect and its interval as text; ratios on their own scale."""
    shown = [math.exp(x) for x in numbers] if measure in RATIO_MEASURES else list(numbers)
    value, low, high = (f"{x + 0.0:.{digits}f}".replace("-0." + "0" * digits, "0." + "0" * digits) for x in shown)
    return f"{value} ({low} to {high})"


def nodes_table(fit: NetworkFit) -> pd.DataFrame:
    """Return one row per treatment with its trials and participants."""
    known = ~np.isnan(fit.people)
    inside = np.zeros(fit.people.shape, dtype=bool)
    for t, d in enumerate(fit.network.design_of.tolist()):
        inside[t, list(fit.network.designs[d])] = True
    people = np.where(known.any(axis=0), np.nansum(fit.people, axis=0), np.nan)
    table = {
        "treatment": list(fit.treatments),
        "k": inside.sum(axis=0),
        "n_participants": pd.array(np.round(people), dtype="Float64").astype("Int64"),
        "k_participants_known": known.sum(axis=0),
    }
    return pd.DataFrame(table)


def edges_table(fit: NetworkFit) -> pd.DataFrame:
    """Return one row per direct comparison with its trials, participants and pooled direct effect."""
    rows: list[dict[str, Any]] = []
    arms = np.array([len(fit.network.designs[d]) for d in fit.network.design_of])
    for i, j in edge_pairs(fit.network):
        trials = fit.network.compares(i, j)
        direct = direct_evidence(fit.network, i, j, fit.tau2_used)
        people = fit.people[trials][:, [i, j]]
        rows.append(
            {
                "treatment_1": fit.treatments[i],
                "treatment_2": fit.treatments[j],
                "k": direct.k,
                "k_multi_arm": int((arms[trials] > 2).sum()),
                "n_participants": pd.NA if np.isnan(people).all() else round(float(np.nansum(people))),
                "weight": direct.std_error**-2,
                "estimate": direct.estimate,
                "std_error": direct.std_error,
            }
        )
    table = pd.DataFrame(rows).astype({"n_participants": "Int64"})
    table["weight"] *= 100 / table["weight"].sum()
    return table
