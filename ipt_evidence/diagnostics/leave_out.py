"""What the pooled effect would be without each trial, and how it came about trial by trial."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.influence_table import InfluenceTable
from ipt_evidence.diagnostics.inputs import Trials
from ipt_evidence.diagnostics.refits import Refits, refit, units_of
from ipt_evidence.errors import OptionError
from ipt_evidence.pooling.result import PooledFit


def leave_one_out(fit: PooledFit | pd.DataFrame) -> InfluenceTable:
    """Refit the pooled effect without each trial in turn.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit of :func:`ipt_evidence.pool`, whose settings every refit uses, or a table of effects, which is pooled first.
        A fit of dependent effects (``"three_level"``, ``"che"``) loses all effects of a trial at a time.

    Returns
    -------
    InfluenceTable
        A DataFrame with one row per trial, in the order of ``fit.studies``: `left_out estimate std_error ci_low ci_high
        tau2 i2 q`, the pooled effect of the *other* trials. It also has ``interpretation``, ``notes`` and ``tidy()``.
        With two trials each row is the other trial alone and has no heterogeneity.

    Raises
    ------
    NotEstimableError
        There are fewer than two trials.
    OptionError
        The fit used a tau2 from outside its own trials.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.leave_out import leave_one_out
    >>> table = pd.DataFrame({"study": ["A", "B", "C"], "effect": [0.2, 0.5, 1.9], "variance": [0.04, 0.02, 0.06]})
    >>> without = leave_one_out(ipt.pool(table, tau2_method="DL", ci_method="wald"))
    >>> without[["left_out", "estimate"]].round(3)
      left_out  estimate
    0        A     1.186
    1        B     1.044
    2        C     0.383
    """
    trials = units_of(fit, what="leave_one_out", minimum=2)
    found = refit(trials, ~np.eye(trials.k, dtype=bool))
    return InfluenceTable.of(
        {"left_out": list(trials.labels), **found.columns()},
        caption="Pooled effect without each trial",
        method=trials.fit.method.describe(),
        interpretation=_read_left_out(trials, found),
        notes=_single_trials(trials.k == 2),
        fit=trials.fit,
    )


def cumulative(fit: PooledFit | pd.DataFrame, *, order: str = "year", ascending: bool | None = None) -> InfluenceTable:
    """Pool the trials cumulatively: the first, the first two, and so on.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        As in :func:`leave_one_out`.
    order : str, optional
        In which order trials are added: a column of ``fit.studies`` such as ``"year"``, ``"effect"``, or
        ``"precision"``.
    ascending : bool, optional
        Smallest value first. Default: smallest first, but the most precise trial first with ``order="precision"``.
        Equal values keep the order of the table; trials without a value come last.

    Returns
    -------
    InfluenceTable
        A DataFrame with one row per trial, in the order of adding: `added estimate std_error ci_low ci_high tau2 i2 q`.
        The first row is that trial alone, without heterogeneity.

    Raises
    ------
    OptionError
        ``fit.studies`` has no such column, no trial has a value in it, or its values cannot be sorted.

    Notes
    -----
    The intervals are not adjusted for looking several times: the chance that one of them excludes zero by accident is
    larger than that of a single interval.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.leave_out import cumulative
    >>> table = pd.DataFrame(
    ...     {"author": ["A", "B"], "year": [2004, 1999], "effect": [0.2, 0.5], "variance": [0.04, 0.02]}
    ... )
    >>> cumulative(ipt.pool(table, ci_method="wald"))[["added", "estimate"]].round(3)
        added  estimate
    0  B 1999     0.500
    1  A 2004     0.383
    """
    trials = units_of(fit, what="cumulative", minimum=1)
    positions, missing = _order(trials, order, ascending)
    rank = np.empty(trials.k, dtype=np.intp)
    rank[positions] = np.arange(trials.k)
    found = refit(trials, rank[None, :] <= np.arange(trials.k)[:, None])
    labels = [trials.labels[i] for i in positions]
    notes = [f"No {order} for {', '.join(missing)}: added last."] if missing else []
    return InfluenceTable.of(
        {"added": labels, **found.columns()},
        caption=f"Pooled effect as trials are added by {order}",
        method=trials.fit.method.describe(),
        interpretation=_read_added(trials, found, labels, order),
        notes=[*notes, *_single_trials(True)],
        fit=trials.fit,
    )


def _single_trials(any_single: bool) -> tuple[str, ...]:
    return ("A row of one trial is that trial's own effect and Wald interval.",) if any_single else ()


def _order(trials: Trials, order: str, ascending: bool | None) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return the positions of the trials in the order of adding, and the names of those without a value."""
    if order == "precision":
        values: pd.Series[float] = pd.Series(1 / trials.std_error)
    elif order in trials.studies.columns:
        values = trials.studies[order]
    else:
        raise OptionError(
            f"order must be 'precision' or a column of the studies ({', '.join(map(str, trials.studies.columns))}); "
            f"received {order!r}"
        )
    if values.isna().all():
        raise OptionError(f"order={order!r}: no trial has a value in this column")
    up = ascending if ascending is not None else order != "precision"
    try:
        ordered = values.reset_index(drop=True).sort_values(ascending=up, kind="stable", na_position="last")
    except TypeError:
        raise OptionError(f"order={order!r}: the column mixes kinds of values that cannot be sorted") from None
    missing = [trials.labels[i] for i in np.flatnonzero(values.isna().to_numpy())]
    return ordered.index.to_numpy(dtype=np.intp), missing


def _read_left_out(trials: Trials, found: Refits) -> str:
    low, high = int(np.argmin(found.estimate)), int(np.argmax(found.estimate))
    side = _excludes_zero(found)
    return (
        f"Without one trial at a time the pooled effect lies between {found.estimate[low]:.2f} (without "
        f"{trials.labels[low]}) and {found.estimate[high]:.2f} (without {trials.labels[high]}), against "
        f"{trials.fit.estimate:.2f} with all {trials.k}; the {_level(trials)} interval excludes zero in {side.sum()} "
        f"of {trials.k} refits."
    )


def _read_added(trials: Trials, found: Refits, labels: list[str], order: str) -> str:
    text = (
        f"Adding trials by {order}, the pooled effect went from {found.estimate[0]:.2f} ({labels[0]} alone) to "
        f"{found.estimate[-1]:.2f} with all {trials.k}"
    )
    side = _excludes_zero(found)
    if not side[-1]:
        return f"{text}; its {_level(trials)} interval includes zero at the end."
    since = trials.k - int(np.argmin(np.append(side[::-1], False)))
    return (
        f"{text}; since trial {since + 1} ({labels[since]}) its {_level(trials)} interval has excluded zero (not "
        "adjusted for repeated looks)."
    )


def _excludes_zero(found: Refits) -> npt.NDArray[np.bool_]:
    return (found.ci_low > 0) | (found.ci_high < 0)


def _level(trials: Trials) -> str:
    return f"{100 * trials.fit.method.level:g}%"
