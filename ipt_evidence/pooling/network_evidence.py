"""Where the numbers of a network come from: designs, direct and indirect evidence, contributions of comparisons.

References
----------
Higgins JPT, Jackson D, Barrett JK, Lu G, Ades AE, White IR. Consistency and inconsistency in network meta-analysis:
concepts and models for multi-arm studies. Res Synth Methods 2012;3:98-110. doi:10.1002/jrsm.1044
Krahn U, Binder H, König J. A graphical tool for locating inconsistency in network meta-analyses. BMC Med Res Methodol
2013;13:35. doi:10.1186/1471-2288-13-35
König J, Krahn U, Binder H. Visualizing the flow of evidence in network meta-analysis and characterizing mixed treatment
comparisons. Stat Med 2013;32:5414-5429. doi:10.1002/sim.6001
Dias S, Welton NJ, Caldwell DM, Ades AE. Checking consistency in mixed treatment comparison meta-analysis. Stat Med
2010;29:932-944. doi:10.1002/sim.3767
Efthimiou O, Rücker G, Schwarzer G, Higgins JPT, Egger M, Salanti G. Network meta-analysis of rare events using the
Mantel-Haenszel method. Stat Med 2019;38:2992-3012. doi:10.1002/sim.8158
Davies AL, Papakonstantinou T, Nikolakopoulou A, Rücker G, Galla T. Network meta-analysis and random walks. Stat Med
2022;41:2091-2114. doi:10.1002/sim.9346
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.network_kernel import (
    NAN,
    between_trial_variance,
    chi2_p,
    components,
    design_columns,
    differences,
    edge_weights,
    residual_q,
    solve,
)
from ipt_evidence.pooling.network_trials import Network

SplitMethod = Literal["back-calculation", "sidde"]
NOTHING_LEFT = 1e-9
CLOSED = 1e-6


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """Heterogeneity within designs and inconsistency between them.

    Attributes
    ----------
    q_within, df_within, p_within : float, int, float
        Differences between trials of the same design, summed over designs (common-effect weights).
    q_between, df_between, p_between : float, int, float
        Differences between designs: the design-by-treatment interaction (common-effect weights).
    tau2_within : float
        Between-study variance within designs, estimated in the full interaction model; NaN when no design has two
        trials.
    q_between_random, p_between_random : float
        The test of the interaction that allows for `tau2_within`: the one to read when trials differ.
    """

    q_within: float
    df_within: int
    p_within: float
    q_between: float
    df_between: int
    p_between: float
    tau2_within: float
    q_between_random: float
    p_between_random: float

    @property
    def statistic(self) -> float:
        """Q of the test of inconsistency to read: the one that allows for heterogeneity where it can be estimated."""
        return self.q_between if np.isnan(self.p_between_random) else self.q_between_random

    @property
    def df(self) -> int:
        """Its degrees of freedom."""
        return self.df_between

    @property
    def p_value(self) -> float:
        """Its p-value."""
        return self.p_between if np.isnan(self.p_between_random) else self.p_between_random


class Direct(NamedTuple):
    """Inverse-variance mean of the trials that compare two treatments, at the network's tau2."""

    estimate: float
    std_error: float
    k: int


def inconsistency(network: Network, method: Tau2Method, level: float) -> Inconsistency:
    """Return the decomposition of Q by design, and the test of the design-by-treatment interaction.

    Notes
    -----
    The interaction model gives every design effects of its own; Q between is the fall of the residual sum of squares
    from the network to that model at the same weights.
    """
    rows = network.rows
    full = np.hstack(design_columns(rows, network.designs, network.design_of))
    consistent = rows.x[:, 1:]
    n, df_between = rows.y.size, full.shape[1] - consistent.shape[1]
    within = residual_q(rows, full, 0.0)
    tau2, _ = between_trial_variance(rows, full, method, level)
    between, random = (
        max(0.0, residual_q(rows, consistent, t) - residual_q(rows, full, t)) if df_between else 0.0
        for t in (0.0, 0.0 if np.isnan(tau2) else tau2)
    )
    random = NAN if np.isnan(tau2) else random
    df_within = n - full.shape[1]
    return Inconsistency(
        within,
        df_within,
        chi2_p(within, df_within),
        between,
        df_between,
        chi2_p(between, df_between),
        tau2,
        random,
        NAN if np.isnan(tau2) else chi2_p(random, df_between),
    )


