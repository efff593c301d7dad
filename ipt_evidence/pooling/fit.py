"""The front door of pooling: :func:`pool` turns an effects table into a :class:`PooledFit`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import (
    Aggregation,
    CiMethod,
    Dependence,
    I2Method,
    PredictionDf,
    PredictionSe,
    Preset,
    Tau2CiMethod,
    Tau2Method,
)
from ipt_evidence.pooling.effect_rows import Rows, comparison_codes, read_effects, trial_codes
from ipt_evidence.pooling.intervals import Heterogeneity, MeanInterval
from ipt_evidence.pooling.moments import Array
from ipt_evidence.pooling.notes import (
    nothing_to_pool,
    one_measure,
    reading_notes,
    wald_half_width,
    warn_mixed,
    warn_repeated,
    warn_several_comparisons,
)
from ipt_evidence.pooling.pool_dependent import pool_dependent
from ipt_evidence.pooling.result import PooledFit, PoolMethod
from ipt_evidence.pooling.settings import PoolOptions, resolve_method
from ipt_evidence.pooling.statistics import Numbers, compute
from ipt_evidence.pooling.studies_table import StudiesSource
from ipt_evidence.pooling.units import Units, aggregate, one_per_unit, participants

Codes = npt.NDArray[np.intp]
Reasons = npt.NDArray[np.object_]

__all__ = ["PoolOptions", "fit_table", "pool"]


def pool(
    effects: pd.DataFrame,
    *,
    tau2_method: Tau2Method | None = None,
    ci_method: CiMethod | None = None,
    prediction_df: PredictionDf | None = None,
    prediction_se: PredictionSe | None = None,
    tau2_ci_method: Tau2CiMethod | None = None,
    i2_method: I2Method | None = None,
    level: float | None = None,
    dependence: Dependence | None = None,
    rho: float | None = None,
    aggregation: Aggregation | None = None,
    preset: Preset | None = None,
) -> PooledFit:
    """Pool effects in a random-effects (or common-effect) model.

    Parameters
    ----------
    effects : pandas.DataFrame
        One row per effect with `effect` and `variance` (or `std_error`); rows of one trial share `trial_id`. A row
        without effect or variance is left out and listed with its reason. All other columns travel along.
    tau2_method : str, optional
        Estimator of the between-study variance: ``"REML"`` (default), ``"DL"``, ``"PM"``, ``"ML"``, ``"EB"``, ``"HE"``,
        ``"HS"``, ``"HSk"``, ``"SJ"``, ``"SJIT"``, ``"PMM"``, ``"DLIT"``, or ``"EE"`` for the common-effect model.
    ci_method : {"hksj", "hksj-adhoc", "wald", "t", "kr", "henmi-copas"}, optional
        Confidence interval of the mean; default Hartung-Knapp-Sidik-Jonkman. ``"kr"``: Kenward-Roger (REML only);
        ``"henmi-copas"``: common-effect weights with an interval that allows for heterogeneity (DL only).
    prediction_df : {"k-1", "k-2", "z", "as-ci"}, optional
        Degrees of freedom of the prediction interval.
    prediction_se : {"ci", "wald"}, optional
        Standard error inside the prediction interval: that of the confidence interval (metafor) or Wald's (meta).
    tau2_ci_method : {"qprofile", "profile", "jackson", "biggerstaff-jackson", "none"}, optional
        Interval of tau2: Q-profile, profile likelihood, generalised Q with weights ``1/SE`` or ``1/variance``.
    i2_method : {"tau2", "q"}, optional
        I2 from tau2 and the typical sampling variance, or from Cochran's Q.
    level : float, optional
        Confidence level of all intervals; default 0.95.
    dependence : {"aggregate", "independent", "three_level", "che"}, optional
        What happens to several effects of one trial. Default: one effect per trial, with a warning where they are
        different comparisons (several treatments against one control) and not several outcomes of one; giving the
        option says that it is meant; without it, comparisons among which :func:`split_shared_control` divided an arm
        stay apart. ``"three_level"`` and ``"che"`` (correlated and hierarchical effects, correlation
        `rho`) keep them all; their `ci_method` is ``"cr2"`` (robust, the default there), ``"cr1"``, ``"cr0"``, ``"t"``
        or ``"wald"``, and tau2 is the sum of both levels.
    rho : float, optional
        Correlation between the sampling errors of one trial; default 0.6.
    aggregation : {"weighted", "mean"}, optional
        Minimum-variance combination, or the plain mean.
    preset : {"cochrane", "metafor", "meta", "metapsy", "cma"}, optional
        Defaults of a house, which the options above override. ``"cma"``: DerSimonian-Laird, Wald, effects and standard
        errors of a trial averaged.

    Returns
    -------
    PooledFit
        With one trial: that trial's own effect and Wald interval, tau2 NaN, and a note.

    Raises
    ------
    NotEstimableError
        No row has both effect and variance.
    SchemaError
        A variance is zero or negative, or a cell is not a number; all are named.
    OptionError
        An option is not among its choices, or the rows have several measures.

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.2, 0.5, 0.9], "variance": [0.04, 0.02, 0.06]})
    >>> fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    >>> round(fit.estimate, 4), round(fit.tau2, 4)
    (0.5095, 0.0533)
    """
    options = PoolOptions(
        tau2_method=tau2_method,
        ci_method=ci_method,
        prediction_df=prediction_df,
        prediction_se=prediction_se,
        tau2_ci_method=tau2_ci_method,
        i2_method=i2_method,
        level=level,
        dependence=dependence,
        rho=rho,
        aggregation=aggregation,
        preset=preset,
    )
    return fit_table(effects, resolve_method(options), chosen=dependence is not None)


def fit_table(
    effects: pd.DataFrame,
    method: PoolMethod,
    *,
    group: str = "",
    tau2: float | None = None,
    empty: bool = False,
    chosen: bool = True,
) -> PooledFit:
    """Return the fit of one table under settings already resolved.

    Parameters
    ----------
    tau2 : float, optional
        A between-study variance to use instead of estimating one.
    empty : bool
        Return a fit without numbers, instead of raising, when no row can be pooled.
    chosen : bool
        Whether the caller chose what happens to several effects of one trial; if not, combining different comparisons
        of a trial is warned of.
    """
    rows = Rows.of(effects)
    y, v, why_not = read_effects(rows)
    used = ~np.isnan(y)
    measure = one_measure(rows, y)
    trial = unit = trial_codes(rows, used)
    if not used.any() and not empty:
        raise NotEstimableError(nothing_to_pool(rows, why_not))
    if method.dependence in ("three_level", "che") and used.any():
        numbers, units, notes = _keep_all_effects(y, v, why_not, trial, method, tau2)
    else:
        if not (chosen and method.dependence == "aggregate"):
            unit = comparison_codes(rows, trial)
        units = _one_effect_each(rows, y, v, why_not, unit, method)
        numbers, notes = compute(units.y, units.v, method, tau2), ()
    if method.dependence == "independent":
        warn_repeated(rows, unit, units)
    elif method.dependence == "aggregate" and not chosen:
        warn_several_comparisons(rows, unit, units)
    warn_mixed(rows, units)
    people = participants(rows, units, trial)
    notes = (*notes, *reading_notes(numbers, method, units, people, apart=unit is not trial))
    weights = {"weight": numbers.weights, "weight_common": numbers.weights_common}
    source = StudiesSource.of(effects, units, method.level, **weights)
    return _assemble(numbers, method, source, people.n, notes, measure, group)


def _one_effect_each(rows: Rows, y: Array, v: Array, why_not: Reasons, trial: Codes, method: PoolMethod) -> Units:
    """Return one effect per trial, or every row for itself where that was asked for."""
    if method.dependence != "independent" and "trial_id" in rows.names:
        return aggregate(y, v, why_not, trial, method.rho, method.aggregation)
    return one_per_unit(y, v, why_not)


def _keep_all_effects(
    y: Array, v: Array, why_not: Reasons, trial: Codes, method: PoolMethod, tau2: float | None
) -> tuple[Numbers, Units, tuple[str, ...]]:
    """Return the multilevel fit that keeps every effect of a trial, in the shape of the other fits."""
    if tau2 is not None:
        raise OptionError(f"common_tau2 goes with one effect per trial, not with dependence={method.dependence!r}")
    d = pool_dependent(y, v, trial, method)
    units = Units(d.effect, d.variance, d.unit_of_row, why_not)
    mean = MeanInterval(d.estimate, d.std_error, d.ci_low, d.ci_high, d.statistic, d.p_value, d.df, d.wald_std_error)
    het = Heterogeneity(d.i2, float("nan"), float("nan"), d.h2)
    common = 100 / d.variance / (1 / d.variance).sum()
    nothing = (float("nan"), float("nan"))
    ends, height = (d.pi_low, d.pi_high), d.log_likelihood
    numbers = Numbers(
        d.k, mean, d.tau2, d.tau2_std_error, nothing, het, ends, d.q, d.q_df, d.q_p, height, d.weight, common
    )
    return numbers, units, d.notes


def _assemble(
    numbers: Numbers,
    method: PoolMethod,
    source: StudiesSource,
    n: int | None,
    notes: tuple[str, ...],
    measure: str,
    group: str,
) -> PooledFit:
    """Return the record, every number a plain float."""
    m, h = numbers.mean, numbers.het
    estimate = float(m.estimate)
    wald = wald_half_width(numbers, method.level)
    return PooledFit(
        estimate=estimate,
        std_error=float(m.std_error),
        ci_low=float(m.ci_low),
        ci_high=float(m.ci_high),
        statistic=float(m.statistic),
        df=float(m.df),
        p_value=float(m.p_value),
        wald_ci_low=estimate - wald,
        wald_ci_high=estimate + wald,
        pi_low=numbers.prediction[0],
        pi_high=numbers.prediction[1],
        tau2=numbers.tau2,
        tau2_std_error=numbers.tau2_se,
        tau2_ci_low=numbers.tau2_ci[0],
        tau2_ci_high=numbers.tau2_ci[1],
        tau=numbers.tau2**0.5,
        i2=float(h.i2),
        i2_ci_low=float(h.i2_ci_low),
        i2_ci_high=float(h.i2_ci_high),
        h2=float(h.h2),
        q=numbers.q,
        q_df=numbers.q_df,
        q_p=numbers.q_p,
        log_likelihood=numbers.log_likelihood,
        k=numbers.k,
        n_participants=n,
        measure=measure,
        method=method,
        source=source,
        notes=notes,
        group=group,
    )
