"""p-curve: whether significant results hold evidence, or are what chance and selection leave."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import bdtr, bdtrc, ndtr, ndtri

from ipt_evidence.diagnostics.cautions import few_trials
from ipt_evidence.diagnostics.inputs import Array, trials_of
from ipt_evidence.diagnostics.showing import html_table, p_equals
from ipt_evidence.errors import NotEstimableError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

Alternative = Literal["greater", "less", "two-sided"]
ALPHA = 0.05
Z_FULL, Z_HALF = float(-ndtri(ALPHA / 2)), float(-ndtri(ALPHA / 4))
TINY = float(np.finfo(float).eps)
POWER_RANGE = (ALPHA + 1e-6, 0.99)
FEW = 3
"""Fewest significant results for a p-curve that says anything."""


@readable
@dataclass(frozen=True, slots=True, eq=False)
class PCurve:
    """Tests of the distribution of significant p-values.

    Attributes
    ----------
    k, k_significant, k_half : int
        Trials; those with p < 0.05; those with p < 0.025.
    tests : pandas.DataFrame
        Rows `right_skew` (more small p-values than without any effect) and `flatness` (fewer than with a power of 33%);
        columns `p_binomial z_full p_full z_half p_half`.
    power, power_low, power_high : float
        Average power of the significant trials, with a 90% interval; at most 0.99 is distinguished.
    evidential_value : bool
        The half p-curve is right-skewed at 0.05, or half and full both at 0.1.
    evidence_lacking : bool
        The full p-curve is flatter than that of 33% power at 0.05, or half and binomial test both at 0.1.
    table : pandas.DataFrame
        `study p_value significant`.
    notes : tuple of str
    """

    k: int
    k_significant: int
    k_half: int
    tests: pd.DataFrame
    power: float
    power_low: float
    power_high: float
    evidential_value: bool
    evidence_lacking: bool
    table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def statistic(self) -> float:
        """Z of the test for right skew on the full p-curve."""
        return float(self.tests["z_full"].iloc[0])

    @property
    def p_value(self) -> float:
        """p-value of the test for right skew on the full p-curve."""
        return float(self.tests["p_full"].iloc[0])

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        if self.evidential_value:
            said = "are right-skewed, as they are where at least some of the effects are real"
        elif self.evidence_lacking:
            said = "are flatter than with a power of 33%, as they are where trials hold little evidence"
        else:
            said = "are compatible both with no effect and with effects studied at low power"
        shown = f"right skew: z = {self.statistic:.2f}, {p_equals(self.p_value)}"
        return (
            f"The {self.k_significant} significant p-values {said} ({shown}); this says nothing of the size of the "
            "effect in all trials."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the tests, one row each, with the number of results and the power."""
        counts = {"k": self.k, "k_significant": self.k_significant, "k_half": self.k_half}
        power = {"power": self.power, "power_low": self.power_low, "power_high": self.power_high}
        return self.tests.rename_axis("test").reset_index().assign(**counts, **power)

    def _repr_html_(self) -> str:
        return html_table(self.tidy(), "p-curve of the significant results", (self.interpretation, *self.notes))


