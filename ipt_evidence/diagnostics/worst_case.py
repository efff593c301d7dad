"""How much publication bias it would take: worst-case meta-analysis and s-values (Mathur & VanderWeele 2020).

References
----------
Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J R Stat Soc C 2020;69:1091-1119.
doi:10.1111/rssc.12440
Tipton E. Small sample adjustments for robust variance estimation with meta-regression. Psychol Methods 2015;20:375-393.
doi:10.1037/met0000011
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.worst_case_result import WorstCase
from ipt_evidence.errors import NotEstimableError, OptionError, Problem, SchemaError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.intervals import quantile, two_sided_p
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.tau2 import estimate_tau2

if TYPE_CHECKING:
    import pandas as pd

WorstCaseModel = Literal["robust", "fixed"]
Favoured = Literal["greater", "less"]
RATIOS = (2.0, 5.0, 10.0, 50.0)
LARGEST_RATIO = 1e6
FEW_DF = 4.0
ALIKE = 1e-6


@dataclass(frozen=True, slots=True)
class Corrected:
    """A weighted mean with its interval."""

    estimate: float
    std_error: float
    df: float
    ci_low: float
    ci_high: float
    p_value: float


def worst_case(
    effects: PooledFit | pd.DataFrame,
    *,
    selection_ratio: float | Sequence[float] = RATIOS,
    target: float = 0.0,
    model: WorstCaseModel = "robust",
    alternative: Favoured = "greater",
    alpha: float = 0.05,
    cluster: str | None = None,
    level: float = 0.95,
) -> WorstCase:
    """Pool the trials that publication did not favour, and say what selection would explain the result away.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    selection_ratio : float or sequence of float
        How many times more likely affirmative trials are to be published; a corrected effect for each.
    target : float
        The effect to which the s-values shift the pooled one, such as 0 or the smallest that matters; on the scale of
        the effects (logarithms for ratios).
    model : {"robust", "fixed"}
        Random effects with robust standard errors, or a common effect.
    alternative : {"greater", "less"}
        Which results publication favours.
    alpha : float
        Two-sided level below which a result in that direction counts as affirmative.
    cluster : str, optional
        Column of `fit.studies` that says which trials belong together, such as the author; ``model="robust"`` only.
    level : float
        Level of the intervals.

    Returns
    -------
    WorstCase

    Raises
    ------
    NotEstimableError
        Every trial is affirmative, or there are fewer than two trials.
    OptionError
        An option cannot be used.

    Notes
    -----
    Affirmative trials are significant in the favoured direction. If they are eta times as likely to be published,
    weighting the others by eta undoes the selection, whatever the distribution of the true effects. The s-value is the
    eta at which the corrected effect (or the limit of its interval that is nearer to the target) equals `target`; it is
    infinite where even the nonaffirmative trials alone keep the effect beyond it. ``"robust"`` weights by 1 / (v +
    tau2) with the REML tau2 of all trials and uses CR2 standard errors; as in the program of the paper their bias
    reduction assumes variances v, their Satterthwaite degrees of freedom equal variances. ``"fixed"`` uses t with k - 1
    degrees of freedom, and the normal distribution for the nonaffirmative trials alone.

    References
    ----------
    Mathur MB, VanderWeele TJ. Sensitivity analysis for publication bias in meta-analyses. J R Stat Soc C
    2020;69:1091-1119. doi:10.1111/rssc.12440

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.worst_case import worst_case
    >>> effects = pd.DataFrame({"effect": [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.4, 0.1, 0.2, 0.35, 0.3, 0.1],
    ...                         "variance": [0.16, 0.12, 0.1, 0.08, 0.05, 0.09, 0.04, 0.02, 0.02, 0.03, 0.01, 0.01]})
    >>> result = worst_case(effects, target=0.2)
    >>> round(result.estimate, 3), round(result.uncorrected, 3), round(result.s_value, 1)
    (0.133, 0.294, 4.0)
    """
    choose("model", model, WorstCaseModel)
    choose("alternative", alternative, Favoured)
    ratios = _check(selection_ratio, target, alpha, cluster, model)
    check_level(level)
    trials = trials_of(effects, what="worst_case()", minimum=2)
    sign = -1.0 if alternative == "less" else 1.0
    y, v = sign * trials.effect, trials.variance
    affirmative = y / np.sqrt(v) > -float(ndtri(alpha / 2))
    if affirmative.all():
        raise NotEstimableError(
            f"all {trials.k} trials are significant in the favoured direction, so none are left for a worst case"
        )
    said = cautions(trials, what="a worst-case meta-analysis", heterogeneity=False)
    tau2 = 0.0 if model == "fixed" else float(estimate_tau2(y[None], v[None], "REML")[0])
    groups = _groups(trials, cluster)
    fixed = model == "fixed"

    def at(eta: float) -> Corrected:
        w = np.where(affirmative, 1.0, eta) / (v + tau2)
        return weighted_mean(y, v, w, groups, fixed=fixed, df=float(trials.k - 1), level=level)

    rest = ~affirmative
    worst = weighted_mean(
        y[rest],
        v[rest],
        1 / (v[rest] + tau2),
        np.unique(groups[rest], return_inverse=True)[1],
        fixed=fixed,
        level=level,
    )
    s_value = s_value_of_mean(y, 1 / (v + tau2), affirmative, sign * target)
    s_value_ci = s_value_of_limit(at, sign * target)
    turned = [_turn(c, sign) for c in (worst, at(1.0), *(at(ratio) for ratio in ratios))]
    return WorstCase(
        estimate=turned[0].estimate,
        std_error=turned[0].std_error,
        df=turned[0].df,
        ci_low=turned[0].ci_low,
        ci_high=turned[0].ci_high,
        p_value=turned[0].p_value,
        s_value=s_value,
        s_value_ci=s_value_ci,
        target=target,
        uncorrected=turned[1].estimate,
        uncorrected_ci_low=turned[1].ci_low,
        uncorrected_ci_high=turned[1].ci_high,
        k=trials.k,
        k_affirmative=int(affirmative.sum()),
        model=model,
        alternative=alternative,
        alpha=alpha,
        measure=trials.fit.measure,
        level=level,
        corrected_table=_table([1.0, *ratios, math.inf], [*turned[1:], turned[0]]),
        notes=said + _said(affirmative, turned[0], s_value, s_value_ci),
    )


def weighted_mean(
    y: Array,
    v: Array,
    w: Array,
    cluster: npt.NDArray[np.intp],
    *,
    fixed: bool,
    df: float = math.inf,
    level: float = 0.95,
) -> Corrected:
    """Return a mean with given weights.

    Parameters
    ----------
    y, v, w : numpy.ndarray
        Effects, variances and weights, shape ``(k,)``.
    cluster : numpy.ndarray
        Which trials belong together, numbered from 0.
    fixed : bool
        Take the variances as known; else robust standard errors (CR2).
    df : float
        Degrees of freedom when the variances are known.
    level : float
        Level of the interval.
    """
    share = w / w.sum()
    mean = float(share @ y)
    if fixed:
        error = math.sqrt(float(share**2 @ v))
    else:
        error, df = _robust(y - mean, v, share, cluster)
    reach = float(quantile(level, df)) * error if df > 0 else math.nan
    p = float(two_sided_p(mean / error, df)) if error > 0 and df > 0 else math.nan
    return Corrected(mean, error, df, mean - reach, mean + reach, p)


def _robust(e: Array, v: Array, share: Array, cluster: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Return the CR2 standard error of a weighted mean and its Satterthwaite degrees of freedom.

    With ``H`` the matrix that takes effects to the mean and working variances ``P``, the residuals of cluster j are
    multiplied by ``P_j^-1/2 ((I - H) P (I - H)')_j^-1/2`` in symmetric form (Tipton 2015), which makes the estimate
    unbiased if the variances are ``P``: those of the trials, averaged within clusters.
    """
    size = np.bincount(cluster)
    if size.size < 2:
        return math.nan, math.nan
    working = (np.bincount(cluster, v) / size)[cluster]
    left = np.eye(e.size) - share
    covariance = (left * working) @ left.T
    pull = share * np.sqrt(working / np.diag(covariance))
    for j in np.flatnonzero(size > 1):
        member = np.flatnonzero(cluster == j)
        pull[member] = share[member] @ _adjustment(working[member], covariance[np.ix_(member, member)])
    rows = np.zeros((size.size, e.size))
    np.add.at(rows, cluster, pull[:, None] * left)
    gram = rows @ rows.T
    spread = np.bincount(cluster, pull * e)
    error = math.sqrt(float(spread @ spread))
    if error < ALIKE * math.sqrt(float(share**2 @ v)):
        return math.nan, math.nan
    return error, float(np.trace(gram) ** 2 / np.sum(gram**2))


