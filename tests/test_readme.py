"""The README's Python runs, and prints what the README says it prints; its numbers are today's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ipt_evidence as ipt
from ipt_evidence.cli import app

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def test_python_example_prints_what_is_printed_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, output in zip(blocks("python"), blocks("text"), strict=True):
        exec(compile(code, "README.md", "exec"), names)
        assert capsys.readouterr().out.rstrip() == output.rstrip()
    assert (tmp_path / "forest.svg").stat().st_size > 1000


def test_commands_of_the_readme_exist() -> None:
    from typer.main import get_command

    commands = get_command(app).commands  # type: ignore[attr-defined]
    words = re.findall(r"^ipt-evidence (\w+)", "\n".join(blocks("sh")), re.MULTILINE)
    assert words
    assert set(words) <= set(commands)


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / target).exists(), target


def test_numbers_in_the_text_are_todays() -> None:
    everything = ipt.load_dataset("ipt", analysis_set=None)
    assert f"{len(everything)} comparisons of {everything['trial_id'].nunique()} randomised trials" in TEXT
    rows = ipt.load_dataset("ipt").query(
        "contrast == 'ipt_vs_control' and phase == 'acute' and condition == 'depression'"
    )
    fit = ipt.pool(ipt.effect_sizes(rows), dependence="aggregate")
    said = f"{fit.k} acute-phase trials, g = {fit.estimate:.2f} ({fit.ci_low:.2f} to {fit.ci_high:.2f})"
    assert said in " ".join(TEXT.split())
    assert f"I2 = {fit.i2:.0f}%" in TEXT
    assert f"between {fit.pi_low:.2f} and {fit.pi_high:.2f}" in TEXT
