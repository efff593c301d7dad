"""The command that does the main job: pooled effects by condition, forest plots and a page, into a folder."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipt_evidence.cli.inputs import phase_of, studies_and_note
from ipt_evidence.cli.options import (
    FILE_OPTIONS,
    Convention,
    DataFile,
    Format,
    OutputFormat,
    Phase,
    Preset,
    pool_options,
    with_options,
)
from ipt_evidence.cli.output import messages, print_table, short_fits, write_whole
from ipt_evidence.cli.pooling import TITLE

if TYPE_CHECKING:
    import pandas as pd

POOLED_SETS = ("primary", "not_estimable")


@with_options(reading=FILE_OPTIONS)
def evidence(
    *,
    reading: dict[str, Any],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("build"),
    phase: Phase = "acute",
    convention: Convention = None,
    preset: Preset = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Do the main job: pooled effects by condition, forest plots and a page that shows them, into a folder."""
    with messages():
        import pandas as pd

        from ipt_evidence.effects.compute import effect_sizes
        from ipt_evidence.evidence.conditions import pool_by_condition
        from ipt_evidence.reports.document import condition_reports
        from ipt_evidence.reports.evidence_page import write_evidence

        studies, note = studies_and_note(data, reading)
        effects = effect_sizes(studies, convention=convention)  # type: ignore[arg-type]
        chosen = phase_of(effects, phase, data)
        in_set = pd.Series(True, effects.index)
        if "analysis_set" in effects.columns:
            in_set = effects["analysis_set"].isin(POOLED_SETS)
        fits = pool_by_condition(effects[in_set], phase=chosen, **pool_options({"preset": preset}))
        left_out = _left_out(effects, in_set, chosen)
        reports = condition_reports(effects, fits, phase=chosen, data=note, **pool_options({"preset": preset}))
        if data is None:
            _write_held_against(output)
        page = write_evidence(fits, output, data=note, exclusions=left_out, phase=chosen or "", reports=reports)
        method = next(iter(fits.values())).method
        table = fits.tidy()
        shown = short_fits(table) if format is Format.table else table
        print_table(shown, format, TITLE, f"Method: {method.describe()}.")
        typer.echo(f"{page.parent}: {len(list(output.glob('forest_*.svg')))} forest plots; open {page}", err=True)


def _write_held_against(folder: Path) -> None:
    """Write what was published beside what comes out today, and claims beside the trials, as pages and tables."""
    from ipt_evidence.evidence.claims import check_claims
    from ipt_evidence.evidence.reproduce import reproduce
    from ipt_evidence.reports.document import save_report
    from ipt_evidence.reports.held_against import claims_page, reproduction_page

    again, claims = reproduce(), check_claims()
    for name, table in (("reproduction", again.tidy()), ("claims", claims.tidy())):
        write_whole(folder / f"{name}.csv", partial(table.to_csv, index=False))
    for name, page in (("reproduction", reproduction_page(again)), ("claims", claims_page(claims))):
        save_report(page, folder / f"{name}.html")


def _left_out(effects: pd.DataFrame, in_set: pd.Series[bool], phase: str | None) -> pd.DataFrame:
    """Return the rows that were not pooled, each with its reason."""
    import pandas as pd

    reason = effects["why_not"].where(in_set, "")
    if "analysis_set" in effects.columns:
        outside = effects["analysis_set"].astype(str).str.replace("_", " ")
        detail = effects["set_reason"].fillna("").astype(str) if "set_reason" in effects.columns else ""
        reason = reason.where(in_set, outside + ": " + detail)
    if phase is not None:
        other = in_set & effects["phase"].ne(phase)
        reason = reason.mask(other, "another phase of treatment: " + effects["phase"].astype(str))
    table = pd.DataFrame({"reason": reason.astype(str)}, index=effects.index)
    for name in ("comparison_id", "study", "condition", "contrast"):
        table[name] = effects[name].astype(str) if name in effects.columns else ""
    return table[table["reason"] != ""].reset_index(drop=True)
