"""The shape of the package: rooms import leftwards, statistics draw nothing, importing costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import ipt_evidence as ipt

PACKAGE = Path(ipt.__file__).parent
ROOMS = (
    "errors",
    "options",
    "sources",
    "studies",
    "effects",
    "pooling",
    "diagnostics",
    "evidence",
    "figures",
    "reports",
    "app",
    "cli",
)
STATISTICS = ROOMS[: ROOMS.index("figures")]
PLOTTING = {"matplotlib", "seaborn", "plotly"}
HEAVY = ("numpy", "pandas", "scipy", "matplotlib", "statsmodels", "pandera", "typer", "rich")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST, path: Path) -> set[str]:
    """Return every module that a file imports, also inside functions and for type checking; relative ones resolved."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = ("ipt_evidence", *path.relative_to(PACKAGE).parts)[: -node.level] if node.level else ()
            base = ".".join([*parents, *([node.module] if node.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return found


@cache
def names_of(path: Path) -> set[str]:
    return imported(ast.parse(path.read_text(encoding="utf-8")), path)


def test_every_module_is_in_a_room() -> None:
    assert len(MODULES) > 20
    assert {room(path) for path in MODULES} <= set(ROOMS) | {"__main__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_leftwards(path: Path) -> None:
    if room(path) == "__main__":
        return
    reachable = set(ROOMS[: ROOMS.index(room(path)) + 1])
    ours = {name.split(".")[1] for name in names_of(path) if name.startswith("ipt_evidence.")}
    to_the_right = (ours & set(ROOMS)) - reachable
    assert not to_the_right, f"{path.name} in {room(path)} imports from {sorted(to_the_right)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_statistics_draw_nothing(path: Path) -> None:
    if room(path) in STATISTICS:
        assert not {name.split(".")[0] for name in names_of(path)} & PLOTTING


def test_the_check_sees_imports_of_every_form() -> None:
    source = """
import ipt_evidence.cli
from ipt_evidence import figures
from . import kernel
from ..reports.tables import table
if TYPE_CHECKING:
    from ipt_evidence.app import page
def f():
    import matplotlib.pyplot as plt
"""
    found = imported(ast.parse(source), PACKAGE / "pooling" / "fit.py")
    assert {
        "ipt_evidence.cli",
        "ipt_evidence.figures",
        "ipt_evidence.pooling.kernel",
        "ipt_evidence.reports.tables",
        "ipt_evidence.app",
        "matplotlib.pyplot",
    } <= found


def test_public_names_are_declared_once() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING")
    typed = {
        alias.name: str(node.module).removeprefix("ipt_evidence.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == ipt._HOMES
    assert list(ipt._HOMES) == ipt.__all__
    assert len(set(ipt.__all__)) == len(ipt.__all__)
    assert set(ipt.__all__) <= set(dir(ipt))


@pytest.mark.parametrize("name", ipt.__all__)
def test_public_names_load(name: str) -> None:
    value = getattr(ipt, name)
    assert value.__doc__
    assert value.__module__ == f"ipt_evidence.{ipt._HOMES[name]}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'poool'"):
        _ = ipt.poool  # type: ignore[attr-defined]


def loaded_after(statement: str, modules: tuple[str, ...]) -> set[str]:
    """Return which of `modules` a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(*[m for m in {modules!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import ipt_evidence", HEAVY) == set()
    assert loaded_after("import numpy", HEAVY) == {"numpy"}, "the check itself sees what is loaded"


def test_pooling_loads_no_plotting() -> None:
    statement = "import ipt_evidence as ipt; ipt.pool, ipt.pool_by, ipt.effect_sizes, ipt.load_dataset"
    assert loaded_after(statement, ("matplotlib",)) == set()
