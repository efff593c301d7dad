"""Log-likelihoods of events in one trial, with slope and curvature: binomial and noncentral hypergeometric."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import expit, gammaln

from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.mantel_haenszel import Counts

CHUNK = 50_000
Terms = tuple[Array, Array, Array]


@dataclass(frozen=True, slots=True)
class Binomial:
    """Binomial log-likelihood of ``x`` events among ``n``, constants included; shape ``(k, arms)``."""

    x: Array
    n: Array
    log_ways: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_ways", log_choose(self.n, self.x))

    def terms(self, eta: Array) -> Terms:
        """Return value, slope and (negative) curvature at the log odds `eta`, shape ``(..., k, arms)``."""
        p = expit(eta)
        value = self.x * eta - self.n * np.logaddexp(0.0, eta) + self.log_ways
        return value, self.x - self.n * p, self.n * p * expit(-eta)


@dataclass(frozen=True, slots=True)
class NoncentralHypergeometric:
    """Log-likelihood of the events of arm 1 given both margins (Fisher's distribution), one column per trial."""

    counts: Counts
    support: Array = field(init=False)
    log_w: Array = field(init=False)
    first: npt.NDArray[np.intp] = field(init=False)
    trial: npt.NDArray[np.intp] = field(init=False)
    at: Array = field(init=False)

    def __post_init__(self) -> None:
        t = self.counts
        supports = [
            np.arange(max(0.0, m - n2), min(n1, m) + 1) for n1, n2, m in zip(t.n1, t.n2, t.a + t.c, strict=True)
        ]
        sizes = [j.size for j in supports]
        trial, j = np.repeat(np.arange(len(sizes)), sizes), np.concatenate(supports)
        log_w = log_choose(t.n1[trial], j) + log_choose(t.n2[trial], (t.a + t.c)[trial] - j)
        first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
        found = {"support": j, "log_w": log_w, "first": first, "trial": trial}
        found["at"] = log_w[first + (t.a - j[first]).astype(np.intp)]
        for name, value in found.items():
            object.__setattr__(self, name, value)

    def terms(self, eta: Array) -> Terms:
        """Return value, slope and (negative) curvature at the log odds ratio `eta`, shape ``(..., k, 1)``."""
        flat = eta.reshape(-1, eta.shape[-2])
        size = max(1, CHUNK // self.support.size)
        parts = [self._moments(flat[s : s + size]) for s in range(0, len(flat), size)]
        log_sum, mean, variance = (np.concatenate(x).reshape(eta.shape) for x in zip(*parts, strict=True))
        a = self.counts.a[:, None]
        return a * eta + self.at[:, None] - log_sum, a - mean, variance

    def _moments(self, eta: Array) -> Terms:
        """Return logarithm of the sum of weights, mean and variance of the events, shape ``(points, k)``."""
        j, first, trial = self.support, self.first, self.trial
        exponent = self.log_w + eta[:, trial] * j
        top = np.maximum.reduceat(exponent, first, axis=1)
        w = np.exp(exponent - top[:, trial])
        total = np.add.reduceat(w, first, axis=1)
        mean = np.add.reduceat(w * j, first, axis=1) / total
        return top + np.log(total), mean, np.add.reduceat(w * (j - mean[:, trial]) ** 2, first, axis=1) / total


Family = Binomial | NoncentralHypergeometric


def log_choose(n: Array | float, k: Array | float) -> Array:
    """Return the logarithm of the binomial coefficient."""
    return np.asarray(gammaln(np.asarray(n) + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(np.asarray(n) - k + 1.0))
