"""The menu of sensitivity analyses against metapsyTools' runMetaAnalysis() on the 48 IPT rows; README.md says what."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.evidence.menu import AnalysisMenu, analysis_menu

G = 5e-3
"""Half a unit of the second decimal, in which metapsyTools prints; asked of the estimates."""
CI = 1e-2
"""Asked of the limits of the interval; all are in fact within half a unit of the second decimal (PRINTED)."""
PRINTED = 5.0001e-3
"""Half a unit of the second decimal."""
PRINTED_1 = 5.0001e-2
"""Half a unit of the first decimal, in which metapsyTools prints I2 of multilevel models."""
METAGEN_STOP = 3e-3
"""Relative. metagen() stops its REML when tau2 moves by less than 1e-5 (see test_pooling.py)."""
MULTILEVEL = 1e-5
"""Absolute. metafor's optimiser for three-level models stops at 1e-8 in the likelihood."""
SECONDS = 0.5
"""Processor time for nine analyses; metapsyTools took 11.2 s."""

ANALYSES = {
    "Overall": "overall",
    "One ES/study (lowest)": "lowest",
    "One ES/study (highest)": "highest",
    "Outliers removed": "outliers_removed",
    "Influence Analysis": "influential_removed",
    "Only rob > 2": "low_risk_of_bias",
    "Combined": "combined",
    "Three-Level Model": "three_level",
    "Three-Level Model (CHE)": "che",
}
FULL = {
    "overall": "overall",
    "combined": "combined",
    "lowest": "lowest",
    "highest": "highest",
    "outliers": "outliers_removed",
    "rob": "low_risk_of_bias",
}
INSTRUMENTS = {
    "hdrs-17": "HAM-D-17",
    "hdrs-24": "HAM-D-24",
    "bdi-1": "BDI",
    "bdi-2": "BDI-II",
    "rds": "Raskin Depression Scale",
}
NUMBERS_COMPARED = 9 * 10 - 2 * 2


def reference() -> dict[str, Any]:
    path = Path(__file__).with_name("metapsytools_ipt_depression.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    studies = ipt.load_dataset("ipt", analysis_set=None)
    rows = studies.loc[studies["source"].str.startswith("metapsy depression-psyctr")]
    return ipt.effect_sizes(rows, prefer="reported")


@pytest.fixture(scope="module")
def menu(effects: pd.DataFrame) -> AnalysisMenu:
    return analysis_menu(effects, preset="metapsy", analyses=list(ANALYSES.values()))


def limits(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+\.?\d*", text)]


@pytest.mark.parametrize("label", ANALYSES)
def test_numbers_as_printed(label: str, menu: AnalysisMenu) -> None:
    printed = reference()["summary"]
    at = printed["analysis"].index(label)
    ours = menu.tidy().set_index("analysis").loc[ANALYSES[label]]
    assert ours["k"] == printed["k"][at]
    assert ours["estimate"] == pytest.approx(printed["g"][at], abs=G)
    assert [ours["ci_low"], ours["ci_high"]] == pytest.approx(limits(printed["g.ci"][at]), abs=CI)
    pairs = [(limits(printed["g.ci"][at]), ("ci_low", "ci_high"))]
    pairs.append((limits(printed["prediction.ci"][at]), ("pi_low", "pi_high")))
    if printed["i2.ci"][at] != "-":
        pairs.append((limits(printed["i2.ci"][at]), ("i2_ci_low", "i2_ci_high")))
    for theirs, names in pairs:
        assert [ours[name] for name in names] == pytest.approx(theirs, abs=PRINTED), names
    one_decimal = printed["i2.ci"][at] == "-"
    assert ours["i2"] == pytest.approx(printed["i2"][at], abs=PRINTED_1 if one_decimal else PRINTED)
    assert ours["nnt_furukawa"] == pytest.approx(printed["nnt"][at], abs=PRINTED)
    p = printed["p"][at]
    assert ours["p_value"] < 0.001 if p == "<0.001" else round(ours["p_value"], 3) == float(p)


@pytest.mark.parametrize("name", FULL)
def test_full_precision(name: str, menu: AnalysisMenu) -> None:
    expected = reference()["full_precision"][name]
    ours = menu[FULL[name]]
    names = {"TE": "estimate", "lower": "ci_low", "upper": "ci_high", "tau2": "tau2"}
    for theirs, attribute in (names | {"pi_lower": "pi_low", "pi_upper": "pi_high"}).items():
        assert getattr(ours, attribute) == pytest.approx(expected[theirs], rel=METAGEN_STOP), attribute


@pytest.mark.parametrize(("name", "analysis"), [("threelevel", "three_level"), ("che", "che")])
def test_multilevel_full_precision(name: str, analysis: str, menu: AnalysisMenu) -> None:
    expected = reference()["full_precision"][name]
    ours = menu[analysis]
    theirs = [expected["beta"], expected["ci_lb"], expected["ci_ub"], *expected["sigma2"]]
    assert [ours.estimate, ours.ci_low, ours.ci_high, ours.sigma2_between, ours.sigma2_within] == pytest.approx(
        theirs, abs=MULTILEVEL
    )


def rows_named(text: str) -> Counter[tuple[str, str]]:
    """The rows that metapsyTools names, as study and instrument."""
    found = re.findall(r"([^;:]+?), (\d{4}) \([^;]*?; ([^)]+)\)", text)
    return Counter((f"{study.strip()} {year}", INSTRUMENTS.get(name, name.upper())) for study, year, name in found)


LEFT_OUT = [label for label, name in ANALYSES.items() if name not in ("overall", "combined", "three_level", "che")]


@pytest.mark.parametrize("label", LEFT_OUT)
def test_the_same_effects_are_left_out(label: str, menu: AnalysisMenu, effects: pd.DataFrame) -> None:
    printed = reference()["summary"]
    at = printed["analysis"].index(label)
    expected = rows_named(printed["excluded"][at])
    out = effects.loc[menu.left_out.loc[menu.left_out["analysis"] == ANALYSES[label], "row"]]
    assert Counter(zip(out["study"], out["instrument"], strict=True)) == expected
    assert expected.total() == len(effects) - printed["k"][at]


def test_the_comparison_has_not_shrunk() -> None:
    printed = reference()["summary"]
    assert set(printed["analysis"]) == set(ANALYSES)
    numbers = sum(1 + 1 + 1 + 1 + 2 + 2 + 2 * (cell != "-") for cell in printed["i2.ci"])
    assert numbers == NUMBERS_COMPARED
    names = [rows_named(cell).total() for cell in printed["excluded"]]
    assert names == [0, 17, 17, 9, 1, 27, 0, 0, 0]


def test_nine_analyses_take_less_than_half_a_second(effects: pd.DataFrame) -> None:
    took = []
    for _ in range(3):
        start = time.process_time()
        analysis_menu(effects, preset="metapsy", analyses=list(ANALYSES.values()))
        took.append(time.process_time() - start)
    assert min(took) < SECONDS
