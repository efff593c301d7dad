"""The commands of ``ipt-evidence``, in the words of the Python names.

Results go to standard output, messages to standard error.

Exit status: 0 done, 1 a problem with the data (said in one message), 2 wrong usage.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from ipt_evidence import options as opt
from ipt_evidence.errors import EvidenceError, OptionError

if TYPE_CHECKING:
    import pandas as pd

    from ipt_evidence.pooling.fit import PoolOptions

app = typer.Typer(
    name="ipt-evidence",
    help="Evidence synthesis of trials of Interpersonal Psychotherapy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
RIGHT = ("n", "g", "effect", "CI", "prediction", "tau2", "I2", "p")
TITLE = "Pooled effects; positive favours IPT"
data_app = typer.Typer(help="The data sets: list, show, validate.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def _choices(literal: Any, what: str) -> Any:
    return typer.Option(help=f"{what}: {', '.join(get_args(literal))}.", show_default=False)


DataFile = Annotated[Path | None, typer.Option("--data", help="A studies table (CSV). Default: the shipped data.")]
OutputFormat = Annotated[Format, typer.Option("--format", help="How results are printed.")]
Contrast = Annotated[str | None, typer.Option(help="Only this contrast, such as ipt_vs_control.")]
Condition = Annotated[str | None, typer.Option(help="Only this condition, such as depression.")]
Phase = Annotated[str, typer.Option(help="Treatment phase: acute, maintenance, prevention, or all.")]
AnalysisSet = Annotated[str, typer.Option(help="Analysis set of the shipped data: primary, sensitivity, ..., or all.")]
Convention = Annotated[str | None, typer.Option(help="Effect size convention: metapsy or cma. Default: as metafor.")]
Preset = Annotated[str | None, _choices(opt.Preset, "Defaults of a house")]
Tau2 = Annotated[str | None, _choices(opt.Tau2Method, "Estimator of tau2")]
Ci = Annotated[str | None, _choices(opt.CiMethod, "Confidence interval")]
PredictionDf = Annotated[str | None, _choices(opt.PredictionDf, "Prediction interval")]
Dependence = Annotated[str | None, _choices(opt.Dependence, "Several effects of one trial")]
Rho = Annotated[float | None, typer.Option(help="Correlation of the effects of one trial.", show_default=False)]
Level = Annotated[float | None, typer.Option(help="Confidence level, such as 0.95.", show_default=False)]


@contextmanager
def _messages() -> Iterator[None]:
    """Turn our errors and warnings into one message each on standard error, and errors into the exit status."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        status = 0
        try:
            yield
        except OptionError as error:
            typer.echo(f"error: {error}", err=True)
            status = 2
        except EvidenceError as error:
            typer.echo(f"error: {error}", err=True)
            status = 1
        except OSError as error:
            typer.echo(f"error: {error.filename or ''}: {error.strerror or error}", err=True)
            status = 1
    for message in dict.fromkeys(str(w.message) for w in caught):
        typer.echo(f"note: {message}", err=True)
    if status:
        raise typer.Exit(status)


