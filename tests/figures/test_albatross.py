import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from ipt_evidence.errors import OptionError, SchemaError
from ipt_evidence.figures.albatross import albatross_plot, signed
from ipt_evidence.figures.albatross_table import albatross_table, contour, effect_of
from ipt_evidence.figures.output import figure_alt_text

from .plotting_checks import SIZES, points, problems, words_of


def make_p_values(k, seed=4):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "p_value": rng.uniform(1e-5, 1, k),
            "n": rng.integers(20, 400, k),
            "direction": rng.choice([-0.4, 0.6], k),
            "kind": [("depression", "eating_disorder", "anxiety")[i % 3] for i in range(k)],
        }
    )


@pytest.mark.parametrize("k", SIZES)
def test_points_are_the_rows(k):
    table = make_p_values(k)
    fig = albatross_plot(table, width_mm=90)
    assert problems(fig) == []
    drawn = points(fig.axes[0], "trials")
    np.testing.assert_allclose(drawn[:, 0], -np.log10(table["p_value"]) * np.sign(table["direction"]))
    np.testing.assert_allclose(drawn[:, 1], table["n"])


@pytest.mark.parametrize("ratio", [1.0, 2.0])
@pytest.mark.parametrize("d", [0.2, 0.8])
def test_contours_invert_the_variance_of_a_standardised_difference(d, ratio):
    n = contour(np.array([0.3, 0.04, 1e-6]), d, ratio)
    n1, n2 = n * ratio / (1 + ratio), n / (1 + ratio)
    z = d / np.sqrt(1 / n1 + 1 / n2 + d**2 / (2 * n))
    np.testing.assert_allclose(2 * norm.sf(z), [0.3, 0.04, 1e-6], rtol=1e-9)
    table = albatross_table(pd.DataFrame({"p_value": [0.04], "n": [n[1]], "direction": ["-"]}), None)
    np.testing.assert_allclose(effect_of(table, ratio), -d)


def test_contours_are_drawn_where_they_belong():
    ax = albatross_plot(make_p_values(20), contours=(0.5,)).axes[0]
    lines = [x.get_xydata() for x in ax.lines if x.get_label() == "d = 0.5"]
    assert len(lines) == 2
    for xy in lines:
        np.testing.assert_allclose(contour(10 ** -np.abs(xy[:, 0]), 0.5, 1.0), xy[:, 1], rtol=1e-9)


def test_tiny_p_values_stand_at_the_edge_as_arrows():
    table = pd.DataFrame({"p_value": [1e-30, 0.2], "n": [100, 50], "direction": [1, -1]})
    fig = albatross_plot(table)
    np.testing.assert_allclose(points(fig.axes[0], "beyond"), [[8, 100]])
    assert "p below 10⁻⁸ (1 trial)" in words_of(fig).replace("\n", " ")


def test_ticks_say_p_on_both_sides():
    words = words_of(albatross_plot(make_p_values(20))).split("\n")
    assert words.count("0.05") == 2
    assert words.count("1") == 1


def test_all_bad_cells_are_named():
    table = pd.DataFrame({"p_value": [0.2, 1.2, "x", 0], "n": [30, 2, 40, 40], "direction": [1, "up", "-", 1]})
    with pytest.raises(SchemaError) as caught:
        albatross_plot(table)
    assert [(p.row, p.column) for p in caught.value.problems] == [
        (2, "p_value"), (3, "p_value"), (4, "p_value"), (2, "n"), (2, "direction"),
    ]  # fmt: skip


def test_missing_cells_are_left_out_and_counted():
    table = make_p_values(6).astype({"n": float})
    table.loc[[1, 2], ["n", "p_value"]] = np.nan
    fig = albatross_plot(table)
    assert len(points(fig.axes[0], "trials")) == 4
    assert "missing: 2 trials" in words_of(fig)


def test_options_are_checked():
    with pytest.raises(OptionError, match="missing: n, direction"):
        albatross_plot(pd.DataFrame({"p_value": [0.1]}))
    with pytest.raises(OptionError, match="contours must be"):
        albatross_plot(make_p_values(3), contours=(0,))
    with pytest.raises(OptionError, match="ratio must be"):
        albatross_plot(make_p_values(3), ratio=0)
    with pytest.raises(OptionError, match="7 groups"):
        albatross_plot(make_p_values(7).assign(g=list("abcdefg")), by="g")
    with pytest.raises(OptionError, match="no row has"):
        albatross_plot(make_p_values(2).assign(n=np.nan))


def test_alt_text_counts_both_sides():
    table = pd.DataFrame({"p_value": [0.01, 0.02, 0.03, 0.6], "n": 50, "direction": [1, 1, -1, 1]})
    said = figure_alt_text(albatross_plot(table, favours=("control", "IPT")))
    assert "2 with p < 0.05 favouring IPT and 1 favouring control" in said


def test_direction_of_nothing_needs_p_of_one():
    np.testing.assert_allclose(signed(np.array([0.1, 0.1]), np.array([1.0, -1.0])), [1, -1])
    with pytest.raises(SchemaError, match="0 only with p = 1"):
        albatross_plot(pd.DataFrame({"p_value": [0.4], "n": [50], "direction": [0]}))
