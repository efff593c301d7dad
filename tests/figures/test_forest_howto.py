"""The how-to says what runs."""

import re
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "journal_forest_plot.md"

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.EvidenceWarning")


def test_every_block_of_the_how_to_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", HOW_TO.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 8
    names = {}
    for block in blocks:
        exec(block, names)
    assert {p.name for p in tmp_path.iterdir()} == {"figure1.svg", "figure1.pdf", "figure1.png", "figure_s1.pdf"}
