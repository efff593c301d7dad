"""The commands about data: list, show, validate, convert, diff, flags, download."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ipt_evidence.cli.inputs import read_file, table_of
from ipt_evidence.cli.options import (
    FILE_OPTIONS,
    AnalysisSet,
    Condition,
    Contrast,
    Format,
    OutputFormat,
    names_in,
    or_none,
    with_options,
)
from ipt_evidence.cli.output import messages, print_table
from ipt_evidence.errors import OptionError, Problem, SchemaError

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(
    help="The data: list and show data sets, validate, convert and compare files, flag doubtful numbers, download.",
    no_args_is_help=True,
)
SHORT = {
    "ipt": ("comparison_id", "study", "condition", "contrast", "instrument", "statistics", "analysis_set"),
    "published": ("review_id", "condition", "comparison", "measure", "k", "estimate", "ci_low", "ci_high"),
    "claims": ("claim_id", "claim", "condition", "contrast"),
}
NameOrFile = Annotated[str, typer.Argument(help="A shipped data set (ipt, published, claims) or a file.")]


@app.command("list")
def data_list(
    releases: Annotated[bool, typer.Option("--releases", help="The public releases that can be downloaded.")] = False,
    format: OutputFormat = Format.table,
) -> None:
    """List the shipped data sets, or the public releases that can be downloaded; nothing is fetched."""
    with messages():
        from ipt_evidence.sources.registry import list_datasets
        from ipt_evidence.sources.releases import list_releases

        table = list_releases() if releases else list_datasets()
        if format is Format.table:
            table = table.assign(sha256=table["sha256"].str[:12])
            table = table.drop(columns=["url", "checksum_source"], errors="ignore")
        print_table(table, format, "Public releases" if releases else "Data sets")


@app.command("show")
@with_options(reading=FILE_OPTIONS)
def data_show(
    *,
    reading: dict[str, Any],
    name: NameOrFile = "ipt",
    condition: Condition = None,
    contrast: Contrast = None,
    analysis_set: AnalysisSet = "all",
    columns: Annotated[str | None, typer.Option(help="Columns to print, separated by commas.")] = None,
    format: OutputFormat = Format.table,
) -> None:
    """Print the rows of a data set or of a file."""
    with messages():
        from ipt_evidence.evidence.conditions import keep

        table = table_of(name, reading)
        for column, value in (
            ("condition", condition),
            ("contrast", contrast),
            ("analysis_set", or_none(analysis_set)),
        ):
            table = keep(table, column, value)
        if columns is not None:
            wanted = names_in(columns)
            unknown = [column for column in wanted if column not in table.columns]
            if unknown:
                raise OptionError(f"no column {', '.join(unknown)}; the columns are {', '.join(table.columns)}")
            table = table[wanted]
        elif format is Format.table:
            table = table[[column for column in SHORT.get(name, SHORT["ipt"]) if column in table.columns]]
        print_table(table, format, f"{name}: {len(table)} rows")


@app.command("validate")
@with_options(reading=FILE_OPTIONS)
def data_validate(
    *,
    reading: dict[str, Any],
    files: Annotated[list[Path], typer.Argument(help="Files with trial results, to check against the row contract.")],
    format: OutputFormat = Format.table,
) -> None:
    """Check files; every violation is printed with its row, column, value and what was expected.

    With --format csv or json the violations themselves are the result, on standard output.
    """
    with messages():
        import pandas as pd

        read: dict[Path, pd.DataFrame] = {}
        problems: list[Problem] = []
        for file in files:
            try:
                read[file] = read_file(file, reading)
            except SchemaError as error:
                problems += error.problems
        if format is not Format.table:
            records = [
                {"file": p.file, "row": p.row, "column": p.column, "value": p.value, "message": p.message}
                for p in problems
            ]
            table = pd.DataFrame(records, columns=["file", "row", "column", "value", "message"])
            print_table(table.astype({"row": "Int64"}), format)
        if problems:
            raise SchemaError(problems)
        for file, frame in read.items():
            text = f"{file}: {len(frame)} rows of {frame['trial_id'].nunique()} trials, no problems found."
            typer.echo(text, err=format is not Format.table)


@app.command("convert")
@with_options(reading=FILE_OPTIONS)
def data_convert(
    *,
    reading: dict[str, Any],
    source: NameOrFile,
    target: Annotated[Path, typer.Argument(help="File to write; its ending says the format.")],
    to: Annotated[str, typer.Option(help="Format to write, as in write_studies; auto: by the ending.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if there is one.")] = False,
) -> None:
    """Read trial results in one format and write them in another; every row is kept."""
    with messages():
        from ipt_evidence.studies.export import write_studies

        table = table_of(source, reading)
        write_studies(table, target, format=to, overwrite=overwrite)  # type: ignore[arg-type]
        typer.echo(f"{target}: {len(table)} rows written.", err=True)


@app.command("diff")
@with_options(reading=FILE_OPTIONS)
def data_diff(
    *,
    reading: dict[str, Any],
    old: NameOrFile,
    new: NameOrFile,
    tolerance: Annotated[float, typer.Option(help="Largest difference of numbers that is no change.")] = 0.0,
    ignore: Annotated[str, typer.Option(help="Columns not to compare, separated by commas.")] = "",
    format: OutputFormat = Format.table,
) -> None:
    """Show what changed between two versions: trials and rows added or dropped, cells changed."""
    with messages():
        from ipt_evidence.studies.compare import diff_studies

        diff = diff_studies(
            table_of(old, reading), table_of(new, reading), tolerance=tolerance, ignore=names_in(ignore)
        )
        if format is Format.table:
            typer.echo(str(diff))
            _print_differences(diff.tidy())
        else:
            print_table(diff.tidy(), format)


def _print_differences(table: pd.DataFrame) -> None:
    """Print the differences below their summary."""
    if len(table):
        typer.echo("")
        print_table(table.drop(columns="study"), Format.table, "Differences")


@app.command("flags")
@with_options(reading=FILE_OPTIONS)
def data_flags(
    *,
    reading: dict[str, Any],
    name: NameOrFile = "ipt",
    format: OutputFormat = Format.table,
) -> None:
    """List numbers that look doubtful, each with why; nothing is changed."""
    with messages():
        from ipt_evidence.studies.quality import quality_flags

        flags = quality_flags(table_of(name, reading))
        if len(flags) or format is not Format.table:
            print_table(flags, format, f"{name}: what to check")
        if format is Format.table:
            typer.echo(flags.attrs["summary"], err=True)


@app.command("download")
def data_download(
    name: Annotated[str, typer.Argument(help="A public release, such as metapsy/depression-psyctr.")],
    version: Annotated[str | None, typer.Option(help="Version, such as 24.0.2. Default: the registry's.")] = None,
    base_url: Annotated[str | None, typer.Option(help="A mirror: https://, http://, file:// or a folder.")] = None,
    cache_dir: Annotated[Path | None, typer.Option(help="Folder that keeps the files.")] = None,
    proxy: Annotated[str | None, typer.Option(help="Address of a proxy. Default: from the environment.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds of silence after which to give up.")] = 30.0,
    format: OutputFormat = Format.table,
) -> None:
    """Download a public data release, or find it in the cache, and print where it lies.

    The releases are listed by: ipt-evidence data list --releases
    """
    with messages():
        import pandas as pd

        from ipt_evidence.sources.download import download
        from ipt_evidence.sources.download_transfer import checksum
        from ipt_evidence.sources.releases import find_release

        path = download(
            name,
            version=version,
            base_url=base_url,
            cache_dir=cache_dir,
            proxy=proxy,
            timeout=timeout,
            progress=sys.stderr.isatty(),
        )
        release = find_release(name, version)
        if format is Format.table:
            typer.echo(path)
            typer.echo(f"{release.title}, version {release.version}: {release.licence}, doi {release.doi}", err=True)
            return
        record = {"name": name, "version": release.version, "path": str(path), "sha256": checksum(path)}
        more = {"verified": bool(release.sha256), "doi": release.doi, "licence": release.licence}
        print_table(pd.DataFrame([record | more]), format)
