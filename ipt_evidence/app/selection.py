"""Which rows a view is about: a pure function from choices and a table to rows, with a reason for every row left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ipt_evidence.app.view import View
from ipt_evidence.studies.one_per_trial import one_per_trial

if TYPE_CHECKING:
    import pandas as pd

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Step:
    """One choice that removes rows.

    Attributes
    ----------
    label : str
        The choice in words.
    trials : int
        Trials left after it.
    """

    label: str
    trials: int


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows of a view, and those of the same question that it leaves out.

    Attributes
    ----------
    rows : pandas.DataFrame
        Rows to be pooled, trials ticked out included.
    left_out : pandas.DataFrame
        The other rows of the condition and contrast, with `reason`.
    steps : tuple of Step
        How the choices narrowed the trials.
    unknown : tuple of str
        Choices that could not be applied, in sentences.
    """

    rows: pd.DataFrame
    left_out: pd.DataFrame
    steps: tuple[Step, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class _Filter:
    """A choice: its words, the column it needs, and who stays."""

    label: str
    column: str
    keep: Callable[[pd.Series[Any]], Any]
    reason: Callable[[Any], str]


def select(view: View, effects: pd.DataFrame) -> Selection:
    """Return the rows of `effects` that a view keeps.

    Examples
    --------
    >>> import ipt_evidence as ipt
    >>> effects = ipt.effect_sizes(ipt.load_dataset("ipt"))
    >>> select(View(condition="anxiety", year_from=2010), effects).rows["trial_id"].nunique()
    2
    """
    asked = np.ones(len(effects), dtype=bool)
    unknown: list[str] = []
    for column, value in (("condition", view.condition), ("contrast", view.contrast)):
        if value != "all" and column in effects.columns:
            asked &= effects[column].to_numpy(dtype=object) == value
    table = effects[asked]
    stays = np.ones(len(table), dtype=bool)
    reasons = np.full(len(table), "", dtype=object)
    steps = [Step("all rows of the question", _trials(table, stays))]
    for choice in _filters(view):
        if choice.column not in table.columns:
            unknown.append(f"These data have no column “{choice.column}”: “{choice.label}” was not applied.")
            continue
        cells: pd.Series[Any] = table[choice.column]
        kept: Mask = np.array(choice.keep(cells), dtype=np.bool_)
        for position in np.flatnonzero(stays & ~kept):
            reasons[position] = choice.reason(cells.iloc[int(position)])
        stays &= kept
        steps.append(Step(choice.label, _trials(table, stays)))
    _explain_sets(table, reasons)
    stays = _one_each(view, table, stays, reasons, steps)
    left = table[~stays].assign(reason=reasons[~stays])
    return Selection(table[stays], left, tuple(steps), tuple(unknown))


def _filters(view: View) -> Iterator[_Filter]:
    """Return the choices that differ from keeping everything, in the order of the page."""
    if view.data == "ipt":
        yield _Filter("primary analysis", "analysis_set", _among(("primary",)), lambda v: str(v).replace("_", " "))
    if view.phase != "all":
        yield _Filter(f"{view.phase} phase", "phase", _among((view.phase,)), lambda v: f"another phase: {v}")
    for name, column, words in (
        ("population", "population_group", "population"),
        ("comparator", "comparator", "comparator"),
        ("format", "format", "format"),
    ):
        values = getattr(view, name)
        if values:
            label = f"{words}: {', '.join(v.replace('_', ' ') for v in values)}"
            yield _Filter(label, column, _among(values), lambda v, w=words: f"another {w}: {_named(v)}")  # type: ignore[misc]
    if view.rob:
        yield _Filter(f"{view.rob} of 4 items at low risk", "rob_low_risk_count", _at_least(view.rob), _risk)
    if view.year_from is not None:
        first = view.year_from
        yield _Filter(f"from {first}", "year", _at_least(first), lambda v: f"published in {v:g}")
    if view.year_to is not None:
        last = view.year_to
        yield _Filter(f"to {last}", "year", _at_most(last), lambda v: f"published in {v:g}")
    if view.family:
        yield _Filter(
            view.family, "instrument_family", _among((view.family,)), lambda v: f"another instrument: {_named(v)}"
        )
    if view.rating:
        yield _Filter(f"rated by {view.rating}", "rating", _among((view.rating,)), lambda v: f"rated by: {_named(v)}")


def _among(values: tuple[str, ...]) -> Callable[[pd.Series[Any]], Any]:
    return lambda column: column.isin(values).to_numpy()


def _at_least(limit: float) -> Callable[[pd.Series[Any]], Any]:
    return lambda column: (column >= limit).to_numpy(dtype=bool, na_value=False)


def _at_most(limit: float) -> Callable[[pd.Series[Any]], Any]:
    return lambda column: (column <= limit).to_numpy(dtype=bool, na_value=False)


def _named(value: object) -> str:
    text = "" if value is None or value != value else str(value)
    return text.replace("_", " ") or "not known"


def _risk(value: float) -> str:
    return f"{value:g} of 4 items at low risk of bias" if value == value else "risk of bias is not rated in the data"


def _trials(table: pd.DataFrame, stays: Mask) -> int:
    return len(set(table["trial_id"].to_numpy(dtype=object)[stays]))


def _explain_sets(table: pd.DataFrame, reasons: npt.NDArray[np.object_]) -> None:
    """Add why a row is not in the primary analysis, where the data say so."""
    if "set_reason" not in table.columns or "analysis_set" not in table.columns:
        return
    sets, why = table["analysis_set"].to_numpy(dtype=object), table["set_reason"].to_numpy(dtype=object)
    for position in np.flatnonzero(reasons == np.array([str(s).replace("_", " ") for s in sets], dtype=object)):
        if isinstance(why[position], str) and why[position]:
            reasons[position] = f"{reasons[position]}: {why[position]}"


def _one_each(
    view: View, table: pd.DataFrame, stays: Mask, reasons: npt.NDArray[np.object_], steps: list[Step]
) -> Mask:
    """Keep one effect of each trial where the view asks for it."""
    if view.instruments == "all" or not stays.any():
        return stays
    rule: Any = view.instruments
    numbered = table.reset_index(drop=True)
    chosen = np.zeros(len(table), dtype=bool)
    chosen[one_per_trial(numbered[stays], rule=rule).index.to_numpy()] = True
    reasons[stays & ~chosen] = f"not the {rule} effect of its trial"
    steps.append(Step(f"{rule} effect of each trial", _trials(table, chosen)))
    return chosen