def _adjustment(working: Array, covariance: Array) -> Array:
    """Return the matrix that makes the residuals of a cluster of several trials unbiased for its variance."""
    root = np.diag(np.sqrt(working))
    inner, axes = np.linalg.eigh(root @ covariance @ root)
    used = inner > 1e-12 * inner.max()
    adjusted: Array = root @ ((axes[:, used] / np.sqrt(inner[used])) @ axes[:, used].T) @ root
    return adjusted


def s_value_of_limit(at: Callable[[float], Corrected], target: float) -> float:
    """Return the smallest selection ratio at which the lower limit reaches `target`; infinity where none does."""
    from scipy.optimize import brentq

    def excess(eta: float) -> float:
        return at(eta).ci_low - target

    before = 1.0
    if not excess(before) > 0:
        return 1.0 if excess(before) <= 0 else math.nan
    for eta in np.geomspace(1.2, LARGEST_RATIO, 80):
        if excess(float(eta)) <= 0:
            return float(brentq(excess, before, float(eta), xtol=1e-10, rtol=1e-12))
        before = float(eta)
    return math.inf


def s_value_of_mean(y: Array, weight: Array, affirmative: npt.NDArray[np.bool_], target: float) -> float:
    """Return the selection ratio at which the mean is `target` (in closed form); infinity where none does."""
    beyond = weight * (y - target)
    if beyond.sum() <= 0:
        return 1.0
    others = float(beyond[~affirmative].sum())
    return -float(beyond[affirmative].sum()) / others if others < 0 else math.inf


