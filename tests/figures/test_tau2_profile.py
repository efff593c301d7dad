import numpy as np
import pytest

import ipt_evidence as ipt
from ipt_evidence.errors import NotEstimableError, OptionError
from ipt_evidence.figures.output import figure_alt_text
from ipt_evidence.figures.tau2_profile import tau2_profile_plot

from .helpers import make_effects
from .plotting_checks import line, points, problems, words_of

pytestmark = pytest.mark.filterwarnings("ignore::ipt_evidence.errors.NarrowIntervalWarning")
LIMIT = 1e-8
"""The interval is a root of the same function, found to 1e-13; the log-likelihood has about eight digits there."""


@pytest.mark.parametrize("k", [2, 6, 40, 120])
def test_no_text_overlaps(k):
    assert problems(tau2_profile_plot(ipt.pool(make_effects(k)), width_mm=90)) == []


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_maximum_and_interval_are_those_of_the_fit(method):
    table = make_effects(12).assign(variance=0.02)
    fit = ipt.pool(table, tau2_method=method, tau2_ci_method="profile")
    assert fit.tau2_ci_low > 0
    ax = tau2_profile_plot(fit).axes[0]
    np.testing.assert_allclose(points(ax, "maximum"), [[fit.tau2, 0]], rtol=1e-9)
    curve = line(ax, "profile")
    assert curve[:, 1].max() == pytest.approx(0, abs=1e-12)
    at_limit = np.interp([fit.tau2_ci_low, fit.tau2_ci_high], curve[:, 0], curve[:, 1])
    np.testing.assert_allclose(at_limit, -1.920729, atol=1e-6)


def test_heights_are_log_likelihood_ratios():
    fit = ipt.pool(make_effects(12), tau2_method="ML")
    v, y = fit.studies["variance"].to_numpy(), fit.studies["effect"].to_numpy()
    curve = line(tau2_profile_plot(fit).axes[0], "profile")

    def by_hand(t):
        w = 1 / (v + t)
        mean = (w * y).sum() / w.sum()
        return -0.5 * (np.log(v + t) + w * (y - mean) ** 2).sum()

    wanted = np.array([by_hand(t) for t in curve[:, 0]]) - by_hand(fit.tau2)
    np.testing.assert_allclose(curve[:, 1], wanted, atol=LIMIT)


def test_another_estimate_is_drawn_beside_the_maximum():
    fit = ipt.pool(make_effects(12), tau2_method="DL")
    fig = tau2_profile_plot(fit)
    assert line(fig.axes[0], "estimate")[0, 0] == fit.tau2
    assert "DL estimate of the fit" in words_of(fig)
    assert "Q-profile interval" in words_of(fig)
    assert not [x for x in tau2_profile_plot(ipt.pool(make_effects(12))).axes[0].lines if x.get_label() == "estimate"]


def test_zero_in_the_interval_is_said():
    table = make_effects(5).assign(effect=[0.3, 0.31, 0.29, 0.3, 0.32])
    said = figure_alt_text(tau2_profile_plot(ipt.pool(table)))
    assert "maximum at 0," in said
    assert "Zero belongs to it" in said


def test_what_has_no_profile_is_refused():
    with pytest.raises(NotEstimableError):
        tau2_profile_plot(ipt.pool(make_effects(1)))
    with pytest.raises(OptionError, match="common-effect"):
        tau2_profile_plot(ipt.pool(make_effects(4), tau2_method="EE", ci_method="wald"))
