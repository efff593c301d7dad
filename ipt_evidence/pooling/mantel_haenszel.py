"""Pooled effects of events in closed form: Mantel-Haenszel and Peto, with the tests that belong to them.

Notation: ``a`` and ``c`` events, ``n1`` and ``n2`` persons in the two arms of each trial, ``b = n1 - a``, ``d = n2 -
c``, ``m = a + c``, ``N = n1 + n2``.

References
----------
Mantel N, Haenszel W. Statistical aspects of the analysis of data from retrospective studies of disease. J Natl Cancer
Inst 1959;22:719-748. doi:10.1093/jnci/22.4.719
Robins J, Breslow N, Greenland S. Estimators of the Mantel-Haenszel variance consistent in both sparse data and
large-strata limiting models. Biometrics 1986;42:311-323. doi:10.2307/2531052
Greenland S, Robins JM. Estimation of a common effect parameter from sparse follow-up data. Biometrics 1985;41:55-68.
doi:10.2307/2530643
Sato T, Greenland S, Robins JM. On the variance estimator for the Mantel-Haenszel risk difference. Biometrics
1989;45:1323-1324. https://www.jstor.org/stable/2531784
Yusuf S, Peto R, Lewis J, Collins R, Sleight P. Beta blockade during and after myocardial infarction: an overview of the
randomized trials. Prog Cardiovasc Dis 1985;27:335-371. doi:10.1016/S0033-0620(85)80003-7
Tarone RE. On heterogeneity tests based on efficient scores. Biometrika 1985;72:91-95. doi:10.1093/biomet/72.1.91
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from ipt_evidence.errors import NotEstimableError
from ipt_evidence.pooling.binary_result import BinaryTest
from ipt_evidence.pooling.kernel import Array

NO_RATIO = (
    "the Mantel-Haenszel {} is {}: {}; method='peto' (odds ratio), method='glmm' or pooled_add=0.5 give an estimate"
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Events and persons of each trial in the two arms, shape ``(k,)`` each."""

    a: Array
    n1: Array
    c: Array
    n2: Array

    @property
    def cells(self) -> tuple[Array, Array, Array, Array, Array]:
        """The four cells ``a, b, c, d`` and the size ``N`` of each trial."""
        return self.a, self.n1 - self.a, self.c, self.n2 - self.c, self.n1 + self.n2

    @property
    def has_zero(self) -> npt.NDArray[np.bool_]:
        """Trials in which one of the four cells is empty."""
        return np.asarray(np.min(self.cells[:4], axis=0) == 0)

    def plus(self, constant: float) -> Counts:
        """Return the counts with a constant added to all cells of the trials that have an empty one."""
        add = np.where(self.has_zero, constant, 0.0)
        return Counts(self.a + add, self.n1 + 2 * add, self.c + add, self.n2 + 2 * add)


@dataclass(frozen=True, slots=True)
class Closed:
    """A pooled effect (logarithm for ratios), its standard error, and the weights of the trials (any scale)."""

    estimate: float
    std_error: float
    weights: Array


def odds_ratio(t: Counts) -> Closed:
    """Return the Mantel-Haenszel log odds ratio with the variance of Robins, Breslow & Greenland (1986)."""
    a, b, c, d, n = t.cells
    r, s = a * d / n, b * c / n
    p, q = (a + d) / n, (b + c) / n
    total_r, total_s = float(r.sum()), float(s.sum())
    _refuse_zero(total_r, total_s, "odds ratio")
    variance = 0.5 * (
        (p * r).sum() / total_r**2 + (p * s + q * r).sum() / (total_r * total_s) + (q * s).sum() / total_s**2
    )
    return Closed(float(np.log(total_r / total_s)), float(np.sqrt(variance)), s)


def risk_ratio(t: Counts) -> Closed:
    """Return the Mantel-Haenszel log risk ratio with the variance of Greenland & Robins (1985)."""
    a, _, c, _, n = t.cells
    r, s = a * t.n2 / n, c * t.n1 / n
    total_r, total_s = float(r.sum()), float(s.sum())
    _refuse_zero(total_r, total_s, "risk ratio")
    spread = (t.n1 * t.n2 * (a + c) - a * c * n) / n**2
    return Closed(float(np.log(total_r / total_s)), float(np.sqrt(spread.sum() / (total_r * total_s))), s)


