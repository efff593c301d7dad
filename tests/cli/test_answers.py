"""The commands that question the answer print what the functions say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import ipt_evidence as ipt
from tests.cli.helpers import run, table_of


def depression() -> pd.DataFrame:
    rows = ipt.load_dataset("ipt").query(
        "condition == 'depression' and contrast == 'ipt_vs_control' and phase == 'acute'"
    )
    return ipt.effect_sizes(rows)


def test_menu_and_bias_are_those_of_python() -> None:
    menu = table_of(run("menu", "--format", "csv")).set_index("analysis")
    expected = ipt.analysis_menu(depression()).tidy().set_index("analysis")
    assert list(menu.index) == list(expected.index)
    assert float(menu.loc["combined", "estimate"]) == pytest.approx(expected.loc["combined", "estimate"])
    bias = table_of(run("bias", "--format", "csv")).set_index("method")
    adjusted = ipt.bias_table(ipt.pool(depression(), dependence="aggregate")).table.set_index("method")
    assert float(bias.loc["pet_peese", "estimate"]) == pytest.approx(adjusted.loc["pet_peese", "estimate"])


def test_published_results_and_claims_have_a_row_each() -> None:
    assert len(table_of(run("reproduce", "--format", "csv"))) == len(ipt.reproduce().tidy())
    claims = table_of(run("claims", "--format", "csv"))
    assert set(claims["verdict"]) <= {"supported", "not supported", "mixed", "no evidence"}


def test_report_is_written_and_other_endings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert run("report", "--condition", "anxiety", "-o", path).exit_code == 0
    assert "<h1" in path.read_text(encoding="utf-8")
    result = run("report", "-o", tmp_path / "report.odt")
    assert result.exit_code == 2
    assert ".docx" in result.stderr
