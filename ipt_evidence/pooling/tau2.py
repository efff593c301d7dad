"""The between-study variance: thirteen estimators, their standard errors, for one data set or many.

References
----------
Viechtbauer W. Bias and efficiency of meta-analytic variance estimators in the random-effects model. J Educ Behav Stat
2005;30:261-293. doi:10.3102/10769986030003261
Veroniki AA, Jackson D, Viechtbauer W, et al. Methods to estimate the between-study variance and its uncertainty in
meta-analysis. Res Synth Methods 2016;7:55-79. doi:10.1002/jrsm.1164
DerSimonian R, Kacker R. Random-effects model for meta-analysis of clinical trials: an update. Contemp Clin Trials
2007;28:105-114. doi:10.1016/j.cct.2006.04.004
van Aert RCM, Jackson D. Multistep estimators of the between-study variance: the relationship with the Paule-Mandel
estimator. Stat Med 2018;37:2616-2629. doi:10.1002/sim.7665 (iterated estimators end at Paule and Mandel's)
Viechtbauer W. Median-unbiased estimators for the amount of heterogeneity in meta-analysis. European Congress of
Methodology, Valencia, 2021. https://www.wvbauer.com/lib/exe/fetch.php/talks:2021_viechtbauer_eam_median_tau2.pdf
"""

from __future__ import annotations

from functools import partial
from typing import cast

import numpy as np
from scipy.special import chdtri

from ipt_evidence.options import Tau2Method
from ipt_evidence.pooling.certain_maxima import Likelihood, first_values, highest_maximum
from ipt_evidence.pooling.kernel import (
    count,
    log_likelihood,
    newton,
    q_excess,
)
from ipt_evidence.pooling.moments import Array, Moments, Values, moments, rest

ABOVE_ROUNDING = 1 + 2**-10
QUADRATIC = ("DL", "HE", "HS", "HSk", "SJ")
LIKELIHOOD = ("REML", "ML")
ROOT_METHODS = ("PM", "EB", "PMM", "SJIT", "DLIT")


