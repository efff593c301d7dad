import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.diagnostics.influence import baujat
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.baujat import baujat_plot

from .helpers import make_effects
from .plotting_checks import SIZES, hard_effects, names_in, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_or_leaves_the_page(k):
    fit = ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald")
    assert problems(baujat_plot(fit, width_mm=90)) == []


@pytest.mark.parametrize("k", [2, 12])
def test_points_are_the_table(k):
    fit = ipt.pool(make_effects(k), tau2_method="DL", ci_method="wald")
    fig = baujat_plot(fit)
    table = baujat(fit)
    np.testing.assert_allclose(points(fig.axes[0], "trials"), table[["x", "y"]].to_numpy())
    assert table.interpretation in ipt.alt_text(fig)


def test_those_that_stand_apart_are_named():
    table = make_effects(12)
    table["effect"] = 0.4 + 0.01 * np.arange(12)
    table.loc[5, "effect"] = 4.0
    fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    assert names_in(baujat_plot(fit), table["study"]) == {table["study"][5]}
    assert names_in(baujat_plot(fit, named=0), table["study"]) == set()


def test_one_trial_has_a_sentence():
    fig = baujat_plot(ipt.pool(make_effects(1)))
    assert "One trial, Author 0 1980" in words_of(fig)
    assert not fig.axes[0].collections


@pytest.mark.parametrize("named", [-1, 2.5, True])
def test_impossible_numbers_of_names(named):
    with pytest.raises(OptionError, match="named"):
        baujat_plot(ipt.pool(make_effects(3), ci_method="wald"), named=named)
