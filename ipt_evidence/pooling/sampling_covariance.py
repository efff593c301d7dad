"""Covariances between effects of one trial: several outcomes of the same groups, and comparisons that share a group.

References
----------
Gleser LJ, Olkin I. Stochastically dependent effect sizes. In: Cooper H, Hedges LV, Valentine JC, eds. The Handbook of
Research Synthesis and Meta-Analysis. 2nd ed. Russell Sage Foundation, 2009, pp. 357-376.
Wei Y, Higgins JPT. Estimating within-study covariances in multivariate meta-analysis with multiple outcomes. Stat Med
2013;32:1191-1205. doi:10.1002/sim.5679
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import OptionError, Problem, SchemaError
from ipt_evidence.options import check_rho
from ipt_evidence.pooling.effect_rows import read_effects
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.sources.showing import readable, table_html
from ipt_evidence.studies.arms_keys import arm_keys, words_key

Ints = npt.NDArray[np.intp]
STANDARDISED = ("SMD", "D")
SHARED_MEASURES = (*STANDARDISED, "MD", "ROM", "OR", "RR", "RD")
OUTCOME_WORDS = ("outcome", "instrument", "rating", "time")
OUTCOME_COLUMNS = (*OUTCOME_WORDS, "time_weeks")
LOGIT_TO_D = 3 / np.pi**2


@readable
@dataclass(frozen=True, slots=True, eq=False)
class SamplingCovariance:
    """Sampling covariance of a table of effects, one block per trial.

    Attributes
    ----------
    trials : tuple
        The trials in order of first appearance.
    blocks : tuple of numpy.ndarray
        Covariance of the rows of each trial, in the order of the table; NaN for rows without effect or variance.
    positions : tuple of numpy.ndarray
        Positions of these rows in the table.
    """

    trials: tuple[object, ...]
    blocks: tuple[Array, ...] = field(repr=False)
    positions: tuple[Ints, ...] = field(repr=False)

    def to_matrix(self) -> Array:
        """Return the full matrix over the rows of the table (quadratic in their number)."""
        n = sum(p.size for p in self.positions)
        matrix = np.zeros((n, n))
        for at, block in zip(self.positions, self.blocks, strict=True):
            matrix[np.ix_(at, at)] = block
        return matrix

    def tidy(self) -> pd.DataFrame:
        """Return one row per trial: `trial_id`, its number of effects, and their mean correlation (NaN for one)."""
        rows = []
        for trial, block in zip(self.trials, self.blocks, strict=True):
            error = np.sqrt(np.diag(block))
            pairs = (block / np.outer(error, error))[np.triu_indices(len(block), 1)]
            known = pairs[np.isfinite(pairs)]
            rows.append((trial, len(block), float(known.mean()) if known.size else np.nan))
        return pd.DataFrame(rows, columns=["trial_id", "n_effects", "mean_correlation"])

    def _repr_html_(self) -> str:
        table = self.tidy()
        several = table[table["n_effects"] > 1]
        caption = f"Sampling covariance of {table['n_effects'].sum()} effects of {len(table)} trials"
        return table_html(several, caption, ("Trials with several effects; to_matrix() is the whole matrix.",))


class _Row(NamedTuple):
    """What the covariance of a row with others depends on."""

    arms: tuple[str, str]
    outcome: tuple[str, ...]
    effect: float
    variance: float
    arm_variance: tuple[float, float]
    from_means: bool


def sampling_covariance(effects: pd.DataFrame, *, rho: float = 0.6, cluster: str = "trial_id") -> SamplingCovariance:
    """Return the covariances between effects that share participants.

    Parameters
    ----------
    effects : pandas.DataFrame
        An effects table; the groups are told apart by `arm_1` and `arm_2` as in :func:`shared_arms` ("IPT (individual)"
        and "ipt" of one trial are one group), the outcomes by `outcome, instrument, rating, time, time_weeks` (texts
        without case and punctuation), as far as these columns exist.
    rho : float
        Correlation between two outcomes (instruments, time points) measured in the same participants.
    cluster : str
        Column that marks the rows of one trial.

    Returns
    -------
    SamplingCovariance
        For the `vcov` of :func:`~ipt_evidence.pooling.dependence.multilevel`.

    Raises
    ------
    SchemaError
        Rows share a group whose size (or events, or SD) is not in the table, or the covariance of a trial is not
        positive definite; all are named.
    OptionError
        Rows share a group and their measure has no formula here.

    Notes
    -----
    Two rows of the same two groups: ``rho s_i s_j``. Two rows that share one group: ``1/n_shared + g_i g_j / (2N)`` for
    standardised mean differences (Gleser & Olkin 2009; N counts every group of the trial once), the variance of the
    shared group for MD (``sd^2/n``), ROM (``sd^2/(n m^2)``), log OR (``1/a + 1/b``), log RR (``1/a - 1/n``) and RD
    (``a b / n^3``), with the opposite sign when it is arm 1 in one row and arm 2 in the other; times `rho` when the
    outcomes differ. Where the group's numbers differ between two rows the geometric mean of its two variances is taken.
    A standardised difference computed from events uses ``3/pi^2 (1/a + 1/b)``. One half is added to the four counts of
    a row with a zero.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial_id": "a", "arm_1": ["cbt", "ipt"], "arm_2": "waitlist", "n_1": [20, 22], "n_2": 25,
    ...                       "effect": [0.5, 0.8], "variance": [0.093, 0.092], "measure": "SMD"})
    >>> sampling_covariance(table).to_matrix().round(4)
    array([[0.093, 0.043],
           [0.043, 0.092]])
    """
    rho = check_rho(rho)
    if cluster not in effects.columns:
        raise SchemaError([Problem(f"no column {cluster}; name the column that marks the rows of one trial")])
    y, v, _ = read_effects(effects)
    groups = effects.groupby(cluster, sort=False, dropna=False).indices
    trials = tuple(groups)
    positions = tuple(np.sort(np.asarray(at, dtype=np.intp)) for at in groups.values())
    several = np.sort(np.concatenate([at for at in positions if at.size > 1] or [np.empty(0, dtype=np.intp)]))
    records = dict(zip(several.tolist(), _records(effects.iloc[several], cluster), strict=True))
    rows = {i: _row(record, float(y[i]), float(v[i])) for i, record in records.items()}
    blocks, problems = [], []
    for at in positions:
        total = _participants([records[i] for i in at]) if at.size > 1 else float("nan")
        block, missing = _block(effects, [rows[i] for i in at] if at.size > 1 else [], at, v, rho, total)
        problems += missing
        blocks.append(block)
    problems = list({p.row: p for p in problems}.values()) or _not_positive(trials, blocks)
    if problems:
        raise SchemaError(problems, "cannot work out the sampling covariance")
    return SamplingCovariance(trials, tuple(blocks), positions)


def _records(effects: pd.DataFrame, cluster: str) -> list[dict[str, Any]]:
    """Return the rows with their arms and outcomes named by keys that do not depend on the wording."""
    named = effects.reindex(columns=["arm_1", "arm_2", cluster])
    keys = arm_keys(named, trial=cluster)
    plain = effects.assign(
        **{f"arm_{side}": keys[f"arm_{side}"].replace("", f"arm {side}").to_numpy() for side in (1, 2)},
        **{name: words_key(effects[name]) for name in OUTCOME_WORDS if name in effects},
    )
    return [{str(name): cell for name, cell in row.items()} for row in plain.to_dict("records")]


def _block(
    effects: pd.DataFrame, rows: list[_Row], at: Ints, v: Array, rho: float, total: float
) -> tuple[Array, list[Problem]]:
    """Return the covariance of the rows of one trial and the cells it lacks."""
    block = np.diag(v[at])
    problems = []
    for i in range(len(rows)):
        for j in range(i):
            value = _covariance(effects, rows[i], rows[j], total, rho)
            block[i, j] = block[j, i] = value
            if np.isnan(value) and not np.isnan(v[at[i]] + v[at[j]]):
                problems += [_unknown(effects, int(at[k]), rows[k], rows[i + j - k]) for k in (i, j)]
    block[np.isnan(v[at])] = np.nan
    block[:, np.isnan(v[at])] = np.nan
    return block, problems


def _covariance(effects: pd.DataFrame, a: _Row, b: _Row, total: float, rho: float) -> float:
    """Return the covariance of two rows of a trial; NaN when the shared group's numbers are missing."""
    share = 1.0 if a.outcome == b.outcome else rho
    if set(a.arms) == set(b.arms):
        sign = 1.0 if a.arms == b.arms else -1.0
        return sign * rho * float(np.sqrt(a.variance * b.variance))
    shared = [(s, t) for s in (0, 1) for t in (0, 1) if a.arms[s] == b.arms[t]]
    if not shared:
        return 0.0
    measure = _measure(effects)
    (s, t), sign = shared[0], 1.0 if shared[0][0] == shared[0][1] else -1.0
    value = sign * float(np.sqrt(a.arm_variance[s] * b.arm_variance[t]))
    if measure in STANDARDISED and a.from_means and b.from_means:
        value += a.effect * b.effect / (2 * total)
    return share * value