def _version(value: bool) -> None:
    if value:
        from ipt_evidence.pooling.fit import SOFTWARE

        typer.echo(SOFTWARE)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Evidence synthesis of trials of Interpersonal Psychotherapy."""


# --- data -------------------------------------------------------------------------------------------------------------


@data_app.command("list")
def data_list(format: OutputFormat = Format.table) -> None:
    """List the shipped data sets with rows, trials, licence and checksum."""
    with _messages():
        from ipt_evidence.sources.registry import list_datasets

        table = list_datasets()
        if format is Format.table:
            table = table.assign(sha256=table["sha256"].str[:12])
        _print_table(table, format, "Data sets")


@data_app.command("show")
def data_show(
    name: Annotated[str, typer.Argument(help="Name of the data set.")] = "ipt",
    condition: Condition = None,
    contrast: Contrast = None,
    analysis_set: AnalysisSet = "all",
    columns: Annotated[str | None, typer.Option(help="Columns to print, separated by commas.")] = None,
    format: OutputFormat = Format.table,
) -> None:
    """Print the rows of a data set."""
    with _messages():
        from ipt_evidence.evidence.conditions import keep
        from ipt_evidence.sources.registry import load_dataset

        table = load_dataset(name, analysis_set=_or_none(analysis_set)) if name == "ipt" else load_dataset(name)
        table = keep(keep(table, "condition", condition), "contrast", contrast)
        if columns is not None:
            wanted = [c.strip() for c in columns.split(",") if c.strip()]
            unknown = [c for c in wanted if c not in table.columns]
            if unknown:
                raise OptionError(f"no column {', '.join(unknown)}; the columns are {', '.join(table.columns)}")
            table = table[wanted]
        elif format is Format.table and name == "ipt":
            table = table[
                ["comparison_id", "study", "condition", "contrast", "instrument", "statistics", "analysis_set"]
            ]
        elif format is Format.table and name == "published":
            table = table[["review_id", "condition", "comparison", "measure", "k", "estimate", "ci_low", "ci_high"]]
        elif format is Format.table and name == "claims":
            table = table[["claim_id", "claim", "condition", "contrast"]]
        _print_table(table, format, f"{name}: {len(table)} rows")


@data_app.command("validate")
def data_validate(
    files: Annotated[list[Path], typer.Argument(help="Studies tables (CSV, TSV) to check against the row contract.")],
) -> None:
    """Check studies tables; every violation is printed with its row, column, value and what was expected."""
    with _messages():
        from ipt_evidence.studies.read import read_all_studies

        for file, frame in read_all_studies(files).items():
            typer.echo(f"{file}: {len(frame)} rows of {frame['trial_id'].nunique()} trials, no problems found.")


# --- pooling ----------------------------------------------------------------------------------------------------------


@app.command()
def pool(
    by: Annotated[str, typer.Option(help="Grouping column(s), separated by commas.")] = "condition",
    contrast: Contrast = None,
    condition: Condition = None,
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    preset: Preset = None,
    tau2_method: Tau2 = None,
    ci_method: Ci = None,
    prediction_df: PredictionDf = None,
    dependence: Dependence = None,
    rho: Rho = None,
    level: Level = None,
    data: DataFile = None,
    format: OutputFormat = Format.table,
) -> None:
    """Pool each contrast by condition (or by another column)."""
    with _messages():
        from ipt_evidence.evidence.conditions import keep, pool_by_condition

        effects = keep(_effects(data, analysis_set, convention), "condition", condition)
        chosen = _pool_options(
            preset=preset,
            tau2_method=tau2_method,
            ci_method=ci_method,
            prediction_df=prediction_df,
            dependence=dependence,
            rho=rho,
            level=level,
        )
        fits = pool_by_condition(
            effects, by=_names(by), contrast=contrast, phase=_phase(effects, phase, data), **chosen
        )
        table = fits.tidy()
        if format is not Format.table:
            _print_table(table, format, "")
            return
        method = next(iter(fits.values())).method
        _print_table(_short(table), format, TITLE, method.describe())
        for _, row in table[table["notes"] != ""].iterrows():
            typer.echo(f"{row['contrast']}, {row['group']}: {row['notes']}", err=True)


@app.command()
def forest(
    output: Annotated[Path, typer.Option("--output", "-o", help="Figure to write: .svg, .pdf or .png.")],
    by: Annotated[str | None, typer.Option(help="Column to group the trials by; none: one group.")] = None,
    contrast: Annotated[str, typer.Option(help="The contrast to draw.")] = "ipt_vs_control",
    condition: Condition = None,
    phase: Phase = "acute",
    analysis_set: AnalysisSet = "primary",
    convention: Convention = None,
    preset: Preset = None,
    tau2_method: Tau2 = None,
    ci_method: Ci = None,
    prediction_df: PredictionDf = None,
    dependence: Dependence = None,
    rho: Rho = None,
    level: Level = None,
    data: DataFile = None,
) -> None:
    """Draw the forest plot of one contrast; by condition unless one condition is chosen."""
    with _messages():
        from ipt_evidence.evidence.conditions import keep
        from ipt_evidence.figures.alt_text import alt_text
        from ipt_evidence.figures.forest import forest_plot
        from ipt_evidence.figures.output import save_figure
        from ipt_evidence.pooling.fit import pool as pool_one
        from ipt_evidence.pooling.subgroups import pool_by

        if output.suffix.lower() not in (".svg", ".pdf", ".png"):
            raise OptionError(f"--output must end in .svg, .pdf or .png; received {str(output)!r}")
        effects = keep(_effects(data, analysis_set, convention), "condition", condition)
        rows = keep(keep(effects, "phase", _phase(effects, phase, data)), "contrast", contrast)
        chosen = _pool_options(
            preset=preset,
            tau2_method=tau2_method,
            ci_method=ci_method,
            prediction_df=prediction_df,
            dependence=dependence,
            rho=rho,
            level=level,
        )
        names = _names(by) if by else [] if condition else ["condition"]
        fit = pool_by(rows, names, overall=by is not None, **chosen) if names else pool_one(rows, **chosen)
        figure = forest_plot(fit, overall=True if by else None)
        _write_whole(output, lambda path: save_figure(figure, path))
        typer.echo(f"{output}: {alt_text(fit)}", err=True)


@app.command()
def evidence(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")] = Path("build"),
    phase: Phase = "acute",
    convention: Convention = None,
    preset: Preset = None,
    data: DataFile = None,
) -> None:
    """Do the main job: pooled effects by condition, forest plots and a page that shows them, into a folder."""
    with _messages():
        import pandas as pd

        from ipt_evidence.effects.compute import effect_sizes
        from ipt_evidence.evidence.conditions import pool_by_condition
        from ipt_evidence.reports.evidence_page import write_evidence

        studies, note = _all_studies(data)
        effects = effect_sizes(studies, convention=convention)  # type: ignore[arg-type]
        chosen = _phase(effects, phase, data)
        in_set = pd.Series(True, effects.index)
        if "analysis_set" in effects.columns:
            in_set = effects["analysis_set"].isin(["primary", "not_estimable"])
        settings = _pool_options(preset=preset)
        fits = pool_by_condition(effects[in_set], phase=chosen, **settings)
        left_out = _left_out(effects, in_set, chosen)
        page = write_evidence(fits, output, data=note, exclusions=left_out, phase=chosen or "")
        method = next(iter(fits.values())).method
        _print_table(_short(fits.tidy()), Format.table, TITLE, method.describe())
        typer.echo(f"{page.parent}: {len(list(output.glob('forest_*.svg')))} forest plots; open {page}", err=True)


# --- helpers ----------------------------------------------------------------------------------------------------------


def _or_none(value: str) -> str | None:
    return None if value == "all" else value


def _names(by: str) -> list[str]:
    return [name.strip() for name in by.split(",") if name.strip()]


def _phase(table: pd.DataFrame, phase: str, data: Path | None) -> str | None:
    """Return the phase to select; a user's own table need not have the column."""
    return None if phase == "all" or (data is not None and "phase" not in table.columns) else phase


