"""The commands that pool: one table of pooled effects, one forest plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ipt_evidence.cli.inputs import effects_of, phase_of
from ipt_evidence.cli.options import (
    FILE_OPTIONS,
    POOL_OPTIONS,
    ROWS,
    AnalysisSet,
    Condition,
    Contrast,
    Convention,
    DataFile,
    Format,
    OutputFormat,
    Phase,
    names_in,
    pool_options,
    with_options,
)
from ipt_evidence.cli.output import messages, print_table, short_fits, write_whole
from ipt_evidence.errors import OptionError

TITLE = "Pooled effects; positive favours IPT"
FIGURES = (".svg", ".pdf", ".png")


@with_options(settings=POOL_OPTIONS, reading=FILE_OPTIONS)
def pool(
    *,
    settings: dict[str, Any],
    reading: dict[str, Any],
    by: Annotated[str, typer.Option(help="Grouping column(s), separated by commas.")] = "condition",
    contrast: Contrast = None,
    condition: Condition = None,
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Pool each contrast by condition (or by another column)."""
    with messages():
        from ipt_evidence.evidence.conditions import keep, pool_by_condition

        effects = keep(effects_of(data, reading, analysis_set, convention), "condition", condition)
        fits = pool_by_condition(
            effects,
            by=names_in(by),
            contrast=contrast,
            phase=phase_of(effects, phase, data),
            **pool_options(settings),
        )
        table = fits.tidy()
        if format is not Format.table:
            print_table(table, format)
            return
        method = next(iter(fits.values())).method
        print_table(short_fits(table), format, TITLE, f"Method: {method.describe()}.")
        for _, row in table[table["notes"] != ""].iterrows():
            typer.echo(f"{row['contrast']}, {row['group']}: {row['notes']}", err=True)


@with_options(settings=POOL_OPTIONS, reading=FILE_OPTIONS)
def forest(
    *,
    settings: dict[str, Any],
    reading: dict[str, Any],
    output: Annotated[Path, typer.Option("--output", "-o", help="Figure to write: .svg, .pdf or .png.")],
    by: Annotated[str | None, typer.Option(help="Column to group the trials by; none: one group.")] = None,
    contrast: Annotated[str, typer.Option(help="The contrast to draw.", rich_help_panel=ROWS)] = "ipt_vs_control",
    condition: Condition = None,
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    data: DataFile = None,
) -> None:
    """Draw the forest plot of one contrast; by condition unless one condition is chosen."""
    with messages():
        from ipt_evidence.evidence.conditions import keep
        from ipt_evidence.figures.alt_text import alt_text
        from ipt_evidence.figures.forest import forest_plot
        from ipt_evidence.figures.output import save_figure
        from ipt_evidence.pooling.fit import pool as pool_one
        from ipt_evidence.pooling.subgroups import pool_by

        if output.suffix.lower() not in FIGURES:
            raise OptionError(f"--output must end in .svg, .pdf or .png; received {str(output)!r}")
        chosen = pool_options(settings)
        effects = keep(effects_of(data, reading, analysis_set, convention), "condition", condition)
        rows = keep(keep(effects, "phase", phase_of(effects, phase, data)), "contrast", contrast)
        names = names_in(by) if by else [] if condition else ["condition"]
        fit = pool_by(rows, names, overall=by is not None, **chosen) if names else pool_one(rows, **chosen)
        figure = forest_plot(fit, overall=True if by else None)
        write_whole(output, lambda path: save_figure(figure, path))
        typer.echo(f"{output}: {alt_text(fit)}", err=True)
