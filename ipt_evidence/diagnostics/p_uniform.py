"""p-uniform*: a mean and a between-study variance that allow for selection of significant results."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, chdtri, log_ndtr, ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Direction, sign_of, trials_of
from ipt_evidence.diagnostics.showing import html_row, one_row, p_text
from ipt_evidence.errors import ConvergenceError, NotEstimableError
from ipt_evidence.options import check_level
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

LOG_2PI = math.log(2 * math.pi)
GRID = (33, 17)
ZOOMS = 8
DOUBLINGS = 24


@readable
@dataclass(frozen=True, slots=True, eq=False)
class PUniformStar:
    """Estimates of p-uniform* by maximum likelihood.

    Attributes
    ----------
    estimate, ci_low, ci_high : float
        Mean effect with its profile-likelihood interval; an end that the likelihood leaves open is infinite.
    p_value : float
        Likelihood-ratio test of no effect, `statistic` on one degree of freedom.
    statistic : float
    tau2, tau2_ci_low, tau2_ci_high : float
        Between-study variance with its profile-likelihood interval.
    log_likelihood : float
        Conditional on which results are significant.
    k, k_significant : int
    original : PooledFit
    level : float
    notes : tuple of str
    """

    estimate: float
    ci_low: float
    ci_high: float
    statistic: float
    p_value: float
    tau2: float
    tau2_ci_low: float
    tau2_ci_high: float
    log_likelihood: float
    k: int
    k_significant: int
    level: float
    original: PooledFit = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        return (
            f"If significant results were more likely to be published, all else equal, the mean effect would be "
            f"{self.estimate:.2f} ({self.ci_low:.2f} to {self.ci_high:.2f}) by p-uniform* instead of "
            f"{self.original.estimate:.2f}; {self.k_significant} of {self.k} results are significant."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("estimate", "ci_low", "ci_high", "statistic", "p_value", "tau2", "tau2_ci_low", "tau2_ci_high")
        return one_row(self, (*names, "k", "k_significant"))

    def _repr_html_(self) -> str:
        caption = f"p-uniform*, {100 * self.level:g}% profile-likelihood intervals, p = {p_text(self.p_value)}"
        return html_row(self, caption)


@dataclass(frozen=True, slots=True)
class Conditional:
    """The likelihood of effects given on which side of significance each lies; arrays of shape ``(k,)``."""

    y: Array
    v: Array
    cut: Array
    significant: npt.NDArray[np.bool_]

    def height(self, mean: Array | float, tau2: Array | float) -> Array:
        """Return the log-likelihood for each pair of mean and tau2."""
        mean, tau2 = np.asarray(mean)[..., None], np.asarray(tau2)[..., None]
        s = np.sqrt(self.v + tau2)
        limit = (self.cut - mean) / s
        inside = log_ndtr(np.where(self.significant, -limit, limit))
        density = -0.5 * (LOG_2PI + ((self.y - mean) / s) ** 2) - np.log(s)
        return np.asarray((density - inside).sum(axis=-1))

    def slope(self, mean: float, tau2: float) -> tuple[float, float]:
        """Return the derivatives of the log-likelihood in mean and tau2."""
        s = np.sqrt(self.v + tau2)
        z, limit = (self.y - mean) / s, (self.cut - mean) / s
        side = np.where(self.significant, -1.0, 1.0)
        ratio = np.exp(-0.5 * (LOG_2PI + limit**2) - log_ndtr(side * limit))
        in_mean = z / s + side * ratio / s
        in_tau2 = (z**2 - 1 + side * ratio * limit) / (2 * s**2)
        return float(in_mean.sum()), float(in_tau2.sum())


def p_uniform_star(
    effects: PooledFit | pd.DataFrame, *, alternative: Direction = "greater", alpha: float = 0.025, level: float = 0.95
) -> PUniformStar:
    """Estimate the mean effect and tau2 given which results are significant (p-uniform*).

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    alternative : {"greater", "less"}
        Direction in which significant results are thought to be preferred.
    alpha : float
        One-sided level of significance in the trials; 0.025 where they tested two-sided at 0.05.
    level : float
        Level of the intervals.

    Returns
    -------
    PUniformStar

    Raises
    ------
    NotEstimableError
        Fewer than two trials, all effects equal, or none (or no other than) significant and the likelihood flat.
    ConvergenceError
        The likelihood has no maximum at a finite mean.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    Each effect is normal around the mean, truncated to the side of the critical value on which it lies; this assumes
    that publication depends on significance alone. The maximum is searched on a grid and polished by a quasi-Newton
    ascent with exact derivatives.

    References
    ----------
    van Aert RCM, van Assen MALM. Correcting for publication bias in a meta-analysis with the p-uniform* method.
    MetaArXiv preprint. doi:10.31222/osf.io/zqjr9

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> effect = [0.9, 0.7, 0.8, 0.1, 0.6, 1.0, 0.5, 0.7, 0.2, 0.9, -0.1]
    >>> found = ipt.p_uniform_star(pd.DataFrame({"effect": effect, "variance": 0.04}))
    >>> round(found.estimate, 3), found.k_significant
    (0.526, 8)
    """
    sign = sign_of(alternative, alpha)
    check_level(level)
    what = "p-uniform*"
    trials = trials_of(effects, what=what, minimum=2)
    if np.ptp(trials.effect) == 0:
        raise NotEstimableError(f"{what} needs effects that differ; all {trials.k} are equal")
    unit = float(np.median(trials.std_error))
    sign *= unit
    y, std_error = trials.effect / sign, trials.std_error / unit
    cut = -ndtri(alpha) * std_error
    model = Conditional(y, std_error**2, cut, y > cut)
    mean, tau2, height = _maximum(model)
    drop = float(chdtri(1, 1 - level)) / 2
    low, high = _mean_interval(model, mean, height - drop)
    none = height - _best_tau2(model, 0.0)[1]
    ends = sorted((sign * low, sign * high))
    spread_low, spread_high = _tau2_interval(model, tau2, height - drop)
    return PUniformStar(
        estimate=sign * mean,
        ci_low=ends[0],
        ci_high=ends[1],
        statistic=2 * max(none, 0.0),
        p_value=float(chdtrc(1, 2 * max(none, 0.0))),
        tau2=tau2 * unit**2,
        tau2_ci_low=spread_low * unit**2,
        tau2_ci_high=spread_high * unit**2,
        log_likelihood=height - trials.k * math.log(unit),
        k=trials.k,
        k_significant=int(model.significant.sum()),
        level=level,
        original=trials.fit,
        notes=_notes(model, cautions(trials, what=what, heterogeneity=False)),
    )


def _notes(model: Conditional, notes: tuple[str, ...]) -> tuple[str, ...]:
    if not model.significant.any():
        notes += ("No result is significant in this direction: nothing that selection could have favoured.",)
    elif model.significant.all():
        notes += ("All results are significant: only their distances from the critical value are informative.",)
    return notes


def _maximum(model: Conditional) -> tuple[float, float, float]:
    """Return mean, tau2 and height of the maximum."""
    from scipy.optimize import minimize

    spread = float(np.ptp(model.y))
    means = np.linspace(model.y.min() - spread, model.y.max(), GRID[0])
    roots = np.linspace(0, spread, GRID[1])
    heights = model.height(*np.meshgrid(means, roots**2, indexing="ij"))
    best: tuple[float, float, float] | None = None
    for place in np.argsort(heights, axis=None)[-3:]:
        i, j = np.unravel_index(place, heights.shape)
        found = minimize(
            lambda at: (-float(model.height(at[0], at[1])), -np.array(model.slope(at[0], at[1]))),
            [means[i], roots[j] ** 2],
            jac=True,
            method="L-BFGS-B",
            bounds=[(None, None), (0, None)],
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
        )
        if best is None or -found.fun > best[2]:
            best = (float(found.x[0]), float(found.x[1]), -float(found.fun))
    if best is None or not math.isfinite(best[2]) or not means[0] - spread <= best[0] <= means[-1] + spread:
        raise ConvergenceError(
            "the likelihood of p-uniform* has no maximum at a finite mean: results just beyond the critical value, or "
            "just short of it, fit ever more extreme means; use another method"
        )
    return best


def _best_tau2(model: Conditional, mean: float) -> tuple[float, float]:
    """Return the tau2 that is most likely at a mean, and the height there."""
    top = float(np.ptp(model.y)) + abs(mean - float(model.y.mean()))
    root, height = _highest(lambda roots: model.height(np.full(roots.size, mean), roots**2), 0.0, top)
    return root**2, height


def _best_mean(model: Conditional, tau2: float) -> tuple[float, float]:
    """Return the mean that is most likely at a tau2, and the height there."""
    spread = float(np.ptp(model.y))
    ends = (float(model.y.min()) - 2 * spread, float(model.y.max()) + spread)
    return _highest(lambda means: model.height(means, np.full(means.size, tau2)), *ends)


def _highest(heights: Callable[[Array], Array], low: float, high: float) -> tuple[float, float]:
    """Return where a curve is highest, and how high, by a grid that is drawn in around its highest point."""
    first, last = low, high
    best = (low, -math.inf)
    for _ in range(ZOOMS):
        points = np.linspace(low, high, 2 * GRID[1])
        found = heights(points)
        i = int(np.argmax(found))
        if found[i] > best[1]:
            best = (float(points[i]), float(found[i]))
        step = points[1] - points[0]
        low, high = max(first, points[i] - 1.5 * step), min(last, points[i] + 1.5 * step)
    return best


def _mean_interval(model: Conditional, mean: float, target: float) -> tuple[float, float]:
    """Return where the profile likelihood of the mean falls to a height, on both sides."""
    low, high = (_crossing(lambda at: _best_tau2(model, at)[1] - target, mean, way, model) for way in (-1, 1))
    return low, high


def _tau2_interval(model: Conditional, tau2: float, target: float) -> tuple[float, float]:
    """Return where the profile likelihood of tau2 falls to a height; 0 where it does not below."""
    from scipy.optimize import brentq

    def profile(root: float) -> float:
        return _best_mean(model, root**2)[1] - target

    root = math.sqrt(tau2)
    low = 0.0 if root == 0 or profile(0.0) >= 0 else float(brentq(profile, 0.0, root)) ** 2
    top = max(root, float(np.ptp(model.y)) / 10)
    for _ in range(DOUBLINGS):
        if profile(top) < 0:
            return low, float(brentq(profile, root, top)) ** 2
        top *= 1.6
    return low, math.inf


def _crossing(excess: Callable[[float], float], start: float, way: int, model: Conditional) -> float:
    """Return where a profile leaves its interval in one direction; infinite where it does not."""
    from scipy.optimize import brentq

    step = float(np.ptp(model.y)) / 8
    inner = start
    for _ in range(DOUBLINGS):
        outer = inner + way * step
        if excess(outer) < 0:
            return float(brentq(excess, *sorted((inner, outer)), xtol=1e-10 * step))
        inner, step = outer, step * 1.5
    return way * math.inf