def _effects(data: Path | None, analysis_set: str, convention: str | None) -> pd.DataFrame:
    """Return the effects of the shipped data or of a user's file."""
    from ipt_evidence.effects.compute import effect_sizes
    from ipt_evidence.sources.registry import load_dataset
    from ipt_evidence.studies.read import read_studies

    if data is None:
        studies = load_dataset("ipt", analysis_set=_or_none(analysis_set))
    else:
        studies = read_studies(data)
        if "analysis_set" in studies.columns and analysis_set != "all":
            from ipt_evidence.evidence.conditions import keep

            studies = keep(studies, "analysis_set", analysis_set)
    return effect_sizes(studies, convention=convention)  # type: ignore[arg-type]


def _all_studies(data: Path | None) -> tuple[pd.DataFrame, Any]:
    """Return every row of the shipped data or of a user's file, and what a page must say about them."""
    import hashlib

    from ipt_evidence.reports.evidence_page import DataNote
    from ipt_evidence.sources.registry import list_datasets, load_dataset
    from ipt_evidence.studies.read import read_studies

    if data is not None:
        studies = read_studies(data)
        digest = hashlib.sha256(data.read_bytes()).hexdigest()
        licence = "The user's own file."
        note = DataNote(data.name, "", digest, licence, len(studies), int(studies["trial_id"].nunique()))
        return studies, note
    studies = load_dataset("ipt", analysis_set=None)
    entry = list_datasets().set_index("name").loc["ipt"]
    source = studies.attrs["source"]
    licence = (
        "Rows from the Metapsy database “Depression: psychotherapy vs. control” (doi 10.5281/zenodo.7254845, release "
        "24.0.2): ODC-By 1.0, attribution to the Metapsy Project is due wherever they are shown. The project's own "
        "curation: CC-BY 4.0."
    )
    note = DataNote(
        "ipt", str(source["version"]), str(entry["sha256"]), licence, len(studies), int(str(entry["trials"]))
    )
    return studies, note


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


def _pool_options(**given: str | float | None) -> PoolOptions:
    """Return the options given, checked by the one validator when they are used."""
    return cast("PoolOptions", {name: value for name, value in given.items() if value is not None})


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns a terminal has room for, as text."""
    import pandas as pd

    def interval(low: pd.Series[float], high: pd.Series[float]) -> pd.Series[str]:
        return low.map("{:.2f}".format).str.cat(high.map("{:.2f}".format), sep=" to ").where(low.notna(), "-")

    def number(name: str, form: str) -> pd.Series[str]:
        return table[name].map(form.format).where(table[name].notna(), "-")

    return pd.DataFrame(
        {
            "contrast": table["contrast"],
            "group": table["group"],
            "k": table["k"],
            "n": table["n_participants"].astype("string").fillna("-"),
            "g" if (table["measure"].eq("SMD") | table["k"].eq(0)).all() else "effect": number("estimate", "{:.2f}"),
            "CI": interval(table["ci_low"], table["ci_high"]),
            "prediction": interval(table["pi_low"], table["pi_high"]),
            "tau2": number("tau2", "{:.3f}"),
            "I2": number("i2", "{:.0f}%"),
            "p": number("p_value", "{:.3g}"),
        }
    )


def _print_table(table: pd.DataFrame, format: Format, title: str, caption: str = "") -> None:
    """Print a table to standard output in the chosen format; title and caption only to a reader."""
    if format is Format.csv:
        sys.stdout.write(table.to_csv(index=False))
    elif format is Format.json:
        sys.stdout.write(table.to_json(orient="records", force_ascii=False, indent=1) + "\n")
    else:
        _print_rich(table, title, caption)


def _print_rich(table: pd.DataFrame, title: str, caption: str) -> None:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=200)
    shown = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for name in table.columns:
        text = table[name].dtype.kind not in "iuf" and name not in RIGHT
        shown.add_column(str(name), justify="left" if text else "right", overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(Text("" if pd.isna(cell) else str(cell)) for cell in row))
    console.print(shown)
    if caption:
        console.print(Text(f"Method: {caption}."))


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it in when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
