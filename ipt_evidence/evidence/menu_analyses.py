"""The analyses of the menu, one function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ipt_evidence.diagnostics.bias_rules import METHODS, Circumstances
from ipt_evidence.diagnostics.inputs import Array
from ipt_evidence.errors import NotEstimableError, Problem, SchemaError
from ipt_evidence.evidence.menu_data import Mask, MenuData
from ipt_evidence.pooling.dependence import multilevel
from ipt_evidence.pooling.settings import COCHRANE, resolve_method
from ipt_evidence.studies.one_per_trial import TrialRule, one_per_trial

DEFAULT_RHO = COCHRANE.rho
"""For CHE where the preset averages standard errors (rho = 1), with which the covariances have no inverse."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one analysis found.

    Attributes
    ----------
    result : object
        The full result, with `estimate std_error ci_low ci_high` and whatever else it has.
    left_out : numpy.ndarray of bool
        Rows that this analysis left out on purpose, shape ``(rows,)``.
    k : int
        Effects in the model.
    why : str
        Why rows were left out.
    said : tuple of str
        Notes beyond those of the result.
    trials : int or None
        Trials in the model; ``None`` for those behind the rows that were not left out.
    """

    result: Any
    left_out: Mask
    k: int
    why: str = ""
    said: tuple[str, ...] = ()
    trials: int | None = None


def _nobody(data: MenuData) -> Mask:
    return np.zeros(len(data.effects), dtype=bool)


def _overall(data: MenuData) -> Outcome:
    fit, trials = data.overall, data.n_trials(data.used)
    said = (f"{fit.k} effects of {trials} trials as if independent: the interval is too narrow.",)
    return Outcome(fit, _nobody(data), fit.k, said=said if fit.k > trials else ())


def _one_per_trial(rule: TrialRule) -> Callable[[MenuData], Outcome]:
    def run(data: MenuData) -> Outcome:
        kept = one_per_trial(data.effects, rule=rule)
        out = data.used & ~np.isin(np.arange(len(data.effects)), kept.index.to_numpy())
        fit = data.pool(kept, "rows")
        return Outcome(fit, out, fit.k, f"not the {rule} effect of its trial")

    return run


def _combined(data: MenuData) -> Outcome:
    return Outcome(data.combined, _nobody(data), data.combined.k)


def _without(data: MenuData, out: Mask, why: str, *said: str) -> Outcome:
    """Return the fit of the rows that stay."""
    if not out.any():
        return Outcome(data.base, out, data.base.k, "", (*said, "No one to leave out: as the fit of all."))
    if (out | ~data.used).all():
        raise NotEstimableError(f"no effect is left: all are left out ({why})")
    fit = data.pool(data.effects[~out], data.settings.unit)
    return Outcome(fit, out, fit.k, why, said)


def _outliers_removed(data: MenuData) -> Outcome:
    from ipt_evidence.diagnostics.outliers import outliers

    found = outliers(data.base, rule="ci")
    units = np.ones(data.base.k, dtype=bool)
    stay = np.isin(data.effects.index, found.fit.source.effects.index) & data.used
    units[data.base.source.units.unit_of_row[stay]] = False
    said = ("tau2 and I2 are too small by construction.",) if units.any() else ()
    return _without(data, data.rows_of_units(units), "its interval lies outside that of the pooled effect", *said)


def _influential_removed(data: MenuData) -> Outcome:
    from ipt_evidence.diagnostics.influence import influence

    found = influence(data.base)
    flagged = found["is_influential"].to_numpy(dtype=bool)
    return _without(data, data.rows_of_units(flagged), "passes a cut-off for influence", *found.notes)


def _low_risk_of_bias(data: MenuData) -> Outcome:
    if "rob_low_risk_count" not in data.effects.columns:
        raise NotEstimableError("the table has no column rob_low_risk_count")
    least = data.settings.low_risk_at_least
    low = _numbers(data, "rob_low_risk_count")
    unknown = data.used & np.isnan(low)
    said = (f"Risk of bias is not known for {data.n_trials(unknown)} trials: left out.",) if unknown.any() else ()
    out = data.used & ~(low >= least)
    if data.settings.unit == "trials":
        out = data.rows_of_their_trials(out)
    return _without(data, out, f"fewer than {least} items at low risk of bias", *said)


def _numbers(data: MenuData, name: str) -> Array:
    """Return a column of numbers, NaN where a cell is empty; raise with all cells that are no number."""
    import pandas as pd

    column = data.effects[name]
    numbers = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero((numbers.isna() & column.notna() & (column.astype(str) != "")).to_numpy())
    if bad.size:
        cells = [Problem("expected a number", row=i + 1, column=name, value=str(column.iloc[i])) for i in map(int, bad)]
        raise SchemaError(cells, "cannot read the risk of bias")
    found: Array = numbers.to_numpy(dtype=float, na_value=np.nan)
    return found


def _without_flagged(data: MenuData) -> Outcome:
    from ipt_evidence.studies.quality import without_flagged

    flags = data.settings.flags
    kept = without_flagged(data.effects, flags=flags).index
    out = data.used & ~np.isin(data.effects.index, kept)
    return _without(data, out, f"flagged: {', '.join(flags)}")


def _multilevel(correlated: bool) -> Callable[[MenuData], Outcome]:
    """Return a three-level model; under preset "metapsy" with the intervals and variances of metapsyTools."""

    def run(data: MenuData) -> Outcome:
        method = resolve_method(data.settings.pooling)
        metapsy = data.settings.metapsy
        rho = method.rho if method.rho < 1 else DEFAULT_RHO
        fit = multilevel(
            data.effects,
            rho=rho if correlated else 0.0,
            method="ML" if method.tau2_method == "ML" else "REML",
            ci_method="t" if metapsy else "cr2",
            level=method.level,
            variances="trial_mean" if metapsy and correlated else "own",
        )
        return Outcome(fit, _nobody(data), fit.k_effects, said=(_sentence(fit.method.describe()),))

    return run


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _corrected(name: str) -> Callable[[MenuData], Outcome]:
    """Return a correction for bias, made and judged as in the table of adjustments."""
    method = next(entry for entry in METHODS if entry.name == name)

    def run(data: MenuData) -> Outcome:
        around = Circumstances(data.trials, data.settings.alternative)
        result = method.run(around)
        trust, why = method.judge(around, result)
        words = {"yes": "Can be used here", "with care": "To be used with care", "no": "Not to be trusted here"}[trust]
        reason = "" if why.startswith("Left out") or not why else f": {why}"
        said = [f"{words}{reason}.", f"Assumes: {method.assumes}."]
        if name == "trim_and_fill":
            said.insert(0, f"{result.k0} trials put back on the {result.side}.")
        if name == "pet_peese":
            said.insert(0, f"{result.chosen} by the conditional rule.")
        k = int(getattr(result, "k", data.trials.k))
        return Outcome(result, _nobody(data), k, said=tuple(said), trials=k)

    return run


@dataclass(frozen=True, slots=True)
class Analysis:
    """One line of the menu: its name, what it is called in a table, and how it is run."""

    name: str
    label: str
    run: Callable[[MenuData], Outcome]


_ALL = (
    Analysis("overall", "All effects as if independent", _overall),
    Analysis("lowest", "Lowest effect of each trial", _one_per_trial("lowest")),
    Analysis("highest", "Highest effect of each trial", _one_per_trial("highest")),
    Analysis("combined", "Effects of a trial combined", _combined),
    Analysis("outliers_removed", "Outliers removed", _outliers_removed),
    Analysis("influential_removed", "Influential trials removed", _influential_removed),
    Analysis("low_risk_of_bias", "Low risk of bias only", _low_risk_of_bias),
    Analysis("without_flagged", "Without trials with doubtful numbers", _without_flagged),
    Analysis("three_level", "Three-level model", _multilevel(correlated=False)),
    Analysis("che", "Correlated and hierarchical effects (CHE)", _multilevel(correlated=True)),
    Analysis("pet_peese", "PET-PEESE", _corrected("pet_peese")),
    Analysis("trim_and_fill", "Trim and fill", _corrected("trim_and_fill")),
    Analysis("selection_model", "Selection model (p < 0.025)", _corrected("three_parameter")),
    Analysis("limit_meta", "Limit meta-analysis", _corrected("limit_meta")),
)
ANALYSES: Mapping[str, Analysis] = MappingProxyType({analysis.name: analysis for analysis in _ALL})
