"""How much each trial moves the pooled effect, and how much it adds to heterogeneity.

References
----------
Viechtbauer W, Cheung MW-L. Outlier and influence diagnostics for meta-analysis. Res Synth Methods 2010;1:112-125.
doi:10.1002/jrsm.11
Baujat B, Mahé C, Pignon J-P, Hill C. A graphical method for exploring heterogeneity in meta-analyses: application to a
meta-analysis of 65 trials. Stat Med 2002;21:2641-2652. doi:10.1002/sim.1221
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.influence_table import InfluenceTable
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.refits import Refits, refit
from ipt_evidence.errors import OptionError
from ipt_evidence.pooling.result import PooledFit

SCALED = ("hksj", "hksj-adhoc")
LISTED = 5
NO_WIDTH = 1e-9
COOK_MEDIAN = 0.4549364231195724
"""Median of the chi-square distribution with one degree of freedom, the cut-off of Cook's distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Deletions:
    """What leaving out each trial does; every field has shape ``(k,)``.

    Attributes
    ----------
    rstudent : numpy.ndarray
        Studentised deleted residuals.
    dffits, dfbetas : numpy.ndarray
        Change of the mean in standard errors: of the fitted value, and with the tau2 of the other trials.
    cooks_distance, cov_ratio : numpy.ndarray
        Squared change of the mean over its variance, and the variance without the trial over that with it.
    """

    rstudent: Array
    dffits: Array
    cooks_distance: Array
    cov_ratio: Array
    dfbetas: Array


def influence(fit: PooledFit | pd.DataFrame) -> InfluenceTable:
    """Measure how much each trial moves the pooled effect and its heterogeneity.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit of :func:`ipt_evidence.pool` with one effect per trial, or a table of effects, which is pooled first. The
        deleted fits use its settings.

    Returns
    -------
    InfluenceTable
        A DataFrame with one row per trial, in the order of ``fit.studies``: `study rstudent dffits cooks_distance
        cov_ratio tau2_deleted q_deleted hat weight dfbetas is_influential`; `weight` in percent. It also has
        ``interpretation``, ``notes``, ``cutoffs`` (by column) and ``tidy()``.

    Raises
    ------
    NotEstimableError
        There are fewer than three trials.
    OptionError
        The fit keeps several effects per trial, has a Henmi-Copas interval (its mean has other weights), or used a tau2
        from outside its own trials.

    Notes
    -----
    With ``m, t`` the mean and tau2 of all trials, ``m_i, t_i`` those without trial i, ``se`` the standard error of the
    interval in use, and ``h_i`` the share of the weight [1]_:

    - ``rstudent = (y_i - m_i) / sqrt(v_i + t_i + 1 / sum_others(w))`` with ``w = 1 / (v + t_i)``,
    - ``dffits = (m - m_i) / sqrt(h_i (v_i + t_i))``, ``dfbetas = (m - m_i) / sqrt(1 / sum_all(w))``,
    - ``cooks_distance = (m - m_i)^2 / se^2``, ``cov_ratio = se_i^2 / se^2``.

    Where the interval is Hartung-Knapp's the first three are divided by the root of its scale factor without trial i,
    as metafor does. A trial is called influential where ``|dffits| > 3 sqrt(1 / (k - 1))``, the chi-square(1)
    distribution at Cook's distance is above 0.5, ``hat > 3 / k``, or ``|dfbetas| > 1``. These are conventions.

    References
    ----------
    .. [1] Viechtbauer W, Cheung MW-L. Outlier and influence diagnostics for meta-analysis. Res Synth Methods
       2010;1:112-125. doi:10.1002/jrsm.11

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.influence import influence
    >>> table = pd.DataFrame(
    ...     {"study": list("ABCD"), "effect": [0.2, 0.5, 0.4, 2.1], "variance": [0.04, 0.02, 0.05, 0.06]}
    ... )
    >>> found = influence(ipt.pool(table, ci_method="wald"))
    >>> found.loc[found["is_influential"], "study"].tolist()
    ['D']
    """
    trials = _trials(fit, "influence", minimum=3)
    deleted = refit(trials, ~np.eye(trials.k, dtype=bool))
    hat = 1 / (trials.variance + trials.fit.tau2)
    hat /= hat.sum()
    d = deletions(trials, deleted, hat)
    flagged = is_influential(d, hat)
    columns = {
        "study": list(trials.labels),
        "rstudent": d.rstudent,
        "dffits": d.dffits,
        "cooks_distance": d.cooks_distance,
        "cov_ratio": d.cov_ratio,
        "tau2_deleted": deleted.tau2,
        "q_deleted": deleted.q,
        "hat": hat,
        "weight": 100 * hat,
        "dfbetas": d.dfbetas,
        "is_influential": flagged,
    }
    return InfluenceTable.of(
        columns,
        caption="Influence of each trial",
        method=trials.fit.method.describe(),
        interpretation=_read_influence(trials, flagged, deleted),
        notes=_no_width(trials),
        cutoffs=cutoffs_of(trials.k),
    )


