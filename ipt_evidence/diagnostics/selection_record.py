"""From the numbers of a selection model to its record: intervals, tests, tables, and what to say of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import chdtrc, ndtri

from ipt_evidence.diagnostics.selection_fit import SelectionNumbers
from ipt_evidence.diagnostics.selection_result import SelectionModel
from ipt_evidence.diagnostics.weight_functions import Array, StepWeights, WeightModel
from ipt_evidence.pooling.intervals import two_sided_p

if TYPE_CHECKING:
    import pandas as pd

FAR_LESS_CERTAIN = 3.0


def reading_notes(numbers: SelectionNumbers, bound: WeightModel, v: Array, sign: float) -> tuple[str, ...]:
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


def record(
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
