"""Meta-analyses drawn from a known truth, to see how often a method is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, ndtr

from ipt_evidence.errors import OptionError
from ipt_evidence.pooling.moments import Array
from ipt_evidence.sources.showing import readable, table_html

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT = 0.025
MAX_ROUNDS = 10_000


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """Meta-analyses drawn from a known truth.

    Attributes
    ----------
    effect, variance : numpy.ndarray
        Hedges' g and its estimated variance, shape ``(sets, k)``.
    true_effect : numpy.ndarray
        The true effect of each trial, same shape.
    n_per_arm : numpy.ndarray
        Participants in each arm, same shape.
    mu, tau2, publish : float
        The truth: mean and variance of the true effects, and the probability that a trial without a significant result
        in favour of arm 1 is published.
    """

    effect: Array = field(repr=False)
    variance: Array = field(repr=False)
    true_effect: Array = field(repr=False)
    n_per_arm: npt.NDArray[np.int64] = field(repr=False)
    mu: float
    tau2: float
    publish: float

    def table(self, index: int) -> pd.DataFrame:
        """Return one of the meta-analyses as an effects table for :func:`ipt_evidence.pool`."""
        import pandas as pd

        n = self.n_per_arm[index]
        columns = {"effect": self.effect[index], "variance": self.variance[index], "n_1": n, "n_2": n}
        labels = [f"Trial {i + 1}" for i in range(n.size)]
        return pd.DataFrame({"trial_id": labels, "study": labels, **columns, "measure": "SMD"})

    def _repr_html_(self) -> str:
        import pandas as pd

        sets, k = self.effect.shape
        rows = {"effect": self.effect, "variance": self.variance, "true_effect": self.true_effect}
        rows["n_per_arm"] = self.n_per_arm.astype(float)
        found = [(name, x.mean(), x.min(), x.max()) for name, x in rows.items()]
        caption = f"{sets} simulated meta-analyses of {k} trials: mu = {self.mu:g}, tau2 = {self.tau2:g}"
        note = f"Trials without a significant result were published with probability {self.publish:g}."
        notes = (*([note] if self.publish < 1 else []), "table(0) is the first of them.")
        return table_html(pd.DataFrame(found, columns=["trials' own", "mean", "lowest", "highest"]), caption, notes)


def simulate(
    *,
    mu: float = 0.5,
    tau2: float = 0.1,
    k: int = 10,
    sets: int = 1000,
    n_per_arm: int | tuple[int, int] = (15, 100),
    publish: float = 1.0,
    seed: int | np.random.Generator | None = None,
) -> Simulated:
    """Draw meta-analyses of two-arm trials with normal outcomes.

    Parameters
    ----------
    mu, tau2 : float, optional
        Mean and variance of the true standardised effects; they are normal.
    k, sets : int, optional
        Trials in each meta-analysis, and number of meta-analyses.
    n_per_arm : int or tuple of int, optional
        Participants in each arm; with a pair, uniform on the logarithmic scale between the two.
    publish : float, optional
        Probability that a trial whose one-sided p-value is above 0.025 is published. Unpublished trials are drawn anew,
        so every meta-analysis holds `k` published ones.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.

    Returns
    -------
    Simulated

    Raises
    ------
    OptionError
        A parameter is outside its range.

    Notes
    -----
    For each trial the standardised difference is drawn from its exact distribution: a normal difference divided by an
    independent pooled standard deviation. ``g = J d`` with the large-sample variance ``2/n + g^2 / 4n``, so that, as in
    real data, effect and variance are correlated.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> draws = ipt.simulate(mu=0.4, tau2=0.05, k=5, sets=3, seed=1)
    >>> draws.effect.shape
    (3, 5)
    """
    low, high = (n_per_arm, n_per_arm) if isinstance(n_per_arm, int) else n_per_arm
    _check(tau2, k, sets, low, high, publish)
    rng = np.random.default_rng(seed)
    total = sets * k
    n, theta, g, v = (np.empty(total) for _ in range(4))
    open_places = np.arange(total)
    for _ in range(MAX_ROUNDS):
        size = open_places.size
        drawn = _draw(rng, mu, tau2, low, high, size)
        significant = ndtr(-drawn[2] / np.sqrt(drawn[3])) <= SIGNIFICANT
        kept = significant | (rng.random(size) < publish)
        for target, values in zip((n, theta, g, v), drawn, strict=True):
            target[open_places[kept]] = values[kept]
        open_places = open_places[~kept]
        if not open_places.size:
            break
    else:
        raise OptionError(f"publish={publish} with mu={mu} leaves almost no published trial; raise one of them")
    shape = (sets, k)
    sizes = n.reshape(shape).astype(np.int64)
    return Simulated(g.reshape(shape), v.reshape(shape), theta.reshape(shape), sizes, mu, tau2, publish)


def _check(tau2: float, k: int, sets: int, low: int, high: int, publish: float) -> None:
    rules = {
        "tau2 must not be negative": tau2 >= 0,
        "k must be at least 1": k >= 1,
        "sets must be at least 1": sets >= 1,
        "n_per_arm must be at least 2, the smaller number first": 2 <= low <= high,
        "publish must be a probability": 0 <= publish <= 1,
    }
    broken = [rule for rule, kept in rules.items() if not kept]
    if broken:
        raise OptionError("; ".join(broken))


def _draw(
    rng: np.random.Generator, mu: float, tau2: float, low: int, high: int, size: int
) -> tuple[Array, Array, Array, Array]:
    """Return group sizes, true effects, Hedges' g and its variance of `size` trials."""
    n = np.rint(np.exp(rng.uniform(np.log(low), np.log(high), size)))
    df = 2 * n - 2
    theta = rng.normal(mu, np.sqrt(tau2), size)
    d = rng.normal(theta, np.sqrt(2 / n)) / np.sqrt(rng.chisquare(df) / df)
    g = d * np.exp(gammaln(df / 2) - gammaln((df - 1) / 2) - 0.5 * np.log(df / 2))
    return n, theta, g, 2 / n + g**2 / (4 * n)
