"""Runs the code of a notebook as a kernel does, and returns what its cells show; meant for a process of its own."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import IPython.display
import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from IPython.core.formatters import DisplayFormatter

Output = dict[str, str]
"""What is shown once: text by type (`stdout`, `stderr`, `text/html`, ...); of an image only that there is one."""
MAGIC = re.compile(r"^( *)%pip .*$", re.MULTILINE)
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
COLUMNS = 20  # pandas' own limit of `display.max_columns` in a kernel; in a terminal it takes the width


def run(path: Path) -> list[list[Output]]:
    """Return what each cell shows when they are run in order in one new namespace; a warning is an error."""
    warnings.simplefilter("error")
    mpl.use("agg")
    pd.set_option("display.max_columns", COLUMNS)
    os.chdir(path.parent)
    shown: list[Output] = []
    IPython.display.display = lambda *values: shown.extend(_bundle(value) for value in values)
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    for number, cell in enumerate(_code_cells(path), start=1):
        shown.clear()
        printed = _run_cell("".join(cell["source"]), names, shown, f"<{path.name}, code cell {number}>")
        found.append([*printed, *shown])
    return found


def committed(path: Path) -> list[list[Output]]:
    """Return what each cell shows as the file has it, what was printed first."""
    found = [[_committed(output) for output in cell["outputs"]] for cell in _code_cells(path)]
    return [sorted(outputs, key=lambda output: not {"stdout", "stderr"} & set(output)) for outputs in found]


def _code_cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def _run_cell(source: str, names: dict[str, Any], shown: list[Output], title: str) -> list[Output]:
    body = ast.parse(MAGIC.sub(r"\1pass", source)).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    streams = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    with contextlib.redirect_stdout(streams["stdout"]), contextlib.redirect_stderr(streams["stderr"]):
        exec(compile(ast.Module(body, []), title, "exec", dont_inherit=True), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), title, "eval", dont_inherit=True), names)
            if value is not None:
                shown.append(_bundle(value))
        for number in plt.get_fignums():
            plt.figure(number).savefig(io.BytesIO(), bbox_inches="tight")
            shown.append({"image/png": "", "text/plain": repr(plt.figure(number))})
        plt.close("all")
    return [{name: stream.getvalue()} for name, stream in streams.items() if stream.getvalue()]


def _bundle(value: Any) -> Output:
    data, _ = DisplayFormatter().format(value)
    return {kind: _text(kind, content) for kind, content in data.items()}


def _committed(output: dict[str, Any]) -> Output:
    if output["output_type"] == "stream":
        return {output["name"]: "".join(output["text"])}
    return {kind: _text(kind, content) for kind, content in output["data"].items()}


def _text(kind: str, content: str | list[str] | bytes) -> str:
    return ADDRESS.sub("", "".join(content)) if kind.startswith("text/") else ""  # type: ignore[arg-type]