def p_curve(effects: PooledFit | pd.DataFrame, *, alternative: Alternative = "greater") -> PCurve:
    """Test whether the significant results hold evidential value, and estimate their average power.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`; z is effect over standard error.
    alternative : {"greater", "less", "two-sided"}
        Direction of the significant results that count: those with p < 0.05 (two-sided) above zero, below, or both.

    Returns
    -------
    PCurve

    Raises
    ------
    NotEstimableError
        No result is significant in that direction.

    Notes
    -----
    Tests combine pp-values by Stouffer's method (Simonsohn et al. 2015). The half p-curve takes results with p < 0.025.
    For flatness its pp-values are conditional on p < 0.025 throughout; the authors' program and R functions made from
    it mix in the unconditional distribution, which makes z larger (the full curve and everything else agree).
    Heterogeneous effects inflate the power estimate (McShane et al. 2016, doi:10.1177/1745691616662243).

    References
    ----------
    Simonsohn U, Nelson LD, Simmons JP. P-curve: a key to the file-drawer. J Exp Psychol Gen 2014;143:534-547.
    doi:10.1037/a0033242
    Simonsohn U, Simmons JP, Nelson LD. Better p-curves: making p-curve analysis more robust to errors, fraud, and
    ambitious p-hacking, a reply to Ulrich and Miller (2015). J Exp Psychol Gen 2015;144:1146-1152.
    doi:10.1037/xge0000104

    Examples
    --------
    >>> import pandas as pd, ipt_evidence as ipt
    >>> table = pd.DataFrame({"effect": [0.9, 0.7, 0.8, 0.1, 0.6, 1.0, 0.5, 0.7, 0.2, 0.9], "variance": 0.04})
    >>> curve = ipt.p_curve(table)
    >>> curve.k_significant, curve.evidential_value
    (8, True)
    """
    import pandas as pd

    choose("alternative", alternative, Alternative)
    trials = trials_of(effects, what="The p-curve")
    z = trials.effect / trials.std_error
    z = {"greater": z, "less": -z, "two-sided": np.abs(z)}[alternative]
    significant = z > Z_FULL
    found = z[significant]
    if not found.size:
        where = {"greater": " above zero", "less": " below zero", "two-sided": ""}[alternative]
        raise NotEstimableError(f"a p-curve needs significant results; none of {trials.k} is significant{where}")
    tests = _tests(found)
    right, flat = tests.loc["right_skew"], tests.loc["flatness"]
    table = {"study": trials.labels, "p_value": 2 * ndtr(-np.abs(trials.effect / trials.std_error))}
    return PCurve(
        k=trials.k,
        k_significant=found.size,
        k_half=int((found > Z_HALF).sum()),
        tests=tests,
        **_average_power(found),
        evidential_value=bool(right["p_half"] < 0.05 or (right["p_half"] < 0.1 and right["p_full"] < 0.1)),
        evidence_lacking=bool(flat["p_full"] < 0.05 or (flat["p_half"] < 0.1 and flat["p_binomial"] < 0.1)),
        table=pd.DataFrame(table).assign(significant=significant),
        notes=_notes(found.size, trials.k),
    )


def _notes(significant: int, k: int) -> tuple[str, ...]:
    notes = few_trials(k, "The p-curve")
    if significant < FEW:
        notes += (f"Significant results: {significant}; so few say next to nothing.",)
    return notes


def _tests(z: Array) -> pd.DataFrame:
    """Return the table of both tests for the z of significant results."""
    import pandas as pd

    half, n = z[z > Z_HALF], z.size
    weak = _noncentrality(1 / 3)
    p = 2 * ndtr(-z)
    right = (_stouffer(p / ALPHA), _stouffer(2 * ndtr(-half) / (ALPHA / 2)))
    flat = (
        _stouffer(1 - _beyond(z, weak) / _beyond(Z_FULL, weak)),
        _stouffer(1 - _beyond(half, weak) / _beyond(Z_HALF, weak)),
    )
    share = float(_beyond(Z_HALF, weak) / _beyond(Z_FULL, weak))
    at_least = float(bdtrc(half.size - 1, n, 0.5)) if half.size else 1.0
    columns = {"p_binomial": [at_least, float(bdtr(half.size, n, share))]}
    for place, name in enumerate(("full", "half")):
        scores = [right[place], flat[place]]
        columns[f"z_{name}"] = scores
        columns[f"p_{name}"] = [float(ndtr(score)) for score in scores]
    return pd.DataFrame(columns, index=["right_skew", "flatness"])


def _stouffer(pp: Array) -> float:
    """Return the sum of normal quantiles over the root of their number; NaN of none."""
    if not pp.size:
        return math.nan
    return float(ndtri(np.clip(pp, TINY, 1 - TINY)).sum() / math.sqrt(pp.size))


def _beyond(z: Array | float, noncentrality: float) -> Array:
    """Return the chance of a result further from zero than `z` in either direction."""
    return np.asarray(ndtr(noncentrality - np.asarray(z)) + ndtr(-noncentrality - np.asarray(z)))


def _noncentrality(power: float) -> float:
    """Return the expected z at which a two-sided test at 0.05 has a given power."""
    from scipy.optimize import brentq

    return float(brentq(lambda shift: float(_beyond(Z_FULL, shift)) - power, 0.0, 40.0, xtol=1e-13))


def _average_power(z: Array) -> dict[str, float]:
    """Return the power under which the pp-values are as spread as observed, with its 90% interval."""
    from scipy.optimize import brentq

    def score(power: float) -> float:
        return _stouffer(1 - _beyond(z, _noncentrality(power)) / power)

    ends = {}
    for name, target in (("power", 0.0), ("power_low", float(ndtri(0.95))), ("power_high", float(ndtri(0.05)))):
        low, high = (score(power) - target for power in POWER_RANGE)
        if low <= 0:
            ends[name] = ALPHA
        elif high >= 0:
            ends[name] = POWER_RANGE[1]
        else:
            ends[name] = float(brentq(lambda power, t=target: score(power) - t, *POWER_RANGE, xtol=1e-10))
    return ends