def designs_table(network: Network) -> pd.DataFrame:
    """Return one row per design: its trials, its own Q, and Q between designs when it is taken out of the network."""
    rows = network.rows
    columns = design_columns(rows, network.designs, network.design_of)
    full, shared = np.hstack(columns), rows.x[:, 1:]
    floor = residual_q(rows, full, 0.0)
    table = []
    for d, arms in enumerate(network.designs):
        members = network.design_of == d
        own = rows.of(members)
        q = residual_q(own, own.x[:, list(arms[1:])], 0.0)
        df = own.y.size - len(arms) + 1
        detached = _independent(np.hstack([shared, columns[d]]))
        df_left = full.shape[1] - detached.shape[1]
        informs = detached.shape[1] > shared.shape[1]
        q_left = max(0.0, residual_q(rows, detached, 0.0) - floor) if df_left else 0.0
        table.append(
            {
                "design": " : ".join(network.treatments[i] for i in arms),
                "k": int(members.sum()),
                "q_within": q,
                "df_within": df,
                "p_value_within": chi2_p(q, df),
                "q_between_without": q_left if informs else NAN,
                "df_between_without": df_left if informs else None,
                "p_value_between_without": chi2_p(q_left, df_left) if informs else NAN,
                "trials": "; ".join(name for name, m in zip(network.trials, members, strict=True) if m),
            }
        )
    return pd.DataFrame(table).astype({"df_between_without": "Int64"})


def _independent(design: Array) -> Array:
    """Return the columns of a design less those that the ones before them span."""
    kept: list[int] = []
    basis = np.zeros((design.shape[0], 0))
    for j in range(design.shape[1]):
        left = design[:, j] - basis @ (basis.T @ design[:, j])
        left -= basis @ (basis.T @ left)
        if np.linalg.norm(left) > NOTHING_LEFT * np.linalg.norm(design[:, j]):
            kept.append(j)
            basis = np.column_stack([basis, left / np.linalg.norm(left)])
    return design[:, kept]


def direct_evidence(network: Network, i: int, j: int, tau2: float) -> Direct:
    """Return the pooled direct comparison of i versus j at a between-study variance; NaN without trials."""
    ahead = (network.a == i) & (network.b == j)
    behind = (network.a == j) & (network.b == i)
    y = np.concatenate([network.y[ahead], -network.y[behind]])
    w = 1 / (np.concatenate([network.v[ahead], network.v[behind]]) + tau2)
    if not y.size:
        return Direct(NAN, NAN, 0)
    return Direct(float(w @ y / w.sum()), float(w.sum() ** -0.5), y.size)


def split_table(network: Network, tau2: float, method: SplitMethod, level: float) -> pd.DataFrame:
    """Return direct, indirect and network evidence of every pair of treatments."""
    effect, error = differences(solve(network.rows, tau2))
    z = float(quantile(level, float("inf")))
    table = []
    for i, j in combinations(range(len(network.treatments)), 2):
        direct = direct_evidence(network, i, j, tau2)
        share = float(error[i, j] / direct.std_error) ** 2 if direct.k else 0.0
        indirect, indirect_error = _indirect(network, i, j, tau2, direct, (effect[i, j], error[i, j]), method)
        gap, gap_error = direct.estimate - indirect, float(np.hypot(direct.std_error, indirect_error))
        table.append(
            {
                "treatment_1": network.treatments[i],
                "treatment_2": network.treatments[j],
                "k": direct.k,
                "direct_share": min(share, 1.0),
                "network": effect[i, j],
                "network_se": error[i, j],
                "direct": direct.estimate,
                "direct_se": direct.std_error,
                "indirect": indirect,
                "indirect_se": indirect_error,
                "difference": gap,
                "difference_ci_low": gap - z * gap_error,
                "difference_ci_high": gap + z * gap_error,
                "p_value": float(two_sided_p(gap / gap_error, float("inf"))),
            }
        )
    return pd.DataFrame(table)


