"""Refits of a pooled effect with some of its trials, by the settings of the fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.pooling.batch import OUTPUTS, BatchMethod, fit_chunk
from ipt_evidence.pooling.effect_rows import read_effects
from ipt_evidence.pooling.pool_dependent import pool_dependent
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.pooling.statistics import compute

Masks = npt.NDArray[np.bool_]

BATCHED = ("wald", "t", "hksj", "hksj-adhoc")
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "tau2", "i2", "q")
SAME_TAU2 = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Refits:
    """Numbers of many refits, one value each, shape ``(fits,)``; heterogeneity is NaN for fits of one trial."""

    estimate: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    tau2: Array
    i2: Array
    q: Array

    def columns(self) -> dict[str, Array]:
        """Return the numbers as columns of a table."""
        return {name: getattr(self, name) for name in NUMBERS}


def units_of(data: PooledFit | pd.DataFrame, *, what: str, minimum: int) -> Trials:
    """Return the trials behind a fit, also of one that keeps several effects per trial.

    As :func:`~ipt_evidence.diagnostics.inputs.trials_of`; a trial of a multilevel fit has its own weighted mean effect.
    """
    if not isinstance(data, PooledFit) or data.method.dependence not in ("three_level", "che"):
        return trials_of(data, what=what, minimum=minimum)
    if data.k < minimum:
        raise NotEstimableError(f"{what} needs at least {minimum} trials; there are {data.k}")
    studies = data.studies
    studies = studies[studies["included"].to_numpy(dtype=bool)].reset_index(drop=True)
    effect, variance = (studies[name].to_numpy(dtype=float) for name in ("effect", "variance"))
    return Trials(data, effect, variance, tuple(studies["study"].astype(str)), studies)


def refit(trials: Trials, masks: Masks) -> Refits:
    """Return fits of subsets of the trials.

    Parameters
    ----------
    trials : Trials
        All trials, with the fit whose settings are used.
    masks : numpy.ndarray of bool
        Shape ``(fits, k)``: the trials of each fit, at least one.

    Raises
    ------
    OptionError
        The fit used a tau2 that was not estimated from its own trials, so that refits would change more than the
        trials.
    """
    everyone = np.vstack([masks, np.ones((1, trials.k), dtype=bool)])
    method = trials.fit.method
    if method.dependence in ("three_level", "che"):
        found = _by_row(_multilevel(trials.fit, everyone))
    elif method.ci_method in BATCHED:
        found = _batched(trials, everyone)
    else:
        found = _by_row(_one_by_one(trials, everyone))
    _same_tau2(trials, float(found[NUMBERS.index("tau2"), -1]))
    return Refits(*found[:, :-1])


def _same_tau2(trials: Trials, again: float) -> None:
    given = trials.fit.tau2
    if trials.k > 1 and abs(again - given) > SAME_TAU2 * max(given, float(trials.variance.mean())):
        raise OptionError(
            "this fit used a tau2 from outside its own trials (such as one in common with other groups), so a refit "
            "of some of its trials would change more than the trials; pool these rows on their own first"
        )


def _batched(trials: Trials, masks: Masks) -> Array:
    m = trials.fit.method
    settings = BatchMethod(m.tau2_method, m.ci_method, m.prediction_df, m.i2_method, m.level)
    fits = fit_chunk(trials.effect[None], trials.variance[None], masks, settings)
    return fits[[OUTPUTS.index(name) for name in NUMBERS]]


def _one_by_one(trials: Trials, masks: Masks) -> Iterator[tuple[float, ...]]:
    method = replace(trials.fit.method, tau2_ci_method="none")
    for mask in masks:
        n = compute(trials.effect[mask], trials.variance[mask], method)
        m = n.mean
        yield tuple(map(float, (m.estimate, m.std_error, m.ci_low, m.ci_high, n.tau2, n.het.i2, n.q)))


def _multilevel(fit: PooledFit, masks: Masks) -> Iterator[tuple[float, ...]]:
    y, v, _ = read_effects(fit.source.effects)
    unit = fit.source.units.unit_of_row
    for mask in masks:
        keep = (unit >= 0) & mask[unit]
        d = pool_dependent(np.where(keep, y, np.nan), np.where(keep, v, np.nan), unit, fit.method)
        yield tuple(float(getattr(d, name)) for name in NUMBERS)


def _by_row(fits: Iterator[tuple[float, ...]]) -> Array:
    return np.array(list(fits)).T