def baujat(fit: PooledFit | pd.DataFrame) -> InfluenceTable:
    """Show for each trial what it adds to heterogeneity and how much it moves the pooled effect.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        As in :func:`influence`.

    Returns
    -------
    InfluenceTable
        A DataFrame with one row per trial: `study x y`, the coordinates of a Baujat plot [1]_. `x` is the squared
        Pearson residual ``(y_i - m)^2 / (v_i + tau2)``, in a common-effect fit the trial's part of Cochran's Q; `y` is
        ``(m - m_i)^2 / se_i^2``, the squared change of the mean without the trial over its variance.

    Raises
    ------
    NotEstimableError
        There are fewer than two trials.
    OptionError
        As in :func:`influence`.

    References
    ----------
    .. [1] Baujat B, Mahé C, Pignon J-P, Hill C. A graphical method for exploring heterogeneity in meta-analyses:
       application to a meta-analysis of 65 trials. Stat Med 2002;21:2641-2652. doi:10.1002/sim.1221

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.influence import baujat
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> baujat(ipt.pool(table, tau2_method="EE", ci_method="wald")).round(2)
      study      x     y
    0     A   5.59  2.10
    1     B   1.49  1.79
    2     C  25.10  5.58
    """
    trials = _trials(fit, "baujat", minimum=2)
    deleted = refit(trials, ~np.eye(trials.k, dtype=bool))
    x = (trials.effect - trials.fit.estimate) ** 2 / (trials.variance + trials.fit.tau2)
    others = np.where(np.eye(trials.k, dtype=bool), 0.0, 1 / trials.variance).sum(axis=1)
    y = ((trials.fit.estimate - deleted.estimate) / _with_width(deleted.std_error, 1 / np.sqrt(others))) ** 2
    return InfluenceTable.of(
        {"study": list(trials.labels), "x": x, "y": y},
        caption="Contribution to heterogeneity (x) and influence on the pooled effect (y)",
        method=trials.fit.method.describe(),
        interpretation=_read_baujat(trials, x, y),
        notes=_no_width(trials),
    )


def blup(fit: PooledFit | pd.DataFrame) -> InfluenceTable:
    """Estimate the true effect of each trial, pulled towards the mean by what its own data leave open.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        As in :func:`influence`.

    Returns
    -------
    InfluenceTable
        A DataFrame with one row per trial: `study effect estimate std_error ci_low ci_high shrinkage`. `effect` is what
        the trial found, `estimate` its best linear unbiased prediction with interval, `shrinkage` the share of the way
        from the one to the pooled mean, ``variance / (variance + tau2)``.

    Raises
    ------
    NotEstimableError
        There are fewer than two trials.
    OptionError
        As in :func:`influence`.

    Notes
    -----
    With ``s`` the shrinkage: ``estimate = (1 - s) y + s m``, squared standard error ``(1 - s) v + s^2 se(m)^2`` [1]_.
    The uncertainty of tau2 is not in it; :func:`ipt_evidence.bayes` has it.

    References
    ----------
    .. [1] Raudenbush SW, Bryk AS. Empirical Bayes meta-analysis. J Educ Stat 1985;10:75-98.
       doi:10.3102/10769986010002075

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.influence import blup
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> blup(ipt.pool(table, ci_method="wald"))[["study", "effect", "estimate"]].round(2)
      study  effect  estimate
    0     A     0.2      0.23
    1     B     0.5      0.51
    2     C     1.9      1.82
    """
    from ipt_evidence.pooling.intervals import quantile

    trials = _trials(fit, "blup", minimum=2)
    pooled = trials.fit
    shrinkage = trials.variance / (trials.variance + pooled.tau2)
    estimate = (1 - shrinkage) * trials.effect + shrinkage * pooled.estimate
    error = np.sqrt((1 - shrinkage) * trials.variance + (shrinkage * pooled.std_error) ** 2)
    half = quantile(pooled.method.level, float(pooled.df)) * error
    columns = {
        "study": list(trials.labels),
        "effect": trials.effect,
        "estimate": estimate,
        "std_error": error,
        "ci_low": estimate - half,
        "ci_high": estimate + half,
        "shrinkage": shrinkage,
    }
    text = (
        f"The estimated true effects range from {estimate.min():.2f} to {estimate.max():.2f}, the observed ones from "
        f"{trials.effect.min():.2f} to {trials.effect.max():.2f}: on average they are pulled "
        f"{100 * shrinkage.mean():.0f}% of the way to the mean of {pooled.estimate:.2f}."
    )
    return InfluenceTable.of(
        columns, caption="Shrunken effects of the trials", method=pooled.method.describe(), interpretation=text
    )


