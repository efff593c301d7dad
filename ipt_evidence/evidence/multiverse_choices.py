"""The choices of a multiverse: which trials and effects go in, and how they are analysed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from ipt_evidence.errors import OptionError
from ipt_evidence.options import CiMethod, Tau2Method, check_rho, choose

if TYPE_CHECKING:
    import pandas as pd

Rule = Literal["aggregate", "mean", "highest", "lowest", "first"]
Adjustment = Literal["none", "outliers_removed", "pet_peese"]
BatchCi = Literal["wald", "t", "hksj", "hksj-adhoc"]
Selector: TypeAlias = "Mapping[str, Any] | Callable[[pd.DataFrame], Any] | None"
Which: TypeAlias = "Mapping[str, Mapping[str, Selector]]"
ALL = "all"
NOT_APPLICABLE = "–"
GROUPS = ("population_group", "format", "comparator", "instrument_family", "rating")
LEAST_TRIALS = 5
LOW_RISK = (2, 3)
RESERVED = ("effect_rule", "rho", "adjustment", "tau2_method", "ci_method", "data_set")


class How(TypedDict, total=False):
    """How the effects are analysed: a list of values for each choice."""

    effect_rule: Sequence[Rule]
    rho: Sequence[float]
    adjustment: Sequence[Adjustment]
    tau2_method: Sequence[Tau2Method]
    ci_method: Sequence[CiMethod]


@dataclass(frozen=True, slots=True)
class Analysis:
    """How a data set is analysed; a dash where a choice does not apply."""

    adjustment: Adjustment
    tau2_method: str
    ci_method: str


@dataclass(frozen=True, slots=True)
class Combination:
    """How several effects of a trial become one: a rule, and the correlation it needs (NaN where it needs none)."""

    rule: Rule
    rho: float


DEFAULT_HOW: How = {
    "effect_rule": ("aggregate", "highest", "lowest"),
    "rho": (0.6,),
    "adjustment": ("none", "outliers_removed", "pet_peese"),
    "tau2_method": ("REML", "DL", "PM", "EE"),
    "ci_method": ("wald", "hksj"),
}


def default_which(effects: pd.DataFrame) -> dict[str, dict[str, Selector]]:
    """Return the choices of rows that a table allows: all, or each value that at least five trials have.

    Parameters
    ----------
    effects : pandas.DataFrame
        Effects table.
    """
    usable = effects[effects["effect"].notna()]
    trials = usable["trial_id"] if "trial_id" in usable.columns else usable.index.to_series()
    found: dict[str, dict[str, Selector]] = {}
    for column in GROUPS:
        if column in usable.columns:
            counts = trials.groupby(usable[column].astype(str)).nunique()
            values = [str(value) for value, n in counts.items() if value and n >= LEAST_TRIALS]
            if len(values) > 1 or (values and counts.sum() > counts[values[0]]):
                found[column] = {ALL: None, **{value: {column: value} for value in values}}
    if "rob_low_risk_count" in usable.columns:
        low = usable["rob_low_risk_count"]
        options: dict[str, Selector] = {ALL: None}
        for least in LOW_RISK:
            if trials[low >= least].nunique() >= LEAST_TRIALS:
                options[f"at least {least} low"] = _at_least("rob_low_risk_count", least)
        if len(options) > 1:
            found["risk_of_bias"] = options
    return found


def _at_least(column: str, least: float) -> Callable[[pd.DataFrame], Any]:
    return lambda table: table[column] >= least


def check_which(which: Which, effects: pd.DataFrame) -> dict[str, dict[str, npt.NDArray[np.bool_]]]:
    """Return for every choice and option which rows it keeps.

    Raises
    ------
    OptionError
        A choice has no options or a name that is taken, or a selector cannot be used; all are named.
    """
    faults: list[str] = []
    masks: dict[str, dict[str, npt.NDArray[np.bool_]]] = {}
    for name, options in which.items():
        if name in RESERVED:
            faults.append(f"which[{name!r}]: the name is taken; choose another")
        elif not isinstance(options, Mapping) or not options:
            faults.append(f"which[{name!r}] must map names of options to selectors; received {options!r}")
        else:
            masks[name] = {}
            for label, selector in options.items():
                try:
                    masks[name][str(label)] = _rows(selector, effects)
                except (OptionError, KeyError, TypeError, ValueError) as error:
                    faults.append(f"which[{name!r}][{label!r}]: {error}")
    if faults:
        raise OptionError("; ".join(faults))
    return masks


def _rows(selector: Selector, effects: pd.DataFrame) -> npt.NDArray[np.bool_]:
    from ipt_evidence.studies.table import select

    if selector is None:
        return np.ones(len(effects), dtype=bool)
    if callable(selector):
        kept = np.asarray(selector(effects))
        if kept.shape != (len(effects),) or kept.dtype != bool:
            raise OptionError("the function must return one truth value per row")
        return kept
    if not isinstance(selector, Mapping):
        raise OptionError(f"expected None (all rows), a mapping of columns to values, or a function; got {selector!r}")
    numbered = effects.reset_index(drop=True)
    return numbered.index.isin(select(numbered, **selector).index)


def analyses_of(how: How) -> list[Analysis]:
    """Return every combination of adjustment, tau2 estimator and interval that makes sense, in order.

    Raises
    ------
    OptionError
        A value is not among its choices.
    """
    analyses = []
    for adjustment in _values(how, "adjustment", Adjustment):
        if adjustment == "pet_peese":
            analyses.append(Analysis("pet_peese", NOT_APPLICABLE, NOT_APPLICABLE))
            continue
        for tau2_method in _values(how, "tau2_method", Tau2Method):
            for ci_method in _values(how, "ci_method", BatchCi):
                analyses.append(Analysis(adjustment, tau2_method, ci_method))  # type: ignore[arg-type]
    return analyses


def combinations_of(how: How) -> list[Combination]:
    """Return every rule for several effects of a trial, with each correlation where it needs one."""
    found = []
    for rule in _values(how, "effect_rule", Rule):
        for rho in how.get("rho", DEFAULT_HOW["rho"]) if rule in ("aggregate", "mean") else (float("nan"),):
            found.append(Combination(rule, rho if rho != rho else check_rho(rho)))  # type: ignore[arg-type]
    return found


def check_how(how: Mapping[str, Any] | None) -> How:
    """Return the analyses asked for, completed by the defaults.

    Raises
    ------
    OptionError
        A name is not a choice, or a list is empty.
    """
    given = dict(how or {})
    unknown = sorted(set(given) - set(DEFAULT_HOW))
    if unknown:
        raise OptionError(f"how has no choice {', '.join(map(repr, unknown))}; it has {', '.join(DEFAULT_HOW)}")
    for name, values in given.items():
        if isinstance(values, str) or not len(values):
            raise OptionError(f"how[{name!r}] must be a list of one or more values; received {values!r}")
    return {**DEFAULT_HOW, **given}  # type: ignore[typeddict-item]


def _values(how: How, name: str, choices: Any) -> list[str]:
    return [choose(f"how[{name!r}]", value, choices) for value in how[name]]  # type: ignore[literal-required]