def _turn(c: Corrected, sign: float) -> Corrected:
    if sign > 0:
        return c
    return Corrected(-c.estimate, c.std_error, c.df, -c.ci_high, -c.ci_low, c.p_value)


def _table(ratios: list[float], corrected: list[Corrected]) -> pd.DataFrame:
    import pandas as pd

    names = ("estimate", "std_error", "df", "ci_low", "ci_high", "p_value")
    rows = [{"selection_ratio": r} | {n: getattr(c, n) for n in names} for r, c in zip(ratios, corrected, strict=True)]
    return pd.DataFrame(rows)


def _groups(trials: Trials, cluster: str | None) -> npt.NDArray[np.intp]:
    """Return which trials belong together: each to itself unless a column says otherwise."""
    import pandas as pd

    if cluster is None:
        return np.arange(trials.k)
    if cluster not in trials.studies.columns:
        raise OptionError(f"cluster must be a column of the studies; there is no column {cluster!r}")
    values = trials.studies[cluster]
    empty = np.flatnonzero(values.isna().to_numpy(dtype=bool))
    if empty.size:
        problems = [Problem(f"{trials.labels[i]}: the cluster is missing", column=cluster) for i in empty]
        raise SchemaError(problems, "every trial needs a cluster")
    return np.asarray(pd.factorize(values)[0], dtype=np.intp)


def _check(
    selection_ratio: float | Sequence[float], target: float, alpha: float, cluster: str | None, model: str
) -> list[float]:
    try:
        ratios = [float(r) for r in np.atleast_1d(np.asarray(selection_ratio, dtype=float))]
    except (TypeError, ValueError):
        ratios = [math.nan]
    if not all(0 < r < math.inf for r in ratios):
        raise OptionError(f"selection_ratio must be one or more positive numbers; received {selection_ratio!r}")
    if not isinstance(target, (int, float)) or not math.isfinite(target):
        raise OptionError(f"target must be a number on the scale of the effects; received {target!r}")
    if not isinstance(alpha, (int, float)) or not 0 < alpha < 1:
        raise OptionError(f"alpha must lie between 0 and 1, such as 0.05; received {alpha!r}")
    if cluster is not None and model == "fixed":
        raise OptionError("cluster belongs to model='robust'; the common-effect model takes all trials as independent")
    return sorted({r for r in ratios if r != 1})


def _said(affirmative: npt.NDArray[np.bool_], worst: Corrected, s_value: float, s_value_ci: float) -> tuple[str, ...]:
    notes = []
    left = int((~affirmative).sum())
    if not affirmative.any():
        notes.append(
            "No trial is significant in the favoured direction, so selection in favour of such trials changes nothing."
        )
    if left == 1:
        notes.append("Only one trial is left for the worst case.")
    if math.isnan(worst.std_error) and left > 1:
        notes.append("The effects left are so alike that robust standard errors are zero; use model='fixed'.")
    if worst.df < FEW_DF:
        notes.append(f"The worst case has {worst.df:.1f} degrees of freedom; below 4 its interval cannot be trusted.")
    if s_value == 1 or s_value_ci == 1:
        what = "The pooled effect" if s_value == 1 else "The interval of the pooled effect"
        notes.append(f"{what} reaches the target without any selection (s-value 1).")
    return tuple(notes)
