"""The commands, run as a user runs them, in one process (typer's runner) or as a child where the exit status counts."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

import ipt_evidence as ipt
from ipt_evidence.cli import app

ROUNDED = 5e-4  # published to four decimals


def run(*args: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A user's own small table, taken from the shipped rows."""
    frame = ipt.load_dataset("ipt")
    path = tmp_path / "mine.csv"
    frame[frame["trial_id"].isin(["elkin1989", "weissman1979", "bolton2003"])].to_csv(path, index=False)
    return path


def test_version_is_printed() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("ipt_evidence ")


def test_data_list_names_the_shipped_sets() -> None:
    frame = pd.read_csv(io.StringIO(run("data", "list", "--format", "csv").stdout))
    assert set(frame["name"]) == {"ipt", "published", "claims"}
    assert frame.set_index("name").loc["ipt", "rows"] == 218
    assert len(frame.set_index("name").loc["ipt", "sha256"]) == 64


@pytest.mark.parametrize("name", ["ipt", "published", "claims"])
def test_data_show_prints_every_row(name: str) -> None:
    rows = json.loads(run("data", "show", name, "--format", "json").stdout)
    assert len(rows) == {"ipt": 218, "published": 85, "claims": 16}[name]


def test_data_show_selects_rows_and_columns() -> None:
    result = run("data", "show", "--condition", "anxiety", "--columns", "study, instrument", "--format", "csv")
    frame = pd.read_csv(io.StringIO(result.stdout))
    assert list(frame.columns) == ["study", "instrument"]
    assert len(frame) == 35


def test_data_validate_accepts_the_shipped_table(table: Path) -> None:
    result = run("data", "validate", table)
    assert result.exit_code == 0, result.stderr
    assert "3 trials" in result.stdout


def test_data_validate_says_every_problem_and_writes_nothing(table: Path) -> None:
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame.loc[0, "sd_1"] = "-1"
    frame.loc[1, "condition"] = "depresion"
    frame.to_csv(table, index=False)
    before = sorted(table.parent.iterdir())
    result = run("data", "validate", table)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "sd_1" in result.stderr
    assert "'-1'" in result.stderr
    assert "depresion" in result.stderr
    assert "row 2" in result.stderr
    assert "row 3" in result.stderr
    assert sorted(table.parent.iterdir()) == before


def test_pool_gives_the_numbers_of_the_python_interface() -> None:
    result = run("pool", "--by", "condition", "--contrast", "ipt_vs_control", "--format", "csv")
    assert result.exit_code == 0, result.stderr
    frame = pd.read_csv(io.StringIO(result.stdout)).set_index("group")
    studies = ipt.load_dataset("ipt")
    rows = studies[(studies["contrast"] == "ipt_vs_control") & (studies["phase"] == "acute")]
    fits = ipt.pool_by(ipt.effect_sizes(rows), "condition")
    for group, fit in fits.items():
        assert frame.loc[group, "k"] == fit.k
        assert frame.loc[group, "estimate"] == pytest.approx(fit.estimate, rel=1e-12)


def test_pool_keeps_contrasts_apart() -> None:
    frame = pd.read_csv(io.StringIO(run("pool", "--format", "csv").stdout))
    assert frame["contrast"].nunique() == 5
    depression = frame[(frame["group"] == "depression") & (frame["contrast"] == "ipt_vs_control")]
    assert depression["k"].item() == 35


def test_pool_options_act() -> None:
    given = ("--tau2-method", "DL", "--ci-method", "wald", "--level", "0.9", "--rho", "0.3", "--convention", "metapsy")
    plain = json.loads(run("pool", "--contrast", "ipt_vs_control", "--format", "json").stdout)[0]
    other = json.loads(run("pool", "--contrast", "ipt_vs_control", "--format", "json", *given).stdout)[0]
    assert plain["tau2"] != other["tau2"]
    assert plain["estimate"] != other["estimate"]


def test_pool_reads_a_users_table(table: Path) -> None:
    frame = pd.read_csv(io.StringIO(run("pool", "--data", table, "--format", "csv").stdout))
    assert frame["k"].max() == 3


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("pool", "--tau2-method", "reml"), 2, "Did you mean 'REML'"),
        (("pool", "--contrast", "ipt_vs_placebo"), 2, "'ipt_vs_control'"),
        (("pool", "--by", "colour"), 2, "colour"),
        (("pool", "--level", "95"), 2, "0.95"),
        (("pool", "--data", "nowhere.csv"), 1, "nowhere.csv"),
        (
            (
                "pool",
                "--no-such-option",
            ),
            2,
            "no-such-option",
        ),
        (("forest", "-o", "figure.docx"), 2, ".svg"),
        (("data", "show", "nothing"), 2, "nothing"),
    ],
)
def test_errors_are_one_message_and_a_status(args: tuple[str, ...], status: int, message: str) -> None:
    result = run(*args)
    assert result.exit_code == status, result.stderr
    assert message in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_forest_writes_the_figure_and_says_what_it_shows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"forest.{suffix}"
    result = run("forest", "--condition", "anxiety", "--output", path)
    assert result.exit_code == 0, result.stderr
    assert path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]
    assert "3 trials" in result.stderr


def test_module_runs_as_a_child_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ipt_evidence", "pool", "--preset", "nobody"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "cochrane" in done.stderr
