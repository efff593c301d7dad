"""Bring all rows of one trial to its treatments: one joint estimate with its covariance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ipt_evidence.errors import Problem, SchemaError
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_kernel import components
from ipt_evidence.pooling.sampling_covariance import OUTCOME_COLUMNS, OUTCOME_WORDS, sampling_covariance
from ipt_evidence.studies.arms_keys import words_key

AGREES = 0.5
"""How far a row may miss what the others of its trial imply, in its standard error: other SDs, other people missing."""
OUTCOME_KEY = "_outcome"
SIZES = (("n_1", "total_1"), ("n_2", "total_2"))
Step = tuple[int, float]


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The joint estimate of a trial.

    Attributes
    ----------
    nodes : tuple of str
        Its treatments in order of first appearance.
    labels : tuple of str
        The arms of each in the words of the table.
    sizes : tuple of float
        Participants of each; NaN where unknown.
    pairs : list of tuple of int
        All pairs of treatments, each in the direction of the first row that compares them.
    effect, covariance : numpy.ndarray
        Of every treatment but the first versus the first.
    n_effects : int
        Rows of the trial.
    source, caution : str
        How the numbers were made.
    """

    nodes: tuple[str, ...]
    labels: tuple[str, ...]
    sizes: tuple[float, ...]
    pairs: list[tuple[int, int]]
    effect: Array
    covariance: Array
    n_effects: int
    source: str
    caution: str

    def weights(self, i: int, j: int) -> Array:
        """Return what makes treatment i versus j from :attr:`effect`."""
        step = np.zeros(len(self.nodes))
        step[i], step[j] = 1.0, -1.0
        return step[1:]


def join_trial(trial: pd.DataFrame, rho: float) -> Joined:
    """Return the joint estimate of the rows of one trial (with ``node_*``, ``key_*`` and their outcomes).

    Raises
    ------
    SchemaError
        The rows are not connected or do not add up.
    """
    name = str(trial["trial_id"].iloc[0])
    nodes = list(dict.fromkeys(trial[["node_1", "node_2"]].to_numpy(dtype=object).ravel().tolist()))
    at = [[nodes.index(x) for x in trial[f"node_{side}"]] for side in (1, 2)]
    parts = components(len(nodes), list(zip(*at, strict=True)))
    if len(parts) > 1:
        groups = " and ".join(" with ".join(nodes[i] for i in part) for part in parts)
        message = f"trial {name} compares {groups}, but no row joins them; add a row that does, or leave one part out"
        raise SchemaError([Problem(message)])
    kept = _without_consequences(trial, name)
    used = trial.iloc[kept]
    y = used["effect"].to_numpy(dtype=float)
    x = np.zeros((len(kept), len(nodes)))
    x[np.arange(len(kept)), [at[0][k] for k in kept]] = 1.0
    x[np.arange(len(kept)), [at[1][k] for k in kept]] -= 1.0
    v, caution = _covariance(used, name, rho)
    solved = np.linalg.solve(v, np.column_stack([x[:, 1:], y]))
    covariance = np.linalg.inv(x[:, 1:].T @ solved[:, :-1])
    first = dict.fromkeys(zip(*at, strict=True))
    direction = {(min(i, j), max(i, j)): (i, j) for i, j in reversed(first)}
    every = [(i, j) for i in range(len(nodes)) for j in range(i + 1, len(nodes))]
    source = "joint" if len(nodes) > 2 else "combined" if len(kept) > 1 else "reported"
    return Joined(
        tuple(nodes),
        *_arms(trial, nodes),
        [direction.get(pair, pair) for pair in every],
        covariance @ (x[:, 1:].T @ solved[:, -1]),
        0.5 * (covariance + covariance.T),
        len(trial),
        source,
        caution,
    )


