"""The options that several commands share, each declared once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args, get_type_hints

import typer

from ipt_evidence import options as opt

if TYPE_CHECKING:
    from ipt_evidence.pooling.fit import PoolOptions

ROWS = "Which rows"
STATISTICS = "Statistics"
READING = "Reading a file"


class Format(StrEnum):
    """How results are printed."""

    table = "table"
    csv = "csv"
    json = "json"


def _choices(literal: Any, what: str, name: str) -> Any:
    listed = ", ".join(get_args(literal))
    return typer.Option(name, help=f"{what}: {listed}.", show_default=False, rich_help_panel=STATISTICS)


def _selects(what: str) -> Any:
    return typer.Option(help=what, rich_help_panel=ROWS)


DataFile = Annotated[
    Path | None,
    typer.Option("--data", help="A file with trial results. Default: the shipped data.", rich_help_panel=ROWS),
]
OutputFormat = Annotated[Format, typer.Option("--format", help="How results are printed.")]
Contrast = Annotated[str | None, _selects("Only this contrast, such as ipt_vs_control.")]
Condition = Annotated[str | None, _selects("Only this condition, such as depression.")]
Phase = Annotated[str, _selects("Treatment phase: acute, maintenance, prevention, or all.")]
AnalysisSet = Annotated[str, _selects("Analysis set of the shipped data: primary, sensitivity, ..., or all.")]
Convention = Annotated[
    str | None,
    typer.Option(help="Effect size convention: metapsy or cma. Default: as metafor.", rich_help_panel=STATISTICS),
]
Preset = Annotated[str | None, _choices(opt.Preset, "Defaults of a house", "--preset")]


def _reads(what: str, name: str) -> Any:
    return typer.Option(name, help=what, show_default=False, rich_help_panel=READING)


FILE_OPTIONS: dict[str, Any] = {
    "format": Annotated[
        str | None,
        _reads("Layout: comparisons, arms, metapsy, revman, metafor. Default: seen from the columns.", "--data-format"),
    ],
    "mapping": Annotated[str | None, _reads("YAML file with the file's column names and ours, or guess.", "--mapping")],
    "sheet": Annotated[str | None, _reads("Sheet of a workbook, by name or counted from 1.", "--sheet")],
    "condition": Annotated[
        str | None, _reads("Condition treated, where the file does not name it.", "--data-condition")
    ],
    "contrast": Annotated[
        str | None,
        _reads("What arm 1 and arm 2 are, where the file does not say it, such as ipt_vs_control.", "--data-contrast"),
    ],
    "lower_is_better": Annotated[
        int | None, _reads("1 or 0: direction of the scores, where the file does not show it.", "--lower-is-better")
    ],
    "positive_is_better": Annotated[
        bool | None,
        _reads(
            "Whether positive printed effects favour arm 1, where the file does not show it.",
            "--positive-is-better/--negative-is-better",
        ),
    ],
    "method": Annotated[
        str | None, _reads("How medians of typed tables become means: luo-wan-shi or qe.", "--median-method")
    ],
    "correlation": Annotated[
        float | None,
        _reads("Assumed correlation of baseline and follow-up, to fill change scores.", "--baseline-correlation"),
    ],
}
POOL_OPTIONS: dict[str, Any] = {
    "preset": Preset,
    "tau2_method": Annotated[str | None, _choices(opt.Tau2Method, "Estimator of tau2", "--tau2-method")],
    "ci_method": Annotated[str | None, _choices(opt.CiMethod, "Confidence interval", "--ci-method")],
    "prediction_df": Annotated[str | None, _choices(opt.PredictionDf, "Prediction interval", "--prediction-df")],
    "dependence": Annotated[str | None, _choices(opt.Dependence, "Several effects of one trial", "--dependence")],
    "rho": Annotated[
        float | None,
        typer.Option(
            "--rho", help="Correlation of the effects of one trial.", show_default=False, rich_help_panel=STATISTICS
        ),
    ],
    "level": Annotated[
        float | None,
        typer.Option("--level", help="Confidence level, such as 0.95.", show_default=False, rich_help_panel=STATISTICS),
    ],
}


def with_options(**shared: dict[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command groups of shared options; each group reaches it as a dict in a parameter of the group's name."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**given: Any) -> None:
            groups = {
                group: {name: given.pop(f"{group}_{name}") for name in options} for group, options in shared.items()
            }
            command(**given, **groups)

        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name not in shared
        ]
        more = [
            inspect.Parameter(f"{group}_{name}", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for group, options in shared.items()
            for name, annotation in options.items()
        ]
        del run.__wrapped__
        run.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *more)}
        return run

    return decorate


def pool_options(given: dict[str, Any]) -> PoolOptions:
    """Return the options given, and in any case how several effects of one trial are treated.

    The preset decides that when the user does not: a command makes the choice, so that pooling need not warn that
    nobody did.
    """
    from ipt_evidence.pooling.settings import PRESETS

    chosen = {name: value for name, value in given.items() if value is not None}
    preset = chosen.get("preset", "cochrane")
    if "dependence" not in chosen and preset in PRESETS:
        chosen["dependence"] = PRESETS[preset].dependence
    return cast("PoolOptions", chosen)


def names_in(text: str) -> list[str]:
    """Return names separated by commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def or_none(value: str) -> str | None:
    """Return ``None`` for ``all``."""
    return None if value == "all" else value
