"""Pooling and forest plots from the command line: the numbers of the Python interface, and one message per error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ipt_evidence as ipt
from ipt_evidence.cli.options import pool_options
from tests.cli.helpers import run, table_of


def test_version_is_printed() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout.startswith("ipt_evidence ")


def test_pool_gives_the_numbers_of_the_python_interface() -> None:
    frame = table_of(run("pool", "--by", "condition", "--contrast", "ipt_vs_control", "--format", "csv"))
    frame = frame.set_index("group")
    studies = ipt.load_dataset("ipt")
    rows = studies[(studies["contrast"] == "ipt_vs_control") & (studies["phase"] == "acute")]
    fits = ipt.pool_by(ipt.effect_sizes(rows), "condition", dependence="aggregate")
    for group, fit in fits.items():
        assert frame.loc[group, "k"] == fit.k
        assert float(frame.loc[group, "estimate"]) == pytest.approx(fit.estimate, rel=1e-12)


def test_pool_keeps_contrasts_apart() -> None:
    frame = table_of(run("pool", "--format", "csv"))
    assert frame["contrast"].nunique() == 5
    depression = frame[(frame["group"] == "depression") & (frame["contrast"] == "ipt_vs_control")]
    assert depression["k"].item() == 35


def test_pool_options_act() -> None:
    given = ("--tau2-method", "DL", "--ci-method", "wald", "--level", "0.9", "--rho", "0.3", "--convention", "metapsy")
    plain = json.loads(run("pool", "--contrast", "ipt_vs_control", "--format", "json").stdout)[0]
    other = json.loads(run("pool", "--contrast", "ipt_vs_control", "--format", "json", *given).stdout)[0]
    assert plain["tau2"] != other["tau2"]
    assert plain["estimate"] != other["estimate"]


@pytest.mark.parametrize(
    ("given", "dependence"),
    [
        ({}, "aggregate"),
        ({"preset": None, "dependence": None}, "aggregate"),
        ({"preset": "cma"}, "aggregate"),
        ({"preset": "metafor"}, "independent"),
        ({"preset": "metafor", "dependence": "aggregate"}, "aggregate"),
        ({"dependence": "che"}, "che"),
    ],
)
def test_a_command_always_chooses_what_to_do_with_several_effects(
    given: dict[str, str | None], dependence: str
) -> None:
    assert pool_options(given)["dependence"] == dependence


@pytest.mark.parametrize("dependence", ["independent", "three_level"])
def test_dependence_reaches_the_fit(dependence: str) -> None:
    options = ("--contrast", "ipt_vs_control", "--condition", "depression", "--format", "json")
    plain = json.loads(run("pool", *options).stdout)[0]
    other = json.loads(run("pool", *options, "--dependence", dependence).stdout)[0]
    assert plain["estimate"] != other["estimate"]


def test_pool_reads_a_users_table(table: Path) -> None:
    assert table_of(run("pool", "--data", table, "--format", "csv"))["k"].max() == 3
    assert table_of(run("pool", "--data", table, "--data-format", "comparisons", "--format", "csv"))["k"].max() == 3


@pytest.mark.parametrize("command", ["pool", "forest"])
def test_both_commands_offer_the_same_statistics(command: str) -> None:
    result = run(command, "--help", COLUMNS="200")
    for option in ("--preset", "--tau2-method", "--ci-method", "--prediction-df", "--dependence", "--rho", "--level"):
        assert result.stdout.count(f"{option} ") == 1, option


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (("pool", "--tau2-method", "reml"), 2, "Did you mean 'REML'"),
        (("pool", "--contrast", "ipt_vs_placebo"), 2, "'ipt_vs_control'"),
        (("pool", "--by", "colour"), 2, "colour"),
        (("pool", "--level", "95"), 2, "0.95"),
        (("pool", "--preset", "nobody"), 2, "cochrane"),
        (("pool", "--data", "nowhere.csv"), 1, "nowhere.csv"),
        (("pool", "--data-format", "colour", "--data", "nowhere.csv"), 2, "format must be one of"),
        (("pool", "--no-such-option"), 2, "no-such-option"),
        (("pool", "--sheet", "2"), 2, "name the file with --data"),
        (("forest", "-o", "figure.docx"), 2, ".svg"),
        (("forest",), 2, "output"),
        (("evidence", "--preset", "nobody"), 2, "cochrane"),
    ],
)
def test_errors_are_one_message_and_a_status(args: tuple[str, ...], status: int, message: str) -> None:
    result = run(*args)
    assert result.exit_code == status, result.stderr
    assert message in result.stderr
    assert result.stdout == ""


def test_a_fault_of_the_program_is_one_message_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise KeyError("nobody expects this")

    monkeypatch.setattr("ipt_evidence.evidence.conditions.pool_by_condition", fail)
    result = run("pool")
    assert result.exit_code == 1
    assert "fault of the program" in result.stderr
    assert "nobody expects this" in result.stderr


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_forest_writes_the_figure_and_says_what_it_shows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"forest.{suffix}"
    result = run("forest", "--condition", "anxiety", "--output", path)
    assert result.exit_code == 0, result.stderr
    assert path.stat().st_size > 1000
    assert list(tmp_path.iterdir()) == [path]
    assert "3 trials" in result.stderr


def test_module_runs_as_a_child_process() -> None:
    command = [sys.executable, "-m", "ipt_evidence", "pool", "--preset", "nobody"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cochrane" in done.stderr


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m ipt_evidence data show --format csv | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("comparison_id,")
