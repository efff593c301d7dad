"""The effects behind a trial's one effect, for a forest plot that shows them in a bracket."""

from __future__ import annotations

import pandas as pd

from ipt_evidence.errors import OptionError
from ipt_evidence.figures.forest_inputs import FitView
from ipt_evidence.pooling.result import PooledFit

NAMED_BY = ("outcome", "instrument", "comparator", "arm_1", "arm_2", "rating", "time", "time_weeks", "comparison_id")
Outcome = tuple[str, float, float, float]


def outcomes_of(fit: FitView, table: pd.DataFrame) -> list[list[Outcome]]:
    """Return for each trial of `table` its outcomes: name, effect and limits; none for a trial of one effect.

    Raises
    ------
    OptionError
        The fit does not keep the rows of its trials.
    """
    if not isinstance(fit.fit, PooledFit):
        raise OptionError("rows='outcomes' needs a fit of pool() or pool_by(), which keeps the rows behind a trial")
    from scipy.special import ndtri

    effects, unit_of_row = fit.fit.source.effects, fit.fit.source.units.unit_of_row
    units = dict.fromkeys(int(unit) for unit in unit_of_row if unit >= 0)
    unit_at = dict(zip(fit.included.index, units, strict=True))
    z = float(ndtri(0.5 + fit.level / 2))
    found: list[list[Outcome]] = []
    for position, several in zip(table.index, table["n_effects"], strict=True):
        if several < 2:
            found.append([])
            continue
        rows = effects.loc[unit_of_row == unit_at[position]]
        half = z * rows["variance"].to_numpy(dtype=float) ** 0.5
        middle = rows["effect"].to_numpy(dtype=float)
        found.append(list(zip(_names(rows), middle, middle - half, middle + half, strict=True)))
    return found


def _names(rows: pd.DataFrame) -> list[str]:
    """Return a name for each row, from the first columns that tell them apart."""
    names = [""] * len(rows)
    for column in NAMED_BY:
        if column not in rows.columns or rows[column].astype(str).nunique() < 2:
            continue
        values = ["" if pd.isna(x) else f"{x:g}" if isinstance(x, float) else str(x) for x in rows[column]]
        names = [", ".join(x for x in pair if x) for pair in zip(names, values, strict=True)]
        if len(set(names)) == len(names):
            break
    return [name or f"Effect {i}" for i, name in enumerate(names, start=1)]
