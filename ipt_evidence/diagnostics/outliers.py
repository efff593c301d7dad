"""Trials that lie apart from the others, and the pooled effect without them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.diagnostics.influence import influence
from ipt_evidence.diagnostics.inputs import Array, Trials, trials_of
from ipt_evidence.diagnostics.refits import refit
from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import DependenceWarning, MixedRowsWarning, NotEstimableError, OptionError
from ipt_evidence.options import choose
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    from collections.abc import Sequence

OutlierRule = Literal["ci", "rstudent"]

RSTUDENT_THRESHOLD = 1.96
COMPARED = ("k", "estimate", "std_error", "ci_low", "ci_high", "p_value", "tau2", "i2", "pi_low", "pi_high")


@readable
@dataclass(frozen=True, slots=True, eq=False)
class Outliers:
    """Trials that lie apart, and the pooled effect with and without them.

    Attributes
    ----------
    outliers : pandas.DataFrame
        One row per trial that left: `study effect ci_low ci_high why`, with `rstudent` where that was the rule.
    fit : PooledFit
        The refit without them; ``k`` is zero and its numbers are NaN when every trial lies apart.
    original : PooledFit
        The fit of all trials.
    rule : str
        ``"ci"`` or ``"rstudent"``.
    threshold : float
        Of the studentised residual; NaN for ``"ci"``.
    interpretation : str
        What was found, in a sentence.
    notes : tuple of str
        What a reader should know before quoting the numbers.
    """

    outliers: pd.DataFrame
    fit: PooledFit
    original: PooledFit
    rule: OutlierRule
    threshold: float
    interpretation: str
    notes: tuple[str, ...] = field(default=())

    def tidy(self) -> pd.DataFrame:
        """Return two rows: the fit of all trials, and that without the outliers with their names in `excluded`."""
        parts = [fit.tidy()[list(COMPARED)] for fit in (self.original, self.fit)]
        table = pd.concat(parts, ignore_index=True)
        table.insert(0, "analysis", ["all trials", "outliers removed"])
        table["excluded"] = ["", "; ".join(self.outliers["study"])]
        return table

    def _repr_html_(self) -> str:
        caption = f"Pooled effect with and without outliers: {self.original.method.describe()}"
        first = html_table(self.tidy(), caption, (self.interpretation, *self.notes))
        return first + html_table(self.outliers, "Trials removed") if len(self.outliers) else first


def outliers(fit: PooledFit | pd.DataFrame, *, rule: OutlierRule = "ci", threshold: float | None = None) -> Outliers:
    """Find the trials that lie apart from the pooled effect, and pool again without them.

    Parameters
    ----------
    fit : PooledFit or pandas.DataFrame
        Fit of :func:`ipt_evidence.pool` with one effect per trial, or a table of effects, which is pooled first.
    rule : {"ci", "rstudent"}, optional
        ``"ci"``: the trial's own confidence interval lies wholly outside that of the pooled effect, the rule of the
        psychotherapy databases [1]_. ``"rstudent"``: the studentised deleted residual is larger than `threshold` in
        absolute value [2]_.
    threshold : float, optional
        For ``"rstudent"``; default 1.96.

    Returns
    -------
    Outliers
        ``.outliers`` lists who left and why, ``.fit`` is the refit by the same settings, ``.original`` the fit of all.

    Raises
    ------
    NotEstimableError
        There are fewer than two trials (three for ``"rstudent"``).
    OptionError
        A rule that does not exist, a threshold that is not positive or goes with ``"ci"``, or a fit that keeps several
        effects per trial.

    Notes
    -----
    A trial is not wrong because it is far from the others. With large heterogeneity the pooled interval is narrow
    against the spread of true effects, and ``"ci"`` removes trials that the model expects. Report both fits.

    References
    ----------
    .. [1] Harrer M, Cuijpers P, Furukawa TA, Ebert DD. Doing Meta-Analysis with R: A Hands-On Guide. Chapman &
       Hall/CRC, 2021, chapter 5.4. doi:10.1201/9781003107347
    .. [2] Viechtbauer W, Cheung MW-L. Outlier and influence diagnostics for meta-analysis. Res Synth Methods
       2010;1:112-125. doi:10.1002/jrsm.11

    Examples
    --------
    >>> import pandas as pd
    >>> import ipt_evidence as ipt
    >>> from ipt_evidence.diagnostics.outliers import outliers
    >>> table = pd.DataFrame(
    ...     {"study": list("ABCD"), "effect": [0.2, 0.5, 0.4, 2.1], "variance": [0.04, 0.02, 0.05, 0.02]}
    ... )
    >>> found = outliers(ipt.pool(table, tau2_method="DL", ci_method="wald"))
    >>> found.outliers["study"].tolist(), round(found.original.estimate, 2), round(found.fit.estimate, 2)
    (['D'], 0.81, 0.4)
    """
    limit = _threshold(choose("rule", rule, OutlierRule), threshold)
    trials = trials_of(fit, what="outliers", minimum=2 if rule == "ci" else 3)
    residual = _residuals(trials) if rule == "rstudent" else np.full(trials.k, np.nan)
    apart = _outside(trials) if rule == "ci" else np.abs(residual) > limit
    without = _refit_without(trials, apart)
    left = _listed(trials, apart, residual, limit)
    return Outliers(
        left, without, trials.fit, rule, limit, _read(trials, without, list(left["study"])), _notes(trials.fit, without)
    )


def _threshold(rule: OutlierRule, threshold: float | None) -> float:
    if rule == "ci":
        if threshold is not None:
            raise OptionError("threshold goes with rule='rstudent'; rule='ci' compares the intervals of the fit")
        return float("nan")
    limit = RSTUDENT_THRESHOLD if threshold is None else threshold
    if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float("inf"):
        raise OptionError(f"threshold must be a positive number such as 1.96; received {threshold!r}")
    return float(limit)


def _residuals(trials: Trials) -> Array:
    residual = influence(trials.fit)["rstudent"].to_numpy(dtype=float)
    if np.isnan(residual).any():
        raise NotEstimableError(
            "studentised residuals are not defined: the other trials have equal effects, so their Hartung-Knapp error "
            "is zero; pool with ci_method='wald'"
        )
    return residual


def _outside(trials: Trials) -> npt.NDArray[np.bool_]:
    low, high = (trials.studies[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
    outside: npt.NDArray[np.bool_] = (low > trials.fit.ci_high) | (high < trials.fit.ci_low)
    return outside


def _refit_without(trials: Trials, apart: npt.NDArray[np.bool_]) -> PooledFit:
    """Return the fit of the rows behind the other trials; rows that were never pooled stay listed.

    The refit of all trials is there for its check: it refuses a fit with a tau2 from outside.
    """
    from ipt_evidence.pooling.fit import fit_table

    fit = trials.fit
    if not apart.any():
        return fit
    refit(trials, np.ones((1, trials.k), dtype=bool))
    unit = fit.source.units.unit_of_row
    leaves = (unit >= 0) & apart[unit]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        warnings.simplefilter("ignore", MixedRowsWarning)
        return fit_table(fit.source.effects[~leaves], fit.method, group=fit.group, empty=True)


def _listed(trials: Trials, apart: npt.NDArray[np.bool_], residual: Array, limit: float) -> pd.DataFrame:
    """Return the trials that left, each with the reason."""
    names = ["study", "effect", "ci_low", "ci_high"]
    table = trials.studies.loc[apart, names].reset_index(drop=True)
    if not np.isnan(residual).all():
        table["rstudent"] = residual[apart]
        table["why"] = [f"studentised residual {r:.2f} beyond {limit:g}" for r in residual[apart]]
        return table
    low, high = trials.fit.ci_low, trials.fit.ci_high
    table["why"] = [
        f"its interval lies {'above' if a > high else 'below'} that of the pooled effect ({low:.2f} to {high:.2f})"
        for a in table["ci_low"]
    ]
    return table


def _read(trials: Trials, without: PooledFit, names: Sequence[str]) -> str:
    before = trials.fit
    if not names:
        return f"None of the {trials.k} trials lies apart by this rule; the pooled effect stays {before.estimate:.2f}."
    who = f"{len(names)} of {trials.k} trials lie{'s' if len(names) == 1 else ''} apart ({', '.join(names)})"
    if without.k == 0:
        return f"{who}: none is left to pool. The trials disagree too much for one pooled effect."
    return (
        f"{who}; without {'it' if len(names) == 1 else 'them'} the pooled effect is {without.estimate:.2f} "
        f"({without.ci_low:.2f} to {without.ci_high:.2f}) instead of {before.estimate:.2f} ({before.ci_low:.2f} to "
        f"{before.ci_high:.2f}). Lying apart does not make a trial wrong."
    )


def _notes(original: PooledFit, without: PooledFit) -> tuple[str, ...]:
    if without is original:
        return ()
    return (
        "Removing outliers makes trials look more alike than they are: tau2 and I2 of the refit are too small.",
        *without.notes,
    )
