"""Which rows of a table of studies can be pooled as events, their counts and their own effects."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ipt_evidence.effects.binary import cells, compare_events
from ipt_evidence.effects.columns import EVENTS, Table
from ipt_evidence.effects.ledger import BARRED, Ledger
from ipt_evidence.effects.raw import NO_DIRECTION
from ipt_evidence.pooling.binary_result import BinaryMethod
from ipt_evidence.pooling.kernel import Array
from ipt_evidence.pooling.mantel_haenszel import Counts

Mask = npt.NDArray[np.bool_]
NOBODY = "no events in either arm: no information on the {}"
EVERYBODY = "everybody had the event in both arms: no information on the {}"
NAMES = {"OR": "odds ratio", "RR": "risk ratio"}


def with_one_arm(studies: pd.DataFrame, m: BinaryMethod) -> pd.DataFrame:
    """Return the table with `events`, `total` read as those of arm 1, for proportions."""
    if m.measure != "PLO" or not isinstance(studies, pd.DataFrame) or "events_1" in studies.columns:
        return studies
    return studies.rename(columns={"events": "events_1", "total": "total_1"})


def usable_rows(table: Table, m: BinaryMethod) -> tuple[Ledger, Array]:
    """Return the account of which rows can be pooled, and the sign that turns their effect."""
    barred = table.statistics == 0
    ledger = Ledger(barred)
    ledger.refuse(barred, BARRED)
    names = EVENTS[:2] if m.measure == "PLO" else EVENTS
    columns = {name: table[name] for name in names}
    everywhere = np.full(len(barred), True)
    ledger.refuse_missing(everywhere, columns, needed_for=" ".join(names))
    for arm in ("1", "2")[: len(names) // 2]:
        events, total = columns[f"events_{arm}"], columns[f"total_{arm}"]
        ledger.refuse(total <= 0, f"total_{arm} is not above 0")
        ledger.refuse(events < 0, f"events_{arm} is below 0")
        ledger.refuse(events > total, f"events_{arm} is above total_{arm}")
        if m.method == "glmm":
            broken = (events != np.round(events)) | (total != np.round(total))
            ledger.refuse(broken, f"events_{arm} or total_{arm} is not a whole number, which a GLMM needs")
    if m.measure == "PLO":
        return ledger, np.ones(len(barred))
    a, n1, c, n2 = columns.values()
    if m.measure in NAMES:
        ledger.refuse((a == 0) & (c == 0), NOBODY.format(NAMES[m.measure]))
    if m.measure == "OR":
        ledger.refuse((a == n1) & (c == n2), EVERYBODY.format("odds ratio"))
    if "lower_is_better" not in table.present:
        return ledger, np.ones(len(barred))
    sign = 1 - 2 * table["lower_is_better"]
    ledger.refuse(np.isnan(sign), NO_DIRECTION)
    return ledger, sign


def nothing_usable(table: Table, ledger: Ledger) -> str:
    """Return why no row can be pooled, each reason with its number of rows."""
    reasons = pd.Series(ledger.columns(measure="", level=0.95)["why_not"]).value_counts()
    listed = "; ".join(f"{reason} ({n})" for reason, n in reasons.items())
    return f"none of the {len(table.frame)} rows can be pooled{': ' if listed else ''}{listed}"


def people_columns(table: Table, m: BinaryMethod) -> pd.DataFrame:
    """Return the columns that say how many were counted: the totals, not the sizes of the trial's other outcomes."""
    names = ("trial_id", "arm_1", "arm_2")
    frame = table.frame[[name for name in names if name in table.frame.columns]].copy()
    frame["total_1"] = table["total_1"]
    frame["total_2"] = 0.0 if m.measure == "PLO" else table["total_2"]
    return frame


def counts_of(table: Table, used: Mask, sign: Array, m: BinaryMethod) -> Counts:
    """Return the counts of the rows in use, the arms exchanged where `sign` is negative.

    Exchanging the arms turns every effect measure over (to its inverse or negative).
    """
    a, n1, c, n2 = (table[name][used] for name in EVENTS)
    turned = sign[used] < 0
    swapped = Counts(np.where(turned, c, a), np.where(turned, n2, n1), np.where(turned, a, c), np.where(turned, n1, n2))
    return swapped.plus(m.pooled_add) if m.pooled_add else swapped


def own_effects(table: Table, used: Mask, sign: Array, m: BinaryMethod) -> tuple[Array, Array]:
    """Return the trials' own effects and variances; NaN where the rule for empty cells leaves none."""
    a, n1, c, n2 = (table[name][used] for name in EVENTS)
    if m.measure == "PLO":
        edge = (a == 0) | (a == n1)
        extra = np.where({"only0": edge, "if0all": edge.any(), "all": True, "none": False}[m.zero_cells], m.add, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, rest = a + extra, n1 - a + extra
            y, v = np.log(x / rest), 1 / x + 1 / rest
    else:
        # Trials without contrast (only those of a risk difference or ratio get here) have no effect of their own.
        empty = ((a == 0) & (c == 0)) | ((a == n1) & (c == n2))
        kept = {name: np.where(empty, np.nan, x) for name, x in zip(EVENTS, (a, n1, c, n2), strict=True)}
        found = compare_events(
            cells(**kept, zero_cells=m.zero_cells, add=m.add),  # type: ignore[arg-type]
            measure="PETO" if m.method == "peto" else m.measure,
        )
        y, v = sign[used] * found.effect, found.variance
    usable = np.isfinite(y) & np.isfinite(v) & (v > 0)
    return np.where(usable, y, np.nan), np.where(usable, v, np.nan)


def repeated_trials(table: Table, used: Mask) -> list[str]:
    """Return the trials that have several rows in use."""
    if "trial_id" not in table.frame.columns:
        return []
    trials = table.frame.loc[used, "trial_id"]
    return [str(x) for x in trials[trials.duplicated()].unique()]
