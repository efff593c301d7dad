"""Which rows a report is about: those that are pooled, and those left out, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.evidence.conditions import keep
from ipt_evidence.pooling.result import PooledFit
from ipt_evidence.reports.document_data import note_of
from ipt_evidence.reports.evidence_page import DataNote

if TYPE_CHECKING:
    import pandas as pd

POOLED_SETS = ("primary", "not_estimable")
LEFT_OUT = ("comparison_id", "study", "phase", "reason")


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a report is made from.

    Attributes
    ----------
    condition, contrast : str
    phase : str or None
        ``None`` for all phases.
    fit : PooledFit or None
        ``None`` when no row has an effect.
    rows : pandas.DataFrame
        The rows of the question: of the condition, contrast and phase, and meant for pooling.
    left_out : pandas.DataFrame
        `comparison_id study phase reason` of the rows of condition and contrast that were not pooled.
    options : mapping
        Options of pooling.
    data : DataNote or None
    only_primary : bool
        Whether the table that was given holds the primary rows only.
    """

    condition: str
    contrast: str
    phase: str | None
    fit: PooledFit | None
    rows: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    options: Mapping[str, Any]
    data: DataNote | None
    only_primary: bool


def select(
    effects: pd.DataFrame | PooledFit,
    *,
    condition: str,
    contrast: str,
    phase: str | None,
    data: DataNote | None,
    options: Mapping[str, Any],
) -> Material:
    """Return the rows of a question, pooled.

    Raises
    ------
    OptionError
        The table has no such condition, contrast or phase; or options were given with a fit.
    """
    if isinstance(effects, PooledFit):
        return _of_fit(effects, condition, contrast, data, options)
    import pandas as pd

    if not isinstance(effects, pd.DataFrame):
        kind = type(effects).__name__
        raise OptionError(f"a report needs a table of effects or a fit of pool(); received {kind}")
    mine = keep(keep(effects, "contrast", contrast), "condition", condition).reset_index(drop=True)
    chosen = phase if "phase" in mine.columns else None
    in_phase = keep(mine, "phase", chosen)
    rows = in_phase
    if "analysis_set" in rows.columns:
        rows = rows[rows["analysis_set"].isin(POOLED_SETS)]
    fit = _pool(rows, options)
    pooled = set() if fit is None else set(fit.source.effects.index[fit.source.units.unit_of_row >= 0])
    left_out = _left_out(mine, mine.index.isin(list(pooled)), chosen)
    sets = set(effects["analysis_set"].unique()) if "analysis_set" in effects.columns else set()
    known = data if data is not None else note_of(mine)
    return Material(condition, contrast, chosen, fit, rows, left_out, options, known, sets == {"primary"})


def _of_fit(
    fit: PooledFit, condition: str, contrast: str, data: DataNote | None, options: Mapping[str, Any]
) -> Material:
    """Return the material of a fit that was made before."""
    if options:
        raise OptionError(f"a fit is already pooled: give the effects to choose {', '.join(options)}")
    rows = fit.source.effects
    left_out = _left_out(rows, fit.source.units.unit_of_row >= 0, None)
    made = {name: value for name, value in asdict(fit.method).items() if name not in ("software", "dependence")}
    known = data if data is not None else note_of(rows)
    phase = None
    if "phase" in rows.columns and rows["phase"].nunique() == 1:
        phase = str(rows["phase"].iloc[0])
    return Material(condition, contrast, phase, fit if fit.k else None, rows, left_out, made, known, False)


def _pool(rows: pd.DataFrame, options: Mapping[str, Any]) -> PooledFit | None:
    from ipt_evidence.pooling.fit import pool
    from ipt_evidence.pooling.settings import with_dependence

    if rows.empty:
        return None
    try:
        return pool(rows, **with_dependence(dict(options)))  # type: ignore[arg-type]
    except NotEstimableError:
        return None


def _left_out(rows: pd.DataFrame, pooled: Any, phase: str | None) -> pd.DataFrame:
    """Return the rows that were not pooled, each with its reason."""
    import pandas as pd

    rest = rows[~pooled]
    reason = _text(rest, "why_not").replace("", "no usable effect or variance")
    if "analysis_set" in rest.columns:
        outside = ~rest["analysis_set"].isin(POOLED_SETS)
        why = rest["analysis_set"].astype(str).str.replace("_", " ") + ": " + _text(rest, "set_reason")
        reason = reason.mask(outside, why.str.removesuffix(": "))
    if phase is not None:
        reason = reason.mask(rest["phase"].ne(phase), "another phase of treatment: " + _text(rest, "phase"))
    table = {name: _text(rest, name) for name in LEFT_OUT[:-1]} | {"reason": reason}
    return pd.DataFrame(table).reset_index(drop=True)


def _text(rows: pd.DataFrame, name: str) -> pd.Series[str]:
    import pandas as pd

    if name not in rows.columns:
        return pd.Series("", index=rows.index, dtype=object)
    column = rows[name].astype(object)
    return column.where(column.notna(), "").astype(str)
