import numpy as np
import pandas as pd
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.figures.evidence_map import evidence_map, round_sizes
from ipt_evidence.figures.evidence_map_table import map_table
from ipt_evidence.figures.output import figure_alt_text

from .helpers import make_effects
from .plotting_checks import problems, words_of


def make_map():
    return pd.DataFrame(
        {
            "condition": ["depression", "depression", "anxiety", "eating_disorder", "other"],
            "contrast": ["ipt_vs_control", "ipt_vs_pharmacotherapy", "ipt_vs_control", "ipt_vs_psychotherapy", "x"],
            "k": [39, 8, 3, 2, 0],
            "n_participants": [3240, 885, 127, None, 0],
            "estimate": [0.47, -0.22, 0.55, -0.58, np.nan],
            "ci_low": [0.33, -0.39, -0.1, -5.7, np.nan],
            "ci_high": [0.62, -0.06, 1.2, 4.5, np.nan],
            "certainty": ["low", "Moderate", None, "very low", None],
        }
    )


@pytest.mark.parametrize("width", [60, 180])
@pytest.mark.parametrize("colour", ["direction", "certainty"])
def test_no_text_overlaps(width, colour):
    assert problems(evidence_map(make_map(), colour=colour, width_mm=width)) == []


def test_area_is_proportional_to_participants():
    table = make_map().iloc[[0, 2]]
    circle, square = (c.get_sizes()[0] for c in evidence_map(table).axes[0].collections[:2])
    assert np.pi / 4 * circle / square == pytest.approx(3240 / 127, rel=0.01)


def test_direction_of_each_cell():
    found = map_table(make_map(), None, None, "direction", ("comparator", "IPT"))
    names = [found.kinds[found.cells[place].kind].name for place in ((0, 0), (0, 1), (1, 0), (2, 2), (3, 3))]
    assert names == [
        "favours IPT",
        "favours comparator",
        "interval includes no difference",
        "interval includes no difference",
        "no interval",
    ]


def test_gaps_and_unknown_numbers_are_shown():
    words = words_of(evidence_map(make_map()))
    assert words.split("\n").count("–") == 4 * 4 - 4
    assert "n not known" in words
    assert "n = 3,240" in words
    assert "0.47 [0.33, 0.62]" in words


def test_certainty_is_sorted():
    found = map_table(make_map(), None, None, "certainty", ("a", "b"))
    assert [k.name for k in found.kinds] == [
        "Certainty: Moderate",
        "Certainty: low",
        "Certainty: very low",
        "Certainty: not rated",
    ]


def test_fits_by_two_columns():
    table = make_effects(12).assign(condition=["a", "b"] * 6, what=["x"] * 6 + ["y"] * 6)
    fits = ipt.pool_by(table, ["condition", "what"], tau2_method="DL", ci_method="wald")
    said = figure_alt_text(evidence_map(fits))
    assert said.startswith("Evidence map of 2 rows and 2 columns, 4 cells with trials.")
    with pytest.raises(OptionError, match="by two columns"):
        evidence_map(ipt.pool_by(table, "what", tau2_method="DL", ci_method="wald"))


def test_alt_text_counts_cells():
    said = figure_alt_text(evidence_map(make_map(), favours=("comparator", "IPT")))
    assert "Most trials: Depression, IPT vs control (k = 39, 3,240 participants)" in said
    assert "favours IPT: 1 cell; interval includes no difference: 2 cells; favours comparator: 1 cell" in said


def test_all_wrong_cells_are_named():
    table = make_map().astype({"k": float})
    table.loc[1, "k"] = 2.5
    table.loc[2, "n_participants"] = -4
    table = pd.concat([table, table.iloc[[0]]], ignore_index=True)
    with pytest.raises(SchemaError) as caught:
        evidence_map(table)
    assert [(p.row, p.column) for p in caught.value.problems] == [
        (2, "k"),
        (3, "n_participants"),
        (6, "condition and contrast"),
    ]
    with pytest.raises(OptionError, match="missing: 'k', 'n_participants'"):
        evidence_map(make_map().drop(columns=["k", "n_participants"]))
    many = pd.concat([make_map().iloc[[0]].assign(condition=c, word=c) for c in "abcdef"], ignore_index=True)
    with pytest.raises(OptionError, match="6 different words"):
        evidence_map(many, colour="word")


def test_ratios_are_shown_as_ratios():
    table = make_map().iloc[:1].assign(measure="OR", estimate=np.log(2), ci_low=np.log(1.5), ci_high=np.log(3))
    assert "2.00 [1.50, 3.00]" in words_of(evidence_map(table))


@pytest.mark.parametrize("most", [0, 7, 36, 999, 123456])
def test_sizes_of_the_legend_are_round_and_not_more_than_there_are(most):
    sizes = round_sizes(most)
    assert all(0 < s <= most for s in sizes)
    assert len(sizes) <= 3
