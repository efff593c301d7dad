"""The command that shows the answer under every defensible choice."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipt_evidence.cli.answers import FigureFile, check_figure, rows_of, write_figure
from ipt_evidence.cli.options import (
    FILE_OPTIONS,
    AnalysisSet,
    Condition,
    Contrast,
    Convention,
    DataFile,
    Format,
    OutputFormat,
    Phase,
    with_options,
)
from ipt_evidence.cli.output import messages, print_table, write_whole
from ipt_evidence.errors import OptionError

if TYPE_CHECKING:
    from ipt_evidence.evidence.multiverse import Multiverse
    from ipt_evidence.evidence.multiverse_null import NullTest

UNFINISHED = "unfinished"
DIGITS = 3
CHOICES = "Choices"


@with_options(reading=FILE_OPTIONS)
def multiverse(
    *,
    reading: dict[str, Any],
    contrast: Contrast = "ipt_vs_control",
    condition: Condition = "depression",
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    choices: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with which (rows) and how (analysis). Default: what the data allow.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    min_trials: Annotated[
        int, typer.Option(help="Fewest trials that a specification needs.", rich_help_panel=CHOICES)
    ] = 3,
    level: Annotated[float, typer.Option(help="Confidence level.", rich_help_panel=CHOICES)] = 0.95,
    permutations: Annotated[
        int, typer.Option(help="Draws for the test of all specifications; 0: no test.", rich_help_panel=CHOICES)
    ] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for the tables; an interrupted run goes on there."),
    ] = None,
    figure: FigureFile = None,
    jobs: Annotated[int, typer.Option(help="Workers; -1 for all cores.")] = 1,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Pool under every combination of choices; show which choice moves the answer.

    As a table it prints the choices by the share of the variance that goes with them, as csv or json every
    specification.
    """
    with messages():
        from ipt_evidence.evidence.multiverse import multiverse as every_choice
        from ipt_evidence.evidence.multiverse_declared import Choices, read_choices

        check_figure(figure)
        if permutations < 0:
            raise OptionError(f"--permutations must be 0 or more; received {permutations}")
        rows = rows_of(data, reading, analysis_set, convention, phase=phase, contrast=contrast, condition=condition)
        chosen = Choices() if choices is None else read_choices(choices, rows)
        unfinished = None if output is None else output / UNFINISHED
        found = every_choice(
            rows,
            which=chosen.which,
            how=chosen.how,
            min_trials=min_trials,
            level=level,
            n_jobs=jobs,
            checkpoint=unfinished,
        )
        found.summary()
        null = found.null_test(permutations=permutations) if permutations else None
        if output is not None and unfinished is not None:
            _write_tables(found, null, output)
            shutil.rmtree(unfinished)
        if figure is not None:
            from ipt_evidence.figures.multiverse_plot import multiverse_plot

            write_figure(multiverse_plot(found.table, choices=found.choices, measure=found.measure), figure)
        _print(found, null, format, f"Which choice moves the answer: {contrast}, {condition}")


def _print(found: Multiverse, null: NullTest | None, format: Format, title: str) -> None:
    """Print the choices for a reader, every specification for a program."""
    if format is not Format.table:
        print_table(found.tidy(), format)
        return
    said = " ".join(filter(None, (found.interpretation, null.interpretation if null else "")))
    print_table(found.variance().round(DIGITS), format, title, said)


def _write_tables(found: Multiverse, null: NullTest | None, folder: Path) -> None:
    """Write specifications, summary and choices, each file whole or not at all."""
    tables = {"specifications": found.tidy(), "summary": found.summary(), "choices": found.variance()}
    if null is not None:
        tables["null_test"] = null.tidy()
    for name, table in tables.items():
        write_whole(folder / f"{name}.csv", partial(table.to_csv, index=False))
    typer.echo(f"{folder}: {', '.join(f'{name}.csv' for name in tables)}", err=True)
