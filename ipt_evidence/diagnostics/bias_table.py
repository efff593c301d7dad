"""All adjustments for small-study effects and selective publication side by side, with what each assumes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from ipt_evidence.diagnostics.bias_rules import EGGER, METHODS, SELECTION, TESTS, Adjustment, BiasTest, Circumstances
from ipt_evidence.diagnostics.cautions import few_trials
from ipt_evidence.diagnostics.inputs import trials_of
from ipt_evidence.diagnostics.showing import html_table
from ipt_evidence.errors import ConvergenceError, EvidenceWarning, NotEstimableError, OptionError
from ipt_evidence.options import choose
from ipt_evidence.sources.showing import readable

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.result import PooledFit

Favoured = Literal["greater", "less"]
SIGNIFICANT = 0.1


@readable
@dataclass(frozen=True, slots=True, eq=False)
class BiasTable:
    """Adjusted effects and tests of one set of trials.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per method: `method label estimate ci_low ci_high change assumes trust why`; `change` is the difference
        from the unadjusted effect, `trust` is ``"reference"``, ``"yes"``, ``"with care"``, ``"no"``, ``"bound"`` (a
        limit case, no estimate) or ``"not estimable"``, `why` gives the reason.
    tests : pandas.DataFrame
        One row per test: `test statistic p_value says why`.
    results : mapping of str to object
        The full result of each method and test that could be computed.
    fit : PooledFit
        The unadjusted effect.
    notes : tuple of str
    """

    table: pd.DataFrame = field(repr=False)
    tests: pd.DataFrame = field(repr=False)
    results: Mapping[str, Any] = field(repr=False)
    fit: PooledFit = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def interpretation(self) -> str:
        """One sentence that says what the adjustments come to, and no more."""
        adjusted = self.table.iloc[1:]
        usable = adjusted[adjusted["trust"].isin(["yes", "with care"])]
        if usable.empty:
            return (
                f"None of the adjustments can be trusted with these {self.fit.k} trials, so bias cannot be assessed by "
                "statistics here; look for unpublished trials and registered protocols instead."
            )
        low, high = usable["estimate"].min(), usable["estimate"].max()
        excluded = int(((usable["ci_low"] > 0) | (usable["ci_high"] < 0)).sum())
        return (
            f"The pooled effect of {self.fit.estimate:.2f} becomes {low:.2f} to {high:.2f} under the {len(usable)} "
            f"adjustments that may be used here, {excluded} of which keep zero outside their interval; each is right "
            "only if its assumption holds."
        )

    def tidy(self) -> pd.DataFrame:
        """Return the table of methods."""
        return self.table.copy()

    def __getitem__(self, method: str) -> Any:
        """Return the full result of a method or test; the error lists those there are."""
        try:
            return self.results[method]
        except KeyError:
            raise KeyError(f"no result {method!r}; there are {', '.join(self.results)}") from None

    def _repr_html_(self) -> str:
        methods = html_table(self.table.drop(columns="method"), "Adjusted effects", (self.interpretation, *self.notes))
        return methods + html_table(self.tests, "Tests for small-study effects and selection")


def bias_table(effects: PooledFit | pd.DataFrame, *, alternative: Favoured = "greater") -> BiasTable:
    """Put the adjustments for small-study effects and selective publication side by side.

    Parameters
    ----------
    effects : PooledFit or pandas.DataFrame
        A fit, or effects as for :func:`ipt_evidence.pool`.
    alternative : {"greater", "less"}
        Direction of the results that publication is thought to favour.

    Returns
    -------
    BiasTable
        What cannot be estimated keeps its row with the reason.

    Raises
    ------
    NotEstimableError
        There is no trial.
    OptionError
        An option is not among its choices.

    Warns
    -----
    SmallKWarning
        There are fewer than ten trials.

    Notes
    -----
    `trust` follows published simulations and the rules they give; see :mod:`ipt_evidence.diagnostics.bias_rules` for
    each rule and its source.

    Examples
    --------
    >>> import numpy as np, pandas as pd, ipt_evidence as ipt
    >>> error = np.linspace(0.08, 0.5, 24)
    >>> table = pd.DataFrame({"effect": 0.2 + error + 0.2 * np.cos(np.arange(24)), "variance": error**2})
    >>> ipt.bias_table(table).table[["method", "trust"]].head(3)
              method      trust
    0     unadjusted  reference
    1  trim_and_fill  with care
    2      pet_peese  with care
    """
    import pandas as pd

    choose("alternative", alternative, Favoured)
    trials = trials_of(effects, what="The table of adjustments")
    notes = few_trials(trials.k, "The table of adjustments")
    around = Circumstances(trials, alternative)
    results: dict[str, Any] = {}
    rows = [_row(method, around, results) for method in METHODS]
    base = rows[0]["estimate"]
    table = pd.DataFrame(rows)
    table.insert(5, "change", table["estimate"] - base)
    tests = pd.DataFrame([_test_row(test, around, results) for test in TESTS if test.fits(around)])
    notes = (*notes, *_small_trials_differ(tests))
    return BiasTable(table, tests, MappingProxyType(results), trials.fit, notes)


def _small_trials_differ(tests: pd.DataFrame) -> tuple[str, ...]:
    """Return what to say where effects depend on size but not on significance."""
    p = tests.set_index("test")["p_value"]
    if not (p.get(EGGER, math.nan) < SIGNIFICANT <= p.get(SELECTION, math.nan)):
        return ()
    return (
        "Effects depend on the size of the trials but publication seems not to depend on significance: small trials "
        "may truly differ. Then PET-PEESE and limit meta-analysis mislead.",
    )


def _row(method: Adjustment, around: Circumstances, results: dict[str, Any]) -> dict[str, Any]:
    """Return the row of one method, and put its result with the others."""
    row: dict[str, Any] = {"method": method.name, "label": method.label}
    blank = {"estimate": math.nan, "ci_low": math.nan, "ci_high": math.nan, "assumes": method.assumes}
    result, reason = _attempt(method.run, around)
    if result is None:
        return row | blank | {"trust": "not estimable", "why": reason}
    results[method.name] = result
    estimate, low, high = method.read(result)
    if math.isnan(estimate):
        reason = "; ".join(getattr(result, "notes", ())) or "no estimate"
        return row | blank | {"trust": "not estimable", "why": reason}
    trust, why = method.judge(around, result)
    return row | blank | {"estimate": estimate, "ci_low": low, "ci_high": high, "trust": trust, "why": why}


def _test_row(test: BiasTest, around: Circumstances, results: dict[str, Any]) -> dict[str, Any]:
    """Return the row of one test, and put its result with the others."""
    result, reason = (results[test.name], "") if test.name in results else _attempt(test.run, around)
    if result is None:
        return {"test": test.label, "statistic": math.nan, "p_value": math.nan, "says": "not estimable", "why": reason}
    results[test.name] = result
    statistic, p = test.read(result)
    says = "not estimable" if math.isnan(p) else test.finding if p < SIGNIFICANT else "nothing detected"
    return {"test": test.label, "statistic": statistic, "p_value": p, "says": says, "why": test.asks}


def _attempt(run: Callable[[Circumstances], Any], around: Circumstances) -> tuple[Any, str]:
    """Return a result, or ``None`` and why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EvidenceWarning)
        try:
            return run(around), ""
        except (NotEstimableError, ConvergenceError, OptionError) as error:
            return None, str(error)