def deletions(trials: Trials, deleted: Refits, hat: Array) -> Deletions:
    """Return the measures of :func:`influence`.

    Parameters
    ----------
    trials : Trials
        All trials and their fit.
    deleted : Refits
        Fits without each of them.
    hat : numpy.ndarray
        Share of each trial in the weights, shape ``(k,)``.
    """
    fit, y, v = trials.fit, trials.effect, trials.variance
    w = 1 / (v[None, :] + deleted.tau2[:, None])
    others = np.where(np.eye(trials.k, dtype=bool), 0.0, w).sum(axis=1)
    root = np.ones(trials.k)
    if fit.method.ci_method in SCALED:
        root = _with_width(deleted.std_error, 1 / np.sqrt(others)) * np.sqrt(others)
    error = _with_width(np.array(fit.std_error), 1 / np.sqrt((1 / (v + fit.tau2)).sum()))
    change = fit.estimate - deleted.estimate
    return Deletions(
        rstudent=(y - deleted.estimate) / np.sqrt(v + deleted.tau2 + 1 / others) / root,
        dffits=change / np.sqrt(hat * (v + deleted.tau2)) / root,
        cooks_distance=change**2 / error**2,
        cov_ratio=deleted.std_error**2 / error**2,
        dfbetas=change * np.sqrt(w.sum(axis=1)) / root,
    )


def _with_width(error: Array, wald: Array) -> Array:
    """Return standard errors; NaN where Hartung-Knapp's is zero but for rounding, since ratios to it mean nothing."""
    return np.where(error > NO_WIDTH * wald, error, np.nan)


def cutoffs_of(k: int) -> dict[str, float]:
    """Return the value of each column of :func:`influence` beyond which a trial of `k` stands out.

    Examples
    --------
    >>> {name: round(value, 3) for name, value in cutoffs_of(10).items()}
    {'dffits': 1.0, 'cooks_distance': 0.455, 'hat': 0.3, 'weight': 30.0, 'dfbetas': 1.0}
    """
    dffits = 3 * math.sqrt(1 / (k - 1))
    return {"dffits": dffits, "cooks_distance": COOK_MEDIAN, "hat": 3 / k, "weight": 300 / k, "dfbetas": 1.0}


def is_influential(d: Deletions, hat: Array) -> npt.NDArray[np.bool_]:
    """Return which trials pass any of the four cut-offs of :func:`influence`."""
    cut = cutoffs_of(hat.size)
    flagged: npt.NDArray[np.bool_] = (
        (np.abs(d.dffits) > cut["dffits"])
        | (d.cooks_distance > cut["cooks_distance"])
        | (hat > cut["hat"])
        | (np.abs(d.dfbetas) > cut["dfbetas"])
    )
    return flagged


def _trials(data: PooledFit | pd.DataFrame, what: str, *, minimum: int) -> Trials:
    trials = trials_of(data, what=what, minimum=minimum)
    if trials.fit.method.ci_method == "henmi-copas":
        raise OptionError(
            f"{what} needs a mean weighted by 1 / (variance + tau2); ci_method='henmi-copas' weights by 1 / variance. "
            "leave_one_out and cumulative work with it"
        )
    return trials


def _no_width(trials: Trials) -> tuple[str, ...]:
    if not np.isnan(_with_width(np.array(trials.fit.std_error), 1 / np.sqrt((1 / trials.variance).sum()))):
        return ()
    return (
        "All effects are equal, so the Hartung-Knapp standard error is zero and ratios to it are not defined; pool "
        "with ci_method='wald'.",
    )


def _read_influence(trials: Trials, flagged: npt.NDArray[np.bool_], deleted: Refits) -> str:
    found = np.flatnonzero(flagged)
    if found.size == 0:
        return f"None of the {trials.k} trials passes a cut-off for influence (the cut-offs are conventions)."
    shown = ", ".join(f"{trials.labels[i]} ({deleted.estimate[i]:.2f} without it)" for i in found[:LISTED])
    more = f" and {found.size - LISTED} more" if found.size > LISTED else ""
    return (
        f"{found.size} of {trials.k} trials pass{'es' if found.size == 1 else ''} a cut-off for influence: "
        f"{shown}{more}, against {trials.fit.estimate:.2f} with all. A cut-off is a reason to look at a trial, not to "
        "drop it."
    )


def _read_baujat(trials: Trials, x: Array, y: Array) -> str:
    if np.isnan(y).all() or trials.fit.q < NO_WIDTH:
        return "The effects are equal: no trial adds to heterogeneity or moves the pooled effect."
    first, second = int(np.argmax(x)), int(np.nanargmax(y))
    moves = "and also moves" if first == second else f"and {trials.labels[second]} moves"
    return (
        f"{trials.labels[first]} adds most to the differences between trials ({100 * x[first] / x.sum():.0f}% of the "
        f"sum) {moves} the pooled effect most."
    )