def _measure(effects: pd.DataFrame) -> str:
    """Return the measure, which must have a formula for a shared group."""
    measure = str(effects["measure"].dropna().iloc[0]) if "measure" in effects.columns else "SMD"
    if measure not in SHARED_MEASURES:
        raise OptionError(
            f"covariances from a shared group are implemented for {', '.join(SHARED_MEASURES)}; received {measure!r}. "
            "Use dependence by rho alone, or give vcov yourself"
        )
    return measure


def _row(row: Mapping[str, Any], y: float, v: float) -> _Row:
    """Return the record of one row."""
    arms = (_text(row, "arm_1", "arm 1"), _text(row, "arm_2", "arm 2"))
    outcome = tuple(_text(row, name, "") for name in OUTCOME_COLUMNS)
    measure = str(row.get("measure", "SMD"))
    means = not np.isnan(_number(row, "n_1") + _number(row, "n_2"))
    variance = _arm_variance(row, measure, means)
    return _Row(arms, outcome, y, v, variance, means)


def _arm_variance(row: Mapping[str, Any], measure: str, means: bool) -> tuple[float, float]:
    """Return the part of the variance that comes from each group; NaN where its numbers are missing."""
    if measure in ("OR", "RR", "RD") or (measure in STANDARDISED and not means):
        return _event_variance(row, measure)
    n = np.array([_number(row, "n_1"), _number(row, "n_2")])
    if measure in STANDARDISED:
        part = 1 / n
    else:
        final = [_number(row, f"{what}_{side}") for side in (1, 2) for what in ("mean", "sd")]
        change = [_number(row, f"change_{what}_{side}") for side in (1, 2) for what in ("mean", "sd")]
        mean, sd = np.array(change if np.isnan(final).any() else final).reshape(2, 2).T
        part = sd**2 / n if measure == "MD" else sd**2 / (n * mean**2)
    return float(part[0]), float(part[1])


