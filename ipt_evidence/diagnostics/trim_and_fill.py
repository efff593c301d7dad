"""Trim and fill: how many trials seem to be missing on one side of the funnel, and the mean with them put back."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from ipt_evidence.diagnostics.cautions import cautions
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.line import fit_line
from ipt_evidence.diagnostics.showing import html_row, one_row
from ipt_evidence.errors import ConvergenceError, NarrowIntervalWarning, NotEstimableError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

TrimEstimator = Literal["L0", "R0", "Q0"]
Side = Literal["left", "right"]
MAX_ROUNDS = 100


@readable
@dataclass(frozen=True, slots=True, eq=False)
class TrimAndFill:
    """A pooled effect with the trials that trim and fill takes to be missing.

    Attributes
    ----------
    k0 : int
        Trials taken to be missing.
    k0_std_error : float
        Of `k0`, for L0 and Q0.
    k0_p_value : float
        Of the test of no missing trial, for R0; NaN for the others.
    side : {"left", "right"}
        Where they are missing.
    estimator : {"L0", "R0", "Q0"}
    fit, original : PooledFit
        With the filled trials, and without.
    filled : pandas.DataFrame
        The trials put back: `study` (of the trial it mirrors), `effect`, `variance`, `std_error`.
    notes : tuple of str
    """

    k0: int
    k0_std_error: float
    k0_p_value: float
    side: Side
    estimator: TrimEstimator
    fit: PooledFit
    original: PooledFit
    filled: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def estimate(self) -> float:
        """Pooled effect with the filled trials."""
        return self.fit.estimate

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return self.fit.std_error

    @property
    def ci_low(self) -> float:
        """Lower limit of its interval."""
        return self.fit.ci_low

    @property
    def ci_high(self) -> float:
        """Upper limit of its interval."""
        return self.fit.ci_high

    @property
    def tau2(self) -> float:
        """Between-study variance with the filled trials."""
        return self.fit.tau2

    @property
    def interpretation(self) -> str:
        """One sentence that says what was found, and no more."""
        if self.k0 == 0:
            return (
                f"Trim and fill ({self.estimator}) finds no trial missing on the {self.side} side of the funnel, so it "
                "leaves the pooled effect as it is; bias of other kinds is not excluded."
            )
        return (
            f"If {self.k0} trial{'s were' if self.k0 > 1 else ' was'} missing on the {self.side} side of the funnel, "
            f"as its asymmetry suggests ({self.estimator}), the pooled effect would be {self.estimate:.2f} "
            f"({self.ci_low:.2f} to {self.ci_high:.2f}) instead of {self.original.estimate:.2f}; asymmetry can have "
            "other reasons."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the numbers as a table of one row."""
        names = ("k0", "k0_std_error", "k0_p_value", "side", "estimator", "estimate", "std_error", "ci_low", "ci_high")
        return one_row(self, (*names, "tau2"), k=self.fit.k)

    def _repr_html_(self) -> str:
        caption = f"Trim and fill ({self.estimator}); {self.fit.method.describe()}"
        return html_row(self, caption)


def trim_and_fill(
    effects: PooledFit | pd.DataFrame, *, estimator: TrimEstimator = "L0", side: Side | None = None
) -> TrimAndFill:
    """Estimate how many trials are missing on one side of the funnel, and pool with them put back.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, whose method is kept, or effects as for :func:`ipt_evidence.pool`.
    estimator : {"L0", "R0", "Q0"}
        Estimator of the number of missing trials; ``"L0"`` is the most stable.
    side : {"left", "right"}, optional
        Side on which trials may be missing; by default that to which Egger's regression (mixed-effects form, with the
        fit's tau2 estimator) points: left when smaller trials have larger effects.

    Returns
    -------
    TrimAndFill

    Raises
    ------
    NotEstimableError
        Fewer than three trials.
    ConvergenceError
        The number of missing trials alternates between two values.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    The mean around which trials are mirrored comes from the fit's own tau2 estimator. Ties of absolute deviations are
    ranked in the order of the effects. The method assumes that trials with the most extreme effects are missing; with
    large heterogeneity it fills trials where none is missing (Terrin et al. 2003, doi:10.1002/sim.1461).

    References
    ----------
    Duval S, Tweedie R. Trim and fill: a simple funnel-plot-based method of testing and adjusting for publication bias
    in meta-analysis. Biometrics 2000;56:455-463. doi:10.1111/j.0006-341X.2000.00455.x

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> error = np.linspace(0.05, 0.6, 12)
    >>> table = pd.DataFrame({"effect": 0.1 + error + 0.2 * np.sin(np.arange(12)), "variance": error**2})
    >>> found = ipt.trim_and_fill(table)
    >>> found.k0, found.side, found.estimate < found.original.estimate
    (5, 'left', True)
    """
    choose("estimator", estimator, TrimEstimator)
    what = "Trim and fill"
    trials = trials_of(effects, what=what, minimum=3)
    side = _side(trials) if side is None else choose("side", side, Side)
    notes = cautions(trials, what=what)
    sign = -1.0 if side == "right" else 1.0
    order = np.argsort(sign * trials.effect, kind="stable")
    k0, center = _missing(sign * trials.effect[order], trials.variance[order], estimator, trials)
    mirrored = order[len(order) - k0 :]
    filled = _filled(trials, mirrored, sign * (2 * center - sign * trials.effect[mirrored]))
    std_error, p_value = _uncertainty(k0, trials.k, estimator)
    return TrimAndFill(
        k0=k0,
        k0_std_error=std_error,
        k0_p_value=p_value,
        side=side,
        estimator=estimator,
        fit=_refit(trials, filled) if k0 else trials.fit,
        original=trials.fit,
        filled=filled,
        notes=notes,
    )


