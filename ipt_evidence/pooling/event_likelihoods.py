"""Log-likelihoods of events in one trial, with slope and curvature: binomial and noncentral hypergeometric."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, gammaln

from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.mantel_haenszel import Counts

CHUNK = 2_000_000
Terms = tuple[Array, Array, Array]


@dataclass(frozen=True, slots=True)
class Binomial:
    """Binomial log-likelihood of ``x`` events among ``n``, constants included; shape ``(k, arms)``."""

    x: Array
    n: Array

    def terms(self, eta: Array) -> Terms:
        """Return value, slope and (negative) curvature at the log odds `eta`, shape ``(..., k, arms)``."""
        p = expit(eta)
        value = self.x * eta - self.n * np.logaddexp(0.0, eta) + log_choose(self.n, self.x)
        return value, self.x - self.n * p, self.n * p * expit(-eta)


@dataclass(frozen=True, slots=True)
class NoncentralHypergeometric:
    """Log-likelihood of the events of arm 1 given both margins (Fisher's distribution), one column per trial."""

    counts: Counts
    support: tuple[tuple[Array, Array], ...] = field(init=False)

    def __post_init__(self) -> None:
        t = self.counts
        found = []
        for n1, n2, m in zip(t.n1, t.n2, t.a + t.c, strict=True):
            j = np.arange(max(0.0, m - n2), min(n1, m) + 1)
            found.append((j, log_choose(n1, j) + log_choose(n2, m - j)))
        object.__setattr__(self, "support", tuple(found))

    def terms(self, eta: Array) -> Terms:
        """Return value, slope and (negative) curvature at the log odds ratio `eta`, shape ``(..., k, 1)``."""
        columns = [self._one(i, eta[..., i, 0]) for i in range(eta.shape[-2])]
        return tuple(np.stack(x, axis=-1)[..., None] for x in zip(*columns, strict=True))  # type: ignore[return-value]

    def _one(self, i: int, eta: Array) -> Terms:
        j, log_w = self.support[i]
        flat = eta.ravel()
        size = max(1, CHUNK // j.size)
        parts = [self._moments(j, log_w, flat[s : s + size]) for s in range(0, flat.size, size)]
        log_sum, mean, variance = (np.concatenate(x).reshape(eta.shape) for x in zip(*parts, strict=True))
        a = self.counts.a[i]
        return a * eta + log_w[int(a - j[0])] - log_sum, a - mean, variance

    @staticmethod
    def _moments(j: Array, log_w: Array, eta: Array) -> Terms:
        exponent = log_w + eta[:, None] * j
        top = exponent.max(axis=1)
        w = np.exp(exponent - top[:, None])
        total = w.sum(axis=1)
        mean = w @ j / total
        return top + np.log(total), mean, (w * (j - mean[:, None]) ** 2).sum(axis=1) / total


Family = Binomial | NoncentralHypergeometric


def log_choose(n: Array | float, k: Array | float) -> Array:
    """Return the logarithm of the binomial coefficient."""
    return np.asarray(gammaln(np.asarray(n) + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(np.asarray(n) - k + 1.0))
