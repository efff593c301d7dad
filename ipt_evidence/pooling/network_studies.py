"""The comparisons behind a network, row by row, and the participants behind its treatments."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_kernel import edge_weights
from ipt_evidence.pooling.network_trials import Network

SIZES = (("n_1", "total_1"), ("n_2", "total_2"))


def network_studies(effects: pd.DataFrame, network: Network, fitted: Array, tau2: float, level: float) -> pd.DataFrame:
    """Return the table with what the network made of each row.

    Parameters
    ----------
    effects : pandas.DataFrame
        The table given.
    network : Network
        The comparisons read from it.
    fitted : numpy.ndarray
        Network effects of every pair.
    tau2, level : float
        Between-study variance (NaN counts as none) and confidence level.

    Returns
    -------
    pandas.DataFrame
        Row order and columns of `effects` with ``effect, variance, std_error, ci_low, ci_high``; ``treatment_1``,
        ``treatment_2``, ``design``, ``n_arms``; ``weight`` (percent of all weights; comparisons of a multi-arm trial
        get reduced ones), ``fitted`` and ``residual``; ``included`` and ``why_not``.
    """
    n, at = len(effects), network.position
    y, v, made_fit, weight = (np.full(n, np.nan) for _ in range(4))
    y[at], v[at], made_fit[at] = network.y, network.v, fitted[network.a, network.b]
    weight[at] = comparison_weights(network, 0.0 if np.isnan(tau2) else tau2)
    half = quantile(level, float("inf")) * np.sqrt(v)
    names, design = np.array(network.treatments, dtype=object), network.design_of[network.trial]
    labels = [" : ".join(network.treatments[i] for i in arms) for arms in network.designs]
    texts = {name: np.full(n, "", dtype=object) for name in ("treatment_1", "treatment_2", "design")}
    texts["treatment_1"][at], texts["treatment_2"][at] = names[network.a], names[network.b]
    texts["design"][at] = [labels[d] for d in design]
    arms = np.zeros(n, dtype=int)
    arms[at] = [len(network.designs[d]) for d in design]
    included = np.zeros(n, dtype=bool)
    included[at] = True
    made = {
        "effect": y,
        "variance": v,
        "std_error": np.sqrt(v),
        "ci_low": y - half,
        "ci_high": y + half,
        **texts,
        "n_arms": arms,
        "weight": 100 * weight / np.nansum(weight),
        "fitted": made_fit,
        "residual": y - made_fit,
        "included": included,
        "why_not": network.why_not,
    }
    kept = effects.reset_index(drop=True).drop(columns=[c for c in made if c in effects.columns])
    return pd.concat([kept, pd.DataFrame(made)], axis=1)


def comparison_weights(network: Network, tau2: float) -> Array:
    """Return the weight of every comparison: its inverse variance, reduced in multi-arm trials (Rücker 2012)."""
    weight = 1 / (network.v + tau2)
    several = np.bincount(network.trial)[network.trial] > 1
    for t in dict.fromkeys(network.trial[several].tolist()):
        members = np.zeros(len(network.trials), dtype=bool)
        members[t] = True
        own = edge_weights(network.rows.of(members), tau2)
        at = network.trial == t
        weight[at] = own[network.a[at], network.b[at]]
    return np.asarray(weight)


def people_by_trial(effects: pd.DataFrame, network: Network) -> Array:
    """Return the participants per trial and treatment, NaN where unknown or not compared, ``(trials, n)``.

    A treatment of several rows of a trial counts once, with its largest number.
    """
    people = np.full((len(network.trials), len(network.treatments)), np.nan)
    for side, columns in zip((network.a, network.b), SIZES, strict=True):
        sizes = np.full(network.y.size, np.nan)
        for name in columns:
            if name in effects.columns:
                given = pd.to_numeric(effects[name], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
                sizes = np.where(np.isnan(sizes), given[network.position], sizes)
        np.fmax.at(people, (network.trial, side), sizes)
    return people
