"""The notebooks as committed: run, readable without running them, for people who do not see the figures, and clean."""

from __future__ import annotations

import ast
import multiprocessing
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests import notebook_cells

ROOT = Path(__file__).parents[1]
PLAIN = sorted((ROOT / "notebooks").glob("*.ipynb"))
COURSE = sorted((ROOT / "notebooks" / "course").glob("*.ipynb"))
PATHS = [*PLAIN, *COURSE]
NAMES = ["01_the_data", "02_effect_sizes", "03_pooling_by_condition"]
LESSONS = [
    "1_what_is_an_effect_size",
    "2_one_trial_is_not_enough",
    "3_why_trials_differ",
    "4_for_whom",
    "5_how_robust",
    "6_is_it_publication_bias",
]
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|Users|root|work|tmp|usr|opt|var|mnt)/\w|\b[A-Z]:\\\\?\w|ipykernel_\d")
MOST_BYTES = 1_000_000  # pages that show a notebook stop showing larger ones
SECONDS = 120
LIBRARIES = ["numpy", "pandas", "scipy.stats", "scipy.optimize", "matplotlib.pyplot", "IPython.display"]
ANSWER = re.compile(r"```python\n(.*?)\n```\n\n```text\n(.*?)\n```", re.DOTALL)
NOT_PROSE = re.compile(r"```.*?```|`[^`]*`|\[[^\]]*\]\([^)]*\)|\b95%", re.DOTALL)
RESULT = re.compile(r"\d[.,]\d|\d ?%|\bk = \d|\bp [=<] ?\d")

each_notebook = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
each_lesson = pytest.mark.parametrize("path", COURSE, ids=[path.stem for path in COURSE])


def cells(path: Path, kind: str) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs(path: Path) -> list[Any]:
    return [output for cell in cells(path, "code") for output in cell.outputs]


def parsed(cell: Any) -> ast.Module:
    return ast.parse(notebook_cells.MAGIC.sub(r"\1pass", cell.source))


def printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def tagged(path: Path, tag: str) -> list[Any]:
    return [cell for cell in cells(path, "code") if tag in cell.metadata.get("tags", [])]


def test_the_notebooks_are_there() -> None:
    assert [path.stem for path in PLAIN][: len(NAMES)] == NAMES
    assert [path.stem for path in COURSE] == LESSONS


@each_notebook
def test_runs_without_a_warning_and_shows_what_is_committed(path: Path) -> None:
    """Every notebook has a new process, copied where possible from one that has loaded other people's libraries."""
    can_copy = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if can_copy else "spawn")
    if can_copy:
        context.set_forkserver_preload(LIBRARIES)
    with context.Pool(1) as pool:
        shown = pool.apply_async(notebook_cells.run, (path,)).get(SECONDS)
    assert shown == notebook_cells.committed(path), "if this is meant: make notebooks"


def test_a_kernel_runs_a_notebook_and_shows_the_same(tmp_path: Path) -> None:
    from nbclient import NotebookClient

    notebook = nbformat.read(COURSE[0], as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=SECONDS).execute(cwd=COURSE[0].parent)
    nbformat.write(notebook, tmp_path / "run.ipynb")
    assert notebook_cells.committed(tmp_path / "run.ipynb") == notebook_cells.committed(COURSE[0])


@each_notebook
def test_starts_with_a_title(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(r"# \d+ \S", first.source)


@each_notebook
def test_defines_no_functions(path: Path) -> None:
    for cell in cells(path, "code"):
        found = [node for node in ast.walk(parsed(cell)) if isinstance(node, DEFINITIONS)]
        assert not found, cell.source


@each_notebook
def test_every_result_is_committed(path: Path) -> None:
    for cell in cells(path, "code"):
        last = (parsed(cell).body or [None])[-1]
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
    images = [output for path in PLAIN[1:3] for output in outputs(path) if "image/png" in output.get("data", {})]
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


def test_are_clean(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    script = ROOT / "scripts" / "clean_notebooks.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--check", *map(str, PATHS)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0, capsys.readouterr().err


@each_lesson
def test_a_lesson_has_goals_steps_a_summary_and_sources(path: Path) -> None:
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    for part in ("You will learn to\n", "## In short", "## Sources", "https://doi.org/10."):
        assert part in text, part
    assert text.count("**Predict.**") >= 3
    assert any("image/png" in output.get("data", {}) for output in outputs(path))


@each_lesson
def test_a_lesson_opens_elsewhere_and_installs_only_there(path: Path) -> None:
    first, badges, setup = nbformat.read(path, as_version=4).cells[:3]
    assert first.cell_type == badges.cell_type == "markdown"
    here = f"notebooks/course/{path.name}"
    assert f"colab.research.google.com/github/OWNER/ipt_evidence/blob/main/{here})" in badges.source
    assert f"mybinder.org/v2/gh/OWNER/ipt_evidence/main?labpath={here.replace('/', '%2F')})" in badges.source
    assert notebook_cells.MAGIC.search(setup.source)
    body = parsed(setup).body
    guarded = body[-1]
    assert isinstance(guarded, ast.If)
    assert "google.colab" in ast.unparse(guarded.test)
    assert "BINDER" in ast.unparse(guarded.test)
    assert all(isinstance(node, ast.Import) for node in body[:-1])
    assert not setup.outputs
    elsewhere = [cell for cell in cells(path, "code") if cell.source != setup.source]
    assert not any(notebook_cells.MAGIC.search(cell.source) for cell in elsewhere)


@each_lesson
def test_answers_of_a_lesson_say_what_their_code_prints(path: Path) -> None:
    text = "\n".join(cell.source for cell in cells(path, "markdown"))
    answers = ANSWER.findall(text)
    solutions = tagged(path, "solution")
    assert len(answers) == text.count("```python") >= 2
    assert answers == [(cell.source, printed(cell).rstrip("\n")) for cell in solutions]
    assert all("hide-cell" in cell.metadata.tags for cell in solutions)
    assert len(tagged(path, "exercise")) == len(answers)


@each_lesson
def test_prose_of_a_lesson_types_no_results(path: Path) -> None:
    for cell in cells(path, "markdown"):
        prose = NOT_PROSE.sub("", re.sub(r"^- .*doi\.org.*$", "", cell.source, flags=re.MULTILINE))
        assert not RESULT.search(prose), RESULT.search(prose)
