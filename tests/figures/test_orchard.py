from dataclasses import replace

import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.orchard import orchard_plot
from ipt_evidence.figures.orchard_panel import effect_limits, swarm

from .helpers import make_effects, make_groups
from .plotting_checks import SIZES, hard_effects, points, problems, words_of


def fit_of(k, **options):
    return ipt.pool(hard_effects(k, **options), tau2_method="DL", ci_method="wald")


@pytest.mark.parametrize(
    ("k", "kind"), [*[(k, "orchard") for k in SIZES], (1, "caterpillar"), (6, "caterpillar"), (120, "caterpillar")]
)
def test_no_text_overlaps_and_every_trial_is_drawn(k, kind):
    fig = orchard_plot(fit_of(k), kind=kind, width_mm=90)
    assert problems(fig) == []
    effects = fit_of(k).studies["effect"].to_numpy()
    np.testing.assert_allclose(np.sort(points(fig.axes[0], "trials")[:, 0]), np.sort(effects))


def test_mean_and_intervals_are_those_of_the_fits(fits):
    ax = orchard_plot(fits, overall=False).axes[0]
    several = [fit for fit in fits.values() if fit.k > 1]
    np.testing.assert_allclose(points(ax, "mean")[:, 0], [fit.estimate for fit in several])
    for label, low, high in (("interval", "ci_low", "ci_high"), ("prediction", "pi_low", "pi_high")):
        drawn = [x.get_xdata() for x in ax.lines if x.get_label() == label]
        wanted = [(getattr(fit, low), getattr(fit, high)) for fit in several if np.isfinite(getattr(fit, low))]
        inside = np.clip(wanted, *ax.get_xlim())
        np.testing.assert_allclose(drawn, inside)


def test_one_trial_has_no_mean(fits):
    fig = orchard_plot(fits)
    assert "no usable\ntrial" in words_of(fig)
    assert len(points(fig.axes[0], "mean")) == sum(fit.k > 1 for fit in fits.values())


def test_area_grows_with_precision():
    fit = fit_of(40)
    sizes = orchard_plot(fit).axes[0].collections[0].get_sizes()
    precision = np.sort(1 / fit.studies["std_error"])[::-1]
    np.testing.assert_allclose(sizes / sizes[0], np.maximum(precision / precision[0], 8 / sizes[0]))


def test_caterpillar_is_sorted():
    x = points(orchard_plot(fit_of(40), kind="caterpillar").axes[0], "trials")
    assert (np.diff(x[np.argsort(x[:, 1]), 0]) <= 0).all()


def test_overall_is_a_row_of_its_own():
    fits = ipt.pool_by(make_groups(), "condition", tau2_method="DL", ci_method="wald")
    assert "Overall" in words_of(orchard_plot(fits, overall=True))
    with pytest.raises(OptionError, match="overall=True needs fits by group"):
        orchard_plot(fits.overall, overall=True)


def test_nothing_usable_is_said(fits):
    empty = next({name: fit} for name, fit in fits.items() if fit.k == 0)
    fig = orchard_plot(replace(fits, fits=empty, overall=None, between=None))
    assert "nothing to draw" in words_of(fig)
    assert problems(fig) == []


def test_a_very_wide_interval_is_clipped_with_an_arrow():
    low, high = effect_limits(np.array([0.1, 0.5]), np.array([-50.0, 50.0]))
    assert -1 < low < 0
    assert 0.5 < high < 1.2
    fit = ipt.pool(make_effects(2).assign(effect=[0.1, 0.9], variance=0.01), ci_method="t")
    ax = orchard_plot(fit).axes[0]
    assert sum(x.get_label() == "beyond" for x in ax.lines) == 2


def test_swarm_keeps_near_points_apart_and_is_the_same_each_time():
    x = np.repeat([0.0, 1.0], [20, 1])
    y = swarm(x, 0.3)
    assert len(set(y[:20])) == 20
    assert y[20] == 0
    assert np.abs(y).max() <= 0.3
    np.testing.assert_array_equal(y, swarm(x, 0.3))


def test_ratios_have_ticks_of_ratios():
    fit = ipt.pool(make_effects(6, measure="OR"), tau2_method="DL", ci_method="wald")
    assert "Odds ratio, log scale" in words_of(orchard_plot(fit))
