"""The commands that question the answer: sensitivity, bias, published results, claims, and a report of it all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ipt_evidence.cli.inputs import effects_of, phase_of, studies_and_note
from ipt_evidence.cli.options import (
    FILE_OPTIONS,
    POOL_OPTIONS,
    AnalysisSet,
    Condition,
    Contrast,
    Convention,
    DataFile,
    Format,
    OutputFormat,
    Phase,
    pool_options,
    with_options,
)
from ipt_evidence.cli.output import messages, print_table

MENU = ("analysis", "k", "estimate", "ci_low", "ci_high", "p_value", "i2", "pi_low", "pi_high", "excluded")
DIGITS = 3


def _rows(
    data: Path | None, reading: dict[str, Any], analysis_set: str, convention: str | None, **wanted: str | None
) -> Any:
    """Return the effects of one question."""
    from ipt_evidence.evidence.conditions import keep

    effects = effects_of(data, reading, analysis_set, convention)
    phase = wanted.pop("phase") or "all"
    effects = keep(effects, "phase", phase_of(effects, phase, data))
    for column, value in wanted.items():
        effects = keep(effects, column, value)
    return effects


@with_options(settings=POOL_OPTIONS, reading=FILE_OPTIONS)
def menu(
    *,
    settings: dict[str, Any],
    reading: dict[str, Any],
    contrast: Contrast = "ipt_vs_control",
    condition: Condition = "depression",
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Show the standard set of sensitivity analyses for one contrast and condition."""
    with messages():
        from ipt_evidence.evidence.menu import analysis_menu

        rows = _rows(data, reading, analysis_set, convention, phase=phase, contrast=contrast, condition=condition)
        options = pool_options(settings)
        options.pop("dependence", None)
        found = analysis_menu(rows, **options)
        table = found.tidy()
        shown = table[list(MENU)].round(DIGITS) if format is Format.table else table
        print_table(shown, format, f"Sensitivity: {contrast}, {condition}")


@with_options(settings=POOL_OPTIONS, reading=FILE_OPTIONS)
def bias(
    *,
    settings: dict[str, Any],
    reading: dict[str, Any],
    contrast: Contrast = "ipt_vs_control",
    condition: Condition = "depression",
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Put the adjustments for small-study effects and selective publication side by side."""
    with messages():
        from ipt_evidence.diagnostics.bias_table import bias_table
        from ipt_evidence.pooling.fit import pool

        rows = _rows(data, reading, analysis_set, convention, phase=phase, contrast=contrast, condition=condition)
        found = bias_table(pool(rows, **pool_options(settings)))
        table = found.tidy()
        shown = table.drop(columns=["method", "assumes"]).round(DIGITS) if format is Format.table else table
        print_table(shown, format, f"Adjusted effects: {contrast}, {condition}", found.interpretation)


def reproduce(*, format: OutputFormat = Format.table) -> None:
    """Compute published pooled effects again and say how near today's data come."""
    with messages():
        from ipt_evidence.evidence.reproduce import reproduce as reproduce_all

        table = reproduce_all().tidy()
        print_table(table.round(DIGITS), format, "Published and recomputed")


def claims(*, format: OutputFormat = Format.table) -> None:
    """Hold what health articles say about IPT against the trials."""
    with messages():
        from ipt_evidence.evidence.claims import check_claims

        table = check_claims().tidy()
        print_table(table.round(DIGITS), format, "Claims and evidence")


@with_options(settings=POOL_OPTIONS, reading=FILE_OPTIONS)
def report(
    *,
    settings: dict[str, Any],
    reading: dict[str, Any],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .html or .docx.")],
    contrast: Contrast = "ipt_vs_control",
    condition: Condition = "depression",
    phase: Phase = "acute",
    convention: Convention = None,
    judgements: Annotated[
        Path | None, typer.Option(help="YAML file with judgements of certainty; see docs/how-to/certainty.md.")
    ] = None,
    control_event_rate: Annotated[float, typer.Option(help="Share that responds without treatment.")] = 0.2,
    data: DataFile = None,
) -> None:
    """Write a complete report for one contrast and condition."""
    with messages():
        from ipt_evidence.effects.compute import effect_sizes
        from ipt_evidence.reports.document import write_report

        studies, note = studies_and_note(data, reading)
        effects = effect_sizes(studies, convention=convention)  # type: ignore[arg-type]
        written = write_report(
            output,
            effects,
            condition=condition or "depression",
            contrast=contrast or "ipt_vs_control",
            phase=phase_of(effects, phase, data),
            judgements=judgements,
            control_event_rate=control_event_rate,
            data=note,
            **pool_options(settings),
        )
        typer.echo(f"{written}", err=True)
