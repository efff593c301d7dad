"""The Copas selection model: effects if small trials with small results are published less often."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import chdtrc, ndtr, ndtri

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.copas_likelihood import Array, CopasNumbers, fit_copas
from ipt_evidence.diagnostics.copas_result import CopasModel
from ipt_evidence.diagnostics.inputs import Trials, trials_of
from ipt_evidence.diagnostics.selection_fit import SelectionNumbers, fit_selection
from ipt_evidence.diagnostics.weight_functions import step_weights
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.options import check_level, choose
from ipt_evidence.pooling.result import PooledFit

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 4
PROBABILITIES = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
Favoured = Literal["greater", "less"]
NEARLY_ALL = 1 - 1e-6
BISECTION = 1e-6


def copas(
    effects: PooledFit | pd.DataFrame,
    *,
    probabilities: Sequence[float] = PROBABILITIES,
    largest: float = 0.9,
    alternative: Favoured | None = None,
    residual_level: float = 0.1,
    level: float = 0.95,
) -> CopasModel:
    """Follow the pooled effect as selection by size and result grows, and correct it by as much as the trials ask for.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    probabilities : sequence of float
        Probabilities that a trial as imprecise as the least precise one is published, for which the effect is computed.
    largest : float
        Probability that the most precise trial is published when the least precise one has a probability of 0.5. It
        fixes how much selection depends on size; between 0.5 and 1.
    alternative : {"greater", "less"}, optional
        Which results publication favours; by default those that small trials have more of, by a regression on the
        standard error.
    residual_level : float
        Level of the test of residual selection bias; the correction is the smallest after which it does not reject.
    level : float
        Level of the intervals.

    Returns
    -------
    CopasModel

    Raises
    ------
    NotEstimableError
        There are fewer than four trials, or all have one standard error.
    OptionError
        A probability that is none.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    A trial is published when ``gamma_0 + gamma_1 / s + d > 0``, where the normal d is correlated (rho) with the error
    of its result; mu, rho and tau2 are estimated for given gammas by maximum likelihood. The data hardly determine the
    gammas, so the model is a sensitivity analysis along a path. Here the path keeps gamma_1 and lowers gamma_0. The
    test of residual selection bias is the likelihood-ratio test of a slope by the standard error that is added to the
    model (Copas & Shi 2001); rho keeps the sign that `alternative` gives it.

    R's metasens follows a line at right angles to the contours of a plot and stops at a level of that plot, so its
    corrected effect belongs to another point of the same surface.

    References
    ----------
    Copas J, Shi JQ. Meta-analysis, funnel plots and sensitivity analysis. Biostatistics 2000;1:247-262.
    doi:10.1093/biostatistics/1.3.247
    Copas JB, Shi JQ. A sensitivity analysis for publication bias in systematic reviews. Stat Methods Med Res
    2001;10:251-265. doi:10.1177/096228020101000402
    Carpenter JR, Schwarzer G, Rücker G, Künstler R. Empirical evaluation showed that the Copas selection model provided
    a useful summary in 80% of meta-analyses. J Clin Epidemiol 2009;62:624-631. doi:10.1016/j.jclinepi.2008.12.002

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.copas import copas
    >>> effects = pd.DataFrame({"effect": [0.9, 0.8, 0.7, 0.6, 0.5, 0.2, 0.4, 0.1, 0.2, 0.35, 0.3, 0.1],
    ...                         "variance": [0.16, 0.12, 0.1, 0.08, 0.05, 0.09, 0.04, 0.02, 0.02, 0.03, 0.01, 0.01]})
    >>> fit = copas(effects)
    >>> fit.path[["probability", "estimate", "p_residual"]].head(3).round(3)
       probability  estimate  p_residual
    0         1.00     0.283       0.003
    1         0.95     0.268       0.005
    2         0.90     0.260       0.007
    """
    check_level(level)
    chosen = _check_probabilities(probabilities, largest, residual_level)
    trials = trials_of(effects, what="copas()", minimum=FEWEST)
    gamma_1 = _gamma_1(trials, largest)
    y, s = trials.effect, trials.std_error
    said = cautions(trials, what="the Copas selection model", standard_errors=True)
    surface = _surface(y, s, alternative)

    def at(probit: float, near: Point) -> Point:
        return surface.at(probit + gamma_1 * (1 / s - 1 / s.max()), near)

    path = [(1.0, surface.start)]
    for probability in chosen:
        path.append((probability, at(float(ndtri(probability)), path[-1][1])))
    where, found = _adjusted(path, at, residual_level)
    return CopasModel(
        **_corrected(found, where, level),
        p_value=surface.start.p_residual,
        unadjusted=surface.start.fit.mu,
        n_unpublished=_unpublished(where, s, gamma_1),
        k=trials.k,
        largest=largest,
        alternative="greater" if surface.sign > 0 else "less",
        residual_level=residual_level,
        measure=trials.fit.measure,
        level=level,
        path_table=_table(path, s, gamma_1),
        notes=said + _said(path, found, residual_level),
    )


def copas_contour(
    effects: PooledFit | pd.DataFrame,
    *,
    gamma_0: Sequence[float] | None = None,
    gamma_1: Sequence[float] | None = None,
    alternative: Favoured | None = None,
) -> pd.DataFrame:
    """Return the corrected effect over a grid of selection parameters, as for a contour plot.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    gamma_0, gamma_1 : sequence of float, optional
        Selection parameters. By default ten values each: from -1 to 2, and from 0 to the `gamma_1` that
        :func:`copas` uses.
    alternative : {"greater", "less"}, optional
        As for :func:`copas`.

    Returns
    -------
    pandas.DataFrame
        ``gamma_0 gamma_1 probability probability_most_precise estimate std_error rho tau2 log_likelihood p_residual
        converged``; `probability` is that of the least precise trial.

    Raises
    ------
    NotEstimableError
        There are fewer than four trials, or all have one standard error.

    Examples
    --------
    >>> import pandas as pd
    >>> from ipt_evidence.diagnostics.copas import copas_contour
    >>> effects = pd.DataFrame({"effect": [0.9, 0.6, 0.5, 0.3, 0.3], "variance": [0.16, 0.1, 0.05, 0.02, 0.01]})
    >>> copas_contour(effects, gamma_0=[-0.5, 0.5], gamma_1=[0.1])[["gamma_0", "probability", "estimate"]].round(3)
       gamma_0  probability  estimate
    0     -0.5        0.401     0.336
    1      0.5        0.773     0.341
    """
    import pandas as pd

    trials = trials_of(effects, what="copas_contour()", minimum=FEWEST)
    end = _gamma_1(trials, 0.9)
    y, s = trials.effect, trials.std_error
    surface = _surface(y, s, alternative)
    rows, near = [], surface.start
    for second in np.linspace(0, end, 10) if gamma_1 is None else gamma_1:
        for first in np.linspace(2, -1, 10) if gamma_0 is None else gamma_0:
            near = surface.at(first + second / s, near)
            least, most = (float(ndtr(first + second / size)) for size in (s.max(), s.min()))
            shown = {"gamma_0": first, "gamma_1": second, "probability": least, "probability_most_precise": most}
            rows.append(shown | _row(near))
    return pd.DataFrame(rows)


@dataclass(frozen=True, slots=True)
class Point:
    """A fit with the p-value of its test of residual selection bias."""

    fit: CopasNumbers
    p_residual: float


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """Trials, the fits without selection (mean alone; with a slope) and the sign of rho."""

    y: Array
    s: Array
    start: Point
    regression: tuple[float, float, float, float]
    sign: float

    def at(self, u: Array, near: Point) -> Point:
        """Return the fit at probits of publication `u`, beginning at a neighbour and without selection."""
        plain, before = self.start.fit, near.fit
        begin = [(before.mu, 0.8 * self.sign if math.isnan(before.rho) else before.rho, before.tau2, 0.0)]
        fit = fit_copas(self.y, self.s, u, [*begin, (plain.mu, 0.5 * self.sign, plain.tau2, 0.0)], sign=self.sign)
        begin = [self.regression, (fit.mu, fit.rho, fit.tau2, 0.0)]
        freer = fit_copas(self.y, self.s, u, begin, sign=self.sign, slope=True)
        return Point(fit, float(chdtrc(1, max(0.0, 2 * (freer.log_likelihood - fit.log_likelihood)))))


def _surface(y: Array, s: Array, alternative: Favoured | None) -> Surface:
    plain, line = _without_selection(y, s, 1), _without_selection(y, s, 2)
    if alternative is None:
        sign = 1.0 if line.beta[1] >= 0 else -1.0
    else:
        sign = 1.0 if choose("alternative", alternative, Favoured) == "greater" else -1.0
    fit = CopasNumbers(
        mu=float(plain.beta[0]),
        std_error=float(plain.beta_error[0]),
        rho=math.nan,
        tau2=plain.tau2,
        log_likelihood=plain.log_likelihood,
        converged=plain.converged,
    )
    p = float(chdtrc(1, max(0.0, 2 * (line.log_likelihood - plain.log_likelihood))))
    return Surface(y, s, Point(fit, p), (float(line.beta[0]), 0.0, line.tau2, float(line.beta[1])), sign)


def _check_probabilities(probabilities: Sequence[float], largest: float, residual_level: float) -> list[float]:
    try:
        chosen = sorted({float(p) for p in probabilities}, reverse=True)
    except (TypeError, ValueError):
        chosen = [math.nan]
    if not chosen or not all(0 < p < 1 for p in chosen):
        raise OptionError(f"probabilities must be numbers between 0 and 1; received {probabilities!r}")
    if not 0.5 < largest < 1:
        raise OptionError(f"largest must be a probability between 0.5 and 1; received {largest!r}")
    if not 0 < residual_level < 1:
        raise OptionError(f"residual_level must lie between 0 and 1, such as 0.1; received {residual_level!r}")
    return chosen


def _gamma_1(trials: Trials, largest: float) -> float:
    """Return how fast the probit of publication rises with precision."""
    precision = 1 / trials.std_error
    if np.ptp(precision) <= 1e-9 * precision.max():
        raise NotEstimableError(
            f"all {trials.k} trials have the same standard error, so selection by size cannot be told "
            "from the mean effect"
        )
    return float(ndtri(largest) / np.ptp(precision))


def _without_selection(y: Array, s: Array, columns: int) -> SelectionNumbers:
    """Return the maximum-likelihood fit of the mean, or of a line in the standard error."""
    x = np.column_stack([np.ones_like(s), s])[:, :columns]
    return fit_selection(y, s**2, x, step_weights(y / s, np.empty(0), two_sided=False, fixed=np.ones(1)), 1.0)


def _adjusted(
    path: list[tuple[float, Point]], at: Callable[[float, Point], Point], residual_level: float
) -> tuple[float, Point | None]:
    """Return the largest probability at which no selection is left over, and the fit there."""
    from scipy.optimize import brentq

    if path[0][1].p_residual >= residual_level:
        return path[0]
    for (above, _), (below, end) in pairwise(path):
        if end.p_residual >= residual_level:

            def excess(probit: float, near: Point = end) -> float:
                return at(probit, near).p_residual - residual_level

            high, low = float(ndtri(min(above, NEARLY_ALL))), float(ndtri(below))
            if excess(high) >= 0:
                return min(above, NEARLY_ALL), at(high, end)
            if excess(low) < 0:
                return below, end
            probit = float(brentq(excess, low, high, xtol=BISECTION))
            return float(ndtr(probit)), at(probit, end)
    return math.nan, None


def _corrected(found: Point | None, where: float, level: float) -> dict[str, Any]:
    """Return the corrected effect with its interval; NaN where no point of the path will do."""
    if found is None:
        names = ("estimate", "std_error", "ci_low", "ci_high", "tau2", "rho", "probability", "p_residual")
        return dict.fromkeys(names, math.nan) | {"log_likelihood": math.nan, "converged": False}
    q, fit = float(ndtri(0.5 + level / 2)) * found.fit.std_error, found.fit
    return _row(found) | {"probability": where, "ci_low": fit.mu - q, "ci_high": fit.mu + q}


def _unpublished(probability: float, s: Array, gamma_1: float) -> float:
    """Return how many trials of the same sizes would have to be unpublished (Copas & Shi 2001)."""
    if not probability < 1:
        return 0.0 if probability == 1 else math.nan
    chance = ndtr(ndtri(probability) + gamma_1 * (1 / s - 1 / s.max()))
    return float(np.sum((1 - chance) / chance))


def _table(path: list[tuple[float, Point]], s: Array, gamma_1: float) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for probability, point in path:
        probit = math.inf if probability == 1 else float(ndtri(probability))
        chance = {"probability": probability, "probability_most_precise": float(ndtr(probit + gamma_1 * np.ptp(1 / s)))}
        gammas = {"gamma_0": probit - gamma_1 / float(s.max()), "gamma_1": gamma_1}
        unpublished = {"n_unpublished": _unpublished(probability, s, gamma_1)}
        rows.append(chance | _row(point) | unpublished | gammas)
    return pd.DataFrame(rows)


def _said(path: list[tuple[float, Point]], found: Point | None, residual_level: float) -> tuple[str, ...]:
    notes = []
    if found is None:
        notes.append(
            f"Selection is left over (p < {residual_level:g}) at every probability of publication that was looked "
            "at, so there is no corrected effect; this model does not explain the asymmetry."
        )
    elif found.fit.tau2 == 0:
        notes.append("tau2 is estimated as zero; the standard error takes it as known.")
    failed = [f"{probability:g}" for probability, point in path if not point.fit.converged]
    if failed:
        notes.append(f"The likelihood has no regular maximum at the probabilities {', '.join(failed)}.")
    return tuple(notes)


def _row(point: Point) -> dict[str, Any]:
    names = ("std_error", "rho", "tau2", "log_likelihood", "converged")
    numbers = {name: getattr(point.fit, name) for name in names}
    return {"estimate": point.fit.mu} | numbers | {"p_residual": point.p_residual}