def _indirect(
    network: Network, i: int, j: int, tau2: float, direct: Direct, whole: tuple[float, float], method: SplitMethod
) -> tuple[float, float]:
    """Return the indirect evidence; NaN where no path of other trials joins the two treatments."""
    if not direct.k:
        return float(whole[0]), float(whole[1])
    other = ~network.compares(i, j)
    joined = _joined(network, other, i)
    if j not in joined:
        return NAN, NAN
    if method == "sidde":
        rows = network.rows.of(other)
        effect, error = differences(solve(rows._replace(x=rows.x[:, joined]), tau2))
        at = joined.index(i), joined.index(j)
        return float(effect[at]), float(error[at])
    precision, known = whole[1] ** -2, direct.std_error**-2
    left = precision - known
    if left <= NOTHING_LEFT * precision:
        return NAN, NAN
    return float((precision * whole[0] - known * direct.estimate) / left), float(left**-0.5)


def _joined(network: Network, trials: npt.NDArray[np.bool_], start: int) -> list[int]:
    """Return the treatments that some trials connect with one."""
    used = trials[network.trial]
    edges = list(zip(network.a[used].tolist(), network.b[used].tolist(), strict=True))
    return next(part for part in components(len(network.treatments), edges) if start in part)


def edge_pairs(network: Network) -> list[tuple[int, int]]:
    """Return the pairs of treatments that trials compare directly, ordered."""
    low, high = np.minimum(network.a, network.b), np.maximum(network.a, network.b)
    return sorted(set(zip(low.tolist(), high.tolist(), strict=True)))


def contributions_table(network: Network, tau2: float) -> pd.DataFrame:
    """Return the share in percent of every direct comparison (column) in every network comparison (row)."""
    weights = edge_weights(network.rows, tau2)
    pairs = edge_pairs(network)
    effect_of = np.linalg.pinv(np.diag(weights.sum(axis=1)) - weights)
    labels = [f"{network.treatments[i]} : {network.treatments[j]}" for i, j in pairs]
    n = len(network.treatments)
    names, table = [], []
    for i, j in combinations(range(n), 2):
        potential = effect_of[:, i] - effect_of[:, j]
        flow = weights * (potential[:, None] - potential[None])
        shares = _shares_of_walks(flow, i, j)
        if not np.isclose(shares.sum(), 1.0, rtol=0, atol=CLOSED):
            raise NotEstimableError(
                f"contributions to {network.treatments[i]} versus {network.treatments[j]} do not exist: a multi-arm "
                "trial has comparisons of negative weight, so evidence runs in circles; use split() instead"
            )
        names.append((network.treatments[i], network.treatments[j]))
        table.append([100 * float(shares[a, b] + shares[b, a]) for a, b in pairs])
    shown = pd.DataFrame(table, columns=labels)
    shown.insert(0, "treatment_2", [b for _, b in names])
    shown.insert(0, "treatment_1", [a for a, _ in names])
    return shown


def _shares_of_walks(flow: Array, start: int, end: int) -> Array:
    """Return how much each step of a walk from `start` to `end` along a unit flow contributes, ``(n, n)``.

    Notes
    -----
    A walk leaves a node along its outgoing flows with probability proportional to them (Davies 2022); its probability
    is shared equally among its steps. With ``f_u(s)`` the probability to be at u after s steps and ``b_v(r)`` that r
    more steps lead from v to the end, a step u to v gets ``sum f_u(s) p_uv b_v(r) / (s + 1 + r)``: no path is listed.
    """
    n = flow.shape[0]
    out = np.where(flow > NOTHING_LEFT * np.abs(flow).max(), flow, 0.0)
    out[end] = 0.0
    total = out.sum(axis=1, keepdims=True)
    chance = np.divide(out, total, out=np.zeros_like(out), where=total > 0)
    forth, back = np.zeros((n, n)), np.zeros((n, n))
    forth[0, start] = back[0, end] = 1.0
    for s in range(1, n):
        forth[s] = forth[s - 1] @ chance
        back[s] = chance @ back[s - 1]
    steps = np.arange(n)
    per_step = 1.0 / (steps[:, None] + steps[None] + 1)
    return np.asarray(chance * np.einsum("su,sr,rv->uv", forth, per_step, back))
