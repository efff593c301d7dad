import numpy as np
import pytest
from scipy.stats import halfnorm, norm

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.output import figure_alt_text
from ipt_evidence.figures.posterior import posterior_plot

from .helpers import make_effects
from .plotting_checks import line, points, problems, words_of

FIT = ipt.bayes(make_effects(6))


def panels(fig):
    return fig.axes[0].child_axes


@pytest.mark.parametrize("width", [60, 180])
@pytest.mark.parametrize("k", [1, 2, 40])
def test_no_text_overlaps(k, width):
    assert problems(posterior_plot(ipt.bayes(make_effects(k)), width_mm=width)) == []


@pytest.mark.parametrize(("panel", "of"), [(0, "mu"), (0, "prediction"), (1, "tau")])
def test_curves_are_the_densities(panel, of):
    xy = line(panels(posterior_plot(FIT))[panel], of)
    np.testing.assert_allclose(xy[:, 1], FIT.density(xy[:, 0], of=of))
    assert np.trapezoid(xy[:, 1], xy[:, 0]) > 0.95


def test_medians_and_intervals():
    left, right = panels(posterior_plot(FIT))
    np.testing.assert_allclose(points(left, "median")[:, 0], [FIT.estimate, FIT.prediction.median])
    np.testing.assert_allclose(points(right, "median")[:, 0], [FIT.tau])
    drawn = [tuple(x.get_xdata()) for ax in (left, right) for x in ax.lines if x.get_label() == "interval"]
    wanted = [(FIT.ci_low, FIT.ci_high), (FIT.pi_low, FIT.pi_high), (FIT.tau_ci_low, FIT.tau_ci_high)]
    np.testing.assert_allclose(drawn, wanted)


def test_priors_are_the_priors():
    left, right = panels(posterior_plot(FIT))
    mu, tau = line(left, "prior"), line(right, "prior")
    np.testing.assert_allclose(mu[:, 1], norm.pdf(mu[:, 0], 0, 4))
    np.testing.assert_allclose(tau[:, 1], halfnorm.pdf(tau[:, 0], scale=0.5))


def test_improper_priors_have_no_density():
    fit = ipt.bayes(make_effects(6), mu_prior=None, tau_prior="uniform")
    fig = posterior_plot(fit)
    assert not [x for ax in panels(fig) for x in ax.lines if x.get_label() == "prior"]
    assert "Prior" not in words_of(fig).split("\n")
    assert "Prior" not in words_of(posterior_plot(FIT, priors=False)).split("\n")


@pytest.mark.parametrize(("width", "beside"), [(90, False), (150, True)])
def test_panels_stand_above_each_other_where_it_is_narrow(width, beside):
    fig = posterior_plot(FIT, width_mm=width)
    fig.draw_without_rendering()
    one, two = (ax.get_window_extent() for ax in panels(fig))
    assert bool(one.x1 < two.x0) is beside
    assert bool(one.y0 > two.y1) is not beside


def test_alt_text_and_wrong_input():
    assert f"positive with a probability of {100 * FIT.p_positive:.1f}%" in figure_alt_text(posterior_plot(FIT))
    with pytest.raises(OptionError, match=r"bayes\(\)"):
        posterior_plot(ipt.pool(make_effects(4), tau2_method="DL", ci_method="wald"))
