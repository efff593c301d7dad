"""What is said beside the numbers: warnings while pooling, notes in the fit, reasons why nothing was pooled."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.errors import DependenceWarning, MixedRowsWarning, NarrowIntervalWarning, OptionError
from ipt_evidence.pooling.effect_rows import Rows, distinct
from ipt_evidence.pooling.intervals import quantile
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.result import PoolMethod
from ipt_evidence.pooling.result_text import people_known
from ipt_evidence.pooling.units import People, Units
from ipt_evidence.studies.arms_keys import arm_keys

if TYPE_CHECKING:
    from ipt_evidence.pooling.statistics import Numbers

SHOWN_TRIALS = 5


def one_measure(effects: pd.DataFrame | Rows, y: Array) -> str:
    """Return the measure of the rows that have an effect; ``"effect"`` when the table does not say.

    Raises
    ------
    OptionError
        There are several: their average would mean nothing.
    """
    rows = Rows.of(effects)
    if "measure" not in rows.names:
        return "effect"
    found = distinct(rows["measure"], ~np.isnan(y))
    if len(found) > 1:
        raise OptionError(
            f"the rows have {len(found)} measures ({', '.join(map(str, found))}); "
            "compute one with effect_sizes(measure=...)"
        )
    return str(found[0]) if found else "effect"


def warn_repeated(effects: pd.DataFrame | Rows, trial: npt.NDArray[np.intp], units: Units) -> None:
    """Warn when rows of one trial are pooled as if they were independent."""
    used = units.of_used(trial)
    repeated = np.flatnonzero(np.bincount(used) > 1) if used.size else used
    if repeated.size:
        rows = Rows.of(effects)
        names = [str(rows["trial_id"].iloc[int(np.flatnonzero(trial == t)[0])]) for t in repeated]
        warnings.warn(
            f"{counted(len(names), 'trial')} with several rows that share participants pooled as if independent: "
            f"{', '.join(names)}. dependence='aggregate' gives one effect per trial.",
            DependenceWarning,
            stacklevel=4,
        )


def warn_several_comparisons(table: Rows, trial: npt.NDArray[np.intp], units: Units) -> None:
    """Warn when the rows combined into one effect of a trial are different comparisons, with an arm in common.

    Several instruments, raters or times of one comparison are no reason: combining them is what is documented.
    """
    if not units.n_combined or not table.names.issuperset(("arm_1", "arm_2")):
        return
    used = np.flatnonzero(units.unit_of_row >= 0)
    rows = used[np.bincount(trial[used])[trial[used]] > 1]
    arms = table.frame[["arm_1", "arm_2"]].iloc[rows].assign(trial=trial[rows])
    if len(arms.drop_duplicates()) == arms["trial"].nunique():
        return
    keys = arm_keys(arms, trial="trial").replace("", np.nan)
    different = (keys.groupby(arms["trial"].to_numpy()).nunique() > 1).any(axis=1)
    found = [t for t in dict.fromkeys(trial[rows].tolist()) if different[t]]
    if found:
        names = [str(table["trial_id"].iloc[int(np.flatnonzero(trial == t)[0])]) for t in found]
        more = f" and {len(names) - SHOWN_TRIALS} more" if len(names) > SHOWN_TRIALS else ""
        warnings.warn(
            f"{counted(len(names), 'trial')} with several comparisons that share participants brought to one effect "
            f"by default: {', '.join(names[:SHOWN_TRIALS])}{more}. Say what you want: dependence='aggregate' (this), "
            "one comparison per trial by combine_arms() or split_shared_control() beforehand, or dependence='che'.",
            DependenceWarning,
            stacklevel=4,
        )


def warn_mixed(effects: pd.DataFrame | Rows, units: Units) -> None:
    """Warn when rows of several contrasts or phases are pooled into one number."""
    rows = Rows.of(effects)
    for name in ("contrast", "phase"):
        if name in rows.names:
            found = distinct(rows[name], units.unit_of_row >= 0 if units.n_left_out else None)
            if len(found) > 1:
                warnings.warn(
                    f"rows of {len(found)} values of {name!r} are pooled together ({', '.join(map(str, found))}); "
                    "select one, or group by it with pool_by",
                    MixedRowsWarning,
                    stacklevel=4,
                )


def nothing_to_pool(effects: pd.DataFrame | Rows, why_not: npt.NDArray[np.object_]) -> str:
    """Return why no row can be pooled, the reasons counted."""
    if len(effects) == 0:
        return "the table has no rows, so there is nothing to pool"
    reasons = "; ".join(f"{reason} ({n})" for reason, n in pd.Series(why_not).value_counts().items())
    return f"none of the {len(effects)} rows has both an effect and a variance: {reasons}"


def reading_notes(
    numbers: Numbers, method: PoolMethod, units: Units, people: People, *, apart: bool = False
) -> tuple[str, ...]:
    """Return what a reader should know before quoting the fit; `apart`: parts of divided arms were pooled."""
    notes = []
    k = numbers.k
    if k == 0:
        notes.append("No trial with an effect and its variance.")
    if k == 1:
        notes.append("One trial: its own effect and Wald interval, nothing was pooled; tau2 is not estimable.")
    if k == 2:
        notes.append("Two trials: no prediction interval; compare the Wald interval.")
    if k > 1 and method.ci_method in ("hksj", "hksj-adhoc") and _narrower(numbers, method):
        text = "The Hartung-Knapp interval is narrower than the Wald interval; report both."
        if not numbers.mean.std_error > 0:
            text = "All effects are equal: the Hartung-Knapp interval has no width; use the Wald interval."
        notes.append(text)
        warnings.warn(text, NarrowIntervalWarning, stacklevel=4)
    if numbers.tau2_ci[1] == 0:
        notes.append("The effects differ less than chance allows: the set of tau2 is empty, shown as 0 to 0.")
    if units.n_combined and method.dependence == "aggregate":
        notes.append(f"{counted(units.n_combined, 'trial')} with several effects combined (rho = {method.rho:g}).")
    if apart:
        notes.append("Comparisons that share a divided arm count as trials of their own; they stay correlated.")
    if units.n_left_out:
        notes.append(f"{counted(units.n_left_out, 'row')} without a usable effect left out.")
    if people.n is not None and people.known < people.trials:
        notes.append(people_known(people.known, people.trials))
    return tuple(notes)


def wald_half_width(numbers: Numbers, level: float) -> float:
    """Return half the width of the Wald interval."""
    return float(quantile(level, float("inf"))) * float(numbers.mean.wald_std_error)


def _narrower(numbers: Numbers, method: PoolMethod) -> bool:
    own = 0.5 * float(numbers.mean.ci_high - numbers.mean.ci_low)
    return own < wald_half_width(numbers, method.level) * (1 - 1e-9)


def counted(n: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it needs it."""
    return f"{n} {noun}{'' if n == 1 else 's'}"