def _without_consequences(trial: pd.DataFrame, name: str) -> list[int]:
    """Return the rows that do not follow from others of the same outcome, after checking those that do.

    Rows enter from the most precise one on; one that closes a loop of arms follows from those before it. Several rows
    of the same two arms and outcome are all kept.
    """
    outcome = trial[OUTCOME_KEY].tolist()
    y, v = trial["effect"].to_numpy(dtype=float), trial["variance"].to_numpy(dtype=float)
    sides = list(zip(trial["key_1"], trial["key_2"], strict=True))
    order = sorted(range(len(trial)), key=lambda k: (v[k], sides[k], outcome[k]))
    kept: list[int] = []
    problems = []
    for k in order:
        same = [m for m in kept if outcome[m] == outcome[k]]
        implied = None
        if all(set(sides[m]) != set(sides[k]) for m in same):
            implied = _way(sides[k], [sides[m] for m in same], [float(y[m]) for m in same])
        if implied is None:
            kept.append(k)
        elif abs(implied - y[k]) > AGREES * v[k] ** 0.5:
            message = (
                f"trial {name}: {trial['arm_1'].iloc[k]} versus {trial['arm_2'].iloc[k]} is {y[k]:.4g}, but its "
                f"other comparisons together give {implied:.4g}; they cannot come from the same arms. Correct "
                "the row that is wrong (often a sign)"
            )
            problems.append(Problem(message, column="effect"))
    if problems:
        raise SchemaError(problems)
    return sorted(kept)


def outcome_keys(rows: pd.DataFrame) -> list[tuple[str, ...]]:
    """Return what a row measured, as :func:`sampling_covariance` tells outcomes apart."""
    columns = [
        words_key(rows[name]).tolist() if name in OUTCOME_WORDS else rows[name].astype(str).tolist()
        for name in OUTCOME_COLUMNS
        if name in rows.columns
    ]
    return list(zip(*columns, strict=True)) if columns else [()] * len(rows)


def _way(ends: tuple[str, str], sides: Sequence[tuple[str, str]], y: Sequence[float]) -> float | None:
    """Return the effect between two arms along the rows given, ``None`` when they do not join them."""
    reached, fresh = {ends[1]: 0.0}, [ends[1]]
    while fresh:
        arm = fresh.pop()
        for (one, two), value in zip(sides, y, strict=True):
            for here, there, step in ((two, one, value), (one, two, -value)):
                if here == arm and there not in reached:
                    reached[there] = reached[arm] + step
                    fresh.append(there)
    return reached.get(ends[0])


def _covariance(rows: pd.DataFrame, name: str, rho: float) -> tuple[Array, str]:
    """Return the sampling covariance of the rows of a trial, and what was assumed for it."""
    if len(rows) == 1:
        return np.diag(rows["variance"].to_numpy(dtype=float)), ""
    try:
        return sampling_covariance(rows, rho=rho).blocks[0], ""
    except SchemaError as error:
        if all(problem.row is None for problem in error.problems):
            raise
    caution = (
        f"Trial {name}: the size of an arm that its comparisons share is not reported; half of each variance was taken "
        "to come from it."
    )
    return _half_shared(rows, rho), caution


def _half_shared(rows: pd.DataFrame, rho: float) -> Array:
    """Return the covariance when each arm of a row brings half of its variance."""
    s = np.sqrt(rows["variance"].to_numpy(dtype=float))
    outcome = rows[OUTCOME_KEY].tolist()
    sides = list(zip(rows["key_1"], rows["key_2"], strict=True))
    correlation = np.eye(len(rows))
    for i in range(len(rows)):
        for j in range(i):
            (a, b), (c, d) = sides[i], sides[j]
            together = 0.5 * ((a == c) + (b == d) - (a == d) - (b == c))
            same_arms = {a, b} == {c, d}
            factor = rho if same_arms or outcome[i] != outcome[j] else 1.0
            correlation[i, j] = correlation[j, i] = factor * together
    return np.asarray(s[:, None] * correlation * s)


def _arms(trial: pd.DataFrame, nodes: Sequence[str]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return for each treatment its arms in words, and its participants (every arm once, with its largest number)."""
    largest: list[dict[str, float]] = [{} for _ in nodes]
    labels: list[dict[str, str]] = [{} for _ in nodes]
    for side, columns in enumerate(SIZES, start=1):
        sizes = np.full(len(trial), np.nan)
        for column in columns:
            if column in trial.columns:
                given = pd.to_numeric(trial[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
                sizes = np.where(np.isnan(sizes), given, sizes)
        for node, key, label, n in zip(
            trial[f"node_{side}"], trial[f"key_{side}"], trial[f"arm_{side}"], sizes.tolist(), strict=True
        ):
            i = nodes.index(node)
            largest[i][key] = float(np.fmax(largest[i].get(key, np.nan), n))
            labels[i].setdefault(key, str(label))
    return tuple("; ".join(x.values()) for x in labels), tuple(float(sum(x.values())) for x in largest)
