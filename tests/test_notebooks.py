"""The notebooks as committed: run, readable without running them, for people who do not see the figures, and clean."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ["01_the_data", "02_effect_sizes", "03_pooling_by_condition"]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|Users|root|work|tmp|usr|opt|var|mnt)/\w|\b[A-Z]:\\\\?\w|ipykernel_\d")
MOST_BYTES = 1_000_000  # pages that show a notebook stop showing larger ones

each_notebook = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list[Any]:
    return [output for cell in cells(path, "code") for output in cell.outputs]


def test_the_notebooks_are_there() -> None:
    assert [path.stem for path in PATHS][: len(NAMES)] == NAMES


@each_notebook
def test_starts_with_a_title(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \d+ \S", first.source)


@each_notebook
def test_defines_no_functions(path: Path) -> None:
    for cell in cells(path, "code"):
        found = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, DEFINITIONS)]
        assert not found, cell.source


@each_notebook
def test_every_result_is_committed(path: Path) -> None:
    for cell in cells(path, "code"):
        last = ast.parse(cell.source).body[-1]
        shows = isinstance(last, ast.Expr) and "set_option" not in ast.unparse(last)
        assert cell.outputs or not shows, cell.source
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@each_notebook
def test_no_error_and_no_stray_warning(path: Path) -> None:
    for output in outputs(path):
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output.text


@each_notebook
def test_every_image_has_alt_text(path: Path) -> None:
    for output in outputs(path):
        for kind in output.get("data", {}):
            if kind.startswith("image/"):
                assert len(output.metadata.get(kind, {}).get("alt", "").strip()) > 20


def test_there_are_forest_plots() -> None:
    images = [output for path in PATHS[1:3] for output in outputs(path) if "image/png" in output.get("data", {})]
    assert len(images) >= 4


@each_notebook
def test_names_no_path_of_a_machine(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        texts = [cell.source]
        for output in cell.get("outputs", []):
            texts.append(output.get("text", ""))
            texts += [value for kind, value in output.get("data", {}).items() if kind.startswith("text/")]
        for text in texts:
            assert not MACHINE_PATH.search(text), text


@each_notebook
def test_is_small_enough_to_be_shown(path: Path) -> None:
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_links_lead_somewhere(path: Path) -> None:
    for cell in cells(path, "markdown"):
        for target in re.findall(r"\]\(([^)#]+)\)", cell.source):
            assert target.startswith("https://") or (path.parent / target).exists(), target


@each_notebook
def test_every_exercise_has_an_answer(path: Path) -> None:
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    exercises = text.split("## Exercises")[1]
    n_exercises = len(re.findall(r"^\*\*\d+\.\*\*", exercises, re.MULTILINE))
    assert n_exercises >= 3
    assert exercises.count("<details>") == exercises.count("</details>") == n_exercises


def test_are_clean() -> None:
    script = ROOT / "scripts" / "clean_notebooks.py"
    run = subprocess.run(
        [sys.executable, str(script), "--check", *map(str, PATHS)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
