"""The figure of a menu shows the numbers of its table, says what could not be made, and fits its page."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.evidence.menu import AnalysisMenu, analysis_menu
from ipt_evidence.figures.forest_marks import LABELS
from ipt_evidence.figures.menu_plot import LABEL, menu_plot
from tests.figures.helpers import collisions

NINE = ["overall", "lowest", "highest", "combined", "outliers_removed", "low_risk_of_bias", "che"]
NINE += ["trim_and_fill", "selection_model"]


@pytest.fixture(scope="module")
def effects() -> pd.DataFrame:
    table = ipt.effect_sizes(ipt.load_dataset("ipt"))
    return table[(table["contrast"] == "ipt_vs_control") & (table["phase"] == "acute")]


@pytest.fixture(scope="module")
def menu(effects: pd.DataFrame) -> AnalysisMenu:
    return analysis_menu(effects[effects["condition"] == "depression"], analyses=NINE)


@pytest.fixture(scope="module")
def grouped(effects: pd.DataFrame) -> AnalysisMenu:
    return analysis_menu(effects, by="condition", analyses=NINE)


def words(fig: Figure) -> str:
    return " ".join(text.get_text() for text in fig.axes[0].texts)


def diamonds(fig: Figure) -> list[tuple[float, str]]:
    """Middle and colour of the diamonds from top to bottom."""
    found = [p for p in fig.axes[0].patches if p.get_label() == LABELS["diamond"]]
    placed = [(np.asarray(p.get_path().vertices), to_hex(p.get_facecolor())) for p in found]
    placed.sort(key=lambda pair: float(pair[0][:, 1].mean()))
    return [(float(corners[np.argmin(corners[:, 1]), 0]), colour) for corners, colour in placed]


def dotted(fig: Figure) -> list[np.ndarray]:
    return next(c for c in fig.axes[0].collections if c.get_label() == LABEL).get_segments()


def test_every_analysis_stands_at_its_effect(menu: AnalysisMenu) -> None:
    fig, table = menu_plot(menu), menu.tidy()
    assert [x for x, _ in diamonds(fig)] == pytest.approx(table["estimate"].tolist())
    said = words(fig)
    for row in table.to_dict("records"):
        assert row["label"] in said
        assert f"{row['nnt_furukawa']:.1f}" in said
        assert f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]".replace("-", "−") in said
    overall = table.set_index("analysis").loc["overall", "estimate"]
    assert {float(x) for segment in dotted(fig) for x in segment[:, 0]} == {overall}


def test_a_doubtful_correction_is_white_and_only_that(menu: AnalysisMenu) -> None:
    white = [colour == "#ffffff" for _, colour in diamonds(menu_plot(menu))]
    assert white == menu.tidy()["notes"].str.contains("Not to be trusted").tolist()
    assert sum(white) == 1


def test_groups_have_their_own_lines_and_reasons(grouped: AnalysisMenu) -> None:
    fig, table = menu_plot(grouped), grouped.tidy()
    expected = table.loc[table["analysis"] == "overall", "estimate"].dropna().tolist()
    assert sorted({float(s[0, 0]) for s in dotted(fig)}) == pytest.approx(sorted(expected))
    said = words(fig)
    assert said.count("Outliers removed") == table["group"].nunique()
    assert "Trim and fill: not estimable, needs at least 3 trials; there are 1" in said
    other = menu_plot(grouped, reference="combined")
    assert len(dotted(other)) == len(dotted(fig))
    assert LABEL not in [
        c.get_label() for c in menu_plot(grouped, reference=None).axes[0].collections if len(c.get_paths())
    ]


@pytest.mark.parametrize("width", [90, 180])
def test_nothing_overlaps_and_narrow_pages_have_fewer_columns(
    menu: AnalysisMenu, grouped: AnalysisMenu, width: float
) -> None:
    alone = analysis_menu(menu["combined"].source.effects, analyses=["combined"])
    for one in (alone, menu) if width == 90 else (grouped,):
        fig = menu_plot(one, width_mm=width, title="Is the answer the same?")
        assert collisions(fig) == []
        assert fig.get_figwidth() * 25.4 <= width + 0.5
    assert ("NNT: number" in words(menu_plot(menu, width_mm=width))) == (width == 180)
    assert "NNT" in words(menu_plot(menu, width_mm=90, columns=["effect", "nnt"]))


def test_ratios_are_shown_as_ratios() -> None:
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"effect": rng.normal(0.7, 0.2, 12), "variance": 0.04, "measure": "OR"})
    menu = analysis_menu(table, analyses=["overall", "combined", "outliers_removed"])
    fig = menu_plot(menu)
    assert fig.axes[0].get_xscale() == "log"
    assert [x for x, _ in diamonds(fig)] == pytest.approx(np.exp(menu.tidy()["estimate"]).tolist())
    assert "NNT" not in words(fig)


def test_alt_text_counts_and_names_the_ends(menu: AnalysisMenu, grouped: AnalysisMenu) -> None:
    text = ipt.alt_text(menu)
    assert text == ipt.alt_text(menu_plot(menu))
    estimates = menu.tidy()["estimate"]
    assert re.search(rf"{estimates.min():.2f} \(Selection model.*to {estimates.max():.2f} \(Highest", text)
    assert "Other: " in ipt.alt_text(grouped)
    assert "could not be made" in ipt.alt_text(grouped)


def test_what_cannot_be_drawn_is_said(menu: AnalysisMenu) -> None:
    with pytest.raises(OptionError, match="received DataFrame"):
        menu_plot(menu.tidy())  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="must be an analysis of this menu"):
        menu_plot(menu, reference="best")
    with pytest.raises(OptionError, match="columns"):
        menu_plot(menu, columns=["p"])


def test_draws_into_the_axes_of_the_caller(menu: AnalysisMenu) -> None:
    fig = Figure(figsize=(9, 5))
    assert menu_plot(menu, ax=fig.add_axes((0.02, 0.02, 0.96, 0.96))) is fig
    assert len(diamonds(fig)) == len(menu.table)
