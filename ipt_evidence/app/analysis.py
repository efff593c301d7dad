"""From a view to its numbers; pure, and remembered for the views that many people look at."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ipt_evidence.app.bounded import Bounded
from ipt_evidence.app.data import FIT_COLUMNS, TrialData
from ipt_evidence.app.html import words
from ipt_evidence.app.selection import Selection, select
from ipt_evidence.app.view import View
from ipt_evidence.diagnostics.influence import influence
from ipt_evidence.diagnostics.outliers import outliers
from ipt_evidence.errors import DependenceWarning, EvidenceError, NotEstimableError
from ipt_evidence.pooling.fit import pool
from ipt_evidence.pooling.result import PooledFit, PooledFits
from ipt_evidence.pooling.settings import PRESETS, ROBUST
from ipt_evidence.pooling.subgroups import pool_by

if TYPE_CHECKING:
    import pandas as pd

REMEMBERED = 200
CONTROL_EVENT_RATE = 0.2


@dataclass(frozen=True, eq=False)
class Result:
    """What a view comes to.

    Attributes
    ----------
    view : View
        The question answered.
    selection : Selection
        The rows behind it.
    fit : PooledFit or None
        ``None`` when nothing can be pooled; then `problem` says why.
    everything : PooledFit or None
        The fit before trials were ticked out or removed by a rule; `fit` itself where there is no such trial.
    removed : tuple of str
        Trials that the outlier rule removed.
    problem : str
        Why there is no fit, in a sentence.
    cautions : tuple of str
        What the package warned of.
    """

    view: View
    selection: Selection
    fit: PooledFit | None
    everything: PooledFit | None
    removed: tuple[str, ...]
    problem: str
    cautions: tuple[str, ...]

    @property
    def ticked(self) -> dict[str, bool]:
        """Whether each trial of the selection is ticked in."""
        out = set(self.view.out)
        return {trial: trial not in out for trial in dict.fromkeys(self.selection.rows["trial_id"].astype(str))}


class Analyst:
    """Answer views of one data set, remembering the last answers."""

    def __init__(self, data: TrialData, remember: int = REMEMBERED) -> None:
        self.data = data
        self._results: Bounded[Result] = Bounded(remember)
        self._groups: Bounded[tuple[PooledFits | None, tuple[str, ...]]] = Bounded(max(2, remember // 10))
        self._selections: Bounded[Selection] = Bounded(remember)
        self.pages: Bounded[str] = Bounded(remember)

    def result(self, view: View) -> Result:
        """Return the numbers of a view."""
        return self._results.get(view.pooled, lambda: self._answer(view.pooled))

    def selection(self, view: View) -> Selection:
        """Return the rows of a view, before any trial is ticked out."""
        key = view.untouched
        return self._selections.get(key, lambda: select(key, self.data.effects(key.convention)))

    def rows(self, view: View, *more: str) -> pd.DataFrame:
        """Return the rows that a view pools, without the trials ticked out; `more` are columns besides the usual."""
        rows = self.selection(view).rows
        mixed = [name for name in ("condition", "phase") if getattr(view, name) == "all"]
        names = dict.fromkeys((*FIT_COLUMNS, *mixed, *more))
        narrow = rows[[name for name in names if name in rows.columns]]
        return narrow[~narrow["trial_id"].isin(view.out)] if view.out else narrow

    def _answer(self, view: View) -> Result:
        selection = self.selection(view)
        before = self.result(view.untouched) if view != view.untouched else None
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                rows, removed = self.without_outliers(view)
                fit, problem = _pool(rows, view), ""
            except EvidenceError as error:
                fit, removed, problem = None, (), _sentence(error, selection)
        said = tuple(dict.fromkeys(str(warning.message) for warning in caught))
        cautions = (*selection.unknown, *self.data.remarks(view.convention), *said)
        everything = before.fit if before is not None else fit
        return Result(view, selection, fit, everything, removed, problem, cautions)

    def one_effect_result(self, view: View) -> Result:
        """Return the numbers of a view with one effect per trial."""
        return self.result(replace(view.question, dependence="aggregate", ci="" if view.ci in ROBUST else view.ci))

    def without_outliers(self, view: View, *more: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """Return the rows that are pooled in the end, and the trials that the outlier rule removed."""
        rows = self.rows(view, *more)
        if view.outliers == "none":
            return rows, ()
        removed = outlying(rows, view)
        return rows[~rows["trial_id"].isin(removed)], removed

    def by_group(self, view: View) -> PooledFits | None:
        """Return the fits of the groups of a view, named in words; ``None`` where it has no groups or no trial."""
        return self._grouped(view)[0]

    def group_cautions(self, view: View) -> tuple[str, ...]:
        """Return what pooling the groups of a view warned of, such as trials that stand in several."""
        return self._grouped(view)[1]

    def _grouped(self, view: View) -> tuple[PooledFits | None, tuple[str, ...]]:
        return self._groups.get(view.question, lambda: self._pool_by(view.question))

    def _pool_by(self, view: View) -> tuple[PooledFits | None, tuple[str, ...]]:
        if not view.group or view.group not in self.data.studies.columns or self.result(view).fit is None:
            return None, ()
        rows, _ = self.without_outliers(view, view.group)
        named = rows.assign(**{view.group: [words(value) for value in rows[view.group]]})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fits = pool_by(named, view.group, **pool_options(view))
        said = (str(warning.message) for warning in caught if issubclass(warning.category, DependenceWarning))
        return fits, tuple(dict.fromkeys(said))


def _pool(rows: pd.DataFrame, view: View) -> PooledFit:
    if rows.empty:
        raise NotEstimableError("")
    return pool(rows, **pool_options(view))


def _sentence(error: EvidenceError, selection: Selection) -> str:
    """Return why nothing was pooled; where no trial is left, which choice removed the last one."""
    if str(error) and not selection.rows.empty:
        return str(error)
    if not selection.rows.empty:
        return "Every trial is ticked out. Tick at least one to see a result."
    n = selection.steps[0].trials
    if not n:
        return "The data hold no trial of this condition with this contrast."
    last = next(step for step in selection.steps if not step.trials)
    there = f"the data hold {n} trial{'s' if n > 1 else ''} of this condition with this contrast"
    return f"No trial fits all choices: {there}, the last of which leave with “{last.label}”. The tab Trials says why."


def pool_options(view: View) -> dict[str, Any]:
    """Return the options of :func:`ipt_evidence.pool` that a view stands for.

    What happens to several effects of a trial is always said, since the page shows it as a choice.

    Examples
    --------
    >>> pool_options(View(tau2="DL"))
    {'preset': 'cochrane', 'tau2_method': 'DL', 'dependence': 'aggregate', 'level': 0.95}
    """
    preset: Any = view.preset
    chosen = {
        "preset": view.preset,
        "tau2_method": view.tau2,
        "ci_method": view.ci,
        "prediction_df": view.prediction,
        "dependence": view.dependence or PRESETS[preset].dependence,
        "rho": view.rho,
        "level": view.level,
    }
    return {name: value for name, value in chosen.items() if value not in ("", None)}


def one_effect_options(view: View) -> dict[str, Any]:
    """Return the options of the same analysis with one effect per trial, which diagnostics need."""
    options = pool_options(view) | {"dependence": "aggregate"}
    if options.get("ci_method") in ROBUST:
        del options["ci_method"]
    return options


def outlying(rows: pd.DataFrame, view: View) -> tuple[str, ...]:
    """Return the trials that the outlier rule of a view removes; none where there are too few to tell."""
    try:
        base = pool(rows, **one_effect_options(view))
        trials = base.studies[base.studies["included"].to_numpy(dtype=bool)]["trial_id"].to_numpy(dtype=object)
        if view.outliers == "influential":
            return tuple(trials[influence(base)["is_influential"].to_numpy(dtype=bool)])
        without = outliers(base).fit.studies
        kept = set(without["trial_id"][without["included"].to_numpy(dtype=bool)])
    except NotEstimableError:
        return ()
    return tuple(trial for trial in trials if trial not in kept)


def usable(fit: PooledFit | None) -> bool:
    """Return whether a fit has a pooled effect of at least one trial."""
    return fit is not None and fit.k > 0 and not math.isnan(fit.estimate)


def facts(fit: PooledFit) -> Mapping[str, float]:
    """Return the shares of people and numbers needed to treat that an effect in standard deviations stands for."""
    from ipt_evidence.effects.convert import nnt

    if fit.measure != "SMD" or math.isnan(fit.estimate):
        return {}
    above = 0.5 * (1 + math.erf(fit.estimate / math.sqrt(2)))
    return {"above_average": 100 * above, "nnt": float(nnt(fit.estimate, control_event_rate=CONTROL_EVENT_RATE))}