def estimate_tau2(y: Array, v: Array, method: Tau2Method) -> Array:
    """Return the between-study variance of each data set, never below zero.

    Parameters
    ----------
    y, v : numpy.ndarray
        Effects and sampling variances, shape ``(batch, k)``; ``v = inf`` marks a study that is not in a data set.
    method : str
        One of the estimators of :data:`ipt_evidence.options.Tau2Method`.

    Returns
    -------
    numpy.ndarray
        Shape ``(batch,)``. Data sets with fewer than two studies give NaN (zero for ``"EE"``).

    Notes
    -----
    Empirical Bayes (Morris), the iterated DerSimonian-Laird and the iterated Sidik-Jonkman estimators all stop at the
    solution of ``Q(tau2) = k - 1``, which is Paule and Mandel's equation, so they share one solver. REML and ML are the
    *global* maximum over ``tau2 >= 0``: that is divided into intervals in which the score provably changes its sign
    once at most, and where there are several maxima their likelihoods are compared.
    """
    y = _centred(y, v)
    k = np.asarray(count(v))
    if method == "EE":
        return np.zeros(v.shape[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        if method in LIKELIHOOD:
            tau2 = _likelihood_maximum(y, v, restricted=method == "REML")
        elif method in ROOT_METHODS:
            target = chdtri(k - 1, 0.5) if method == "PMM" else k - 1
            tau2 = q_profile_root(y, v, np.where(k >= 2, target, np.inf))
        else:
            tau2 = np.asarray(_closed_form(y, v, k, method))
    return np.asarray(np.where(k >= 2, tau2, np.nan))


def _centred(y: Array, v: Array) -> Array:
    """Return the effects minus that of the most precise study, so that its residual keeps its digits."""
    y = np.broadcast_to(y, np.broadcast_shapes(y.shape, v.shape))
    return np.asarray(y - np.take_along_axis(y, np.argmin(v, axis=-1)[:, None], axis=-1))


def _closed_form(y: Array, v: Array, k: Array, method: Tau2Method) -> Array:
    """Return the estimators that need no iteration (Viechtbauer 2005, eqs. 8 to 14; SJ: Sidik & Jonkman 2005)."""
    if method in ("DL", "HS", "HSk"):
        s = moments(y, v, np.zeros(v.shape[0]))
        if method == "DL":
            return np.maximum(0.0, (s.q - (k - 1)) / s.tr_p)
        correction = k / (k - 1) if method == "HSk" else 1.0
        return np.asarray(np.maximum(0.0, (correction * s.q - k) / s.s1))
    inside = np.isfinite(v)
    center = np.where(inside, y, 0.0).sum(axis=-1) / k
    squares = np.where(inside, (y - center[:, None]) ** 2, 0.0).sum(axis=-1)
    if method == "HE":
        return np.asarray(np.maximum(0.0, squares / (k - 1) - np.where(inside, v, 0.0).sum(axis=-1) / k))
    start = squares / k
    q = moments(y, v, start).q
    return np.asarray(np.where(start > 0, start * q / (k - 1), 0.0))


def q_profile_root(y: Array, v: Array, target: Array) -> Array:
    """Return the tau2 at which the generalised Q statistic equals `target`; zero where ``Q(0)`` is not above it.

    Parameters
    ----------
    y, v : numpy.ndarray
        Shape ``(batch, k)`` or ``(1, k)``.
    target : numpy.ndarray
        Shape ``(batch,)``, positive.
    """
    at_zero = np.broadcast_to(np.asarray(moments(y, v, np.zeros(max(y.shape[0], v.shape[0]))).q), target.shape)
    above = at_zero > target
    result = np.zeros(target.shape)
    if above.any():
        pick = np.flatnonzero(above)
        ys, vs = (x[pick] if x.shape[0] == target.size and target.size > 1 else x for x in (y, v))
        zero = np.zeros(pick.size)
        result[pick] = newton(q_excess, ys, vs, target[pick], low=zero, high=zero + np.inf, start=zero)
    return result


def tau2_grid(y: Array, v: Array) -> Array:
    """Return the tau2 values at which the score is looked at first, shape ``(batch, points)``.

    From zero to :func:`last_positive`; the smallest total variance grows by equal factors.
    """
    inside = np.isfinite(v)
    k = np.maximum(inside.sum(axis=-1), 2)
    spread = np.where(inside, y, -np.inf).max(axis=-1) - np.where(inside, y, np.inf).min(axis=-1)
    center = np.where(inside, y, 0.0).sum(axis=-1) / k
    square = np.where(inside, (y - center[:, None]) ** 2, 0.0).sum(axis=-1) / (k - 1)
    smallest, mean = v.min(axis=-1), np.where(inside, v, 0.0).sum(axis=-1) / k
    with np.errstate(invalid="ignore"):
        return first_values(np.asarray(last_positive(spread, square, smallest, mean)), smallest)


def last_positive(spread: Values, square: Values, smallest: Values, mean: Values) -> Values:
    """Return a tau2 above which the score of REML and of ML is negative, so that no maximum lies there.

    Parameters
    ----------
    spread, square : float or numpy.ndarray
        Range and variance (divided by ``k - 1``) of the effects.
    smallest, mean : float or numpy.ndarray
        Of the sampling variances.

    Notes
    -----
    The smaller of two bounds, each from ``score = y'PPy - tr(P)``. An entry of ``Py`` is at most ``spread * P_ii`` and
    ``P_ii < w_max``, so ``y'PPy < spread^2 w_max tr(P)``: negative from ``spread^2 - smallest`` on. Further
    ``y'PPy <= w_max y'Py <= w_max^2 (k - 1) square``, and ``tr(P)``, the sum of ``1 / (mu_j + t)`` over the eigenvalues
    of the contrasts' covariance, whose mean is that of the variances, is at least ``(k - 1) / (mean + t)``: negative
    where ``square (mean + t) < (smallest + t)^2``, a quadratic in t. For ML ``sum(w) > tr(P)`` is subtracted. At or
    below zero both say that tau2 is zero. Where all variances are equal the score is zero at the bound itself, so it is
    raised above rounding.
    """
    half = 0.5 * square - smallest
    inside = half * half + square * mean - smallest * smallest
    if isinstance(inside, float):
        return float(min(spread**2 - smallest, half + max(inside, 0.0) ** 0.5)) * ABOVE_ROUNDING
    return np.asarray(np.minimum(spread**2 - smallest, half + np.sqrt(np.maximum(inside, 0.0)))) * ABOVE_ROUNDING


def _likelihood_maximum(y: Array, v: Array, *, restricted: bool) -> Array:
    """Return the tau2 of the highest (restricted) likelihood over tau2 >= 0."""
    model = Likelihood(partial(moments, third=True), partial(log_likelihood, restricted=restricted), restricted)
    return highest_maximum(y, v, tau2_grid(y, v), model)


def tau2_std_error(y: Array, v: Array, tau2: Array, method: Tau2Method) -> Array:
    """Return the asymptotic standard error of tau2, shape ``(batch,)``; NaN for ``"EE"`` and below two studies.

    Notes
    -----
    ``REML`` and ``ML``: inverse expected information, ``2 / tr(PP)`` and ``2 / sum(w^2)``. The others are quadratic
    forms ``y'Ay`` divided by a constant, so their variance is ``2 tr(A S A S)`` over that constant squared, ``S`` the
    marginal covariance at the estimated tau2 (DerSimonian & Kacker 2007).
    """
    k = np.asarray(count(v))
    if method == "EE":
        return np.full(k.shape, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        if method in QUADRATIC:
            weights, divisor = _quadratic_form(y, v, k, method)
            error = np.sqrt(2 * _trace_squared(weights, v, tau2)) / divisor
        else:
            error = np.asarray(tau2_error_of(moments(y, v, tau2, third=True), k, method))
    return np.where(k >= 2, error, np.nan)


def tau2_error_of(s: Moments, k: Values, method: Tau2Method) -> Values:
    """Return the standard error for the methods that need no more than the sums at the estimate."""
    if method in ROOT_METHODS:
        return k / (k - 1) / s.s1 * np.sqrt(2 * (k - 1))
    return cast("Values", np.sqrt(2.0 / (s.s2 if method == "ML" else s.tr_pp)))


def _quadratic_form(y: Array, v: Array, k: Array, method: Tau2Method) -> tuple[Array, Values]:
    """Return the weights of the quadratic form behind a moment estimator, and what it is divided by."""
    inside = np.isfinite(v)
    if method == "HE":
        return inside.astype(float), k - 1
    if method == "SJ":
        center = np.where(inside, y, 0.0).sum(axis=-1) / k
        start = np.where(inside, (y - center[:, None]) ** 2, 0.0).sum(axis=-1) / k
        return 1.0 / (v + start[:, None]), (k - 1) / start
    w, s = 1.0 / v, moments(y, v, np.zeros(v.shape[0]))
    if method == "DL":
        return w, s.tr_p
    return w, s.s1 if method == "HS" else s.s1 * (k - 1) / k


def _trace_squared(a: Array, v: Array, tau2: Array) -> Array:
    """Return ``tr(A S A S)`` for ``A = diag(a) - a a' / sum(a)`` and ``S = diag(v + tau2)``.

    As in :func:`ipt_evidence.pooling.moments.exact_traces`, without cancellation where one weight dwarfs the others.
    """
    sigma = np.where(np.isfinite(v), v, 0.0) + tau2[:, None]
    total = a.sum(axis=-1)
    diagonal = a * rest(a) / total[:, None] * sigma
    off = a * a * sigma
    return np.asarray((diagonal**2).sum(axis=-1) + (off * rest(off)).sum(axis=-1) / total**2)
