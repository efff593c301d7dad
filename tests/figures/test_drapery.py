import math

import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.figures.drapery import drapery_plot

from .helpers import make_effects
from .plotting_checks import SIZES, hard_effects, line, names_in, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
GRID = 0.01
"""The curves are drawn as 800 straight pieces; p at a limit of an interval is exact to this."""


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_or_leaves_the_page(k):
    fit = ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald")
    assert problems(drapery_plot(fit, width_mm=90)) == []


def test_every_name_has_its_place():
    table = make_effects(12)
    fig = drapery_plot(ipt.pool(table, ci_method="wald"))
    assert problems(fig) == []
    assert names_in(fig, table["study"]) == set(table["study"])


@pytest.mark.parametrize("options", [{"ci_method": "wald"}, {"ci_method": "hksj"}, {"ci_method": "t", "level": 0.9}])
def test_curves_bound_the_intervals(options):
    table = make_effects(12)
    table["effect"] *= 2
    fit = ipt.pool(table, tau2_method="DL", **options)
    ax = drapery_plot(fit).axes[0]
    alpha = 1 - fit.method.level
    for label, low, high in (
        ("Pooled effect", fit.ci_low, fit.ci_high),
        ("Prediction for a new trial", fit.pi_low, fit.pi_high),
    ):
        x, p = line(ax, label).T
        left, right = ax.get_xlim()
        assert x[np.argmax(p)] == pytest.approx(fit.estimate)
        assert p.max() == pytest.approx(1)
        inside = [limit for limit in (low, high) if left < limit < right]
        np.testing.assert_allclose(np.interp(inside, x, p), alpha, atol=GRID)
        assert inside


def test_every_trial_has_its_curve():
    table = make_effects(12)
    fit = ipt.pool(table, tau2_method="DL", ci_method="wald")
    curves = [x for x in drapery_plot(fit).axes[0].lines if x.get_label() == "Trial"]
    peaks = [x.get_xdata()[np.argmax(x.get_ydata())] for x in curves]
    np.testing.assert_allclose(peaks, table["effect"])
    x, p = curves[0].get_xdata(), curves[0].get_ydata()
    y, se = table["effect"][0], math.sqrt(table["variance"][0])
    assert np.interp(y + 1.959964 * se, x, p) == pytest.approx(0.05, abs=GRID)


def test_an_interval_of_another_kind_has_no_curve():
    fit = ipt.pool(make_effects(12), tau2_method="DL", ci_method="henmi-copas")
    fig = drapery_plot(fit)
    labels = [x.get_label() for x in fig.axes[0].lines]
    assert ("Pooled effect" not in labels) == ("no curve here" in words_of(fig))


@pytest.mark.parametrize("k", [1, 2])
def test_few_trials(k):
    fig = drapery_plot(ipt.pool(make_effects(k)))
    assert ("nothing was pooled" if k == 1 else "No prediction interval") in words_of(fig)
    assert "Prediction for a new trial" not in words_of(fig)
