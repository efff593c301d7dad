"""The command that shows the answer under every choice: what it prints, writes, resumes and refuses."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.evidence import multiverse_run
from tests.cli.helpers import run, table_of

CHOICES = """
which:
  population: {all: all, not perinatal: {population_group_not: perinatal}}
  rating: {all: all, self: {rating: self}}
how: {tau2_method: [REML, DL], ci_method: [wald], effect_rule: [aggregate], adjustment: [none, outliers_removed]}
"""


@pytest.fixture
def choices(tmp_path: Path) -> Path:
    path = tmp_path / "choices.yaml"
    path.write_text(CHOICES, encoding="utf-8")
    return path


def expected() -> pd.DataFrame:
    rows = ipt.load_dataset("ipt").query(
        "condition == 'depression' and contrast == 'ipt_vs_control' and phase == 'acute'"
    )
    which = {
        "population": {"all": None, "not perinatal": lambda t: t["population_group"] != "perinatal"},
        "rating": {"all": None, "self": {"rating": "self"}},
    }
    how = {"tau2_method": ["REML", "DL"], "ci_method": ["wald"], "effect_rule": ["aggregate"]}
    how["adjustment"] = ["none", "outliers_removed"]
    return ipt.multiverse(ipt.effect_sizes(rows), which=which, how=how).tidy()  # type: ignore[arg-type]


def test_specifications_are_those_of_python(choices: Path, tmp_path: Path) -> None:
    printed = table_of(run("multiverse", "--choices", choices, "--format", "csv", "--jobs", 2))
    theirs = expected()
    assert list(printed.columns) == list(theirs.columns)
    assert printed["estimate"].tolist() == theirs["estimate"].tolist()
    assert printed["population"].tolist() == theirs["population"].astype(str).tolist()


def test_an_interrupted_run_goes_on_in_its_folder(
    choices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiverse_run, "CHUNK", 2)
    whole, other = tmp_path / "whole", tmp_path / "other"
    assert run("multiverse", "--choices", choices, "-o", whole).exit_code == 0
    fit_set, calls = multiverse_run.fit_set, []

    def stop(*given: object) -> object:
        calls.append(given)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        return fit_set(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(multiverse_run, "fit_set", stop)
    result = run("multiverse", "--choices", choices, "-o", other)
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert len(list((other / "unfinished").glob("chunk-*"))) == 1
    assert not list(other.glob("*.csv"))
    assert run("multiverse", "--choices", choices, "-o", other).exit_code == 0
    assert len(calls) == 3
    names = ["choices.csv", "specifications.csv", "summary.csv"]
    assert sorted(path.name for path in other.iterdir()) == names
    for name in names:
        assert (other / name).read_bytes() == (whole / name).read_bytes()


def test_a_reader_sees_which_choice_moves_the_answer_and_the_figure(choices: Path, tmp_path: Path) -> None:
    figure = tmp_path / "curve.svg"
    result = run("multiverse", "--choices", choices, "--permutations", 19, "--figure", figure)
    assert result.exit_code == 0, result.stderr
    assert "Which choice moves the answer: ipt_vs_control, depression" in result.stdout
    assert "Over 16 specifications" in " ".join(result.stdout.split())
    assert "p = 0.05" in result.stdout
    assert "Multiverse of 16 specifications" in figure.read_text(encoding="utf-8")
    assert "Multiverse of 16 specifications" in result.stderr


def test_a_file_of_ones_own(table: Path) -> None:
    result = run("multiverse", "--data", table, "--condition", "depression", "--format", "json", "--min-trials", 2)
    assert result.exit_code == 0, result.stderr
    assert '"effect_rule":"aggregate"' in result.stdout.replace(" ", "")


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["--jobs", "0"], 2, "n_jobs must be"),
        (["--min-trials", "0"], 2, "min_trials must be"),
        (["--permutations", "-1"], 2, "--permutations must be"),
        (["--figure", "curve.jpg"], 2, "must end in .svg, .pdf or .png"),
        (["--condition", "gout"], 2, "gout"),
        (["--choices", "nowhere.yaml"], 1, "nowhere.yaml"),
        (["--min-trials", "900"], 1, "no specification of this multiverse has an estimate"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_message(options: list[str], status: int, said: str) -> None:
    result = run("multiverse", "--condition", "anxiety", *options)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stderr.count("error:") == 1


def test_a_folder_of_another_run_is_left_alone(choices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "unfinished"
    folder.mkdir(parents=True)
    (folder / "letter.txt").write_text("private")
    result = run("multiverse", "--choices", choices, "-o", folder.parent)
    assert result.exit_code == 2
    assert (folder / "letter.txt").exists()


def test_the_menu_writes_its_figure(tmp_path: Path) -> None:
    path = tmp_path / "menu.svg"
    result = run("menu", "--condition", "anxiety", "--figure", path)
    assert result.exit_code == 0, result.stderr
    assert "Effects of a trial combined" in path.read_text(encoding="utf-8")
    assert "could not be made" in result.stderr
    assert run("menu", "--figure", tmp_path / "menu.gif").exit_code == 2
