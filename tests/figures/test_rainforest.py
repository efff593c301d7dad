import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import ipt_evidence as ipt
from ipt_evidence.errors import OptionError
from ipt_evidence.figures.rainforest import drop, rainforest_plot

from .helpers import make_effects
from .plotting_checks import SIZES, hard_effects, points, problems, words_of

Z95 = 1.959963984540054


def fit_of(k, **options):
    return ipt.pool(hard_effects(k), tau2_method="DL", ci_method="wald", **options)


@pytest.mark.parametrize("k", SIZES)
def test_no_text_overlaps_and_every_trial_has_a_drop(k):
    fig = rainforest_plot(fit_of(k), width_mm=90)
    assert problems(fig) == []
    ax = fig.axes[0]
    drops = next(c for c in ax.collections if c.get_label() == "drops").get_paths()
    assert len(drops) == len(points(ax, "trials")) == k


@pytest.mark.parametrize("level", [0.95, 0.8])
def test_drops_end_at_the_limits_and_are_as_high_as_their_weight(level):
    fit = fit_of(12, level=level)
    ax = rainforest_plot(fit, order="table").axes[0]
    outlines = [p.vertices for p in next(c for c in ax.collections if c.get_label() == "drops").get_paths()]
    cores = [p.vertices for p in next(c for c in ax.collections if c.get_label() == "cores").get_paths()]
    studies = fit.studies
    np.testing.assert_allclose([(o[:, 0].min(), o[:, 0].max()) for o in outlines], studies[["ci_low", "ci_high"]])
    height = np.array([np.ptp(o[:, 1]) for o in outlines])
    relative = np.maximum(0.12, np.sqrt(studies["weight"] / studies["weight"].max()))
    np.testing.assert_allclose(height / height.max(), relative, rtol=1e-9)
    share = np.array([np.ptp(c[:, 0]) for c in cores]) / (2 * 0.674490 * studies["std_error"])
    assert (share <= 1).all()
    assert (share > 0.85).all()


def test_the_shape_is_the_normal_likelihood():
    x, half = drop(-Z95, Z95, 1.0)
    np.testing.assert_allclose(half, np.exp(-0.5 * x**2))


@pytest.mark.parametrize(("order", "column"), [("effect", "effect"), ("weight", "weight")])
def test_order(order, column):
    fit = fit_of(12)
    drawn = points(rainforest_plot(fit, order=order).axes[0], "trials")[:, 0]
    wanted = fit.studies.sort_values(column, ascending=False)["effect"]
    np.testing.assert_allclose(drawn, wanted)


def test_one_trial_has_no_diamond():
    fig = rainforest_plot(fit_of(1))
    assert fig.axes[0].patches[0].get_label() != "interval" if fig.axes[0].patches else True
    assert "Mean" not in words_of(fig)


def test_the_diamond_is_the_pooled_interval():
    fit = fit_of(12)
    ax = rainforest_plot(fit).axes[0]
    corners = next(p for p in ax.patches if p.get_label() == "interval").get_xy()
    assert (corners[:, 0].min(), corners[:, 0].max()) == pytest.approx((fit.ci_low, fit.ci_high))


def test_a_small_box_names_some_and_says_so():
    root = Figure(figsize=(6, 4), dpi=100)
    FigureCanvasAgg(root)
    fig = rainforest_plot(fit_of(40), ax=root.add_subplot())
    assert "trials is named" in words_of(fig)
    assert problems(fig) == []


def test_order_and_fit_are_checked():
    with pytest.raises(OptionError, match="order must be one of"):
        rainforest_plot(fit_of(2), order="size")
    with pytest.raises(OptionError, match="PooledFits"):
        rainforest_plot(ipt.pool_by(make_effects(4), "contrast", tau2_method="DL", ci_method="wald"))
