"""The commands that question the answer: sensitivity, bias, published results, claims, and a report of it all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from ipt_evidence.cli.output import messages, print_table, write_whole
from ipt_evidence.cli.pooling import FIGURES
from ipt_evidence.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MENU = ("analysis", "k", "estimate", "ci_low", "ci_high", "p_value", "i2", "pi_low", "pi_high", "excluded")
DIGITS = 3
FigureFile = Annotated[Path | None, typer.Option("--figure", help="Figure to write: .svg, .pdf or .png.")]


def rows_of(
    data: Path | None, reading: dict[str, Any], analysis_set: str, convention: str | None, **wanted: str | None
) -> Any:
    """Return the effects of one question: the rows of a contrast, a condition and a phase."""
    from ipt_evidence.evidence.conditions import keep

    effects = effects_of(data, reading, analysis_set, convention)
    phase = wanted.pop("phase") or "all"
    effects = keep(effects, "phase", phase_of(effects, phase, data))
    for column, value in wanted.items():
        effects = keep(effects, column, value)
    return effects


def check_figure(path: Path | None) -> None:
    """Refuse a figure that cannot be written, before anything is computed."""
    if path is not None and path.suffix.lower() not in FIGURES:
        raise OptionError(f"--figure must end in .svg, .pdf or .png; received {str(path)!r}")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure and say what it shows."""
    from ipt_evidence.figures.alt_text import alt_text
    from ipt_evidence.figures.output import save_figure

    write_whole(path, lambda part: save_figure(figure, part))
    typer.echo(f"{path}: {alt_text(figure)}", err=True)


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
    figure: FigureFile = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Show the standard set of sensitivity analyses for one contrast and condition."""
    with messages():
        from ipt_evidence.evidence.menu import analysis_menu

        check_figure(figure)
        rows = rows_of(data, reading, analysis_set, convention, phase=phase, contrast=contrast, condition=condition)
        options = pool_options(settings)
        options.pop("dependence", None)
        found = analysis_menu(rows, **options)
        table = found.tidy()
        shown = table[list(MENU)].round(DIGITS) if format is Format.table else table
        print_table(shown, format, f"Sensitivity: {contrast}, {condition}")
        if figure is not None:
            from ipt_evidence.figures.menu_plot import menu_plot

            write_figure(menu_plot(found), figure)


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

        rows = rows_of(data, reading, analysis_set, convention, phase=phase, contrast=contrast, condition=condition)
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