def _side(trials: Trials) -> Side:
    """Return the side on which the regression of effects on standard errors expects trials to be missing."""
    from ipt_evidence.pooling.regression import meta_regression

    try:
        fit_line(trials.effect, trials.std_error, 1 / trials.variance, "The choice of a side")
    except NotEstimableError as error:
        raise NotEstimableError(f"{error}; give side='left' or side='right'") from None
    import pandas as pd

    table = pd.DataFrame({"effect": trials.effect, "variance": trials.variance, "x": trials.std_error})
    terms = meta_regression(table, "~ x", tau2_method=trials.fit.method.tau2_method, ci_method="wald").tidy()
    return "right" if terms["estimate"].iloc[1] < 0 else "left"


def _missing(y: Array, v: Array, estimator: TrimEstimator, trials: Trials) -> tuple[int, float]:
    """Return the number of trials missing on the left, and the mean without their counterparts; `y` is sorted."""
    from ipt_evidence.pooling.tau2 import estimate_tau2

    k, k0, seen = len(y), 0, [-1]
    method = trials.fit.method.tau2_method
    for _ in range(MAX_ROUNDS):
        keep = k - k0
        tau2 = float(estimate_tau2(y[None, :keep], v[None, :keep], method)[0]) if keep > 1 else 0.0
        weight = 1 / (v[:keep] + tau2)
        center = float(weight @ y[:keep] / weight.sum())
        if k0 == seen[-1]:
            return k0, center
        seen.append(k0)
        k0 = min(_count(y - center, estimator), k - 1)
    raise ConvergenceError(
        f"trim and fill ({estimator}) does not settle: the number of missing trials alternates between {seen[-2]} and "
        f"{seen[-1]}; take another estimator"
    )


def _count(deviation: Array, estimator: TrimEstimator) -> int:
    """Return Duval and Tweedie's number of missing trials, rounded and never negative."""
    k = len(deviation)
    ranks = np.empty(k)
    ranks[np.argsort(np.abs(deviation), kind="stable")] = np.arange(1, k + 1)
    positive = deviation > 0
    if estimator == "R0":
        below = ranks[~positive]
        number = (k - below.max() if below.size else k) - 1.0
    else:
        wilcoxon = ranks[positive].sum()
        number = (4 * wilcoxon - k * (k + 1)) / (2 * k - 1)
        if estimator == "Q0":
            number = k - 0.5 - math.sqrt(max(2 * k**2 - 4 * wilcoxon + 0.25, 0.0))
    return max(0, round(float(number)))


def _uncertainty(k0: int, k: int, estimator: TrimEstimator) -> tuple[float, float]:
    """Return the standard error of the number of missing trials, and R0's p-value of none missing."""
    if estimator == "R0":
        return math.sqrt(2 * k0 + 2), 0.5**k0 if k0 else 1.0
    rank_sum = (
        k * (k + 1) * (2 * k + 1) + 10 * k0**3 + 27 * k0**2 + 17 * k0 - 18 * k * k0**2 - 18 * k * k0 + 6 * k**2 * k0
    )
    spread = math.sqrt(max(rank_sum, 0) / 24)
    if estimator == "L0":
        return 4 * spread / (2 * k - 1), math.nan
    room = (k - 0.5) ** 2 - k0 * (2 * k - k0 - 1)
    return 2 * spread / math.sqrt(room) if room > 0 else math.nan, math.nan


def _filled(trials: Trials, mirrored: npt.NDArray[np.intp], effect: Array) -> pd.DataFrame:
    import pandas as pd

    names = [f"filled: {trials.labels[i]}" for i in mirrored]
    variance = trials.variance[mirrored]
    return pd.DataFrame({"study": names, "effect": effect, "variance": variance, "std_error": np.sqrt(variance)})


def _refit(trials: Trials, filled: pd.DataFrame) -> PooledFit:
    """Return the fit of the trials and the filled ones by the method of the first fit."""
    from dataclasses import replace

    import pandas as pd

    from ipt_evidence.pooling.fit import fit_table

    own = pd.DataFrame({"study": trials.labels, "effect": trials.effect, "variance": trials.variance})
    table = pd.concat([own, filled[["study", "effect", "variance"]]], ignore_index=True)
    if trials.fit.measure:
        table["measure"] = trials.fit.measure
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NarrowIntervalWarning)
        return fit_table(table, replace(trials.fit.method, dependence="aggregate"))
