"""What commands print: tables to standard output, messages to standard error, files whole or not at all."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ipt_evidence.cli.options import Format
from ipt_evidence.errors import EvidenceError, OptionError

if TYPE_CHECKING:
    import pandas as pd

RIGHT = ("n", "g", "effect", "CI", "prediction", "tau2", "I2", "p")
OF_DEVELOPERS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning, ImportWarning)
TRACEBACK = "IPT_EVIDENCE_TRACEBACK"


@contextmanager
def messages() -> Iterator[None]:
    """Turn errors and warnings into one message each on standard error, and errors into the exit status."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said, status = "", 0
        try:
            yield
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if os.environ.get(TRACEBACK):
                raise
            said, status = _in_words(error)
    notes = (str(w.message) for w in caught if not issubclass(w.category, OF_DEVELOPERS))
    for note in dict.fromkeys(notes):
        typer.echo(f"note: {note}", err=True)
    if status:
        typer.echo(f"error: {said}", err=True)
        raise typer.Exit(status)


def _in_words(error: Exception) -> tuple[str, int]:
    """Return the message and the exit status of an error."""
    if isinstance(error, OptionError):
        return str(error), 2
    if isinstance(error, EvidenceError):
        return str(error), 1
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}", 1
    where = f"set {TRACEBACK}=1 to see where"
    return f"this is a fault of the program, please report it ({type(error).__name__}: {error}); {where}", 1


def print_table(table: pd.DataFrame, format: Format, title: str = "", caption: str = "") -> None:
    """Print a table to standard output in the chosen format; title and caption only to a reader."""
    if format is Format.csv:
        sys.stdout.write(table.to_csv(index=False))
    elif format is Format.json:
        text = table.to_json(orient="records", force_ascii=False, indent=1, double_precision=15) if len(table) else "[]"
        sys.stdout.write(f"{text}\n")
    else:
        _print_rich(table, title, caption)
    sys.stdout.flush()


def _print_rich(table: pd.DataFrame, title: str, caption: str) -> None:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=200)
    shown = Table(title=Text(title), title_justify="left", show_edge=False, pad_edge=False)
    for name in table.columns:
        text = table[name].dtype.kind not in "iuf" and name not in RIGHT
        shown.add_column(Text(str(name)), justify="left" if text else "right", overflow="fold")
    for row in table.itertuples(index=False):
        shown.add_row(*(Text("" if pd.isna(cell) else str(cell)) for cell in row))
    console.print(shown)
    if caption:
        console.print(Text(caption))


def short_fits(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of pooled effects that a terminal has room for, as text."""
    import pandas as pd

    from ipt_evidence.pooling.result_text import SOME_UNKNOWN

    def interval(low: pd.Series[float], high: pd.Series[float]) -> pd.Series[str]:
        return low.map("{:.2f}".format).str.cat(high.map("{:.2f}".format), sep=" to ").where(low.notna(), "-")

    def number(name: str, form: str) -> pd.Series[str]:
        return table[name].map(form.format).where(table[name].notna(), "-")

    people = table["n_participants"].astype("string")
    some_unknown = table["notes"].str.contains(SOME_UNKNOWN, regex=False)
    return pd.DataFrame(
        {
            "contrast": table["contrast"],
            "group": table["group"],
            "k": table["k"],
            "n": people.where(~some_unknown, ">= " + people).fillna("-"),
            "g" if (table["measure"].eq("SMD") | table["k"].eq(0)).all() else "effect": number("estimate", "{:.2f}"),
            "CI": interval(table["ci_low"], table["ci_high"]),
            "prediction": interval(table["pi_low"], table["pi_high"]),
            "tau2": number("tau2", "{:.3f}"),
            "I2": number("i2", "{:.0f}%"),
            "p": number("p_value", "{:.3g}"),
        }
    )


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it in when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
