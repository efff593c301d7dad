"""The normal-normal hierarchical model by quadrature: tau on nodes, everything else a mixture of normals.

Given tau the posteriors of the mean, of each study's effect and of a new effect are normal, so each marginal is
``sum_j p_j N(m_j, s_j^2)`` over quadrature nodes of tau. Nodes come from Gauss-Legendre rules on panels that are halved
until two halves agree with their whole, so the sums are exact to about 1e-12 whatever the shape of the posterior.

References
----------
Gelman A, Carlin JB, Stern HS, et al. Bayesian Data Analysis. 3rd ed. Chapman & Hall/CRC, 2013, section 5.4.
Röver C. Bayesian random-effects meta-analysis using the bayesmeta R package. J Stat Softw 2020;93(6):1-51.
doi:10.18637/jss.v093.i06
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from ipt_evidence.errors import ConvergenceError
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.priors import LOG_SQRT_2PI, MuPrior, TauPrior

NODES, RULE = np.polynomial.legendre.leggauss(12)
HALVES_AGREE = 1e-9
NEGLIGIBLE = 1e-18
MAX_HALVINGS = 60
MAX_STEPS = 100
# Newton's steps square the error: after a step of 1e-7 what is left is rounding.
STEP = 1e-7
EXACT = 1e-14
CHUNK = 2_000_000


@dataclass(frozen=True, slots=True)
class Model:
    """Data and priors: effects ``y`` and variances ``v`` of shape ``(k,)``."""

    y: Array
    v: Array
    mu: MuPrior
    tau: TauPrior

    @property
    def tail_power(self) -> float:
        """The power by which the posterior density of tau falls; it can be normalised when this is above one."""
        return self.tau.tail_power + self.y.size - (0 if self.mu.proper else 1)


@dataclass(frozen=True, slots=True)
class Conditional:
    """Given each tau: the log of likelihood times prior of tau, and the normal posterior of the mean."""

    log_joint: Array
    mean: Array
    precision: Array


def conditional(model: Model, tau: Array) -> Conditional:
    """Return the joint density and the conditional posterior of the mean at each tau, shape ``(m,)``.

    Notes
    -----
    With ``w_i = 1 / (v_i + tau^2)`` and prior precision ``p0``: precision ``W = sum(w) + p0``, mean ``(sum(w y) + p0
    m0) / W``; the likelihood is ``prod N(y_i; m, v_i + tau^2)`` integrated over the prior of the mean. A flat prior
    counts as density one.
    """
    size = max(1, CHUNK // model.y.size)
    if tau.size > size:
        parts = [conditional(model, tau[i : i + size]) for i in range(0, tau.size, size)]
        return Conditional(*(np.concatenate([getattr(p, n) for p in parts]) for n in Conditional.__slots__))
    p0, m0 = model.mu.precision, model.mu.mean
    w = 1.0 / (model.v + tau[:, None] ** 2)
    precision = w.sum(axis=1) + p0
    mean = m0 + w @ (model.y - m0) / precision
    squares = (w * (model.y - mean[:, None]) ** 2).sum(axis=1) + p0 * (mean - m0) ** 2
    constant = 0.5 * math.log(p0) if model.mu.proper else LOG_SQRT_2PI
    log_likelihood = 0.5 * (np.log(w).sum(axis=1) - np.log(precision) - squares)
    log_likelihood += constant - model.y.size * LOG_SQRT_2PI
    return Conditional(log_likelihood + model.tau.log_density(tau), mean, precision)


def log_joint_slope(model: Model, tau: Array) -> Array:
    """Return the derivative of ``log_joint`` by tau."""
    w = 1.0 / (model.v + tau[:, None] ** 2)
    precision = w.sum(axis=1) + model.mu.precision
    mean = model.mu.mean + w @ (model.y - model.mu.mean) / precision
    squares = (w * w * (model.y - mean[:, None]) ** 2).sum(axis=1)
    slope = tau * (squares - w.sum(axis=1) + (w * w).sum(axis=1) / precision)
    return np.asarray(slope + model.tau.slope(tau))


@dataclass(frozen=True, slots=True)
class TauPosterior:
    """The posterior of tau on quadrature nodes.

    Attributes
    ----------
    tau, weight : numpy.ndarray
        Nodes in rising order and their posterior probabilities (sum one).
    mean, precision : numpy.ndarray
        Posterior mean and precision of mu at each node.
    scale, edges, below : float, numpy.ndarray, numpy.ndarray
        Edges of the panels in ``t = tau / (scale + tau)``, and the posterior probability below each.
    log_evidence : float
        Log marginal likelihood of the data (up to the constants of improper priors).
    """

    model: Model
    tau: Array
    weight: Array
    mean: Array
    precision: Array
    scale: float
    edges: Array
    below: Array
    log_evidence: float

    def mixtures(self) -> Mixtures:
        """Return the posterior of the mean (first row) and of the effect in a new study (second row)."""
        sd = 1 / np.sqrt(self.precision)
        return Mixtures(np.stack([self.mean, self.mean]), np.stack([sd, np.hypot(sd, self.tau)]), self.weight)

    def density(self, tau: Array) -> Array:
        """Return the posterior density of tau; zero below zero."""
        inside = tau >= 0
        value = np.exp(conditional(self.model, np.where(inside, tau, 0.0)).log_joint - self.log_evidence)
        return np.where(inside, value, 0.0)

    def slopes(self, tau: Array) -> tuple[Array, Array]:
        """Return the posterior density at ``tau > 0`` and the derivative of it."""
        density = self.density(tau)
        return density, density * log_joint_slope(self.model, tau)

    def cdf(self, tau: Array) -> Array:
        """Return the posterior probability of ``(0, tau)``: whole panels, and a fresh rule on the last one."""
        t = np.clip(tau / (self.scale + tau), 0.0, self.edges[-1])
        panel = np.clip(np.searchsorted(self.edges, t, side="right") - 1, 0, self.edges.size - 2)
        mass, _ = _panel_values(self.model, self.scale, self.edges[panel], t, self.log_evidence)
        return np.asarray(self.below[panel] + mass)

    def quantile(self, p: Array) -> Array:
        """Return the tau below which the posterior probability is `p`."""
        panel = np.clip(np.searchsorted(self.below, p, side="right") - 1, 0, self.edges.size - 2)
        low, high = self.edges[panel], self.edges[panel + 1]
        nodes = self.tau / (self.scale + self.tau)
        t = np.clip(np.interp(p, np.cumsum(self.weight) - 0.5 * self.weight, nodes), low, high)
        for _ in range(MAX_STEPS):
            tau = self.scale * t / (1 - t)
            excess = self.cdf(tau) - p
            low, high = np.where(excess < 0, t, low), np.where(excess < 0, high, t)
            with np.errstate(divide="ignore", invalid="ignore"):
                new = t - excess / (self.density(tau) * self.scale / (1 - t) ** 2)
            found = np.abs(excess) <= EXACT * p * (1 - p)
            inside = (new > low) & (new < high)
            new = np.where(found, t, np.where(inside, new, 0.5 * (low + high)))
            if (found | (inside & (np.abs(new - t) <= STEP * new)) | (high - low <= EXACT * high)).all():
                return np.asarray(self.scale * new / (1 - new))
            t = new
        raise ConvergenceError("a quantile of tau was not found; please report this data set")


def posterior_of_tau(model: Model) -> TauPosterior:
    """Return the posterior of tau, exact to about 1e-12 in probability."""
    scale = _scale(model)
    top = model.tau.upper / (model.tau.upper + scale) if math.isfinite(model.tau.upper) else 1.0
    edges, height = _first_panels(model, scale, top)
    low, high = edges[:-1], edges[1:]
    whole, _ = _panel_values(model, scale, low, high, height)
    total = float(whole.sum())
    done: list[tuple[Array, Array]] = []
    for _ in range(MAX_HALVINGS):
        middle = 0.5 * (low + high)
        left = _panel_values(model, scale, low, middle, height)[0]
        right = _panel_values(model, scale, middle, high, height)[0]
        total += float((left + right - whole).sum())
        agreed = (np.abs(left + right - whole) <= HALVES_AGREE * total) | (middle <= low) | (middle >= high)
        done.append((np.concatenate([low[agreed], middle[agreed]]), np.concatenate([middle[agreed], high[agreed]])))
        split = ~agreed
        if not split.any():
            break
        whole = np.concatenate([left[split], right[split]])
        low, high = np.concatenate([low[split], middle[split]]), np.concatenate([middle[split], high[split]])
    else:
        raise ConvergenceError("the posterior of tau was not resolved; please report this data set")
    return _collect(model, scale, done, height)


def _collect(model: Model, scale: float, done: list[tuple[Array, Array]], height: float) -> TauPosterior:
    """Return the posterior from the panels that were accepted."""
    low, high = (np.concatenate(x) for x in zip(*done, strict=True))
    order = np.argsort(low)
    low, high = low[order], high[order]
    mass, parts = _panel_values(model, scale, low, high, height)
    total = float(mass.sum())
    tau, weight, given = parts
    keep = weight > NEGLIGIBLE * total
    below = np.append(0.0, np.cumsum(mass)) / total
    return TauPosterior(
        model,
        tau[keep],
        weight[keep] / weight[keep].sum(),
        given.mean[keep],
        given.precision[keep],
        scale,
        np.append(low, high[-1]),
        below,
        height + math.log(total),
    )


def _panel_values(
    model: Model, scale: float, low: Array, high: Array, height: float
) -> tuple[Array, tuple[Array, Array, Conditional]]:
    """Return the integral over each panel of ``t``, with ``tau = scale t / (1 - t)``, and the nodes behind it."""
    half = 0.5 * (high - low)
    t = (low[:, None] + half[:, None] * (1 + NODES)).ravel()
    rest = 1 - t
    tau = scale * t / rest
    given = conditional(model, tau)
    weight = np.exp(given.log_joint - height) * scale / rest**2 * (half[:, None] * RULE).ravel()
    return weight.reshape(-1, NODES.size).sum(axis=1), (tau, weight, given)


def _scale(model: Model) -> float:
    """Return a typical size of tau: the spread of the effects or a typical standard error, whichever is larger."""
    spread = float(np.std(model.y)) if model.y.size > 1 else 0.0
    return max(spread, float(np.sqrt(np.median(model.v))))


def _first_panels(model: Model, scale: float, top: float) -> tuple[Array, float]:
    """Return edges in t that no peak of the posterior can hide between, and the largest log density found."""
    smallest = 1e-3 * math.sqrt(float(model.v.min())) / scale
    small = np.geomspace(min(smallest, 1e-3), 0.05, 40)
    grid = np.unique(np.concatenate([small / (1 + small), np.linspace(0.02, 0.98, 65)]))
    grid = np.append(grid[grid < top], 0.999 * top)
    for _ in range(4):
        height = _log_density(model, scale, grid)
        best = int(np.argmax(height))
        around = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)], 17)
        grid = np.unique(np.concatenate([grid, around]))
    height = _log_density(model, scale, grid)
    best = int(np.argmax(height))
    inside = grid[height > height[best] - 20.0]
    core = np.linspace(inside[0], inside[-1], 4)
    half_width = grid[height > height[best] - 0.5]
    peak = (half_width[0], grid[best], half_width[-1])
    edges = np.concatenate([[0.0, top], core, peak])
    return np.unique(edges[(edges >= 0) & (edges <= top)]), float(height[best])


def _log_density(model: Model, scale: float, t: Array) -> Array:
    return conditional(model, scale * t / (1 - t)).log_joint


@dataclass(frozen=True, slots=True)
class Mixtures:
    """Normal mixtures that share weights: ``mean`` and ``sd`` of shape ``(rows, m)``, ``weight`` of ``(m,)``."""

    mean: Array
    sd: Array
    weight: Array

    def cdf(self, x: Array) -> Array:
        """Return ``P(X <= x)`` for each row."""
        return np.asarray(ndtr((x[:, None] - self.mean) / self.sd) @ self.weight)

    def density(self, x: Array) -> Array:
        """Return the density of each row at its `x`."""
        z = (x[:, None] - self.mean) / self.sd
        return np.asarray((np.exp(-0.5 * z * z - LOG_SQRT_2PI) / self.sd) @ self.weight)

    def slopes(self, x: Array) -> tuple[Array, Array]:
        """Return the density of each row at its `x` and the derivative of it."""
        z = (x[:, None] - self.mean) / self.sd
        f = np.exp(-0.5 * z * z - LOG_SQRT_2PI) / self.sd
        return f @ self.weight, -(f * z / self.sd) @ self.weight

    def moments(self) -> tuple[Array, Array]:
        """Return mean and standard deviation of each row."""
        center = self.mean @ self.weight
        return center, np.sqrt((self.sd**2 + (self.mean - center[:, None]) ** 2) @ self.weight)

    def repeated(self, times: int) -> Mixtures:
        """Return the rows several times, one after the other."""
        return Mixtures(np.tile(self.mean, (times, 1)), np.tile(self.sd, (times, 1)), self.weight)

    def quantile(self, p: float | Array) -> Array:
        """Return the quantile of each row: Newton's steps inside the range of the components' own quantiles.

        Parameters
        ----------
        p : float or numpy.ndarray
            Probability, one for all rows or one for each.
        """
        z = np.broadcast_to(np.asarray(ndtri(p)), self.mean.shape[:1])
        own = self.mean + z[:, None] * self.sd
        low, high = own.min(axis=1), own.max(axis=1)
        center, spread = self.moments()
        x = np.clip(center + z * spread, low, high)
        for _ in range(MAX_STEPS):
            excess, slope = self.cdf(x) - p, self.density(x)
            low, high = np.where(excess < 0, x, low), np.where(excess < 0, high, x)
            with np.errstate(divide="ignore", invalid="ignore"):
                new = x - excess / slope
            found = np.abs(excess) <= EXACT * p * (1 - p)
            inside = (new >= low) & (new <= high)
            new = np.where(found, x, np.where(inside, new, 0.5 * (low + high)))
            width = EXACT * (spread + np.abs(x))
            if (found | (inside & (np.abs(new - x) <= STEP * spread)) | (high - low <= width)).all():
                return np.asarray(new)
            x = new
        raise ConvergenceError("a posterior quantile was not found; please report this data set")

    def row(self, i: int) -> Mixtures:
        """Return one row alone."""
        return Mixtures(self.mean[i : i + 1], self.sd[i : i + 1], self.weight)

    def mirrored(self) -> Mixtures:
        """Return the mixtures of ``-X``: their CDF at ``-x`` is ``P(X >= x)`` without loss of digits."""
        return Mixtures(-self.mean, self.sd, self.weight)


def bayes_factor_mu(posterior: TauPosterior) -> float:
    """Return the evidence for ``mu = 0`` over the model: ``p(y | mu = 0) / p(y)``.

    NaN where the prior of mu is improper. The prior of tau may be improper: its constant cancels.
    """
    model = posterior.model
    if not model.mu.proper:
        return math.nan
    # Beside a prior SD of a billionth of every standard error the mean is fixed at zero.
    pinned = MuPrior(0.0, 1e-9 / math.sqrt(float((1 / model.v).sum())))
    fixed = posterior_of_tau(Model(model.y, model.v, pinned, model.tau))
    return _exp(fixed.log_evidence - posterior.log_evidence)


def bayes_factor_tau(posterior: TauPosterior) -> float:
    """Return the evidence for ``tau = 0`` over the model: ``p(y | tau = 0) / p(y)``.

    NaN where the prior of tau is improper. The prior of mu may be improper: its constant cancels.
    """
    model = posterior.model
    if not model.tau.proper:
        return math.nan
    free = Model(model.y, model.v, model.mu, TauPrior("uniform", (math.inf,)))
    return _exp(float(conditional(free, np.zeros(1)).log_joint[0]) - posterior.log_evidence)


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf
