"""The command line as a whole: which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from ipt_evidence.cli import answers, data, evidence, explore, multiverse, pooling

app = typer.Typer(
    name="ipt-evidence",
    help="Evidence synthesis of trials of Interpersonal Psychotherapy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command()(pooling.pool)
app.command()(pooling.forest)
app.command()(evidence.evidence)
for command in (answers.menu, answers.bias, multiverse.multiverse, answers.reproduce, answers.claims, answers.report):
    app.command()(command)
app.command()(explore.explore)


def _version(value: bool) -> None:
    if value:
        from ipt_evidence.pooling.settings import SOFTWARE

        typer.echo(SOFTWARE)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evidence synthesis of trials of Interpersonal Psychotherapy."""
