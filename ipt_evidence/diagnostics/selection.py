"""Selection models: the pooled effect if trials with small p-values were published more often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.diagnostics.selection_fit import fit_selection
from ipt_evidence.diagnostics.selection_record import reading_notes, record
from ipt_evidence.diagnostics.selection_result import SelectionModel, WeightSensitivity
from ipt_evidence.diagnostics.weight_functions import (
    VEVEA_WOODS_STEPS,
    VEVEA_WOODS_WEIGHTS,
    Alternative,
    Array,
    SelectionShape,
    StepWeights,
    WeightModel,
    shape_weights,
    step_weights,
)
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

THREE_PARAMETERS = (0.025,)


def selection_model(
    effects: PooledFit | pd.DataFrame,
    *,
    model: SelectionShape = "step",
    steps: Sequence[float] | None = None,
    alternative: Alternative = "greater",
    moderators: str | None = None,
    weights: Sequence[float] | None = None,
    level: float = 0.95,
) -> SelectionModel:
    """Correct the pooled effect for publication that depends on p-values, by maximum likelihood.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    model : {"step", "beta", "halfnormal", "negexp", "logistic", "power"}
        How the chance of publication depends on the p-value: one weight per interval, or a smooth function (see Notes).
    steps : sequence of float, optional
        Cut points between the intervals of p-values, ``model="step"`` only. ``(0.025,)``, the default, is the
        three-parameter model and ``(0.025, 0.5)`` the four-parameter model. p-values are one-sided unless
        ``alternative="two-sided"``: 0.025 is what is usually called significant.
    alternative : {"greater", "less", "two-sided"}
        Which results publication favours: high effects (here: in favour of arm 1), low ones, or both.
    moderators : str, optional
        Formula such as ``"~ n_sessions"`` for the mean effect; trials without a value are left out.
    weights : sequence of float, optional
        One weight for each interval, fixed beforehand instead of estimated (Vevea & Woods 2005); see
        :func:`weight_sensitivity` for the published patterns.
    level : float
        Level of the intervals.

    Returns
    -------
    SelectionModel

    Raises
    ------
    NotEstimableError
        An interval without trials, or no more trials than parameters.
    OptionError
        An option cannot be used, or two options exclude each other.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    The true effects are normal with variance tau2 before selection, which is estimated by maximum likelihood together
    with the mean and the weights. The smooth functions of p, with d >= 0 estimated: half-normal ``exp(-d p^2)``,
    negative-exponential ``exp(-d p)``, logistic ``2 exp(-d p) / (1 + exp(-d p))``, power ``(1 - p)^d``, beta
    ``p^(d1 - 1) (1 - p)^(d2 - 1)``. Standard errors come from the observed information. A tau2 of zero is held there; d
    at zero is the value of no selection, its uncertainty still counts. The likelihood-ratio test refers to chi-square,
    which is conservative for the functions whose d cannot be negative.

    References
    ----------
    Hedges LV. Modeling publication selection effects in meta-analysis. Stat Sci 1992;7:246-255.
    doi:10.1214/ss/1177011364
    Vevea JL, Hedges LV. A general linear model for estimating effect size in the presence of publication bias.
    Psychometrika 1995;60:419-435. doi:10.1007/BF02294384
    Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a priori weight functions.
    Psychol Methods 2005;10:428-443. doi:10.1037/1082-989X.10.4.428
    Preston C, Ashby D, Smyth R. Adjusting for publication bias: modelling the selection process. J Eval Clin Pract
    2004;10:313-322. doi:10.1111/j.1365-2753.2003.00457.x
    Citkowicz M, Vevea JL. A parsimonious weight function for modeling publication bias. Psychol Methods 2017;22:28-41.
    doi:10.1037/met0000119

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.selection import selection_model
    >>> effects = pd.DataFrame({"effect": [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.4, 0.1, 0.2, 0.35, 0.3, 0.1],
    ...                         "variance": [0.16, 0.12, 0.1, 0.08, 0.05, 0.09, 0.04, 0.02, 0.02, 0.03, 0.01, 0.01]})
    >>> fit = selection_model(effects)
    >>> round(fit.estimate, 3), round(fit.unadjusted, 3), fit.n_per_interval, fit.converged
    (0.075, 0.283, (8, 4), True)
    """
    choose("model", model, SelectionShape)
    choose("alternative", alternative, Alternative)
    check_level(level)
    cuts, fixed = _check_steps(model, steps, weights)
    trials = trials_of(effects, what="selection_model()")
    x, names, used, notes = _design(trials, moderators)
    y, v = trials.effect[used], trials.variance[used]
    sign = -1.0 if alternative == "less" else 1.0
    bound = _bind(sign * y / np.sqrt(v), model, cuts, alternative == "two-sided", fixed)
    _check_estimable(bound, cuts, len(y), x.shape[1])
    numbers = fit_selection(sign * y, v, x, bound, sign)
    few = cautions(trials, what="a selection model", heterogeneity=False)
    return record(
        numbers,
        bound,
        names,
        k=len(y),
        model=model,
        alternative=alternative,
        steps=cuts,
        measure=trials.fit.measure,
        level=level,
        notes=few + notes + reading_notes(numbers, bound, v, sign),
    )


def weight_sensitivity(
    effects: PooledFit | pd.DataFrame,
    *,
    patterns: Mapping[str, Sequence[float]] | None = None,
    steps: Sequence[float] = VEVEA_WOODS_STEPS,
    alternative: Alternative = "greater",
    level: float = 0.95,
) -> WeightSensitivity:
    """Show what the pooled effect would be under patterns of selection that are fixed beforehand.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    patterns : mapping of str to sequence of float, optional
        Weights of the intervals by name of the pattern. By default the four of Vevea & Woods (2005): moderate and
        severe selection, one-tailed and two-tailed.
    steps : sequence of float
        Cut points between the intervals, one-sided p-values.
    alternative : {"greater", "less"}
        Which results publication favours.
    level : float
        Level of the intervals.

    Returns
    -------
    WeightSensitivity
        The first row of its table is the fit without correction.

    Raises
    ------
    NotEstimableError
        There are fewer than three trials.
    OptionError
        Weights that cannot be used.

    Notes
    -----
    Works with few trials, because no weight is estimated. "Merely examples and should not be regarded as canonical",
    say the authors of the patterns. The pattern "moderate one-tailed" is that of the authors' program; some software
    lists 0.80 instead of 0.90 for p between 0.05 and 0.10 and all later weights one interval earlier.

    References
    ----------
    Vevea JL, Woods CM. Publication bias in research synthesis: sensitivity analysis using a priori weight functions.
    Psychol Methods 2005;10:428-443. doi:10.1037/1082-989X.10.4.428

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.selection import weight_sensitivity
    >>> effects = pd.DataFrame({"effect": [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.4, 0.1, 0.2, 0.35, 0.3, 0.1],
    ...                         "variance": [0.16, 0.12, 0.1, 0.08, 0.05, 0.09, 0.04, 0.02, 0.02, 0.03, 0.01, 0.01]})
    >>> weight_sensitivity(effects).tidy()[["pattern", "estimate"]].round(3)
                   pattern  estimate
    0        no correction     0.283
    1  moderate one-tailed     0.257
    2    severe one-tailed     0.230
    3  moderate two-tailed     0.261
    4    severe two-tailed     0.235
    """
    if choose("alternative", alternative, Alternative) == "two-sided":
        raise OptionError("alternative must be 'greater' or 'less': the patterns are weights of one-sided p-values")
    chosen = dict(VEVEA_WOODS_WEIGHTS if patterns is None else patterns)
    trials = trials_of(effects, what="weight_sensitivity()", minimum=3)
    few = cautions(trials, what="a selection model", heterogeneity=False)
    chosen = {"no correction": (1.0,) * (len(tuple(steps)) + 1), **chosen}
    models = {}
    for name, pattern in chosen.items():
        cuts, fixed = _check_steps("step", steps, pattern)
        sign = -1.0 if alternative == "less" else 1.0
        y, v = trials.effect, trials.variance
        bound = _bind(sign * y / np.sqrt(v), "step", cuts, False, fixed)
        numbers = fit_selection(sign * y, v, np.ones((trials.k, 1)), bound, sign)
        shared: dict[str, Any] = {"alternative": alternative, "steps": cuts, "measure": trials.fit.measure}
        said = few + reading_notes(numbers, bound, v, sign)
        models[name] = record(
            numbers, bound, ("Intercept",), k=trials.k, model="step", level=check_level(level), notes=said, **shared
        )
    return WeightSensitivity(models)


def _check_steps(
    model: SelectionShape, steps: Sequence[float] | None, weights: Sequence[float] | None
) -> tuple[tuple[float, ...], Array | None]:
    """Return the cut points below 1 and the fixed weights."""
    if model != "step":
        given = [name for name, value in (("steps", steps), ("weights", weights)) if value is not None]
        if given:
            raise OptionError(f"{' and '.join(given)} belong to model='step'; model={model!r} has no intervals")
        return (), None
    cuts = THREE_PARAMETERS if steps is None else _numbers("steps", steps)
    cuts = cuts[:-1] if cuts and cuts[-1] == 1 else cuts
    if not cuts or not all(0 < a < 1 for a in cuts) or any(a >= b for a, b in pairwise(cuts)):
        raise OptionError(f"steps must be ascending p-values between 0 and 1, such as (0.025, 0.5); received {steps!r}")
    if weights is None:
        return cuts, None
    fixed = _numbers("weights", weights)
    if len(fixed) != len(cuts) + 1 or not all(0 < w < math.inf for w in fixed):
        raise OptionError(
            f"weights must be {len(cuts) + 1} positive numbers, one for each interval of p-values that steps={cuts} "
            f"makes, the smallest p-values first; received {weights!r}"
        )
    return cuts, np.array(fixed)


def _numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError):
        raise OptionError(f"{name} must be a sequence of numbers; received {values!r}") from None


def _design(trials: Trials, moderators: str | None) -> tuple[Array, tuple[str, ...], Array, tuple[str, ...]]:
    """Return the design, its names, which trials have all moderators, and what to say of the others."""
    everyone = np.ones(trials.k, dtype=bool)
    if moderators is None:
        return np.ones((trials.k, 1)), ("Intercept",), everyone, ()
    from ipt_evidence.pooling.design import build_design, formula_variables, missing_moderators

    variables = formula_variables(moderators, trials.studies)
    lacking = missing_moderators(trials.studies, variables)
    used = lacking == ""
    if not used.any():
        raise NotEstimableError(f"none of the {trials.k} trials has a value of {', '.join(map(repr, variables))}")
    notes = tuple(f"{trials.labels[i]} was left out: {lacking[i]}." for i in np.flatnonzero(~used))
    design = build_design(moderators, trials.studies[used].reset_index(drop=True), variables)
    if len(design.names) > 1 and design.has_intercept:
        notes += ("The estimate is the intercept: the effect where all moderators are zero.",)
    return design.x, design.names, np.asarray(used, dtype=bool), notes


def _bind(
    z: Array, model: SelectionShape, cuts: tuple[float, ...], two_sided: bool, fixed: Array | None
) -> WeightModel:
    if model == "step":
        return step_weights(z, np.array(cuts), two_sided=two_sided, fixed=fixed)
    return shape_weights(z, model, two_sided=two_sided)


def _check_estimable(bound: WeightModel, cuts: tuple[float, ...], k: int, p: int) -> None:
    """Raise where an interval has no trials or there are too few trials for the parameters."""
    free = p + 1 + len(bound.names)
    if isinstance(bound, StepWeights) and bound.names:
        counts = np.bincount(bound.interval, minlength=len(cuts) + 1)
        ends = (0.0, *cuts, 1.0)
        told = [f"{a:g} to {b:g}: {n}" for a, b, n in zip(ends, ends[1:], counts, strict=False)]
        if np.any(counts == 0):
            empty = ", ".join(t.split(":")[0] for t, n in zip(told, counts, strict=True) if n == 0)
            raise NotEstimableError(
                f"no trial has a p-value in the interval {empty} (trials by p-value: {'; '.join(told)}), so its weight "
                "cannot be estimated; use fewer or other steps, or fix the weights with weight_sensitivity()"
            )
    if k <= free:
        raise NotEstimableError(
            f"the selection model has {free} parameters and there are {k} trials; at least {free + 1} are needed"
        )
