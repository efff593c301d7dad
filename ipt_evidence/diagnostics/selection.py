"""Selection models: the pooled effect if trials with small p-values were published more often."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc, ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.diagnostics.selection_fit import SelectionNumbers, fit_selection
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
from ipt_evidence.pooling.intervals import two_sided_p
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

THREE_PARAMETERS = (0.025,)
FAR_LESS_CERTAIN = 3.0


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
    said = cautions(trials, what="a selection model", heterogeneity=False) + notes + _said(numbers, bound, y, v, sign)
    return _result(
        numbers,
        bound,
        names,
        k=len(y),
        model=model,
        alternative=alternative,
        steps=cuts,
        measure=trials.fit.measure,
        level=level,
        notes=said,
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
        said = few + _said(numbers, bound, y, v, sign)
        models[name] = _result(
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


def _said(numbers: SelectionNumbers, bound: WeightModel, y: Array, v: Array, sign: float) -> tuple[str, ...]:
    """Return what a reader should know about this fit."""
    notes = []
    if numbers.tau2 == 0:
        notes.append("tau2 is estimated as zero; standard errors take it as known.")
    for name, value, null, stuck in zip(bound.names, numbers.delta, bound.null, numbers.at_bound, strict=True):
        if stuck and value == null:
            notes.append(
                f"{name} ends at {value:g}, the value of no selection: the model finds no selection to correct."
            )
        elif stuck:
            notes.append(
                f"{name} runs to the end of its range ({value:g}): the data determine neither it nor the effect."
            )
    if not numbers.converged:
        notes.append(
            "The likelihood has no proper maximum, or it was not found: the data cannot tell selection "
            "from a small effect."
        )
    if numbers.rivals:
        notes.append(
            f"The likelihood has more than one maximum (log-likelihoods {numbers.log_likelihood:.3f} and "
            f"{max(numbers.rivals):.3f}); the highest is reported."
        )
    plain = math.sqrt(1 / float(np.sum(1 / (v + numbers.tau2))))
    if numbers.beta_error.size == 1 and numbers.beta_error[0] > FAR_LESS_CERTAIN * plain:
        notes.append(
            f"The corrected effect is {numbers.beta_error[0] / plain:.1f} times as uncertain as one of the same trials "
            "without selection; it says little."
        )
    if numbers.beta.size == 1 and sign * numbers.null_beta[0] < 0:
        notes.append("Selection is assumed to favour the direction in which the pooled effect does not lie.")
    if bound.names and numbers.beta.size == 1 and sign * (numbers.beta[0] - numbers.null_beta[0]) > plain / 10:
        notes.append(
            "The correction goes in the direction that selection was assumed to favour: the weights found are those of "
            "trials with small p-values being published less often."
        )
    return tuple(notes)


def _result(
    numbers: SelectionNumbers, bound: WeightModel, names: tuple[str, ...], *, level: float, **fields: Any
) -> SelectionModel:
    """Return the numbers with intervals, tests and tables."""
    import pandas as pd

    q = float(ndtri(0.5 + level / 2))
    error = numbers.beta_error if numbers.converged else np.full_like(numbers.beta_error, np.nan)
    table = pd.DataFrame({"term": names, "estimate": numbers.beta, "std_error": error})
    table["statistic"] = table["estimate"] / table["std_error"]
    table["p_value"] = [float(two_sided_p(float(z), math.inf)) for z in table["statistic"]]
    table["ci_low"], table["ci_high"] = numbers.beta - q * error, numbers.beta + q * error
    first = table.iloc[0] if names[0] == "Intercept" else table.iloc[0] * math.nan
    free = len(bound.names)
    lrt = max(0.0, 2 * (numbers.log_likelihood - numbers.null_log_likelihood)) if free else math.nan
    parameters = bound.weights(numbers.delta) if isinstance(bound, StepWeights) else numbers.delta
    return SelectionModel(
        estimate=float(first["estimate"]),
        std_error=float(first["std_error"]),
        ci_low=float(first["ci_low"]),
        ci_high=float(first["ci_high"]),
        statistic=float(first["statistic"]),
        estimate_p_value=float(first["p_value"]),
        tau2=numbers.tau2,
        tau2_std_error=numbers.tau2_error,
        lrt=lrt,
        lrt_df=free,
        p_value=float(chdtrc(free, lrt)) if free else math.nan,
        log_likelihood=numbers.log_likelihood,
        null_log_likelihood=numbers.null_log_likelihood,
        unadjusted=float(numbers.null_beta[0]) if names[0] == "Intercept" else math.nan,
        converged=numbers.converged,
        parameters=tuple(map(float, parameters)),
        level=level,
        weight_table=_weight_table(numbers, bound, fields["steps"], q),
        coefficient_table=table,
        **fields,
    )


def _weight_table(numbers: SelectionNumbers, bound: WeightModel, cuts: tuple[float, ...], q: float) -> pd.DataFrame:
    """Return the weights of the intervals, or the parameters of the function, with intervals."""
    import pandas as pd

    value, error = numbers.delta, numbers.delta_error
    names, low, high, count = list(bound.names), [math.nan] * value.size, [math.nan] * value.size, [0] * value.size
    if isinstance(bound, StepWeights):
        value = bound.weights(numbers.delta)
        error = np.concatenate([[math.nan], error]) if error.size else np.full(value.size, math.nan)
        names, low, high = [f"weight_{j + 1}" for j in range(value.size)], [0.0, *cuts], [*cuts, 1.0]
        count = [int(n) for n in np.bincount(bound.interval, minlength=value.size)]
    error = error if numbers.converged else np.full(value.size, math.nan)
    table = pd.DataFrame({"term": names, "p_low": low, "p_high": high, "n_trials": count, "estimate": value})
    table["std_error"] = error
    if cuts or value.size > 1:
        spread = np.exp(q * error / value)
        table["ci_low"], table["ci_high"] = value / spread, value * spread
    else:
        table["ci_low"], table["ci_high"] = np.maximum(value - q * error, 0.0), value + q * error
    return table