def _event_variance(row: Mapping[str, Any], measure: str) -> tuple[float, float]:
    """Return the contribution of each group to the variance of a measure of events."""
    a = np.array([_number(row, "events_1"), _number(row, "events_2")])
    b = np.array([_number(row, "total_1"), _number(row, "total_2")]) - a
    if (a == 0).any() or (b == 0).any():
        a, b = a + 0.5, b + 0.5
    n = a + b
    if measure == "RD":
        part = a * b / n**3
    elif measure == "RR":
        part = 1 / a - 1 / n
    else:
        part = (1 / a + 1 / b) * (1.0 if measure == "OR" else LOGIT_TO_D)
    return float(part[0]), float(part[1])


def _participants(rows: list[dict[str, Any]]) -> float:
    """Return the participants of a trial, every group once with its largest number."""
    largest: dict[str, float] = {}
    for row in rows:
        for side in (1, 2):
            arm = _text(row, f"arm_{side}", f"arm {side}")
            largest[arm] = float(np.fmax(largest.get(arm, np.nan), _number(row, f"n_{side}")))
    return float(np.nansum(list(largest.values())))


def _text(row: Mapping[str, Any], name: str, missing: str) -> str:
    value = row.get(name, missing)
    return missing if pd.isna(value) else str(value)


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name, np.nan)
    return float("nan") if pd.isna(value) else float(value)


def _unknown(effects: pd.DataFrame, i: int, own: _Row, other: _Row) -> Problem:
    """Return the problem of row `i`, whose shared group has no numbers; the group is named as the row names it."""
    sides = [side for side in (1, 2) if own.arms[side - 1] in other.arms]
    shared = ", ".join(dict.fromkeys(str(effects.iloc[i].get(f"arm_{side}", f"arm {side}")) for side in sides))
    return Problem(
        f"shares the group {shared!r} with another row of its trial, but the numbers of that group are missing; fill "
        "in its size (n_1, n_2), events or SD, drop the row, or use rho alone",
        row=i + 1,
    )


def _not_positive(trials: tuple[object, ...], blocks: list[Array]) -> list[Problem]:
    """Return a problem for every trial whose covariance is not one."""
    problems = []
    for number, (trial, block) in enumerate(zip(trials, blocks, strict=True)):
        known = ~np.isnan(np.diag(block))
        values = np.linalg.eigvalsh(block[np.ix_(known, known)])
        if values.size > 1 and values[0] <= 1e-12 * values[-1]:
            problems.append(
                Problem(
                    f"trial {trial}: the covariances are not positive definite; leave out duplicates and comparisons "
                    "that follow from the others (such as B versus C beside A versus B and A versus C), or lower rho",
                    row=-1 - number,
                )
            )
    return [Problem(p.message) for p in problems]
