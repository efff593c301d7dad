"""Binomial-normal models of events: exact likelihoods within trials, normal random effects between them.

The random effects are integrated out by adaptive Gauss-Hermite quadrature around their mode (one point: Laplace's
approximation). Trials are independent given the shared parameters, and a trial has at most one parameter of its own, so
the information matrix is an arrow and Newton's method costs one small system however many trials there are.

References
----------
Turner RM, Omar RZ, Yang M, Goldstein H, Thompson SG. A multilevel model framework for meta-analysis of clinical trials
with binary outcomes. Stat Med 2000;19:3417-3432. doi:10.1002/1097-0258(20001230)19:24<3417::AID-SIM614>3.0.CO;2-L
Stijnen T, Hamza TH, Özdemir P. Random effects meta-analysis of event outcome in the framework of the generalized linear
mixed model with applications in sparse data. Stat Med 2010;29:3046-3067. doi:10.1002/sim.4040
Jackson D, Law M, Stijnen T, Viechtbauer W, White IR. A comparison of seven random-effects models for meta-analyses that
estimate the summary odds ratio. Stat Med 2018;37:1059-1085. doi:10.1002/sim.7588
Pinheiro JC, Bates DM. Approximations to the log-likelihood function in the nonlinear mixed-effects model. J Comput
Graph Stat 1995;4:12-35. doi:10.1080/10618600.1995.10474663
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import xlog1py, xlogy

from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.pooling.arrow import Maximum, maximise
from ipt_evidence.pooling.event_likelihoods import Binomial, Family, NoncentralHypergeometric, log_choose
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.mantel_haenszel import Counts

GlmmModel = Literal["UM.FS", "UM.RS", "CM.AL", "CM.EL"]
MAX_STEPS = 60
FLAT = 1e-9
SEPARATED = "the odds ratio of the model is {}, as one side of all tables is empty"


@dataclass(frozen=True, slots=True)
class Glmm:
    """A model: how parameters make the linear predictor.

    Attributes
    ----------
    family : Binomial or NoncentralHypergeometric
        Log-likelihood of a trial given its linear predictors, one per arm.
    offset : numpy.ndarray
        Known part of the predictor, shape ``(k, arms)``.
    fixed : numpy.ndarray
        Coefficient of each shared regression parameter in each arm, shape ``(parameters, arms)``.
    random : numpy.ndarray
        Coefficient of each random effect in each arm, shape ``(effects, arms)``; its standard deviations are the shared
        parameters after the regression ones.
    local : numpy.ndarray or None
        Coefficient of the trial's own parameter in each arm, shape ``(arms,)``.
    points : int
        Quadrature points per random effect.
    """

    family: Family
    offset: Array
    fixed: Array
    random: Array
    local: Array | None
    points: int

    def log_likelihood(self, shared: Array, own: Array) -> Array:
        """Return the log-likelihood of each trial at each of `B` parameter points.

        Parameters
        ----------
        shared : numpy.ndarray
            Shape ``(B, s)``: regression parameters, then standard deviations (their sign does not matter).
        own : numpy.ndarray
            Shape ``(B, k)``: the trials' own parameters (ignored where the model has none).

        Returns
        -------
        numpy.ndarray
            Shape ``(B, k)``.
        """
        n_fixed = self.fixed.shape[0]
        base = self.offset + (shared[:, :n_fixed] @ self.fixed)[:, None, :]
        if self.local is not None:
            base = np.asarray(base + own[:, :, None] * self.local)
        load = np.asarray((shared[:, n_fixed:, None] * self.random).transpose(0, 2, 1)[:, None])
        return _quadrature(self.family, base, load, self.points)


def _quadrature(family: Family, base: Array, load: Array, points: int) -> Array:
    """Return ``log of the integral of exp(l(base + load u)) phi(u) du`` over the random effects u of each trial.

    Parameters
    ----------
    base : numpy.ndarray
        Shape ``(B, k, arms)``.
    load : numpy.ndarray
        Shape ``(B, 1, arms, effects)``.
    """
    u, height, information = _mode(family, base, load)
    alone = load.shape[-1] == 1
    root = information**-0.5 if alone else np.linalg.cholesky(np.linalg.inv(information))
    log_volume = np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    if points == 1:
        return np.asarray(height + log_volume)
    nodes, log_weights = _hermite(points, load.shape[-1])
    moved = u[None] + (root[..., 0] * nodes[:, None, None] if alone else np.einsum("bkij,qj->qbki", root, nodes))
    value = family.terms(base + _along(load, moved))[0].sum(axis=-1)
    exponent = value - 0.5 * (moved**2).sum(axis=-1) + log_weights[:, None, None]
    top = exponent.max(axis=0)
    return np.asarray(top + np.log(np.exp(exponent - top).sum(axis=0)) + log_volume)


def _along(load: Array, u: Array) -> Array:
    """Return what the random effects add to the predictor of each arm."""
    if load.shape[-1] == 1:
        return np.asarray(load[..., 0] * u)
    return np.asarray(u @ load[:, 0].swapaxes(-1, -2))


@lru_cache(maxsize=32)
def _hermite(points: int, effects: int) -> tuple[Array, Array]:
    """Return nodes ``(q, effects)`` and log weights of the product rule for integrals over the whole plane."""
    x, w = np.polynomial.hermite_e.hermegauss(points)
    grid = np.stack(np.meshgrid(*[x] * effects, indexing="ij"), axis=-1).reshape(-1, effects)
    weights = np.stack(np.meshgrid(*[np.log(w)] * effects, indexing="ij"), axis=-1).reshape(-1, effects)
    return grid, weights.sum(axis=1) + 0.5 * (grid**2).sum(axis=1) - 0.5 * effects * np.log(2 * np.pi)


def _mode(family: Family, base: Array, load: Array) -> tuple[Array, Array, Array]:
    """Return the mode of the random effects, the log density there (without ``phi``'s constant) and the information.

    The log density is concave; Newton's step is halved for the trials where it overshoots.
    """
    u = np.zeros((*base.shape[:2], load.shape[-1]))

    alone = load.shape[-1] == 1
    products = load[..., None] * load[..., None, :]

    def look(at: Array) -> tuple[Array, Array, Array]:
        value, slope, curvature = family.terms(base + _along(load, at))
        height = value.sum(axis=-1) - 0.5 * (at**2).sum(axis=-1)
        if alone:
            line = load[..., 0]
            information = (line**2 * curvature).sum(axis=-1)[..., None, None] + 1.0
            return height, (line * slope).sum(axis=-1, keepdims=True) - at, information
        information = (products * curvature[..., None, None]).sum(axis=-3) + np.eye(at.shape[-1])
        return height, slope @ load[:, 0] - at, information

    height, gradient, information = look(u)
    for _ in range(MAX_STEPS):
        step = gradient / information[..., 0] if alone else np.linalg.solve(information, gradient[..., None])[..., 0]
        if not (np.abs(step) > 1e-12 * (1 + np.abs(u))).any():
            break
        # So near the mode Newton's step needs no proof, and rounding would not give one.
        near = (np.abs(step) <= 1e-4 * (1 + np.abs(u))).all(axis=-1)
        length = np.ones(height.shape)
        for _ in range(30):
            tried = u + length[..., None] * step
            found = look(tried)
            worse = (found[0] < height) & ~near
            if not worse.any():
                break
            length = np.where(worse, 0.5 * length, length)
        u, (height, gradient, information) = tried, found
    return u, height, information


@dataclass(frozen=True, slots=True)
class GlmmFit:
    """A fitted model.

    Attributes
    ----------
    estimate, std_error : float
        Pooled log odds ratio (log odds for proportions) and its error from the observed information.
    tau2 : float
        Variance of the trials' own effects.
    log_likelihood : float
        At the maximum, all constants included.
    lrt, wald : float
        Tests of equal effects: likelihood ratio and Wald form of the model without heterogeneity against one effect per
        trial; `wald` is NaN where a trial's own effect is infinite.
    """

    estimate: float
    std_error: float
    tau2: float
    log_likelihood: float
    lrt: float
    wald: float


def fit_odds_ratio(t: Counts, model: GlmmModel, points: int) -> GlmmFit:
    """Return the pooled log odds ratio of a binomial-normal model.

    Parameters
    ----------
    t : Counts
        Trials with at least one event and one non-event.
    model : {"UM.FS", "UM.RS", "CM.AL", "CM.EL"}
        Unconditional with fixed or random trial effects, conditional with approximate (binomial) or exact (noncentral
        hypergeometric) likelihood.
    points : int
        Quadrature points per random effect.

    Raises
    ------
    NotEstimableError
        The odds ratio is zero or infinite: the trials are separated.
    ConvergenceError
        No maximum was found.
    """
    _refuse_separated(t, model)
    y, v = _empirical(t)
    if model in ("UM.FS", "UM.RS"):
        return _unconditional(t, model, points, y, v)
    if model == "CM.AL":
        m = t.a + t.c
        offset = np.log(t.n1 / t.n2)
        family: Family = Binomial(t.a[:, None], m[:, None])
        with np.errstate(divide="ignore"):
            own, variance = np.log(t.a / t.c) - offset, 1 / t.a + 1 / t.c
        saturated = float(_binomial_maximum(t.a, m).sum())
    else:
        offset, family = np.zeros_like(t.a), NoncentralHypergeometric(t)
        saturated, own, variance = _exact_maxima(family)
    glmm = Glmm(family, offset[:, None], np.ones((1, 1)), np.ones((1, 1)), None, points)
    return _one_random_effect(glmm, y, v, saturated, _wald(own, variance))


def _refuse_separated(t: Counts, model: GlmmModel) -> None:
    """Raise when the likelihood grows without bound in one direction of the effect."""
    a, b, c, d, _ = t.cells
    if model == "CM.AL":
        sides = (float(a.sum()), float(c.sum()))
    elif model == "UM.RS":
        sides = (min(float(a.sum()), float(d.sum())), min(float(b.sum()), float(c.sum())))
    else:
        sides = (float((a * d).sum()), float((b * c).sum()))
    if min(sides) == 0:
        what = "zero" if sides[0] == 0 else "infinite"
        raise NotEstimableError(f"{SEPARATED.format(what)}; method='peto' or pooled_add=0.5 with 'MH' give an estimate")


def fit_proportion(x: Array, n: Array, points: int) -> GlmmFit:
    """Return the pooled log odds of a proportion in the binomial-normal model.

    Raises
    ------
    ConvergenceError
        No maximum was found.
    """
    glmm = Glmm(Binomial(x[:, None], n[:, None]), np.zeros((x.size, 1)), np.ones((1, 1)), np.ones((1, 1)), None, points)
    with np.errstate(divide="ignore"):
        own, variance = np.log(x / (n - x)), 1 / x + 1 / (n - x)
    y, v = np.log((x + 0.5) / (n - x + 0.5)), 1 / (x + 0.5) + 1 / (n - x + 0.5)
    return _one_random_effect(glmm, y, v, float(_binomial_maximum(x, n).sum()), _wald(own, variance))


def _empirical(t: Counts) -> tuple[Array, Array]:
    """Return log odds ratios and variances with a half added to all cells: only for starting values."""
    a, b, c, d = (x + 0.5 for x in t.cells[:4])
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def _binomial_maximum(x: Array, n: Array) -> Array:
    """Return the highest binomial log-likelihood of each count."""
    p = x / n
    return np.asarray(log_choose(n, x) + xlogy(x, p) + xlog1py(n - x, -p))


def _wald(own: Array, variance: Array) -> float:
    """Return Cochran's Q of the trials' own estimates; NaN when one is infinite."""
    if not (np.isfinite(own).all() and np.isfinite(variance).all()):
        return float("nan")
    return float(((own - np.average(own, weights=1 / variance)) ** 2 / variance).sum())


def _one_random_effect(
    glmm: Glmm, y: Array, v: Array, saturated: float, wald: float, own: Array | None = None
) -> GlmmFit:
    """Return the fit of a model with one regression parameter and one random effect."""
    start = np.zeros(y.size) if own is None else own
    best, equal = _with_heterogeneity(glmm, np.zeros(2), y, v, start, free=(0, 1), spread=1)
    return _record(best, saturated - equal.log_likelihood, wald, 1)


def _unconditional(t: Counts, model: GlmmModel, points: int, y: Array, v: Array) -> GlmmFit:
    """Return the fit of the models for both arms, the arms coded plus and minus one half."""
    family = Binomial(np.stack([t.a, t.c], axis=1), np.stack([t.n1, t.n2], axis=1))
    half, both, zero = np.array([[0.5, -0.5]]), np.ones((1, 2)), np.zeros((t.a.size, 2))
    m, n = t.a + t.c, t.n1 + t.n2
    level = np.log((m + 0.5) / (n - m + 0.5))
    saturated = float((_binomial_maximum(t.a, t.n1) + _binomial_maximum(t.c, t.n2)).sum())
    with np.errstate(divide="ignore"):
        a, b, c, d = t.cells[:4]
        own, variance = np.log(a / b) - np.log(c / d), 1 / a + 1 / b + 1 / c + 1 / d
    if model == "UM.FS":
        glmm = Glmm(family, zero, half, half, both[0], points)
        return _one_random_effect(glmm, y, v, saturated, _wald(own, variance), level)
    glmm = Glmm(family, zero, np.concatenate([half, both]), np.concatenate([half, both]), None, points)
    start = np.array([0.0, level.mean(), 0.0, max(float(level.std()), 0.1)])
    best, equal = _with_heterogeneity(glmm, start, y, v, level, free=(0, 1, 2, 3), spread=2)
    each = Glmm(family, zero, both, both, np.array([1.0, 0.0]), points)
    top = maximise(each.log_likelihood, equal.shared[[1, 3]], y, free=(0, 1), with_own=True)
    finite = bool(((t.a > 0) & (t.a < t.n1)).all())
    return _record(best, top.log_likelihood - equal.log_likelihood, _wald_of(top) if finite else np.nan, 2)


def _wald_of(top: Maximum) -> float:
    """Return the Wald statistic that all the trials' own parameters are equal."""
    if not top.converged:
        return float("nan")
    contrast = np.eye(top.own.size)[1:] - np.eye(top.own.size)[0]
    difference = contrast @ top.own
    return float(difference @ np.linalg.solve(contrast @ top.own_covariance @ contrast.T, difference))


def _with_heterogeneity(
    glmm: Glmm, start: Array, y: Array, v: Array, own: Array, *, free: tuple[int, ...], spread: int
) -> tuple[Maximum, Maximum]:
    """Return the highest maximum from several starts of tau, and the maximum without heterogeneity.

    Parameters
    ----------
    start : numpy.ndarray
        Shared parameters: the effect first, tau at position `spread`.
    """
    with_own = glmm.local is not None
    start = start.copy()
    start[0] = np.average(y, weights=1 / v)
    others = tuple(i for i in free if i != spread)
    equal = maximise(glmm.log_likelihood, start, own, free=others, with_own=with_own)
    best = equal
    rough = float(np.sqrt(max(np.var(y) - v.mean(), 0.04)))
    for tau in (rough, 0.25 * rough, 3 * rough):
        begin = equal.shared.copy()
        begin[spread] = tau
        found = maximise(glmm.log_likelihood, begin, equal.own, free=free, with_own=with_own)
        if found.converged and found.log_likelihood > best.log_likelihood + FLAT:
            best = found
    if not best.converged:
        raise ConvergenceError(
            "the likelihood of the model has no maximum that could be found; use method='MH' or 'peto'"
        )
    return best, equal


def _record(best: Maximum, gain: float, wald: float, spread: int) -> GlmmFit:
    tau2 = float(best.shared[spread] ** 2)
    error = float(np.sqrt(best.covariance[0, 0]))
    return GlmmFit(float(best.shared[0]), error, tau2, best.log_likelihood, 2 * gain, wald)


def _exact_maxima(family: NoncentralHypergeometric) -> tuple[float, Array, Array]:
    """Return the sum of the highest conditional log-likelihoods, and each trial's conditional estimate and variance."""
    t = family.counts
    low, high = np.maximum(0.0, t.a + t.c - t.n2), np.minimum(t.n1, t.a + t.c)
    inside = (t.a > low) & (t.a < high)
    eta = np.where(inside, np.log((t.a + 0.5) * (t.n2 - t.c + 0.5) / ((t.n1 - t.a + 0.5) * (t.c + 0.5))), 0.0)
    for _ in range(MAX_STEPS):
        value, slope, curvature = (x[:, 0] for x in family.terms(eta[:, None]))
        step = np.where(inside, slope / np.maximum(curvature, 1e-300), 0.0)
        if not (np.abs(step) > 1e-12 * (1 + np.abs(eta))).any():
            break
        eta = eta + np.clip(step, -1.0, 1.0)
    edge = np.where(t.a == low, -np.inf, np.inf)
    variance = np.where(inside, 1 / np.where(inside, curvature, 1.0), np.inf)
    return float(value[inside].sum()), np.where(inside, eta, edge), variance