def risk_difference(t: Counts) -> Closed:
    """Return the Mantel-Haenszel risk difference with the variance of Sato, Greenland & Robins (1989)."""
    a, b, c, d, n = t.cells
    weights = t.n1 * t.n2 / n
    total = float(weights.sum())
    estimate = float(((a * t.n2 - c * t.n1) / n).sum()) / total
    p = (t.n1**2 * c - t.n2**2 * a + t.n1 * t.n2 * (t.n2 - t.n1) / 2) / n**2
    q = (a * d + b * c) / (2 * n)
    return Closed(estimate, float(np.sqrt(estimate * p.sum() + q.sum())) / total, weights)


def _refuse_zero(numerator: float, denominator: float, name: str) -> None:
    if numerator == 0 and denominator == 0:
        raise NotEstimableError(f"the trials hold no information on the {name}")
    if numerator == 0:
        raise NotEstimableError(NO_RATIO.format(name, "zero", "one side of all tables is empty"))
    if denominator == 0:
        raise NotEstimableError(NO_RATIO.format(name, "infinite", "one side of all tables is empty"))


@dataclass(frozen=True, slots=True)
class Hypergeometric:
    """Observed minus expected events of arm 1 and their variance, given the margins and no effect."""

    excess: Array
    variance: Array


def hypergeometric(t: Counts) -> Hypergeometric:
    """Return ``O - E`` and ``V`` of each trial."""
    a, b, c, d, n = t.cells
    m = a + c
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = m * (b + d) * (t.n1 / n) * (t.n2 / n) / (n - 1)
    return Hypergeometric(a - t.n1 * m / n, np.where(n > 1, variance, 0.0))


def peto(t: Counts) -> Closed:
    """Return Peto's one-step log odds ratio (Yusuf 1985)."""
    h = hypergeometric(t)
    total = float(h.variance.sum())
    if total == 0:
        raise NotEstimableError("the trials hold no information on the odds ratio")
    return Closed(float(h.excess.sum()) / total, total**-0.5, h.variance)


def peto_heterogeneity(t: Counts) -> tuple[float, int]:
    """Return ``sum (O - E)^2 / V - (sum (O - E))^2 / sum V`` and its degrees of freedom."""
    h = hypergeometric(t)
    informative = h.variance > 0
    e, v = h.excess[informative], h.variance[informative]
    return max(0.0, float((e**2 / v).sum() - e.sum() ** 2 / v.sum())), int(informative.sum()) - 1


def association_tests(t: Counts) -> tuple[BinaryTest, ...]:
    """Return the Cochran-Mantel-Haenszel test with and without continuity correction."""
    h = hypergeometric(t)
    excess, variance = abs(float(h.excess.sum())), float(h.variance.sum())
    return tuple(
        BinaryTest(name, statistic := max(excess - correction, 0.0) ** 2 / variance, 1, float(chdtrc(1, statistic)))
        for name, correction in (
            ("Cochran-Mantel-Haenszel, continuity corrected", 0.5),
            ("Cochran-Mantel-Haenszel", 0.0),
        )
    )


def tarone_test(t: Counts, log_odds_ratio: float) -> BinaryTest:
    """Return the Breslow-Day test of equal odds ratios with the correction of Tarone (1985).

    Notes
    -----
    The expected events A of arm 1 solve ``A (n2 - m + A) = OR (n1 - A) (m - A)``; their variance is the inverse of
    the sum of the inverses of the four expected cells.
    """
    psi, m = np.exp(log_odds_ratio), t.a + t.c
    linear = t.n2 - m + psi * (t.n1 + m)
    root = np.sqrt(linear**2 + 4 * (1 - psi) * psi * t.n1 * m)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(linear > 0, 2 * psi * t.n1 * m / (linear + root), (root - linear) / (2 * (1 - psi)))
        inverse = 1 / expected + 1 / (t.n1 - expected) + 1 / (m - expected) + 1 / (t.n2 - m + expected)
    variance = 1 / inverse
    used = np.isfinite(variance) & (variance > 0)
    excess, v = (t.a - expected)[used], variance[used]
    statistic = float((excess**2 / v).sum() - excess.sum() ** 2 / v.sum())
    df = int(used.sum()) - 1
    return BinaryTest("Breslow-Day-Tarone (equal odds ratios)", statistic, df, float(chdtrc(df, statistic)))
