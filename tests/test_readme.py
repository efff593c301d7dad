"""The numbers in the README's text are today's; its code, commands and links are tested with the documentation."""

from __future__ import annotations

from pathlib import Path

import ipt_evidence as ipt

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


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
