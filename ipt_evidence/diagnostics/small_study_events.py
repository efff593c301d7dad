"""Tests for small-study effects of outcomes that are counted: Peters, Harbord, Debray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.line import Line, fit_line
from ipt_evidence.diagnostics.small_study_result import Setting, SmallStudyTest, result_of_line
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.result import RATIO_MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

COUNTS = ("events_1", "total_1", "events_2", "total_2")
WEIGHTED = "weighted regression, multiplicative dispersion"
DebrayWeights = Literal["asymptotic", "variance"]


@dataclass(frozen=True, slots=True)
class Counts:
    """Two-by-two tables of the trials that have them, arrays of shape ``(k,)``.

    Attributes
    ----------
    events_1, total_1, events_2, total_2 : numpy.ndarray
    sign : numpy.ndarray
        -1 where an event is bad news, so that positive log odds ratios favour arm 1 as effects do.
    notes : tuple of str
        Trials that were left out.
    """

    events_1: Array
    total_1: Array
    events_2: Array
    total_2: Array
    sign: Array
    notes: tuple[str, ...]


def peters_test(effects: PooledFit | pd.DataFrame, *, level: float = 0.95) -> SmallStudyTest:
    """Test log odds ratios for small-study effects by their regression on the inverse sample size.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        Trials with the columns `events_1 total_1 events_2 total_2`; the log odds ratios are made from them.
    level : float
        Level of the interval of the limit.

    Returns
    -------
    SmallStudyTest

    Raises
    ------
    OptionError
        The table has no counts.
    NotEstimableError
        Fewer than three trials have counts with at least one event and one non-event.

    Notes
    -----
    Weights are ``e (n - e) / n`` with e events among n participants of both arms. Half an event is added to all cells
    of a table with an empty one.

    References
    ----------
    Peters JL, Sutton AJ, Jones DR, Abrams KR, Rushton L. Comparison of two methods to detect publication bias in
    meta-analysis. JAMA 2006;295:676-680. doi:10.1001/jama.295.6.676

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> n = np.arange(20, 140, 10)
    >>> arms = {"events_1": n // 4, "total_1": n, "events_2": n // 2 - n % 3, "total_2": n, "lower_is_better": 1}
    >>> studies = pd.DataFrame(arms)
    >>> test = ipt.peters_test(ipt.effect_sizes(studies, measure="OR"))
    >>> round(test.statistic, 2), test.k
    (-1.96, 12)
    """
    check_level(level)
    trials, counts = _with_counts(effects, "Peters' test")
    cells = _cells(counts)
    log_or = counts.sign * np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
    events, n = counts.events_1 + counts.events_2, counts.total_1 + counts.total_2
    line = fit_line(log_or, 1 / n, events * (n - events) / n, "Peters' test")
    return _result("Peters' test", line, trials, counts, "1/n", level)


def harbord_test(effects: PooledFit | pd.DataFrame, *, level: float = 0.95) -> SmallStudyTest:
    """Test odds ratios for small-study effects by the regression of efficient scores on their standard errors.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        Trials with the columns `events_1 total_1 events_2 total_2`.
    level : float
        Level of the interval of the limit.

    Returns
    -------
    SmallStudyTest

    Raises
    ------
    OptionError
        The table has no counts.
    NotEstimableError
        Fewer than three trials have counts with at least one event and one non-event.

    Notes
    -----
    With the score Z (observed minus expected events of arm 1) and its variance V under no effect, ``Z/V`` is regressed
    on ``1/sqrt(V)`` with weights V.

    References
    ----------
    Harbord RM, Egger M, Sterne JAC. A modified test for small-study effects in meta-analyses of controlled trials with
    binary endpoints. Stat Med 2006;25:3443-3457. doi:10.1002/sim.2380

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> n = np.arange(20, 140, 10)
    >>> arms = {"events_1": n // 4, "total_1": n, "events_2": n // 2 - n % 3, "total_2": n, "lower_is_better": 1}
    >>> studies = pd.DataFrame(arms)
    >>> round(ipt.harbord_test(ipt.effect_sizes(studies, measure="OR")).statistic, 2)
    -2.09
    """
    check_level(level)
    trials, counts = _with_counts(effects, "Harbord's test")
    events, n = counts.events_1 + counts.events_2, counts.total_1 + counts.total_2
    score = counts.sign * (counts.events_1 - events * counts.total_1 / n)
    variance = counts.total_1 * counts.total_2 * events * (n - events) / (n**2 * (n - 1))
    line = fit_line(score / variance, 1 / np.sqrt(variance), variance, "Harbord's test")
    return _result("Harbord's test", line, trials, counts, "1/sqrt(score variance)", level)


def debray_test(
    effects: PooledFit | pd.DataFrame, *, weights: DebrayWeights = "asymptotic", level: float = 0.95
) -> SmallStudyTest:
    """Test log hazard ratios for small-study effects by their regression on the inverse number of events.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        Trials with a ratio as effect and the columns `events_1` and `events_2`.
    weights : {"asymptotic", "variance"}
        ``e_1 e_2 / (e_1 + e_2)`` from the events of both arms (the authors' D-FAV, which they recommend), or the
        inverse sampling variance (D-FIV).
    level : float
        Level of the interval of the limit.

    Returns
    -------
    SmallStudyTest

    Raises
    ------
    OptionError
        The effects are not ratios, or the table has no events.
    NotEstimableError
        Fewer than three trials have events in both arms.

    References
    ----------
    Debray TPA, Moons KGM, Riley RD. Detecting small-study effects and funnel plot asymmetry in meta-analysis of
    survival data: a comparison of new and existing tests. Res Synth Methods 2018;9:41-50. doi:10.1002/jrsm.1266

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> events = np.arange(10, 70, 5)
    >>> table = pd.DataFrame({"events_1": events, "events_2": events, "variance": 2 / events, "measure": "HR"})
    >>> table["effect"] = 0.1 + 4 / events + 0.01 * np.cos(events)
    >>> round(ipt.debray_test(table).slope, 3)
    8.002
    """
    choose("weights", weights, DebrayWeights)
    check_level(level)
    what = "Debray's test"
    trials = trials_of(effects, what=what)
    if trials.fit.measure and trials.fit.measure not in RATIO_MEASURES:
        raise OptionError(f"{what} is for hazard ratios (log HR); the effects are {trials.fit.measure}")
    e_1, e_2 = (_column(trials, name, what) for name in ("events_1", "events_2"))
    usable = (e_1 > 0) & (e_2 > 0)
    trials, left_out = trials.keep(usable, "no events in an arm")
    e_1, e_2 = e_1[usable], e_2[usable]
    weight = e_1 * e_2 / (e_1 + e_2) if weights == "asymptotic" else 1 / trials.variance
    line = fit_line(trials.effect, 1 / (e_1 + e_2), weight, what)
    notes = (*cautions(trials, what=what), *left_out)
    return result_of_line(what, line, Setting("1/events", WEIGHTED, trials.fit.measure, level), notes)


def _with_counts(effects: PooledFit | pd.DataFrame, what: str) -> tuple[Trials, Counts]:
    """Return the trials and their tables; raise when there are none."""
    trials = trials_of(effects, what=what)
    e_1, n_1, e_2, n_2 = (_column(trials, name, what) for name in COUNTS)
    with np.errstate(invalid="ignore"):
        usable = (e_1 + e_2 > 0) & (e_1 + e_2 < n_1 + n_2)
    if usable.sum() < 3:
        raise NotEstimableError(
            f"{what} needs at least 3 trials with events and non-events; there are {int(usable.sum())}"
        )
    sign = np.ones(trials.k)
    if "lower_is_better" in trials.studies.columns:
        sign = np.where(trials.studies["lower_is_better"].to_numpy(dtype=float) == 1, -1.0, 1.0)
    trials, left_out = trials.keep(usable, "no counts, no event or no non-event")
    return trials, Counts(e_1[usable], n_1[usable], e_2[usable], n_2[usable], sign[usable], left_out)


def _column(trials: Trials, name: str, what: str) -> Array:
    if name not in trials.studies.columns:
        raise OptionError(f"{what} needs counts, columns {', '.join(COUNTS)}; the table has no {name}")
    return trials.studies[name].to_numpy(dtype=float)


def _cells(counts: Counts) -> tuple[Array, Array, Array, Array]:
    """Return the cells of the tables, half an event added where one is empty."""
    cells = (
        counts.events_1,
        counts.total_1 - counts.events_1,
        counts.events_2,
        counts.total_2 - counts.events_2,
    )
    empty = np.any([cell == 0 for cell in cells], axis=0)
    a, b, c, d = (cell + np.where(empty, 0.5, 0.0) for cell in cells)
    return a, b, c, d


def _result(test: str, line: Line, trials: Trials, counts: Counts, predictor: str, level: float) -> SmallStudyTest:
    notes = (*cautions(trials, what=test), *counts.notes)
    return result_of_line(test, line, Setting(predictor, WEIGHTED, "OR", level), notes)
