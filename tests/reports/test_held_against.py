"""The pages that hold published results and claims against the trials show every row and explain their words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ipt_evidence as ipt
from ipt_evidence.evidence.claims import Claims
from ipt_evidence.evidence.reproduce import Reproduction
from ipt_evidence.reports.document import save_report
from ipt_evidence.reports.document_blocks import Report, TableBlock
from ipt_evidence.reports.held_against import claims_page, reproduction_page


@pytest.fixture(scope="module")
def claims() -> Claims:
    return ipt.check_claims(bias=False)


@pytest.fixture(scope="module")
def again() -> Reproduction:
    return ipt.reproduce()


def page_of(report: Report, folder: Path) -> str:
    text = save_report(report, folder / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", text)


def test_every_claim_stands_with_verdict_rule_and_certainty(claims: Claims, tmp_path: Path) -> None:
    text = page_of(claims_page(claims), tmp_path)
    for row in claims.tidy().to_dict("records"):
        assert f"{row['claim']}: {row['verdict']}</h3>".replace("&", "&amp;") in text
        assert f"Would be supported when: {row['supported_when']}." in text
    assert "0.46 (0.31 to 0.62)" in text
    assert "That does not mean that the claim is false" in text
    assert text.count("How sure: ") == len(claims.table)
    assert "nan" not in re.sub(r"<[^>]*>", "", text).split()


def test_every_published_result_is_tested_or_has_its_reason(again: Reproduction, tmp_path: Path) -> None:
    report, table = reproduction_page(again), again.tidy()
    tested, exact, untested = (block.table for block in report.blocks if isinstance(block, TableBlock))
    published = table[table["kind"] == "published"]
    verdicts = published["verdict"].ne("cannot be tested")
    assert len(tested.cells) == verdicts.sum()
    assert [row[2] for row in tested.cells] == published.loc[verdicts, "verdict"].tolist()
    assert len(exact.cells) == (table["kind"] == "exact").sum()
    named = ", ".join(row[2] for row in untested.cells).split(", ")
    assert sorted(named) == sorted(published.loc[~verdicts, "published_id"])
    text = page_of(report, tmp_path)
    assert "0.63 (0.36 to 0.90), k = 16" in text
    assert "46 rows" in text
    assert again.tolerance in text
    assert "Cuijpers 2011: Cuijpers P" in text
