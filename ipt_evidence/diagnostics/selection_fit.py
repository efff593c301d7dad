"""From trials and a weight function to the numbers of a selection model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ipt_evidence.diagnostics.selection_likelihood import (
    Flags,
    Maximum,
    SelectionData,
    hessian,
    log_likelihood,
    maximise,
)
from ipt_evidence.diagnostics.weight_functions import Array, StepWeights, WeightModel, step_weights
from ipt_evidence.pooling.tau2 import estimate_tau2

ALMOST_ZERO = 1e-9
NEARLY_AS_GOOD = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class SelectionNumbers:
    """What a fit consists of, in the units and the direction of the effects.

    Attributes
    ----------
    beta, beta_error : numpy.ndarray
        Coefficients and standard errors, shape ``(p,)``.
    tau2, tau2_error : float
        Between-study variance; no standard error where it is zero.
    delta, delta_error : numpy.ndarray
        Parameters of the weight function, shape ``(q,)``.
    at_bound : numpy.ndarray
        Which parameters of the weight function end at a bound.
    log_likelihood, null_log_likelihood : float
        With selection, and of the same model without.
    converged : bool
        Whether the maximum was found.
    null_beta : numpy.ndarray
        Coefficients without selection, shape ``(p,)``.
    rivals : tuple of float
        Log-likelihoods of other local maxima that are nearly as high.
    """

    beta: Array
    beta_error: Array
    tau2: float
    tau2_error: float
    delta: Array
    delta_error: Array
    at_bound: Flags
    log_likelihood: float
    null_log_likelihood: float
    converged: bool
    null_beta: Array
    rivals: tuple[float, ...]


def fit_selection(y: Array, v: Array, x: Array, model: WeightModel, sign: float) -> SelectionNumbers:
    """Return the maximum-likelihood fit of a selection model.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects, turned so that selection favours high ones, and variances, shape ``(k,)``.
    x : numpy.ndarray
        Design, shape ``(k, p)``.
    model : WeightModel
        Weight function, bound to the p-values of ``y``.
    sign : float
        -1 when the effects were turned around, else 1.
    """
    unit = math.sqrt(float(np.median(v)))
    basis, triangle = np.linalg.qr(x)
    root_k = math.sqrt(y.size)
    back = np.linalg.inv(triangle) * root_k * unit
    scaled = SelectionData(y / unit, np.sqrt(v) / unit, basis * root_k, model)
    plain = step_weights(scaled.y / scaled.s, np.empty(0), two_sided=False, fixed=np.ones(1))
    null = _search(SelectionData(scaled.y, scaled.s, scaled.x, plain), _plain_starts(scaled))
    found = null if _is_plain(model) else _search(scaled, _starts(scaled, null.theta))
    found = _natural(found, model, x.shape[1])
    covariance = _covariance(scaled, found)
    p = x.shape[1]
    error = np.sqrt(np.diag(covariance)[p:])
    shift = y.size * math.log(unit)
    beta_error = np.sqrt(np.diag(back @ covariance[:p, :p] @ back.T))
    return SelectionNumbers(
        beta=sign * back @ found.theta[:p],
        beta_error=beta_error,
        tau2=float(found.theta[p]) * unit**2,
        tau2_error=float(error[0]) * unit**2,
        delta=found.theta[p + 1 :],
        delta_error=error[1:],
        at_bound=found.at_bound[p + 1 :],
        log_likelihood=found.value - shift,
        null_log_likelihood=null.value - shift,
        converged=found.converged and bool(np.isfinite(beta_error).all()),
        null_beta=sign * back @ null.theta[:p],
        rivals=tuple(value - shift for value in found.others if value > found.value - NEARLY_AS_GOOD),
    )


def _is_plain(model: WeightModel) -> bool:
    """Return whether all weights are fixed at one value, which is no selection."""
    return isinstance(model, StepWeights) and model.fixed is not None and bool(np.ptp(model.fixed) == 0)


def _plain_starts(data: SelectionData) -> list[Array]:
    """Return where to begin without selection: at the global maximum when there are no moderators."""
    v = data.s**2
    spread = float(np.var(data.y))
    guesses = (
        [float(estimate_tau2(data.y[None], v[None], "ML")[0])]
        if data.x.shape[1] == 1 and data.y.size > 1
        else [0.0, spread]
    )
    starts = []
    for tau2 in guesses:
        w = 1 / (v + tau2)
        beta = np.linalg.lstsq(data.x * np.sqrt(w)[:, None], data.y * np.sqrt(w), rcond=None)[0]
        starts.append(np.append(beta, tau2))
    return starts


def _starts(data: SelectionData, null: Array) -> list[Array]:
    """Return where to begin: the fit without selection, with less effect and more or less heterogeneity."""
    p = data.x.shape[1]
    beta, tau2, model = null[:p], float(null[p]), data.model
    lower = ((1.0, 1.0), (0.4, 1.3), (1.2, 0.5), (-0.3, 2.0))
    return [
        np.concatenate([beta * a, [tau2 * b + 0.05], model.transform(np.array(delta))])
        for (a, b), delta in zip(lower, model.starts, strict=False)
    ]


def _search(data: SelectionData, starts: list[Array]) -> Maximum:
    """Return the maximum, with the weight parameters on the scale of the search."""
    p, model = data.x.shape[1], data.model

    def objective(theta: Array) -> tuple[float, Array]:
        delta, slope = model.restore(theta[p + 1 :])
        with np.errstate(over="ignore", under="ignore"):
            value, gradient = log_likelihood(data, np.concatenate([theta[: p + 1], delta]))
        return value, np.concatenate([gradient[: p + 1], gradient[p + 1 :] * slope])

    ends = [model.transform(np.array(bound)) for bound in zip(*model.bounds, strict=True)] or [np.empty(0)] * 2
    low = np.concatenate([np.full(p, -np.inf), [0.0], ends[0]])
    high = np.concatenate([np.full(p, np.inf), [np.inf], ends[1]])
    return maximise(objective, starts, low, high, lambda theta: _scale(data, theta))


def _scale(data: SelectionData, theta: Array) -> Array:
    """Return the sizes of the parameters for differences; tau2 must stay above minus the smallest variance."""
    scale = np.ones(theta.size)
    p = data.x.shape[1]
    scale[p] = min(1.0, 20 * (float(np.min(data.s)) ** 2 + float(theta[p])))
    return scale


def _natural(found: Maximum, model: WeightModel, p: int) -> Maximum:
    """Return the maximum with the weight parameters themselves; at an arbitrary end of their range it is none."""
    delta = model.restore(found.theta[p + 1 :])[0]
    if delta.size:
        delta = np.clip(delta, *np.transpose(model.bounds))
    theta = np.concatenate([found.theta[: p + 1], delta])
    stuck = bool(np.any(found.at_bound[p + 1 :] & (np.abs(delta - model.null) >= ALMOST_ZERO)))
    return Maximum(theta, found.value, found.at_bound, found.converged and not stuck, found.others)


def _covariance(data: SelectionData, found: Maximum) -> Array:
    """Return the inverse of the observed information; NaN where there is none.

    A tau2 of zero is held fixed. A weight parameter at the value of no selection is not, if the information allows: its
    uncertainty counts.
    """
    p, size = data.x.shape[1], found.theta.size
    counted = ~found.at_bound
    for j, null in enumerate(data.model.null):
        counted[p + 1 + j] |= abs(found.theta[p + 1 + j] - null) < ALMOST_ZERO
    scale = _scale(data, found.theta)
    scale[p + 1 :] *= np.maximum(found.theta[p + 1 :], 0.1)
    covariance = np.full((size, size), np.nan)
    for free in (counted, ~found.at_bound):
        information = -hessian(lambda theta: log_likelihood(data, theta), found.theta, scale, free)
        if np.isfinite(information).all() and np.all(np.linalg.eigvalsh(information) > 0):
            covariance[np.ix_(free, free)] = np.linalg.inv(information)
            break
    return covariance
