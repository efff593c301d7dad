"""From the comparisons of trials to a network's table: one effect per trial and pair of treatments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.options import check_rho
from ipt_evidence.pooling.effect_rows import read_effects, trial_codes
from ipt_evidence.pooling.network_join import OUTCOME_KEY, Joined, join_trial, outcome_keys
from ipt_evidence.pooling.notes import nothing_to_pool, one_measure
from ipt_evidence.pooling.sampling_covariance import OUTCOME_COLUMNS
from ipt_evidence.studies.arms_keys import arm_keys, check_arm_columns

CONTRAST_NODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "ipt_vs_control": ("IPT", "control"),
        "ipt_vs_psychotherapy": ("IPT", "other psychotherapy"),
        "ipt_vs_pharmacotherapy": ("IPT", "pharmacotherapy"),
        "combined_vs_pharmacotherapy": ("IPT + pharmacotherapy", "pharmacotherapy"),
        "ipt_vs_combined": ("IPT", "IPT + pharmacotherapy"),
    }
)
"""Treatments on both sides of each contrast of the shipped comparisons."""
CARRIED = ("study", "year", "condition", "phase")
SUMMARIES = ("mean", "sd", "change_mean", "change_sd")
NEEDED = {
    *("trial_id", *CARRIED, "contrast", "arm_1", "arm_2", "effect", "variance", "std_error", "measure", "why_not"),
    *OUTCOME_COLUMNS,
    *(f"{name}_{side}" for name in (*SUMMARIES, "n", "events", "total") for side in (1, 2)),
}
"""Columns that are read; the others would only be copied for every trial."""
TITLE = "cannot make a network table"


def network_table(
    effects: pd.DataFrame,
    *,
    condition: str | None = None,
    phase: str | None = "acute",
    nodes: Mapping[str, tuple[str, str]] | None = None,
    rho: float = 0.6,
) -> pd.DataFrame:
    """Bring comparisons to one effect per trial and pair of treatments, ready for :func:`ipt_evidence.network`.

    Parameters
    ----------
    effects : pandas.DataFrame
        Output of :func:`ipt_evidence.effect_sizes` with ``trial_id, arm_1, arm_2, contrast``.
    condition, phase : str, optional
        Only rows of this condition and phase; ``None`` for all.
    nodes : mapping of str to two str, optional
        The treatments on both sides of each contrast; default :data:`CONTRAST_NODES`: IPT, control, other
        psychotherapy, pharmacotherapy, IPT + pharmacotherapy.
    rho : float
        Correlation between two outcomes measured in the same participants, from 0 to below 1.

    Returns
    -------
    pandas.DataFrame
        ``trial_id``; ``study, year, condition, phase`` where the table has them; ``arm_1, arm_2``: the treatments;
        ``effect, variance, std_error, measure``; ``n_1, n_2``; ``n_effects``: rows of the trial behind it; ``source``:
        ``"reported"`` (one row as it was), ``"combined"`` (several rows of this pair) or ``"joint"`` (from the
        joint estimate of a trial of several pairs); ``labels``: the arms in the words of the table; ``caution``. A
        trial of m treatments has all its ``m (m - 1) / 2`` pairs. Trials in order of first appearance.

    Raises
    ------
    SchemaError
        A contrast has no nodes, an arm stands for two treatments, or the comparisons of a trial are unconnected or do
        not add up; all are named.
    NotEstimableError
        No row can be used.
    OptionError
        There is no such condition or phase, or the rows have several measures.

    Notes
    -----
    All rows of a trial are brought to its treatments by generalised least squares with their sampling covariance
    (:func:`ipt_evidence.sampling_covariance`), so instruments are combined with `rho` and arms that several rows share
    count once. Different arms of one treatment (two kinds of other psychotherapy) are taken to have the same effect.
    The default nodes are coarse: "control" holds waitlist, usual care and pill placebo alike, and "pharmacotherapy"
    every drug; finer ones can be given as ``nodes`` over a finer `contrast` column.
    A row that follows from others of the same outcome (A versus C beside A versus B and B versus C) is left
    out; it must agree with them to half its standard error. Where a shared arm's size is not reported, half of each
    variance is taken to come from it (two arms of equal precision); ``caution`` says so.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    >>> table = network_table(effects[effects["trial_id"] == "power2012"])
    >>> table[["arm_1", "arm_2", "effect", "n_1", "n_2", "source"]].round(2)
         arm_1                arm_2  effect   n_1   n_2 source
    0      IPT              control    0.66  39.0  10.0  joint
    1      IPT  other psychotherapy    0.28  39.0  22.0  joint
    2  control  other psychotherapy   -0.38  10.0  22.0  joint
    """
    rho = check_rho(rho)
    if rho == 1:
        raise OptionError("rho must be below 1: rows that correlate perfectly have no joint estimate; received 1")
    check_arm_columns(effects)
    rows = _select(_select(effects, "condition", condition), "phase", phase)
    y, v, why = read_effects(rows)
    used = ~np.isnan(y)
    measure = one_measure(rows, y)
    if not used.any():
        raise NotEstimableError(nothing_to_pool(rows, why))
    codes = trial_codes(rows, used)[used]
    rows = rows.loc[used, [name for name in rows.columns if name in NEEDED]].assign(variance=v[used])
    rows = rows.assign(**_nodes(rows, CONTRAST_NODES if nodes is None else nodes))
    rows.attrs = {}
    rows[OUTCOME_KEY] = pd.Series(outcome_keys(rows), index=rows.index, dtype=object)
    problems: list[Problem] = []
    parts = []
    for code in dict.fromkeys(codes.tolist()):
        trial = rows[codes == code]
        try:
            parts.append(_trial_rows(trial, join_trial(trial, rho), measure))
        except SchemaError as error:
            problems += error.problems
    if problems:
        raise SchemaError(problems, TITLE)
    return pd.concat(parts, ignore_index=True)


def _select(effects: pd.DataFrame, column: str, value: str | None) -> pd.DataFrame:
    """Return the rows of one value; raise listing the values there are."""
    if value is None or (column == "phase" and column not in effects.columns):
        return effects
    if column not in effects.columns:
        raise OptionError(f"the table has no column {column!r} to select {value!r} from")
    rows = effects[effects[column] == value]
    if rows.empty:
        there = ", ".join(map(repr, dict.fromkeys(effects[column])))
        raise OptionError(f"no row has {column} = {value!r}; there are {there}")
    return rows


def _nodes(rows: pd.DataFrame, nodes: Mapping[str, tuple[str, str]]) -> dict[str, npt.NDArray[np.object_]]:
    """Return the treatments (``node_1``, ``node_2``) and arm keys (``key_1``, ``key_2``) of all rows."""
    if "contrast" not in rows.columns:
        message = "the column is missing; it says which treatments a row compares"
        raise SchemaError([Problem(message, column="contrast")], TITLE)
    contrasts = [str(x) for x in rows["contrast"]]
    problems = [
        Problem(f"no treatments for this contrast; nodes has {', '.join(nodes)}", column="contrast", value=name)
        for name in dict.fromkeys(contrasts)
        if name not in nodes
    ]
    wrong = [name for name, pair in nodes.items() if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]]
    problems += [Problem("nodes must give two different treatments for a contrast", value=name) for name in wrong]
    if problems:
        raise SchemaError(problems, TITLE)
    keys = arm_keys(rows)
    made = {f"node_{side}": np.array([nodes[c][side - 1] for c in contrasts], dtype=object) for side in (1, 2)}
    blank = {side: keys[f"arm_{side}"].to_numpy(dtype=object) for side in (1, 2)}
    made |= {f"key_{side}": np.where(blank[side] == "", made[f"node_{side}"], blank[side]) for side in (1, 2)}
    _one_treatment_per_arm(rows, made)
    return made


def _one_treatment_per_arm(rows: pd.DataFrame, made: Mapping[str, npt.NDArray[np.object_]]) -> None:
    """Refuse an arm that stands for two treatments in one trial."""
    seen: dict[tuple[str, str], str] = {}
    problems: dict[tuple[str, str], Problem] = {}
    for side in (1, 2):
        labels = rows[f"arm_{side}"].tolist()
        for trial, key, node, label in zip(
            rows["trial_id"], made[f"key_{side}"], made[f"node_{side}"], labels, strict=True
        ):
            known = seen.setdefault((str(trial), key), node)
            if known != node:
                message = (
                    f"trial {trial}: this arm is {known!r} in one row and {node!r} in another; correct the contrast"
                )
                problems.setdefault((str(trial), key), Problem(message, column=f"arm_{side}", value=str(label)))
    if problems:
        raise SchemaError(list(problems.values()), TITLE)


def _trial_rows(trial: pd.DataFrame, joined: Joined, measure: str) -> pd.DataFrame:
    """Return the pairs of one trial."""
    common = {name: trial[name].iloc[0] for name in ("trial_id", *CARRIED) if name in trial.columns}
    table: list[dict[str, Any]] = []
    for i, j in joined.pairs:
        step = joined.weights(i, j)
        variance = float(step @ joined.covariance @ step)
        table.append(
            common
            | {
                "arm_1": joined.nodes[i],
                "arm_2": joined.nodes[j],
                "effect": float(step @ joined.effect),
                "variance": variance,
                "std_error": variance**0.5,
                "measure": measure,
                "n_1": joined.sizes[i],
                "n_2": joined.sizes[j],
                "n_effects": joined.n_effects,
                "source": joined.source,
                "labels": f"{joined.labels[i]} | {joined.labels[j]}",
                "caution": joined.caution,
            }
        )
    return pd.DataFrame(table)
